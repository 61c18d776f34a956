//! A SCIM request, from the token to the answer (RFC 7644). Straight-line: authenticate, permit, parse, dialect, directory,
//! answer; [`Caller`] and [`Permit`] can be made only by the authenticator and the limiter, so no step can be skipped.

pub mod explain;
pub mod locks;
pub mod people;
pub mod query;
pub mod view;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Value, json};

use self::people::{People, Person, note_dropped, unknown_attributes};
use super::authenticate::{Caller, Unauthorized};
use super::error::{Cause, Refusal};
use super::gateway::{Gateway, Runtime};
use super::message::{Request, Response, SCIM_JSON, answer, empty};
use super::permit::Permit;
use super::record::Record;
use super::route::ScimRoute;
use crate::limit::Group;
use crate::oauth::Scope;
use crate::ports::Entry;
use crate::scim::command::{Projection, Query, list_response};
use crate::scim::error::ScimError;
use crate::scim::patch;
use crate::scim::path::AttrPath;
use crate::scim::resource::{Meta, Resource};
use crate::scim::schema;

/// Answers one SCIM request; whatever goes wrong leaves as a SCIM error. `unread` is what was wrong with its body, if it could
/// not be read.
pub async fn handle(
    gateway: &Gateway,
    tenant: &Runtime,
    route: &ScimRoute,
    request: &Request,
    unread: Option<ScimError>,
    record: &mut Record,
) -> Response {
    let mut permit = None;
    let outcome = walk(gateway, tenant, route, request, unread, record, &mut permit).await;
    let mut response = outcome.unwrap_or_else(|refusal| {
        let mut limits = HeaderMap::new();
        if let Refusal::Limited(limited) = &refusal {
            limited.write(&mut limits);
        }
        if let Refusal::Scim(error) = &refusal {
            let kind = error.scim_type.map_or("", |kind| kind.as_str());
            record.notes.push(format!("refused {kind}"));
        }
        let (mut response, Cause(cause)) = refusal.into_response(&request.request_id);
        record.cause = cause;
        response.headers_mut().extend(limits);
        response
    });
    if let Some(permit) = permit {
        permit.write(response.headers_mut());
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the route is a discovery document: it draws on no budget.
const fn is_discovery(route: &ScimRoute) -> bool {
    matches!(route, ScimRoute::ServiceProviderConfig | ScimRoute::Schemas(_) | ScimRoute::ResourceTypes(_))
}

/// Whether the route answers without a token.
fn is_public(tenant: &Runtime, route: &ScimRoute) -> bool {
    matches!(route, ScimRoute::ServiceProviderConfig) || (is_discovery(route) && tenant.config.discovery_public)
}

async fn walk(
    gateway: &Gateway,
    tenant: &Runtime,
    route: &ScimRoute,
    request: &Request,
    unread: Option<ScimError>,
    record: &mut Record,
    permit: &mut Option<Permit>,
) -> Result<Response, Refusal> {
    let discovery = is_discovery(route);
    if is_public(tenant, route) {
        return discover(tenant, route, request);
    }
    let caller =
        gateway.authorization.authenticate(&tenant.config, &request.headers).await.map_err(Refusal::Unauthorized)?;
    record.actor = Some(caller.actor().to_owned());
    if discovery {
        return discover(tenant, route, request);
    }
    let read = route.is_read(&request.method);
    let group = if read { Group::Read } else { Group::Write };
    let permit = permit.insert(
        Permit::ask(
            &tenant.limiter,
            tenant.config.limits.as_ref(),
            &tenant.limit_metrics,
            &caller,
            group,
            gateway.clock.monotonic(),
            tenant.config.dialect.throttle_code,
        )
        .map_err(Refusal::Limited)?,
    );
    let scope = if read { Scope::Read } else { Scope::Write };
    if !caller.may(scope) {
        return Err(Refusal::Unauthorized(Unauthorized::insufficient_scope(scope)));
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    let people = People { store: &gateway.store, tenant };
    serve(&people, route, request, record, &caller, permit).await
}

/// The work itself; it demands the proofs by type.
async fn serve(
    people: &People<'_>,
    route: &ScimRoute,
    request: &Request,
    record: &mut Record,
    _caller: &Caller,
    _permit: &Permit,
) -> Result<Response, Refusal> {
    perform(people, route, request, record).await
}

/// The work without the proofs: for [`serve`], and for [`explain`], whose people are imagined.
async fn perform(
    people: &People<'_>,
    route: &ScimRoute,
    request: &Request,
    record: &mut Record,
) -> Result<Response, Refusal> {
    let (tenant, base) = (people.tenant, people.tenant.config.scim_base.as_str());
    let get = matches!(request.method, Method::GET | Method::HEAD);
    match (route, &request.method) {
        (ScimRoute::Users, _) if get => list(people, &query(request)?, base).await,
        (ScimRoute::Search, &Method::POST) => {
            media_type(request)?;
            list(people, &Query::parse_search(&request.body)?, base).await
        }
        (ScimRoute::Users, &Method::POST) => {
            media_type(request)?;
            let projection = query(request)?.projection;
            let sent = resource(tenant, request, record)?;
            let person = people.create(sent, record).await?;
            let location = location(base, &person.entry.key);
            let mut response = respond(StatusCode::CREATED, &render(&person, base, &projection));
            response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
            Ok(response)
        }
        (ScimRoute::User(id), _) if get => {
            let person = people.read(id).await?;
            record.target = Some(person.entry.key.clone());
            Ok(respond(StatusCode::OK, &render(&person, base, &query(request)?.projection)))
        }
        (ScimRoute::User(id), &Method::PUT) => {
            media_type(request)?;
            let projection = query(request)?.projection;
            let sent = resource(tenant, request, record)?;
            let person = people.replace(id, sent, record).await?;
            Ok(respond(StatusCode::OK, &render(&person, base, &projection)))
        }
        (ScimRoute::User(id), &Method::PATCH) => {
            media_type(request)?;
            let projection = query(request)?.projection;
            let person = people.patch(id, &patch::parse(&request.body)?, record).await?;
            Ok(respond(StatusCode::OK, &render(&person, base, &projection)))
        }
        (ScimRoute::User(id), &Method::DELETE) => {
            people.delete(id, record).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        // A user-only service still answers a query for groups: 404 would fail Entra's Test Connection (entra.md §1.4).
        (ScimRoute::Groups, _) if get => {
            Ok(respond(StatusCode::OK, &list_response(0, query(request)?.start_index, Vec::new())))
        }
        (ScimRoute::GroupSearch, &Method::POST) => {
            media_type(request)?;
            let start = Query::parse_search(&request.body)?.start_index;
            Ok(respond(StatusCode::OK, &list_response(0, start, Vec::new())))
        }
        (ScimRoute::Groups | ScimRoute::Group, _) => {
            Err(ScimError::new(404, None, "groups are not offered here; switch the group mapping off").into())
        }
        (ScimRoute::Bulk, &Method::POST) => {
            Err(ScimError::new(501, None, "bulk operations are not offered; send the requests one by one").into())
        }
        (ScimRoute::Me, _) => {
            Err(ScimError::new(501, None, "a provisioning token stands for no person, so there is no /Me").into())
        }
        (ScimRoute::Unknown, _) => {
            Err(ScimError::new(404, None, format!("there is nothing at this path; the SCIM base is {base}")).into())
        }
        (route, _) => Err(Refusal::MethodNotAllowed(route.allow())),
    }
}

async fn list(people: &People<'_>, query: &Query, base: &str) -> Result<Response, Refusal> {
    let listed = people.list(query).await?;
    let resources = listed.people.iter().map(|person| render(person, base, &query.projection)).collect();
    Ok(respond(StatusCode::OK, &list_response(listed.total, query.start_index, resources)))
}

/// The three discovery documents (RFC 7644 §4).
fn discover(tenant: &Runtime, route: &ScimRoute, request: &Request) -> Result<Response, Refusal> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Refusal::MethodNotAllowed(route.allow()));
    }
    let (base, dialect) = (&tenant.config.scim_base, tenant.config.dialect);
    if query(request)?.filter.is_some() {
        // RFC 7644 §4: filters on these are answered with 403.
        return Err(ScimError::forbidden("discovery documents cannot be filtered").into());
    }
    let offered = |path: &str| AttrPath::parse(path).is_ok_and(|path| dialect.offers(&path));
    let one = |list: &Value, id: &str| {
        let same = |one: &&Value| one["id"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(id));
        list["Resources"].as_array().and_then(|all| all.iter().find(same).cloned())
    };
    let document = match route {
        ScimRoute::Schemas(id) => match id {
            None => schema::schemas(base, &offered),
            Some(urn) => schema::schema(base, urn, &offered).ok_or_else(|| ScimError::not_found(urn))?,
        },
        ScimRoute::ResourceTypes(id) => {
            let all = schema::resource_types(base, &offered);
            match id {
                None => all,
                Some(name) => one(&all, name).ok_or_else(|| ScimError::not_found(name))?,
            }
        }
        _ => schema::service_provider_config(base, &[bearer_scheme()]),
    };
    Ok(respond(StatusCode::OK, &document))
}

/// How a request proves itself, for `/ServiceProviderConfig` (RFC 7643 §5).
fn bearer_scheme() -> Value {
    json!({
        "type": "oauthbearertoken",
        "name": "OAuth Bearer Token",
        "description": "An access token of the tenant's authorization server, or a secret token where the tenant issues them",
        "specUri": "https://www.rfc-editor.org/info/rfc6750",
        "primary": true
    })
}

fn query(request: &Request) -> Result<Query, Refusal> {
    Ok(Query::parse(request.query.as_deref().unwrap_or_default())?)
}

/// The resource in the body; what it names beside the known attributes is dropped and noted.
fn resource(tenant: &Runtime, request: &Request, record: &mut Record) -> Result<Resource, Refusal> {
    let parsed = Resource::parse(&request.body)?;
    note_dropped(&parsed.dropped, record);
    if tenant.config.strict_attributes && !parsed.dropped.is_empty() {
        return Err(unknown_attributes(&parsed.dropped).into());
    }
    Ok(parsed.resource)
}

/// SCIM's own media type and plain JSON are taken, in UTF-8; so is silence, since some clients send none.
fn media_type(request: &Request) -> Result<(), Refusal> {
    let refuse = || {
        Err(ScimError::new(415, None, "send the body as application/scim+json (or application/json) in UTF-8").into())
    };
    let Some(value) = request.headers.get(header::CONTENT_TYPE).filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let Ok(value) = value.to_str() else { return refuse() };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if !essence.eq_ignore_ascii_case(SCIM_JSON) && !essence.eq_ignore_ascii_case("application/json") {
        return refuse();
    }
    let foreign = parts.filter_map(|part| part.split_once('=')).any(|(name, charset)| {
        let charset = charset.trim().trim_matches('"');
        let utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name));
        name.trim().eq_ignore_ascii_case("charset") && !utf8
    });
    if foreign { refuse() } else { Ok(()) }
}

/// What cannot stand in a path segment as it is (RFC 3986 §2.3 names what can).
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn location(base: &str, key: &str) -> String {
    let key = percent_encoding::utf8_percent_encode(key, &ESCAPED);
    format!("{base}/Users/{key}")
}

fn render(person: &Person, base: &str, projection: &Projection) -> Value {
    let location = location(base, &person.entry.key);
    person.seen.render(meta(person, &location), projection)
}

/// What the server itself says of a person. No version: ETags are not offered.
fn meta<'a>(person: &'a Person, location: &'a str) -> Meta<'a> {
    let Entry { key, created, modified, .. } = &person.entry;
    Meta { id: key, location, created: *created, modified: *modified, version: None }
}

fn respond(status: StatusCode, body: &Value) -> Response {
    answer(status, SCIM_JSON, body.to_string())
}
