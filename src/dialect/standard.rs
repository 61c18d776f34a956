//! `standard`: plain SCIM 2.0 (RFC 7643, RFC 7644) for identity providers and systems that want no vendor's manners.

use std::time::Duration;

use super::{Dialect, Errors, Offering, OnDelete, OnDisable, OnExisting, SecretForm, SecretTokens, Visibility, paths};

pub(super) fn dialect() -> Dialect {
    Dialect {
        name: "standard".into(),
        title: "This system".into(),
        scim_base: "scim/v2".into(),
        scim_alias: None,
        oauth: true,
        secret_tokens: Some(SecretTokens { form: SecretForm::Prefixed, single: false }),
        oauth_alias: None,
        // A quarter without provisioning is a holiday season and a quarantine, not yet the end of a connection.
        refresh_idle: Duration::from_hours(90 * 24),
        access_ttl: Duration::from_hours(1),
        visibility: Visibility::Everyone,
        on_existing: OnExisting::Conflict,
        on_disable: OnDisable::Disable,
        on_delete: OnDelete::Delete,
        revives: false,
        default_active: true,
        // Contract §4: unlimited unless configured.
        default_limits: None,
        groups: true,
        offering: Offering::Everything,
        // RFC 7643 §4.1.1: userName is the one required attribute.
        required: paths(&["userName"]),
        copied: Vec::new(),
        rules: Vec::new(),
        aliases: Vec::new(),
        on_create: Vec::new(),
        protected: None,
        locked: Vec::new(),
        locked_actions: Vec::new(),
        errors: Errors::plain(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cases::{changes, creates, parse};
    use super::*;

    #[test]
    fn the_table() {
        let ada = parse(&json!({"userName": "ada", "active": true}));
        let rows = [
            ("{}", "", ""),
            (r#"{"userName": null}"#, "userName", "requires a value"),
            (r#"{"name.givenName": "Mary Ann", "phoneNumbers[type eq \"fax\"].value": "1 2"}"#, "", ""),
        ];
        creates(&dialect(), &ada, &rows);
        changes(&dialect(), &ada, &rows);
    }

    #[test]
    fn nothing_is_dropped() {
        let whole = parse(&json!({
            "userName": "ada", "active": true, "nickName": "a", "emails": [{"value": "a@b.example", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "7"},
        }));
        let accepted = dialect().accept(None, whole.clone());
        assert_eq!((accepted.resource, accepted.dropped), (whole, Vec::new()));
    }
}
