//! Reads a tree section by section, and collects every mistake instead of stopping at the first.
//!
//! A [`Section`] is asked for its keys one by one; what it was not asked for by [`Section::finish`] is an unknown key and
//! is reported with the nearest known one. An overriding `PORTCULLIS__…` variable answers before the file does. A key that
//! is absent and a key that is wrong both give `None`: the mistake is noted, and a reading with mistakes gives no
//! configuration.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::cover::{cover, is_reference};
use super::diagnostic::{Diagnostic, Diagnostics, Severity, position};
use super::environment::{Environment, Override, normal};
use super::inside::place;
use super::tree::{Key, Node, Origin, Table, Tree};
use super::value::Value;
use super::words;

/// What all sections of one reading share.
pub(super) struct Reader<'a> {
    file: &'a Path,
    source: &'a str,
    /// What relative paths start from.
    pub folder: &'a Path,
    pub environment: &'a Environment,
    overrides: Vec<Override>,
    log: RefCell<Log>,
}

#[derive(Default)]
struct Log {
    found: Vec<Diagnostic>,
    secrets: Vec<Range<usize>>,
    files: BTreeSet<PathBuf>,
    /// Paths of keys of which a misspelling was reported.
    misspelt: BTreeSet<String>,
    /// The path of every key that was asked for, in the spelling of variables.
    known: BTreeSet<Vec<String>>,
}

/// What a finished reading leaves besides the values.
pub(super) struct Outcome {
    pub diagnostics: Diagnostics,
    pub files: Vec<PathBuf>,
    /// Paths of all keys that were asked for, for the test over the example file.
    #[cfg(test)]
    pub known: BTreeSet<Vec<String>>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a Path, source: &'a str, environment: &'a Environment) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        Self { file, source, folder, environment, overrides: environment.overrides(), log: RefCell::default() }
    }

    /// For a file beside the configuration: variables override nothing in it.
    pub fn beside(file: &'a Path, source: &'a str, environment: &'a Environment) -> Self {
        Self { overrides: Vec::new(), ..Self::new(file, source, environment) }
    }

    /// Takes over what reading a file beside this one has found.
    pub fn adopt(&self, found: Diagnostics, files: Vec<PathBuf>) {
        let mut log = self.log.borrow_mut();
        log.found.extend(found.of_another_file());
        log.files.extend(files);
    }

    /// The whole document as a section.
    pub fn root(&self, table: Rc<Table>) -> Section<'_> {
        Section::new(self, Vec::new(), table, Origin::File(0..0))
    }

    /// Notes a finding about the key at `path`, written at `origin`.
    pub fn report(&self, severity: Severity, origin: &Origin, path: &[String], message: String, help: Option<String>) {
        let (span, variable) = match origin {
            Origin::File(span) => (Some(span.clone()), None),
            Origin::Variable(name) => (None, Some(name.to_string())),
        };
        let place = span.as_ref().map(|span| position(self.source, span.start));
        self.log.borrow_mut().found.push(Diagnostic {
            severity,
            file: self.file.display().to_string(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            variable,
            key: path.join("."),
            message,
            help,
            span,
            source: None,
        });
    }

    /// The place of the bytes `said` of the text written at `origin`; `origin` itself for a text that only refers to another.
    pub fn inside(&self, origin: &Origin, said: &Range<usize>) -> Origin {
        let Origin::File(span) = origin else { return origin.clone() };
        let raw = self.source.get(span.clone()).unwrap_or("");
        if is_reference(raw.trim_start_matches(['"', '\''])) {
            return origin.clone();
        }
        let found = place(raw, said).map(|found| span.start + found.start..span.start + found.end);
        Origin::File(found.unwrap_or_else(|| span.clone()))
    }

    /// The text at `origin` is a secret: no report may show it.
    pub fn hide(&self, origin: &Origin) {
        if let Origin::File(span) = origin {
            self.log.borrow_mut().secrets.push(span.clone());
        }
    }

    /// The configuration depends on this file as well.
    pub fn depends_on(&self, file: &Path) {
        self.log.borrow_mut().files.insert(file.to_owned());
    }

    /// Ends the reading: variables that nobody asked for are mistakes.
    pub fn finish(self) -> Outcome {
        for stray in self.overrides.iter().filter(|candidate| !candidate.used.get()) {
            let help = self.instead_of(&stray.path);
            let origin = Origin::Variable(Rc::clone(&stray.variable));
            let (message, help) = match self.overrides.iter().find(|other| other.used.get() && other.path == stray.path)
            {
                Some(twin) => (format!("sets the same key as `{}`", twin.variable), "unset one of them".to_owned()),
                None => ("overrides no key".to_owned(), help),
            };
            self.report(Severity::Error, &origin, &stray.path, message, Some(help));
        }
        let log = self.log.into_inner();
        Outcome {
            diagnostics: Diagnostics::new(cover(self.source, &log.secrets), log.found),
            files: log.files.into_iter().collect(),
            #[cfg(test)]
            known: log.known,
        }
    }

    /// Whether the key at `path`, something in it, or a slip of its name was reported as a mistake.
    fn knows_of_fault(&self, path: &[String]) -> bool {
        let (key, log) = (path.join("."), self.log.borrow());
        let inside =
            |other: &str| other.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let mistakes = log.found.iter().filter(|found| found.severity == Severity::Error);
        log.misspelt.contains(&key) || mistakes.into_iter().any(|found| inside(&found.key))
    }

    /// What to do about a variable for `wrong`, the path of no key: the known path that differs only by slips in single
    /// segments, or what keys there are beside it.
    fn instead_of(&self, wrong: &[String]) -> String {
        let log = self.log.borrow();
        let slips = |path: &[String]| -> Option<usize> {
            if wrong.len() != path.len() {
                return None;
            }
            let slips = wrong.iter().zip(path).filter(|(ours, theirs)| ours != theirs);
            slips.map(|(ours, theirs)| words::distance_if_near(ours, theirs)).sum()
        };
        if let Some((_, meant)) = log.known.iter().filter_map(|path| Some((slips(path)?, path))).min() {
            return format!("did you mean `PORTCULLIS__{}`?", meant.join("__").to_uppercase());
        }
        let Some((_, section)) = wrong.split_last() else { return String::new() };
        let beside = log.known.iter().filter(|path| path.len() == wrong.len() && path.starts_with(section));
        let keys: Vec<_> = beside.filter_map(|path| path.last()).map(|key| key.to_uppercase()).collect();
        if keys.is_empty() {
            return "no key of this version has that path; `__` separates its parts".to_owned();
        }
        format!("the last part may be {}", list(&keys))
    }

    /// The variable that overrides the key at `path`, now counted as used.
    fn override_of(&self, path: &[String]) -> Option<&Override> {
        let found = self.overrides.iter().find(|candidate| candidate.is(path))?;
        found.used.set(true);
        Some(found)
    }

    /// The variables that override keys somewhere below `path`.
    fn overrides_below<'s>(&'s self, path: &'s [String]) -> impl Iterator<Item = &'s Override> {
        self.overrides.iter().filter(move |candidate| candidate.is_below(path))
    }
}

/// A table of the configuration while it is being read.
pub(super) struct Section<'r> {
    pub reader: &'r Reader<'r>,
    path: Vec<String>,
    table: Rc<Table>,
    origin: Origin,
    known: BTreeSet<String>,
    /// Required keys that are absent, each with an example.
    missing: Vec<(String, String)>,
}

impl<'r> Section<'r> {
    pub(super) fn new(reader: &'r Reader<'r>, path: Vec<String>, table: Rc<Table>, origin: Origin) -> Self {
        Self { reader, path, table, origin, known: BTreeSet::new(), missing: Vec::new() }
    }

    /// The value of `key`, if there is one.
    pub fn value(&mut self, key: &str) -> Option<Value<'r>> {
        let path = self.path_of(key);
        self.known.insert(key.to_owned());
        self.reader.log.borrow_mut().known.insert(path.iter().map(|key| normal(key)).collect());
        let node = match self.reader.override_of(&path) {
            Some(found) => {
                Node { origin: Origin::Variable(Rc::clone(&found.variable)), tree: Tree::Loose(found.value.clone()) }
            }
            None => self.table.get(key)?.node.clone(),
        };
        Some(Value { reader: self.reader, path, node })
    }

    /// The value of a key that holds a table or may do so: variables for keys in it make it one.
    pub fn branch(&mut self, key: &str) -> Option<Value<'r>> {
        let value = self.value(key);
        let is_table = value.as_ref().is_some_and(Value::is_table);
        let path = self.path_of(key);
        let below = self.reader.overrides_below(&path).next().map(|below| Rc::clone(&below.variable));
        match below {
            Some(variable) if !is_table => {
                let node = Node { origin: Origin::Variable(variable), tree: Tree::Table(Rc::default()) };
                Some(Value { reader: self.reader, path, node })
            }
            _ => value,
        }
    }

    /// The value of a key that must be there; `example` shows how.
    pub fn required(&mut self, key: &str, example: &str) -> Option<Value<'r>> {
        let value = self.value(key);
        if value.is_none() {
            self.missing.push((key.to_owned(), example.to_owned()));
        }
        value
    }

    /// A table that must be there; `example` shows how.
    pub fn required_section(&mut self, key: &str, example: &str) -> Option<Section<'r>> {
        let value = self.branch(key);
        if value.is_none() {
            self.missing.push((key.to_owned(), example.to_owned()));
        }
        value?.section()
    }

    /// The section `key`, or an empty one, so that defaults and overrides apply alike.
    pub fn section(&mut self, key: &str) -> Section<'r> {
        let path = self.path_of(key);
        self.value(key)
            .and_then(|value| value.section())
            .unwrap_or_else(|| Section::new(self.reader, path, Rc::default(), self.origin.clone()))
    }

    /// The names of all keys, also those that only variables have; for sections whose keys the user chooses.
    pub fn names(&self) -> Vec<(String, Origin)> {
        let mut names: Vec<_> = self.table.0.iter().map(|key| (key.name.clone(), key.origin.clone())).collect();
        for variable in self.reader.overrides_below(&self.path) {
            let name = &variable.path[self.path.len()];
            if !names.iter().any(|(known, _)| normal(known) == *name) {
                names.push((name.clone(), Origin::Variable(Rc::clone(&variable.variable))));
            }
        }
        names
    }

    /// A span of time within `bounds`, or `default`.
    pub fn duration(&mut self, key: &str, default: Duration, bounds: RangeInclusive<Duration>) -> Duration {
        self.value(key).and_then(|value| value.duration(bounds)).unwrap_or(default)
    }

    /// A whole number within `bounds`, or `default`.
    pub fn integer(&mut self, key: &str, default: i64, bounds: RangeInclusive<i64>) -> i64 {
        self.value(key).and_then(|value| value.integer(bounds)).unwrap_or(default)
    }

    /// True, false, or `default`.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        self.value(key).and_then(|value| value.boolean()).unwrap_or(default)
    }

    /// A finding about the section as a whole.
    pub fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        self.reader.report(Severity::Error, &self.origin, &self.path, message.into(), Some(help.into()));
    }

    /// A remark about the section as a whole.
    pub fn note(&self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        self.reader.report(severity, &self.origin, &self.path, message.into(), Some(help.into()));
    }

    /// A mistake that the connector found at the key path `at` below this section, in its own words; nothing new is said
    /// about a key that is known to be wrong.
    pub fn refuse_at(&self, at: &[String], message: &str) {
        let path: Vec<_> = self.path.iter().chain(at).cloned().collect();
        if self.reader.knows_of_fault(&path) {
            return;
        }
        let last = at.last().map_or("", String::as_str);
        let message = format!("`{}`: {message}", last.escape_debug());
        self.reader.report(Severity::Error, &self.origin_at(at), &path, message, None);
    }

    /// A finding about the bytes `within` of the text at the key path `at` below this section, or about all of it.
    pub fn note_at(
        &self,
        severity: Severity,
        at: &[String],
        within: Option<&Range<usize>>,
        message: &str,
        help: Option<&str>,
    ) {
        let path: Vec<_> = self.path.iter().chain(at).cloned().collect();
        let mut origin = self.origin_at(at);
        if let Some(within) = within {
            origin = self.reader.inside(&origin, within);
        }
        self.reader.report(severity, &origin, &path, message.to_owned(), help.map(str::to_owned));
    }

    /// Where the value at the key path `at` below this section stands, or what is there of it.
    fn origin_at(&self, at: &[String]) -> Origin {
        let path: Vec<_> = self.path.iter().chain(at).cloned().collect();
        if let Some(found) = self.reader.override_of(&path) {
            return Origin::Variable(Rc::clone(&found.variable));
        }
        let mut origin = &self.origin;
        let mut table = Some(&self.table);
        for step in at {
            let (name, index) = match step.strip_suffix(']').and_then(|step| step.rsplit_once('[')) {
                Some((name, index)) => (name, index.parse::<usize>().ok()),
                None => (step.as_str(), None),
            };
            let Some(found) = table.and_then(|table| table.get(step).or_else(|| table.get(name))) else { break };
            let node = match (&found.node.tree, index) {
                (Tree::List(items), Some(index)) => items.get(index).unwrap_or(&found.node),
                _ => &found.node,
            };
            origin = &node.origin;
            table = if let Tree::Table(inner) = &node.tree { Some(inner) } else { None };
        }
        origin.clone()
    }

    /// Ends the section: keys that were not asked for are mistakes, and so are those that are missing.
    pub fn finish(self) {
        let unknown: Vec<_> = self.table.0.iter().filter(|key| !self.known.contains(&key.name)).collect();
        for key in &unknown {
            self.refuse_unknown(key);
        }
        self.refuse_missing(&unknown);
    }

    /// Ends a section that cannot be read further because what decides over its keys is wrong: no word about the rest.
    pub fn abandon(self) {
        for below in self.reader.overrides_below(&self.path) {
            below.used.set(true);
        }
        let unknown = self.table.0.iter().filter(|key| !self.known.contains(&key.name));
        let slips: Vec<_> = unknown.filter(|key| self.missing.iter().any(|(missing, _)| meant(key, missing))).collect();
        for key in &slips {
            self.refuse_unknown(key);
        }
        self.refuse_missing(&slips);
    }

    fn refuse_unknown(&self, key: &Key) {
        let place = if self.path.is_empty() { "this file".to_owned() } else { format!("[{}]", self.path.join(".")) };
        let known: Vec<_> = self.known.iter().map(String::as_str).collect();
        let message = format!("`{}` is not a key of {place}", key.name.escape_debug());
        self.reader.report(
            Severity::Error,
            &key.origin,
            &self.path_of(&key.name),
            message,
            Some(choose(&key.name, &known)),
        );
    }

    /// A missing key of which `unknown` holds a slip is one mistake, not two.
    fn refuse_missing(&self, unknown: &[&Key]) {
        for (missing, example) in &self.missing {
            if unknown.iter().any(|key| meant(key, missing)) {
                self.reader.log.borrow_mut().misspelt.insert(self.path_of(missing).join("."));
                continue;
            }
            let place = if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path.join(".")) };
            let message = format!("`{missing}` is missing{place}");
            let help = Some(format!("add `{example}`"));
            self.reader.report(Severity::Error, &self.origin, &self.path_of(missing), message, help);
        }
    }

    fn path_of(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }
}

/// Whether `key` was probably meant to be `word`.
fn meant(key: &Key, word: &str) -> bool {
    words::distance_if_near(&key.name, word).is_some()
}

/// What to write instead of `wrong`: the word that was probably meant, or any of `words`.
pub(super) fn choose(wrong: &str, words: &[&str]) -> String {
    match words::nearest(wrong, words.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("choose {}", list(words)),
    }
}

/// `a`, `b` or `c`, for a help text.
pub(super) fn list<'a, T: AsRef<str> + 'a>(words: impl IntoIterator<Item = &'a T>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => "none".to_owned(),
    }
}
