//! The gateway's own state in SQLite through sqlx: administrators, clients, grants, tokens, links, the journal, the audit trail.
//!
//! One writer connection and a few readers over a WAL; statements are plain text with `$1` parameters, one file a subject, each
//! run by a test in memory and in a file. Of secrets only hashes rest here, or what is sealed under a master key (`vault`).
//! Whatever ends somebody's access moves the [generation](Store::generation) in the same transaction, so that a running
//! gateway sees what another process did. Nothing here knows HTTP, dialects or what a grant means.
//!
//! To add a table: a new file in `migrations/`, a line in `open::MIGRATIONS`, a file here with its statements.

mod administrators;
mod audit;
mod clients;
mod codes;
mod doors;
mod generations;
mod grants;
mod journal;
mod keys;
mod links;
mod open;
mod overview;
#[cfg(test)]
mod plans;
mod scribe;
mod secret_tokens;
mod sessions;
mod sign_ins;
mod vault;

pub use administrators::{Administrator, Source};
pub use audit::AuditRecord;
pub use clients::{Client, ClientSecret, Others};
pub use codes::{Code, Redeemed};
pub use doors::Remembered;
pub use grants::{Access, FirstTokens, Held, Owner, Refreshed, Span, Turn};
pub use journal::OpenCreate;
pub use keys::{KeyEntry, OlderKeys, SigningKey};
pub use links::{Link, LinkState};
pub use open::Options;
pub use overview::LiveGrant;
pub use secret_tokens::SecretToken;
pub use sign_ins::Begun;

use std::sync::{Arc, OnceLock};

use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::types::{Clock, Digest, Timestamp};

/// What went wrong with the state. Texts name the place and the cause, never anybody's data.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the state is none that is understood.
    #[error("`{0}` is not an address of the state; write sqlite:PATH or sqlite::memory:")]
    Address(String),
    /// The state cannot be reached, or answered with an error.
    #[error("the state is not available: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The state was written by another version, or a step of bringing it up to date failed.
    #[error("the state cannot be brought to this version's form: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Something of that name is already there.
    #[error("there is already {0}")]
    Exists(&'static str),
    /// There is nothing of that name.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// A row does not say what this version understands.
    #[error("the state holds {0} that cannot be read")]
    Corrupt(&'static str),
    /// The master key is missing, unreadable or another than the one that the state's keys are sealed under.
    #[error("{0}")]
    MasterKey(String),
}

/// The gateway's state. A handle: clones share one database.
#[derive(Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Clock,
    links: links::Links,
    scribe: scribe::Scribe,
    vault: Arc<OnceLock<vault::Vault>>,
}

impl Store {
    /// Opens the state at `url` (`sqlite:PATH`, the path as it is and not as a URL would write it, or `sqlite::memory:`), creating and
    /// migrating it as needed.
    ///
    /// # Errors
    /// When the address is not understood, the file cannot be opened, or another version wrote it.
    pub async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        Self::open_with(url, clock, Options::default()).await
    }

    /// As [`Store::open`], with `options`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(url: &str, clock: Clock, options: Options) -> Result<Self, StoreError> {
        let (writer, reader) = open::pools(url, options).await?;
        let scribe = scribe::Scribe::start(writer.clone(), options);
        Ok(Self { writer, reader, clock, links: links::Links::new(), scribe, vault: Arc::default() })
    }

    /// Whether the state answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.generation().await.map(|_| ())
    }

    /// A number that every change which ends somebody's access moves, whoever made it. When it differs from the last one seen,
    /// cached verdicts about tokens are void.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn generation(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = 'generation'").fetch_one(&self.reader).await?)
    }

    /// Writes down what is still queued and closes the connections. Calls after this fail.
    pub async fn close(&self) {
        self.scribe.flush().await;
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Hands over that something was used `at`.
    fn note(&self, what: scribe::Use, at: Timestamp) {
        self.scribe.used(what, at);
    }

    /// Connections for reading.
    pub(crate) const fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The one connection for writing.
    pub(crate) const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The clock the state stamps rows with.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A write of several statements. Takes SQLite's write lock at once: a transaction that began by reading could not wait for
    /// another process's write to end.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Moves the generation within `transaction`: part of every change that ends somebody's access.
pub(crate) async fn end_access(transaction: &mut Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    sqlx::query("UPDATE meta SET value = value + 1 WHERE key = 'generation'").execute(&mut **transaction).await?;
    Ok(())
}

/// A digest out of a column.
pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    Ok(Digest(bytes.try_into().map_err(|_| StoreError::Corrupt("a digest"))?))
}

/// `error`, or `Exists(what)` if it says that a key is taken.
pub(crate) fn taken(error: sqlx::Error, what: &'static str) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::Exists(what),
        error => StoreError::Unavailable(error),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// One store in memory and one in a file: every statement runs on both.
    pub(crate) struct Stores {
        pub each: [Store; 2],
        pub clock: Clock,
        pub directory: tempfile::TempDir,
    }

    impl Stores {
        /// The address of the store in a file.
        pub fn url(&self) -> String {
            format!("sqlite:{}", self.directory.path().join("state.db").display())
        }
    }

    /// A grant, a session and a code that is not redeemed yet, all of `administrator` and `client` in `tenant`.
    pub(crate) async fn give_access(store: &Store, tenant: &str, administrator: i64, client: &str) {
        for statement in [
            "INSERT INTO grants (tenant, administrator_id, client_id, scopes, created) VALUES ($1, $2, $3, '', 0)",
            "INSERT INTO sessions (digest, tenant, administrator_id, created, last_seen)
                 SELECT randomblob(32), $1, $2, 0, 0 WHERE $3 <> ''",
            "INSERT INTO codes (digest, tenant, administrator_id, client_id, scopes, expires)
                 VALUES (randomblob(32), $1, $2, $3, '', 0)",
        ] {
            let row = sqlx::query(statement).bind(tenant).bind(administrator).bind(client);
            row.execute(store.writer()).await.unwrap();
        }
    }

    /// How many grants, sessions and codes of `tenant` are good.
    pub(crate) async fn access(store: &Store, tenant: &str) -> (i64, i64, i64) {
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM grants WHERE tenant = $1 AND revoked_at IS NULL),
                    (SELECT count(*) FROM sessions WHERE tenant = $1),
                    (SELECT count(*) FROM codes WHERE tenant = $1 AND taken IS NULL)",
        )
        .bind(tenant)
        .fetch_one(store.reader())
        .await
        .unwrap()
    }

    pub(crate) async fn stores() -> Stores {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("state.db").display());
        let each = [
            Store::open("sqlite::memory:", clock.clone()).await.unwrap(),
            Store::open(&url, clock.clone()).await.unwrap(),
        ];
        Stores { each, clock, directory }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::stores;
    use super::*;

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_seconds(1_800_000_000))
    }

    #[tokio::test]
    async fn a_fresh_state_answers_and_closes() {
        for store in stores().await.each {
            store.ping().await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 0);
            store.close().await;
            assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        }
    }

    #[tokio::test]
    async fn addresses_that_are_none_are_refused_with_the_form_to_write() {
        for address in ["", "portcullis.db", "postgres://localhost/x", "sqlite", "sqlite:"] {
            let error = Store::open(address, clock()).await.err().unwrap();
            assert!(error.to_string().contains("write sqlite:PATH"), "{address}: {error}");
        }
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_unavailable() {
        let error = Store::open("sqlite:/nowhere/at/all/state.db", clock()).await.err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }

    #[tokio::test]
    async fn opening_at_once_from_two_sides_migrates_once() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("state.db").display());
        let (a, b) = tokio::join!(Store::open(&url, clock()), Store::open(&url, clock()));
        a.unwrap().ping().await.unwrap();
        b.unwrap().ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_state_of_a_later_version_is_refused() {
        let stores = stores().await;
        let url = stores.url();
        sqlx::query("INSERT INTO _sqlx_migrations VALUES (99, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)")
            .execute(stores.each[1].writer())
            .await
            .unwrap();
        sqlx::query("PRAGMA user_version = 1").execute(stores.each[1].writer()).await.unwrap();
        let error = Store::open(&url, clock()).await.err().unwrap();
        assert!(matches!(error, StoreError::Migration(_)), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_a_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let stores = stores().await;
        for name in ["state.db", "state.db-wal"] {
            let mode = std::fs::metadata(stores.directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn a_path_is_taken_to_the_letter() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("50%25 of?#mode=memory&");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("state.db");
        Store::open(&format!("sqlite:{}", path.display()), clock()).await.unwrap().close().await;
        assert!(path.exists());
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let stores = stores().await;
        let write = sqlx::query("UPDATE meta SET value = 7").execute(stores.each[1].reader()).await;
        assert!(write.is_err());
    }
}
