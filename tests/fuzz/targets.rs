//! The entry points: each takes any bytes and must neither panic nor hang nor overflow the stack, and holds what it reads to
//! a few laws.

use portcullis::mapping::expression;
use portcullis::scim::bulk::{self, Bulk, Limits, Operation};
use portcullis::scim::command::{Projection, Query};
use portcullis::scim::cursor;
use portcullis::scim::etag::Preconditions;
use portcullis::scim::filter::{Filter, Subject};
use portcullis::scim::members::{self, Intent};
use portcullis::scim::patch;
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::{Meta, Resource, ResourceType};
use portcullis::types::Timestamp;

const META: Meta<'_> = Meta { id: "u1", location: "https://x/u1", created: None, modified: None, version: None };

/// Name, folder of the corpus, entry point.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 8] = [
    ("filter", filter),
    ("path", path),
    ("query", query),
    ("resource", resource),
    ("patch", patch),
    ("bulk", bulk),
    ("header", header),
    ("expression", mapping),
];

fn ada() -> Resource {
    let body = br#"{"userName": "ada", "active": true, "title": "T", "name": {"givenName": "Ada"},
        "emails": [{"type": "work", "value": "a@x", "primary": true}, {"type": "home", "value": "h@x"}],
        "roles": [{"value": "r"}], "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "m"}}}"#;
    Resource::parse(ResourceType::User, body).expect("a person").resource
}

/// A filter reads back as it prints, and is answered.
pub fn filter(data: &[u8]) {
    let Ok(filter) = Filter::parse(&String::from_utf8_lossy(data)) else { return };
    assert_eq!(Filter::parse(&filter.to_string()).as_ref(), Ok(&filter), "{filter}");
    let ada = ada();
    let subject = Subject { kind: ResourceType::User, resource: &ada, meta: META };
    let parts = filter.conjuncts();
    assert_eq!(filter.matches(&subject), parts.iter().all(|part| part.matches(&subject)));
    let _ = (filter.as_member(), filter.as_group(), filter.concerns("members"), filter.as_equality());
}

/// A path reads back as it prints, and what is set at it is there.
pub fn path(data: &[u8]) {
    let Ok(path) = AttrPath::parse(&String::from_utf8_lossy(data)) else { return };
    assert_eq!(AttrPath::parse(&path.to_string()).as_ref(), Ok(&path), "{path}");
    let mut ada = ada();
    let _ = (path.definition(), path.leaf(), ada.get(&path), ada.text(&path));
    ada.remove(&path);
}

/// An expression reads back as it prints, and is answered within its bounds.
pub fn mapping(data: &[u8]) {
    expression::exercise(&String::from_utf8_lossy(data));
}

/// A query, by GET and by POST.
pub fn query(data: &[u8]) {
    let _ = Query::parse(&String::from_utf8_lossy(data));
    let _ = Query::parse_search(data);
}

/// What is read of a body reads the same from its answer.
pub fn resource(data: &[u8]) {
    for kind in ResourceType::ALL {
        let Ok(parsed) = Resource::parse(kind, data) else { continue };
        let mut read = parsed.resource;
        let answer = read.render(kind, META, &Projection::default());
        drop(members::take(&mut read));
        let again = Resource::parse(kind, answer.to_string().as_bytes()).expect("our own answer");
        let mut again = again.resource.into_map();
        again.shift_remove("members");
        let mut read = read.into_map();
        read.shift_remove("password");
        assert_eq!(again, read);
    }
}

/// What a PATCH leaves can be sent as a whole; refusing changes nothing of what was refused.
pub fn patch(data: &[u8]) {
    let Ok(operations) = patch::parse(data) else { return };
    let applied = patch::apply(ResourceType::User, &ada(), &operations);
    let answer = applied.after.render(ResourceType::User, META, &Projection::default());
    let again = Resource::parse(ResourceType::User, answer.to_string().as_bytes()).expect("our own answer").resource;
    let mut after = applied.after.into_map();
    after.shift_remove("password");
    assert_eq!(again.into_map(), after);
    assert!(applied.dropped.iter().all(|name| name.chars().count() <= 81), "dropped names are kept short");
    if let Ok((rest, intents)) = patch::split(operations) {
        let _ = patch::apply(ResourceType::Group, &Resource::default(), &rest);
        for intent in intents {
            if let Intent::RemoveMatching(filter) = intent {
                let _ = members::selects(&filter, &members::Member { key: "u1".into(), kind: ResourceType::User });
            }
        }
    }
}

/// Every operation of a bulk request gets its turn once, and references are resolved or refused.
pub fn bulk(data: &[u8]) {
    let Ok(bulk) = Bulk::parse(data, &Limits::default()) else { return };
    let steps = bulk::order(&bulk);
    let mut turns = vec![0; bulk.operations.len()];
    let mut ids = bulk::Ids::default();
    for step in steps {
        let (bulk::Step::Whole(index) | bulk::Step::Begin(index)) = step else { continue };
        turns[index] += 1;
        if let Operation::Sound(operation) = &bulk.operations[index] {
            let mut operation = operation.clone();
            if matches!(step, bulk::Step::Begin(_)) {
                let _ = bulk::hold_back(&mut operation.data, &ids);
            }
            let _ = operation.resolve(&ids);
            let _ = operation.target();
            if let Some(name) = &operation.bulk_id {
                ids.insert(name, "u1");
            }
        }
    }
    assert!(turns.iter().all(|turn| *turn == 1));
}

/// Conditions and cursors.
pub fn header(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(conditions) = Preconditions::parse(Some(&text), Some(&text)) {
        let _ = conditions.decide(Some("W/\"1\""), true);
    }
    let key = cursor::Key::new(&[7; 32]);
    assert!(cursor::Position::open(&text, &key, 0, Timestamp::default(), cursor::LIFE).is_err());
}
