//! A place inside a text of the configuration: where a piece of what the text says is written in the file.

use std::ops::Range;

/// The bytes of `raw`, a TOML string with its quotes, that say the bytes `said` of its content. `None` when `raw` is no string.
pub(super) fn place(raw: &str, said: &Range<usize>) -> Option<Range<usize>> {
    let quotes = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quotes| raw.starts_with(quotes))?;
    let literal = quotes.starts_with('\'');
    let mut at = quotes.len();
    if quotes.len() == 3 {
        // A line break right behind the quotes is not part of the text.
        let rest = &raw[at..];
        at += ["\r\n", "\n"].iter().find(|line_break| rest.starts_with(**line_break)).map_or(0, |it| it.len());
    }
    let end = raw.len().checked_sub(quotes.len()).filter(|end| *end >= at)?;
    let (mut count, mut start) = (0, None);
    while at < end {
        if count >= said.start {
            start = start.or(Some(at));
        }
        if count >= said.end {
            break;
        }
        let rest = &raw[at..end];
        let (written, meant) = if literal { plain(rest) } else { escaped(rest) };
        at += written;
        count += meant;
    }
    let start = start.unwrap_or(at);
    Some(start..at.max(start))
}

/// How many bytes a character takes here, and how many in the text.
fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

fn escaped(rest: &str) -> (usize, usize) {
    if !rest.starts_with('\\') {
        return plain(rest);
    }
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let blank = rest[1..].find(|c: char| !c.is_whitespace()).unwrap_or(rest.len() - 1);
            return (1 + blank, 0);
        }
        _ => return (rest.len().min(2), 1),
    };
    let code = rest.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
    (rest.len().min(2 + digits), code.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_found_where_it_is_written() {
        for (raw, said, written) in [
            ("'abc'", 1..2, "b"),
            ("\"a\\\"bc\"", 1..2, "\\\""),
            ("\"a\\\"bc\"", 2..3, "b"),
            ("\"\\u00e9bc\"", 2..3, "b"),
            ("'é\"c'", 2..3, "\""),
            ("'''\nab'''", 0..1, "a"),
            ("\"\"\"a\\\n   b\"\"\"", 1..2, "b"),
            ("'abc'", 3..3, ""),
            ("''", 0..0, ""),
        ] {
            let span = place(raw, &said).unwrap();
            assert_eq!(raw[span].trim_start_matches("\\\n").trim_start(), written, "{raw} {said:?}");
        }
        assert_eq!(place("17", &(0..1)), None);
    }
}
