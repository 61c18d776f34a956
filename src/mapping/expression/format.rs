//! .NET's custom date formats, for FormatDateTime: reading a text by one and printing a date by one. English names only.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime, Weekday};

use super::date::{Parts, Reader, half_day};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// How FormatDateTime reads its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Styles {
    leading: bool,
    trailing: bool,
    universal: bool,
}

impl Styles {
    /// From .NET's names, separated by commas; none means `RoundtripKind` with blanks allowed around.
    ///
    /// # Errors
    /// Names the style that there is not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut styles = Self { leading: false, trailing: false, universal: false };
        if text.trim().is_empty() {
            return Ok(Self { leading: true, trailing: true, ..styles });
        }
        for name in text.split(',').map(str::trim) {
            match name {
                "AllowLeadingWhite" => styles.leading = true,
                "AllowTrailingWhite" => styles.trailing = true,
                "RoundtripKind" => {}
                "AssumeUniversal" | "AdjustToUniversal" => styles.universal = true,
                other => {
                    let known =
                        "RoundtripKind, AllowLeadingWhite, AllowTrailingWhite, AssumeUniversal, AdjustToUniversal";
                    return Err(format!("`{}` is no style that is supported: there are {known}", other.escape_debug()));
                }
            }
        }
        Ok(styles)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Year(usize),
    Month(usize),
    Day(usize),
    Hour(usize),
    Hour12(usize),
    Minute(usize),
    Second(usize),
    /// Digits; whether zeros at the end are left out, and whether a point before them goes with them.
    Fraction(usize, bool, bool),
    Half(usize),
    Offset(usize),
    Kind,
    Literal(char),
}

/// A .NET date format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Vec<Item>);

impl Format {
    /// Reads a custom format, or one of the standard ones `o`, `s`, `u` and `d`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = match text {
            "o" | "O" => "yyyy-MM-ddTHH:mm:ss.fffffffK",
            "s" => "yyyy-MM-ddTHH:mm:ss",
            "u" => "yyyy-MM-dd HH:mm:ssZ",
            "d" => "MM/dd/yyyy",
            "" => return Err("the format is empty".into()),
            _ if text.chars().count() == 1 => {
                return Err(format!(
                    "`{}` alone is a standard format that is not supported: write o, s, u or d, or %{0} for the custom one",
                    text.escape_debug()
                ));
            }
            _ => text.strip_prefix('%').filter(|rest| rest.chars().count() == 1).unwrap_or(text),
        };
        if text.len() > 256 {
            return Err("the format is longer than 256 bytes".into());
        }
        let mut items: Vec<Item> = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let mut run = |most: usize| {
                let mut count = 1;
                while count < most && characters.next_if_eq(&c).is_some() {
                    count += 1;
                }
                count
            };
            let item = match c {
                'y' => Item::Year(run(4)),
                'M' => Item::Month(run(4)),
                'd' => Item::Day(run(4)),
                'H' => Item::Hour(run(2)),
                'h' => Item::Hour12(run(2)),
                'm' => Item::Minute(run(2)),
                's' => Item::Second(run(2)),
                'f' => Item::Fraction(run(7), false, false),
                'F' => {
                    let digits = run(7);
                    let point = items.last() == Some(&Item::Literal('.'));
                    items.truncate(items.len() - usize::from(point));
                    Item::Fraction(digits, true, point)
                }
                't' => Item::Half(run(2)),
                'z' => Item::Offset(run(3)),
                'K' => Item::Kind,
                '\\' => Item::Literal(characters.next().ok_or("a backslash ends the format")?),
                '\'' | '"' => {
                    let mut closed = false;
                    for quoted in characters.by_ref() {
                        if quoted == c {
                            closed = true;
                            break;
                        }
                        items.push(Item::Literal(quoted));
                    }
                    if !closed {
                        return Err("a quote in the format is never closed".into());
                    }
                    continue;
                }
                literal => Item::Literal(literal),
            };
            items.push(item);
        }
        Ok(Self(items))
    }

    /// Reads a text that must match as a whole; gives the date in UTC, and whether it is known to be UTC.
    pub fn read(&self, text: &str, styles: Styles) -> Option<(DateTime, bool)> {
        let text = if styles.leading { text.trim_start() } else { text };
        let text = if styles.trailing { text.trim_end() } else { text };
        let mut reader = Reader(text);
        let mut parts = Parts::default();
        let mut has_year = false;
        for item in &self.0 {
            match *item {
                Item::Year(width) => {
                    has_year = true;
                    parts.year = match width {
                        1 | 2 => {
                            reader.number(width, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?
                        }
                        _ => reader.number(4, 4)?,
                    };
                }
                Item::Month(width @ (1 | 2)) => parts.month = reader.number(width, 2)?,
                Item::Month(width) => parts.month = reader.name(&MONTHS, width == 3)? + 1,
                Item::Day(width @ (1 | 2)) => parts.day = reader.number(width, 2)?,
                Item::Day(width) => _ = reader.name(&DAYS, width == 3)?,
                Item::Hour(width) => parts.hour = reader.number(width, 2)?,
                Item::Hour12(width) => {
                    parts.hour = reader.number(width, 2).filter(|hour| (1..=12).contains(hour))?;
                    parts.afternoon = parts.afternoon.or(Some(false));
                }
                Item::Minute(width) => parts.minute = reader.number(width, 2)?,
                Item::Second(width) => parts.second = reader.number(width, 2)?,
                Item::Fraction(digits, false, _) => parts.nanosecond = reader.fraction(digits, digits)?,
                Item::Fraction(digits, true, point) => {
                    if !point || reader.take(".").is_some() {
                        parts.nanosecond = reader.fraction(0, digits)?;
                    }
                }
                Item::Half(1) => {
                    let half = reader.take_any(&["A", "P"])?;
                    parts.afternoon = Some(half == 1);
                }
                Item::Half(_) => parts.afternoon = Some(reader.half()?),
                Item::Offset(_) => parts.offset = Some(reader.offset()?),
                Item::Kind => {
                    if reader.0.starts_with(['Z', 'z', '+', '-']) {
                        parts.offset = Some(reader.offset()?);
                    }
                }
                Item::Literal(literal) => reader.take(literal.encode_utf8(&mut [0; 4]))?,
            }
        }
        if !reader.0.is_empty() || !has_year {
            return None;
        }
        Some((parts.date()?, parts.offset.is_some() || styles.universal))
    }

    /// Prints a date; `utc` says whether it is known to be UTC.
    pub fn write(&self, date: DateTime, utc: bool) -> String {
        let mut out = String::new();
        for item in &self.0 {
            let (value, width): (i64, usize) = match *item {
                Item::Year(width @ (1 | 2)) => (i64::from(date.year()) % 100, width),
                Item::Year(width) => (date.year().into(), width),
                Item::Month(width @ (1 | 2)) => (date.month().into(), width),
                Item::Day(width @ (1 | 2)) => (date.day().into(), width),
                Item::Hour(width) => (date.hour().into(), width),
                Item::Hour12(width) => (half_day(date.hour()).0.into(), width),
                Item::Minute(width) => (date.minute().into(), width),
                Item::Second(width) => (date.second().into(), width),
                other => {
                    word(&mut out, other, date, utc);
                    continue;
                }
            };
            // Writing into a text cannot fail.
            _ = write!(out, "{value:0width$}");
        }
        out
    }
}

/// Prints what is no plain number.
fn word(out: &mut String, item: Item, date: DateTime, utc: bool) {
    match item {
        Item::Month(width) => {
            out.push_str(named(&MONTHS, usize::from(date.month().unsigned_abs()).saturating_sub(1), width));
        }
        Item::Day(width) => out.push_str(named(&DAYS, weekday(date.date()), width)),
        Item::Fraction(digits, trimmed, point) => {
            let all = format!("{:09}", date.subsec_nanosecond());
            let shown = if trimmed { all[..digits].trim_end_matches('0') } else { &all[..digits] };
            out.push_str(if point && !shown.is_empty() { "." } else { "" });
            out.push_str(shown);
        }
        Item::Half(width) => out.push_str(&half_day(date.hour()).1[..width]),
        Item::Offset(width) => out.push_str(["+0", "+00", "+00:00"][width - 1]),
        Item::Kind => out.push_str(if utc { "Z" } else { "" }),
        Item::Literal(literal) => out.push(literal),
        Item::Year(_) | Item::Hour(_) | Item::Hour12(_) | Item::Minute(_) | Item::Second(_) => {}
    }
}

fn named(names: &[&'static str], index: usize, width: usize) -> &'static str {
    let name = names.get(index).copied().unwrap_or("");
    if width == 3 { &name[..3] } else { name }
}

/// Days since Sunday.
fn weekday(date: Date) -> usize {
    match date.weekday() {
        Weekday::Sunday => 0,
        Weekday::Monday => 1,
        Weekday::Tuesday => 2,
        Weekday::Wednesday => 3,
        Weekday::Thursday => 4,
        Weekday::Friday => 5,
        Weekday::Saturday => 6,
    }
}
