//! What a message may show: one line, not too long, and nothing secret.

use std::ops::Range;

use super::words;

/// Whether a text stands for another: `env:NAME` or `file:PATH`.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// A text in a message: in backquotes, on one line, not too long, and without the credentials of a URL.
pub(super) fn quote(text: &str) -> String {
    let covered = cover(text, &[]);
    let short: String = covered.chars().take(80).flat_map(char::escape_debug).collect();
    let short = short.replace("\\\"", "\"").replace("\\'", "'");
    if covered.chars().count() > 80 { format!("`{short}…`") } else { format!("`{short}`") }
}

/// `source` with asterisks over `secrets`, over the credentials in URLs, and over what is assigned to keys that sound like
/// secrets: the reader may not have come to know those as such (misspelt, or in a text that does not parse). Every byte but
/// line ends keeps its place.
pub(super) fn cover(source: &str, secrets: &[Range<usize>]) -> String {
    let mut bytes = source.as_bytes().to_vec();
    let credentials = source.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let rest = &source[start..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
        rest[..end].rfind('@').map(|at| start..start + at)
    });
    let assigned = source.match_indices('=').filter_map(|(at, _)| {
        let before = source[..at].trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or("");
        let rest = &source[at + 1..];
        let start = at + 1 + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let value = &source[start..];
        let line = value.find('\n').unwrap_or(value.len());
        let long = ["\"\"\"", "\'\'\'"].into_iter().find(|quotes| value.starts_with(quotes));
        let end = match value.chars().next() {
            _ if let Some(quotes) = long => value[3..].find(quotes).map_or(value.len(), |close| close + 6),
            Some(quote @ ('"' | '\'')) => value[1..line].find(quote).map_or(line, |close| close + 2),
            Some('{') => return None,
            Some('[') => value.find(']').unwrap_or(value.len()),
            _ => value[..line].find([',', '}', '#', ' ']).unwrap_or(line),
        };
        let reference = is_reference(value.trim_start_matches(['"', '\'']));
        (sounds_secret(name) && !reference).then_some(start..start + end)
    });
    for span in secrets.iter().cloned().chain(credentials).chain(assigned) {
        for byte in bytes.get_mut(span).into_iter().flatten() {
            if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sounds_secret(key: &str) -> bool {
    let words = ["token", "secret", "password", "credential", "bearer", "api_key"];
    let key = key.to_lowercase();
    words.iter().any(|word| key.contains(word)) || words::nearest(&key, words).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_in_place() {
        for (source, covered) in [
            ("url = \"https://a:b@host/x\"", "url = \"https://***@host/x\""),
            ("token = \"hunter2\" # why", "token = \"*******\" # why"),
            ("tokn = 'hünter2'", "tokn = '********'"),
            ("auth = { Password = \"x=y\", user = \"z\" }", "auth = { Password = \"***\", user = \"z\" }"),
            ("token = \"hunter2", "token = \"*******"),
            ("token = \"env:TOKEN\"", "token = \"env:TOKEN\""),
            ("listen = \"0.0.0.0:1\"", "listen = \"0.0.0.0:1\""),
            ("tokens = [\"a\", \"b\"]", "tokens = *\"*\"**\"*\"]"),
            ("token = \"\"\"a\nb\"\"\"\nx", "token = \"\"\"*\n*\"\"\"\nx"),
            ("secret = 12345", "secret = *****"),
        ] {
            assert_eq!(cover(source, &[]), covered);
        }
        let secret = 4..8;
        assert_eq!(cover("a = \"bc\"\nd", std::slice::from_ref(&secret)), "a = \"**\"\nd");
    }

    #[test]
    fn quoting_keeps_one_line() {
        assert_eq!(quote("a\nb\0\"c\""), "`a\\nb\\0\"c\"`");
        assert_eq!(quote(&"x".repeat(99)).chars().count(), 83);
    }
}
