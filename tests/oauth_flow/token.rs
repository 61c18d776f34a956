//! The token endpoint, revocation, introspection and what is published (RFC 6749 §5, 7009, 7662, 8414).

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, header};
use portcullis::http::oauth::Endpoint;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::store::ClientSecret;

use crate::gate::{Answer, CALLBACK, CHALLENGE, Gate, VERIFIER, form, query, request, tenant, tokens};

#[tokio::test]
async fn a_code_gives_tokens_in_the_form_of_the_rfc() {
    let gate = Gate::open("ringcentral").await;
    let answer = gate.exchange(&gate.code().await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.header(header::PRAGMA), "no-cache");
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "scim.read scim.write");
    assert!(body["refresh_token"].as_str().unwrap().starts_with("pcr_"));
    assert!(body["access_token"].as_str().unwrap().len() <= 400);
    assert_eq!(body["refresh_token_expires_in"], gate.tenant.dialect.refresh_idle.as_secs());
    for name in ["owner_id", "endpoint_id", "session_id"] {
        assert!(body[name].is_string(), "{name}");
    }
    let plain = Gate::open("standard").await;
    assert!(plain.exchange(&plain.code().await).await.json().get("owner_id").is_none());
}

#[tokio::test]
async fn ringcentrals_access_token_ttl_is_clamped() {
    let gate = Gate::open("ringcentral").await;
    for (wanted, expected) in [("60", 600), ("900", 900), ("999999", 3600)] {
        let code = gate.code().await;
        let answer = gate
            .token(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", CALLBACK),
                ("access_token_ttl", wanted),
                ("endpoint_id", "mine"),
            ])
            .await;
        assert_eq!(answer.json()["expires_in"], expected);
        assert_eq!(answer.json()["endpoint_id"], "mine");
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_for_its_own_request() {
    let gate = Gate::open("standard").await;
    let code = gate.code().await;
    gate.clock.advance(Duration::from_secs(59));
    let (access, refresh) = tokens(&gate.exchange(&code).await);
    assert!(gate.admits(&access).await);
    assert_eq!(gate.exchange(&code).await.error(), "invalid_grant");
    assert!(!gate.admits(&access).await, "a replay ends what the first use gave");
    assert_eq!(gate.refresh(&refresh).await.error(), "invalid_grant");

    let late = gate.code().await;
    gate.clock.advance(Duration::from_mins(1));
    assert_eq!(gate.exchange(&late).await.error(), "invalid_grant");

    for more in [
        vec![],
        vec![("redirect_uri", "http://127.0.0.1/callback")],
        vec![("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)],
    ] {
        let code = gate.code().await;
        let fields: Vec<_> =
            [("grant_type", "authorization_code"), ("code", code.as_str())].into_iter().chain(more).collect();
        assert_eq!(gate.token(&fields).await.error(), "invalid_grant");
        assert_eq!(gate.exchange(&code).await.error(), "invalid_grant", "it is used up");
    }

    let challenged =
        query(&[("redirect_uri", CALLBACK), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
    for (verifier, expected) in [(None, "invalid_grant"), (Some("x"), "invalid_grant"), (Some(VERIFIER), "")] {
        let code = gate.code_for(&challenged).await;
        let mut fields = vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        assert_eq!(gate.token(&fields).await.error(), expected, "{verifier:?}");
    }
}

#[tokio::test]
async fn a_code_of_another_client_is_refused_and_stays_good() {
    let gate = Gate::open("standard").await;
    let secret = opaque::mint(Kind::ClientSecret, &gate.random);
    gate.add_client("other", false, Some(&secret)).await;
    let code = gate.code().await;
    let stolen = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("client_id", "other"),
        ("client_secret", secret.expose()),
    ]);
    assert_eq!(gate.send(Endpoint::Token, stolen).await.error(), "invalid_grant");
    assert_eq!(gate.exchange(&code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_that_present_a_code_at_once_cannot_both_win() {
    let gate = Arc::new(Gate::open("standard").await);
    let code = gate.code().await;
    let tries: Vec<_> = (0..6)
        .map(|_| {
            let (gate, code) = (Arc::clone(&gate), code.clone());
            tokio::spawn(async move { gate.exchange(&code).await.status })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn client_credentials_give_an_access_token_only() {
    let gate = Gate::open("vonage-business").await;
    let answer = gate.token(&[("grant_type", "client_credentials"), ("scope", "scim.read")]).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["expires_in"], body.get("refresh_token")), (StatusCode::OK, &3600.into(), None));
    assert!(body["access_token"].as_str().unwrap().len() <= 400);
    let caller = gate.authenticate(&format!("Bearer {}", body["access_token"].as_str().unwrap())).await.unwrap();
    assert_eq!(caller.role(), None);
    assert_eq!(caller.scopes().to_string(), "scim.read");
    let all = gate.token(&[("grant_type", "client_credentials")]).await.json();
    let other = gate.authenticate(&format!("Bearer {}", all["access_token"].as_str().unwrap())).await.unwrap();
    assert_eq!(caller.budget_key(), other.budget_key(), "one client, one budget");
    assert_eq!(gate.token(&[("grant_type", "client_credentials"), ("scope", "openid")]).await.error(), "invalid_scope");

    gate.add_client("app", true, None).await;
    let public = form(&[("grant_type", "client_credentials"), ("client_id", "app")]);
    assert_eq!(gate.send(Endpoint::Token, public).await.error(), "unauthorized_client");
}

#[tokio::test]
async fn token_requests_that_are_amiss() {
    let gate = Gate::open("standard").await;
    for (fields, expected) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password"), ("username", "ada")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "junk")], "invalid_grant"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "pcr_junk")], "invalid_grant"),
        (vec![("grant_type", "client_credentials"), ("grant_type", "client_credentials")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("x", "1"), ("x", "2")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("client_secret", "x")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("client_id", "other")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("client_assertion", "x")], "invalid_request"),
    ] {
        let answer = gate.token(&fields).await;
        assert_eq!(answer.error(), expected, "{fields:?}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        let text = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'), "{text}");
    }
    let long = "x".repeat(20_000);
    assert_eq!(gate.token(&[("grant_type", &long)]).await.error(), "invalid_request");
}

#[tokio::test]
async fn clients_prove_who_they_are() {
    let gate = Gate::open("standard").await;
    let other = opaque::mint(Kind::ClientSecret, &gate.random);
    let expired = opaque::mint(Kind::ClientSecret, &gate.random);
    for (secret, expires) in [(&other, None), (&expired, Some(gate.clock.now()))] {
        let secret = ClientSecret {
            digest: secret.digest(),
            prefix: opaque::public_prefix(secret),
            created: gate.clock.now(),
            expires,
            last_used: None,
        };
        gate.store.add_client_secret("acme", "entra", &secret, false).await.unwrap();
    }
    gate.add_client("app", true, None).await;
    gate.add_client("off", false, Some(&other)).await;
    gate.store.disable_client("acme", "off").await.unwrap();
    let good = gate.client_secret.expose();
    for (id, secret, expected) in [
        ("entra", Some(good), StatusCode::OK),
        ("entra", Some(other.expose()), StatusCode::OK),
        ("entra", Some(expired.expose()), StatusCode::UNAUTHORIZED),
        ("entra", Some("wrong"), StatusCode::UNAUTHORIZED),
        ("entra", None, StatusCode::UNAUTHORIZED),
        ("ENTRA", Some(good), StatusCode::UNAUTHORIZED),
        ("nobody", Some(good), StatusCode::UNAUTHORIZED),
        ("off", Some(other.expose()), StatusCode::UNAUTHORIZED),
        ("app", Some(good), StatusCode::UNAUTHORIZED),
    ] {
        let mut fields = vec![("grant_type", "client_credentials"), ("client_id", id)];
        fields.extend(secret.map(|secret| ("client_secret", secret)));
        let answer = gate.send(Endpoint::Token, form(&fields)).await;
        assert_eq!(answer.status, expected, "{id} {secret:?}: {}", answer.body);
        if expected == StatusCode::UNAUTHORIZED {
            assert_eq!(answer.error(), "invalid_client");
            assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Basic realm=\"acme\"");
        }
    }
}

#[tokio::test]
async fn content_types_are_taken_as_they_come() {
    let gate = Gate::open("standard").await;
    for (value, expected) in [
        (Some("application/x-www-form-urlencoded; charset=utf-8"), StatusCode::OK),
        (Some("Application/X-WWW-Form-URLEncoded;charset=\"UTF-8\""), StatusCode::OK),
        (None, StatusCode::OK),
        (Some("application/json"), StatusCode::BAD_REQUEST),
        (Some("multipart/form-data; boundary=x"), StatusCode::BAD_REQUEST),
    ] {
        let mut request = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", "entra"),
            ("client_secret", gate.client_secret.expose()),
        ]);
        request.headers.remove(header::CONTENT_TYPE);
        if let Some(value) = value {
            request.headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
        }
        assert_eq!(gate.send(Endpoint::Token, request).await.status, expected, "{value:?}");
    }
}

#[tokio::test]
async fn revoking_either_token_ends_the_grant() {
    let gate = Gate::open("ringcentral").await;
    let secret = opaque::mint(Kind::ClientSecret, &gate.random);
    gate.add_client("other", false, Some(&secret)).await;
    for which in 0..2 {
        let (access, refresh) = gate.grant().await;
        let (kept, _) = gate.grant().await;
        assert!(gate.admits(&access).await && gate.admits(&kept).await);
        let token = [&access, &refresh][which];
        let foreign = form(&[("token", token), ("client_id", "other"), ("client_secret", secret.expose())]);
        assert_eq!(gate.send(Endpoint::Revoke, foreign).await.error(), "invalid_grant");
        assert_eq!(gate.send(Endpoint::Revoke, form(&[("token", token)])).await.error(), "invalid_client");
        assert!(gate.admits(&access).await);

        let before = gate.store.generation().await.unwrap();
        assert_eq!(
            gate.post(Endpoint::Revoke, &[("token", token), ("token_type_hint", "x")]).await.status,
            StatusCode::OK
        );
        assert_eq!(gate.store.generation().await.unwrap(), before + 1);
        assert!(!gate.admits(&access).await && gate.admits(&kept).await);
        assert_eq!(gate.refresh(&refresh).await.error(), "invalid_grant");
        assert_eq!(gate.post(Endpoint::Revoke, &[("token", token)]).await.status, StatusCode::OK, "again");
    }
    assert_eq!(gate.post(Endpoint::Revoke, &[("token", "unknown")]).await.status, StatusCode::OK);
    assert_eq!(gate.post(Endpoint::Revoke, &[]).await.error(), "invalid_request");
}

#[tokio::test]
async fn introspection_tells_a_client_about_its_own_tokens() {
    let gate = Gate::open("standard").await;
    let secret = opaque::mint(Kind::ClientSecret, &gate.random);
    gate.add_client("other", false, Some(&secret)).await;
    gate.add_client("app", true, None).await;
    let (access, refresh) = gate.grant().await;
    let about = gate.post(Endpoint::Introspect, &[("token", &access)]).await.json();
    assert_eq!((&about["active"], &about["scope"]), (&true.into(), &"scim.read scim.write".into()));
    assert_eq!((&about["client_id"], &about["aud"]), (&"entra".into(), &"acme".into()));
    assert_eq!(gate.post(Endpoint::Introspect, &[("token", &refresh)]).await.json()["active"], true);

    let foreign = form(&[("token", &access), ("client_id", "other"), ("client_secret", secret.expose())]);
    assert_eq!(gate.send(Endpoint::Introspect, foreign).await.json(), serde_json::json!({"active": false}));
    assert_eq!(gate.send(Endpoint::Introspect, form(&[("token", &access)])).await.error(), "invalid_client");
    let public = form(&[("token", &access), ("client_id", "app")]);
    assert_eq!(gate.send(Endpoint::Introspect, public).await.error(), "unauthorized_client");

    let (_, next) = tokens(&gate.refresh(&refresh).await);
    assert_eq!(
        gate.post(Endpoint::Introspect, &[("token", &refresh)]).await.json()["active"],
        true,
        "still repeatable"
    );
    gate.refresh(&next).await;
    assert_eq!(gate.post(Endpoint::Introspect, &[("token", &refresh)]).await.json()["active"], false);
    gate.clock.advance(Duration::from_hours(1));
    for token in [access.as_str(), "junk", "pcr_junk"] {
        assert_eq!(gate.post(Endpoint::Introspect, &[("token", token)]).await.json()["active"], false);
    }
}

#[tokio::test]
async fn what_is_published() {
    let gate = Gate::open("standard").await;
    let metadata = gate.send(Endpoint::Metadata, request(Method::GET, None, "")).await.json();
    let issuer = "https://scim.example.com/t/acme";
    assert_eq!(metadata["issuer"], issuer);
    for (name, path) in [
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("revocation_endpoint", "revoke"),
        ("introspection_endpoint", "introspect"),
        ("jwks_uri", "jwks"),
    ] {
        assert_eq!(metadata[name], format!("{issuer}/oauth/{path}"));
    }
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);

    // Whoever has only the JWKS can check a token.
    let jwks: jsonwebtoken::jwk::JwkSet =
        serde_json::from_value(gate.send(Endpoint::Jwks, request(Method::GET, None, "")).await.json()).unwrap();
    let (access, _) = gate.grant().await;
    let head = jsonwebtoken::decode_header(&access).unwrap();
    assert_eq!(head.typ.as_deref(), Some("at+jwt"));
    let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&head.kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&["acme"]);
    assert!(jsonwebtoken::decode::<serde_json::Value>(&access, &key, &validation).is_ok());
    assert!(!format!("{jwks:?}").contains("\"d\""));
}

#[tokio::test]
async fn methods_and_tenants_without_the_door() {
    let gate = Gate::open("standard").await;
    for (endpoint, method, allow) in [
        (Endpoint::Token, Method::GET, "POST"),
        (Endpoint::Revoke, Method::PUT, "POST"),
        (Endpoint::Introspect, Method::GET, "POST"),
        (Endpoint::SignOut, Method::GET, "POST"),
        (Endpoint::Authorize, Method::DELETE, "GET, HEAD, POST"),
        (Endpoint::Jwks, Method::POST, "GET, HEAD"),
        (Endpoint::Metadata, Method::POST, "GET, HEAD"),
    ] {
        let answer = gate.send(endpoint, request(method, None, "")).await;
        assert_eq!(
            (answer.status, answer.header(header::ALLOW)),
            (StatusCode::METHOD_NOT_ALLOWED, allow),
            "{endpoint:?}"
        );
        assert_refused_in_form(endpoint, &answer, "Allow header");
    }
    for dialect in ["playvox", "vonage-contact-center"] {
        let tenant = tenant("acme", dialect);
        for endpoint in [Endpoint::Authorize, Endpoint::Token, Endpoint::Metadata, Endpoint::Jwks] {
            let answer = gate.send_to(&tenant, endpoint, request(Method::GET, None, "")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{dialect} {endpoint:?}");
            assert_refused_in_form(endpoint, &answer, "secret token");
        }
    }
}

/// People get a page, clients JSON.
fn assert_refused_in_form(endpoint: Endpoint, answer: &Answer, words: &str) {
    let said = if matches!(endpoint, Endpoint::Authorize | Endpoint::SignOut) {
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        answer.body.clone()
    } else {
        assert_eq!(answer.error(), "invalid_request");
        answer.json()["error_description"].as_str().unwrap().to_owned()
    };
    assert!(said.contains(words), "{endpoint:?}: {said}");
}
