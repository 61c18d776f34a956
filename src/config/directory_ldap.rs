//! `[tenants.NAME.directory]` of kind `ldap`. The grammar stands at the top of `directory::ldap::config`.

use std::time::Duration;

use super::diagnostic::Severity;
use super::directory::{TIMEOUT, attribute, field, json, map, note, number, text};
use super::reader::Section;
use super::value::Value;
use crate::directory::ldap::Config;
use crate::directory::ldap::config::{Draft, DraftDisabled, DraftEntity, DraftMembers};

pub(super) fn read(mut section: Section<'_>) -> Option<Config> {
    let url = section.required("url", "url = \"env:DIRECTORY_URL\"").and_then(|value| value.text());
    let starttls = section.value("starttls").and_then(|value| value.boolean());
    let plaintext = section.boolean("plaintext", false);
    let ca = section.value("ca").and_then(|value| value.file_path());
    let bind_dn = section.value("bind_dn");
    let (dn_given, bind_dn) = (bind_dn.is_some(), bind_dn.and_then(|value| value.text()));
    let (bind_password, password_given) = match section.value("bind_password") {
        Some(value) => (value.secret(false), true),
        None => (None, false),
    };
    let base = text(&mut section, "base").unwrap_or_default();
    let timeout = section.duration("timeout", Duration::from_secs(10), TIMEOUT);
    let max_connections = number(&mut section, "max_connections", 8, 1..=100);
    let page_size = number(&mut section, "page_size", 500, 1..=10_000);
    let people = section.required_section("people", "[tenants.NAME.directory.people]").map(|mut section| {
        let disabled = section.branch("disabled").and_then(|value| value.section()).map(disabled);
        (entity(&mut section), disabled, section.finish())
    });
    let groups = section.branch("groups").and_then(|value| value.section()).map(|mut section| {
        let members = DraftMembers {
            member: text(&mut section, "member").unwrap_or_else(|| "member".into()),
            placeholder: text(&mut section, "placeholder"),
            refint: section.boolean("refint", false),
        };
        let groups = entity(&mut section);
        section.finish();
        (groups, members)
    });
    let there = people.is_some();
    let (people, disabled, ()) = people.unwrap_or_default();
    let draft = Draft {
        url: url.clone().unwrap_or_default(),
        starttls,
        plaintext,
        ca,
        bind_dn,
        bind_password,
        base,
        timeout,
        max_connections,
        page_size,
        people,
        disabled,
        groups,
    };
    let config = Config::new(draft);
    for mistake in config.as_ref().err().into_iter().flatten() {
        // What is not there at all has been said, and so has what is wrong with a secret.
        let said = match mistake.at[0].as_str() {
            "url" => url.is_none(),
            "people" => !there,
            "bind_dn" => dn_given,
            "bind_password" => password_given,
            _ => false,
        };
        if said {
            continue;
        }
        if mistake.within.is_some() || mistake.help.is_some() {
            note(&section, Severity::Error, mistake);
        } else {
            section.refuse_at(&mistake.at, &mistake.problem);
        }
    }
    section.finish();
    config.ok()
}

/// What `[people]` and `[groups]` have in common.
fn entity(section: &mut Section<'_>) -> DraftEntity {
    let classes = section.value("object_classes").and_then(|value| value.list()).unwrap_or_default();
    DraftEntity {
        base: text(section, "base").unwrap_or_default(),
        object_classes: classes.iter().filter_map(Value::text).collect(),
        filter: text(section, "filter"),
        key: text(section, "key").unwrap_or_else(|| "entryUUID".into()),
        version: text(section, "version"),
        naming: text(section, "naming").unwrap_or_default(),
        attributes: map(section, "attributes", attribute),
        fields: map(section, "fields", field),
        constants: map(section, "constants", json),
    }
}

fn disabled(mut section: Section<'_>) -> DraftDisabled {
    let mut bits = |key: &str| {
        section.value(key).and_then(|value| value.integer(0..=i64::from(u32::MAX))).and_then(|n| u64::try_from(n).ok())
    };
    let (mask, initial) = (bits("mask"), bits("initial"));
    let mut named = |key: &str| text(&mut section, key);
    let disabled = DraftDisabled {
        attribute: named("attribute"),
        value: named("value"),
        enabled: named("enabled"),
        base: named("base"),
        mask,
        initial,
    };
    section.finish();
    disabled
}
