//! User systems that are databases: a SQLite file always, PostgreSQL and MariaDB where their addresses are in the environment
//! (`tests/run` starts them). Each test has tables of its own.

#![allow(dead_code, reason = "every test uses its own part")]
#![expect(clippy::unwrap_used, reason = "test support: a failure here is the test's")]

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis::directory::rest::Attribute;
use portcullis::directory::sql::config::{Draft, DraftMembers, DraftTable};
use portcullis::directory::sql::{Config, Sql};
use portcullis::types::{Clock, Random, Secret};
use sqlx::any::{AnyConnectOptions, install_default_drivers};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

/// PostgreSQL's; the file that `config/examples/sql.toml` names.
pub const POSTGRES: &str = include_str!("../../config/examples/sql.sql");
const SQLITE: &str = "
CREATE TABLE people (
  id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL, external_id TEXT, first_name TEXT, last_name TEXT,
  display_name TEXT, email TEXT, phone TEXT, enabled INTEGER NOT NULL DEFAULT 1, version INTEGER NOT NULL DEFAULT 1);
CREATE UNIQUE INDEX people_username ON people (lower(username));
CREATE TABLE teams (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE, external_id TEXT,
  version INTEGER NOT NULL DEFAULT 1);
CREATE TABLE team_members (
  team_id INTEGER NOT NULL REFERENCES teams (id), person_id INTEGER NOT NULL REFERENCES people (id),
  PRIMARY KEY (team_id, person_id));
";
const MYSQL: &str = "
CREATE TABLE people (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, username VARCHAR(200) NOT NULL UNIQUE, external_id VARCHAR(200),
  first_name VARCHAR(100), last_name VARCHAR(100), display_name VARCHAR(200), email VARCHAR(200), phone VARCHAR(40),
  enabled BOOLEAN NOT NULL DEFAULT TRUE, version BIGINT NOT NULL DEFAULT 1) CHARACTER SET utf8mb4;
CREATE TABLE teams (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) NOT NULL UNIQUE, external_id VARCHAR(200),
  version BIGINT NOT NULL DEFAULT 1) CHARACTER SET utf8mb4;
CREATE TABLE team_members (
  team_id BIGINT NOT NULL, person_id BIGINT NOT NULL, PRIMARY KEY (team_id, person_id),
  FOREIGN KEY (team_id) REFERENCES teams (id), FOREIGN KEY (person_id) REFERENCES people (id));
";

static COUNTED: AtomicU32 = AtomicU32::new(0);

/// Every database there is, with a name for messages.
pub async fn all(folder: &std::path::Path) -> Vec<(&'static str, Sql)> {
    let subject = |url: String| Sql::new(config(&url), Clock::system(), Random::system()).unwrap();
    addresses(folder).await.into_iter().map(|(name, url)| (name, subject(url))).collect()
}

/// The address of each, with fresh tables.
pub async fn addresses(folder: &std::path::Path) -> Vec<(&'static str, String)> {
    let file = format!("sqlite:{}?mode=rwc", folder.join("sql.db").display());
    fill(&file, SQLITE).await;
    let mut addresses = vec![("SQLite", file)];
    for (name, variable) in [("PostgreSQL", "PORTCULLIS_TEST_POSTGRES"), ("MariaDB", "PORTCULLIS_TEST_MYSQL")] {
        match std::env::var(variable) {
            Ok(server) => addresses.push((name, own(&server).await)),
            Err(_) => println!("{name} is left out: {variable} is not set (tests/run starts one)"),
        }
    }
    addresses
}

/// A database of its own on a server whose address ends without one, such as `postgres://postgres@127.0.0.1:5432`.
async fn own(server: &str) -> String {
    install_default_drivers();
    let name = format!("t{}_{}", std::process::id(), COUNTED.fetch_add(1, Ordering::Relaxed));
    let (first, tables) = if server.starts_with("mysql") { ("mysql", MYSQL) } else { ("postgres", POSTGRES) };
    let mut admin = connect(&format!("{server}/{first}")).await;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let url = format!("{server}/{name}");
    fill(&url, tables).await;
    url
}

async fn connect(url: &str) -> AnyConnection {
    AnyConnection::connect_with(&AnyConnectOptions::from_str(url).unwrap()).await.unwrap()
}

async fn fill(url: &str, tables: &'static str) {
    install_default_drivers();
    let mut connection = connect(url).await;
    sqlx::raw_sql(tables).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The declaration of these tables.
pub fn config(url: &str) -> Config {
    let attributes = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(path, field)| {
                let kind = (*path == "active").then(|| "boolean".to_owned());
                ((*path).to_owned(), Attribute { field: (*field).to_owned(), kind, ..Attribute::default() })
            })
            .collect()
    };
    let people = DraftTable {
        table: "people".into(),
        key: "id".into(),
        version: Some("version".into()),
        attributes: attributes(&[
            ("userName", "username"),
            ("externalId", "external_id"),
            ("name.givenName", "first_name"),
            ("name.familyName", "last_name"),
            ("displayName", "display_name"),
            ("emails[type eq \"work\"].value", "email"),
            ("phoneNumbers[type eq \"work\"].value", "phone"),
            ("active", "enabled"),
        ]),
        ..DraftTable::default()
    };
    let groups = DraftTable {
        table: "teams".into(),
        key: "id".into(),
        version: Some("version".into()),
        prefix: "g".into(),
        attributes: attributes(&[("displayName", "name"), ("externalId", "external_id")]),
        ..DraftTable::default()
    };
    let members = DraftMembers { table: "team_members".into(), group: "team_id".into(), person: "person_id".into() };
    Config::new(Draft {
        url: Secret::new(url),
        timeout: Duration::from_secs(10),
        max_connections: 4,
        people,
        groups: Some((groups, members)),
    })
    .unwrap()
}
