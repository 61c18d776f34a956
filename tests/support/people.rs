//! Who is in the sample user system, and what a well-behaved request does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::groups::{Groups, paged};
use super::legacy::Manners;
use super::scim_side;

/// Text fields, in the order of an answer.
const TEXTS: [&str; 7] = ["username", "external_id", "first_name", "last_name", "display_name", "email", "phone"];

/// The people, by id and by user name without case.
#[derive(Default)]
pub struct People {
    /// By id.
    pub by_id: BTreeMap<u64, Map<String, Value>>,
    by_name: HashMap<String, u64>,
    last: u64,
    /// Its groups, when it has any.
    pub groups: Groups,
}

/// A status and its reason.
pub type Refusal = (StatusCode, String);

impl People {
    /// Answers one request.
    pub fn carry_out(
        &mut self,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        body: &[u8],
        manners: &Manners,
    ) -> Response<Full<Bytes>> {
        if uri.path().starts_with("/scim/v2/") {
            return scim_side::carry_out(self, method, uri, headers, body, manners);
        }
        if manners.groups && (uri.path() == "/groups" || uri.path().starts_with("/groups/")) {
            let people = self.by_id.keys().copied().collect::<BTreeSet<_>>();
            let done = self.groups.carry_out(method, uri, headers, body, manners, &people);
            return done.unwrap_or_else(|(status, error)| refuse(status, &error));
        }
        if manners.odd && headers.get(header::ACCEPT).is_none_or(|it| it != "application/vnd.sample.v4+json") {
            return refuse(StatusCode::NOT_ACCEPTABLE, "ask for version 4");
        }
        let response = self.answer(method, uri, body, manners);
        if manners.odd { oddly(response) } else { response }
    }

    fn answer(&mut self, method: &Method, uri: &http::Uri, body: &[u8], manners: &Manners) -> Response<Full<Bytes>> {
        let parsed = |body| parsed(body).and_then(|user| if manners.nested { unnested(user) } else { Ok(user) });
        let path = uri.path().strip_prefix("/users");
        let id = path.and_then(|path| path.strip_prefix('/')).map(|id| id.parse::<u64>().unwrap_or(0));
        let done = match (method.as_str(), path, id) {
            ("GET", Some(""), _) => self.find(uri.query().unwrap_or(""), manners),
            ("POST", Some(""), _) => {
                parsed(body).and_then(|user| self.create(user)).map(|id| self.one(StatusCode::CREATED, id, manners))
            }
            ("GET", _, Some(id)) if self.by_id.contains_key(&id) => Ok(self.one(StatusCode::OK, id, manners)),
            ("PUT" | "PATCH" | "DELETE", _, Some(id)) if self.by_id.contains_key(&id) => {
                let whole = method == Method::PUT;
                if method == Method::DELETE {
                    self.remove(id);
                    Ok(empty())
                } else {
                    parsed(body)
                        .and_then(|user| self.change(id, user, whole, manners.null_removes))
                        .map(|()| if manners.tight_lipped { empty() } else { self.one(StatusCode::OK, id, manners) })
                }
            }
            (_, Some(""), _) | ("POST", _, Some(_)) => Err((StatusCode::METHOD_NOT_ALLOWED, "not allowed here".into())),
            _ => Err((StatusCode::NOT_FOUND, "no such user".into())),
        };
        done.unwrap_or_else(|(status, error)| refuse(status, &error))
    }

    fn one(&self, status: StatusCode, id: u64, manners: &Manners) -> Response<Full<Bytes>> {
        json_answer(status, &shown(id, &self.by_id[&id], manners))
    }

    fn find(&self, query: &str, manners: &Manners) -> Result<Response<Full<Bytes>>, Refusal> {
        let mut asked: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Some(group) = asked.remove("group") {
            let is_in = |user: &Map<String, Value>| {
                user.get("groups").and_then(Value::as_array).is_some_and(|list| list.contains(&json!(group)))
            };
            let found = self.by_id.iter().filter(|(_, user)| is_in(user)).map(|(id, user)| rendered(*id, user));
            return Ok(paged(found.collect(), &asked.into_iter().collect()));
        }
        if let Some(name) = asked.remove("username") {
            let items: Vec<Value> = self
                .by_name
                .get(&name.to_lowercase())
                .map(|id| shown(*id, &self.by_id[id], manners))
                .into_iter()
                .collect();
            return Ok(json_answer(StatusCode::OK, &json!({"total": items.len(), "items": items})));
        }
        let after = asked.remove("after");
        let mut number = |name: &str, default: usize| {
            asked
                .remove(name)
                .map_or(Ok(default), |text| text.parse().map_err(|_| bad(&format!("{name} must be a number"))))
        };
        let cursor = number("cursor", 0)?;
        let (offset, limit) = (number("offset", cursor)?, number("limit", 100)?);
        let offset = offset.max((number("page", 1)?.max(1) - 1) * limit);
        if !(1..=1000).contains(&limit) {
            return Err(bad("limit must be between 1 and 1000"));
        }
        let seen = |id: &u64| after.as_ref().is_some_and(|after| after.parse::<u64>().is_ok_and(|after| *id <= after));
        let nowhere = after.as_ref().is_some_and(|after| after.parse::<u64>().is_err());
        let rest = self.by_id.iter().filter(|(id, _)| !seen(id) && !nowhere);
        let items: Vec<Value> = rest.skip(offset).take(limit).map(|(id, user)| shown(*id, user, manners)).collect();
        let next = (offset + items.len() < self.by_id.len()).then_some(offset + items.len());
        let mut response = json_answer(
            StatusCode::OK,
            &match (manners.cursors, manners.links) {
                (true, _) => json!({"items": items, "next": next}),
                (_, true) => json!({"items": items}),
                _ => json!({"total": self.by_id.len(), "items": items}),
            },
        );
        if let Some(next) = next.filter(|_| manners.links) {
            let link = format!("</users?limit={limit}&offset={next}>; rel=\"next\", </users>; rel=\"first\"");
            response.headers_mut().insert(header::LINK, HeaderValue::from_str(&link).expect("a link"));
        }
        Ok(response)
    }

    /// Adds a person and gives their id.
    pub fn create(&mut self, user: Map<String, Value>) -> Result<u64, Refusal> {
        let user = checked(user, Map::new(), false)?;
        let name = folded(&user);
        if self.by_name.contains_key(&name) {
            return Err((StatusCode::CONFLICT, "username already taken".into()));
        }
        self.last += 1;
        self.by_name.insert(name, self.last);
        self.by_id.insert(self.last, user);
        Ok(self.last)
    }

    /// Changes a person, or puts them in place as a whole.
    pub fn change(
        &mut self,
        id: u64,
        user: Map<String, Value>,
        whole: bool,
        null_removes: bool,
    ) -> Result<(), Refusal> {
        let held = &self.by_id[&id];
        let version = held.get("version").cloned();
        let base = if whole { Map::new() } else { held.clone() };
        let mut user = checked(user, base, null_removes && !whole)?;
        let (old, new) = (folded(held), folded(&user));
        if old != new && self.by_name.contains_key(&new) {
            return Err((StatusCode::CONFLICT, "username already taken".into()));
        }
        user.insert("version".into(), json!(version.and_then(|version| version.as_u64()).unwrap_or(0) + 1));
        self.by_name.remove(&old);
        self.by_name.insert(new, id);
        self.by_id.insert(id, user);
        Ok(())
    }

    /// Takes somebody away.
    pub fn remove(&mut self, id: u64) {
        if let Some(user) = self.by_id.remove(&id) {
            self.groups.left("user", id);
            self.by_name.remove(&folded(&user));
        }
    }
}

/// A body that must be a JSON object.
pub fn parsed(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|_| bad("the body is not a JSON object"))
}

/// `fields` laid over `base`, if every one is what it should be.
fn checked(
    fields: Map<String, Value>,
    base: Map<String, Value>,
    null_removes: bool,
) -> Result<Map<String, Value>, Refusal> {
    let mut user = base;
    for (name, value) in fields {
        match (name.as_str(), &value) {
            (name, Value::Null) if null_removes => {
                user.shift_remove(name);
            }
            ("enabled", Value::Bool(_)) | ("groups", Value::Array(_)) => {
                user.insert(name, value);
            }
            ("enabled", _) => return Err(bad("enabled must be true or false")),
            ("phone", Value::String(text)) if !text.is_empty() && !text.starts_with('+') => {
                return Err(bad(&format!("phone {text} must begin with +")));
            }
            (text, Value::String(_)) if TEXTS.contains(&text) => {
                user.insert(name, value);
            }
            (text, _) if TEXTS.contains(&text) => return Err(bad(&format!("{name} must be text"))),
            _ => return Err(bad(&format!("{name} is no field"))),
        }
    }
    if user.get("username").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(bad("username is required"));
    }
    Ok(user)
}

/// A user as an answer holds one, in the form it is told to have.
fn shown(id: u64, user: &Map<String, Value>, manners: &Manners) -> Value {
    let mut out = rendered(id, user);
    if manners.nested
        && let Value::Object(parts) = &mut out
    {
        let (email, phone) = (parts.shift_remove("email"), parts.shift_remove("phone"));
        out["contact"] = json!({"mails": [{"address": email, "kind": "office"}], "numbers": {"work": phone}});
    }
    out
}

/// The fields of a record whose contact lies deep inside; what is sent of it replaces all of it.
fn unnested(mut user: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    if user.contains_key("email") || user.contains_key("phone") {
        return Err(bad("email and phone are parts of contact"));
    }
    if let Some(contact) = user.shift_remove("contact") {
        let text = |pointer: &str| contact.pointer(pointer).filter(|it| it.is_string()).cloned().unwrap_or(json!(""));
        user.insert("email".into(), text("/mails/0/address"));
        user.insert("phone".into(), text("/numbers/work"));
    }
    Ok(user)
}

/// The same answer, as nobody would expect it.
fn oddly(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let code = match response.status() {
        StatusCode::NO_CONTENT => {
            let mut gone = empty();
            *gone.status_mut() = StatusCode::FOUND;
            return gone;
        }
        status if status.is_success() => return response,
        status => status.as_u16(),
    };
    json_answer(StatusCode::OK, &json!({"fault": {"code": format!("E{code}")}}))
}

fn folded(user: &Map<String, Value>) -> String {
    user["username"].as_str().unwrap_or_default().to_lowercase()
}

/// A user as an answer holds one.
pub fn rendered(id: u64, user: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), json!(id.to_string()));
    for name in TEXTS {
        out.insert(name.into(), user.get(name).cloned().unwrap_or_else(|| json!("")));
    }
    out.insert("enabled".into(), user.get("enabled").cloned().unwrap_or(json!(true)));
    if let Some(groups) = user.get("groups") {
        out.insert("groups".into(), groups.clone());
    }
    out.insert("version".into(), user.get("version").cloned().unwrap_or(json!(0)));
    Value::Object(out)
}

/// 400.
pub fn bad(error: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, error.to_owned())
}

/// A refusal with its reason.
pub fn refuse(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    json_answer(status, &json!({ "error": error }))
}

/// 204.
pub fn empty() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A JSON answer.
pub fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
