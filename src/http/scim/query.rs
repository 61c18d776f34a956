//! Queries: what the directory can answer by itself it answers; the rest is evaluated here over a bounded scan. The answer
//! is exact or an error, never silently short (design decision 5).
//!
//! A page is cut by position, by a sort, or by a cursor.

mod by_cursor;

use std::ops::Range;

use super::groups::Group;
use super::membership::{Holders, Question};
use super::people::Person;
use super::shown::Shown;
use super::sink::Sink;
use super::walk::{Next, Walk};
use super::{Surface, offers_groups};
use crate::dialect::{OnDelete, Visibility};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::ports::{Directory, Entry, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::command::Query;
use crate::scim::error::ScimError;
use crate::scim::filter::Filter;
use crate::scim::path::AttrPath;
use crate::scim::schema::{DEFAULT_RESULTS, MAX_RESULTS};

/// How many resources a query may make the gateway look at.
const SCAN: u64 = 20_000;

/// As many members of one group are more than a query with further conditions will look up one by one.
const LOOKED_UP: usize = 1000;

/// As many resources with one `externalId` are more than a query will look up one by one.
const NAMESAKES: u32 = 50;

/// The part of a list that was asked for, and how long the list is.
pub struct Listed {
    /// Resources of this page.
    pub page: Vec<Shown>,
    /// How many match in all, where that is known.
    pub total: Option<u64>,
    /// Where the next page begins, if there is one and cursors were asked for.
    pub next: Option<String>,
}

/// Where the candidates of a query come from.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nobody of this type can match.
    Nobody,
    /// The one with this id.
    Id(String),
    /// Those whose link says so; mostly one.
    ExternalId(String),
    /// Those whom the directory finds by a value.
    Equal { path: AttrPath, value: String },
    /// The groups that hold this member.
    Holders(String),
    /// The people who are members of this group.
    MembersOf(String),
    /// A page of all, as the directory pages.
    Native,
    /// All.
    Scan,
}

impl Surface<'_> {
    /// Answers a query for resources of these types, people before groups unless it is sorted.
    pub async fn list(&self, kinds: &[ResourceType], query: &Query) -> Result<Listed, Refusal> {
        let filter = query.filter.clone().map(|filter| self.tenant.config.dialect.filter(filter)).transpose()?;
        let filter = filter.as_ref();
        if let Some(request) = &query.cursor {
            return self.by_cursor(kinds, filter, query, request).await;
        }
        let wanted = window(query);
        if let Some(sort) = &query.sort {
            let mut sink = Sink::best(filter, Some(sort), None, usize::try_from(wanted.end).unwrap_or(usize::MAX));
            for kind in kinds {
                self.fill(*kind, filter, &mut sink).await?;
            }
            let total = Some(sink.total());
            let (kept, _) = sink.finish();
            let skipped = usize::try_from(wanted.start).unwrap_or(usize::MAX);
            return Ok(Listed {
                page: kept.into_iter().skip(skipped).map(|(_, shown)| shown).collect(),
                total,
                next: None,
            });
        }
        let (mut page, mut total) = (Vec::new(), 0);
        for kind in kinds {
            // What lies before the window in the list of one type is counted from its own beginning.
            let wanted = wanted.start.saturating_sub(total)..wanted.end.saturating_sub(total);
            let mut sink = Sink::window(filter, wanted);
            self.fill(*kind, filter, &mut sink).await?;
            total += sink.total();
            page.extend(sink.finish().0.into_iter().map(|(_, shown)| shown));
        }
        Ok(Listed { page, total: Some(total), next: None })
    }

    /// Shows the sink every resource of this type that can match.
    async fn fill(&self, kind: ResourceType, filter: Option<&Filter>, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let question = Question::of(filter, kind)?;
        let directory = &*self.tenant.directory;
        match plan(self.tenant, kind, filter) {
            Plan::Nobody => Ok(()),
            Plan::Id(id) => {
                let one = self.look_up(kind, &id).await?;
                self.show(one.into_iter().collect(), &question, sink).await
            }
            Plan::ExternalId(value) => {
                let links = self.store.links_by_external_id(&self.tenant.config.name, &value, NAMESAKES).await?;
                if links.len() >= NAMESAKES as usize {
                    return Err(ScimError::too_many("too many have this externalId; filter by name or id").into());
                }
                for link in links {
                    let one = self.look_up(kind, &link.key).await?;
                    self.show(one.into_iter().collect(), &question, sink).await?;
                }
                Ok(())
            }
            Plan::Equal { path, value } => self.scan(kind, &Lookup::Equal { path, value }, &question, sink).await,
            Plan::Holders(key) => self.scan(kind, &Lookup::Member { key }, &question, sink).await,
            Plan::MembersOf(group) => self.members_of(&group, filter, &question, sink).await,
            Plan::Native => match sink.wanted() {
                Some(wanted) => {
                    let page = Page { offset: wanted.start, limit: wanted.end - wanted.start };
                    let found = directory.find(kind, &Lookup::All, page).await?;
                    let read = found.entries.len() as u64;
                    sink.pass(wanted.start.min(found.total));
                    for shown in self.see_all(kind, found.entries).await? {
                        sink.take(shown, None);
                    }
                    sink.pass(found.total.saturating_sub(wanted.start).saturating_sub(read));
                    Ok(())
                }
                None => self.scan(kind, &Lookup::All, &question, sink).await,
            },
            Plan::Scan => self.scan(kind, &Lookup::All, &question, sink).await,
        }
    }

    /// Shows the sink what the directory finds.
    async fn scan(
        &self,
        kind: ResourceType,
        lookup: &Lookup,
        question: &Question,
        sink: &mut Sink<'_>,
    ) -> Result<(), Refusal> {
        let mut walk = Walk::default();
        let holders = match lookup {
            Lookup::Equal { .. } => None,
            Lookup::All | Lookup::Member { .. } => self.holders(kind, question).await?,
        };
        loop {
            let found = self.tenant.directory.find(kind, lookup, walk.page()).await?;
            if found.total > SCAN {
                return Err(ScimError::too_many(format!(
                    "this query would have to look at {} {}, more than {SCAN}; filter by name, externalId or id",
                    found.total,
                    kind.endpoint()
                ))
                .into());
            }
            let (new, last) = match walk.take(found.entries, found.total, |entry| entry.key.as_str())? {
                Next::More(new) => (new, false),
                Next::Last(new) => (new, true),
            };
            let shown = self.see_all(kind, new).await?;
            let known = question.answered(&*self.tenant.directory, &shown, holders.as_ref()).await?;
            for (shown, known) in shown.into_iter().zip(known) {
                sink.take(shown, known.as_ref());
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Shows the sink the people in a group.
    async fn members_of(
        &self,
        group: &str,
        filter: Option<&Filter>,
        question: &Question,
        sink: &mut Sink<'_>,
    ) -> Result<(), Refusal> {
        let members = match self.groups().members(group).await {
            Err(Refusal::Scim(error)) if error.status == 404 => return Ok(()),
            members => members?,
        };
        let keys: Vec<_> = members.into_iter().filter(|it| it.kind == ResourceType::User).map(|it| it.key).collect();
        let alone = filter.is_some_and(|filter| filter.as_equality().is_some());
        let skipped = match sink.wanted() {
            Some(wanted) if alone && all_seen(self.tenant) => wanted,
            _ if keys.len() <= LOOKED_UP => 0..u64::MAX,
            _ => {
                return Err(ScimError::too_many(format!(
                    "groups: the group has more than {LOOKED_UP} members to be looked at; ask for them without further conditions"
                ))
                .into());
            }
        };
        for (at, key) in (0_u64..).zip(keys) {
            if skipped.contains(&at) {
                let one = self.look_up(ResourceType::User, &key).await?;
                self.show(one.into_iter().collect(), question, sink).await?;
            } else {
                sink.pass(1);
            }
        }
        Ok(())
    }

    async fn show(&self, shown: Vec<Shown>, question: &Question, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let known = question.answered(&*self.tenant.directory, &shown, None).await?;
        for (shown, known) in shown.into_iter().zip(known) {
            sink.take(shown, known.as_ref());
        }
        Ok(())
    }

    /// Which groups hold those whom the question names, if it is asked of many groups.
    async fn holders(&self, kind: ResourceType, question: &Question) -> Result<Option<Holders>, Refusal> {
        Ok(match kind {
            ResourceType::Group if !question.is_empty() => Some(question.holders(&*self.tenant.directory).await?),
            _ => None,
        })
    }

    /// The resource with this id, if there is one to be seen.
    async fn look_up(&self, kind: ResourceType, id: &str) -> Result<Option<Shown>, Refusal> {
        Ok(match kind {
            ResourceType::User => self.people().lookup(id).await?.map(Person::shown),
            ResourceType::Group => self.groups().lookup(id).await?.map(|group| self.shown(group)),
        })
    }

    async fn see_all(&self, kind: ResourceType, entries: Vec<Entry>) -> Result<Vec<Shown>, Refusal> {
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut links = self.store.links(&self.tenant.config.name, &keys).await?;
        let people = self.people();
        Ok(entries
            .into_iter()
            .filter_map(|entry| {
                let link = links.remove(&entry.key);
                match kind {
                    ResourceType::User => people.see(entry, link).map(Person::shown),
                    ResourceType::Group => Some(self.shown(Group::new(entry, link))),
                }
            })
            .collect())
    }
}

/// Whether everybody in the directory is to be seen.
fn all_seen(tenant: &Runtime) -> bool {
    let dialect = &tenant.config.dialect;
    dialect.visibility == Visibility::Everyone && dialect.on_delete == OnDelete::Delete
}

/// Where the resources to look at come from.
pub(super) fn plan(tenant: &Runtime, kind: ResourceType, filter: Option<&Filter>) -> Plan {
    let Some(filter) = filter else {
        // Without a filter the directory's own paging is exact if nobody is hidden.
        return if kind == ResourceType::Group || all_seen(tenant) { Plan::Native } else { Plan::Scan };
    };
    let directory = &*tenant.directory;
    let mut best = Plan::Scan;
    for (path, value) in filter.conjuncts().into_iter().filter_map(Filter::as_equality) {
        if path.is("meta.resourceType") && !value.eq_ignore_ascii_case(kind.name()) || is_foreign(path, kind) {
            return Plan::Nobody;
        }
        let membership = path.schema.is_none()
            && path.filter.is_none()
            && matches!(path.sub.as_deref(), None | Some("value"))
            && offers_groups(tenant);
        if path.is("id") {
            best = Plan::Id(value.to_owned());
        } else if matches!(best, Plan::Id(_)) {
        } else if let Some(path) = found_by(directory, kind, path) {
            let spelt = tenant.config.dialect.spelling(&path, value);
            best = Plan::Equal { path, value: spelt.unwrap_or_else(|| value.to_owned()) };
        } else if !matches!(best, Plan::Scan) {
        } else if path.is("externalId") && !directory.holds(kind, path) {
            best = Plan::ExternalId(value.to_owned());
        } else if membership && kind == ResourceType::Group && path.attribute == "members" {
            best = Plan::Holders(value.to_owned());
        } else if membership && kind == ResourceType::User && path.attribute == "groups" {
            best = Plan::MembersOf(value.to_owned());
        }
    }
    best
}

/// The path by which the directory finds what this one means: `manager` stands for `manager.value`.
fn found_by<D: Directory>(directory: &D, kind: ResourceType, path: &AttrPath) -> Option<AttrPath> {
    if directory.finds_by(kind, path) {
        return Some(path.clone());
    }
    let spelt = path.clone().with_sub("value");
    (path.sub.is_none() && path.attribute == "manager" && directory.finds_by(kind, &spelt)).then_some(spelt)
}

/// Whether only resources of the other type have this attribute.
fn is_foreign(path: &AttrPath, kind: ResourceType) -> bool {
    let other = match kind {
        ResourceType::User => ResourceType::Group,
        ResourceType::Group => ResourceType::User,
    };
    path.schema.is_none() && kind.attribute(&path.attribute).is_none() && other.attribute(&path.attribute).is_some()
}

/// Positions wanted, from zero.
fn window(query: &Query) -> Range<u64> {
    let start = query.start_index.max(1) - 1;
    start..start.saturating_add(query.count.unwrap_or(DEFAULT_RESULTS).min(MAX_RESULTS))
}
