//! The declaration of `config/examples/rest.toml`, and variants of it, as the configuration's reader would hand it over.

#![allow(dead_code, reason = "every test uses its own part")]

use portcullis::directory::rest::{Attribute, Config, Draft};

use super::legacy::Legacy;

/// The example's own declaration.
pub fn draft(url: &str) -> Draft {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let field =
        |field: &str, kind: Option<&str>| Attribute { field: field.into(), kind: kind.map(Into::into), default: None };
    Draft {
        url: url.into(),
        version: Some("version".into()),
        page_size: 1000,
        removal: "replace".into(),
        operations: text(&[
            ("read", "GET /users/{id}"),
            ("create", "POST /users"),
            ("update", "PATCH /users/{id}"),
            ("replace", "PUT /users/{id}"),
            ("delete", "DELETE /users/{id}"),
            ("list", "GET /users?offset={offset}&limit={limit}"),
        ]),
        find: text(&[("userName", "GET /users?username={value}")]),
        attributes: vec![
            ("userName".into(), field("username", None)),
            ("externalId".into(), field("external_id", None)),
            ("name.givenName".into(), field("first_name", None)),
            ("name.familyName".into(), field("last_name", None)),
            ("displayName".into(), field("display_name", None)),
            ("emails[type eq \"work\"].value".into(), field("email", None)),
            ("phoneNumbers[type eq \"work\"].value".into(), field("phone", None)),
            ("active".into(), field("enabled", Some("boolean"))),
        ],
        ..Draft::default()
    }
}

/// The declaration, checked.
pub fn checked(draft: Draft) -> Config {
    Config::new(draft).expect("a valid declaration")
}

/// A way to set up the directory and its declaration.
type Variant = (&'static str, fn(&Legacy, Draft) -> Draft);

/// The ways in which a REST directory can be declared to do the same.
pub const VARIANTS: [Variant; 6] = [
    ("rest as in the example", |_, draft| draft),
    ("rest in small pages", |_, draft| Draft { page_size: 4, ..draft }),
    ("rest by PUT alone", |_, draft| only(draft, "update")),
    ("rest by PATCH with null", |legacy, draft| {
        legacy.manners(|manners| manners.null_removes = true);
        Draft { removal: "null".into(), ..only(draft, "replace") }
    }),
    ("rest by PATCH with empty text", |_, draft| Draft { removal: "empty".into(), ..only(draft, "replace") }),
    ("rest that answers changes with nothing", |legacy, draft| {
        legacy.manners(|manners| manners.tight_lipped = true);
        draft
    }),
];

fn only(mut draft: Draft, but: &str) -> Draft {
    draft.operations.retain(|(name, _)| name != but);
    draft
}
