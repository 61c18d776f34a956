//! From an `Authorization` header to a caller (RFC 6750).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use portcullis::http::authenticate::Unauthorized;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::{Role, Scope};
use portcullis::store::SecretToken;
use portcullis::types::Digest;

use crate::gate::{Gate, tenant, tokens};

const INVALID: &str = "Bearer error=\"invalid_token\"";

fn challenge(refused: &Unauthorized) -> &str {
    refused.challenge.as_ref().map_or("", |value| value.to_str().unwrap())
}

fn secret_token(id: &str, tenant: &str, digest: Digest, gate: &Gate) -> SecretToken {
    SecretToken {
        id: id.to_owned(),
        tenant: tenant.to_owned(),
        name: "entra".to_owned(),
        digest,
        prefix: "pcs_abcdefgh".to_owned(),
        created: gate.clock.now(),
        expires: None,
        last_used: None,
        revoked: false,
    }
}

#[tokio::test]
async fn an_access_token_names_its_caller() {
    let gate = Gate::open("vonage-business").await;
    let (access, _) = gate.grant().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = gate.authenticate(&format!("{scheme} {access}")).await.unwrap();
        assert_eq!((caller.tenant(), caller.role()), ("acme", Some(Role::SuperUser)));
        assert!(caller.may(Scope::Read) && caller.may(Scope::Write));
        assert_eq!((caller.actor(), caller.budget_key()), ("client entra grant 1", "acme/grant/1"));
    }
    let (other, _) = gate.grant().await;
    let other = gate.authenticate(&format!("Bearer {other}")).await.unwrap();
    assert_eq!(other.budget_key(), "acme/grant/2");
}

#[tokio::test]
async fn what_is_missing_or_bad_is_told_apart() {
    let gate = Gate::open("standard").await;
    let (access, refresh) = gate.grant().await;
    let refused = gate.server.authenticate(&gate.tenant, &HeaderMap::new()).await.err().unwrap();
    assert_eq!((refused.status, challenge(&refused)), (StatusCode::UNAUTHORIZED, "Bearer"));
    for (header, bad) in [
        ("Bearer".to_owned(), false),
        ("Digest x".to_owned(), false),
        ("Basic YTpi".to_owned(), false),
        ("Bearer junk".to_owned(), true),
        (format!("Bearer {access}x"), true),
        (format!("Bearer {access} {access}"), true),
        (format!("Bearer {refresh}"), true),
        (format!("Bearer {}", "x".repeat(5000)), true),
        (format!("Bearer {}", opaque::mint(Kind::SecretToken, &gate.random).expose()), true),
        (format!("Bearer {}", gate.client_secret.expose()), true),
    ] {
        let refused = gate.authenticate(&header).await.err().unwrap();
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(challenge(&refused).starts_with(INVALID), bad, "{header:.60}: {}", challenge(&refused));
    }
    let good = format!("Bearer {access}");
    let twice = gate.authenticate_at(&gate.tenant, &[&good, &good]).await.err().unwrap();
    assert_eq!((twice.status, challenge(&twice)), (StatusCode::BAD_REQUEST, "Bearer error=\"invalid_request\""));
}

#[tokio::test]
async fn a_token_ends_with_its_time_its_tenant_its_client_and_its_administrator() {
    let gate = Gate::open("standard").await;
    let (access, _) = gate.grant().await;
    let bearer = format!("Bearer {access}");
    assert!(gate.authenticate(&bearer).await.is_ok());
    let foreign = gate.authenticate_at(&tenant("other", "standard"), &[&bearer]).await.err().unwrap();
    assert!(challenge(&foreign).starts_with(INVALID), "another tenant, although the token is in the cache");

    gate.clock.advance(Duration::from_secs(3599));
    assert!(gate.authenticate(&bearer).await.is_ok());
    gate.clock.advance(Duration::from_secs(1));
    assert!(challenge(&gate.authenticate(&bearer).await.err().unwrap()).starts_with(INVALID));

    for end in 0..3 {
        let gate = Gate::open("standard").await;
        let (access, refresh) = gate.grant().await;
        assert!(gate.admits(&access).await);
        // As another process would: the state changes, and the generation tells.
        let before = gate.store.generation().await.unwrap();
        match end {
            0 => assert!(gate.store.set_password("acme", gate.administrator, "$").await.unwrap()),
            1 => assert!(gate.store.disable_administrator("acme", gate.administrator).await.unwrap()),
            _ => assert!(gate.store.disable_client("acme", "entra").await.unwrap()),
        }
        assert!(gate.store.generation().await.unwrap() > before);
        gate.server.forget();
        assert!(!gate.admits(&access).await, "{end}");
        assert_ne!(gate.refresh(&refresh).await.status, StatusCode::OK, "{end}");
    }
}

#[tokio::test]
async fn secret_tokens_open_the_door_of_their_dialects() {
    let gate = Gate::open("standard").await;
    let token = opaque::mint(Kind::SecretToken, &gate.random);
    gate.store.add_secret_token(&secret_token("t1", "acme", token.digest(), &gate), false).await.unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let caller = gate.authenticate(&bearer).await.unwrap();
    assert_eq!((caller.actor(), caller.budget_key(), caller.role()), ("token t1 pcs_abcdefgh", "acme/token/t1", None));
    assert!(caller.may(Scope::Write));

    // Use is written down once a minute.
    let last = async || {
        gate.store.flush_audit().await;
        gate.store.secret_tokens("acme").await.unwrap()[0].last_used.unwrap()
    };
    let first = last().await;
    gate.clock.advance(Duration::from_secs(59));
    gate.authenticate(&bearer).await.unwrap();
    assert_eq!(last().await, first);
    gate.clock.advance(Duration::from_secs(1));
    gate.authenticate(&bearer).await.unwrap();
    assert_eq!(last().await, gate.clock.now());

    for (name, dialect) in [("other", "standard"), ("acme2", "ringcentral")] {
        assert!(gate.authenticate_at(&tenant(name, dialect), &[&bearer]).await.is_err(), "{name}");
    }
    gate.store.revoke_secret_token("acme", "t1").await.unwrap();
    gate.server.forget();
    assert!(challenge(&gate.authenticate(&bearer).await.err().unwrap()).starts_with(INVALID));

    let short = opaque::mint(Kind::SecretToken, &gate.random);
    let mut expiring = secret_token("t2", "acme", short.digest(), &gate);
    expiring.expires = Some(gate.clock.now().after(Duration::from_mins(5)));
    gate.store.add_secret_token(&expiring, false).await.unwrap();
    assert!(gate.admits(short.expose()).await);
    gate.clock.advance(Duration::from_mins(5));
    assert!(!gate.admits(short.expose()).await);
}

#[tokio::test]
async fn playvox_keys_come_as_bearer_or_basic() {
    let mut gate = Gate::open("standard").await;
    gate.tenant = tenant("acme", "playvox");
    let pair = opaque::mint_pair("k1", &gate.random);
    gate.store.add_secret_token(&secret_token("k1", "acme", pair.digest, &gate), false).await.unwrap();
    for header in [format!("Bearer {}", pair.text.expose()), format!("Basic {}", pair.text.expose())] {
        assert_eq!(gate.authenticate(&header).await.unwrap().budget_key(), "acme/token/k1", "{header}");
    }
    for header in [format!("Basic {}", STANDARD.encode("k1:wrong")), "Basic !".to_owned(), "Bearer !".to_owned()] {
        assert!(challenge(&gate.authenticate(&header).await.err().unwrap()).starts_with(INVALID), "{header}");
    }
    let standard = tenant("acme", "standard");
    let refused = gate.authenticate_at(&standard, &[&format!("Basic {}", pair.text.expose())]).await.err().unwrap();
    assert_eq!(challenge(&refused), "Bearer");
}

#[tokio::test]
async fn an_unconfirmed_token_is_confirmed_by_its_first_use_only_once() {
    let gate = Gate::open("standard").await;
    let (_, refresh) = gate.grant().await;
    let (access, _) = tokens(&gate.refresh(&refresh).await);
    for _ in 0..3 {
        assert!(gate.admits(&access).await);
        gate.server.forget();
    }
    assert_eq!(gate.refresh(&refresh).await.error(), "invalid_grant");
}

#[test]
fn a_scope_that_is_missing_is_403() {
    let refused = Unauthorized::insufficient_scope(Scope::Write);
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(challenge(&refused), "Bearer error=\"insufficient_scope\", scope=\"scim.write\"");
}
