//! PATCH (RFC 7644 §3.5.2): reading the operations of a request, in every shape that identity providers send.
//!
//! A path-less operation is taken apart into one change for each attribute of its value, whether the keys are nested, dotted,
//! value paths or full URNs. An operation that makes no sense is kept as such, so that the one beside it that disables a
//! leaver can still be told from it. Applying is in `apply`.

mod apply;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

pub use self::apply::{Applied, apply};
use super::command::take;
use super::error::{ScimError, excerpt};
pub use super::members::split;
use super::normalise;
use super::path::AttrPath;
use super::schema;

/// How many operations one request may hold.
const MOST_OPERATIONS: usize = 1000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Adds to a list, merges into an object, sets anything else.
    Add,
    /// Replaces a list or an entry, merges into an object, sets anything else.
    Replace,
    /// Removes.
    Remove,
}

/// One operation of a request, or of a path-less operation one attribute's part.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A change to one attribute.
    Change(Change),
    /// An operation that cannot be understood.
    Malformed(Refused),
}

/// An operation that is not carried out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which operation of the request it is, counted from 1.
    pub number: usize,
    /// What to answer. Its detail names the operation and may quote the request.
    pub error: ScimError,
}

impl Refused {
    /// With the operation's number before the detail.
    fn new(number: usize, mut error: ScimError) -> Self {
        error.detail.insert_str(0, &format!("operation {number}: "));
        Self { number, error }
    }
}

/// What may be told of it in a log: which operation and what kind of fault, nothing of the request.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}", self.number)?;
        self.error.scim_type.map_or(Ok(()), |kind| write!(f, " ({})", kind.as_str()))
    }
}

/// A change to one attribute.
#[derive(Clone, PartialEq)]
pub struct Change {
    /// Which operation of the request it comes from, counted from 1.
    pub number: usize,
    /// What to do.
    pub op: Op,
    /// To what.
    pub path: AttrPath,
    /// Whether the client named the attribute in `path`; otherwise it was a key of a path-less value, and readOnly attributes
    /// among those are ignored.
    pub addressed: bool,
    /// With what; null where there is nothing, and to clear.
    pub value: Value,
}

/// Without the value, which is personal data.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} {}", self.number, self.op, self.path.attribute)
    }
}

/// Reads a PATCH body. `schemas` may be missing and keys and operation names come in any case.
///
/// # Errors
/// 400 `invalidSyntax` when the body as a whole is not a PATCH: no JSON object, no `Operations`, none or too many of them.
/// A single operation that is wrong becomes [`Operation::Malformed`].
pub fn parse(body: &[u8]) -> Result<Vec<Operation>, ScimError> {
    const EXAMPLE: &str = r#"{"op": "replace", "path": "active", "value": false}"#;
    let mut body = normalise::body(body)?;
    let items = match take(&mut body, "Operations") {
        Value::Array(items) => items,
        single @ Value::Object(_) => vec![single],
        Value::Null => {
            return Err(ScimError::invalid_syntax(format!("Operations is missing; send a list such as [{EXAMPLE}]")));
        }
        other => {
            let what = normalise::what(&other);
            return Err(ScimError::invalid_syntax(format!("Operations is {what}; send a list such as [{EXAMPLE}]")));
        }
    };
    if items.is_empty() {
        return Err(ScimError::invalid_syntax(format!("Operations is empty; send at least one such as {EXAMPLE}")));
    }
    if items.len() > MOST_OPERATIONS {
        return Err(ScimError::invalid_syntax(format!(
            "there are {} Operations; send at most {MOST_OPERATIONS} at once",
            items.len()
        )));
    }
    let mut operations = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let number = index + 1;
        if let Err(error) = parse_operation(number, item, &mut operations) {
            operations.push(Operation::Malformed(Refused::new(number, error)));
        }
    }
    Ok(operations)
}

fn parse_operation(number: usize, item: Value, operations: &mut Vec<Operation>) -> Result<(), ScimError> {
    let Value::Object(mut item) = item else {
        return Err(ScimError::invalid_syntax(format!("it is {}; send an object", normalise::what(&item))));
    };
    let op = match take(&mut item, "op") {
        Value::String(name) if name.eq_ignore_ascii_case("add") => Op::Add,
        Value::String(name) if name.eq_ignore_ascii_case("replace") => Op::Replace,
        Value::String(name) if name.eq_ignore_ascii_case("remove") => Op::Remove,
        Value::String(name) => {
            return Err(ScimError::invalid_syntax(format!("op is \"{}\"; use add, replace or remove", excerpt(&name))));
        }
        Value::Null => return Err(ScimError::invalid_syntax("op is missing; use add, replace or remove")),
        _ => return Err(ScimError::invalid_syntax("op is not text; use add, replace or remove")),
    };
    let path = match take(&mut item, "path") {
        Value::Null => None,
        Value::String(path) if path.is_empty() => None,
        Value::String(path) => Some(AttrPath::parse(&path)?),
        other => return Err(ScimError::invalid_path(format!("path is {}; send text", normalise::what(&other)))),
    };
    let has_value = item.keys().any(|key| key.eq_ignore_ascii_case("value"));
    let value = take(&mut item, "value");
    if op == Op::Remove {
        let Some(path) = path else {
            return Err(ScimError::no_target("a remove needs a path; name the attribute to remove"));
        };
        operations.push(Operation::Change(Change { number, op, path, addressed: true, value }));
        return Ok(());
    }
    let changes = Changes { number, op, addressed: path.is_some(), operations };
    match (path, value) {
        (Some(path), _) if !has_value => {
            Err(ScimError::invalid_value(format!("value is missing for {path}; send null to clear the attribute")))
        }
        (Some(path), value) => changes.one(path, value),
        (None, Value::Object(attributes)) => {
            changes.each(attributes);
            Ok(())
        }
        (None, _) => Err(ScimError::invalid_value(
            "without a path, value must be an object of attributes; send one or name the attribute in path",
        )),
    }
}

/// Where the changes of one operation go.
struct Changes<'a> {
    number: usize,
    op: Op,
    addressed: bool,
    operations: &'a mut Vec<Operation>,
}

impl Changes<'_> {
    /// One change for each key, and a malformed operation for each that cannot be understood. A key that is no path is no
    /// attribute either; applying it drops it by name.
    fn each(self, attributes: Map<String, Value>) {
        let Self { number, op, addressed, operations } = self;
        for (name, value) in attributes {
            let path = AttrPath::parse(&name).unwrap_or_else(|_| AttrPath::core(&name));
            let change = Changes { number, op, addressed, operations: &mut *operations };
            if let Err(error) = change.one(path, value) {
                operations.push(Operation::Malformed(Refused::new(number, error)));
            }
        }
    }

    /// A change to one attribute, or when the path is a whole schema to each of the schema's attributes in the value.
    fn one(self, path: AttrPath, value: Value) -> Result<(), ScimError> {
        match (&path.schema, value) {
            (Some(urn), Value::Object(attributes)) if path.attribute.is_empty() => {
                self.each(if schema::is_core(urn) {
                    attributes
                } else {
                    attributes.into_iter().map(|(name, value)| (format!("{urn}:{name}"), value)).collect()
                });
                Ok(())
            }
            (Some(urn), value) if path.attribute.is_empty() && !is_empty(&value) => {
                let what = normalise::what(&value);
                Err(ScimError::invalid_value(format!("{urn} is {what}; send an object of its attributes")))
            }
            (_, value) => {
                let Self { number, op, addressed, operations } = self;
                operations.push(Operation::Change(Change { number, op, path, addressed, value }));
                Ok(())
            }
        }
    }
}

/// Whether the value says "nothing".
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(parts) => parts.is_empty(),
        _ => false,
    }
}
