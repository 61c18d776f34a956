//! Passwords that the user system verifies.

use std::time::Duration;

use http::{Method, StatusCode};
use portcullis::config::SignIn;
use portcullis::config::sign_in::{Directory, Pointer, Rest, Roles, Verifier};
use portcullis::directory::client::Base;
use portcullis::oauth::Role;
use portcullis::store::Source;
use portcullis::types::Secret;
use serde_json::{Value, json};

use crate::peer::{self, Peer};
use crate::support::gateway::TestGateway;
use crate::visitor::{TENANT, Visitor, parameter, text};

const PASSWORD: &str = "pass \"word\" & {username}";

pub fn roles() -> Roles {
    Roles::new([("admin".to_owned(), Role::SuperUser), ("clerk".to_owned(), Role::Viewer)])
}

fn rest(url: &str) -> Rest {
    Rest {
        base: Base::parse(url).unwrap(),
        token: Some(Secret::new("gateway-token")),
        method: Method::POST,
        path: "/people/{username}/login".into(),
        body: json!({"who": {"login": "{username}"}, "secret": "{password}", "app": "portcullis"}),
        success: StatusCode::OK,
        wrong: vec![StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND],
        subject: Some(Pointer::new("/person/id")),
        role: Pointer::new("/person/roles"),
    }
}

pub async fn gateway(verifier: Verifier, timeout: Duration) -> TestGateway {
    TestGateway::with(move |tenant| {
        let config = Directory { verifier: verifier.clone(), roles: roles(), timeout };
        tenant.sign_in = SignIn::Directory(Box::new(config));
    })
    .await
}

/// The user system: `ada` is an administrator, `carl` a clerk, `greta` a guest; the names in capitals are faults.
async fn user_system() -> Peer {
    Peer::start(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let name = body["who"]["login"].as_str().unwrap_or_default();
        if body["secret"] != PASSWORD {
            return peer::json(401, &json!({"error": "no"}));
        }
        match name {
            "ada" | "Ada" => peer::json(200, &json!({"person": {"id": 17, "roles": ["clerk", "admin"]}})),
            "carl" => peer::json(200, &json!({"person": {"id": "18", "roles": "clerk"}})),
            "greta" => peer::json(200, &json!({"person": {"id": "19", "roles": []}})),
            "ERROR" => peer::json(500, &json!({})),
            "ELSEWHERE" => (302, vec![("location", "/people/ada/login".to_owned())], String::new()),
            "NAMELESS" => peer::json(200, &json!({"person": {"roles": ["admin"]}})),
            "SILENT" => (0, vec![], String::new()),
            _ => peer::json(404, &json!({"error": "no such person"})),
        }
    })
    .await
}

#[tokio::test]
async fn the_user_system_verifies_the_password() {
    let system = user_system().await;
    let gateway = gateway(Verifier::Rest(rest(&system.url())), Duration::from_secs(5)).await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    let page = visitor.sign_in("ada", PASSWORD).await;
    assert!(text(&page).contains("Access Request") && text(&page).contains("super user"), "{}", text(&page));
    assert!(parameter(&visitor.press("authorize").await, "code").is_some());
    let asked = system.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/people/ada/login"));
    assert_eq!(asked[0].headers["authorization"], "Bearer gateway-token");
    let sent: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(sent, json!({"who": {"login": "ada"}, "secret": PASSWORD, "app": "portcullis"}));

    let known = gateway.gateway.store.administrators(TENANT).await.unwrap();
    assert_eq!((known.len(), &known[0].source, known[0].password_hash.as_str()), (1, &Source::Directory, ""));
    Visitor::sent(&gateway, &[]).sign_in("Ada", PASSWORD).await;
    assert_eq!(gateway.gateway.store.administrators(TENANT).await.unwrap().len(), 1, "the same person");

    for (name, words) in [("carl", "Your role cannot authorize"), ("greta", "This account has no role here")] {
        let page = Visitor::sent(&gateway, &[]).sign_in(name, PASSWORD).await;
        assert!(page.status == 403 && text(&page).contains(words), "{name}: {}", text(&page));
    }
    gateway.gateway.store.disable_administrator(TENANT, known[0].id).await.unwrap();
    let page = Visitor::sent(&gateway, &[]).sign_in("ada", PASSWORD).await;
    assert!(page.status == 403 && text(&page).contains("or the account is disabled"), "{}", text(&page));
}

#[tokio::test]
async fn a_no_is_one_answer_and_is_braked() {
    let system = user_system().await;
    let gateway = gateway(Verifier::Rest(rest(&system.url())), Duration::from_secs(5)).await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.open().await;
    let blank =
        |page: String, name: &str| page.replace(&format!("value=\"{name}\""), "value=\"\"").replace(" autofocus", "");
    let wrong = visitor.guess("ada", "not it").await;
    assert_eq!(wrong.status, 403);
    for (name, password) in [("nobody", PASSWORD), ("..", PASSWORD), ("a/../ada", PASSWORD)] {
        let answer = visitor.guess(name, password).await;
        assert_eq!(answer.status, 403, "{name}");
        assert_eq!(blank(text(&answer), name), blank(text(&wrong), "ada"), "{name}");
    }
    let paths: Vec<_> = system.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/people/ada/login", "/people/nobody/login", "/people/a%2F..%2Fada/login"]);
    // What can be no password is not asked about.
    for (name, password) in [("ada", ""), ("", PASSWORD), ("a\u{1}", PASSWORD), ("ada", "x".repeat(1025).as_str())] {
        assert_eq!(visitor.guess(name, password).await.status, 403, "{name:?}");
    }
    assert!(system.asked().is_empty());
    // However the name is spelt, it is the same account's guesses.
    for name in ["ada", "ADA", " ada", "ada ", " Ada  ", "ada", "ada"] {
        visitor.guess(name, "not it").await;
    }
    let braked = visitor.guess("ada", PASSWORD).await;
    assert_eq!((braked.status, braked.header("retry-after")), (429, Some("10")));
}

#[tokio::test]
async fn a_user_system_out_of_order_says_neither_yes_nor_no() {
    let system = user_system().await;
    let gateway = gateway(Verifier::Rest(rest(&system.url())), Duration::from_millis(500)).await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.open().await;
    for name in ["ERROR", "ELSEWHERE", "NAMELESS", "SILENT"] {
        let answer = visitor.guess(name, PASSWORD).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{name}");
        assert!(text(&answer).contains("does not answer") && !text(&answer).contains(PASSWORD), "{name}");
    }
    assert_eq!(system.asked().len(), 4, "no redirect is followed, nothing sent twice");
    drop(system);
    for _ in 0..12 {
        assert_eq!(visitor.guess("ada", PASSWORD).await.status, 503, "and none of it counts as a guess");
    }
    assert!(gateway.gateway.store.administrators(TENANT).await.unwrap().is_empty());
}
