//! Bulk requests of RFC 7644 §3.7 and the circles that clients draw.

use serde_json::{Value, json};

use super::*;

fn bulk(operations: &Value) -> Bulk {
    Bulk::parse(json!({ "Operations": operations }).to_string().as_bytes(), &Limits::default()).unwrap()
}

fn post(bulk_id: &str, path: &str, data: &Value) -> Value {
    json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data})
}

fn group_of(bulk_id: &str, members: &[&str]) -> Value {
    let members: Vec<_> =
        members.iter().map(|name| json!({"value": format!("bulkId:{name}"), "type": "User"})).collect();
    post(bulk_id, "/Groups", &json!({"displayName": bulk_id, "members": members}))
}

#[test]
fn the_order_is_as_sent_but_for_references() {
    use Step::{Begin, Complete, Whole};
    let user = |name| post(name, "/Users", &json!({"userName": name}));
    for (operations, steps) in [
        (json!([user("a"), group_of("g", &["a"])]), vec![Whole(0), Whole(1)]),
        (json!([group_of("g", &["a"]), user("a"), user("b")]), vec![Whole(1), Whole(2), Whole(0)]),
        (
            json!([{"method": "patch", "path": "/Groups/bulkId:g", "data": {}}, user("a"), group_of("g", &["a"])]),
            vec![Whole(1), Whole(2), Whole(0)],
        ),
        // A circle, and a group in itself.
        (json!([group_of("a", &["b"]), group_of("b", &["a"])]), vec![Begin(0), Whole(1), Complete(0)]),
        (json!([group_of("a", &["a"])]), vec![Begin(0), Complete(0)]),
        (
            json!([
                {"method": "DELETE", "path": "/Users/bulkId:a"},
                group_of("a", &["b", "u"]),
                group_of("b", &["c"]),
                group_of("c", &["a"]),
                user("u"),
            ]),
            vec![Whole(4), Begin(1), Whole(0), Whole(3), Whole(2), Complete(1)],
        ),
        // Nobody waits for what nobody creates.
        (json!([group_of("g", &["nobody"]), user("a")]), vec![Whole(0), Whole(1)]),
    ] {
        assert_eq!(order(&bulk(&operations)), steps, "{operations}");
    }
}

#[test]
fn references_become_ids() {
    let mut ids = Ids::default();
    ids.insert("a", "u1");
    ids.insert("g", "g 9");
    let enterprise = crate::scim::schema::ENTERPRISE;
    let operations = json!([
        post("x", "/Groups", &json!({"members": [{"value": "bulkId:a", "$ref": "../Users/bulkId:a"}, "bulkId:g"], "displayName": "not bulkId:a"})),
        post("y", "/Users", &json!({enterprise: {"manager": {"value": "bulkId:a"}}})),
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": {"Operations": [
            {"op": "remove", "path": "members[value eq \"bulkId:a\"]"}, {"op": "add", "path": "manager", "value": "bulkId:a"}]}},
    ]);
    let resolved: Vec<_> = bulk(&operations)
        .operations
        .into_iter()
        .map(|operation| {
            let Operation::Sound(mut operation) = operation else { panic!("{operation:?}") };
            operation.resolve(&ids).unwrap();
            (operation.path, operation.data)
        })
        .collect();
    assert_eq!(
        resolved[0].1,
        json!({"members": [{"value": "u1", "$ref": "../Users/u1"}, "g 9"], "displayName": "not bulkId:a"})
    );
    assert_eq!(resolved[1].1, json!({enterprise: {"manager": {"value": "u1"}}}));
    assert_eq!(resolved[2].0, "/Groups/g 9");
    assert_eq!(resolved[2].1["Operations"][0]["path"], "members[value eq \"u1\"]");
    assert_eq!(resolved[2].1["Operations"][1]["value"], "u1");
    let error = resolve(&mut json!({"members": [{"value": "bulkId:nobody"}]}), &ids).unwrap_err();
    assert_eq!(error.status, 409);
    assert!(error.detail.contains("bulkId:nobody"), "{}", error.detail);
}

#[test]
fn what_closes_a_circle_is_held_back() {
    let enterprise = crate::scim::schema::ENTERPRISE;
    let mut ids = Ids::default();
    ids.insert("a", "u1");
    let mut data = json!({
        "displayName": "x",
        "members": [{"value": "bulkId:a"}, {"value": "bulkId:b"}],
        enterprise: {"department": "d", "manager": {"value": "bulkId:b"}},
    });
    let rest = hold_back(&mut data, &ids).unwrap();
    assert_eq!(data, json!({"displayName": "x", "members": [{"value": "bulkId:a"}], enterprise: {"department": "d"}}));
    assert_eq!(
        rest["Operations"],
        json!([
            {"op": "add", "path": "members", "value": [{"value": "bulkId:b"}]},
            {"op": "add", "value": {enterprise: {"manager": {"value": "bulkId:b"}}}},
        ])
    );
    assert_eq!(hold_back(&mut data, &ids), None);
}

#[test]
fn targets_are_read_from_paths() {
    let target = |method: &str, path: &str| {
        let operation = json!([{"method": method, "path": path, "data": {}}]);
        match bulk(&operation).operations.remove(0) {
            Operation::Sound(operation) => operation.target().map_err(|error| error.detail),
            Operation::Malformed { error, .. } => Err(error.detail),
        }
    };
    let is = |kind, id: Option<&str>| Ok(Target { kind, id: id.map(str::to_owned) });
    assert_eq!(target("POST", "/Users"), is(ResourceType::User, None));
    assert_eq!(target("post", "groups/"), is(ResourceType::Group, None));
    assert_eq!(target("PUT", "/Groups/g%201"), is(ResourceType::Group, Some("g 1")));
    assert_eq!(target("DELETE", "https://x/scim/v2/Users/7"), is(ResourceType::User, Some("7")));
    assert_eq!(target("PATCH", "/Users/Groups"), is(ResourceType::User, Some("Groups")));
    for (method, path, says) in [
        ("POST", "/Users/7", "goes to /Users"),
        ("PUT", "/Users", "needs its id"),
        ("DELETE", "/Bulk", "leads to no resource"),
        ("GET", "/Users/7", "use POST, PUT, PATCH or DELETE"),
        ("PUT", "/Users/%FF", "UTF-8"),
    ] {
        assert!(target(method, path).unwrap_err().contains(says), "{method} {path}");
    }
}

#[test]
fn what_is_wrong_is_told_in_its_place() {
    let read = |body: &Value| Bulk::parse(body.to_string().as_bytes(), &Limits { operations: 2, payload: 1000 });
    let mixed =
        read(&json!({"failOnErrors": "1", "Operations": [7, {"method": "POST", "bulkId": "a", "path": "/Users"}]}));
    let mixed = mixed.unwrap();
    assert_eq!(mixed.fail_on_errors, Some(1));
    let [Operation::Malformed { .. }, Operation::Malformed { method: Some(Method::Post), bulk_id: Some(name), error }] =
        &mixed.operations[..]
    else {
        panic!("{mixed:?}")
    };
    assert_eq!(name, "a");
    assert!(error.detail.contains("operation 2: data is null"), "{}", error.detail);
    for (body, status, says) in [
        (json!({}), 400, "Operations is missing"),
        (json!({"Operations": []}), 400, "Operations is missing or empty"),
        (json!({"Operations": 7}), 400, "Operations is a number"),
        (json!({"failOnErrors": -1, "Operations": [{}]}), 400, "failOnErrors"),
        (json!({"Operations": [{}, {}, {}]}), 413, "maxOperations"),
        (json!({"Operations": ["x".repeat(1000)]}), 413, "maxPayloadSize"),
        (json!({"Operations": [{"bulkId": "a"}, {"bulkId": "a"}]}), 400, "given twice"),
    ] {
        let error = read(&body).unwrap_err();
        assert_eq!(error.status, status, "{body}");
        assert!(error.detail.contains(says), "{body}: {}", error.detail);
    }
    let operations = vec![json!({"method": "DELETE", "path": "/Users/1", "version": "W/\"1\"", "bulkId": ""})];
    let [Operation::Sound(delete)] = &bulk(&json!(operations)).operations[..] else { panic!("{operations:?}") };
    assert_eq!((delete.version.as_deref(), delete.bulk_id.as_deref()), (Some("W/\"1\""), None));
}

#[test]
fn the_answer_has_the_form_of_the_rfc() {
    let outcome = |status, location: Option<&str>, response| Outcome {
        method: Some(Method::Post),
        bulk_id: Some("q".into()),
        location: location.map(str::to_owned),
        version: location.map(|_| "W/\"1\"".into()),
        status,
        response,
    };
    let answer = response(vec![
        outcome(201, Some("https://x/Users/1"), None),
        outcome(400, None, Some(json!({"status": "400"}))),
    ]);
    assert_eq!(
        answer,
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
            "Operations": [
                {"location": "https://x/Users/1", "method": "POST", "bulkId": "q", "version": "W/\"1\"", "status": "201"},
                {"method": "POST", "bulkId": "q", "status": "400", "response": {"status": "400"}},
            ],
        })
    );
}
