//! Access tokens: forged, foreign, too early, in the wrong place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis::types::Random;
use serde_json::{Value, json};

use crate::site::{Site, error, form};

/// The claims of a good token, and the gateway's own key with its name: what no attacker has.
async fn good(site: &Site) -> (String, Value, String, EncodingKey) {
    let token = site.token().await;
    let part = |index| -> Value {
        let text: &str = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let key = site.gateway.gateway.store.signing_keys().await.unwrap().remove(0);
    let kid = part(0)["kid"].as_str().unwrap().to_owned();
    assert_eq!(key.kid, kid);
    (token.clone(), part(1), kid, EncodingKey::from_ed_der(&key.pkcs8))
}

fn header(algorithm: Algorithm, typ: &str, kid: Option<&str>) -> Header {
    Header { typ: Some(typ.into()), kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_2_and_rfc8725_only_our_own_token_for_this_tenant_is_good() {
    let site = Site::open().await;
    let (token, claims, kid, key) = good(&site).await;
    assert_eq!(site.status_of(&token).await, 200);
    let sign = |header: &Header, claims: &Value, key: &EncodingKey| encode(header, claims, key).unwrap();
    let ours = header(Algorithm::EdDSA, "at+jwt", Some(&kid));
    assert_eq!(site.status_of(&sign(&ours, &claims, &key)).await, 200, "the forger of this test can forge");
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let now = site.gateway.clock.now().seconds();
    let jwks = site.get("/oauth/jwks", &[]).await.json();
    let public = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let pem_like = URL_SAFE_NO_PAD.encode(&public);
    let own = aws_lc_rs_key(1);
    let unsigned = |header: &Value| {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", text(header), text(&claims))
    };
    let confused = header(Algorithm::HS256, "at+jwt", Some(&kid));
    let parts: Vec<&str> = token.split('.').collect();
    for (what, forged) in [
        ("alg=none", unsigned(&json!({"alg": "none", "typ": "at+jwt", "kid": kid}))),
        ("alg=None", unsigned(&json!({"alg": "None", "typ": "at+jwt", "kid": kid}))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("HS256 with the public key", sign(&confused, &claims, &EncodingKey::from_secret(&public))),
        ("HS256 with the public key as text", sign(&confused, &claims, &EncodingKey::from_secret(pem_like.as_bytes()))),
        ("HS256 with nothing", sign(&confused, &claims, &EncodingKey::from_secret(b""))),
        ("another's key under our kid", sign(&ours, &claims, &own)),
        ("foreign kid", sign(&header(Algorithm::EdDSA, "at+jwt", Some("foreign")), &claims, &own)),
        ("kid that climbs", sign(&header(Algorithm::EdDSA, "at+jwt", Some("../../dev/null")), &claims, &own)),
        ("no kid", sign(&header(Algorithm::EdDSA, "at+jwt", None), &claims, &key)),
        ("another type", sign(&header(Algorithm::EdDSA, "JWT", Some(&kid)), &claims, &key)),
        ("foreign aud", sign(&ours, &with("aud", "ringcentral".into()), &key)),
        ("aud as a list", sign(&ours, &with("aud", json!(["standard", "ringcentral"])), &key)),
        ("foreign iss", sign(&ours, &with("iss", "https://evil.example/t/standard".into()), &key)),
        ("future nbf", sign(&ours, &with("nbf", (now + 3600).into()), &key)),
        ("future iat", sign(&ours, &with("iat", (now + 3600).into()), &key)),
        ("expired", sign(&ours, &with("exp", now.into()), &key)),
        ("exp that is no number", sign(&ours, &with("exp", "never".into()), &key)),
        ("another grant", sign(&ours, &with("jti", "zzzz.1".into()), &key)),
        ("a grant that is no number", sign(&ours, &with("jti", "' OR 1=1 --".into()), &key)),
        (
            "claims put in anew",
            format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(with("sub", "admin:1".into()).to_string()), parts[2]),
        ),
        ("junk", "a.b.c".to_owned()),
        ("much", "x".repeat(8_000)),
    ] {
        assert_eq!(site.status_of(&forged).await, 401, "{what}");
    }
    // A key that the token brings along is not looked at.
    let jwk =
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jwk": jwks["keys"][0], "jku": "https://evil.example"});
    let brought = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(jwk.to_string()), parts[1], parts[2]);
    assert_eq!(site.status_of(&brought).await, 401);
}

/// An Ed25519 key that is not the gateway's, as PKCS#8.
fn aws_lc_rs_key(seed: u64) -> EncodingKey {
    // RFC 8410 §7: the 16 bytes before the seed are always the same.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend_from_slice(&Random::seeded(seed).bytes::<32>());
    EncodingKey::from_ed_der(&der)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_3_a_token_of_one_tenant_opens_no_other() {
    let site = Site::open().await;
    let token = site.token().await;
    for path in ["ringcentral/scim/v2", "vonage-business/scim/v2", "playvox/scim/v1"] {
        let request = http::Request::get(format!("http://{}/t/{path}/Users", site.gateway.public))
            .header("authorization", format!("Bearer {token}"));
        let answer = site.gateway.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    }
    // Introspection and revocation at another tenant know nothing of it.
    let fields = [("client_id", "entra"), ("client_secret", site.secret.as_str()), ("token", token.as_str())];
    for (path, expected) in [("introspect", json!({"active": false})), ("revoke", json!({}))] {
        let request = http::Request::post(format!("http://{}/t/ringcentral/oauth/{path}", site.gateway.public))
            .header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(site.gateway.send(request.body(form(&fields).into()).unwrap()).await.json(), expected);
    }
    assert_eq!(site.status_of(&token).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_3_2_a_token_in_the_address_or_the_body_is_none() {
    let site = Site::open().await;
    let token = site.token().await;
    let answer = site.get(&format!("/scim/v2/Users?access_token={token}"), &[]).await;
    assert_eq!(answer.status, 401);
    let body = format!("access_token={token}");
    assert_eq!(site.post("/scim/v2/Users", &[], body).await.status, 401);
    // Nor are a client's credentials taken from the address.
    let query = form(&[("grant_type", "client_credentials"), ("client_id", "entra"), ("client_secret", &site.secret)]);
    assert_eq!(site.post(&format!("/oauth/token?{query}"), &[], "").await.status, 401);
    assert_eq!(site.get(&format!("/oauth/token?{query}"), &[]).await.status, 405);
    let twice = format!("Bearer {token}, Bearer {token}");
    assert_eq!(site.get("/scim/v2/Users", &[("authorization", &twice)]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_15_a_client_cannot_pass_for_an_administrator() {
    let site = Site::open().await;
    let (token, claims, ..) = good(&site).await;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("entra"), &json!("entra")));
    let about = site.ask("/oauth/introspect", &[("token", &token)]).await.json();
    assert_eq!(about["sub"], "entra");
    // An administrator's subject has a colon, which no id of a client that the command line makes can have.
    assert!(!about["sub"].as_str().unwrap().contains(':'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc7662_introspection_is_for_clients_with_a_secret_and_their_own_tokens() {
    let site = Site::open().await;
    let token = site.token().await;
    let about = site.ask("/oauth/introspect", &[("token", &token)]).await;
    assert_eq!((about.json()["active"].clone(), about.header("cache-control")), (json!(true), Some("no-store")));
    let theirs = [("client_id", "other"), ("client_secret", site.secret.as_str()), ("token", token.as_str())];
    let about = site.post("/oauth/introspect", &[], form(&theirs)).await;
    assert_eq!(about.json(), json!({"active": false}), "not more than of a token that never was");
    let public = site.post("/oauth/introspect", &[], form(&[("client_id", "app"), ("token", &token)])).await;
    assert_eq!(error(&public), "unauthorized_client");
    let nobody = site.post("/oauth/introspect", &[], form(&[("token", &token)])).await;
    assert_eq!(nobody.status, 401);
    for junk in ["junk", "pcr_junk", &"x".repeat(3_000)] {
        assert_eq!(
            site.ask("/oauth/introspect", &[("token", junk)]).await.json(),
            json!({"active": false}),
            "{junk:.9}"
        );
    }
}
