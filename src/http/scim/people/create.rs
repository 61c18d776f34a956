//! Creating a person: a create that may have been tried before, and may meet somebody who is there already.
//!
//! It is written down before the directory is asked, and struck out once its outcome is certain (design decision 6). What a
//! crash or a lost answer leaves, at each point in between:
//!
//! - written down, directory not asked: the repeat creates the person;
//! - person created, no link: the repeat meets them, knows them for [its own](is_ours), and links them: 201;
//! - linked, not struck out: the same, 201;
//! - struck out: done; whoever repeats it now gets 409, as for any duplicate, and finds the person by their user name.

use std::time::Duration;

use serde_json::Value;

use super::{People, keep};
use crate::dialect::{OnDisable, OnExisting};
use crate::http::error::Refusal;
use crate::http::record::Record;
use crate::http::scim::people::Person;
use crate::http::scim::{unique, view};
use crate::ports::{Directory as _, DirectoryError, Entry, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::error::ScimError;
use crate::scim::resource::Resource;
use crate::store::{LinkState, OpenCreate};
use crate::types::Digest;

/// A create on its way.
struct Create<'a> {
    user_name: &'a str,
    resource: &'a Resource,
    body: Digest,
    /// The same user name's create that was begun before and whose outcome nobody knows.
    earlier: Option<OpenCreate>,
}

impl Create<'_> {
    /// Whether the earlier try was for just the same.
    fn is_same_request(&self) -> bool {
        self.earlier.is_some_and(|open| open.body_digest == self.body)
    }

    /// Whether the earlier try made this person.
    fn is_repeated_for(&self, entry: &Entry) -> bool {
        self.earlier.is_some_and(|open| is_ours(&open, entry, self.body))
    }
}

impl People<'_> {
    /// Creates the person, or links the one who is there, as the dialect has it.
    pub async fn create(&self, sent: Resource, record: &mut Record) -> Result<Person, Refusal> {
        let sent = self.listed(None, sent, false, record)?;
        let accepted = self.tenant.config.dialect.accept(None, sent);
        let resource = &self.checked(accepted, record)?;
        resource.check_required(ResourceType::User, &self.tenant.config.schemas)?;
        let Some(user_name) = resource.user_name() else {
            return Err(ScimError::invalid_value("userName: is required; map it from userPrincipalName").into());
        };
        if self.drops(resource, record)? {
            return Ok(self.never_created(resource, user_name));
        }
        self.permitted(resource, None, record)?;
        let mut spelt = resource.clone();
        self.tenant.config.dialect.spell(None, &mut spelt);
        let user_name = spelt.user_name().unwrap_or(user_name);
        let _alone = self.tenant.locks.user_name(user_name).await;
        let (name, body) = (Digest::of(user_name.to_lowercase().as_bytes()), digest(resource));
        let earlier = self.store.open_create(self.name(), &name).await?;
        let intent = match earlier {
            Some(open) => open.id,
            None => self.store.begin_create(self.name(), &name, &body).await?,
        };
        let create = Create { user_name, resource, body, earlier };
        let outcome = self.carry_out_create(&create, record).await;
        if is_settled(&outcome, earlier.is_some()) {
            self.store.finish(intent).await?;
        }
        let person = outcome?;
        record.target = Some(person.entry.key.clone());
        Ok(person)
    }

    async fn carry_out_create(&self, create: &Create<'_>, record: &mut Record) -> Result<Person, Refusal> {
        let mut wanted = create.resource.clone();
        let dialect = &self.tenant.config.dialect;
        dialect.spell(None, &mut wanted);
        dialect.complete(&mut wanted);
        for (path, value) in self.tenant.config.switches.carried() {
            if self.tenant.directory.holds(ResourceType::User, &path) {
                record.notes.push(format!("carried downstream: {} {value}", path.attribute));
                wanted.set(&path, value);
            }
        }
        self.strip(&mut wanted, record);
        let _claim = unique::claim(self.tenant, ResourceType::User, None, None, &wanted).await?;
        match self.tenant.directory.create(&wanted).await {
            Ok(entry) => self.remember(entry, LinkState::Managed, create.resource, None).await,
            Err(DirectoryError::Conflict { attribute }) => self.existing(create, attribute, record).await,
            Err(error) => Err(error.into()),
        }
    }

    /// A create met somebody who is there already.
    async fn existing(&self, create: &Create<'_>, taken: String, record: &mut Record) -> Result<Person, Refusal> {
        let Some(entry) = self.named(create.user_name).await? else {
            return Err(DirectoryError::Conflict { attribute: taken }.into());
        };
        let _alone = self.tenant.locks.key(&entry.key).await;
        let link = self.store.link(self.name(), &entry.key).await?;
        let state = link.as_ref().map(|link| link.state);
        let dialect = &self.tenant.config.dialect;
        let how = match (state, dialect.on_existing) {
            (None, _) if create.is_repeated_for(&entry) => "found the earlier try",
            // It came as far as the link; only that very request goes on from there.
            (Some(LinkState::Managed), _) if create.is_same_request() && create.is_repeated_for(&entry) => {
                "found the earlier try"
            }
            (Some(LinkState::Removed), _) if dialect.revives => "revived",
            (None | Some(LinkState::Unlinked | LinkState::Removed), OnExisting::Link) => "linked",
            (None, OnExisting::Conflict) => return Err(DirectoryError::Conflict { attribute: taken }.into()),
            (Some(LinkState::Managed | LinkState::Unlinked), _) => {
                return Err(ScimError::uniqueness(
                    "userName: this person is provisioned already; find them by userName and update them instead",
                )
                .into());
            }
            (Some(LinkState::Removed), OnExisting::Conflict) => {
                return Err(ScimError::uniqueness(
                    "userName: is held by a person whom provisioning has deleted and the directory keeps; rename or remove \
                     them there, then create again",
                )
                .into());
            }
        };
        self.permitted(&entry.resource, None, record)?;
        record.notes.push(how.into());
        // Laid over what is there: attributes that the create does not name stay.
        let person = self.person(entry, link);
        let mut resource = dialect.accept_over(&person.whole, create.resource.clone()).resource;
        let mut state = LinkState::Managed;
        if dialect.on_disable == OnDisable::Unlink {
            // Linking leaves the directory's own switch as it is.
            let lets_in = person.entry.resource.active() != Some(false);
            if lets_in && resource.active() == Some(false) {
                state = LinkState::Unlinked;
            }
            keep(&person.entry.resource, &mut resource, &view::active_path());
        }
        let entry = self.carry_out(&person, &resource, record).await?;
        self.remember(entry, state, &resource, person.link.as_ref()).await
    }

    /// The person whom the directory knows by this user name.
    async fn named(&self, user_name: &str) -> Result<Option<Entry>, DirectoryError> {
        let lookup = Lookup::Equal { path: view::user_name_path(), value: user_name.to_owned() };
        let found = self.tenant.directory.find(ResourceType::User, &lookup, Page { offset: 0, limit: 10 }).await?;
        let wanted = user_name.to_lowercase();
        let same = |entry: &Entry| entry.resource.user_name().is_some_and(|name| name.to_lowercase() == wanted);
        Ok(found.entries.into_iter().find(same))
    }
}

/// How far the directory's clock and ours may disagree, and the longest deadline of a call.
const SLACK: Duration = Duration::from_mins(10);

/// Whether somebody who is there came of the create that was begun before, rather than being created by others while it lay
/// open: made no earlier than it, and either right then or, as far as the directory tells, for the same request.
pub(in crate::http::scim) fn is_ours(open: &OpenCreate, entry: &Entry, body: Digest) -> bool {
    let same_request = open.body_digest == body;
    match entry.created {
        Some(created) if open.at.since(created) > SLACK => false,
        Some(created) => same_request || created.since(open.at) <= SLACK,
        None => same_request,
    }
}

/// Whether it is now known what became of a create, and of the try before it.
pub(in crate::http::scim) const fn is_settled<T>(outcome: &Result<T, Refusal>, tried_before: bool) -> bool {
    match outcome {
        Ok(_) | Err(Refusal::Scim(_) | Refusal::Directory(DirectoryError::Conflict { .. })) => true,
        Err(
            Refusal::Store(_)
            | Refusal::Directory(DirectoryError::Silent | DirectoryError::Failed { maybe_done: true, .. }),
        ) => false,
        // Nothing was done this time; the earlier try is as unknown as it was.
        Err(_) => !tried_before,
    }
}

/// What makes a repeated request the same; clients make a password up for each.
fn digest(resource: &Resource) -> Digest {
    let mut map = resource.as_map().clone();
    map.shift_remove("password");
    Digest::of(Value::Object(map).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    #[test]
    fn an_earlier_try_is_known_by_its_time_and_its_request() {
        let (asked, other) = (Digest::of(b"asked"), Digest::of(b"other"));
        let open = OpenCreate { id: 1, body_digest: asked, at: Timestamp::from_seconds(100_000) };
        // When the directory says the person was made, which request comes now, and whether it is ours.
        let rows = [
            (Some(100_000), other, true),
            (Some(99_700), asked, true),
            (Some(100_500), other, true),
            (Some(130_000), asked, true),
            (Some(130_000), other, false),
            (Some(90_000), asked, false),
            (None, asked, true),
            (None, other, false),
        ];
        for (created, body, ours) in rows {
            let entry = Entry {
                key: "1".into(),
                resource: Resource::default(),
                created: created.map(Timestamp::from_seconds),
                modified: None,
                version: None,
            };
            assert_eq!(is_ours(&open, &entry, body), ours, "{created:?}");
        }
    }

    #[test]
    fn an_open_create_stays_open_until_its_outcome_is_certain() {
        let refused = || DirectoryError::Invalid { attribute: None, detail: String::new() };
        let rows = [
            (DirectoryError::Conflict { attribute: "userName".into() }, true, true),
            (DirectoryError::Silent, false, false),
            (DirectoryError::Failed { reason: String::new(), maybe_done: true }, false, false),
            (DirectoryError::Failed { reason: String::new(), maybe_done: false }, true, false),
            (DirectoryError::Busy { retry_after: None }, true, false),
            (refused(), true, false),
        ];
        for (error, first, repeated) in rows {
            let outcome: Result<Person, _> = Err(Refusal::Directory(error));
            assert_eq!(
                (is_settled(&outcome, false), is_settled(&outcome, true)),
                (first, repeated),
                "{outcome:?}",
                outcome = outcome.as_ref().err()
            );
        }
    }

    #[test]
    fn a_password_made_up_anew_does_not_make_another_request() {
        let parse =
            |body: &str| Resource::parse(crate::scim::resource::ResourceType::User, body.as_bytes()).unwrap().resource;
        let one = digest(&parse(r#"{"userName": "ada", "password": "1", "title": "T"}"#));
        assert!(one == digest(&parse(r#"{"userName": "ada", "password": "2", "title": "T"}"#)));
        assert!(one != digest(&parse(r#"{"userName": "ada", "password": "1", "title": "U"}"#)));
    }
}
