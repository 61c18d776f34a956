//! One request, end to end: id, route, body, handler, log line, audit record.
//!
//! The configuration is one immutable snapshot; a request keeps the one it started with (design decision 12).

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::error::Refusal;
use super::message::{Request, Response, answer};
use super::oauth::AuthorizationServer;
use super::permit::LimitMetrics;
use super::record::{self, Heading, Record, RequestIds, RequestMetrics};
use super::route::{self, Endpoint, Route};
use super::scim::locks::Locks;
use super::{console, managed, page, scim};
use crate::config::{self, Config};
use crate::directory;
use crate::limit::Limiter;
use crate::scim::cursor;
use crate::scim::error::ScimError;
use crate::store::Store;
use crate::types::Clock;

/// Answers paths outside every tenant: the demo's page.
pub type Site = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// One tenant as it runs. What counts or locks outlives a reload of the configuration.
pub struct Runtime {
    /// Its part of the snapshot.
    pub config: Arc<config::Tenant>,
    /// The connection to its user system.
    pub directory: Arc<directory::Any>,
    /// The budgets of its callers.
    pub limiter: Arc<Limiter>,
    /// Handles of the limit metrics.
    pub limit_metrics: Arc<LimitMetrics>,
    /// One change to a person at a time.
    pub locks: Arc<Locks>,
    /// Handles of the request metrics.
    pub metrics: Arc<RequestMetrics>,
}

/// Everything a request needs that configuration decides.
pub struct Snapshot {
    /// The configuration.
    pub config: Arc<Config>,
    /// By name.
    pub tenants: HashMap<String, Arc<Runtime>>,
    /// A tenant's own host names.
    pub hosts: HashMap<String, Arc<Runtime>>,
}

/// The running gateway.
pub struct Gateway {
    /// The snapshot in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The gateway's own state.
    pub store: Store,
    /// The authorization servers of all tenants.
    pub authorization: AuthorizationServer,
    /// What seals the cursors of lists.
    pub cursors: cursor::Key,
    /// Time.
    pub clock: Clock,
    /// Names requests.
    pub request_ids: Arc<RequestIds>,
    /// The demo's page.
    pub site: Option<Site>,
    /// Metrics of requests outside any tenant.
    pub metrics: RequestMetrics,
    /// Changes under way, whether or not their client still waits.
    pub changes: TaskTracker,
}

/// Where a path leads.
enum Destination {
    Tenant(Arc<Runtime>, Route),
    Site,
    Nowhere(Form, &'static str),
}

/// In which form a refusal outside a handler leaves: the one its reader parses.
#[derive(Clone, Copy)]
enum Form {
    Scim,
    OAuth,
    Page,
}

impl Form {
    fn of(route: &Route) -> Self {
        match route {
            Route::Scim(_) => Self::Scim,
            Route::OAuth(Endpoint::Authorize | Endpoint::SignOut | Endpoint::Callback) | Route::Console => Self::Page,
            Route::OAuth(_) | Route::Managed(_) => Self::OAuth,
        }
    }

    /// A guess for paths that lead nowhere.
    fn guess(path: &str) -> Self {
        if path.contains("/scim") {
            Self::Scim
        } else if path.contains("/oauth/") || path.starts_with("/.well-known/") {
            Self::OAuth
        } else {
            Self::Page
        }
    }

    fn refuse_as(self, error: &ScimError, request_id: &str) -> Response {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        self.refuse(status, &error.detail, request_id)
    }

    fn refuse(self, status: StatusCode, text: &str, request_id: &str) -> Response {
        match self {
            Self::Scim => Refusal::Scim(ScimError::new(status.as_u16(), None, text)).into_response(request_id).0,
            Self::OAuth => {
                let body = serde_json::json!({ "error": "invalid_request", "error_description": text });
                answer(status, "application/json", body.to_string())
            }
            Self::Page => {
                let hint = format!("Request {request_id}");
                page::refusal(status, text, Some(&hint))
            }
        }
    }
}

impl Gateway {
    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: http::Request<Incoming>, peer: IpAddr) -> Response {
        let started = self.clock.monotonic();
        let at = self.clock.now();
        let request_id = self.request_ids.next(at);
        let snapshot = self.snapshot.load_full();
        let destination = find(&snapshot, self.site.is_some(), &request);
        let (tenant, route) = match &destination {
            Destination::Tenant(tenant, route) => (Some(Arc::clone(tenant)), route.label()),
            Destination::Site => (None, "site"),
            Destination::Nowhere(..) => (None, "nowhere"),
        };
        let heading = Heading {
            request_id,
            tenant: tenant.as_ref().map(|tenant| tenant.config.name.clone()),
            route,
            method: request.method().clone(),
            at,
        };
        let mut record = Record::default();
        let mut response = self.dispatch(&snapshot, destination, request, peer, &heading, &mut record).await;
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request_id_value(&heading.request_id));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if snapshot.config.server.public_url.starts_with("https://") {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        let (status, took) = (response.status(), self.clock.monotonic().saturating_sub(started));
        tenant.as_ref().map_or(&self.metrics, |tenant| &tenant.metrics).count(route, status, took);
        if tenant.is_some() {
            record::log(&heading, &record, status, took);
            self.store.audit(record::audit(heading, record, status, took));
        } else {
            tracing::debug!(request_id = heading.request_id, route, status = status.as_u16(), "request");
        }
        response
    }

    async fn dispatch(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        destination: Destination,
        request: http::Request<Incoming>,
        peer: IpAddr,
        heading: &Heading,
        record: &mut Record,
    ) -> Response {
        let (form, within) = match destination {
            Destination::Tenant(tenant, route) => (Form::of(&route), Some((tenant, route))),
            Destination::Site => (Form::Page, None),
            Destination::Nowhere(form, text) => return form.refuse(StatusCode::NOT_FOUND, text, &heading.request_id),
        };
        let (request, unread) = self.read(snapshot, request, peer, &heading.request_id).await;
        let Some((tenant, route)) = within else {
            return match (&self.site, unread) {
                (_, Some(error)) => form.refuse_as(&error, &heading.request_id),
                (Some(site), None) => site(request).await,
                (None, None) => form.refuse(StatusCode::NOT_FOUND, NOTHING, &heading.request_id),
            };
        };
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let gateway = Arc::clone(self);
        let work = async move {
            let mut record = Record::default();
            let response = gateway.answer(&tenant, route, request, unread, &mut record).await;
            (response, record)
        };
        // A client that hangs up must not leave a change half done: changes run to their end in a task of their own.
        let outcome = if reads {
            AssertUnwindSafe(work).catch_unwind().await.map_err(|_| ())
        } else {
            self.changes.spawn(work).await.map_err(|_| ())
        };
        if let Ok((response, done)) = outcome {
            *record = done;
            return response;
        }
        record.cause = Some("a handler panicked".into());
        match form {
            Form::Scim => Refusal::Panic.into_response(&heading.request_id).0,
            Form::OAuth | Form::Page => form.refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the gateway met a defect of its own; tell its operator the request id",
                &heading.request_id,
            ),
        }
    }

    /// `unread` says what was wrong with the body, which is empty then: SCIM tells that to nobody without a token, and counts it.
    async fn answer(
        &self,
        tenant: &Arc<Runtime>,
        route: Route,
        request: Request,
        unread: Option<ScimError>,
        record: &mut Record,
    ) -> Response {
        match (route, unread) {
            (Route::Scim(route), unread) => scim::handle(self, tenant, &route, &request, unread, record).await,
            (route, Some(error)) => Form::of(&route).refuse_as(&error, &request.request_id),
            (Route::Managed(key), None) => managed::handle(self, tenant, key.as_deref(), &request, record).await,
            (Route::OAuth(endpoint), None) => self.authorization.handle(&tenant.config, endpoint, request).await,
            (Route::Console, None) => console::handle(self, tenant, &request, record).await,
        }
    }

    /// Reads the body whole, within its bound and deadline; where that fails, the request without it, and why.
    async fn read(
        &self,
        snapshot: &Snapshot,
        request: http::Request<Incoming>,
        peer: IpAddr,
        request_id: &str,
    ) -> (Request, Option<ScimError>) {
        let bound = snapshot.config.server.body_limit;
        let (mut parts, body) = request.into_parts();
        // HTTP/2 names the host beside the headers; for what comes after there is one place to look.
        if let Some(authority) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.entry(header::HOST).or_insert(host);
        }
        let too_large = || ScimError::new(413, None, too_large(bound));
        let body = if body.is_end_stream() {
            Ok(Bytes::new())
        } else if body.size_hint().lower() > bound as u64 {
            Err(too_large())
        } else {
            match timeout(snapshot.config.server.request_timeout, Limited::new(body, bound).collect()).await {
                Ok(Ok(body)) => Ok(body.to_bytes()),
                Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
                Ok(Err(_)) => Err(ScimError::invalid_syntax("the body ended early")),
                Err(_) => Err(ScimError::new(408, None, "the body did not arrive in time")),
            }
        };
        let (body, unread) = match body {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        let request = Request {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(String::from),
            headers: parts.headers,
            body,
            peer,
            request_id: request_id.to_owned(),
        };
        (request, unread)
    }
}

/// What a body beyond its bound is told.
pub(super) fn too_large(bound: usize) -> String {
    format!("the body is larger than {bound} bytes; send less at a time")
}

const NOTHING: &str = "There is nothing at this address.";

fn find(snapshot: &Snapshot, site: bool, request: &http::Request<Incoming>) -> Destination {
    let path = request.uri().path();
    let form = Form::guess(path);
    if let Some(name) = route::metadata_tenant(path) {
        return snapshot.tenants.get(name).map_or(Destination::Nowhere(form, "there is no such tenant"), |tenant| {
            Destination::Tenant(Arc::clone(tenant), Route::OAuth(Endpoint::Metadata))
        });
    }
    let below = |tenant: &Arc<Runtime>, rest: &str| {
        Route::parse(&tenant.config.dialect, rest)
            .map_or(Destination::Nowhere(form, "this tenant has nothing at this path; check the Tenant URL"), |route| {
                Destination::Tenant(Arc::clone(tenant), route)
            })
    };
    if let Some((name, rest)) = route::tenant_prefix(path) {
        return snapshot
            .tenants
            .get(name)
            .map_or(Destination::Nowhere(form, "there is no such tenant; check the Tenant URL"), |tenant| {
                below(tenant, rest)
            });
    }
    if let Some(tenant) = own_host(snapshot, request) {
        return below(tenant, path);
    }
    if site { Destination::Site } else { Destination::Nowhere(form, NOTHING) }
}

/// The tenant whose own host name the request names.
fn own_host<'a>(snapshot: &'a Snapshot, request: &http::Request<Incoming>) -> Option<&'a Arc<Runtime>> {
    if snapshot.hosts.is_empty() {
        return None;
    }
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    let host = host.to_ascii_lowercase();
    snapshot.hosts.get(&host).or_else(|| snapshot.hosts.get(host.rsplit_once(':')?.0))
}

/// The header that every answer carries.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn request_id_value(request_id: &str) -> HeaderValue {
    HeaderValue::from_str(request_id).unwrap_or(HeaderValue::from_static("-"))
}

/// The drain and other spans of the server section, as a listener wants them.
pub fn bounds(server: &config::Server) -> super::serve::Bounds {
    super::serve::Bounds {
        handshake: server.handshake_timeout,
        header: server.header_timeout,
        idle: super::serve::IDLE,
        connections: server.max_connections,
        drain: server.drain,
    }
}

/// The longest window any tenant's limits have, for sweeping.
pub fn longest_window(snapshot: &Snapshot) -> Duration {
    let windows = snapshot.tenants.values().filter_map(|tenant| tenant.config.limits).flat_map(|policy| {
        [policy.read, policy.write].into_iter().flatten().map(|quota| quota.window).collect::<Vec<_>>()
    });
    windows.max().unwrap_or(Duration::from_mins(1))
}
