//! Redirect URIs and what is sent to them.

use http_body_util::Full;

use crate::site::{CALLBACK, CHALLENGE, NATIVE, Site, Visitor, error, form, parameter, request, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_1_and_4_1_redirect_uris_match_to_the_letter() {
    let site = Site::open().await;
    for (what, uri) in [
        ("case of the path", "https://portal.azure.com/tokenauthorize"),
        ("case of the host", "https://PORTAL.azure.com/TokenAuthorize"),
        ("case of the scheme", "HTTPS://portal.azure.com/TokenAuthorize"),
        ("trailing slash", "https://portal.azure.com/TokenAuthorize/"),
        ("userinfo", "https://portal.azure.com@evil.example/TokenAuthorize"),
        ("userinfo before the host", "https://evil@portal.azure.com/TokenAuthorize"),
        ("fragment", "https://portal.azure.com/TokenAuthorize#"),
        ("fragment with a host", "https://portal.azure.com/TokenAuthorize#@evil.example"),
        ("query", "https://portal.azure.com/TokenAuthorize?next=https://evil.example"),
        ("encoded dots", "https://portal.azure.com/x/%2e%2e/TokenAuthorize"),
        ("dots", "https://portal.azure.com/x/../TokenAuthorize"),
        ("encoded letter", "https://portal.azure.com/%54okenAuthorize"),
        ("added port", "https://portal.azure.com:443/TokenAuthorize"),
        ("other port", "https://portal.azure.com:8443/TokenAuthorize"),
        ("longer host", "https://portal.azure.com.evil.example/TokenAuthorize"),
        ("sub-domain", "https://x.portal.azure.com/TokenAuthorize"),
        ("plain http", "http://portal.azure.com/TokenAuthorize"),
        ("no scheme", "//portal.azure.com/TokenAuthorize"),
        ("backslash", "https://portal.azure.com\\@evil.example/TokenAuthorize"),
        ("blank before", " https://portal.azure.com/TokenAuthorize"),
        ("line end after", "https://portal.azure.com/TokenAuthorize\r\n"),
        ("NUL after", "https://portal.azure.com/TokenAuthorize\0"),
        ("full-width dot", "https://portal\u{ff0e}azure.com/TokenAuthorize"),
        ("dot at the end of the host", "https://portal.azure.com./TokenAuthorize"),
        ("script", "javascript:alert(1)"),
        ("loopback on another path", "http://127.0.0.1:5000/other"),
        ("loopback by another name", "http://localhost:5000/callback"),
        ("loopback with userinfo", "http://127.0.0.1:5000@evil.example/callback"),
        ("loopback with a port that is none", "http://127.0.0.1:65536/callback"),
        ("loopback over https", "https://127.0.0.1:5000/callback"),
    ] {
        let answer = site.get(&format!("/oauth/authorize?{}", request("entra", &[("redirect_uri", uri)])), &[]).await;
        assert_eq!(answer.status, 400, "{what}");
        assert_eq!(answer.header("location"), None, "{what}: no open redirect");
        assert!(text(&answer).contains("<h1>") && !text(&answer).contains("evil.example"), "{what}");
    }
    for uri in [CALLBACK, NATIVE, "http://127.0.0.1:49152/callback"] {
        let answer = site.get(&format!("/oauth/authorize?{}", request("entra", &[("redirect_uri", uri)])), &[]).await;
        assert_eq!(answer.status, 200, "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_11_1_an_error_goes_nowhere_that_is_not_registered() {
    let site = Site::open().await;
    for query in [
        "client_id=nobody&redirect_uri=https://evil.example".to_owned(),
        "redirect_uri=https://evil.example".to_owned(),
        "client_id=entra&redirect_uri=https://evil.example&prompt=none".to_owned(),
        "client_id=entra&redirect_uri=https://evil.example&response_type=token".to_owned(),
        format!("client_id=entra&redirect_uri={CALLBACK}&redirect_uri=https://evil.example"),
        format!("client_id=entra&client_id=nobody&redirect_uri={CALLBACK}"),
    ] {
        let answer = site.get(&format!("/oauth/authorize?{query}"), &[]).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{query}");
    }
    // Nor does a page of ours lead on to an address out of the request.
    let answer = site.post("/oauth/authorize", &[], "next=https://evil.example&client_id=entra").await;
    assert!(answer.header("location").is_none_or(|to| to.starts_with("/t/standard/oauth/authorize?")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_11_2_an_error_goes_back_by_redirect_only_after_nothing_worse() {
    let site = Site::open().await;
    let answer = site.get(&format!("/oauth/authorize?{}", request("entra", &[("prompt", "none")])), &[]).await;
    assert_eq!(parameter(&answer, "error").as_deref(), Some("login_required"));
    assert!(answer.header("location").unwrap().starts_with(CALLBACK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_4_mix_up_is_seen_by_the_issuer_in_every_answer() {
    let site = Site::open().await;
    let metadata = format!("http://{}/.well-known/oauth-authorization-server/t/standard", site.gateway.public);
    let metadata = site.gateway.send(http::Request::get(metadata).body(Full::default()).unwrap()).await.json();
    assert_eq!(metadata["issuer"], site.issuer());
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let mut visitor = Visitor::new(&site, &request("entra", &[]));
    visitor.sign_in().await;
    for (action, member) in [("deny", "error"), ("authorize", "code")] {
        let answer = visitor.press(action).await;
        assert!(parameter(&answer, member).is_some());
        assert_eq!(parameter(&answer, "iss"), Some(site.issuer()), "{action}");
        assert_eq!(parameter(&answer, "state").as_deref(), Some("s1"), "{action}");
    }
    let refused = site.get(&format!("/oauth/authorize?{}", request("entra", &[("scope", "openid")])), &[]).await;
    assert_eq!(parameter(&refused, "iss"), Some(site.issuer()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_12_a_form_is_answered_by_303_so_that_no_password_is_sent_on() {
    let site = Site::open().await;
    let mut visitor = Visitor::new(&site, &request("entra", &[]));
    visitor.open().await;
    assert_eq!(visitor.press("deny").await.status, 303);
    assert_eq!(visitor.guess("ada", crate::site::PASSWORD).await.status, 303);
    visitor.open().await;
    assert_eq!(visitor.press("authorize").await.status, 303);
    assert_eq!(visitor.press("switch").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_1_2_there_is_no_implicit_grant() {
    let site = Site::open().await;
    for (name, value, expected) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "code token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("response_mode", "form_post", "invalid_request"),
    ] {
        let answer = site.get(&format!("/oauth/authorize?{}", request("entra", &[(name, value)])), &[]).await;
        assert_eq!(parameter(&answer, "error").as_deref(), Some(expected), "{name}={value}");
        assert_eq!(parameter(&answer, "access_token"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_8_pkce_cannot_be_stripped_or_weakened() {
    let site = Site::open().await;
    for (client, more, expected) in [
        ("app", &[][..], "invalid_request"),
        ("app", &[("code_challenge", CHALLENGE)], "invalid_request"),
        ("entra", &[("code_challenge", CHALLENGE), ("code_challenge_method", "plain")], "invalid_request"),
        ("entra", &[("code_challenge", "short"), ("code_challenge_method", "S256")], "invalid_request"),
        ("entra", &[("code_challenge_method", "S256")], "invalid_request"),
    ] {
        let answer = site.get(&format!("/oauth/authorize?{}", request(client, more)), &[]).await;
        assert_eq!(parameter(&answer, "error").as_deref(), Some(expected), "{client} {more:?}");
    }
    let challenged = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let redirect = ("redirect_uri", CALLBACK);
    for (more, fields, good) in [
        (&challenged[..], &[redirect][..], false),
        (&challenged, &[redirect, ("code_verifier", CHALLENGE)], false),
        (&challenged, &[redirect, ("code_verifier", crate::site::VERIFIER)], true),
        // The challenge was stripped on its way here: the verifier tells.
        (&[], &[redirect, ("code_verifier", crate::site::VERIFIER)], false),
    ] {
        let code = site.code(more).await;
        let answer = site.exchange(&code, fields).await;
        assert_eq!(answer.status == 200, good, "{more:?} {fields:?}");
        assert!(good || error(&answer) == "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc6749_10_nothing_of_a_request_gets_into_a_header_line() {
    let site = Site::open().await;
    for state in ["a\r\nSet-Cookie: x=1", "a\nLocation: https://evil.example", "\u{2028}", "\0", "\"<script>"] {
        let answer =
            site.get(&format!("/oauth/authorize?{}", request("entra", &[("state", state), ("scope", "x")])), &[]).await;
        assert_eq!(answer.status, 302, "{state:?}");
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 0, "{state:?}");
        assert!(answer.header("location").unwrap().bytes().all(|byte| byte.is_ascii_graphic()), "{state:?}");
        assert_eq!(parameter(&answer, "state").as_deref(), Some(state));
    }
    let mut visitor = Visitor::new(&site, &request("entra", &[("login_hint", "x\"><script>alert(1)</script>\r\n")]));
    assert!(!text(&visitor.open().await).contains("<script>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc6749_3_1_parameters_are_few_short_and_said_once() {
    let site = Site::open().await;
    for name in ["response_type", "scope", "state", "prompt", "nonce"] {
        let query = format!("{}&{name}=1&{name}=2", request("entra", &[]));
        let answer = site.get(&format!("/oauth/authorize?{query}"), &[]).await;
        assert_eq!(parameter(&answer, "error").as_deref(), Some("invalid_request"), "{name}");
    }
    let own = [("grant_type", "client_credentials"), ("client_id", "entra"), ("client_secret", site.secret.as_str())];
    for name in ["grant_type", "client_id", "client_secret", "scope", "resource"] {
        let answer = site.post("/oauth/token", &[], format!("{}&{name}=1&{name}=2", form(&own))).await;
        assert_eq!(error(&answer), "invalid_request", "{name}");
    }
    let long = "x".repeat(5_000);
    for (name, status) in
        [("state", 302), ("scope", 302), ("client_id", 400), ("redirect_uri", 400), ("login_hint", 302)]
    {
        let query = request(if name == "client_id" { &long } else { "entra" }, &[(name, long.as_str())]);
        let answer = site.get(&format!("/oauth/authorize?{query}"), &[]).await;
        assert_eq!(answer.status, status, "{name}");
        if status == 302 {
            assert_eq!(parameter(&answer, "error").as_deref(), Some("invalid_request"), "{name}");
        }
    }
    for body in [format!("grant_type={}", "x".repeat(20_000)), "a=1&".repeat(5_000), "&".repeat(100), "%".repeat(999)] {
        let answer = site.post("/oauth/token", &[], body.clone()).await;
        assert!((400..=401).contains(&answer.status), "{body:.20}: {}", answer.status);
        assert!(answer.json()["error_description"].is_string(), "{body:.20}");
    }
    let many: String = (0..65).fold(String::new(), |all, index| all + &format!("&p{index}=1"));
    assert_eq!(error(&site.post("/oauth/token", &[], form(&own) + &many).await), "invalid_request");
}
