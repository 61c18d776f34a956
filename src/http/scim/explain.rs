//! What the gateway would do with a SCIM request, stage by stage, for `portcullis explain`.
//!
//! The request walks the real code, [`perform`], over a directory that is only [imagined](Imagined) and a state that
//! lives in memory: what is shown is what happens, not a second telling of it. Nothing is sent, the gateway's own state is not
//! opened, and who asks and how often are told, not checked.

mod mapping;
mod sample;
mod text;
mod words;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

use self::sample::{Sample, without_passwords};
use self::words::{addresses_groups, addresses_people, authenticated, judged, judged_group, limited, parsed, routed};
use super::{Surface, discover, is_discovery, offers_groups, perform, view, wording};
use crate::config::{Config, DirectoryConfig, Tenant};
use crate::directory::imagined::{Asked, Imagined, Kind};
use crate::directory::{Any, Connector};
use crate::http::error::{Cause, Refusal};
use crate::http::gateway::{Runtime, too_large};
use crate::http::message::Request;
use crate::http::permit::LimitMetrics;
use crate::http::record::{Record, RequestMetrics};
use crate::http::route::{Route, ScimRoute, tenant_prefix};
use crate::mapping::expression::Moment;
use crate::oauth::Role;
use crate::ports::Entry;
use crate::scim::cursor;
use crate::scim::error::ScimError;
use crate::scim::members;
use crate::scim::path::AttrPath;
use crate::scim::resource::{Resource, ResourceType};
use crate::store::{LinkState, Store, StoreError};
use crate::types::{Clock, Random};

/// Why there is nothing to explain: the sample or the person beside it cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unexplained(String);

impl Unexplained {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<StoreError> for Unexplained {
    fn from(error: StoreError) -> Self {
        Self(format!("no state could be made up in memory: {error}"))
    }
}

/// What would happen, in the order in which it would.
#[derive(Debug)]
pub struct Explanation {
    /// The tenant's name.
    pub tenant: String,
    /// The stages; the last one holds the answer.
    pub stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug)]
pub struct Stage {
    /// What it is called.
    pub name: &'static str,
    /// What there is to say.
    pub lines: Vec<String>,
    /// What the directory is asked.
    pub asked: Vec<Asked>,
    /// What the client gets.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers that this answer is about.
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    pub body: Option<Value>,
}

impl Answer {
    /// Whether it says no.
    pub fn refuses(&self) -> bool {
        self.status.as_u16() >= 400
    }
}

impl Explanation {
    /// What the client gets.
    pub fn answer(&self) -> Option<&Answer> {
        self.stages.iter().find_map(|stage| stage.answer.as_ref())
    }

    fn stage(&mut self, name: &'static str, lines: Vec<String>) {
        self.stages.push(Stage { name, lines, asked: Vec::new(), answer: None });
    }
}

/// Stands for the request id.
const REQUEST_ID: &str = "…";

/// Explains the request in `text` to `tenant`. `person` is JSON of the one person the directory holds: whom the request names, or
/// for a create somebody who is there already.
///
/// # Errors
/// When `text` is no request to this tenant's SCIM base, or `person` is no SCIM user.
pub async fn explain(
    config: &Config,
    tenant: &Arc<Tenant>,
    clock: &Clock,
    text: &str,
    person: Option<&[u8]>,
) -> Result<Explanation, Unexplained> {
    let sample = Sample::parse(text)?;
    let (route, path) = route(tenant, &sample.path)?;
    if let (true, DirectoryConfig::Rest(rest)) = (addresses_groups(&route) && tenant.dialect.groups, &tenant.directory)
        && rest.groups().is_some()
    {
        return Err(Unexplained::new("requests about the groups of a REST directory are not explained yet"));
    }
    let person = Supposed::new(person, &route, &sample.method)?;
    let request = Request {
        method: sample.method,
        path,
        query: sample.query,
        headers: sample.headers,
        body: sample.body,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: REQUEST_ID.to_owned(),
    };
    let runtime = imagine(tenant, &person, clock);
    let store = Store::open("sqlite::memory:", clock.clone()).await?;
    let outcome = walk(config.server.body_limit, &store, &runtime, &route, &request, &person).await;
    store.close().await;
    let (outcome, record) = outcome?;
    Ok(tell(&runtime, &route, &request, &person, outcome, record).await)
}

/// What the path means below the tenant: the whole path, the tenant's own host's, or what follows the SCIM base.
fn route(tenant: &Tenant, path: &str) -> Result<(ScimRoute, String), Unexplained> {
    let dialect = &tenant.dialect;
    let below = match tenant_prefix(path) {
        Some((name, below)) if name == tenant.name => below,
        Some((name, _)) => {
            let asked = &tenant.name;
            return Err(Unexplained::new(format!("the path is the tenant `{name}`'s, the command names `{asked}`")));
        }
        None => path,
    };
    let relative = format!("/{}{below}", dialect.scim_base);
    let whole = Route::parse(dialect, below).is_some() || tenant_prefix(path).is_some();
    let below = if whole { below } else { relative.as_str() };
    match Route::parse(dialect, below) {
        Some(Route::Scim(route)) => Ok((route, below.to_owned())),
        Some(_) => Err(Unexplained::new("this path is not SCIM's; only SCIM requests are explained")),
        None => Err(Unexplained::new(format!(
            "this tenant has nothing at this path: its SCIM base is {}; without it, write what follows it, such as /Users/17",
            tenant.scim_base
        ))),
    }
}

/// Who is taken to be in the directory.
struct Supposed {
    kind: ResourceType,
    entry: Option<Entry>,
    /// Whether provisioning is taken to have touched them before.
    managed: bool,
    line: Option<String>,
}

impl Supposed {
    fn new(person: Option<&[u8]>, route: &ScimRoute, method: &Method) -> Result<Self, Unexplained> {
        let addressed = match route {
            ScimRoute::User(id) | ScimRoute::Group(id) => Some(id.as_str()),
            _ => None,
        };
        let kind = if addresses_groups(route) { ResourceType::Group } else { ResourceType::User };
        let entry = |key: &str, mut person: Resource| {
            if kind == ResourceType::User && person.active().is_none() {
                person.set(&view::active_path(), Value::Bool(true));
            }
            Entry { key: key.to_owned(), resource: person, created: None, modified: None, version: None }
        };
        let Some(json) = person else {
            if kind == ResourceType::Group {
                let line = addressed.map(|id| {
                    format!("the real group {id} would be read first; here one without members is assumed (--person FILE names one)")
                });
                let mut group = Resource::default();
                group.set(&AttrPath::core("displayName"), "(its name)".into());
                let entry = addressed.map(|id| entry(id, group));
                return Ok(Self { kind, entry, managed: false, line });
            }
            let line = addressed.map(|id| {
                format!("the real person {id} would be read first; here an active one without any other value is assumed (--person FILE names one)")
            });
            let entry = addressed.map(|id| entry(id, Resource::default()));
            return Ok(Self { kind, managed: entry.is_some(), entry, line });
        };
        let wrong = |error: ScimError| Unexplained::new(format!("the person beside the request: {}", error.detail));
        let json = without_passwords(json);
        let parsed = Resource::parse(kind, &json).map_err(wrong)?;
        let id =
            serde_json::from_slice::<Value>(&json).ok().and_then(|value| Some(value.get("id")?.as_str()?.to_owned()));
        let key = addressed.map(String::from).or(id).unwrap_or_else(|| "17".into());
        if kind == ResourceType::Group {
            let line = format!("the directory is taken to hold the group given, under the key {key}, without members");
            let mut group = parsed.resource;
            drop(members::take(&mut group).map_err(wrong)?);
            return Ok(Self { kind, entry: Some(entry(&key, group)), managed: false, line: Some(line) });
        }
        let managed = !(matches!(route, ScimRoute::Users) && *method == Method::POST);
        let standing = if managed { "managed by provisioning" } else { "never touched by provisioning" };
        let line = format!("the directory is taken to hold the person given, under the key {key}, {standing}");
        Ok(Self { kind, entry: Some(entry(&key, parsed.resource)), managed, line: Some(line) })
    }
}

/// The tenant over an imagined directory.
fn imagine(tenant: &Arc<Tenant>, person: &Supposed, clock: &Clock) -> Runtime {
    let kind = match &tenant.directory {
        DirectoryConfig::Embedded(config) => Kind::Embedded(config.clone()),
        DirectoryConfig::Rest(config) => Kind::Rest(Box::new(config.clone())),
        DirectoryConfig::Scim(config) => Kind::Scim(Box::new(config.clone())),
        DirectoryConfig::Ldap(config) => Kind::Ldap(Box::new(config.clone())),
        DirectoryConfig::Sql(config) => Kind::Sql(Box::new(config.clone())),
    };
    let moment = Moment { now: clock.now(), random: Some(Random::seeded(0)) };
    let (entry, none) = (person.entry.clone(), None);
    let (one, group) = if person.kind == ResourceType::Group { (none, entry) } else { (entry, none) };
    let imagined = Imagined::new(kind, one, moment).with_group(group);
    Runtime {
        config: Arc::clone(tenant),
        directory: Arc::new(Any::new(&tenant.name, imagined, clock.clone())),
        limiter: Arc::default(),
        limit_metrics: Arc::new(LimitMetrics::new(&tenant.name)),
        locks: Arc::default(),
        metrics: Arc::new(RequestMetrics::new(&tenant.name)),
    }
}

type Outcome = Result<http::Response<http_body_util::Full<bytes::Bytes>>, Refusal>;

/// Lets the request walk.
async fn walk(
    body_limit: usize,
    store: &Store,
    runtime: &Runtime,
    route: &ScimRoute,
    request: &Request,
    person: &Supposed,
) -> Result<(Outcome, Record), Unexplained> {
    let mut record = Record::default();
    if request.body.len() > body_limit {
        return Ok((Err(ScimError::new(413, None, too_large(body_limit)).into()), record));
    }
    let there =
        |entry: &&Entry| matches!(runtime.directory.connector(), Connector::Imagined(one) if one.has(&entry.key));
    if let Some(entry) = person.entry.as_ref().filter(|_| person.managed).filter(there) {
        let (directory, held) = (&*runtime.directory, &entry.resource);
        let link = view::link_after(directory, ResourceType::User, &entry.key, LinkState::Managed, held, held);
        store.put_link(&runtime.config.name, &link).await?;
    }
    // Cursors that are explained are sealed by nobody's key and good nowhere.
    let cursors = &cursor::Key::new(&[0; 32]);
    let surface = Surface { store, tenant: runtime, cursors, body_limit, role: Some(Role::SuperUser) };
    let outcome = if is_discovery(route) {
        discover(&surface, route, request)
    } else {
        perform(&surface, route, request, &mut record).await
    };
    Ok((outcome, record))
}

/// Puts into words what was done.
async fn tell(
    runtime: &Runtime,
    route: &ScimRoute,
    request: &Request,
    person: &Supposed,
    outcome: Outcome,
    record: Record,
) -> Explanation {
    let tenant = &*runtime.config;
    let mut told = Explanation { tenant: tenant.name.clone(), stages: Vec::new() };
    told.stage("route", routed(tenant, route, request));
    told.stage("authentication", authenticated(runtime, route, &request.headers));
    told.stage("limit", limited(tenant, route, &request.method));
    // The parsers say again what they said on the way; what they refuse is the answer.
    let parsed = if matches!(outcome, Err(Refusal::Scim(ScimError { status: 413, .. }))) {
        None
    } else {
        parsed(runtime, route, request).ok()
    };
    let refusal = match &outcome {
        Err(Refusal::Scim(error)) => Some(error.detail.clone()),
        _ => None,
    };
    if let Some(lines) = parsed {
        told.stage("request", lines);
        let groups = addresses_groups(route) && offers_groups(runtime);
        if addresses_people(route) || groups {
            let lines = if groups {
                judged_group(request, person, &record, refusal)
            } else {
                judged(&tenant.dialect, route, request, person, &record, refusal)
            };
            told.stage("dialect", lines);
            let asked = match runtime.directory.connector() {
                Connector::Imagined(imagined) => imagined.asked(),
                _ => Vec::new(),
            };
            let steps = mapping::mapped(&tenant.directory, &asked);
            if !steps.is_empty() {
                told.stage("mapping", steps);
            }
            let mut lines = vec![format!("kind {}; none of this was sent", tenant.directory.kind())];
            if asked.is_empty() {
                lines = vec!["nothing: no call is made".to_owned()];
            }
            told.stages.push(Stage { name: "directory", lines, asked, answer: None });
        }
    }
    let response = outcome.unwrap_or_else(|refusal| {
        let (refusal, _) = wording::in_dialect(&tenant.dialect, refusal);
        let (response, Cause(_)) = refusal.into_response(REQUEST_ID);
        response
    });
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers = [header::CONTENT_TYPE, header::LOCATION, header::ALLOW, header::RETRY_AFTER]
        .into_iter()
        .filter_map(|name| Some((name.to_string(), head.headers.get(&name)?.to_str().ok()?.to_owned())));
    let answer = Answer { status: head.status, headers: headers.collect(), body: serde_json::from_slice(&body).ok() };
    let says = if answer.refuses() {
        "refused:"
    } else if told.stages.iter().any(|stage| !stage.asked.is_empty()) {
        "when the directory does what it is asked:"
    } else {
        "without asking the directory:"
    };
    told.stages.push(Stage { name: "answer", lines: vec![says.to_owned()], asked: Vec::new(), answer: Some(answer) });
    told
}
