//! Two OAuth clients that others wrote go through every door: `tests/clients/`. Plain `cargo test` leaves it out and says so;
//! `tests/run` installs what it needs and runs it.

mod support;

use std::process::Command;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

const CALLBACK: &str = "http://127.0.0.1/callback";
const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
#[ignore = "needs python3, node and npm: tests/run installs them and runs it"]
async fn clients_that_others_wrote_go_through_every_door() {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
    let (listen, operations) = (free(), free());
    let tenant = format!(
        "[server]\nlisten = \"{listen}\"\n[operations]\nlisten = \"{operations}\"\n\
         [tenants.acme]\ndialect = \"standard\"\ndirectory = {{ kind = \"embedded\" }}\n"
    );
    let desk = support::process::Desk::new(&tenant);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = "k".into();
    desk.write("client.jwks.json", &json!({ "keys": [jwk] }).to_string());
    desk.run(&["admin", "add", "--tenant", "acme", "ada"], &format!("{PASSWORD}\n"));
    let add = |more: &[&str]| -> Value {
        let name = ["client", "add", "--tenant", "acme", "--name", "x", "--redirect-uri", CALLBACK, "--json"];
        desk.json(&[&name, more].concat())
    };
    let signing = add(&["--door", "code", "--door", "refresh", "--door", "private_key_jwt"]);
    let id = signing["client_id"].as_str().unwrap();
    desk.write(
        "portcullis.toml",
        &format!(
            "{tenant}[tenants.acme.doors.private_key_jwt.{id}]\nkeys = \"file:client.jwks.json\"\nalgorithms = [\"ES256\"]\n"
        ),
    );
    let given = json!({
        "issuer": format!("http://{listen}/t/acme"),
        "scim_base": format!("http://{listen}/t/acme/scim/v2"),
        "redirect_uri": CALLBACK,
        "administrator": {"username": "ada", "password": PASSWORD},
        "confidential": add(&[]),
        "signing": signing,
        "public": add(&["--public"]),
        "private_key": pair.serialize_pem(),
    });
    let process = desk.serve().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run");
    let mut command = Command::new(script);
    command.env("PORTCULLIS_CLIENTS", given.to_string());
    let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap();
    assert!(
        status.expect("the script starts").success(),
        "a client is not content; the gateway says\n{}",
        process.log()
    );
}
