//! Another SCIM 2.0 server as the user system (RFC 7643, RFC 7644): its people and groups, by the operations that it says it
//! has. What the core holds is its resource and what it gives is ours; extension URNs go through as they are, and what its
//! `/Schemas` do not know is not sent. Knows no dialect of ours.
//!
//! What it says of itself is read once, when it is first needed. A server that says nothing is believed to be able, and what
//! it then refuses is done another way: PATCH by putting the whole resource in place, a filter by looking through all.

mod change;
pub mod config;
mod find;
pub mod known;
pub mod plan;
mod wire;

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use tokio::sync::{MutexGuard, OnceCell};

pub use self::config::{Config, Draft};

pub(super) use self::find::filtered;

use self::known::Known;
use self::plan::{Call, Step};
use super::client::{Answer, Client, Deadline};
use super::unasked;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Clock;

/// How many changes to different resources can go side by side at least, where they must take turns.
const LANES: usize = 64;

/// The connector.
pub struct Scim {
    config: Config,
    client: Client,
    known: OnceCell<Known>,
    /// That a PATCH was refused as such.
    no_patch: AtomicBool,
    /// The filters that were refused as such, by type and attribute.
    no_filter: Mutex<HashSet<(ResourceType, &'static str)>>,
    /// Changes that put something whole in place go one after the other.
    lanes: Vec<tokio::sync::Mutex<()>>,
}

/// An answer other than success.
struct Refused {
    status: Option<StatusCode>,
    body: Bytes,
    error: DirectoryError,
}

impl From<Refused> for DirectoryError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Refused {
    /// Whether the server does not know this kind of PATCH, or none.
    fn is_unable(&self) -> bool {
        match self.status.map(|status| status.as_u16()) {
            Some(405 | 501) => true,
            Some(400) => wire::says(&self.body, &["invalidPath", "noTarget", "invalidSyntax"]),
            _ => false,
        }
    }

    fn is_late(&self) -> bool {
        self.status == Some(StatusCode::PRECONDITION_FAILED)
    }
}

impl Scim {
    /// Sets up the connector; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when TLS cannot be set up on this machine.
    pub fn new(config: Config, clock: Clock) -> Result<Self, DirectoryError> {
        let client =
            Client::new(config.base.clone(), config.token.as_ref(), config.timeout, config.max_in_flight, clock)
                .map_err(|reason| DirectoryError::Failed { reason, maybe_done: false })?;
        Ok(Self {
            config,
            client,
            known: OnceCell::new(),
            no_patch: AtomicBool::new(false),
            no_filter: Mutex::default(),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
        })
    }

    /// One call; `None`: it cannot be addressed, nothing was called.
    async fn call(&self, call: Option<Call>, deadline: Deadline) -> Result<Option<Answer>, Refused> {
        const MEDIA: HeaderValue = HeaderValue::from_static("application/scim+json");
        let Some(call) = call else { return Ok(None) };
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/scim+json, application/json;q=0.9"));
        headers.insert(header::CONTENT_TYPE, MEDIA);
        if let Some(version) = call.version.as_ref().and_then(|version| HeaderValue::try_from(version).ok()) {
            headers.insert(header::IF_MATCH, version);
        }
        let body = call.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let answer = self.client.call_with(&call.method, call.path.clone(), &headers, body, deadline).await;
        let unanswered = |error| Refused { status: None, body: Bytes::new(), error };
        let answer = answer.map_err(|error| unanswered(error.reported(call.step.changes())))?;
        if answer.status.is_success() {
            return Ok(Some(answer));
        }
        let wait = self.client.retry_after(&answer.headers);
        let error = wire::refusal(call.kind, call.step, answer.status, wait, &answer.body, &call.values());
        Err(Refused { status: Some(answer.status), body: answer.body, error })
    }

    /// What the server says of itself. While it cannot be asked, what is believed of one that says nothing.
    async fn known(&self) -> Known {
        // Its own deadline: a server that is silent about itself may still do its work.
        let deadline = Deadline(tokio::time::Instant::now() + self.config.timeout / 4);
        let learn = async || {
            let provider = self.document("ServiceProviderConfig", deadline).await?;
            let schemas = self.document("Schemas", deadline).await?;
            Ok::<_, DirectoryError>(Known::new(provider.as_ref(), schemas.as_ref()))
        };
        self.known.get_or_try_init(learn).await.cloned().unwrap_or_default()
    }

    /// One of the documents; `None` when the server has none.
    async fn document(&self, name: &str, deadline: Deadline) -> Result<Option<Value>, DirectoryError> {
        match self.call(self.config.plan_learn(name), deadline).await {
            Ok(answer) => Ok(answer.and_then(|answer| serde_json::from_slice(&answer.body).ok())),
            Err(Refused { status: Some(status), .. })
                if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
            {
                Ok(None)
            }
            Err(refused) => Err(refused.error),
        }
    }

    fn patches(&self, known: &Known) -> bool {
        self.config.patch && known.patch && !self.no_patch.load(Ordering::Relaxed)
    }

    /// The resource with this id, as the server gives it.
    async fn read_raw(
        &self,
        kind: ResourceType,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<Map<String, Value>>, DirectoryError> {
        let answer = match self.call(self.config.plan_read(kind, key), deadline).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(Refused { error: DirectoryError::NotFound, .. }) => return Ok(None),
            Err(refused) => return Err(refused.error),
        };
        let mut raw = wire::object(&answer.body).map_err(|problem| Step::Read.nonsense(problem))?;
        let id = wire::id(&raw).map_err(|problem| Step::Read.nonsense(problem))?;
        if id != key {
            return Ok(None);
        }
        adopt_tag(&mut raw, &answer.headers);
        Ok(Some(raw))
    }

    fn entry(&self, kind: ResourceType, raw: &Map<String, Value>) -> Result<Entry, String> {
        let entry = wire::entry(kind, raw)?;
        if self.config.attributes.is_empty() || kind == ResourceType::Group {
            return Ok(entry);
        }
        let kept = Known::default().kept(&self.config, kind, &entry.resource);
        Ok(Entry { resource: Resource::from_map(kept), ..entry })
    }

    async fn read_by(
        &self,
        kind: ResourceType,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<Entry>, DirectoryError> {
        let raw = self.read_raw(kind, key, deadline).await?;
        let entry = raw.map(|raw| self.entry(kind, &raw)).transpose();
        entry.map_err(|problem| Step::Read.nonsense(problem))
    }

    /// What a change has left behind: from its answer, or else read again.
    async fn settled(
        &self,
        step: Step,
        kind: ResourceType,
        key: &str,
        answer: Option<Answer>,
        deadline: Deadline,
    ) -> Result<Entry, DirectoryError> {
        let answer = answer.ok_or(DirectoryError::NotFound)?;
        if let Ok(mut raw) = wire::object(&answer.body)
            && wire::id(&raw) == Ok(key)
        {
            adopt_tag(&mut raw, &answer.headers);
            if let Ok(entry) = self.entry(kind, &raw) {
                return Ok(entry);
            }
        }
        match self.read_by(kind, key, deadline).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err(step.nonsense("it is not there afterwards")),
            Err(error) => Err(after_the_fact(error)),
        }
    }

    async fn lane(&self, key: &str, deadline: Deadline) -> Result<MutexGuard<'_, ()>, DirectoryError> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
        let turn = tokio::time::timeout_at(deadline.0, self.lanes[lane].lock()).await;
        turn.map_err(|_| DirectoryError::Busy { retry_after: None })
    }

    /// A page of a list, by as many calls as the server needs: it may give fewer than asked for.
    async fn list(
        &self,
        kind: ResourceType,
        filter: Option<&str>,
        page: Page,
        deadline: Deadline,
    ) -> Result<(Vec<Map<String, Value>>, u64), Refused> {
        let nonsense =
            |problem: String| Refused { status: None, body: Bytes::new(), error: Step::Find.nonsense(problem) };
        let mut all = Vec::new();
        loop {
            let have = all.len() as u64;
            let seen = page.offset.saturating_add(have);
            let call = self.config.plan_list(kind, filter, seen, page.limit - have);
            let Some(answer) = self.call(call, deadline).await? else { return Ok((Vec::new(), 0)) };
            let (resources, total) = wire::listed(&answer.body).map_err(nonsense)?;
            let given = resources.len() as u64;
            all.extend(resources);
            if all.len() as u64 >= page.limit || seen.saturating_add(given) >= total {
                all.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
                return Ok((all, total));
            }
            if given == 0 {
                return Err(nonsense(format!("nothing is listed after {seen} of {total}")));
            }
        }
    }

    async fn create_any(
        &self,
        kind: ResourceType,
        resource: &Resource,
        members: &[Member],
    ) -> Result<Entry, DirectoryError> {
        let deadline = self.client.deadline();
        let known = self.known().await;
        let call = self.config.plan_create(&known, kind, resource, members);
        let answer = self.call(call, deadline).await.map_err(|refused| of_members(refused.error, members))?;
        let id = answer.as_ref().and_then(|answer| Some(wire::id(&wire::object(&answer.body).ok()?).ok()?.to_owned()));
        if let Some(id) = id {
            return self.settled(Step::Create, kind, &id, answer, deadline).await;
        }
        // No id came back: ask who has the name now.
        let path = AttrPath::core(if kind == ResourceType::User { "userName" } else { "displayName" });
        let name = resource.text(&path).unwrap_or_default();
        let found = self.find_equal(kind, &path, name, deadline).await.map_err(after_the_fact)?;
        <[Entry; 1]>::try_from(found)
            .map(|[entry]| entry)
            .map_err(|_| Step::Create.nonsense(format!("it holds no id, and nobody is found by {path}")))
    }

    async fn members_of(&self, key: &str) -> Result<Vec<Member>, DirectoryError> {
        let raw = self.read_raw(ResourceType::Group, key, self.client.deadline()).await?;
        wire::members(&raw.ok_or(DirectoryError::NotFound)?).map_err(|problem| Step::Read.nonsense(problem))
    }
}

/// The version from the `ETag`, where the resource does not hold it.
fn adopt_tag(raw: &mut Map<String, Value>, headers: &HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let meta = raw.entry("meta").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(meta) = meta {
        meta.entry("version").or_insert_with(|| tag.into());
    }
}

/// A failure while looking what a change has done: the change itself was accepted.
fn after_the_fact(error: DirectoryError) -> DirectoryError {
    match error {
        DirectoryError::Silent => DirectoryError::Silent,
        other => DirectoryError::Failed { reason: format!("accepted, but then: {other}"), maybe_done: true },
    }
}

/// A refusal of a value that names no attribute is about the members, if there were any.
fn of_members(error: DirectoryError, add: &[Member]) -> DirectoryError {
    match error {
        DirectoryError::Invalid { attribute: None, detail } if !add.is_empty() => {
            DirectoryError::Invalid { attribute: Some("members".into()), detail }
        }
        other => other,
    }
}

impl Directory for Scim {
    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        if !self.offers(kind) {
            return unasked("a group");
        }
        self.read_by(kind, key, self.client.deadline()).await
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        if !self.offers(kind) {
            return unasked("a group");
        }
        let deadline = self.client.deadline();
        let entries = |raw: &[Map<String, Value>]| {
            let entries = raw.iter().map(|raw| self.entry(kind, raw)).collect::<Result<Vec<_>, _>>();
            entries.map_err(|problem| Step::Find.nonsense(problem))
        };
        let all = match lookup {
            Lookup::All => {
                let (found, total) = self.list(kind, None, page, deadline).await?;
                return Ok(Found { entries: entries(&found)?, total });
            }
            Lookup::Equal { path, value } => self.find_equal(kind, path, value, deadline).await?,
            Lookup::Member { key } => entries(&self.groups_of(key, deadline).await?)?,
        };
        let total = all.len() as u64;
        let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
        let entries = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect();
        Ok(Found { entries, total })
    }

    async fn seek(&self, _: ResourceType, _: Option<&str>, _: u64) -> Result<Vec<Entry>, DirectoryError> {
        unasked("a walk by key")
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        self.create_any(ResourceType::User, person, &[]).await
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        self.change(ResourceType::User, key, (before, after), &[], &[]).await
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        self.create_any(ResourceType::Group, group, members).await
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        let sides = (&change.before, &change.after);
        self.change(ResourceType::Group, key, sides, &change.add, &change.remove).await
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        let all = self.members_of(key).await?;
        let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
        let total = all.len() as u64;
        let members = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect();
        Ok(Members { members, total })
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        let held: HashSet<String> = self.members_of(key).await?.into_iter().map(|member| member.key).collect();
        Ok(candidates.iter().filter(|key| held.contains(**key)).map(|key| (*key).to_owned()).collect())
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        let deadline = self.client.deadline();
        let mut all = Vec::new();
        for key in members.iter().filter(|_| self.config.groups) {
            if !self.known().await.filter || self.refuses(ResourceType::Group, "members.value") {
                break;
            }
            for raw in self.groups_of(key, deadline).await? {
                let group = wire::id(&raw).map_err(|problem| Step::Find.nonsense(problem))?.to_owned();
                let display = raw.get("displayName").and_then(Value::as_str).map(str::to_owned);
                all.push(Membership { member: (*key).to_owned(), group, display });
            }
        }
        Ok(all)
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        let done = self.call(self.config.plan_delete(kind, key), self.client.deadline()).await?;
        done.map(|_| ()).ok_or(DirectoryError::NotFound)
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        let first = Page { offset: 0, limit: 1 };
        self.known().await;
        self.list(ResourceType::User, None, first, self.client.deadline()).await?;
        if self.config.groups {
            self.list(ResourceType::Group, None, first, self.client.deadline()).await?;
        }
        Ok(())
    }

    fn seeks(&self, _: ResourceType) -> bool {
        false
    }

    fn offers(&self, kind: ResourceType) -> bool {
        kind == ResourceType::User || self.config.groups
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        let known = self.known.get().is_none_or(|known| known.filter);
        known && filtered(kind, path).is_some_and(|attribute| !self.refuses(kind, attribute))
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match self.known.get() {
            Some(known) => known.holds(&self.config, kind, path),
            None => Known::default().holds(&self.config, kind, path),
        }
    }
}
