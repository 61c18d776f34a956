//! What the operator declares about tables, and the one place where it is checked.
//!
//! The TOML it is read from (every key below `[tenants.NAME.directory]`; `*` = must be there; unknown keys are errors):
//!
//! ```toml
//! [tenants.example.directory]
//! kind            = "sql"
//! url             = "env:DIRECTORY_URL"  # * postgres://…, mysql://… (also MariaDB) or sqlite:PATH
//! timeout         = "10s"                # of one piece of work, all in all; 10s
//! max_connections = 8                    # open at once, 1 to 100; more work waits, within its timeout; 8
//!
//! [tenants.example.directory.people]
//! table   = "people"                     # * perhaps with a schema: "hr.people"
//! key     = "id"                         # the column that is the immutable key and that the database fills; "id"
//! version = "version"                    # a whole-number column that is raised with every change; optional, none
//!
//! [tenants.example.directory.people.attributes] # SCIM path = column. userName and active must be among them
//! userName = "username"                  # its unique index should not regard case
//! active   = { field = "enabled", kind = "boolean" }
//!
//! [tenants.example.directory.people.constants] # optional: columns that a new row always gets
//! source = "scim"
//!
//! [tenants.example.directory.groups]     # optional; without it there are no groups
//! table   = "teams"                      # *
//! key     = "id"
//! version = "version"
//! prefix  = "g"                          # put before a group's key, so that no person has the same id; "" for UUIDs; "g"
//!
//! [tenants.example.directory.groups.attributes] # displayName must be among them
//! displayName = "name"
//!
//! [tenants.example.directory.groups.members] # * the join table
//! table  = "team_members"
//! group  = "team_id"
//! person = "person_id"
//! ```

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::dialect::Flavour;
use crate::directory::rest::{Attribute, Mistake};
use crate::mapping::{Column, Slip, Table};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::types::Secret;

/// The configuration as written. Defaults as in the module's grammar.
#[derive(Clone)]
pub struct Draft {
    /// `url`; it may hold a password.
    pub url: Secret,
    /// `timeout`.
    pub timeout: Duration,
    /// `max_connections`.
    pub max_connections: u64,
    /// `[people]`.
    pub people: DraftTable,
    /// `[groups]` and `[groups.members]`.
    pub groups: Option<(DraftTable, DraftMembers)>,
}

/// `[people]` or `[groups]` as written.
#[derive(Clone, Default)]
pub struct DraftTable {
    /// `table`.
    pub table: String,
    /// `key`.
    pub key: String,
    /// `version`.
    pub version: Option<String>,
    /// `prefix`, of groups alone.
    pub prefix: String,
    /// `[attributes]`, in the order written.
    pub attributes: Vec<(String, Attribute)>,
    /// `[fields]`, in the order written.
    pub fields: Vec<(String, Attribute)>,
    /// `[constants]`, in the order written.
    pub constants: Vec<(String, Value)>,
}

/// `[groups.members]` as written.
#[derive(Clone, Debug, Default)]
pub struct DraftMembers {
    /// `table`.
    pub table: String,
    /// `group`.
    pub group: String,
    /// `person`.
    pub person: String,
}

/// A database, declared and checked.
#[derive(Clone)]
pub struct Config {
    pub(super) url: Secret,
    pub(super) flavour: Flavour,
    pub(super) timeout: Duration,
    pub(super) max_connections: u32,
    pub(super) people: Entity,
    pub(super) groups: Option<(Entity, DraftMembers)>,
}

/// The address may hold a password.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({:?} {})", self.flavour, self.place())
    }
}

/// A table of people or groups.
#[derive(Clone, Debug)]
pub struct Entity {
    pub(super) kind: ResourceType,
    pub(super) table: String,
    pub(super) key: String,
    pub(super) prefix: String,
    pub(super) version: Option<String>,
    pub(super) columns: Vec<(AttrPath, String)>,
    pub(super) mapping: Table,
}

impl Config {
    /// Checks a draft.
    ///
    /// # Errors
    /// Every mistake found, in the order of the keys.
    pub fn new(draft: Draft) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let flavour = Flavour::of(draft.url.expose());
        if flavour.is_none() {
            mistakes.push(mistake(&["url"], "begin it with postgres://, mysql:// or sqlite:"));
        }
        if !(1..=100).contains(&draft.max_connections) {
            mistakes.push(mistake(&["max_connections"], "must be between 1 and 100"));
        }
        let people = entity(ResourceType::User, draft.people, &mut mistakes);
        let groups = draft.groups.map(|(groups, members)| {
            for (key, name) in [("table", &members.table), ("group", &members.group), ("person", &members.person)] {
                named(&["groups", "members", key], name, &mut mistakes);
            }
            (entity(ResourceType::Group, groups, &mut mistakes), members)
        });
        match (flavour, people, groups) {
            (Some(flavour), Some(people), groups) if mistakes.is_empty() => Ok(Self {
                url: secured(flavour, draft.url),
                flavour,
                timeout: draft.timeout,
                max_connections: u32::try_from(draft.max_connections).unwrap_or(1),
                people,
                groups: groups.and_then(|(groups, members)| Some((groups?, members))),
            }),
            _ => Err(mistakes),
        }
    }

    /// Where the database is, without user or password.
    pub fn place(&self) -> String {
        match Url::parse(self.url.expose()) {
            Ok(url) if url.has_host() => {
                format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            _ => self.url.expose().split('?').next().unwrap_or_default().to_owned(),
        }
    }

    /// The lines of the mapping, of people and then of groups.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        let groups = self.groups.iter().flat_map(|(groups, _)| groups.mapping.columns());
        self.people.mapping.columns().iter().chain(groups)
    }

    /// The table of a type, if there is one.
    pub(super) fn entity(&self, kind: ResourceType) -> Option<&Entity> {
        match kind {
            ResourceType::User => Some(&self.people),
            ResourceType::Group => self.groups.as_ref().map(|(groups, _)| groups),
        }
    }

    /// Whether entries are found by this path.
    pub fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.entity(kind).is_some_and(|entity| entity.columns.iter().any(|(known, _)| known == path))
    }

    /// Whether this path has a column.
    pub fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.entity(kind).is_some_and(|entity| entity.mapping.holds(path))
    }
}

/// Over a network the server must prove who it is, unless the address says otherwise itself.
fn secured(flavour: Flavour, url: Secret) -> Secret {
    let Ok(mut parsed) = Url::parse(url.expose()) else { return url };
    // The host of a scheme that the web does not know stays text, also where it is an address.
    let near = parsed.host_str().is_none_or(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.is_empty() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    let (key, value) = match flavour {
        Flavour::Postgres => ("sslmode", "verify-full"),
        Flavour::MySql => ("ssl-mode", "VERIFY_IDENTITY"),
        Flavour::Sqlite => return url,
    };
    if near || parsed.query_pairs().any(|(name, _)| name == key) {
        return url;
    }
    parsed.query_pairs_mut().append_pair(key, value);
    Secret::new(parsed.to_string())
}

fn entity(kind: ResourceType, draft: DraftTable, mistakes: &mut Vec<Mistake>) -> Option<Entity> {
    let (section, needed): (_, &[&str]) = match kind {
        ResourceType::User => ("people", &["userName", "active"]),
        ResourceType::Group => ("groups", &["displayName"]),
    };
    named(&[section, "table"], &draft.table, mistakes);
    named(&[section, "key"], &draft.key, mistakes);
    if let Some(version) = &draft.version {
        named(&[section, "version"], version, mistakes);
    }
    let (mut columns, mut mapped) = (Vec::new(), Vec::new());
    for (text, attribute) in draft.attributes {
        let at = [section, "attributes", &text];
        let path = match AttrPath::parse(&text) {
            Ok(path) if path.leaf().is_some() => path,
            Ok(_) => {
                mistakes.push(mistake(&at, "no schema knows this attribute"));
                continue;
            }
            Err(error) => {
                mistakes.push(mistake(&at, error.detail));
                continue;
            }
        };
        if attribute.field == draft.key || draft.version.as_ref() == Some(&attribute.field) {
            mistakes.push(mistake(&at, format!("\"{}\" is the database's own to fill", attribute.field)));
        }
        let field = attribute.field.clone();
        if field.is_empty() || attribute.read.is_some() {
            mistakes.push(mistake(&at, "is read from one column, whose name is its field"));
            continue;
        }
        match attribute.attribute(path.clone()) {
            Ok(column) => {
                columns.push((path, field));
                mapped.push(column);
            }
            Err(slips) => mistakes.extend(slips.into_iter().map(|slip| slipped(&at, slip))),
        }
    }
    for (field, mut line) in draft.fields {
        let at = [section, "fields", &field];
        line.field.clone_from(&field);
        match line.only_field() {
            Ok(column) => mapped.push(column),
            Err(slips) => mistakes.extend(slips.into_iter().map(|slip| slipped(&at, slip))),
        }
    }
    let constants: Map<String, Value> = draft.constants.into_iter().collect();
    let mapping = Table::new(mapped, constants)
        .map_err(|problem| mistakes.push(mistake(&[section, "attributes"], problem)))
        .ok()?;
    for path in needed {
        if !mapping.maps(&AttrPath::core(path)) {
            mistakes.push(mistake(&[section, "attributes", path], format!("is missing: name the column of {path}")));
        }
    }
    let DraftTable { table, key, version, prefix, .. } = draft;
    Some(Entity { kind, table, key, prefix, version, columns, mapping })
}

fn named(at: &[&str], name: &str, mistakes: &mut Vec<Mistake>) {
    if name.is_empty() || name.split('.').any(str::is_empty) || name.contains('\0') {
        mistakes.push(mistake(at, "is missing: name the table or column"));
    }
}

fn mistake(at: &[&str], problem: impl Into<String>) -> Mistake {
    let at = at.iter().map(ToString::to_string).collect();
    Mistake { at, problem: problem.into(), within: None, help: None }
}

/// What is wrong with a line of the mapping.
fn slipped(at: &[&str], slip: Slip) -> Mistake {
    let at = at.iter().copied().chain(slip.key).map(String::from).collect();
    Mistake { at, problem: slip.message, within: slip.within, help: slip.help }
}
