//! Groups of a REST user system: their records, and in one of three forms who is in them. Here SCIM ids become the user
//! system's own keys and back. The grammar stands in [`config::groups`](super::config::groups).
//!
//! Where only a whole list can be put in place, changes of one list take turns, each reads what the one before has left, and
//! where the user system can tell, a change that came between is noticed and the edit made again.

use futures_util::future::try_join_all;
use serde_json::Value;

use super::answer;
use super::answer::Step;
use super::config::groups::{Groups, Membership as Form};
use super::config::members::Named;
use super::records::{Records, after_the_fact, part};
use super::template::Slot;
use crate::directory::client::Deadline;
use crate::ports::{DirectoryError, Entry, Found, GroupChange, Members, Membership, Page};
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};

/// The most groups that are looked through for a member where the user system cannot be asked.
const MOST_GROUPS: u64 = 1000;

/// Everything there is.
const ALL: Page = Page { offset: 0, limit: u64::MAX };

/// The groups, with the people who may be in them.
#[derive(Clone, Copy)]
pub struct Teams<'r> {
    /// What is declared of groups.
    pub groups: &'r Groups,
    /// Their records.
    pub records: Records<'r>,
    /// The people's.
    pub people: Records<'r>,
}

impl Teams<'_> {
    /// The group with this id.
    pub async fn read(&self, id: &str) -> Result<Option<Entry>, DirectoryError> {
        let Some(key) = self.groups.own_key(id) else { return Ok(None) };
        let entry = self.records.read_by(key, self.deadline()).await?;
        Ok(entry.map(|entry| self.ours(entry)))
    }

    /// The groups in which a member is.
    pub async fn with_member(&self, id: &str, page: Page) -> Result<Found, DirectoryError> {
        let found = self.of(id, self.deadline(), true).await?;
        Ok(part(found.unwrap_or_default(), page))
    }

    /// The groups of these members, where that can be told without looking through all.
    pub async fn memberships(&self, ids: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        let deadline = self.deadline();
        let mut all = Vec::new();
        for id in ids {
            for group in self.of(id, deadline, false).await?.unwrap_or_default() {
                let display = group.resource.text(&self.records.config.name).map(str::to_owned);
                all.push(Membership { member: (*id).to_owned(), group: group.key, display });
            }
        }
        Ok(all)
    }

    /// The groups of a member, with ids of ours; `None` where they would have to be looked for in all groups and `look` is not
    /// set.
    async fn of(&self, id: &str, deadline: Deadline, look: bool) -> Result<Option<Vec<Entry>>, DirectoryError> {
        let member = self.groups.named(id);
        if !self.can_be_member(&member) {
            return Ok(Some(Vec::new()));
        }
        let (members, config) = (&self.groups.members, self.records.config);
        if let Form::Attribute { place, by, .. } = &self.groups.membership {
            let Some(record) = self.people.read_record(&member.key, deadline).await? else {
                return Ok(Some(Vec::new()));
            };
            let mut groups = Vec::new();
            for value in named_in(place.get(&record)) {
                let found = match by {
                    None => self.records.read_by(&value, deadline).await?.into_iter().collect(),
                    Some(_) => self.records.list(ALL, deadline).await?.entries,
                };
                for entry in found {
                    if by.is_none() || self.value_of(&entry.key, deadline).await?.is_some_and(|it| it == value) {
                        groups.push(self.ours(entry));
                    }
                }
            }
            return Ok(Some(groups));
        }
        let items = if let Some(of) = &members.of {
            let slots = [(Slot::Member, member.key.as_str()), (Slot::Kind, members.word(member.kind))];
            self.records.walk(of, &slots, ALL, deadline).await.map(|(items, _)| items)
        } else if look {
            self.look_for(&member, deadline).await
        } else {
            return Ok(None);
        };
        let items = match items {
            // A member who is not there is in no group.
            Err(DirectoryError::NotFound) => Vec::new(),
            items => items?,
        };
        let entries = answer::entries(config, &items).map_err(|problem| Step::Find.nonsense(problem))?;
        Ok(Some(entries.into_iter().map(|entry| self.ours(entry)).collect()))
    }

    /// The records of all groups in which a member is, from a bounded look through all groups.
    async fn look_for(&self, member: &Named, deadline: Deadline) -> Result<Vec<Value>, DirectoryError> {
        let page = Page { offset: 0, limit: MOST_GROUPS };
        let (items, total) = self.records.walk(&self.records.config.list, &[], page, deadline).await?;
        if total > MOST_GROUPS {
            let reason = format!("more than {MOST_GROUPS} groups to look through: declare groups.members.of");
            return Err(DirectoryError::Failed { reason, maybe_done: false });
        }
        let mut found = Vec::new();
        for item in items {
            let Some(record) = item.as_object() else { continue };
            let key = answer::key(self.records.config, record).map_err(|problem| Step::Find.nonsense(problem))?;
            let is_in = match &self.groups.membership {
                Form::List { place, .. } => match place.get(record) {
                    Some(list) => self.listed(Some(list))?.contains(member),
                    None => self.has(&key, std::slice::from_ref(member), deadline).await?[0],
                },
                _ => self.has(&key, std::slice::from_ref(member), deadline).await?[0],
            };
            if is_in {
                found.push(item);
            }
        }
        Ok(found)
    }

    /// A page of a group's members.
    pub async fn members(&self, id: &str, page: Page) -> Result<Members, DirectoryError> {
        let key = self.groups.own_key(id).ok_or(DirectoryError::NotFound)?;
        let deadline = self.deadline();
        match &self.groups.membership {
            Form::SubResource { list, .. } => {
                let (items, total) = self.records.walk(list, &[(Slot::Id, key)], page, deadline).await?;
                let members = items.iter().map(|item| self.groups.members.read(item)).collect::<Result<Vec<_>, _>>();
                let members = members.map_err(|problem| Step::Find.nonsense(problem))?;
                Ok(Members { members: members.iter().map(|named| self.member(named)).collect(), total })
            }
            Form::List { place, .. } => {
                let record = self.records.read_record(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                let all = self.listed(place.get(&record))?;
                let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
                let wanted = all.iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX));
                Ok(Members { members: wanted.map(|named| self.member(named)).collect(), total: all.len() as u64 })
            }
            Form::Attribute { list, .. } => {
                let value = self.value_of(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                let (items, total) = self.people.walk(list, &[(Slot::Id, &value)], page, deadline).await?;
                let members = items.iter().map(|item| {
                    let record = item.as_object().ok_or_else(|| "a member is not a JSON object".to_owned())?;
                    let key = answer::key(self.people.config, record)?;
                    Ok(Member { key, kind: ResourceType::User })
                });
                let members = members.collect::<Result<_, String>>().map_err(|problem| Step::Find.nonsense(problem))?;
                Ok(Members { members, total })
            }
        }
    }

    /// Which of these are members.
    pub async fn has_members(&self, id: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        let key = self.groups.own_key(id).ok_or(DirectoryError::NotFound)?;
        let deadline = self.deadline();
        // What would be no member anywhere is not asked for; whether the group is there is.
        let named: Vec<Named> = candidates.iter().map(|id| self.groups.named(id)).collect();
        let held = self.has(key, &named, deadline).await?;
        Ok(candidates.iter().zip(held).filter(|(_, held)| *held).map(|(id, _)| (*id).to_owned()).collect())
    }

    async fn has(&self, key: &str, candidates: &[Named], deadline: Deadline) -> Result<Vec<bool>, DirectoryError> {
        match &self.groups.membership {
            Form::SubResource { list, .. } => {
                let Some(has) = &self.groups.members.has else {
                    let (items, _) = self.records.walk(list, &[(Slot::Id, key)], ALL, deadline).await?;
                    let members =
                        items.iter().map(|item| self.groups.members.read(item)).collect::<Result<Vec<_>, _>>();
                    let members = members.map_err(|problem| Step::Find.nonsense(problem))?;
                    return Ok(candidates.iter().map(|one| members.contains(one)).collect());
                };
                let asked = candidates.iter().filter(|one| self.can_be_member(one)).map(async |one| {
                    let slots = self.slots(key, one);
                    match self.records.call(self.records.config.fill(Step::Read, has, &slots, None), deadline).await {
                        Ok(answer) => Ok(answer.is_some()),
                        Err(DirectoryError::NotFound) => Ok(false),
                        Err(error) => Err(error),
                    }
                });
                let mut held = try_join_all(asked).await?.into_iter();
                let held: Vec<bool> =
                    candidates.iter().map(|one| self.can_be_member(one) && held.next().unwrap_or(false)).collect();
                if !held.contains(&true) && self.records.read_record(key, deadline).await?.is_none() {
                    return Err(DirectoryError::NotFound);
                }
                Ok(held)
            }
            Form::List { place, .. } => {
                let record = self.records.read_record(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                let members = self.listed(place.get(&record))?;
                Ok(candidates.iter().map(|one| members.contains(one)).collect())
            }
            Form::Attribute { place, .. } => {
                let value = self.value_of(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                let asked = candidates.iter().map(async |one| {
                    if !self.can_be_member(one) {
                        return Ok(false);
                    }
                    let record = self.people.read_record(&one.key, deadline).await?;
                    Ok::<_, DirectoryError>(record.is_some_and(|it| named_in(place.get(&it)).contains(&value)))
                });
                try_join_all(asked).await
            }
        }
    }

    /// Creates a group with its first members.
    pub async fn create(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        let deadline = self.deadline();
        let add = self.named(members)?;
        let created = match &self.groups.membership {
            Form::List { place, .. } => {
                let list = Value::Array(add.iter().map(|one| self.groups.members.write(one)).collect());
                let extra = (!add.is_empty()).then_some((place, list));
                let created = self.records.create(group, extra, deadline).await;
                return created.map(|entry| self.ours(entry)).map_err(|error| of_members(error, !add.is_empty()));
            }
            Form::SubResource { .. } | Form::Attribute { .. } => {
                // Who is not there must be known before the group is.
                self.see_that_there(&add, deadline).await?;
                self.records.create(group, None, deadline).await?
            }
        };
        if add.is_empty() {
            return Ok(self.ours(created));
        }
        self.join(&created.key, &add, deadline).await.map_err(after_the_fact)?;
        let entry = self.records.read_by(&created.key, deadline).await.map_err(after_the_fact)?;
        entry.map(|entry| self.ours(entry)).ok_or_else(|| Step::Create.nonsense("it is not there afterwards"))
    }

    /// Carries out a change of a group.
    pub async fn update(&self, id: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        let key = self.groups.own_key(id).ok_or(DirectoryError::NotFound)?;
        let deadline = self.deadline();
        let add = self.named(&change.add)?;
        let remove: Vec<Named> = change.remove.iter().map(|id| self.groups.named(id)).collect();
        let remove: Vec<Named> = remove.into_iter().filter(|one| self.can_be_member(one)).collect();
        let entry = match &self.groups.membership {
            Form::List { place, guard } => {
                let edit = |held: Option<&Value>| self.edited(held, &add, &remove);
                let change = (&change.before, &change.after);
                let changed = self.records.rewrite(key, change, place, *guard, deadline, edit).await;
                changed.map_err(|error| of_members(error, !add.is_empty()))?
            }
            Form::SubResource { .. } | Form::Attribute { .. } => {
                self.change(key, change, &add, &remove, deadline).await?
            }
        };
        Ok(self.ours(entry))
    }

    /// The members in a list of a group's record.
    pub(super) fn listed(&self, held: Option<&Value>) -> Result<Vec<Named>, DirectoryError> {
        let list = match held {
            Some(Value::Array(list)) => list.as_slice(),
            None | Some(Value::Null) => &[],
            Some(_) => return Err(Step::Read.nonsense("the members of a group are no list")),
        };
        let named: Result<_, _> = list.iter().map(|entry| self.groups.members.read(entry)).collect();
        named.map_err(|problem| Step::Read.nonsense(problem))
    }

    /// Refuses when one of these is not there.
    pub(super) async fn see_that_there(&self, add: &[Named], deadline: Deadline) -> Result<(), DirectoryError> {
        let there = add.iter().map(async |one| {
            let records = if one.kind == ResourceType::User { self.people } else { self.records };
            match records.read_record(&one.key, deadline).await? {
                Some(_) => Ok(()),
                None => Err(unknown()),
            }
        });
        try_join_all(there).await.map(|_| ())
    }

    /// What people's records name a group by; `None` when there is no such group.
    pub(super) async fn value_of(&self, key: &str, deadline: Deadline) -> Result<Option<String>, DirectoryError> {
        let Some(record) = self.records.read_record(key, deadline).await? else { return Ok(None) };
        let Form::Attribute { by: Some(by), .. } = &self.groups.membership else { return Ok(Some(key.to_owned())) };
        let value = record.get(by).and_then(answer::text).filter(|text| !text.is_empty());
        value.map(Some).ok_or_else(|| Step::Read.nonsense(format!("the group has no \"{by}\"")))
    }

    /// Those who shall be members, as the user system names them, each once.
    fn named(&self, members: &[Member]) -> Result<Vec<Named>, DirectoryError> {
        let mut named: Vec<Named> = Vec::with_capacity(members.len());
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        for member in members {
            let one = self.groups.named(&member.key);
            if !self.can_be_member(&one) {
                let detail = "names a group, but in this user directory only people are members of groups".to_owned();
                return Err(DirectoryError::Invalid { attribute: Some("members".into()), detail });
            }
            if seen.insert(member.key.as_str()) {
                named.push(one);
            }
        }
        Ok(named)
    }

    fn can_be_member(&self, one: &Named) -> bool {
        one.kind == ResourceType::User || self.groups.members.kind.is_some()
    }

    pub(super) fn slots<'s>(&'s self, key: &'s str, member: &'s Named) -> [(Slot, &'s str); 3] {
        let word = self.groups.members.word(member.kind);
        [(Slot::Id, key), (Slot::Member, &member.key), (Slot::Kind, word)]
    }

    fn member(&self, named: &Named) -> Member {
        Member { key: self.groups.id_of(named), kind: named.kind }
    }

    /// A group with an id of ours.
    pub fn ours(&self, entry: Entry) -> Entry {
        Entry { key: self.groups.id_of(&Named { key: entry.key, kind: ResourceType::Group }), ..entry }
    }

    fn deadline(&self) -> Deadline {
        self.records.client.deadline()
    }
}

/// The groups that a field of a person's record names.
pub(super) fn named_in(held: Option<&Value>) -> Vec<String> {
    match held {
        Some(Value::Array(list)) => list.iter().filter_map(answer::text).collect(),
        Some(value) => answer::text(value).filter(|text| !text.is_empty()).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Whoever is to be a member must be there.
pub(super) fn unknown() -> DirectoryError {
    let detail = "names somebody who does not exist; create the member first".to_owned();
    DirectoryError::Invalid { attribute: Some("members".into()), detail }
}

/// A refusal of a value that names no attribute is about the members, if there were any.
pub(super) fn of_members(error: DirectoryError, any: bool) -> DirectoryError {
    match error {
        DirectoryError::Invalid { attribute: None, detail } if any => {
            DirectoryError::Invalid { attribute: Some("members".into()), detail }
        }
        other => other,
    }
}
