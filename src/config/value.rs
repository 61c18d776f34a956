//! One value of the configuration, read as the type its key has.
//!
//! Any value may be `env:NAME` or `file:PATH`; what such a reference leads to, and what an overriding variable holds, is
//! text that may stand for any type. A method that gives `None` has noted why.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::cover::{is_reference, quote};
use super::diagnostic::Severity;
use super::reader::{Reader, Section};
use super::tree::{Node, Origin, Tree, parse_variable};
use super::words;
use crate::types::Secret;

/// Largest file behind a `file:` reference.
const FILE_LIMIT: u64 = 1024 * 1024;

/// What is wrong with a text, as the end of a sentence that begins with it, and what to do.
pub(super) struct Advice {
    message: String,
    help: String,
}

/// For the closure of [`Value::parse`].
pub(super) fn advice(message: impl Into<String>, help: impl Into<String>) -> Advice {
    Advice { message: message.into(), help: help.into() }
}

pub(super) struct Value<'r> {
    pub reader: &'r Reader<'r>,
    pub path: Vec<String>,
    pub node: Node,
}

/// A text after references were followed.
struct Resolved {
    text: String,
    /// Whether it may stand for another type than a string.
    loose: bool,
    /// How a message names it.
    shown: String,
}

impl<'r> Value<'r> {
    /// Notes a mistake.
    pub fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Error, message, help);
    }

    /// Notes a mistake in the key itself, where the user chooses it.
    pub fn refuse_key(&self, fault: Advice) {
        self.refuse(format!("{} {}", quote(self.key()), fault.message), fault.help);
    }

    /// Notes a finding.
    pub fn note(&self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        self.reader.report(severity, &self.node.origin, &self.path, message.into(), Some(help.into()));
    }

    /// The key's own name.
    pub fn key(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Whether the text stands in the file itself.
    pub fn in_clear(&self) -> bool {
        matches!(&self.node.tree, Tree::Text(text) if !is_reference(text))
    }

    /// Any text.
    pub fn text(&self) -> Option<String> {
        self.resolve("a string", "\"…\"").map(|resolved| resolved.text)
    }

    /// A text that `read` makes something of.
    pub fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, Advice>) -> Option<T> {
        let resolved = self.resolve("a string", "\"…\"")?;
        self.judge(&resolved, read(&resolved.text))
    }

    /// A text that is nobody's business: a warning when it stands in the file itself. With `may_lack`, an unset variable
    /// or an empty text means none.
    pub fn secret(&self, may_lack: bool) -> Option<Secret> {
        if let Tree::Text(text) = &self.node.tree
            && let Some(name) = text.strip_prefix("env:")
            && may_lack
            && self.reader.environment.get(name).is_none()
        {
            return None;
        }
        match &self.node.tree {
            Tree::Text(text) if is_reference(text) => {}
            Tree::Text(_) | Tree::Loose(_) => self.reader.hide(&self.node.origin),
            other => {
                self.reader.hide(&self.node.origin);
                self.refuse(format!("`{}` must be a string, not {}", self.key(), other.word()), "write it in quotes");
                return None;
            }
        }
        let text = self.resolve("a string", "\"env:NAME\"")?.text;
        if text.is_empty() {
            if !may_lack {
                self.refuse(format!("`{}` is empty", self.key()), "give the secret as `env:NAME` or `file:PATH`");
            }
            return None;
        }
        if self.in_clear() {
            let message = format!("the secret `{}` is written in clear", self.key());
            self.note(Severity::Warning, message, "give it as `env:NAME` or `file:PATH`");
        }
        Some(Secret::new(text))
    }

    /// A whole number within `bounds`.
    pub fn integer(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        if let Tree::Integer(number) = self.node.tree {
            return self.within(number, &number.to_string(), &bounds);
        }
        let resolved = self.resolve("a whole number", "300")?;
        let number = resolved.loose.then(|| resolved.text.trim().parse().ok()).flatten();
        let Some(number) = number else {
            let help =
                format!("write a number without quotes, such as {}", (*bounds.start()).max(300).min(*bounds.end()));
            self.refuse(format!("{} is not a whole number", resolved.shown), help);
            return None;
        };
        self.within(number, &resolved.text, &bounds)
    }

    fn within(&self, number: i64, shown: &str, bounds: &RangeInclusive<i64>) -> Option<i64> {
        if bounds.contains(&number) {
            return Some(number);
        }
        let help = format!("`{}` is between {} and {}", self.key(), bounds.start(), bounds.end());
        self.refuse(format!("{shown} is too {}", if number < *bounds.start() { "small" } else { "large" }), help);
        None
    }

    /// True or false.
    pub fn boolean(&self) -> Option<bool> {
        if let Tree::Boolean(truth) = self.node.tree {
            return Some(truth);
        }
        let resolved = self.resolve("true or false", "true")?;
        let truth = match resolved.text.trim() {
            "true" if resolved.loose => Some(true),
            "false" if resolved.loose => Some(false),
            _ => None,
        };
        if truth.is_none() {
            self.refuse(format!("{} is neither true nor false", resolved.shown), "write true or false, without quotes");
        }
        truth
    }

    /// A span of time within `bounds`.
    pub fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        if let Tree::Integer(number) = self.node.tree {
            let help = format!("write a number and its unit in quotes, such as \"{}s\"", number.max(1));
            self.refuse(format!("{number} is not a span of time: the unit is missing"), help);
            return None;
        }
        let resolved = self.resolve("a span of time", "\"60s\"")?;
        let parsed = words::parse_span(&resolved.text).ok_or_else(|| {
            advice("is not a span of time", "write a number and one of ms, s, m, h, d, such as \"60s\"")
        });
        let span = self.judge(&resolved, parsed)?;
        if bounds.contains(&span) {
            return Some(span);
        }
        let fault = if span < *bounds.start() { "is too short" } else { "is too long" };
        let (least, most) = (words::span(*bounds.start()), words::span(*bounds.end()));
        let help = format!("`{}` is between {least} and {most}", self.key());
        self.judge(&resolved, Err(advice(fault, help)))
    }

    /// A number of bytes within `bounds`, as a number or as `1MiB`.
    pub fn bytes(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        if let Tree::Integer(number) = self.node.tree {
            return self.within(number, &number.to_string(), &bounds);
        }
        let resolved = self.resolve("a size", "\"1MiB\"")?;
        let parsed = words::parse_bytes(&resolved.text).and_then(|bytes| i64::try_from(bytes).ok());
        let parsed = parsed.ok_or_else(|| advice("is not a size", "write bytes, KiB, MiB or GiB, such as \"1MiB\""));
        let number = self.judge(&resolved, parsed)?;
        self.within(number, &resolved.shown, &bounds)
    }

    /// An address and port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.parse(|text| {
            text.parse().map_err(|_| {
                let help = match text.rsplit_once(':') {
                    Some(("", port)) => {
                        format!("write the address too: \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all")
                    }
                    Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
                    _ => "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
                };
                advice("is not an address to listen on", help)
            })
        })
    }

    /// A path, relative ones taken from the file's folder.
    pub fn file_path(&self) -> Option<PathBuf> {
        self.parse(|text| {
            if text.is_empty() || text.contains('\0') {
                return Err(advice("is not a path", "name a file"));
            }
            Ok(self.reader.folder.join(text))
        })
    }

    /// A text, number or boolean, as JSON. A text that came from elsewhere stays a text.
    pub fn scalar(&self) -> Option<serde_json::Value> {
        match self.node.tree {
            Tree::Integer(number) => Some(number.into()),
            Tree::Boolean(truth) => Some(truth.into()),
            _ => self.resolve("a string, number or boolean", "\"…\"").map(|resolved| resolved.text.into()),
        }
    }

    /// The items of a list. A variable writes it as a TOML list or with commas.
    pub fn list(&self) -> Option<Vec<Value<'r>>> {
        let items = match &self.node.tree {
            Tree::List(items) => items.clone(),
            Tree::Loose(_) | Tree::Text(_) => {
                let resolved = self.resolve("a list", "[\"…\"]")?;
                let list = resolved.loose.then(|| self.loose_list(&resolved.text)).flatten();
                if list.is_none() {
                    self.refuse(format!("{} is not a list", resolved.shown), "write it as [\"…\", \"…\"]");
                }
                list?
            }
            _ => return self.mismatch("a list", "[\"…\"]"),
        };
        let item = |(index, node)| {
            let mut path = self.path.clone();
            if let Some(key) = path.last_mut() {
                *key = format!("{key}[{index}]");
            }
            Value { reader: self.reader, path, node }
        };
        Some(items.into_iter().enumerate().map(item).collect())
    }

    fn loose_list(&self, text: &str) -> Option<Vec<Node>> {
        if text.trim_start().starts_with('[') {
            let Tree::List(items) = parse_variable(text, &Rc::from(self.key()))? else { return None };
            return Some(items.into_iter().map(|item| Node { origin: self.node.origin.clone(), ..item }).collect());
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(items.map(|item| Node { origin: self.node.origin.clone(), tree: Tree::Loose(item.to_owned()) }).collect())
    }

    /// A table.
    pub fn section(&self) -> Option<Section<'r>> {
        let table = match &self.node.tree {
            Tree::Table(table) => Rc::clone(table),
            Tree::Loose(text) if self.is_table() => {
                let parsed = if let Origin::Variable(variable) = &self.node.origin {
                    parse_variable(text, variable)
                } else {
                    None
                };
                let Some(Tree::Table(table)) = parsed else {
                    self.refuse("is not a TOML table", "write it like `{ key = \"value\" }`");
                    return None;
                };
                table
            }
            Tree::Loose(_) => {
                self.refuse("does not name a single value: the key is a table", "add `__` and the name of a key in it");
                return None;
            }
            _ => return self.mismatch("a table", "{ … }"),
        };
        Some(Section::new(self.reader, self.path.clone(), table, self.node.origin.clone()))
    }

    /// Whether this is a text, not a table or list: for keys that take either.
    pub fn is_text(&self) -> bool {
        match &self.node.tree {
            Tree::Text(_) => true,
            Tree::Loose(text) => !text.trim_start().starts_with(['{', '[']),
            _ => false,
        }
    }

    /// Whether this is written as exactly `word`.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.node.tree, Tree::Text(text) | Tree::Loose(text) if text == word)
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        match &self.node.tree {
            Tree::List(_) => true,
            Tree::Loose(text) => text.trim_start().starts_with('['),
            _ => false,
        }
    }

    /// Whether this is a table.
    pub fn is_table(&self) -> bool {
        match &self.node.tree {
            Tree::Table(_) => true,
            Tree::Loose(text) => text.trim_start().starts_with('{'),
            _ => false,
        }
    }

    fn mismatch<T>(&self, wanted: &str, example: &str) -> Option<T> {
        let given = match self.node.tree {
            Tree::Integer(number) => format!("the number {number}"),
            Tree::Boolean(truth) => format!("the boolean {truth}"),
            _ => self.node.tree.word().to_owned(),
        };
        let message = format!("`{}` must be {wanted}, not {given}", self.key());
        self.refuse(message, format!("write `{} = {example}`", self.key()));
        None
    }

    fn judge<T>(&self, resolved: &Resolved, verdict: Result<T, Advice>) -> Option<T> {
        verdict.map_err(|advice| self.refuse(format!("{} {}", resolved.shown, advice.message), advice.help)).ok()
    }

    /// Follows a reference, if the value is one.
    fn resolve(&self, wanted: &str, example: &str) -> Option<Resolved> {
        let (text, loose) = match &self.node.tree {
            Tree::Text(text) => (text, false),
            Tree::Loose(text) => (text, true),
            _ => return self.mismatch(wanted, example),
        };
        if let Some(name) = text.strip_prefix("env:") {
            let Some(found) = self.reader.environment.get(name) else {
                let help = format!("set {name} in the gateway's environment, or write the value here");
                self.refuse(format!("the environment variable `{}` is not set", name.escape_debug()), help);
                return None;
            };
            return Some(Resolved {
                text: found.to_owned(),
                loose: true,
                shown: format!("{} (from {name})", quote(found)),
            });
        }
        if let Some(name) = text.strip_prefix("file:") {
            let content = self.read(name)?;
            return Some(Resolved { text: content, loose: true, shown: format!("the content of `{name}`") });
        }
        Some(Resolved { text: text.clone(), loose, shown: quote(text) })
    }

    fn read(&self, name: &str) -> Option<String> {
        let path = self.reader.folder.join(name);
        self.reader.depends_on(&path);
        let mut content = String::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut content));
        let fault = match read {
            Ok(length) if length as u64 > FILE_LIMIT => "it is larger than 1 MiB".to_owned(),
            Ok(_) => {
                let end = content.strip_suffix('\n').map_or(content.len(), |cut| cut.trim_end_matches('\r').len());
                content.truncate(end);
                return Some(content);
            }
            Err(fault) => fault.to_string(),
        };
        let help = "make it readable to the gateway; relative paths start at the configuration file";
        self.refuse(format!("cannot read `{}`: {fault}", path.display()), help);
        None
    }
}
