//! `[tenants.NAME.directory]` of kind `sql`. The grammar stands at the top of `directory::sql::config`.

use std::time::Duration;

use super::diagnostic::Severity;
use super::directory::{TIMEOUT, attribute, field, json, map, note, number, text};
use super::reader::Section;
use crate::directory::sql::Config;
use crate::directory::sql::config::{Draft, DraftMembers, DraftTable};
use crate::types::Secret;

pub(super) fn read(mut section: Section<'_>) -> Option<Config> {
    let url = section.required("url", "url = \"env:DIRECTORY_URL\"").and_then(|value| value.text());
    let timeout = section.duration("timeout", Duration::from_secs(10), TIMEOUT);
    let max_connections = number(&mut section, "max_connections", 8, 1..=100);
    let people = section.required_section("people", "[tenants.NAME.directory.people]").map(|people| table(people, ""));
    let groups = section.branch("groups").and_then(|value| value.section()).map(|mut section| {
        let members = section.required_section("members", "members = { table = \"…\", group = \"…\", person = \"…\" }");
        let members = members.map(members_of).unwrap_or_default();
        (table(section, "g"), members)
    });
    let config = Config::new(Draft {
        url: Secret::new(url.clone().unwrap_or_default()),
        timeout,
        max_connections,
        people: people.clone().unwrap_or_default(),
        groups,
    });
    for mistake in config.as_ref().err().into_iter().flatten() {
        // What is not there at all has been said.
        if (url.is_some() || mistake.at != ["url"]) && (people.is_some() || mistake.at[0] != "people") {
            if mistake.within.is_some() || mistake.help.is_some() {
                note(&section, Severity::Error, mistake);
            } else {
                section.refuse_at(&mistake.at, &mistake.problem);
            }
        }
    }
    section.finish();
    config.ok()
}

/// `[people]` or `[groups]`; only groups have a prefix.
fn table(mut section: Section<'_>, prefix: &str) -> DraftTable {
    let table = DraftTable {
        table: text(&mut section, "table").unwrap_or_default(),
        key: text(&mut section, "key").unwrap_or_else(|| "id".into()),
        version: text(&mut section, "version"),
        prefix: if prefix.is_empty() {
            String::new()
        } else {
            text(&mut section, "prefix").unwrap_or_else(|| prefix.to_owned())
        },
        attributes: map(&mut section, "attributes", attribute),
        fields: map(&mut section, "fields", field),
        constants: map(&mut section, "constants", json),
    };
    section.finish();
    table
}

fn members_of(mut section: Section<'_>) -> DraftMembers {
    let mut name = |key: &str| text(&mut section, key).unwrap_or_default();
    let members = DraftMembers { table: name("table"), group: name("group"), person: name("person") };
    section.finish();
    members
}
