//! The limits over real requests, with a clock that the test moves: what is admitted, what is told, whose budget it is.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::Full;
use portcullis::config::Tenant;
use portcullis::limit::{Penalty, Policy, Quota};
use portcullis::oauth::password::NewPassword;
use portcullis::oauth::{Role, opaque};
use portcullis::store::{Client, ClientSecret};
use portcullis::types::{Random, Secret};
use serde_json::Value;
use support::consent::{CALLBACK, Consent};
use support::gateway::{Answer, TestGateway};

const GROUP: &str = "x-rate-limit-group";
const LIMIT: &str = "x-rate-limit-limit";
const REMAINING: &str = "x-rate-limit-remaining";
const WINDOW: &str = "x-rate-limit-window";

fn quota(requests: u32, seconds: u64) -> Quota {
    Quota { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_secs(seconds) }
}

/// The same limits for every tenant.
fn limits(read: Quota, write: Quota, penalty: u64) -> impl Fn(&mut Tenant) {
    let penalty = Penalty { duration: Duration::from_secs(penalty), extend: false };
    move |tenant| tenant.limits = Some(Policy { read: Some(read), write: Some(write), penalty, shadow: false })
}

async fn read(gateway: &TestGateway) -> Answer {
    gateway.scim("standard", "GET", "/Users?count=0", None).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.header(name)
}

/// How many of the answers were let through; every other one must be a 429.
fn admitted(answers: &[Answer]) -> usize {
    let through = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(through + refused, answers.len());
    through
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_the_limit_however_many_ask_at_once() {
    let gateway = Arc::new(TestGateway::with(limits(quota(100, 60), quota(1000, 60), 0)).await);
    let burst = async |each: usize| {
        let clients = (0..64).map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..each {
                    answers.push(read(&gateway).await);
                }
                answers
            })
        });
        join_all(clients).await.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>()
    };
    let answers = burst(3).await;
    assert_eq!(admitted(&answers), 100);
    // Each admission was told another number of those left: none was counted twice or not at all.
    let mut left: Vec<u32> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| header(answer, REMAINING).unwrap().parse().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, (0..100).collect::<Vec<_>>());

    // The window slides: a minute after the first ones and not a moment earlier.
    gateway.clock.advance(Duration::from_millis(59_999));
    assert_eq!(admitted(&burst(1).await), 0);
    gateway.clock.advance(Duration::from_millis(1));
    assert_eq!(admitted(&burst(1).await), 64);
    gateway.clock.advance(Duration::from_secs(30));
    assert_eq!(admitted(&burst(1).await), 36, "what was admitted half a window ago still counts");
}

#[tokio::test]
async fn who_waits_as_told_is_admitted() {
    for (window, penalty) in [(60, 60), (60, 5), (5, 60), (60, 0)] {
        let gateway = TestGateway::with(limits(quota(2, window), quota(9, 9), penalty)).await;
        assert_eq!(read(&gateway).await.status, 200);
        gateway.clock.advance(Duration::from_millis(1300));
        assert_eq!(read(&gateway).await.status, 200);
        for _ in 0..3 {
            let refused = read(&gateway).await;
            assert_eq!(refused.status, 429);
            assert_eq!(header(&refused, REMAINING), Some("0"));
            let wait: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
            assert!(refused.json()["detail"].as_str().unwrap().contains(&format!("wait {wait} seconds")));
            gateway.clock.advance(Duration::from_millis(wait * 1000 - 1300));
            // Not told to wait a second too long; but whoever comes after a short penalty and too early starts another one.
            if penalty != 5 {
                assert_eq!(read(&gateway).await.status, 429, "{window} {penalty}");
            }
            gateway.clock.advance(Duration::from_millis(1300));
            assert_eq!(read(&gateway).await.status, 200, "{window} {penalty}");
            gateway.clock.advance(Duration::from_secs(window + penalty));
            assert_eq!((read(&gateway).await.status, read(&gateway).await.status), (200, 200));
        }
    }
}

#[tokio::test]
async fn a_shadow_refuses_nothing_and_counts() {
    let gateway = TestGateway::with(|tenant| {
        limits(quota(2, 60), quota(1, 60), 60)(tenant);
        tenant.limits.as_mut().unwrap().shadow = true;
    })
    .await;
    for remaining in ["1", "0", "0", "0"] {
        let answer = read(&gateway).await;
        assert_eq!((answer.status, header(&answer, REMAINING)), (200, Some(remaining)));
        assert_eq!((header(&answer, GROUP), header(&answer, "retry-after")), (Some("read"), None));
    }
    for name in ["a", "b", "c"] {
        let body = format!("{{\"userName\": \"{name}\"}}");
        assert_eq!(gateway.scim("standard", "POST", "/Users", Some(&body)).await.status, 201);
    }
}

#[tokio::test]
async fn every_answer_of_a_limited_group_tells_its_limits() {
    let gateway = TestGateway::with(limits(quota(50, 60), quota(70, 30), 60)).await;
    let ada = Some("{\"userName\": \"ada\"}");
    let rows = [
        ("GET", "/Users", None, 200, "read"),
        ("POST", "/Users", ada, 201, "write"),
        ("POST", "/Users", ada, 409, "write"),
        ("POST", "/Users", Some("{"), 400, "write"),
        ("POST", "/Users", Some("{}"), 400, "write"),
        ("GET", "/Users?filter=x", None, 400, "read"),
        ("GET", "/Users/nobody", None, 404, "read"),
        ("GET", "/Nothing", None, 404, "read"),
        ("PATCH", "/Users/nobody", Some("{\"Operations\": [{\"op\": \"remove\", \"path\": \"title\"}]}"), 404, "write"),
        ("DELETE", "/Users/nobody", None, 404, "write"),
        ("PUT", "/Users", ada, 405, "write"),
        ("POST", "/Users/.search", Some("{\"count\": 0}"), 200, "read"),
        ("POST", "/Bulk", Some("{}"), 400, "write"),
        ("GET", "/Me", None, 501, "read"),
        ("GET", "/Groups", None, 200, "read"),
    ];
    let (mut reads, mut writes) = (50, 70);
    for (method, path, body, status, group) in rows {
        let answer = gateway.scim("standard", method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.json());
        let (left, limit, window) = if group == "read" { (&mut reads, "50", "60") } else { (&mut writes, "70", "30") };
        *left -= 1;
        let found = [GROUP, LIMIT, REMAINING, WINDOW].map(|name| header(&answer, name));
        assert_eq!(found, [Some(group), Some(limit), Some(left.to_string().as_str()), Some(window)], "{method} {path}");
    }
    // Discovery draws on no budget, and says nothing of one.
    let answer = gateway.scim("standard", "GET", "/Schemas", None).await;
    assert_eq!((answer.status, header(&answer, GROUP)), (200, None));

    let unlimited = TestGateway::with(|tenant| tenant.limits = None).await;
    for (method, path, body, status, _) in rows {
        let answer = unlimited.scim("standard", method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let headers = answer.headers.keys().filter(|name| name.as_str().starts_with("x-rate-limit"));
        assert_eq!(headers.count(), 0, "{method} {path}");
    }
}

#[tokio::test]
async fn refusals_do_not_count_and_a_group_is_punished_alone() {
    let gateway = TestGateway::with(limits(quota(2, 10), quota(2, 10), 30)).await;
    let statuses = async |times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(read(&gateway).await.status);
        }
        statuses
    };
    assert_eq!(statuses(5).await, [200, 200, 429, 429, 429]);
    let written = gateway.scim("standard", "POST", "/Users", Some("{\"userName\": \"a\"}")).await;
    assert_eq!(written.status, 201, "writing is another group");
    let other = gateway.scim("playvox", "GET", "/Users?count=0", None).await;
    assert_eq!(other.status, 200, "another tenant's token is another budget");
    gateway.clock.advance(Duration::from_secs(29));
    assert_eq!(statuses(3).await, [429, 429, 429]);
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(3).await, [200, 200, 429]);
}

#[tokio::test]
async fn a_budget_belongs_to_a_grant_and_outlives_its_tokens() {
    let gateway = TestGateway::with(limits(quota(3, 600), quota(9, 9), 0)).await;
    let random = Random::seeded(11);
    let secret = opaque::mint(opaque::Kind::ClientSecret, &random);
    let now = gateway.clock.now();
    let client = Client {
        id: "entra".into(),
        tenant: "standard".into(),
        name: "Entra".into(),
        redirect_uris: vec![CALLBACK.into()],
        scopes: vec!["scim.read".into(), "scim.write".into()],
        secrets: vec![ClientSecret {
            digest: secret.digest(),
            prefix: "x".into(),
            created: now,
            expires: None,
            last_used: None,
        }],
        public: false,
        doors: portcullis::oauth::Doors::CONFIDENTIAL,
        disabled: false,
        created: now,
    };
    let store = &gateway.gateway.store;
    store.add_client(&client).await.unwrap();
    let hash = NewPassword::new(Secret::new("correct horse battery")).unwrap().hash(&random);
    store.add_administrator("standard", "ada", Role::SuperUser, &hash).await.unwrap();
    let consent = Consent {
        endpoints: format!("http://{}/t/standard/oauth", gateway.public),
        client_id: "entra",
        client_secret: secret.expose(),
        username: "ada",
        password: "correct horse battery",
    };
    let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();
    let remaining = async |access: &str| {
        let request = http::Request::get(format!("http://{}/t/standard/scim/v2/Users", gateway.public))
            .header("authorization", format!("Bearer {access}"));
        let answer = gateway.send(request.body(Full::default()).unwrap()).await;
        (answer.status, header(&answer, REMAINING).unwrap().to_owned())
    };
    let (first, second) = (consent.grant(&gateway).await, consent.grant(&gateway).await);
    let access = text(&first, "access_token");
    assert_eq!(remaining(&access).await, (200, "2".into()));
    assert_eq!(remaining(&text(&second, "access_token")).await, (200, "2".into()), "another grant, another budget");
    assert_eq!(read(&gateway).await.status, 200, "a secret token has its own, too");

    gateway.clock.advance(Duration::from_mins(5));
    let renewed = consent.refresh(&gateway, &text(&first, "refresh_token")).await;
    let fresh = text(&renewed, "access_token");
    assert_ne!(fresh, access);
    assert_eq!(remaining(&fresh).await, (200, "1".into()), "new tokens, the same grant");
    assert_eq!(remaining(&access).await, (200, "0".into()));
    assert_eq!(remaining(&fresh).await.0, 429);
    assert_eq!(remaining(&text(&second, "access_token")).await, (200, "1".into()));
    gateway.clock.advance(Duration::from_mins(5));
    assert_eq!(remaining(&fresh).await.0, 200);
}
