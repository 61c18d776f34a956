//! 100,000 live grants beside a few: what signing in, refreshing, revoking and starting take. That statements find their rows by an index is
//! tested in `store::plans`; this measures.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::time::Duration;

use portcullis::config::{Keys, State};
use portcullis::http::oauth::AuthorizationServer;
use portcullis::oauth::Doors;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::{Role, Scopes};
use portcullis::store::{Client, Code, FirstTokens, Redeemed, Refreshed, Span, Store, Turn};
use portcullis::types::{Clock, Digest, Random};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const MANY: usize = 100_000;
const ROUNDS: usize = 40;

/// Medians of each step, in the order of the names.
const STEPS: [&str; 6] = ["sign in", "approve", "exchange", "access", "refresh", "revoke"];

struct Measured {
    start: Duration,
    steps: Vec<Duration>,
}

/// A state with so many grants of one client and one administrator, three generations each.
async fn filled(url: &str, grants: usize) {
    let clock = Clock::system();
    let store = Store::open(url, clock.clone()).await.unwrap();
    let administrator = store.add_administrator("acme", "ada", Role::SuperUser, "$").await.unwrap();
    let client = Client {
        id: "entra".into(),
        tenant: "acme".into(),
        name: "Entra".into(),
        redirect_uris: vec![],
        scopes: vec![],
        secrets: vec![],
        doors: Doors::CONFIDENTIAL,
        public: false,
        disabled: false,
        created: clock.now(),
    };
    store.add_client(&client).await.unwrap();
    let keys = Keys::beside(&State { url: url.to_owned() });
    AuthorizationServer::open(store.clone(), &keys, clock.clone(), Random::seeded(1)).await.unwrap();
    store.close().await;
    let mut disk = sqlx::SqliteConnection::connect(url).await.unwrap();
    let now = clock.now().millis();
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {grants})");
    disk.execute("PRAGMA synchronous = OFF").await.unwrap();
    for statement in [
        format!(
            "{numbers} INSERT INTO grants (tenant, client_id, administrator_id, scopes, created)
             SELECT 'acme', 'entra', {administrator}, 'scim.read scim.write', {now} FROM n"
        ),
        format!(
            "INSERT INTO generations (grant_id, number, refresh, scopes, issued, access_from, access_until, confirmed)
             SELECT id, k.k, randomblob(32), 'scim.read scim.write', {now}, {now}, {now} + 3600000, {now}
             FROM grants, (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2) AS k"
        ),
        format!(
            "{numbers} INSERT INTO sessions (digest, tenant, administrator_id, created, last_seen)
             SELECT randomblob(32), 'acme', {administrator}, {now}, {now} FROM n"
        ),
    ] {
        disk.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    disk.close().await.unwrap();
}

async fn measured(grants: usize) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("state.db").display());
    filled(&url, grants).await;

    let (clock, random) = (Clock::system(), Random::seeded(2));
    let keys = Keys::beside(&State { url: url.clone() });
    let began = clock.monotonic();
    let store = Store::open(&url, clock.clone()).await.unwrap();
    AuthorizationServer::open(store.clone(), &keys, clock.clone(), random.clone()).await.unwrap();
    let start = clock.monotonic().saturating_sub(began);

    let ada = store.administrator("acme", "ada").await.unwrap().unwrap();
    let mut times = vec![Vec::new(); STEPS.len()];
    for _ in 0..ROUNDS {
        let mut marks = vec![clock.monotonic()];
        let session = Digest::of(&random.bytes::<32>());
        assert!(store.add_session(&session, &ada).await.unwrap());
        marks.push(clock.monotonic());
        let [code, first, next] =
            [Kind::Code, Kind::Refresh, Kind::Refresh].map(|kind| opaque::mint(kind, &random).digest());
        let now = clock.now();
        let approved = Code {
            client_id: "entra".into(),
            administrator: ada.id,
            redirect_uri: None,
            challenge: None,
            scopes: Scopes::ALL,
            expires: now.after(Duration::from_mins(1)),
        };
        assert!(store.add_code("acme", &session, &code, &approved).await.unwrap());
        marks.push(clock.monotonic());
        let access = Span { from: now, until: now.after(Duration::from_hours(1)) };
        let tokens = FirstTokens { refresh: first, access };
        let redeemed = store.redeem_code::<()>("acme", "entra", &code, &tokens, |_| Ok(())).await.unwrap();
        let Redeemed::Granted { grant, .. } = redeemed else { panic!("no grant") };
        marks.push(clock.monotonic());
        assert!(store.access("acme", grant, 0).await.unwrap().is_some());
        marks.push(clock.monotonic());
        let turn = Turn::Rotate { refresh: next, access, scopes: Scopes::ALL };
        let refreshed = store.refresh::<()>("acme", "entra", &first, |_| Ok(turn)).await.unwrap();
        assert!(matches!(refreshed, Refreshed::Given { number: 1, .. }));
        marks.push(clock.monotonic());
        assert!(store.end_grant("acme", grant).await.unwrap());
        marks.push(clock.monotonic());
        for (times, pair) in times.iter_mut().zip(marks.windows(2)) {
            times.push(pair[1].saturating_sub(pair[0]));
        }
    }
    let steps = times
        .into_iter()
        .map(|mut times| {
            times.sort();
            times[times.len() / 2]
        })
        .collect();
    Measured { start, steps }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it alone: cargo test --test many_grants -- --ignored --nocapture"]
async fn a_hundred_thousand_grants_cost_no_time() {
    let (few, many) = (measured(10).await, measured(MANY).await);
    eprintln!("{:10} {:>12} {:>12}", "", "10 grants", "100,000");
    eprintln!("{:10} {:>12?} {:>12?}", "start", few.start, many.start);
    assert!(many.start < Duration::from_millis(100), "{:?}", many.start);
    for (name, (few, many)) in STEPS.iter().zip(few.steps.iter().zip(&many.steps)) {
        eprintln!("{name:10} {few:>12?} {many:>12?}");
        assert!(*many < *few * 3 + Duration::from_millis(2), "{name}: {few:?} with few, {many:?} with many");
    }
}
