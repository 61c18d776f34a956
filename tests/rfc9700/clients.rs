//! Clients: how they prove who they are, and what they are told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::types::Clock;

use crate::site::{Site, error, form, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_5_a_client_proves_itself_in_one_way() {
    let site = Site::open().await;
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let good = basic("entra", &site.secret);
    let grant = [("grant_type", "client_credentials")];
    let in_body = [("client_id", "entra"), ("client_secret", site.secret.as_str())];
    let wrong = basic("entra", "wrong");
    for (what, authorization, fields, status) in [
        ("basic", Some(&good), &grant[..], 200),
        ("body", None, &[grant[0], in_body[0], in_body[1]], 200),
        ("both", Some(&good), &[grant[0], in_body[0], in_body[1]], 400),
        ("another's name beside basic", Some(&good), &[grant[0], ("client_id", "other")], 400),
        ("a wrong secret", Some(&wrong), &grant, 401),
        ("a name only", None, &[grant[0], in_body[0]], 401),
        ("an empty secret", None, &[grant[0], in_body[0], ("client_secret", "")], 401),
        ("nothing", None, &grant, 401),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = site.post("/oauth/token", &headers, form(fields)).await;
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.header("pragma"), Some("no-cache"), "{what}");
        if status == 401 {
            assert_eq!(error(&answer), "invalid_client", "{what}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic"), "{what}");
        }
    }
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(site.post("/oauth/token", &twice, form(&grant)).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_4_there_is_no_password_grant() {
    let site = Site::open().await;
    let fields = [("grant_type", "password"), ("username", "ada"), ("password", crate::site::PASSWORD)];
    assert_eq!(error(&site.ask("/oauth/token", &fields).await), "unsupported_grant_type");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enumeration_an_unknown_client_and_a_wrong_secret_are_one_answer_in_one_time() {
    const ROUNDS: usize = 60;
    let site = Site::open().await;
    let clock = Clock::system();
    let mut spans = [Vec::new(), Vec::new()];
    let mut answers = [String::new(), String::new()];
    for round in 0..ROUNDS {
        // In turns, so that whatever else the machine does falls on both alike.
        for (kind, id) in ["entra".to_owned(), format!("nobody{round}")].into_iter().enumerate() {
            let fields = [("grant_type", "client_credentials"), ("client_id", &*id), ("client_secret", "pcx_wrong")];
            let before = clock.monotonic();
            let answer = site.post("/oauth/token", &[], form(&fields)).await;
            spans[kind].push(clock.monotonic().saturating_sub(before));
            assert_eq!(answer.status, 401);
            answers[kind] = text(&answer);
        }
    }
    assert_eq!(answers[0], answers[1]);
    let [known, unknown] = spans.map(|mut spans| {
        spans.sort();
        spans[ROUNDS / 4].as_secs_f64()
    });
    assert!((0.5..2.0).contains(&(known / unknown)), "{known} s and {unknown} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc6749_3_2_a_form_by_any_other_name_is_read_or_refused_in_json() {
    let site = Site::open().await;
    let fields =
        [("grant_type", "client_credentials"), ("client_id", "entra"), ("client_secret", site.secret.as_str())];
    for (content_type, status) in [
        ("application/x-www-form-urlencoded; charset=UTF-8", 200),
        ("application/x-www-form-urlencoded;charset=\"utf-8\"", 200),
        ("APPLICATION/X-WWW-FORM-URLENCODED", 200),
        ("application/json", 400),
        ("text/plain", 400),
    ] {
        let request = http::Request::post(site.url("/oauth/token")).header("content-type", content_type);
        let answer = site.gateway.send(request.body(form(&fields).into()).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{content_type}");
        assert!(status == 200 || error(&answer) == "invalid_request", "{content_type}");
    }
}
