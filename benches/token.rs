//! What tokens cost the gateway in CPU: a token request by client credentials, and an access token never seen before beside one that
//! was.
//!
//! `cargo bench --bench token [-- CLIENTS]`. The gateway is a process of its own with its defaults (EdDSA, SQLite, a log line and an
//! audit record a request); its CPU time is read from `/proc/PID/stat` before and after, so only Linux can run this. Each client
//! has one token a second and scope at most, hence the many clients.

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::{Door, Doors};
use portcullis::store::{Client, ClientSecret, Store};
use portcullis::types::{Clock, Random, Secret};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` runs this with --test: nothing to measure there.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let clients = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(4000);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(measure(clients));
}

/// The gateway; killed with its handle.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// User and system CPU time so far, in microseconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux's /proc");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks: f64 = [11, 12].into_iter().map(|at| fields[at].parse::<f64>().expect("ticks")).sum();
        ticks * 10_000.0
    }
}

/// The clients, all with the same secret.
async fn register(state: &str, clients: usize) -> Secret {
    let store = Store::open(state, Clock::system()).await.expect("a state");
    let secret = opaque::mint(Kind::ClientSecret, &Random::seeded(1));
    let created = Clock::system().now();
    for number in 0..clients {
        let client = Client {
            id: format!("c{number}"),
            tenant: "example".into(),
            name: "bench".into(),
            redirect_uris: Vec::new(),
            scopes: vec!["scim.read".into(), "scim.write".into()],
            secrets: vec![ClientSecret {
                digest: secret.digest(),
                prefix: opaque::public_prefix(&secret),
                created,
                expires: None,
                last_used: None,
            }],
            public: false,
            doors: Doors::NONE.with(Door::ClientCredentials),
            disabled: false,
            created,
        };
        store.add_client(&client).await.expect("added");
    }
    store.close().await;
    secret
}

/// Sends each request over one of a few connections; gives the answers' bodies in order, and the gateway's CPU a request.
async fn send(gateway: &Gateway, requests: Vec<http::Request<Full<Bytes>>>) -> (Vec<Bytes>, f64) {
    let count = f64::from(u32::try_from(requests.len()).expect("a few thousand"));
    let mut shares: Vec<Vec<(usize, http::Request<Full<Bytes>>)>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (number, request) in requests.into_iter().enumerate() {
        shares[number % CONNECTIONS].push((number, request));
    }
    let before = gateway.cpu();
    let mut tasks = Vec::new();
    for share in shares {
        let address = gateway.address;
        tasks.push(tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let _ = stream.set_nodelay(true);
            let (mut sender, connected) =
                hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.expect("HTTP");
            tokio::spawn(connected);
            let mut answers = Vec::new();
            for (number, request) in share {
                sender.ready().await.expect("ready");
                let answer = sender.send_request(request).await.expect("an answer");
                let status = answer.status();
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
                answers.push((number, body));
            }
            answers
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.expect("a finished client"));
    }
    // What is written behind the answers is theirs, too.
    tokio::time::sleep(Duration::from_millis(500)).await;
    answers.sort_by_key(|(number, _)| *number);
    (answers.into_iter().map(|(_, body)| body).collect(), (gateway.cpu() - before) / count)
}

fn token_request(client: usize, secret: &Secret) -> http::Request<Full<Bytes>> {
    let body = format!("grant_type=client_credentials&client_id=c{client}&client_secret={}", secret.expose());
    http::Request::post("/t/example/oauth/token")
        .header("host", "bench")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(body)))
        .expect("a request")
}

fn scim_request(token: &str) -> http::Request<Full<Bytes>> {
    http::Request::get("/t/example/scim/v2/ResourceTypes")
        .header("host", "bench")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .expect("a request")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn measure(clients: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = format!("sqlite:{}", folder.path().join("state.db").display());
    let secret = Arc::new(register(&state, clients).await);
    let config = folder.path().join("portcullis.toml");
    let port = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let (listen, operations) = (port(), port());
    let text = format!(
        "[server]\nlisten = \"{listen}\"\n[operations]\nlisten = \"{operations}\"\n[state]\nurl = \"{state}\"\n\
         [tenants.example]\ndialect = \"standard\"\ndirectory = {{ kind = \"embedded\" }}\n"
    );
    std::fs::write(&config, text).expect("written");
    let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["serve", "--config"]).arg(&config).stderr(log);
    let gateway = Gateway { child: command.spawn().expect("it starts"), address: listen };
    while TcpStream::connect(listen).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let (mut first, mut again, mut unknown, mut unseen, mut cached) = (vec![], vec![], vec![], vec![], vec![]);
    let ask = async || send(&gateway, (0..clients).map(|client| token_request(client, &secret)).collect()).await;
    let tokens = |answers: &[Bytes]| -> Vec<String> {
        let token =
            |body: &Bytes| serde_json::from_slice::<serde_json::Value>(body).expect("JSON")["access_token"].take();
        answers.iter().map(|body| token(body).as_str().expect("a token").to_owned()).collect()
    };
    let use_each =
        async |tokens: &[String]| send(&gateway, tokens.iter().map(|token| scim_request(token)).collect()).await.1;
    for round in 0..=ROUNDS {
        let (answers, cost) = ask().await;
        let cost_of_use = use_each(&tokens(&answers)).await;
        if round == 0 {
            // Secrets and grants nobody has seen yet.
            first.push(cost);
            unknown.push(cost_of_use);
            continue;
        }
        again.push(cost);
        unseen.push(cost_of_use);
        cached.push(use_each(&tokens(&answers)).await);
    }
    println!("{clients} clients, {ROUNDS} rounds, {CONNECTIONS} connections; CPU a request in microseconds, medians");
    println!("token request, verified secret    {:7.1}", median(again));
    println!("token request, new client         {:7.1}", median(first));
    let seen = median(cached);
    println!("SCIM request, token seen before   {seen:7.1}");
    let unseen = median(unseen);
    println!("SCIM request, token never seen    {unseen:7.1}  ({:+.1})", unseen - seen);
    let unknown = median(unknown);
    println!("SCIM request, grant never seen    {unknown:7.1}  ({:+.1})", unknown - seen);
}
