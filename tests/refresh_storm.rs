//! A refresh survives what happens to answers (design decision 8): lost on the way, asked for by several workers at once, cut off by
//! the death of the process between commit and answer. And the other side of it: a copy used later ends the family.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis::oauth::Doors;
use portcullis::oauth::Role;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::password::NewPassword;
use portcullis::store::{Client as OAuthClient, ClientSecret};
use portcullis::types::{Random, Secret};
use serde_json::Value;
use support::consent::{CALLBACK, Consent};
use support::gateway::TestGateway;
use support::process::{Desk, SERVER};

const PASSWORD: &str = "correct horse battery";
/// How many refreshes; `tests/run` says 10,000.
const FEW: usize = 1_000;
const WORKERS: usize = 4;
/// Of a hundred answers.
const LOST: u8 = 30;

/// The tokens of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// A gateway in this process, and a grant of its tenant `standard`.
async fn granted(gateway: &TestGateway) -> (String, Tokens) {
    let random = Random::seeded(11);
    let (store, now) = (&gateway.gateway.store, gateway.clock.now());
    let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash(&random);
    store.add_administrator("standard", "ada", Role::SuperUser, &hash).await.unwrap();
    let secret = opaque::mint(Kind::ClientSecret, &random);
    let client = OAuthClient {
        id: "entra".into(),
        tenant: "standard".into(),
        name: "Entra".into(),
        redirect_uris: vec![CALLBACK.into()],
        scopes: vec!["scim.read".into(), "scim.write".into()],
        secrets: vec![ClientSecret {
            last_used: None,
            digest: secret.digest(),
            prefix: "pcx".into(),
            created: now,
            expires: None,
        }],
        doors: Doors::CONFIDENTIAL,
        public: false,
        disabled: false,
        created: now,
    };
    store.add_client(&client).await.unwrap();
    let consent = Consent {
        endpoints: format!("http://{}/t/standard/oauth", gateway.public),
        client_id: "entra",
        client_secret: secret.expose(),
        username: "ada",
        password: PASSWORD,
    };
    let tokens = Tokens::of(&consent.grant(gateway).await);
    (secret.expose().to_owned(), tokens)
}

fn refresh(base: &str, secret: &str, token: &str) -> http::Request<Full<Bytes>> {
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "entra"), ("client_secret", secret)];
    form(&format!("{base}/token"), &fields)
}

fn form(url: &str, fields: &[(&str, &str)]) -> http::Request<Full<Bytes>> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = http::Request::post(url).header("content-type", "application/x-www-form-urlencoded");
    request.body(Full::new(Bytes::from(body))).unwrap()
}

fn people(gateway: &TestGateway, access: &str) -> http::Request<Full<Bytes>> {
    let request = http::Request::get(format!("http://{}/t/standard/scim/v2/Users?count=0", gateway.public));
    request.header("authorization", format!("Bearer {access}")).body(Full::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_dies_of_lost_answers_and_workers_at_once() {
    let wanted = std::env::var("PORTCULLIS_STORM").ok().and_then(|text| text.parse().ok()).unwrap_or(FEW);
    let gateway = TestGateway::start().await;
    let (secret, mut tokens) = granted(&gateway).await;
    let base = format!("http://{}/t/standard/oauth", gateway.public);
    let luck = Random::seeded(99);
    let (sent, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut round = 0;
    while sent.load(Ordering::Relaxed) < wanted {
        round += 1;
        // Each goes on asking until an answer has come through to it.
        let worker = async || loop {
            sent.fetch_add(1, Ordering::Relaxed);
            let answer = gateway.send(refresh(&base, &secret, &tokens.refresh)).await;
            assert_eq!(answer.status, 200, "round {round}: {}", answer.json());
            if luck.bytes::<1>()[0] % 100 >= LOST {
                break Tokens::of(&answer.json());
            }
            lost.fetch_add(1, Ordering::Relaxed);
        };
        let answers = join_all((0..WORKERS).map(|_| worker())).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}: one result for all");
        assert_ne!(answers[0], tokens);
        tokens.clone_from(&answers[0]);
        // Sometimes the access token is the first to be used, sometimes the refresh token.
        if round % 3 == 0 {
            assert_eq!(gateway.send(people(&gateway, &tokens.access)).await.status, 200, "round {round}");
        }
        if round % 50 == 0 {
            gateway.clock.advance(Duration::from_mins(50));
        }
    }
    let (sent, lost) = (sent.into_inner(), lost.into_inner());
    assert!(lost * 5 > sent, "{lost} of {sent} were lost");
    assert_eq!(gateway.send(people(&gateway, &tokens.access)).await.status, 200, "the grant lives after {sent}");
    eprintln!("{sent} refreshes, {lost} answers lost, {round} generations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_token_ends_the_family_once_its_successor_is_used() {
    for use_refresh in [false, true] {
        let gateway = TestGateway::start().await;
        let (secret, stolen) = granted(&gateway).await;
        let base = format!("http://{}/t/standard/oauth", gateway.public);
        let mut newest = Tokens::of(&gateway.send(refresh(&base, &secret, &stolen.refresh)).await.json());
        if use_refresh {
            newest = Tokens::of(&gateway.send(refresh(&base, &secret, &newest.refresh)).await.json());
        }
        assert_eq!(gateway.send(people(&gateway, &newest.access)).await.status, 200);
        let replay = gateway.send(refresh(&base, &secret, &stolen.refresh)).await;
        assert_eq!((replay.status, &replay.json()["error"]), (400, &Value::from("invalid_grant")));
        assert_eq!(gateway.send(people(&gateway, &newest.access)).await.status, 401, "at once");
        let after = gateway.send(refresh(&base, &secret, &newest.refresh)).await;
        assert_eq!(after.json()["error"], "invalid_grant", "for the rightful owner too: the administrator must look");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_commit_and_answer_costs_nothing() {
    const TENANT: &str = "[state]\nurl = \"sqlite:state.db\"\n[tenants.acme]\ndialect = \"standard\"\n\
        directory = { kind = \"embedded\" }\n";
    let desk = Desk::new(&format!("{SERVER}{TENANT}"));
    desk.run(&["admin", "add", "--tenant", "acme", "ada"], &format!("{PASSWORD}\n"));
    let add = ["client", "add", "--tenant", "acme", "--name", "x", "--redirect-uri", CALLBACK, "--json"];
    let client = desk.json(&add);
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let mut process = desk.serve().await;
    let endpoints = |process: &support::process::Process| format!("http://{}/t/acme/oauth", process.public);
    let consent = |endpoints: String| Consent {
        endpoints,
        client_id: id,
        client_secret: secret,
        username: "ada",
        password: PASSWORD,
    };
    let mut tokens = Tokens::of(&consent(endpoints(&process)).grant(&process).await);
    // The process dies after so many of the answers have come.
    for answers in [0, 1, 2, 3, 0, 1] {
        let hurried: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
            ("client_id", id),
            ("client_secret", secret),
        ];
        let url = format!("{}/token", endpoints(&process));
        let (came, mut heard) = tokio::sync::mpsc::channel(WORKERS);
        for _ in 0..WORKERS {
            let (sent, came) = (hurried.request(form(&url, &fields)), came.clone());
            tokio::spawn(async move {
                let Ok(answer) = sent.await else { return };
                let Ok(body) = answer.into_body().collect().await else { return };
                let _ = came.send(serde_json::from_slice::<Value>(&body.to_bytes()).unwrap()).await;
            });
        }
        drop(came);
        let mut first = None;
        for _ in 0..answers {
            first = Some(Tokens::of(&heard.recv().await.expect("an answer")));
        }
        process.kill();
        process = desk.serve().await;
        // Whoever got no answer asks again; whoever got one finds it to be what the others get.
        let again = Tokens::of(&consent(endpoints(&process)).refresh(&process, &tokens.refresh).await);
        if let Some(first) = first {
            assert_eq!(first, again, "after {answers} answers");
        }
        let used = process.call("GET", "/t/acme/scim/v2/Users?count=0", &again.access, None).await;
        assert_eq!(used.status, 200, "after {answers} answers");
        tokens = again;
    }
    // And what was used is used: the crash forgot nothing that ends a family.
    let (old, new) =
        (tokens.clone(), Tokens::of(&consent(endpoints(&process)).refresh(&process, &tokens.refresh).await));
    let newer = Tokens::of(&consent(endpoints(&process)).refresh(&process, &new.refresh).await);
    process.kill();
    process = desk.serve().await;
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old.refresh.as_str()),
        ("client_id", id),
        ("client_secret", secret),
    ];
    let replay = process.form("/t/acme/oauth/token", &fields).await;
    assert_eq!(replay.json()["error"], "invalid_grant");
    let used = process.call("GET", "/t/acme/scim/v2/Users?count=0", &newer.access, None).await;
    assert_eq!(used.status, 401, "the family has ended");
}
