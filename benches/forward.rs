//! What a request costs: CPU of the gateway per forwarded request beside that of a bare hyper proxy on the same call.
//!
//! `cargo bench --bench forward [-- REQUESTS]`. The sample directory, the proxy and the gateway are processes of their own;
//! their CPU time is read from `/proc/PID/stat` before and after, so only Linux can run this. Rounds of the two alternate
//! and the median ratio is printed, which holds when the machine's speed drifts.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve-directory") => run(directory()),
        Some("serve-proxy") => run(proxy(arguments[2].parse().expect("an address"))),
        // `cargo test --benches` runs this with --test: nothing to measure there.
        _ if arguments.iter().any(|argument| argument == "--test") => {}
        _ => {
            let requests = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
            run(compare(requests));
        }
    }
}

fn run<F: Future<Output = ()>>(work: F) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(work);
}

/// A child process that is killed with its handle, and the address it printed.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn own(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child =
            Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("the helper starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("an address");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    /// User and system CPU time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux's /proc");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks: f64 = [11, 12].into_iter().map(|at| fields[at].parse::<f64>().expect("ticks")).sum();
        ticks / 100.0
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux's /proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
    }
}

async fn directory() {
    let server = support::legacy::Legacy::start().await;
    println!("{}", server.url().trim_start_matches("http://"));
    std::future::pending::<()>().await;
}

/// The reference: accepts, forwards with a pooled client, answers; no logging, no parsing, no limits.
async fn proxy(upstream: SocketAddr) {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(move |mut request: http::Request<Incoming>| {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = format!("http://{upstream}{path}").parse().expect("a URI");
                client.request(request)
            });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The gateway in front of the directory, and a secret token for it.
fn gateway(directory: SocketAddr, folder: &std::path::Path) -> (Server, String) {
    let program = env!("CARGO_BIN_EXE_portcullis");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/rest.toml");
    let port = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let (listen, operations) = (port(), port());
    let environment: BTreeMap<&str, String> = BTreeMap::from([
        ("DIRECTORY_URL", format!("http://{directory}")),
        ("PORTCULLIS__SERVER__LISTEN", listen.to_string()),
        ("PORTCULLIS__SERVER__PUBLIC_URL", format!("http://{listen}")),
        ("PORTCULLIS__OPERATIONS__LISTEN", operations.to_string()),
        ("PORTCULLIS__STATE__URL", format!("sqlite:{}", folder.join("state.db").display())),
    ]);
    let issued = Command::new(program)
        .args(["token", "issue", "--json", "--tenant", "example", "--config", config])
        .envs(&environment)
        .output()
        .expect("a token");
    let issued: serde_json::Value = serde_json::from_slice(&issued.stdout).expect("a token as JSON");
    let log = std::fs::File::create(folder.join("log")).expect("a log file");
    let child = Command::new(program)
        .args(["serve", "--config", config])
        .envs(&environment)
        .stderr(log)
        .spawn()
        .expect("it starts");
    (Server { child, address: listen }, issued["token"].as_str().expect("a token").to_owned())
}

/// One kind of request, as the proxy and as the gateway get it.
struct Call {
    name: &'static str,
    method: &'static str,
    plain: fn(usize) -> (String, String),
    scim: fn(usize) -> (String, String),
}

const NONE: String = String::new();

const CALLS: [Call; 4] = [
    Call {
        name: "get",
        method: "GET",
        plain: |_| ("/users/1".into(), NONE),
        scim: |_| ("/t/example/scim/v2/Users/1".into(), NONE),
    },
    Call {
        name: "filter",
        method: "GET",
        plain: |_| ("/users?username=bench0%40example.com".into(), NONE),
        scim: |_| ("/t/example/scim/v2/Users?filter=userName+eq+%22bench0%40example.com%22".into(), NONE),
    },
    Call {
        name: "create",
        method: "POST",
        plain: |n| {
            (
                "/users".into(),
                format!(
                    r#"{{"username":"p{n}@example.com","external_id":"p{n}","first_name":"Ada","last_name":"Lovelace","display_name":"Ada Lovelace","email":"p{n}@example.com","enabled":true}}"#
                ),
            )
        },
        scim: |n| {
            (
                "/t/example/scim/v2/Users".into(),
                format!(
                    r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"g{n}","userName":"g{n}@example.com","active":true,"displayName":"Ada Lovelace","emails":[{{"primary":true,"type":"work","value":"g{n}@example.com"}}],"meta":{{"resourceType":"User"}},"name":{{"familyName":"Lovelace","givenName":"Ada"}},"roles":[]}}"#
                ),
            )
        },
    },
    Call {
        name: "patch",
        method: "PATCH",
        plain: |n| ("/users/1".into(), format!(r#"{{"display_name":"Ada {n}"}}"#)),
        scim: |n| {
            (
                "/t/example/scim/v2/Users/1".into(),
                format!(
                    r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{{"op":"Replace","path":"displayName","value":"Grace {n}"}}]}}"#
                ),
            )
        },
    },
];

/// What one round took, in microseconds a request.
struct Round {
    cpu: f64,
    p50: f64,
    p99: f64,
}

async fn round(
    server: &Server,
    requests: usize,
    first: usize,
    method: &'static str,
    token: Option<Arc<str>>,
    make: fn(usize) -> (String, String),
) -> Round {
    let before = server.cpu();
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let (address, token) = (server.address, token.clone());
        tasks.push(tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let _ = stream.set_nodelay(true);
            let (mut sender, connected) =
                hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.expect("HTTP");
            tokio::spawn(connected);
            let mut took = Vec::with_capacity(requests / CONNECTIONS);
            for n in 0..requests / CONNECTIONS {
                let (path, body) = make(first + connection * requests + n);
                let mut request = http::Request::builder().method(method).uri(path).header("host", "bench");
                if let Some(token) = &token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                if !body.is_empty() {
                    request = request.header(
                        "content-type",
                        if token.is_some() { "application/scim+json" } else { "application/json" },
                    );
                }
                let request = request.body(Full::new(Bytes::from(body))).expect("a request");
                #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
                let start = Instant::now();
                sender.ready().await.expect("ready");
                let response = sender.send_request(request).await.expect("an answer");
                let status = response.status();
                let body = response.into_body().collect().await.expect("a body").to_bytes();
                assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
                took.push(start.elapsed());
            }
            took
        }));
    }
    let mut took: Vec<Duration> = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("a finished client"));
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let done = f64::from(u32::try_from(took.len()).expect("a few thousand requests"));
    Round { cpu: (server.cpu() - before) * 1e6 / done, p50: at(50), p99: at(99) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn compare(requests: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Server::own(&["serve-directory"]);
    let proxy = Server::own(&["serve-proxy", &directory.address.to_string()]);
    let (gateway, token) = gateway(directory.address, folder.path());
    let token: Arc<str> = token.into();
    while TcpStream::connect(gateway.address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seed = |n: usize| {
        let body = format!(r#"{{"username":"bench{n}@example.com","first_name":"B","last_name":"N","enabled":true}}"#);
        ("/users".to_owned(), body)
    };
    round(&proxy, CONNECTIONS, 0, "POST", None, seed).await;
    println!("{requests} requests a round, {ROUNDS} rounds, {CONNECTIONS} connections; medians");
    println!(
        "{:8} {:>14} {:>14} {:>7} {:>18} {:>18}",
        "call", "proxy CPU us", "gateway CPU us", "ratio", "proxy p50/p99 us", "gateway p50/p99 us"
    );
    for call in &CALLS {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for at in 0..=ROUNDS {
            let first = at * requests * CONNECTIONS * 2;
            let b = round(&proxy, requests, first, call.method, None, call.plain).await;
            let g = round(&gateway, requests, first, call.method, Some(Arc::clone(&token)), call.scim).await;
            // The first round warms both up.
            if at > 0 {
                bare.push(b);
                ours.push(g);
            }
        }
        let ratio = median(bare.iter().zip(&ours).map(|(b, g)| g.cpu / b.cpu).collect());
        let of = |rounds: &[Round], pick: fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
        println!(
            "{:8} {:14.1} {:14.1} {ratio:7.2} {:>9.0}/{:<8.0} {:>9.0}/{:<8.0}",
            call.name,
            of(&bare, |round| round.cpu),
            of(&ours, |round| round.cpu),
            of(&bare, |round| round.p50),
            of(&bare, |round| round.p99),
            of(&ours, |round| round.p50),
            of(&ours, |round| round.p99),
        );
    }
    println!("gateway resident: {} KiB", gateway.resident_kib());
}
