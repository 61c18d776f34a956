//! What a change to a group means (RFC 7643 §4.2, RFC 7644 §3.5).
//!
//! Membership travels as intents (design decision 4): to add one member nobody reads the others. Only what speaks of all of them
//! (a replacement, a removal by filter) has them read, and then goes alone. The order of writes is as with people: the directory
//! first, then the link.

mod create;

use std::collections::HashMap;

use super::people::{note_dropped, unknown_attributes};
use super::shown::{Shown, tag};
use super::unique;
use super::view::{self, link_after};
use super::walk::{Next, Walk};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::http::record::Record;
use crate::ports::{Directory, DirectoryError, Entry, GroupChange};
use crate::scim::error::ScimError;
use crate::scim::etag::Preconditions;
use crate::scim::members::{self, Intent, selects};
use crate::scim::patch::{self, Operation};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::schema::Selection;
use crate::scim::{Member, ResourceType};
use crate::store::{Link, LinkState, Store};

/// The most members that are read for one answer or one change.
pub const MOST_MEMBERS: u64 = 250_000;

/// As many members as are looked up to say which of them does not exist.
const NAMED: usize = 500;

/// A group as found, and as seen.
pub struct Group {
    /// As the directory holds it.
    pub entry: Entry,
    /// With what the link says beside it.
    pub whole: Resource,
    /// What the gateway remembers of it.
    pub link: Option<Link>,
}

impl Group {
    /// From an entry and its link.
    pub fn new(entry: Entry, link: Option<Link>) -> Self {
        let whole = view::whole(entry.resource.clone(), link.as_ref());
        Self { entry, whole, link }
    }

    /// As a tenant sees it, which lists these of the declared schemas; without its members.
    pub fn shown(self, listed: &Selection) -> Shown {
        let (tag, mut seen) = (self.tag(), self.whole);
        listed.narrow(ResourceType::Group, &mut seen);
        Shown { kind: ResourceType::Group, entry: self.entry, seen, tag }
    }

    fn tag(&self) -> Option<String> {
        tag(ResourceType::Group, &self.entry, &self.whole)
    }
}

/// The groups of one tenant. Its directory and its dialect offer them.
pub struct Groups<'a> {
    /// The gateway's own state.
    pub store: &'a Store,
    /// Whose groups.
    pub tenant: &'a Runtime,
}

impl Groups<'_> {
    fn name(&self) -> &str {
        &self.tenant.config.name
    }

    /// The group with this id, or 404.
    pub async fn read(&self, id: &str) -> Result<Group, Refusal> {
        self.lookup(id).await?.ok_or_else(|| ScimError::not_found(id).into())
    }

    /// The group with this id, if there is one.
    pub async fn lookup(&self, id: &str) -> Result<Option<Group>, Refusal> {
        let Some(entry) = self.tenant.directory.read(ResourceType::Group, id).await? else { return Ok(None) };
        let link = self.store.link(self.name(), &entry.key).await?;
        Ok(Some(Group::new(entry, link)))
    }

    /// All direct members, read page by page.
    pub async fn members(&self, key: &str) -> Result<Vec<Member>, Refusal> {
        let (mut walk, mut all) = (Walk::default(), Vec::new());
        loop {
            let page = self.tenant.directory.members(key, walk.page()).await.map_err(|error| absent(error, key))?;
            if page.total > MOST_MEMBERS {
                return Err(ScimError::too_many(format!(
                    "members: the group has {}, more than {MOST_MEMBERS}; leave them out with excludedAttributes=members",
                    page.total
                ))
                .into());
            }
            match walk.take(page.members, page.total, |member| member.key.as_str())? {
                Next::More(new) => all.extend(new),
                Next::Last(new) => {
                    all.extend(new);
                    return Ok(all);
                }
            }
        }
    }

    /// Makes the group be as `sent` says, absent attributes cleared (RFC 7644 §3.5.1). Silence about `members` keeps them: a client
    /// that leaves them out of its reads leaves them out of what it puts back, too.
    pub async fn replace(
        &self,
        id: &str,
        mut sent: Resource,
        when: &Preconditions,
        record: &mut Record,
    ) -> Result<Group, Refusal> {
        let wanted = members::take(&mut sent)?;
        display_name(&sent)?;
        let _alone = self.tenant.locks.group(id).await;
        let group = self.read(id).await?;
        record.target = Some(group.entry.key.clone());
        when.decide(group.tag().as_deref(), true).for_change()?;
        let (add, remove) = match wanted {
            Some(wanted) => self.difference(&group.entry.key, vec![Intent::Replace(wanted)]).await?,
            None => (Vec::new(), Vec::new()),
        };
        sent.keep_immutable(ResourceType::Group, &group.whole)?;
        let mut dropped = Vec::new();
        let after = self.listed(Some(&group.whole), sent, &mut dropped)?;
        note_dropped(&dropped, record);
        after.check_required(ResourceType::Group, &self.tenant.config.schemas)?;
        self.change(group, after, add, remove, record).await
    }

    /// Applies the operations together or not at all.
    pub async fn patch(
        &self,
        id: &str,
        operations: Vec<Operation>,
        when: &Preconditions,
        record: &mut Record,
    ) -> Result<Group, Refusal> {
        let (operations, intents) = members::split(operations)?;
        let relative = intents.iter().all(|intent| matches!(intent, Intent::Add(_) | Intent::Remove(_)));
        if relative && when.is_empty() {
            let _beside = self.tenant.locks.group_shared(id).await;
            let group = self.read(id).await?;
            let (after, dropped) = self.applied(&group, &operations)?;
            // Okta sends the name, as it is, with each change of the membership.
            if after == group.whole {
                record.target = Some(group.entry.key.clone());
                note_dropped(&dropped, record);
                let (add, remove) = net(intents);
                return self.change(group, after, add, remove, record).await;
            }
        }
        let _alone = self.tenant.locks.group(id).await;
        let group = self.read(id).await?;
        record.target = Some(group.entry.key.clone());
        when.decide(group.tag().as_deref(), true).for_change()?;
        let (after, dropped) = self.applied(&group, &operations)?;
        note_dropped(&dropped, record);
        let (add, remove) = if relative { net(intents) } else { self.difference(&group.entry.key, intents).await? };
        self.change(group, after, add, remove, record).await
    }

    /// Removes the group.
    pub async fn delete(&self, id: &str, when: &Preconditions, record: &mut Record) -> Result<(), Refusal> {
        let _alone = self.tenant.locks.group(id).await;
        let Some(group) = self.lookup(id).await? else {
            // Who was linked until now has gone by an earlier try whose answer was lost, or by another door.
            if self.store.link(self.name(), id).await?.is_none() {
                return Err(ScimError::not_found(id).into());
            }
            self.store.remove_link(self.name(), id).await?;
            record.target = Some(id.to_owned());
            record.notes.push("gone already".into());
            return Ok(());
        };
        let key = group.entry.key.clone();
        record.target = Some(key.clone());
        when.decide(group.tag().as_deref(), true).for_change()?;
        match self.tenant.directory.delete(ResourceType::Group, &key).await {
            Ok(()) | Err(DirectoryError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        if group.link.is_some() {
            self.store.remove_link(self.name(), &key).await?;
        }
        Ok(())
    }

    /// The attributes after the operations, and the names of those that were not taken.
    fn applied(&self, group: &Group, operations: &[Operation]) -> Result<(Resource, Vec<String>), Refusal> {
        let applied = patch::apply(ResourceType::Group, &group.whole, operations);
        if self.tenant.config.strict_attributes && !applied.dropped.is_empty() {
            return Err(unknown_attributes(&applied.dropped).into());
        }
        if let Some(first) = applied.refused.into_iter().next() {
            return Err(first.error.into());
        }
        display_name(&applied.after)?;
        let mut dropped = applied.dropped;
        let after = self.listed(Some(&group.whole), applied.after, &mut dropped)?;
        Ok((after, dropped))
    }

    /// The group with only those declared attributes that the tenant lists.
    fn listed(
        &self,
        before: Option<&Resource>,
        after: Resource,
        dropped: &mut Vec<String>,
    ) -> Result<Resource, Refusal> {
        let after = self.tenant.config.schemas.sift(ResourceType::Group, before, after, dropped);
        if self.tenant.config.strict_attributes && !dropped.is_empty() {
            return Err(unknown_attributes(dropped).into());
        }
        Ok(after)
    }

    /// What must be added and removed so that all intents come true in their order. Reads the membership; the caller is alone.
    async fn difference(&self, key: &str, intents: Vec<Intent>) -> Result<(Vec<Member>, Vec<String>), Refusal> {
        let held = self.members(key).await?;
        let mut wanted: HashMap<&str, Member> =
            held.iter().map(|member| (member.key.as_str(), member.clone())).collect();
        for intent in &intents {
            match intent {
                Intent::Add(members) => {
                    for member in members {
                        wanted.entry(&member.key).or_insert_with(|| member.clone());
                    }
                }
                Intent::Remove(keys) => keys.iter().for_each(|key| drop(wanted.remove(key.as_str()))),
                Intent::RemoveAll => wanted.clear(),
                Intent::Replace(members) => {
                    wanted.clear();
                    wanted.extend(members.iter().map(|member| (member.key.as_str(), member.clone())));
                }
                Intent::RemoveMatching(filter) => wanted.retain(|_, member| !selects(filter, member)),
            }
        }
        let mut remove = Vec::new();
        for member in &held {
            if wanted.remove(member.key.as_str()).is_none() {
                remove.push(member.key.clone());
            }
        }
        let mut add: Vec<_> = wanted.into_values().collect();
        add.sort_by(|a, b| a.key.cmp(&b.key));
        Ok((add, remove))
    }

    /// One call on the directory, none if nothing differs that it holds; then the link.
    async fn change(
        &self,
        group: Group,
        after: Resource,
        add: Vec<Member>,
        remove: Vec<String>,
        record: &mut Record,
    ) -> Result<Group, Refusal> {
        let Group { entry, whole, link } = group;
        if add.iter().any(|member| member.key == entry.key) {
            return Err(ScimError::invalid_value("members: a group cannot be a member of itself; leave it out").into());
        }
        let mut wanted = after.clone();
        for path in link.iter().flat_map(|link| link.asserted.keys()).filter_map(|path| AttrPath::parse(path).ok()) {
            // What the directory changed the form of is not written again while nobody asserts something new.
            if after.get(&path) == whole.get(&path) {
                super::people::keep(&entry.resource, &mut wanted, &path);
            }
        }
        self.strip(&mut wanted, record);
        if wanted == entry.resource && add.is_empty() && remove.is_empty() {
            return self.remember(entry, &after, link).await;
        }
        let (own, before) = (entry.key.as_str(), &entry.resource);
        let _claim = unique::claim(self.tenant, ResourceType::Group, Some(own), Some(before), &wanted).await?;
        let change = GroupChange { before: entry.resource, after: wanted, add, remove };
        let changed = self.tenant.directory.update_group(&entry.key, &change).await;
        let entry = match changed {
            Ok(entry) => entry,
            Err(error) => return Err(self.refused(error, &entry.key, &change.add).await),
        };
        self.remember(entry, &after, link).await
    }

    /// Takes away what the directory has nowhere to keep, and says so.
    fn strip(&self, wanted: &mut Resource, record: &mut Record) {
        for path in wanted.paths() {
            if !self.tenant.directory.holds(ResourceType::Group, &path) {
                wanted.remove(&path);
                // The link keeps this one.
                if !path.is("externalId") {
                    record.note_paths("the directory has no place for", [path.to_string().as_str()]);
                }
            }
        }
    }

    /// Keeps the link if it says something, and gives the group as now seen. A group needs none to be managed.
    async fn remember(&self, entry: Entry, sent: &Resource, before: Option<Link>) -> Result<Group, Refusal> {
        let directory = &*self.tenant.directory;
        let link = link_after(directory, ResourceType::Group, &entry.key, LinkState::Managed, sent, &entry.resource);
        let says_nothing = link.external_id.is_none() && link.asserted.is_empty();
        let link = match before {
            None if says_nothing => None,
            before => {
                if before.as_ref() != Some(&link) {
                    self.store.put_link(self.name(), &link).await?;
                }
                Some(link)
            }
        };
        Ok(Group::new(entry, link))
    }

    /// What a failed change is answered with: which of the members `add` does not exist, if that was it.
    async fn refused(&self, error: DirectoryError, key: &str, add: &[Member]) -> Refusal {
        match error {
            DirectoryError::Invalid { attribute: Some(attribute), detail } if attribute == "members" => {
                match self.nobody(add).await {
                    Ok(Some(id)) => ScimError::invalid_value(format!(
                        "members: there is nobody and no group with the id \"{}\"; create the member first",
                        id.chars().take(80).collect::<String>()
                    ))
                    .into(),
                    Ok(None) => DirectoryError::Invalid { attribute: Some(attribute), detail }.into(),
                    Err(error) => error.into(),
                }
            }
            error => absent(error, key),
        }
    }

    /// The first of `members` whom the directory does not know.
    async fn nobody(&self, members: &[Member]) -> Result<Option<String>, DirectoryError> {
        'members: for member in members.iter().take(NAMED) {
            for kind in ResourceType::ALL {
                if self.tenant.directory.read(kind, &member.key).await?.is_some() {
                    continue 'members;
                }
            }
            return Ok(Some(member.key.clone()));
        }
        Ok(None)
    }
}

/// The directory's refusals in words that speak of a group.
fn absent(error: DirectoryError, key: &str) -> Refusal {
    match error {
        DirectoryError::NotFound => ScimError::not_found(key).into(),
        DirectoryError::Conflict { .. } => taken().into(),
        error => error.into(),
    }
}

fn taken() -> ScimError {
    ScimError::uniqueness(
        "displayName: there is a group of this name already; find it by displayName and update it, or choose another name",
    )
}

/// A group has a name (RFC 7643 §4.2).
fn display_name(group: &Resource) -> Result<&str, Refusal> {
    let name = group.as_map().get("displayName").and_then(serde_json::Value::as_str).filter(|name| !name.is_empty());
    Ok(name.ok_or_else(|| ScimError::invalid_value("displayName: is required; send the group's name"))?)
}

/// What relative intents come to, the last word about each member being the one that counts.
fn net(intents: Vec<Intent>) -> (Vec<Member>, Vec<String>) {
    let mut last: HashMap<String, (usize, Option<Member>)> = HashMap::new();
    let words = intents.into_iter().flat_map(|intent| match intent {
        Intent::Add(members) => members.into_iter().map(|member| (member.key.clone(), Some(member))).collect(),
        Intent::Remove(keys) => keys.into_iter().map(|key| (key, None)).collect(),
        Intent::RemoveAll | Intent::Replace(_) | Intent::RemoveMatching(_) => Vec::new(),
    });
    for (at, (key, word)) in words.enumerate() {
        last.insert(key, (at, word));
    }
    let mut last: Vec<_> = last.into_iter().collect();
    last.sort_by_key(|(_, (at, _))| *at);
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (key, (_, word)) in last {
        match word {
            Some(member) => add.push(member),
            None => remove.push(key),
        }
    }
    (add, remove)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_member_counts() {
        let member = |key: &str| Member { key: key.into(), kind: ResourceType::User };
        let (add, remove) = net(vec![
            Intent::Add(vec![member("1"), member("2")]),
            Intent::Remove(vec!["2".into(), "3".into()]),
            Intent::Add(vec![member("3")]),
        ]);
        assert_eq!((add, remove), (vec![member("1"), member("3")], vec!["2".to_owned()]));
    }
}
