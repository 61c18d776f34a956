//! How a directory's entry looks through the gateway: the entry, seen through the link that says what the directory cannot
//! hold (design decision 3).

use serde_json::{Map, Value, json};

use crate::dialect::{Dialect, Visibility};
use crate::ports::Directory;
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::store::{Link, LinkState};

/// Whether an identity provider can see a person with this link at all.
pub fn visible(dialect: &Dialect, link: Option<&Link>) -> bool {
    match link.map(|link| link.state) {
        Some(LinkState::Removed) => false,
        Some(LinkState::Managed | LinkState::Unlinked) => true,
        None => dialect.visibility == Visibility::Everyone,
    }
}

/// The person with what the link says, before the dialect hides what it does not offer.
pub fn whole(mut person: Resource, link: Option<&Link>) -> Resource {
    if let Some(link) = link {
        for (path, value) in &link.asserted {
            let Ok(path) = AttrPath::parse(path) else { continue };
            // Drift shows: what was sent is answered only while the directory still holds what writing it gave.
            if person.get(&path).unwrap_or(&Value::Null) == &value["held"] {
                person.set(&path, value["sent"].clone());
            }
        }
        if let Some(external_id) = &link.external_id {
            person.set(&external_id_path(), Value::String(external_id.clone()));
        }
        if link.state == LinkState::Unlinked {
            person.set(&active_path(), Value::Bool(false));
        }
    }
    person
}

/// The link to keep after writing `sent` gave `held`: what the directory changed or has no field for.
pub fn link_after<D: Directory>(
    directory: &D,
    kind: ResourceType,
    key: &str,
    state: LinkState,
    sent: &Resource,
    held: &Resource,
) -> Link {
    let external_id = external_id_path();
    let mut asserted = Map::new();
    if sent != held {
        for path in sent.paths() {
            let (wanted, found) = (sent.get(&path), held.get(&path));
            // `active` is never taken from memory: a leaver is whoever the directory says.
            if wanted == found || path == external_id || path.is("active") || !directory.holds(kind, &path) {
                continue;
            }
            asserted.insert(path.to_string(), json!({ "sent": wanted, "held": found }));
        }
    }
    let external_id =
        (!directory.holds(kind, &external_id)).then(|| sent.text(&external_id).map(String::from)).flatten();
    Link { key: key.to_owned(), state, external_id, asserted }
}

/// `externalId`.
pub fn external_id_path() -> AttrPath {
    core("externalId")
}

/// `active`.
pub fn active_path() -> AttrPath {
    core("active")
}

/// `userName`.
pub fn user_name_path() -> AttrPath {
    core("userName")
}

fn core(attribute: &str) -> AttrPath {
    AttrPath { schema: None, attribute: attribute.to_owned(), filter: None, sub: None }
}
