//! The rules of the house, read off the source: arrows between rooms point down, the core does no I/O, a vendor is named
//! only where it is at home, and files stay readable. The map is in `src/lib.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may use. Everything else is an arrow that runs up or sideways.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("telemetry", &["types"]),
    ("scim", &["types"]),
    // Its tables say which SCIM path meets which field.
    ("mapping", &["types", "scim"]),
    ("oauth", &["types"]),
    ("limit", &["types"]),
    ("dialect", &["types", "scim", "mapping", "limit"]),
    ("ports", &["types", "scim", "dialect", "mapping", "oauth", "limit"]),
    ("store", &["types", "scim", "dialect", "mapping", "oauth", "limit", "ports", "telemetry"]),
    ("directory", &["types", "scim", "dialect", "mapping", "oauth", "limit", "ports", "telemetry"]),
    // Composed of what each room owns of its own configuration.
    ("config", &["types", "scim", "dialect", "mapping", "oauth", "limit", "directory"]),
    (
        "http",
        &[
            "types",
            "scim",
            "dialect",
            "mapping",
            "oauth",
            "limit",
            "ports",
            "store",
            "directory",
            "config",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "types",
            "scim",
            "dialect",
            "mapping",
            "oauth",
            "limit",
            "ports",
            "store",
            "directory",
            "config",
            "telemetry",
            "http",
        ],
    ),
    // A client of the outside: it must judge this gateway as it judges a stranger's.
    ("rehearse", &["types", "scim"]),
    (
        "demo",
        &[
            "types",
            "scim",
            "dialect",
            "mapping",
            "oauth",
            "limit",
            "ports",
            "store",
            "directory",
            "config",
            "telemetry",
            "http",
            "app",
        ],
    ),
    (
        "cli",
        &[
            "types",
            "scim",
            "dialect",
            "mapping",
            "oauth",
            "limit",
            "ports",
            "store",
            "directory",
            "config",
            "telemetry",
            "http",
            "app",
            "rehearse",
            "demo",
        ],
    ),
];

/// Plain functions and types: what these name, they cannot be tested without.
const CORE: &[&str] = &["scim", "dialect", "mapping", "oauth", "limit"];
const NOT_IN_THE_CORE: &[&str] = &[
    "tokio::",
    "tokio_util::",
    "hyper::",
    "hyper_util::",
    "sqlx::",
    "rustls::",
    "std::fs",
    "std::net",
    "std::env",
    "Clock::system",
    "Random::system",
    "Instant::now",
    "SystemTime::now",
];

/// Where a vendor may be named: its own room, and the demo, which assembles one tenant of each.
const VENDORS: &[&str] = &["ringcentral", "vonage", "playvox"];
const AT_HOME: &[&str] = &["dialect", "demo"];

/// Lines of a file without its tests.
const LONGEST: usize = 500;
/// Longer ones, and why they are better whole.
const LONGER: &[(&str, usize, &str)] = &[];

/// A source file: its path below `src/`, and its code without tests and comments.
struct Source {
    path: PathBuf,
    code: String,
    lines: usize,
}

impl Source {
    /// The first part of the module path: `scim` for `scim/path.rs` and for `scim.rs`.
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    }

    /// How many `super::` lead to the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.components().count();
        if self.path.ends_with("mod.rs") { parts - 1 } else { parts }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "tests" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|kind| kind == "rs")
                && name != "tests.rs"
                && !name.ends_with("_tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let text = without_tests(&text);
                let code = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
                let path = path.strip_prefix(&root).unwrap().to_owned();
                found.push(Source { path, code, lines: text.lines().count() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 5, "the source was not found");
    found
}

/// Cuts inline modules under `#[cfg(test)]`; by custom they stand at the end of a file, at its left edge.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            skipping = true;
        }
        if !skipping {
            out.push_str(line);
            out.push('\n');
        }
        if line == "}" {
            skipping = false;
        }
    }
    out
}

fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        // An even number of quotes before it: not inside a string (an address, say).
        if line[..at].matches('"').count().is_multiple_of(2) {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// The rooms that a piece of code names by `crate::…` or by enough `super::…`.
fn rooms_used(source: &Source) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let up = "super::".repeat(source.depth());
    for start in ["crate::", up.as_str()] {
        let mut rest = source.code.as_str();
        while let Some(at) = rest.find(start) {
            let whole_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
            rest = &rest[at + start.len()..];
            if whole_word {
                rooms.extend(first_names(rest));
            }
        }
    }
    rooms
}

/// `scim` of `scim::path::…`, and `scim`, `types` of `{scim::…, types::{…}}`.
fn first_names(text: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn arrows_point_down() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        if room == "main" || room == "lib" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == room) else {
            wrong.push(format!("{}: a room that is not on the map; add it to ARROWS", source.path.display()));
            continue;
        };
        for used in rooms_used(&source) {
            if used != room && rooms.contains(used.as_str()) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} must not use {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_does_no_io() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.room().as_str())) {
        for name in NOT_IN_THE_CORE {
            let whole_word = |at: usize| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if source.code.match_indices(name).any(|(at, _)| whole_word(at)) {
                wrong.push(format!("{}: {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "the core reaches out:\n{}", wrong.join("\n"));
}

#[test]
fn vendors_are_named_only_at_home() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !AT_HOME.contains(&source.room().as_str())) {
        for (number, line) in source.code.to_lowercase().lines().enumerate() {
            if let Some(vendor) = VENDORS.iter().find(|vendor| line.contains(*vendor)) {
                wrong.push(format!("{}, about line {}: {vendor}", source.path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "vendors away from home:\n{}", wrong.join("\n"));
}

#[test]
fn files_stay_readable() {
    let mut wrong = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().replace('\\', "/");
        let limit = LONGER.iter().find(|(longer, ..)| *longer == path).map_or(LONGEST, |(_, limit, _)| *limit);
        if source.lines > limit {
            wrong.push(format!("{path}: {} lines of at most {limit}", source.lines));
        }
    }
    assert!(wrong.is_empty(), "split these, or give a reason in LONGER:\n{}", wrong.join("\n"));
}

#[test]
fn this_test_reads_what_it_says() {
    let source = |path: &str, code: &str| Source { path: path.into(), code: code.into(), lines: 0 };
    let rooms = |path: &str, code: &str| rooms_used(&source(path, code)).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(rooms("scim/patch.rs", "use crate::{types::{self, Clock}, http::message};"), "http types");
    assert_eq!(rooms("scim/patch.rs", "let x = super::super::store::Store;"), "store");
    assert_eq!(rooms("scim/mod.rs", "super::store::Store; my_crate::http"), "store");
    assert_eq!(source("scim/mod.rs", "").room(), "scim");
    assert_eq!(source("ports.rs", "").room(), "ports");
    assert_eq!(without_comment("let url = \"http://x\"; // crate::http"), "let url = \"http://x\"; ");
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n"), "a\nc\n");
}
