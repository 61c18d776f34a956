//! Two processes over one state: what one of them does to grants and keys reaches the other within a second. And the master key beside the
//! state, without which neither starts.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::consent::{CALLBACK, Consent};
use support::process::{Desk, Process, SERVER};

const SECOND: Duration = Duration::from_secs(1);
const USERS: &str = "/t/acme/scim/v2/Users?count=0";
const PASSWORD: &str = "correct horse battery";

const TENANT: &str = "[state]\nurl = \"sqlite:state.db\"\n[tenants.acme]\ndialect = \"standard\"\n\
    directory = { kind = \"embedded\" }\n";

struct Pair {
    desk: Desk,
    each: [Process; 2],
    id: String,
    secret: String,
}

impl Pair {
    async fn start(keys: &str) -> Self {
        let desk = Desk::new(&format!("{SERVER}{TENANT}{keys}"));
        desk.run(&["admin", "add", "--tenant", "acme", "ada"], &format!("{PASSWORD}\n"));
        let add = ["client", "add", "--tenant", "acme", "--name", "x", "--redirect-uri", CALLBACK, "--json"];
        let client = desk.json(&add);
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        let each = [desk.serve().await, desk.serve().await];
        Self { id: text("client_id"), secret: text("client_secret"), desk, each }
    }

    fn consent(&self, at: usize) -> Consent<'_> {
        Consent {
            endpoints: format!("http://{}/t/acme/oauth", self.each[at].public),
            client_id: &self.id,
            client_secret: &self.secret,
            username: "ada",
            password: PASSWORD,
        }
    }

    async fn form(&self, at: usize, endpoint: &str, fields: &[(&str, &str)]) -> Value {
        let own = [("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        self.each[at].form(&format!("/t/acme/oauth/{endpoint}"), &[&own, fields].concat()).await.json()
    }

    async fn kids(&self, at: usize) -> BTreeSet<String> {
        let jwks = self.each[at].call("GET", "/t/acme/oauth/jwks", "", None).await.json();
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    async fn becomes(&self, at: usize, token: &str, status: u16) {
        let process = &self.each[at];
        let what = format!("{status} at gateway {at}");
        process
            .until(&what, SECOND, async || {
                (process.call("GET", USERS, token, None).await.status == status).then_some(())
            })
            .await;
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_at_one_gateway_reaches_the_other_within_a_second() {
    let pair = Pair::start("").await;
    for which in ["access_token", "refresh_token"] {
        let granted = pair.consent(0).grant(&pair.each[0]).await;
        let access = text(&granted, "access_token");
        for at in [0, 1] {
            assert_eq!(pair.each[at].call("GET", USERS, access, None).await.status, 200);
        }
        pair.form(0, "revoke", &[("token", text(&granted, which))]).await;
        assert_eq!(pair.each[0].call("GET", USERS, access, None).await.status, 401, "at once where it was revoked");
        pair.becomes(1, access, 401).await;
        let again = [("grant_type", "refresh_token"), ("refresh_token", text(&granted, "refresh_token"))];
        assert_eq!(pair.form(1, "token", &again).await["error"], "invalid_grant", "at once everywhere");
    }
    let granted = pair.consent(0).grant(&pair.each[0]).await;
    for name in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(pair.desk.path(name)).unwrap_or_default();
        for secret in [text(&granted, "access_token"), text(&granted, "refresh_token"), &pair.secret, PASSWORD] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "only hashes rest in {name}"
            );
        }
    }
    // A refresh asked for at both gives one result, and a use at one counts at the other.
    let granted = pair.consent(1).grant(&pair.each[1]).await;
    let refresh = text(&granted, "refresh_token");
    let one = pair.consent(0).refresh(&pair.each[0], refresh).await;
    let two = pair.consent(1).refresh(&pair.each[1], refresh).await;
    assert_eq!(text(&one, "access_token"), text(&two, "access_token"));
    assert_eq!(text(&one, "refresh_token"), text(&two, "refresh_token"));
    pair.consent(0).refresh(&pair.each[0], text(&one, "refresh_token")).await;
    let replay = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(pair.form(1, "token", &replay).await["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_reaches_both_gateways_and_costs_no_request() {
    let pair = Pair::start("[keys]\nalgorithm = \"ES256\"\n").await;
    let granted = pair.consent(0).grant(&pair.each[0]).await;
    let old = text(&granted, "access_token").to_owned();
    let first = pair.kids(0).await;
    assert_eq!((first.len(), &first), (1, &pair.kids(1).await));
    let rotated = pair.desk.json(&["keys", "rotate", "--tenant", "acme", "--json"]);
    let kid = text(&rotated, "kid").to_owned();
    for at in [0, 1] {
        pair.each[at].until("the new key", SECOND, async || pair.kids(at).await.contains(&kid).then_some(())).await;
        assert!(pair.kids(at).await.is_superset(&first), "the old one is published still");
    }
    // From the moment one gateway signs with it, the other one knows it.
    let own = [("grant_type", "client_credentials")];
    let signed_by = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let new = pair.each[0]
        .until("a token of the new key", 3 * SECOND, async || {
            let issued = pair.form(0, "token", &own).await;
            let token = text(&issued, "access_token").to_owned();
            assert_eq!(pair.each[1].call("GET", USERS, &token, None).await.status, 200);
            (signed_by(&token) == kid).then_some(token)
        })
        .await;
    for at in [0, 1] {
        for token in [&old, &new] {
            assert_eq!(pair.each[at].call("GET", USERS, token, None).await.status, 200, "at {at}");
        }
    }
    // Somebody has a key: all that was signed is refused, and a refresh token gets anew what is good.
    pair.desk.run(&["keys", "rotate", "--tenant", "acme", "--compromised"], "");
    for at in [0, 1] {
        pair.becomes(at, &old, 401).await;
        pair.becomes(at, &new, 401).await;
    }
    let renewed = pair.consent(1).refresh(&pair.each[1], text(&granted, "refresh_token")).await;
    for at in [0, 1] {
        assert_eq!(pair.each[at].call("GET", USERS, text(&renewed, "access_token"), None).await.status, 200, "at {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_master_key_a_gateway_does_not_start() {
    let desk = Desk::new(&format!("{SERVER}{TENANT}"));
    let mut process = desk.serve().await;
    process.kill();
    // The object identifier of Ed25519, which a private key in clear has beside it (RFC 8410 §7).
    for name in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(desk.path(name)).unwrap_or_default();
        assert!(!bytes.windows(9).any(|window| window == [0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22]), "{name}");
    }
    let (beside, kept) = (desk.path("state.db.key"), desk.path("kept"));
    let check = desk.run(&["check"], "");
    assert!(check.contains("sealed under the master key in") && check.contains("state.db.key: back it up"), "{check}");
    std::fs::rename(&beside, &kept).unwrap();
    let other = "0".repeat(64);
    for (what, variable, words) in [
        ("none", None, "is not there: put `"),
        ("another", Some(other.as_str()), "but master_key under [keys] is"),
        ("junk", Some("junk"), "is not 32 bytes in base64 or hexadecimal digits"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["serve", "--config"]).arg(desk.path("portcullis.toml"));
        command.envs(variable.map(|value| ("PORTCULLIS__KEYS__MASTER_KEY", value)));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        assert!(!beside.exists(), "{what}: no new key in silence");
    }
    // The same key from elsewhere will do.
    let key = std::fs::read_to_string(&kept).unwrap();
    desk.write("master", &key);
    desk.write("portcullis.toml", &format!("{SERVER}{TENANT}[keys]\nmaster_key = \"file:master\"\n"));
    desk.serve().await;
}
