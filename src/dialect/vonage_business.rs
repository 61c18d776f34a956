//! Vonage Business Communications (`reference/vonage-business.md`; rows and questions below are those of
//! `reference/dialects.md`). The vendor links people rather than creating them, and unlinks rather than disabling them: a
//! leaver keeps a working account there unless the operator configures otherwise (question 12).

use std::time::Duration;

use super::{
    Dialect, Letters, Offering, OnDelete, OnDisable, OnExisting, Protected, Rule, Text, Visibility, path, paths,
    standard,
};

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;

pub(super) fn dialect() -> Dialect {
    // Row "Validation" and question 14: exactly the support article's table, ASCII letters, spaces refused.
    let name = |text: &str| {
        Rule::Text(Text {
            path: path(text),
            min: 1,
            max: Some(45),
            letters: Letters::Ascii,
            also: ":()-,.'".into(),
            spaces: false,
        })
    };
    let user_name = Rule::Text(Text {
        path: path("userName"),
        min: 6,
        max: Some(50),
        letters: Letters::Ascii,
        also: ":()_@-,.".into(),
        spaces: false,
    });
    Dialect {
        name: "vonage-business".into(),
        title: "Vonage Business".into(),
        // Row "SCIM base path" knows none; contract §4 sets it.
        scim_base: "scim/v2".into(),
        oauth: true,
        secret_tokens: None,
        oauth_alias: None,
        // Question 25: the vendor's 7 days would end every paused connection.
        refresh_idle: Duration::from_hours(90 * 24),
        access_ttl: Duration::from_hours(1),
        // Question 12: who was never linked is hidden, and a POST links (row "Create / match"; question 11: 201).
        visibility: Visibility::Managed,
        on_existing: OnExisting::Link,
        // Rows "active:false" and "DELETE": unlink, the account stays alive.
        on_disable: OnDisable::Unlink,
        on_delete: OnDelete::Unlink,
        revives: false,
        // Row "Default active".
        default_active: true,
        // Row "Rate limits": undocumented for SCIM.
        default_limits: None,
        // Row "Groups": none.
        groups: false,
        // Row "Attributes (exact)": these five, everything else dropped.
        offering: Offering::listed(&paths(&["userName", "active", WORK_EMAIL, "name.givenName", "name.familyName"])),
        // Row "Required".
        required: paths(&["userName", "name.givenName", "name.familyName", WORK_EMAIL]),
        copied: Vec::new(),
        rules: vec![user_name, name("name.givenName"), name("name.familyName")],
        aliases: Vec::new(),
        // Question 13: the vendor's role codes of Account Administrators and Super Users; a tenant may name others.
        protected: Some(Protected { attribute: path("roles"), values: vec!["AA".into(), "SU".into()] }),
        // Row "Locked in portal": the whole profile.
        locked: paths(&["userName", "active", WORK_EMAIL, "name.givenName", "name.familyName"]),
        ..standard::dialect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cases::{changes, creates, parse, with};
    use super::*;
    use crate::scim::resource::Resource;

    fn ada() -> Resource {
        parse(&json!({
            "userName": "ada@example.com", "active": true, "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"type": "work", "value": "ada@example.com"}],
        }))
    }

    #[test]
    fn creates_are_judged_whole() {
        const NAME: &str = "1-45 letters, digits or : ( ) - , . '";
        const USER: &str = "6-50 letters, digits or : ( ) _ @ - , .";
        let rows = [
            ("{}", "", ""),
            (r#"{"userName": "A:(b)_c@d-e,f.9"}"#, "", ""),
            (r#"{"userName": "abcde"}"#, "userName", "too short; 6-50"),
            (r#"{"userName": "abcdef"}"#, "", ""),
            (r#"{"userName": "a123456789a123456789a123456789a123456789a123456789"}"#, "", ""),
            (r#"{"userName": "a123456789a123456789a123456789a123456789a123456789b"}"#, "userName", "too long; 6-50"),
            (r#"{"userName": "ada b@example.com"}"#, "userName", "spaces are not allowed"),
            (r#"{"userName": "ada+x@example.com"}"#, "userName", "the character + is not allowed"),
            (r#"{"userName": "o'neil@example.com"}"#, "userName", USER),
            (r#"{"userName": "ada_x.example#EXT#@t.onmicrosoft.com"}"#, "userName", "a guest's user principal name"),
            (r#"{"userName": "ada\nx@example.com"}"#, "userName", "line breaks"),
            (r#"{"userName": "ada\u0007x@example.com"}"#, "userName", "control characters"),
            (r#"{"name.givenName": "Mary Ann"}"#, "name.givenName", NAME),
            (r#"{"name.givenName": "Mary Ann"}"#, "name.givenName", "StripSpaces([givenName])"),
            (r#"{"name.familyName": "O'Neil-Smith, Jr."}"#, "name.familyName", "spaces are not allowed"),
            (r#"{"name.familyName": "O'Neil-Smith,Jr.(3):4"}"#, "", ""),
            (r#"{"name.familyName": "a_b"}"#, "name.familyName", "the character _ is not allowed"),
            (r#"{"name.familyName": "a@b"}"#, "name.familyName", "the character @ is not allowed"),
            (r#"{"name.familyName": "Čapek"}"#, "name.familyName", "NormalizeDiacritics([surname])"),
            (r#"{"name.familyName": "C\u030capek"}"#, "name.familyName", "NormalizeDiacritics([surname])"),
            (r#"{"name.familyName": "Ada\u2603"}"#, "name.familyName", "symbols"),
            (r#"{"name.familyName": "a123456789a123456789a123456789a123456789abcde"}"#, "", ""),
            (r#"{"name.familyName": "a123456789a123456789a123456789a123456789abcdef"}"#, "name.familyName", "too long"),
            (r#"{"name.familyName": null}"#, "name.familyName", "requires a value"),
            (r#"{"emails[type eq \"work\"].value": null}"#, WORK_EMAIL, "Coalesce([mail], [userPrincipalName])"),
        ];
        creates(&dialect(), &ada(), &rows);
    }

    #[test]
    fn changes_are_judged_where_they_differ() {
        let held = with(&ada(), r#"{"name.givenName": "Mary Ann"}"#);
        let rows = [
            (r#"{"active": false}"#, "", ""),
            (r#"{"name.familyName": "van der Berg"}"#, "name.familyName", "spaces"),
            (r#"{"name.givenName": "Mary Jane"}"#, "name.givenName", "spaces"),
            (r#"{"name.givenName": null}"#, "name.givenName", "requires"),
            (r#"{"userName": "mary@example.com"}"#, "", ""),
        ];
        changes(&dialect(), &held, &rows);
    }

    #[test]
    fn five_attributes_and_no_more() {
        let sent = with(&ada(), r#"{"externalId": "7", "title": "T", "phoneNumbers[type eq \"work\"].value": "1"}"#);
        let accepted = dialect().accept(None, sent);
        assert_eq!(accepted.dropped, ["externalId", "title", "phoneNumbers"]);
        assert_eq!(accepted.resource, ada());
    }

    #[test]
    fn a_link_is_judged_whole_and_leaves_the_rest_alone() {
        let held = parse(&json!({
            "userName": "ADA@example.com", "active": false, "name": {"givenName": "A", "formatted": "A. Byron"},
            "emails": [{"type": "home", "value": "a@home.example"}, {"type": "work", "value": "old@example.com"}],
            "title": "Analyst",
        }));
        let linked = dialect().accept_over(&held, with(&ada(), r#"{"active": null}"#));
        assert_eq!(linked.violations, []);
        let expected = json!({
            "userName": "ada@example.com", "active": true,
            "name": {"givenName": "Ada", "formatted": "A. Byron", "familyName": "Lovelace"},
            "emails": [{"type": "home", "value": "a@home.example"}, {"type": "work", "value": "ada@example.com"}],
            "title": "Analyst",
        });
        assert_eq!(linked.resource, parse(&expected));
        let wrong = dialect().accept_over(&held, with(&ada(), r#"{"name.givenName": "Mary Ann"}"#));
        assert_eq!(wrong.violations.len(), 1);
    }

    #[test]
    fn unicode_letters_and_spaces_are_a_switch_away() {
        let mut dialect = dialect();
        for rule in &mut dialect.rules {
            if let Rule::Text(text) = rule {
                (text.letters, text.spaces) = (Letters::Unicode, true);
            }
        }
        let rows = [
            (r#"{"name.familyName": "van der Čapek"}"#, "", ""),
            // 45 letters, each of them two characters.
            (
                r#"{"name.familyName": "a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301a\u0301"}"#,
                "",
                "",
            ),
            (r#"{"name.familyName": "a#b"}"#, "name.familyName", "1-45 letters, digits, spaces or"),
        ];
        creates(&dialect, &ada(), &rows);
    }
}
