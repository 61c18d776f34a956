//! Groups at size and in company: what one change costs, who sees what a walk by cursor sees, and who wins.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::config::{DirectoryConfig, Tenant};
use portcullis::directory::Connector;
use portcullis::ports::Directory as _;
use portcullis::scim::resource::Resource;
use portcullis::scim::{Member, ResourceType};
use serde_json::{Value, json};
use support::gateway::{Answer, TestGateway};
use support::legacy::{Fault, Legacy};
use support::sample;

const TENANT: &str = "standard";

fn resource(value: Value) -> Resource {
    let Value::Object(map) = value else { panic!("an object") };
    Resource::from_map(map)
}

/// Puts many people into the embedded directory at once.
async fn people(gateway: &TestGateway, count: usize) -> Vec<String> {
    let people: Vec<_> = (0..count).map(|number| resource(json!({"userName": format!("p{number:06}")}))).collect();
    let snapshot = gateway.gateway.snapshot.load_full();
    let Connector::Embedded(embedded) = snapshot.tenants[TENANT].directory.connector() else { panic!("embedded") };
    embedded.seed(&people).await.unwrap()
}

async fn group(gateway: &TestGateway, name: &str, members: &[String]) -> String {
    let members: Vec<_> = members.iter().map(|key| Member { key: key.clone(), kind: ResourceType::User }).collect();
    let snapshot = gateway.gateway.snapshot.load_full();
    let group = resource(json!({ "displayName": name }));
    snapshot.tenants[TENANT].directory.create_group(&group, &members).await.unwrap().key
}

async fn ask(gateway: &TestGateway, path: &str) -> Value {
    let answer = gateway.scim(TENANT, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

fn patch(op: &str, key: &str) -> String {
    json!({"Operations": [{"op": op, "path": "members", "value": [{"value": key}]}]}).to_string()
}

/// The middle one of what 41 repetitions take.
async fn median(mut once: impl AsyncFnMut()) -> Duration {
    let mut took = Vec::new();
    for _ in 0..41 {
        let started = tokio::time::Instant::now();
        once().await;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_change_costs_the_same_at_fifty_thousand_members() {
    let gateway = TestGateway::with(|tenant| tenant.limits = None).await;
    let people = people(&gateway, 50_001).await;
    let (newcomer, others) = people.split_last().unwrap();
    let small = group(&gateway, "Small", &others[..100]).await;
    let large = group(&gateway, "Large", others).await;
    let change = async |id: &str| {
        for op in ["add", "remove"] {
            let answer = gateway.scim(TENANT, "PATCH", &format!("/Groups/{id}"), Some(&patch(op, newcomer))).await;
            assert_eq!(answer.status, 204);
        }
    };
    let probe = async |id: &str| {
        let filter = format!("id+eq+%22{id}%22+and+members+eq+%22{}%22", others[7]);
        let found = ask(&gateway, &format!("/Groups?attributes=id&filter={filter}")).await;
        assert_eq!(found["totalResults"], 1);
        ask(&gateway, &format!("/Groups/{id}?excludedAttributes=members")).await;
    };
    let (mut changes, mut probes) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    for (at, id) in [&small, &large].into_iter().enumerate() {
        changes[at] = median(async || change(id).await).await;
        probes[at] = median(async || probe(id).await).await;
    }
    println!("add and remove: {:?} with 100 members, {:?} with 50,000", changes[0], changes[1]);
    println!("member probe and read without members: {:?} with 100, {:?} with 50,000", probes[0], probes[1]);
    for [few, many] in [changes, probes] {
        assert!(many < few * 4 + Duration::from_millis(2), "{few:?} with 100 members, {many:?} with 50,000");
    }
    // Who asks for them gets them all, and once.
    let listed = ask(&gateway, &format!("/Groups/{large}?attributes=members.value")).await;
    let keys: BTreeSet<_> = listed["members"].as_array().unwrap().iter().map(|it| it["value"].to_string()).collect();
    assert_eq!((keys.len(), listed["members"].as_array().unwrap().len()), (50_000, 50_000));
    // A replacement is the difference, and no more.
    let kept: Vec<_> = others[..49_999].iter().chain([newcomer]).map(|key| json!({"value": key})).collect();
    let body = json!({"Operations": [{"op": "replace", "path": "members", "value": kept}]}).to_string();
    let answer = gateway.scim(TENANT, "PATCH", &format!("/Groups/{large}"), Some(&body)).await;
    assert_eq!(answer.status, 204, "{}", answer.json());
    for (key, held) in [(newcomer, 1), (&others[49_999], 0)] {
        let filter = format!("id+eq+%22{large}%22+and+members+eq+%22{key}%22");
        assert_eq!(ask(&gateway, &format!("/Groups?attributes=id&filter={filter}")).await["totalResults"], held);
    }
}

/// Walks over everything by cursor, `step` after each page, and gives the ids in order.
async fn walk(gateway: &TestGateway, path: &str, count: usize, mut step: impl AsyncFnMut(usize)) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    for page in 0.. {
        let list = ask(gateway, &format!("{path}&count={count}&attributes=id&cursor={cursor}")).await;
        let resources = list["Resources"].as_array().unwrap();
        assert!(resources.len() <= count);
        ids.extend(resources.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        step(page).await;
        match list["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return ids,
        }
    }
    ids
}

async fn create(gateway: &TestGateway, kind: ResourceType, name: &str) -> String {
    let (path, attribute) = match kind {
        ResourceType::User => ("/Users", "userName"),
        ResourceType::Group => ("/Groups", "displayName"),
    };
    let answer = gateway.scim(TENANT, "POST", path, Some(&json!({ attribute: name }).to_string())).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Some go and some come while somebody walks: who stays is seen exactly once.
async fn survivors(gateway: Arc<TestGateway>, kind: ResourceType, query: &str, count: usize) {
    let mut there = Vec::new();
    for number in 0..90 {
        there.push(create(&gateway, kind, &format!("{query}w{number}")).await);
    }
    let (going, staying): (Vec<_>, Vec<_>) = there.iter().cloned().enumerate().partition(|(at, _)| at % 3 == 0);
    let staying: BTreeSet<_> = staying.into_iter().map(|(_, id)| id).collect();
    let path = format!("/{}?{query}", kind.endpoint());
    let (going, made) = (std::cell::RefCell::new(going), std::cell::Cell::new(0));
    // Deletions from either end and creations, at once, between every two pages.
    let ids = walk(&gateway, &path, count, async |page| {
        let gone: Vec<_> = {
            let mut going = going.borrow_mut();
            let front = if going.is_empty() { None } else { Some(going.remove(0)) };
            front.into_iter().chain(going.pop()).collect()
        };
        let removals = gone.iter().map(|(_, id)| {
            let (gateway, path) = (Arc::clone(&gateway), format!("/{}/{id}", kind.endpoint()));
            async move { assert_eq!(gateway.scim(TENANT, "DELETE", &path, None).await.status, 204) }
        });
        let name = format!("{query}m{page}");
        let ((), _) = tokio::join!(async { drop(join_all(removals).await) }, create(&gateway, kind, &name));
        made.set(made.get() + 1);
    })
    .await;
    let distinct: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "nobody is seen twice");
    assert!(staying.is_subset(&distinct), "{:?} were not seen", staying.difference(&distinct));
    println!(
        "{kind:?} by cursor{}: {} pages, {} created and {} deleted on the way, {} seen, all {} survivors once",
        if query.is_empty() { "" } else { " with a query" },
        made.get(),
        made.get(),
        30 - going.borrow().len(),
        ids.len(),
        staying.len(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_by_cursor_sees_every_survivor_once() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    survivors(Arc::clone(&gateway), ResourceType::User, "", 4).await;
    survivors(Arc::clone(&gateway), ResourceType::Group, "", 4).await;
    survivors(Arc::clone(&gateway), ResourceType::User, "filter=title+eq+null", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_does_where_the_directory_cannot_walk_by_key() {
    let directory = Legacy::start().await;
    let config = sample::checked(sample::draft(&directory.url()));
    let gateway = TestGateway::with(move |tenant: &mut Tenant| {
        tenant.limits = None;
        if tenant.name == TENANT {
            tenant.directory = DirectoryConfig::Rest(config.clone());
        }
    });
    survivors(Arc::new(gateway.await), ResourceType::User, "", 7).await;
}

/// A PATCH under `If-Match`.
async fn patch_if(gateway: &TestGateway, path: &str, tag: &str, body: &Value) -> Answer {
    let request = http::Request::builder()
        .method("PATCH")
        .uri(format!("http://{}/t/{TENANT}/scim/v2{path}", gateway.public))
        .header("authorization", format!("Bearer {}", gateway.token(TENANT)))
        .header("content-type", "application/scim+json")
        .header("if-match", tag);
    gateway.send(request.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_change_the_same_version_one_wins() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let person = create(&gateway, ResourceType::User, "ada").await;
    let group = create(&gateway, ResourceType::Group, "Team").await;
    for (path, attribute) in [(format!("/Users/{person}"), "title"), (format!("/Groups/{group}"), "displayName")] {
        let tag = ask(&gateway, &path).await["meta"]["version"].as_str().unwrap().to_owned();
        let tries = (0..32).map(|number| {
            let (gateway, path, tag) = (Arc::clone(&gateway), path.clone(), tag.clone());
            let body = json!({"Operations": [{"op": "replace", "path": attribute, "value": format!("v{number}")}]});
            tokio::spawn(async move { patch_if(&gateway, &path, &tag, &body).await.status })
        });
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for status in join_all(tries).await {
            *statuses.entry(status.unwrap()).or_default() += 1;
        }
        let done = if path.starts_with("/Users") { 200 } else { 204 };
        assert_eq!(statuses, BTreeMap::from([(done, 1), (412, 31)]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_group_name_is_made_once() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let tries = (0..32).map(|number| {
        let gateway = Arc::clone(&gateway);
        let name = if number % 2 == 0 { "Sales" } else { "SALES" };
        tokio::spawn(async move {
            gateway.scim(TENANT, "POST", "/Groups", Some(&json!({ "displayName": name }).to_string())).await.status
        })
    });
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for status in join_all(tries).await {
        *statuses.entry(status.unwrap()).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(201, 1), (409, 31)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_answer_was_lost_is_created_once() {
    let directory = Legacy::start().await;
    let config = sample::checked(sample::by_list(&directory, sample::draft(&directory.url()), "PUT", "none"));
    let gateway = TestGateway::with(move |tenant: &mut Tenant| {
        tenant.limits = None;
        if tenant.name == TENANT {
            tenant.directory = DirectoryConfig::Rest(config.clone());
        }
    })
    .await;
    let ada = create(&gateway, ResourceType::User, "ada").await;
    let body = json!({"displayName": "Sales", "members": [{"value": ada}]}).to_string();
    directory.next([Fault::ResetAfter]);
    let first = gateway.scim(TENANT, "POST", "/Groups", Some(&body)).await;
    assert!([502, 504].contains(&first.status), "{}", first.json());
    let second = gateway.scim(TENANT, "POST", "/Groups", Some(&body)).await;
    assert_eq!(second.status, 201, "{}", second.json());
    assert_eq!(gateway.scim(TENANT, "POST", "/Groups", Some(&body)).await.status, 409);
    let listed = ask(&gateway, "/Groups").await;
    assert_eq!((&listed["totalResults"], &listed["Resources"][0]["members"][0]["value"]), (&json!(1), &json!(ada)));
}

/// What is not wanted is not asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memberships_are_read_only_where_they_are_wanted() {
    let directory = Legacy::start().await;
    directory.manners(|manners| manners.groups = true);
    let (_, declare) = sample::VARIANTS.into_iter().find(|(name, _)| name.ends_with("one at a time")).unwrap();
    let config = sample::checked(declare(&directory, sample::draft(&directory.url())));
    let gateway = TestGateway::with(move |tenant: &mut Tenant| {
        tenant.limits = None;
        if tenant.name == TENANT {
            tenant.directory = DirectoryConfig::Rest(config.clone());
        }
    })
    .await;
    let ada = create(&gateway, ResourceType::User, "ada").await;
    let team = create(&gateway, ResourceType::Group, "Team").await;
    let asked = async |method: &str, path: &str, body: Option<&str>| {
        let before = directory.seen().len();
        let answer = gateway.scim(TENANT, method, path, body).await;
        assert!(answer.status < 300, "{path}: {}", answer.json());
        directory.seen()[before..].iter().map(|seen| seen.line.clone()).collect::<Vec<_>>()
    };
    let add = patch("add", &ada);
    let members =
        |lines: &[String]| lines.iter().filter(|line| line.starts_with("GET") && line.contains("member")).count();
    for (method, path, body) in [
        ("PATCH", format!("/Groups/{team}"), Some(&*add)),
        ("GET", format!("/Groups/{team}?excludedAttributes=members"), None),
        ("GET", format!("/Users/{ada}?attributes=userName"), None),
        ("GET", "/Users?excludedAttributes=groups".to_owned(), None),
    ] {
        let lines = asked(method, &path, body).await;
        assert_eq!(members(&lines), 0, "{method} {path}: {lines:#?}");
    }
    let filter = format!("id+eq+%22{team}%22+and+members+eq+%22{ada}%22");
    let probe = asked("GET", &format!("/Groups?attributes=id&filter={filter}"), None).await;
    assert_eq!(members(&probe), 1, "one question about one member: {probe:#?}");
    assert_eq!(members(&asked("GET", &format!("/Users/{ada}"), None).await), 1);
}
