//! The stages in words. What they tell comes from the parsers, rules and policies that the request met on its way.

use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use super::Supposed;
use crate::config::Tenant;
use crate::dialect::{Dialect, OnDelete, OnDisable, OnExisting, Visibility};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::http::message::Request;
use crate::http::record::Record;
use crate::http::route::ScimRoute;
use crate::http::scim::query::{Plan, plan};
use crate::http::scim::{is_discovery, is_public, media_type, offers_groups, query};
use crate::limit::Group;
use crate::scim::command::{Projection, Query};
use crate::scim::members::{self, Intent};
use crate::scim::patch::{self, Op, Operation};
use crate::scim::path::AttrPath;
use crate::scim::resource::{Resource, ResourceType};

/// The route: whose it is, and what the path means.
pub fn routed(tenant: &Tenant, route: &ScimRoute, request: &Request) -> Vec<String> {
    let group = if route.is_read(&request.method) { "a read" } else { "a write" };
    let post = request.method == Method::POST;
    let meaning = match route {
        ScimRoute::Users if post => "a person is to be created".into(),
        ScimRoute::Users | ScimRoute::Search => "a query for people".into(),
        ScimRoute::Root | ScimRoute::RootSearch => "a query for people and groups".into(),
        ScimRoute::User(id) => format!("the person with the id {id}"),
        ScimRoute::Groups if post => "a group is to be created".into(),
        ScimRoute::Groups | ScimRoute::GroupSearch => "a query for groups".into(),
        ScimRoute::Group(id) => format!("the group with the id {id}"),
        ScimRoute::ServiceProviderConfig | ScimRoute::Schemas(_) | ScimRoute::ResourceTypes(_) => {
            "a discovery document".into()
        }
        ScimRoute::Bulk => "bulk operations".into(),
        ScimRoute::Me => "the caller's own person".into(),
        ScimRoute::Unknown => "nothing that is known".into(),
    };
    vec![
        format!("tenant {}, dialect {} ({})", tenant.name, tenant.dialect.name, tenant.dialect.title),
        format!("SCIM base {}", tenant.scim_base),
        format!("{} {}: {meaning}; {group}", request.method, request.path),
    ]
}

/// The doors there are; the token itself is neither checked nor shown.
pub fn authenticated(runtime: &Runtime, route: &ScimRoute, headers: &HeaderMap) -> Vec<String> {
    if is_public(runtime, route) {
        return vec!["none needed: this document is public".to_owned()];
    }
    let dialect = &runtime.config.dialect;
    let mut lines = Vec::new();
    if dialect.oauth {
        let path = dialect.oauth_alias.as_deref().unwrap_or("oauth");
        lines.push(format!(
            "door: OAuth 2.0 authorization code at {}/{path}/authorize, access token as Bearer",
            runtime.config.issuer
        ));
    }
    if let Some(tokens) = dialect.secret_tokens {
        let single = if tokens.single { ", one at a time" } else { "" };
        lines.push(format!("door: a static secret token as Bearer{single}"));
    }
    if let Some(protected) = &dialect.protected {
        lines.push(format!(
            "people with {} in {} are changed only by the grant of a super_user; it is explained as if this were one",
            protected.values.join(", "),
            protected.attribute
        ));
    }
    let scope = if is_discovery(route) { "" } else { "; its scope must cover the request" };
    lines.push(match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let scheme = value.to_str().ok().and_then(|value| value.split_whitespace().next()).unwrap_or_default();
            let scheme = ["Bearer", "Basic"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme)).unwrap_or("?");
            format!("the request carries {scheme} …, which is not checked here{scope}")
        }
        None => "the request carries no Authorization header, so the gateway would answer 401; it is explained as if a valid token were there".into(),
    });
    lines
}

/// The budget that the request draws on.
pub fn limited(tenant: &Tenant, route: &ScimRoute, method: &Method) -> Vec<String> {
    if is_discovery(route) {
        return vec!["none: discovery documents draw on no budget".to_owned()];
    }
    let group = if route.is_read(method) { Group::Read } else { Group::Write };
    let Some((policy, quota)) = tenant.limits.and_then(|policy| Some((policy, policy.quota(group)?))) else {
        return vec![format!("group {}: unlimited", group.as_str())];
    };
    let mut lines = vec![format!(
        "group {}: {} requests in {} for each grant or secret token",
        group.as_str(),
        quota.requests,
        seconds(quota.window)
    )];
    if !policy.penalty.duration.is_zero() {
        let extend = if policy.penalty.extend { "; each further request starts that anew" } else { "" };
        lines.push(format!(
            "beyond: 429, and everything of this budget is refused for {}{extend}",
            seconds(policy.penalty.duration)
        ));
    }
    if policy.shadow {
        lines.push("shadow: counted and reported, nothing is refused".to_owned());
    }
    lines
}

fn seconds(span: std::time::Duration) -> String {
    format!("{} s", span.as_secs_f64())
}

/// Whether the route is about people.
pub const fn addresses_people(route: &ScimRoute) -> bool {
    matches!(route, ScimRoute::Users | ScimRoute::User(_) | ScimRoute::Search | ScimRoute::RootSearch | ScimRoute::Root)
}

/// Whether the route is about groups.
pub const fn addresses_groups(route: &ScimRoute) -> bool {
    matches!(route, ScimRoute::Groups | ScimRoute::Group(_) | ScimRoute::GroupSearch)
}

/// The request as understood.
pub fn parsed(runtime: &Runtime, route: &ScimRoute, request: &Request) -> Result<Vec<String>, Refusal> {
    let get = matches!(request.method, Method::GET | Method::HEAD);
    let kind = if addresses_groups(route) { ResourceType::Group } else { ResourceType::User };
    if kind == ResourceType::Group && !offers_groups(runtime) {
        return Ok(vec!["groups are not offered: a query finds none".to_owned()]);
    }
    match (route, &request.method) {
        (ScimRoute::Users | ScimRoute::Groups | ScimRoute::Root, _) if get => queried(runtime, kind, &query(request)?),
        (ScimRoute::Search | ScimRoute::GroupSearch | ScimRoute::RootSearch, &Method::POST) => {
            media_type(request)?;
            queried(runtime, kind, &Query::parse_search(&request.body)?)
        }
        (ScimRoute::Users | ScimRoute::Groups, &Method::POST)
        | (ScimRoute::User(_) | ScimRoute::Group(_), &Method::PUT) => {
            media_type(request)?;
            let mut lines = projected(&query(request)?.projection);
            let parsed = Resource::parse(kind, &request.body)?;
            lines.push(format!("resource, in canonical names: {:#}", Value::Object(parsed.resource.into_map())));
            if !parsed.dropped.is_empty() {
                lines.push(format!("unknown to every schema, dropped: {}", parsed.dropped.join(", ")));
            }
            Ok(lines)
        }
        (ScimRoute::User(_), &Method::PATCH) => {
            media_type(request)?;
            let mut lines = projected(&query(request)?.projection);
            lines.extend(patch::parse(&request.body)?.iter().map(operation));
            Ok(lines)
        }
        (ScimRoute::Group(_), &Method::PATCH) => {
            media_type(request)?;
            let mut lines = projected(&query(request)?.projection);
            let (operations, intents) = members::split(patch::parse(&request.body)?)?;
            lines.extend(operations.iter().map(operation));
            lines.extend(intents.iter().map(intent));
            Ok(lines)
        }
        (ScimRoute::User(_) | ScimRoute::Group(_), _) if get => {
            let lines = projected(&query(request)?.projection);
            Ok(if lines.is_empty() { vec!["all attributes are wanted".to_owned()] } else { lines })
        }
        (ScimRoute::User(_) | ScimRoute::Group(_), &Method::DELETE) => {
            Ok(vec!["a body, if any, is not looked at".to_owned()])
        }
        (ScimRoute::Bulk, &Method::POST) => Ok(vec![
            "each operation goes the way of a request of its own, and takes one of the write budget".to_owned(),
        ]),
        (route, _) if is_discovery(route) => Ok(vec!["made from the schemas and what the dialect offers".to_owned()]),
        _ => Err(Refusal::MethodNotAllowed(route.allow())),
    }
}

/// A wish about members.
fn intent(intent: &Intent) -> String {
    match intent {
        Intent::Add(members) => {
            let keys: Vec<_> = members.iter().map(|member| member.key.as_str()).collect();
            format!("members to add: {}", keys.join(", "))
        }
        Intent::Remove(keys) => format!("members to remove: {}", keys.join(", ")),
        Intent::RemoveAll => "all members are to be removed; they are read for that".to_owned(),
        Intent::Replace(members) => {
            let keys: Vec<_> = members.iter().map(|member| member.key.as_str()).collect();
            format!("members, those and no others; who is one now is read for that: {}", keys.join(", "))
        }
        Intent::RemoveMatching(filter) => format!("members to remove, read and filtered for that: {filter}"),
    }
}

fn queried(runtime: &Runtime, kind: ResourceType, query: &Query) -> Result<Vec<String>, Refusal> {
    let (all, one) = match kind {
        ResourceType::User => ("everybody", "person"),
        ResourceType::Group => ("every group", "group"),
    };
    let count = query.count.map_or_else(|| "the default count".to_owned(), |count| format!("count {count}"));
    let mut lines = vec![match query.cursor {
        None => format!("startIndex {}, {count}", query.start_index),
        Some(_) => format!("by cursor, {count}"),
    }];
    if let Some(sort) = &query.sort {
        let order = if sort.descending { "descending" } else { "ascending" };
        lines.push(format!("sorted by {}, {order}: everything that matches is looked at, up to a bound", sort.by));
    }
    lines.extend(projected(&query.projection));
    let Some(filter) = query.filter.clone() else {
        lines.push(match plan(runtime, kind, None) {
            Plan::Native => "no filter: the directory gives the page".to_owned(),
            _ => format!("no filter: {all} in the directory is looked at, since some are hidden by the dialect"),
        });
        return Ok(lines);
    };
    lines.push(format!("filter: {filter}"));
    let filter = runtime.config.dialect.filter(filter)?;
    let translated = filter.to_string();
    if lines.last().is_none_or(|line| *line != format!("filter: {translated}")) {
        lines.push(format!("in the schema's words: {translated}"));
    }
    lines.push(match plan(runtime, kind, Some(&filter)) {
        Plan::Nobody => format!("answered without the directory: no {one} has this attribute"),
        Plan::Id(id) => format!("answered by reading the {one} with the id {id}"),
        Plan::ExternalId(_) => {
            "answered from the gateway's own memory of externalId, which the directory cannot hold".into()
        }
        Plan::Equal { path, value } => format!("the directory answers {path} eq {} by itself", json!(value)),
        Plan::Holders(key) => format!("the directory says which groups hold {key}"),
        Plan::MembersOf(key) => format!("the directory says who is in the group {key}"),
        Plan::Native | Plan::Scan => {
            format!("the directory answers no part of it: {all} is looked at, up to a bound")
        }
    });
    lines.push(format!("the gateway then checks the whole filter on each {one} found, so the answer is exact"));
    Ok(lines)
}

fn projected(projection: &Projection) -> Vec<String> {
    let names = |paths: &[AttrPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    if !projection.attributes.is_empty() {
        lines.push(format!("attributes wanted: {}", names(&projection.attributes)));
    }
    if !projection.excluded.is_empty() {
        lines.push(format!("attributes not wanted: {}", names(&projection.excluded)));
    }
    lines
}

fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Malformed(refused) => format!("not understood: {}", refused.error.detail),
        Operation::Change(change) => {
            let op = match change.op {
                Op::Add => "add",
                Op::Replace => "replace",
                Op::Remove => "remove",
            };
            let value = if change.value.is_null() { String::new() } else { format!(" = {}", change.value) };
            format!("operation {}: {op} {}{value}", change.number, change.path)
        }
    }
}

/// What becomes of a request about groups: of them the dialects say no more than whether there are any.
pub fn judged_group(request: &Request, group: &Supposed, record: &Record, refusal: Option<String>) -> Vec<String> {
    let mut lines: Vec<String> = group.line.iter().chain(&record.notes).cloned().collect();
    match (refusal, &request.method) {
        (Some(detail), _) => lines.push(format!("refused: {detail}")),
        (None, &Method::GET | &Method::HEAD) => {}
        (None, _) => lines.push("accepted".to_owned()),
    }
    let about_members = match request.method {
        Method::PATCH => Some("members are added and removed; who else is one is neither read nor answered"),
        Method::PUT => Some("silence about members keeps them; a list replaces them, an empty one removes all"),
        _ => None,
    };
    lines.extend(about_members.map(str::to_owned));
    lines
}

/// The dialect's verdict, and what its words mean.
pub fn judged(
    dialect: &Dialect,
    route: &ScimRoute,
    request: &Request,
    person: &Supposed,
    record: &Record,
    refusal: Option<String>,
) -> Vec<String> {
    let mut lines: Vec<String> = person.line.iter().cloned().collect();
    lines.extend(record.notes.iter().cloned());
    if let Some(detail) = refusal {
        lines.push(format!("refused: {detail}"));
    } else if !route.is_read(&request.method) {
        lines.push("accepted".to_owned());
    }
    match request.method {
        Method::POST if matches!(route, ScimRoute::Users) => {
            lines.push(match dialect.on_existing {
                OnExisting::Conflict => "somebody of this userName who is there already: 409 uniqueness".into(),
                OnExisting::Link => {
                    "somebody of this userName who is there already is linked: changed, and answered 201 with their id"
                        .into()
                }
            });
            if dialect.revives {
                lines.push("somebody whom a DELETE put aside is taken up again under the same id".to_owned());
            }
        }
        Method::PUT | Method::PATCH => lines.push(match dialect.on_disable {
            OnDisable::Disable => "active false disables the person in the directory".into(),
            OnDisable::Unlink => "active false ends the link; the account in the directory stays as it is".into(),
            OnDisable::Delete => "active false removes the person from the directory".into(),
        }),
        Method::DELETE => lines.push(match dialect.on_delete {
            OnDelete::Delete => "DELETE removes the person from the directory".into(),
            OnDelete::Deactivate => {
                "DELETE disables the person in the directory and keeps their data; to the client they are gone".into()
            }
            OnDelete::Unlink => {
                "DELETE ends the link; the account in the directory stays as it is; to the client they are gone".into()
            }
        }),
        _ => lines.push(match dialect.visibility {
            Visibility::Everyone => {
                "everybody in the directory is visible, with the attributes the dialect offers".into()
            }
            Visibility::Managed => {
                "only those whom provisioning has created or linked are visible, with the attributes the dialect offers"
                    .into()
            }
        }),
    }
    lines
}
