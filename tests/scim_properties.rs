//! Laws of the SCIM core over generated input, and a comparison with an independent parser of filters.

use portcullis::scim::command::{Projection, Query};
use portcullis::scim::filter::{Filter, Subject};
use portcullis::scim::patch;
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::{Meta, Resource, ResourceType};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const META: Meta<'_> =
    Meta { id: "u1", location: "https://scim.example.com/Users/u1", created: None, modified: None, version: None };

/// Text that a filter may look like, and text that it may not.
fn soup() -> impl Strategy<Value = String> {
    let token = select(vec![
        "userName",
        "emails",
        "name",
        ".",
        "givenName",
        "[",
        "]",
        "(",
        ")",
        "not",
        "NOT(",
        " ",
        "  ",
        "eq",
        "pr",
        "co",
        "gt",
        "and",
        "or",
        "\"",
        "\"work\"",
        "\\",
        "\\u0000",
        "true",
        "False",
        "null",
        "7",
        "-1e9",
        "type",
        "value",
        "$ref",
        ":",
        "urn:",
        ENTERPRISE,
        "é",
        "\u{0}",
        "%",
        "+",
        "members",
        "meta.created",
        "\"2020-01-01T00:00:00Z\"",
        "roles[primary",
    ]);
    prop_oneof![proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat()), any::<String>(),]
}

/// A comparison, or a presence, that is right.
fn term() -> impl Strategy<Value = String> {
    let text_path = select(vec![
        "userName",
        "USERNAME",
        "name.givenName",
        "emails.value",
        "emails",
        "emails.type",
        "externalId",
        "id",
        "title",
        "urn:ietf:params:scim:schemas:core:2.0:User:displayName",
        "members.value",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "meta.resourceType",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    ]);
    let operator = select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "Eq", "GE"]);
    let text = "[ -~é€]{0,12}".prop_map(|text| Value::String(text).to_string());
    prop_oneof![
        4 => (text_path.clone(), operator.clone(), text.clone()).prop_map(|(path, op, text)| format!("{path} {op} {text}")),
        1 => text_path.prop_map(|path| format!("{path} pr")),
        1 => select(vec!["active eq true", "active ne false", "active pr", "title eq null", "emails.primary eq true"])
            .prop_map(str::to_owned),
        1 => (operator.clone(), text.clone()).prop_map(|(op, text)| format!("emails[type eq \"work\" and value {op} {text}]")),
        1 => text.prop_map(|text| format!("addresses[not (country eq {text}) or type pr]")),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    term().prop_recursive(5, 40, 2, |inner| {
        let word = |words: Vec<&'static str>| select(words);
        prop_oneof![
            (inner.clone(), word(vec!["and", "AND"]), inner.clone()).prop_map(|(a, and, b)| format!("{a} {and} {b}")),
            (inner.clone(), word(vec!["or", "Or"]), inner.clone()).prop_map(|(a, or, b)| format!("{a} {or} {b}")),
            (word(vec!["not", "Not"]), inner.clone()).prop_map(|(not, a)| format!("{not} ({a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

/// JSON as it might come in the place of anything.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec!["", "a", "A", "work", "home", "True", "false", "x@example.com", "{\"a\":1}", "\u{0}", "é"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = select(vec![
            "userName",
            "active",
            "ACTIVE",
            "emails",
            "Value",
            "value",
            "type",
            "primary",
            "display",
            "name",
            "givenName",
            "name.familyName",
            "emails[type eq \"work\"].value",
            "manager",
            "$ref",
            ENTERPRISE,
            "department",
            "id",
            "meta",
            "groups",
            "schemas",
            "members",
            "roles",
            "shoe size",
            "addresses",
            "country",
            "op",
            "path",
            "externalId",
            "title",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn path() -> impl Strategy<Value = &'static str> {
    select(vec![
        "userName",
        "title",
        "active",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails[type eq \"home\"].primary",
        "emails[value eq \"a\"].display",
        "roles",
        "roles[primary eq \"True\"].value",
        "addresses[type eq \"work\"].country",
        "manager",
        "manager.value",
        ENTERPRISE,
        "emails[not (type pr)].value",
        "emails[type eq \"a\" or type eq \"b\"].value",
        "id",
        "shoes",
        "members",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "emails[",
        "externalId",
    ])
}

fn operation() -> impl Strategy<Value = Value> {
    let op = select(vec!["add", "Add", "replace", "Replace", "remove", "Remove"]);
    (op, proptest::option::weighted(0.8, path()), json_value())
        .prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}))
}

/// A person as some client might have sent them.
fn person() -> impl Strategy<Value = Resource> {
    let text = || proptest::option::of(select(vec!["a", "A", "x@example.com", "Zoë"]));
    let entry = (text(), proptest::option::of(select(vec!["work", "home"])))
        .prop_map(|(value, label)| json!({"value": value, "type": label}));
    let entries = || proptest::collection::vec(entry.clone(), 0..4);
    (text(), text(), proptest::option::of(any::<bool>()), entries(), entries(), any::<bool>()).prop_map(
        |(title, given, active, mut emails, roles, primary)| {
            if let (Some(first), true) = (emails.first_mut(), primary) {
                first["primary"] = json!("True");
            }
            let body = json!({
                "userName": "ada", "title": title, "active": active, "name": {"givenName": given, "familyName": title},
                "emails": emails, "roles": roles, ENTERPRISE: {"department": given, "manager": title},
            });
            Resource::parse(ResourceType::User, body.to_string().as_bytes())
                .expect("the generator makes right bodies")
                .resource
        },
    )
}

fn patched(before: &Resource, operations: &[Value]) -> patch::Applied {
    let body = json!({"Operations": operations}).to_string();
    patch::apply(ResourceType::User, before, &patch::parse(body.as_bytes()).expect("the operations are a list"))
}

/// A filter without regard to how equal connectives are grouped, which the oracle does not keep.
fn shape(filter: &Filter) -> String {
    fn alternatives<'f>(filter: &'f Filter, all: &mut Vec<&'f Filter>) {
        match filter {
            Filter::Or(left, right) => {
                alternatives(left, all);
                alternatives(right, all);
            }
            other => all.push(other),
        }
    }
    let joined =
        |parts: Vec<&Filter>, word: &str| format!("({})", parts.into_iter().map(shape).collect::<Vec<_>>().join(word));
    match filter {
        Filter::And(..) => joined(filter.conjuncts(), " and "),
        Filter::Or(..) => {
            let mut all = Vec::new();
            alternatives(filter, &mut all);
            joined(all, " or ")
        }
        Filter::Not(inner) => format!("not {}", shape(inner)),
        Filter::ValuePath { path, filter } => format!("{path}[{}]", shape(filter)),
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_parser_panic(text in soup()) {
        let _ = Query::parse(&text);
        let _ = Query::parse(&format!("filter={text}&attributes={text}"));
        let _ = Resource::parse(ResourceType::User, text.as_bytes());
        let _ = patch::parse(text.as_bytes());
        if let Ok(path) = AttrPath::parse(&text) {
            prop_assert_eq!(AttrPath::parse(&path.to_string()), Ok(path.clone()));
            prop_assert!(path.is(&path.to_string()));
        }
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }

    #[test]
    fn filters_print_as_what_they_are(text in filter()) {
        let parsed = Filter::parse(&text).unwrap();
        prop_assert_eq!(Filter::parse(&parsed.to_string()), Ok(parsed));
    }

    #[test]
    fn whoever_is_not_matched_is_matched_by_the_negation(text in filter(), person in person()) {
        let subject = Subject { kind: ResourceType::User, resource: &person, meta: META };
        let (filter, negation) = (Filter::parse(&text).unwrap(), Filter::parse(&format!("not({text})")).unwrap());
        prop_assert_ne!(filter.matches(&subject), negation.matches(&subject));
        prop_assert_eq!(filter.matches(&subject), filter.conjuncts().into_iter().all(|part| part.matches(&subject)));
    }

    /// What the oracle accepts we accept, as the same tree.
    #[test]
    fn the_oracle_reads_the_same(text in filter()) {
        let oracle = text.parse::<scim_v2::filter::Filter>();
        prop_assert!(oracle.is_ok(), "the generator makes filters that the oracle refuses: {}", text);
        let again = Filter::parse(&oracle.unwrap().to_string()).unwrap();
        prop_assert_eq!(shape(&again), shape(&Filter::parse(&text).unwrap()));
    }

    /// The same for text that may be wrong; beyond the oracle we know types and names.
    #[test]
    fn we_refuse_for_a_reason_what_the_oracle_accepts(text in filter(), at in any::<prop::sample::Index>(), with in "[ -~]{0,2}") {
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, with.chars());
        let text: String = text.into_iter().collect();
        if text.parse::<scim_v2::filter::Filter>().is_ok() && let Err(error) = Filter::parse(&text) {
            let reasons = [
                "is no attribute", "no order", "is boolean", "has parts", "with null", "point in time", "names a schema",
                "is missing beside", "multi-valued attribute", "multi-valued attribute", "one level of sub-attributes",
            ];
            prop_assert!(reasons.iter().any(|reason| error.detail.contains(reason)), "{}: {}", text, error);
        }
    }

    #[test]
    fn any_json_is_read_or_refused(value in json_value()) {
        let read = Resource::parse(ResourceType::User, value.to_string().as_bytes());
        prop_assert_eq!(read.is_ok() || read.is_err_and(|error| error.status == 400), true);
        let _ = patch::parse(value.to_string().as_bytes());
        let _ = Query::parse_search(value.to_string().as_bytes());
    }

    /// Whatever is patched in, the result is of the form that parsing gives: typed, without nulls and empties.
    #[test]
    fn a_patched_person_reads_back_the_same(person in person(), operations in proptest::collection::vec(operation(), 1..6)) {
        let applied = patched(&person, &operations);
        let rendered = applied.after.render(ResourceType::User, META, &Projection::default());
        let expected: Map<String, Value> = applied.after.clone().into_map();
        let read = Resource::parse(ResourceType::User, rendered.to_string().as_bytes()).unwrap();
        prop_assert_eq!(Value::Object(read.resource.into_map()), Value::Object(expected));
        for path in applied.after.paths() {
            prop_assert!(applied.after.get(&path).is_some(), "{}", path);
        }
        prop_assert!(!applied.disables || applied.after.active() == Some(false));
    }

    #[test]
    fn what_was_refused_changed_nothing(person in person(), operation in operation()) {
        let applied = patched(&person, std::slice::from_ref(&operation));
        if operation["path"].is_string() && !applied.refused.is_empty() && operation["path"] != ENTERPRISE {
            prop_assert_eq!(applied.after, person);
        }
    }

    #[test]
    fn doing_it_twice_is_doing_it_once(person in person(), operation in operation()) {
        // Changing what a filter selects by would make the second time another request.
        let selects_by = |part: &str| operation["path"].as_str().is_some_and(|path| path.contains(&format!("{part} eq")));
        let repeatable = operation["path"].is_string()
            && !selects_by("value")
            && operation["path"] != "emails[type eq \"work\"]";
        if !repeatable {
            return Ok(());
        }
        let once = patched(&person, std::slice::from_ref(&operation));
        let twice = patched(&once.after, std::slice::from_ref(&operation));
        prop_assert_eq!(Value::Object(once.after.into_map()), Value::Object(twice.after.into_map()));
    }

    #[test]
    fn removing_what_was_added_gives_what_was(person in person(), index in 0usize..6) {
        let (path, value) = [
            ("nickName", json!("x")),
            ("phoneNumbers[type eq \"fax\"].value", json!("1")),
            ("phoneNumbers", json!([{"type": "fax", "value": "1"}])),
            ("emails[type eq \"other\"].value", json!("o@x")),
            ("name.middleName", json!("B")),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter", json!("7")),
        ][index].clone();
        let there = patched(&person, &[json!({"op": "add", "path": path, "value": value})]);
        prop_assert_ne!(&there.after, &person);
        let gone = patched(&there.after, &[json!({"op": "remove", "path": path})]);
        prop_assert_eq!(gone.after, person);
    }
}
