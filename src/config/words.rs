//! The small spellings of a configuration: spans of time, sizes, and the nearest right word to a wrong one.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `500ms`, `60s`, `10m`, `2h` or `30d`; `None` for anything else and for what no clock can count.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*millis).map(Duration::from_millis)
}

/// Writes a span as a configuration would: in the largest unit that holds it exactly, such as `60s`, `10m` or `1500ms`.
/// Up to two minutes the unit is the second, because that is how the vendors write their windows.
pub fn span(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, length) in UNITS {
        let length = u128::from(length);
        let fits = millis.is_multiple_of(length) && millis > 0;
        if fits && (length != 60_000 || millis > 120_000) {
            return format!("{}{unit}", millis / length);
        }
    }
    "0s".to_owned()
}

/// Reads a number of bytes: `1048576`, `512KiB`, `1MiB`, `1GiB`.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// The word that was probably meant: the nearest of `candidates` by letters inserted, left out, replaced or swapped, if it
/// is near enough to be worth saying. Case, `-` and `_` do not count.
pub(super) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|word| Some((distance_if_near(wrong, word)?, word)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many slips lead from `word` to `wrong`, if they are few for its length.
pub(super) fn distance_if_near(wrong: &str, word: &str) -> Option<usize> {
    // A key longer than this is not a slip of the finger, and the comparison is quadratic.
    if wrong.len() > 100 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "").chars().collect::<Vec<_>>();
    let (wrong, word) = (plain(wrong), plain(word));
    let distance = distance(&wrong, &word);
    (distance <= 1.max(wrong.len().max(word.len()) / 3) && distance < word.len()).then_some(distance)
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, millis, again) in [
            ("500ms", 500, "500ms"),
            ("60s", 60_000, "60s"),
            ("2m", 120_000, "120s"),
            ("10m", 600_000, "10m"),
            ("2h", 7_200_000, "2h"),
            ("30d", 2_592_000_000, "30d"),
            ("0s", 0, "0s"),
        ] {
            let parsed = parse_span(text).unwrap_or_else(|| panic!("{text} is a span"));
            assert_eq!(parsed, Duration::from_millis(millis), "{text}");
            assert_eq!(span(parsed), again, "{text}");
        }
        for text in ["", "s", "60", "-1s", "1.5s", "60 s", "1h30m", "99999999999999999999s", "9999999999999999999d"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("0", Some(0)), ("1MiB", Some(1 << 20)), ("512KiB", Some(512 << 10)), ("1MB", None)] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        assert_eq!(parse_bytes("99999999999999GiB"), None);
    }

    #[test]
    fn the_nearest_word_is_offered_only_when_near() {
        let keys = ["listen", "public_url", "tls", "drain", "drain_grace"];
        for (wrong, meant) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("public-url", Some("public_url")),
            ("publicUrl", Some("public_url")),
            ("dran", Some("drain")),
            ("tsl", Some("tls")),
            ("certificate", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, keys), meant, "{wrong}");
        }
    }
}
