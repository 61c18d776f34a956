//! Two SCIM programs that others wrote against the demo's `standard` tenant: `tests/scim_testers/`. Plain `cargo test` leaves it
//! out and says so; `tests/run` installs what it needs and runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running demo; killed with its handle.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs python3: tests/run installs it and runs it"]
fn testers_that_others_wrote_are_content() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["demo", "--listen", "127.0.0.1:0", "--limits", "none", "--json"]);
    let mut demo = Demo(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(demo.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let facts: Value = serde_json::from_str(&line).unwrap();
    let tenant = facts["tenants"].as_array().unwrap().iter().find(|tenant| tenant["name"] == "standard").unwrap();
    let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scim_testers/run"))
        .env("SCIM_BASE", tenant["scim_base"].as_str().unwrap())
        .env("SCIM_TOKEN", tenant["secret_token"].as_str().unwrap())
        .status();
    assert!(status.unwrap().success(), "a tester is not content; what it found stands above");
}
