//! Conversations as identity providers hold them, kept as data in `tests/conversations/*.json` and held with the running
//! gateway over real sockets.
//!
//! A file names a tenant (its dialect) and its steps. A step sends a request and says what the answer must be: `status`,
//! the parts of the body that matter (`answer`, a subset; a list must have just these entries), JSON pointers that must be
//! `absent`, and `headers`. `keep` remembers a value under a name that later steps write as `{name}`. `seed` puts a person into
//! the directory behind the gateway's back; `advance` moves the clock by seconds.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::dialect::Dialect;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use support::gateway::{Answer, TestGateway};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    tenant: String,
    /// Where it was seen or what asks for it; for the reader.
    #[serde(rename = "source")]
    _source: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    why: String,
    /// Which cells of `dialects.md` this shows; `tests/dialects.rs` sees that none is left out.
    #[serde(default, rename = "cells")]
    _cells: Vec<String>,
    #[serde(rename = "do")]
    request: Option<String>,
    body: Option<Value>,
    raw: Option<String>,
    #[serde(default)]
    with: BTreeMap<String, String>,
    status: Option<u16>,
    answer: Option<Value>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
    seed: Option<Value>,
    advance: Option<u64>,
    /// Sends the request this many times; the last answer is looked at.
    times: Option<u32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_go_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the conversations are missing");
    let mut failures = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let conversation: Conversation = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let gateway = TestGateway::start().await;
        hold(&name, &conversation, &gateway, &mut failures).await;
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

async fn hold(name: &str, conversation: &Conversation, gateway: &TestGateway, failures: &mut Vec<String>) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (at, step) in conversation.steps.iter().enumerate() {
        if let Some(seconds) = step.advance {
            gateway.clock.advance(Duration::from_secs(seconds));
        }
        if let Some(person) = &step.seed {
            let key = gateway.seed(&conversation.tenant, person.clone()).await;
            names.insert("seeded".into(), key);
        }
        let Some(request) = &step.request else { continue };
        let mut answer = None;
        for _ in 0..step.times.unwrap_or(1) {
            answer = Some(send(gateway, &conversation.tenant, step, request, &names).await);
        }
        let answer = answer.unwrap();
        let body = answer.json();
        let mut problems = Vec::new();
        if step.status.is_some_and(|status| status != answer.status) {
            problems.push(format!("status {}", answer.status));
        }
        if let Some(wanted) = &step.answer {
            differences("", &filled(wanted, &names), &body, &mut problems);
        }
        problems.extend(
            step.absent.iter().filter(|path| body.pointer(path).is_some()).map(|path| format!("{path} is there")),
        );
        for (key, pointer) in &step.keep {
            match body.pointer(pointer).and_then(Value::as_str) {
                Some(value) => drop(names.insert(key.clone(), value.to_owned())),
                None => problems.push(format!("nothing at {pointer}")),
            }
        }
        for (header, wanted) in &step.headers {
            let found = answer.header(header).unwrap_or("(none)");
            if found != fill(wanted, &names) && !(wanted == "$any" && found != "(none)") {
                problems.push(format!("{header}: {found}"));
            }
        }
        if !problems.is_empty() {
            let shown: String = body.to_string().chars().take(1000).collect();
            failures.push(format!("{name} step {at} ({request}; {}): {}\n  {shown}", step.why, problems.join("; ")));
        }
    }
}

async fn send(
    gateway: &TestGateway,
    tenant: &str,
    step: &Step,
    request: &str,
    names: &BTreeMap<String, String>,
) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let dialect = Dialect::named(tenant).unwrap();
    let path = fill(path, names);
    // A path that starts with // is the gateway's own, not below the SCIM base.
    let uri = match path.strip_prefix("//") {
        Some(rest) => format!("http://{}/{rest}", gateway.public),
        None => format!("http://{}/t/{tenant}/{}{path}", gateway.public, dialect.scim_base),
    };
    let body = step.raw.clone().or_else(|| step.body.as_ref().map(|body| filled(body, names).to_string()));
    let mut request = http::Request::builder().method(method).uri(uri);
    if !step.with.contains_key("authorization") {
        request = request.header("authorization", format!("Bearer {}", gateway.token(tenant)));
    }
    if body.is_some() && !step.with.contains_key("content-type") {
        request = request.header("content-type", "application/scim+json; charset=utf-8");
    }
    for (header, value) in step.with.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(header, fill(value, names));
    }
    gateway.send(request.body(Full::new(Bytes::from(body.unwrap_or_default()))).unwrap()).await
}

fn fill(text: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// The same in every text of a JSON value.
fn filled(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => fill(text, names).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, names)).collect(),
        Value::Object(parts) => parts.iter().map(|(key, value)| (key.clone(), filled(value, names))).collect(),
        other => other.clone(),
    }
}

/// Where `found` lacks something of `wanted`.
fn differences(at: &str, wanted: &Value, found: &Value, problems: &mut Vec<String>) {
    match (wanted, found) {
        (Value::String(any), found) if any == "$any" && !found.is_null() => {}
        (Value::String(part), Value::String(found)) if part.starts_with("$contains ") => {
            let part = &part["$contains ".len()..];
            if !found.contains(part) {
                problems.push(format!("{at} does not contain {part:?}"));
            }
        }
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                differences(&format!("{at}/{key}"), value, found.get(key).unwrap_or(&Value::Null), problems);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                differences(&format!("{at}/{index}"), wanted, found, problems);
            }
        }
        (wanted, found) if wanted == found => {}
        (wanted, found) => problems.push(format!("{at} is {found}, not {wanted}")),
    }
}
