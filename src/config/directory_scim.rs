//! `[tenants.NAME.directory]` of kind "scim". What its values must be is `directory::scim`'s business; here are the keys.

use super::directory::{TIMEOUT, number, text};
use super::reader::Section;
use super::value::Value;
use crate::directory::scim::{Config, Draft};

/// The grammar stands at the top of `directory::scim::config`.
pub(super) fn read(mut section: Section<'_>) -> Option<Config> {
    let default = Draft::default();
    let url = section.required("url", "url = \"env:DIRECTORY_URL\"").and_then(|value| value.text());
    let attributes = section.value("attributes").and_then(|value| value.list()).unwrap_or_default();
    let draft = Draft {
        url: url.unwrap_or_default(),
        path: text(&mut section, "path").unwrap_or(default.path),
        token: section.value("token").and_then(|value| value.secret(true)),
        timeout: section.duration("timeout", default.timeout, TIMEOUT),
        max_in_flight: number(&mut section, "max_in_flight", default.max_in_flight, 1..=1024),
        page_size: number(&mut section, "page_size", default.page_size, 1..=1000),
        groups: section.boolean("groups", default.groups),
        patch: section.boolean("patch", default.patch),
        attributes: attributes.iter().filter_map(Value::text).collect(),
    };
    let config = Config::new(draft);
    for mistake in config.as_ref().err().into_iter().flatten() {
        section.refuse_at(&mistake.at, &mistake.problem);
    }
    section.finish();
    config.ok()
}
