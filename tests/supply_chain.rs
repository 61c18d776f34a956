//! What the binary is made of: no banned crate is compiled, every licence is one we accept, everything comes from the
//! registry. `deny.toml` says the same to `cargo deny`, which the machine need not have; this test needs only cargo.
//!
//! It reads the graph as cargo resolves it for this machine with its features. The lock file alone would not do: `ring`
//! stands there as an optional edge of others and is not compiled.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// One TLS and crypto library, aws-lc; a second one would be a second thing to patch.
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "rsa"];

const LICENCES: &[&str] =
    &["MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "Unicode-3.0", "Zlib", "BSL-1.0", "CC0-1.0", "CDLA-Permissive-2.0"];

/// Name and version to licence expression of everything on these kinds of edges.
fn graph(edges: &str) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}\t{l}", "--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let graph: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(package, licence)| (package.to_owned(), licence.trim_end_matches(" (*)").to_owned()))
        .collect();
    assert!(graph.len() > 100, "cargo tree lists only {} packages", graph.len());
    graph
}

/// Whether an SPDX expression (or the older `MIT/Apache-2.0`) can be met with accepted licences alone.
fn accepted(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any_of(&mut words);
    verdict && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut verdict = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        verdict |= all_of(words);
    }
    verdict
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut verdict = one(words);
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words);
    }
    verdict
}

fn one(words: &mut Words<'_>) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        let verdict = any_of(words);
        return words.next() == Some(")") && verdict;
    }
    // An exception only adds permissions.
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    LICENCES.contains(&word)
}

#[test]
fn no_banned_crate_is_compiled() {
    let banned: Vec<String> = graph("normal,build,dev")
        .into_keys()
        .filter(|package| BANNED.contains(&package.split(' ').next().unwrap_or(package)))
        .collect();
    assert!(banned.is_empty(), "banned crates are compiled: {banned:?}; `cargo tree -i NAME` tells who wants them");
}

#[test]
fn every_shipped_licence_is_accepted() {
    let wrong: Vec<_> = graph("normal,build").into_iter().filter(|(_, licence)| !accepted(licence)).collect();
    assert!(wrong.is_empty(), "licences that are not accepted: {wrong:#?}");
}

#[test]
fn everything_comes_from_the_registry() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let source = package.get("source").and_then(toml::Value::as_str);
        let own = package["name"].as_str() == Some("portcullis");
        let registry = source.is_some_and(|source| source.starts_with("registry+"));
        assert!(own || (registry && package.get("checksum").is_some()), "{} comes from {source:?}", package["name"]);
    }
}

#[test]
fn deny_toml_says_the_same() {
    let deny = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let deny: toml::Table = deny.parse().unwrap();
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(allowed, LICENCES);
    let banned: Vec<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().filter_map(|one| one["crate"].as_str()).collect();
    assert_eq!(banned, BANNED);
}

#[test]
fn licence_expressions_are_read_right() {
    for (expression, wanted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("Unlicense/MIT", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND (GPL-3.0 OR LGPL-3.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("MIT MIT", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(accepted(expression), wanted, "{expression}");
    }
}
