//! Secrets of a client: several at once, each with an end and a last use; what is remembered of them ends with them.

use std::time::Duration;

use portcullis::http::oauth::Expiring;
use portcullis::oauth::{Door, Doors};
use portcullis::store::Others;

use crate::table::{Table, access, basic, error, kept};

#[tokio::test]
async fn several_are_good_at_once_and_each_has_its_last_use() {
    let table = Table::lay("standard", Doors::CONFIDENTIAL, |_| {}).await;
    let second = table.mint();
    let kept = kept(&second, table.gateway.clock.now(), None);
    access(&table.by_secret(table.secret.expose()).await);
    assert_eq!(error(&table.by_secret(second.expose()).await), "invalid_client");
    table.store().add_client_secret("standard", "app", &kept, false).await.unwrap();
    // A new one works at once, although the client was remembered and the generation did not move.
    table.gateway.clock.advance(Duration::from_mins(5));
    access(&table.by_secret(second.expose()).await);
    table.store().flush_audit().await;
    let client = table.store().client("standard", "app").await.unwrap().unwrap();
    let used: Vec<_> = client.secrets.iter().map(|secret| secret.last_used.unwrap().seconds()).collect();
    assert_eq!(used, [table.now() - 300, table.now()]);
}

#[tokio::test]
async fn a_remembered_secret_ends_with_its_time_its_client_and_its_door() {
    let table = Table::lay("standard", Doors::CONFIDENTIAL, |_| {}).await;
    let short = table.mint();
    let end = table.gateway.clock.now().after(Duration::from_secs(30));
    let ending = kept(&short, table.gateway.clock.now(), Some(end));
    table.store().add_client_secret("standard", "app", &ending, false).await.unwrap();
    let good = async |secret: &str| table.by_secret(secret).await.status == 200;
    assert!(good(short.expose()).await && good(table.secret.expose()).await);
    table.gateway.clock.advance(Duration::from_secs(29));
    assert!(good(short.expose()).await);
    table.gateway.clock.advance(Duration::from_secs(1));
    assert!(!good(short.expose()).await, "no notice is needed of an end that was known");

    // What another process does is noticed within a second: notice() stands for that.
    let revoked = portcullis::oauth::opaque::public_prefix(&table.secret);
    let (third, now) = (table.mint(), table.gateway.clock.now());
    table.store().add_client_secret("standard", "app", &kept(&third, now, None), false).await.unwrap();
    assert!(good(third.expose()).await);
    assert!(table.store().end_client_secret("standard", "app", &revoked).await.unwrap());
    table.notice();
    assert!(!good(table.secret.expose()).await && good(third.expose()).await);

    let (fourth, soon) = (table.mint(), now.after(Duration::from_secs(10)));
    table.store().give_client_secret("standard", "app", &kept(&fourth, now, None), Others::EndAt(soon)).await.unwrap();
    table.notice();
    assert!(good(third.expose()).await && good(fourth.expose()).await);
    table.gateway.clock.advance(Duration::from_secs(10));
    assert!(!good(third.expose()).await && good(fourth.expose()).await);

    table.store().set_doors("standard", "app", Doors::PUBLIC).await.unwrap();
    table.notice();
    assert_eq!(error(&table.by_secret(fourth.expose()).await), "unauthorized_client");
    table.store().set_doors("standard", "app", Doors::CONFIDENTIAL).await.unwrap();
    table.notice();
    assert!(good(fourth.expose()).await);
    table.store().disable_client("standard", "app").await.unwrap();
    table.notice();
    assert_eq!(error(&table.by_secret(fourth.expose()).await), "invalid_client");
}

#[tokio::test]
async fn a_secret_of_one_tenant_opens_no_other() {
    let mut table = Table::lay("standard", Doors::CONFIDENTIAL, |_| {}).await;
    access(&table.by_secret(table.secret.expose()).await);
    table.tenant = "vonage-business";
    assert_eq!(error(&table.by_secret(table.secret.expose()).await), "invalid_client");
}

#[tokio::test]
async fn an_end_is_announced_sixty_days_before() {
    const DAY: u64 = 86_400;
    let table = Table::lay("standard", Doors::CONFIDENTIAL, |_| {}).await;
    let ending = table.mint();
    let expires = table.gateway.clock.now().after(Duration::from_secs(100 * DAY));
    let row = kept(&ending, table.gateway.clock.now(), Some(expires));
    table.store().give_client_secret("standard", "app", &row, Others::End).await.unwrap();
    table.notice();
    access(&table.by_secret(ending.expose()).await);
    table.store().flush_audit().await;
    let near = async || table.gateway.gateway.authorization.expiring_secrets(["standard"], true).await.unwrap();
    table.gateway.clock.advance(Duration::from_secs(40 * DAY));
    assert_eq!(near().await, []);
    table.gateway.clock.advance(Duration::from_secs(1));
    let said = Expiring { tenant: "standard".into(), client: "app".into(), secret: row.prefix.clone(), expires };
    assert_eq!(near().await, [said]);

    // A successor quiets it once it is in use, not before.
    let next = table.mint();
    let row = kept(&next, table.gateway.clock.now(), None);
    table.store().add_client_secret("standard", "app", &row, false).await.unwrap();
    assert_eq!(near().await.len(), 1);
    access(&table.by_secret(next.expose()).await);
    table.store().flush_audit().await;
    assert_eq!(near().await, []);
}

#[tokio::test]
async fn access_tokens_live_as_long_as_configured() {
    for (hours, seconds) in [(1, 3600), (6, 21_600)] {
        let table = Table::lay("standard", Doors::NONE.with(Door::ClientCredentials), |tenant| {
            tenant.doors.client_credentials_ttl = Duration::from_hours(hours);
        })
        .await;
        let answer = table.by_secret(table.secret.expose()).await;
        assert_eq!(answer.json()["expires_in"], seconds);
        let bearer = format!("Bearer {}", access(&answer));
        table.gateway.clock.advance(Duration::from_secs(seconds - 1));
        assert_eq!(table.scim(&bearer).await.status, 200);
        table.gateway.clock.advance(Duration::from_secs(1));
        assert_eq!(table.scim(&bearer).await.status, 401);
    }
}

/// RFC 6749 §4.4, §5.2 and what Entra's tenants were seen to send.
#[tokio::test]
async fn forms_are_taken_however_they_are_labelled() {
    let table = Table::lay("standard", Doors::CONFIDENTIAL, |_| {}).await;
    let authorization = basic("app", table.secret.expose());
    let own = [("authorization", authorization.as_str())];
    for content_type in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "Application/X-WWW-Form-Urlencoded ; charset=\"iso-8859-1\"",
        "",
    ] {
        let labelled = [own[0], ("content-type", content_type)];
        let headers = if content_type.is_empty() { &own[..] } else { &labelled[..] };
        let answer = table.send("oauth/token", headers, "grant_type=client_credentials").await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.json());
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    }
    for (content_type, body) in [
        ("application/json", "{\"grant_type\":\"client_credentials\"}"),
        ("application/scim+json", "grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", "--x--"),
        ("text/plain", "grant_type=client_credentials"),
    ] {
        let answer = table.send("oauth/token", &[own[0], ("content-type", content_type)], body).await;
        assert_eq!((answer.status, error(&answer).as_str()), (400, "invalid_request"), "{content_type}");
    }
    // A 401 names the scheme that was tried (RFC 6749 §5.2).
    let wrong = basic("app", "wrong");
    let answer = table.send("oauth/token", &[("authorization", wrong.as_str())], "grant_type=client_credentials").await;
    assert_eq!((answer.status, error(&answer).as_str()), (401, "invalid_client"));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic"));
    for scope in ["scim.read", "api://anything/.default", "scim.write scim.read"] {
        let body = url::form_urlencoded::Serializer::new("grant_type=client_credentials".to_owned())
            .append_pair("scope", scope)
            .finish();
        let headers = [own[0], ("content-type", "application/x-www-form-urlencoded")];
        let answer = table.send("oauth/token", &headers, &body).await;
        assert_eq!(answer.status, 200, "{scope}");
    }
}
