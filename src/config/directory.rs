//! `[tenants.NAME.directory]`: which user system stands behind a tenant. What each kind of directory demands of its values
//! is its connector's business; here are the keys.

use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use serde_json::Value as Json;

use super::DirectoryConfig;
use super::diagnostic::Severity;
use super::directory_sql;
use super::reader::{Section, choose};
use super::tenant::Context;
use super::value::{Value, advice};
use crate::directory::rest::{Attribute, Draft};
use crate::directory::{embedded, rest};

const KINDS: [&str; 5] = ["embedded", "rest", "scim", "ldap", "sql"];
pub(super) const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(5);

/// Reads the directory of the tenant `name`.
pub(super) fn read(mut section: Section<'_>, name: &str, context: &Context<'_>) -> Option<DirectoryConfig> {
    let kind = section.required("kind", "kind = \"embedded\"").and_then(|value| {
        value.parse(|text| {
            let known = KINDS.into_iter().find(|kind| *kind == text);
            known.ok_or_else(|| advice("is no kind of directory", choose(text, &KINDS)))
        })
    });
    match kind {
        Some("embedded") => embedded(section, name, context).map(DirectoryConfig::Embedded),
        Some("scim") => super::directory_scim::read(section).map(DirectoryConfig::Scim),
        Some("ldap") => super::directory_ldap::read(section).map(DirectoryConfig::Ldap),
        Some("sql") => directory_sql::read(section).map(DirectoryConfig::Sql),
        Some(_) => rest(section).map(DirectoryConfig::Rest),
        None => {
            section.abandon();
            None
        }
    }
}

fn embedded(mut section: Section<'_>, name: &str, context: &Context<'_>) -> Option<embedded::Config> {
    let beside = context.state_file.and_then(Path::parent).unwrap_or(section.reader.folder);
    let value = section.value("path");
    let path = match &value {
        None => own_file(beside.join(format!("{name}.directory.db")), name, context, |message, help| {
            section.refuse(message, help);
        }),
        Some(value) if value.is_word(":memory:") => {
            value.note(Severity::Warning, "people in memory are gone when the gateway stops", "name a file");
            Some(":memory:".into())
        }
        Some(value) => value
            .file_path()
            .and_then(|path| own_file(path, name, context, |message, help| value.refuse(message, help))),
    };
    let default = embedded::Config::file(path.clone().unwrap_or_default());
    let durable = section.boolean("durable", default.durable);
    let timeout = section.duration("timeout", default.timeout, TIMEOUT);
    section.finish();
    Some(embedded::Config { path: path?, durable, timeout })
}

/// The file, if nothing else is kept in it.
fn own_file(path: PathBuf, tenant: &str, context: &Context<'_>, refuse: impl Fn(String, &str)) -> Option<PathBuf> {
    let place = whereabouts(&path);
    if context.state_file.map(whereabouts).as_ref() == Some(&place) {
        let message = format!("`{}` holds the gateway's own state", path.display());
        refuse(message, "name another file, or leave `path` out");
        return None;
    }
    match context.embedded.borrow_mut().entry(place) {
        Entry::Vacant(vacant) => {
            vacant.insert(tenant.to_owned());
            Some(path)
        }
        Entry::Occupied(owner) => {
            refuse(
                format!("`{}` holds the people of the tenant `{}`", path.display(), owner.get()),
                "give each tenant a file of its own with `path`: in one, they would see each other's people",
            );
            None
        }
    }
}

/// One name for a file, however it is written; it need not be there yet.
fn whereabouts(path: &Path) -> PathBuf {
    let beside = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(beside).or_else(|| absolute(path).ok()).unwrap_or_else(|| path.to_owned())
}

/// The grammar stands at the top of `directory::rest::config`.
fn rest(mut section: Section<'_>) -> Option<rest::Config> {
    let url = section.required("url", "url = \"env:DIRECTORY_URL\"").and_then(|value| value.text());
    let token = section.value("token").and_then(|value| value.secret(true));
    let default = Draft::default();
    let default = Draft {
        url: url.unwrap_or_default(),
        token,
        timeout: section.duration("timeout", default.timeout, TIMEOUT),
        max_in_flight: number(&mut section, "max_in_flight", default.max_in_flight, 1..=1024),
        ..default
    };
    let draft = records(&mut section, default, "/users");
    let groups = super::directory_rest::groups(&mut section, &draft);
    let config = rest::Config::new(Draft { groups, ..draft });
    for mistake in config.as_ref().err().into_iter().flatten() {
        if mistake.within.is_some() || mistake.help.is_some() {
            note(&section, Severity::Error, mistake);
        } else {
            section.refuse_at(&mistake.at, &mistake.problem);
        }
    }
    for doubt in config.iter().flat_map(|config| &config.warnings) {
        note(&section, Severity::Warning, doubt);
    }
    section.finish();
    config.ok()
}

/// What is declared of one type of records; what is absent is as in `default`, tables are their own.
pub(super) fn records(section: &mut Section<'_>, default: Draft, path: &str) -> Draft {
    Draft {
        key: text(section, "key").unwrap_or(default.key),
        version: text(section, "version").or(default.version),
        items: text(section, "items").unwrap_or(default.items),
        total: text(section, "total").unwrap_or(default.total),
        error: text(section, "error").unwrap_or(default.error),
        page_size: number(section, "page_size", default.page_size, 1..=10_000),
        unique: section.boolean("unique", default.unique),
        removal: text(section, "removal").unwrap_or(default.removal),
        operations: operations(section.section("operations"), path),
        find: map(section, "find", line),
        attributes: map(section, "attributes", attribute),
        fields: map(section, "fields", field),
        constants: map(section, "constants", json),
        paging: super::directory_rest::paging(section, default.paging),
        headers: super::directory_rest::headers(section, default.headers),
        answers: super::directory_rest::answers(section, default.answers),
        groups: None,
        url: default.url,
        token: default.token,
        timeout: default.timeout,
        max_in_flight: default.max_in_flight,
    }
}

pub(super) fn text(section: &mut Section<'_>, key: &str) -> Option<String> {
    section.value(key)?.text()
}

pub(super) fn number(section: &mut Section<'_>, key: &str, default: u64, bounds: std::ops::RangeInclusive<i64>) -> u64 {
    section.value(key).and_then(|value| value.integer(bounds)).and_then(|n| u64::try_from(n).ok()).unwrap_or(default)
}

/// A table whose keys the operator chooses, in the order written.
pub(super) fn map<T>(section: &mut Section<'_>, key: &str, read: impl Fn(&Value<'_>) -> Option<T>) -> Vec<(String, T)> {
    let mut section = section.section(key);
    let names = section.names();
    let mut entry = |name: String| Some((name.clone(), read(&section.value(&name)?)?));
    names.into_iter().filter_map(|(name, _)| entry(name)).collect()
}

/// The calls by name. `directory::rest` would miss those that are required as well, but it knows nothing of slips.
fn operations(mut section: Section<'_>, path: &str) -> Vec<(String, String)> {
    let required = [
        ("read", "read = \"GET /users/{id}\""),
        ("create", "create = \"POST /users\""),
        ("delete", "delete = \"DELETE /users/{id}\""),
        ("list", "list = \"GET /users?offset={offset}&limit={limit}\""),
    ];
    let mut found = Vec::new();
    for (name, example) in required {
        let example = example.replace("/users", path);
        found.extend(section.required(name, &example).and_then(|value| Some((name.to_owned(), value.text()?))));
    }
    for name in ["update", "replace", "after"] {
        found.extend(section.value(name).and_then(|value| Some((name.to_owned(), value.text()?))));
    }
    section.finish();
    found
}

pub(super) fn line(value: &Value<'_>) -> Option<String> {
    value.text()
}

pub(super) fn note(section: &Section<'_>, severity: Severity, mistake: &rest::Mistake) {
    section.note_at(severity, &mistake.at, mistake.within.as_ref(), &mistake.problem, mistake.help.as_deref());
}

/// `"field"`, or `{ field = "…", kind = "…", default = …, write = "…", read = "…", apply = "…" }`.
pub(super) fn attribute(value: &Value<'_>) -> Option<Attribute> {
    if value.is_text() {
        return Some(Attribute { field: value.text()?, ..Attribute::default() });
    }
    let mut section = value.section()?;
    let read = text(&mut section, "read");
    // An attribute that is only read has no field.
    let field = match &read {
        Some(_) => Some(text(&mut section, "field").unwrap_or_default()),
        None => section.required("field", "field = \"email\"").and_then(|value| value.text()),
    };
    let line = Attribute { field: field.clone().unwrap_or_default(), read, ..more(&mut section) };
    section.finish();
    field.map(|_| line)
}

/// `"expression"`, or `{ write = "…", kind = "…", default = …, apply = "…" }`.
pub(super) fn field(value: &Value<'_>) -> Option<Attribute> {
    if value.is_text() {
        return Some(Attribute { write: Some(value.text()?), ..Attribute::default() });
    }
    let mut section = value.section()?;
    let line = more(&mut section);
    section.finish();
    Some(line)
}

/// What the lines of both tables may say.
fn more(section: &mut Section<'_>) -> Attribute {
    Attribute {
        kind: text(section, "kind"),
        default: section.value("default").and_then(|value| json(&value)),
        write: text(section, "write"),
        apply: text(section, "apply"),
        ..Attribute::default()
    }
}

/// A text, number or boolean as JSON.
pub(super) fn json(value: &Value<'_>) -> Option<Json> {
    value.scalar()
}
