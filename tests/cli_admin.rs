//! The commands that keep a tenant's administrators, clients and tokens, as somebody at a terminal meets them.

#![expect(clippy::unwrap_used, reason = "what cannot happen in a test fails it")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis::cli::{self, Exit, Failure, World};
use portcullis::config::Environment;
use portcullis::oauth::{Door, Role, opaque, password};
use portcullis::store::{AuditRecord, Source, Store};
use portcullis::types::{Clock, Digest, Random, Secret, Timestamp};
use serde_json::{Value, json};

const CONFIGURATION: &str = r#"
[state]
url = "sqlite:state.db"

[tenants.ring]
dialect = "ringcentral"
[tenants.ring.directory]
kind = "embedded"

[tenants.contact]
dialect = "vonage-contact-center"
[tenants.contact.directory]
kind = "embedded"

[tenants.play]
dialect = "playvox"
[tenants.play.directory]
kind = "embedded"
"#;

/// A folder with a configuration, and somebody who types.
struct Desk {
    folder: tempfile::TempDir,
    clock: Clock,
    random: Random,
    password: String,
}

/// What a command left behind.
struct Said {
    exit: Exit,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.toml"), CONFIGURATION).unwrap();
        Self {
            folder,
            clock: Clock::manual(Timestamp::from_seconds(1_800_000_000)),
            random: Random::seeded(1),
            password: "correct horse battery".to_owned(),
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    /// Runs `portcullis AREA VERB --config … --tenant TENANT REST`; with an empty tenant, none is named.
    async fn run(&self, command: &str, tenant: &str, rest: &[&str]) -> Said {
        let config = self.config();
        let mut arguments = vec!["portcullis"];
        arguments.extend(command.split(' '));
        arguments.extend(["--config", config.to_str().unwrap()]);
        if !tenant.is_empty() {
            arguments.extend(["--tenant", tenant]);
        }
        arguments.extend(rest);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut typed = |_: &str| -> Result<Secret, Failure> { Ok(Secret::new(self.password.clone())) };
        let mut world = World {
            environment: Environment::default(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            out: &mut out,
            err: &mut err,
            password: &mut typed,
        };
        let exit = cli::run(arguments, &mut world).await;
        Said { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }

    async fn store(&self) -> Store {
        Store::open(&format!("sqlite:{}", self.folder.path().join("state.db").display()), self.clock.clone())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn an_administrator_comes_changes_and_goes() {
    let mut desk = Desk::new();
    let said = desk.run("admin add", "ring", &["kim@example.com", "--json"]).await;
    assert_eq!(said.exit, Exit::Done, "{}", said.err);
    assert_eq!(said.json(), json!({"id": 1, "username": "kim@example.com", "role": "super_user"}));
    let said = desk.run("admin add", "ring", &["--role", "viewer", "alex"]).await;
    assert_eq!(said.out, "alex is now viewer of `ring`\n");

    let store = desk.store().await;
    let kim = store.administrator("ring", "Kim@Example.com").await.unwrap().unwrap();
    assert_eq!(kim.role, Role::SuperUser);
    assert!(password::verify(&Secret::new(desk.password.clone()), &kim.password_hash));

    "another battery staple".clone_into(&mut desk.password);
    assert_eq!(desk.run("admin password", "ring", &["KIM@example.com"]).await.exit, Exit::Done);
    let kim = store.administrator("ring", "kim@example.com").await.unwrap().unwrap();
    assert!(password::verify(&Secret::new(desk.password.clone()), &kim.password_hash));
    assert_eq!(store.generation().await.unwrap(), 1, "a running gateway takes notice");

    assert_eq!(desk.run("admin disable", "ring", &["kim@example.com"]).await.exit, Exit::Done);
    assert_eq!(store.generation().await.unwrap(), 2);
    let said = desk.run("admin list", "ring", &[]).await;
    assert_eq!(
        said.out,
        [
            " #   USER NAME        ROLE        STATE     SOURCE  ADDED\n",
            " #2  alex             viewer      active    local   2027-01-15 08:00:00\n",
            " #1  kim@example.com  super_user  disabled  local   2027-01-15 08:00:00\n",
        ]
        .concat()
    );
    let list = desk.run("admin list", "ring", &["--json"]).await.json();
    assert_eq!(list[1]["disabled"], json!(true));
    assert!(!list.to_string().contains("argon2"), "no hash is shown");

    assert_eq!(desk.run("admin enable", "ring", &["#1"]).await.exit, Exit::Done);
    assert!(!store.administrator("ring", "kim@example.com").await.unwrap().unwrap().disabled);
    assert_eq!(store.generation().await.unwrap(), 2, "what had ended stays so");
    assert_eq!(desk.run("admin remove", "ring", &["alex"]).await.exit, Exit::Done);
    assert!(store.administrator("ring", "alex").await.unwrap().is_none());

    // Whom a provider vouches for, beside a local one of the same name.
    for issuer in ["https://one.example", "https://two.example"] {
        let source = Source::Oidc(issuer.to_owned());
        store.vouched_administrator("ring", &source, "7", "Lee", Role::SuperUser).await.unwrap();
    }
    let said = desk.run("admin disable", "ring", &["lee"]).await;
    assert!(said.err.contains("several are called `lee`: name one by its number, #"), "{}", said.err);
    let said = desk.run("admin disable", "ring", &["#4"]).await;
    assert_eq!(said.out, "Lee can no longer sign in; the access they approved has ended\n", "{}", said.err);
    let said = desk.run("admin password", "ring", &["#4"]).await;
    assert!(said.err.contains("Lee has no password here: oidc:https://two.example vouches for them"), "{}", said.err);
}

#[tokio::test]
async fn what_cannot_be_is_said_so_that_one_can_act() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("admin add", "ring", &["kim"]).await.exit, Exit::Done);
    for (command, tenant, rest, expected) in [
        ("admin list", "rong", &[][..], "there is no tenant `rong`; the tenants are contact, play, ring"),
        ("admin add", "ring", &["KIM"], "tenant `ring` already has an administrator `KIM`"),
        ("admin add", "ring", &[" "], "a user name has 1 to 254 characters"),
        ("admin password", "ring", &["lee"], "tenant `ring` has no administrator `lee`"),
        ("admin enable", "ring", &["#99"], "tenant `ring` has no administrator `#99`"),
        ("admin remove", "ring", &["lee"], "tenant `ring` has no administrator `lee`"),
        ("admin disable", "play", &["kim"], "tenant `play` has no administrator `kim`"),
        ("client add", "play", &["--name", "x", "--entra"], "use `portcullis token issue`"),
        ("client add", "ring", &["--name", "", "--entra"], "--name has 1 to 100 characters"),
        (
            "client add",
            "ring",
            &["--name", "x", "--redirect-uri", "http://example.com/"],
            "--redirect-uri http://example.com/: only a loopback address may be plain http; write https",
        ),
        ("client rotate", "ring", &["nobody"], "tenant `ring` has no client `nobody`"),
        ("client disable", "ring", &["nobody"], "tenant `ring` has no client `nobody`"),
        ("client remove", "ring", &["nobody"], "tenant `ring` has no client `nobody`"),
        ("token issue", "ring", &[], "use `portcullis client add`"),
        ("token revoke", "play", &["nobody"], "tenant `play` has no secret token `nobody`"),
        ("limits simulate", "", &[], "`portcullis limits simulate` is not built yet"),
        ("audit export", "", &[], "`portcullis audit export` is not built yet"),
        ("audit verify", "", &[], "`portcullis audit verify` is not built yet"),
    ] {
        let said = desk.run(command, tenant, rest).await;
        assert_eq!(said.exit, Exit::Failed, "{command} {rest:?}");
        assert!(said.err.contains(expected), "{command} {rest:?}: {}", said.err);
        assert_eq!(said.err.matches('\n').count(), 1, "one line: {}", said.err);
        assert_eq!(said.out, "", "{command} {rest:?}");
    }
    "too short".clone_into(&mut desk.password);
    let said = desk.run("admin add", "ring", &["lee"]).await;
    assert!(said.err.contains("fewer than 12 characters"), "{}", said.err);
}

#[tokio::test]
async fn a_client_is_registered_and_its_secret_replaced() {
    let desk = Desk::new();
    let said = desk
        .run(
            "client add",
            "ring",
            &["--name", "Entra", "--entra", "--redirect-uri", "http://127.0.0.1/callback", "--json"],
        )
        .await;
    assert_eq!(said.exit, Exit::Done, "{}", said.err);
    let shown = said.json();
    let (id, first) = (shown["client_id"].as_str().unwrap(), shown["client_secret"].as_str().unwrap());
    assert!(opaque::recognise(opaque::Kind::ClientSecret, first).is_some());

    let store = desk.store().await;
    let client = store.client("ring", id).await.unwrap().unwrap();
    assert_eq!(client.scopes, ["scim.read", "scim.write"]);
    assert_eq!(
        client.redirect_uris,
        [
            "http://127.0.0.1/callback",
            "https://portal.azure.com/TokenAuthorize",
            "https://entra.microsoft.com/TokenAuthorize"
        ]
    );
    assert!(client.secrets[0].digest.same(&Digest::of(first.as_bytes())));

    desk.clock.advance(Duration::from_secs(1));
    let second = desk.run("client rotate", "ring", &[id, "--keep-old", "--json"]).await.json();
    let count = async || store.client("ring", id).await.unwrap().unwrap().secrets.len();
    assert_eq!(count().await, 2);
    let listed = desk.run("client list", "ring", &[]).await.out;
    assert!(listed.contains("Entra") && listed.contains(&first[..12]), "{listed}");
    assert!(!listed.contains(first) && !listed.contains(second["client_secret"].as_str().unwrap()), "{listed}");
    assert_eq!(store.generation().await.unwrap(), 0);
    let dropped = desk.run("client rotate", "ring", &[id, "--drop-old"]).await;
    assert_eq!(dropped.out, format!("client `{id}`: one older secret has ended, the newest is good\n"));
    let left = store.client("ring", id).await.unwrap().unwrap().secrets;
    assert_eq!(left.len(), 1);
    let second = second["client_secret"].as_str().unwrap();
    assert!(left[0].digest.same(&Digest::of(second.as_bytes())), "the one entered at the identity provider");
    assert_eq!(store.generation().await.unwrap(), 1);
    let dropped = desk.run("client rotate", "ring", &[id, "--drop-old", "--json"]).await.json();
    assert_eq!(dropped, json!({"client_id": id, "ended": 0}));
    assert_eq!(desk.run("client rotate", "ring", &[id]).await.exit, Exit::Done);
    assert_eq!(count().await, 1);
    assert_eq!(store.generation().await.unwrap(), 2);

    assert_eq!(desk.run("client disable", "ring", &[id]).await.exit, Exit::Done);
    assert_eq!(desk.run("client list", "ring", &["--json"]).await.json()[0]["disabled"], json!(true));
    assert_eq!(desk.run("client remove", "ring", &[id]).await.exit, Exit::Done);
    assert_eq!(desk.run("client list", "ring", &["--json"]).await.json(), json!([]));
}

#[tokio::test]
async fn a_public_client_has_no_secret() {
    let desk = Desk::new();
    let rest =
        ["--name", "App", "--redirect-uri", "com.example.app:/back", "--scope", "scim.read", "--public", "--json"];
    let shown = desk.run("client add", "ring", &rest).await.json();
    assert_eq!(shown["client_secret"], Value::Null);
    let id = shown["client_id"].as_str().unwrap();
    let client = desk.store().await.client("ring", id).await.unwrap().unwrap();
    assert!(client.public && client.secrets.is_empty());
    assert_eq!(client.scopes, ["scim.read"]);
    let said = desk.run("client rotate", "ring", &[id]).await;
    assert!(said.err.contains("is public and has no secret"), "{}", said.err);
}

#[tokio::test]
async fn tokens_have_the_form_of_their_dialect_and_the_number_it_allows() {
    let desk = Desk::new();
    let store = desk.store().await;
    let issue = async |tenant: &'static str| {
        desk.clock.advance(Duration::from_secs(1));
        let shown = desk.run("token issue", tenant, &["--name", "Entra", "--expires", "365d", "--json"]).await.json();
        assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "token"]);
        (shown["id"].as_str().unwrap().to_owned(), shown["token"].as_str().unwrap().to_owned())
    };
    let states = async |tenant: &'static str| -> Vec<Value> {
        let list = desk.run("token list", tenant, &["--json"]).await.json();
        list.as_array().unwrap().iter().map(|token| token["state"].clone()).collect()
    };

    let (_, prefixed) = issue("contact").await;
    let digest = opaque::recognise(opaque::Kind::SecretToken, &prefixed).unwrap();
    assert!(store.secret_token_by_digest("contact", &digest).await.unwrap().is_some());
    issue("contact").await;
    assert_eq!(states("contact").await, ["revoked", "active"], "one at a time");
    assert_eq!(store.generation().await.unwrap(), 1);

    let (id, pair) = issue("play").await;
    let digest = opaque::recognise_pair(&pair).unwrap();
    assert_eq!(store.secret_token_by_digest("play", &digest).await.unwrap().unwrap().id, id);
    issue("play").await;
    assert_eq!(states("play").await, ["active", "active"], "several may live");
    assert_eq!(desk.run("token revoke", "play", &[&id]).await.exit, Exit::Done);
    assert_eq!(states("play").await, ["revoked", "active"]);
    desk.clock.advance(Duration::from_hours(366 * 24));
    assert_eq!(states("play").await, ["revoked", "expired"]);
    let listed = desk.run("token list", "play", &[]).await.out;
    assert!(listed.contains("Entra") && listed.contains("expired") && !listed.contains(&pair), "{listed}");
}

#[tokio::test]
async fn doors_open_and_close_and_show_when_they_were_used() {
    let desk = Desk::new();
    let shown =
        desk.run("client add", "ring", &["--name", "Entra", "--door", "client_credentials", "--json"]).await.json();
    let id = shown["client_id"].as_str().unwrap();
    assert_eq!(shown["expires"], "2029-01-14T08:00:00.000Z", "two years");
    let show = async || desk.run("client show", "ring", &[id, "--json"]).await.json();
    let door = |shown: &Value, name: &str| {
        shown["doors"].as_array().unwrap().iter().find(|door| door["door"] == name).unwrap().clone()
    };
    assert_eq!(
        door(&show().await, "client_credentials"),
        json!({"door": "client_credentials", "open": true, "last_used": null, "closable": false,
               "reason": "no other open door has been used", "configured": true})
    );
    let said = desk.run("client open", "ring", &[id, "code"]).await;
    assert!(said.exit == Exit::Failed && said.err.contains("no redirect URI"), "{}", said.err);
    let said = desk.run("client open", "ring", &[id, "federation"]).await;
    assert_eq!(said.out, format!("client `{id}`: open doors are client_credentials, federation\n"));
    assert!(said.err.contains(&format!("[tenants.ring.doors.federation.{id}]")), "{}", said.err);
    assert_eq!(door(&show().await, "federation")["configured"], false);

    let store = desk.store().await;
    assert_eq!(store.generation().await.unwrap(), 1, "a running gateway takes notice");
    store.touch_door("ring", id, Door::ClientCredentials, desk.clock.now());
    desk.clock.advance(Duration::from_hours(24));
    store.touch_door("ring", id, Door::Federation, desk.clock.now());
    store.flush_audit().await;
    let old = door(&show().await, "client_credentials");
    assert_eq!((&old["last_used"], &old["closable"]), (&json!("2027-01-15T08:00:00.000Z"), &json!(false)));
    desk.clock.advance(Duration::from_hours(29 * 24));
    assert_eq!(door(&show().await, "client_credentials")["closable"], true);
    assert_eq!(door(&show().await, "federation")["closable"], false);
    let people = desk.run("client show", "ring", &[id]).await.out;
    for words in ["yes: not used for 30 days, and another door has been used since", "2027-01-16 08:00:00", "pcx_"] {
        assert!(people.contains(words), "{people}");
    }
    let said = desk.run("client close", "ring", &[id, "federation"]).await;
    assert!(said.err.contains("`federation` may be missed: used in the last 30 days"), "{}", said.err);
    let said = desk.run("client close", "ring", &[id, "client_credentials"]).await;
    assert_eq!(said.out, format!("client `{id}`: open doors are none\n"));
    assert_eq!(desk.run("client disable", "ring", &[id]).await.exit, Exit::Done);
    assert_eq!(desk.run("client enable", "ring", &[id]).await.exit, Exit::Done);
    assert_eq!(show().await["disabled"], false);
    assert_eq!(desk.run("client show", "ring", &["nobody"]).await.exit, Exit::Failed);
}

#[tokio::test]
async fn what_a_door_needs_is_asked_for() {
    let desk = Desk::new();
    for (rest, expected) in [
        (vec!["--name", "x", "--door", "code"], "needs a --redirect-uri"),
        (vec!["--name", "x", "--public", "--door", "client_credentials"], "cannot come by `client_credentials`"),
    ] {
        let said = desk.run("client add", "ring", &rest).await;
        assert!(said.exit == Exit::Failed && said.err.contains(expected), "{rest:?}: {}", said.err);
    }
    assert_eq!(desk.run("client add", "ring", &["--name", "x", "--door", "window"]).await.exit, Exit::Usage);
    assert_eq!(desk.run("client add", "ring", &["--name", "x"]).await.exit, Exit::Usage);
    // Who proves itself by assertions has no use for a secret.
    for (doors, secret) in [(vec!["federation"], false), (vec!["federation", "client_credentials"], true)] {
        let rest: Vec<_> =
            ["--name", "x", "--json"].into_iter().chain(doors.iter().flat_map(|door| ["--door", door])).collect();
        let shown = desk.run("client add", "ring", &rest).await.json();
        assert_eq!(shown["client_secret"].is_string(), secret, "{doors:?}");
    }
}

#[tokio::test]
async fn secrets_are_several_and_end() {
    let desk = Desk::new();
    let rest = ["--name", "Entra", "--entra", "--expires", "90d", "--json"];
    let id = &desk.run("client add", "ring", &rest).await.json()["client_id"].as_str().unwrap().to_owned();
    let states = async || -> Vec<(String, String)> {
        let list = desk.run("client secret list", "ring", &[id, "--json"]).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(|one| (text(&one["prefix"]), text(&one["state"]))).collect()
    };
    assert_eq!(states().await[0].1, "active");
    desk.clock.advance(Duration::from_hours(31 * 24));
    assert_eq!(states().await[0].1, "expires soon");
    let said = desk.run("client list", "ring", &[]).await;
    assert!(said.out.contains("until 2027-04-15, EXPIRES SOON"), "{}", said.out);
    assert!(said.err.contains("expires within 60 days"), "{}", said.err);

    let added = desk.run("client secret add", "ring", &[id, "--expires", "never"]).await;
    assert!(added.out.contains("client secret: pcx_") && !added.out.contains("good until"), "{}", added.out);
    let two = states().await;
    assert_eq!(two.len(), 2);
    let said = desk.run("client secret revoke", "ring", &[id, &format!("{}…", two[0].0)]).await;
    assert_eq!(said.exit, Exit::Done, "{}", said.err);
    assert_eq!(states().await, [two[1].clone()]);
    assert_eq!(desk.run("client secret revoke", "ring", &[id, "pcx_nothing"]).await.exit, Exit::Failed);

    // A rotation with an overlap: the old one ends by itself.
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.run("client rotate", "ring", &[id, "--overlap", "7d", "--json"]).await.exit, Exit::Done);
    assert_eq!(states().await.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), ["active", "active"]);
    desk.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(states().await.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), ["expired", "active"]);
    let usage = desk.run("client rotate", "ring", &[id, "--overlap", "7d", "--keep-old"]).await;
    assert_eq!(usage.exit, Exit::Usage);
}

#[tokio::test]
async fn a_single_token_may_overlap_with_the_next() {
    let desk = Desk::new();
    desk.run("token issue", "contact", &[]).await;
    desk.clock.advance(Duration::from_secs(1));
    let said = desk.run("token issue", "contact", &["--overlap", "5m"]).await;
    assert!(said.err.contains("the one before ends at 2027-01-15 08:05:01"), "{}", said.err);
    let states = async || -> Vec<Value> {
        let list = desk.run("token list", "contact", &["--json"]).await.json();
        list.as_array().unwrap().iter().map(|token| token["state"].clone()).collect()
    };
    assert_eq!(states().await, ["active", "active"]);
    desk.clock.advance(Duration::from_mins(5));
    assert_eq!(states().await, ["expired", "active"]);
    let said = desk.run("token issue", "play", &["--overlap", "5m"]).await;
    assert!(said.exit == Exit::Failed && said.err.contains("several live side by side"), "{}", said.err);
}

#[tokio::test]
async fn the_trail_tells_what_was_done_without_names() {
    let desk = Desk::new();
    desk.run("admin add", "ring", &["kim@example.com"]).await;
    desk.run("token issue", "play", &[]).await;
    let store = desk.store().await;
    store.audit(AuditRecord {
        at: desk.clock.now(),
        request_id: "r\u{1b}[31m".to_owned(),
        tenant: Some("ring".to_owned()),
        actor: None,
        operation: "users.patch".to_owned(),
        target: Some("7".to_owned()),
        status: 200,
        duration_us: 1250,
        notes: vec!["dropped displayName".to_owned()],
    });
    store.close().await;

    let said = desk.run("audit tail", "", &["--json"]).await;
    let records: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let operations: Vec<_> = records.iter().map(|record| record["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["administrators.add", "tokens.issue", "users.patch"]);
    assert_eq!((&records[0]["tenant"], &records[0]["target"]), (&json!("ring"), &json!("1")));
    assert!(!said.out.contains("kim@"), "{}", said.out);

    let said = desk.run("audit tail", "ring", &["-n", "1"]).await;
    assert!(said.out.contains("users.patch") && said.out.contains("1.2 ms"), "{}", said.out);
    assert!(said.out.contains("(dropped displayName)"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'), "nothing reaches the terminal that would move it: {:?}", said.out);
    assert_eq!(desk.run("audit tail", "nobody", &[]).await.exit, Exit::Failed);
}

#[tokio::test]
async fn keys_are_listed_without_their_private_part() {
    let desk = Desk::new();
    let said = desk.run("keys list", "ring", &[]).await;
    assert_eq!((said.exit, said.out.as_str()), (Exit::Done, ""));
    assert!(said.err.contains("makes the first one when it starts"), "{}", said.err);

    let first = desk.run("keys rotate", "ring", &["--json"]).await.json();
    desk.clock.advance(Duration::from_hours(1));
    let second = desk.run("keys rotate", "ring", &["--after", "10m", "--json"]).await.json();
    assert_eq!(second["signs_from"], "2027-01-15T09:10:00.000Z");
    let listed = desk.run("keys list", "ring", &["--json"]).await.json();
    let of = |kid: &Value, state, from: &str, until: Value| {
        let (from, made) = (format!("2027-01-15T{from}Z"), if kid == &first["kid"] { "08:00:00" } else { "09:00:00" });
        json!({"kid": kid, "algorithm": "EdDSA", "state": state, "created": format!("2027-01-15T{made}.000Z"),
               "signs_from": from, "published_until": until})
    };
    let until = json!("2027-01-15T15:11:00.000Z");
    let (first_kid, second_kid) = (&first["kid"], &second["kid"]);
    assert_eq!(
        listed,
        json!([of(second_kid, "next", "09:10:00.000", Value::Null), of(first_kid, "signing", "08:00:01.000", until)])
    );
    let text = desk.run("keys list", "ring", &[]).await.out;
    assert!(text.contains("EdDSA      signing") && text.lines().count() == 3, "{text}");

    let third = desk.run("keys rotate", "ring", &["--compromised"]).await.out;
    assert!(third.contains("are refused from now on"), "{third}");
    assert_eq!(desk.run("keys list", "ring", &["--json"]).await.json().as_array().unwrap().len(), 1);
    for wrong in [&["--after", "x"][..], &["--after", "1h", "--compromised"]] {
        assert_eq!(desk.run("keys rotate", "ring", wrong).await.exit, Exit::Usage, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_master_key_is_made_changed_and_wanted() {
    let desk = Desk::new();
    let beside = desk.folder.path().join("state.db.key");
    desk.run("keys rotate", "ring", &[]).await;
    let old = std::fs::read_to_string(&beside).unwrap();
    let kept = desk.folder.path().join("old.key");
    std::fs::rename(&beside, &kept).unwrap();
    let said = desk.run("keys rotate", "ring", &[]).await;
    assert_eq!(said.exit, Exit::Configuration, "{}", said.err);
    assert!(said.err.contains("put `") && said.err.contains("state.db.key` back"), "{}", said.err);
    assert!(!beside.exists(), "no new key in silence");

    let from = format!("file:{}", kept.display());
    for (wrong, words) in [("nothing", "write env:NAME or file:PATH"), ("env:UNSET", "the variable is not set")] {
        let said = desk.run("keys reseal", "ring", &["--from", wrong]).await;
        assert!(said.exit == Exit::Usage && said.err.contains(words), "{}", said.err);
    }
    let said = desk.run("keys reseal", "ring", &["--from", &from]).await;
    assert_eq!((said.exit, said.out.contains("1 keys and secrets")), (Exit::Done, true), "{}{}", said.out, said.err);
    assert_ne!(std::fs::read_to_string(&beside).unwrap(), old);
    assert_eq!(desk.run("keys rotate", "ring", &[]).await.exit, Exit::Done);
}

#[tokio::test]
async fn limits_are_shown() {
    let desk = Desk::new();
    let shown = desk.run("limits show", "ring", &["--json"]).await.json();
    assert_eq!(shown[0]["limits"]["read"], json!({"requests": 300, "window": "60s"}));
    let said = desk.run("limits show", "", &[]).await;
    assert!(said.out.contains("300 in 60s") && said.out.contains("contact"), "{}", said.out);
}

#[tokio::test]
async fn faults_of_configuration_and_state_have_their_own_codes() {
    let desk = Desk::new();
    std::fs::write(desk.config(), CONFIGURATION.replace("dialect", "dialct")).unwrap();
    assert_eq!(desk.run("admin list", "ring", &[]).await.exit, Exit::Configuration);
    std::fs::write(desk.config(), CONFIGURATION.replace("sqlite:state.db", "sqlite:no/such/folder/state.db")).unwrap();
    let said = desk.run("admin list", "ring", &[]).await;
    assert_eq!(said.exit, Exit::Unreachable, "{}", said.err);
    std::fs::write(desk.config(), CONFIGURATION.replace("sqlite:state.db", "sqlite::memory:")).unwrap();
    let said = desk.run("admin list", "ring", &[]).await;
    assert!(said.err.contains("keeps its state in memory"), "{}", said.err);
}

fn binary(config: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .args(["--config".as_ref(), config.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that ended before it read is not what is asked about here.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_binary_reads_a_password_from_standard_input_and_tells_by_its_code() {
    let desk = Desk::new();
    let add = ["admin", "add", "--tenant", "ring", "kim"];
    assert_eq!(binary(&desk.config(), &add, "short\n").0, Some(1));
    assert_eq!(binary(&desk.config(), &add, "").0, Some(1));
    let (code, out, err) = binary(&desk.config(), &add, "correct horse battery\n");
    assert_eq!((code, out.as_str()), (Some(0), "kim is now super_user of `ring`\n"), "{err}");
    assert_eq!(binary(&desk.config(), &["admin", "add"], "").0, Some(2));
    assert_eq!(binary(Path::new("/no/such/file.toml"), &["admin", "list", "--tenant", "ring"], "").0, Some(64));
}
