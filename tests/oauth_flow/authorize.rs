//! Sign-in and the Access Request (RFC 6749 §4.1.1, §4.1.2; RFC 9700; RFC 9207).

use std::time::Duration;

use http::{Method, StatusCode, header};
use portcullis::http::oauth::Endpoint;
use portcullis::oauth::Role;

use crate::gate::{Browser, CALLBACK, CHALLENGE, Gate, PASSWORD, form, query, request, tenant};

#[tokio::test]
async fn the_whole_conversation() {
    let gate = Gate::open("ringcentral").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK), ("login_hint", "a\"da")]));

    let page = browser.open().await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Sign in to acme") && page.body.contains("Microsoft &#60;Entra&#62; ID"),
        "{}",
        page.body
    );
    assert!(page.body.contains("value=\"a&#34;da\"") && !page.body.contains("<script"));
    let cookie = page.header(header::SET_COOKIE);
    assert!(cookie.starts_with("__Host-portcullis-acme="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(policy.contains("form-action 'self' https:;"), "{policy}");
    assert_eq!(page.header(header::REFERRER_POLICY), "same-origin");
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");

    let before = browser.cookie.clone();
    let consent = browser.sign_in("ADA", PASSWORD).await;
    assert_eq!(consent.status, StatusCode::OK);
    assert_ne!(browser.cookie, before, "a new session id at sign-in");
    for words in [
        "Access Request",
        "<strong>ada</strong>, super user",
        "Read people",
        "Change people",
        "<dd>portal.azure.com<",
        "Deny",
    ] {
        assert!(consent.body.contains(words), "{words}: {}", consent.body);
    }

    let back = browser.press("authorize").await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    let location = back.header(header::LOCATION);
    assert!(location.starts_with("https://portal.azure.com/TokenAuthorize?code=pcc_"), "{location}");
    assert_eq!(back.redirect_parameter("state").as_deref(), Some("1"));
    assert_eq!(back.redirect_parameter("iss").as_deref(), Some("https://scim.example.com/t/acme"));
    assert_eq!(back.redirect_parameter("expires_in").as_deref(), Some("60"));
}

#[tokio::test]
async fn only_ringcentral_says_how_long_the_code_lives() {
    let gate = Gate::open("vonage-business").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.sign_in("ada", PASSWORD).await;
    assert_eq!(browser.press("authorize").await.redirect_parameter("expires_in"), None);
}

#[tokio::test]
async fn state_comes_back_byte_for_byte() {
    let gate = Gate::open("standard").await;
    for state in ["1", "a%2Bb%20c", "%FF%00%0D%0ASet-Cookie:x", "%C3%A4%26iss%3Dx", "{\"a\":[1]}"] {
        let mut browser = Browser::new(&gate, &format!("client_id=entra&redirect_uri={CALLBACK}&state={state}"));
        browser.sign_in("ada", PASSWORD).await;
        let answer = browser.press("authorize").await;
        let location = answer.header(header::LOCATION).to_owned();
        let back = location.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
        let bytes = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        assert_eq!(bytes(back), bytes(state), "{location}");
    }
}

#[tokio::test]
async fn a_wrong_client_or_address_gets_a_page_and_never_a_redirect() {
    let gate = Gate::open("standard").await;
    gate.add_client("gone", false, None).await;
    gate.store.disable_client("acme", "gone").await.unwrap();
    let callback = "redirect_uri=https%3A%2F%2Fportal.azure.com%2FTokenAuthorize";
    for query in [
        String::new(),
        format!("client_id=nobody&{callback}"),
        format!("client_id=gone&{callback}"),
        format!("client_id=entra&client_id=entra&{callback}"),
        format!("client_id=entra&{callback}&{callback}"),
        "client_id=entra&redirect_uri=https://evil.example/".to_owned(),
        "client_id=entra&redirect_uri=https://portal.azure.com/TokenAuthorize/".to_owned(),
        "client_id=entra&redirect_uri=https://PORTAL.azure.com/TokenAuthorize".to_owned(),
        "client_id=entra&redirect_uri=https://portal.azure.com/TokenAuthorize%23".to_owned(),
        "client_id=entra&redirect_uri=//evil.example".to_owned(),
        "client_id=entra".to_owned(),
        format!("client_id=entra%00&{callback}"),
        format!("client_id=entra&{callback}&x={}", "y".repeat(20_000)),
    ] {
        let answer = gate.send(Endpoint::Authorize, request(Method::GET, Some(&query), "")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query:.100}");
        assert!(answer.headers.get(header::LOCATION).is_none() && answer.body.contains("<h1>"), "{query:.100}");
        assert!(!answer.body.contains("evil.example"));
    }
}

#[tokio::test]
async fn other_mistakes_go_back_to_the_client() {
    let gate = Gate::open("standard").await;
    gate.add_client("app", true, None).await;
    for (client, more, expected) in [
        ("entra", "response_type=token", "unsupported_response_type"),
        ("entra", "response_type=code&response_type=code", "invalid_request"),
        ("entra", "scope=openid", "invalid_scope"),
        ("entra", "scope=scim.read+scim.admin", "invalid_scope"),
        ("entra", "code_challenge=x&code_challenge_method=plain", "invalid_request"),
        ("entra", "code_challenge=x", "invalid_request"),
        ("app", "response_type=code", "invalid_request"),
        ("entra", "prompt=none", "login_required"),
        ("entra", "nonce=1&nonce=2", "invalid_request"),
    ] {
        let query = format!("client_id={client}&redirect_uri={CALLBACK}&state=x%20y&{more}");
        let answer = gate.send(Endpoint::Authorize, request(Method::GET, Some(&query), "")).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{more}");
        assert!(answer.header(header::LOCATION).starts_with(CALLBACK));
        assert_eq!(answer.redirect_parameter("error").as_deref(), Some(expected), "{more}");
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some("x y"), "{more}");
        assert_eq!(answer.redirect_parameter("iss").as_deref(), Some("https://scim.example.com/t/acme"));
    }
}

#[tokio::test]
async fn stored_addresses_need_little_and_loopback_any_port() {
    let gate = Gate::open("standard").await;
    for query in [
        format!("client_id=entra&state=1&redirect_uri={CALLBACK}"),
        "client_id=entra&redirect_uri=http%3A%2F%2F127.0.0.1%3A49152%2Fcallback".to_owned(),
        format!("client_id=entra&redirect_uri={CALLBACK}&scope=scim.read&brand_id=7&display=page&ui_locales=de"),
    ] {
        let mut browser = Browser::new(&gate, &query);
        browser.sign_in("ada", PASSWORD).await;
        assert!(browser.press("authorize").await.redirect_parameter("code").is_some(), "{query}");
    }
    // Parameters in the body (RFC 6749 §3.1) move to the address line.
    let answer = gate.send(Endpoint::Authorize, form(&[("client_id", "entra"), ("redirect_uri", CALLBACK)])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(
        answer.header(header::LOCATION).starts_with("/t/acme/oauth/authorize?client_id=entra&redirect_uri=https%3A")
    );
}

#[tokio::test]
async fn deny_and_cancel_say_so() {
    let gate = Gate::open("standard").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.open().await;
    assert_eq!(browser.press("deny").await.redirect_parameter("error").as_deref(), Some("access_denied"));
    browser.sign_in("ada", PASSWORD).await;
    let answer = browser.press("deny").await;
    assert_eq!(answer.redirect_parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.redirect_parameter("state").as_deref(), Some("1"));
}

#[tokio::test]
async fn another_account_prompt_and_sign_out() {
    let gate = Gate::open("standard").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.sign_in("ada", PASSWORD).await;
    assert!(browser.open().await.body.contains("Access Request"), "a session lasts");

    let plain = browser.query.clone();
    browser.query = format!("{plain}&prompt=login");
    assert!(browser.open().await.body.contains("Sign in to acme"));
    let consent = browser.sign_in("ada", PASSWORD).await;
    assert!(consent.body.contains("Access Request"), "asked once, not for ever");

    browser.query = format!("{plain}&prompt=none");
    assert_eq!(browser.open().await.redirect_parameter("error").as_deref(), Some("consent_required"));

    browser.query = plain;
    browser.open().await;
    let old = browser.cookie.clone();
    assert_eq!(browser.press("switch").await.status, StatusCode::SEE_OTHER);
    assert!(browser.open().await.body.contains("Sign in to acme"));
    browser.cookie = old;
    assert!(browser.open().await.body.contains("Sign in to acme"), "the old session is gone");

    browser.sign_in("ada", PASSWORD).await;
    let mut out = form(&[("form_token", &browser.form_token)]);
    out.headers.insert(header::COOKIE, browser.cookie.clone().unwrap().parse().unwrap());
    assert_eq!(gate.send(Endpoint::SignOut, out).await.status, StatusCode::OK);
    assert!(browser.open().await.body.contains("Sign in to acme"));
    assert_eq!(gate.send(Endpoint::SignOut, form(&[])).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sessions_idle_out_and_belong_to_a_tenant() {
    let gate = Gate::open("standard").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.sign_in("ada", PASSWORD).await;
    for _ in 0..4 {
        gate.clock.advance(Duration::from_mins(29));
        assert!(browser.open().await.body.contains("Access Request"));
    }
    let stale = browser.form_token.clone();
    gate.clock.advance(Duration::from_mins(30));
    let answer = browser.press("authorize").await;
    assert!(answer.body.contains("signed out") && answer.body.contains("Sign in to acme"), "{}", answer.body);

    // Another tenant of the same gateway, with a client of the same name.
    browser.sign_in("ada", PASSWORD).await;
    let acme = browser.cookie.clone().unwrap();
    let other = tenant("other", "standard");
    let mut client = gate.store.client("acme", "entra").await.unwrap().unwrap();
    client.tenant = "other".into();
    gate.store.add_client(&client).await.unwrap();
    browser.tenant = other;
    browser.cookie = Some(acme.replace("-acme=", "-other="));
    assert!(browser.open().await.body.contains("Sign in to other"));
    browser.form_token = stale;
    assert_eq!(browser.press("authorize").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_disabled_administrator_or_a_new_password_ends_the_session() {
    let gate = Gate::open("standard").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.sign_in("ada", PASSWORD).await;
    gate.store.disable_administrator("acme", gate.administrator).await.unwrap();
    assert!(browser.press("authorize").await.body.contains("Sign in to acme"));
    let answer = browser.guess("ada", PASSWORD).await;
    assert!(answer.body.contains("is not right, or the account is disabled"));
}

#[tokio::test]
async fn forms_are_only_taken_from_the_browser_they_were_shown_to() {
    let gate = Gate::open("standard").await;
    let mut ada = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    ada.sign_in("ada", PASSWORD).await;
    let (token, cookie) = (ada.form_token.clone(), ada.cookie.clone());
    let mut stranger = Browser::new(&gate, &ada.query);
    stranger.open().await;

    for (form_token, cookie, headers, expected) in [
        (stranger.form_token.clone(), cookie.clone(), vec![], false),
        (String::new(), cookie.clone(), vec![], false),
        (token.clone(), None, vec![], false),
        (token.clone(), stranger.cookie.clone(), vec![], false),
        (token.clone(), cookie.clone(), vec![("origin", "https://evil.example")], false),
        (token.clone(), cookie.clone(), vec![("origin", "null")], false),
        (token.clone(), cookie.clone(), vec![("sec-fetch-site", "cross-site")], false),
        (token.clone(), cookie.clone(), vec![("sec-fetch-site", "same-site")], false),
        (token.clone(), cookie.clone(), vec![("content-type", "text/plain")], false),
        (token.clone(), cookie.clone(), vec![], true),
        (token.clone(), cookie.clone(), vec![("origin", "https://scim.example.com")], true),
        (token.clone(), cookie.clone(), vec![("origin", "null"), ("sec-fetch-site", "same-origin")], true),
    ] {
        let mut browser = Browser::new(&gate, &ada.query);
        (browser.form_token, browser.cookie) = (form_token, cookie);
        for (name, value) in &headers {
            browser.headers.insert(*name, value.parse().unwrap());
        }
        let answer = browser.press("authorize").await;
        assert_eq!(answer.redirect_parameter("code").is_some(), expected, "{headers:?}");
        assert_eq!(answer.status == StatusCode::FORBIDDEN, !expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_viewer_is_told_which_role_is_needed() {
    let gate = Gate::open("vonage-business").await;
    gate.add_administrator("victor", Role::Viewer).await;
    gate.add_administrator("alice", Role::AccountAdmin).await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    let page = browser.sign_in("victor", PASSWORD).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    for words in
        ["victor", "role is viewer", "super user or account administrator", "Ask a super user", "Use another account"]
    {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert_eq!(browser.press("authorize").await.status, StatusCode::FORBIDDEN);
    browser.press("switch").await;
    assert!(browser.sign_in("alice", PASSWORD).await.body.contains("account administrator"));
    assert!(browser.press("authorize").await.redirect_parameter("code").is_some());
}

#[tokio::test]
async fn every_wrong_guess_gets_the_same_words_and_the_tenth_a_pause() {
    let gate = Gate::open("standard").await;
    let mut browser = Browser::new(&gate, &query(&[("redirect_uri", CALLBACK)]));
    browser.open().await;
    let blank = |answer: &str, name: &str| answer.replace(&format!("value=\"{name}\""), "");
    let wrong = browser.guess("ada", "not it").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    for (name, password) in [("nobody", PASSWORD), ("ada", "x\0y"), ("ada' OR 1=1 --", "x")] {
        let answer = browser.guess(name, password).await;
        assert_eq!(answer.status, wrong.status);
        let escaped = name.replace('\'', "&#39;");
        assert_eq!(blank(&answer.body, &escaped), blank(&wrong.body, "ada"));
    }
    for _ in 0..8 {
        assert_eq!(browser.guess("ada", "not it").await.status, StatusCode::FORBIDDEN);
    }
    let braked = browser.guess("ada", PASSWORD).await;
    assert_eq!(braked.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(braked.header(header::RETRY_AFTER), "10");
    assert!(braked.body.contains("Try again in 10 seconds") && braked.body.contains("name=\"password\""));
    // Elsewhere the administrator gets in meanwhile, and here after the pause.
    let mut home = Browser::new(&gate, &browser.query);
    home.peer = "198.51.100.7".parse().unwrap();
    assert_eq!(home.sign_in("ada", PASSWORD).await.status, StatusCode::OK);
    gate.clock.advance(Duration::from_secs(10));
    assert_eq!(browser.guess("ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_public_client_needs_pkce_and_a_http_gateway_has_plain_cookies() {
    let mut gate = Gate::open("standard").await;
    gate.add_client("app", true, None).await;
    gate.tenant.issuer = "http://127.0.0.1:8080/t/acme".into();
    let query = format!(
        "client_id=app&redirect_uri=http://127.0.0.1:5000/callback&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let mut browser = Browser::new(&gate, &query);
    let page = browser.open().await;
    let cookie = page.header(header::SET_COOKIE);
    assert!(cookie.starts_with("portcullis-acme=") && !cookie.contains("Secure"), "{cookie}");
    assert!(page.header(header::CONTENT_SECURITY_POLICY).contains("form-action 'self' http://127.0.0.1:5000 https:;"));
    browser.sign_in("ada", PASSWORD).await;
    let code = browser.press("authorize").await.redirect_parameter("code").unwrap();
    let fields = |verifier| {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("code", code.as_str()),
            ("redirect_uri", "http://127.0.0.1:5000/callback"),
        ];
        fields.extend(Option::map(verifier, |verifier| ("code_verifier", verifier)));
        fields
    };
    let answer = gate.send(Endpoint::Token, form(&fields(Some(crate::gate::VERIFIER)))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let again = form(&[("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh.as_str())]);
    assert_eq!(gate.send(Endpoint::Token, again).await.status, StatusCode::OK);
}
