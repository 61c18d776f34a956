//! Replace: which of its five meanings is asked for is decided by the parameters that are given.

use std::borrow::Cow;
use std::ops::Range;

use super::check::Node;
use super::pattern::Pattern;
use super::syntax::Syntax;
use super::value::Value;
use super::{LONGEST_TEXT, Problem};

/// A call of Replace, decided.
#[derive(Clone, Debug)]
pub struct Replacing {
    /// Where the call stands.
    pub span: Range<usize>,
    /// The text that is looked through.
    pub source: Node,
    /// What is done.
    pub how: How,
}

/// What a Replace does.
#[derive(Clone, Debug)]
pub enum How {
    /// Every `old` in the source becomes `new`.
    Text {
        /// What is looked for.
        old: Node,
        /// What it becomes.
        new: Node,
    },
    /// Every `old` in the template becomes the source.
    Template {
        /// What is looked for.
        old: Node,
        /// Where.
        template: Node,
    },
    /// Every match becomes `new`, in which groups may be quoted.
    Pattern {
        /// What is looked for.
        pattern: Pattern,
        /// What it becomes.
        new: Node,
    },
    /// In every match the span of a group becomes `new`.
    Group {
        /// What is looked for.
        pattern: Pattern,
        /// The group's number.
        group: usize,
        /// What it becomes.
        new: Node,
    },
    /// The source if it has a value, else what the group matches in the other attribute.
    Other {
        /// What is looked for.
        pattern: Pattern,
        /// The group's number.
        group: usize,
        /// Where.
        other: Node,
    },
}

impl Replacing {
    /// From the call's seven checked arguments; `written` are the same as written.
    ///
    /// # Errors
    /// When they make no sense together, or the pattern is none.
    pub fn new(
        arguments: Box<[Option<Node>]>,
        written: &[Option<&Syntax>],
        span: Range<usize>,
    ) -> Result<Self, Problem> {
        let at = |index: usize| written.get(index).copied().flatten().map_or(span.clone(), |it| it.span.clone());
        let literal = |node: &Option<Node>| match node {
            Some(Node::Literal(Value::Text(text))) => Some(text.to_string()),
            _ => None,
        };
        let mut arguments = arguments.into_vec();
        arguments.resize_with(7, || None);
        let (pattern, group) = (literal(&arguments[2]), literal(&arguments[3]));
        if literal(&arguments[1]).as_deref() == Some("") {
            return Err(Problem::new(at(1), "`oldValue` is empty: nothing can be looked for")
                .help("leave it out, or write what is to be replaced"));
        }
        let pattern = match pattern {
            Some(text) => Some(Pattern::new(&text).map_err(|message| {
                let help = "inside of a text a backslash is written twice: \"\\\\d\" is the pattern \\d";
                Problem::new(at(2), message).help(help)
            })?),
            None => None,
        };
        let group = match (&pattern, group) {
            (Some(pattern), Some(name)) => Some(pattern.number_of(&name).ok_or_else(|| {
                Problem::new(at(3), format!("the pattern has no group `{}`", name.escape_debug()))
                    .help(format!("write it as (?<{name}>…)"))
            })?),
            _ => None,
        };
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().flatten();
        let (source, old, written_pattern, written_group) = (next(), next(), next(), next());
        let (new, other, template) = (next(), next(), next());
        drop(written_pattern);
        let how = match (old, pattern, written_group.and(group), new, other, template) {
            (Some(old), None, None, Some(new), None, None) => How::Text { old, new },
            (Some(old), None, None, None, None, Some(template)) => How::Template { old, template },
            (None, Some(pattern), None, Some(new), None, None) => How::Pattern { pattern, new },
            (None, Some(pattern), Some(group), Some(new), None, None) => How::Group { pattern, group, new },
            (None, Some(pattern), Some(group), None, Some(other), None) => How::Other { pattern, group, other },
            _ => {
                return Err(Problem::new(span, "these parameters of Replace make no sense together").help(
                    "give oldValue and replacementValue, oldValue and template, regexPattern and replacementValue (perhaps \
                     with regexGroupName), or regexPattern, regexGroupName and replacementAttributeName; the order is \
                     Replace(source, oldValue, regexPattern, regexGroupName, replacementValue, replacementAttributeName, template)",
                ));
            }
        };
        let Some(source) = source else {
            return Err(Problem::new(span, "`source` of Replace is not given"));
        };
        Ok(Self { span, source, how })
    }
}

/// What is said when a result would grow too long.
pub const TOO_LONG: &str = "the result would be longer than 64 KiB";

/// A text that does not grow beyond the bound.
#[derive(Default)]
pub struct Bounded(String);

impl Bounded {
    /// Adds a piece.
    ///
    /// # Errors
    /// When the text would grow too long.
    pub fn push(&mut self, piece: &str) -> Result<(), &'static str> {
        if self.0.len() + piece.len() > LONGEST_TEXT {
            return Err(TOO_LONG);
        }
        self.0.push_str(piece);
        Ok(())
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Every `old` in `text` becomes `new`.
pub fn text<'a>(text: Cow<'a, str>, old: &str, new: &str) -> Result<Cow<'a, str>, &'static str> {
    if old.is_empty() || !text.contains(old) {
        return Ok(text);
    }
    let mut out = Bounded::default();
    let mut from = 0;
    for (at, _) in text.match_indices(old) {
        out.push(&text[from..at])?;
        out.push(new)?;
        from = at + old.len();
    }
    out.push(&text[from..])?;
    Ok(out.into_text().into())
}

/// Every match in `text`, or only the span of `group` in it, becomes `new`; quotes of groups in `new` count only without a
/// group.
pub fn pattern<'a>(
    text: Cow<'a, str>,
    pattern: &Pattern,
    group: Option<usize>,
    new: &str,
) -> Result<Cow<'a, str>, &'static str> {
    let mut out = Bounded::default();
    let (mut copied, mut from, mut any) = (0, 0, false);
    while from <= text.len() {
        let Some(spans) = pattern.find(&text, from)? else { break };
        let Some(whole) = spans.first().cloned().flatten() else { break };
        let replaced = match group {
            None => Some(whole.clone()),
            Some(group) => spans.get(group).cloned().flatten(),
        };
        if let Some(replaced) = replaced.filter(|span| span.start >= copied) {
            out.push(&text[copied..replaced.start])?;
            if group.is_some() {
                out.push(new)?;
            } else {
                expand(&mut out, new, &text, &spans, pattern)?;
            }
            copied = replaced.end;
            any = true;
        }
        // After an empty match the search goes on behind the next character.
        from = if whole.is_empty() {
            whole.end + text[whole.end..].chars().next().map_or(1, char::len_utf8)
        } else {
            whole.end
        };
    }
    if !any {
        return Ok(text);
    }
    out.push(&text[copied..])?;
    Ok(out.into_text().into())
}

/// Writes `new` with its quotes of groups: `$1`, `${name}`, `$$`, `$&`. What names no group stays as it is.
fn expand(
    out: &mut Bounded,
    new: &str,
    text: &str,
    spans: &[Option<Range<usize>>],
    pattern: &Pattern,
) -> Result<(), &'static str> {
    let group = |number: usize| spans.get(number).cloned().flatten().map_or("", |span| &text[span]);
    let mut rest = new;
    while let Some(at) = rest.find('$') {
        out.push(&rest[..at])?;
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push("$")?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('&') {
            out.push(group(0))?;
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            && let Some(number) = pattern.number_of(name)
        {
            out.push(group(number))?;
            rest = after;
        } else {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match rest[..digits].parse::<usize>().ok().filter(|number| *number < spans.len()) {
                Some(number) => {
                    out.push(group(number))?;
                    rest = &rest[digits..];
                }
                None => out.push("$")?,
            }
        }
    }
    out.push(rest)
}
