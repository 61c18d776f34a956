//! `dialect = "…"`: the name of a built-in dialect, or a TOML file of the operator's own that can say all that a built-in one
//! says (`config/dialects/` has each of them in that form). What a file leaves unsaid is its `base`'s; mistakes in it are
//! reported with the file's own lines, and it is watched like the configuration that names it.

mod rules;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::load::parse_toml;
use super::reader::{Reader, Section, choose};
use super::tenant::limits;
use super::value::{Advice, Value, advice};
use super::words;
use crate::dialect::{
    Dialect, Errors, Offering, OnDelete, OnDisable, OnExisting, Protected, SecretForm, SecretTokens, Visibility,
};
use crate::scim::path::AttrPath;
use crate::scim::schema::{self, Attribute, Kind};

/// Largest dialect file.
const FILE_LIMIT: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_hours(24);

pub(super) use rules::signs;

pub(super) const DISABLES: [(&str, OnDisable); 3] =
    [("disable", OnDisable::Disable), ("unlink", OnDisable::Unlink), ("delete", OnDisable::Delete)];
pub(super) const DELETES: [(&str, OnDelete); 3] =
    [("delete", OnDelete::Delete), ("deactivate", OnDelete::Deactivate), ("unlink", OnDelete::Unlink)];

/// The dialect that the key `dialect` names.
pub(super) fn read(value: &Value<'_>) -> Option<Arc<Dialect>> {
    let text = value.text()?;
    let is_file = Path::new(&text).extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    if is_file || text.contains('/') { file(value) } else { built_in(value) }
}

fn built_in(value: &Value<'_>) -> Option<Arc<Dialect>> {
    value.parse(|text| {
        let all = Dialect::all();
        let names = all.each_ref().map(|dialect| dialect.name.as_str());
        Dialect::named(text).map(Arc::clone).ok_or_else(|| advice("is no dialect", choose(text, &names)))
    })
}

fn file(value: &Value<'_>) -> Option<Arc<Dialect>> {
    let path = value.file_path()?;
    value.reader.depends_on(&path);
    let mut source = String::new();
    let read = File::open(&path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut source));
    let fault = match read {
        Ok(length) if length as u64 > FILE_LIMIT => Some("it is larger than 1 MiB".to_owned()),
        Ok(_) => None,
        Err(fault) => Some(fault.to_string()),
    };
    if let Some(fault) = fault {
        let help = "name a TOML file that the gateway may read; relative paths start at the configuration file";
        value.refuse(format!("cannot read the dialect `{}`: {fault}", path.display()), help);
        return None;
    }
    let table = match parse_toml(&source, &path) {
        Ok(table) => table,
        Err(found) => {
            value.reader.adopt(found, Vec::new());
            return None;
        }
    };
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let reader = Reader::beside(&path, &source, value.reader.environment);
    let dialect = dialect(&name, reader.root(table));
    let outcome = reader.finish();
    let whole = !outcome.diagnostics.has_errors();
    value.reader.adopt(outcome.diagnostics, outcome.files);
    dialect.filter(|_| whole).map(Arc::new)
}

/// All keys of a dialect file.
fn dialect(name: &str, mut section: Section<'_>) -> Option<Dialect> {
    let base = match section.value("base") {
        Some(value) => built_in(&value),
        None => Dialect::named("standard").map(Arc::clone),
    };
    let Some(base) = base else {
        section.abandon();
        return None;
    };
    let mut dialect = Dialect { name: name.to_owned(), ..Dialect::clone(&base) };
    set(&mut dialect.title, section.value("title").and_then(|value| title(&value)));
    doors(&mut dialect, &mut section);
    policies(&mut dialect, &mut section);
    values(&mut dialect, &mut section);
    if let Some(value) = section.branch("on_create") {
        set(&mut dialect.on_create, value.section().and_then(on_create));
    }
    if let Some(value) = section.branch("protected") {
        dialect.protected = if value.is_word("none") { None } else { value.section().and_then(protected) };
    }
    set(&mut dialect.locked, section.value("locked").and_then(|value| paths(&value)));
    set(&mut dialect.locked_actions, section.value("locked_actions").and_then(|value| texts(&value)));
    if let Some(errors) = section.branch("errors").and_then(|value| value.section()) {
        dialect.errors = self::errors(errors, dialect.errors);
    }
    if !dialect.oauth && dialect.secret_tokens.is_none() {
        let help = "set `oauth = true`, or `secret_tokens = { form = \"prefixed\" }`";
        section.refuse("nobody could come in: there is neither an OAuth door nor one for secret tokens", help);
    }
    section.finish();
    Some(dialect)
}

/// Base path, doors and tokens.
fn doors(dialect: &mut Dialect, section: &mut Section<'_>) {
    set(&mut dialect.scim_base, section.value("scim_base").and_then(|value| url_path(&value)));
    if let Some(value) = section.value("scim_alias") {
        dialect.scim_alias = if value.is_word("none") { None } else { url_path(&value) };
    }
    dialect.oauth = section.boolean("oauth", dialect.oauth);
    if let Some(value) = section.value("oauth_alias") {
        dialect.oauth_alias = if value.is_word("none") { None } else { url_path(&value) };
    }
    let hour = Duration::from_hours(1);
    dialect.refresh_idle = section.duration("refresh_idle", dialect.refresh_idle, hour..=DAY * 366);
    dialect.access_ttl = section.duration("access_ttl", dialect.access_ttl, Duration::from_mins(1)..=DAY);
    if let Some(value) = section.branch("secret_tokens") {
        dialect.secret_tokens = if value.is_word("none") { None } else { value.section().and_then(secret_tokens) };
    }
}

fn secret_tokens(mut section: Section<'_>) -> Option<SecretTokens> {
    let forms = [("prefixed", SecretForm::Prefixed), ("base64-pair", SecretForm::Base64Pair)];
    let form = section.required("form", "form = \"prefixed\"").and_then(|value| word(&value, &forms));
    let single = section.boolean("single", false);
    section.finish();
    Some(SecretTokens { form: form?, single })
}

/// What creates, disables and deletes do, and who sees whom.
fn policies(dialect: &mut Dialect, section: &mut Section<'_>) {
    let visibilities = [("everyone", Visibility::Everyone), ("managed", Visibility::Managed)];
    let existing = [("conflict", OnExisting::Conflict), ("link", OnExisting::Link)];
    set(&mut dialect.visibility, section.value("visibility").and_then(|value| word(&value, &visibilities)));
    set(&mut dialect.on_existing, section.value("on_existing").and_then(|value| word(&value, &existing)));
    set(&mut dialect.on_disable, section.value("on_disable").and_then(|value| word(&value, &DISABLES)));
    set(&mut dialect.on_delete, section.value("on_delete").and_then(|value| word(&value, &DELETES)));
    dialect.revives = section.boolean("revives", dialect.revives);
    dialect.default_active = section.boolean("default_active", dialect.default_active);
    dialect.groups = section.boolean("groups", dialect.groups);
    if let Some(value) = section.branch("limits") {
        dialect.default_limits = limits(&value, dialect.default_limits);
    }
}

/// Which attributes there are, and what their values must be like.
fn values(dialect: &mut Dialect, section: &mut Section<'_>) {
    if let Some(value) = section.value("attributes") {
        let offering = if value.is_word("all") { Some(Offering::Everything) } else { offering(&value) };
        set(&mut dialect.offering, offering);
    }
    let required = section.value("required");
    set(&mut dialect.required, required.as_ref().and_then(paths));
    let hidden = dialect.required.iter().find(|path| !dialect.offers(path));
    if let Some(hidden) = hidden {
        let message = format!("{hidden} is required and not offered: nobody could be created");
        let help = "add it to `attributes`, or take it out of `required`";
        match &required {
            Some(value) => value.refuse(message, help),
            None => section.refuse(message, help),
        }
    }
    if let Some(pairs) = section.branch("copied").and_then(|value| value.section()) {
        dialect.copied = self::pairs(pairs, |text| attribute(text, false));
    }
    if let Some(pairs) = section.branch("filters").and_then(|value| value.section()) {
        dialect.aliases = self::pairs(pairs, |text| Ok(text.to_owned()));
    }
    if let Some(value) = section.value("rules") {
        rules::read(&mut dialect.rules, &value);
    }
}

/// `[on_create]`: attributes and what a new person gets there.
pub(super) fn on_create(mut section: Section<'_>) -> Option<Vec<(AttrPath, Json)>> {
    let mut given = Vec::new();
    for (name, _) in section.names() {
        let Some(value) = section.value(&name) else { continue };
        let path = match attribute(&name, true) {
            Ok(path) => path,
            Err(fault) => {
                value.refuse_key(fault);
                continue;
            }
        };
        let given_value = value.scalar()?;
        let wanted = path.leaf().map(|leaf| (leaf.kind, leaf.sub_attributes.is_empty()));
        let fits = match wanted {
            Some((Kind::Boolean, _)) => given_value.is_boolean(),
            Some((Kind::Integer | Kind::Decimal, _)) => given_value.is_number(),
            Some((Kind::Complex, _)) => false,
            Some(_) => given_value.is_string(),
            None => true,
        };
        if !fits {
            let help = match wanted {
                Some((Kind::Complex, _)) => format!("name the part that gets the value, such as `{name}.value`"),
                Some((kind, _)) => format!("{name} is of the type {}", kind.as_str()),
                None => String::new(),
            };
            value.refuse(format!("this is no value for {name}"), help);
        }
        given.push((path, given_value));
    }
    section.finish();
    Some(given)
}

fn protected(mut section: Section<'_>) -> Option<Protected> {
    let attribute = section.required("attribute", "attribute = \"roles\"").and_then(|value| {
        value.parse(|text| {
            let path = attribute(text, true)?;
            if path.filter.is_some() {
                return Err(advice("picks entries", "write the attribute without a filter, such as \"roles\""));
            }
            Ok(path)
        })
    });
    let values = section.required("values", "values = [\"admin\"]").and_then(|value| texts(&value));
    section.finish();
    Some(Protected { attribute: attribute?, values: values? })
}

fn errors(mut section: Section<'_>, base: Errors) -> Errors {
    let mut errors = base;
    let mut words = |key: &str, held: Option<String>| match section.value(key) {
        Some(value) if value.is_word("none") => None,
        Some(value) => title(&value),
        None => held,
    };
    errors.throttle_code = words("throttle_code", errors.throttle_code);
    errors.no_capacity = words("no_capacity", errors.no_capacity);
    errors.conflict = words("conflict", errors.conflict);
    errors.throttle_envelope = section.boolean("throttle_envelope", errors.throttle_envelope);
    errors.directory_words = section.boolean("directory_words", errors.directory_words);
    if let Some(fields) = section.branch("fields").and_then(|value| value.section()) {
        errors.fields = pairs(fields, |text| Ok(text.to_owned()));
    }
    section.finish();
    errors
}

/// A table whose values are attributes.
fn pairs<K>(mut section: Section<'_>, key: impl Fn(&str) -> Result<K, Advice>) -> Vec<(K, AttrPath)> {
    let mut read = Vec::new();
    for (name, _) in section.names() {
        let Some(value) = section.value(&name) else { continue };
        match key(&name) {
            Ok(key) => read.extend(one(&value).map(|path| (key, path))),
            Err(fault) => value.refuse_key(fault),
        }
    }
    section.finish();
    read
}

fn offering(value: &Value<'_>) -> Option<Offering> {
    let read: Vec<_> = value
        .list()?
        .into_iter()
        .map(|item| {
            item.parse(|text| {
                let path = attribute(text, false)?;
                Offering::fault(&path).map_or(Ok(path), |(fault, help)| Err(advice(fault, help)))
            })
        })
        .collect();
    // All items are looked at before the first wrong one ends the list.
    Some(Offering::listed(&read.into_iter().collect::<Option<Vec<_>>>()?))
}

fn paths(value: &Value<'_>) -> Option<Vec<AttrPath>> {
    let read: Vec<_> = value.list()?.iter().map(one).collect();
    read.into_iter().collect()
}

pub(super) fn texts(value: &Value<'_>) -> Option<Vec<String>> {
    value.list()?.iter().map(title).collect()
}

fn one(value: &Value<'_>) -> Option<AttrPath> {
    value.parse(|text| attribute(text, false))
}

/// A path that a schema knows; with `foreign` also one of a schema that is nobody's but the directory's.
fn attribute(text: &str, foreign: bool) -> Result<AttrPath, Advice> {
    let example = "write it as in an attribute mapping, such as `emails[type eq \"work\"].value`";
    let path = AttrPath::parse(text).map_err(|error| advice(format!("is no attribute: {}", error.detail), example))?;
    if path.leaf().is_some() {
        return Ok(path);
    }
    let names = |attributes: &[Attribute]| attributes.iter().map(|one| one.name).collect::<Vec<_>>();
    let (wrong, known) = match (&path.schema, path.definition(), &path.sub) {
        (_, Some(whole), Some(sub)) => (sub.as_str(), names(whole.sub_attributes)),
        (Some(urn), ..) => match schema::extension(urn) {
            Some(extension) => (path.attribute.as_str(), names(extension.attributes)),
            None if foreign => return Ok(path),
            None => return Err(advice("is of a schema that is not known", format!("choose `{}`", schema::ENTERPRISE))),
        },
        (None, ..) => (path.attribute.as_str(), [names(schema::user().attributes), vec!["externalId"]].concat()),
    };
    let help = match words::nearest(wrong, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if wrong.is_empty() => "name the attribute too".to_owned(),
        None => example.to_owned(),
    };
    Err(advice("is an attribute of no schema", help))
}

/// One of `words`.
pub(super) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
    value.parse(|text| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meant)| *meant).ok_or_else(|| advice("is none of the words for it", choose(text, &known)))
    })
}

/// A text for people: one line, not empty.
fn title(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        if text.trim().is_empty() || text.len() > 500 || text.contains(char::is_control) {
            return Err(advice("is not a line of text", "write 1 to 500 characters without line breaks"));
        }
        Ok(text.to_owned())
    })
}

/// A path below a tenant's prefix.
fn url_path(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        let segment = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            plain && !part.is_empty() && !part.bytes().all(|byte| byte == b'.')
        };
        let taken = ["oauth", "console", "managed", ".well-known"];
        if !text.split('/').all(segment) || text.len() > 200 {
            return Err(advice("is no path", "write it without slashes around it, such as \"scim/v2\""));
        }
        if text.split('/').next().is_some_and(|first| taken.contains(&first)) {
            return Err(advice("leads to another part of the gateway", "choose another first part"));
        }
        Ok(text.to_owned())
    })
}

fn set<T>(place: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *place = read;
    }
}
