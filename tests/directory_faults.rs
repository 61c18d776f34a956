//! What the REST connector makes of a directory that misbehaves, and what it says on the wire.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use futures_util::StreamExt as _;
use portcullis::directory::rest::{Draft, Rest};
use portcullis::ports::{Directory, DirectoryError, Entry, Lookup, Page};
use portcullis::scim::ResourceType;
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use portcullis::types::{Clock, Secret, Timestamp};
use serde_json::{Value, json};
use support::legacy::{Fault, Legacy, Seen};
use support::sample;
use tokio::net::TcpListener;

const ALL: Page = Page { offset: 0, limit: 1000 };

fn rest(draft: Draft) -> Rest {
    Rest::new(sample::checked(draft), Clock::manual(Timestamp::from_seconds(0))).unwrap()
}

async fn sample_directory() -> (Legacy, Rest) {
    let legacy = Legacy::start().await;
    let rest = rest(sample::draft(&legacy.url()));
    (legacy, rest)
}

/// With a deadline that a test can wait for.
fn hasty(legacy: &Legacy) -> Rest {
    rest(Draft { timeout: Duration::from_millis(100), ..sample::draft(&legacy.url()) })
}

fn person(value: Value) -> Resource {
    let Value::Object(map) = value else { panic!("a person is an object") };
    Resource::from_map(map)
}

fn ada() -> Resource {
    person(json!({"userName": "ada@example.com", "displayName": "Ada", "active": true}))
}

fn with(person: &Resource, path: &str, value: Value) -> Resource {
    let mut changed = person.clone();
    changed.set(&AttrPath::parse(path).unwrap(), value);
    changed
}

fn named(name: &str) -> Lookup {
    Lookup::Equal { path: AttrPath::core("userName"), value: name.into() }
}

fn maybe_done<T: std::fmt::Debug>(outcome: Result<T, DirectoryError>) -> bool {
    match outcome {
        Err(DirectoryError::Failed { maybe_done, .. }) => maybe_done,
        other => panic!("should have failed: {other:?}"),
    }
}

fn line(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.line.as_str()).collect()
}

async fn created(legacy: &Legacy, rest: &Rest) -> Entry {
    let entry = rest.create(&ada()).await.unwrap();
    legacy.seen();
    entry
}

#[tokio::test]
async fn a_change_sends_what_changed() {
    let (legacy, rest) = sample_directory().await;
    let held = created(&legacy, &rest).await;
    let after = with(&with(&held.resource, "active", json!(false)), "name.givenName", json!("Ada"));
    rest.update(&held.key, &held.resource, &after).await.unwrap();
    let body = json!({"first_name": "Ada", "enabled": false});
    assert_eq!(legacy.seen(), [Seen { line: format!("PATCH /users/{}", held.key), body }]);
    rest.update(&held.key, &after, &after).await.unwrap();
    assert_eq!(line(&legacy.seen()), ["GET /users/1"]);
    // Taking a value away is the one thing for which the sample directory needs a PUT.
    let mut less = after.clone();
    less.remove(&AttrPath::parse("name.givenName").unwrap());
    rest.update(&held.key, &after, &less).await.unwrap();
    let seen = legacy.seen();
    assert_eq!(line(&seen), ["GET /users/1", "PUT /users/1"]);
    assert_eq!(seen[1].body.get("first_name"), None);
    assert_eq!(seen[1].body.get("id"), None);
    assert_eq!(seen[1].body["display_name"], json!("Ada"));
}

#[tokio::test]
async fn a_directory_that_takes_a_name_twice_is_asked_first() {
    let legacy = Legacy::start().await;
    let rest = rest(Draft { unique: false, ..sample::draft(&legacy.url()) });
    let held = created(&legacy, &rest).await;
    let taken = Err(DirectoryError::Conflict { attribute: "userName".into() });
    assert_eq!(rest.create(&ada()).await, taken);
    assert_eq!(line(&legacy.seen()), ["GET /users?username=ada%40example.com"], "nothing is created");
    let bert = rest.create(&with(&ada(), "userName", json!("bert@example.com"))).await.unwrap();
    assert_eq!(rest.update(&bert.key, &bert.resource, &ada()).await, taken);
    legacy.seen();
    let another_case = with(&held.resource, "userName", json!("ADA@example.com"));
    rest.update(&held.key, &held.resource, &another_case).await.unwrap();
    assert_eq!(line(&legacy.seen()), ["PATCH /users/1"], "one's own name is free");
    legacy.next([Fault::Status(500, None)]);
    let unsure = rest.create(&with(&ada(), "userName", json!("carl@example.com"))).await;
    assert!(!maybe_done(unsure), "nothing was done");
}

#[tokio::test]
async fn statuses_mean_what_they_say() {
    let (legacy, rest) = sample_directory().await;
    let held = created(&legacy, &rest).await;
    let after = with(&held.resource, "displayName", json!("Countess"));
    let busy = |seconds| DirectoryError::Busy { retry_after: Some(Duration::from_secs(seconds)) };
    for (status, wait, expected) in [
        (404, None, Some(DirectoryError::NotFound)),
        (410, None, Some(DirectoryError::NotFound)),
        (409, None, Some(DirectoryError::Conflict { attribute: "userName".into() })),
        (429, Some("7"), Some(busy(7))),
        (429, Some("Thu, 01 Jan 1970 00:00:09 GMT"), Some(busy(9))),
        (429, None, Some(DirectoryError::Busy { retry_after: None })),
        (503, Some("3"), Some(busy(3))),
        (401, None, Some(DirectoryError::Refused { reason: "update was answered 401".into() })),
        (403, None, Some(DirectoryError::Refused { reason: "update was answered 403".into() })),
        (405, None, Some(DirectoryError::Failed { reason: "update was answered 405".into(), maybe_done: false })),
        (302, None, Some(DirectoryError::Failed { reason: "update was answered 302".into(), maybe_done: true })),
        (500, None, Some(DirectoryError::Failed { reason: "update was answered 500".into(), maybe_done: true })),
        (503, None, Some(DirectoryError::Failed { reason: "update was answered 503".into(), maybe_done: true })),
        (504, None, Some(DirectoryError::Failed { reason: "update was answered 504".into(), maybe_done: true })),
    ] {
        legacy.next([Fault::Status(status, wait)]);
        assert_eq!(rest.update(&held.key, &held.resource, &after).await.err(), expected, "{status} {wait:?}");
    }
    // Of what only reads, nothing can have been done; and only who addresses one person can be told they are gone.
    for status in [500, 502, 503, 302] {
        legacy.next([Fault::Status(status, None)]);
        assert!(!maybe_done(rest.read(ResourceType::User, &held.key).await), "{status}");
    }
    legacy.next([Fault::Status(404, None), Fault::Status(404, None), Fault::Status(404, None)]);
    assert_eq!(rest.read(ResourceType::User, &held.key).await, Ok(None));
    assert!(!maybe_done(rest.find(ResourceType::User, &named("ada@example.com"), ALL).await));
    assert!(!maybe_done(rest.create(&ada()).await));
}

#[tokio::test]
async fn a_refused_value_is_named_and_never_repeated() {
    let (_legacy, rest) = sample_directory().await;
    let phone = "phoneNumbers[type eq \"work\"].value";
    let refused = with(&ada(), phone, json!("0555 17"));
    let detail = "the user directory refused the value for its field \"phone\"".into();
    assert_eq!(rest.create(&refused).await, Err(DirectoryError::Invalid { attribute: Some(phone.into()), detail }));
    let nameless = person(json!({"displayName": "Ada", "active": true}));
    let detail = "the user directory says: username is required".into();
    assert_eq!(
        rest.create(&nameless).await,
        Err(DirectoryError::Invalid { attribute: Some("userName".into()), detail })
    );
}

#[tokio::test]
async fn a_lost_answer_leaves_a_doubt() {
    let (legacy, rest) = sample_directory().await;
    for (fault, doubt, done) in [
        (Fault::ResetAfter, true, 1),
        (Fault::ResetBefore, true, 0),
        (Fault::Cut, true, 1),
        (Fault::StatusAfter(500), true, 1),
        (Fault::Status(405, None), false, 0),
    ] {
        legacy.next([fault.clone()]);
        let before = legacy.people().len();
        let new = with(&ada(), "userName", json!(format!("ada.{fault:?}@example.com")));
        assert_eq!(maybe_done(rest.create(&new).await), doubt, "{fault:?}");
        assert_eq!(legacy.people().len() - before, done, "{fault:?}");
        let posts = legacy.seen().iter().filter(|seen| seen.line.starts_with("POST")).count();
        assert_eq!(posts, 1, "{fault:?}: a POST is never repeated");
    }
}

#[tokio::test]
async fn a_read_is_repeated_once_when_its_connection_breaks() {
    let (legacy, rest) = sample_directory().await;
    let held = created(&legacy, &rest).await;
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::Cut] {
        legacy.next([fault.clone()]);
        assert_eq!(rest.read(ResourceType::User, &held.key).await, Ok(Some(held.clone())), "{fault:?}");
        assert_eq!(legacy.seen().len(), 2);
        legacy.next([fault.clone(), fault]);
        assert!(!maybe_done(rest.read(ResourceType::User, &held.key).await));
        assert_eq!(legacy.seen().len(), 2);
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let legacy = Legacy::start().await;
    let rest = hasty(&legacy);
    legacy.next([Fault::Silence, Fault::Silence]);
    assert_eq!(rest.create(&ada()).await, Err(DirectoryError::Silent));
    assert_eq!(legacy.people().len(), 1);
    assert_eq!(rest.read(ResourceType::User, "1").await, Err(DirectoryError::Silent));
    assert!(rest.read(ResourceType::User, "1").await.unwrap().is_some(), "the connector is none the worse");
}

#[tokio::test]
async fn a_directory_that_is_down_has_done_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let rest = rest(sample::draft(&url));
    assert!(!maybe_done(rest.create(&ada()).await));
    assert!(!maybe_done(rest.read(ResourceType::User, "1").await));
    assert!(!maybe_done(rest.probe().await));
}

#[tokio::test]
async fn a_stale_connection_is_replaced() {
    let (legacy, rest) = sample_directory().await;
    let held = created(&legacy, &rest).await;
    // Four calls at once leave four pooled connections; the directory then forgets all of them.
    let calls = (0..4).map(|_| rest.read(ResourceType::User, &held.key));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    legacy.hang_up();
    assert_eq!(rest.read(ResourceType::User, &held.key).await, Ok(Some(held)));
    assert!(rest.create(&with(&ada(), "userName", json!("b@example.com"))).await.is_ok());
}

#[tokio::test]
async fn nonsense_is_a_failure() {
    let (legacy, rest) = sample_directory().await;
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        "{\"id\":17}",
        "{\"id\":17,\"username\":\"ada",
        "{\"id\":17,\"username\":5.5e1,\"enabled\":\"perhaps\"}",
        "{\"id\":[],\"username\":\"ada\"}",
        "{\"id\":\"..\",\"username\":\"ada\"}",
        "{\"username\":\"ada\"}",
    ] {
        legacy.next([Fault::Body(body)]);
        assert!(!maybe_done(rest.read(ResourceType::User, "17").await), "{body}");
    }
    for body in [
        "",
        "{}",
        "{\"total\":1}",
        "{\"items\":{}}",
        "{\"items\":[5],\"total\":1}",
        "{\"items\":[{\"id\":1}],\"total\":1}",
        "{\"items\":[],\"total\":5}",
    ] {
        for lookup in [Lookup::All, named("ada")] {
            legacy.next([Fault::Body(body)]);
            assert!(!maybe_done(rest.find(ResourceType::User, &lookup, ALL).await), "{body}");
        }
    }
    legacy.next([Fault::Body("{\"items\":[]}")]);
    assert!(!maybe_done(rest.find(ResourceType::User, &Lookup::All, ALL).await), "a list must say how many there are");
    legacy.next([Fault::Body("{}"), Fault::Body("{}")]);
    assert!(maybe_done(rest.create(&ada()).await), "it was accepted");
    legacy.next([Fault::Body("{}"), Fault::Body("{}")]);
    assert!(maybe_done(rest.update("1", &ada(), &with(&ada(), "active", json!(false))).await));
}

#[tokio::test]
async fn answers_in_other_forms_are_understood() {
    let (legacy, rest) = sample_directory().await;
    for (body, key, active) in [
        (
            "{\"id\":17,\"username\":\"ada\",\"enabled\":\"FALSE\",\"phone\":null,\"email\":\"\",\"more\":{}}",
            "17",
            false,
        ),
        ("{\"id\":\"17\",\"username\":\"ada\",\"enabled\":0}", "17", false),
        ("{\"id\":\"17\",\"username\":\"ada\"}", "17", true),
    ] {
        legacy.next([Fault::Body(body)]);
        let entry = rest.read(ResourceType::User, "17").await.unwrap().unwrap();
        assert_eq!(entry.key, key);
        assert_eq!(entry.resource, person(json!({"userName": "ada", "active": active})), "{body}");
    }
    legacy.next([Fault::Body("{\"id\":\"18\",\"username\":\"ada\"}")]);
    assert_eq!(rest.read(ResourceType::User, "17").await, Ok(None), "somebody else is nobody");
    legacy.next([Fault::Body(
        "{\"items\":[{\"id\":1,\"username\":\"ADA\"},{\"id\":2,\"username\":\"adam\"}],\"total\":\"2\"}",
    )]);
    assert_eq!(
        rest.find(ResourceType::User, &named("ada"), ALL).await.unwrap().total,
        1,
        "a directory that finds by prefix is narrowed"
    );
}

#[tokio::test]
async fn a_token_is_sent_when_there_is_one() {
    let legacy = Legacy::start().await;
    legacy.manners(|manners| manners.token = Some("s3cret".into()));
    let draft = || sample::draft(&legacy.url());
    assert!(matches!(rest(draft()).probe().await, Err(DirectoryError::Refused { .. })));
    let without = Draft { token: Some(Secret::new("")), ..draft() };
    assert!(matches!(rest(without).probe().await, Err(DirectoryError::Refused { .. })));
    let with = Draft { token: Some(Secret::new("s3cret")), ..draft() };
    rest(with).probe().await.unwrap();
}

#[tokio::test]
async fn too_much_is_too_much() {
    let (legacy, rest) = sample_directory().await;
    let long: &'static str = format!("{{\"id\":\"{}\"}}", "x".repeat(5 << 20)).leak();
    legacy.next([Fault::Body(long)]);
    assert!(!maybe_done(rest.read(ResourceType::User, "1").await));
    assert_eq!(rest.find(ResourceType::User, &named(&"é".repeat(5000)), ALL).await.unwrap().total, 0);
    assert_eq!(rest.read(ResourceType::User, &"x".repeat(100_000)).await, Ok(None));
}

#[tokio::test]
async fn one_in_ten_calls_may_go_wrong_and_nobody_is_made_twice() {
    let legacy = Legacy::start().await;
    // Few at a time and with patience, so that a busy machine is not taken for a fault.
    let rest = rest(Draft { timeout: Duration::from_secs(1), ..sample::draft(&legacy.url()) });
    legacy.manners(|manners| {
        manners.jitter = Duration::from_millis(2);
        manners.share_500 = 20;
        manners.share_503 = 20;
        manners.share_reset_before = 20;
        manners.share_reset_after = 20;
        manners.share_silence = 10;
        manners.share_cut = 10;
        manners.rate = Some(100_000);
    });
    let work = (0..200).map(async |number| {
        let name = format!("ada.{number}@example.com");
        let new = with(&ada(), "userName", json!(name));
        for _ in 0..20 {
            match rest.find(ResourceType::User, &named(&name), ALL).await {
                Ok(found) if found.total == 1 => return,
                Ok(_) => drop(rest.create(&new).await),
                Err(_) => {}
            }
        }
        panic!("{name} was not made in twenty tries");
    });
    futures_util::stream::iter(work).buffer_unordered(16).collect::<Vec<()>>().await;
    assert_eq!(legacy.people().len(), 200);
}
