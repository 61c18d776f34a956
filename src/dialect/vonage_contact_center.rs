//! Vonage Contact Center (`reference/vonage-contact-center.md`; rows and questions below are those of
//! `reference/dialects.md`).

use std::time::Duration;

use super::{
    Dialect, Errors, Letters, Offering, OnDelete, OnDisable, OnExisting, Phone, Rule, SecretForm, SecretTokens, Text,
    Visibility, path, paths, standard,
};

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;
const WORK_PHONE: &str = r#"phoneNumbers[type eq "work"].value"#;

pub(super) fn dialect() -> Dialect {
    Dialect {
        name: "vonage-contact-center".into(),
        title: "Vonage Contact Center".into(),
        scim_base: "scim-adapter/v2".into(),
        oauth: false,
        // Question 18: one live token, regenerating ends the old one at once.
        secret_tokens: Some(SecretTokens { form: SecretForm::Prefixed, single: true }),
        oauth_alias: None,
        refresh_idle: Duration::from_hours(90 * 24),
        access_ttl: Duration::from_hours(1),
        // §2 and row "Create / match": existing people are hidden, and a POST for one fails; never linked.
        visibility: Visibility::Managed,
        on_existing: OnExisting::Conflict,
        // Rows "active:false" and "DELETE": archived.
        on_disable: OnDisable::Disable,
        on_delete: OnDelete::Deactivate,
        revives: false,
        default_active: true,
        default_limits: None,
        // Row "Groups": none.
        groups: false,
        // Question 15: the eight rows as reconstructed.
        offering: Offering::listed(&paths(&[
            "userName",
            "active",
            "displayName",
            WORK_EMAIL,
            WORK_PHONE,
            "name.givenName",
            "name.familyName",
            "externalId",
        ])),
        // Question 15: rows 1-4.
        required: paths(&["userName", "active", "displayName", WORK_EMAIL]),
        copied: Vec::new(),
        rules: vec![
            // Question 16: letters, digits, . _ - @, no spaces, any length.
            Rule::Text(Text {
                path: path("userName"),
                min: 1,
                max: None,
                letters: Letters::Ascii,
                also: "._-@".into(),
                spaces: false,
            }),
            // Question 17, and the default of vonage-contact-center.md §5: `^\+?[0-9]{3,20}$`.
            Rule::Phone { path: path(WORK_PHONE), form: Phone::Digits { min: 3, max: 20 }, strip: false },
        ],
        aliases: Vec::new(),
        // Row "Locked in portal": username, e-mail, display name, phone; no Clone.
        locked: paths(&["userName", WORK_EMAIL, "displayName", WORK_PHONE]),
        locked_actions: vec!["clone".into()],
        errors: Errors {
            // Row "Create / match": never links; vonage-contact-center.md §3.
            conflict: Some(
                "userName: duplicate username; people who are there already are never linked. Remove or rename the account in \
                 the contact center, or leave the person out of scope"
                    .into(),
            ),
            ..Errors::plain()
        },
        ..standard::dialect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cases::{changes, creates, parse};
    use super::*;

    #[test]
    fn the_table() {
        let ada = parse(&json!({
            "userName": "ada_l@example.com", "displayName": "Ada Lovelace",
            "emails": [{"type": "work", "value": "ada@example.com"}],
            "phoneNumbers": [{"type": "work", "value": "+442079460000"}],
        }));
        let rows = [
            ("{}", "", ""),
            (r#"{"active": false}"#, "", ""),
            (
                r#"{"displayName": null}"#,
                "displayName",
                "requires a value; in Entra, map it from, for example, [displayName]",
            ),
            (r#"{"emails[type eq \"work\"].value": null}"#, WORK_EMAIL, "requires a value"),
            (r#"{"phoneNumbers[type eq \"work\"].value": null}"#, "", ""),
            (r#"{"phoneNumbers[type eq \"work\"].value": "123"}"#, "", ""),
            (
                r#"{"phoneNumbers[type eq \"work\"].value": "+44 20 7946 0000"}"#,
                WORK_PHONE,
                "StripSpaces([telephoneNumber])",
            ),
            (r#"{"phoneNumbers[type eq \"work\"].value": "12"}"#, WORK_PHONE, "3-20 digits"),
            (r#"{"phoneNumbers[type eq \"work\"].value": "020-7946-0000"}"#, WORK_PHONE, "Replace([telephoneNumber]"),
            (r#"{"userName": "ada l@example.com"}"#, "userName", "letters, digits or . _ - @"),
        ];
        creates(&dialect(), &ada, &rows);
        let mut held = ada;
        held.set(&path("active"), json!(true));
        changes(&dialect(), &held, &rows);
    }

    #[test]
    fn active_by_default() {
        let accepted = dialect().accept(None, parse(&json!({"userName": "ada"})));
        assert_eq!(accepted.resource.active(), Some(true));
    }
}
