//! Entries of the server as people and groups, and keys as filters. What somebody's being disabled looks like is here, too.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use ldap3::{Mod, ldap_escape};
use serde_json::{Map, Value};

use super::config::{Config, Disabled, Entity, Form};
use super::dn::Dn;
use super::pool::Raw;
use crate::ports::{DirectoryError, Entry};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::types::Timestamp;

/// The longest key that is looked for.
const MAX_KEY: usize = 256;

/// A change of an entry.
pub type Change = Mod<Vec<u8>>;

/// The filter that finds the entry with this key, if there can be one.
pub fn key_filter(entity: &Entity, key: &str) -> Option<String> {
    let name = &entity.key.name;
    match entity.key.form {
        Form::Text => {
            let possible = !key.is_empty() && key.len() <= MAX_KEY && !key.chars().any(char::is_control);
            possible.then(|| format!("({name}={})", ldap_escape(key)))
        }
        Form::Uuid => uuid(key).map(|_| format!("({name}={key})")),
        Form::Guid => {
            let mut text = String::new();
            for byte in swapped(uuid(key)?) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:02x}");
            }
            Some(format!("({name}={text})"))
        }
    }
}

/// The key of an entry, as SCIM shows it.
pub fn key(entity: &Entity, raw: &Raw) -> Option<String> {
    let held = raw.values(&entity.key.name).first()?;
    match entity.key.form {
        Form::Text => String::from_utf8(held.clone()).ok(),
        Form::Uuid => String::from_utf8(held.clone()).ok().map(|key| key.to_lowercase()),
        Form::Guid => {
            let mut text = String::with_capacity(36);
            for (place, byte) in swapped(held.as_slice().try_into().ok()?).into_iter().enumerate() {
                if matches!(place, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                let _ = write!(text, "{byte:02x}");
            }
            Some(text)
        }
    }
}

/// The bytes of a UUID in the one spelling that keys have.
fn uuid(key: &str) -> Option<[u8; 16]> {
    let dashes = key.len() == 36
        && key.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    let number = u128::from_str_radix(&key.replace('-', ""), 16).ok()?;
    dashes.then(|| number.to_be_bytes())
}

/// Between the order in which a GUID is kept and the one in which it is written.
fn swapped(bytes: [u8; 16]) -> [u8; 16] {
    let mut swapped = bytes;
    for number in [0..4, 4..6, 6..8] {
        swapped[number].reverse();
    }
    swapped
}

/// What an entry says, as the connector's caller knows it.
pub fn entry(config: &Config, entity: &Entity, raw: &Raw) -> Result<Entry, DirectoryError> {
    let key = key(entity, raw).ok_or_else(|| nonsense(&format!("an entry has no {}", entity.key.name)))?;
    let mut record = Map::new();
    for (_, field) in &entity.columns {
        if let Some(value) = raw.texts(field).next() {
            record.insert(field.clone(), Value::String(value.to_owned()));
        }
    }
    let mut resource = entity.mapping.person(&record).map_err(|error| nonsense(&error.to_string()))?;
    if entity.kind == ResourceType::User {
        let active = AttrPath::core("active");
        match is_disabled(&config.disabled, raw) {
            Some(disabled) => resource.set(&active, Value::Bool(!disabled)),
            None if resource.active().is_none() => resource.set(&active, Value::Bool(true)),
            None => {}
        }
    }
    let version = entity.version.as_ref().and_then(|version| raw.texts(version).next()).map(String::from);
    let time = |name| raw.texts(name).next().and_then(generalized);
    Ok(Entry { key, resource, created: time("createTimestamp"), modified: time("modifyTimestamp"), version })
}

/// Whether somebody is disabled, where a rule says how.
fn is_disabled(disabled: &Disabled, raw: &Raw) -> Option<bool> {
    match disabled {
        Disabled::Mapped => None,
        Disabled::Value { attribute, value, .. } => {
            Some(raw.texts(attribute).any(|held| held.eq_ignore_ascii_case(value)))
        }
        Disabled::Mask { attribute, mask, .. } => Some(bits(raw, attribute).unwrap_or(0) & mask == *mask),
        Disabled::Base { dn, .. } => Some(Dn::parse(&raw.dn).is_some_and(|own| own.is_within(dn))),
    }
}

fn bits(raw: &Raw, attribute: &str) -> Option<u32> {
    // A server may give it as a signed number.
    let number: i64 = raw.texts(attribute).next()?.parse().ok()?;
    u32::try_from(number.rem_euclid(1 << 32)).ok()
}

/// What a new entry's attribute says of being disabled or not.
pub fn fresh(disabled: &Disabled, off: bool) -> Option<super::Values> {
    let (attribute, value) = match disabled {
        Disabled::Value { attribute, value, .. } if off => (attribute, value.clone()),
        Disabled::Value { attribute, enabled: Some(enabled), .. } => (attribute, enabled.clone()),
        Disabled::Mask { attribute, mask, initial } => {
            let number = if off { initial | mask } else { *initial };
            (attribute, number.to_string())
        }
        Disabled::Mapped | Disabled::Value { .. } | Disabled::Base { .. } => return None,
    };
    Some((attribute.clone(), vec![value.into_bytes()]))
}

/// What must change in an entry for somebody to be disabled, or no longer. Moving is not among it.
pub fn switch(disabled: &Disabled, raw: &Raw, off: bool) -> Vec<Change> {
    if is_disabled(disabled, raw).is_none_or(|is| is == off) {
        return Vec::new();
    }
    let text = |text: &str| text.as_bytes().to_vec();
    match disabled {
        Disabled::Mapped | Disabled::Base { .. } => Vec::new(),
        Disabled::Value { attribute, value, enabled: Some(enabled) } => {
            let value = if off { value } else { enabled };
            vec![Mod::Replace(text(attribute), [text(value)].into())]
        }
        Disabled::Value { attribute, value, enabled: None } if off => {
            vec![Mod::Add(text(attribute), [text(value)].into())]
        }
        Disabled::Value { attribute, value, enabled: None } => {
            vec![Mod::Delete(text(attribute), [text(value)].into())]
        }
        // Removing the number as it was read makes sure that nobody else's bit is lost.
        Disabled::Mask { attribute, mask, initial } => {
            let held = raw.texts(attribute).next();
            let number = bits(raw, attribute).unwrap_or(*initial);
            let number = if off { number | mask } else { number & !mask };
            let gone = held.map(|held| Mod::Delete(text(attribute), [text(held)].into()));
            gone.into_iter().chain([Mod::Add(text(attribute), [number.to_string().into_bytes()].into())]).collect()
        }
    }
}

/// A value as the server takes it.
pub fn written(entity: &Entity, field: &str, value: &Value) -> Result<Option<Vec<u8>>, DirectoryError> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.clone(),
        // RFC 4517 §3.3.3.
        Value::Bool(yes) => if *yes { "TRUE" } else { "FALSE" }.to_owned(),
        other => other.to_string(),
    };
    if text.contains('\0') {
        let path = entity.columns.iter().find(|(_, known)| known == field).map(|(path, _)| path.to_string());
        return Err(DirectoryError::Invalid { attribute: path, detail: "holds a NUL character".into() });
    }
    Ok(Some(text.into_bytes()))
}

/// A time of RFC 4517 §3.3.13, to the second, in UTC as servers give it.
fn generalized(text: &str) -> Option<Timestamp> {
    let (digits, rest) = text.split_at_checked(14)?;
    if !rest.ends_with('Z') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(Timestamp::from_seconds(Offset::UTC.to_timestamp(time).ok()?.as_second()))
}

/// What a server says makes no sense.
pub fn nonsense(problem: &str) -> DirectoryError {
    DirectoryError::Failed { reason: problem.to_owned(), maybe_done: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_swapped_and_times_read() {
        let bytes = uuid("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(swapped(bytes)[..8], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
        assert_eq!(swapped(swapped(bytes)), bytes);
        for none in ["", "0", "00112233-4455-6677-8899-AABBCCDDEEFF", "001122334455-6677-8899-aabbccddeeff-", "é"] {
            assert_eq!(uuid(none), None, "{none}");
        }
        assert_eq!(generalized("20260102030405Z"), Some(Timestamp::from_seconds(1_767_323_045)));
        assert_eq!(generalized("20260102030405.0Z"), Some(Timestamp::from_seconds(1_767_323_045)));
        for none in ["", "2026", "20260102030405", "20261302030405Z", "2026010203040éZ"] {
            assert_eq!(generalized(none), None, "{none}");
        }
    }
}
