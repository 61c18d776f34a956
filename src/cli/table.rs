//! Tables for people, and the small words in them.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::types::Timestamp;

/// A table with these headings, columns two spaces apart.
pub(super) fn new(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(headings.iter().copied());
    table
}

/// The table's lines, without the blanks at their ends.
pub(super) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A time to the second, as people read it.
pub(super) fn time(at: Timestamp) -> String {
    let text = Timestamp::from_seconds(at.seconds()).to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| seconds.replace('T', " "))
}

/// A time that may not be there.
pub(super) fn maybe(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), time)
}

/// Text that came from outside, made harmless for a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
