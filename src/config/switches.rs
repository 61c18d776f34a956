//! `[tenants.T.switches]`: what a vendor lets its customer choose in the portal, and what the vendor's dialect leaves to choose;
//! and `[tenants.T.managed]`, the door of the portal itself.
//!
//! Two of the switches are the directory's business, not the gateway's: whether new people get a welcome mail, and whether people
//! are added by provisioning alone. They are carried downstream: a create gives the directory the attributes `welcomeMail` and
//! `scimOnlyAdd` of the schema [`SWITCHES`], for its mapping to use or to leave. Only what is set is carried.

use std::sync::Arc;

use serde_json::Value as Json;

use super::diagnostic::Severity;
use super::dialect::{DELETES, DISABLES, signs, texts, word};
use super::reader::{Section, choose};
use super::value::{Value, advice};
use crate::dialect::{Dialect, SWITCHES};
use crate::scim::path::AttrPath;
use crate::types::Digest;

/// The switches of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Whether SCIM is on at all.
    pub scim_enabled: bool,
    /// Whether the directory provider is SCIM.
    pub provider_is_scim: bool,
    /// Whether somebody who is created gets a welcome mail; `None` leaves it to the directory.
    pub welcome_mail: Option<bool>,
    /// Whether the portal must not add people; `None` leaves it to the directory.
    pub scim_only_add: Option<bool>,
}

impl Default for Switches {
    fn default() -> Self {
        Self { scim_enabled: true, provider_is_scim: true, welcome_mail: None, scim_only_add: None }
    }
}

impl Switches {
    /// Why no SCIM request of this tenant is carried out, naming the switch and where it is.
    #[must_use]
    pub fn refusal(&self, tenant: &str) -> Option<String> {
        let place = format!("in [tenants.{tenant}.switches] of the gateway's configuration");
        if !self.scim_enabled {
            return Some(format!("SCIM is switched off for this tenant: `scim_enabled` is false {place}"));
        }
        (!self.provider_is_scim).then(|| {
            format!(
                "provisioning is not this tenant's directory provider: `directory_provider` is not \"scim\" {place}"
            )
        })
    }

    /// What a create tells the directory.
    #[must_use]
    pub fn carried(&self) -> Vec<(AttrPath, Json)> {
        let attribute = |name: &str| AttrPath { schema: Some(SWITCHES.to_owned()), ..AttrPath::core(name) };
        let told = [("welcomeMail", self.welcome_mail), ("scimOnlyAdd", self.scim_only_add)];
        told.into_iter().filter_map(|(name, set)| Some((attribute(name), Json::Bool(set?)))).collect()
    }
}

/// Reads the section, and makes of the dialect what it chooses.
pub(super) fn read(mut section: Section<'_>, dialect: &Arc<Dialect>) -> (Switches, Arc<Dialect>) {
    let mut chosen = Dialect::clone(dialect);
    let provider = section.value("directory_provider").and_then(|value| {
        value.parse(|text| match text {
            "scim" => Ok(true),
            "none" => Ok(false),
            _ => Err(advice("is no directory provider", choose(text, &["scim", "none"]))),
        })
    });
    let switches = Switches {
        scim_enabled: section.boolean("scim_enabled", true),
        provider_is_scim: provider.unwrap_or(true),
        welcome_mail: section.value("welcome_mail").and_then(|value| value.boolean()),
        scim_only_add: section.value("scim_only_add").and_then(|value| value.boolean()),
    };
    let mut choice = |key: &str, choose: &mut dyn FnMut(&Value<'_>) -> Option<bool>| {
        if let Some(value) = section.value(key)
            && choose(&value) == Some(false)
        {
            let message = format!("`{key}` turns nothing: the dialect `{}` has no such rule", dialect.name);
            value.note(Severity::Warning, message, "leave it out");
        }
    };
    choice("expose_unlinked", &mut |value| Some(chosen.choose_exposure(value.boolean()?)));
    choice("unicode", &mut |value| Some(chosen.choose_unicode(value.boolean()?)));
    choice("allow_spaces", &mut |value| Some(chosen.choose_spaces(value.boolean()?)));
    choice("user_name_signs", &mut |value| Some(chosen.choose_user_name_signs(&signs(value)?)));
    choice("strip_phone_spaces", &mut |value| Some(chosen.choose_stripping(value.boolean()?)));
    choice("strict_email", &mut |value| Some(chosen.choose_strict_email(value.boolean()?)));
    choice("vendor_errors", &mut |value| Some(chosen.choose_vendor_errors(value.boolean()?)));
    choice("protected_roles", &mut |value| Some(chosen.choose_protected_roles(texts(value)?)));
    if let Some(policy) = section.value("on_disable").and_then(|value| word(&value, &DISABLES)) {
        chosen.on_disable = policy;
    }
    if let Some(policy) = section.value("on_delete").and_then(|value| word(&value, &DELETES)) {
        chosen.on_delete = policy;
    }
    section.finish();
    (switches, if chosen == **dialect { Arc::clone(dialect) } else { Arc::new(chosen) })
}

/// `[tenants.T.managed]`: the hash of the portal's token; without a token there is no such door.
pub(super) fn managed(mut section: Section<'_>) -> Option<Digest> {
    let value = section.value("token");
    let token = value.as_ref().and_then(|value| value.secret(true));
    section.finish();
    let (value, token) = (value?, token?);
    if token.expose().len() < 20 {
        value.refuse("the token is shorter than 20 characters", "make one with `openssl rand -base64 32`");
        return None;
    }
    Some(token.digest())
}
