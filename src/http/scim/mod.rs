//! A SCIM request, from the token to the answer (RFC 7644). Straight-line: authenticate, permit, parse, dialect, directory,
//! answer; [`Caller`] and [`Permit`] can be made only by the authenticator and the limiter, so no step can be skipped.

mod bulk;
pub mod explain;
mod groups;
mod handler;
pub mod locks;
mod membership;
pub mod people;
pub mod query;
mod shown;
mod sink;
mod unique;
pub mod view;
mod walk;
pub mod wording;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use self::groups::Groups;
use self::handler::Handler;
use self::people::{People, note_dropped, unknown_attributes};
use self::shown::preconditions;
use super::authenticate::{Caller, Unauthorized};
use super::error::{Cause, Refusal};
use super::gateway::{Gateway, Runtime};
use super::message::{Request, Response, SCIM_JSON, answer, empty};
use super::permit::Permit;
use super::record::Record;
use super::route::ScimRoute;
use crate::dialect::Dialect;
use crate::dialect::SecretForm;
use crate::limit::Group;
use crate::oauth::{Role, Scope};
use crate::ports::Directory as _;
use crate::scim::command::{Query, cursor_response, list_response};
use crate::scim::error::ScimError;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{ResourceType, cursor, schema};
use crate::store::Store;

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
    let dialect = &tenant.config.dialect;
    let mut response = outcome.unwrap_or_else(|refusal| refused(dialect, refusal, &request.request_id, record));
    if let Some(permit) = permit {
        permit.write(response.headers_mut());
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a refused request, or to one refused operation of a bulk request; the record is told why.
fn refused(dialect: &Dialect, refusal: Refusal, request_id: &str, record: &mut Record) -> Response {
    let (refusal, words) = wording::in_dialect(dialect, refusal);
    let throttled = matches!(refusal, Refusal::Limited(_));
    let mut limits = HeaderMap::new();
    if let Refusal::Limited(limited) = &refusal {
        limited.write(&mut limits);
    }
    if let Refusal::Scim(error) = &refusal {
        let kind = error.scim_type.map_or("", |kind| kind.as_str());
        record.notes.push(format!("refused {kind}"));
    }
    let (mut response, Cause(cause)) = refusal.into_response(request_id);
    record.cause = words.or(cause);
    if throttled {
        wording::throttled(dialect, &mut response);
    }
    response.headers_mut().extend(limits);
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
    let body_limit = gateway.snapshot.load().config.server.body_limit;
    let surface = Surface { store: &gateway.store, tenant, cursors: &gateway.cursors, body_limit, role: None };
    if is_public(tenant, route) {
        return discover(&surface, route, request);
    }
    let caller =
        gateway.authorization.authenticate(&tenant.config, &request.headers).await.map_err(Refusal::Unauthorized)?;
    record.actor = Some(caller.actor().to_owned());
    if discovery {
        return discover(&surface, route, request);
    }
    let read = route.is_read(&request.method);
    let group = if read { Group::Read } else { Group::Write };
    let count = if matches!(route, ScimRoute::Bulk) { bulk::cost(&surface, request) } else { 1 };
    let permit = permit.insert(
        Permit::ask(
            &tenant.limiter,
            tenant.config.limits.as_ref(),
            &tenant.limit_metrics,
            &caller,
            (count, group),
            gateway.clock.monotonic(),
            tenant.config.dialect.errors.throttle_code.as_deref(),
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
    let surface = Surface { role: caller.role(), ..surface };
    serve(&surface, route, request, record, &caller, permit).await
}

/// The work itself; it demands the proofs by type.
async fn serve(
    surface: &Surface<'_>,
    route: &ScimRoute,
    request: &Request,
    record: &mut Record,
    _caller: &Caller,
    _permit: &Permit,
) -> Result<Response, Refusal> {
    perform(surface, route, request, record).await
}

/// What a SCIM request works on.
pub struct Surface<'a> {
    /// The gateway's own state.
    pub store: &'a Store,
    /// Whose people and groups.
    pub tenant: &'a Runtime,
    /// What seals cursors.
    pub cursors: &'a cursor::Key,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
    /// The role of the administrator whose grant this is, if it is one's.
    pub role: Option<Role>,
}

impl Surface<'_> {
    const fn people(&self) -> People<'_> {
        People { store: self.store, tenant: self.tenant, role: self.role }
    }

    const fn groups(&self) -> Groups<'_> {
        Groups { store: self.store, tenant: self.tenant }
    }

    fn base(&self) -> &str {
        &self.tenant.config.scim_base
    }
}

/// Whether this tenant has groups: its dialect offers them, and its directory holds some.
fn offers_groups(tenant: &Runtime) -> bool {
    tenant.config.dialect.groups && tenant.directory.offers(ResourceType::Group)
}

/// What a query at the root looks at.
fn everything(tenant: &Runtime) -> &'static [ResourceType] {
    if offers_groups(tenant) { &ResourceType::ALL } else { &[ResourceType::User] }
}

/// The work without the proofs: for [`serve`], and for [`explain`], whose people are imagined.
async fn perform(
    surface: &Surface<'_>,
    route: &ScimRoute,
    request: &Request,
    record: &mut Record,
) -> Result<Response, Refusal> {
    let tenant = &surface.tenant.config;
    if let Some(text) = tenant.switches.refusal(&tenant.name) {
        return Err(ScimError::forbidden(text).into());
    }
    match (route, &request.method) {
        (ScimRoute::Bulk, &Method::POST) => {
            media_type(request)?;
            Box::pin(bulk::carry_out(surface, request, record)).await
        }
        // Boxed, since the futures of all that a request may do lie in one another otherwise, deeper than the compiler follows.
        _ => Box::pin(perform_one(surface, route, request, record)).await,
    }
}

/// A request that is about one thing: any but a bulk, and each operation of one.
async fn perform_one(
    surface: &Surface<'_>,
    route: &ScimRoute,
    request: &Request,
    record: &mut Record,
) -> Result<Response, Refusal> {
    use ResourceType::{Group, User};
    let get = matches!(request.method, Method::GET | Method::HEAD);
    let of = |kind| Handler { surface, kind, request };
    match (route, &request.method) {
        (ScimRoute::Groups | ScimRoute::GroupSearch | ScimRoute::Group(_), _) if !offers_groups(surface.tenant) => {
            no_groups(route, request)
        }
        (ScimRoute::Users, _) if get => list(surface, &[User], &query(request)?).await,
        (ScimRoute::Root, _) if get => list(surface, everything(surface.tenant), &query(request)?).await,
        (ScimRoute::Groups, _) if get => list(surface, &[Group], &query(request)?).await,
        (ScimRoute::Search | ScimRoute::GroupSearch | ScimRoute::RootSearch, &Method::POST) => {
            media_type(request)?;
            let kinds: &[_] = match route {
                ScimRoute::GroupSearch => &[Group],
                ScimRoute::RootSearch => everything(surface.tenant),
                _ => &[User],
            };
            list(surface, kinds, &Query::parse_search(&request.body)?).await
        }
        (ScimRoute::Users, &Method::POST) => of(User).create(record).await,
        (ScimRoute::Groups, &Method::POST) => of(Group).create(record).await,
        (ScimRoute::User(id), _) if get => of(User).read(id, record).await,
        (ScimRoute::Group(id), _) if get => of(Group).read(id, record).await,
        (ScimRoute::User(id), &Method::PUT) => of(User).replace(id, record).await,
        (ScimRoute::Group(id), &Method::PUT) => of(Group).replace(id, record).await,
        (ScimRoute::User(id), &Method::PATCH) => of(User).patch(id, record).await,
        (ScimRoute::Group(id), &Method::PATCH) => of(Group).patch(id, record).await,
        (ScimRoute::User(id), &Method::DELETE) => {
            surface.people().delete(id, &preconditions(&request.headers)?, record).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (ScimRoute::Group(id), &Method::DELETE) => {
            surface.groups().delete(id, &preconditions(&request.headers)?, record).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (ScimRoute::Me, _) => {
            Err(ScimError::new(501, None, "a provisioning token stands for no person, so there is no /Me").into())
        }
        (ScimRoute::Unknown, _) => {
            let base = surface.base();
            Err(ScimError::new(404, None, format!("there is nothing at this path; the SCIM base is {base}")).into())
        }
        (route, _) => Err(Refusal::MethodNotAllowed(route.allow())),
    }
}

/// Where there are no groups a query for them is still answered: 404 would fail Entra's Test Connection (entra.md §1.4).
fn no_groups(route: &ScimRoute, request: &Request) -> Result<Response, Refusal> {
    let query = match (route, &request.method) {
        (ScimRoute::Groups, &Method::GET | &Method::HEAD) => query(request)?,
        (ScimRoute::GroupSearch, &Method::POST) => {
            media_type(request)?;
            Query::parse_search(&request.body)?
        }
        (ScimRoute::GroupSearch, _) => return Err(Refusal::MethodNotAllowed(route.allow())),
        _ => {
            return Err(ScimError::new(404, None, "groups are not offered here; switch the group mapping off").into());
        }
    };
    Ok(respond(StatusCode::OK, &list_response(0, query.start_index, Vec::new())))
}

async fn list(surface: &Surface<'_>, kinds: &[ResourceType], query: &Query) -> Result<Response, Refusal> {
    let mut listed = surface.list(kinds, query).await?;
    surface.complete(&mut listed.page, &query.projection, None).await?;
    let base = surface.base();
    let resources: Vec<_> = listed.page.iter().map(|shown| shown.render(base, &query.projection)).collect();
    let body = match &query.cursor {
        None => list_response(listed.total.unwrap_or_default(), query.start_index, resources),
        Some(_) => cursor_response(listed.total, listed.next.as_deref(), resources),
    };
    Ok(respond(StatusCode::OK, &body))
}

/// The three discovery documents (RFC 7644 §4).
fn discover(surface: &Surface<'_>, route: &ScimRoute, request: &Request) -> Result<Response, Refusal> {
    let tenant = surface.tenant;
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Refusal::MethodNotAllowed(route.allow()));
    }
    let (base, dialect) = (&tenant.config.scim_base, &tenant.config.dialect);
    if query(request)?.filter.is_some() {
        // RFC 7644 §4: filters on these are answered with 403.
        return Err(ScimError::forbidden("discovery documents cannot be filtered").into());
    }
    let offered = |path: &str| {
        AttrPath::parse(path).is_ok_and(|path| dialect.offers(&path))
            && (offers_groups(tenant) || path.split('.').next() != Some("groups"))
    };
    let offer = schema::Offer { kinds: everything(tenant), declared: &tenant.config.schemas, attributes: &offered };
    let one = |list: &Value, id: &str| {
        let same = |one: &&Value| one["id"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(id));
        list["Resources"].as_array().and_then(|all| all.iter().find(same).cloned())
    };
    let document = match route {
        ScimRoute::Schemas(id) => match id {
            None => schema::schemas(base, &offer),
            Some(urn) => schema::schema(base, urn, &offer).ok_or_else(|| ScimError::not_found(urn))?,
        },
        ScimRoute::ResourceTypes(id) => {
            let all = schema::resource_types(base, &offer);
            match id {
                None => all,
                Some(name) => one(&all, name).ok_or_else(|| ScimError::not_found(name))?,
            }
        }
        _ => schema::service_provider_config(base, &schemes(tenant), &capabilities(surface)),
    };
    Ok(respond(StatusCode::OK, &document))
}

/// What is announced, and true.
fn capabilities(surface: &Surface<'_>) -> schema::Capabilities {
    schema::Capabilities {
        bulk: Some(bulk::limits(surface)),
        change_password: false,
        sort: true,
        etag: true,
        cursor: Some(cursor::LIFE),
    }
}

/// How a request proves itself, for `/ServiceProviderConfig` (RFC 7643 §5).
fn schemes(tenant: &Runtime) -> Vec<Value> {
    let bearer = json!({
        "type": "oauthbearertoken",
        "name": "OAuth Bearer Token",
        "description": "An access token of the tenant's authorization server, or a secret token where the tenant issues them",
        "specUri": "https://www.rfc-editor.org/info/rfc6750",
        "primary": true
    });
    let pair = tenant.config.dialect.secret_tokens.is_some_and(|tokens| tokens.form == SecretForm::Base64Pair);
    let basic = pair.then(|| {
        json!({
            "type": "httpbasic",
            "name": "HTTP Basic",
            "description": "The tenant's secret token as it is issued, sent as Basic",
            "specUri": "https://www.rfc-editor.org/info/rfc7617",
            "primary": false
        })
    });
    std::iter::once(bearer).chain(basic).collect()
}

fn query(request: &Request) -> Result<Query, Refusal> {
    Ok(Query::parse(request.query.as_deref().unwrap_or_default())?)
}

/// The resource in the body; what it names beside the known attributes is dropped and noted.
fn resource(tenant: &Runtime, kind: ResourceType, request: &Request, record: &mut Record) -> Result<Resource, Refusal> {
    let parsed = Resource::parse(kind, &request.body)?;
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

fn respond(status: StatusCode, body: &Value) -> Response {
    answer(status, SCIM_JSON, body.to_string())
}
