//! Rotation that survives a lost answer (RFC 6749 §6, RFC 9700 §4.14.2, design decision 8).

use std::sync::Arc;
use std::time::Duration;

use portcullis::http::oauth::Endpoint;
use portcullis::oauth::refresh::Lifetime;
use sqlx::{Connection as _, Executor as _};

use crate::gate::{CALLBACK, Gate, query, tokens};

#[tokio::test]
async fn a_refresh_survives_a_lost_answer_until_its_result_is_used() {
    let gate = Gate::open("standard").await;
    let (first_access, first) = gate.grant().await;
    assert!(gate.admits(&first_access).await);
    gate.clock.advance(Duration::from_mins(50));
    let answer = gate.refresh(&first).await;
    let (second_access, second) = tokens(&answer);
    assert_ne!((&first_access, &first), (&second_access, &second));

    // Lost, and asked again, late: the very same tokens, with what is left of their time.
    gate.clock.advance(Duration::from_mins(20));
    let again = gate.refresh(&first).await;
    assert_eq!(tokens(&again), (second_access.clone(), second.clone()));
    assert_eq!(again.json()["expires_in"], 2400);

    // Using the old access token changes nothing, using the new one does.
    assert!(gate.admits(&second_access).await);
    assert_eq!(gate.refresh(&first).await.error(), "invalid_grant");
    assert!(!gate.admits(&second_access).await, "the family has ended");
    assert_eq!(gate.refresh(&second).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_use_counts_even_if_the_state_never_hears_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("state.db").display());
    let gate = Gate::open_at("standard", &url).await;
    let mut disk = sqlx::SqliteConnection::connect(&url).await.unwrap();
    disk.execute(
        "CREATE TRIGGER full BEFORE UPDATE OF confirmed ON generations WHEN NEW.number > 0
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    .await
    .unwrap();
    let (_, first) = gate.grant().await;
    let (access, _) = tokens(&gate.refresh(&first).await);
    assert!(gate.admits(&access).await);
    assert_eq!(gate.refresh(&first).await.error(), "invalid_grant");
    assert!(!gate.admits(&access).await, "the family has ended");
}

#[tokio::test]
async fn using_the_new_refresh_token_confirms_it_too() {
    let gate = Gate::open("standard").await;
    let (_, first) = gate.grant().await;
    let (_, second) = tokens(&gate.refresh(&first).await);
    let (third_access, third) = tokens(&gate.refresh(&second).await);
    assert_eq!(tokens(&gate.refresh(&second).await), (third_access, third.clone()));
    assert_eq!(gate.refresh(&first).await.error(), "invalid_grant");
    assert_eq!(gate.refresh(&third).await.error(), "invalid_grant", "the replay of the first ended the family");
}

#[tokio::test]
async fn an_unused_result_is_repeated_for_an_hour_and_always_usable() {
    let gate = Gate::open("ringcentral").await;
    let code = gate.code().await;
    let (_, first) = tokens(&gate.exchange(&code).await);
    let short = [("grant_type", "refresh_token"), ("refresh_token", first.as_str()), ("access_token_ttl", "600")];
    let (access, second) = tokens(&gate.token(&short).await);
    gate.clock.advance(Duration::from_mins(20));
    let (later, same) = tokens(&gate.token(&short).await);
    assert_eq!(same, second);
    assert_ne!(later, access, "the first has expired meanwhile");
    gate.clock.advance(Duration::from_mins(40));
    assert_eq!(gate.refresh(&first).await.error(), "invalid_grant");
    assert_eq!(gate.refresh(&second).await.error(), "invalid_grant", "after the hour it counts as a replay");
}

#[tokio::test]
async fn refreshes_at_once_get_one_answer() {
    let gate = Arc::new(Gate::open("standard").await);
    let (_, refresh) = gate.grant().await;
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (gate, refresh) = (Arc::clone(&gate), refresh.clone());
            tokio::spawn(async move { tokens(&gate.refresh(&refresh).await) })
        })
        .collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert!(gate.admits(&answers[0].0).await);
}

#[tokio::test]
async fn a_refresh_token_idles_out_and_slides() {
    let gate = Gate::open("standard").await;
    let idle = gate.tenant.dialect.refresh_idle;
    let almost = idle.saturating_sub(Duration::from_secs(1));
    let (_, first) = gate.grant().await;
    gate.clock.advance(almost);
    let (_, second) = tokens(&gate.refresh(&first).await);
    gate.clock.advance(almost);
    let (_, third) = tokens(&gate.refresh(&second).await);
    gate.clock.advance(idle);
    assert_eq!(gate.refresh(&third).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_grant_ends_at_its_limit_however_much_it_is_used() {
    let mut gate = Gate::open("ringcentral").await;
    let day = Duration::from_hours(24);
    gate.tenant.refresh = Lifetime { idle: day * 30, limit: Some(day * 50) };
    let (_, first) = gate.grant().await;
    gate.clock.advance(day * 29);
    let (access, second) = tokens(&gate.refresh(&first).await);
    gate.clock.advance(day * 21);
    assert_eq!(gate.refresh(&first).await.error(), "invalid_grant");
    let late = gate.refresh(&second).await;
    assert_eq!(late.error(), "invalid_grant");
    assert!(!gate.admits(&access).await);
    let about = gate.post(Endpoint::Introspect, &[("token", &second)]).await;
    assert_eq!(about.json()["active"], false);
    gate.tenant.refresh.limit = Some(day * 7);
    let answer = gate.exchange(&gate.code().await).await.json();
    assert_eq!(answer["refresh_token_expires_in"], 7 * 86_400);
}

#[tokio::test]
async fn scope_is_narrowed_and_never_widened() {
    let gate = Gate::open("standard").await;
    let code = gate.code_for(&query(&[("redirect_uri", CALLBACK), ("scope", "scim.read")])).await;
    let answer = gate.exchange(&code).await;
    assert_eq!(answer.json()["scope"], "scim.read");
    let (_, refresh) = tokens(&answer);
    let wider = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "scim.write")];
    assert_eq!(gate.token(&wider).await.error(), "invalid_scope");
    assert_eq!(gate.refresh(&refresh).await.json()["scope"], "scim.read", "a refused wish costs nothing");

    let (_, refresh) = gate.grant().await;
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "scim.read")];
    let (access, refresh) = tokens(&gate.token(&narrow).await);
    let caller = gate.authenticate(&format!("Bearer {access}")).await.unwrap();
    assert_eq!(caller.scopes().to_string(), "scim.read");
    assert_eq!(gate.refresh(&refresh).await.json()["scope"], "scim.read scim.write", "the grant is what it was");
}
