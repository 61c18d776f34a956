//! Every door of a client, open and closed, for codes and refresh tokens as an administrator and a client go through them.

use std::time::Duration;

use portcullis::oauth::password::NewPassword;
use portcullis::oauth::{Door, Doors, Role};
use portcullis::types::{Random, Secret};
use serde_json::Value;

use crate::support::consent::{CALLBACK, Consent};
use crate::table::{Table, error};

const PASSWORD: &str = "correct horse battery";

async fn grant(table: &Table) -> Value {
    consent(table).grant(&*table.gateway).await
}

fn consent(table: &Table) -> Consent<'_> {
    Consent {
        endpoints: format!("http://{}/t/{}/oauth", table.gateway.public, table.tenant),
        client_id: "app",
        client_secret: table.secret.expose(),
        username: "ada",
        password: PASSWORD,
    }
}

async fn table(tenant: &'static str, doors: Doors) -> Table {
    let table = Table::lay(tenant, doors, |_| {}).await;
    let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash(&Random::seeded(5));
    table.store().add_administrator(tenant, "ada", Role::SuperUser, &hash).await.unwrap();
    table
}

async fn refresh(table: &Table, token: &str, more: &[(&str, &str)]) -> crate::support::gateway::Answer {
    let secret = table.secret.expose();
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend([("client_id", "app"), ("client_secret", secret)]);
    fields.extend(more);
    table.post("oauth/token", &fields).await
}

#[tokio::test]
async fn codes_and_refresh_tokens_have_a_door_each() {
    let table = table("standard", Doors::PUBLIC).await;
    let first = grant(&table).await;
    let now = table.now();
    assert_eq!((table.last_used(Door::Code).await, table.last_used(Door::Refresh).await), (Some(now), None));
    let next = refresh(&table, first["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(next.status, 200);
    assert_eq!(table.last_used(Door::Refresh).await, Some(now));
    assert_eq!(error(&table.by_secret(table.secret.expose()).await), "unauthorized_client");

    // Without the door of refresh tokens a grant comes without one, and those that are out are refused but not lost.
    table.store().set_doors("standard", "app", Doors::NONE.with(Door::Code)).await.unwrap();
    table.notice();
    let alone = grant(&table).await;
    assert!(alone.get("refresh_token").is_none() && alone["access_token"].is_string(), "{alone}");
    let second = next.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(error(&refresh(&table, &second, &[]).await), "unauthorized_client");
    table.store().set_doors("standard", "app", Doors::NONE.with(Door::Refresh)).await.unwrap();
    table.notice();
    assert_eq!(refresh(&table, &second, &[]).await.status, 200);

    // Without the door of codes the administrator is sent back to the client before anybody signs in.
    let url = format!(
        "http://{}/t/standard/oauth/authorize?response_type=code&client_id=app&state=s&redirect_uri={CALLBACK}",
        table.gateway.public
    );
    let answer = table.gateway.send(http::Request::get(url).body(http_body_util::Full::default()).unwrap()).await;
    let to = answer.header("location").unwrap_or_default().to_owned();
    assert!(to.starts_with(CALLBACK) && to.contains("error=unauthorized_client") && to.contains("state=s"), "{to}");
}

/// ringcentral.md §1.2 and §1.3.
#[tokio::test]
async fn ringcentrals_extras() {
    let table = table("ringcentral", Doors::PUBLIC).await;
    let first = grant(&table).await;
    for name in ["owner_id", "endpoint_id", "session_id"] {
        assert!(first[name].is_string(), "{name}: {first}");
    }
    assert_eq!(first["refresh_token_expires_in"], 30 * 86_400);
    let mut token = first["refresh_token"].as_str().unwrap().to_owned();
    for (wanted, given) in [("999999999", 30 * 86_400), ("1", 600), ("7200", 7200)] {
        let answer =
            refresh(&table, &token, &[("refresh_token_ttl", wanted), ("access_token_ttl", "60"), ("endpoint_id", "e")])
                .await
                .json();
        assert_eq!(answer["refresh_token_expires_in"], given, "{answer}");
        assert_eq!((&answer["expires_in"], &answer["endpoint_id"]), (&600.into(), &"e".into()));
        assert_eq!(answer["session_id"], first["session_id"]);
        answer["refresh_token"].as_str().unwrap().clone_into(&mut token);
    }
    assert_eq!(error(&refresh(&table, &token, &[("refresh_token_ttl", "long")]).await), "invalid_request");
    // What was asked for holds, and is said again.
    table.gateway.clock.advance(Duration::from_secs(7199));
    let answer = refresh(&table, &token, &[]).await;
    assert_eq!(answer.json()["refresh_token_expires_in"], 7200, "{}", answer.json());
    answer.json()["refresh_token"].as_str().unwrap().clone_into(&mut token);
    let about = async || {
        let fields = [("token", token.as_str()), ("client_id", "app"), ("client_secret", table.secret.expose())];
        table.post("oauth/introspect", &fields).await.json()
    };
    let known = about().await;
    assert_eq!(known["exp"].as_i64().unwrap() - known["iat"].as_i64().unwrap(), 7200, "{known}");
    table.gateway.clock.advance(Duration::from_hours(2));
    assert_eq!(about().await, serde_json::json!({"active": false}));
    assert_eq!(error(&refresh(&table, &token, &[]).await), "invalid_grant");
    // The vendor's own path leads to the same door.
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", "app")];
    assert_eq!(error(&table.post("restapi/oauth/token", &fields).await), "invalid_client");
}

#[tokio::test]
async fn other_dialects_know_no_such_parameters() {
    let table = table("standard", Doors::PUBLIC).await;
    let first = grant(&table).await;
    let token = first["refresh_token"].as_str().unwrap();
    let answer = refresh(&table, token, &[("refresh_token_ttl", "1"), ("access_token_ttl", "junk")]).await.json();
    assert!(answer["access_token"].is_string() && answer.get("refresh_token_expires_in").is_none(), "{answer}");
}
