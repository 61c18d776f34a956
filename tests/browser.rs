//! The demo in a real browser: `tests/browser/demo.mjs`. Plain `cargo test` leaves it out and says so; `tests/run` installs
//! what it needs and runs it.

use std::process::Command;

#[test]
#[ignore = "needs Chromium, node and npm: tests/run installs them and runs it"]
fn a_person_walks_through_the_demo() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/run");
    let status = Command::new(script).env("PORTCULLIS_BIN", env!("CARGO_BIN_EXE_portcullis")).status();
    assert!(status.expect("the script starts").success(), "the walk failed; its output stands above");
}
