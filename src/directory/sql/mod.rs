//! A user system that is a database: people in one table, groups in another, membership in a join table, as the operator
//! declares them in [`config`]. PostgreSQL, MySQL (also MariaDB) and SQLite differ only in [`dialect`]. A change writes the
//! columns that differ and no others, so two changes of one person at the same moment are both kept; what belongs together
//! is one transaction. Knows nothing of PATCH operations, filters or the gateway's dialects.

pub mod config;
mod dialect;
mod fault;
mod groups;
mod people;
mod row;

use std::future::Future;
use std::str::FromStr as _;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, Transaction};
use tokio::sync::OnceCell;

pub use self::config::Config;

use self::config::Entity;
use self::dialect::{Described, Flavour, Statement};
use self::fault::{Doubt, meaning};
use crate::mapping::Unwritable;
use crate::mapping::expression::Moment;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::{Clock, Random};

/// The columns of one table, as the database describes them.
type Columns = Vec<Described>;

/// The connector.
pub struct Sql {
    config: Config,
    pool: AnyPool,
    clock: Clock,
    random: Random,
    /// Asked once: of the people's table, the groups' and the join table.
    described: OnceCell<[Columns; 3]>,
}

/// The table of a type with its columns.
#[derive(Clone, Copy)]
struct Place<'a> {
    entity: &'a Entity,
    columns: &'a [Described],
}

impl<'a> Place<'a> {
    fn column(&self, name: &str) -> Option<&'a Described> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

impl Sql {
    /// Sets up the connector; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when the driver does not understand the address.
    pub fn new(config: Config, clock: Clock, random: Random) -> Result<Self, DirectoryError> {
        install_default_drivers();
        let not_understood = |_| DirectoryError::Failed {
            reason: "the address of the database is not understood".into(),
            maybe_done: false,
        };
        let options = AnyConnectOptions::from_str(config.url.expose()).map_err(not_understood)?;
        let pool = AnyPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.timeout)
            .connect_lazy_with(options);
        Ok(Self { config, pool, clock, random, described: OnceCell::new() })
    }

    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), random: Some(self.random.clone()) }
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn within<T>(
        &self,
        doubt: Doubt,
        work: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        match tokio::time::timeout(self.config.timeout, work).await {
            Ok(outcome) => outcome,
            Err(_) if doubt == Doubt::Outcome => Err(DirectoryError::Silent),
            Err(_) => Err(DirectoryError::Busy { retry_after: None }),
        }
    }

    /// The tables as the database describes them, asked when first needed: the gateway starts while the database is down.
    async fn described(&self) -> Result<&[Columns; 3], DirectoryError> {
        self.described
            .get_or_try_init(async || {
                let people = self.describe(&self.config.people.table).await?;
                let Some((groups, members)) = &self.config.groups else { return Ok([people, Vec::new(), Vec::new()]) };
                Ok([people, self.describe(&groups.table).await?, self.describe(&members.table).await?])
            })
            .await
    }

    async fn describe(&self, table: &str) -> Result<Columns, DirectoryError> {
        let (schema, name) = table.split_once('.').map_or((None, table), |(schema, name)| (Some(schema), name));
        let mut query = sqlx::query(self.config.flavour.columns(schema.is_some())).bind(name.to_owned());
        if let Some(schema) = schema {
            query = query.bind(schema.to_owned());
        }
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.failed(&error, ResourceType::User))?;
        if rows.is_empty() {
            let reason = format!("there is no table {table}, or we may not see it");
            return Err(DirectoryError::Refused { reason });
        }
        rows.iter().map(row::described).collect()
    }

    /// The table of a type.
    async fn place(&self, kind: ResourceType) -> Result<Place<'_>, DirectoryError> {
        let [people, groups, _] = self.described().await?;
        let columns = match kind {
            ResourceType::User => people,
            ResourceType::Group => groups,
        };
        match self.config.entity(kind) {
            Some(entity) => Ok(Place { entity, columns }),
            None => super::unasked("a group"),
        }
    }

    fn statement(&self, words: &'static str) -> Statement {
        Statement::new(self.config.flavour, words)
    }

    fn failed(&self, error: &sqlx::Error, kind: ResourceType) -> DirectoryError {
        let entity = self.config.entity(kind).unwrap_or(&self.config.people);
        meaning(error, self.config.flavour, entity, Doubt::None)
    }

    /// A commit that fails may still have been carried out.
    fn uncertain(&self, error: &sqlx::Error, kind: ResourceType) -> DirectoryError {
        let entity = self.config.entity(kind).unwrap_or(&self.config.people);
        meaning(error, self.config.flavour, entity, Doubt::Outcome)
    }

    async fn begin(&self, kind: ResourceType) -> Result<Transaction<'static, Any>, DirectoryError> {
        let begun = match self.config.flavour {
            // Elsewhere the rows are locked; SQLite locks the whole file, and must do so before it reads.
            Flavour::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Flavour::Postgres | Flavour::MySql => self.pool.begin().await,
        };
        begun.map_err(|error| self.failed(&error, kind))
    }

    async fn commit(&self, work: Transaction<'static, Any>, kind: ResourceType) -> Result<(), DirectoryError> {
        work.commit().await.map_err(|error| self.uncertain(&error, kind))
    }

    /// Carries out a statement and gives how many rows it touched.
    async fn execute(
        &self,
        work: &mut AnyConnection,
        statement: Statement,
        kind: ResourceType,
    ) -> Result<u64, DirectoryError> {
        let done = row::query(statement).execute(work).await.map_err(|error| self.failed(&error, kind))?;
        Ok(done.rows_affected())
    }
}

impl Directory for Sql {
    fn offers(&self, kind: ResourceType) -> bool {
        self.config.entity(kind).is_some()
    }

    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        self.within(Doubt::None, async {
            let place = self.place(kind).await?;
            let mut connection = self.pool.acquire().await.map_err(|error| self.failed(&error, kind))?;
            self.entry(&mut connection, place, key, false).await
        })
        .await
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        self.within(Doubt::None, self.find_entries(kind, lookup, page)).await
    }

    async fn seek(&self, kind: ResourceType, after: Option<&str>, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        self.within(Doubt::None, self.entries_after(kind, after, limit)).await
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        self.within(Doubt::Outcome, async {
            let place = self.place(ResourceType::User).await?;
            let mut work = self.begin(ResourceType::User).await?;
            let key = self.insert(&mut work, place, person).await?;
            let entry = self.written(&mut work, place, &key).await?;
            self.commit(work, ResourceType::User).await?;
            Ok(entry)
        })
        .await
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        self.within(Doubt::Outcome, async {
            let place = self.place(ResourceType::User).await?;
            let mut work = self.begin(ResourceType::User).await?;
            self.entry(&mut work, place, key, true).await?.ok_or(DirectoryError::NotFound)?;
            self.change(&mut work, place, key, before, after, false).await?;
            let entry = self.written(&mut work, place, key).await?;
            self.commit(work, ResourceType::User).await?;
            Ok(entry)
        })
        .await
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        self.within(Doubt::Outcome, async {
            let place = self.place(ResourceType::Group).await?;
            let mut work = self.begin(ResourceType::Group).await?;
            let key = self.insert(&mut work, place, group).await?;
            for member in members {
                self.add_member(&mut work, &key, member).await?;
            }
            let entry = self.written(&mut work, place, &key).await?;
            self.commit(work, ResourceType::Group).await?;
            Ok(entry)
        })
        .await
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        self.within(Doubt::Outcome, async {
            let place = self.place(ResourceType::Group).await?;
            let mut work = self.begin(ResourceType::Group).await?;
            self.entry(&mut work, place, key, true).await?.ok_or(DirectoryError::NotFound)?;
            let mut touched = 0;
            for member in &change.remove {
                touched += self.remove_member(&mut work, key, member).await?;
            }
            for member in &change.add {
                touched += self.add_member(&mut work, key, member).await?;
            }
            self.change(&mut work, place, key, &change.before, &change.after, touched > 0).await?;
            let entry = self.written(&mut work, place, key).await?;
            self.commit(work, ResourceType::Group).await?;
            Ok(entry)
        })
        .await
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        self.within(Doubt::None, self.members_page(key, page)).await
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        self.within(Doubt::None, self.held_members(key, candidates)).await
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        self.within(Doubt::None, self.groups_of(members)).await
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        self.within(Doubt::Outcome, async {
            let place = self.place(kind).await?;
            let mut work = self.begin(kind).await?;
            self.entry(&mut work, place, key, true).await?.ok_or(DirectoryError::NotFound)?;
            self.forget_membership(&mut work, kind, key).await?;
            self.remove(&mut work, place, key).await?;
            self.commit(work, kind).await
        })
        .await
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        self.find(ResourceType::User, &Lookup::All, Page { offset: 0, limit: 1 }).await.map(|_| ())
    }

    fn seeks(&self, kind: ResourceType) -> bool {
        self.offers(kind)
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.finds_by(kind, path)
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.config.holds(kind, path)
    }
}

/// A value that does not fit its column.
fn invalid(error: &Unwritable) -> DirectoryError {
    DirectoryError::Invalid { attribute: Some(error.attribute.clone()), detail: error.problem.clone() }
}
