//! The operations listener, the request id on every answer, and a stop that finishes what is under way.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use portcullis::config::DirectoryConfig;
use serde_json::json;
use support::gateway::{Answer, TestGateway};
use support::legacy::Legacy;
use support::sample;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

async fn ask(gateway: &TestGateway, method: &str, url: String) -> Answer {
    gateway.send(http::Request::builder().method(method).uri(url).body(Full::<Bytes>::default()).unwrap()).await
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let gateway = TestGateway::start().await;
    let (public, inside) = (format!("http://{}", gateway.public), format!("http://{}", gateway.operations));
    let rows = [
        ("GET", format!("{inside}/healthz"), 200),
        ("GET", format!("{inside}/readyz"), 200),
        ("HEAD", format!("{inside}/readyz"), 200),
        ("GET", format!("{inside}/metrics"), 200),
        ("GET", format!("{inside}/else"), 404),
        ("POST", format!("{inside}/healthz"), 405),
        ("GET", format!("{public}/healthz"), 404),
        ("GET", format!("{public}/metrics"), 404),
        ("GET", format!("{public}/"), 404),
        ("GET", format!("{public}/t/nobody/scim/v2/Users"), 404),
        ("GET", format!("{public}/t/standard/scim/v2/Users"), 401),
        ("HEAD", format!("{public}/t/standard/scim/v2/ServiceProviderConfig"), 200),
        ("PUT", format!("{public}/t/standard/scim/v2/ServiceProviderConfig"), 405),
        ("GET", format!("{public}/t/standard/oauth/token"), 405),
        ("GET", format!("{public}/.well-known/oauth-authorization-server/t/standard"), 200),
    ];
    for (method, url, status) in rows {
        let answer = ask(&gateway, method, url.clone()).await;
        assert_eq!(answer.status, status, "{method} {url}");
        assert!(answer.header("x-request-id").is_some_and(|id| id.len() == 36), "{method} {url}");
    }
    let answer = gateway.scim("standard", "POST", "/Users", Some(&"x".repeat(2 * 1024 * 1024))).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["detail"].as_str().unwrap().contains(answer.header("x-request-id").unwrap()));
    let answer = gateway.scim("ringcentral", "POST", "/Users", Some(&"x".repeat(2 * 1024 * 1024))).await;
    assert_eq!(
        (answer.status, answer.header("x-rate-limit-remaining")),
        (413, Some("999")),
        "a limited answer like any"
    );
}

/// A gateway before a user system that takes its time.
async fn slow() -> (Legacy, TestGateway) {
    let legacy = Legacy::start().await;
    legacy.manners(|manners| manners.latency = Duration::from_millis(300));
    let url = legacy.url();
    let gateway = TestGateway::with(|tenant| {
        tenant.directory = DirectoryConfig::Rest(sample::checked(sample::draft(&url)));
    })
    .await;
    (legacy, gateway)
}

/// Sends a create on a connection of its own, and waits until the user system has been asked.
async fn create(legacy: &Legacy, gateway: &TestGateway) -> TcpStream {
    let body = json!({"userName": "ada@example.com"}).to_string();
    let head = format!(
        "POST /t/standard/scim/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        gateway.token("standard"),
        body.len()
    );
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    while legacy.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    stream
}

#[tokio::test]
async fn what_is_under_way_is_answered() {
    use tokio::io::AsyncReadExt as _;
    let (legacy, gateway) = slow().await;
    let mut idle = TcpStream::connect(gateway.public).await.unwrap();
    let mut stream = create(&legacy, &gateway).await;
    let stopped = gateway.stop();
    let (mut answer, mut nothing) = (String::new(), Vec::new());
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(idle.read_to_end(&mut nothing).await.unwrap_or(0), 0);
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_change_is_finished_without_its_client() {
    let (legacy, gateway) = slow().await;
    drop(create(&legacy, &gateway).await);
    let running = std::sync::Arc::clone(&gateway.gateway);
    gateway.stop().await.unwrap();
    assert!(running.changes.is_empty());
    assert_eq!(legacy.people().len(), 1);
}
