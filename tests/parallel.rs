//! Many at once: two changes to one person never lose one, one user name is never made twice, and no member of a group is lost.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use portcullis::config::{DirectoryConfig, Tenant};
use serde_json::{Value, json};
use support::gateway::{Answer, TestGateway};
use support::legacy::Legacy;
use support::sample;

/// Sends all of them at once, from tasks of their own.
async fn at_once(
    gateway: &Arc<TestGateway>,
    tenant: &'static str,
    requests: Vec<(&'static str, String, Value)>,
) -> Vec<Answer> {
    let tasks = requests.into_iter().map(|(method, path, body)| {
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move { gateway.scim(tenant, method, &path, Some(&body.to_string())).await })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn set(path: &str, value: &Value) -> Value {
    json!({"Operations": [{"op": "replace", "path": path, "value": value}]})
}

/// 64 attributes of one person that no other change touches.
fn attributes() -> Vec<String> {
    let plain =
        ["displayName", "nickName", "title", "profileUrl", "locale", "timezone", "userType", "preferredLanguage"];
    let names = ["givenName", "familyName", "formatted", "middleName", "honorificPrefix", "honorificSuffix"];
    let enterprise = ["employeeNumber", "costCenter", "organization", "division", "department"];
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut paths: Vec<String> = plain.map(String::from).into();
    paths.extend(names.map(|name| format!("name.{name}")));
    paths.extend(enterprise.map(|name| format!("{urn}:{name}")));
    for kind in ["work", "home", "other"] {
        let parts = ["streetAddress", "locality", "region", "postalCode", "country", "formatted"];
        paths.extend(parts.map(|part| format!("addresses[type eq \"{kind}\"].{part}")));
    }
    for kind in ["work", "home", "mobile", "fax", "pager", "other"] {
        paths.push(format!("phoneNumbers[type eq \"{kind}\"].value"));
    }
    paths.extend((0..64 - paths.len()).map(|number| format!("emails[type eq \"kind{number}\"].value")));
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_to_one_person_at_once_lose_none() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let created = gateway.scim("standard", "POST", "/Users", Some("{\"userName\": \"ada\"}")).await;
    let path = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let paths = attributes();
    assert_eq!(paths.len(), 64);
    let value = |number: usize| json!(format!("+4420{number:04}"));
    let requests = paths.iter().enumerate().map(|(number, at)| ("PATCH", path.clone(), set(at, &value(number))));
    for answer in at_once(&gateway, "standard", requests.collect()).await {
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    for (number, at) in paths.iter().enumerate() {
        let wanted = value(number);
        let filter = format!("userName eq \"ada\" and {at} eq {wanted}");
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let found = gateway.scim("standard", "GET", &format!("/Users?filter={filter}"), None).await.json();
        assert_eq!(found["totalResults"], 1, "{at}: {}", gateway.scim("standard", "GET", &path, None).await.json());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_through_a_rest_directory_lose_none_either() {
    let directory = Legacy::start().await;
    directory.manners(|manners| manners.jitter = std::time::Duration::from_millis(3));
    let config = sample::checked(sample::draft(&directory.url()));
    let gateway = TestGateway::with(move |tenant: &mut Tenant| {
        if tenant.name == "standard" {
            tenant.directory = DirectoryConfig::Rest(config.clone());
        }
    });
    let gateway = Arc::new(gateway.await);
    let created = gateway.scim("standard", "POST", "/Users", Some("{\"userName\": \"ada\"}")).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let fields = [
        ("externalId", "external_id"),
        ("name.givenName", "first_name"),
        ("name.familyName", "last_name"),
        ("displayName", "display_name"),
        ("emails[type eq \"work\"].value", "email"),
    ];
    for round in 0..4 {
        // One of the changes takes a value away, which this directory can do only by putting the whole person in place.
        let mut requests: Vec<_> = fields
            .iter()
            .map(|(at, _)| ("PATCH", format!("/Users/{id}"), set(at, &json!(format!("{at} {round}")))))
            .collect();
        let phone = if round % 2 == 0 { json!("+44") } else { Value::Null };
        requests.push(("PATCH", format!("/Users/{id}"), set("phoneNumbers[type eq \"work\"].value", &phone)));
        for answer in at_once(&gateway, "standard", requests).await {
            assert_eq!(answer.status, 200, "{}", answer.json());
        }
        let person = directory.people().remove(0);
        for (at, field) in fields {
            assert_eq!(person[field], format!("{at} {round}"), "{person}");
        }
        assert_eq!(person["phone"], if round % 2 == 0 { "+44" } else { "" });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_user_name_is_made_once() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let requests = (0..32).map(|number| {
        let name = if number % 2 == 0 { "Ada@example.com" } else { "ada@EXAMPLE.com" };
        ("POST", "/Users".to_owned(), json!({"userName": name, "displayName": number.to_string()}))
    });
    let answers = at_once(&gateway, "standard", requests.collect()).await;
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
        assert!(answer.status == 201 || answer.json()["scimType"] == "uniqueness", "{}", answer.json());
    }
    assert_eq!(statuses, BTreeMap::from([(201, 1), (409, 31)]));
    let list = gateway.scim("standard", "GET", "/Users", None).await.json();
    assert_eq!(list["totalResults"], 1);
    let made = answers.iter().find(|answer| answer.status == 201).unwrap().json();
    assert_eq!(list["Resources"][0], made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_cannot_be_renamed_onto_another_at_once() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let mut requests = Vec::new();
    for number in 0..16 {
        let body = json!({"userName": format!("u{number}")}).to_string();
        let created = gateway.scim("standard", "POST", "/Users", Some(&body)).await.json();
        requests.push((
            "PATCH",
            format!("/Users/{}", created["id"].as_str().unwrap()),
            set("userName", &json!("same")),
        ));
    }
    requests.push(("POST", "/Users".to_owned(), json!({"userName": "SAME"})));
    let answers = at_once(&gateway, "standard", requests).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200) + count(201), count(409)), (1, 16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disable_among_other_changes_holds() {
    let gateway = Arc::new(TestGateway::with(|tenant| tenant.limits = None).await);
    let created = gateway.scim("standard", "POST", "/Users", Some("{\"userName\": \"ada\"}")).await;
    let path = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let mut requests: Vec<_> =
        (0..20).map(|number| ("PATCH", path.clone(), set("title", &json!(format!("t{number}"))))).collect();
    requests.insert(10, ("PATCH", path.clone(), set("active", &json!(false))));
    requests.extend((0..5).map(|_| ("PUT", path.clone(), json!({"userName": "ada", "displayName": "Ada"}))));
    for answer in at_once(&gateway, "standard", requests).await {
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    assert_eq!(gateway.scim("standard", "GET", &path, None).await.json()["active"], false);
}

/// 64 clients add and remove their own people in four groups, in the shapes of Entra and Okta, while others read.
async fn race(gateway: Arc<TestGateway>, directory: &str) {
    const CLIENTS: usize = 64;
    const ROUNDS: usize = 8;
    let create = async |path: &str, body: Value| {
        let answer = gateway.scim("standard", "POST", path, Some(&body.to_string())).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let mut groups = Vec::new();
    for number in 0..4 {
        groups.push(create("/Groups", json!({"displayName": format!("Group {number}")})).await);
    }
    let mut people = Vec::new();
    for number in 0..CLIENTS {
        people.push(create("/Users", json!({"userName": format!("race{number}")})).await);
    }
    let (mut expected, mut done) = (vec![std::collections::BTreeSet::new(); 4], (0, 0));
    let mut clients = Vec::new();
    for (client, person) in people.iter().cloned().enumerate() {
        let mut requests = Vec::new();
        for round in 0..ROUNDS {
            let (at, adds) = ((client + round) % 4, (client * 7 + round * 3) % 5 < 3);
            let operations = match (adds, round % 2) {
                (true, 0) => json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": person}]}]),
                (true, _) => json!([
                    {"op": "replace", "value": {"id": groups[at], "displayName": format!("Group {at}")}},
                    {"op": "add", "path": "members", "value": [{"value": person, "display": "x"}]},
                ]),
                (false, 0) => json!([{"op": "Remove", "path": "members", "value": [{"value": person}]}]),
                (false, _) => json!([{"op": "remove", "path": format!("members[value eq \"{person}\"]")}]),
            };
            if adds {
                expected[at].insert(person.clone());
                done.0 += 1;
            } else {
                expected[at].remove(&person);
                done.1 += 1;
            }
            requests.push((format!("/Groups/{}", groups[at]), json!({"Operations": operations}).to_string()));
        }
        let gateway = Arc::clone(&gateway);
        clients.push(tokio::spawn(async move {
            for (path, body) in requests {
                let answer = gateway.scim("standard", "PATCH", &path, Some(&body)).await;
                assert_eq!(answer.status, 204, "{}", answer.json());
            }
        }));
    }
    let readers = groups.iter().cloned().map(|id| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            for _ in 0..4 {
                assert_eq!(gateway.scim("standard", "GET", &format!("/Groups/{id}"), None).await.status, 200);
            }
        })
    });
    for task in clients.into_iter().chain(readers) {
        task.await.unwrap();
    }
    let mut members = 0;
    for (id, expected) in groups.iter().zip(expected) {
        let group = gateway.scim("standard", "GET", &format!("/Groups/{id}"), None).await.json();
        let listed = group["members"].as_array().cloned().unwrap_or_default();
        let held: std::collections::BTreeSet<_> =
            listed.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
        assert_eq!((held.len(), &held), (listed.len(), &expected), "{directory}: {id}");
        members += held.len();
    }
    println!(
        "{directory}: {CLIENTS} clients, 4 groups, {} additions and {} removals, {members} members in the end, none lost and none left",
        done.0, done.1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_member_is_lost_and_none_is_left() {
    race(Arc::new(TestGateway::with(|tenant| tenant.limits = None).await), "embedded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_the_directory_only_puts_whole_lists_in_place() {
    for guard in ["none", "version"] {
        let directory = Legacy::start().await;
        directory.manners(|manners| manners.jitter = std::time::Duration::from_millis(2));
        let config = sample::checked(sample::by_list(&directory, sample::draft(&directory.url()), "PUT", guard));
        let gateway = TestGateway::with(move |tenant: &mut Tenant| {
            tenant.limits = None;
            if tenant.name == "standard" {
                tenant.directory = DirectoryConfig::Rest(config.clone());
            }
        });
        race(Arc::new(gateway.await), &format!("REST, whole lists, guard {guard}")).await;
    }
}
