//! A SCIM server's answers as entries, members and errors. Pure; a body that makes no sense is an error, never half an answer.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};

use super::plan::Step;
use crate::directory::words::{bounded, repeats};
use crate::ports::{DirectoryError, Entry};
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Timestamp;

/// A body that should be one JSON object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a JSON object".into()),
        Err(error) if error.is_eof() => Err("its JSON ends too early".into()),
        Err(_) => Err("it is not JSON".into()),
    }
}

/// The `id` of a resource.
pub fn id(resource: &Map<String, Value>) -> Result<&str, String> {
    let id = resource.get("id").and_then(Value::as_str).ok_or("it has no id")?;
    let astray =
        id.bytes().all(|byte| byte == b'.') || id.len() > 1024 || id.bytes().any(|byte| byte.is_ascii_control());
    if astray { Err("its id cannot be one".into()) } else { Ok(id) }
}

/// A resource as an entry.
pub fn entry(kind: ResourceType, resource: &Map<String, Value>) -> Result<Entry, String> {
    let key = id(resource)?.to_owned();
    let meta = |name: &str| resource.get("meta")?.get(name)?.as_str();
    let time = |name| meta(name)?.parse::<jiff::Timestamp>().ok().map(|it| Timestamp::from_millis(it.as_millisecond()));
    let (created, modified, version) = (time("created"), time("lastModified"), meta("version").map(str::to_owned));
    let resource = attributes(kind, resource)?;
    let name = if kind == ResourceType::User { "userName" } else { "displayName" };
    if resource.as_map().get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(format!("it holds no {name}"));
    }
    Ok(Entry { key, resource, created, modified, version })
}

/// The attributes of a resource, as far as they are known here; of a group without its members.
pub fn attributes(kind: ResourceType, resource: &Map<String, Value>) -> Result<Resource, String> {
    let mut own = resource.clone();
    for name in ["members", "groups"] {
        own.retain(|held, _| !held.eq_ignore_ascii_case(name));
    }
    let body = serde_json::to_vec(&own).map_err(|error| error.to_string())?;
    let mut parsed = Resource::parse(kind, &body).map_err(|error| error.detail)?.resource;
    if kind == ResourceType::User && parsed.active().is_none() {
        parsed.set(&crate::scim::path::AttrPath::core("active"), Value::Bool(true));
    }
    Ok(parsed)
}

/// The resources of a list, and how many there are in all.
pub fn listed(body: &[u8]) -> Result<(Vec<Map<String, Value>>, u64), String> {
    let mut answer = object(body)?;
    let total = answer.get("totalResults").and_then(Value::as_u64).ok_or("it has no totalResults")?;
    let resources = match answer.remove("Resources") {
        Some(Value::Array(list)) => list,
        // RFC 7644 §3.4.2: left out when there are none.
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err("its Resources are no list".into()),
    };
    let resources = resources.into_iter().enumerate().map(|(index, resource)| match resource {
        Value::Object(resource) => Ok(resource),
        _ => Err(format!("entry {index} is not a JSON object")),
    });
    Ok((resources.collect::<Result<_, _>>()?, total))
}

/// The members of a group.
pub fn members(group: &Map<String, Value>) -> Result<Vec<Member>, String> {
    let list = match group.get("members") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("its members are no list".into()),
    };
    list.iter().map(|entry| member(entry).ok_or_else(|| "a member has no value".to_owned())).collect()
}

/// Who an entry of `members` is.
pub fn member(entry: &Value) -> Option<Member> {
    let key = entry.get("value")?.as_str().filter(|key| !key.is_empty())?.to_owned();
    let is_group = match entry.get("type").and_then(Value::as_str) {
        Some(word) => word.eq_ignore_ascii_case("Group"),
        None => entry.get("$ref").and_then(Value::as_str).is_some_and(|uri| uri.contains("/Groups/")),
    };
    Some(Member { key, kind: if is_group { ResourceType::Group } else { ResourceType::User } })
}

/// A refusal's `scimType` and `detail`.
fn error_of(body: &[u8]) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    (text("scimType").map(str::to_owned), text("detail").and_then(bounded))
}

/// Whether a refusal is of this `scimType`.
pub fn says(body: &[u8], kinds: &[&str]) -> bool {
    error_of(body).0.is_some_and(|told| kinds.iter().any(|kind| told.eq_ignore_ascii_case(kind)))
}

/// Attributes that an explanation may name without meaning an everyday word.
const TELLING: [&str; 10] = [
    "userName",
    "externalId",
    "displayName",
    "members",
    "emails",
    "phoneNumbers",
    "nickName",
    "profileUrl",
    "employeeNumber",
    "preferredLanguage",
];

/// What a status other than 2xx means (RFC 7644 §3.12). `sent` are the values that must not come back.
pub fn refusal(
    kind: ResourceType,
    step: Step,
    status: StatusCode,
    wait: Option<Duration>,
    body: &[u8],
    sent: &[&str],
) -> DirectoryError {
    let (scim_type, detail) = error_of(body);
    let named = detail.as_deref().and_then(|detail| {
        let mut words = detail.split(|c: char| !c.is_alphanumeric());
        words.find_map(|word| TELLING.into_iter().find(|name| name.eq_ignore_ascii_case(word)))
    });
    let answered = || format!("{} was answered {}", step.name(), status.as_u16());
    let unique = scim_type.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("uniqueness"));
    let conflict = || {
        let own = if kind == ResourceType::User { "userName" } else { "displayName" };
        DirectoryError::Conflict { attribute: named.unwrap_or(own).to_owned() }
    };
    match status.as_u16() {
        404 | 410 if step.addresses() => DirectoryError::NotFound,
        409 => conflict(),
        400 if unique => conflict(),
        400 | 422 if step.changes() => {
            let detail = match detail.filter(|detail| !repeats(detail, sent)) {
                Some(detail) => format!("the user directory says: {detail}"),
                None => "the user directory refused a value and did not say which".into(),
            };
            DirectoryError::Invalid { attribute: named.map(str::to_owned), detail }
        }
        401 | 403 => DirectoryError::Refused { reason: answered() },
        429 => DirectoryError::Busy { retry_after: wait },
        503 if wait.is_some() => DirectoryError::Busy { retry_after: wait },
        507 => DirectoryError::NoCapacity { detail: answered() },
        400..=499 | 501 | 505 => DirectoryError::Failed { reason: answered(), maybe_done: false },
        _ => DirectoryError::Failed { reason: answered(), maybe_done: step.changes() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_as_the_rfc_has_them() {
        use ResourceType::{Group, User};
        let conflict = |attribute: &str| DirectoryError::Conflict { attribute: attribute.into() };
        let failed = |text: &str, maybe_done| DirectoryError::Failed { reason: text.into(), maybe_done };
        for (kind, step, status, body, expected) in [
            (User, Step::Create, 409, "{\"scimType\":\"uniqueness\"}", conflict("userName")),
            (Group, Step::Create, 409, "<html>", conflict("displayName")),
            (
                User,
                Step::Create,
                400,
                "{\"scimType\":\"uniqueness\",\"detail\":\"externalId in use\"}",
                conflict("externalId"),
            ),
            (User, Step::Read, 404, "", DirectoryError::NotFound),
            (User, Step::Find, 404, "", failed("find was answered 404", false)),
            (User, Step::Update, 500, "", failed("update was answered 500", true)),
            (User, Step::Update, 501, "", failed("update was answered 501", false)),
            (
                User,
                Step::Create,
                400,
                "{\"detail\":\"emails must not be Ada.17\"}",
                DirectoryError::Invalid {
                    attribute: Some("emails".into()),
                    detail: "the user directory refused a value and did not say which".into(),
                },
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(kind, step, status, None, body.as_bytes(), &["Ada.17"]), expected, "{status} {body}");
        }
        let wait = Some(Duration::from_secs(7));
        let busy = refusal(User, Step::Read, StatusCode::TOO_MANY_REQUESTS, wait, b"", &[]);
        assert_eq!(busy, DirectoryError::Busy { retry_after: wait });
    }
}
