//! Opening the database: connections, pragmas, migrations.
//!
//! Must stay quick (a gateway answers within 50 ms of its start) and small (a page cache of half a MiB a connection).

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqlSafeStr as _, SqlitePool};

use super::StoreError;
use crate::types::Digest;

/// Every step of the schema, in order. A step that was released is never edited.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("migrations/0001_init.sql")),
    (2, "oauth", include_str!("migrations/0002_oauth.sql")),
    (3, "doors", include_str!("migrations/0003_doors.sql")),
    (4, "sign in", include_str!("migrations/0004_sign_in.sql")),
    (5, "keys", include_str!("migrations/0005_keys.sql")),
    (6, "managed since", include_str!("migrations/0006_managed_since.sql")),
];

/// How long a statement waits for another process's write to end.
const BUSY: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// How the state is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether an answered change survives a power cut: every commit waits for the disk. Without it, it survives the process.
    pub durable: bool,
    /// How many audit records are kept; the oldest go first.
    pub audit_keep: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true, audit_keep: 1_000_000 }
    }
}

/// The writer's and the readers' connections of the migrated database at `url`.
pub(super) async fn pools(url: &str, options: Options) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let address = || StoreError::Address(url.to_owned());
    let path = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()).ok_or_else(address)?;
    let memory = path == ":memory:";
    // The path as it stands: a folder may well have a `%` or `?` in its name.
    let connect =
        if memory { SqliteConnectOptions::from_str(url)? } else { SqliteConnectOptions::new().filename(path) }
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .synchronous(if options.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off })
            .pragma("cache_size", "-512")
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", "4194304")
            .disable_statement_logging();
    if !memory {
        keep_private(Path::new(path))?;
    }
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    // A database in memory lives and dies with its connection: there is one, it never closes, and everybody shares it.
    // The journal is not among the options: there it would run before `synchronous`, and wait for the disk even where nothing
    // is durable. Once in the file, it holds for the readers too.
    let writer = pool
        .clone()
        .max_connections(1)
        .min_connections(u32::from(memory))
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute("PRAGMA journal_mode = WAL").await.map(|_| ()) })
        })
        .connect_with(connect.clone())
        .await?;
    migrate(&writer).await?;
    let reader = if memory {
        writer.clone()
    } else {
        pool.max_connections(READERS).connect_lazy_with(connect.pragma("query_only", "ON"))
    };
    Ok((writer, reader))
}

/// Creates the file, if it is not there, so that only its owner can read it: signing keys rest in it. SQLite gives its companions
/// (`-wal`, `-shm`) the same permissions. A file that is there keeps those its operator gave it.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    let mut create = OpenOptions::new();
    create.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    match create.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(sqlx::Error::Io(error).into()),
        _ => Ok(()),
    }
}

/// Brings the schema up to date, in one transaction: two processes that start at once do not trip over each other.
async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let current = fingerprint();
    let held: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(writer).await?;
    if held == current {
        return Ok(());
    }
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    Migrator::with_migrations(migrations).run(&mut *transaction).await?;
    sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {current}"))).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// 31 bits that tell this version's schema from any other: when they stand in the file, there is nothing to do.
fn fingerprint() -> i64 {
    let text: String = MIGRATIONS.iter().map(|(_, _, sql)| *sql).collect();
    let [a, b, c, d, ..] = Digest::of(text.as_bytes()).0;
    i64::from(u32::from_be_bytes([a, b, c, d]) >> 1)
}
