//! What a REST directory's answers mean: statuses as [`DirectoryError`], bodies as entries. Pure; a body that makes no sense
//! is an error, never half an answer. The directory's own words go on to the identity provider only when they hold none of
//! the values sent (design decision 13).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};

use super::config::Config;
use super::verdict::Meaning;
use crate::directory::words::{bounded, repeats};
use crate::ports::{DirectoryError, Entry};

/// Which call an answer belongs to, as far as its meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading one person.
    Read,
    /// Finding people by a value, or listing them.
    Find,
    /// Creating a person.
    Create,
    /// Changing a person.
    Update,
    /// Removing a person.
    Delete,
    /// Making somebody a member of a group.
    Add,
    /// Ending a membership.
    Remove,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Find, Self::Create, Self::Update, Self::Delete, Self::Add, Self::Remove];

    /// Whether the call changes something.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Read | Self::Find)
    }

    /// Whether the call is about one person, who may be gone.
    const fn addresses(self) -> bool {
        !matches!(self, Self::Find | Self::Create)
    }

    /// Its name, as the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Find => "find",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }

    /// An answer that makes no sense.
    pub fn nonsense(self, problem: impl std::fmt::Display) -> DirectoryError {
        DirectoryError::Failed {
            reason: format!("nonsense in the answer to {}: {problem}", self.name()),
            maybe_done: self.changes(),
        }
    }
}

/// What a status other than 2xx means. `wait` is the answer's `Retry-After`; `sent` the values that must not come back.
pub fn refusal(
    config: &Config,
    step: Step,
    status: StatusCode,
    wait: Option<Duration>,
    body: &[u8],
    sent: &[&str],
) -> DirectoryError {
    let failed = |maybe_done| DirectoryError::Failed {
        reason: format!("{} was answered {}", step.name(), status.as_u16()),
        maybe_done: maybe_done && step.changes(),
    };
    match status.as_u16() {
        404 | 410 if step.addresses() => DirectoryError::NotFound,
        400 | 422 if step != Step::Read => invalid(config, None, body, sent),
        409 => conflict(config, None, body),
        401 | 403 => DirectoryError::Refused { reason: format!("{} was answered {}", step.name(), status.as_u16()) },
        429 => DirectoryError::Busy { retry_after: wait },
        503 if wait.is_some() => DirectoryError::Busy { retry_after: wait },
        // Every other 4xx, 501 and 505 say that the request itself was not taken; a 3xx or 5xx may come after the work.
        400..=499 | 501 | 505 => failed(false),
        _ => failed(true),
    }
}

/// What an answer means that a rule speaks about; `None`: it is done.
pub fn meant(
    config: &Config,
    meaning: &Meaning,
    step: Step,
    wait: Option<Duration>,
    body: &[u8],
    sent: &[&str],
) -> Option<DirectoryError> {
    let reason = || format!("{} was answered with what is declared to mean so", step.name());
    Some(match meaning {
        Meaning::Success => return None,
        Meaning::Duplicate(attribute) => conflict(config, attribute.clone(), body),
        Meaning::Gone => DirectoryError::NotFound,
        Meaning::Invalid(attribute) => invalid(config, attribute.clone(), body, sent),
        Meaning::NoCapacity => {
            let detail = words(config, body).filter(|words| !repeats(words, sent));
            DirectoryError::NoCapacity { detail: detail.unwrap_or_else(|| "the user directory has none left".into()) }
        }
        Meaning::Busy => DirectoryError::Busy { retry_after: wait },
        Meaning::Refused => DirectoryError::Refused { reason: reason() },
        Meaning::Failed => DirectoryError::Failed { reason: reason(), maybe_done: false },
    })
}

/// A value that the directory did not take; `attribute` if it is known without its words.
fn invalid(config: &Config, attribute: Option<String>, body: &[u8], sent: &[&str]) -> DirectoryError {
    let words = words(config, body);
    let named = words.as_deref().and_then(|words| config.table.named_in(words));
    let attribute = attribute.or_else(|| named.map(|(path, _)| path.to_string()));
    let detail = match (words.as_deref(), named) {
        (Some(words), _) if !repeats(words, sent) => format!("the user directory says: {words}"),
        (_, Some((_, field))) => format!("the user directory refused the value for its field \"{field}\""),
        _ => "the user directory refused a value and did not say which".into(),
    };
    DirectoryError::Invalid { attribute, detail }
}

/// A value that another entry holds.
fn conflict(config: &Config, attribute: Option<String>, body: &[u8]) -> DirectoryError {
    let named = || {
        let words = words(config, body)?;
        config.table.named_in(&words).map(|(path, _)| path.to_string())
    };
    DirectoryError::Conflict { attribute: attribute.or_else(named).unwrap_or_else(|| config.name.to_string()) }
}

/// The directory's own explanation, on one line and of bounded length.
fn words(config: &Config, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = body.pointer(&config.error)?.as_str()?;
    bounded(text)
}

/// A body that should be one JSON object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a JSON object"),
        Err(error) if error.is_eof() => Err("its JSON ends too early"),
        Err(_) => Err("it is not JSON"),
    }
}

/// The key in a record: text or a whole number, such as can stand in a path.
pub fn key(config: &Config, record: &Map<String, Value>) -> Result<String, String> {
    let key = match record.get(&config.key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        Some(_) => return Err(format!("its \"{}\" is neither text nor a whole number", config.key)),
        None => return Err(format!("it has no \"{}\"", config.key)),
    };
    if key.bytes().all(|byte| byte == b'.') || key.len() > 1024 || key.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(format!("its \"{}\" cannot be a key", config.key));
    }
    Ok(key)
}

/// What changes with every change of a record, if it holds that.
pub fn version(config: &Config, record: &Map<String, Value>) -> Option<String> {
    text(record.get(config.version.as_ref()?)?)
}

/// A text or a whole number, as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A record as an entry.
pub fn entry(config: &Config, record: &Map<String, Value>) -> Result<Entry, String> {
    let key = key(config, record)?;
    let resource = config.resource(record).map_err(|error| error.to_string())?;
    if resource.text(&config.name).is_none() {
        return Err(format!("it holds no {}", if config.name.is("userName") { "user name" } else { "display name" }));
    }
    let version = version(config, record);
    Ok(Entry { key, resource, created: None, modified: None, version })
}

/// The entries of a list.
pub fn entries(config: &Config, items: &[Value]) -> Result<Vec<Entry>, String> {
    let entries = items.iter().enumerate().map(|(index, item)| {
        let record = item.as_object().ok_or_else(|| format!("entry {index} is not a JSON object"))?;
        entry(config, record).map_err(|problem| format!("entry {index}: {problem}"))
    });
    entries.collect()
}

/// The list in the body of a list or find answer, and what it says about how many there are in all.
pub fn items(mut answer: Value, items: &str, total: &str) -> Result<(Vec<Value>, Option<u64>), String> {
    let total = match answer.pointer(total) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    match answer.pointer_mut(items) {
        Some(Value::Array(list)) => Ok((std::mem::take(list), total)),
        _ => Err(format!("there is no list at \"{items}\"")),
    }
}
