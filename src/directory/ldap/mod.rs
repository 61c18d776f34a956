//! A user system that is an LDAP server (RFC 4511), OpenLDAP or Active Directory in shape: people and groups are entries below
//! declared bases, their keys what the server gives them for good (`entryUUID`, `objectGUID`), never their names. A change
//! sends what differs and nothing else, a new name is a rename, membership comes and goes value by value. There are no
//! transactions: where several operations make one change, they are ordered so that a repetition finds what is left to do.
//! Knows nothing of PATCH operations, filters or the gateway's dialects.

pub mod config;
mod dn;
mod draft;
mod entries;
mod fault;
mod groups;
mod pool;
mod record;

use std::future::Future;

pub use self::config::Config;

use self::config::Entity;
use self::fault::reading;
use self::pool::{Pool, Session};
use crate::mapping::Unwritable;
use crate::mapping::expression::Moment;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::{Clock, Random};

/// An attribute with its values.
type Values = (String, Vec<Vec<u8>>);

/// The connector.
pub struct Ldap {
    config: Config,
    pool: Pool,
    clock: Clock,
    random: Random,
}

impl Ldap {
    /// Sets up the connector; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when TLS cannot be set up.
    pub fn new(config: Config, clock: Clock, random: Random) -> Result<Self, DirectoryError> {
        let pool = Pool::new(&config)?;
        Ok(Self { config, pool, clock, random })
    }

    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), random: Some(self.random.clone()) }
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.pool.close();
    }

    /// A connection, and the entries that the work is about.
    async fn session(&self, kind: ResourceType) -> Result<(Session<'_>, &Entity), DirectoryError> {
        let Some(entity) = self.config.entity(kind) else { return super::unasked("a group") };
        match self.pool.session().await {
            Ok(session) => Ok((session, entity)),
            // Nothing has been asked yet.
            Err(fault) => Err(reading(fault, entity)),
        }
    }

    /// A piece of work, over by the deadline.
    async fn within<T>(
        &self,
        doing: impl Future<Output = Result<T, DirectoryError>> + Send,
    ) -> Result<T, DirectoryError> {
        tokio::time::timeout(self.config.timeout, doing).await.unwrap_or(Err(DirectoryError::Silent))
    }
}

impl Directory for Ldap {
    fn offers(&self, kind: ResourceType) -> bool {
        self.config.entity(kind).is_some()
    }

    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(kind).await?;
            let raw = self.look(&session, entity, key, &entity.wanted()).await;
            session.done();
            raw?.map(|raw| record::entry(&self.config, entity, &raw)).transpose()
        })
        .await
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(kind).await?;
            let found = self.find_entries(&session, entity, lookup, page).await;
            session.done();
            found
        })
        .await
    }

    async fn seek(&self, _: ResourceType, _: Option<&str>, _: u64) -> Result<Vec<Entry>, DirectoryError> {
        super::unasked("a walk by key")
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(ResourceType::User).await?;
            let entry = self.insert(&session, entity, person, None).await;
            session.done();
            entry
        })
        .await
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(ResourceType::User).await?;
            let entry = match self.amend(&session, entity, key, (before, after)).await {
                Ok(dn) => self.reread(&session, entity, &dn).await,
                Err(error) => Err(error),
            };
            session.done();
            entry
        })
        .await
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        self.within(async {
            let (session, _) = self.session(ResourceType::Group).await?;
            let entry = self.insert_group(&session, group, members).await;
            session.done();
            entry
        })
        .await
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        self.within(async {
            let (session, _) = self.session(ResourceType::Group).await?;
            let entry = self.amend_group(&session, key, change).await;
            session.done();
            entry
        })
        .await
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        self.within(async {
            let (session, _) = self.session(ResourceType::Group).await?;
            let members = self.members_page(&session, key, page).await;
            session.done();
            members
        })
        .await
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        self.within(async {
            let (session, _) = self.session(ResourceType::Group).await?;
            let held = self.held_members(&session, key, candidates).await;
            session.done();
            held
        })
        .await
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        if self.config.groups.is_none() {
            return Ok(Vec::new());
        }
        self.within(async {
            let (session, _) = self.session(ResourceType::Group).await?;
            let groups = self.groups_of(&session, members).await;
            session.done();
            groups
        })
        .await
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(kind).await?;
            let removed = self.remove(&session, entity, key).await;
            session.done();
            removed
        })
        .await
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        self.within(async {
            let (session, entity) = self.session(ResourceType::User).await?;
            let mut seen = Ok(());
            for entity in std::iter::once(entity).chain(self.config.entity(ResourceType::Group)) {
                for base in &entity.bases {
                    let found = session.some(base, &entity.filter, &entity.wanted(), 1).await;
                    let found = found.map_err(|fault| reading(fault, entity));
                    let read = found.and_then(|found| {
                        found.iter().try_for_each(|raw| record::entry(&self.config, entity, raw).map(|_| ()))
                    });
                    seen = seen.and(read);
                }
            }
            session.done();
            seen
        })
        .await
    }

    fn seeks(&self, _: ResourceType) -> bool {
        false
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.finds_by(kind, path)
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.holds(kind, path)
    }
}

/// A value that does not fit its attribute.
fn invalid(error: &Unwritable) -> DirectoryError {
    DirectoryError::Invalid { attribute: Some(error.attribute.clone()), detail: error.problem.clone() }
}
