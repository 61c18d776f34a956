//! RingCentral (`reference/ringcentral.md`; rows and questions below are those of `reference/dialects.md`).

use std::num::NonZeroU32;
use std::time::Duration;

use super::{
    Dialect, Errors, Offering, OnDelete, OnDisable, OnExisting, Phone, Rule, Visibility, path, paths, standard,
};
use crate::limit::{Penalty, Policy, Quota};

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;

/// Row "Attributes (exact)", and the phone types of the API. Row "Dropped on purpose": displayName and manager since 2020;
/// photos are left out because no directory here has room for them.
const ATTRIBUTES: [&str; 16] = [
    "userName",
    "externalId",
    "active",
    "title",
    "name.givenName",
    "name.familyName",
    WORK_EMAIL,
    r#"addresses[type eq "work"].country"#,
    r#"addresses[type eq "work"].region"#,
    r#"addresses[type eq "work"].locality"#,
    r#"addresses[type eq "work"].postalCode"#,
    r#"addresses[type eq "work"].streetAddress"#,
    r#"phoneNumbers[type eq "mobile"].value"#,
    r#"phoneNumbers[type eq "work"].value"#,
    r#"phoneNumbers[type eq "other"].value"#,
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
];

pub(super) fn dialect() -> Dialect {
    Dialect {
        name: "ringcentral".into(),
        title: "RingCentral".into(),
        scim_base: "scim/v2".into(),
        // Row "SCIM base path": the unversioned twin.
        scim_alias: Some("scim".into()),
        oauth: true,
        // Static bearers were the door before 2021-03 only.
        secret_tokens: None,
        oauth_alias: Some("restapi/oauth".into()),
        // Question 25: 30 days idle, sliding; row "Token lifetimes": access 1 h.
        refresh_idle: Duration::from_hours(30 * 24),
        access_ttl: Duration::from_hours(1),
        // §2: an existing person is returned by the match query; a POST for one is 409.
        visibility: Visibility::Everyone,
        on_existing: OnExisting::Conflict,
        // Rows "active:false" (extension disabled, licence kept) and "DELETE" (extension unassigned, data gone).
        on_disable: OnDisable::Disable,
        on_delete: OnDelete::Delete,
        revives: false,
        // Row "Default active": false when omitted.
        default_active: false,
        // Questions 2 to 4: the seed's 300 reads and 1000 writes a minute, sliding; a penalty that retrying does not extend.
        default_limits: Some(Policy {
            read: Some(per_minute(300)),
            write: Some(per_minute(1000)),
            penalty: Penalty { duration: Duration::from_mins(1), extend: false },
            shadow: false,
        }),
        // Row "Groups": none.
        groups: false,
        offering: Offering::listed(&paths(&ATTRIBUTES)),
        // Row "Required".
        required: paths(&["userName", "name.givenName", "name.familyName", WORK_EMAIL]),
        // Question 9: a missing work e-mail is taken from userName.
        copied: vec![(path(WORK_EMAIL), path("userName"))],
        rules: vec![
            // ringcentral.md §2.2: userName is an e-mail address, the same as the work e-mail (row "Validation").
            Rule::Email(path("userName")),
            Rule::Same { path: path(WORK_EMAIL), other: path("userName") },
            // Row "Validation": mobile E.164. As sent, question 28's reason: rewriting makes identity providers write again.
            Rule::Phone { path: path(r#"phoneNumbers[type eq "mobile"].value"#), form: Phone::E164, strip: false },
            // Row "Validation": state valid, required for US, UK and CA; question 28: the country stays as sent.
            Rule::Region {
                region: path(r#"addresses[type eq "work"].region"#),
                country: path(r#"addresses[type eq "work"].country"#),
            },
        ],
        // Row "Filterable": userName and the flat name `email`.
        aliases: vec![("email".into(), path(WORK_EMAIL))],
        errors: Errors {
            // Question 5: SCIM's form with the code in it; the vendor's own is a switch away.
            throttle_code: Some("CMN-301".into()),
            throttle_envelope: false,
            // Question 27: the client reads SCIM paths, the log alone the downstream's.
            directory_words: false,
            fields: FIELDS.iter().map(|(name, text)| ((*name).to_owned(), path(text))).collect(),
            // Question 10.
            no_capacity: Some(
                "no unassigned extension is free; buy a licence, or free an extension, in the RingCentral admin portal, then \
                 let the person be provisioned again"
                    .into(),
            ),
            conflict: None,
        },
        ..standard::dialect()
    }
}

/// ringcentral.md §2.7: the extension API's fields, as its error texts name them (question 27).
const FIELDS: [(&str, &str); 13] = [
    ("contact.businessAddress.street", r#"addresses[type eq "work"].streetAddress"#),
    ("contact.businessAddress.city", r#"addresses[type eq "work"].locality"#),
    ("contact.businessAddress.state", r#"addresses[type eq "work"].region"#),
    ("contact.businessAddress.zip", r#"addresses[type eq "work"].postalCode"#),
    ("contact.businessAddress.country", r#"addresses[type eq "work"].country"#),
    ("contact.email", WORK_EMAIL),
    ("contact.firstName", "name.givenName"),
    ("contact.lastName", "name.familyName"),
    ("contact.jobTitle", "title"),
    ("contact.mobilePhone", r#"phoneNumbers[type eq "mobile"].value"#),
    ("contact.businessPhone", r#"phoneNumbers[type eq "work"].value"#),
    ("contact.department", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"),
    ("extensionNumber", r#"phoneNumbers[type eq "other"].value"#),
];

const fn per_minute(requests: u32) -> Quota {
    Quota {
        requests: NonZeroU32::new(requests).expect("the numbers in this file are not zero"),
        window: Duration::from_mins(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cases::{changes, creates, parse, with};
    use super::*;
    use crate::scim::filter::Filter;
    use crate::scim::resource::Resource;

    fn ada() -> Resource {
        parse(&json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@example.com", "active": true, "title": "Analyst",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"type": "work", "value": "ada@example.com"}],
            "addresses": [{"type": "work", "country": "US", "region": "CA", "locality": "Belmont"}],
            "phoneNumbers": [{"type": "mobile", "value": "+14155550100"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines"},
        }))
    }

    #[test]
    fn creates_are_judged_whole() {
        const REGION: &str = r#"addresses[type eq "work"].region"#;
        const MOBILE: &str = r#"phoneNumbers[type eq "mobile"].value"#;
        creates(
            &dialect(),
            &ada(),
            &[
                ("{}", "", ""),
                (r#"{"title": null, "externalId": "x1"}"#, "", ""),
                (
                    r#"{"name.givenName": null}"#,
                    "name.givenName",
                    "requires a value; in Entra, map it from, for example, [givenName]",
                ),
                (r#"{"name.familyName": "  "}"#, "name.familyName", "[surname]"),
                (r#"{"userName": null}"#, "userName", "requires a value"),
                (r#"{"emails[type eq \"work\"].value": null}"#, "", ""),
                (r#"{"emails[type eq \"work\"].value": "ADA@example.com"}"#, "", ""),
                (r#"{"emails[type eq \"work\"].value": "lovelace@example.com"}"#, WORK_EMAIL, "userName and emails"),
                (
                    r#"{"emails[type eq \"work\"].value": null, "emails[type eq \"home\"].value": "a@b.example"}"#,
                    WORK_EMAIL,
                    "requires a value",
                ),
                (
                    r#"{"userName": "lovelace", "emails[type eq \"work\"].value": null}"#,
                    "userName",
                    "wants an e-mail address",
                ),
                (r#"{"addresses[type eq \"work\"].region": "california"}"#, "", ""),
                (r#"{"addresses[type eq \"work\"].region": null}"#, REGION, "is missing"),
                (
                    r#"{"addresses[type eq \"work\"].region": "Bavaria"}"#,
                    REGION,
                    "not a state (such as California or CA)",
                ),
                (r#"{"addresses[type eq \"work\"].country": "Canada"}"#, REGION, "province"),
                (
                    r#"{"addresses[type eq \"work\"].country": "CA", "addresses[type eq \"work\"].region": "Québec"}"#,
                    "",
                    "",
                ),
                (
                    r#"{"addresses[type eq \"work\"].country": "United Kingdom", "addresses[type eq \"work\"].region": "Kent"}"#,
                    "",
                    "",
                ),
                (
                    r#"{"addresses[type eq \"work\"].country": "GB", "addresses[type eq \"work\"].region": null}"#,
                    REGION,
                    "county or region",
                ),
                (
                    r#"{"addresses[type eq \"work\"].country": "DE", "addresses[type eq \"work\"].region": null}"#,
                    "",
                    "",
                ),
                (r#"{"addresses[type eq \"work\"].country": null}"#, "", ""),
                (r#"{"phoneNumbers[type eq \"mobile\"].value": "+1 415 555 0100"}"#, MOBILE, "StripSpaces([mobile])"),
                (
                    r#"{"phoneNumbers[type eq \"mobile\"].value": "+1 (415) 555-0100"}"#,
                    MOBILE,
                    "StripSpaces(Replace([mobile], , \"[^+0-9 ]\", , \"\", , ))",
                ),
                (r#"{"phoneNumbers[type eq \"mobile\"].value": "415 555 0100"}"#, MOBILE, "correct the number"),
                (r#"{"phoneNumbers[type eq \"mobile\"].value": "+0155550100"}"#, MOBILE, "E.164"),
                (r#"{"phoneNumbers[type eq \"mobile\"].value": "+1415555010012345"}"#, MOBILE, "7-15 digits"),
                (r#"{"phoneNumbers[type eq \"other\"].value": "1234"}"#, "", ""),
            ],
        );
    }

    #[test]
    fn changes_are_judged_where_they_differ() {
        let (user_name, region) = ("userName", r#"addresses[type eq "work"].region"#);
        let rows = [
            ("{}", "", ""),
            (r#"{"userName": "lovelace@example.com"}"#, user_name, "change them in one request"),
            (r#"{"emails[type eq \"work\"].value": "lovelace@example.com"}"#, WORK_EMAIL, "change them in one request"),
            (r#"{"userName": "l@example.com", "emails[type eq \"work\"].value": "l@example.com"}"#, "", ""),
            (r#"{"userName": "l@example.com", "emails[type eq \"work\"].value": "m@example.com"}"#, user_name, "same"),
            (r#"{"userName": "ADA@EXAMPLE.COM"}"#, "", ""),
            (r#"{"userName": "lovelace", "emails[type eq \"work\"].value": "lovelace"}"#, user_name, "e-mail address"),
            (r#"{"emails[type eq \"work\"].value": null}"#, WORK_EMAIL, "requires"),
            (r#"{"name.givenName": null, "title": "Countess"}"#, "name.givenName", "requires"),
            (r#"{"addresses[type eq \"work\"].region": null}"#, region, "missing"),
            (
                r#"{"addresses[type eq \"work\"].country": "Canada"}"#,
                r#"addresses[type eq "work"].country"#,
                "province",
            ),
            (r#"{"addresses[type eq \"work\"].country": "GB", "addresses[type eq \"work\"].region": "Kent"}"#, "", ""),
        ];
        changes(&dialect(), &ada(), &rows);
    }

    #[test]
    fn what_was_wrong_before_is_not_in_the_way() {
        let held = with(
            &ada(),
            r#"{"userName": "ada", "phoneNumbers[type eq \"mobile\"].value": "415 555", "name.givenName": null,
                "addresses[type eq \"work\"].region": "Bavaria"}"#,
        );
        changes(&dialect(), &held, &[(r#"{"title": "Countess"}"#, "", ""), (r#"{"active": false}"#, "", "")]);
    }

    #[test]
    fn a_create_copies_the_address_and_starts_inactive() {
        let sent = with(&ada(), r#"{"active": null, "emails[type eq \"work\"].value": null}"#);
        let accepted = dialect().accept(None, sent);
        assert_eq!(accepted.resource.active(), Some(false));
        assert_eq!(accepted.resource.text(&path(WORK_EMAIL)), Some("ada@example.com"));
    }

    #[test]
    fn a_change_copies_nothing() {
        let held = with(&ada(), r#"{"userName": "ada", "emails[type eq \"work\"].value": null}"#);
        let accepted = dialect().accept(Some(&held), with(&held, r#"{"title": "Countess"}"#));
        assert_eq!(accepted.resource.get(&path(WORK_EMAIL)), None);
    }

    #[test]
    fn what_is_not_offered_is_dropped_by_name_and_left_in_the_directory() {
        let sent = parse(&json!({
            "userName": "ada@example.com", "displayName": "Ada L.", "nickName": "A",
            "name": {"givenName": "Ada", "familyName": "King", "formatted": "Ada King"},
            "emails": [{"type": "work", "value": "ada@example.com", "primary": true, "display": "Ada"},
                       {"type": "home", "value": "ada@home.example"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "D", "manager": {"value": "7"}},
        }));
        let held = parse(&json!({
            "userName": "ada@example.com", "active": true, "displayName": "Ada", "nickName": "A",
            "name": {"givenName": "Ada", "familyName": "Lovelace", "formatted": "Ada Lovelace"},
            "emails": [{"type": "other", "value": "a@other.example"}, {"type": "work", "value": "ada@example.com"}],
            "photos": [{"type": "photo", "value": "https://example.com/a.png"}],
        }));
        let created = dialect().accept(None, sent.clone());
        assert_eq!(
            created.dropped,
            [
                "displayName",
                "nickName",
                "name.formatted",
                r#"emails[type eq "work"].display"#,
                r#"emails[type eq "home"]"#,
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            ]
        );
        assert_eq!(created.resource.get(&path("displayName")), None);
        assert_eq!(created.resource.as_map()["emails"], json!([{"type": "work", "value": "ada@example.com"}]));

        let replaced = dialect().accept(Some(&held), sent);
        assert!(!replaced.dropped.contains(&"nickName".to_owned()), "it is as it was");
        assert_eq!(replaced.violations, []);
        let kept = replaced.resource.as_map();
        assert_eq!((&kept["displayName"], &kept["photos"]), (&held.as_map()["displayName"], &held.as_map()["photos"]));
        assert_eq!(kept["name"], json!({"givenName": "Ada", "familyName": "King", "formatted": "Ada Lovelace"}));
        assert_eq!(kept["emails"].as_array().map(Vec::len), Some(2));
        assert_eq!(replaced.resource.active(), Some(true), "a replace that leaves active out does not disable");

        let mut answer = held;
        dialect().shape(&mut answer);
        assert_eq!(
            answer,
            parse(&json!({
                "userName": "ada@example.com", "active": true,
                "name": {"givenName": "Ada", "familyName": "Lovelace"},
                "emails": [{"type": "work", "value": "ada@example.com"}],
            }))
        );
    }

    #[test]
    fn one_value_of_a_type_is_kept_and_checked() {
        let sent = parse(&json!({
            "userName": "ada@example.com", "name": {"givenName": "Ada", "familyName": "King"},
            "emails": [{"type": "work", "value": "ada@example.com"}, {"type": "WORK", "value": "b@example.com"}],
        }));
        let accepted = dialect().accept(None, sent);
        assert_eq!(accepted.resource.as_map()["emails"].as_array().map(Vec::len), Some(1));
        assert_eq!(accepted.violations.len(), 1);
        let untyped = with(&ada(), "{}").into_map();
        let mut untyped = Resource::from_map(untyped);
        untyped.remove(&path("emails"));
        let mut map = untyped.into_map();
        map.insert("emails".into(), json!([{"value": "ada@example.com"}]));
        let accepted = dialect().accept(None, Resource::from_map(map));
        assert_eq!(accepted.resource.text(&path(WORK_EMAIL)), Some("ada@example.com"));
    }

    #[test]
    fn email_is_a_name_for_the_work_address() {
        for (sent, meant) in [
            (r#"email eq "a@b.example""#, r#"emails[type eq "work"].value eq "a@b.example""#),
            (r#"not (EMAIL pr) and userName sw "a""#, r#"not (emails[type eq "work"].value pr) and userName sw "a""#),
            (r#"emails.value eq "a""#, r#"emails.value eq "a""#),
        ] {
            let sent = Filter::parse(sent).expect("a filter");
            assert_eq!(dialect().filter(sent), Filter::parse(meant));
        }
    }
}
