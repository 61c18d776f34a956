//! One suite over every kind of directory: whatever stands behind the gateway, these conversations go the same way.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::directory::embedded::{self, Embedded};
use portcullis::directory::rest::Rest;
use portcullis::directory::{Any, Connector};
use portcullis::ports::{Directory, DirectoryError, Entry, Lookup, Page};
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use portcullis::types::{Clock, Timestamp};
use serde_json::{Value, json};
use support::legacy::Legacy;
use support::sample;

const ALL: Page = Page { offset: 0, limit: 1000 };

/// A directory under test, and what must live as long as it does.
struct Subject {
    name: &'static str,
    directory: Any,
    _file: Option<tempfile::TempDir>,
    _legacy: Option<Legacy>,
}

async fn subjects() -> Vec<Subject> {
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    let folder = tempfile::tempdir().unwrap();
    let config = embedded::Config { durable: false, ..embedded::Config::file(folder.path().join("people.db")) };
    let file = Embedded::open(&config, clock.clone()).await.unwrap();
    let memory = Embedded::open(&embedded::Config::memory(), clock.clone()).await.unwrap();
    let mut subjects = vec![
        Subject { name: "embedded", directory: Any::new("a", file, clock.clone()), _file: Some(folder), _legacy: None },
        Subject {
            name: "embedded in memory",
            directory: Any::new("b", memory, clock.clone()),
            _file: None,
            _legacy: None,
        },
    ];
    for (name, edit) in sample::VARIANTS {
        let legacy = Legacy::start().await;
        let config = edit(&legacy, sample::draft(&legacy.url()));
        let rest = Rest::new(sample::checked(config), clock.clone()).unwrap();
        subjects.push(Subject {
            name,
            directory: Any::new("c", rest, clock.clone()),
            _file: None,
            _legacy: Some(legacy),
        });
    }
    subjects
}

/// Runs a conversation with every kind of directory.
async fn with_every<F>(conversation: impl Fn(&'static str, Any) -> F)
where
    F: Future<Output = ()>,
{
    for subject in subjects().await {
        println!("{}", subject.name);
        let Subject { name, directory, _file, _legacy } = subject;
        conversation(name, directory).await;
    }
}

fn person(value: Value) -> Resource {
    let Value::Object(map) = value else { panic!("a person is an object") };
    Resource::from_map(map)
}

fn ada(number: u64) -> Resource {
    person(json!({
        "userName": format!("Ada.{number}@example.com"),
        "externalId": format!("ext-{number}"),
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "displayName": "Ada Lovelace",
        "emails": [{"type": "work", "value": format!("ada.{number}@example.com")}],
        "phoneNumbers": [{"type": "work", "value": "+15550000017"}],
        "active": true,
    }))
}

fn path(text: &str) -> AttrPath {
    AttrPath::parse(text).unwrap()
}

fn with(person: &Resource, at: &str, value: Value) -> Resource {
    let mut changed = person.clone();
    changed.set(&path(at), value);
    changed
}

fn without(person: &Resource, at: &str) -> Resource {
    let mut changed = person.clone();
    assert!(changed.remove(&path(at)), "{at} was there");
    changed
}

async fn named(directory: &Any, name: &str) -> Vec<Entry> {
    let lookup = Lookup::Equal { path: path("userName"), value: name.into() };
    let found = directory.find(&lookup, ALL).await.unwrap();
    assert_eq!(found.total, found.entries.len() as u64);
    found.entries
}

#[tokio::test]
async fn a_person_comes_and_is_found() {
    with_every(async |_, directory| {
        assert_eq!(named(&directory, "ada.1@example.com").await, []);
        let created = directory.create(&ada(1)).await.unwrap();
        assert_eq!(created.person, ada(1));
        assert_eq!(directory.read(&created.key).await.unwrap().as_ref(), Some(&created));
        for spelling in ["Ada.1@example.com", "ada.1@example.com", "ADA.1@EXAMPLE.COM"] {
            assert_eq!(named(&directory, spelling).await, std::slice::from_ref(&created), "{spelling}");
        }
        for nobody in
            ["ada.1@example.co", "", "*", "ada.1@example.com&offset=0", "%41da.1@example.com", "..", "a/b?c#d", "\u{0}"]
        {
            assert_eq!(named(&directory, nobody).await, [], "{nobody:?}");
        }
        assert!(directory.finds_by(&path("userName")));
        assert!(
            directory.holds(&path("userName")) && directory.holds(&path("name")) && directory.holds(&path("active"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_user_name_is_held_once() {
    with_every(async |_, directory| {
        let first = directory.create(&ada(1)).await.unwrap();
        let second = directory.create(&ada(2)).await.unwrap();
        let taken = Err(DirectoryError::Conflict { attribute: "userName".into() });
        let again = with(&ada(3), "userName", json!("ADA.1@example.com"));
        assert_eq!(directory.create(&again).await, taken);
        let renamed = with(&second.person, "userName", json!("ada.1@EXAMPLE.com"));
        assert_eq!(directory.update(&second.key, &second.person, &renamed).await, taken);
        assert_eq!(directory.read(&second.key).await.unwrap(), Some(second));
        let own = with(&first.person, "userName", json!("ADA.1@example.com"));
        assert_eq!(directory.update(&first.key, &first.person, &own).await.unwrap().person, own);
        directory.delete(&first.key).await.unwrap();
        assert_ne!(directory.create(&ada(1)).await.unwrap().key, first.key, "a key is never used again");
    })
    .await;
}

#[tokio::test]
async fn a_person_changes() {
    with_every(async |name, directory| {
        let mut now = directory.create(&ada(1)).await.unwrap();
        let other = directory.create(&ada(2)).await.unwrap();
        for change in [
            |p: &Resource| with(p, "displayName", json!("Countess Ö. \"Ada\" <&>")),
            |p: &Resource| with(p, "active", json!(false)),
            |p: &Resource| with(p, "active", json!(true)),
            |p: &Resource| with(p, "emails[type eq \"work\"].value", json!("countess@example.com")),
            |p: &Resource| with(p, "userName", json!("countess@example.com")),
            |p: &Resource| without(p, "phoneNumbers[type eq \"work\"].value"),
            |p: &Resource| without(p, "displayName"),
            |p: &Resource| without(p, "externalId"),
            |p: &Resource| with(p, "phoneNumbers[type eq \"work\"].value", json!("+15550000018")),
            |p: &Resource| with(&without(p, "name.givenName"), "name.familyName", json!("King")),
            |p: &Resource| p.clone(),
        ] {
            let after = change(&now.person);
            let changed = directory.update(&now.key, &now.person, &after).await.unwrap();
            // Typed entries may come back in another order of members; what counts is what they hold.
            assert_eq!(changed.person, after, "{name}");
            assert_eq!(changed.key, now.key);
            if after == now.person {
                assert_eq!(changed.version, now.version);
            } else if changed.version.is_some() {
                assert_ne!(changed.version, now.version);
            }
            assert_eq!(directory.read(&now.key).await.unwrap().as_ref(), Some(&changed));
            now = changed;
        }
        assert_eq!(named(&directory, "countess@example.com").await, [now]);
        assert_eq!(named(&directory, "ada.1@example.com").await, []);
        assert_eq!(directory.read(&other.key).await.unwrap(), Some(other));
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_is_gone() {
    with_every(async |_, directory| {
        let gone = directory.create(&ada(1)).await.unwrap();
        directory.delete(&gone.key).await.unwrap();
        let changed = with(&gone.person, "active", json!(false));
        for key in [
            gone.key.as_str(),
            "0",
            "-1",
            "017",
            "+1",
            "",
            ".",
            "..",
            "a/b",
            "1?x=y",
            "999999999999999999999",
            "\u{0}",
            "é",
        ] {
            assert_eq!(directory.read(key).await, Ok(None), "{key:?}");
            assert_eq!(directory.update(key, &gone.person, &changed).await, Err(DirectoryError::NotFound), "{key:?}");
            assert_eq!(directory.delete(key).await, Err(DirectoryError::NotFound), "{key:?}");
        }
        assert_eq!(directory.find(&Lookup::All, ALL).await.unwrap().total, 0);
    })
    .await;
}

#[tokio::test]
async fn everybody_is_listed_page_by_page() {
    with_every(async |_, directory| {
        directory.probe().await.unwrap();
        let mut keys = Vec::new();
        for number in 0..23 {
            keys.push(directory.create(&ada(number)).await.unwrap().key);
        }
        directory.delete(&keys.remove(7)).await.unwrap();
        for limit in [1, 7, 22, 1000] {
            let mut listed = Vec::new();
            while listed.len() < keys.len() {
                let page = Page { offset: listed.len() as u64, limit };
                let found = directory.find(&Lookup::All, page).await.unwrap();
                assert_eq!(found.total, 22);
                assert_eq!(found.entries.len() as u64, limit.min(22 - page.offset));
                listed.extend(found.entries.into_iter().map(|entry| entry.key));
            }
            assert_eq!(listed, keys, "in pages of {limit}");
        }
        for page in [Page { offset: 22, limit: 5 }, Page { offset: u64::MAX, limit: 5 }, Page { offset: 0, limit: 0 }] {
            let found = directory.find(&Lookup::All, page).await.unwrap();
            assert_eq!((found.total, found.entries.len()), (22, 0), "{page:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_kept() {
    with_every(async |name, directory| {
        let held = directory.create(&ada(1)).await.unwrap();
        let changes = [
            with(&held.person, "displayName", json!("D")),
            with(&held.person, "name.givenName", json!("G")),
            with(&held.person, "name.familyName", json!("F")),
            with(&held.person, "emails[type eq \"work\"].value", json!("e@example.com")),
            without(&held.person, "externalId"),
            without(&held.person, "phoneNumbers[type eq \"work\"].value"),
        ];
        let done = AtomicU64::new(0);
        let all = changes.iter().map(async |after| {
            directory.update(&held.key, &held.person, after).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        });
        futures_util::future::join_all(all).await;
        assert_eq!(done.into_inner(), 6);
        let after = directory.read(&held.key).await.unwrap().unwrap().person;
        let expected = person(json!({
            "userName": "Ada.1@example.com",
            "name": {"givenName": "G", "familyName": "F"},
            "displayName": "D",
            "emails": [{"type": "work", "value": "e@example.com"}],
            "active": true,
        }));
        assert_eq!(after, expected, "{name}");
    })
    .await;
}

#[tokio::test]
async fn two_creates_at_once_make_one_person() {
    with_every(async |_, directory| {
        let both = [ada(1), with(&ada(1), "displayName", json!("Other"))];
        let made = futures_util::future::join_all(both.iter().map(|person| directory.create(person))).await;
        assert_eq!(made.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(made.contains(&Err(DirectoryError::Conflict { attribute: "userName".into() })));
        assert_eq!(directory.find(&Lookup::All, ALL).await.unwrap().total, 1);
    })
    .await;
}

#[tokio::test]
async fn the_connector_shows_which_it_is() {
    let mut kinds = Vec::new();
    for subject in subjects().await {
        kinds.push(matches!(subject.directory.connector(), Connector::Embedded(_)));
        subject.directory.close().await;
    }
    assert_eq!(kinds[..2], [true, true]);
    assert!(kinds[2..].iter().all(|embedded| !embedded));
}
