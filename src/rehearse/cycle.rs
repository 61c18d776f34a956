//! The life of everybody in the cast, in the order of Entra's cycles: match and create, changes in both PATCH forms, disable,
//! restore, delete, and between them the life of a group; and, whatever happened, cleaning up.
//!
//! A phase runs over all people before the next begins, `concurrency` of them at a time. A person is remembered only by
//! number, id and how far they came; values are made up anew from the seed.

mod asides;
pub(super) mod team;

use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use http::{Method, header};
use indicatif::ProgressBar;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::attribute::Attribute;
use super::endpoint::{Endpoint, Purpose, list, wants};
use super::people::{Cast, Mapping, Person, Version, active_patch};
use super::report::{Check, Trip};
use super::wire::Answer;

/// People of whom a duplicate is tried; the check is the same for all.
const DUPLICATES: usize = 20;

/// What of a path segment may stand as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The path of a user.
pub(super) fn user_path(id: &str) -> String {
    format!("/Users/{}", utf8_percent_encode(id, SEGMENT))
}

/// Which PATCH forms are rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flavours {
    pub legacy: bool,
    pub compliant: bool,
}

/// How far somebody came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Life {
    /// Nothing was sent.
    #[default]
    Unborn,
    /// A create was sent; nothing is known of it.
    Attempted,
    /// Known by this id, and found under this version's user name.
    Here(String, Version),
    Gone,
}

/// The cast on the endpoint's stage.
pub(super) struct Cycle<'a> {
    endpoint: &'a Endpoint<'a>,
    cast: &'a Cast,
    mapping: Mapping,
    flavours: Flavours,
    concurrency: usize,
    progress: &'a ProgressBar,
    lives: Vec<Mutex<Life>>,
    /// `None` where the endpoint offers no groups.
    team: Option<Mutex<Life>>,
}

impl<'a> Cycle<'a> {
    pub fn new(
        endpoint: &'a Endpoint<'a>,
        cast: &'a Cast,
        mapping: Mapping,
        flavours: Flavours,
        people: usize,
        concurrency: usize,
        progress: &'a ProgressBar,
    ) -> Self {
        let lives = (0..people).map(|_| Mutex::default()).collect();
        Self { endpoint, cast, mapping, flavours, concurrency, progress, lives, team: None }
    }

    /// With a group.
    pub fn with_team(self) -> Self {
        Self { team: Some(Mutex::default()), ..self }
    }

    /// Everything but the deletion.
    pub async fn live(&self) {
        self.phase("create", |index| self.create(index)).await;
        if self.flavours.legacy {
            self.phase("change", |index| self.change(index, Check::ChangeLegacy, Version::Second)).await;
        }
        if self.flavours.compliant {
            self.phase("change", |index| self.change(index, Check::ChangeCompliant, Version::Third)).await;
        }
        if !self.endpoint.stop.is_cancelled() {
            self.clear().await;
            self.walk().await;
            self.project().await;
            if self.team.is_some() {
                self.team().await;
            }
        }
        for (wanted, legacy, check) in [
            (self.flavours.legacy, true, Check::DisableLegacy),
            (self.flavours.compliant, false, Check::DisableCompliant),
        ] {
            if wanted {
                self.phase("disable", |index| self.disable(index, check, legacy)).await;
                self.phase("restore", |index| self.restore(index, legacy)).await;
            }
        }
    }

    /// Deletes everybody, checking that they are gone.
    pub async fn delete(&self) {
        self.phase("delete", |index| self.delete_one(index)).await;
    }

    /// Removes whoever is still there, also those whose creation got no answer.
    pub async fn clean_up(&self) {
        let remaining: Vec<usize> = (0..self.lives.len())
            .filter(|index| matches!(self.life(*index), Life::Here(..) | Life::Attempted))
            .collect();
        self.progress.set_message("clean up");
        self.remove_team().await;
        futures_util::stream::iter(remaining).for_each_concurrent(self.concurrency, |index| self.remove(index)).await;
    }

    async fn phase<F: Future<Output = ()>>(&self, name: &'static str, step: impl Fn(usize) -> F) {
        self.progress.set_message(name);
        futures_util::stream::iter(0..self.lives.len())
            .for_each_concurrent(self.concurrency, |index| {
                let step = &step;
                async move {
                    if !self.endpoint.stop.is_cancelled() {
                        step(index).await;
                    }
                    self.progress.inc(1);
                }
            })
            .await;
    }

    fn life(&self, index: usize) -> Life {
        self.lives[index].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, index: usize, life: Life) {
        *self.lives[index].lock().unwrap_or_else(PoisonError::into_inner) = life;
    }

    fn team_life(&self) -> Life {
        self.team.as_ref().map_or(Life::Unborn, |team| team.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn set_team(&self, life: Life) {
        if let Some(team) = &self.team {
            *team.lock().unwrap_or_else(PoisonError::into_inner) = life;
        }
    }

    fn id(&self, index: usize) -> Option<String> {
        match self.life(index) {
            Life::Here(id, _) => Some(id),
            _ => None,
        }
    }

    fn note(&self, check: Check, outcome: Result<(), Trip>) -> bool {
        self.endpoint.report.note(check, outcome)
    }

    /// The user name that somebody was last seen with: a rename that failed must not fail every later check too.
    fn user_name(&self, index: usize) -> String {
        let version = if let Life::Here(_, version) = self.life(index) { version } else { Version::First };
        self.cast.person(index, version).user_name().to_owned()
    }

    async fn create(&self, index: usize) {
        let person = self.cast.person(index, Version::First);
        let found = self.find(person.user_name(), None).await;
        let existing = match found {
            Ok(existing) => {
                self.note(Check::Match, Ok(()));
                existing
            }
            Err(trip) => {
                self.note(Check::Match, Err(trip));
                return;
            }
        };
        if let Some(id) = existing.as_ref().and_then(|user| user["id"].as_str()) {
            self.set(index, Life::Here(id.to_owned(), Version::First));
            let outcome = self.patch(id, &person.compliant_patch()).await;
            self.note(Check::Update, outcome);
            return;
        }
        self.set(index, Life::Attempted);
        let created = self.endpoint.call(Method::POST, "/Users", Some(&person.post())).await;
        let outcome = created.and_then(|answer| self.created(index, &answer).map(|()| answer));
        let answer = match outcome {
            Ok(answer) => answer,
            Err(trip) => {
                self.note(Check::Create, Err(trip));
                return;
            }
        };
        self.note(Check::Create, Ok(()));
        let Some(id) = self.id(index) else { return };
        let body = answer.json().unwrap_or_default();
        let located = answer.header(header::LOCATION).is_some() && body["meta"]["location"].is_string();
        let trip = || Trip::over(&answer, "Location or meta.location is missing (RFC 7644 §3.3)", "");
        self.note(Check::Location, if located { Ok(()) } else { Err(trip()) });
        let echo = differs(&person, &body, true).map_or(Ok(()), |why| {
            Err(Trip::over(&answer, why, "stores what came back; its comparisons then see changes in every cycle"))
        });
        self.note(Check::Echo, echo);
        self.kept(&person, &body, &answer);

        let user_name = person.user_name();
        let outcome = self.find(user_name, Some(&id)).await;
        self.note(Check::FindAgain, outcome.map(drop));
        let outcome = self.find(&user_name.to_uppercase(), Some(&id)).await;
        self.note(Check::FindOtherCase, outcome.map(drop));
        if index < DUPLICATES {
            self.duplicate(&person, &id).await;
        }
    }

    fn created(&self, index: usize, answer: &Answer) -> Result<(), Trip> {
        let body = answer.json();
        // Whatever the status: an id tells whom to clean up.
        let id = body.as_ref().and_then(|body| body["id"].as_str()).filter(|id| !id.is_empty());
        match (id, answer.status) {
            (Some(id), 200..=299) => self.set(index, Life::Here(id.to_owned(), Version::First)),
            // A refusal is certain; a fault may have come after the deed.
            (_, 400..=499) => self.set(index, Life::Unborn),
            _ => {}
        }
        wants(answer, &[201], Purpose::Create)?;
        let then = "has nothing to address the user by: every later change fails";
        id.map(drop).ok_or_else(|| Trip::over(answer, "the body has no id", then))
    }

    async fn duplicate(&self, person: &Person, id: &str) {
        let outcome = self.endpoint.call(Method::POST, "/Users", Some(&person.post())).await;
        // A second person under another id must not stay.
        if let Ok(answer) = &outcome
            && let (200..=299, Some(other)) = (answer.status, answer.json().unwrap_or_default()["id"].as_str())
            && other != id
        {
            let removed = self.endpoint.call(Method::DELETE, &user_path(other), None).await;
            if !removed.is_ok_and(|answer| matches!(answer.status, 200..=299 | 404)) {
                self.endpoint.report.left_behind(format!("{} (id {other})", person.user_name()));
            }
        }
        let outcome = outcome.and_then(|answer| match answer.status {
            409 => Ok(()),
            status => {
                let then = "repeats a create whose answer was slow, and now there are two of them";
                Err(Trip::over(&answer, format!("{status} instead of 409"), then))
            }
        });
        self.note(Check::Duplicate, outcome);
    }

    async fn change(&self, index: usize, check: Check, version: Version) {
        let Some(id) = self.id(index) else { return };
        let person = self.cast.person(index, version);
        let patch = if check == Check::ChangeLegacy { person.legacy_patch() } else { person.compliant_patch() };
        let outcome = match self.patch(&id, &patch).await {
            Ok(()) => self.read(&id).await.and_then(|(answer, user)| {
                if Attribute::UserName.read(&user) == Some(person.user_name()) {
                    self.set(index, Life::Here(id.clone(), version));
                }
                self.kept(&person, &user, &answer);
                differs(&person, &user, true).map_or(Ok(()), |why| {
                    Err(Trip::over(&answer, why, "believes the change arrived, and does not send it again"))
                })
            }),
            Err(trip) => Err(trip),
        };
        self.note(check, outcome);
    }

    async fn disable(&self, index: usize, check: Check, legacy: bool) {
        let Some(id) = self.id(index) else { return };
        let outcome = self.patch(&id, &active_patch(legacy, false)).await;
        if !self.note(check, outcome) {
            return;
        }
        let then = "sees nobody, and enabling them again turns into a second create and a conflict";
        let outcome = match self.read(&id).await {
            Ok((answer, user)) => is_active(&answer, &user, false),
            Err(trip) => Err(trip),
        };
        self.note(Check::DisabledReadable, outcome);
        let outcome = self.find_answer(&self.user_name(index), Some(&id)).await.and_then(|(answer, user)| {
            let user = user.ok_or_else(|| Trip::over(&answer, "a disabled user is no longer found", then))?;
            is_active(&answer, &user, false)
        });
        self.note(Check::DisabledReadable, outcome);
    }

    async fn restore(&self, index: usize, legacy: bool) {
        let Some(id) = self.id(index) else { return };
        let outcome = match self.patch(&id, &active_patch(legacy, true)).await {
            Ok(()) => match self.read(&id).await {
                Ok((answer, user)) => is_active(&answer, &user, true),
                Err(trip) => Err(trip),
            },
            Err(trip) => Err(trip),
        };
        self.note(Check::Restore, outcome);
    }

    async fn delete_one(&self, index: usize) {
        let Some(id) = self.id(index) else { return };
        let path = user_path(&id);
        let outcome = self.endpoint.call(Method::DELETE, &path, None).await;
        let outcome = outcome.and_then(|answer| wants(&answer, &[204], Purpose::Delete));
        if !self.note(Check::Delete, outcome) {
            return;
        }
        let user_name = self.user_name(index);
        self.set(index, Life::Gone);
        let then = "finds somebody it believes deleted, and matches a new person of that name to them";
        let outcome = self.endpoint.get(&path).await.and_then(|answer| match answer.status {
            404 => Ok(()),
            status => Err(Trip::over(&answer, format!("{status} instead of 404"), then)),
        });
        self.note(Check::DeletedGone, outcome);
        let outcome = self.find_answer(&user_name, None).await.and_then(|(answer, user)| match user {
            None => Ok(()),
            Some(_) => Err(Trip::over(&answer, "a deleted user is still found", then)),
        });
        self.note(Check::DeletedGone, outcome);
    }

    async fn remove(&self, index: usize) {
        let who = |id: &str| format!("{} (id {id})", self.cast.person(index, Version::First).user_name());
        let id = match self.life(index) {
            Life::Here(id, _) => id,
            Life::Attempted => {
                let person = self.cast.person(index, Version::First);
                match self.find(person.user_name(), None).await {
                    Ok(Some(user)) => user["id"].as_str().unwrap_or_default().to_owned(),
                    Ok(None) => return,
                    Err(trip) => {
                        self.endpoint.report.left_behind(format!("{} (perhaps)", person.user_name()));
                        self.note(Check::CleanUp, Err(trip));
                        return;
                    }
                }
            }
            Life::Unborn | Life::Gone => return,
        };
        let outcome = self.endpoint.call(Method::DELETE, &user_path(&id), None).await;
        let outcome = outcome.and_then(|answer| match answer.status {
            200..=299 | 404 => Ok(()),
            _ => wants(&answer, &[204], Purpose::Delete),
        });
        if self.note(Check::CleanUp, outcome) {
            self.set(index, Life::Gone);
        } else {
            self.endpoint.report.left_behind(who(&id));
        }
    }

    async fn patch(&self, id: &str, body: &Value) -> Result<(), Trip> {
        let answer = self.endpoint.call(Method::PATCH, &user_path(id), Some(body)).await?;
        wants(&answer, &[200, 204], Purpose::Change)?;
        if answer.status == 200 && answer.json().is_none_or(|user| user["id"] != *id) {
            return Err(Trip::over(&answer, "200 without the user in the body", "takes the answer for a fault"));
        }
        Ok(())
    }

    async fn read(&self, id: &str) -> Result<(Answer, Value), Trip> {
        let answer = self.endpoint.get(&user_path(id)).await?;
        wants(&answer, &[200], Purpose::Read)?;
        let then = "cannot read the user and counts a failure";
        let user = answer.json().ok_or_else(|| Trip::over(&answer, "the body is no JSON", then))?;
        if user["id"] != *id {
            return Err(Trip::over(&answer, "the body has another id", then));
        }
        Ok((answer, user))
    }

    /// The match query: nobody, or exactly one; with `id`, exactly the one of this id.
    async fn find(&self, user_name: &str, id: Option<&str>) -> Result<Option<Value>, Trip> {
        self.find_answer(user_name, id).await.map(|(_, user)| user)
    }

    async fn find_answer(&self, user_name: &str, id: Option<&str>) -> Result<(Answer, Option<Value>), Trip> {
        let answer = self.endpoint.query("Users", &format!("userName eq \"{user_name}\""), "").await?;
        let (total, mut users) = list(&answer, Purpose::Query)?;
        if total > 1 || users.len() > 1 {
            let then = "cannot match and skips the user, or takes a wrong one";
            return Err(Trip::over(&answer, format!("{total} found for one user name"), then));
        }
        let user = users.pop();
        let found = user.as_ref().and_then(|user| user["id"].as_str());
        match (id, found) {
            (None, _) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(_), None) => {
                let then = "creates the user a second time: a conflict or a duplicate";
                return Err(Trip::over(&answer, "not found by user name", then));
            }
            (Some(_), Some(_)) => {
                let then = "addresses somebody else from now on";
                return Err(Trip::over(&answer, "found with another id than was given", then));
            }
        }
        Ok((answer, user))
    }

    /// Notes which optional attributes did not stay.
    fn kept(&self, person: &Person, user: &Value, answer: &Answer) {
        let mut lost =
            person.fields.iter().filter(|(attribute, _)| !attribute.core() && attribute.read(user).is_none());
        let Some((first, _)) = lost.next() else {
            self.note(Check::Kept, Ok(()));
            return;
        };
        for attribute in std::iter::once(*first).chain(lost.map(|(attribute, _)| *attribute)) {
            let why = format!("{} was accepted and is not there", attribute.path());
            let then = "sends it again whenever it compares; take it out of the mapping";
            self.note(Check::Kept, Err(Trip::over(answer, why, then)));
        }
    }
}

/// The first way in which a user is not what was sent. An optional attribute that is missing is another check's matter.
fn differs(person: &Person, user: &Value, active: bool) -> Option<String> {
    for (attribute, sent) in &person.fields {
        match attribute.read(user) {
            Some(found) if found == sent => {}
            Some(_) => return Some(format!("{} has another value than was sent", attribute.path())),
            None if attribute.core() => return Some(format!("{} is missing", attribute.path())),
            None => {}
        }
    }
    (user["active"] != active).then(|| format!("active is not the boolean {active}"))
}

fn is_active(answer: &Answer, user: &Value, wanted: bool) -> Result<(), Trip> {
    if user["active"] == wanted {
        return Ok(());
    }
    let then = "sees another state than it set, and sends it again in every cycle";
    Err(Trip::over(answer, format!("active is {}, wanted {wanted}", user["active"]), then))
}
