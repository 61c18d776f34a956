//! What the operator declares about an LDAP server, and the one place where it is checked.
//!
//! The TOML it is read from (every key below `[tenants.NAME.directory]`; `*` = must be there; unknown keys are errors):
//!
//! ```toml
//! [tenants.example.directory]
//! kind            = "ldap"
//! url             = "env:DIRECTORY_URL"  # * ldaps://HOST[:PORT], or ldap://HOST[:PORT]
//! starttls        = true                 # of ldap://; true, but to this machine false
//! plaintext       = false                # true: ldap:// without TLS also over a network; false
//! ca              = "tls/ldap-ca.pem"    # the trusted roots; without it the machine's
//! bind_dn         = "env:DIRECTORY_BIND_DN" # with bind_password; without both anonymous
//! bind_password   = "env:DIRECTORY_BIND_PASSWORD"
//! base            = "env:DIRECTORY_BASE" # what the bases below are relative to; the root
//! timeout         = "10s"                # of one piece of work, all in all; 10s
//! max_connections = 8                    # open at once, 1 to 100; more work waits, within its timeout; 8
//! page_size       = 500                  # entries asked for at a time (RFC 2696), 1 to 10000; 500
//!
//! [tenants.example.directory.people]
//! base           = "ou=people"           # where they are, at any depth, and where new ones come; ""
//! object_classes = ["inetOrgPerson"]     # * of a new entry
//! filter         = "(objectClass=inetOrgPerson)" # which entries they are; by the last of the object classes
//! key            = "entryUUID"           # the immutable key; objectGUID with Active Directory; "entryUUID"
//! version        = "entryCSN"            # an attribute that changes with every change (uSNChanged); optional, none
//! naming         = "uid"                 # * the attribute that names an entry; it must be among the attributes or fields
//!
//! [tenants.example.directory.people.attributes] # SCIM path = attribute. userName must be among them
//! userName = "uid"
//!
//! [tenants.example.directory.people.fields]     # optional: attributes that are only written
//! cn = "[userName]"
//!
//! [tenants.example.directory.people.constants]  # optional: attributes that a new entry always gets
//!
//! [tenants.example.directory.people.disabled]   # how somebody is disabled, where `active` is not among the attributes:
//! attribute = "employeeType"             # by a value: somebody who has it is disabled. `enabled`, if given, stands there
//! value     = "disabled"                 # otherwise, and then the attribute holds nothing else
//! # attribute = "userAccountControl", mask = 2, initial = 512 # by a bit of a number; `initial` is what new entries begin with
//! # base      = "ou=disabled"            # by where the entry is: it is moved there and back
//!
//! [tenants.example.directory.groups]     # optional; without it there are no groups. As people, and:
//! member      = "member"                 # the attribute that holds the members' names; "member"
//! placeholder = "cn=nobody"              # a member of every group, not shown: groupOfNames and groupOfUniqueNames may not be
//!                                        # empty; with them the bind DN, else none
//! refint      = false                    # true: the server itself follows renames and deletes in `member`; false
//! ```

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

pub use super::draft::{Draft, DraftDisabled, DraftEntity, DraftMembers};

use super::dn::{Dn, under};
use super::draft::{descriptor, is_attribute, is_name, mistake, own, slipped};
use crate::directory::rest::Mistake;
use crate::mapping::{Column, Table};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::types::Secret;

/// A server, declared and checked.
#[derive(Clone)]
pub struct Config {
    pub(super) url: String,
    /// Whether TLS is spoken at all, and whether the server is asked to begin it.
    pub(super) tls: bool,
    pub(super) starttls: bool,
    pub(super) ca: Option<PathBuf>,
    pub(super) bind: Option<(String, Secret)>,
    pub(super) timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) page_size: i32,
    pub(super) people: Entity,
    pub(super) disabled: Disabled,
    pub(super) groups: Option<(Entity, Membership)>,
}

/// The bind DN is a name of the operator's own house.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({})", self.url)
    }
}

/// Entries of people or of groups.
#[derive(Clone, Debug)]
pub struct Entity {
    pub(super) kind: ResourceType,
    /// Where new ones come.
    pub(super) base: String,
    /// Where they are: subtrees none of which holds another.
    pub(super) bases: Vec<String>,
    pub(super) object_classes: Vec<String>,
    pub(super) filter: String,
    pub(super) key: Key,
    pub(super) version: Option<String>,
    pub(super) naming: String,
    pub(super) columns: Vec<(AttrPath, String)>,
    pub(super) mapping: Table,
    /// The attributes that are asked for.
    pub(super) wanted: Vec<String>,
}

/// The attribute that is the key.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) name: String,
    pub(super) form: Form,
}

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text of the server's choice.
    Text,
    /// A UUID as text (RFC 4530).
    Uuid,
    /// Sixteen bytes, the first three numbers with the least significant byte first.
    Guid,
}

/// How somebody is disabled.
#[derive(Clone, Debug)]
pub enum Disabled {
    /// `active` is an attribute like others.
    Mapped,
    /// Somebody who has the value.
    Value {
        /// The attribute.
        attribute: String,
        /// The value.
        value: String,
        /// What stands there otherwise.
        enabled: Option<String>,
    },
    /// Somebody whose number has all these bits.
    Mask {
        /// The attribute.
        attribute: String,
        /// The bits.
        mask: u32,
        /// The number of a new entry.
        initial: u32,
    },
    /// Somebody who is below this base.
    Base {
        /// As written.
        base: String,
        /// As compared.
        dn: Dn,
    },
}

/// How membership is kept.
#[derive(Clone, Debug)]
pub struct Membership {
    pub(super) member: String,
    pub(super) placeholder: Option<(String, Dn)>,
    pub(super) refint: bool,
}

impl Config {
    /// Checks a draft.
    ///
    /// # Errors
    /// Every mistake found, in the order of the keys.
    pub fn new(draft: Draft) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let way = way(&draft, &mut mistakes);
        let bind = match (draft.bind_dn, draft.bind_password) {
            (Some(dn), Some(password)) => Some((dn, password)),
            (None, None) => None,
            (Some(_), None) => {
                mistakes.push(mistake(&["bind_password"], "is missing: `bind_dn` and `bind_password` go together"));
                None
            }
            (None, Some(_)) => {
                mistakes.push(mistake(&["bind_dn"], "is missing: `bind_dn` and `bind_password` go together"));
                None
            }
        };
        is_name(&["base"], &draft.base, &mut mistakes);
        if !(1..=100).contains(&draft.max_connections) {
            mistakes.push(mistake(&["max_connections"], "must be between 1 and 100"));
        }
        let mut people = entity(ResourceType::User, draft.people, &draft.base, &mut mistakes);
        let disabled = disabled(draft.disabled, &draft.base, people.as_ref(), &mut mistakes);
        if let Some(people) = &mut people {
            match &disabled {
                Disabled::Mapped => {}
                Disabled::Value { attribute, .. } | Disabled::Mask { attribute, .. } => {
                    people.wanted.push(attribute.clone());
                }
                Disabled::Base { base, dn } => add_base(&mut people.bases, base, dn),
            }
        }
        let groups = draft.groups.map(|(groups, members)| {
            let bind = bind.as_ref().map(|(dn, _)| dn.as_str());
            let members = membership(members, &groups, &draft.base, bind, &mut mistakes);
            (entity(ResourceType::Group, groups, &draft.base, &mut mistakes), members)
        });
        match (way, people) {
            (Some((tls, starttls)), Some(people)) if mistakes.is_empty() => Ok(Self {
                url: draft.url,
                tls,
                starttls,
                ca: draft.ca,
                bind,
                timeout: draft.timeout,
                max_connections: usize::try_from(draft.max_connections).unwrap_or(1),
                page_size: i32::try_from(draft.page_size).unwrap_or(500),
                people,
                disabled,
                groups: groups.and_then(|(groups, members)| Some((groups?, members))),
            }),
            _ => Err(mistakes),
        }
    }

    /// Where the server is.
    pub fn place(&self) -> &str {
        &self.url
    }

    /// The lines of the mapping, of people and then of groups.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        let groups = self.groups.iter().flat_map(|(groups, _)| groups.mapping.columns());
        self.people.mapping.columns().iter().chain(groups)
    }

    /// The entries of a type, if there are any.
    pub(super) fn entity(&self, kind: ResourceType) -> Option<&Entity> {
        match kind {
            ResourceType::User => Some(&self.people),
            ResourceType::Group => self.groups.as_ref().map(|(groups, _)| groups),
        }
    }

    /// Whether entries are found by this path.
    pub fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        self.entity(kind).is_some_and(|entity| entity.mapping.maps(path) && entity.mapping.can_seek(path))
    }

    /// Whether this path is kept somewhere.
    pub fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        let by_rule = kind == ResourceType::User && path.is("active") && !matches!(self.disabled, Disabled::Mapped);
        by_rule || self.entity(kind).is_some_and(|entity| entity.mapping.holds(path))
    }
}

/// Whether TLS is spoken, and whether it begins by StartTLS.
fn way(draft: &Draft, mistakes: &mut Vec<Mistake>) -> Option<(bool, bool)> {
    let example = "write scheme, host and perhaps port, such as \"ldaps://ldap.example.com\"";
    let parsed = Url::parse(&draft.url).ok().filter(|url| {
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
        bare && matches!(url.scheme(), "ldap" | "ldaps") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    let Some(url) = parsed else {
        mistakes.push(mistake(&["url"], format!("is no address of an LDAP server: {example}")));
        return None;
    };
    if url.scheme() == "ldaps" {
        if draft.starttls == Some(true) {
            mistakes.push(mistake(&["starttls"], "ldaps:// speaks TLS from the first byte: leave this out"));
        }
        return Some((true, false));
    }
    // The host of a scheme that the web does not know stays text, also where it is an address.
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let starttls = draft.starttls.unwrap_or(!near && !draft.plaintext);
    if !starttls && !near && !draft.plaintext {
        let problem = "would send passwords and people over the network in clear: write ldaps://, leave `starttls` to \
                       its default, or, if the network itself is safe, write plaintext = true";
        mistakes.push(mistake(&["starttls"], problem));
    }
    Some((starttls, starttls))
}

fn entity(kind: ResourceType, draft: DraftEntity, base: &str, mistakes: &mut Vec<Mistake>) -> Option<Entity> {
    let (section, needed) = match kind {
        ResourceType::User => ("people", "userName"),
        ResourceType::Group => ("groups", "displayName"),
    };
    is_name(&[section, "base"], &draft.base, mistakes);
    for (key, name) in [("key", &draft.key), ("naming", &draft.naming)]
        .into_iter()
        .chain(draft.version.iter().map(|version| ("version", version)))
    {
        is_attribute(&[section, key], name, mistakes);
    }
    if draft.object_classes.is_empty() || !draft.object_classes.iter().all(|class| descriptor(class)) {
        mistakes.push(mistake(&[section, "object_classes"], "is missing: name the object classes of a new entry"));
    }
    let class = draft.object_classes.last().cloned().unwrap_or_default();
    let filter = draft.filter.unwrap_or_else(|| format!("(objectClass={class})"));
    if ldap3::parse_filter(&filter).is_err() || !filter.starts_with('(') {
        mistakes.push(mistake(&[section, "filter"], "is no LDAP filter: write it like \"(objectClass=person)\""));
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
        let field = attribute.field.clone();
        if attribute.read.is_some() {
            mistakes.push(mistake(&at, "is read from one attribute, whose name is its field"));
            continue;
        }
        own(&at, &field, &draft.key, draft.version.as_deref(), mistakes);
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
        own(&at, &field, &draft.key, draft.version.as_deref(), mistakes);
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
    if !mapping.maps(&AttrPath::core(needed)) {
        let problem = format!("is missing: name the attribute of {needed}");
        mistakes.push(mistake(&[section, "attributes", needed], problem));
    }
    let fields: Vec<_> = mapping.columns().iter().filter_map(Column::field).map(String::from).collect();
    if !fields.contains(&draft.naming) && !draft.naming.is_empty() {
        let problem = format!("\"{}\" is neither among the attributes nor the fields", draft.naming);
        mistakes.push(mistake(&[section, "naming"], problem));
    }
    let form = match draft.key.to_lowercase().as_str() {
        "entryuuid" => Form::Uuid,
        "objectguid" => Form::Guid,
        _ => Form::Text,
    };
    let times = ["createTimestamp", "modifyTimestamp"].map(String::from);
    let wanted = std::iter::once(draft.key.clone()).chain(draft.version.clone()).chain(fields).chain(times).collect();
    let base = below(&draft.base, base);
    Some(Entity {
        kind,
        bases: vec![base.clone()],
        base,
        object_classes: draft.object_classes,
        filter,
        key: Key { name: draft.key, form },
        version: draft.version,
        naming: draft.naming,
        columns,
        mapping,
        wanted,
    })
}

fn disabled(
    draft: Option<DraftDisabled>,
    base: &str,
    people: Option<&Entity>,
    mistakes: &mut Vec<Mistake>,
) -> Disabled {
    let at = ["people", "disabled"];
    let mapped = people.is_some_and(|people| people.mapping.maps(&AttrPath::core("active")));
    let Some(draft) = draft else {
        if people.is_some() && !mapped {
            let problem = "is missing: say how somebody is disabled (attribute and value, attribute and mask, or base)";
            mistakes.push(mistake(&at, problem));
        }
        return Disabled::Mapped;
    };
    if mapped {
        mistakes.push(mistake(&at, "`active` is among the attributes already: take one of them out"));
    }
    let mask = |number: u64| u32::try_from(number).unwrap_or_default();
    match draft {
        DraftDisabled {
            attribute: Some(attribute),
            value: Some(value),
            enabled,
            mask: None,
            initial: None,
            base: None,
        } => {
            is_attribute(&["people", "disabled", "attribute"], &attribute, mistakes);
            if value.is_empty() || enabled.as_ref().is_some_and(|enabled| enabled.eq_ignore_ascii_case(&value)) {
                mistakes.push(mistake(&["people", "disabled", "value"], "must be a text of its own"));
            }
            Disabled::Value { attribute, value, enabled }
        }
        DraftDisabled {
            attribute: Some(attribute),
            value: None,
            enabled: None,
            mask: Some(bits),
            initial,
            base: None,
        } => {
            is_attribute(&["people", "disabled", "attribute"], &attribute, mistakes);
            Disabled::Mask { attribute, mask: mask(bits), initial: mask(initial.unwrap_or(0)) & !mask(bits) }
        }
        DraftDisabled { attribute: None, value: None, enabled: None, mask: None, initial: None, base: Some(own) } => {
            let base = below(&own, base);
            match Dn::parse(&base) {
                Some(dn) if !own.is_empty() => Disabled::Base { base, dn },
                _ => {
                    mistakes.push(mistake(&["people", "disabled", "base"], "is no name such as \"ou=disabled\""));
                    Disabled::Mapped
                }
            }
        }
        _ => {
            let problem =
                "must hold attribute and value (perhaps enabled), attribute and mask (perhaps initial), or base";
            mistakes.push(mistake(&at, problem));
            Disabled::Mapped
        }
    }
}

/// Adds a subtree, unless one of the others holds it; those that it holds go.
fn add_base(bases: &mut Vec<String>, base: &str, dn: &Dn) {
    let parsed = |base: &String| Dn::parse(base);
    if bases.iter().filter_map(parsed).any(|other| dn.is_within(&other)) {
        return;
    }
    bases.retain(|other| parsed(other).is_none_or(|other| !other.is_within(dn)));
    bases.push(base.to_owned());
}

fn membership(
    draft: DraftMembers,
    groups: &DraftEntity,
    base: &str,
    bind: Option<&str>,
    mistakes: &mut Vec<Mistake>,
) -> Membership {
    is_attribute(&["groups", "member"], &draft.member, mistakes);
    let full = |class: &String| matches!(class.to_lowercase().as_str(), "groupofnames" | "groupofuniquenames");
    let placeholder = match draft.placeholder {
        Some(own) => Some(own).filter(|own| !own.is_empty()),
        // Some name that is nobody's; the bind DN is there in any case.
        None if groups.object_classes.iter().any(full) => {
            Some(bind.map_or_else(|| below(&groups.base, base), String::from)).filter(|name| !name.is_empty())
        }
        None => None,
    };
    if let Some(name) = &placeholder {
        is_name(&["groups", "placeholder"], name, mistakes);
    }
    let placeholder = placeholder.and_then(|name| Some((Dn::parse(&name)?, name))).map(|(dn, name)| (name, dn));
    Membership { member: draft.member, placeholder, refint: draft.refint }
}

fn below(own: &str, base: &str) -> String {
    if own.is_empty() { base.to_owned() } else { under(own, base) }
}
