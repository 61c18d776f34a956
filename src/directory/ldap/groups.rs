//! Membership: names in an attribute of the group. It changes by what comes and what goes, never by replacing the list, so that
//! changes at the same time are all kept and one costs the same in a group of any size.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use ldap3::{Mod, ldap_escape};

use super::Ldap;
use super::config::{Entity, Membership as Kept};
use super::dn::Dn;
use super::entries::AT_ONCE;
use super::fault::{Fault, code, reading, writing};
use super::pool::{Raw, Session};
use super::record;
use crate::ports::{DirectoryError, Entry, GroupChange, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};

/// How many keys one search asks for.
const KEYS: usize = 50;

/// What the server answers when a member who shall come is there (Active Directory: 68).
const THERE: [u32; 2] = [code::VALUE_EXISTS, code::ENTRY_EXISTS];
/// What it answers when one who shall go is not (Active Directory: 53).
const ABSENT: [u32; 2] = [code::NO_SUCH_ATTRIBUTE, code::UNWILLING];

impl Ldap {
    fn groups(&self) -> Result<(&Entity, &Kept), DirectoryError> {
        match &self.config.groups {
            Some((entity, kept)) => Ok((entity, kept)),
            None => super::super::unasked("a group"),
        }
    }

    /// The names of the groups that hold this one, if it is on us to look after them.
    pub(super) async fn groups_with(&self, session: &Session<'_>, dn: &str) -> Result<Vec<String>, Fault> {
        let Some((entity, kept)) = self.config.groups.as_ref().filter(|(_, kept)| !kept.refint) else {
            return Ok(Vec::new());
        };
        let filter = format!("(&{}({}={}))", entity.filter, kept.member, ldap_escape(dn));
        let mut groups = Vec::new();
        for base in &entity.bases {
            session.walk(base, &filter, &["1.1"], |raw| groups.push(raw.dn)).await?;
        }
        Ok(groups)
    }

    /// Makes groups hold the new name instead of the old one.
    pub(super) async fn follow(
        &self,
        session: &Session<'_>,
        groups: &[String],
        old: &str,
        new: Option<&str>,
    ) -> Result<(), Fault> {
        let Some((_, kept)) = &self.config.groups else { return Ok(()) };
        for group in groups {
            let (add, remove) = (new.map(String::from).into_iter().collect(), HashSet::from([old.to_owned()]));
            match change(session, kept, group, add, remove).await {
                // A group that is gone meanwhile holds nobody.
                Err(Fault::Result { code: code::NO_SUCH_OBJECT, .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The condition that a group holds the member with this key; `None` when there is nobody with it.
    pub(super) async fn holding(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        key: &str,
    ) -> Result<Option<String>, DirectoryError> {
        let Some((_, kept)) = self.config.groups.as_ref().filter(|_| entity.kind == ResourceType::Group) else {
            return super::super::unasked("members of a person");
        };
        let names = self.names(session, &[key], None).await?;
        Ok(names.get(key).map(|dn| format!("({}={})", kept.member, ldap_escape(dn.as_str()))))
    }

    /// The names of the entries with these keys, as far as there are any, of one type or of both.
    async fn names(
        &self,
        session: &Session<'_>,
        keys: &[&str],
        kind: Option<ResourceType>,
    ) -> Result<HashMap<String, String>, DirectoryError> {
        let mut names = HashMap::new();
        for entity in std::iter::once(&self.config.people).chain(self.config.groups.iter().map(|(groups, _)| groups)) {
            if kind.is_some_and(|kind| kind != entity.kind) {
                continue;
            }
            let missing: Vec<&str> = keys.iter().copied().filter(|key| !names.contains_key(*key)).collect();
            for some in missing.chunks(KEYS) {
                let conditions: String = some.iter().filter_map(|key| record::key_filter(entity, key)).collect();
                if conditions.is_empty() {
                    continue;
                }
                let filter = format!("(&{}(|{conditions}))", entity.filter);
                for base in &entity.bases {
                    let each = |raw: Raw| {
                        if let Some(key) = record::key(entity, &raw).filter(|key| some.contains(&key.as_str())) {
                            names.insert(key, raw.dn);
                        }
                    };
                    let walked = session.walk(base, &filter, &[entity.key.name.as_str()], each).await;
                    walked.map_err(|fault| reading(fault, entity))?;
                }
            }
        }
        Ok(names)
    }

    /// The names of those who shall be members; all of them must be there.
    async fn named_members(
        &self,
        session: &Session<'_>,
        members: &[Member],
    ) -> Result<HashSet<String>, DirectoryError> {
        let mut found = HashSet::with_capacity(members.len());
        for kind in [ResourceType::User, ResourceType::Group] {
            let keys: Vec<&str> =
                members.iter().filter(|member| member.kind == kind).map(|member| member.key.as_str()).collect();
            let mut names = self.names(session, &keys, Some(kind)).await?;
            for key in keys.into_iter().collect::<HashSet<_>>() {
                let Some(dn) = names.remove(key) else {
                    let detail = "names somebody who does not exist; create the member first".to_owned();
                    return Err(DirectoryError::Invalid { attribute: Some("members".into()), detail });
                };
                found.insert(dn);
            }
        }
        Ok(found)
    }

    /// The group with this key.
    async fn group(&self, session: &Session<'_>, key: &str) -> Result<(Raw, &Entity, &Kept), DirectoryError> {
        let (entity, kept) = self.groups()?;
        let raw = self.look(session, entity, key, &[entity.key.name.as_str()]).await?;
        Ok((raw.ok_or(DirectoryError::NotFound)?, entity, kept))
    }

    pub(super) async fn insert_group(
        &self,
        session: &Session<'_>,
        group: &Resource,
        members: &[Member],
    ) -> Result<Entry, DirectoryError> {
        let (entity, kept) = self.groups()?;
        let names = self.named_members(session, members).await?;
        let placeholder = kept.placeholder.as_ref().map(|(name, _)| name.clone());
        let values: Vec<_> = placeholder.into_iter().chain(names).map(String::into_bytes).collect();
        let values = (!values.is_empty()).then(|| (kept.member.clone(), values));
        self.insert(session, entity, group, values).await
    }

    pub(super) async fn amend_group(
        &self,
        session: &Session<'_>,
        key: &str,
        wanted: &GroupChange,
    ) -> Result<Entry, DirectoryError> {
        let (entity, kept) = self.groups()?;
        let add = self.named_members(session, &wanted.add).await?;
        let gone: Vec<&str> = wanted.remove.iter().map(String::as_str).collect();
        // Who is not there any more is in no group.
        let gone = self.names(session, &gone, None).await?;
        let remove = gone.into_values().filter(|dn| !add.contains(dn)).collect();
        let dn = self.amend(session, entity, key, (&wanted.before, &wanted.after)).await?;
        change(session, kept, &dn, add, remove).await.map_err(|fault| writing(fault, entity))?;
        self.reread(session, entity, &dn).await
    }

    pub(super) async fn members_page(
        &self,
        session: &Session<'_>,
        key: &str,
        page: Page,
    ) -> Result<Members, DirectoryError> {
        let (raw, entity, kept) = self.group(session, key).await?;
        let names = listed(session, kept, &raw.dn).await.map_err(|fault| reading(fault, entity))?;
        let names = names.ok_or(DirectoryError::NotFound)?;
        let total = names.len() as u64;
        let first = usize::try_from(page.offset).unwrap_or(usize::MAX).min(names.len());
        let last =
            usize::try_from(page.limit).map_or(names.len(), |limit| first.saturating_add(limit).min(names.len()));
        let whole = first == 0 && last == names.len();
        let asked: Vec<_> = names[first..last].iter().map(|dn| self.member(session, dn)).collect();
        let mut asked = futures_util::stream::iter(asked).buffered(AT_ONCE);
        let mut members = Vec::with_capacity(last - first);
        while let Some(member) = asked.next().await {
            members.extend(member?);
        }
        // Names of nobody are seen only when all are looked at.
        let total = if whole { members.len() as u64 } else { total };
        Ok(Members { members, total })
    }

    /// Who has this name, if it is somebody we know of.
    async fn member(&self, session: &Session<'_>, dn: &str) -> Result<Option<Member>, DirectoryError> {
        let Some(parsed) = Dn::parse(dn) else { return Ok(None) };
        for entity in std::iter::once(&self.config.people).chain(self.config.groups.iter().map(|(groups, _)| groups)) {
            let within = |base: &String| Dn::parse(base).is_some_and(|base| parsed.is_within(&base));
            if !entity.bases.iter().any(within) {
                continue;
            }
            let raw = session.entry(dn, &entity.filter, &[entity.key.name.as_str()]).await;
            let raw = raw.map_err(|fault| reading(fault, entity))?;
            if let Some(key) = raw.and_then(|raw| record::key(entity, &raw)) {
                return Ok(Some(Member { key, kind: entity.kind }));
            }
        }
        Ok(None)
    }

    pub(super) async fn held_members(
        &self,
        session: &Session<'_>,
        key: &str,
        candidates: &[&str],
    ) -> Result<Vec<String>, DirectoryError> {
        let (raw, entity, kept) = self.group(session, key).await?;
        let names = self.names(session, candidates, None).await?;
        let asked = candidates.iter().filter_map(|key| Some((*key, names.get(*key)?)));
        let asked = asked.map(|(key, dn)| {
            let compared = session.compare(&raw.dn, &kept.member, dn);
            async move { compared.await.map(|is| is.then(|| key.to_owned())) }
        });
        let mut asked = futures_util::stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut held = Vec::new();
        while let Some(key) = asked.next().await {
            held.extend(key.map_err(|fault| writing(fault, entity))?);
        }
        Ok(held)
    }

    pub(super) async fn groups_of(
        &self,
        session: &Session<'_>,
        members: &[&str],
    ) -> Result<Vec<Membership>, DirectoryError> {
        let Some((entity, kept)) = &self.config.groups else { return Ok(Vec::new()) };
        let names = self.names(session, members, None).await?;
        let path = AttrPath::core("displayName");
        let asked = members.iter().filter_map(|key| Some((*key, names.get(*key)?))).map(|(key, dn)| {
            let filter = format!("(&{}({}={}))", entity.filter, kept.member, ldap_escape(dn.as_str()));
            let path = &path;
            async move {
                let mut found = Vec::new();
                for base in &entity.bases {
                    let walked = session.walk(base, &filter, &entity.wanted(), |raw| found.push(raw)).await;
                    walked.map_err(|fault| reading(fault, entity))?;
                }
                let one = |raw: &Raw| {
                    let group = record::entry(&self.config, entity, raw)?;
                    let display = group.resource.get(path).and_then(|name| name.as_str()).map(String::from);
                    Ok(Membership { member: key.to_owned(), group: group.key, display })
                };
                found.iter().map(one).collect::<Result<Vec<_>, DirectoryError>>()
            }
        });
        let mut asked = futures_util::stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut all = Vec::new();
        while let Some(groups) = asked.next().await {
            all.extend(groups?);
        }
        Ok(all)
    }
}

/// The names in a group, but for the placeholder; `None` when it is gone. Active Directory gives them in parts
/// (`member;range=0-1499`), of which the last ends with `*`.
async fn listed(session: &Session<'_>, kept: &Kept, group: &str) -> Result<Option<Vec<String>>, Fault> {
    let (mut names, mut asked) = (Vec::new(), kept.member.clone());
    loop {
        let Some(raw) = session.entry(group, "(objectClass=*)", &[asked.as_str()]).await? else { return Ok(None) };
        let found = raw.attributes().find_map(|(name, values)| Some((part(name, &kept.member)?, values)));
        let values = found.as_ref().map_or_else(|| raw.values(&kept.member), |(_, values)| *values);
        names.extend(values.iter().filter_map(|value| String::from_utf8(value.clone()).ok()));
        match found {
            Some((Part::Until(next), values)) if !values.is_empty() => {
                asked = format!("{};range={next}-*", kept.member);
            }
            _ => break,
        }
    }
    if let Some((_, placeholder)) = &kept.placeholder {
        names.retain(|name| Dn::parse(name).as_ref() != Some(placeholder));
    }
    Ok(Some(names))
}

/// Which part of a long list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The next one begins here.
    Until(u64),
    /// There is no other.
    Last,
}

/// Reads the name of an attribute that holds a part of `member`; `None` for another one, or all of it.
fn part(name: &str, member: &str) -> Option<Part> {
    let (attribute, range) = name.split_once(';')?;
    let range = range.to_lowercase();
    let (_, last) = range.strip_prefix("range=")?.split_once('-')?;
    let next = last.parse::<u64>().ok().and_then(|last| last.checked_add(1));
    attribute.eq_ignore_ascii_case(member).then(|| next.map_or(Part::Last, Part::Until))
}

/// Makes a group hold some names and not hold others, whatever it held before: in one operation, or name by name where one of
/// them is there, or gone, already.
async fn change(
    session: &Session<'_>,
    kept: &Kept,
    group: &str,
    add: HashSet<String>,
    remove: HashSet<String>,
) -> Result<(), Fault> {
    let name = || kept.member.as_bytes().to_vec();
    let bytes = |names: &HashSet<String>| names.iter().map(|name| name.as_bytes().to_vec()).collect::<HashSet<_>>();
    let mut whole = Vec::new();
    if !add.is_empty() {
        whole.push(Mod::Add(name(), bytes(&add)));
    }
    if !remove.is_empty() {
        whole.push(Mod::Delete(name(), bytes(&remove)));
    }
    match modify(session, kept, group, &whole).await {
        Err(fault) if fault.code().is_some_and(|code| THERE.contains(&code) || ABSENT.contains(&code)) => {}
        other => return other,
    }
    for (mods, allowed) in [
        (bytes(&add).into_iter().map(|one| Mod::Add(name(), [one].into())).collect::<Vec<_>>(), THERE),
        (bytes(&remove).into_iter().map(|one| Mod::Delete(name(), [one].into())).collect(), ABSENT),
    ] {
        for one in mods {
            match modify(session, kept, group, &[one]).await {
                Err(fault) if fault.code().is_some_and(|code| allowed.contains(&code)) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Modifies a group; one that others made without a placeholder gets it when it would be empty.
async fn modify(session: &Session<'_>, kept: &Kept, group: &str, mods: &[Mod<Vec<u8>>]) -> Result<(), Fault> {
    let outcome = session.modify(group, mods).await;
    match (&outcome, &kept.placeholder) {
        (Err(fault), Some((placeholder, _))) if fault.code() == Some(code::CLASS_VIOLATION) => {
            let add = Mod::Add(kept.member.as_bytes().to_vec(), [placeholder.as_bytes().to_vec()].into());
            let mods: Vec<_> = std::iter::once(add).chain(mods.iter().cloned()).collect();
            session.modify(group, &mods).await
        }
        _ => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, part};

    #[test]
    fn parts_of_a_long_list_are_told_apart() {
        for (name, expected) in [
            ("member;range=0-1499", Some(Part::Until(1500))),
            ("Member;Range=1500-*", Some(Part::Last)),
            ("member", None),
            ("memberOf;range=0-1", None),
            ("member;binary", None),
        ] {
            assert_eq!(part(name, "member"), expected, "{name}");
        }
    }
}
