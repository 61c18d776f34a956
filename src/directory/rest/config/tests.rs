use serde_json::json;

use super::*;

fn valid() -> Draft {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let field = |field: &str, kind: Option<&str>| Attribute {
        field: field.into(),
        kind: kind.map(Into::into),
        ..Attribute::default()
    };
    Draft {
        url: "https://hr.example.com/api".into(),
        operations: text(&[
            ("read", "GET /users/{id}"),
            ("create", "POST /users"),
            ("update", "PATCH /users/{id}"),
            ("delete", "DELETE /users/{id}"),
            ("list", "GET /users?offset={offset}&limit={limit}"),
        ]),
        find: text(&[("userName", "GET /users?username={value}")]),
        attributes: vec![
            ("userName".into(), field("username", None)),
            ("active".into(), field("enabled", Some("boolean"))),
        ],
        ..Draft::default()
    }
}

#[test]
fn a_declaration_is_taken_in() {
    let config = Config::new(valid()).unwrap();
    assert_eq!(config.base.prefix(), "/api");
    assert!(matches!(config.change, Change::Update(_)));
    assert!(config.token.is_none());
    let config = Config::new(Draft { token: Some(Secret::new("")), ..valid() }).unwrap();
    assert!(config.token.is_none(), "an empty token is none");
}

/// How a test spoils a valid declaration.
type Spoil = fn(&mut Draft);

#[test]
fn every_mistake_is_named_with_its_key_and_its_cure() {
    let cases: &[(Spoil, &str)] = &[
        (
            |d| d.url = "hr.example.com".into(),
            "url: is not an address such as https://hr.example.com/api: relative URL without a base",
        ),
        (
            |d| d.token = Some(Secret::new("a b")),
            "token: holds a blank, a line end or a letter beyond ASCII; a bearer token has none",
        ),
        (|d| d.timeout = Duration::ZERO, "timeout: must be between 1ms and 300s"),
        (|d| d.max_in_flight = 0, "max_in_flight: must be between 1 and 1024"),
        (|d| d.page_size = 0, "page_size: must be between 1 and 10000"),
        (|d| d.items = "items".into(), "items: is a JSON Pointer (RFC 6901): write \"/items\""),
        (|d| d.key = String::new(), "key: name the member of a person that holds its immutable key, such as \"id\""),
        (|d| d.removal = "zap".into(), "removal: \"zap\" is none of \"null\", \"empty\", \"replace\""),
        (|d| d.removal = "replace".into(), "operations.replace: is missing: removal = \"replace\" needs it"),
        (
            |d| d.operations.retain(|(name, _)| name != "read"),
            "operations.read: is missing: write one such as read = \"GET /users/{id}\"",
        ),
        (
            |d| d.operations.retain(|(name, _)| name != "update"),
            "operations.update: write update = \"PATCH /users/{id}\" or replace = \"PUT /users/{id}\"",
        ),
        (
            |d| d.operations.push(("remove".into(), "DELETE /".into())),
            "operations.remove: there are read, create, update, replace, delete, list and after",
        ),
        (|d| d.operations[0].1 = "GET /users".into(), "operations.read: {id} must stand in the path or after ?"),
        (|d| d.operations[0].1 = "POST /users/{id}".into(), "operations.read: must be a GET: it may be repeated"),
        (|d| d.operations[1].1 = "GET /users".into(), "operations.create: must not be a GET: it changes something"),
        (
            |d| d.operations[2].1 = "GET /users/{id}".into(),
            "operations.update: must not be a GET: it changes something",
        ),
        (|d| d.find.clear(), "find.userName: is missing: write one such as userName = \"GET /users?username={value}\""),
        (
            |d| d.find.push(("title".into(), "GET /users?title={value}".into())),
            "find.title: is not among the attributes, so its answers could not be checked",
        ),
        (
            |d| drop(d.attributes.remove(1)),
            "attributes.active: must be mapped: nobody can be found or disabled without it",
        ),
        (
            |d| d.attributes[1].1.kind = None,
            "attributes.active: active is a boolean: write { field = \"…\", kind = \"boolean\" }",
        ),
        (
            |d| d.attributes[0].1.kind = Some("txt".into()),
            "attributes.userName: kind \"txt\" is none of \"text\", \"boolean\", \"number\"",
        ),
        (
            |d| d.attributes[0].1.default = Some(json!(5)),
            "attributes.userName: the default of \"username\" must be a text",
        ),
        (
            |d| d.attributes[0].1.field = "id".into(),
            "attributes.userName: \"id\" is the key of a person: the directory gives it, no attribute maps to it",
        ),
        (
            |d| d.attributes[1].1.field = "username".into(),
            "attributes: \"username\" is mapped to both userName and active",
        ),
        (
            |d| d.constants.push(("username".into(), json!("x"))),
            "attributes: \"username\" is both a constant and mapped to userName",
        ),
    ];
    for (spoil, expected) in cases {
        let mut draft = valid();
        spoil(&mut draft);
        let mistakes = Config::new(draft).expect_err(expected);
        assert!(mistakes.iter().any(|mistake| mistake.to_string() == *expected), "{expected} among {mistakes:?}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let mistakes = Config::new(Draft { removal: "zap".into(), ..Draft::default() }).unwrap_err();
    let keys: Vec<String> = mistakes.iter().map(|mistake| mistake.at.join(".")).collect();
    let expected = [
        "url",
        "removal",
        "operations.read",
        "operations.create",
        "operations.delete",
        "operations.list",
        "operations.update",
        "find.userName",
        "attributes.userName",
        "attributes.active",
    ];
    assert_eq!(keys, expected);
}
