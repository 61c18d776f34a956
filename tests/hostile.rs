//! What nobody's client sends by mistake: bytes at the edges of HTTP, JSON and SCIM. Each is refused in a form that can be
//! read, nothing is held up, and the gateway goes on answering.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::process::{Desk, PATIENCE, Process, SERVER, read_to_end};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONFIGURATION: &str = r#"
[state]
url = "sqlite:state.db"

[tenants.acme]
dialect = "standard"
[tenants.acme.directory]
kind = "embedded"

[tenants.guarded]
dialect = "standard"
hosts   = ["guarded.example.com"]
[tenants.guarded.directory]
kind = "embedded"
"#;

const USERS: &str = "/t/acme/scim/v2/Users";

/// A gateway with deadlines that a test can wait for, and a token of the tenant `acme`.
async fn gateway() -> (Desk, Process, String) {
    let bounds = "header_timeout = \"300ms\"\nrequest_timeout = \"600ms\"\nbody_limit = \"64KiB\"\n\n[operations]";
    let desk = Desk::new(&format!("{}{CONFIGURATION}", SERVER.replace("[operations]", bounds)));
    let process = desk.serve().await;
    let (_, token) = desk.token("acme");
    (desk, process, token)
}

/// The process still does its work.
async fn assert_well(process: &Process, token: &str) {
    let answer = process.call("GET", &format!("{USERS}?count=0"), token, None).await;
    assert_eq!(answer.status, 200, "it goes on:\n{}", process.log());
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").or(answer.strip_prefix("HTTP/1.0 ")).and_then(|rest| rest.get(..3)).unwrap_or("")
}

/// The body of a raw answer as JSON.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn an_oversized_body_is_refused_before_it_has_come() {
    let (_desk, process, token) = gateway().await;
    let head = format!("POST {USERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
    // Announced: refused on the head alone, of the body not a byte is waited for.
    let announced = format!("{head}content-length: 10000000000\r\n\r\n");
    for request in [announced.clone(), format!("{head}expect: 100-continue\r\ncontent-length: 70000\r\n\r\n")] {
        let answer = process.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), "413", "{answer}");
        let error = body(&answer);
        assert_eq!((&error["status"], &error["schemas"][0]), (&json!("413"), &json!(ERROR)), "{error}");
        assert!(error["detail"].as_str().unwrap().contains("larger than 65536 bytes"), "{error}");
        assert!(answer.contains("x-request-id"), "{answer}");
    }
    // Not announced: refused once the bound is passed, though the client goes on sending.
    let mut stream = TcpStream::connect(process.public).await.unwrap();
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let send = async {
        while writer.write_all(chunk.as_bytes()).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let receive = async {
        let mut answer = vec![0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let answer = timeout(PATIENCE, async {
        tokio::select! { answer = receive => answer, () = send => unreachable!() }
    });
    assert_eq!(status(&answer.await.unwrap()), "413");
    assert_well(&process, &token).await;
}

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

#[tokio::test]
async fn a_slow_client_is_cut_off() {
    let (_desk, process, token) = gateway().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let head = format!("GET {USERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
    let starts = [
        ("nothing", &b""[..]),
        ("one byte", b"G"),
        ("half a head", head.as_bytes()),
        ("half a preface", &preface[..10]),
        ("a preface alone", preface),
    ];
    join_all(starts.map(async |(what, start)| {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        stream.write_all(start).await.unwrap();
        let answer = timeout(Duration::from_secs(2), read_to_end(&mut stream)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what} keeps its connection"));
        assert!(matches!(status(&answer), "" | "408"), "{what}: {answer}");
    }))
    .await;
    // Drop by drop does not help: the deadline is for the whole head.
    let mut stream = TcpStream::connect(process.public).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        let mut more = head.bytes().cycle();
        while writer.write_all(&[more.next().unwrap()]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut sink = Vec::new();
    let cut = async {
        tokio::select! { _ = reader.read_to_end(&mut sink) => (), () = drip => () }
    };
    timeout(Duration::from_secs(2), cut).await.expect("a dripping head is cut off");

    // A body has its own deadline.
    let mut stream = TcpStream::connect(process.public).await.unwrap();
    let post = head.replace("GET", "POST");
    stream.write_all(format!("{post}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let answer = timeout(Duration::from_secs(2), read_to_end(&mut stream)).await.expect("a body has a deadline");
    assert_eq!((status(&answer), &body(&answer)["status"]), ("408", &json!("408")));
    assert_well(&process, &token).await;
}

#[tokio::test]
async fn odd_requests_are_answered_by_the_book() {
    let (_desk, process, token) = gateway().await;
    let bearer = format!("authorization: Bearer {token}\r\n");
    let long = "x".repeat(60_000);
    let many = "x-again: y\r\n".repeat(200);
    for (what, request, expected) in [
        ("header too large", format!("GET {USERS} HTTP/1.1\r\nhost: x\r\nx-long: {long}{long}\r\n\r\n"), &["431"][..]),
        ("too many headers", format!("GET {USERS} HTTP/1.1\r\nhost: x\r\n{many}\r\n"), &["431"]),
        ("path too long", format!("GET {USERS}/{long}{long} HTTP/1.1\r\nhost: x\r\n\r\n"), &["414", "431"]),
        ("long path", format!("GET {USERS}/{long} HTTP/1.1\r\nhost: x\r\n{bearer}connection: close\r\n\r\n"), &["404"]),
        ("no HTTP", "\u{1}\u{2}\u{3}\r\n\r\n".into(), &["400"]),
        ("no version", format!("GET {USERS}\r\n\r\n"), &["400"]),
        ("HTTP/3 in words", format!("GET {USERS} HTTP/3.0\r\n\r\n"), &["400", "505"]),
        (
            "two lengths",
            format!("POST {USERS} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{{}}"),
            &["400"],
        ),
        ("negative length", format!("POST {USERS} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"), &["400"]),
        ("folded header", format!("GET {USERS} HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n"), &["400"]),
        ("NUL in a header", format!("GET {USERS} HTTP/1.1\r\nhost: x\r\nx-a: b\0c\r\n\r\n"), &["400"]),
        ("NUL in the path", format!("GET {USERS}/\0 HTTP/1.1\r\nhost: x\r\n\r\n"), &["400"]),
        (
            "bad chunk",
            format!("POST {USERS} HTTP/1.1\r\nhost: x\r\n{bearer}transfer-encoding: chunked\r\n\r\nzz\r\n"),
            &["400"],
        ),
        ("HTTP/1.0", format!("GET {USERS}?count=0 HTTP/1.0\r\n{bearer}\r\n"), &["200"]),
        (
            "absolute form",
            format!(
                "GET http://evil.example.com{USERS}?count=0 HTTP/1.1\r\nhost: evil.example.com\r\n{bearer}connection: close\r\n\r\n"
            ),
            &["200"],
        ),
        ("asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into(), &["404"]),
        (
            "CONNECT",
            "CONNECT evil.example.com:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into(),
            &["404", "405"],
        ),
        ("TRACE", format!("TRACE {USERS} HTTP/1.1\r\nhost: x\r\n{bearer}connection: close\r\n\r\n"), &["405"]),
        ("unknown method", format!("BREW {USERS} HTTP/1.1\r\nhost: x\r\n{bearer}connection: close\r\n\r\n"), &["405"]),
        (
            "other host",
            format!("GET {USERS}?count=0 HTTP/1.1\r\nhost: nobody.example.com\r\n{bearer}connection: close\r\n\r\n"),
            &["200"],
        ),
        (
            "a tenant's own host, another's token",
            format!("GET /scim/v2/Users HTTP/1.1\r\nhost: guarded.example.com\r\n{bearer}connection: close\r\n\r\n"),
            &["401"],
        ),
        (
            "two tokens",
            format!("GET {USERS} HTTP/1.1\r\nhost: x\r\n{bearer}{bearer}connection: close\r\n\r\n"),
            &["400"],
        ),
    ] {
        let answer = process.raw(request.as_bytes()).await;
        let head: String = answer.chars().take(400).collect();
        assert!(expected.contains(&status(&answer)), "{what}: {head}");
        assert!(!answer.contains(&token), "{what} is told the token: {head}");
    }
    // Pipelined: the first is answered, the nonsense behind it ends the connection.
    let first = format!("GET {USERS}?count=0 HTTP/1.1\r\nhost: x\r\n{bearer}\r\n");
    let answer = process.raw(format!("{first}{first}\u{7}\u{7} nonsense\r\n\r\n").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{answer}");
    // A body that was smuggled behind a GET is not the next request.
    let inner = format!("DELETE {USERS}/1 HTTP/1.1\r\nhost: x\r\n\r\n");
    let outer = format!(
        "GET {USERS}?count=0 HTTP/1.1\r\nhost: x\r\n{bearer}content-length: {}\r\nconnection: close\r\n\r\n{inner}",
        inner.len()
    );
    assert_eq!(process.raw(outer.as_bytes()).await.matches("HTTP/1.1 ").count(), 1);
    assert_well(&process, &token).await;
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_anywhere_else() {
    let (_desk, process, token) = gateway().await;
    let ask = async |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        process.raw(request.as_bytes()).await
    };
    for path in [
        "/t/acme/../guarded/scim/v2/Users",
        "/t/guarded/../acme/scim/v2/Users",
        "/t/acme/%2e%2e/guarded/scim/v2/Users",
        "/t/%61cme/scim/v2/Users",
        "/t/acme%2fscim/v2/Users",
        "/t/ACME/scim/v2/Users",
        "//t/acme/scim/v2/Users",
        "/t//acme/scim/v2/Users",
        "/t/acme//scim/v2/Users",
        "/t/acme/scim//v2/Users",
        "/t/acme/scim/v2/../../oauth/jwks",
        "/t/acme/scim/v2/Users/..",
        "/t/acme/scim/v2/Users/%2e%2e",
        "/t/acme/scim/v2/Users/../Schemas",
        "/t/acme/scim/v2/Users/%2e%2e%2fSchemas",
        "/t/acme/scim/v2/Users/%00",
        "/t/acme/scim/v2/Users/%ff%fe",
        "/t/acme/scim/v2/Users/1%27%20OR%201=1",
        "/t/acme/scim/v2/Users\\",
        "/t/acme;x=1/scim/v2/Users",
        "/t/",
        "/t",
        "/..",
        "/.well-known/oauth-authorization-server/t/../t/acme",
        "/.well-known/oauth-authorization-server/t/",
    ] {
        let answer = ask(path).await;
        assert!(matches!(status(&answer), "404" | "400"), "{path}: {answer}");
        if path.contains("/scim/") && status(&answer) == "404" {
            assert_eq!(body(&answer)["schemas"][0], ERROR, "{path}");
        }
    }
    // Clients do add a slash, and some do not keep to the case of the last word; neither changes what is meant.
    for path in ["/t/acme/scim/v2/Users/", "/t/acme/scim/v2/users", "/t/acme/scim/v2//Users"] {
        assert_eq!(status(&ask(path).await), "200", "{path}");
    }
    assert_well(&process, &token).await;
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let (_desk, process, token) = gateway().await;
    let created = process.call("POST", USERS, &token, Some(&json!({"userName": "ada"}))).await.json();
    let person = format!("{USERS}/{}", created["id"].as_str().unwrap());
    let post = async |method: &str, path: &str, body: String| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        process.raw(format!("{head}{body}").as_bytes()).await
    };
    let nested = |open: &str, times: usize| open.repeat(times);
    let operation = json!({"op": "replace", "path": "title", "value": "x"}).to_string();
    let operations = |count: usize| format!("{{\"Operations\": [{}]}}", vec![operation.as_str(); count].join(","));
    let mut wide: serde_json::Map<String, Value> = (0..4000).map(|number| (format!("a{number}"), json!(1))).collect();
    wide.insert("userName".into(), json!("wide"));
    for (what, method, path, text, expected) in [
        ("brackets", "POST", USERS, nested("[", 60_000), "400"),
        ("braces", "POST", USERS, nested("{\"a\":", 12_000), "400"),
        ("closed brackets", "POST", USERS, format!("{{\"a\": {}{}}}", nested("[", 30_000), nested("]", 30_000)), "400"),
        ("brackets beyond the bound", "POST", USERS, nested("[", 100_000), "413"),
        ("brackets in a PATCH", "PATCH", &person, nested("[", 60_000), "400"),
        (
            "deep value",
            "PATCH",
            &person,
            format!(
                "{{\"Operations\":[{{\"op\":\"add\",\"path\":\"title\",\"value\":{}1{}}}]}}",
                nested("[", 90),
                nested("]", 90)
            ),
            "400",
        ),
        ("many operations", "PATCH", &person, operations(1200), "400"),
        ("10k operations", "PATCH", &person, operations(10_000), "413"),
        ("huge number", "POST", USERS, format!("{{\"userName\": {}}}", "9".repeat(60_000)), "400"),
        ("huge exponent", "POST", USERS, "{\"userName\": 1e999999999}".into(), "400"),
        ("lone surrogate", "POST", USERS, "{\"userName\": \"\\ud800\"}".into(), "400"),
        ("NUL", "POST", USERS, "{\"userName\": \"a\\u0000b\"}".into(), "400"),
        ("not UTF-8", "POST", USERS, "{\"userName\": \"\u{1}\"}".into(), "400"),
        ("an empty body", "POST", USERS, String::new(), "400"),
        ("null", "POST", USERS, "null".into(), "400"),
        ("thousands of unknown attributes", "POST", USERS, Value::Object(wide).to_string(), "201"),
        (
            "a long filter in a search",
            "POST",
            &format!("{USERS}/.search"),
            json!({"filter": format!("userName eq \"{}\"", "x".repeat(10_240))}).to_string(),
            "400",
        ),
        (
            "a deep filter",
            "POST",
            &format!("{USERS}/.search"),
            json!({"filter": format!("{}userName pr{}", "(".repeat(2000), ")".repeat(2000))}).to_string(),
            "400",
        ),
    ] {
        let answer = post(method, path, text).await;
        assert_eq!(status(&answer), expected, "{what}: {}", answer.chars().take(600).collect::<String>());
        if expected != "201" {
            let error = body(&answer);
            assert_eq!((&error["schemas"][0], &error["status"]), (&json!(ERROR), &json!(expected)), "{what}");
            assert!(error["detail"].as_str().unwrap().len() < 1000, "{what}: {error}");
        }
    }
    let long = format!("userName%20eq%20%22{}%22", "x".repeat(10_240));
    let terms = vec!["userName%20pr"; 500].join("%20or%20");
    let deep = format!("{}userName%20pr{}", "not(".repeat(500), ")".repeat(500));
    for (what, query) in [
        ("long", format!("filter={long}")),
        ("terms", format!("filter={terms}")),
        ("deep", format!("filter={deep}")),
        ("twice", "filter=userName%20pr&filter=userName%20pr".into()),
        ("bad escape", "filter=%zz".into()),
        ("bad UTF-8", "filter=%ff".into()),
        ("words", "count=many".into()),
    ] {
        let answer = process.call("GET", &format!("{USERS}?{query}"), &token, None).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.json());
        assert_eq!(answer.json()["schemas"][0], ERROR, "{what}");
    }
    for query in ["startIndex=99999999999999999999999&count=99999999999999999999999", "startIndex=-5&count=-1"] {
        assert_eq!(process.call("GET", &format!("{USERS}?{query}"), &token, None).await.status, 200, "{query}");
    }
    // Nothing of it makes a long log line, and nothing made the gateway fail on its own account.
    let longest = process.log().lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 8000, "a log line of {longest} bytes");
    let (_, metrics) = process.operation("/metrics").await;
    assert!(!metrics.contains("status=\"500\""), "{metrics}");
    assert_well(&process, &token).await;
}

#[tokio::test]
async fn http2_has_its_bounds_too() {
    let (_desk, process, token) = gateway().await;
    let stream = TcpStream::connect(process.public).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = |name: &str, value: String| {
        http::Request::get(format!("http://{}{USERS}?count=0", process.public))
            .header("authorization", format!("Bearer {token}"))
            .header(name, value)
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    let answer = sender.send_request(request("x-a", "b".into())).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = sender.send_request(request("x-long", "x".repeat(40_000))).await;
    assert!(answer.is_err() || answer.unwrap().status() == 431);
    assert_well(&process, &token).await;
}
