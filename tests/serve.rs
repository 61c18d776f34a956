//! `portcullis serve` as its operator meets it: TLS, a configuration that changes, signals, the operations listener, and
//! what can be read in logs, metrics and the audit trail; what must never be is in `privacy`.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use support::legacy::Legacy;
use support::process::{Desk, PATIENCE, Process, SERVER, raw};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const EMBEDDED: &str = r#"
[state]
url = "sqlite:state.db"

[tenants.acme]
dialect = "standard"
[tenants.acme.directory]
kind = "embedded"
"#;

const USERS: &str = "/t/acme/scim/v2/Users";

fn embedded() -> Desk {
    Desk::new(&format!("{SERVER}{EMBEDDED}"))
}

/// A fresh certificate for localhost and its key, in PEM and in DER.
fn certificate() -> (String, String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
}

/// A TLS connection that trusts only `trusted`, offers `alpn` and speaks only `versions`.
async fn connect(
    process: &Process,
    trusted: &CertificateDer<'static>,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(process.public).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// A whole request over an open TLS connection in the protocol that was agreed on; gives the status.
async fn ask(stream: TlsStream<TcpStream>) -> u16 {
    let request = http::Request::get(format!("https://localhost{USERS}"))
        .header("host", "localhost")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = hyper_util::rt::TokioIo::new(stream);
    if h2 {
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap().status().as_u16()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap().status().as_u16()
    }
}

fn tls_desk() -> (Desk, CertificateDer<'static>) {
    let server = SERVER
        .replace("[operations]", "tls = { certificate = \"tls.crt\", private_key = \"tls.key\" }\n\n[operations]");
    let desk = Desk::new(&format!("{server}{EMBEDDED}").replace("http://127", "https://127"));
    let (chain, key, der) = certificate();
    desk.write("tls.crt", &chain);
    desk.write("tls.key", &key);
    (desk, der)
}

#[tokio::test]
async fn tls_of_today_is_spoken_and_of_yesterday_is_not() {
    let (desk, trusted) = tls_desk();
    let process = desk.serve().await;
    for (version, protocol) in
        [(&rustls::version::TLS13, ProtocolVersion::TLSv1_3), (&rustls::version::TLS12, ProtocolVersion::TLSv1_2)]
    {
        for alpn in ["h2", "http/1.1"] {
            let stream = connect(&process, &trusted, &[alpn], &[version]).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(protocol));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
            assert_eq!(ask(stream).await, 401, "{protocol:?} {alpn}");
        }
    }
    let stream = connect(&process, &trusted, &[], &[&rustls::version::TLS13]).await.unwrap();
    assert_eq!(ask(stream).await, 401, "without ALPN it is HTTP/1.1");
    assert!(connect(&process, &trusted, &["spdy/3"], &[&rustls::version::TLS13]).await.is_err());

    // A ClientHello of TLS 1.1 (RFC 4346 §7.4.1.2) gets the alert protocol_version (70) or handshake_failure (40).
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0, 47, 0, 53, 1, 0]);
    let answer = raw(process.public, &hello).await;
    assert_eq!(answer.as_bytes()[0], 21, "an alert: {answer:?}");
    assert!(matches!(answer.as_bytes()[5..], [2, 40 | 70]), "fatal: {answer:?}");
    // Plain HTTP to a TLS port is not answered with anything that could be taken for HTTP.
    assert!(!raw(process.public, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.contains("HTTP"));
    let stream = connect(&process, &trusted, &["h2"], &[&rustls::version::TLS13]).await.unwrap();
    assert_eq!(ask(stream).await, 401, "it goes on");
}

#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart() {
    let (desk, first) = tls_desk();
    let process = desk.serve().await;
    let versions = [&rustls::version::TLS13];
    let open = connect(&process, &first, &["h2"], &versions).await.unwrap();
    let (chain, key, second) = certificate();
    // Between the two writes, certificate and key do not fit: whatever is read then, the old pair stays in force.
    desk.write("tls.crt", &chain);
    assert!(connect(&process, &first, &["h2"], &versions).await.is_ok());
    desk.write("tls.key", &key);
    process
        .until("the new certificate", PATIENCE, async || connect(&process, &second, &["h2"], &versions).await.ok())
        .await;
    assert!(connect(&process, &first, &["h2"], &versions).await.is_err());
    assert_eq!(ask(open).await, 401, "a connection that is open stays open");
    process.metric("portcullis_config_reload_failed 0").await;
}

#[tokio::test]
async fn the_configuration_changes_under_the_running_gateway() {
    let limited = |write: &str| {
        format!(
            "{SERVER}{EMBEDDED}[tenants.acme.limits]\nread = \"none\"\nwrite = {{ requests = {write}, window = \"1h\" }}\n"
        )
    };
    let desk = Desk::new(&limited("5"));
    let process = desk.serve().await;
    let (_, token) = desk.token("acme");
    let post = async |name: &str| process.call("POST", USERS, &token, Some(&json!({ "userName": name }))).await;
    for (name, remaining) in [("a", "4"), ("b", "3"), ("c", "2")] {
        let answer = post(name).await;
        assert_eq!((answer.status, answer.header("x-rate-limit-remaining")), (201, Some(remaining)));
    }

    // Lowered to what has been used up already: the count is kept, so the next one is refused.
    let mark = process.mark();
    desk.write("portcullis.toml", &limited("3"));
    process.line_after(mark, "configuration reloaded").await;
    let answer = post("d").await;
    assert_eq!((answer.status, answer.header("x-rate-limit-limit")), (429, Some("3")));

    // A bad file changes nothing, and says where it is bad.
    for (round, wake) in ["the file", "SIGHUP"].into_iter().enumerate() {
        let mark = process.mark();
        let bad = limited("\"many\"").replace("dialect", "dialekt");
        desk.write("portcullis.toml", &format!("{bad}# {round}\n"));
        if wake == "SIGHUP" {
            process.signal("HUP");
        }
        let line = process.line_after(mark, "not reloaded").await;
        let reason = line["reason"].as_str().unwrap();
        for (mistake, column) in [("dialekt", 1), ("\"many\"", 22)] {
            let line = bad.lines().position(|line| line.contains(mistake)).unwrap() + 1;
            assert!(reason.contains(&format!("portcullis.toml:{line}:{column}: ")), "{wake}: {reason}");
        }
        assert!(reason.contains("did you mean `dialect`"), "{reason}");
        process.metric("portcullis_config_reload_failed 1").await;
        let answer = process.call("GET", USERS, &token, None).await;
        assert_eq!(answer.status, 200, "{wake}: the old configuration is in force");
        assert_eq!(post("d").await.header("x-rate-limit-limit"), Some("3"));
    }
    let mark = process.mark();
    desk.write("portcullis.toml", &limited("100").replace("1h", "30m"));
    process.line_after(mark, "configuration reloaded").await;
    process.metric("portcullis_config_reload_failed 0").await;
    let answer = process.call("POST", USERS, &token, Some(&json!({}))).await;
    assert_eq!(answer.header("x-rate-limit-window"), Some("1800"));

    // What needs a restart is refused as a whole and said.
    let mark = process.mark();
    desk.write("portcullis.toml", &limited("7").replace("state.db", "other.db"));
    let line = process.line_after(mark, "not reloaded").await;
    assert!(line["reason"].as_str().unwrap().contains("need a restart"), "{line}");
    process.metric("portcullis_config_reload_failed 1").await;
    assert_eq!(post("e").await.header("x-rate-limit-limit"), Some("100"));

    // SIGHUP reads the file even if it has not changed.
    desk.write("portcullis.toml", &limited("100"));
    process.metric("portcullis_config_reload_failed 0").await;
    let mark = process.mark();
    process.signal("HUP");
    process.line_after(mark, "configuration reloaded").await;
}

#[tokio::test]
async fn a_tenant_that_is_taken_out_is_gone_with_its_tokens() {
    let desk = embedded();
    let process = desk.serve().await;
    let (_, token) = desk.token("acme");
    assert_eq!(process.call("GET", USERS, &token, None).await.status, 200);
    let mark = process.mark();
    desk.write("portcullis.toml", &format!("{SERVER}{EMBEDDED}").replace("acme", "other"));
    process.line_after(mark, "configuration reloaded").await;
    assert_eq!(process.call("GET", USERS, &token, None).await.status, 404);
    let answer = process.call("GET", "/t/other/scim/v2/Users", &token, None).await;
    assert_eq!(answer.status, 401, "a token is its tenant's");
}

fn on_rest(directory: &Legacy, server: &str) -> Desk {
    let url = directory.url();
    let rest = std::fs::read_to_string("config/examples/rest.toml").unwrap();
    let rest = rest.replace("env:DIRECTORY_URL", &url).replace("tenants.example", "tenants.acme");
    Desk::new(&format!("{server}[state]\nurl = \"sqlite:state.db\"\n{rest}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sigterm_readiness_falls_first_and_work_is_finished() {
    let directory = Legacy::start().await;
    let desk = on_rest(&directory, &SERVER.replace("10ms", "300ms"));
    let process = desk.serve().await;
    let (_, token) = desk.token("acme");
    assert_eq!(process.operation("/readyz").await, (200, "ready\n".into()));
    directory.manners(|manners| manners.latency = Duration::from_millis(900));
    let body = json!({"userName": "late@example.com"});
    let (answer, ()) = tokio::join!(process.call("POST", USERS, &token, Some(&body)), async {
        // The request is under way once the directory has seen it.
        process.until("the call", PATIENCE, async || (!directory.seen().is_empty()).then_some(())).await;
        process.signal("TERM");
        let answer = process
            .until("draining", PATIENCE, async || {
                let (status, text) = process.operation("/readyz").await;
                (status == 503).then_some(text)
            })
            .await;
        assert_eq!(answer, "draining\n");
        // Still inside the grace: what a load balancer sends until it has noticed is served.
        let answer = process.call("GET", "/t/acme/scim/v2/ServiceProviderConfig", &token, None).await;
        assert_eq!(answer.status, 200);
        assert_eq!(process.operation("/healthz").await.0, 200);
    });
    assert_eq!(answer.status, 201, "{}", answer.json());
    assert_eq!(directory.people().len(), 1);
    let (public, operations) = (process.public, process.operations);
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(TcpStream::connect(public).await.is_err());
    assert!(TcpStream::connect(operations).await.is_err());
    let records = desk.run(&["audit", "tail", "--json"], "");
    assert!(records.contains("users.post") && records.contains("\"status\":201"), "{records}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_those_who_say_nothing() {
    let (desk, trusted) = tls_desk();
    let process = desk.serve().await;
    // Nobody has asked for anything here: a handshake not begun, a protocol not chosen.
    let silent = TcpStream::connect(process.public).await.unwrap();
    let idle = connect(&process, &trusted, &["h2"], &[&rustls::version::TLS13]).await.unwrap();
    let mark = process.mark();
    process.signal("INT");
    process.line_after(mark, "stopping").await;
    let ended = tokio::time::timeout(Duration::from_secs(3), process.ended()).await;
    assert_eq!(ended.expect("it does not wait for idle connections").code(), Some(0));
    drop((silent, idle));
}

#[tokio::test]
async fn operations_are_answered_on_their_own_listener_only() {
    let desk = embedded();
    let process = desk.serve().await;
    assert_eq!(process.operation("/healthz").await, (200, "ok\n".into()));
    assert_eq!(process.operation("/readyz").await.0, 200);
    assert_eq!(process.operation("/metrics").await.0, 200);
    assert_eq!(process.operation(USERS).await.0, 404);
    for path in ["/healthz", "/readyz", "/metrics", "/t/acme/metrics", "/t/acme/healthz", "/"] {
        let answer = process.call("GET", path, "x", None).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("portcullis_"), "{path}");
    }
}

/// `name{label,label}` of every line in a Prometheus text.
fn series(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let name = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels: Vec<_> = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect();
            format!("{name}{{{}}}", labels.join(","))
        })
        .collect()
}

#[tokio::test]
async fn every_promised_metric_is_there_with_its_labels() {
    let limits = "[tenants.acme.limits]\nread = { requests = 2, window = \"1h\" }\n";
    let desk = Desk::new(&format!("{SERVER}{EMBEDDED}{limits}"));
    let client = desk.json(&["client", "add", "--tenant", "acme", "--name", "x", "--entra", "--json"]);
    let process = desk.serve().await;
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let issued = process.form("/t/acme/oauth/token", &fields).await;
    assert_eq!(issued.status, 200, "{}", issued.json());
    let issued = issued.json();
    let token = issued["access_token"].as_str().unwrap();
    for status in [200, 200, 429] {
        assert_eq!(process.call("GET", USERS, token, None).await.status, status);
    }
    let (_, metrics) = process.operation("/metrics").await;
    let found = series(&metrics);
    for wanted in [
        "portcullis_requests_total{tenant,route,status}",
        "portcullis_request_duration_seconds_bucket{tenant,route,le}",
        "portcullis_request_duration_seconds_sum{tenant,route}",
        "portcullis_request_duration_seconds_count{tenant,route}",
        "portcullis_rate_limited_total{tenant,group}",
        "portcullis_rate_limit_remaining{tenant,group}",
        "portcullis_directory_requests_total{tenant,operation,outcome}",
        "portcullis_directory_duration_seconds_count{tenant,operation}",
        "portcullis_tokens_issued_total{tenant,grant}",
        "portcullis_config_reload_failed{}",
    ] {
        assert!(found.contains(wanted), "{wanted} is missing:\n{found:#?}");
    }
    for wanted in [
        r#"portcullis_requests_total{tenant="acme",route="users",status="200"} 2"#,
        r#"portcullis_requests_total{tenant="acme",route="users",status="429"} 1"#,
        r#"portcullis_rate_limited_total{tenant="acme",group="read"} 1"#,
        r#"portcullis_rate_limit_remaining{tenant="acme",group="read"} 0"#,
        r#"portcullis_tokens_issued_total{tenant="acme",grant="client_credentials"} 1"#,
        r#"portcullis_directory_requests_total{tenant="acme",operation="find",outcome="ok"} 2"#,
    ] {
        assert!(metrics.lines().any(|line| line == wanted), "{wanted} is missing:\n{metrics}");
    }
    // Whatever is asked for, labels stay a small closed set.
    let before = series(&metrics).len() + metrics.lines().count();
    for number in 0..50 {
        for path in [format!("/t/tenant{number}/x"), format!("/no/{number}"), format!("{USERS}/{number}/{number}")] {
            process.call("GET", &path, token, None).await;
        }
    }
    let (_, metrics) = process.operation("/metrics").await;
    assert!(series(&metrics).len() + metrics.lines().count() < before + 60, "{metrics}");
    assert!(!metrics.contains("tenant7") && !metrics.contains(id), "{metrics}");
}

#[tokio::test]
async fn one_id_ties_answer_log_and_audit_together() {
    let desk = embedded();
    let process = desk.serve().await;
    let (_, token) = desk.token("acme");
    for (method, path, token, body, status) in [
        ("POST", USERS.to_owned(), token.as_str(), Some(json!({"userName": "ada"})), 201),
        ("POST", USERS.to_owned(), token.as_str(), Some(json!({"userName": "ada"})), 409),
        ("GET", format!("{USERS}/nobody"), token.as_str(), None, 404),
        ("GET", USERS.to_owned(), "wrong", None, 401),
        ("GET", format!("{USERS}?filter=x%20y"), token.as_str(), None, 400),
        ("PUT", USERS.to_owned(), token.as_str(), Some(json!({})), 405),
    ] {
        let answer = process.call(method, &path, token, body.as_ref()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let id = answer.header("x-request-id").unwrap().to_owned();
        if status >= 400 {
            let body = answer.json();
            assert!(body["detail"].as_str().unwrap().contains(&id), "{body}");
            assert_eq!(body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
            assert_eq!(body["status"], status.to_string());
        }
        let line = process.line(&id).await;
        assert_eq!(
            (&line["request_id"], &line["status"], &line["tenant"]),
            (&json!(id), &json!(status), &json!("acme"))
        );
        let record = process
            .until("the audit record", PATIENCE, async || {
                let records = desk.run(&["audit", "tail", "--json", "--tenant", "acme"], "");
                let record = records.lines().find(|line| line.contains(&id))?;
                serde_json::from_str::<Value>(record).ok()
            })
            .await;
        assert_eq!((&record["request_id"], &record["status"]), (&json!(id), &json!(status)));
        assert_eq!(record["actor"].is_null(), token == "wrong", "{record}");
        assert!(line["actor"] == record["actor"] && line["target"] == record["target"], "{line} {record}");
    }
}

/// Asks until the answer has this status: within the second that is promised.
async fn within_a_second(process: &Process, token: &str, status: u16) {
    process
        .until("the refusal", Duration::from_secs(1), async || {
            (process.call("GET", USERS, token, None).await.status == status).then_some(())
        })
        .await;
}

#[tokio::test]
async fn who_is_shut_out_by_command_is_out_within_a_second() {
    let desk = embedded();
    let process = desk.serve().await;
    let (id, token) = desk.token("acme");
    let (_, other) = desk.token("acme");
    let client = desk.json(&["client", "add", "--tenant", "acme", "--name", "x", "--entra", "--json"]);
    let (client_id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let fields = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
    let issued = process.form("/t/acme/oauth/token", &fields).await.json();
    let access = issued["access_token"].as_str().unwrap();
    for token in [&token, &other, access] {
        assert_eq!(process.call("GET", USERS, token, None).await.status, 200, "issued while it runs");
    }
    desk.run(&["token", "revoke", "--tenant", "acme", &id], "");
    within_a_second(&process, &token, 401).await;
    assert_eq!(process.call("GET", USERS, &other, None).await.status, 200);

    desk.run(&["client", "disable", "--tenant", "acme", client_id], "");
    within_a_second(&process, access, 401).await;
    let refused = process.form("/t/acme/oauth/token", &fields).await;
    assert_eq!((refused.status, refused.json()["error"].clone()), (401, json!("invalid_client")));
    assert_eq!(process.call("GET", USERS, &other, None).await.status, 200);
}
