//! The groups of the sample user system, when it is told to have some: the real one has none. In every form in which a REST
//! interface keeps who is in them: calls about members, a list in the group's record, a field of the person's.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::legacy::Manners;
use super::people::{Refusal, bad, empty, json_answer, parsed};

/// `("user", 17)`.
type Key = (&'static str, u64);

/// One group.
#[derive(Default)]
pub struct Group {
    pub fields: Map<String, Value>,
    pub members: Vec<Key>,
    pub version: u64,
}

/// All of them, by id.
#[derive(Default)]
pub struct Groups {
    pub by_id: BTreeMap<u64, Group>,
    last: u64,
}

impl Groups {
    /// Answers a request below `/groups`. `people` are those who are there.
    pub fn carry_out(
        &mut self,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        body: &[u8],
        manners: &Manners,
        people: &BTreeSet<u64>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let path = uri.path().strip_prefix("/groups").unwrap_or_default();
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect();
        let number = |text: &str| text.parse::<u64>().map_err(|_| missing());
        let there = |id: u64| self.by_id.contains_key(&id).then_some(id).ok_or_else(missing);
        match (method.as_str(), steps.as_slice()) {
            ("GET", []) => {
                let member = query.get("member").map(|id| (kind(query.get("type").map(String::as_str)), number(id)));
                let matches = |group: &Group| {
                    query.get("name").is_none_or(|name| text(group, "name").to_lowercase() == name.to_lowercase())
                        && member
                            .as_ref()
                            .is_none_or(|(kind, id)| id.as_ref().is_ok_and(|id| group.members.contains(&(*kind, *id))))
                };
                let found = self.by_id.iter().filter(|(_, group)| matches(group));
                Ok(paged(found.map(|(id, group)| rendered(*id, group, manners)).collect(), &query))
            }
            ("POST", []) => {
                let id = self.last + 1;
                let group = self.checked(id, parsed(body)?, Group::default(), manners, people)?;
                self.last = id;
                self.by_id.insert(id, group);
                Ok(self.one(StatusCode::CREATED, id, manners))
            }
            ("GET", [id]) => Ok(self.one(StatusCode::OK, there(number(id)?)?, manners)),
            ("DELETE", [id]) => {
                let id = there(number(id)?)?;
                self.by_id.remove(&id);
                self.left("group", id);
                Ok(empty())
            }
            ("PUT" | "PATCH", [id]) => {
                let id = there(number(id)?)?;
                let held = &self.by_id[&id];
                let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
                if tag.is_some_and(|tag| tag != tag_of(held)) {
                    return Err((StatusCode::PRECONDITION_FAILED, "it was changed meanwhile".into()));
                }
                let mut fields = parsed(body)?;
                if let Some(version) = fields.shift_remove("version")
                    && version != held.version
                {
                    return Err((StatusCode::CONFLICT, "it was changed meanwhile".into()));
                }
                let base = match method {
                    &Method::PUT => Group { version: held.version, ..Group::default() },
                    _ => Group { fields: held.fields.clone(), members: held.members.clone(), version: held.version },
                };
                let group = self.checked(id, fields, base, manners, people)?;
                let held = &self.by_id[&id];
                let changed = group.fields != held.fields || group.members != held.members;
                self.by_id.insert(id, Group { version: group.version + u64::from(changed), ..group });
                Ok(self.one(StatusCode::OK, id, manners))
            }
            ("GET", [id, "members"]) => {
                let group = &self.by_id[&there(number(id)?)?];
                Ok(paged(group.members.iter().map(|member| entry(*member)).collect(), &query))
            }
            ("POST", [id, "members"] | [id, "members", "remove"]) => {
                let id = there(number(id)?)?;
                let mut sent = parsed(body)?;
                let list = match sent.shift_remove("members") {
                    Some(Value::Array(list)) => list,
                    _ => vec![Value::Object(sent)],
                };
                let adds = steps.len() == 2;
                let members =
                    list.iter().map(|entry| self.member(entry, people, adds)).collect::<Result<Vec<_>, _>>()?;
                if adds && members.iter().any(|member| self.by_id[&id].members.contains(member)) && members.len() == 1 {
                    return Err((StatusCode::CONFLICT, "is a member already".into()));
                }
                self.edit(id, |held| {
                    for member in members {
                        if !adds {
                            held.retain(|other| *other != member);
                        } else if !held.contains(&member) {
                            held.push(member);
                        }
                    }
                });
                Ok(empty())
            }
            ("GET" | "DELETE", [id, "members", member]) => {
                let id = there(number(id)?)?;
                let member = (kind(query.get("type").map(String::as_str)), number(member)?);
                if !self.by_id[&id].members.contains(&member) {
                    return Err((StatusCode::NOT_FOUND, "is no member".into()));
                }
                if method == Method::DELETE {
                    self.edit(id, |held| held.retain(|other| *other != member));
                }
                Ok(empty())
            }
            _ => Err(missing()),
        }
    }

    fn one(&self, status: StatusCode, id: u64, manners: &Manners) -> Response<Full<Bytes>> {
        let group = &self.by_id[&id];
        let mut response = json_answer(status, &rendered(id, group, manners));
        response.headers_mut().insert(header::ETAG, HeaderValue::from_str(&tag_of(group)).expect("a tag"));
        response
    }

    fn edit(&mut self, id: u64, change: impl FnOnce(&mut Vec<Key>)) {
        let group = self.by_id.get_mut(&id).expect("a group that is there");
        let before = group.members.clone();
        change(&mut group.members);
        group.version += u64::from(group.members != before);
    }

    /// Puts a group in place, a new one without an id, and gives its id; `None` when its name is taken.
    pub fn keep(&mut self, id: Option<u64>, fields: Map<String, Value>, members: Vec<Key>) -> Option<u64> {
        let mut group = Group { fields, members, version: 0 };
        let id = id.unwrap_or(self.last + 1);
        let name = text(&group, "name").to_lowercase();
        if self.by_id.iter().any(|(other, held)| *other != id && text(held, "name").to_lowercase() == name) {
            return None;
        }
        if let Some(held) = self.by_id.get(&id) {
            let changed = group.fields != held.fields || group.members != held.members;
            group.version = held.version + u64::from(changed);
        }
        self.last = self.last.max(id);
        self.by_id.insert(id, group);
        Some(id)
    }

    /// Somebody is gone, and with them their part in groups.
    pub fn left(&mut self, kind: &'static str, id: u64) {
        let ids: Vec<u64> = self.by_id.keys().copied().collect();
        for group in ids {
            self.edit(group, |held| held.retain(|member| *member != (kind, id)));
        }
    }

    fn checked(
        &self,
        id: u64,
        fields: Map<String, Value>,
        base: Group,
        manners: &Manners,
        people: &BTreeSet<u64>,
    ) -> Result<Group, Refusal> {
        let mut group = base;
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("members", Value::Array(list)) if manners.listed_members => {
                    group.members =
                        list.iter().map(|entry| self.member(entry, people, true)).collect::<Result<_, _>>()?;
                }
                ("name" | "external_id", value @ Value::String(_)) => {
                    group.fields.insert(name, value);
                }
                _ => return Err(bad(&format!("{name} is no field, or not as it must be"))),
            }
        }
        let name = text(&group, "name").to_lowercase();
        if name.is_empty() {
            return Err(bad("name is required"));
        }
        if self.by_id.iter().any(|(other, held)| *other != id && text(held, "name").to_lowercase() == name) {
            return Err((StatusCode::CONFLICT, "name already taken".into()));
        }
        Ok(group)
    }

    fn member(&self, entry: &Value, people: &BTreeSet<u64>, must_be_there: bool) -> Result<Key, Refusal> {
        let id = entry["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| bad("a member has no id"))?;
        let kind = kind(entry["type"].as_str());
        let there = if kind == "user" { people.contains(&id) } else { self.by_id.contains_key(&id) };
        if must_be_there && !there {
            return Err(bad("a member does not exist"));
        }
        Ok((kind, id))
    }
}

fn kind(word: Option<&str>) -> &'static str {
    if word == Some("group") { "group" } else { "user" }
}

fn text<'g>(group: &'g Group, name: &str) -> &'g str {
    group.fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn tag_of(group: &Group) -> String {
    format!("\"v{}\"", group.version)
}

fn entry((kind, id): Key) -> Value {
    json!({"id": id.to_string(), "type": kind})
}

fn rendered(id: u64, group: &Group, manners: &Manners) -> Value {
    let external = text(group, "external_id");
    let mut out =
        json!({"id": id.to_string(), "name": text(group, "name"), "external_id": external, "version": group.version});
    if manners.listed_members {
        out["members"] = group.members.iter().map(|member| entry(*member)).collect();
    }
    out
}

/// One page, and how many there are in all.
pub fn paged(all: Vec<Value>, query: &BTreeMap<String, String>) -> Response<Full<Bytes>> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let total = all.len();
    let page = all.into_iter().skip(number("offset").unwrap_or(0)).take(number("limit").unwrap_or(1000));
    json_answer(StatusCode::OK, &json!({"total": total, "items": page.collect::<Vec<_>>()}))
}

fn missing() -> Refusal {
    (StatusCode::NOT_FOUND, "no such group".into())
}
