//! A directory of our own: people and groups in one SQLite file, for the demo, for trying things out, and for who has nothing else yet.
//!
//! A person is one row that holds the SCIM attributes as JSON, beside the few columns that are searched. One connection
//! writes, others read at the same time (WAL), so no read waits for a write or a disk. The file belongs to one tenant; it
//! knows nothing of tenants, dialects or links.

mod groups;
mod sql;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _, Sqlite, SqliteConnection, SqlitePool};
use tracing::log::LevelFilter;

use super::merge;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::{Clock, Timestamp};

/// Where the people live and how carefully they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file, made if it is not there. `:memory:` keeps everything in memory and forgets it at the end.
    pub path: PathBuf,
    /// Whether a change is on the disk before it is answered. Without, a power cut (not a crash of the process) may lose the
    /// last ones.
    pub durable: bool,
    /// The deadline of one call.
    pub timeout: Duration,
}

impl Config {
    /// A file whose changes last, with a deadline of ten seconds.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), durable: true, timeout: Duration::from_secs(10) }
    }

    /// No file at all.
    pub fn memory() -> Self {
        Self { durable: false, ..Self::file(":memory:") }
    }
}

/// Never kept: a password belongs to whom it lets in, the rest is made anew for every answer.
const UNKEPT: [&str; 5] = ["password", "id", "meta", "schemas", "groups"];

/// How many connections read at once.
const READERS: u32 = 2;

/// The connector.
pub struct Embedded {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Clock,
    timeout: Duration,
}

impl Embedded {
    /// Opens the file and makes the tables if they are not there.
    ///
    /// # Errors
    /// `Failed` when the file cannot be opened, or was written by a later Portcullis.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, DirectoryError> {
        let memory = config.path.as_os_str() == ":memory:";
        let common = SqliteConnectOptions::new()
            .filename(&config.path)
            .in_memory(memory)
            .busy_timeout(config.timeout / 2)
            .foreign_keys(true)
            .pragma("temp_store", "memory")
            .statement_cache_capacity(32)
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::ZERO);
        let durability = if config.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
        let writing = common.clone().create_if_missing(true).synchronous(durability).pragma("cache_size", "-512");
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(config.timeout)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        // Not among the options: there it would run before `synchronous`, and wait for the disk even where nothing is durable.
        let journal = if memory { "PRAGMA journal_mode = MEMORY" } else { "PRAGMA journal_mode = WAL" };
        let writer = pool()
            .max_connections(1)
            .after_connect(move |connection, _| Box::pin(async move { connection.execute(journal).await.map(|_| ()) }))
            .connect_with(writing)
            .await
            .map_err(failed)?;
        sql::prepare(&writer).await?;
        let readers = if memory {
            writer.clone()
        } else {
            let reading = common.pragma("query_only", "on").pragma("cache_size", "-256");
            pool().max_connections(READERS).connect_lazy_with(reading)
        };
        Ok(Self { writer, readers, clock, timeout: config.timeout })
    }

    /// Creates many people at once, all or none, and gives their keys in order.
    ///
    /// # Errors
    /// As [`Directory::create`], for the first that cannot be created.
    pub async fn seed(&self, people: &[Resource]) -> Result<Vec<String>, DirectoryError> {
        let mut work = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut keys = Vec::with_capacity(people.len());
        for person in people {
            keys.push(self.insert(&mut work, person).await?.key);
        }
        work.commit().await.map_err(uncertain)?;
        Ok(keys)
    }

    /// The first people in order of their keys, at most `limit`: what the demo's page shows.
    ///
    /// # Errors
    /// As [`Directory::find`].
    pub async fn rows(&self, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        self.find(ResourceType::User, &Lookup::All, Page { offset: 0, limit }).await.map(|found| found.entries)
    }

    /// Ends all connections and folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, DirectoryError> {
        self.readers.acquire().await.map_err(failed)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, DirectoryError>>) -> Result<T, DirectoryError> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(DirectoryError::Silent))
    }

    async fn insert(&self, work: &mut SqliteConnection, person: &Resource) -> Result<Entry, DirectoryError> {
        let row = Row::of(kept(person))?;
        let now = self.clock.now();
        let key = sql::insert(work, &row, now).await?;
        Ok(row.into_entry(key, now, now, 1))
    }

    async fn change(
        &self,
        work: &mut SqliteConnection,
        key: i64,
        before: &Resource,
        after: &Resource,
    ) -> Result<Entry, DirectoryError> {
        let held = sql::read(&mut *work, key).await?.ok_or(DirectoryError::NotFound)?;
        let was = Value::Object(held.resource.as_map().clone());
        let merged = merge::merge(&Value::Object(kept(before)), &Value::Object(kept(after)), &was);
        if merged == was {
            return Ok(held);
        }
        let Value::Object(map) = merged else { return Ok(held) };
        let row = Row::of(map)?;
        let now = self.clock.now();
        let version = sql::update(work, key, &row, now).await?;
        Ok(row.into_entry(key, held.created.unwrap_or(now), now, version))
    }
}

impl Directory for Embedded {
    fn offers(&self, _: ResourceType) -> bool {
        true
    }

    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        let known = match kind {
            ResourceType::User => number(key),
            ResourceType::Group => groups::group_number(key),
        };
        let Some(key) = known else { return Ok(None) };
        self.within(async {
            let mut reader = self.reader().await?;
            match kind {
                ResourceType::User => sql::read(&mut reader, key).await,
                ResourceType::Group => groups::read(&mut reader, key).await,
            }
        })
        .await
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        self.within(async {
            match (kind, lookup) {
                // The count and the page must be of one moment.
                (ResourceType::Group, lookup) => {
                    groups::find(&mut *self.readers.begin().await.map_err(failed)?, lookup, page).await
                }
                (ResourceType::User, Lookup::All) => {
                    sql::page(&mut *self.readers.begin().await.map_err(failed)?, page).await
                }
                (ResourceType::User, Lookup::Equal { path, value }) => {
                    let column = Column::of(path).ok_or_else(|| DirectoryError::Failed {
                        reason: format!("no index on {path}"),
                        maybe_done: false,
                    })?;
                    sql::equal(&mut *self.reader().await?, column, value, page).await
                }
                (ResourceType::User, Lookup::Member { .. }) => super::unasked("members of a person"),
            }
        })
        .await
    }

    async fn seek(&self, kind: ResourceType, after: Option<&str>, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        let known = |key| match kind {
            ResourceType::User => number(key),
            ResourceType::Group => groups::group_number(key),
        };
        let Some(after) = after.map_or(Some(0), known) else { return Ok(Vec::new()) };
        self.within(async {
            let mut reader = self.reader().await?;
            match kind {
                ResourceType::User => sql::seek(&mut reader, after, limit).await,
                ResourceType::Group => groups::seek(&mut reader, after, limit).await,
            }
        })
        .await
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        self.within(async {
            let mut work = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            let entry = self.insert(&mut work, person).await?;
            work.commit().await.map_err(uncertain)?;
            Ok(entry)
        })
        .await
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        let key = number(key).ok_or(DirectoryError::NotFound)?;
        self.within(async {
            let mut work = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            let entry = self.change(&mut work, key, before, after).await?;
            work.commit().await.map_err(uncertain)?;
            Ok(entry)
        })
        .await
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        self.within(async {
            let mut work = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            let entry = groups::insert(&mut work, group, members, self.clock.now()).await?;
            work.commit().await.map_err(uncertain)?;
            Ok(entry)
        })
        .await
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        let key = groups::group_number(key).ok_or(DirectoryError::NotFound)?;
        self.within(async {
            let mut work = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            let entry = groups::change(&mut work, key, change, self.clock.now()).await?;
            work.commit().await.map_err(uncertain)?;
            Ok(entry)
        })
        .await
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        let key = groups::group_number(key).ok_or(DirectoryError::NotFound)?;
        self.within(async { groups::members(&mut *self.readers.begin().await.map_err(failed)?, key, page).await }).await
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        let key = groups::group_number(key).ok_or(DirectoryError::NotFound)?;
        self.within(async { groups::has_members(&mut *self.reader().await?, key, candidates).await }).await
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        self.within(async { groups::memberships(&mut *self.reader().await?, members).await }).await
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        let known = match kind {
            ResourceType::User => number(key),
            ResourceType::Group => groups::group_number(key),
        };
        let key = known.ok_or(DirectoryError::NotFound)?;
        self.within(async {
            let mut writer = self.writer.acquire().await.map_err(failed)?;
            match kind {
                ResourceType::User => sql::delete(&mut writer, key).await,
                ResourceType::Group => groups::delete(&mut writer, key).await,
            }
        })
        .await
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        self.find(ResourceType::User, &Lookup::All, Page { offset: 0, limit: 0 }).await.map(|_| ())
    }

    fn seeks(&self, _: ResourceType) -> bool {
        true
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match kind {
            ResourceType::User => finds_by(path),
            ResourceType::Group => groups::finds_by(path),
        }
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match kind {
            ResourceType::User => holds(path),
            ResourceType::Group => groups::holds(path),
        }
    }
}

/// Whether people can be found by this path.
pub fn finds_by(path: &AttrPath) -> bool {
    Column::of(path).is_some()
}

/// Whether this path is kept.
pub fn holds(path: &AttrPath) -> bool {
    path.schema.is_some() || !UNKEPT.contains(&path.attribute.as_str())
}

/// Whether somebody can have this key.
pub fn is_key(key: &str) -> bool {
    number(key).is_some()
}

/// Whether a group can have this key.
pub fn is_group_key(key: &str) -> bool {
    groups::group_number(key).is_some()
}

/// Whether groups can be found by this path.
pub fn finds_groups_by(path: &AttrPath) -> bool {
    groups::finds_by(path)
}

/// Whether this path of a group is kept.
pub fn holds_of_groups(path: &AttrPath) -> bool {
    groups::holds(path)
}

/// What is searched natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    UserName,
    ExternalId,
    WorkEmail,
    AnyEmail,
}

impl Column {
    fn of(path: &AttrPath) -> Option<Self> {
        if path.is("userName") {
            Some(Self::UserName)
        } else if path.is("externalId") {
            Some(Self::ExternalId)
        } else if path.is("emails.value") {
            Some(Self::AnyEmail)
        } else if path.is("emails[type eq \"work\"].value") {
            Some(Self::WorkEmail)
        } else {
            None
        }
    }
}

/// A person ready to be written.
struct Row {
    user_name: String,
    person: Resource,
}

impl Row {
    fn of(mut person: Map<String, Value>) -> Result<Self, DirectoryError> {
        let user_name = match person.get("userName") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            _ => {
                let detail = "is required".to_owned();
                return Err(DirectoryError::Invalid { attribute: Some("userName".into()), detail });
            }
        };
        person.entry("active").or_insert(Value::Bool(true));
        Ok(Self { user_name, person: Resource::from_map(person) })
    }

    fn external_id(&self) -> Option<&str> {
        self.person.as_map().get("externalId")?.as_str()
    }

    /// Addresses without case, and whether each is of type `work`.
    fn emails(&self) -> impl Iterator<Item = (String, bool)> {
        let emails = self.person.as_map().get("emails").and_then(Value::as_array);
        emails.into_iter().flatten().filter_map(|email| {
            let work = email.get("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
            Some((fold(email.get("value")?.as_str()?), work))
        })
    }

    fn into_entry(self, key: i64, created: Timestamp, modified: Timestamp, version: i64) -> Entry {
        Entry {
            key: key.to_string(),
            resource: self.person,
            created: Some(created),
            modified: Some(modified),
            version: Some(version.to_string()),
        }
    }
}

fn kept(person: &Resource) -> Map<String, Value> {
    let mut map = person.as_map().clone();
    map.retain(|name, _| !UNKEPT.contains(&name.as_str()));
    map
}

/// How text is compared without case, here and in the columns: Unicode's lower case.
fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A key has one spelling: `017` is nobody.
fn number(key: &str) -> Option<i64> {
    key.parse().ok().filter(|number: &i64| number.to_string() == key)
}

/// SQLite undoes what it could not finish. Another process may be writing (`SQLITE_BUSY`).
fn failed(error: sqlx::Error) -> DirectoryError {
    match error {
        sqlx::Error::PoolTimedOut => DirectoryError::Busy { retry_after: None },
        sqlx::Error::Database(error) if error.code().as_deref() == Some("5") => {
            DirectoryError::Busy { retry_after: None }
        }
        other => DirectoryError::Failed { reason: other.to_string(), maybe_done: false },
    }
}

/// A commit that fails may still have reached the disk.
fn uncertain(error: sqlx::Error) -> DirectoryError {
    match failed(error) {
        DirectoryError::Failed { reason, .. } => DirectoryError::Failed { reason, maybe_done: true },
        other => other,
    }
}
