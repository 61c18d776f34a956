//! The tenant's own pages: who may look, who may end access, and that nobody else can make them.

use std::time::{Duration, Instant};

use portcullis::oauth::{Door, Role};
use portcullis::store::{Link, LinkState};

use crate::support::gateway::TestGateway;
use crate::visitor::{PASSWORD, TENANT, Visitor, add_administrator, text};

async fn gateway() -> TestGateway {
    let gateway = TestGateway::with(|tenant| tenant.contact = Some("the <help> desk".into())).await;
    for (name, role) in [("ada", Role::SuperUser), ("alice", Role::AccountAdmin), ("victor", Role::Viewer)] {
        add_administrator(&gateway, name, role).await;
    }
    gateway
}

/// The number of the newest grant on a page.
fn grant(page: &str) -> &str {
    page.split_once("name=\"grant\" value=\"").unwrap().1.split('"').next().unwrap()
}

#[tokio::test]
async fn it_shows_what_there_is_to_those_who_sign_in() {
    let gateway = gateway().await;
    gateway.gateway.store.put_link(TENANT, &Link::new("1", LinkState::Managed)).await.unwrap();
    let (client, now) = (format!("test-{TENANT}"), gateway.clock.now());
    gateway.gateway.store.touch_door(TENANT, &client, Door::Federation, now.after(Duration::from_hours(1)));
    gateway.gateway.store.touch_door(TENANT, &client, Door::Code, now);
    gateway.gateway.store.touch_door("vonage-business", &client, Door::PrivateKeyJwt, now);
    gateway.gateway.store.flush_audit().await;
    let minute = |after| now.after(after).to_string()[..16].replace('T', " ");
    let (now, later) = (minute(Duration::ZERO), minute(Duration::from_hours(1)));
    // The gateway's own token came by the client's secret.
    let used = format!("last used: federation {later}, secret {now}, authorization {now}");
    let mut visitor = Visitor::at_console(&gateway);
    let page = visitor.open().await;
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("Sign in to ringcentral") && !text(&page).contains("Cancel"), "{}", text(&page));
    assert_eq!(visitor.guess("victor", "not it, surely").await.status, 403);
    let page = visitor.sign_in("victor", PASSWORD).await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
    assert!(page.header("content-security-policy").unwrap().contains("form-action 'self'; frame-ancestors 'none'"));
    let page = text(&page);
    for words in [
        "Signed in as <strong>victor</strong>, viewer",
        "<dd>ringcentral</dd>",
        "/t/ringcentral/scim/v2</code>",
        "1 person",
        "300 reads in 60s; 1000 changes in 60s; then a pause of 60s",
        "the &#60;help&#62; desk",
        "By its own secret",
        "<code>test-ringcentral</code>",
        "open, 1 secret",
        &used,
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("Revoke"), "a viewer reads");
    assert!(!page.contains("<script") && !page.contains("http-equiv"));

    let out = visitor.press("sign_out").await;
    let page = visitor.follow(out).await;
    assert!(text(&page).contains("Sign in to ringcentral"));
}

#[tokio::test]
async fn access_is_ended_by_those_who_could_have_given_it() {
    let gateway = gateway().await;
    let mut client = Visitor::sent(&gateway, &[]);
    client.sign_in("ada", PASSWORD).await;
    client.press("authorize").await;
    let own = gateway.gateway.store.live_grants(TENANT, 1).await.unwrap()[0].id;

    for (index, name) in ["alice", "ada"].into_iter().enumerate() {
        let mut visitor = Visitor::at_console(&gateway);
        let page = text(&visitor.sign_in(name, PASSWORD).await);
        let answer = if index == 0 {
            let answer = visitor.submit(&[("action", "revoke"), ("grant", grant(&page))]).await;
            assert_eq!(answer.status, 303);
            visitor.follow(answer).await
        } else {
            visitor.submit(&[("action", "revoke"), ("grant", &own.to_string())]).await
        };
        let words = if index == 0 { "The access has ended." } else { "had ended already" };
        assert!(text(&answer).contains(words), "{}", text(&answer));
    }
    assert!(gateway.gateway.store.live_grants(TENANT, 1).await.unwrap().is_empty());
    assert_eq!(gateway.scim(TENANT, "GET", "/Users", None).await.status, 401, "at once");
    let store = &gateway.gateway.store;
    store.flush_audit().await;
    let trail = store.audit_tail(Some(TENANT), 100, None).await.unwrap();
    let alice = store.administrator(TENANT, "alice").await.unwrap().unwrap();
    let actor = format!("administrator {}", alice.id);
    let (_, revoked) =
        trail.iter().find(|(_, record)| record.notes.iter().any(|note| note.starts_with("revoked grant "))).unwrap();
    assert_eq!((revoked.operation.as_str(), revoked.actor.as_ref()), ("console.post", Some(&actor)));
}

#[tokio::test]
async fn nobody_is_made_to_end_access() {
    let gateway = gateway().await;
    let page = |name: &'static str| {
        let gateway = &gateway;
        async move {
            let mut visitor = Visitor::at_console(gateway);
            let page = text(&visitor.sign_in(name, PASSWORD).await);
            (visitor, page)
        }
    };
    let (mut ada, seen) = page("ada").await;
    let number = grant(&seen).to_owned();
    let fields = [("action", "revoke"), ("grant", number.as_str())];
    // A viewer who knows how, a form from elsewhere, none at all, a stranger, another tenant's console.
    let (mut victor, _) = page("victor").await;
    let answer = victor.submit(&fields).await;
    assert!(answer.status == 403 && text(&answer).contains("Your role is viewer"), "{}", text(&answer));
    let token = std::mem::replace(&mut ada.form_token, victor.form_token.clone());
    assert_eq!(ada.submit(&fields).await.status, 403);
    ada.form_token = String::new();
    assert_eq!(ada.submit(&fields).await.status, 403);
    let mut stranger = Visitor::at_console(&gateway);
    stranger.open().await;
    let answer = stranger.submit(&fields).await;
    assert!(answer.status == 403 && text(&answer).contains("Sign in to ringcentral"));
    ada.form_token = token;
    ada.at = ada.at.join("/t/vonage-business/console").unwrap();
    assert_eq!(ada.submit(&fields).await.status, 403);
    assert_eq!(gateway.gateway.store.count_live_grants(TENANT).await.unwrap(), 1);
    // Paths and methods that lead nowhere.
    let mut visitor = Visitor::at_console(&gateway);
    assert_eq!(visitor.go(&format!("/t/{TENANT}/console/x")).await.status, 404);
    for odd in ["x", "-1", "99999999999999999999", ""] {
        let (mut ada, _) = page("ada").await;
        let answer = ada.submit(&[("action", "revoke"), ("grant", odd)]).await;
        assert!(answer.status == 403 && text(&answer).contains("had ended already"), "{odd}");
    }
}

#[tokio::test]
async fn a_session_is_one_for_console_and_authorize_and_idles_out() {
    let gateway = gateway().await;
    let mut visitor = Visitor::at_console(&gateway);
    visitor.sign_in("ada", PASSWORD).await;
    gateway.clock.advance(Duration::from_mins(29));
    let authorize = Visitor::sent(&gateway, &[]).at;
    assert!(text(&visitor.go(authorize.as_str()).await).contains("Access Request"));
    gateway.clock.advance(Duration::from_mins(30));
    assert!(text(&visitor.go(&format!("/t/{TENANT}/console")).await).contains("Sign in to"));
}

/// Tenants whose identity provider uses a secret token have administrators and a console, too.
#[tokio::test]
async fn a_tenant_with_secret_tokens_has_a_console() {
    let gateway = gateway().await;
    let hash = portcullis::oauth::password::NewPassword::new(portcullis::types::Secret::new(PASSWORD)).unwrap();
    let hash = hash.hash(&portcullis::types::Random::seeded(3));
    gateway.gateway.store.add_administrator("playvox", "pia", Role::SuperUser, &hash).await.unwrap();
    let mut visitor = Visitor::at_console(&gateway);
    visitor.at = visitor.at.join("/t/playvox/console").unwrap();
    let page = text(&visitor.sign_in("pia", PASSWORD).await);
    assert!(page.contains("Secret tokens") && page.contains("last used never") && page.contains("no end"), "{page}");
    assert!(page.contains("portcullis client add"), "no clients: {page}");
}

/// With 100,000 live grants signing in takes what it takes with none, and the console stays a page. That nothing reads a whole table is
/// tested beside the statements (`store::overview`); here are the figures, without the disk, whose moods would drown them.
#[tokio::test]
#[ignore = "measures time: cargo test --test sign_in -- --ignored --nocapture a_hundred_thousand, on a quiet machine"]
async fn a_hundred_thousand_grants_do_not_slow_signing_in() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("state.db").display());
    let clock = portcullis::types::Clock::manual(portcullis::types::Timestamp::from_seconds(1_790_000_000));
    let options = portcullis::store::Options { durable: false, ..portcullis::store::Options::default() };
    let store = portcullis::store::Store::open_with(&database, clock, options).await.unwrap();
    let ada = store.add_administrator(TENANT, "ada", Role::SuperUser, "$").await.unwrap();
    let ada = store.administrator_by_id(TENANT, ada).await.unwrap().unwrap();
    let once = async |round: u32| {
        let digest = portcullis::types::Digest::of(&round.to_be_bytes());
        #[expect(clippy::disallowed_methods, reason = "the real time it takes is what is measured")]
        let start = Instant::now();
        store.administrator(TENANT, "ada").await.unwrap().unwrap();
        assert!(store.add_session(&digest, &ada).await.unwrap());
        store.session(TENANT, &digest).await.unwrap().unwrap();
        store.end_session(&digest).await.unwrap();
        start.elapsed()
    };
    let median = async |from: u32| {
        let mut times = Vec::new();
        for round in from..from + 21 {
            times.push(once(round).await);
        }
        times.sort();
        times[10]
    };
    let before = median(0).await;
    let fill = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("state.db"));
    let mut connection = sqlx::ConnectOptions::connect(&fill).await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO grants (tenant, client_id, administrator_id, scopes, created)
         SELECT 'ringcentral', 'c' || (i % 7), $1, 'scim.read', i FROM n",
    )
    .bind(ada.id)
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    let after = median(100).await;
    assert!(after < before * 3 + Duration::from_millis(2), "{before:?} before, {after:?} after");
    #[expect(clippy::disallowed_methods, reason = "the real time it takes is what is measured")]
    let start = Instant::now();
    assert_eq!(store.live_grants(TENANT, 50).await.unwrap().len(), 50);
    assert_eq!(store.count_live_grants(TENANT).await.unwrap(), 100_000);
    eprintln!(
        "signing in: {before:?} with no grant, {after:?} with 100,000; the console's lists: {:?}",
        start.elapsed()
    );
}
