//! `portcullis rehearse` against `portcullis demo`, as two processes: every tenant passes, and nobody is left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// A running demo and what it printed.
struct Demo {
    process: Child,
    file: tempfile::NamedTempFile,
    tenants: Vec<String>,
}

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(PORTCULLIS)
            .args(["demo", "--listen", "127.0.0.1:0", "--limits", "none", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let facts: Value = serde_json::from_str(&line).unwrap();
        let tenants = facts["tenants"].as_array().unwrap().iter();
        let tenants = tenants.map(|tenant| tenant["name"].as_str().unwrap().to_owned()).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(line.as_bytes()).unwrap();
        Self { process, file, tenants }
    }

    fn rehearse(&self, tenant: &str, more: &[&str]) -> Output {
        Command::new(PORTCULLIS)
            .args(["rehearse", "--json", "--tenant", tenant, "--demo"])
            .arg(self.file.path())
            .args(more)
            .output()
            .unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report; stderr: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_tenant_of_the_demo_passes() {
    let demo = Demo::start();
    assert_eq!(demo.tenants.len(), 5);
    for tenant in &demo.tenants {
        let output = demo.rehearse(tenant, &["--people", "12", "--seed", "1"]);
        let report = report(&output);
        // That a vendor has no place for an attribute is told, and is no fault.
        let findings = report["findings"].as_array().unwrap();
        let faults: Vec<&Value> = findings.iter().filter(|found| found["check"] != "change.kept").collect();
        assert!(faults.is_empty(), "{tenant}: {faults:#?}");
        assert_eq!(report["passed"], true, "{tenant}");
        assert_eq!(report["left_behind"]["count"], 0, "{tenant}");
        assert_eq!(output.status.code(), Some(0), "{tenant}");
    }
}

#[test]
fn each_flavour_alone_and_strange_names_pass() {
    let demo = Demo::start();
    for more in [["--flavour", "legacy"], ["--flavour", "compliant"], ["--names", "unicode"], ["--client-auth", "body"]]
    {
        let output = demo.rehearse("standard", &more);
        assert_eq!(report(&output)["findings"], Value::Array(vec![]), "{more:?}");
        assert_eq!(output.status.code(), Some(0), "{more:?}");
    }
}

#[test]
fn a_refused_sign_in_is_told_as_such() {
    let demo = Demo::start();
    let mut facts: Value = serde_json::from_reader(std::fs::File::open(demo.file.path()).unwrap()).unwrap();
    facts["tenants"][0]["administrator"]["password"] = "not the password".into();
    std::fs::write(demo.file.path(), facts.to_string()).unwrap();
    let output = demo.rehearse("ringcentral", &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("the sign-in was refused: The user name or the password is not right"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn outcomes_have_their_exit_codes() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PORTCULLIS);
        command.arg("rehearse").args(arguments).env_remove("PORTCULLIS_REHEARSE_TOKEN");
        command.output().unwrap().status.code()
    };
    assert_eq!(run(&[]), Some(2), "no address");
    assert_eq!(run(&["--scim-url", "http://127.0.0.1:1/scim"]), Some(2), "no credentials");
    assert_eq!(run(&["--scim-url", "ftp://127.0.0.1/", "--token", "x"]), Some(2), "no web address");
    assert_eq!(run(&["--scim-url", "http://127.0.0.1:1/scim", "--token", "x"]), Some(69), "nobody there");
    assert_eq!(run(&["--demo", "/nowhere.json"]), Some(2), "no such file");
}
