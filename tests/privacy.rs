//! A whole conversation, with every way in which a person's data, a password or a token can come near a log line; then the
//! log, the metrics and the audit trail are searched for them (design decision 13).

mod support;

use serde_json::{Value, json};
use support::consent::{CALLBACK, Consent};
use support::legacy::{Fault, Legacy};
use support::process::{Desk, SERVER};

const USERS: &str = "/t/acme/scim/v2/Users";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_named_in_logs_metrics_or_the_audit_trail() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    let directory = Legacy::start().await;
    directory.manners(|manners| manners.token = Some("directory-token-zx81".into()));
    let url = directory.url();
    let rest = std::fs::read_to_string("config/examples/rest.toml").unwrap();
    let rest = rest.replace("tenants.example", "tenants.acme").replace("env:DIRECTORY_URL", &url);
    let rest = rest.replace("env:DIRECTORY_TOKEN", "file:token").replace("\"10s\"", "\"300ms\"");
    let limits = "[tenants.acme.limits]\nread = { requests = 1000, window = \"60s\" }\n";
    let ring = "[tenants.ring]\ndialect = \"ringcentral\"\n[tenants.ring.directory]\nkind = \"embedded\"\n";
    let desk = Desk::new(&format!("{SERVER}[state]\nurl = \"sqlite:state.db\"\n{rest}\n{limits}{ring}"));
    desk.write("token", "directory-token-zx81");
    let process = desk.serve().await;
    desk.run(&["admin", "add", "--tenant", "acme", "grace.hopper@navy.example"], &format!("{PASSWORD}\n"));
    let client = desk.json(&[
        "client",
        "add",
        "--tenant",
        "acme",
        "--name",
        "Entra",
        "--entra",
        "--redirect-uri",
        CALLBACK,
        "--json",
    ]);
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let (_, secret_token) = desk.token("acme");
    let consent = Consent {
        endpoints: format!("http://{}/t/acme/oauth", process.public),
        client_id: id,
        client_secret: secret,
        username: "grace.hopper@navy.example",
        password: PASSWORD,
    };
    let granted = consent.grant(&process).await;
    let renewed = consent.refresh(&process, granted["refresh_token"].as_str().unwrap()).await;
    let access = renewed["access_token"].as_str().unwrap();
    let form = async |path: &str, fields: &[(&str, &str)]| process.form(&format!("/t/acme/oauth/{path}"), fields).await;
    let wrong = [("grant_type", "password"), ("username", "wrong.guess@navy.example"), ("password", "guess-hunter2")];
    assert!(form("token", &wrong).await.status >= 400);
    let wrong = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "guess-hunter2")];
    assert_eq!(form("token", &wrong).await.status, 401);
    let asked = [("token", access), ("client_id", id), ("client_secret", secret)];
    assert_eq!(form("introspect", &asked).await.status, 200);

    // Every way in which a person's data can come near a log line, with the token in the address for good measure.
    let ada = json!({
        "userName": "ada.lovelace@analytical.example", "externalId": "ext-lovelace-1815", "password": "difference-engine",
        "name": {"givenName": "Augusta", "familyName": "Byronova"}, "displayName": "Countess Augusta",
        "emails": [{"type": "work", "value": "augusta@byron.example"}],
        "phoneNumbers": [{"type": "work", "value": "+4420181512"}], "nickName": "Enchantress",
    });
    let created = process.call("POST", USERS, access, Some(&ada)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let person = format!("{USERS}/{}", created.json()["id"].as_str().unwrap());
    assert_eq!(process.call("POST", USERS, &secret_token, Some(&ada)).await.status, 409);
    let filter = |text: &str| {
        format!("{USERS}?filter={}", url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
    };
    for text in [
        "userName eq \"ada.lovelace@analytical.example\"",
        "emails.value eq augusta@byron.example",
        "emails[value eq \"augusta@byron.example\"].type eq \"work\"",
        "name.familyName co \"Byronova",
    ] {
        process.call("GET", &filter(text), access, None).await;
    }
    process.call("GET", &format!("{USERS}/ada.lovelace@analytical.example"), access, None).await;
    process.call("GET", &format!("{USERS}?access_token={access}"), "", None).await;
    process.call("GET", USERS, "pc_guess-hunter2", None).await;
    let operation = |op: &str, path: &str, value: Value| json!({"op": op, "path": path, "value": value});
    let disable = operation("replace", "active", json!(false));
    for beside in [
        operation("replace", "emails[value eq \"augusta@byron.example\"].shoeSize", json!("Enchantress")),
        operation("replace", "shoeSize[value eq \"augusta@byron.example\"]", json!("Enchantress")),
        operation("replace", "emails[value eq augusta@byron.example].value", json!("Enchantress")),
        operation("replace", "ada.lovelace@analytical.example", json!("Enchantress")),
        json!({"op": "replace", "value": {"augusta@byron.example": "Augusta", "Augusta Byronova": "Enchantress"}}),
        operation("replace", "name", json!("Augusta Byronova")),
        operation("Augusta Byronova", "title", json!("Enchantress")),
        operation("replace", "phoneNumbers[type eq \"work\"].value", json!("020 181512")),
        operation("replace", "emails", json!([{"type": "augusta@byron.example", "value": "augusta@byron.example"}])),
        json!({"op": "add", "value": {"shoeSize": "Augusta", "emails[value eq \"augusta@byron.example\"].display": "Augusta"}}),
    ] {
        for operations in [json!([beside]), json!([beside, disable])] {
            let body = json!({ "Operations": operations });
            let answer = process.call("PATCH", &person, access, Some(&body)).await;
            assert!(answer.status < 500, "{body}: {}", answer.json());
            let body = json!({"Operations": [operation("replace", "active", json!(true))]});
            assert_eq!(process.call("PATCH", &person, access, Some(&body)).await.status, 200);
        }
    }
    for fault in [
        Fault::ResetBefore,
        Fault::Status(500, None),
        Fault::Silence,
        Fault::Body("Enchantress"),
        Fault::Status(401, None),
    ] {
        directory.next([Fault::None, fault]);
        let body = json!({"Operations": [operation("replace", "title", json!("x")), operation("replace", "displayName", json!("Enchantress"))]});
        process.call("PATCH", &person, access, Some(&body)).await;
    }
    process
        .call(
            "PUT",
            &person,
            access,
            Some(&json!({"userName": "ada.lovelace@analytical.example", "active": "Enchantress"})),
        )
        .await;
    process.call("DELETE", &person, access, None).await;
    let mark = process.mark();
    desk.write("portcullis.toml", "tokne = \"directory-token-zx81\"\n[server]\nlisten = 5\n");
    process.line_after(mark, "not reloaded").await;
    let (_, metrics) = process.operation("/metrics").await;
    let log = process.log();
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    desk.write("portcullis.toml", "[state]\nurl = \"sqlite:state.db\"\n[tenants.acme]\ndialect = \"standard\"\n[tenants.acme.directory]\nkind = \"embedded\"\n");
    let trail = desk.run(&["audit", "tail", "--json", "-n", "1000"], "");
    assert!(trail.lines().count() > 40, "{trail}");
    let tokens = [&granted, &renewed]
        .map(|tokens| ["access_token", "refresh_token"].map(|name| tokens[name].as_str().unwrap().to_owned()));
    let public = |secret: &str| secret[12..].to_owned();
    let mut hidden: Vec<String> = [
        "lovelace",
        "analytical.example",
        "byron",
        "augusta",
        "enchantress",
        "4420181512",
        "181512",
        "difference-engine",
        "grace",
        "hopper",
        "navy.example",
        PASSWORD,
        "hunter2",
        "directory-token",
        "zx81",
    ]
    .map(String::from)
    .into();
    hidden.extend([public(secret), public(&secret_token)]);
    hidden.extend(tokens.as_flattened().iter().map(|token| public(token)));
    for (name, text) in [("the log", &log), ("the metrics", &metrics), ("the audit trail", &trail)] {
        for line in text.lines() {
            let found = hidden.iter().find(|word| line.to_lowercase().contains(&word.to_lowercase()));
            assert_eq!(found, None, "{name}: {line}");
        }
    }
}
