//! One suite over every kind of directory: whatever stands behind the gateway, these conversations go the same way.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::directory::embedded::{self, Embedded};
use portcullis::directory::rest::Rest;
use portcullis::directory::scim::{self, Scim};
use portcullis::directory::{Any, Connector};
use portcullis::ports::{Directory, DirectoryError, Entry, GroupChange, Lookup, Members, Membership, Page};
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use portcullis::scim::{Member, ResourceType};
use portcullis::types::{Clock, Timestamp};
use serde_json::{Value, json};
use support::databases;
use support::legacy::Legacy;
use support::sample;
use support::slapd::{self, Slapd};

const ALL: Page = Page { offset: 0, limit: 1000 };

/// A directory under test, and what must live as long as it does.
struct Subject {
    name: &'static str,
    directory: Any,
    file: Option<tempfile::TempDir>,
    _legacy: Option<Legacy>,
    _slapd: Option<Slapd>,
}

async fn subjects() -> Vec<Subject> {
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    let folder = tempfile::tempdir().unwrap();
    let config = embedded::Config { durable: false, ..embedded::Config::file(folder.path().join("people.db")) };
    let file = Embedded::open(&config, clock.clone()).await.unwrap();
    let memory = Embedded::open(&embedded::Config::memory(), clock.clone()).await.unwrap();
    let mut subjects = vec![
        Subject {
            name: "embedded",
            directory: Any::new("a", file, clock.clone()),
            file: Some(folder),
            _legacy: None,
            _slapd: None,
        },
        Subject {
            name: "embedded in memory",
            directory: Any::new("b", memory, clock.clone()),
            file: None,
            _legacy: None,
            _slapd: None,
        },
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, sql) in databases::all(folder.path()).await {
        subjects.push(Subject {
            name,
            directory: Any::new("s", sql, clock.clone()),
            file: None,
            _legacy: None,
            _slapd: None,
        });
    }
    subjects[2].file = Some(folder);
    for (name, edit) in sample::VARIANTS {
        let legacy = Legacy::start().await;
        let config = edit(&legacy, sample::draft(&legacy.url()));
        let rest = Rest::new(sample::checked(config), clock.clone()).unwrap();
        subjects.push(Subject {
            name,
            directory: Any::new("c", rest, clock.clone()),
            file: None,
            _legacy: Some(legacy),
            _slapd: None,
        });
    }
    for (name, edit) in sample::SCIM_VARIANTS {
        let legacy = Legacy::start().await;
        let config = scim::Config::new(edit(&legacy, sample::scim_draft(&legacy.url()))).unwrap();
        let scim = Scim::new(config, clock.clone()).unwrap();
        subjects.push(Subject {
            name,
            directory: Any::new("d", scim, clock.clone()),
            file: None,
            _legacy: Some(legacy),
            _slapd: None,
        });
    }
    for (name, edit) in slapd::VARIANTS {
        let Some(slapd) = Slapd::start().await else { break };
        let directory = Any::new("l", Slapd::directory(edit(slapd.draft())), clock.clone());
        subjects.push(Subject { name, directory, file: None, _legacy: None, _slapd: Some(slapd) });
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
        let Subject { name, directory, file: _file, _legacy, _slapd } = subject;
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
    let found = directory.find(ResourceType::User, &lookup, ALL).await.unwrap();
    assert_eq!(found.total, found.entries.len() as u64);
    found.entries
}

#[tokio::test]
async fn a_person_comes_and_is_found() {
    with_every(async |_, directory| {
        assert_eq!(named(&directory, "ada.1@example.com").await, []);
        let created = directory.create(&ada(1)).await.unwrap();
        assert_eq!(created.resource, ada(1));
        assert_eq!(directory.read(ResourceType::User, &created.key).await.unwrap().as_ref(), Some(&created));
        for spelling in ["Ada.1@example.com", "ada.1@example.com", "ADA.1@EXAMPLE.COM"] {
            assert_eq!(named(&directory, spelling).await, std::slice::from_ref(&created), "{spelling}");
        }
        for nobody in
            ["ada.1@example.co", "", "*", "ada.1@example.com&offset=0", "%41da.1@example.com", "..", "a/b?c#d", "\u{0}"]
        {
            assert_eq!(named(&directory, nobody).await, [], "{nobody:?}");
        }
        assert!(directory.finds_by(ResourceType::User, &path("userName")));
        assert!(
            directory.holds(ResourceType::User, &path("userName"))
                && directory.holds(ResourceType::User, &path("name"))
                && directory.holds(ResourceType::User, &path("active"))
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
        let renamed = with(&second.resource, "userName", json!("ada.1@EXAMPLE.com"));
        assert_eq!(directory.update(&second.key, &second.resource, &renamed).await, taken);
        assert_eq!(directory.read(ResourceType::User, &second.key).await.unwrap(), Some(second));
        let own = with(&first.resource, "userName", json!("ADA.1@example.com"));
        assert_eq!(directory.update(&first.key, &first.resource, &own).await.unwrap().resource, own);
        directory.delete(ResourceType::User, &first.key).await.unwrap();
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
            let after = change(&now.resource);
            let changed = directory.update(&now.key, &now.resource, &after).await.unwrap();
            // Typed entries may come back in another order of members; what counts is what they hold.
            assert_eq!(changed.resource, after, "{name}");
            assert_eq!(changed.key, now.key);
            if after == now.resource {
                assert_eq!(changed.version, now.version);
            } else if changed.version.is_some() {
                assert_ne!(changed.version, now.version);
            }
            assert_eq!(directory.read(ResourceType::User, &now.key).await.unwrap().as_ref(), Some(&changed));
            now = changed;
        }
        assert_eq!(named(&directory, "countess@example.com").await, [now]);
        assert_eq!(named(&directory, "ada.1@example.com").await, []);
        assert_eq!(directory.read(ResourceType::User, &other.key).await.unwrap(), Some(other));
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_is_gone() {
    with_every(async |_, directory| {
        let gone = directory.create(&ada(1)).await.unwrap();
        directory.delete(ResourceType::User, &gone.key).await.unwrap();
        let changed = with(&gone.resource, "active", json!(false));
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
            assert_eq!(directory.read(ResourceType::User, key).await, Ok(None), "{key:?}");
            assert_eq!(directory.update(key, &gone.resource, &changed).await, Err(DirectoryError::NotFound), "{key:?}");
            assert_eq!(directory.delete(ResourceType::User, key).await, Err(DirectoryError::NotFound), "{key:?}");
        }
        assert_eq!(directory.find(ResourceType::User, &Lookup::All, ALL).await.unwrap().total, 0);
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
        directory.delete(ResourceType::User, &keys.remove(7)).await.unwrap();
        for limit in [1, 7, 22, 1000] {
            let mut listed = Vec::new();
            while listed.len() < keys.len() {
                let page = Page { offset: listed.len() as u64, limit };
                let found = directory.find(ResourceType::User, &Lookup::All, page).await.unwrap();
                assert_eq!(found.total, 22);
                assert_eq!(found.entries.len() as u64, limit.min(22 - page.offset));
                listed.extend(found.entries.into_iter().map(|entry| entry.key));
            }
            assert_eq!(listed, keys, "in pages of {limit}");
        }
        for page in [Page { offset: 22, limit: 5 }, Page { offset: u64::MAX, limit: 5 }, Page { offset: 0, limit: 0 }] {
            let found = directory.find(ResourceType::User, &Lookup::All, page).await.unwrap();
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
            with(&held.resource, "displayName", json!("D")),
            with(&held.resource, "name.givenName", json!("G")),
            with(&held.resource, "name.familyName", json!("F")),
            with(&held.resource, "emails[type eq \"work\"].value", json!("e@example.com")),
            without(&held.resource, "externalId"),
            without(&held.resource, "phoneNumbers[type eq \"work\"].value"),
        ];
        let done = AtomicU64::new(0);
        let all = changes.iter().map(async |after| {
            directory.update(&held.key, &held.resource, after).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        });
        futures_util::future::join_all(all).await;
        assert_eq!(done.into_inner(), 6);
        let after = directory.read(ResourceType::User, &held.key).await.unwrap().unwrap().resource;
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
        assert_eq!(directory.find(ResourceType::User, &Lookup::All, ALL).await.unwrap().total, 1);
    })
    .await;
}

fn group(name: &str) -> Resource {
    person(json!({ "displayName": name, "externalId": format!("ext-{name}") }))
}

fn named_group(name: &str) -> Lookup {
    Lookup::Equal { path: path("displayName"), value: name.into() }
}

fn member(key: &str, kind: ResourceType) -> Member {
    Member { key: key.to_owned(), kind }
}

async fn listed(directory: &Any, key: &str) -> Vec<String> {
    let Members { members, total } = directory.members(key, ALL).await.unwrap();
    assert_eq!(members.len() as u64, total);
    let mut keys: Vec<String> = members.into_iter().map(|member| member.key).collect();
    keys.sort();
    keys
}

/// The conversation of every kind of directory that has groups.
#[tokio::test]
async fn groups_are_kept_and_found() {
    use ResourceType::{Group, User};
    Box::pin(with_every(async |name, directory| {
        if !directory.offers(Group) {
            return;
        }
        let ada = directory.create(&ada(1)).await.unwrap().key;
        let sales = directory.create_group(&group("Sales"), &[member(&ada, User)]).await.unwrap();
        assert_eq!(directory.read(Group, &sales.key).await.unwrap(), Some(sales.clone()));
        assert_eq!(directory.read(User, &sales.key).await.unwrap(), None, "{name}: ids are unique over both types");
        assert_eq!(directory.read(Group, &ada).await.unwrap(), None);
        let taken = Err(DirectoryError::Conflict { attribute: "displayName".into() });
        assert_eq!(directory.create_group(&group("SALES"), &[]).await, taken);
        // A directory may know only people as members; then it says so.
        let nested = match directory.create_group(&group("All"), &[member(&sales.key, Group)]).await {
            Err(DirectoryError::Invalid { attribute: Some(path), .. }) if path == "members" => false,
            all => all.is_ok(),
        };
        let all = if nested {
            directory.find(Group, &named_group("All"), ALL).await.unwrap().entries.remove(0)
        } else {
            directory.create_group(&group("All"), &[]).await.unwrap()
        };
        assert_eq!(
            directory.find(Group, &named_group("sales"), ALL).await.unwrap().entries,
            std::slice::from_ref(&sales)
        );
        for (key, expected) in [(&ada, &sales.key), (&sales.key, &all.key)].into_iter().take(1 + usize::from(nested)) {
            let found = directory.find(Group, &Lookup::Member { key: key.clone() }, ALL).await.unwrap();
            assert_eq!((found.total, &found.entries[0].key), (1, expected));
            let display = Some(if expected == &sales.key { "Sales" } else { "All" }.to_owned());
            let said = Membership { member: key.clone(), group: expected.clone(), display };
            assert_eq!(directory.memberships(&[key]).await.unwrap(), [said]);
        }
        assert_eq!(directory.find(Group, &Lookup::All, ALL).await.unwrap().total, 2);
        directory.delete(Group, &sales.key).await.unwrap();
        assert_eq!(listed(&directory, &all.key).await, [""; 0]);
        assert_eq!(directory.delete(Group, &sales.key).await, Err(DirectoryError::NotFound));
        assert_eq!(directory.members(&sales.key, ALL).await, Err(DirectoryError::NotFound));
    }))
    .await;
}

#[tokio::test]
async fn membership_changes_by_what_is_added_and_removed() {
    use ResourceType::{Group, User};
    Box::pin(with_every(async |_, directory| {
        if !directory.offers(Group) {
            return;
        }
        let mut keys = Vec::new();
        for number in 0..5 {
            keys.push(directory.create(&ada(number)).await.unwrap().key);
        }
        keys.sort();
        let sales = directory.create_group(&group("Sales"), &[]).await.unwrap();
        let change = |add: &[&String], remove: &[&String]| GroupChange {
            before: group("Sales"),
            after: group("Sales"),
            add: add.iter().map(|key| member(key, User)).collect(),
            remove: remove.iter().map(|key| (*key).clone()).collect(),
        };
        let grown = directory.update_group(&sales.key, &change(&[&keys[0], &keys[1], &keys[0]], &[])).await.unwrap();
        if sales.version.is_some() {
            assert_ne!(grown.version, sales.version, "a change of membership is a change of the group");
        }
        assert_eq!(listed(&directory, &sales.key).await, keys[..2]);
        // Adding who is there and removing who is not is no error and no change.
        let same = directory.update_group(&sales.key, &change(&[&keys[0]], &[&keys[4]])).await.unwrap();
        assert_eq!(same.version, grown.version);
        let unknown = "999999".to_owned();
        let refused = directory.update_group(&sales.key, &change(&[&keys[2], &unknown], &[&keys[0]])).await;
        assert!(matches!(refused, Err(DirectoryError::Invalid { attribute: Some(path), .. }) if path == "members"));
        assert_eq!(listed(&directory, &sales.key).await, keys[..2], "all or nothing");
        let both = keys.iter().enumerate().map(|(place, key)| {
            let change = if place < 2 { change(&[], &[key]) } else { change(&[key], &[]) };
            let (directory, sales) = (&directory, &sales.key);
            async move { directory.update_group(sales, &change).await.unwrap() }
        });
        futures_util::future::join_all(both).await;
        assert_eq!(listed(&directory, &sales.key).await, keys[2..], "changes at the same time are all kept");
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        assert_eq!(directory.has_members(&sales.key, &asked).await.unwrap(), keys[2..]);
        directory.delete(User, &keys[4]).await.unwrap();
        assert_eq!(listed(&directory, &sales.key).await, keys[2..4], "who is gone is in no group");
        let renamed = GroupChange { after: group("Selling"), ..change(&[&keys[0]], &[&keys[2], &keys[3]]) };
        let renamed = directory.update_group(&sales.key, &renamed).await.unwrap();
        assert_eq!(renamed.resource, group("Selling"));
        assert_eq!(listed(&directory, &sales.key).await, keys[..1]);
    }))
    .await;
}

/// Adds and removes 64 people at once, half of them each, and looks who is in the group afterwards.
async fn race(directories: &[&Any]) {
    use ResourceType::User;
    let first = directories[0];
    let mut keys = Vec::new();
    for number in 0..64 {
        keys.push(first.create(&ada(number)).await.unwrap().key);
    }
    let begin: Vec<Member> = keys[..32].iter().map(|key| member(key, User)).collect();
    let group_key = first.create_group(&group("Sales"), &begin).await.unwrap().key;
    let all = keys.iter().enumerate().map(|(place, key)| {
        let (add, remove) = if place < 32 { (vec![], vec![key.clone()]) } else { (vec![member(key, User)], vec![]) };
        let change = GroupChange { before: group("Sales"), after: group("Sales"), add, remove };
        let (directory, group_key) = (directories[place % directories.len()], &group_key);
        async move { directory.update_group(group_key, &change).await.unwrap() }
    });
    futures_util::future::join_all(all).await;
    keys.drain(..32);
    keys.sort();
    assert_eq!(listed(first, &group_key).await, keys);
}

#[tokio::test]
async fn sixty_four_changes_of_one_group_end_exact() {
    with_every(async |_, directory| {
        if directory.offers(ResourceType::Group) {
            race(&[&directory]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn two_gateways_before_one_list_end_exact_where_it_has_versions() {
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    for (method, guard) in [("PATCH", "if-match"), ("PUT", "version")] {
        let legacy = Legacy::start().await;
        let draft = sample::by_list(&legacy, sample::draft(&legacy.url()), method, guard);
        let gateway =
            || Any::new("t", Rest::new(sample::checked(draft.clone()), clock.clone()).unwrap(), clock.clone());
        race(&[&gateway(), &gateway()]).await;
    }
    let legacy = Legacy::start().await;
    legacy.manners(|manners| {
        (manners.groups, manners.scim_tells, manners.scim_no_patch, manners.scim_etag) = (true, true, true, true);
    });
    let draft = scim::Draft { groups: true, ..sample::scim_draft(&legacy.url()) };
    let config = scim::Config::new(draft).unwrap();
    let gateway = || Any::new("t", Scim::new(config.clone(), clock.clone()).unwrap(), clock.clone());
    race(&[&gateway(), &gateway()]).await;
}

#[tokio::test]
async fn a_walk_by_key_sees_every_survivor_once() {
    with_every(async |_, directory| {
        if !directory.seeks(ResourceType::User) {
            return;
        }
        let mut keys = Vec::new();
        for number in 0..20 {
            keys.push(directory.create(&ada(number)).await.unwrap().key);
        }
        let (mut seen, mut after) = (Vec::new(), None);
        for step in 0.. {
            let page = directory.seek(ResourceType::User, after.as_deref(), 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            seen.extend(page.into_iter().map(|entry| entry.key));
            // Somebody who was seen goes, somebody who was not goes, somebody new comes.
            if step < 3 {
                directory.delete(ResourceType::User, &keys[step]).await.unwrap();
                directory.delete(ResourceType::User, &keys[19 - step]).await.unwrap();
                directory.create(&ada(100 + step as u64)).await.unwrap();
            }
        }
        for survivor in &keys[3..17] {
            assert_eq!(seen.iter().filter(|key| *key == survivor).count(), 1);
        }
        assert_eq!(seen.len(), seen.iter().collect::<std::collections::HashSet<_>>().len());
        assert!(directory.seek(ResourceType::User, Some("nobody"), 3).await.unwrap().is_empty());
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
