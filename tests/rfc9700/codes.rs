//! Codes and refresh tokens.

use std::time::Duration;

use crate::site::{CALLBACK, CHALLENGE, NATIVE, Site, VERIFIER, Visitor, error, form, parameter, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_5_a_code_is_good_for_its_own_client_address_and_verifier_only() {
    let site = Site::open().await;
    let secret = site.secret.clone();
    let redirect = ("redirect_uri", CALLBACK);
    // Injected by another client: refused, and still good for its own.
    let code = site.code(&[]).await;
    let other = [("client_id", "other"), ("client_secret", secret.as_str()), ("grant_type", "authorization_code")];
    let stolen =
        site.post("/oauth/token", &[], form(&[&other[..], &[("code", code.as_str()), redirect]].concat())).await;
    assert_eq!(error(&stolen), "invalid_grant");
    assert_eq!(site.exchange(&code, &[redirect]).await.status, 200);
    // At another address of the same client, or none.
    for fields in [&[("redirect_uri", NATIVE)][..], &[]] {
        let code = site.code(&[]).await;
        assert_eq!(error(&site.exchange(&code, fields).await), "invalid_grant");
    }
    // Of another tenant.
    let code = site.code(&[]).await;
    let fields = [("client_id", "entra"), ("client_secret", secret.as_str()), ("grant_type", "authorization_code")];
    let body = form(&[&fields[..], &[("code", code.as_str()), redirect]].concat());
    let foreign = http::Request::post(format!("http://{}/t/ringcentral/oauth/token", site.gateway.public))
        .header("content-type", "application/x-www-form-urlencoded");
    let foreign = site.gateway.send(foreign.body(body.into()).unwrap()).await;
    assert_eq!(error(&foreign), "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_5_a_code_works_once_for_a_minute_and_its_replay_takes_back_what_it_gave() {
    let site = Site::open().await;
    let redirect = [("redirect_uri", CALLBACK)];
    let code = site.code(&[]).await;
    site.gateway.clock.advance(Duration::from_secs(59));
    let given = site.exchange(&code, &redirect).await.json();
    let (access, refresh) = (given["access_token"].as_str().unwrap(), given["refresh_token"].as_str().unwrap());
    assert_eq!(site.status_of(access).await, 200);
    assert_eq!(error(&site.exchange(&code, &redirect).await), "invalid_grant");
    assert_eq!(site.status_of(access).await, 401, "at once");
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(error(&site.ask("/oauth/token", &again).await), "invalid_grant");

    let late = site.code(&[]).await;
    site.gateway.clock.advance(Duration::from_mins(1));
    assert_eq!(error(&site.exchange(&late, &redirect).await), "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_1_1_a_public_client_has_pkce_and_nothing_else() {
    let site = Site::open().await;
    let challenged = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("redirect_uri", NATIVE)];
    let mut visitor = Visitor::new(&site, &request("app", &challenged));
    visitor.sign_in().await;
    let code = parameter(&visitor.press("authorize").await, "code").unwrap();
    let fields = [
        ("client_id", "app"),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", NATIVE),
        ("code_verifier", VERIFIER),
    ];
    let given = site.post("/oauth/token", &[], form(&fields)).await;
    assert_eq!(given.status, 200);
    let refresh = given.json()["refresh_token"].as_str().unwrap().to_owned();
    let again = form(&[("client_id", "app"), ("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    assert_eq!(site.post("/oauth/token", &[], again).await.status, 200);
    let own = form(&[("client_id", "app"), ("grant_type", "client_credentials")]);
    assert_eq!(error(&site.post("/oauth/token", &[], own).await), "unauthorized_client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_14_a_refresh_token_rotates_is_bound_to_its_client_and_never_grows() {
    let site = Site::open().await;
    let code = site.code(&[("scope", "scim.read")]).await;
    let given = site.exchange(&code, &[("redirect_uri", CALLBACK)]).await.json();
    let refresh = given["refresh_token"].as_str().unwrap();
    let own = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let theirs = [("client_id", "other"), ("client_secret", site.secret.as_str())];
    let stolen = site.post("/oauth/token", &[], form(&[&theirs[..], &own].concat())).await;
    assert_eq!(error(&stolen), "invalid_grant");
    let wider = site.ask("/oauth/token", &[&own[..], &[("scope", "scim.read scim.write")]].concat()).await;
    assert_eq!(error(&wider), "invalid_scope");
    let next = site.ask("/oauth/token", &own).await.json();
    assert_eq!(next["scope"], "scim.read");
    assert_ne!(next["refresh_token"], given["refresh_token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc7009_either_token_ends_the_grant() {
    let site = Site::open().await;
    for which in ["access_token", "refresh_token"] {
        for hint in [None, Some("refresh_token"), Some("nonsense")] {
            let code = site.code(&[]).await;
            let given = site.exchange(&code, &[("redirect_uri", CALLBACK)]).await.json();
            let (access, refresh) = (given["access_token"].as_str().unwrap(), given["refresh_token"].as_str().unwrap());
            let mut fields = vec![("token", given[which].as_str().unwrap())];
            fields.extend(hint.map(|hint| ("token_type_hint", hint)));
            let theirs = [("client_id", "other"), ("client_secret", site.secret.as_str())];
            let refused = site.post("/oauth/revoke", &[], form(&[&theirs[..], &fields].concat())).await;
            assert_eq!((refused.status, site.status_of(access).await), (400, 200), "another client's");
            assert_eq!(site.ask("/oauth/revoke", &fields).await.status, 200, "{which} {hint:?}");
            assert_eq!(site.status_of(access).await, 401, "{which} {hint:?}");
            let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            assert_eq!(error(&site.ask("/oauth/token", &again).await), "invalid_grant", "{which} {hint:?}");
            assert_eq!(site.ask("/oauth/revoke", &fields).await.status, 200, "once more does no harm");
        }
    }
    assert_eq!(site.ask("/oauth/revoke", &[("token", "junk")]).await.status, 200);
    assert_eq!(site.post("/oauth/revoke", &[], "token=junk").await.status, 401);
}
