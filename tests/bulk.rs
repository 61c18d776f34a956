//! Bulk requests and the write budget: each operation draws on it, and all of them are let through or none is.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis::config::Tenant;
use portcullis::limit::{Penalty, Policy, Quota};
use serde_json::{Value, json};
use support::gateway::{Answer, TestGateway};

fn limited(tenant: &mut Tenant) {
    let quota = |requests| Some(Quota { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_mins(1) });
    let penalty = Penalty { duration: Duration::ZERO, extend: false };
    tenant.limits = Some(Policy { read: quota(1000), write: quota(10), penalty, shadow: false });
}

fn creates(names: std::ops::Range<u32>) -> Value {
    let create = |name| json!({"method": "POST", "path": "/Users", "bulkId": format!("b{name}"), "data": {"userName": format!("u{name}")}});
    json!({"Operations": names.map(create).collect::<Vec<_>>()})
}

async fn bulk(gateway: &TestGateway, body: &Value) -> Answer {
    gateway.scim("standard", "POST", "/Bulk", Some(&body.to_string())).await
}

async fn people(gateway: &TestGateway) -> Value {
    gateway.scim("standard", "GET", "/Users?count=0", None).await.json()["totalResults"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_draws_on_the_write_budget() {
    let gateway = TestGateway::with(limited).await;
    let answer = bulk(&gateway, &creates(0..4)).await;
    assert_eq!(
        (answer.status, answer.header("x-rate-limit-group"), answer.header("x-rate-limit-remaining")),
        (200, Some("write"), Some("6"))
    );
    let refused = bulk(&gateway, &creates(4..11)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    assert_eq!(refused.json()["status"], "429");
    assert_eq!(people(&gateway).await, 4, "refused as one, before anything is done");
    let answer = bulk(&gateway, &creates(4..10)).await;
    assert_eq!((answer.status, answer.header("x-rate-limit-remaining")), (200, Some("0")));
    assert_eq!(people(&gateway).await, 10);
    assert_eq!(gateway.scim("standard", "DELETE", "/Users/1", None).await.status, 429);
    gateway.clock.advance(Duration::from_mins(1));
    assert_eq!(gateway.scim("standard", "DELETE", "/Users/1", None).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_is_what_is_taken() {
    let gateway = TestGateway::with(limited).await;
    let config = gateway.scim("standard", "GET", "/ServiceProviderConfig", None).await.json();
    assert_eq!(config["bulk"]["maxOperations"], 10, "more could never be let through");
    let refused = bulk(&gateway, &creates(0..11)).await;
    assert_eq!((refused.status, people(&gateway).await), (413, json!(0)), "{}", refused.json());
    assert_eq!(bulk(&gateway, &json!({"Operations": "x"})).await.status, 400);

    let gateway = TestGateway::with(|tenant| tenant.limits = None).await;
    let config = gateway.scim("standard", "GET", "/ServiceProviderConfig", None).await.json();
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576}));
    let answer = bulk(&gateway, &creates(0..1000)).await;
    assert_eq!((answer.status, answer.json()["Operations"].as_array().unwrap().len()), (200, 1000));
    assert!(answer.header("x-rate-limit-remaining").is_none());
    assert_eq!(bulk(&gateway, &creates(1000..2001)).await.status, 413);
    assert_eq!(people(&gateway).await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_leaves_its_own_audit_record() {
    let gateway = TestGateway::with(|tenant| tenant.limits = None).await;
    let operations = json!({"Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ada", "nonsense": 1}},
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "Team", "members": [{"value": "bulkId:a"}]}},
        {"method": "DELETE", "path": "/Users/4711"},
    ]});
    assert_eq!(bulk(&gateway, &operations).await.status, 200);
    let store = &gateway.gateway.store;
    store.flush_audit().await;
    let mut told: Vec<_> = store.audit_tail(Some("standard"), 10, None).await.unwrap();
    told.sort_by_key(|(number, _)| *number);
    let told: Vec<_> =
        told.into_iter().map(|(_, it)| (it.operation, it.status, it.target, it.notes.join("; "))).collect();
    let rows = [
        ("users.post", 201, Some("1"), "operation 1 of a bulk request; dropped nonsense"),
        ("groups.post", 201, Some("g1"), "operation 2 of a bulk request"),
        ("user.delete", 404, None, "operation 3 of a bulk request; refused "),
        ("bulk.post", 200, None, "3 of 3 operations, 1 failed"),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(operation, status, target, notes)| {
            (operation.to_owned(), status, target.map(String::from), notes.to_owned())
        })
        .collect();
    assert_eq!(told, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bulk_requests_end() {
    let gateway = TestGateway::with(|tenant| tenant.limits = None).await;
    let chain: Vec<_> = (0..999_u32)
        .map(|at| json!({"method": "POST", "path": "/Groups", "bulkId": format!("g{at}"),
                         "data": {"displayName": format!("g{at}"), "members": [{"type": "Group", "value": format!("bulkId:g{}", (at + 1) % 999)}]}}))
        .collect();
    let answer = bulk(&gateway, &json!({ "Operations": chain })).await;
    let body = answer.json();
    let made = body["Operations"].as_array().unwrap().iter().filter(|it| it["status"] == "201").count();
    assert_eq!((answer.status, made), (200, 999), "one long circle");
    for operation in [
        json!({"method": "POST", "path": "/Users/../Groups", "data": {}}),
        json!({"method": "DELETE", "path": "/Users/bulkId:nobody"}),
        json!({"method": "PATCH", "path": "http://elsewhere.example/Users/1", "data": {"Operations": []}}),
        json!({"method": "POST", "path": "/Users", "version": "\u{0}\n", "data": {"userName": "x"}}),
        json!([]),
        json!({"method": "PUT", "path": "/Users/%ff", "data": {}}),
        json!({"method": "POST", "path": "/Me", "data": {}}),
    ] {
        let answer = bulk(&gateway, &json!({ "Operations": [operation] })).await;
        let status: u16 = answer.json()["Operations"][0]["status"].as_str().unwrap().parse().unwrap();
        assert!((400..500).contains(&status), "{}", answer.json());
    }
}
