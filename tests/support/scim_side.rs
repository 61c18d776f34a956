//! The SCIM side of the sample user system: the same people at `/scim/v2/Users`, with three filters, plain paths in PATCH and
//! nothing else. Told to, it has groups, says what it can, gives small pages, knows no PATCH or compares versions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::legacy::Manners;
use super::people::{People, empty, json_answer, parsed};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Status, `scimType` and detail.
type Refusal = (StatusCode, &'static str, String);
type Outcome = Result<Response<Full<Bytes>>, Refusal>;

/// Answers a request below `/scim/v2`.
pub fn carry_out(
    people: &mut People,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
    body: &[u8],
    manners: &Manners,
) -> Response<Full<Bytes>> {
    let steps: Vec<&str> = uri.path().trim_start_matches("/scim/v2").split('/').skip(1).collect();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect();
    let request = Request { method, query: &query, headers, body, manners };
    let done = match steps.as_slice() {
        ["Users"] => users(people, &request),
        ["Users", id] => user(people, id, &request),
        ["Groups"] if manners.groups => groups(people, &request),
        ["Groups", id] if manners.groups => group(people, id, &request),
        ["ServiceProviderConfig"] if manners.scim_tells => {
            let supported = |yes: bool| json!({ "supported": yes });
            Ok(json_answer(
                StatusCode::OK,
                &json!({"patch": supported(!manners.scim_no_patch), "filter": supported(true),
                    "etag": supported(manners.scim_etag), "sort": supported(false), "bulk": supported(false)}),
            ))
        }
        _ => Err(missing()),
    };
    let mut response = done.unwrap_or_else(|(status, scim_type, detail)| {
        let mut error = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.as_u16().to_string(), "detail": detail});
        if !scim_type.is_empty() {
            error["scimType"] = json!(scim_type);
        }
        json_answer(status, &error)
    });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

struct Request<'r> {
    method: &'r Method,
    query: &'r BTreeMap<String, String>,
    headers: &'r HeaderMap,
    body: &'r [u8],
    manners: &'r Manners,
}

impl Request<'_> {
    fn listed(&self, all: Vec<Value>) -> Response<Full<Bytes>> {
        let number = |name: &str| self.query.get(name).and_then(|text| text.parse::<usize>().ok());
        let start = number("startIndex").unwrap_or(1).max(1);
        let cap = if self.manners.scim_page == 0 { 1000 } else { self.manners.scim_page };
        let count = number("count").unwrap_or(100).min(cap);
        let total = all.len();
        let page: Vec<Value> = all.into_iter().skip(start - 1).take(count).collect();
        json_answer(
            StatusCode::OK,
            &json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": total,
                "startIndex": start, "itemsPerPage": page.len(), "Resources": page}),
        )
    }

    /// Attribute and value of the filter, if there is one.
    fn filter(&self, known: &[&str]) -> Result<Option<(String, String)>, Refusal> {
        let Some(text) = self.query.get("filter") else { return Ok(None) };
        let refused = || (StatusCode::BAD_REQUEST, "invalidFilter", "this filter is not supported".to_owned());
        let (name, value) = text.split_once(" eq ").ok_or_else(refused)?;
        let name = known.iter().find(|known| known.eq_ignore_ascii_case(name)).ok_or_else(refused)?;
        let value: String = serde_json::from_str(value).map_err(|_| refused())?;
        Ok(Some(((*name).to_owned(), value)))
    }

    fn operations(&self) -> Result<Vec<Value>, Refusal> {
        if self.manners.scim_no_patch {
            return Err((StatusCode::NOT_IMPLEMENTED, "", "PATCH is not supported".into()));
        }
        let mut body = parsed(self.body).map_err(syntax)?;
        match body.remove("Operations") {
            Some(Value::Array(operations)) => Ok(operations),
            _ => Err(syntax((StatusCode::BAD_REQUEST, "there are no Operations".into()))),
        }
    }

    fn late(&self, version: u64) -> Result<(), Refusal> {
        let tag = self.headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
        if self.manners.scim_etag && tag.is_some_and(|tag| tag != format!("W/\"{version}\"")) {
            return Err((StatusCode::PRECONDITION_FAILED, "", "it was changed meanwhile".into()));
        }
        Ok(())
    }
}

fn missing() -> Refusal {
    (StatusCode::NOT_FOUND, "", "there is no such resource".into())
}

fn syntax((status, detail): (StatusCode, String)) -> Refusal {
    (status, "invalidSyntax", detail)
}

fn refused((status, error): (StatusCode, String)) -> Refusal {
    match status {
        StatusCode::CONFLICT => (status, "uniqueness", "userName is taken".into()),
        _ => (status, "invalidValue", error),
    }
}

/// A person as SCIM has one.
fn shown(id: u64, user: &Map<String, Value>) -> Value {
    let text = |name: &str| user.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut out = json!({"schemas": [USER], "id": id.to_string()});
    for (name, field) in [("userName", "username"), ("externalId", "external_id"), ("displayName", "display_name")] {
        if let Some(text) = text(field) {
            out[name] = json!(text);
        }
    }
    for (name, field) in [("givenName", "first_name"), ("familyName", "last_name")] {
        if let Some(text) = text(field) {
            out["name"][name] = json!(text);
        }
    }
    for (name, field) in [("emails", "email"), ("phoneNumbers", "phone")] {
        if let Some(text) = text(field) {
            out[name] = json!([{"value": text, "type": "work"}]);
        }
    }
    out["active"] = user.get("enabled").cloned().unwrap_or(json!(true));
    let version = user.get("version").and_then(Value::as_u64).unwrap_or(0);
    out["meta"] = json!({"resourceType": "User", "version": format!("W/\"{version}\"")});
    out
}

/// The fields of a person that SCIM attributes say; what is no attribute of the sample's is passed over.
fn fields(attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |field: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            fields.insert(field.into(), value.clone());
        }
    };
    put("username", attributes.get("userName"));
    put("external_id", attributes.get("externalId"));
    put("display_name", attributes.get("displayName"));
    put("enabled", attributes.get("active"));
    let name = attributes.get("name");
    put("first_name", name.and_then(|name| name.get("givenName")));
    put("last_name", name.and_then(|name| name.get("familyName")));
    let first = |name: &str| attributes.get(name).and_then(|list| list.get(0)?.get("value"));
    put("email", first("emails"));
    put("phone", first("phoneNumbers"));
    fields
}

fn users(people: &mut People, request: &Request<'_>) -> Outcome {
    if request.method == Method::POST {
        let attributes = parsed(request.body).map_err(syntax)?;
        let id = people.create(fields(&attributes)).map_err(refused)?;
        return Ok(json_answer(StatusCode::CREATED, &shown(id, &people.by_id[&id])));
    }
    let filter = request.filter(&["userName", "externalId", "id"])?;
    let all = people.by_id.iter().map(|(id, user)| shown(*id, user));
    let matches = |user: &Value| {
        filter.as_ref().is_none_or(|(name, value)| match name.as_str() {
            "userName" => user[name].as_str().is_some_and(|held| held.to_lowercase() == value.to_lowercase()),
            name => user[name] == *value,
        })
    };
    Ok(request.listed(all.filter(matches).collect()))
}

fn user(people: &mut People, id: &str, request: &Request<'_>) -> Outcome {
    let id = id.parse::<u64>().ok().filter(|id| people.by_id.contains_key(id)).ok_or_else(missing)?;
    let held = &people.by_id[&id];
    let becomes = match *request.method {
        Method::GET => return Ok(json_answer(StatusCode::OK, &shown(id, held))),
        Method::DELETE => {
            people.remove(id);
            return Ok(empty());
        }
        Method::PUT => {
            request.late(held.get("version").and_then(Value::as_u64).unwrap_or(0))?;
            parsed(request.body).map_err(syntax)?
        }
        Method::PATCH => {
            let Value::Object(mut user) = shown(id, held) else { return Err(missing()) };
            for operation in request.operations()? {
                patch(&mut user, &operation)?;
            }
            user
        }
        _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "", "not allowed here".into())),
    };
    people.change(id, fields(&becomes), true, false).map_err(refused)?;
    Ok(if request.manners.tight_lipped { empty() } else { json_answer(StatusCode::OK, &shown(id, &people.by_id[&id])) })
}

/// One operation, with a plain path.
fn patch(resource: &mut Map<String, Value>, operation: &Value) -> Result<(), Refusal> {
    let path = operation["path"].as_str().unwrap_or_default();
    let plain = path.split('.').count() <= 2 && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if path.is_empty() || !plain {
        return Err((StatusCode::BAD_REQUEST, "invalidPath", "only plain paths are supported".into()));
    }
    let (attribute, sub) = path.split_once('.').map_or((path, None), |(attribute, sub)| (attribute, Some(sub)));
    let value = operation.get("value").cloned().unwrap_or(Value::Null);
    let removes = operation["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case("remove"));
    match sub {
        None if removes => drop(resource.shift_remove(attribute)),
        None => drop(resource.insert(attribute.into(), value)),
        Some(sub) => {
            let held = resource.entry(attribute).or_insert_with(|| json!({}));
            held[sub] = if removes { Value::Null } else { value };
        }
    }
    Ok(())
}

fn member_key(value: &str) -> Option<(&'static str, u64)> {
    match value.strip_prefix('g') {
        Some(number) => Some(("group", number.parse().ok()?)),
        None => Some(("user", value.parse().ok()?)),
    }
}

fn shown_group(people: &People, id: u64) -> Value {
    let group = &people.groups.by_id[&id];
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|(kind, id)| match *kind {
            "group" => json!({"value": format!("g{id}"), "type": "Group"}),
            _ => json!({"value": id.to_string(), "type": "User"}),
        })
        .collect();
    let mut out = json!({"schemas": [GROUP], "id": format!("g{id}"), "members": members,
        "meta": {"resourceType": "Group", "version": format!("W/\"{}\"", group.version)}});
    for (name, field) in [("displayName", "name"), ("externalId", "external_id")] {
        if let Some(value) = group.fields.get(field) {
            out[name] = value.clone();
        }
    }
    out
}

fn groups(people: &mut People, request: &Request<'_>) -> Outcome {
    if request.method == Method::POST {
        let attributes = parsed(request.body).map_err(syntax)?;
        return keep_group(people, None, &attributes)
            .map(|id| json_answer(StatusCode::CREATED, &shown_group(people, id)));
    }
    let filter = request.filter(&["displayName", "externalId", "members.value"])?;
    let all = people.groups.by_id.keys().map(|id| shown_group(people, *id));
    let matches = |group: &Value| {
        filter.as_ref().is_none_or(|(name, value)| match name.as_str() {
            "members.value" => {
                group["members"].as_array().is_some_and(|list| list.iter().any(|member| member["value"] == *value))
            }
            name => group[name].as_str().is_some_and(|held| held.to_lowercase() == value.to_lowercase()),
        })
    };
    Ok(request.listed(all.filter(matches).collect()))
}

fn group(people: &mut People, id: &str, request: &Request<'_>) -> Outcome {
    let id = id.strip_prefix('g').and_then(|id| id.parse::<u64>().ok());
    let id = id.filter(|id| people.groups.by_id.contains_key(id)).ok_or_else(missing)?;
    let becomes = match *request.method {
        Method::GET => return Ok(json_answer(StatusCode::OK, &shown_group(people, id))),
        Method::DELETE => {
            people.groups.by_id.remove(&id);
            people.groups.left("group", id);
            return Ok(empty());
        }
        Method::PUT => {
            request.late(people.groups.by_id[&id].version)?;
            parsed(request.body).map_err(syntax)?
        }
        Method::PATCH => {
            let Value::Object(mut group) = shown_group(people, id) else { return Err(missing()) };
            for operation in request.operations()? {
                let path = operation["path"].as_str().unwrap_or_default();
                let Some(Value::Array(members)) = group.get_mut("members") else { return Err(missing()) };
                if path == "members" && operation["op"] == "add" {
                    for entry in operation["value"].as_array().into_iter().flatten() {
                        if !members.iter().any(|held| held["value"] == entry["value"]) {
                            members.push(entry.clone());
                        }
                    }
                } else if let Some(rest) = path.strip_prefix("members[value eq ") {
                    let value: Value = serde_json::from_str(rest.trim_end_matches(']')).unwrap_or_default();
                    members.retain(|held| held["value"] != value);
                } else {
                    patch(&mut group, &operation)?;
                }
            }
            group
        }
        _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "", "not allowed here".into())),
    };
    keep_group(people, Some(id), &becomes)?;
    Ok(if request.manners.tight_lipped { empty() } else { json_answer(StatusCode::OK, &shown_group(people, id)) })
}

fn keep_group(people: &mut People, id: Option<u64>, attributes: &Map<String, Value>) -> Result<u64, Refusal> {
    let there: BTreeSet<u64> = people.by_id.keys().copied().collect();
    let mut members = Vec::new();
    for entry in attributes.get("members").and_then(Value::as_array).into_iter().flatten() {
        let key = entry["value"].as_str().and_then(member_key);
        let is_there = |(kind, id): &(&str, u64)| match *kind {
            "group" => people.groups.by_id.contains_key(id),
            _ => there.contains(id),
        };
        let key = key.filter(is_there);
        let key = key.ok_or((StatusCode::BAD_REQUEST, "invalidValue", "a member does not exist".to_owned()))?;
        if !members.contains(&key) {
            members.push(key);
        }
    }
    let mut fields = Map::new();
    for (name, field) in [("displayName", "name"), ("externalId", "external_id")] {
        if let Some(value) = attributes.get(name) {
            fields.insert(field.into(), value.clone());
        }
    }
    people.groups.keep(id, fields, members).ok_or((
        StatusCode::CONFLICT,
        "uniqueness",
        "displayName is taken".to_owned(),
    ))
}
