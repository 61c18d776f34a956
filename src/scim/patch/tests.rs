//! PATCH as identity providers send it: a person before, operations, the person after.

use serde_json::{Value, json};

use super::*;
use crate::scim::resource::{Resource, ResourceType};
use crate::scim::schema::ENTERPRISE;

fn person(body: &Value) -> Resource {
    Resource::parse(ResourceType::User, body.to_string().as_bytes()).unwrap().resource
}

fn applied(before: &Value, operations: &Value) -> Applied {
    let body = json!({"schemas": [schema::PATCH_OP], "Operations": operations}).to_string();
    apply(ResourceType::User, &person(before), &parse(body.as_bytes()).unwrap())
}

/// Applies the operations, which must all succeed.
fn patched(before: &Value, operations: &Value) -> Value {
    let applied = applied(before, operations);
    assert_eq!((applied.refused, applied.dropped), (vec![], vec![]), "{operations}");
    Value::Object(applied.after.into_map())
}

/// The details of what was refused; nothing else may have changed.
fn refusals(before: &Value, operations: &Value) -> Vec<(&'static str, String)> {
    let applied = applied(before, operations);
    assert_eq!(applied.after, person(before), "{operations}");
    let keyword = |error: &ScimError| error.scim_type.map_or("", super::super::error::ScimType::as_str);
    applied.refused.into_iter().map(|refused| (keyword(&refused.error), refused.error.detail)).collect()
}

#[test]
fn one_operation_each() {
    let ada = json!({
        "userName": "ada", "active": true, "title": "Countess", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "w@x", "primary": true}, {"type": "home", "value": "h@x"}],
        "roles": [{"primary": true, "value": "user"}],
        ENTERPRISE: {"department": "Engines", "manager": {"value": "m1", "$ref": "../Users/m1"}},
    });
    let department = format!("{ENTERPRISE}:department");
    let manager = format!("{ENTERPRISE}:manager");
    let manager_value = format!("{ENTERPRISE}:manager.value");
    let role = r#"{"id":"06","value":"Admin","displayName":"Admin"}"#;
    // (operation, what of the person differs afterwards: pointer and value, null for gone)
    for (operation, pointer, value) in [
        (json!({"op": "Replace", "path": "active", "value": "False"}), "/active", json!(false)),
        (json!({"op": "replace", "path": "active", "value": false}), "/active", json!(false)),
        (json!({"op": "ADD", "path": "Active", "value": "false"}), "/active", json!(false)),
        (json!({"OP": "replace", "Value": {"active": false}}), "/active", json!(false)),
        (json!({"op": "Add", "path": "nickName", "value": "Babs"}), "/nickName", json!("Babs")),
        (json!({"op": "replace", "path": "", "value": {"userName": "x"}}), "/userName", json!("x")),
        (
            json!({"op": "replace", "value": {"externalId": "y", "id": "i", "meta": {}, "groups": [], "schemas": []}}),
            "/externalId",
            json!("y"),
        ),
        (json!({"op": "replace", "value": {"name.givenName": "Augusta"}}), "/name/givenName", json!("Augusta")),
        (json!({"op": "replace", "value": {"name": {"GivenName": "Augusta"}}}), "/name/givenName", json!("Augusta")),
        (
            json!({"op": "replace", "path": "name", "value": {"givenName": "", "familyName": "Lovelace"}}),
            "/name/givenName",
            json!(null),
        ),
        (json!({"op": "replace", "path": "name.givenName", "value": null}), "/name/givenName", json!(null)),
        (json!({"op": "replace", "path": "title", "value": ""}), "/title", json!(null)),
        (json!({"op": "replace", "path": "title", "value": null}), "/title", json!(null)),
        (json!({"op": "Remove", "path": "TITLE"}), "/title", json!(null)),
        (
            json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@x"}),
            "/emails/0/value",
            json!("n@x"),
        ),
        (
            json!({"op": "Replace", "path": "Emails[Type EQ \"WORK\"].Value", "value": "n@x"}),
            "/emails/0/value",
            json!("n@x"),
        ),
        (json!({"op": "replace", "value": {"emails[type eq \"work\"].value": "n@x"}}), "/emails/0/value", json!("n@x")),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "n@x"}}),
            "/emails/1",
            json!({"value": "n@x", "type": "home"}),
        ),
        (
            json!({"op": "add", "path": "emails[type eq \"home\"]", "value": {"display": "H"}}),
            "/emails/1",
            json!({"type": "home", "value": "h@x", "display": "H"}),
        ),
        (json!({"op": "replace", "path": "emails.value", "value": "n@x"}), "/emails/0/value", json!("n@x")),
        (
            json!({"op": "add", "path": "emails", "value": [{"type": "work", "value": "w@x"}, {"value": "h@x"}]}),
            "",
            json!(null),
        ),
        (
            json!({"op": "add", "path": "emails", "value": {"type": "other", "value": "o@x"}}),
            "/emails/2",
            json!({"type": "other", "value": "o@x"}),
        ),
        (
            json!({"op": "replace", "path": "emails", "value": [{"type": "work", "value": "n@x"}]}),
            "/emails",
            json!([{"type": "work", "value": "n@x"}]),
        ),
        (json!({"op": "replace", "path": "emails", "value": []}), "/emails", json!(null)),
        (json!({"op": "remove", "path": "emails[type eq \"home\"]"}), "/emails/1", json!(null)),
        (json!({"op": "remove", "path": "emails[type eq \"home\"].value"}), "/emails/1", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": [{"value": "H@x"}]}), "/emails/1", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": [{"type": "home"}]}), "/emails/1", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": "h@x"}), "/emails/1", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": []}), "", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": [{}]}), "", json!(null)),
        (json!({"op": "Remove", "path": "emails", "value": [{"value": "h@x", "type": "work"}]}), "", json!(null)),
        (json!({"op": "Remove", "path": "emails"}), "/emails", json!(null)),
        (json!({"op": "Remove", "path": "phoneNumbers[type eq \"fax\"].value"}), "", json!(null)),
        (json!({"op": "Remove", "path": "nickName", "value": "x"}), "", json!(null)),
        (json!({"op": "Replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": ""}), "", json!(null)),
        (
            json!({"op": "Replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": "1"}),
            "/phoneNumbers",
            json!([{"type": "fax", "value": "1"}]),
        ),
        (
            json!({"op": "Add", "path": "addresses[type eq \"work\"].Formatted", "value": "1 St"}),
            "/addresses",
            json!([{"type": "work", "formatted": "1 St"}]),
        ),
        (json!({"op": "Add", "path": "phoneNumbers[type eq \"fax\"].primary", "value": true}), "", json!(null)),
        (
            json!({"op": "Replace", "path": "roles[primary eq \"True\"].value", "value": role}),
            "/roles/0/value",
            json!(role),
        ),
        (json!({"op": "add", "path": "roles", "value": [{"value": role}]}), "/roles/1", json!({"value": role})),
        (json!({"op": "add", "path": "roles", "value": role}), "/roles/1", json!({"value": role})),
        (
            json!({"op": "replace", "path": "roles", "value": [{"primary": "False", "value": role}]}),
            "/roles",
            json!([{"primary": false, "value": role}]),
        ),
        (json!({"op": "replace", "path": department, "value": "D"}), &format!("/{ENTERPRISE}/department"), json!("D")),
        (
            json!({"op": "replace", "value": {department.clone(): "D"}}),
            &format!("/{ENTERPRISE}/department"),
            json!("D"),
        ),
        (
            json!({"op": "replace", "value": {ENTERPRISE: {"Department": "D"}}}),
            &format!("/{ENTERPRISE}/department"),
            json!("D"),
        ),
        (
            json!({"op": "replace", "path": ENTERPRISE, "value": {"department": "D"}}),
            &format!("/{ENTERPRISE}/department"),
            json!("D"),
        ),
        (json!({"op": "replace", "value": {schema::USER: {"title": "T"}}}), "/title", json!("T")),
        (json!({"op": "replace", "value": {ENTERPRISE: null}}), &format!("/{ENTERPRISE}"), json!(null)),
        (json!({"op": "remove", "path": ENTERPRISE}), &format!("/{ENTERPRISE}"), json!(null)),
        (
            json!({"op": "Add", "path": manager, "value": "m2"}),
            &format!("/{ENTERPRISE}/manager"),
            json!({"value": "m2"}),
        ),
        (
            json!({"op": "Add", "path": "manager", "value": [{"$ref": "../Users/m2", "value": "m2"}]}),
            &format!("/{ENTERPRISE}/manager"),
            json!({"$ref": "../Users/m2", "value": "m2"}),
        ),
        (
            json!({"op": "Replace", "path": manager, "value": {"value": "m2", "displayName": "readOnly"}}),
            &format!("/{ENTERPRISE}/manager"),
            json!({"value": "m2"}),
        ),
        (
            json!({"op": "Replace", "path": manager_value, "value": "m2"}),
            &format!("/{ENTERPRISE}/manager"),
            json!({"value": "m2"}),
        ),
        (json!({"op": "Replace", "path": manager_value, "value": "m1"}), "", json!(null)),
        (json!({"op": "Remove", "path": "manager"}), &format!("/{ENTERPRISE}/manager"), json!(null)),
        (json!({"op": "Replace", "path": "manager", "value": ""}), &format!("/{ENTERPRISE}/manager"), json!(null)),
        (
            json!({"op": "Replace", "path": "manager", "value": {"value": ""}}),
            &format!("/{ENTERPRISE}/manager"),
            json!(null),
        ),
        (json!({"op": "Replace", "path": "manager", "value": []}), &format!("/{ENTERPRISE}/manager"), json!(null)),
        (json!({"op": "Remove", "path": "manager.value"}), &format!("/{ENTERPRISE}/manager"), json!(null)),
        (json!({"op": "add", "path": "name", "value": {}}), "", json!(null)),
    ] {
        let before = Value::Object(person(&ada).into_map());
        let after = patched(&ada, &json!([operation]));
        assert_eq!(
            after.pointer(pointer).unwrap_or(&Value::Null),
            if pointer.is_empty() { &before } else { &value },
            "{operation}"
        );
        // Nothing else has changed.
        let top = pointer.split('/').nth(1).unwrap_or_default();
        for (name, held) in before.as_object().unwrap().iter().filter(|(name, _)| *name != top) {
            assert_eq!(after.get(name), Some(held), "{operation}: {name}");
        }
    }
}

#[test]
fn both_flavours_of_entra_end_alike() {
    let before = json!({"userName": "ada", "active": true});
    let legacy = json!([
        {"op": "Replace", "path": "displayName", "value": "Ada"},
        {"op": "Add", "path": "name.givenName", "value": "Ada"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "a@example.com"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", "value": "7"},
    ]);
    let flagged = json!([
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@example.com"},
        {"op": "replace", "value": {"displayName": "Ada", "name.givenName": "Ada",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber": "7"}},
    ]);
    assert_eq!(patched(&before, &legacy), patched(&before, &flagged));
}

#[test]
fn operations_on_parts_of_a_missing_entry_make_one_entry() {
    let parts = ["primary", "country", "region", "locality", "postalCode", "streetAddress", "formatted"];
    let operations: Vec<_> = parts
        .iter()
        .map(|part| {
            let value = if *part == "primary" { json!("True") } else { json!(part.to_uppercase()) };
            json!({"op": "Add", "path": format!("addresses[type eq \"work\"].{part}"), "value": value})
        })
        .collect();
    let after = patched(&json!({"userName": "ada"}), &json!(operations));
    assert_eq!(after["addresses"].as_array().map(Vec::len), Some(1));
    assert_eq!(after["addresses"][0].as_object().map(serde_json::Map::len), Some(8));
}

#[test]
fn only_one_entry_is_primary() {
    let before = json!({"userName": "a", "emails": [{"type": "work", "value": "w", "primary": true}, {"type": "home", "value": "h"}]});
    for operation in [
        json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True"}),
        json!({"op": "add", "path": "emails", "value": [{"value": "h", "primary": true}]}),
        json!({"op": "add", "path": "emails", "value": [{"value": "new", "primary": true}]}),
        json!({"op": "replace", "path": "emails[type eq \"other\"]", "value": {"value": "o", "primary": true}}),
    ] {
        let after = patched(&before, &json!([operation]));
        let primary: Vec<_> =
            after["emails"].as_array().unwrap().iter().filter(|entry| entry["primary"] == json!(true)).collect();
        assert_eq!(primary.len(), 1, "{operation}");
        assert_ne!(primary[0]["value"], json!("w"), "{operation}");
    }
}

#[test]
fn members_are_added_and_removed_by_value() {
    let group = Resource::from_map(
        json!({"displayName": "Sales", "members": [{"value": "u1"}, {"value": "U1"}, {"value": "u2", "type": "User"}]})
            .as_object()
            .unwrap()
            .clone(),
    );
    for (operation, left) in [
        (json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "u1"}]}), vec!["U1", "u2"]),
        (json!({"op": "Remove", "path": "members", "value": [{"value": "u9"}]}), vec!["u1", "U1", "u2"]),
        (json!({"op": "Remove", "path": "members", "value": []}), vec!["u1", "U1", "u2"]),
        (json!({"op": "remove", "path": "members[value eq \"u2\"]"}), vec!["u1", "U1"]),
        (
            json!({"op": "Add", "path": "members", "value": [{"$ref": null, "value": "u2"}, {"value": "u3"}]}),
            vec!["u1", "U1", "u2", "u3"],
        ),
        (json!({"op": "replace", "path": "members", "value": [{"value": "u4"}]}), vec!["u4"]),
        (json!({"op": "replace", "value": {"id": "g", "displayName": "Sales"}}), vec!["u1", "U1", "u2"]),
    ] {
        let operations = parse(json!({"Operations": [operation]}).to_string().as_bytes()).unwrap();
        let applied = apply(ResourceType::Group, &group, &operations);
        assert!(applied.refused.is_empty());
        let members: Vec<_> = applied.after.as_map()["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["value"].as_str().unwrap())
            .collect();
        assert_eq!(members, left, "{operation}");
    }
}

#[test]
fn a_disable_is_seen_beside_what_is_refused_or_unknown() {
    let before = json!({"userName": "ada", "active": true, "title": "T"});
    for disable in [
        json!({"op": "Replace", "path": "active", "value": "False"}),
        json!({"op": "replace", "value": {"userName": 5, "active": false}}),
        json!({"op": "replace", "value": {ENTERPRISE: 5, "active": false}}),
    ] {
        let applied = applied(
            &before,
            &json!([
                {"op": "replace", "path": "emails[type eq \"work\"", "value": "x"},
                {"op": "replace", "path": "shoes[size eq 9].value", "value": "x"},
                {"op": "merge", "path": "title", "value": "x"},
                {"op": "add", "path": "emails[colour eq \"red\"].value", "value": "x"},
                {"op": "add", "path": "members", "value": [{"value": "u1"}]},
                disable,
            ]),
        );
        assert!(applied.disables);
        assert_eq!(applied.after.active(), Some(false));
        assert_eq!(applied.after.as_map().get("title"), Some(&json!("T")));
        assert!(applied.refused.len() >= 2);
        assert_eq!(applied.dropped, ["shoes[size eq 9].value", "emails[colour eq \"red\"].value", "members"]);
    }
    let enable = json!([{"op": "replace", "path": "active", "value": false}, {"op": "replace", "path": "active", "value": "true"}]);
    assert!(!applied(&before, &enable).disables);
    assert!(
        !applied(&json!({"userName": "a", "active": false}), &json!([{"op": "add", "path": "title", "value": "x"}]))
            .disables
    );
}

#[test]
fn what_cannot_be_applied_says_which_operation_and_why() {
    let before = json!({"userName": "ada", "title": "T", "emails": [{"type": "work", "value": "w"}]});
    for (operation, keyword, says) in [
        (json!({"op": "replace", "path": "id", "value": "x"}), "mutability", "operation 2: id is readOnly"),
        (json!({"op": "add", "path": "meta.created", "value": "x"}), "mutability", "meta.created is readOnly"),
        (json!({"op": "remove", "path": "groups"}), "mutability", "groups is readOnly"),
        (json!({"op": "add", "path": "manager.displayName", "value": "x"}), "mutability", "readOnly"),
        (json!({"op": "remove"}), "noTarget", "operation 2: a remove needs a path"),
        (json!({"op": "remove", "path": "userName"}), "invalidValue", "userName is required"),
        (json!({"op": "replace", "path": "userName", "value": ""}), "invalidValue", "userName is required"),
        (json!({"op": "replace", "value": {"userName": null}}), "invalidValue", "userName is required"),
        (json!({"op": "replace", "path": "title"}), "invalidValue", "value is missing for title"),
        (json!({"op": "replace", "path": "title", "value": 7}), "invalidValue", "title is a number"),
        (json!({"op": "replace", "path": "title", "value": ["x"]}), "invalidValue", "title is a list"),
        (json!({"op": "replace", "path": "active", "value": "off"}), "invalidValue", "active is text"),
        (json!({"op": "replace", "path": "name", "value": "Ada"}), "invalidValue", "name is text"),
        (json!({"op": "replace", "path": "emails", "value": 7}), "invalidValue", "emails is a number"),
        (
            json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": {}}),
            "invalidValue",
            "emails.value is an object",
        ),
        (
            json!({"op": "add", "path": "emails[type eq \"a\" or type eq \"b\"].value", "value": "x"}),
            "noTarget",
            "selects no entry",
        ),
        (json!({"op": "add", "path": "emails[type eq \"\"].value", "value": "x"}), "noTarget", "selects no entry"),
        (json!({"op": "add", "path": "title[value eq \"x\"]", "value": "x"}), "invalidPath", "title is no list"),
        (json!({"op": "add", "path": "emails[type eq work].value", "value": "x"}), "invalidPath", "character 16"),
        (json!({"op": "add", "path": 7, "value": "x"}), "invalidPath", "path is a number"),
        (json!({"op": "add", "value": "x"}), "invalidValue", "without a path"),
        (json!({"op": "add", "value": [{"title": "x"}]}), "invalidValue", "without a path"),
        (json!({"op": "merge", "path": "title", "value": "x"}), "invalidSyntax", "op is \"merge\""),
        (json!({"path": "title", "value": "x"}), "invalidSyntax", "op is missing"),
        (json!({"op": 7, "path": "title", "value": "x"}), "invalidSyntax", "op is not text"),
        (json!("add"), "invalidSyntax", "operation 2: it is text"),
        (json!({"op": "replace", "path": ENTERPRISE, "value": "x"}), "invalidValue", "is text"),
        (json!({"op": "replace", "path": "title", "value": "a\u{0}"}), "invalidValue", "NUL"),
    ] {
        let refused = refusals(&before, &json!([{"op": "add", "path": "title", "value": "T"}, operation]));
        assert_eq!(refused.len(), 1, "{operation}");
        assert_eq!(refused[0].0, keyword, "{operation}");
        assert!(
            refused[0].1.starts_with("operation 2: ") && refused[0].1.contains(says),
            "{operation}: {}",
            refused[0].1
        );
    }
}

#[test]
fn what_is_told_of_a_refused_operation_holds_no_values() {
    let secret = "ada@secret.example";
    let applied = applied(
        &json!({"userName": "ada", "active": true}),
        &json!([
            {"op": "replace", "value": {format!("emails[value eq \"{secret}\"]"): 7}},
            {"op": secret, "path": "title", "value": secret},
            {"op": "replace", "path": format!("emails[value eq \"{secret}\"]["), "value": secret},
            {"op": "replace", "path": "active", "value": false},
        ]),
    );
    let told: Vec<_> = applied.refused.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["operation 1 (invalidValue)", "operation 2 (invalidSyntax)", "operation 3 (invalidPath)"]);
}

#[test]
fn bodies_that_are_no_patch_are_refused_whole() {
    let many = json!({"Operations": vec![json!({"op": "add", "path": "title", "value": "x"}); 1001]}).to_string();
    for (body, says) in [
        ("", "empty"),
        ("[]", "a list"),
        ("{}", "Operations is missing"),
        (r#"{"Operations": []}"#, "Operations is empty"),
        (r#"{"Operations": "x"}"#, "Operations is text"),
        ("{\"Operations\": [", "line 1"),
        (&many, "1001 Operations"),
    ] {
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.scim_type, Some(super::super::error::ScimType::InvalidSyntax));
        assert!(error.detail.contains(says), "{}", error.detail);
    }
    assert_eq!(parse(br#"{"operations": {"op": "add", "path": "title", "value": "x"}}"#).unwrap().len(), 1);
}

#[test]
fn a_list_keeps_its_bound() {
    let entries = |from: usize, count: usize| -> Value {
        (from..from + count).map(|n| json!({"value": format!("{n}")})).collect::<Vec<_>>().into()
    };
    let before = json!({"userName": "a", "roles": entries(0, 999)});
    assert!(
        refusals(&before, &json!([{"op": "add", "path": "roles", "value": entries(999, 2)}]))[0]
            .1
            .contains("more than 1000")
    );
    assert_eq!(
        patched(&before, &json!([{"op": "add", "path": "roles", "value": entries(0, 1000)}]))["roles"]
            .as_array()
            .map(Vec::len),
        Some(1000)
    );
}

#[test]
fn changes_do_not_print_values() {
    let operations = parse(br#"{"Operations": [{"op": "add", "path": "title", "value": "secret"}]}"#).unwrap();
    assert_eq!(format!("{operations:?}"), "[Change(1: Add title)]");
}

#[test]
fn a_group_has_its_own_attributes() {
    let group =
        Resource::parse(ResourceType::Group, br#"{"displayName": "Sales", "externalId": "e"}"#).unwrap().resource;
    let patched = |operation: &Value| {
        let body = json!({"Operations": [operation]}).to_string();
        apply(ResourceType::Group, &group, &parse(body.as_bytes()).unwrap())
    };
    for (operation, display, dropped) in [
        (json!({"op": "Replace", "path": "displayName", "value": "EMEA"}), "EMEA", ""),
        (json!({"op": "replace", "value": {"id": "g", "displayName": "EMEA"}}), "EMEA", ""),
        (
            json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:Group:displayName": "EMEA"}}),
            "EMEA",
            "",
        ),
        (json!({"op": "replace", "path": "userName", "value": "x"}), "Sales", "userName"),
        (json!({"op": "replace", "path": "manager", "value": "x"}), "Sales", &format!("{ENTERPRISE}:manager")),
        (
            json!({"op": "replace", "value": {ENTERPRISE: {"department": "D"}}}),
            "Sales",
            &format!("{ENTERPRISE}:department"),
        ),
    ] {
        let applied = patched(&operation);
        assert_eq!(applied.refused, vec![], "{operation}");
        assert_eq!(applied.after.as_map()["displayName"], display, "{operation}");
        assert_eq!(applied.dropped.join(" "), dropped, "{operation}");
    }
    let refused = patched(&json!({"op": "remove", "path": "displayName"})).refused;
    assert!(refused[0].error.detail.contains("displayName is required"));
}
