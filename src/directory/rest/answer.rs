//! What a REST directory's answers mean: statuses as [`DirectoryError`], bodies as entries. Pure; a body that makes no sense
//! is an error, never half an answer. The directory's own words go on to the identity provider only when they hold none of
//! the values sent (design decision 13).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};

use super::config::Config;
use crate::ports::{DirectoryError, Entry};

/// The longest explanation of the directory that is passed on, in bytes.
const LONGEST_WORDS: usize = 300;

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
}

impl Step {
    /// Whether the call changes something.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }

    /// Whether the call is about one person, who may be gone.
    const fn addresses(self) -> bool {
        matches!(self, Self::Read | Self::Update | Self::Delete)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Find => "find",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
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
        400 | 422 if step != Step::Read => {
            let words = words(config, body);
            let named = words.as_deref().and_then(|words| config.table.named_in(words));
            let attribute = named.map(|(path, _)| path.to_string());
            let detail = match (words.as_deref(), named) {
                (Some(words), _) if !repeats(words, sent) => format!("the user directory says: {words}"),
                (_, Some((_, field))) => format!("the user directory refused the value for its field \"{field}\""),
                _ => "the user directory refused a value and did not say which".into(),
            };
            DirectoryError::Invalid { attribute, detail }
        }
        409 => {
            let words = words(config, body).unwrap_or_default();
            let attribute =
                config.table.named_in(&words).map_or_else(|| "userName".into(), |(path, _)| path.to_string());
            DirectoryError::Conflict { attribute }
        }
        401 | 403 => DirectoryError::Refused { reason: format!("{} was answered {}", step.name(), status.as_u16()) },
        429 => DirectoryError::Busy { retry_after: wait },
        503 if wait.is_some() => DirectoryError::Busy { retry_after: wait },
        // Every other 4xx, 501 and 505 say that the request itself was not taken; a 3xx or 5xx may come after the work.
        400..=499 | 501 | 505 => failed(false),
        _ => failed(true),
    }
}

/// The directory's own explanation, on one line and of bounded length.
fn words(config: &Config, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = body.pointer(&config.error)?.as_str()?;
    let mut words: String = text.split(|c: char| c.is_control() || c.is_whitespace()).collect::<Vec<_>>().join(" ");
    words.truncate(words.floor_char_boundary(LONGEST_WORDS));
    Some(words).filter(|words| !words.is_empty())
}

/// Whether a text repeats a value that was sent, or a longer word of one.
fn repeats(words: &str, sent: &[&str]) -> bool {
    let words = words.to_lowercase();
    sent.iter().any(|value| {
        let value = value.to_lowercase();
        (value.chars().count() > 1 && words.contains(&value))
            || value.split(|c: char| !c.is_alphanumeric()).any(|part| part.chars().count() > 2 && words.contains(part))
    })
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

/// A record as an entry.
pub fn entry(config: &Config, record: &Map<String, Value>) -> Result<Entry, String> {
    let key = key(config, record)?;
    let person = config.person(record).map_err(|error| error.to_string())?;
    if person.user_name().is_none() {
        return Err("it holds no user name".into());
    }
    let version = match config.version.as_ref().and_then(|member| record.get(member)) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Ok(Entry { key, resource: person, created: None, modified: None, version })
}

/// The entries of a list or find answer, and what it says about how many there are in all.
pub fn entries(config: &Config, body: &[u8]) -> Result<(Vec<Entry>, Option<u64>), String> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON, or cut short")?;
    let items = answer.pointer(&config.items).and_then(Value::as_array);
    let items = items.ok_or_else(|| format!("there is no list at \"{}\"", config.items))?;
    let entries = items.iter().enumerate().map(|(index, item)| {
        let record = item.as_object().ok_or_else(|| format!("entry {index} is not a JSON object"))?;
        entry(config, record).map_err(|problem| format!("entry {index}: {problem}"))
    });
    let total = match answer.pointer(&config.total) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    Ok((entries.collect::<Result<_, _>>()?, total))
}
