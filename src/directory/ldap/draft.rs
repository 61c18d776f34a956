//! A declaration as written, and the checks of single words in it. The grammar, and what is made of it, stand in `config`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::dn::Dn;
use crate::directory::rest::{Attribute, Mistake};
use crate::mapping::Slip;
use crate::types::Secret;

/// The configuration as written. Defaults as in the module's grammar.
#[derive(Clone, Default)]
pub struct Draft {
    /// `url`.
    pub url: String,
    /// `starttls`.
    pub starttls: Option<bool>,
    /// `plaintext`.
    pub plaintext: bool,
    /// `ca`.
    pub ca: Option<PathBuf>,
    /// `bind_dn`.
    pub bind_dn: Option<String>,
    /// `bind_password`.
    pub bind_password: Option<Secret>,
    /// `base`.
    pub base: String,
    /// `timeout`.
    pub timeout: Duration,
    /// `max_connections`.
    pub max_connections: u64,
    /// `page_size`.
    pub page_size: u64,
    /// `[people]`.
    pub people: DraftEntity,
    /// `[people.disabled]`.
    pub disabled: Option<DraftDisabled>,
    /// `[groups]`.
    pub groups: Option<(DraftEntity, DraftMembers)>,
}

/// `[people]` or `[groups]` as written.
#[derive(Clone, Default)]
pub struct DraftEntity {
    /// `base`.
    pub base: String,
    /// `object_classes`.
    pub object_classes: Vec<String>,
    /// `filter`.
    pub filter: Option<String>,
    /// `key`.
    pub key: String,
    /// `version`.
    pub version: Option<String>,
    /// `naming`.
    pub naming: String,
    /// `[attributes]`, in the order written.
    pub attributes: Vec<(String, Attribute)>,
    /// `[fields]`, in the order written.
    pub fields: Vec<(String, Attribute)>,
    /// `[constants]`, in the order written.
    pub constants: Vec<(String, Value)>,
}

/// `[people.disabled]` as written.
#[derive(Clone, Debug, Default)]
pub struct DraftDisabled {
    /// `attribute`.
    pub attribute: Option<String>,
    /// `value`.
    pub value: Option<String>,
    /// `enabled`.
    pub enabled: Option<String>,
    /// `mask`.
    pub mask: Option<u64>,
    /// `initial`.
    pub initial: Option<u64>,
    /// `base`.
    pub base: Option<String>,
}

/// What `[groups]` says of membership.
#[derive(Clone, Debug, Default)]
pub struct DraftMembers {
    /// `member`.
    pub member: String,
    /// `placeholder`.
    pub placeholder: Option<String>,
    /// `refint`.
    pub refint: bool,
}

/// What the server itself fills is not mapped.
pub(super) fn own(at: &[&str], field: &str, key: &str, version: Option<&str>, mistakes: &mut Vec<Mistake>) {
    is_attribute(at, field, mistakes);
    if field.eq_ignore_ascii_case(key) || version.is_some_and(|version| field.eq_ignore_ascii_case(version)) {
        mistakes.push(mistake(at, format!("\"{field}\" is the server's own to fill")));
    }
}

/// An attribute is named here.
pub(super) fn is_attribute(at: &[&str], name: &str, mistakes: &mut Vec<Mistake>) {
    if !descriptor(name) {
        mistakes.push(mistake(at, "is missing: name an attribute of the directory, such as \"uid\""));
    }
}

/// RFC 4512 §1.4 and §2.5: a name or number, perhaps with options.
pub(super) fn descriptor(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';' | b'_'))
}

/// A distinguished name stands here.
pub(super) fn is_name(at: &[&str], name: &str, mistakes: &mut Vec<Mistake>) {
    if Dn::parse(name).is_none() {
        mistakes.push(mistake(at, "is no name such as \"ou=people,dc=example\""));
    }
}

/// A mistake at a key.
pub(super) fn mistake(at: &[&str], problem: impl Into<String>) -> Mistake {
    let at = at.iter().map(ToString::to_string).collect();
    Mistake { at, problem: problem.into(), within: None, help: None }
}

/// What is wrong with a line of the mapping.
pub(super) fn slipped(at: &[&str], slip: Slip) -> Mistake {
    let at = at.iter().copied().chain(slip.key).map(String::from).collect();
    Mistake { at, problem: slip.message, within: slip.within, help: slip.help }
}
