//! Playvox (`reference/playvox.md`; rows and questions below are those of `reference/dialects.md`).

use std::time::Duration;

use super::{
    Dialect, Offering, OnDelete, OnDisable, OnExisting, Rule, SecretForm, SecretTokens, Visibility, path, paths,
    standard,
};

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;

pub(super) fn dialect() -> Dialect {
    Dialect {
        name: "playvox".into(),
        title: "Playvox".into(),
        scim_base: "scim/v1".into(),
        oauth: false,
        // Question 20: base64 of `id:secret`, Bearer or Basic; several keys may live at once (row "Auth method").
        secret_tokens: Some(SecretTokens { form: SecretForm::Base64Pair, single: false }),
        oauth_alias: None,
        refresh_idle: Duration::from_hours(90 * 24),
        access_ttl: Duration::from_hours(1),
        // §2: existing people are returned, a POST for one is 409.
        visibility: Visibility::Everyone,
        on_existing: OnExisting::Conflict,
        // Rows "active:false" and "DELETE"; playvox.md §3: data kept, and a create after a delete revives the record.
        on_disable: OnDisable::Disable,
        on_delete: OnDelete::Deactivate,
        revives: true,
        default_active: true,
        // playvox.md §5: no limit unless configured.
        default_limits: None,
        // Row "Groups": none.
        groups: false,
        // Row "Attributes (exact)".
        offering: Offering::listed(&paths(&[
            "userName",
            "active",
            "displayName",
            WORK_EMAIL,
            "name.givenName",
            "name.familyName",
            "name.formatted",
            "externalId",
        ])),
        required: paths(&["userName"]),
        copied: Vec::new(),
        // playvox.md §2: emails[work] required unless userName is an e-mail.
        rules: vec![Rule::EmailSomewhere { path: path(WORK_EMAIL), other: path("userName") }],
        aliases: Vec::new(),
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
            "userName": "ada@example.com", "active": true, "displayName": "Ada Lovelace",
            "name": {"formatted": "Ada Lovelace", "givenName": "Ada"},
        }));
        let rows = [
            ("{}", "", ""),
            (r#"{"userName": null}"#, "userName", "requires a value"),
            (r#"{"userName": "ada", "emails[type eq \"work\"].value": "ada@example.com"}"#, "", ""),
            (r#"{"displayName": null, "name.formatted": null}"#, "", ""),
        ];
        creates(&dialect(), &ada, &rows);
        creates(&dialect(), &ada, &[(r#"{"userName": "ada"}"#, WORK_EMAIL, "or as userName")]);
        changes(&dialect(), &ada, &rows);
        changes(&dialect(), &ada, &[(r#"{"userName": "ada"}"#, "userName", "needs an e-mail address")]);
    }
}
