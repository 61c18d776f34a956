//! Forms, frames, sessions and guessing.

use portcullis::types::Clock;

use crate::site::{PASSWORD, Site, Visitor, parameter, request, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_7_every_form_is_bound_to_the_browser_it_was_shown_to() {
    let site = Site::open().await;
    let query = request("entra", &[]);
    let mut ada = Visitor::new(&site, &query);
    ada.sign_in().await;
    let mut stranger = Visitor::new(&site, &query);
    stranger.open().await;
    let own_origin = format!("http://{}", site.gateway.public);
    for (what, token, headers) in [
        ("no token", String::new(), vec![]),
        ("a stranger's token", stranger.form_token.clone(), vec![]),
        ("another origin", ada.form_token.clone(), vec![("origin", "https://evil.example".to_owned())]),
        ("another site", ada.form_token.clone(), vec![("sec-fetch-site", "cross-site".to_owned())]),
        ("a sibling host", ada.form_token.clone(), vec![("sec-fetch-site", "same-site".to_owned())]),
        ("an origin that is hidden", ada.form_token.clone(), vec![("origin", "null".to_owned())]),
    ] {
        for action in ["sign_in", "authorize", "deny", "switch"] {
            let mut forged = Visitor::new(&site, &ada.query);
            (forged.cookie, forged.form_token, forged.headers) = (ada.cookie.clone(), token.clone(), headers.clone());
            let answer = forged.submit(&[("action", action), ("username", "ada"), ("password", PASSWORD)]).await;
            assert_eq!((answer.status, answer.header("location")), (403, None), "{action} with {what}");
        }
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("cookie", ada.cookie.as_str()));
        let answer = site.post("/oauth/sign-out", &headers, format!("form_token={token}")).await;
        assert_eq!(answer.status, 403, "sign-out with {what}");
    }
    assert!(text(&ada.open().await).contains("value=\"authorize\""), "still signed in after all that");
    ada.headers = vec![("origin", own_origin), ("sec-fetch-site", "same-origin".to_owned())];
    assert!(parameter(&ada.press("authorize").await, "code").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_7_a_request_is_not_approved_by_its_address_alone() {
    let site = Site::open().await;
    let mut ada = Visitor::new(&site, &request("entra", &[]));
    ada.sign_in().await;
    ada.query = format!("{}&action=authorize&form_token={}", ada.query, ada.form_token);
    let answer = ada.open().await;
    assert_eq!((answer.status, parameter(&answer, "code")), (200, None), "a link shows the page, no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_16_and_4_2_4_pages_are_not_framed_kept_or_referred_to() {
    let site = Site::open().await;
    let mut ada = Visitor::new(&site, &request("entra", &[]));
    let (sign_in, wrong) = (ada.open().await, ada.guess("ada", "wrong").await);
    let consent = ada.sign_in().await;
    let broken = site.get("/oauth/authorize?client_id=nobody", &[]).await;
    let nowhere = site.get("/nothing/here", &[("accept", "text/html")]).await;
    for (what, page) in [("sign-in", &sign_in), ("wrong password", &wrong), ("consent", &consent), ("refusal", &broken)]
    {
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{what}: {policy}");
        assert!(!policy.contains("unsafe-"), "{what}: {policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{what}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{what}");
        // With our own pages the browser says where it comes from, with others it does not.
        assert!(matches!(page.header("referrer-policy"), Some("same-origin" | "no-referrer")), "{what}");
    }
    assert_ne!(nowhere.status, 200);
    let back = ada.press("authorize").await;
    assert_eq!(back.header("referrer-policy"), Some("no-referrer"), "an address with a code is told to nobody");
    assert_eq!(back.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_fixation_a_cookie_from_before_sign_in_is_worth_nothing_after() {
    let site = Site::open().await;
    let query = request("entra", &[]);
    // Somebody plants a cookie of theirs, or one they made up, in ada's browser.
    let mut attacker = Visitor::new(&site, &query);
    attacker.open().await;
    let name = attacker.cookie.split_once('=').unwrap().0.to_owned();
    for planted in [attacker.cookie.clone(), format!("{name}={}", "A".repeat(43))] {
        let mut ada = Visitor::new(&site, &query);
        ada.cookie.clone_from(&planted);
        ada.sign_in().await;
        assert_ne!(ada.cookie, planted, "a new one at sign-in");
        let mut thief = Visitor::new(&site, &query);
        thief.cookie = planted;
        assert!(text(&thief.open().await).contains("name=\"password\""), "not signed in");
    }
    let page = Visitor::new(&site, &query).open().await;
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && !cookie.contains("Domain="), "{cookie}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enumeration_an_unknown_name_and_a_wrong_password_are_one_answer_in_one_time() {
    let site = Site::open().await;
    let mut visitor = Visitor::new(&site, &request("entra", &[]));
    visitor.open().await;
    let clock = Clock::system();
    let mut spans = [Vec::new(), Vec::new()];
    let mut pages = [String::new(), String::new()];
    for round in 0..7 {
        for (kind, name) in ["ada".to_owned(), format!("nobody{round}")].into_iter().enumerate() {
            let before = clock.monotonic();
            let answer = visitor.guess(&name, "a wrong password").await;
            spans[kind].push(clock.monotonic().saturating_sub(before));
            assert_eq!(answer.status, 403);
            pages[kind] = text(&answer).replace(&format!("value=\"{name}\""), "").replace(&visitor.form_token, "");
        }
    }
    assert_eq!(pages[0], pages[1]);
    let [known, unknown] = spans.map(|mut spans| {
        spans.sort();
        spans[spans.len() / 2].as_secs_f64()
    });
    // Hashing is nearly all of either; without it one would take a hundredth of the other.
    assert!((0.3..3.3).contains(&(known / unknown)), "{known} s and {unknown} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_braked_with_a_time_to_come_again() {
    let site = Site::open().await;
    let mut visitor = Visitor::new(&site, &request("entra", &[]));
    visitor.open().await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answer = visitor.guess("ada", "a wrong password").await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        }
        statuses.push(answer.status);
    }
    assert!(statuses.starts_with(&[403; 10]) && statuses.ends_with(&[429]), "{statuses:?}");
    let braked = visitor.guess("ada", PASSWORD).await;
    assert_eq!(braked.status, 429, "also the right password, from there");
    site.gateway.clock.advance(std::time::Duration::from_secs(braked.header("retry-after").unwrap().parse().unwrap()));
    assert_eq!(visitor.guess("ada", PASSWORD).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_13_headers_of_a_proxy_move_no_address() {
    let site = Site::open().await;
    let spoofed =
        [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil.example")];
    let answer = site.get("/.well-known/oauth-authorization-server", &spoofed).await;
    assert_eq!(answer.json()["issuer"], site.issuer());
    assert!(!text(&answer).contains("evil.example"));
    let page = site.get(&format!("/oauth/authorize?{}", request("entra", &[])), &spoofed).await;
    assert!(!text(&page).contains("evil.example"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("evil.example"));
}
