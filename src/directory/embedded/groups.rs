//! Groups of the embedded directory: their statements, and what a change does to a membership. A group's key is `g` and a
//! number, so that no person has it. Who is a member is one row each; a group's row counts them and has a version that moves
//! with every change, so that adding one costs the same in a group of fifty thousand.

use serde_json::{Map, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{failed, fold, merge, number, sql};
use crate::ports::{DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Timestamp;

/// What form 2 of the file adds to form 1.
pub const SCHEMA: &str = "
CREATE TABLE groups (
  key                 INTEGER PRIMARY KEY AUTOINCREMENT,
  display_name_folded TEXT NOT NULL UNIQUE,
  external_id         TEXT,
  attributes          TEXT NOT NULL,
  size                INTEGER NOT NULL DEFAULT 0,
  created             INTEGER NOT NULL,
  modified            INTEGER NOT NULL,
  version             INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX groups_external_id ON groups (external_id) WHERE external_id IS NOT NULL;
CREATE TABLE members (
  holder INTEGER NOT NULL REFERENCES groups (key) ON DELETE CASCADE,
  grouped INTEGER NOT NULL,
  member INTEGER NOT NULL,
  PRIMARY KEY (holder, grouped, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_member ON members (grouped, member);
CREATE TRIGGER people_left AFTER DELETE ON people BEGIN
  UPDATE groups SET version = version + 1, size = size - 1
    WHERE key IN (SELECT holder FROM members WHERE grouped = 0 AND member = OLD.key);
  DELETE FROM members WHERE grouped = 0 AND member = OLD.key;
END;
CREATE TRIGGER groups_left AFTER DELETE ON groups BEGIN
  UPDATE groups SET version = version + 1, size = size - 1
    WHERE key IN (SELECT holder FROM members WHERE grouped = 1 AND member = OLD.key);
  DELETE FROM members WHERE grouped = 1 AND member = OLD.key;
END;
PRAGMA user_version = 2;
";

/// Never kept: made anew for every answer, or kept as rows.
const UNKEPT: [&str; 4] = ["members", "id", "meta", "schemas"];

/// As many members as are written by one statement.
const CHUNK: usize = 500;

/// Whether groups can be found by this path.
pub fn finds_by(path: &AttrPath) -> bool {
    Column::of(path).is_some()
}

/// Whether this path is kept.
pub fn holds(path: &AttrPath) -> bool {
    path.schema.is_some() || !UNKEPT.contains(&path.attribute.as_str())
}

/// The number of a group's key; a key has one spelling.
pub fn group_number(key: &str) -> Option<i64> {
    number(key.strip_prefix('g')?)
}

#[derive(Clone, Copy)]
enum Column {
    DisplayName,
    ExternalId,
}

impl Column {
    fn of(path: &AttrPath) -> Option<Self> {
        if path.is("displayName") {
            Some(Self::DisplayName)
        } else if path.is("externalId") {
            Some(Self::ExternalId)
        } else {
            None
        }
    }
}

/// The group with a key.
pub async fn read(connection: &mut SqliteConnection, key: i64) -> Result<Option<Entry>, DirectoryError> {
    let row = sqlx::query("SELECT key, attributes, created, modified, version FROM groups WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    row.as_ref().map(entry).transpose()
}

/// The groups that answer a question, in order of their keys.
pub async fn find(connection: &mut SqliteConnection, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
    let (total, query) = match lookup {
        Lookup::All => {
            let total = sqlx::query_scalar("SELECT count(*) FROM groups").fetch_one(&mut *connection).await;
            let query = sqlx::query(
                "SELECT key, attributes, created, modified, version FROM groups ORDER BY key LIMIT $1 OFFSET $2",
            );
            (total, query)
        }
        Lookup::Equal { path, value } => match Column::of(path) {
            Some(Column::DisplayName) => {
                let query = sqlx::query(
                    "SELECT key, attributes, created, modified, version FROM groups
                     WHERE display_name_folded = $3 LIMIT $1 OFFSET $2",
                );
                return rows(
                    query.bind(sql::whole(page.limit)).bind(sql::whole(page.offset)).bind(fold(value)),
                    connection,
                )
                .await;
            }
            Some(Column::ExternalId) => {
                let total = sqlx::query_scalar("SELECT count(*) FROM groups WHERE external_id = $1")
                    .bind(value)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
                let query = sqlx::query(
                    "SELECT key, attributes, created, modified, version FROM groups
                     WHERE external_id = $3 ORDER BY key LIMIT $1 OFFSET $2",
                );
                let query = query.bind(sql::whole(page.limit)).bind(sql::whole(page.offset)).bind(value);
                return Ok(Found { total: count(total), ..rows(query, connection).await? });
            }
            None => {
                return Err(DirectoryError::Failed { reason: format!("no index on {path}"), maybe_done: false });
            }
        },
        Lookup::Member { key } => {
            let Some((grouped, member)) = member_number(key) else {
                return Ok(Found { entries: Vec::new(), total: 0 });
            };
            let total = sqlx::query_scalar("SELECT count(*) FROM members WHERE grouped = $1 AND member = $2")
                .bind(grouped)
                .bind(member)
                .fetch_one(&mut *connection)
                .await
                .map_err(failed)?;
            let query = sqlx::query(
                "SELECT key, attributes, created, modified, version FROM groups
                 WHERE key IN (SELECT holder FROM members WHERE grouped = $3 AND member = $4)
                 ORDER BY key LIMIT $1 OFFSET $2",
            );
            let query = query.bind(sql::whole(page.limit)).bind(sql::whole(page.offset)).bind(grouped).bind(member);
            return Ok(Found { total: count(total), ..rows(query, connection).await? });
        }
    };
    let found = rows(query.bind(sql::whole(page.limit)).bind(sql::whole(page.offset)), connection).await?;
    Ok(Found { total: count(total.map_err(failed)?), ..found })
}

/// The groups after a key.
pub async fn seek(connection: &mut SqliteConnection, after: i64, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
    let query = sqlx::query(
        "SELECT key, attributes, created, modified, version FROM groups WHERE key > $1 ORDER BY key LIMIT $2",
    );
    Ok(rows(query.bind(after).bind(sql::whole(limit)), connection).await?.entries)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

async fn rows(query: Query<'_>, connection: &mut SqliteConnection) -> Result<Found, DirectoryError> {
    let rows = query.fetch_all(connection).await.map_err(failed)?;
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    Ok(Found { total: entries.len() as u64, entries })
}

/// Writes a new group with its first members.
pub async fn insert(
    work: &mut SqliteConnection,
    group: &Resource,
    members: &[Member],
    now: Timestamp,
) -> Result<Entry, DirectoryError> {
    let group = Group::of(kept(group))?;
    let key: i64 = sqlx::query_scalar(
        "INSERT INTO groups (display_name_folded, external_id, attributes, created, modified)
         VALUES ($1, $2, $3, $4, $4) RETURNING key",
    )
    .bind(fold(&group.display_name))
    .bind(group.external_id())
    .bind(group.attributes())
    .bind(now.millis())
    .fetch_one(&mut *work)
    .await
    .map_err(taken)?;
    let size = add(work, key, members).await?;
    sqlx::query("UPDATE groups SET size = $2 WHERE key = $1")
        .bind(key)
        .bind(size)
        .execute(work)
        .await
        .map_err(failed)?;
    Ok(group.into_entry(key, now, now, 1))
}

/// Carries out a change of a group.
pub async fn change(
    work: &mut SqliteConnection,
    key: i64,
    change: &GroupChange,
    now: Timestamp,
) -> Result<Entry, DirectoryError> {
    let held = read(&mut *work, key).await?.ok_or(DirectoryError::NotFound)?;
    let was = Value::Object(held.resource.as_map().clone());
    let (before, after) = (Value::Object(kept(&change.before)), Value::Object(kept(&change.after)));
    let merged = merge::merge(&before, &after, &was);
    let removed = remove(work, key, &change.remove).await?;
    let added = add(work, key, &change.add).await?;
    if merged == was && removed == 0 && added == 0 {
        return Ok(held);
    }
    let Value::Object(merged) = merged else { return Ok(held) };
    let group = Group::of(merged)?;
    let version: i64 = sqlx::query_scalar(
        "UPDATE groups SET display_name_folded = $2, external_id = $3, attributes = $4, modified = $5,
         size = size + $6, version = version + 1 WHERE key = $1 RETURNING version",
    )
    .bind(key)
    .bind(fold(&group.display_name))
    .bind(group.external_id())
    .bind(group.attributes())
    .bind(now.millis())
    .bind(added - removed)
    .fetch_one(&mut *work)
    .await
    .map_err(taken)?;
    Ok(group.into_entry(key, held.created.unwrap_or(now), now, version))
}

/// Removes a group.
pub async fn delete(writer: &mut SqliteConnection, key: i64) -> Result<(), DirectoryError> {
    let done = sqlx::query("DELETE FROM groups WHERE key = $1").bind(key).execute(writer).await.map_err(failed)?;
    if done.rows_affected() == 0 { Err(DirectoryError::NotFound) } else { Ok(()) }
}

/// A page of a group's members.
pub async fn members(connection: &mut SqliteConnection, key: i64, page: Page) -> Result<Members, DirectoryError> {
    let total: Option<i64> = sqlx::query_scalar("SELECT size FROM groups WHERE key = $1")
        .bind(key)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let total = count(total.ok_or(DirectoryError::NotFound)?);
    let rows = sqlx::query(
        "SELECT grouped, member FROM members WHERE holder = $1 ORDER BY grouped, member LIMIT $2 OFFSET $3",
    )
    .bind(key)
    .bind(sql::whole(page.limit))
    .bind(sql::whole(page.offset))
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    Ok(Members { members: rows.iter().map(member).collect::<Result<_, _>>()?, total })
}

/// Which of `candidates` are members of a group.
pub async fn has_members(
    connection: &mut SqliteConnection,
    key: i64,
    candidates: &[&str],
) -> Result<Vec<String>, DirectoryError> {
    if read(&mut *connection, key).await?.is_none() {
        return Err(DirectoryError::NotFound);
    }
    let mut held = Vec::new();
    for candidate in candidates {
        let Some((grouped, member)) = member_number(candidate) else { continue };
        let found = sqlx::query("SELECT 1 FROM members WHERE holder = $1 AND grouped = $2 AND member = $3")
            .bind(key)
            .bind(grouped)
            .bind(member)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        held.extend(found.map(|_| (*candidate).to_owned()));
    }
    Ok(held)
}

/// The groups in which these are.
pub async fn memberships(
    connection: &mut SqliteConnection,
    members: &[&str],
) -> Result<Vec<Membership>, DirectoryError> {
    let mut all = Vec::new();
    for key in members {
        let Some((grouped, number)) = member_number(key) else { continue };
        let rows = sqlx::query(
            "SELECT g.key, json_extract(g.attributes, '$.displayName') AS display FROM members m
             JOIN groups g ON g.key = m.holder WHERE m.grouped = $1 AND m.member = $2 ORDER BY g.key",
        )
        .bind(grouped)
        .bind(number)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        for row in &rows {
            all.push(Membership {
                member: (*key).to_owned(),
                group: spelt(1, row.try_get("key").map_err(failed)?),
                display: row.try_get("display").map_err(failed)?,
            });
        }
    }
    Ok(all)
}

/// Adds those who are not members yet and gives how many they were.
async fn add(work: &mut SqliteConnection, key: i64, members: &[Member]) -> Result<i64, DirectoryError> {
    let mut added = 0;
    for chunk in members.chunks(CHUNK) {
        let chunk = chunk.iter().map(|it| member_number(&it.key).ok_or_else(unknown)).collect::<Result<Vec<_>, _>>()?;
        let list = serde_json::to_string(&chunk).expect("numbers can always be written");
        let missing: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM json_each($1) AS it WHERE CASE it.value ->> 0
               WHEN 0 THEN NOT EXISTS (SELECT 1 FROM people WHERE key = it.value ->> 1)
               ELSE NOT EXISTS (SELECT 1 FROM groups WHERE key = it.value ->> 1) END",
        )
        .bind(&list)
        .fetch_one(&mut *work)
        .await
        .map_err(failed)?;
        if missing > 0 {
            return Err(unknown());
        }
        let done = sqlx::query(
            "INSERT OR IGNORE INTO members (holder, grouped, member)
             SELECT $1, it.value ->> 0, it.value ->> 1 FROM json_each($2) AS it",
        )
        .bind(key)
        .bind(&list)
        .execute(&mut *work)
        .await
        .map_err(failed)?;
        added += i64::try_from(done.rows_affected()).unwrap_or(i64::MAX);
    }
    Ok(added)
}

/// Takes away those who are members and gives how many they were.
async fn remove(work: &mut SqliteConnection, key: i64, members: &[String]) -> Result<i64, DirectoryError> {
    let mut removed = 0;
    for chunk in members.chunks(CHUNK) {
        let chunk: Vec<_> = chunk.iter().filter_map(|it| member_number(it)).collect();
        let list = serde_json::to_string(&chunk).expect("numbers can always be written");
        let done = sqlx::query(
            "DELETE FROM members WHERE holder = $1
             AND (grouped, member) IN (SELECT it.value ->> 0, it.value ->> 1 FROM json_each($2) AS it)",
        )
        .bind(key)
        .bind(&list)
        .execute(&mut *work)
        .await
        .map_err(failed)?;
        removed += i64::try_from(done.rows_affected()).unwrap_or(i64::MAX);
    }
    Ok(removed)
}

/// A group ready to be written.
struct Group {
    display_name: String,
    attributes: Map<String, Value>,
}

impl Group {
    fn of(attributes: Map<String, Value>) -> Result<Self, DirectoryError> {
        match attributes.get("displayName") {
            Some(Value::String(name)) if !name.is_empty() => Ok(Self { display_name: name.clone(), attributes }),
            _ => {
                let detail = "is required".to_owned();
                Err(DirectoryError::Invalid { attribute: Some("displayName".into()), detail })
            }
        }
    }

    fn external_id(&self) -> Option<&str> {
        self.attributes.get("externalId")?.as_str()
    }

    fn attributes(&self) -> String {
        serde_json::to_string(&self.attributes).expect("JSON values can always be written")
    }

    fn into_entry(self, key: i64, created: Timestamp, modified: Timestamp, version: i64) -> Entry {
        Entry {
            key: spelt(1, key),
            resource: Resource::from_map(self.attributes),
            created: Some(created),
            modified: Some(modified),
            version: Some(version.to_string()),
        }
    }
}

fn kept(group: &Resource) -> Map<String, Value> {
    let mut map = group.as_map().clone();
    map.retain(|name, _| !UNKEPT.contains(&name.as_str()));
    map
}

fn entry(row: &SqliteRow) -> Result<Entry, DirectoryError> {
    let entry = sql::entry(row)?;
    Ok(Entry { key: format!("g{}", entry.key), ..entry })
}

fn member(row: &SqliteRow) -> Result<Member, DirectoryError> {
    let grouped: i64 = row.try_get("grouped").map_err(failed)?;
    let kind = if grouped == 0 { ResourceType::User } else { ResourceType::Group };
    Ok(Member { key: spelt(grouped, row.try_get("member").map_err(failed)?), kind })
}

/// A member's key: whether it is a group's, and its number.
fn member_number(key: &str) -> Option<(i64, i64)> {
    group_number(key).map(|number| (1, number)).or_else(|| number(key).map(|number| (0, number)))
}

fn spelt(grouped: i64, number: i64) -> String {
    if grouped == 0 { number.to_string() } else { format!("g{number}") }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Whoever is to be a member must be there.
fn unknown() -> DirectoryError {
    let detail = "names somebody who does not exist; create the member first".to_owned();
    DirectoryError::Invalid { attribute: Some("members".into()), detail }
}

/// The only unique column is the display name's.
fn taken(error: sqlx::Error) -> DirectoryError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return DirectoryError::Conflict { attribute: "displayName".into() };
    }
    failed(error)
}
