//! Regular expressions as .NET writes them, compiled when the configuration is loaded. Patterns without look-around and back
//! references run in linear time; the others backtrack, over short texts and with a step limit.

use std::ops::Range;

use fancy_regex::{Captures, Regex, RegexBuilder};

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 4 * 1024;
/// The most that a compiled pattern may take, in bytes.
const LARGEST: usize = 1024 * 1024;
/// How often a pattern may backtrack in one search.
const MOST_STEPS: usize = 20_000;
/// The longest text that a pattern which backtracks is tried on, in bytes.
const LONGEST_SLOW: usize = 4 * 1024;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// The same with `$` also before a last line break; only where it makes a difference.
    before_line_end: Option<Regex>,
    slow: bool,
    groups: Vec<Option<String>>,
}

impl Pattern {
    /// Compiles `written`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(written: &str) -> Result<Self, String> {
        if written.len() > LONGEST_PATTERN {
            return Err(format!("the pattern is longer than {LONGEST_PATTERN} bytes"));
        }
        let (text, dollars) = rewritten(written, "$");
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .backtrack_limit(MOST_STEPS)
                .delegate_size_limit(LARGEST)
                .delegate_dfa_size_limit(LARGEST)
                .build()
                .map_err(|error| format!("the pattern is none: {}", said(&error)))
        };
        let regex = compile(&text)?;
        let before_line_end =
            if dollars && !multiline(&text) { Some(compile(&rewritten(written, "(?=\\n?\\z)").0)?) } else { None };
        let groups = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
        Ok(Self { slow: backtracks(&text), regex, before_line_end, groups })
    }

    /// The number of the group with this name, or this number.
    pub fn number_of(&self, name: &str) -> Option<usize> {
        let by_name = self.groups.iter().position(|group| group.as_deref() == Some(name));
        by_name.or_else(|| name.parse().ok().filter(|number| *number < self.groups.len()))
    }

    /// The first match at or after byte `from`: the spans of all groups, the whole match first.
    ///
    /// # Errors
    /// The bound that would be passed.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<Vec<Option<Range<usize>>>>, &'static str> {
        let with_line_end = self.before_line_end.as_ref().filter(|_| text.ends_with('\n'));
        if (self.slow || with_line_end.is_some()) && text.len() > LONGEST_SLOW {
            return Err("the text is too long for a pattern with look-around or back references");
        }
        let regex = with_line_end.unwrap_or(&self.regex);
        let found = regex.captures_from_pos(text, from).map_err(|_| "the pattern takes too many steps on this text")?;
        Ok(found.map(|captures| spans(&captures)))
    }
}

fn spans(captures: &Captures<'_>) -> Vec<Option<Range<usize>>> {
    (0..captures.len()).map(|group| captures.get(group).map(|found| found.range())).collect()
}

/// An error in one line, without the pattern drawn again.
fn said(error: &fancy_regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    let last = last.trim().trim_start_matches("error: ");
    let told = last.strip_prefix("Parsing error at position ").and_then(|rest| rest.split_once(": "));
    told.map_or(last, |(_, told)| told).chars().take(160).collect()
}

/// Whether a flag at some place makes `$` the end of every line.
fn multiline(text: &str) -> bool {
    text.match_indices("(?").any(|(at, _)| {
        let flags = text[at + 2..].chars().take_while(char::is_ascii_alphabetic);
        flags.into_iter().any(|flag| flag == 'm')
    })
}

/// Whether the engine must backtrack: look-around, atomic groups, back references.
fn backtracks(text: &str) -> bool {
    let look = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(", "\\k", "\\G", "\\K"].iter().any(|mark| text.contains(mark));
    let bytes = text.as_bytes();
    let reference = bytes.windows(2).any(|pair| pair[0] == b'\\' && matches!(pair[1], b'1'..=b'9'));
    let possessive = bytes.windows(2).any(|pair| matches!(pair[0], b'*' | b'+' | b'?' | b'}') && pair[1] == b'+');
    look || reference || possessive
}

/// The pattern in the engine's spelling, and whether it holds a `$` that is an anchor: `\<` and `\>` are plain characters,
/// `(?'n'…)` is a group called n.
fn rewritten(pattern: &str, dollar: &str) -> (String, bool) {
    let mut out = String::with_capacity(pattern.len());
    let (mut class, mut dollars) = (0_usize, false);
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(plain @ ('<' | '>')) => out.push(plain),
                Some('Z') => out.push_str("(?=\\n?\\z)"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' if class == 0 => {
                class = 1;
                out.push('[');
                // A `]` that comes first is a plain character.
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if characters.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            // Inside a class a bracket is a plain character, but after a hyphen it takes a class away: `[a-z-[aeiou]]`.
            '[' if out.ends_with('-') && !out.ends_with("\\-") => {
                class += 1;
                out.push_str("-[");
            }
            '[' => out.push_str("\\["),
            '&' | '~' if class > 0 && characters.peek() == Some(&c) => out.extend(['\\', c]),
            ']' if class > 0 => {
                class -= 1;
                out.push(']');
            }
            '$' if class == 0 => {
                dollars = true;
                out.push_str(dollar);
            }
            '(' if class == 0 => {
                out.push('(');
                let rest: String = characters.clone().take(2).collect();
                if rest == "?'" {
                    let name: String = characters.clone().skip(2).take_while(|c| *c != '\'').collect();
                    characters.nth(name.chars().count() + 2);
                    out.push_str("?<");
                    out.push_str(&name);
                    out.push('>');
                }
            }
            c => out.push(c),
        }
    }
    (out, dollars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_nets_spellings_are_understood() {
        for (pattern, text, found) in [
            ("\\<(?<n>\\w+)\\>", "a<b>c", Some(1..4)),
            ("[\\<\\>]+", "a<>b", Some(1..3)),
            ("(?'n'\\d)-\\k<n>", "1-2 3-3", Some(4..7)),
            ("a$", "ba\n", Some(1..2)),
            ("a$", "ba", Some(1..2)),
            ("a$", "ab", None),
            ("[$]", "a$", Some(1..2)),
            ("[[x]", "a[", Some(1..2)),
            ("[]x]", "a]", Some(1..2)),
            ("[a-z-[aeiou]]+", "aebc", Some(2..4)),
            ("(?m)a$", "a\nb", Some(0..1)),
            ("(?<=@).*", "a@b", Some(2..3)),
            ("\\d", "٣", Some(0..2)),
        ] {
            let pattern = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            let spans = pattern.find(text, 0).unwrap();
            assert_eq!(spans.and_then(|spans| spans[0].clone()), found, "{pattern:?}");
        }
        for pattern in ["(", "[", "(?<n>", "a{2,1}", "\\", "(\\w{1000}){1000}"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_is_stopped() {
        let pattern = Pattern::new("^(?=(a+)+$)b").unwrap();
        assert!(
            pattern.find(&"a".repeat(40), 0).is_ok_and(|found| found.is_none())
                || pattern.find(&"a".repeat(40), 0).is_err()
        );
        let pattern = Pattern::new("^(a|a|b\\1)*c").unwrap();
        assert!(pattern.find(&"a".repeat(4000), 0).is_err());
        assert!(pattern.find(&"a".repeat(5000), 0).is_err());
    }
}
