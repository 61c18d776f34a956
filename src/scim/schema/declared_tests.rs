//! Declared attributes through everything that reads, changes and shows a resource.
//!
//! The declarations belong to the process: each test has URNs of its own, and the core schemas are added to only here.

use serde_json::{Value, json};

use super::*;
use crate::scim::command::{Projection, Query};
use crate::scim::error::ScimError;
use crate::scim::filter::{Filter, Subject};
use crate::scim::patch;
use crate::scim::path::AttrPath;
use crate::scim::resource::{Meta, Resource};

const META: Meta<'_> = Meta { id: "1", location: "https://x/1", created: None, modified: None, version: None };
const ACME: &str = "urn:example:acme:2.0:User";

fn with(name: &str, kind: Kind, change: impl FnOnce(&mut DeclaredAttribute)) -> DeclaredAttribute {
    let mut attribute = DeclaredAttribute::new(name, kind);
    change(&mut attribute);
    attribute
}

fn schema_of(urn: &str, attributes: Vec<DeclaredAttribute>) -> Declared {
    Declared {
        urn: urn.to_owned(),
        name: "Acme".to_owned(),
        description: String::new(),
        extends: ResourceType::User,
        attributes,
    }
}

/// Declares one of everything, as an extension and added to both core schemas.
fn acme() -> Selection {
    let attributes = vec![
        with("badge", Kind::String, |it| (it.case_exact, it.uniqueness) = (true, Uniqueness::Server)),
        with("level", Kind::Integer, |_| {}),
        with("rate", Kind::Decimal, |_| {}),
        with("since", Kind::DateTime, |_| {}),
        with("photo", Kind::Binary, |_| {}),
        with("remote", Kind::Boolean, |_| {}),
        with("tags", Kind::String, |it| it.multi_valued = true),
        with("grades", Kind::Integer, |it| it.multi_valued = true),
        with("born", Kind::String, |it| it.mutability = Mutability::Immutable),
        with("score", Kind::Integer, |it| it.mutability = Mutability::ReadOnly),
        with("pin", Kind::String, |it| (it.mutability, it.returned) = (Mutability::WriteOnly, Returned::Never)),
        with("notes", Kind::String, |it| it.returned = Returned::Request),
        with("region", Kind::String, |it| it.returned = Returned::Always),
        with("seat", Kind::Complex, |it| {
            it.sub_attributes = vec![
                with("building", Kind::String, |it| (it.mutability, it.required) = (Mutability::Immutable, true)),
                with("room", Kind::String, |_| {}),
                with("code", Kind::String, |it| {
                    (it.mutability, it.returned) = (Mutability::WriteOnly, Returned::Never);
                }),
                with("floor", Kind::Integer, |it| it.returned = Returned::Always),
                with("desk", Kind::String, |it| it.returned = Returned::Request),
            ];
        }),
        with("cars", Kind::Complex, |it| {
            it.multi_valued = true;
            it.sub_attributes = vec![
                with("value", Kind::String, |_| {}),
                with("plate", Kind::String, |it| it.mutability = Mutability::Immutable),
                with("primary", Kind::Boolean, |_| {}),
            ];
        }),
    ];
    let purpose = with("purpose", Kind::String, |_| {});
    let nick = with("callSign", Kind::String, |it| it.required = true);
    declare(vec![
        schema_of(ACME, attributes),
        schema_of(&USER.to_uppercase(), vec![nick]),
        schema_of(GROUP, vec![purpose]),
    ])
    .unwrap();
    Selection::new(vec![ACME.to_uppercase(), USER.to_owned(), GROUP.to_owned()])
}

fn person(acme: &Value) -> Resource {
    parse(acme).unwrap()
}

fn parse(acme: &Value) -> Result<Resource, ScimError> {
    let body = json!({"userName": "ada", ACME: acme}).to_string();
    let parsed = Resource::parse(ResourceType::User, body.as_bytes())?;
    assert!(parsed.dropped.is_empty(), "{:?}", parsed.dropped);
    Ok(parsed.resource)
}

fn patched(before: &Resource, operation: &Value) -> Result<Value, String> {
    let body = json!({"Operations": [operation]}).to_string();
    let applied = patch::apply(ResourceType::User, before, &patch::parse(body.as_bytes()).unwrap());
    match applied.refused.first() {
        Some(refused) => {
            assert_eq!(&applied.after, before, "{operation}");
            Err(refused.error.scim_type.map_or("", |it| it.as_str()).to_owned())
        }
        None => Ok(applied.after.into_map().get(ACME).cloned().unwrap_or_default()),
    }
}

#[test]
fn values_take_the_declared_type() {
    acme();
    let whole = json!({
        "BADGE": "b7", "level": "7", "rate": "1.5", "since": "2026-01-31T08:00:00Z", "photo": "aGk=", "remote": "True",
        "tags": ["x", {"value": "y"}, "x", null, ""], "grades": [1, "2"], "score": 9, "cars": {"value": "c", "plate": "P"},
    });
    assert_eq!(
        Value::Object(person(&whole).into_map())[ACME],
        json!({
            "badge": "b7", "level": 7, "rate": 1.5, "since": "2026-01-31T08:00:00Z", "photo": "aGk=", "remote": true,
            "tags": ["x", "y"], "grades": [1, 2], "cars": [{"value": "c", "plate": "P"}],
        })
    );
    assert_eq!(
        Value::Object(person(&json!({"tags": "x", "level": 7.0})).into_map())[ACME],
        json!({"tags": ["x"], "level": 7})
    );
    for (wrong, says) in [
        (json!({"level": 7.5}), "level is a number; send a whole number"),
        (json!({"level": "seven"}), "send a whole number"),
        (json!({"rate": true}), "send a number"),
        (json!({"since": "yesterday"}), "no point in time"),
        (json!({"photo": "a b*"}), "not base64"),
        (json!({"badge": 7}), "send text"),
        (json!({"tags": [[1]]}), "tags (entry 1)"),
        (json!({"seat": 7}), "send an object"),
    ] {
        let error = parse(&wrong).unwrap_err();
        assert!(error.detail.contains(says) && error.detail.contains(ACME), "{wrong}: {}", error.detail);
    }
}

#[test]
fn changes_obey_the_declared_mutability() {
    acme();
    let before = person(&json!({
        "born": "1815", "tags": ["x", "y"], "seat": {"building": "A", "room": "1"}, "cars": [{"value": "c", "plate": "P"}],
    }));
    let path = |name: &str| format!("{ACME}:{name}");
    for (operation, pointer, outcome) in [
        (json!({"op": "add", "path": path("tags"), "value": ["y", "z"]}), "/tags", Ok(json!(["x", "y", "z"]))),
        (json!({"op": "remove", "path": path("tags"), "value": ["X"]}), "/tags", Ok(json!(["y"]))),
        (json!({"op": "remove", "path": path("tags[value eq \"x\"]")}), "/tags", Ok(json!(["y"]))),
        (json!({"op": "remove", "path": path("tags"), "value": [{"value": "x"}, "y"]}), "/tags", Ok(json!(null))),
        (json!({"op": "replace", "path": path("tags[value eq \"x\"]"), "value": "w"}), "/tags", Ok(json!(["w", "y"]))),
        (
            json!({"op": "replace", "path": path("tags[value eq \"q\"]"), "value": "w"}),
            "/tags",
            Ok(json!(["x", "y", "w"])),
        ),
        (json!({"op": "replace", "path": path("tags"), "value": "w"}), "/tags", Ok(json!(["w"]))),
        (json!({"op": "replace", "path": path("level"), "value": "8"}), "/level", Ok(json!(8))),
        (json!({"op": "replace", "path": path("born"), "value": "1815"}), "/born", Ok(json!("1815"))),
        (json!({"op": "replace", "path": path("born"), "value": "1816"}), "", Err("mutability".to_owned())),
        (json!({"op": "remove", "path": path("born")}), "", Err("mutability".to_owned())),
        (json!({"op": "replace", "value": {ACME: {"born": null}}}), "", Err("mutability".to_owned())),
        (json!({"op": "replace", "path": path("score"), "value": 1}), "", Err("mutability".to_owned())),
        (json!({"op": "replace", "value": {ACME: {"score": 1}}}), "/score", Ok(json!(null))),
        (json!({"op": "replace", "path": path("seat.room"), "value": "2"}), "/seat/room", Ok(json!("2"))),
        (json!({"op": "replace", "path": path("seat.building"), "value": "B"}), "", Err("mutability".to_owned())),
        (json!({"op": "remove", "path": path("seat")}), "", Err("mutability".to_owned())),
        (json!({"op": "replace", "path": path("seat"), "value": {"building": "B"}}), "", Err("mutability".to_owned())),
        (
            json!({"op": "replace", "path": path("cars[value eq \"c\"].plate"), "value": "Q"}),
            "",
            Err("mutability".to_owned()),
        ),
        (
            json!({"op": "add", "path": path("cars[value eq \"d\"].plate"), "value": "Q"}),
            "/cars/1/plate",
            Ok(json!("Q")),
        ),
        (json!({"op": "remove", "path": path("cars[value eq \"c\"]")}), "/cars", Ok(json!(null))),
    ] {
        let after = patched(&before, &operation);
        let after = after.map(|after| after.pointer(pointer).cloned().unwrap_or_default());
        assert_eq!(after, outcome, "{operation}");
    }
    let mut kept = person(&json!({"seat": {"room": "2"}}));
    kept.keep_immutable(ResourceType::User, &before).unwrap();
    assert_eq!(Value::Object(kept.into_map())[ACME], json!({"seat": {"room": "2", "building": "A"}, "born": "1815"}));
    for changed in [json!({"born": "1816"}), json!({"seat": {"building": "B"}})] {
        let error = person(&changed).keep_immutable(ResourceType::User, &before).unwrap_err();
        assert!(error.detail.contains("immutable"), "{changed}");
    }
}

#[test]
fn answers_obey_the_declared_returned() {
    acme();
    let person = person(&json!({
        "badge": "b", "pin": "0000", "notes": "n", "region": "r",
        "seat": {"building": "A", "room": "1", "code": "c", "floor": 3, "desk": "d"},
    }));
    for (query, shown) in [
        ("", json!({"badge": "b", "region": "r", "seat": {"building": "A", "room": "1", "floor": 3}})),
        ("attributes=userName", json!({"region": "r"})),
        (&format!("attributes={ACME}:notes"), json!({"notes": "n", "region": "r"})),
        (&format!("attributes={ACME}:pin"), json!({"region": "r"})),
        (&format!("attributes={ACME}:seat.room"), json!({"region": "r", "seat": {"room": "1", "floor": 3}})),
        (&format!("attributes={ACME}:seat.desk"), json!({"region": "r", "seat": {"floor": 3, "desk": "d"}})),
        (&format!("attributes={ACME}:seat.code"), json!({"region": "r", "seat": {"floor": 3}})),
        (
            &format!("excludedAttributes={ACME}:region,{ACME}:badge"),
            json!({"region": "r", "seat": {"building": "A", "room": "1", "floor": 3}}),
        ),
        (
            &format!("excludedAttributes={ACME}:seat.floor,{ACME}:seat.room,{ACME}:badge"),
            json!({"region": "r", "seat": {"building": "A", "floor": 3}}),
        ),
        (&format!("excludedAttributes={ACME}"), json!({"region": "r"})),
    ] {
        let projection = Query::parse(query).unwrap().projection;
        let answer = person.render(ResourceType::User, META, &projection);
        assert_eq!(answer[ACME], shown, "{query}");
        assert_eq!(answer["schemas"], json!([USER, ACME]));
    }
}

#[test]
fn filters_and_sorting_know_declared_attributes() {
    acme();
    let person = person(&json!({"badge": "b7", "level": 7, "tags": ["x", "y"], "since": "2026-01-31T08:00:00Z"}));
    let subject = Subject { kind: ResourceType::User, resource: &person, meta: META };
    for (filter, holds) in [
        (format!("{ACME}:badge eq \"b7\""), true),
        (format!("{ACME}:badge eq \"B7\""), false),
        (format!("{ACME}:level gt 6"), true),
        (format!("{}:LEVEL eq 7", ACME.to_uppercase()), true),
        (format!("{ACME}:tags eq \"Y\""), true),
        (format!("{ACME}:tags[value sw \"x\"]"), true),
        (format!("{ACME}:tags pr and not ({ACME}:tags co \"z\")"), true),
        (format!("{ACME}:since lt \"2026-02-01T00:00:00Z\""), true),
        (format!("schemas eq \"{ACME}\""), true),
        ("callSign pr".to_owned(), false),
    ] {
        let filter = Filter::parse(&filter).unwrap();
        assert_eq!(filter.matches(&subject), holds, "{filter}");
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }
    for (filter, says) in [
        (format!("{ACME}:bage eq \"x\""), "did you mean badge?"),
        (format!("{ACME}:pin eq \"0000\""), "never told"),
        (format!("{ACME}:seat.code eq \"c\""), "never told"),
        (format!("{ACME}:seat eq \"c\""), "compare one of its parts: building"),
    ] {
        let error = Filter::parse(&filter).unwrap_err();
        assert!(error.detail.contains(says), "{filter}: {}", error.detail);
    }
}

#[test]
fn a_tenant_takes_and_shows_what_it_lists() {
    let all = acme();
    let none = Selection::default();
    let body = json!({"userName": "ada", "callSign": "A", ACME: {"badge": "b"}}).to_string();
    let sent = Resource::parse(ResourceType::User, body.as_bytes()).unwrap().resource;
    let mut dropped = Vec::new();
    assert_eq!(all.sift(ResourceType::User, None, sent.clone(), &mut dropped), sent);
    assert!(dropped.is_empty());
    let sifted = none.sift(ResourceType::User, None, sent.clone(), &mut dropped);
    assert_eq!(Value::Object(sifted.into_map()), json!({"userName": "ada"}));
    assert_eq!(dropped, ["callSign", ACME]);
    // What was there stays, since who cannot see it cannot mean it.
    let other = Resource::parse(ResourceType::User, br#"{"userName": "ada", "title": "T"}"#).unwrap().resource;
    let after = none.sift(ResourceType::User, Some(&sent), other, &mut Vec::new()).into_map();
    assert_eq!((after.len(), &after["callSign"]), (4, &json!("A")));
    let mut shown = sent.clone();
    none.narrow(ResourceType::User, &mut shown);
    assert_eq!(shown.as_map().len(), 1);
    // The other type has none of it.
    let group = Resource::parse(ResourceType::Group, body.as_bytes()).unwrap();
    assert_eq!(group.dropped, ["userName", "callSign", ACME]);
    assert_eq!(sent.check_required(ResourceType::User, &all), Ok(()));
    let unnamed = Resource::parse(ResourceType::User, br#"{"userName": "ada"}"#).unwrap().resource;
    assert!(unnamed.check_required(ResourceType::User, &all).unwrap_err().detail.contains("callSign is required"));
    assert_eq!(unnamed.check_required(ResourceType::User, &none), Ok(()));
    let seat = person(&json!({"seat": {"room": "1"}}));
    assert!(
        seat.check_required(ResourceType::User, &Selection::new(vec![ACME.to_owned()]))
            .unwrap_err()
            .detail
            .contains("seat.building")
    );
    assert_eq!(
        sent.unique_values(ResourceType::User),
        [(AttrPath::parse(&format!("{ACME}:badge")).unwrap(), "b".to_owned())]
    );
    let offer = Offer { kinds: &ResourceType::ALL, declared: &all, attributes: &|path| path == "userName" };
    let documents = schemas("https://x", &offer);
    let names: Vec<_> =
        documents["Resources"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(names, [USER, ACME, GROUP]);
    assert_eq!(documents["Resources"][0]["attributes"][1]["name"], "callSign");
    let types = resource_types("https://x", &offer);
    assert_eq!(types["Resources"][0]["schemaExtensions"], json!([{"schema": ACME, "required": false}]));
    assert_eq!(types["Resources"][1]["endpoint"], "/Groups");
    let projection = Projection::default();
    let shown = group.resource.render(ResourceType::Group, META, &projection);
    assert_eq!(
        shown,
        json!({"schemas": [GROUP], "id": "1", "meta": {"resourceType": "Group", "location": "https://x/1"}})
    );
}

#[test]
fn wrong_declarations_say_what_is_wrong() {
    let text = || DeclaredAttribute::new("badge", Kind::String);
    let one = |urn: &str, attribute| vec![schema_of(urn, vec![attribute])];
    let urn = "urn:example:wrong:2.0:User";
    for (declared, says) in [
        (vec![schema_of(urn, vec![text()]), schema_of(&urn.to_uppercase(), vec![text()])], "declared twice"),
        (vec![schema_of(urn, vec![])], "has no attributes"),
        (
            vec![schema_of(urn, vec![text(), DeclaredAttribute::new("BADGE", Kind::String)])],
            "attribute BADGE: is declared twice",
        ),
        (one("acme", text()), "is no URN"),
        (one("urn:a b:c", text()), "is no URN"),
        (one(ENTERPRISE, text()), "the standard's own"),
        (one("urn:ietf:params:scim:schemas:core:2.0:Device", text()), "the standard's own"),
        (one(PATCH_OP, text()), "of a message"),
        (one(USER, DeclaredAttribute::new("username", Kind::String)), "shadows the standard attribute of a User"),
        (one(USER, DeclaredAttribute::new("members", Kind::String)), "shadows the standard attribute of a Group"),
        (one(GROUP, DeclaredAttribute::new("id", Kind::String)), "that every resource has"),
        (one(USER, DeclaredAttribute::new("manager", Kind::String)), "enterprise extension"),
        (one(urn, DeclaredAttribute::new("bad name", Kind::String)), "is no name"),
        (one(urn, DeclaredAttribute::new("7up", Kind::String)), "is no name"),
        (one(urn, DeclaredAttribute::new("seat", Kind::Complex)), "has no parts"),
        (one(urn, with("seat", Kind::String, |it| it.sub_attributes = vec![text()])), "must be complex"),
        (one(urn, with("pin", Kind::String, |it| it.mutability = Mutability::WriteOnly)), "returned = \"never\""),
        (one(urn, with("on", Kind::Boolean, |it| it.uniqueness = Uniqueness::Server)), "cannot be unique"),
        (one(urn, with("n", Kind::Integer, |it| it.canonical_values = vec!["1".into()])), "is no text"),
        (one(urn, with("s", Kind::String, |it| it.reference_types = vec!["User".into()])), "is no reference"),
        (
            vec![schema_of(USER, vec![text()]), schema_of(GROUP, vec![DeclaredAttribute::new("badge", Kind::Integer)])],
            "declare both alike",
        ),
    ] {
        let error = check(&declared).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    // Declaring the same again is no news; a new definition replaces the old, and the old can be put back.
    let urn = "urn:example:again:2.0:User";
    let declared = || one(urn, text());
    declare(declared()).unwrap();
    let first = extension(urn).unwrap();
    declare(declared()).unwrap();
    assert!(std::ptr::eq(first, extension(urn).unwrap()));
    let before = declare(one(urn, DeclaredAttribute::new("badge", Kind::Integer))).unwrap();
    assert_eq!(extension(urn).unwrap().attributes[0].kind, Kind::Integer);
    before.restore();
    assert!(std::ptr::eq(first, extension(urn).unwrap()));
}
