//! Bulk requests (RFC 7644 §3.7): reading them, putting their operations into an order in which every `bulkId` is known before
//! it is used, and the answer.
//!
//! Resources that refer to each other in a circle are created without the reference that closes it, which a PATCH adds in the
//! end (§3.7.1 asks to try). Nothing here carries an operation out.

mod order;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

pub use self::order::{Step, hold_back, order};
use super::command::take;
use super::error::{ScimError, excerpt};
use super::normalise;
use super::schema::{BULK_RESPONSE, MAX_OPERATIONS, MAX_PAYLOAD, ResourceType};

/// What a reference to a resource of the same request begins with.
const REFERENCE: &str = "bulkId:";
/// The longest bulkId, path or version, in bytes.
const LONGEST_TEXT: usize = 1024;

/// How much one request may hold; announced in `/ServiceProviderConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations.
    pub operations: u64,
    /// Bytes of the body.
    pub payload: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: MAX_OPERATIONS, payload: MAX_PAYLOAD }
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Creates.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// The HTTP method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Post, Self::Put, Self::Patch, Self::Delete].into_iter().find(|it| it.as_str().eq_ignore_ascii_case(name))
    }
}

/// A bulk request.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulk {
    /// After how many errors the rest is left undone; `None` for never.
    pub fail_on_errors: Option<u64>,
    /// The operations as sent.
    pub operations: Vec<Operation>,
}

/// One operation, or why it is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// It can be carried out.
    Sound(BulkOperation),
    /// It makes no sense; the answer says so in its place, and it counts as an error.
    Malformed {
        /// The method as sent, if it is one.
        method: Option<Method>,
        /// The bulkId as sent.
        bulk_id: Option<String>,
        /// What to answer.
        error: ScimError,
    },
}

/// An operation that can be carried out.
#[derive(Clone, PartialEq)]
pub struct BulkOperation {
    /// What to do.
    pub method: Method,
    /// To what: `/Users`, `/Groups/{id}`. May hold a reference.
    pub path: String,
    /// The name by which others refer to what this operation creates.
    pub bulk_id: Option<String>,
    /// The version that the resource must be in, as `If-Match` would say it.
    pub version: Option<String>,
    /// The body; null for DELETE. May hold references.
    pub data: Value,
}

/// Without the body, which is personal data.
impl std::fmt::Debug for BulkOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

/// The ids of the resources that this request has created, by bulkId.
#[derive(Clone, Debug, Default)]
pub struct Ids(HashMap<String, String>);

impl Ids {
    /// Notes what an operation created.
    pub fn insert(&mut self, bulk_id: impl Into<String>, id: impl Into<String>) {
        self.0.insert(bulk_id.into(), id.into());
    }

    /// The id of what the operation with this bulkId created.
    #[must_use]
    pub fn get(&self, bulk_id: &str) -> Option<&str> {
        self.0.get(bulk_id).map(String::as_str)
    }
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The type.
    pub kind: ResourceType,
    /// The resource; `None` for the type's endpoint.
    pub id: Option<String>,
}

impl Bulk {
    /// Reads a request. A single operation that is wrong becomes [`Operation::Malformed`].
    ///
    /// # Errors
    /// 413 beyond the limits (§3.7.4), 400 `invalidSyntax` when the body is no bulk request, 400 `invalidValue` when
    /// two operations have the same bulkId or `failOnErrors` is no number.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self, ScimError> {
        if body.len() as u64 > limits.payload {
            return Err(ScimError::too_large(format!(
                "the body is {} bytes long; at most {} are taken (maxPayloadSize), so send several requests",
                body.len(),
                limits.payload
            )));
        }
        let mut body = normalise::body(body)?;
        let fail_on_errors = match take(&mut body, "failOnErrors") {
            Value::Null => None,
            value => match value.as_u64().or_else(|| value.as_str()?.parse().ok()) {
                // Zero errors are no limit that could be kept; it means none.
                Some(0) => None,
                Some(count) => Some(count),
                None => {
                    let what = normalise::what(&value);
                    return Err(ScimError::invalid_value(format!(
                        "failOnErrors is {what}; send a whole number from 1 on"
                    )));
                }
            },
        };
        let items = match take(&mut body, "Operations") {
            Value::Array(items) if !items.is_empty() => items,
            Value::Null | Value::Array(_) => {
                return Err(ScimError::invalid_syntax("Operations is missing or empty; send a list of operations"));
            }
            other => {
                let what = normalise::what(&other);
                return Err(ScimError::invalid_syntax(format!("Operations is {what}; send a list of operations")));
            }
        };
        if items.len() as u64 > limits.operations {
            return Err(ScimError::too_large(format!(
                "there are {} operations; at most {} are taken (maxOperations), so send several requests",
                items.len(),
                limits.operations
            )));
        }
        let operations: Vec<_> = items.into_iter().enumerate().map(|(index, item)| read(index + 1, item)).collect();
        let mut names = HashSet::new();
        for (index, operation) in operations.iter().enumerate() {
            if let Some(name) = operation.bulk_id()
                && !names.insert(name)
            {
                return Err(ScimError::invalid_value(format!(
                    "operation {}: the bulkId \"{}\" is given twice; give each operation one of its own",
                    index + 1,
                    excerpt(name)
                )));
            }
        }
        Ok(Self { fail_on_errors, operations })
    }
}

impl Operation {
    /// The bulkId, if there is one.
    #[must_use]
    pub fn bulk_id(&self) -> Option<&str> {
        match self {
            Self::Sound(BulkOperation { bulk_id, .. }) | Self::Malformed { bulk_id, .. } => bulk_id.as_deref(),
        }
    }
}

fn read(number: usize, item: Value) -> Operation {
    let Value::Object(mut item) = item else {
        let error = format!("operation {number} is {}; send an object", normalise::what(&item));
        return Operation::Malformed { method: None, bulk_id: None, error: ScimError::invalid_syntax(error) };
    };
    let mut text = |name: &str| match take(&mut item, name) {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.len() <= LONGEST_TEXT && !text.contains('\0') => Ok(Some(text)),
        _ => Err(ScimError::invalid_syntax(format!("operation {number}: {name} is no short text"))),
    };
    let (method, bulk_id, version, path) = (text("method"), text("bulkId"), text("version"), text("path"));
    let data = take(&mut item, "data");
    let known = method.as_ref().ok().and_then(|name| Method::named(name.as_deref()?));
    let named = bulk_id.clone().ok().flatten();
    let whole = || {
        let method = match (known, method?) {
            (Some(method), _) => method,
            (None, Some(name)) => {
                let name = excerpt(&name).into_owned();
                return Err(wrong(number, &format!("method is \"{name}\"; use POST, PUT, PATCH or DELETE")));
            }
            (None, None) => return Err(wrong(number, "method is missing; use POST, PUT, PATCH or DELETE")),
        };
        let Some(path) = path? else { return Err(wrong(number, "path is missing; write one such as /Users")) };
        if method != Method::Delete && !data.is_object() {
            return Err(wrong(number, &format!("data is {}; send the body as an object", normalise::what(&data))));
        }
        Ok(BulkOperation { method, path, bulk_id: bulk_id?, version: version?, data })
    };
    match whole() {
        Ok(operation) => Operation::Sound(operation),
        Err(error) => Operation::Malformed { method: known, bulk_id: named, error },
    }
}

fn wrong(number: usize, what: &str) -> ScimError {
    ScimError::invalid_syntax(format!("operation {number}: {what}"))
}

impl BulkOperation {
    /// What the path leads to, once its reference is resolved. A whole URL is taken by its last segments.
    ///
    /// # Errors
    /// 400 `invalidSyntax` for a path that leads to no resource, or that does not go with the method.
    pub fn target(&self) -> Result<Target, ScimError> {
        let refuse = |why: &str| Err(ScimError::invalid_syntax(format!("the path \"{}\" {why}", excerpt(&self.path))));
        let path = self.path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        let mut segments = path.rsplit('/');
        let (last, before) = (segments.next().unwrap_or_default(), segments.next());
        let (kind, id) = match (ResourceType::of_endpoint(last), before.and_then(ResourceType::of_endpoint)) {
            (_, Some(kind)) => match percent_encoding::percent_decode_str(last).decode_utf8() {
                Ok(id) if !id.is_empty() && !id.contains('\0') => (kind, Some(id.into_owned())),
                _ => return refuse("names no id in UTF-8"),
            },
            (Some(kind), None) => (kind, None),
            (None, None) => return refuse("leads to no resource; write /Users, /Groups, or one of these and an id"),
        };
        match (self.method, &id) {
            (Method::Post, Some(_)) => refuse("names a resource; a POST goes to /Users or /Groups"),
            (Method::Post, None) | (_, Some(_)) => Ok(Target { kind, id }),
            (method, None) => refuse(&format!("names no resource; a {} needs its id", method.as_str())),
        }
    }

    /// Puts the ids of resources created so far in the place of references, in the path and the body.
    ///
    /// # Errors
    /// 409 naming the reference that leads nowhere: no operation has this bulkId, or the one that has it failed (§3.7.1).
    pub fn resolve(&mut self, ids: &Ids) -> Result<(), ScimError> {
        let mut missing = None;
        if let Some(path) = replaced(&self.path, true, ids, &mut missing) {
            self.path = path;
        }
        resolve_in(&mut self.data, ids, &mut missing);
        missing.map_or(Ok(()), |name| Err(unresolved(&name)))
    }
}

/// Puts the ids of resources created so far in the place of references in a body.
///
/// # Errors
/// As [`BulkOperation::resolve`].
pub fn resolve(data: &mut Value, ids: &Ids) -> Result<(), ScimError> {
    let mut missing = None;
    resolve_in(data, ids, &mut missing);
    missing.map_or(Ok(()), |name| Err(unresolved(&name)))
}

fn unresolved(name: &str) -> ScimError {
    ScimError::new(
        409,
        None,
        format!("bulkId:{} leads to no resource: no operation of this request created it", excerpt(name)),
    )
}

fn resolve_in(data: &mut Value, ids: &Ids, missing: &mut Option<String>) {
    match data {
        Value::Array(items) => items.iter_mut().for_each(|item| resolve_in(item, ids, missing)),
        Value::Object(parts) => {
            for (name, value) in parts {
                match value {
                    Value::String(text) => {
                        let inside = is_locator(name);
                        if let Some(resolved) = replaced(text, inside, ids, missing) {
                            *text = resolved;
                        }
                    }
                    other => resolve_in(other, ids, missing),
                }
            }
        }
        Value::String(text) => {
            if let Some(resolved) = replaced(text, false, ids, missing) {
                *text = resolved;
            }
        }
        _ => {}
    }
}

/// Whether a member of a body is a URI or a path, in which a reference may stand inside.
fn is_locator(name: &str) -> bool {
    name.eq_ignore_ascii_case("$ref") || name.eq_ignore_ascii_case("path")
}

/// The references in a text: the whole of it, or with `inside` anywhere behind a `/` or `"`. Each with where it stands.
fn references(text: &str, inside: bool) -> Vec<(usize, &str)> {
    if !inside {
        return text
            .strip_prefix(REFERENCE)
            .filter(|name| !name.is_empty())
            .map(|name| (0, name))
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    for (at, _) in text.match_indices(REFERENCE) {
        let begins = at == 0 || matches!(text.as_bytes()[at - 1], b'/' | b'"');
        let rest = &text[at + REFERENCE.len()..];
        let name = &rest[..rest.find(['/', '"', '?', '#']).unwrap_or(rest.len())];
        if begins && !name.is_empty() {
            found.push((at, name));
        }
    }
    found
}

fn replaced(text: &str, inside: bool, ids: &Ids, missing: &mut Option<String>) -> Option<String> {
    let found = references(text, inside);
    if found.is_empty() {
        return None;
    }
    let (mut resolved, mut done) = (String::with_capacity(text.len()), 0);
    for (at, name) in found {
        let Some(id) = ids.get(name) else {
            missing.get_or_insert_with(|| name.to_owned());
            continue;
        };
        resolved.push_str(&text[done..at]);
        resolved.push_str(id);
        done = at + REFERENCE.len() + name.len();
    }
    resolved.push_str(&text[done..]);
    Some(resolved)
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The operation's method, if it had one.
    pub method: Option<Method>,
    /// The operation's bulkId.
    pub bulk_id: Option<String>,
    /// The resource's URI; absent for a POST that failed.
    pub location: Option<String>,
    /// The resource's entity tag.
    pub version: Option<String>,
    /// HTTP status.
    pub status: u16,
    /// The body: an error's always, a resource's where it is wanted.
    pub response: Option<Value>,
}

/// The answer (§3.7.3): the outcomes in the order of the operations; those left undone after too many errors are not in it.
#[must_use]
pub fn response(outcomes: Vec<Outcome>) -> Value {
    let outcome = |outcome: Outcome| {
        let mut item = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                item.insert(name.to_owned(), value);
            }
        };
        put("location", outcome.location.map(Value::from));
        put("method", outcome.method.map(|method| method.as_str().into()));
        put("bulkId", outcome.bulk_id.map(Value::from));
        put("version", outcome.version.map(Value::from));
        put("status", Some(outcome.status.to_string().into()));
        put("response", outcome.response);
        Value::Object(item)
    };
    let operations: Vec<_> = outcomes.into_iter().map(outcome).collect();
    json!({ "schemas": [BULK_RESPONSE], "Operations": operations })
}
