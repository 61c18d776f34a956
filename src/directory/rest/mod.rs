//! A user system with a REST interface of its own, as the operator declares it: calls, places in the answers, and a table of
//! attributes. The grammar stands in [`config`]. Knows nothing of PATCH operations, filters or dialects.

pub mod answer;
pub mod config;
pub mod plan;
pub mod template;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};

pub use self::config::{Attribute, Config, Draft, Mistake};

use self::answer::Step;
use self::config::{Change, Removal};
use self::plan::{Call, Replacement, Update};
use super::client::{Client, Deadline};
use super::unasked;
use crate::mapping::Unwritable;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Clock;

/// How many changes to different people can go side by side at least, where they must take turns.
const LANES: usize = 64;

/// The connector.
pub struct Rest {
    config: Config,
    client: Client,
    /// Changes to one person go one after the other where some of them put the whole person in place: see [`Rest::put`].
    lanes: Vec<Mutex<()>>,
}

impl Rest {
    /// Sets up the connector; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when TLS cannot be set up on this machine.
    pub fn new(config: Config, clock: Clock) -> Result<Self, DirectoryError> {
        let client =
            Client::new(config.base.clone(), config.token.as_ref(), config.timeout, config.max_in_flight, clock)
                .map_err(|reason| DirectoryError::Failed { reason, maybe_done: false })?;
        let lanes = (0..LANES).map(|_| Mutex::new(())).collect();
        Ok(Self { config, client, lanes })
    }

    /// One call; gives the body of a 2xx answer. `None`: a value cannot be addressed, nothing was called.
    async fn call(&self, call: Option<Call>, deadline: Deadline) -> Result<Option<Bytes>, DirectoryError> {
        let Some(call) = call else { return Ok(None) };
        let (step, body) = (call.step, call.body.as_ref().map(encoded));
        let answer = self.client.call(&call.method, call.path.clone(), body, deadline).await;
        let answer = answer.map_err(|error| error.reported(step.changes()))?;
        if answer.status.is_success() {
            return Ok(Some(answer.body));
        }
        let wait = self.client.retry_after(&answer.headers);
        Err(answer::refusal(&self.config, step, answer.status, wait, &answer.body, &call.values()))
    }

    async fn read_record(&self, key: &str, deadline: Deadline) -> Result<Option<Map<String, Value>>, DirectoryError> {
        let body = match self.call(self.config.plan_read(key), deadline).await {
            Ok(Some(body)) => body,
            Ok(None) | Err(DirectoryError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let record = answer::object(&body).map_err(|problem| Step::Read.nonsense(problem))?;
        // Another spelling of a key (`017`, another case) is no key: a SCIM id has one spelling (RFC 7643 §3.1).
        let held = answer::key(&self.config, &record).map_err(|problem| Step::Read.nonsense(problem))?;
        Ok((held == key).then_some(record))
    }

    async fn read_by(&self, key: &str, deadline: Deadline) -> Result<Option<Entry>, DirectoryError> {
        let Some(record) = self.read_record(key, deadline).await? else { return Ok(None) };
        answer::entry(&self.config, &record).map(Some).map_err(|problem| Step::Read.nonsense(problem))
    }

    /// The person a change has left behind: from its answer, or else read again.
    async fn settled(&self, step: Step, key: &str, answer: &[u8], deadline: Deadline) -> Result<Entry, DirectoryError> {
        if let Ok(record) = answer::object(answer)
            && let Ok(entry) = answer::entry(&self.config, &record)
            && entry.key == key
        {
            return Ok(entry);
        }
        match self.read_by(key, deadline).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err(step.nonsense("the person is not there afterwards")),
            Err(error) => Err(after_the_fact(error)),
        }
    }

    /// Sends the fields that differ.
    async fn patch(&self, key: &str, call: Option<Call>, deadline: Deadline) -> Result<Entry, DirectoryError> {
        let body = self.call(call, deadline).await?;
        self.settled(Step::Update, key, &body.ok_or(DirectoryError::NotFound)?, deadline).await
    }

    /// Puts the whole person in place: as the directory holds them now, also what the table does not know, with the changes.
    async fn put(&self, key: &str, change: &Replacement<'_>, deadline: Deadline) -> Result<Entry, DirectoryError> {
        let record = self.read_record(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
        self.patch(key, change.over(key, record), deadline).await
    }

    /// The turn of a person's change. Needed only where one may replace the whole person and so undo another.
    async fn turn(&self, key: &str, deadline: Deadline) -> Result<Option<MutexGuard<'_, ()>>, DirectoryError> {
        if matches!(self.config.change, Change::Update(_))
            || (matches!(self.config.change, Change::Both { .. }) && self.config.removal != Removal::Replace)
        {
            return Ok(None);
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
        let turn = tokio::time::timeout_at(deadline.0, self.lanes[lane].lock()).await;
        turn.map(Some).map_err(|_| DirectoryError::Busy { retry_after: None })
    }

    async fn find_equal(&self, path: &AttrPath, value: &str, deadline: Deadline) -> Result<Vec<Entry>, DirectoryError> {
        let Some(body) = self.call(self.config.plan_find(path, value), deadline).await? else {
            return Ok(Vec::new());
        };
        let (entries, total) = answer::entries(&self.config, &body).map_err(|problem| Step::Find.nonsense(problem))?;
        // A directory that does not know the parameter gives everybody, page by page: what is sought may be on another page.
        if total.is_some_and(|total| total > entries.len() as u64) {
            return Err(Step::Find.nonsense(format!("it holds only a part of what was found by {path}")));
        }
        let sought = value.to_lowercase();
        let matches = |entry: &Entry| match entry.resource.get(path) {
            Some(Value::String(text)) => text.to_lowercase() == sought,
            Some(Value::Bool(yes)) => sought == if *yes { "true" } else { "false" },
            Some(Value::Number(number)) => number.to_string() == sought,
            _ => false,
        };
        Ok(entries.into_iter().filter(matches).collect())
    }

    /// Refuses a user name that somebody has, where the user system would not do so itself. Two gateways at the same moment can
    /// still slip through; two requests to one cannot, since the gateway lets only one of them create this name.
    async fn see_that_free(&self, name: Option<&str>, deadline: Deadline) -> Result<(), DirectoryError> {
        let Some(name) = name.filter(|_| !self.config.unique) else { return Ok(()) };
        if self.find_equal(&self.config.find_user_name.0, name, deadline).await?.is_empty() {
            return Ok(());
        }
        Err(DirectoryError::Conflict { attribute: "userName".into() })
    }

    async fn list_page(&self, offset: u64, limit: u64, deadline: Deadline) -> Result<Found, DirectoryError> {
        let body = self.call(self.config.plan_list(offset, limit), deadline).await?.unwrap_or_default();
        let (entries, total) = answer::entries(&self.config, &body).map_err(|problem| Step::Find.nonsense(problem))?;
        let total =
            total.ok_or_else(|| Step::Find.nonsense(format!("there is no number at \"{}\"", self.config.total)))?;
        Ok(Found { entries, total })
    }

    async fn list(&self, page: Page) -> Result<Found, DirectoryError> {
        let mut found = Found { entries: Vec::new(), total: 0 };
        let deadline = self.client.deadline();
        loop {
            let have = found.entries.len() as u64;
            let part = self.list_page(page.offset.saturating_add(have), page.limit - have, deadline).await?;
            let (given, seen) = (part.entries.len() as u64, page.offset.saturating_add(have));
            found.total = part.total;
            found.entries.extend(part.entries);
            if found.entries.len() as u64 >= page.limit || seen.saturating_add(given) >= part.total {
                break;
            }
            if given == 0 {
                return Err(Step::Find.nonsense(format!("nobody is listed after {seen} of {}", part.total)));
            }
        }
        found.entries.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(found)
    }
}

impl Directory for Rest {
    async fn read(&self, _: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        self.read_by(key, self.client.deadline()).await
    }

    async fn find(&self, _: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        let (path, value) = match lookup {
            Lookup::All => return self.list(page).await,
            Lookup::Equal { path, value } => (path, value),
            Lookup::Member { .. } => return unasked("a group"),
        };
        if !self.config.finds_by(path) {
            return Err(DirectoryError::Failed { reason: format!("no find operation for {path}"), maybe_done: false });
        }
        let all = self.find_equal(path, value, self.client.deadline()).await?;
        let total = all.len() as u64;
        let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
        let entries = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect();
        Ok(Found { entries, total })
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        let deadline = self.client.deadline();
        let call = self.config.plan_create(person).map_err(|error| invalid(&error))?;
        self.see_that_free(person.user_name(), deadline).await?;
        let body = self.call(call, deadline).await?.unwrap_or_default();
        if let Ok(record) = answer::object(&body)
            && let Ok(key) = answer::key(&self.config, &record)
        {
            return self.settled(Step::Create, &key, &body, deadline).await;
        }
        // No key came back: ask who has the user name now.
        let name = person.user_name().unwrap_or_default();
        let (path, _) = &self.config.find_user_name;
        let found = self.find_equal(path, name, deadline).await.map_err(after_the_fact)?;
        <[Entry; 1]>::try_from(found)
            .map(|[entry]| entry)
            .map_err(|_| Step::Create.nonsense("it holds no key, and nobody is found by the user name"))
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        let deadline = self.client.deadline();
        let plan = self.config.plan_update(key, before, after).map_err(|error| invalid(&error))?;
        let lower = |person: &Resource| person.user_name().map(str::to_lowercase);
        if lower(before) != lower(after) {
            self.see_that_free(after.user_name(), deadline).await?;
        }
        match plan {
            Update::Nothing => self.read_by(key, deadline).await?.ok_or(DirectoryError::NotFound),
            Update::Fields(call) => {
                let _turn = self.turn(key, deadline).await?;
                self.patch(key, call, deadline).await
            }
            Update::Whole(change) => {
                let _turn = self.turn(key, deadline).await?;
                self.put(key, &change, deadline).await
            }
        }
    }

    async fn delete(&self, _: ResourceType, key: &str) -> Result<(), DirectoryError> {
        let deadline = self.client.deadline();
        let done = self.call(self.config.plan_delete(key), deadline).await?;
        done.map(|_| ()).ok_or(DirectoryError::NotFound)
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        self.list_page(0, 1, self.client.deadline()).await.map(|_| ())
    }

    async fn create_group(&self, _: &Resource, _: &[Member]) -> Result<Entry, DirectoryError> {
        unasked("a group")
    }

    async fn update_group(&self, _: &str, _: &GroupChange) -> Result<Entry, DirectoryError> {
        unasked("a group")
    }

    async fn members(&self, _: &str, _: Page) -> Result<Members, DirectoryError> {
        unasked("a group")
    }

    async fn has_members(&self, _: &str, _: &[&str]) -> Result<Vec<String>, DirectoryError> {
        unasked("a group")
    }

    async fn memberships(&self, _: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        Ok(Vec::new())
    }

    async fn seek(&self, _: ResourceType, _: Option<&str>, _: u64) -> Result<Vec<Entry>, DirectoryError> {
        unasked("a walk by key")
    }

    fn seeks(&self, _: ResourceType) -> bool {
        false
    }

    fn offers(&self, kind: ResourceType) -> bool {
        kind == ResourceType::User
    }

    fn finds_by(&self, _: ResourceType, path: &AttrPath) -> bool {
        self.config.finds_by(path)
    }

    fn holds(&self, _: ResourceType, path: &AttrPath) -> bool {
        self.config.holds(path)
    }
}

fn encoded(record: &Map<String, Value>) -> Bytes {
    serde_json::to_vec(record).expect("JSON values can always be written").into()
}

/// A value that does not fit its field.
pub(super) fn invalid(error: &Unwritable) -> DirectoryError {
    DirectoryError::Invalid { attribute: Some(error.path.to_string()), detail: format!("must be a {}", error.needs) }
}

/// A failure while looking what a change has done: the change itself was accepted.
fn after_the_fact(error: DirectoryError) -> DirectoryError {
    match error {
        DirectoryError::Silent => DirectoryError::Silent,
        other => DirectoryError::Failed { reason: format!("accepted, but then: {other}"), maybe_done: true },
    }
}
