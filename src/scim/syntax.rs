//! The parser behind filters, PATCH paths and `attributes` lists (RFC 7644 §3.4.2.2 figure 1, §3.5.2 figure 7): recursive
//! descent with positions, bounded in bytes, depth and terms, so that no text from outside costs more than it is long.
//!
//! Wider than the RFC's grammar where clients need it: `not(` without a space, literals in any case, a value path followed by
//! a sub-attribute and an operator (`emails[type eq "work"].value eq "x"`), enterprise attributes without their URN.

use serde_json::Value;

use super::error::excerpt;
use super::filter::{Filter, Operator, instant};
use super::path::AttrPath;
use super::schema::{self, Attribute, Kind, Returned};

/// The longest filter or path, in bytes.
const LONGEST: usize = 8 * 1024;
/// How deep parentheses and brackets may nest.
const DEEPEST: usize = 32;
/// How many comparisons one filter may hold.
const MOST_TERMS: usize = 128;

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(super) struct Problem {
    /// Position of the offending character, counted from 1.
    pub character: usize,
    /// What was expected or is wrong, and what to do.
    pub message: String,
}

type Step<T> = Result<T, Problem>;

/// Whose attributes a name is looked up among.
#[derive(Clone, Copy)]
enum Scope {
    /// Those of the resource.
    Resource,
    /// The sub-attributes of what stands before the bracket; `None` when no schema knows that.
    Entry(Option<&'static Attribute>),
}

/// Parses a whole filter whose attributes must all be known.
pub(super) fn filter(text: &str) -> Step<Filter> {
    let mut parser = Parser::new(text, true)?;
    parser.skip_spaces();
    if parser.rest().is_empty() {
        return parser
            .fail("the filter is empty; write one such as userName eq \"ada@example.com\" or leave the parameter out");
    }
    let filter = parser.disjunction(Scope::Resource)?;
    parser.end("expected 'and', 'or' or the end of the filter")?;
    Ok(filter)
}

/// Parses a whole path, whose names need not be known.
pub(super) fn path(text: &str) -> Step<AttrPath> {
    let mut parser = Parser::new(text, false)?;
    parser.skip_spaces();
    let path = parser.path(Scope::Resource)?;
    parser.end("expected the end of the path")?;
    Ok(path)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    terms: usize,
    /// Refuse names that no schema knows.
    strict: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, strict: bool) -> Step<Self> {
        if text.len() > LONGEST {
            return Err(Problem {
                character: LONGEST,
                message: format!("the text is longer than {LONGEST} bytes; ask for less at once"),
            });
        }
        Ok(Self { text, at: 0, depth: 0, terms: 0, strict })
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn fail<T>(&self, message: impl Into<String>) -> Step<T> {
        self.fail_at(self.at, message)
    }

    fn fail_at<T>(&self, at: usize, message: impl Into<String>) -> Step<T> {
        Err(Problem { character: self.text[..at].chars().count() + 1, message: message.into() })
    }

    fn end(&mut self, expected: &str) -> Step<()> {
        self.skip_spaces();
        if self.rest().is_empty() { Ok(()) } else { self.fail(format!("{expected}, found \"{}\"", self.found())) }
    }

    /// The next few characters, to be quoted in a message.
    fn found(&self) -> String {
        self.rest().chars().take(20).collect()
    }

    /// The run of letters that comes next, not taken.
    fn word(&self) -> &'t str {
        let rest = self.rest();
        &rest[..rest.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len())]
    }

    /// Takes the keyword if it stands here as a whole word.
    fn keyword(&mut self, keyword: &str) -> bool {
        let word = self.word();
        let here = word.eq_ignore_ascii_case(keyword)
            && !self.text.as_bytes().get(self.at + word.len()).is_some_and(|&byte| is_name_byte(byte));
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        if self.depth == DEEPEST {
            return self.fail(format!("parentheses and brackets nest deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn disjunction(&mut self, scope: Scope) -> Step<Filter> {
        let mut left = self.conjunction(scope)?;
        loop {
            self.skip_spaces();
            if !self.keyword("or") {
                return Ok(left);
            }
            left = Filter::Or(Box::new(left), Box::new(self.conjunction(scope)?));
        }
    }

    fn conjunction(&mut self, scope: Scope) -> Step<Filter> {
        let mut left = self.factor(scope)?;
        loop {
            self.skip_spaces();
            if !self.keyword("and") {
                return Ok(left);
            }
            left = Filter::And(Box::new(left), Box::new(self.factor(scope)?));
        }
    }

    fn factor(&mut self, scope: Scope) -> Step<Filter> {
        self.skip_spaces();
        let start = self.at;
        if self.keyword("not") {
            self.skip_spaces();
            if self.peek() == Some(b'(') {
                return Ok(Filter::Not(Box::new(self.group(scope)?)));
            }
            self.at = start;
        }
        if self.peek() == Some(b'(') { self.group(scope) } else { self.term(scope) }
    }

    fn group(&mut self, scope: Scope) -> Step<Filter> {
        let open = self.at;
        self.at += 1;
        let inner = self.deeper(|parser| parser.disjunction(scope))?;
        self.skip_spaces();
        if self.take(b')') {
            Ok(inner)
        } else if self.rest().is_empty() {
            self.fail_at(open, "this '(' is never closed; add the ')'")
        } else {
            self.fail(format!("expected 'and', 'or' or ')', found \"{}\"", self.found()))
        }
    }

    fn term(&mut self, scope: Scope) -> Step<Filter> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return self
                .fail(format!("the filter holds more than {MOST_TERMS} comparisons; split it into several queries"));
        }
        let start = self.at;
        let mut path = self.path(scope)?;
        self.skip_spaces();
        let after_path = self.at;
        let ends = self.peek().is_none_or(|byte| matches!(byte, b')' | b']')) || {
            let ends = self.keyword("and") || self.keyword("or");
            self.at = after_path;
            ends
        };
        if ends && path.sub.is_none() && path.filter.is_some() {
            // Take the filter out of the path: `emails[…]` alone asks whether some entry matches.
            if let Some(filter) = path.filter.take() {
                return Ok(Filter::ValuePath { path, filter });
            }
        }
        if self.keyword("pr") {
            return Ok(Filter::Present(path));
        }
        let word = self.word();
        let Some(operator) = Operator::named(word) else {
            let operators = "expected one of the operators eq, ne, co, sw, ew, gt, ge, lt, le, pr";
            return if ends || word.is_empty() {
                self.fail(format!("{operators} after \"{path}\""))
            } else {
                self.fail(format!("{operators} after \"{path}\", found \"{}\"", excerpt(word)))
            };
        };
        self.at += word.len();
        if self.peek().is_some_and(is_name_byte) {
            return self.fail(format!("expected a space after \"{word}\""));
        }
        self.skip_spaces();
        let value_at = self.at;
        let value = self.literal()?;
        let attribute = self.compared(&path, scope, start)?;
        match fit(attribute, operator, value) {
            Ok(value) => Ok(Filter::Compare { path, operator, value }),
            Err(message) => self.fail_at(value_at, format!("{path} {message}")),
        }
    }

    /// The attribute whose values a comparison with `path` looks at; a complex one stands for its `value`.
    fn compared(&self, path: &AttrPath, scope: Scope, start: usize) -> Step<Option<&'static Attribute>> {
        let attribute = match scope {
            Scope::Resource => path.compared(),
            Scope::Entry(parent) => parent.and_then(|parent| parent.part(&path.attribute)).map(|(_, part)| part),
        };
        match attribute {
            Some(complex) if complex.kind == Kind::Complex && self.strict => {
                let parts: Vec<_> = complex.sub_attributes.iter().map(|sub| sub.name).collect();
                let parts = parts.join(", ");
                self.fail_at(
                    start,
                    format!("{path} has parts and cannot be compared itself; compare one of its parts: {parts}"),
                )
            }
            attribute => Ok(attribute),
        }
    }

    /// A path: a name, for a resource's attribute perhaps with `[filter]` and `.sub`.
    fn path(&mut self, scope: Scope) -> Step<AttrPath> {
        let start = self.at;
        let name = self.name()?;
        let mut path = match scope {
            Scope::Entry(parent) => {
                let known = parent.and_then(|parent| parent.part(name));
                let path = AttrPath::core(known.map_or(name, |(known, _)| known));
                return match (known, parent) {
                    (None, Some(parent)) if self.strict => {
                        self.unknown(start, name, parent.name, parent.sub_attributes.iter())
                    }
                    (Some((_, part)), _) if self.strict && part.returned == Returned::Never => {
                        self.untold(start, &path.to_string())
                    }
                    _ => Ok(path),
                };
            }
            Scope::Resource => match AttrPath::resolve(name) {
                Ok(path) => path,
                Err(message) => return self.fail_at(start, message),
            },
        };
        if self.rest().trim_ascii_start().starts_with('[') {
            self.skip_spaces();
            self.at += 1;
            if path.sub.is_some() || path.attribute.is_empty() {
                return self.fail_at(self.at - 1, "a '[' may only follow the name of a multi-valued attribute");
            }
            let open = self.at - 1;
            let parent = path.definition();
            let filter = self.deeper(|parser| parser.disjunction(Scope::Entry(parent)))?;
            self.skip_spaces();
            if !self.take(b']') {
                return if self.rest().is_empty() {
                    self.fail_at(open, "this '[' is never closed; add the ']'")
                } else {
                    self.fail(format!("expected 'and', 'or' or ']', found \"{}\"", self.found()))
                };
            }
            path.filter = Some(Box::new(filter));
            if self.take(b'.') {
                let at = self.at;
                let sub = self.name()?;
                if sub.contains(['.', ':']) {
                    return self.fail_at(at, "expected the name of one sub-attribute after \"].\"");
                }
                path.sub = Some(parent.and_then(|parent| parent.sub(sub)).map_or(sub, |sub| sub.name).to_owned());
            }
        }
        if self.strict {
            self.check(&path, start)?;
        }
        Ok(path)
    }

    fn name(&mut self) -> Step<&'t str> {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(rest.len());
        let name = &rest[..length];
        match name.as_bytes().first() {
            Some(first) if first.is_ascii_alphabetic() || *first == b'$' => {
                self.at += length;
                Ok(name)
            }
            None if rest.is_empty() => self.fail("expected the name of an attribute, found the end"),
            _ => self.fail(format!("expected the name of an attribute, found \"{}\"", self.found())),
        }
    }

    /// Refuses what no schema knows, except in extensions that are not ours: their attributes have no values here, as
    /// RFC 7644 §3.4.2.1 says.
    fn check(&self, path: &AttrPath, start: usize) -> Step<()> {
        if path.attribute.is_empty() {
            return self.fail_at(start, "this names a schema; name one of its attributes after a further ':'");
        }
        if path.schema.as_deref().is_some_and(|urn| schema::extension(urn).is_none()) {
            return Ok(());
        }
        let Some(attribute) = path.definition().or_else(|| path.plural()) else {
            let of_extension = path.schema.as_deref().and_then(schema::extension);
            return match of_extension {
                Some(schema) => self.unknown(start, &path.attribute, schema.name, schema.attributes.iter()),
                None => self.unknown(start, &path.attribute, "resource", schema::plain_names()),
            };
        };
        if attribute.returned == Returned::Never {
            return self.untold(start, &path.to_string());
        }
        if path.is("meta.location") {
            let text = "meta.location says no more than the id and cannot be asked for; filter by id";
            return self.fail_at(start, text);
        }
        match path.sub.as_deref().map(|name| (name, attribute.sub(name))) {
            Some((name, None)) => self.unknown(start, name, attribute.name, attribute.sub_attributes.iter()),
            Some((_, Some(sub))) if sub.returned == Returned::Never => self.untold(start, &path.to_string()),
            _ => Ok(()),
        }
    }

    /// Whoever may not read a value may not guess it either.
    fn untold<T>(&self, start: usize, path: &str) -> Step<T> {
        self.fail_at(start, format!("{path} is never told and cannot be asked for; filter by something else"))
    }

    fn unknown<T>(
        &self,
        start: usize,
        name: &str,
        whose: &str,
        candidates: impl Iterator<Item = &'static Attribute>,
    ) -> Step<T> {
        let hint = schema::nearest(name, candidates).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        self.fail_at(start, format!("\"{}\" is no attribute of a {whose}{hint}", excerpt(name)))
    }

    fn literal(&mut self) -> Step<Value> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let rest = self.rest();
        let length = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, ')' | ']')).unwrap_or(rest.len());
        let word = &rest[..length];
        let literal = match word {
            "" => return self.fail("expected a value, such as \"text\", true, 7 or null"),
            word if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            word if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            word if word.eq_ignore_ascii_case("null") => Value::Null,
            word => {
                let Ok(number @ Value::Number(_)) = serde_json::from_str(word) else {
                    let plain = excerpt(word.trim_matches(['\'', '"', '“', '”', '‘', '’']));
                    return self.fail_at(start, format!("text is written in double quotes: \"{plain}\""));
                };
                exact(number, word)
            }
        };
        self.at += length;
        Ok(literal)
    }

    fn quoted(&mut self) -> Step<Value> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return self.fail_at(start, "this '\"' is never closed; add the '\"' at the end of the text"),
            }
        }
        self.at = end + 1;
        match serde_json::from_str::<String>(&self.text[start..=end]) {
            Ok(text) if text.contains('\0') => {
                self.fail_at(start, "the text holds the character NUL, which no value has")
            }
            Ok(text) => Ok(Value::String(text)),
            Err(_) => self
                .fail_at(start, "the text is not a JSON string; write \\\" for a quote and \\\\ for a backslash in it"),
        }
    }
}

/// A number that prints as what parses to it again: serde_json may miss a fraction's last bit, the standard library does not.
fn exact(number: Value, word: &str) -> Value {
    if !number.is_f64() {
        return number;
    }
    word.parse().ok().and_then(serde_json::Number::from_f64).map_or(number, Value::Number)
}

/// Whether the byte can be part of a name, an URN included.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$' | b':' | b'.')
}

/// Brings a literal to the attribute's type: `"True"` to true for a boolean, 7 to `"7"` for text. The error continues
/// a sentence that begins with the path.
fn fit(attribute: Option<&Attribute>, operator: Operator, value: Value) -> Result<Value, String> {
    let Some(attribute) = attribute else { return Ok(value) };
    if operator.orders() && matches!(attribute.kind, Kind::Boolean | Kind::Binary) {
        return Err(format!("is {} and has no order; use eq or ne", attribute.kind.as_str()));
    }
    match (attribute.kind, value) {
        (_, Value::Null) if matches!(operator, Operator::Eq | Operator::Ne) => Ok(Value::Null),
        (_, Value::Null) => Err(format!("cannot be compared with null by {}; use pr", operator.as_str())),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        (Kind::Boolean, Value::String(_) | Value::Number(_)) => Err("is boolean; compare it with true or false".into()),
        (Kind::DateTime, value) if operator.orders() && value.as_str().is_none_or(|text| instant(text).is_none()) => {
            Err("is a point in time; compare it with one such as \"2026-01-31T08:00:00Z\"".into())
        }
        (Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime, Value::Number(number)) => {
            Ok(Value::String(number.to_string()))
        }
        (Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime, Value::Bool(boolean)) => {
            Ok(Value::String(boolean.to_string()))
        }
        (_, value) => Ok(value),
    }
}
