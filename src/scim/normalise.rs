//! From what a client sends to what the schema says: canonical names, the attribute's type, nothing that is not a value.
//!
//! Null, `""`, `[]` and `{}` all mean "no value" (RFC 7643 §2.5 and the null tests of Entra's validator). What differs in kind
//! is refused with the attribute's name; what no schema knows is left out and named.

use std::fmt;

use serde_json::{Map, Value};

use super::error::{ScimError, excerpt};
use super::filter::instant;
use super::schema::{Attribute, Kind, Mutability};

/// The longest text of one value, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// How many entries a multi-valued attribute may be given at once.
pub(super) const MOST_ENTRIES: usize = 1000;
/// How many dropped names are told of one request.
const MOST_DROPPED: usize = 100;

/// The object that a request's body is.
///
/// # Errors
/// 400 `invalidSyntax` with line and column.
pub(super) fn body(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax("the body is empty; send a JSON object"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(ScimError::invalid_syntax(format!("the body is {}; send a JSON object", what(&other)))),
        Err(error) => Err(ScimError::invalid_syntax(format!("the body is not valid JSON: {error}"))),
    }
}

/// The names of attributes that were left out.
#[derive(Default)]
pub(super) struct Dropped(pub Vec<String>);

impl Dropped {
    /// Notes a name as the client spelt it, once. Whoever tells of it to a log must see that it is nothing but a name.
    pub(super) fn note(&mut self, name: &str) {
        let name = excerpt(name);
        if self.0.len() < MOST_DROPPED && !self.0.iter().any(|known| *known == name) {
            self.0.push(name.into_owned());
        }
    }
}

/// Where a value stands, for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The extension.
    pub schema: Option<&'a str>,
    /// The attribute.
    pub attribute: &'a str,
    /// The sub-attribute.
    pub sub: Option<&'a str>,
    /// Which entry of the list, counted from 1.
    pub entry: Option<usize>,
}

impl<'a> Place<'a> {
    /// A whole attribute.
    pub(super) const fn of(schema: Option<&'a str>, attribute: &'a str) -> Self {
        Self { schema, attribute, sub: None, entry: None }
    }

    /// A part of it.
    pub(super) const fn part(self, sub: &'a str) -> Self {
        Self { sub: Some(sub), ..self }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = self.schema {
            write!(f, "{schema}:")?;
        }
        f.write_str(self.attribute)?;
        if let Some(sub) = self.sub {
            write!(f, ".{sub}")?;
        }
        match self.entry {
            Some(entry) => write!(f, " (entry {entry})"),
            None => Ok(()),
        }
    }
}

/// How forgiving a list is about what stands in for its entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A body: a list, or one entry as an object.
    Body,
    /// A PATCH value: bare text stands for an entry with this `value`, too.
    Patch,
}

/// A value for an attribute, or `None` when what came means "no value".
///
/// # Errors
/// 400 `invalidValue` naming the place.
pub(super) fn attribute(
    attribute: &'static Attribute,
    value: Value,
    place: Place<'_>,
    form: Form,
    dropped: &mut Dropped,
) -> Result<Option<Value>, ScimError> {
    match (attribute.multi_valued, attribute.kind) {
        (true, Kind::Complex) => list(attribute, value, place, form, dropped),
        (true, _) => plain_list(attribute, value, place),
        (false, Kind::Complex) => complex(attribute, value, place, dropped),
        (false, _) => scalar(attribute, value, place),
    }
}

fn list(
    attribute: &'static Attribute,
    value: Value,
    place: Place<'_>,
    form: Form,
    dropped: &mut Dropped,
) -> Result<Option<Value>, ScimError> {
    let items = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Array(items) => items,
        Value::Object(_) => vec![value],
        Value::String(_) if form == Form::Patch => vec![value],
        other => return refuse(place, &other, "a list of objects"),
    };
    // How many members a group may have is the directory's to say, and the body is bounded.
    if items.len() > MOST_ENTRIES && attribute.name != "members" {
        return Err(too_many(place, items.len()));
    }
    let mut entries = Vec::with_capacity(items.len());
    let mut primaries = 0;
    for (index, item) in items.into_iter().enumerate() {
        let place = Place { entry: Some(index + 1), ..place };
        if item.is_array() {
            return refuse(place, &item, "an object");
        }
        if let Some(entry) = complex(attribute, item, place, dropped)?
            && !is_hollow(&entry)
        {
            primaries += usize::from(entry.get("primary") == Some(&Value::Bool(true)));
            entries.push(entry);
        }
    }
    if primaries > 1 {
        return Err(ScimError::invalid_value(format!(
            "{place} has {primaries} entries with primary true; at most one may be (RFC 7643 §2.4)"
        )));
    }
    Ok(if entries.is_empty() { None } else { Some(Value::Array(entries)) })
}

/// A list of plain values, each once. A lone value stands for a list of one, an object for its `value`.
fn plain_list(attribute: &'static Attribute, value: Value, place: Place<'_>) -> Result<Option<Value>, ScimError> {
    let items = match value {
        Value::Null => return Ok(None),
        Value::Array(items) => items,
        lone => vec![lone],
    };
    if items.len() > MOST_ENTRIES {
        return Err(too_many(place, items.len()));
    }
    let mut entries = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        if let Some(entry) = plain_entry(attribute, item, Place { entry: Some(index + 1), ..place })?
            && !entries.contains(&entry)
        {
            entries.push(entry);
        }
    }
    Ok(if entries.is_empty() { None } else { Some(Value::Array(entries)) })
}

/// One value of a list of plain values.
pub(super) fn plain_entry(
    attribute: &'static Attribute,
    item: Value,
    place: Place<'_>,
) -> Result<Option<Value>, ScimError> {
    let item = match item {
        Value::Object(mut parts) if parts.len() == 1 && parts.contains_key("value") => {
            parts.shift_remove("value").unwrap_or_default()
        }
        item => item,
    };
    scalar(attribute, item, place)
}

fn too_many(place: Place<'_>, entries: usize) -> ScimError {
    ScimError::invalid_value(format!("{place} has {entries} entries; at most {MOST_ENTRIES} are taken at once"))
}

/// One object of sub-attributes. Bare text stands for the `value`, a list of one for its entry.
pub(super) fn complex(
    attribute: &'static Attribute,
    value: Value,
    place: Place<'_>,
    dropped: &mut Dropped,
) -> Result<Option<Value>, ScimError> {
    let object = match value {
        Value::Null => return Ok(None),
        Value::Object(object) => object,
        Value::Array(mut items) if items.len() <= 1 => {
            return match items.pop() {
                Some(item) if item.is_array() => refuse(place, &item, "an object"),
                Some(item) => complex(attribute, item, place, dropped),
                None => Ok(None),
            };
        }
        Value::String(text) => {
            let Some(part) = attribute.sub("value") else {
                return if text.is_empty() { Ok(None) } else { refuse(place, &Value::String(text), "an object") };
            };
            let value = scalar(part, Value::String(text), place)?;
            return Ok(value.map(|value| Value::Object(Map::from_iter([("value".to_owned(), value)]))));
        }
        other => return refuse(place, &other, "an object"),
    };
    // Most objects come as they should be and need not be built anew.
    let settled =
        |(name, value): (&String, &Value)| attribute.sub(name).is_some_and(|sub| is_settled(sub, name, value));
    if !object.is_empty() && object.iter().all(settled) {
        return Ok(Some(Value::Object(object)));
    }
    let mut parts = Map::with_capacity(object.len());
    each_part(attribute, object, place, dropped, |name, value| {
        if let Some(value) = value {
            parts.insert(name, value);
        }
    })?;
    Ok(if parts.is_empty() { None } else { Some(Value::Object(parts)) })
}

/// An entry as an object: bare text stands for its `value`, null for nothing; `None` for what is neither.
pub(super) fn plain_object(entry: Value) -> Option<Map<String, Value>> {
    match entry {
        Value::Null => Some(Map::new()),
        Value::Object(parts) => Some(parts),
        Value::String(text) if text.is_empty() => Some(Map::new()),
        Value::String(text) => Some(Map::from_iter([("value".to_owned(), Value::String(text))])),
        _ => None,
    }
}

/// Whether [`each_part`] would give this name and value back as they are.
fn is_settled(sub: &Attribute, name: &str, value: &Value) -> bool {
    sub.name == name
        && sub.mutability != Mutability::ReadOnly
        && match (sub.kind, value) {
            (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::String | Kind::Reference, Value::String(text)) => {
                !text.is_empty() && text.len() <= LONGEST_TEXT && !text.contains('\0')
            }
            _ => false,
        }
}

/// Gives each writable part of an object to `with`, by its canonical name; `None` for one without a value.
pub(super) fn each_part(
    attribute: &'static Attribute,
    object: Map<String, Value>,
    place: Place<'_>,
    dropped: &mut Dropped,
    mut with: impl FnMut(String, Option<Value>),
) -> Result<(), ScimError> {
    for (name, value) in object {
        let Some(sub) = attribute.sub(&name) else {
            dropped.note(&Place { entry: None, ..place.part(&name) }.to_string());
            continue;
        };
        // RFC 7644 §3.5.1: readOnly values that a client sends are ignored.
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        let value = scalar(sub, value, place.part(sub.name))?;
        with(if name == sub.name { name } else { sub.name.to_owned() }, value);
    }
    Ok(())
}

/// A value without parts.
pub(super) fn scalar(
    attribute: &'static Attribute,
    value: Value,
    place: Place<'_>,
) -> Result<Option<Value>, ScimError> {
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (_, Value::String(text)) if text.is_empty() => Ok(None),
        (_, Value::String(text)) if text.len() > LONGEST_TEXT => Err(ScimError::invalid_value(format!(
            "{place} is {} bytes long; at most {LONGEST_TEXT} are taken",
            text.len()
        ))),
        (_, Value::String(text)) if text.contains('\0') => {
            Err(ScimError::invalid_value(format!("{place} holds the character NUL; remove it")))
        }
        (Kind::DateTime, Value::String(text)) if instant(&text).is_none() => {
            Err(ScimError::invalid_value(format!("{place} is no point in time; send one such as 2026-01-31T08:00:00Z")))
        }
        (Kind::Binary, Value::String(text)) if !is_base64(&text) => {
            Err(ScimError::invalid_value(format!("{place} is not base64; encode it (RFC 4648 §4)")))
        }
        (Kind::String | Kind::Reference | Kind::DateTime | Kind::Binary, text @ Value::String(_)) => Ok(Some(text)),
        (Kind::Boolean, boolean @ Value::Bool(_)) => Ok(Some(boolean)),
        // Entra sends "True" and "False".
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(Value::Bool(true))),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(Value::Bool(false))),
        (Kind::Decimal, number @ Value::Number(_)) => Ok(Some(number)),
        (Kind::Integer, Value::Number(number)) => match whole(&number) {
            Some(number) => Ok(Some(number.into())),
            None => refuse(place, &Value::Number(number), "a whole number of at most 64 bits"),
        },
        // Mappings of identity providers turn numbers into text.
        (Kind::Decimal | Kind::Integer, Value::String(text)) if is_number(&text) => {
            let number = serde_json::from_str(text.trim()).unwrap_or_default();
            scalar(attribute, number, place)
        }
        (kind, other) => refuse(
            place,
            &other,
            match kind {
                Kind::Boolean => "true or false",
                Kind::Decimal => "a number",
                Kind::Integer => "a whole number",
                _ => "text",
            },
        ),
    }
}

/// The number as an integer: itself, or a fraction that is none, such as `7.0`.
fn whole(number: &serde_json::Number) -> Option<i64> {
    // Beyond 2^53 a float does not tell one whole number from the next.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
    format!("{float:.0}").parse().ok()
}

/// Whether a text is a JSON number.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    text.len() <= 32 && matches!(serde_json::from_str(text), Ok(Value::Number(_)))
}

/// Whether a text can be base64, in either alphabet (RFC 7643 §2.3.6).
fn is_base64(text: &str) -> bool {
    let plain = text.trim_end_matches('=');
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    text.len() - plain.len() <= 2 && plain.bytes().all(|byte| digit(byte) || byte.is_ascii_whitespace())
}

/// Whether an entry of a list says nothing but how it would be labelled.
pub(super) fn is_hollow(entry: &Value) -> bool {
    match entry {
        Value::Object(parts) => parts.keys().all(|name| name == "type" || name == "primary"),
        _ => false,
    }
}

fn refuse<T>(place: Place<'_>, value: &Value, expected: &str) -> Result<T, ScimError> {
    Err(ScimError::invalid_value(format!("{place} is {}; send {expected}", what(value))))
}

/// What kind of JSON a value is, for messages; never the value itself.
pub(super) const fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
