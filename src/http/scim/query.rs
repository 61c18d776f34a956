//! Queries: what the directory can answer by itself it answers; the rest is evaluated here over a bounded scan. The answer
//! is exact or an error, never silently short (design decision 5).

use std::ops::Range;

use super::people::{People, Person};
use crate::dialect::{OnDelete, Visibility};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::ports::{Directory, Entry, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::command::Query;
use crate::scim::error::ScimError;
use crate::scim::filter::{Filter, Subject};
use crate::scim::path::AttrPath;
use crate::scim::schema::MAX_RESULTS;

/// How many people a query may make the gateway look at.
const SCAN: u64 = 20_000;
/// How many are asked for at a time while scanning.
const STEP: u64 = 500;

/// As many people with one `externalId` are more than a query will look up one by one.
const NAMESAKES: u32 = 50;

/// The part of a list that was asked for, and how long the list is.
pub struct Listed {
    /// People of this page.
    pub people: Vec<Person>,
    /// How many match in all.
    pub total: u64,
}

/// Where the candidates of a query come from.
pub(super) enum Plan {
    /// The one person with this id.
    Id(String),
    /// Those whose link says so; mostly one.
    ExternalId(String),
    /// Those whom the directory finds by a value.
    Equal { path: AttrPath, value: String },
    /// A page of everybody, as the directory pages.
    Native,
    /// Everybody.
    Scan,
}

impl People<'_> {
    /// Answers a query.
    pub async fn list(&self, query: &Query) -> Result<Listed, Refusal> {
        let dialect = self.tenant.config.dialect;
        let filter = query.filter.clone().map(|filter| dialect.filter(filter)).transpose()?;
        let wanted = window(query);
        let mut found = Collected { filter: filter.as_ref(), wanted, people: Vec::new(), total: 0 };
        match plan(self.tenant, filter.as_ref()) {
            Plan::Id(id) => found.take(self.lookup(&id).await?),
            Plan::ExternalId(value) => {
                let links = self.store.links_by_external_id(&self.tenant.config.name, &value, NAMESAKES).await?;
                if links.len() >= NAMESAKES as usize {
                    return Err(
                        ScimError::too_many("too many people have this externalId; filter by userName or id").into()
                    );
                }
                for link in links {
                    found.take(self.lookup(&link.key).await?);
                }
            }
            Plan::Equal { path, value } => {
                let lookup = Lookup::Equal { path, value };
                self.walk(&lookup, &mut found).await?;
            }
            Plan::Native => return self.native(found.wanted).await,
            Plan::Scan => self.walk(&Lookup::All, &mut found).await?,
        }
        Ok(Listed { people: found.people, total: found.total })
    }

    /// One page of everybody, as the directory pages.
    async fn native(&self, wanted: Range<u64>) -> Result<Listed, Refusal> {
        let page = Page { offset: wanted.start, limit: wanted.end - wanted.start };
        let found = self.tenant.directory.find(ResourceType::User, &Lookup::All, page).await?;
        let people = self.see_all(found.entries).await?;
        Ok(Listed { people, total: found.total })
    }

    /// Looks at every candidate.
    async fn walk(&self, lookup: &Lookup, found: &mut Collected<'_>) -> Result<(), Refusal> {
        let mut offset = 0;
        loop {
            let page = self.tenant.directory.find(ResourceType::User, lookup, Page { offset, limit: STEP }).await?;
            if page.total > SCAN {
                return Err(ScimError::too_many(format!(
                    "this query would have to look at {} people, more than {SCAN}; filter by userName, externalId or id",
                    page.total
                ))
                .into());
            }
            let seen = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
            for person in self.see_all(page.entries).await? {
                found.take(Some(person));
            }
            offset += seen;
            if seen == 0 || offset >= page.total {
                return Ok(());
            }
        }
    }

    async fn see_all(&self, entries: Vec<Entry>) -> Result<Vec<Person>, Refusal> {
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut links = self.store.links(&self.tenant.config.name, &keys).await?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| {
                let link = links.remove(&entry.key);
                self.see(entry, link)
            })
            .collect())
    }
}

/// Where the people to look at come from.
pub(super) fn plan(tenant: &Runtime, filter: Option<&Filter>) -> Plan {
    let dialect = tenant.config.dialect;
    let Some(filter) = filter else {
        // Without a filter the directory's own paging is exact if nobody is hidden.
        let all_seen = dialect.visibility == Visibility::Everyone && dialect.on_delete == OnDelete::Delete;
        return if all_seen { Plan::Native } else { Plan::Scan };
    };
    let equals = filter.conjuncts().into_iter().filter_map(Filter::as_equality);
    let mut best = Plan::Scan;
    for (path, value) in equals {
        if path.is("id") {
            return Plan::Id(value.to_owned());
        }
        if tenant.directory.finds_by(ResourceType::User, path) {
            best = Plan::Equal { path: path.clone(), value: value.to_owned() };
        } else if path.is("externalId")
            && !tenant.directory.holds(ResourceType::User, path)
            && matches!(best, Plan::Scan)
        {
            best = Plan::ExternalId(value.to_owned());
        }
    }
    best
}

/// Positions wanted, from zero.
fn window(query: &Query) -> Range<u64> {
    let start = query.start_index.max(1) - 1;
    start..start.saturating_add(query.count.unwrap_or(DEFAULT_COUNT).min(MAX_RESULTS))
}

/// How many people a page holds if the client does not say.
const DEFAULT_COUNT: u64 = 100;

struct Collected<'a> {
    filter: Option<&'a Filter>,
    wanted: Range<u64>,
    people: Vec<Person>,
    total: u64,
}

impl Collected<'_> {
    fn take(&mut self, person: Option<Person>) {
        let Some(person) = person else { return };
        let matches = self.filter.is_none_or(|filter| {
            // Nobody filters by their own address: the location is not needed to decide.
            filter.matches(&Subject { resource: &person.seen, meta: super::meta(&person, "") })
        });
        if matches {
            if self.wanted.contains(&self.total) {
                self.people.push(person);
            }
            self.total += 1;
        }
    }
}
