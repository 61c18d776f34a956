//! The records of one type in a REST user system, and the calls that read and change them: people, or groups without their
//! members. Deals in the user system's own keys.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};

use super::answer::{self, Step};
use super::config::Config;
use super::config::groups::Guard;
use super::config::listing::Listing;
use super::invalid;
use super::paging::Walk;
use super::plan::{Call, Replacement, Update};
use super::shape::Place;
use super::template::Slot;
use crate::directory::client::{Answer, Client, Deadline};
use crate::mapping::expression::Moment;
use crate::ports::{DirectoryError, Entry, Found, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::types::{Clock, Random};

/// The most times that a change is tried again because somebody else changed the record meanwhile.
const MOST_TRIES: u64 = 100;

/// The records of one type.
#[derive(Clone, Copy)]
pub struct Records<'r> {
    /// What is declared of them.
    pub config: &'r Config,
    /// Calls the user system.
    pub client: &'r Client,
    /// Changes to one entry go one after the other where some of them put the whole entry in place: see [`Records::put`].
    pub lanes: &'r [Mutex<()>],
    /// For expressions that look at the time.
    pub clock: &'r Clock,
    /// For expressions that throw dice.
    pub random: &'r Random,
}

/// What an edit of a record's place makes of it.
pub enum Edit {
    /// Nothing differs.
    Stays,
    /// This value; null takes it away.
    Becomes(Value),
}

impl<'r> Records<'r> {
    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), random: Some(self.random.clone()) }
    }

    /// One call, and what its answer means. `None`: a value cannot be addressed, nothing was called.
    async fn answer(&self, call: Option<Call>, deadline: Deadline) -> Result<Option<Answer>, DirectoryError> {
        let Some(call) = call else { return Ok(None) };
        let (step, body) = (call.step, call.body.as_ref().map(encoded));
        let guarded = call.guard.as_ref().map(|guard| {
            let mut headers = self.config.headers.clone();
            headers.insert(header::IF_MATCH, guard.clone());
            headers
        });
        let headers = guarded.as_ref().unwrap_or(&self.config.headers);
        let answer = self.client.call_with(&call.method, call.path.clone(), headers, body, deadline).await;
        let answer = answer.map_err(|error| error.reported(step.changes()))?;
        let wait = || self.client.retry_after(&answer.headers);
        let error = match self.config.rules.judge(step, answer.status.as_u16(), &answer.body) {
            Some(meaning) => answer::meant(self.config, meaning, step, wait(), &answer.body, &call.values()),
            None if answer.status.is_success() => None,
            None => Some(answer::refusal(self.config, step, answer.status, wait(), &answer.body, &call.values())),
        };
        error.map_or(Ok(Some(answer)), Err)
    }

    /// One call; gives the body of an answer that means success.
    pub async fn call(&self, call: Option<Call>, deadline: Deadline) -> Result<Option<Bytes>, DirectoryError> {
        Ok(self.answer(call, deadline).await?.map(|answer| answer.body))
    }

    async fn read_answer(
        &self,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<(Map<String, Value>, HeaderMap)>, DirectoryError> {
        let answer = match self.answer(self.config.plan_read(key), deadline).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(DirectoryError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let record = answer::object(&answer.body).map_err(|problem| Step::Read.nonsense(problem))?;
        // Another spelling of a key (`017`, another case) is no key: a SCIM id has one spelling (RFC 7643 §3.1).
        let held = answer::key(self.config, &record).map_err(|problem| Step::Read.nonsense(problem))?;
        Ok((held == key).then_some((record, answer.headers)))
    }

    /// The record with this key, as the user system holds it.
    pub async fn read_record(
        &self,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<Map<String, Value>>, DirectoryError> {
        Ok(self.read_answer(key, deadline).await?.map(|(record, _)| record))
    }

    /// The entry with this key.
    pub async fn read_by(&self, key: &str, deadline: Deadline) -> Result<Option<Entry>, DirectoryError> {
        let Some(record) = self.read_record(key, deadline).await? else { return Ok(None) };
        self.entry(&record).map(Some)
    }

    /// A record that was read, as an entry.
    pub fn entry(&self, record: &Map<String, Value>) -> Result<Entry, DirectoryError> {
        answer::entry(self.config, record).map_err(|problem| Step::Read.nonsense(problem))
    }

    /// The entry a change has left behind: from its answer, or else read again.
    async fn settled(&self, step: Step, key: &str, answer: &[u8], deadline: Deadline) -> Result<Entry, DirectoryError> {
        if let Ok(record) = answer::object(answer)
            && let Ok(entry) = answer::entry(self.config, &record)
            && entry.key == key
        {
            return Ok(entry);
        }
        match self.read_by(key, deadline).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err(step.nonsense("it is not there afterwards")),
            Err(error) => Err(after_the_fact(error)),
        }
    }

    /// Sends the fields that differ.
    async fn patch(&self, key: &str, call: Option<Call>, deadline: Deadline) -> Result<Entry, DirectoryError> {
        let body = self.call(call, deadline).await?;
        self.settled(Step::Update, key, &body.ok_or(DirectoryError::NotFound)?, deadline).await
    }

    /// Puts the whole entry in place: as the directory holds it now, also what the table does not know, with the changes.
    async fn put(&self, key: &str, change: &Replacement<'_>, deadline: Deadline) -> Result<Entry, DirectoryError> {
        let record = self.read_record(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
        self.patch(key, change.over(key, &record), deadline).await
    }

    /// The turn of an entry's change.
    pub async fn lane(&self, key: &str, deadline: Deadline) -> Result<MutexGuard<'r, ()>, DirectoryError> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % self.lanes.len() as u64).unwrap_or(0);
        let turn = tokio::time::timeout_at(deadline.0, self.lanes[lane].lock()).await;
        turn.map_err(|_| DirectoryError::Busy { retry_after: None })
    }

    /// As [`Records::lane`], where one change may replace the whole entry and so undo another.
    async fn turn(&self, key: &str, deadline: Deadline) -> Result<Option<MutexGuard<'r, ()>>, DirectoryError> {
        if self.config.takes_turns() { self.lane(key, deadline).await.map(Some) } else { Ok(None) }
    }

    /// The entries that hold `value` at `path`, which must be one that can be found by.
    pub async fn find_equal(
        &self,
        path: &AttrPath,
        value: &str,
        deadline: Deadline,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let Some(body) = self.call(self.config.plan_find(path, value), deadline).await? else {
            return Ok(Vec::new());
        };
        let found = serde_json::from_slice(&body).map_err(|_| "it is not JSON, or cut short".to_owned());
        let found = found.and_then(|body| answer::items(body, &self.config.list.items, &self.config.list.total));
        let found = found.and_then(|(items, total)| Ok((answer::entries(self.config, &items)?, total)));
        let (entries, total) = found.map_err(|problem| Step::Find.nonsense(problem))?;
        // A directory that does not know the parameter gives everybody, page by page: what is sought may be on another page.
        if total.is_some_and(|total| total > entries.len() as u64) {
            return Err(Step::Find.nonsense(format!("it holds only a part of what was found by {path}")));
        }
        let sought = value.to_lowercase();
        let matches = |entry: &Entry| match entry.resource.get(path) {
            Some(Value::String(text)) => text.to_lowercase() == sought || self.config.writes_alike(path, text, value),
            Some(Value::Bool(yes)) => sought == if *yes { "true" } else { "false" },
            Some(Value::Number(number)) => number.to_string() == sought,
            _ => false,
        };
        Ok(entries.into_iter().filter(matches).collect())
    }

    /// Refuses a name that somebody has, where the user system would not do so itself. Two gateways at the same moment can
    /// still slip through; two requests to one cannot, since the gateway lets only one of them create this name.
    async fn see_that_free(&self, name: Option<&str>, deadline: Deadline) -> Result<(), DirectoryError> {
        let path = &self.config.name;
        let Some(name) = name.filter(|_| !self.config.unique && self.config.finds_by(path)) else { return Ok(()) };
        if self.find_equal(path, name, deadline).await?.is_empty() {
            return Ok(());
        }
        Err(DirectoryError::Conflict { attribute: path.to_string() })
    }

    /// The items of a list, from answer to answer, and how many there are in all.
    pub async fn walk(
        &self,
        listing: &Listing,
        slots: &[(Slot, &str)],
        page: Page,
        deadline: Deadline,
    ) -> Result<(Vec<Value>, u64), DirectoryError> {
        let mut walk = Walk::new(listing, page);
        loop {
            let call = self.config.plan_walk(listing, &walk, slots);
            let answer = self.answer(call, deadline).await?.ok_or(DirectoryError::NotFound)?;
            let done = walk.take(&answer.body, &answer.headers, self.client.base());
            if done.map_err(|problem| Step::Find.nonsense(problem))? {
                return Ok(walk.finish());
            }
        }
    }

    /// All entries, one page of them.
    pub async fn list(&self, page: Page, deadline: Deadline) -> Result<Found, DirectoryError> {
        let (items, total) = self.walk(&self.config.list, &[], page, deadline).await?;
        let entries = answer::entries(self.config, &items).map_err(|problem| Step::Find.nonsense(problem))?;
        Ok(Found { entries, total })
    }

    /// The entries that answer a question about one value.
    pub async fn find(&self, path: &AttrPath, value: &str, page: Page) -> Result<Found, DirectoryError> {
        if !self.config.finds_by(path) {
            return Err(DirectoryError::Failed { reason: format!("no find operation for {path}"), maybe_done: false });
        }
        let all = self.find_equal(path, value, self.client.deadline()).await?;
        Ok(part(all, page))
    }

    /// The entries after a key.
    pub async fn seek(&self, after: Option<&str>, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        let deadline = self.client.deadline();
        let mut entries: Vec<Entry> = Vec::new();
        while (entries.len() as u64) < limit {
            let last = entries.last().map(|entry| entry.key.as_str()).or(after).unwrap_or_default();
            let call = self.config.plan_after(last, limit - entries.len() as u64);
            let Some(body) = self.call(call, deadline).await? else { break };
            let found = serde_json::from_slice(&body).map_err(|_| "it is not JSON, or cut short".to_owned());
            let found = found.and_then(|body| answer::items(body, &self.config.list.items, ""));
            let found = found.and_then(|(items, _)| answer::entries(self.config, &items));
            let found = found.map_err(|problem| Step::Find.nonsense(problem))?;
            if found.is_empty() {
                break;
            }
            let seen = |key: &str| after == Some(key) || entries.iter().any(|entry| entry.key == key);
            if found.iter().any(|entry| seen(&entry.key)) {
                return Err(Step::Find.nonsense("it holds what should lie before it"));
            }
            entries.extend(found);
        }
        entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(entries)
    }

    /// Reads the record, changes it and edits what stands at `place`, and puts that in place; again, where a guard tells that
    /// somebody else was quicker. The entry afterwards.
    pub async fn rewrite(
        &self,
        key: &str,
        change: (&Resource, &Resource),
        place: &Place,
        guard: Guard,
        deadline: Deadline,
        edit: impl Fn(Option<&Value>) -> Result<Edit, DirectoryError>,
    ) -> Result<Entry, DirectoryError> {
        let plan = self.config.plan_over(change.0, change.1, &self.moment()).map_err(|error| invalid(&error))?;
        let _turn = self.lane(key, deadline).await?;
        let mut read = self.read_answer(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
        for tried in 0..MOST_TRIES {
            let (record, headers) = read;
            let placed = match edit(place.get(&record))? {
                Edit::Stays if plan.is_empty() => return self.entry(&record),
                Edit::Stays => None,
                Edit::Becomes(value) => Some((place, value)),
            };
            let (tag, version) = (tag(&headers), answer::version(self.config, &record));
            let call = plan.with(key, &record, placed, Some((guard, tag.clone())));
            let refused = match self.patch(key, call, deadline).await {
                Err(error) if guard != Guard::None && lost(&error) => error,
                outcome => return outcome,
            };
            // Refused because of what the entry is by now, or because of what it should become?
            let again = self.read_answer(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
            let same = match guard {
                Guard::IfMatch => self::tag(&again.1) == tag,
                _ => answer::version(self.config, &again.0) == version,
            };
            if same {
                return Err(refused);
            }
            read = again;
            pause(tried).await;
        }
        Err(DirectoryError::Busy { retry_after: None })
    }

    /// Creates an entry; `extra` stands in its record beside what the table says.
    pub async fn create(
        &self,
        entry: &Resource,
        extra: Option<(&Place, Value)>,
        deadline: Deadline,
    ) -> Result<Entry, DirectoryError> {
        let mut call = self.config.plan_create(entry, &self.moment()).map_err(|error| invalid(&error))?;
        if let (Some((place, value)), Some(body)) = (extra, call.as_mut().and_then(|call| call.body.as_mut())) {
            place.set(body, value);
        }
        let (path, name) = (&self.config.name, entry.text(&self.config.name));
        self.see_that_free(name, deadline).await?;
        let body = self.call(call, deadline).await?.unwrap_or_default();
        if let Ok(record) = answer::object(&body)
            && let Ok(key) = answer::key(self.config, &record)
        {
            return self.settled(Step::Create, &key, &body, deadline).await;
        }
        // No key came back: ask who has the name now.
        let found = match name.filter(|_| self.config.finds_by(path)) {
            Some(name) => self.find_equal(path, name, deadline).await.map_err(after_the_fact)?,
            None => Vec::new(),
        };
        <[Entry; 1]>::try_from(found)
            .map(|[entry]| entry)
            .map_err(|_| Step::Create.nonsense(format!("it holds no key, and nobody is found by {path}")))
    }

    /// Changes an entry.
    pub async fn update(
        &self,
        key: &str,
        before: &Resource,
        after: &Resource,
        deadline: Deadline,
    ) -> Result<Entry, DirectoryError> {
        let plan = self.config.plan_update(key, before, after, &self.moment()).map_err(|error| invalid(&error))?;
        let lower = |entry: &Resource| entry.text(&self.config.name).map(str::to_lowercase);
        if lower(before) != lower(after) {
            self.see_that_free(after.text(&self.config.name), deadline).await?;
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

    /// Removes an entry.
    pub async fn delete(&self, key: &str) -> Result<(), DirectoryError> {
        let done = self.call(self.config.plan_delete(key), self.client.deadline()).await?;
        done.map(|_| ()).ok_or(DirectoryError::NotFound)
    }
}

/// A page of what was found at once.
pub fn part(all: Vec<Entry>, page: Page) -> Found {
    let total = all.len() as u64;
    let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
    let entries = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect();
    Found { entries, total }
}

fn encoded(record: &Map<String, Value>) -> Bytes {
    serde_json::to_vec(record).expect("JSON values can always be written").into()
}

/// The `ETag` of an answer; a weak one too, since a user system that knows only weak ones compares them.
fn tag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::ETAG).cloned()
}

/// Whether a change may have been refused because the record was changed meanwhile: 409, or 412, which is an ordinary refusal.
fn lost(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::Conflict { .. } | DirectoryError::Failed { maybe_done: false, .. })
}

/// Leaves the others a moment before a change is tried again.
async fn pause(tried: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(tried.min(50))).await;
}

/// A failure while looking what a change has done: the change itself was accepted.
pub fn after_the_fact(error: DirectoryError) -> DirectoryError {
    match error {
        DirectoryError::Silent => DirectoryError::Silent,
        other => DirectoryError::Failed { reason: format!("accepted, but then: {other}"), maybe_done: true },
    }
}
