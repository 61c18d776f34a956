//! A real OpenID provider, npm `oidc-provider`, and a browser that walks through its pages. Plain `cargo test` leaves it out and says
//! so; `tests/run` installs what it needs and runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use portcullis::config::SignIn;
use portcullis::config::sign_in::{Oidc, Pointer, Roles};
use portcullis::oauth::Role;
use portcullis::types::Secret;
use tokio::net::TcpListener;

use crate::support::gateway::{Answer, TestGateway};
use crate::visitor::{TENANT, Visitor, parameter, text};

struct Provider {
    process: Child,
    issuer: String,
    /// Kept open: it may have more to say.
    _said: BufReader<ChildStdout>,
}

impl Provider {
    fn start(redirect_uri: &str) -> Self {
        let mut process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc/run"))
            .env("REDIRECT_URI", redirect_uri)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).expect("node and npm are there");
        Self { process, issuer: said["issuer"].as_str().unwrap().to_owned(), _said: output }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Walks through the provider's pages as `name` until they lead back to the gateway, and goes there.
async fn walk(provider: &Visitor<'_>, gateway: &mut Visitor<'_>, sent: Answer, name: &str) -> Answer {
    let mut there = Visitor { cookies: provider.cookies.clone(), ..Visitor::new(gateway.gateway) };
    let mut answer = sent;
    for _ in 0..12 {
        if let Some(to) = answer.header("location") {
            let to = there.at.join(to).unwrap();
            if to.origin() == gateway.at.origin() {
                let answer = gateway.go(to.as_str()).await;
                return gateway.follow(answer).await;
            }
            there.at = to;
            answer = there.open().await;
            continue;
        }
        let page = text(&answer);
        let (_, rest) = page.split_once("action=\"").unwrap_or_else(|| panic!("no form: {} {page}", answer.status));
        there.at = there.at.join(rest.split('"').next().unwrap()).unwrap();
        answer = if page.contains("name=\"login\"") {
            there.submit(&[("prompt", "login"), ("login", name), ("password", "any")]).await
        } else {
            there.submit(&[("prompt", "consent")]).await
        };
    }
    panic!("the provider's pages do not end");
}

#[tokio::test]
#[ignore = "needs node and npm: tests/run installs them and runs it"]
async fn administrators_sign_in_at_a_real_provider() {
    // The provider has to know where to send browsers back to, the gateway whom to ask: the port is chosen first.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = listener.local_addr().unwrap();
    let provider = Provider::start(&format!("http://{public}/t/{TENANT}/oauth/callback"));
    let issuer = provider.issuer.clone();
    let gateway = TestGateway::on(listener, portcullis::types::Clock::system(), move |tenant| {
        tenant.sign_in = SignIn::Oidc(Box::new(Oidc {
            issuer: issuer.clone(),
            client_id: "portcullis".into(),
            client_secret: Some(Secret::new("a secret, with & and = in it")),
            scopes: vec!["openid".into(), "profile".into()],
            role_claim: Pointer::new("groups"),
            roles: Roles::new([("it".to_owned(), Role::SuperUser)]),
            timeout: Duration::from_secs(10),
        }));
    })
    .await;
    let nowhere = Visitor::new(&gateway);

    let mut ada = Visitor::sent(&gateway, &[("login_hint", "ada")]);
    ada.open().await;
    let sent = ada.press("sign_in").await;
    let page = walk(&nowhere, &mut ada, sent, "ada").await;
    assert!(text(&page).contains("Access Request") && text(&page).contains("ada@example.com"), "{}", text(&page));
    assert!(parameter(&ada.press("authorize").await, "code").is_some());

    let mut eve = Visitor::sent(&gateway, &[]);
    eve.open().await;
    let sent = eve.press("sign_in").await;
    let page = walk(&nowhere, &mut eve, sent, "eve").await;
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("eve@example.com") && text(&page).contains("has no role here"), "{}", text(&page));
    let known = gateway.gateway.store.administrators(TENANT).await.unwrap();
    assert_eq!(known.iter().map(|known| known.username.as_str()).collect::<Vec<_>>(), ["ada@example.com"]);
}
