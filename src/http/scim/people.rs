//! What a change to a person means: the dialect accepts it, one call on the directory carries it out, the link remembers.
//!
//! Order matters for what is left after a crash: the directory first, then the link. Everything but a create (in `create`) may
//! simply be repeated.

pub(super) mod create;
mod scope;

use std::fmt;

use serde_json::Value;

use super::shown::{Shown, tag};
use super::unique;
use super::view::{self, link_after, visible};
use crate::dialect::{Accepted, OnDelete, OnDisable, OnExisting};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::http::record::Record;
use crate::oauth::Role;
use crate::ports::{Directory, DirectoryError, Entry};
use crate::scim::ResourceType;
use crate::scim::error::ScimError;
use crate::scim::etag::Preconditions;
use crate::scim::patch::{self, Operation};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::store::{Link, LinkState, Store};

/// A person as found, and as seen.
pub struct Person {
    /// As the directory holds them.
    pub entry: Entry,
    /// With what the link says beside it: what a change is applied to.
    whole: Resource,
    /// As the identity provider sees them: only what the dialect offers.
    pub seen: Resource,
    /// What the gateway remembers of them.
    pub link: Option<Link>,
}

impl Person {
    /// As they are seen.
    pub fn shown(self) -> Shown {
        let tag = self.tag();
        Shown { kind: ResourceType::User, entry: self.entry, seen: self.seen, tag }
    }

    fn tag(&self) -> Option<String> {
        tag(ResourceType::User, &self.entry, &self.whole)
    }
}

/// The people of one tenant.
pub struct People<'a> {
    /// The gateway's own state.
    pub store: &'a Store,
    /// Whose people.
    pub tenant: &'a Runtime,
    /// The role of the administrator whose grant the caller holds.
    pub role: Option<Role>,
}

impl People<'_> {
    fn name(&self) -> &str {
        &self.tenant.config.name
    }

    /// Makes an entry and its link into a person, unless nobody may see them.
    pub fn see(&self, entry: Entry, link: Option<Link>) -> Option<Person> {
        let dialect = &self.tenant.config.dialect;
        visible(dialect, link.as_ref()).then(|| self.person(entry, link))
    }

    fn person(&self, entry: Entry, link: Option<Link>) -> Person {
        let whole = view::whole(entry.resource.clone(), link.as_ref());
        let mut seen = whole.clone();
        self.tenant.config.dialect.shape(&mut seen);
        self.tenant.config.schemas.narrow(ResourceType::User, &mut seen);
        Person { entry, whole, seen, link }
    }

    /// The person with this id, or 404.
    pub async fn read(&self, id: &str) -> Result<Person, Refusal> {
        self.lookup(id).await?.ok_or_else(|| ScimError::not_found(id).into())
    }

    /// The person with this id, if there is one to be seen.
    pub async fn lookup(&self, id: &str) -> Result<Option<Person>, Refusal> {
        let Some(entry) = self.tenant.directory.read(ResourceType::User, id).await? else { return Ok(None) };
        let link = self.store.link(self.name(), &entry.key).await?;
        Ok(self.see(entry, link))
    }

    /// Makes the person be as `sent` says, absent attributes cleared (RFC 7644 §3.5.1). `active` is the exception: silence
    /// about it, here and in a PATCH, neither lets a leaver back in nor puts anybody out; the dialect sees to that.
    pub async fn replace(
        &self,
        id: &str,
        sent: Resource,
        when: &Preconditions,
        record: &mut Record,
    ) -> Result<Person, Refusal> {
        let _alone = self.tenant.locks.key(id).await;
        let person = self.read(id).await?;
        record.target = Some(person.entry.key.clone());
        when.decide(person.tag().as_deref(), true).for_change()?;
        let mut sent = sent;
        sent.keep_immutable(ResourceType::User, &person.whole)?;
        let schemas = &self.tenant.config.schemas;
        // Nothing that is missing keeps a leaver in, and nobody is held to what they never had.
        if sent.active() != Some(false) && person.whole.check_required(ResourceType::User, schemas).is_ok() {
            sent.check_required(ResourceType::User, schemas)?;
        }
        self.change(person, sent, record).await
    }

    /// Applies the operations together or not at all; but a disable among them is done even if another one cannot be.
    pub async fn patch(
        &self,
        id: &str,
        operations: &[Operation],
        when: &Preconditions,
        record: &mut Record,
    ) -> Result<Person, Refusal> {
        let _alone = self.tenant.locks.key(id).await;
        let person = self.read(id).await?;
        record.target = Some(person.entry.key.clone());
        when.decide(person.tag().as_deref(), true).for_change()?;
        let applied = patch::apply(ResourceType::User, &person.whole, operations);
        note_dropped(&applied.dropped, record);
        if self.tenant.config.strict_attributes && !applied.dropped.is_empty() && !applied.disables {
            return Err(unknown_attributes(&applied.dropped).into());
        }
        if applied.disables {
            leave_out(applied.refused.iter(), record);
        } else if let Some(first) = applied.refused.into_iter().next() {
            return Err(first.error.into());
        }
        self.change(person, applied.after, record).await
    }

    /// Carries out the difference between the person as seen and `after`.
    async fn change(&self, person: Person, after: Resource, record: &mut Record) -> Result<Person, Refusal> {
        let dialect = &self.tenant.config.dialect;
        self.permitted(&person.entry.resource, None, record)?;
        let disables = after.active() == Some(false) && person.whole.active() != Some(false);
        let after = self.listed(Some(&person.whole), after, disables, record)?;
        let after = if disables {
            let accepted = dialect.accept_disabling(&person.whole, after);
            note_dropped(&accepted.dropped, record);
            leave_out(accepted.violations.iter().map(|one| &one.path), record);
            accepted.resource
        } else {
            self.checked(dialect.accept(Some(&person.whole), after), record)?
        };
        self.permitted(&person.entry.resource, Some(&after), record)?;
        let state = person.link.as_ref().map(|link| link.state);
        if after == person.whole && state.is_some() || self.drops(&after, record)? {
            return Ok(person);
        }
        if dialect.on_disable == OnDisable::Unlink {
            // Here `active` is the link: false unlinks and leaves the directory alone, only true links again.
            if disables {
                return self.unlink(person, record).await;
            }
            if state == Some(LinkState::Unlinked) && after.active() == Some(false) {
                record.notes.push("not written: the person is unlinked".into());
                return Ok(person);
            }
        }
        if disables && dialect.on_disable == OnDisable::Delete {
            return self.remove(person, record).await;
        }
        let (own, before) = (person.entry.key.as_str(), &person.whole);
        let claim = unique::claim(self.tenant, ResourceType::User, Some(own), Some(before), &after).await;
        let (after, _claim) = match claim {
            Err(_) if disables => {
                leave_out(std::iter::once("what must be unique"), record);
                let mut only = person.whole.clone();
                only.set(&view::active_path(), Value::Bool(false));
                (only, None)
            }
            claim => (after, claim?),
        };
        let (entry, after) = match self.carry_out(&person, &after, record).await {
            Err(Refusal::Directory(DirectoryError::Invalid { .. } | DirectoryError::Conflict { .. })) if disables => {
                leave_out(std::iter::once("what the directory refused"), record);
                let mut only = person.whole.clone();
                only.set(&view::active_path(), Value::Bool(false));
                (self.carry_out(&person, &only, record).await?, only)
            }
            outcome => (outcome?, after),
        };
        match state {
            Some(LinkState::Unlinked) => record.notes.push("linked again".into()),
            None if dialect.on_existing == OnExisting::Link => record.notes.push("linked".into()),
            _ => {}
        }
        self.remember(entry, LinkState::Managed, &after, person.link.as_ref()).await
    }

    /// Lets go of the person, who stays as they are in the directory.
    async fn unlink(&self, person: Person, record: &mut Record) -> Result<Person, Refusal> {
        let Person { entry, link, .. } = person;
        let mut link = link.unwrap_or_else(|| Link::new(&entry.key, LinkState::Unlinked));
        link.state = LinkState::Unlinked;
        self.store.put_link(self.name(), &link).await?;
        self.note_unlinked(&entry.key, record);
        Ok(self.person(entry, Some(link)))
    }

    /// A leaver's account stays alive: said in the audit trail, and loudly enough for an operator to see to it.
    fn note_unlinked(&self, key: &str, record: &mut Record) {
        record.notes.push("unlinked; the account in the directory stays as it is".into());
        tracing::warn!(tenant = self.name(), target = key, "unlinked: the account in the directory stays alive");
    }

    /// Removes the person whom the identity provider has disabled, where the operator wants that.
    async fn remove(&self, person: Person, record: &mut Record) -> Result<Person, Refusal> {
        let mut entry = person.entry;
        match self.tenant.directory.delete(ResourceType::User, &entry.key).await {
            Ok(()) | Err(DirectoryError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        self.store.remove_link(self.name(), &entry.key).await?;
        record.notes.push("disabled, which here removes the person from the directory".into());
        entry.resource.set(&view::active_path(), Value::Bool(false));
        Ok(self.person(entry, None))
    }

    /// Refuses a change to somebody protected, or that would make somebody so, unless the grant is of the strongest.
    fn permitted(&self, held: &Resource, after: Option<&Resource>, record: &mut Record) -> Result<(), Refusal> {
        let Some(protected) = &self.tenant.config.dialect.protected else { return Ok(()) };
        let covered = protected.covers(held) || after.is_some_and(|after| protected.covers(after));
        if !covered || self.role == Some(Role::SuperUser) {
            return Ok(());
        }
        record.notes.push("protected: not changed without the grant of a super_user".into());
        Err(ScimError::forbidden(format!(
            "this person is an administrator by {}, whom this connection may not change: authorize again as a super_user, \
             or leave the person out of scope",
            protected.attribute
        ))
        .into())
    }

    /// Removes the person, in the dialect's sense of the word.
    pub async fn delete(&self, id: &str, when: &Preconditions, record: &mut Record) -> Result<(), Refusal> {
        let _alone = self.tenant.locks.key(id).await;
        let Some(person) = self.lookup(id).await? else { return self.forget(id, record).await };
        let key = person.entry.key.clone();
        record.target = Some(key.clone());
        when.decide(person.tag().as_deref(), true).for_change()?;
        self.permitted(&person.entry.resource, None, record)?;
        let removed = Link::new(&key, LinkState::Removed);
        match self.tenant.config.dialect.on_delete {
            OnDelete::Delete => {
                match self.tenant.directory.delete(ResourceType::User, &key).await {
                    // Gone already is what was asked for; the answer to a first try may have been lost.
                    Ok(()) | Err(DirectoryError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
                self.store.remove_link(self.name(), &key).await?;
            }
            OnDelete::Deactivate => {
                let mut after = person.whole.clone();
                after.set(&view::active_path(), Value::Bool(false));
                self.carry_out(&person, &after, record).await?;
                self.store.put_link(self.name(), &removed).await?;
                record.notes.push("deactivated in the directory".into());
            }
            OnDelete::Unlink => {
                self.store.put_link(self.name(), &removed).await?;
                self.note_unlinked(&key, record);
            }
        }
        Ok(())
    }

    /// Nobody is to be seen under this id. Who was managed until now has gone by an earlier try whose answer was lost, or by
    /// another door: what is remembered of them goes, too, and the DELETE has succeeded.
    async fn forget(&self, id: &str, record: &mut Record) -> Result<(), Refusal> {
        let link = self.store.link(self.name(), id).await?;
        if link.is_none_or(|link| link.state == LinkState::Removed) {
            return Err(ScimError::not_found(id).into());
        }
        self.store.remove_link(self.name(), id).await?;
        record.target = Some(id.to_owned());
        record.notes.push("gone already".into());
        Ok(())
    }

    /// One call on the directory, none if nothing differs that it holds.
    async fn carry_out(&self, person: &Person, after: &Resource, record: &mut Record) -> Result<Entry, Refusal> {
        let entry = &person.entry;
        let mut wanted = after.clone();
        for path in
            person.link.iter().flat_map(|link| link.asserted.keys()).filter_map(|path| AttrPath::parse(path).ok())
        {
            // What the directory changed the form of is not written again while nobody asserts something new.
            if after.get(&path) == person.whole.get(&path) {
                keep(&entry.resource, &mut wanted, &path);
            }
        }
        self.tenant.config.dialect.spell(Some(&entry.resource), &mut wanted);
        self.strip(&mut wanted, record);
        if entry.resource == wanted {
            return Ok(entry.clone());
        }
        Ok(self.tenant.directory.update(&entry.key, &entry.resource, &wanted).await?)
    }

    /// Takes away what the directory has nowhere to keep, and says so.
    fn strip(&self, wanted: &mut Resource, record: &mut Record) {
        let directory = &self.tenant.directory;
        for path in wanted.paths() {
            if !directory.holds(ResourceType::User, &path) {
                wanted.remove(&path);
                // The link keeps this one.
                if !path.is("externalId") {
                    record.note_paths("the directory has no place for", [path.to_string().as_str()]);
                }
            }
        }
    }

    /// Keeps the link if it says something new, and gives the person as now seen.
    async fn remember(
        &self,
        entry: Entry,
        state: LinkState,
        sent: &Resource,
        before: Option<&Link>,
    ) -> Result<Person, Refusal> {
        let directory = &*self.tenant.directory;
        let link = link_after(directory, ResourceType::User, &entry.key, state, sent, &entry.resource);
        if before != Some(&link) {
            self.store.put_link(self.name(), &link).await?;
        }
        Ok(self.person(entry, Some(link)))
    }

    /// The resource with only those declared attributes that the tenant lists, and everything that the schemas require; a
    /// disable is not kept waiting for that.
    pub(super) fn listed(
        &self,
        before: Option<&Resource>,
        after: Resource,
        disables: bool,
        record: &mut Record,
    ) -> Result<Resource, Refusal> {
        let (schemas, mut dropped) = (&self.tenant.config.schemas, Vec::new());
        let after = schemas.sift(ResourceType::User, before, after, &mut dropped);
        note_dropped(&dropped, record);
        if self.tenant.config.strict_attributes && !dropped.is_empty() && !disables {
            return Err(unknown_attributes(&dropped).into());
        }
        Ok(after)
    }

    /// The accepted resource, or every violation in one error.
    fn checked(&self, accepted: Accepted, record: &mut Record) -> Result<Resource, Refusal> {
        note_dropped(&accepted.dropped, record);
        if self.tenant.config.strict_attributes && !accepted.dropped.is_empty() {
            return Err(unknown_attributes(&accepted.dropped).into());
        }
        let mut errors = accepted.violations.into_iter().map(|violation| violation.error);
        let Some(mut first) = errors.next() else { return Ok(accepted.resource) };
        for error in errors {
            first.detail.push_str("; ");
            first.detail.push_str(&error.detail);
        }
        Err(first.into())
    }
}

/// Puts back what was at `path`.
pub(super) fn keep(before: &Resource, after: &mut Resource, path: &AttrPath) {
    match before.get(path) {
        Some(value) => after.set(path, value.clone()),
        None => {
            after.remove(path);
        }
    }
}

/// Writes down what of a request was not done so that the disable in it could be: places and kinds, never values.
fn leave_out(what: impl Iterator<Item = impl fmt::Display>, record: &mut Record) {
    record.notes.extend(what.map(|one| format!("left out beside a disable: {one}")));
}

/// Writes down which attributes were not taken over: their names, never their values.
pub fn note_dropped(dropped: &[String], record: &mut Record) {
    record.note_paths("dropped", dropped.iter().map(String::as_str));
}

/// The refusal of a tenant that takes no unknown attributes.
pub fn unknown_attributes(dropped: &[String]) -> ScimError {
    ScimError::invalid_value(format!(
        "{}: not an attribute of this service; remove it from the attribute mappings",
        dropped.join(", ")
    ))
}
