//! Entra's expression language for attribute mappings, as the reference page `expressions` tells it: what an administrator
//! writes in the provisioning blade can be pasted here.
//!
//! `syntax` reads and prints, `check` gives every name and argument its meaning when a configuration is loaded, `evaluate`
//! computes. An expression that compiled is total: no loop, bounded input and output, patterns with a step limit; time and
//! randomness come in as a [`Moment`]. An error never holds a value. Which attributes there are is a [`Scope`]'s to say.

mod check;
mod date;
mod evaluate;
mod format;
mod function;
mod invert;
mod pattern;
mod random;
mod read;
mod replace;
mod syntax;
mod text;
mod types;
mod value;

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Value as Json};

pub use self::invert::Step;
pub use self::syntax::{Comparison, DEEPEST, LONGEST, Syntax, Term, Word};
pub use self::types::{Fields, Sample, Scim, Scope, Source, Type, Unknown};
pub use self::value::{Leave, Number};

use self::check::Node;
use self::function::Class;
use self::value::Value;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::types::{Random, Timestamp};

/// The longest text that an expression reads or gives, in bytes.
pub const LONGEST_TEXT: usize = 64 * 1024;
/// The most values of a list.
pub const MOST_VALUES: usize = 10_000;

/// Something wrong with an expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the expression.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl std::error::Error for Problem {}

/// Why an evaluation gave no result. Names the function and the attribute, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Where, in bytes of the expression.
    pub span: Range<usize>,
    /// What went wrong.
    pub message: String,
}

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A text, number, boolean or list of texts.
    Value(Json),
    /// Nothing: the target is cleared.
    Null,
    /// The target stays as it is.
    LeaveAttribute,
    /// The whole object is left out.
    LeaveObject,
}

/// What an evaluation reads.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// The person, for SCIM paths.
    pub person: Option<&'a Resource>,
    /// The record, for fields.
    pub record: Option<&'a Map<String, Json>>,
}

impl<'a> From<&'a Resource> for Input<'a> {
    fn from(person: &'a Resource) -> Self {
        Self { person: Some(person), record: None }
    }
}

impl<'a> From<&'a Map<String, Json>> for Input<'a> {
    fn from(record: &'a Map<String, Json>) -> Self {
        Self { person: None, record: Some(record) }
    }
}

/// When an evaluation takes place, and what luck it has.
#[derive(Clone)]
pub struct Moment {
    /// The time that is now.
    pub now: Timestamp,
    /// For `Guid` and `RandomString`, which fail without.
    pub random: Option<Random>,
}

impl Moment {
    /// For expressions that need neither time nor luck.
    pub const NONE: Self = Self { now: Timestamp::from_millis(0), random: None };
}

/// An expression that was checked.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    root: Node,
    kind: Type,
    sources: Vec<Source>,
    class: Class,
    redacted: bool,
    warnings: Vec<Problem>,
}

/// Two expressions are equal when they are written alike; what they read is their scope's.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.sources == other.sources
    }
}

impl Expression {
    /// Parses and checks `text`: every function, argument, attribute, type and pattern.
    ///
    /// # Errors
    /// Every mistake found, with its place; a mistake of grammar is the only one.
    pub fn compile(text: &str, scope: &dyn Scope) -> Result<Self, Vec<Problem>> {
        let syntax = Syntax::parse(text).map_err(|problem| vec![problem])?;
        check::check(text, &syntax, scope)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The static type of its result.
    pub const fn kind(&self) -> Type {
        self.kind
    }

    /// What it reads, each once.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The SCIM paths it reads.
    pub fn paths(&self) -> impl Iterator<Item = &AttrPath> {
        self.sources.iter().filter_map(|source| match source {
            Source::Path(path) => Some(path),
            Source::Field(_) => None,
        })
    }

    /// The SCIM path that it copies as it is, if it does nothing else.
    pub fn as_copy(&self) -> Option<&Source> {
        match (&self.root, self.sources.as_slice()) {
            (Node::Attribute { .. }, [only]) => Some(only),
            _ => None,
        }
    }

    /// What must be undone in its result to come back to the attribute at `path`; `None` where that is not exact.
    pub fn inverted(&self, path: &AttrPath) -> Option<Vec<Step>> {
        invert::steps(&self.root, path)
    }

    /// Whether the same person always gives the same result.
    pub fn is_stable(&self) -> bool {
        matches!(self.class, Class::Pure | Class::Log)
    }

    /// Whether it draws random values, so that it may only be evaluated once for a person.
    pub fn is_random(&self) -> bool {
        self.class == Class::Create
    }

    /// Whether its value must not be shown.
    pub const fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Computes it.
    ///
    /// # Errors
    /// A value that some function cannot take, or a bound that would be passed.
    pub fn evaluate(&self, input: Input<'_>, moment: &Moment) -> Result<Outcome, Fault> {
        let value = evaluate::Evaluation { input, moment }.node(&self.root)?;
        Ok(match value {
            Value::Leave(Leave::Attribute) => Outcome::LeaveAttribute,
            Value::Leave(Leave::Object) => Outcome::LeaveObject,
            Value::Null => Outcome::Null,
            value => Outcome::Value(value.into_json()),
        })
    }

    /// Whether it says yes: true, or a text that says so. Null, and what is left out, says no.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and when the result says neither yes nor no.
    pub fn holds(&self, input: Input<'_>, moment: &Moment) -> Result<bool, Fault> {
        let evaluation = evaluate::Evaluation { input, moment };
        evaluation.truth(&self.root)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What stands in place of a value that must not be shown.
pub const REDACTED: &str = "[Redact]";

/// Parses, prints, checks and evaluates `text` over a small sample, whatever it is: what fuzzing calls. Gives whether it compiled.
///
/// # Panics
/// When a law of this module is broken: the printed form must parse to the same tree, results must keep the bounds.
pub fn exercise(text: &str) -> bool {
    if let Ok(syntax) = Syntax::parse(text) {
        let printed = syntax.to_string();
        // Escaping may take a text at the limit beyond it.
        if printed.len() <= LONGEST {
            assert_eq!(Syntax::parse(&printed).as_ref(), Ok(&syntax), "printed as {printed}");
        }
    }
    let sample = serde_json::json!({
        "userName": "Ada.Lovelace@example.com", "active": true, "title": "", "x": "1", "n": 7, "list": ["a", "b", "a", ""],
        "name": {"givenName": "Ada", "familyName": "Lovelace-Čapek"}, "text": "ſtraße İI\u{301} 東京 \u{0}\n",
        "emails": [{"type": "work", "value": "ada@example.com", "primary": true}, {"type": "home", "value": "a@b"}],
    });
    let record = sample.as_object().cloned().unwrap_or_default();
    let person = Resource::from_map(record.clone());
    let Ok(expression) = Expression::compile(text, &Sample(&record)) else { return false };
    let input = Input { person: Some(&person), record: Some(&record) };
    let moment = Moment { now: Timestamp::from_seconds(1_700_000_000), random: Some(Random::seeded(7)) };
    let outcome = expression.evaluate(input, &moment);
    if let Ok(Outcome::Value(Json::String(text))) = &outcome {
        assert!(text.len() <= LONGEST_TEXT, "{} bytes", text.len());
    }
    if expression.is_stable() {
        assert_eq!(expression.evaluate(input, &moment), outcome);
    }
    _ = expression.holds(input, &moment);
    true
}

/// The word that was probably meant by `wrong`, if one is near enough to be worth saying.
fn nearest<'a>(wrong: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > 60 {
        return None;
    }
    let near = |word: &'a str| {
        let distance = distance(&wrong.to_lowercase(), &word.to_lowercase());
        (distance <= 1.max(wrong.len().max(word.len()) / 4)).then_some((distance, word))
    };
    words.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters are inserted, left out, replaced or swapped between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}
