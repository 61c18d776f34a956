//! A whole conversation, with every way in which a person's data, a password or a token can come near a log line; then the
//! log, the metrics and the audit trail are searched for them (design decision 13).

mod support;

#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#[path = "sign_in/peer.rs"]
mod peer;

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis::types::Clock;
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

/// What proves somebody by the other doors: assertions and tokens that others signed, the codes and tokens of an OpenID provider, the
/// passwords of an LDAP directory, and the key to all keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_credential_is_in_logs_metrics_or_the_audit_trail() {
    const MASTER: &str = "5a781f00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee81";
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let sign = |claims: Value| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("one".into());
        encode(&header, &claims, &EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref())).unwrap()
    };
    let now = Clock::system().now().seconds();
    let id_token =
        sign(json!({"iss": "https://elsewhere.example", "sub": "ada-lovelace", "iat": now, "exp": now + 300}));
    let token = id_token.clone();
    // It quotes in its errors what it was sent, as some do, and then gives a token that is not for us.
    let provider = peer::Peer::start(move |asked| {
        let issuer = format!("http://{}", asked.headers["host"].to_str().unwrap());
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => peer::json(
                200,
                &json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
                        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks")}),
            ),
            "/token" if asked.body.contains("code=first") => {
                peer::json(400, &json!({"error": "invalid_grant", "error_description": asked.body}))
            }
            "/token" => peer::json(200, &json!({"access_token": "a", "token_type": "Bearer", "id_token": token})),
            _ => peer::json(200, &json!({"keys": []})),
        }
    })
    .await;
    let url = provider.url();
    let tenant = |name: &str| {
        format!("[tenants.{name}]\ndialect = \"standard\"\n[tenants.{name}.directory]\nkind = \"embedded\"\n")
    };
    let text = format!(
        "{SERVER}[state]\nurl = \"sqlite:state.db\"\n[keys]\nmaster_key = \"file:master\"\n{}{}\
         [tenants.acme.sign_in]\nkind = \"oidc\"\nissuer = \"{url}\"\nclient_id = \"us\"\nclient_secret = \"file:oidc\"\n\
         role_claim = \"groups\"\nroles = {{ super_user = \"it\" }}\n\
         [tenants.dir.sign_in]\nkind = \"directory\"\nroles = {{ super_user = \"it\" }}\nldap.url = \"ldap://127.0.0.1:1\"\n\
         ldap.bind_dn = \"cn=gateway\"\nldap.bind_password = \"file:bind\"\nldap.base = \"dc=example\"\n",
        tenant("acme"),
        tenant("dir"),
    );
    let desk = Desk::new(&text);
    for (name, secret) in [("master", MASTER), ("oidc", "oidc-secret-zx81"), ("bind", "bind-secret-zx81")] {
        desk.write(name, secret);
    }
    let add = ["client", "add", "--tenant", "acme", "--name", "Entra", "--door", "federation", "--json"];
    let id = desk.json(&add)["client_id"].as_str().unwrap().to_owned();
    desk.write(
        "portcullis.toml",
        &format!(
            "{text}[tenants.acme.doors]\nkey_hosts = [\"127.0.0.1\"]\n[tenants.acme.doors.federation.{id}]\n\
             issuer = \"{url}\"\naudience = \"api://us\"\nsubject = \"robot\"\nalgorithms = [\"EdDSA\"]\n\
             [tenants.acme.doors.entra_tokens]\ntenant_id = \"11111111-2222-3333-4444-555555555555\"\nkeys_url = \"{url}/keys\"\n\
             algorithms = [\"EdDSA\"]\n"
        ),
    );
    let process = desk.serve().await;
    let mark = process.mark();
    let assertion = sign(json!({"iss": url, "sub": "robot", "aud": "api://us", "iat": now, "exp": now + 300}));
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    for _ in 0..2 {
        assert!(process.form("/t/acme/oauth/token", &fields).await.status >= 400);
        assert!(process.call("GET", USERS, &assertion, None).await.status >= 400);
    }
    let page = async |path: &str, cookie: &str, form: Option<&[(&str, &str)]>| {
        let method = if form.is_some() { "POST" } else { "GET" };
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form.unwrap_or_default()).finish();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", process.public))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookie);
        process.send(request.body(http_body_util::Full::from(body)).unwrap()).await
    };
    let hidden_field = |answer: &support::gateway::Answer| {
        let page = String::from_utf8_lossy(&answer.body).into_owned();
        page.split_once("name=\"form_token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    let mut hidden: Vec<String> =
        vec![MASTER.into(), "zx81".into(), "lovelace".into(), "hunter2".into(), "c0de".into()];
    for code in ["first-c0de", "second-c0de"] {
        let shown = page("/t/acme/console", "", None).await;
        let cookie = shown.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let token = hidden_field(&shown);
        let sent = page("/t/acme/console", &cookie, Some(&[("form_token", &token), ("action", "sign_in")])).await;
        let to = url::Url::parse(sent.header("location").unwrap()).unwrap();
        let parameter = |wanted: &str| to.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
        let back = format!("/t/acme/oauth/callback?state={}&code={code}", parameter("state"));
        let answer = page(&back, &cookie, None).await;
        assert!(answer.status >= 400, "{}", answer.status);
        hidden.extend([parameter("state"), parameter("nonce"), token, cookie.split_once('=').unwrap().1.to_owned()]);
    }
    let shown = page("/t/dir/console", "", None).await;
    let cookie = shown.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let token = hidden_field(&shown);
    let guess = [
        ("form_token", token.as_str()),
        ("action", "sign_in"),
        ("username", "ada.lovelace"),
        ("password", "guess-hunter2"),
    ];
    assert_eq!(page("/t/dir/console", &cookie, Some(&guess)).await.status, 503);
    process.line_after(mark, "cannot verify a password").await;
    let posted = provider.asked().iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(posted, 2, "both codes went to the provider");
    let (_, metrics) = process.operation("/metrics").await;
    let log = process.log();
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    let trail = desk.run(&["audit", "tail", "--json", "-n", "1000"], "");
    for words in ["refuses the code", "cannot be fetched", "cannot verify a password"] {
        assert!(log.contains(words), "the log has something to say: {words}: {log}");
    }
    hidden.extend([&assertion, &id_token].into_iter().flat_map(|jwt| jwt.split('.').skip(1).map(str::to_owned)));
    for (name, text) in [("the log", &log), ("the metrics", &metrics), ("the audit trail", &trail)] {
        for line in text.lines() {
            let found = hidden.iter().find(|word| line.to_lowercase().contains(&word.to_lowercase()));
            assert_eq!(found, None, "{name}: {line}");
        }
    }
}
