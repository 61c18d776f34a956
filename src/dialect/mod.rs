//! Dialects: what one vendor's SCIM surface offers, requires and refuses, and what its words mean downstream.
//!
//! A dialect is data: the attributes offered, which of them are required, a few [`Rule`]s out of a closed set, and policies
//! (what a second create, a disable and a delete do). The schema is RFC 7643 §4.1 and §4.3, narrowed; refusals are the 400
//! `invalidValue` of RFC 7644 §3.12. A dialect knows nothing of HTTP, of tokens beyond their form, or of directories.
//!
//! A create goes through [`Dialect::accept`] with nothing before it, or [`Dialect::accept_over`] when it links or revives; a
//! replace or PATCH through [`Dialect::accept`] with the person as the directory holds them; one that disables through
//! [`Dialect::accept_disabling`]; what is written through [`Dialect::spell`]; every answer through [`Dialect::shape`].
//!
//! # How to add a vendor
//!
//! An operator writes a TOML file with the same powers (`config/dialects/` holds the built-in ones in that form, and a test
//! shows that they are equal). To build one in:
//!
//! 1. Write `dialect/<vendor>.rs` with one function `dialect() -> Dialect`, by the pattern of `standard` (everything
//!    offered) or `ringcentral` (a list). Quote the vendor's document beside every line that is not obvious.
//! 2. List the attributes the way Entra writes them (`emails[type eq "work"].value`). What is not listed is dropped from
//!    requests, named in [`Accepted::dropped`], hidden from answers, and never touched in the directory.
//! 3. Say the vendor's validation with the rules there are. Only when none fits add a variant to [`Rule`]: a form that a
//!    configuration file could state, whose message names the path, the fault and the way out, and never the value.
//! 4. Put the dialect into [`Dialect::all`], give its file a table of cases, and write it as TOML beside the others.

mod accept;
mod choice;
mod explain;
mod offer;
mod playvox;
mod protect;
mod region;
mod ringcentral;
mod rule;
mod standard;
mod vonage_business;
mod vonage_contact_center;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;

use crate::limit::Policy;
use crate::scim::error::ScimError;
use crate::scim::filter::Filter;
use crate::scim::path::AttrPath;

pub use accept::{Accepted, Violation};
pub use offer::Offering;
pub use protect::Protected;
pub use rule::{Letters, Phone, Rule, Text};

/// The schema of what a create tells the directory about the tenant's switches (`welcomeMail`, `scimOnlyAdd`): a directory that
/// maps an attribute of it learns of the switch, no identity provider ever sees it.
pub const SWITCHES: &str = "urn:portcullis:scim:schemas:extension:switches:2.0:User";

/// Whom an identity provider sees in reads and queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody in the directory.
    Everyone,
    /// Only those whom provisioning has created or linked.
    Managed,
}

/// What a create does when the directory already has somebody of that user name whom provisioning never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// Refuse: 409 `uniqueness`.
    Conflict,
    /// Take the person over: update, and answer 201 with the existing id.
    Link,
}

/// What `active: false` does downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisable {
    /// The directory disables the person.
    Disable,
    /// The person is no longer managed and stays as they are in the directory; reads answer `active: false`.
    Unlink,
    /// The directory removes the person: nothing is left to be read or enabled again.
    Delete,
}

/// What DELETE does downstream. In every case the person is not found afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The directory removes the person.
    Delete,
    /// The directory disables the person and keeps their data.
    Deactivate,
    /// The person is no longer managed and stays as they are in the directory.
    Unlink,
}

/// What a static secret token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// Opaque text with a public prefix and a checksum, sent as Bearer.
    Prefixed,
    /// Base64 of `id:secret`, sent as Bearer or as Basic.
    Base64Pair,
}

/// The door of those identity providers that hold a static secret token instead of an OAuth grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretTokens {
    /// What a token looks like.
    pub form: SecretForm,
    /// Only one lives at a time: issuing another ends it at once.
    pub single: bool,
}

/// What a dialect says when something goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// The vendor's error code that a 429's detail quotes.
    pub throttle_code: Option<String>,
    /// Whether a 429 comes in the vendor's own form, with the code, instead of SCIM's.
    pub throttle_envelope: bool,
    /// Whether the directory's own words about a value reach the client; if not, they are for the log alone.
    pub directory_words: bool,
    /// Names that the directory's words use for its fields, and the attribute that each stands for.
    pub fields: Vec<(String, AttrPath)>,
    /// What a client is told when nothing is left to create a person with (403).
    pub no_capacity: Option<String>,
    /// What a client is told when a create meets somebody of that user name (409).
    pub conflict: Option<String>,
}

impl Errors {
    /// Nothing of a vendor's own.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            throttle_code: None,
            throttle_envelope: false,
            directory_words: true,
            fields: Vec::new(),
            no_capacity: None,
            conflict: None,
        }
    }
}

/// One vendor's SCIM surface and rules. Take a built-in one with [`Dialect::named`]; an operator's own comes from a file and
/// goes with the configuration that named it, which is why tenants share one behind an [`Arc`].
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    /// What the configuration calls it.
    pub name: String,
    /// What people call it, for pages and messages.
    pub title: String,
    /// The SCIM base below the tenant's prefix, without slashes around it (contract §4).
    pub scim_base: String,
    /// A second base that the vendor's clients know; every `meta.location` names the first.
    pub scim_alias: Option<String>,
    /// Whether there is an authorization code door.
    pub oauth: bool,
    /// Whether there is a secret token door, and its shape.
    pub secret_tokens: Option<SecretTokens>,
    /// The vendor's own path of the OAuth endpoints, beside `oauth`.
    pub oauth_alias: Option<String>,
    /// For how long an unused refresh token stays good.
    pub refresh_idle: Duration,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
    /// Whom an identity provider sees.
    pub visibility: Visibility,
    /// What a create does when the user name exists.
    pub on_existing: OnExisting,
    /// What `active: false` does.
    pub on_disable: OnDisable,
    /// What DELETE does.
    pub on_delete: OnDelete,
    /// Whether a create after a DELETE that kept the person takes the same record again instead of refusing.
    pub revives: bool,
    /// `active` of somebody created without it.
    pub default_active: bool,
    /// The limits of a tenant that configures none.
    pub default_limits: Option<Policy>,
    /// Whether groups are offered, if the directory has them.
    pub groups: bool,
    /// The attributes offered.
    pub offering: Offering,
    /// What a person must have.
    pub required: Vec<AttrPath>,
    /// Values that a create takes from another attribute when they are missing: (to, from).
    pub copied: Vec<(AttrPath, AttrPath)>,
    /// What values must be like.
    pub rules: Vec<Rule>,
    /// Flat names that the vendor's filters know beside the schema's: (name, what it means).
    pub aliases: Vec<(String, AttrPath)>,
    /// What the directory is given with a new person where the request says nothing of it; never touched afterwards.
    pub on_create: Vec<(AttrPath, Value)>,
    /// Whom only the strongest grant may change.
    pub protected: Option<Protected>,
    /// The attributes of a managed person that the vendor's portal must not let anybody edit.
    pub locked: Vec<AttrPath>,
    /// What else the vendor's portal does not do with a managed person.
    pub locked_actions: Vec<String>,
    /// What it says when something goes wrong.
    pub errors: Errors,
}

static BUILT_IN: LazyLock<[Arc<Dialect>; 5]> = LazyLock::new(|| {
    [
        ringcentral::dialect(),
        vonage_business::dialect(),
        vonage_contact_center::dialect(),
        playvox::dialect(),
        standard::dialect(),
    ]
    .map(Arc::new)
});

impl Dialect {
    /// Every dialect that is built in, in the order of the documentation.
    #[must_use]
    pub fn all() -> [&'static Arc<Self>; 5] {
        BUILT_IN.each_ref()
    }

    /// The built-in dialect that the configuration calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Arc<Self>> {
        Self::all().into_iter().find(|dialect| dialect.name == name)
    }

    /// Whether this attribute, or any part of it, is offered. `schemas`, `id` and `meta` always are.
    #[must_use]
    pub fn offers(&self, path: &AttrPath) -> bool {
        self.offering.offers(path)
    }

    /// The filter with the vendor's own names put into the schema's words.
    ///
    /// # Errors
    /// None today; a dialect may come to refuse a filter (400 `invalidFilter`).
    pub fn filter(&self, filter: Filter) -> Result<Filter, ScimError> {
        Ok(if self.aliases.is_empty() { filter } else { self.translate(filter) })
    }

    // A parsed filter is at most 32 deep, so this recursion is bounded.
    fn translate(&self, filter: Filter) -> Filter {
        match filter {
            Filter::And(left, right) => Filter::And(Box::new(self.translate(*left)), Box::new(self.translate(*right))),
            Filter::Or(left, right) => Filter::Or(Box::new(self.translate(*left)), Box::new(self.translate(*right))),
            Filter::Not(inner) => Filter::Not(Box::new(self.translate(*inner))),
            Filter::Compare { path, operator, value } => Filter::Compare { path: self.resolve(path), operator, value },
            Filter::Present(path) => Filter::Present(self.resolve(path)),
            other @ Filter::ValuePath { .. } => other,
        }
    }

    fn resolve(&self, path: AttrPath) -> AttrPath {
        let flat = path.schema.is_none() && path.filter.is_none() && path.sub.is_none();
        match self.aliases.iter().find(|(name, _)| flat && path.attribute.eq_ignore_ascii_case(name)) {
            Some((_, meant)) => meant.clone(),
            None => path,
        }
    }
}

/// A path of a dialect's own declaration.
fn path(text: &str) -> AttrPath {
    AttrPath::parse(text).expect("the paths that dialects declare are constants, and every one is parsed in the tests")
}

fn paths(texts: &[&str]) -> Vec<AttrPath> {
    texts.iter().map(|text| path(text)).collect()
}

#[cfg(test)]
mod cases;

#[cfg(test)]
mod tests {
    use super::*;
    use super::{OnDelete as D, OnDisable as A, OnExisting as E, SecretForm as S, Visibility as V};

    #[test]
    fn every_dialect_is_found_by_its_name() {
        for dialect in Dialect::all() {
            assert!(Arc::ptr_eq(Dialect::named(&dialect.name).expect("listed"), dialect));
            for required in &dialect.required {
                assert!(dialect.offers(required), "{}: {required}", dialect.name);
            }
        }
        assert!(Dialect::named("RingCentral").is_none());
    }

    /// contract.md §4 and §5, dialects.md §2.
    #[test]
    fn policies_are_the_vendors() {
        let rows: Vec<_> = Dialect::all()
            .iter()
            .map(|one| {
                let tokens = one.secret_tokens.map(|tokens| (tokens.form, tokens.single));
                (
                    one.name.as_str(),
                    one.scim_base.as_str(),
                    one.oauth,
                    tokens,
                    one.visibility,
                    one.on_existing,
                    one.on_disable,
                    one.on_delete,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("ringcentral", "scim/v2", true, None, V::Everyone, E::Conflict, A::Disable, D::Delete),
                ("vonage-business", "scim/v2", true, None, V::Managed, E::Link, A::Unlink, D::Unlink),
                (
                    "vonage-contact-center",
                    "scim-adapter/v2",
                    false,
                    Some((S::Prefixed, true)),
                    V::Managed,
                    E::Conflict,
                    A::Disable,
                    D::Deactivate
                ),
                (
                    "playvox",
                    "scim/v1",
                    false,
                    Some((S::Base64Pair, false)),
                    V::Everyone,
                    E::Conflict,
                    A::Disable,
                    D::Deactivate
                ),
                (
                    "standard",
                    "scim/v2",
                    true,
                    Some((S::Prefixed, false)),
                    V::Everyone,
                    E::Conflict,
                    A::Disable,
                    D::Delete
                ),
            ]
        );
        for dialect in Dialect::all() {
            let limited = dialect.name == "ringcentral";
            assert_eq!(dialect.default_limits.is_some(), limited);
            assert_eq!(dialect.errors.throttle_code.as_deref(), limited.then_some("CMN-301"));
            assert_eq!(dialect.groups, dialect.name == "standard", "row \"Groups\"");
            assert_eq!(dialect.default_active, !limited);
        }
    }

    #[test]
    fn offers_by_path() {
        let rows = [
            ("ringcentral", "userName", true),
            ("ringcentral", "displayName", false),
            ("ringcentral", "name", true),
            ("ringcentral", "name.givenName", true),
            ("ringcentral", "name.formatted", false),
            ("ringcentral", "emails", true),
            ("ringcentral", "emails.value", true),
            ("ringcentral", "emails.type", true),
            ("ringcentral", "emails.display", false),
            ("ringcentral", r#"emails[type eq "home"].value"#, false),
            ("ringcentral", r#"phoneNumbers[type eq "other"].value"#, true),
            ("ringcentral", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", true),
            ("ringcentral", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", false),
            ("ringcentral", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", true),
            ("vonage-business", "externalId", false),
            ("vonage-business", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", false),
            ("vonage-business", "id", true),
            ("vonage-business", "meta.created", true),
            ("playvox", "name.formatted", true),
            ("standard", "nickName", true),
        ];
        for (name, text, offered) in rows {
            let dialect = Dialect::named(name).expect("a dialect");
            assert_eq!(dialect.offers(&path(text)), offered, "{name} {text}");
        }
    }
}
