//! PATCH against a reference: slow, obvious, and written from the RFC and the habits of identity providers alone.
//!
//! The reference never sees a path's text. Operations are generated as what they mean; from that both the wire form is made,
//! which goes through the real parser, and the step that the reference takes on plain maps.

use std::collections::BTreeMap;

use portcullis::scim::patch;
use portcullis::scim::resource::{Resource, ResourceType};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

type Entry = BTreeMap<String, Value>;

/// A person as the reference sees them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Person {
    /// `title`, `active`, …; those of the enterprise extension, too.
    single: BTreeMap<&'static str, Value>,
    /// `name` and `manager`.
    complex: BTreeMap<&'static str, Entry>,
    /// `emails` and `roles`.
    lists: BTreeMap<&'static str, Vec<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// Which entries of a list: every one of these parts is equal.
type Selector = Vec<(&'static str, Value)>;

#[derive(Clone, Debug)]
enum Target {
    Single(&'static str),
    Complex(&'static str),
    Part(&'static str, &'static str),
    List(&'static str),
    /// A part of the preferred entry (of all entries when removing).
    ListPart(&'static str, &'static str),
    Entry(&'static str, Selector),
    EntryPart(&'static str, Selector, &'static str),
    Unknown,
}

const TEXTS: [&str; 5] = ["userName", "title", "nickName", "externalId", "department"];
const PARTS: [(&str, &[&str]); 2] = [("name", &["givenName", "familyName"]), ("manager", &["value", "$ref"])];
const ENTRY_PARTS: [&str; 4] = ["value", "type", "display", "primary"];

fn is_nothing(value: &Value) -> bool {
    *value == Value::Null || *value == json!("") || *value == json!([]) || *value == json!({})
}

/// A text; `Ok(None)` clears.
fn text(value: &Value) -> Result<Option<Value>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(_) => Ok(Some(value.clone())),
        _ => Err(()),
    }
}

fn boolean(value: &Value) -> Result<Option<Value>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(_) => Ok(Some(value.clone())),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" => Ok(Some(json!(true))),
            "false" => Ok(Some(json!(false))),
            _ => Err(()),
        },
        _ => Err(()),
    }
}

fn part_value(part: &str, value: &Value) -> Result<Option<Value>, ()> {
    if part == "primary" { boolean(value) } else { text(value) }
}

/// One entry of a list from whatever stands for one; `None` for nothing.
fn entry_of(value: &Value) -> Result<Option<Entry>, ()> {
    let mut entry = Entry::new();
    match value {
        Value::Null => {}
        Value::String(_) => {
            if let Some(value) = text(value)? {
                entry.insert("value".into(), value);
            }
        }
        Value::Object(parts) => {
            for part in ENTRY_PARTS {
                if let Some(sent) = parts.get(part)
                    && let Some(value) = part_value(part, sent)?
                {
                    entry.insert(part.into(), value);
                }
            }
        }
        _ => return Err(()),
    }
    Ok(if entry.is_empty() { None } else { Some(entry) })
}

/// Says nothing but how it would be labelled.
fn hollow(entry: &Entry) -> bool {
    entry.keys().all(|part| part == "type" || part == "primary")
}

fn entries_of(value: &Value) -> Result<Vec<Entry>, ()> {
    let items = match value {
        Value::Null => vec![],
        Value::String(text) if text.is_empty() => vec![],
        Value::Array(items) => items.clone(),
        Value::String(_) | Value::Object(_) => vec![value.clone()],
        _ => return Err(()),
    };
    let mut entries = Vec::new();
    for item in &items {
        if let Some(entry) = entry_of(item)?
            && !hollow(&entry)
        {
            entries.push(entry);
        }
    }
    if entries.iter().filter(|entry| entry.get("primary") == Some(&json!(true))).count() > 1 {
        return Err(());
    }
    Ok(entries)
}

/// Equal, of texts without regard to case.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => a == b,
    }
}

fn labels_agree(a: &Entry, b: &Entry) -> bool {
    match (a.get("type"), b.get("type")) {
        (Some(a), Some(b)) => alike(a, b),
        _ => true,
    }
}

fn selected(entry: &Entry, selector: &Selector) -> bool {
    selector.iter().all(|(part, wanted)| entry.get(*part).is_some_and(|held| alike(held, wanted)))
}

/// The first of the written entries that is primary is the only one.
fn one_primary(list: &mut [Entry], written: &[usize]) {
    let primary = |entry: &Entry| entry.get("primary") == Some(&json!(true));
    if let Some(&chosen) = written.iter().find(|&&index| primary(&list[index])) {
        for (index, entry) in list.iter_mut().enumerate() {
            if index != chosen && primary(entry) {
                entry.insert("primary".into(), json!(false));
            }
        }
    }
}

impl Person {
    /// One operation, wholly or not at all.
    fn step(&mut self, op: Op, target: &Target, value: &Value) -> Result<(), ()> {
        let mut after = self.clone();
        after.step_into(op, target, value)?;
        *self = after;
        Ok(())
    }

    fn step_into(&mut self, op: Op, target: &Target, value: &Value) -> Result<(), ()> {
        match target {
            Target::Unknown => Ok(()),
            Target::Single(name) => {
                let new = match op {
                    Op::Remove => None,
                    _ if *name == "active" => boolean(value)?,
                    _ => text(value)?,
                };
                match new {
                    Some(new) => drop(self.single.insert(name, new)),
                    None if *name == "userName" => return Err(()),
                    None => drop(self.single.remove(name)),
                }
                Ok(())
            }
            Target::Complex(name) => self.complex(op, name, value),
            Target::Part(name, part) => {
                let new = if op == Op::Remove { None } else { text(value)? };
                self.part(name, part, new);
                Ok(())
            }
            Target::List(name) => self.list(op, name, value),
            Target::ListPart(name, part) => {
                let new = if op == Op::Remove { None } else { part_value(part, value)? };
                match new {
                    None => self.remove_parts(name, &vec![], part),
                    Some(new) => {
                        let list = self.lists.entry(name).or_default();
                        if list.is_empty() {
                            list.push(Entry::new());
                        }
                        let at = list.iter().position(|entry| entry.get("primary") == Some(&json!(true))).unwrap_or(0);
                        list[at].insert((*part).into(), new);
                        one_primary(list, &[at]);
                    }
                }
                Ok(())
            }
            Target::EntryPart(name, selector, part) => {
                let new = if op == Op::Remove { None } else { part_value(part, value)? };
                match new {
                    None => self.remove_parts(name, selector, part),
                    Some(new) => self.write(name, selector, |entry| drop(entry.insert((*part).into(), new.clone())))?,
                }
                Ok(())
            }
            Target::Entry(name, selector) => {
                if op == Op::Remove || (op == Op::Replace && is_nothing(value)) {
                    if let Some(list) = self.lists.get_mut(name) {
                        list.retain(|entry| !selected(entry, selector));
                    }
                    return Ok(());
                }
                // A list of one entry stands for the entry.
                let value = match value {
                    Value::Array(items) if items.len() == 1 && !items[0].is_array() => &items[0],
                    value => value,
                };
                if is_nothing(value) {
                    return Ok(());
                }
                let Some(given) = entry_of(value)? else { return Ok(()) };
                self.write(name, selector, |entry| {
                    if op == Op::Replace {
                        entry.clear();
                        entry.extend(selector.iter().map(|(part, value)| ((*part).to_owned(), value.clone())));
                    }
                    entry.extend(given.clone());
                })
            }
        }
    }

    fn part(&mut self, name: &'static str, part: &str, new: Option<Value>) {
        let held = self.complex.entry(name).or_default();
        let whole = part == "value";
        match new {
            // Who a manager is, is the manager: the rest goes with them.
            Some(new) if whole && held.get("value") != Some(&new) => *held = Entry::from([("value".into(), new)]),
            Some(new) => drop(held.insert(part.into(), new)),
            None if whole => held.clear(),
            None => drop(held.remove(part)),
        }
    }

    fn complex(&mut self, op: Op, name: &'static str, value: &Value) -> Result<(), ()> {
        if op == Op::Remove {
            self.complex.remove(name);
            return Ok(());
        }
        let known = PARTS.iter().find(|(known, _)| *known == name).expect("a complex attribute").1;
        let has_value = known.contains(&"value");
        let value = match value {
            Value::Array(items) if items.is_empty() => &Value::Null,
            Value::Array(items) if items.len() == 1 => &items[0],
            value => value,
        };
        match value {
            Value::Null => drop(self.complex.remove(name)),
            Value::String(text) if text.is_empty() => drop(self.complex.remove(name)),
            Value::String(_) if has_value => {
                self.complex.insert(name, Entry::from([("value".into(), value.clone())]));
            }
            Value::Object(parts) => {
                let mut set = Entry::new();
                let mut cleared = Vec::new();
                for (part, sent) in parts.iter().filter(|(part, _)| known.contains(&part.as_str())) {
                    match text(sent)? {
                        Some(value) => drop(set.insert(part.clone(), value)),
                        None => cleared.push(part.clone()),
                    }
                }
                if cleared.iter().any(|part| part == "value") {
                    self.complex.remove(name);
                } else if set.contains_key("value") {
                    self.complex.insert(name, set);
                } else {
                    let held = self.complex.entry(name).or_default();
                    held.extend(set);
                    held.retain(|part, _| !cleared.contains(part));
                }
            }
            _ => return Err(()),
        }
        Ok(())
    }

    fn list(&mut self, op: Op, name: &'static str, value: &Value) -> Result<(), ()> {
        let list = self.lists.entry(name).or_default();
        match op {
            Op::Replace => *list = entries_of(value)?,
            Op::Add => {
                for new in entries_of(value)? {
                    let same = |held: &Entry| match (held.get("value"), new.get("value")) {
                        (Some(a), Some(b)) => a == b && labels_agree(held, &new),
                        _ => *held == new,
                    };
                    let at = list.iter().position(same).unwrap_or(list.len());
                    if at == list.len() {
                        list.push(Entry::new());
                    }
                    list[at].extend(new);
                    one_primary(list, &[at]);
                }
            }
            Op::Remove => {
                let items = match value {
                    Value::Array(items) => items.clone(),
                    Value::Object(_) => vec![value.clone()],
                    Value::String(text) if !text.is_empty() => vec![value.clone()],
                    _ => {
                        list.clear();
                        return Ok(());
                    }
                };
                let mut named = Vec::new();
                for item in &items {
                    // A list in the list stands for its only entry, as everywhere.
                    let item = match item {
                        Value::Array(inner) if inner.is_empty() => &Value::Null,
                        Value::Array(inner) if inner.len() == 1 && !inner[0].is_array() => &inner[0],
                        item => item,
                    };
                    named.extend(entry_of(item)?);
                }
                list.retain(|held| {
                    !named.iter().any(|wanted| match wanted.get("value") {
                        Some(value) => {
                            held.get("value").is_some_and(|held| alike(held, value)) && labels_agree(held, wanted)
                        }
                        None => {
                            wanted.iter().all(|(part, value)| held.get(part).is_some_and(|held| alike(held, value)))
                        }
                    })
                });
            }
        }
        Ok(())
    }

    fn remove_parts(&mut self, name: &'static str, selector: &Selector, part: &str) {
        if let Some(list) = self.lists.get_mut(name) {
            list.retain_mut(|entry| {
                let gone = selected(entry, selector) && entry.remove(part).is_some();
                !(gone && hollow(entry))
            });
        }
    }

    /// Into the entries that are selected, or into one made so that it is.
    fn write(&mut self, name: &'static str, selector: &Selector, with: impl Fn(&mut Entry)) -> Result<(), ()> {
        let list = self.lists.entry(name).or_default();
        let mut chosen: Vec<_> = (0..list.len()).filter(|&index| selected(&list[index], selector)).collect();
        if chosen.is_empty() {
            let made: Entry = selector.iter().map(|(part, value)| ((*part).to_owned(), value.clone())).collect();
            if !selected(&made, selector) {
                return Err(());
            }
            chosen.push(list.len());
            list.push(made);
        }
        for &index in &chosen {
            with(&mut list[index]);
        }
        one_primary(list, &chosen);
        Ok(())
    }

    /// As a resource's JSON: nothing empty in it, and no entry that never got a value once a list was touched.
    fn json(mut self, touched: &[&str]) -> Value {
        let mut whole = Map::new();
        let mut enterprise = Map::new();
        for (name, value) in self.single {
            if name == "department" {
                enterprise.insert(name.into(), value)
            } else {
                whole.insert(name.into(), value)
            };
        }
        for (name, parts) in self.complex {
            if !parts.is_empty() {
                let into = if name == "manager" { &mut enterprise } else { &mut whole };
                into.insert(name.into(), json!(parts));
            }
        }
        for (name, list) in &mut self.lists {
            if !touched.is_empty() {
                list.retain(|entry| !hollow(entry));
            }
            if !list.is_empty() {
                whole.insert((*name).into(), json!(list));
            }
        }
        if !enterprise.is_empty() {
            whole.insert(ENTERPRISE.into(), Value::Object(enterprise));
        }
        Value::Object(whole)
    }
}

/// The path as a client might write it.
fn path(target: &Target, spelling: u8) -> String {
    let selector = |selector: &Selector| {
        let terms: Vec<_> = selector.iter().map(|(part, value)| format!("{part} eq {value}")).collect();
        terms.join(" and ")
    };
    let full = |name: &str| match name {
        "department" | "manager" if spelling.is_multiple_of(2) => format!("{ENTERPRISE}:{name}"),
        name if spelling.is_multiple_of(3) && name != "department" && name != "manager" => {
            format!("urn:ietf:params:scim:schemas:core:2.0:User:{name}")
        }
        name => name.to_owned(),
    };
    let path = match target {
        Target::Single(name) | Target::Complex(name) | Target::List(name) => full(name),
        Target::Part(name, part) | Target::ListPart(name, part) => format!("{}.{part}", full(name)),
        Target::Entry(name, by) => format!("{}[{}]", full(name), selector(by)),
        Target::EntryPart(name, by, part) => format!("{}[{}].{part}", full(name), selector(by)),
        Target::Unknown => "shoeSize".to_owned(),
    };
    // Case never matters outside of quotes.
    if !spelling.is_multiple_of(5) {
        return path;
    }
    let pieces = path.split('"').enumerate();
    let pieces: Vec<_> =
        pieces.map(|(index, piece)| if index % 2 == 0 { piece.to_uppercase() } else { piece.to_owned() }).collect();
    pieces.join("\"")
}

fn selector() -> impl Strategy<Value = Selector> {
    let kind = select(vec![json!("work"), json!("home"), json!("WORK")]);
    let value = select(vec![json!("a@x"), json!("b@x")]);
    prop_oneof![
        5 => kind.clone().prop_map(|kind| vec![("type", kind)]),
        2 => value.clone().prop_map(|value| vec![("value", value)]),
        1 => any::<bool>().prop_map(|truth| vec![("primary", json!(truth))]),
        1 => (kind.clone(), value).prop_map(|(kind, value)| vec![("type", kind), ("value", value)]),
        1 => (kind.clone(), kind).prop_map(|(a, b)| vec![("type", a), ("type", b)]),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let list = || select(vec!["emails", "roles"]);
    let part = || select(ENTRY_PARTS.to_vec());
    prop_oneof![
        3 => select(TEXTS.to_vec()).prop_map(Target::Single),
        1 => Just(Target::Single("active")),
        2 => select(vec!["name", "manager"]).prop_map(Target::Complex),
        2 => select(vec![("name", "givenName"), ("name", "familyName"), ("manager", "value"), ("manager", "$ref")])
            .prop_map(|(name, part)| Target::Part(name, part)),
        3 => list().prop_map(Target::List),
        1 => (list(), part()).prop_map(|(name, part)| Target::ListPart(name, part)),
        2 => (list(), selector()).prop_map(|(name, by)| Target::Entry(name, by)),
        4 => (list(), selector(), part()).prop_map(|(name, by, part)| Target::EntryPart(name, by, part)),
        1 => Just(Target::Unknown),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(""),
        json!("a@x"),
        json!("A@X"),
        json!("b@x"),
        json!("work"),
        json!("home"),
        json!("True"),
        json!("false"),
        json!(true),
        json!(false),
        json!(7),
    ])
}

fn object() -> impl Strategy<Value = Value> {
    let key = select(vec!["value", "type", "display", "primary", "givenName", "familyName", "$ref", "colour"]);
    proptest::collection::vec((key, scalar()), 0..4)
        .prop_map(|parts| Value::Object(parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        3 => object(),
        2 => proptest::collection::vec(prop_oneof![3 => object(), 1 => scalar()], 0..4).prop_map(Value::from),
    ]
}

fn operation() -> impl Strategy<Value = (Op, Target, Value, u8)> {
    (select(vec![Op::Add, Op::Replace, Op::Remove]), target(), value(), any::<u8>())
}

fn person() -> impl Strategy<Value = Person> {
    let text = || select(vec![json!("a@x"), json!("b@x"), json!("c")]);
    let entry =
        (text(), proptest::option::of(select(vec![json!("work"), json!("home"), json!("Home")])), any::<bool>());
    let list = move || {
        proptest::collection::vec(entry.clone(), 0..4).prop_map(|entries| {
            let mut list: Vec<Entry> = Vec::new();
            for (value, kind, primary) in entries {
                let mut entry = Entry::from([("value".to_owned(), value)]);
                entry.extend(kind.map(|kind| ("type".to_owned(), kind)));
                if primary && !list.iter().any(|entry| entry.contains_key("primary")) {
                    entry.insert("primary".to_owned(), json!(true));
                }
                list.push(entry);
            }
            list
        })
    };
    let maybe = || proptest::option::of(text());
    (maybe(), maybe(), maybe(), maybe(), proptest::option::of(any::<bool>()), list(), list()).prop_map(
        |(title, given, department, manager, active, emails, roles)| {
            let mut person = Person::default();
            person.single.insert("userName", json!("ada"));
            person.single.extend(title.map(|title| ("title", title)));
            person.single.extend(department.map(|department| ("department", department)));
            person.single.extend(active.map(|active| ("active", json!(active))));
            person.complex.extend(given.map(|given| ("name", Entry::from([("givenName".to_owned(), given)]))));
            person.complex.extend(manager.map(|manager| {
                let parts = [("value".to_owned(), manager), ("$ref".to_owned(), json!("../Users/1"))];
                ("manager", Entry::from(parts))
            }));
            person.lists.insert("emails", emails);
            person.lists.insert("roles", roles);
            person
        },
    )
}

fn name(op: Op, spelling: u8) -> &'static str {
    match (op, spelling % 4) {
        (Op::Add, 0) => "Add",
        (Op::Add, 1) => "ADD",
        (Op::Add, _) => "add",
        (Op::Replace, 0) => "Replace",
        (Op::Replace, _) => "replace",
        (Op::Remove, 0) => "Remove",
        (Op::Remove, _) => "remove",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patch_does_what_the_reference_does(
        person in person(),
        operations in proptest::collection::vec(operation(), 1..6),
        gathered in any::<bool>(),
    ) {
        // What can stand in one path-less operation, does, if wanted; a key may occur once.
        let mut wire: Vec<Value> = Vec::new();
        let mut numbers = Vec::new();
        let mut open: Option<Op> = None;
        for (op, target, value, spelling) in &operations {
            let path = path(target, *spelling);
            if gathered && *op != Op::Remove {
                if open == Some(*op)
                    && let Some(last) = wire.last_mut()
                    && last["value"].get(&path).is_none()
                {
                    last["value"][path] = value.clone();
                } else {
                    wire.push(json!({"op": name(*op, *spelling), "value": {path: value}}));
                    open = Some(*op);
                }
            } else {
                wire.push(json!({"op": name(*op, *spelling), "path": path, "value": value}));
                open = None;
            }
            numbers.push(wire.len());
        }
        let mut expected = person.clone();
        let mut refused = Vec::new();
        let mut touched = Vec::new();
        for ((op, target, value, _), number) in operations.iter().zip(numbers) {
            if let Target::List(name) | Target::ListPart(name, _) | Target::Entry(name, _) | Target::EntryPart(name, ..) = target {
                touched.push(*name);
            }
            if expected.step(*op, target, value).is_err() {
                refused.push(number);
            }
        }
        let before = Resource::from_map(person.json(&[]).as_object().unwrap().clone());
        let body = json!({ "Operations": wire }).to_string();
        let applied = patch::apply(ResourceType::User, &before, &patch::parse(body.as_bytes()).unwrap());
        prop_assert_eq!(Value::Object(applied.after.into_map()), expected.json(&touched), "{}", body);
        let numbers: Vec<_> = applied.refused.iter().map(|refused| refused.number).collect();
        prop_assert_eq!(numbers, refused, "{}", body);
    }
}
