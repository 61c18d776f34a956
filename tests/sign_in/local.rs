//! Local administrators: who gets in, what ends with them, and what a stranger can do to them.

use std::time::{Duration, Instant};

use portcullis::oauth::Role;

use crate::support::gateway::TestGateway;
use crate::visitor::{PASSWORD, TENANT, Visitor, add_administrator, parameter, text};

#[tokio::test]
async fn a_new_password_and_disabling_and_removing_end_what_was_approved() {
    let gateway = TestGateway::start().await;
    let store = &gateway.gateway.store;
    for (index, (name, end)) in [("ada", "password"), ("bob", "disable"), ("eve", "remove")].into_iter().enumerate() {
        let id = add_administrator(&gateway, name, Role::AccountAdmin).await;
        let mut visitor = Visitor::sent(&gateway, &[]);
        assert!(text(&visitor.sign_in(name, PASSWORD).await).contains("Access Request"));
        let mut other = Visitor::sent(&gateway, &[]);
        other.sign_in(name, PASSWORD).await;
        assert!(parameter(&other.press("authorize").await, "code").is_some());
        let before = store.generation().await.unwrap();
        match end {
            "password" => assert!(store.set_password(TENANT, id, "$").await.unwrap()),
            "disable" => assert!(store.disable_administrator(TENANT, id).await.unwrap()),
            _ => assert!(store.remove_administrator(TENANT, id).await.unwrap()),
        }
        assert_eq!(store.generation().await.unwrap(), before + 1, "{index}");
        // The page that was open, and the session behind it.
        let answer = visitor.press("authorize").await;
        assert_eq!(answer.status, 403, "{end}");
        assert!(text(&answer).contains("Sign in to ringcentral"), "{end}");
        let answer = visitor.guess(name, PASSWORD).await;
        assert_eq!(answer.status, 403, "{end}");
        assert!(text(&answer).contains("is not right, or the account is disabled"), "{end}");
    }
    let bob = store.administrator(TENANT, "bob").await.unwrap().unwrap();
    assert!(store.enable_administrator(TENANT, bob.id).await.unwrap());
    let mut visitor = Visitor::sent(&gateway, &[]);
    assert!(text(&visitor.sign_in("bob", PASSWORD).await).contains("Access Request"));
}

#[tokio::test]
async fn who_may_not_authorize_learns_which_role_it_takes_and_whom_to_ask() {
    let plain = TestGateway::start().await;
    let contact = TestGateway::with(|tenant| tenant.contact = Some("it@example.com".into())).await;
    for (gateway, expected) in [
        (&plain, "These can: <strong>ada, bob</strong>"),
        (&contact, "<a href=\"mailto:it@example.com\">it@example.com</a>"),
    ] {
        for (name, role) in [("ada", Role::SuperUser), ("bob", Role::AccountAdmin), ("gone", Role::SuperUser)] {
            let id = add_administrator(gateway, name, role).await;
            if name == "gone" {
                gateway.gateway.store.disable_administrator(TENANT, id).await.unwrap();
            }
        }
        add_administrator(gateway, "victor", Role::Viewer).await;
        let mut visitor = Visitor::sent(gateway, &[]);
        let answer = visitor.sign_in("victor", PASSWORD).await;
        assert_eq!(answer.status, 403);
        let page = text(&answer);
        for words in ["role is viewer", "super user or account administrator", expected] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert_eq!(visitor.press("authorize").await.status, 403);
        assert_eq!(parameter(&visitor.press("deny").await, "error").as_deref(), Some("access_denied"));
    }
}

#[tokio::test]
async fn signing_in_makes_a_new_session_id() {
    let gateway = TestGateway::start().await;
    add_administrator(&gateway, "ada", Role::SuperUser).await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.open().await;
    let planted = visitor.session().unwrap().clone();
    visitor.guess("ada", PASSWORD).await;
    let session = visitor.session().unwrap().clone();
    assert_ne!(session, planted, "no session fixation");
    visitor.cookies.insert(format!("portcullis-{TENANT}"), planted);
    assert!(text(&visitor.open().await).contains("Sign in to ringcentral"));
    // An address that names it, or a second cookie before it, is not believed either.
    visitor.cookies.insert(format!("portcullis-{TENANT}"), format!("x; portcullis-other={session}"));
    assert!(text(&visitor.open().await).contains("Sign in to ringcentral"));
}

#[tokio::test]
async fn a_stranger_behind_the_same_address_does_not_lock_the_owner_out() {
    let gateway = TestGateway::start().await;
    add_administrator(&gateway, "ada", Role::SuperUser).await;
    let mut ada = Visitor::sent(&gateway, &[]);
    ada.sign_in("ada", PASSWORD).await;
    ada.press("switch").await;

    let mut stranger = Visitor::sent(&gateway, &[]);
    stranger.open().await;
    for _ in 0..10 {
        assert_eq!(stranger.guess("ada", "not it, surely").await.status, 403);
    }
    let braked = stranger.guess("ada", PASSWORD).await;
    assert_eq!((braked.status, braked.header("retry-after")), (429, Some("10")));
    // Taking another account's mark along does not help.
    let mark = format!("portcullis_browser-{TENANT}");
    stranger.cookies.insert(mark.clone(), format!("{}x", ada.cookies[&mark]));
    assert_eq!(stranger.guess("ada", PASSWORD).await.status, 429);

    assert!(text(&ada.sign_in("ada", PASSWORD).await).contains("Access Request"), "her browser is known");
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(stranger.guess("ada", "not it either").await.status, 403, "and everybody may try now and then");
}

/// An unknown user must not be told from a wrong password by how long the answer takes. Medians of alternating tries; wide enough a
/// margin for a busy machine, while leaving the hash out would show as a factor of ten.
#[tokio::test]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let gateway = TestGateway::start().await;
    add_administrator(&gateway, "ada", Role::SuperUser).await;
    let mut times = [Vec::new(), Vec::new()];
    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.open().await;
    for round in 0..9 {
        for (kind, name) in [(0, "ada".to_owned()), (1, format!("nobody{round}"))] {
            gateway.clock.advance(Duration::from_mins(1));
            #[expect(clippy::disallowed_methods, reason = "the real time an answer takes is what is measured")]
            let start = Instant::now();
            assert_eq!(visitor.guess(&name, "not it, surely").await.status, 403);
            times[kind].push(start.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(known < unknown * 3 && unknown < known * 3, "{known:?} against {unknown:?}");
}
