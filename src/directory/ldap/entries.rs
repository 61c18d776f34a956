//! Entries of people and of groups: reading, finding, creating, changing, removing. What a membership is stands in `groups`.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use ldap3::{Mod, ldap_escape};
use serde_json::Value;

use super::config::{Disabled, Entity};
use super::dn::{self, Dn};
use super::fault::{Fault, code, reading, writing};
use super::pool::{Raw, Session};
use super::record::{self, Change, nonsense};
use super::{Ldap, invalid};
use crate::ports::{DirectoryError, Entry, Found, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// How many operations of one piece of work are under way at once, on its one connection.
pub const AT_ONCE: usize = 16;
/// How often a change is thought over anew because somebody else changed the entry meanwhile.
const TRIES: usize = 4;

/// What must be done to an entry.
struct Plan {
    changes: Vec<Change>,
    /// A new relative name, and a new parent.
    rename: Option<(String, Option<String>)>,
}

impl Ldap {
    /// The entry with this key.
    pub(super) async fn look(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        key: &str,
        wanted: &[&str],
    ) -> Result<Option<Raw>, DirectoryError> {
        let Some(filter) = record::key_filter(entity, key) else { return Ok(None) };
        let filter = format!("(&{}{filter})", entity.filter);
        for base in &entity.bases {
            let found = session.some(base, &filter, wanted, 2).await.map_err(|fault| reading(fault, entity))?;
            // The server may find what is merely like it.
            if let Some(raw) = found.into_iter().find(|raw| record::key(entity, raw).as_deref() == Some(key)) {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }

    /// The entries of these names, as far as they are there, in order.
    pub(super) async fn all_of<'n>(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        names: impl Iterator<Item = &'n str> + Send,
        wanted: &[&str],
    ) -> Result<Vec<Raw>, DirectoryError> {
        let read = names.map(|dn| session.entry(dn, &entity.filter, wanted));
        let mut reads = futures_util::stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(raw) = reads.next().await {
            found.extend(raw.map_err(|fault| reading(fault, entity))?);
        }
        Ok(found)
    }

    pub(super) async fn find_entries(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        lookup: &Lookup,
        page: Page,
    ) -> Result<Found, DirectoryError> {
        let none = Found { entries: Vec::new(), total: 0 };
        let condition = match lookup {
            Lookup::All => String::new(),
            Lookup::Equal { path, value } => match Self::equal(entity, path, value)? {
                Some(condition) => condition,
                None => return Ok(none),
            },
            Lookup::Member { key } => match self.holding(session, entity, key).await? {
                Some(condition) => condition,
                None => return Ok(none),
            },
        };
        let filter = format!("(&{}{condition})", entity.filter);
        // Names first, to count and to choose; then the entries of this page alone.
        let (mut names, mut total) = (Vec::new(), 0);
        for base in &entity.bases {
            let each = |raw: Raw| {
                if total >= page.offset && (names.len() as u64) < page.limit {
                    names.push(raw.dn);
                }
                total += 1;
            };
            session.walk(base, &filter, &["1.1"], each).await.map_err(|fault| reading(fault, entity))?;
        }
        let raws = self.all_of(session, entity, names.iter().map(String::as_str), &entity.wanted()).await?;
        let entries = raws.iter().map(|raw| record::entry(&self.config, entity, raw)).collect::<Result<_, _>>()?;
        Ok(Found { entries, total })
    }

    /// The condition that the attribute's value is this one; `None` when nobody can have it.
    fn equal(entity: &Entity, path: &AttrPath, value: &str) -> Result<Option<String>, DirectoryError> {
        let Some((_, field)) = entity.columns.iter().find(|(known, _)| known == path) else {
            return super::super::unasked(&format!("finding by {path}"));
        };
        let Ok(Some(sought)) = entity.mapping.sought(path, value) else { return Ok(None) };
        let boolean = path.leaf().is_some_and(|attribute| attribute.kind == crate::scim::schema::Kind::Boolean);
        let sought = match sought {
            Value::String(text) if boolean => text.to_uppercase(),
            Value::String(text) => text,
            other => match record::written(entity, field, &other)? {
                Some(bytes) => String::from_utf8(bytes).map_err(|_| nonsense("a value is no text"))?,
                None => return Ok(None),
            },
        };
        if sought.trim().is_empty() || sought.contains('\0') {
            return Ok(None);
        }
        Ok(Some(format!("({field}={})", ldap_escape(sought.as_str()))))
    }

    /// Refuses a user name that somebody else has: not every server keeps them apart, and none does over two bases.
    async fn unclaimed(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        resource: &Resource,
        own: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let path = AttrPath::core(if entity.kind == ResourceType::User { "userName" } else { "displayName" });
        let Some(Value::String(name)) = resource.get(&path) else { return Ok(()) };
        if !entity.mapping.can_seek(&path) {
            return Ok(());
        }
        let Some(condition) = Self::equal(entity, &path, name)? else { return Ok(()) };
        let filter = format!("(&{}{condition})", entity.filter);
        for base in &entity.bases {
            let found = session.some(base, &filter, &[entity.key.name.as_str()], 2).await;
            let found = found.map_err(|fault| reading(fault, entity))?;
            if found.iter().any(|raw| own.is_none() || record::key(entity, raw).as_deref() != own) {
                return Err(DirectoryError::Conflict { attribute: path.to_string() });
            }
        }
        Ok(())
    }

    /// Adds an entry, with these values besides its own, and gives it as it is then.
    pub(super) async fn insert(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        resource: &Resource,
        more: Option<super::Values>,
    ) -> Result<Entry, DirectoryError> {
        self.unclaimed(session, entity, resource, None).await?;
        let record = entity.mapping.record(resource, &self.moment()).map_err(|error| invalid(&error))?;
        let mut values: Vec<super::Values> = Vec::with_capacity(record.len() + 2);
        let classes = entity.object_classes.iter().map(|class| class.clone().into_bytes());
        values.push(("objectClass".to_owned(), classes.collect()));
        for (field, value) in &record {
            values.extend(record::written(entity, field, value)?.map(|value| (field.clone(), vec![value])));
        }
        let off = entity.kind == ResourceType::User && resource.active() == Some(false);
        let mut parent = entity.base.as_str();
        if entity.kind == ResourceType::User {
            values.extend(record::fresh(&self.config.disabled, off));
            if let (Disabled::Base { base, .. }, true) = (&self.config.disabled, off) {
                parent = base;
            }
        }
        values.extend(more);
        let naming = values.iter().find(|(field, _)| field.eq_ignore_ascii_case(&entity.naming));
        let naming = naming.and_then(|(_, values)| std::str::from_utf8(values.first()?).ok());
        let dn = dn::named(&entity.naming, naming.ok_or_else(|| nameless(entity))?, parent);
        session.add(&dn, values).await.map_err(|fault| match fault {
            Fault::Result { code: code::NO_SUCH_OBJECT, .. } => reading(fault, entity),
            other => writing(other, entity),
        })?;
        self.reread(session, entity, &dn).await
    }

    /// The entry that a change has just written.
    pub(super) async fn reread(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        dn: &str,
    ) -> Result<Entry, DirectoryError> {
        let lost = |reason: String| DirectoryError::Failed { reason, maybe_done: true };
        match session.entry(dn, &entity.filter, &entity.wanted()).await {
            Ok(Some(raw)) => record::entry(&self.config, entity, &raw),
            Ok(None) => Err(lost("what was written is not there, or `filter` does not find it".into())),
            Err(Fault::Silent) => Err(DirectoryError::Silent),
            Err(Fault::Broken { reason, .. }) => Err(lost(reason)),
            Err(fault) => Err(reading(fault, entity)),
        }
    }

    /// Makes an entry be like `after` where `before` was not, and gives its name then.
    pub(super) async fn amend(
        &self,
        session: &Session<'_>,
        entity: &Entity,
        key: &str,
        (before, after): (&Resource, &Resource),
    ) -> Result<String, DirectoryError> {
        let name = |resource: &Resource| match entity.kind {
            ResourceType::User => resource.get(&AttrPath::core("userName")).cloned(),
            ResourceType::Group => resource.get(&AttrPath::core("displayName")).cloned(),
        };
        let renamed = name(before) != name(after);
        for tried in 1.. {
            let raw = self.look(session, entity, key, &entity.wanted()).await?.ok_or(DirectoryError::NotFound)?;
            if renamed && tried == 1 {
                self.unclaimed(session, entity, after, Some(key)).await?;
            }
            let plan = self.plan(entity, &raw, before, after)?;
            match self.carry_out(session, entity, &raw.dn, plan).await {
                Ok(dn) => return Ok(dn),
                // Somebody else was faster: what must be done is another thing now.
                Err(Fault::Result {
                    code: code::NO_SUCH_ATTRIBUTE | code::VALUE_EXISTS | code::NO_SUCH_OBJECT,
                    ..
                }) if tried < TRIES => {}
                Err(fault) => return Err(writing(fault, entity)),
            }
        }
        Err(DirectoryError::NotFound)
    }

    /// What must be done to the entry as it is now.
    fn plan(&self, entity: &Entity, raw: &Raw, before: &Resource, after: &Resource) -> Result<Plan, DirectoryError> {
        let changes = entity.mapping.changes(before, after, &self.moment()).map_err(|error| invalid(&error))?;
        let mut record = serde_json::Map::new();
        entity.mapping.overlay(&mut record, &changes);
        let mut plan = Plan { changes: Vec::new(), rename: None };
        let mut relative = None;
        for field in changes.set.keys().chain(changes.removed.iter().map(|(field, _)| field)) {
            let value = record::written(entity, field, record.get(field).unwrap_or(&Value::Null))?;
            let held = raw.values(field);
            let named = dn::naming_value(&raw.dn, field);
            if named.is_some() && field.eq_ignore_ascii_case(&entity.naming) {
                let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
                let text = text.ok_or_else(|| nameless(entity))?;
                if named.as_deref() != Some(text) {
                    relative = dn::renamed(&raw.dn, field, text);
                    continue;
                }
            }
            let name = field.as_bytes().to_vec();
            match (held, value) {
                // Values that this connector does not know stay.
                ([first, _, ..], value) => {
                    plan.changes.push(Mod::Delete(name.clone(), [first.clone()].into()));
                    plan.changes.extend(
                        value.filter(|value| !held[1..].contains(value)).map(|value| Mod::Add(name, [value].into())),
                    );
                }
                ([], None) => {}
                (_, None) => plan.changes.push(Mod::Replace(name, HashSet::new())),
                (_, Some(value)) => plan.changes.push(Mod::Replace(name, [value].into())),
            }
        }
        let mut parent = None;
        if let (ResourceType::User, Some(active)) = (entity.kind, after.active())
            && before.active() != Some(active)
        {
            plan.changes.extend(record::switch(&self.config.disabled, raw, !active));
            if let Disabled::Base { base, dn } = &self.config.disabled
                && Dn::parse(&raw.dn).is_some_and(|own| own.is_within(dn)) == active
            {
                parent = Some(if active { entity.base.clone() } else { base.clone() });
            }
        }
        if relative.is_some() || parent.is_some() {
            let (own, _) = dn::halves(&raw.dn).ok_or_else(|| nonsense("an entry's name is none"))?;
            plan.rename = Some((relative.unwrap_or_else(|| own.to_owned()), parent));
        }
        Ok(plan)
    }

    /// Renames first, because that is what another entry can stand in the way of; it is taken back when the rest is refused.
    async fn carry_out(&self, session: &Session<'_>, entity: &Entity, dn: &str, plan: Plan) -> Result<String, Fault> {
        let Some((relative, parent)) = plan.rename else {
            return session.modify(dn, &plan.changes).await.map(|()| dn.to_owned());
        };
        let senseless = || Fault::Broken { reason: "an entry's name is none".into(), maybe_done: false };
        let (own, above) = dn::halves(dn).ok_or_else(senseless)?;
        let groups = self.groups_with(session, dn).await?;
        session.rename(dn, &relative, parent.as_deref()).await?;
        let new = dn::under(&relative, parent.as_deref().unwrap_or(above));
        if let Err(fault) = session.modify(&new, &plan.changes).await {
            if !fault.ends_connection() {
                session.rename(&new, own, parent.as_ref().map(|_| above)).await?;
            }
            return Err(fault);
        }
        tracing::debug!(kind = ?entity.kind, groups = groups.len(), "an entry was renamed");
        self.follow(session, &groups, dn, Some(&new)).await?;
        Ok(new)
    }

    /// Removes an entry, and before it what groups hold of it, so that a repetition finds what is left to do.
    pub(super) async fn remove(&self, session: &Session<'_>, entity: &Entity, key: &str) -> Result<(), DirectoryError> {
        let wanted = [entity.key.name.as_str()];
        let raw = self.look(session, entity, key, &wanted).await?.ok_or(DirectoryError::NotFound)?;
        let failed = |fault| writing(fault, entity);
        let groups = self.groups_with(session, &raw.dn).await.map_err(failed)?;
        self.follow(session, &groups, &raw.dn, None).await.map_err(failed)?;
        session.delete(&raw.dn).await.map_err(failed)
    }
}

impl Entity {
    /// The attributes that are asked for.
    pub(super) fn wanted(&self) -> Vec<&str> {
        self.wanted.iter().map(String::as_str).collect()
    }
}

/// The attribute that names an entry has no value.
fn nameless(entity: &Entity) -> DirectoryError {
    let path = entity.columns.iter().find(|(_, field)| *field == entity.naming).map(|(path, _)| path.to_string());
    let detail = format!("is what names an entry ({}) and cannot be empty", entity.naming);
    DirectoryError::Invalid { attribute: path, detail }
}
