//! Every statement of the embedded directory. Times are milliseconds since 1970; `…_folded` columns hold Unicode lower case.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::{Column, Row, failed, fold, groups};
use crate::ports::{DirectoryError, Entry, Found, Page};
use crate::scim::resource::Resource;
use crate::types::Timestamp;

/// `tally` counts the people so that nobody has to; `people_order` is a narrow way to step over many rows.
const SCHEMA: &str = "
CREATE TABLE people (
  key              INTEGER PRIMARY KEY AUTOINCREMENT,
  user_name        TEXT NOT NULL,
  user_name_folded TEXT NOT NULL UNIQUE,
  external_id      TEXT,
  attributes       TEXT NOT NULL,
  created          INTEGER NOT NULL,
  modified         INTEGER NOT NULL,
  version          INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX people_order ON people (key);
CREATE INDEX people_external_id ON people (external_id) WHERE external_id IS NOT NULL;
CREATE TABLE emails (
  folded TEXT NOT NULL,
  person INTEGER NOT NULL REFERENCES people (key) ON DELETE CASCADE,
  work   INTEGER NOT NULL,
  PRIMARY KEY (folded, person, work)
) STRICT, WITHOUT ROWID;
CREATE INDEX emails_person ON emails (person);
CREATE TABLE tally (people INTEGER NOT NULL) STRICT;
INSERT INTO tally VALUES (0);
CREATE TRIGGER people_came AFTER INSERT ON people BEGIN UPDATE tally SET people = people + 1; END;
CREATE TRIGGER people_went AFTER DELETE ON people BEGIN UPDATE tally SET people = people - 1; END;
PRAGMA user_version = 1;
";

/// Makes the tables of a new file.
pub async fn prepare(writer: &SqlitePool) -> Result<(), DirectoryError> {
    let mut work = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *work).await.map_err(failed)?;
    match version {
        0 => {
            sqlx::raw_sql(SCHEMA).execute(&mut *work).await.map_err(failed)?;
            sqlx::raw_sql(groups::SCHEMA).execute(&mut *work).await.map_err(failed)?;
        }
        1 => {
            sqlx::raw_sql(groups::SCHEMA).execute(&mut *work).await.map_err(failed)?;
        }
        2 => {}
        later => {
            let reason =
                format!("the file has form {later}; this Portcullis knows form 2: use the version that wrote it");
            return Err(DirectoryError::Failed { reason, maybe_done: false });
        }
    }
    work.commit().await.map_err(failed)
}

/// The person with a key.
pub async fn read(connection: &mut SqliteConnection, key: i64) -> Result<Option<Entry>, DirectoryError> {
    let row = sqlx::query("SELECT key, attributes, created, modified, version FROM people WHERE key = ?")
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    row.as_ref().map(entry).transpose()
}

const PAGE: &str = "SELECT key, attributes, created, modified, version FROM people
    WHERE key >= (SELECT key FROM people INDEXED BY people_order ORDER BY key LIMIT 1 OFFSET ?) ORDER BY key LIMIT ?";

/// Everybody in order of their keys.
pub async fn page(connection: &mut SqliteConnection, page: Page) -> Result<Found, DirectoryError> {
    let total: i64 =
        sqlx::query_scalar("SELECT people FROM tally").fetch_one(&mut *connection).await.map_err(failed)?;
    let total = u64::try_from(total).unwrap_or(0);
    if page.limit == 0 || page.offset >= total {
        return Ok(Found { entries: Vec::new(), total });
    }
    let rows = sqlx::query(PAGE)
        .bind(whole(page.offset))
        .bind(whole(page.limit))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    Ok(Found { entries: rows.iter().map(entry).collect::<Result<_, _>>()?, total })
}

/// The people after a key.
pub async fn seek(connection: &mut SqliteConnection, after: i64, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
    let rows = sqlx::query(
        "SELECT key, attributes, created, modified, version FROM people WHERE key > ? ORDER BY key LIMIT ?",
    )
    .bind(after)
    .bind(whole(limit))
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    rows.iter().map(entry).collect()
}

/// Those who have a value, in order of their keys.
pub async fn equal(
    connection: &mut SqliteConnection,
    column: Column,
    value: &str,
    page: Page,
) -> Result<Found, DirectoryError> {
    let value = if column == Column::ExternalId { value.to_owned() } else { fold(value) };
    let rows = sqlx::query(statement(column)).bind(value).fetch_all(connection).await.map_err(failed)?;
    let total = rows.len() as u64;
    let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
    let wanted = rows.iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX));
    Ok(Found { entries: wanted.map(entry).collect::<Result<_, _>>()?, total })
}

const fn statement(column: Column) -> &'static str {
    match column {
        Column::UserName => {
            "SELECT key, attributes, created, modified, version FROM people WHERE user_name_folded = ? ORDER BY key"
        }
        Column::ExternalId => {
            "SELECT key, attributes, created, modified, version FROM people WHERE external_id = ? ORDER BY key"
        }
        Column::AnyEmail => {
            "SELECT key, attributes, created, modified, version FROM people
             WHERE key IN (SELECT person FROM emails WHERE folded = ?) ORDER BY key"
        }
        Column::WorkEmail => {
            "SELECT key, attributes, created, modified, version FROM people
             WHERE key IN (SELECT person FROM emails WHERE folded = ? AND work = 1) ORDER BY key"
        }
    }
}

/// Writes a new person and gives their key.
pub async fn insert(work: &mut SqliteConnection, row: &Row, now: Timestamp) -> Result<i64, DirectoryError> {
    let key: i64 = sqlx::query_scalar(
        "INSERT INTO people (user_name, user_name_folded, external_id, attributes, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING key",
    )
    .bind(&row.user_name)
    .bind(fold(&row.user_name))
    .bind(row.external_id())
    .bind(attributes(row))
    .bind(now.millis())
    .fetch_one(&mut *work)
    .await
    .map_err(taken)?;
    write_emails(work, key, row).await?;
    Ok(key)
}

/// Writes a person anew and gives their new version.
pub async fn update(work: &mut SqliteConnection, key: i64, row: &Row, now: Timestamp) -> Result<i64, DirectoryError> {
    let version: i64 = sqlx::query_scalar(
        "UPDATE people SET user_name = ?2, user_name_folded = ?3, external_id = ?4, attributes = ?5, modified = ?6,
         version = version + 1 WHERE key = ?1 RETURNING version",
    )
    .bind(key)
    .bind(&row.user_name)
    .bind(fold(&row.user_name))
    .bind(row.external_id())
    .bind(attributes(row))
    .bind(now.millis())
    .fetch_one(&mut *work)
    .await
    .map_err(taken)?;
    sqlx::query("DELETE FROM emails WHERE person = ?").bind(key).execute(&mut *work).await.map_err(failed)?;
    write_emails(work, key, row).await?;
    Ok(version)
}

/// Removes a person.
pub async fn delete(writer: &mut SqliteConnection, key: i64) -> Result<(), DirectoryError> {
    let done = sqlx::query("DELETE FROM people WHERE key = ?").bind(key).execute(writer).await.map_err(failed)?;
    if done.rows_affected() == 0 { Err(DirectoryError::NotFound) } else { Ok(()) }
}

async fn write_emails(work: &mut SqliteConnection, key: i64, row: &Row) -> Result<(), DirectoryError> {
    for (folded, of_work) in row.emails() {
        sqlx::query("INSERT OR IGNORE INTO emails (folded, person, work) VALUES (?, ?, ?)")
            .bind(folded)
            .bind(key)
            .bind(of_work)
            .execute(&mut *work)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

fn attributes(row: &Row) -> String {
    serde_json::to_string(row.person.as_map()).expect("JSON values can always be written")
}

/// What a row holds; its key is the number alone.
pub fn entry(row: &SqliteRow) -> Result<Entry, DirectoryError> {
    let attributes: &str = row.try_get("attributes").map_err(failed)?;
    let person = serde_json::from_str(attributes).map_err(|_| DirectoryError::Failed {
        reason: "a row's attributes are not a JSON object".into(),
        maybe_done: false,
    })?;
    Ok(Entry {
        key: row.try_get::<i64, _>("key").map_err(failed)?.to_string(),
        resource: Resource::from_map(person),
        created: Some(Timestamp::from_millis(row.try_get("created").map_err(failed)?)),
        modified: Some(Timestamp::from_millis(row.try_get("modified").map_err(failed)?)),
        version: Some(row.try_get::<i64, _>("version").map_err(failed)?.to_string()),
    })
}

/// The only unique column is the user name's.
fn taken(error: sqlx::Error) -> DirectoryError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return DirectoryError::Conflict { attribute: "userName".into() };
    }
    failed(error)
}

/// As `SQLite` counts.
pub fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;

    #[tokio::test]
    async fn nothing_sought_is_looked_for_row_by_row() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        prepare(&pool).await.unwrap();
        for (query, by) in [
            (statement(Column::UserName), "INDEX sqlite_autoindex_people_1 (user_name_folded=?)"),
            (statement(Column::ExternalId), "INDEX people_external_id (external_id=?)"),
            (statement(Column::AnyEmail), "PRIMARY KEY (folded=?)"),
            (statement(Column::WorkEmail), "PRIMARY KEY (folded=?)"),
            (PAGE, "USING INTEGER PRIMARY KEY (rowid>?)"),
            (PAGE, "SCAN people USING COVERING INDEX people_order"),
        ] {
            let plan =
                sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"))).fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(by)), "{query}: {plan:?}");
            assert!(!plan.iter().any(|step| step == "SCAN people" || step == "SCAN emails"), "{query}: {plan:?}");
        }
    }

    #[tokio::test]
    async fn a_file_of_a_later_form_is_left_alone() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        prepare(&pool).await.unwrap();
        prepare(&pool).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 3").execute(&pool).await.unwrap();
        assert!(matches!(prepare(&pool).await, Err(DirectoryError::Failed { maybe_done: false, .. })));
    }
}
