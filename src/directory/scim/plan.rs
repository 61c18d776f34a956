//! The calls that carry out what a SCIM server is asked, as they will leave (RFC 7644 §3). Pure: the connector sends these and
//! `portcullis explain` shows these.

use http::Method;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::config::Config;
use super::known::Known;
use crate::ports::DirectoryError;
use crate::scim::resource::Resource;
use crate::scim::schema::PATCH_OP;
use crate::scim::{Member, ResourceType};

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which call an answer belongs to, as far as its meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading what the server says of itself.
    Learn,
    /// Reading one resource.
    Read,
    /// Finding or listing.
    Find,
    /// Creating.
    Create,
    /// Changing.
    Update,
    /// Removing.
    Delete,
}

impl Step {
    /// Whether the call changes something.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }

    /// Whether the call is about one resource, which may be gone.
    pub const fn addresses(self) -> bool {
        matches!(self, Self::Read | Self::Update | Self::Delete)
    }

    /// Its name, for the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Learn => "learn",
            Self::Read => "read",
            Self::Find => "find",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// An answer that makes no sense.
    pub fn nonsense(self, problem: impl std::fmt::Display) -> DirectoryError {
        DirectoryError::Failed {
            reason: format!("nonsense in the answer to {}: {problem}", self.name()),
            maybe_done: self.changes(),
        }
    }
}

/// One call, but for what every call has: host, token, media types.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What it is for.
    pub step: Step,
    /// Which type it is about.
    pub kind: ResourceType,
    /// The method.
    pub method: Method,
    /// Path and query, with what stands before every path of the server.
    pub path: PathAndQuery,
    /// The JSON body.
    pub body: Option<Value>,
    /// The version that it is to change, as `If-Match`.
    pub version: Option<String>,
}

impl Call {
    /// The texts in its body: an answer that repeats one must not be passed on.
    pub fn values(&self) -> Vec<&str> {
        fn collect<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
            match value {
                Value::String(text) => all.push(text),
                Value::Array(list) => list.iter().for_each(|entry| collect(entry, all)),
                Value::Object(parts) => {
                    let told = |name: &str| !matches!(name, "schemas" | "op" | "path" | "type");
                    parts.iter().filter(|(name, _)| told(name)).for_each(|(_, part)| collect(part, all));
                }
                _ => {}
            }
        }
        let mut all = Vec::new();
        if let Some(body) = &self.body {
            collect(body, &mut all);
        }
        all
    }
}

impl Config {
    /// The absolute address of a call.
    pub fn address(&self, call: &Call) -> String {
        format!("{}{}", self.base.origin(), call.path)
    }

    /// What the server says of itself: `ServiceProviderConfig` or `Schemas`.
    pub fn plan_learn(&self, document: &str) -> Option<Call> {
        self.call(Step::Learn, ResourceType::User, Method::GET, &format!("/{document}"), None)
    }

    /// Reading one resource; `None` when its id fits into no URL.
    pub fn plan_read(&self, kind: ResourceType, key: &str) -> Option<Call> {
        self.call(Step::Read, kind, Method::GET, &one(kind, key)?, None)
    }

    /// Listing from `offset`, with a filter perhaps.
    pub fn plan_list(&self, kind: ResourceType, filter: Option<&str>, offset: u64, limit: u64) -> Option<Call> {
        let filter = filter.map(|it| format!("filter={}&", utf8_percent_encode(it, RESERVED))).unwrap_or_default();
        let (start, count) = (offset.saturating_add(1), limit.clamp(1, self.page_size));
        let path = format!("/{}?{filter}startIndex={start}&count={count}", kind.endpoint());
        self.call(Step::Find, kind, Method::GET, &path, None)
    }

    /// Creating a resource, a group with its first members.
    pub fn plan_create(
        &self,
        known: &Known,
        kind: ResourceType,
        resource: &Resource,
        members: &[Member],
    ) -> Option<Call> {
        let mut body = known.kept(self, kind, resource);
        if !members.is_empty() {
            body.insert("members".into(), members.iter().map(member).collect());
        }
        let body = with_schemas(kind, body);
        self.call(Step::Create, kind, Method::POST, &format!("/{}", kind.endpoint()), Some(Value::Object(body)))
    }

    /// Changing a resource by PATCH operations (RFC 7644 §3.5.2).
    pub fn plan_patch(&self, kind: ResourceType, key: &str, operations: &[Value]) -> Option<Call> {
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations });
        self.call(Step::Update, kind, Method::PATCH, &one(kind, key)?, Some(body))
    }

    /// Putting a whole resource in place (RFC 7644 §3.5.1).
    pub fn plan_put(&self, kind: ResourceType, key: &str, body: Map<String, Value>) -> Option<Call> {
        self.call(Step::Update, kind, Method::PUT, &one(kind, key)?, Some(Value::Object(with_schemas(kind, body))))
    }

    /// Removing a resource.
    pub fn plan_delete(&self, kind: ResourceType, key: &str) -> Option<Call> {
        self.call(Step::Delete, kind, Method::DELETE, &one(kind, key)?, None)
    }

    fn call(&self, step: Step, kind: ResourceType, method: Method, below: &str, body: Option<Value>) -> Option<Call> {
        let path = PathAndQuery::try_from(format!("{}{below}", self.base.prefix())).ok()?;
        Some(Call { step, kind, method, path, body, version: None })
    }
}

/// Below the base; `None` when the id would address something else.
fn one(kind: ResourceType, key: &str) -> Option<String> {
    let astray =
        key.bytes().all(|byte| byte == b'.') || key.len() > 1024 || key.bytes().any(|it| it.is_ascii_control());
    (!astray).then(|| format!("/{}/{}", kind.endpoint(), utf8_percent_encode(key, RESERVED)))
}

/// An equality as a filter.
pub fn equals(path: &str, value: &str) -> String {
    format!("{path} eq {}", Value::String(value.to_owned()))
}

/// An entry of `members`.
pub fn member(member: &Member) -> Value {
    json!({ "value": member.key, "type": member.kind.name() })
}

/// The body with the URNs of the schemas that it uses.
fn with_schemas(kind: ResourceType, mut body: Map<String, Value>) -> Map<String, Value> {
    body.shift_remove("schemas");
    let extensions = body.keys().filter(|name| name.contains(':')).map(String::as_str);
    let urns: Vec<Value> = std::iter::once(kind.schema()).chain(extensions).map(Value::from).collect();
    let mut whole = Map::from_iter([("schemas".to_owned(), Value::Array(urns))]);
    whole.extend(body);
    whole
}

/// The operations that turn `before` into `after`: one for each attribute, or part of a complex one, that differs, with plain
/// paths, which every server understands. Lists are set as a whole; whether one is among them is the second value.
pub fn operations(before: &Map<String, Value>, after: &Map<String, Value>) -> (Vec<Value>, bool) {
    let mut operations = Vec::new();
    let mut lists = false;
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let (was, becomes) = (before.get(name), after.get(name));
        if was == becomes {
            continue;
        }
        let (parts, separator) = match (was, becomes) {
            (Some(Value::Object(_)), _) | (_, Some(Value::Object(_))) => {
                (true, if name.contains(':') { ":" } else { "." })
            }
            _ => (false, ""),
        };
        if !parts {
            lists |= [was, becomes].into_iter().flatten().any(Value::is_array);
            operations.push(operation(name, becomes));
            continue;
        }
        let of = |side: Option<&'_ Value>| side.and_then(Value::as_object).cloned().unwrap_or_default();
        let (was, becomes) = (of(was), of(becomes));
        for part in was.keys().chain(becomes.keys().filter(|part| !was.contains_key(*part))) {
            if was.get(part) != becomes.get(part) {
                lists |= [was.get(part), becomes.get(part)].into_iter().flatten().any(Value::is_array);
                operations.push(operation(&format!("{name}{separator}{part}"), becomes.get(part)));
            }
        }
    }
    (operations, lists)
}

fn operation(path: &str, value: Option<&Value>) -> Value {
    match value {
        Some(value) => json!({ "op": "replace", "path": path, "value": value }),
        None => json!({ "op": "remove", "path": path }),
    }
}

/// The operations that add and remove members (RFC 7644 §3.5.2.1, §3.5.2.2).
pub fn member_operations(add: &[Member], remove: &[String]) -> Vec<Value> {
    let mut operations = Vec::new();
    if !add.is_empty() {
        operations.push(json!({ "op": "add", "path": "members", "value": add.iter().map(member).collect::<Vec<_>>() }));
    }
    let filter = |key: &String| format!("members[{}]", equals("value", key));
    operations.extend(remove.iter().map(|key| json!({ "op": "remove", "path": filter(key) })));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let before = map(json!({"userName": "a", "name": {"givenName": "A", "familyName": "B"}, "title": "x",
            "emails": [{"value": "1"}], urn: {"department": "R"}}));
        let after =
            map(json!({"userName": "a", "name": {"givenName": "C"}, "active": false, "emails": [{"value": "2"}],
            urn: {"department": "S"}}));
        let (found, lists) = operations(&before, &after);
        let expected = json!([
            {"op": "replace", "path": "name.givenName", "value": "C"},
            {"op": "remove", "path": "name.familyName"},
            {"op": "remove", "path": "title"},
            {"op": "replace", "path": "emails", "value": [{"value": "2"}]},
            {"op": "replace", "path": format!("{urn}:department"), "value": "S"},
            {"op": "replace", "path": "active", "value": false},
        ]);
        assert_eq!((Value::Array(found), lists), (expected, true));
        assert_eq!(operations(&after, &after), (vec![], false));
    }

    #[test]
    fn a_value_stays_a_value() {
        assert_eq!(equals("userName", "a\" or id pr \\"), "userName eq \"a\\\" or id pr \\\\\"");
        for id in ["", ".", "..", "a\0"] {
            assert_eq!(one(ResourceType::User, id), None);
        }
        assert_eq!(one(ResourceType::Group, "a/b?c").as_deref(), Some("/Groups/a%2Fb%3Fc"));
    }
}
