//! A user system with a REST interface of its own, as the operator declares it: calls, places in the answers, and a table of
//! attributes. The grammar stands in [`config`]. Knows nothing of PATCH operations, filters or dialects.

pub mod answer;
pub mod config;
mod groups;
mod membership;
pub mod paging;
pub mod plan;
mod records;
pub mod shape;
pub mod template;
pub mod verdict;

use tokio::sync::Mutex;

pub use self::config::groups::{CallDraft, GroupsDraft, MembersDraft};
pub use self::config::listing::PagingDraft;
pub use self::config::{Attribute, Config, Draft, Mistake};
pub use self::verdict::RuleDraft;

use self::groups::Teams;
use self::records::Records;
use super::client::Client;
use super::unasked;
use crate::mapping::Unwritable;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::{Clock, Random};

/// How many changes to different entries can go side by side at least, where they must take turns.
const LANES: usize = 64;

/// The connector.
pub struct Rest {
    config: Config,
    client: Client,
    clock: Clock,
    random: Random,
    /// Changes to one entry go one after the other where some of them put the whole entry in place.
    lanes: Vec<Mutex<()>>,
}

impl Rest {
    /// Sets up the connector; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when TLS cannot be set up on this machine.
    pub fn new(config: Config, clock: Clock) -> Result<Self, DirectoryError> {
        let client = Client::new(
            config.base.clone(),
            config.token.as_ref(),
            config.timeout,
            config.max_in_flight,
            clock.clone(),
        )
        .map_err(|reason| DirectoryError::Failed { reason, maybe_done: false })?;
        let lanes = (0..LANES).map(|_| Mutex::new(())).collect();
        Ok(Self { config, client, clock, random: Random::system(), lanes })
    }

    fn people(&self) -> Records<'_> {
        self.records(&self.config)
    }

    fn records<'r>(&'r self, config: &'r Config) -> Records<'r> {
        Records { config, client: &self.client, lanes: &self.lanes, clock: &self.clock, random: &self.random }
    }

    /// The groups, where they are declared.
    fn teams(&self) -> Result<Teams<'_>, DirectoryError> {
        let Some(groups) = self.config.groups() else { return unasked("a group") };
        Ok(Teams { groups, records: self.records(&groups.records), people: self.people() })
    }

    /// Whether this id cannot be a person's.
    fn is_group(&self, id: &str) -> bool {
        self.config.groups().is_some_and(|groups| groups.claims(id))
    }
}

impl Directory for Rest {
    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        match kind {
            ResourceType::User if self.is_group(key) => Ok(None),
            ResourceType::User => self.people().read_by(key, self.client.deadline()).await,
            ResourceType::Group => self.teams()?.read(key).await,
        }
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        let records = match kind {
            ResourceType::User => self.people(),
            ResourceType::Group => self.teams()?.records,
        };
        let found = match lookup {
            Lookup::All => records.list(page, self.client.deadline()).await?,
            Lookup::Equal { path, value } => records.find(path, value, page).await?,
            Lookup::Member { key } => return self.teams()?.with_member(key, page).await,
        };
        if kind == ResourceType::User {
            return Ok(found);
        }
        let teams = self.teams()?;
        Ok(Found { entries: found.entries.into_iter().map(|entry| teams.ours(entry)).collect(), ..found })
    }

    async fn seek(&self, kind: ResourceType, after: Option<&str>, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        if !self.seeks(kind) {
            return unasked("a walk by key");
        }
        if kind == ResourceType::User {
            return self.people().seek(after, limit).await;
        }
        let teams = self.teams()?;
        let after = match after {
            Some(id) => Some(teams.groups.own_key(id).ok_or(DirectoryError::NotFound)?),
            None => None,
        };
        let found = teams.records.seek(after, limit).await?;
        Ok(found.into_iter().map(|entry| teams.ours(entry)).collect())
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        self.people().create(person, None, self.client.deadline()).await
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        if self.is_group(key) {
            return Err(DirectoryError::NotFound);
        }
        self.people().update(key, before, after, self.client.deadline()).await
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        if kind == ResourceType::User {
            return if self.is_group(key) { Err(DirectoryError::NotFound) } else { self.people().delete(key).await };
        }
        let teams = self.teams()?;
        teams.records.delete(teams.groups.own_key(key).ok_or(DirectoryError::NotFound)?).await
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        let first = Page { offset: 0, limit: 1 };
        self.people().list(first, self.client.deadline()).await?;
        if self.config.groups().is_some() {
            self.teams()?.records.list(first, self.client.deadline()).await?;
        }
        Ok(())
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        self.teams()?.create(group, members).await
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        self.teams()?.update(key, change).await
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        self.teams()?.members(key, page).await
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        self.teams()?.has_members(key, candidates).await
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        if self.config.groups().is_none() {
            return Ok(Vec::new());
        }
        self.teams()?.memberships(members).await
    }

    fn seeks(&self, kind: ResourceType) -> bool {
        self.config.of(kind).is_some_and(|config| config.after.is_some())
    }

    fn offers(&self, kind: ResourceType) -> bool {
        self.config.of(kind).is_some()
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.of(kind).is_some_and(|config| config.finds_by(path))
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.of(kind).is_some_and(|config| config.holds(path))
    }
}

/// A value that does not fit its field.
pub(super) fn invalid(error: &Unwritable) -> DirectoryError {
    DirectoryError::Invalid { attribute: Some(error.attribute.clone()), detail: error.problem.clone() }
}
