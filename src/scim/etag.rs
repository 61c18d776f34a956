//! Versions of resources as weak entity tags (RFC 7644 §3.14, RFC 9110 §8.8.3), and the conditions that requests put on them.
//!
//! Tags are compared weakly, also for `If-Match`: RFC 7644 gives weak tags for exactly that use.

use std::fmt::Write as _;

use serde_json::Value;

use super::error::{ScimError, excerpt};
use super::resource::Resource;
use crate::types::Digest;

/// The entity tag of a version as the directory tells it.
#[must_use]
pub fn weak(version: &str) -> String {
    let plain =
        version.len() <= 64 && version.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if plain { format!("W/\"{version}\"") } else { tag_of(version.as_bytes()) }
}

/// The entity tag of a resource whose directory knows no versions: made from its content, whatever the order of its attributes.
#[must_use]
pub fn of_content(resource: &Resource) -> String {
    let mut text = String::new();
    write_sorted(&mut text, resource.as_map().iter());
    tag_of(text.as_bytes())
}

fn tag_of(bytes: &[u8]) -> String {
    let mut tag = String::from("W/\"");
    for byte in &Digest::of(bytes).as_slice()[..12] {
        // Writing into a String cannot fail.
        _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn write_sorted<'a>(text: &mut String, attributes: impl Iterator<Item = (&'a String, &'a Value)>) {
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort_by_key(|(name, _)| *name);
    text.push('{');
    for (name, value) in attributes {
        _ = write!(text, "{name:?}:");
        match value {
            Value::Object(parts) => write_sorted(text, parts.iter()),
            other => _ = write!(text, "{other}"),
        }
    }
    text.push('}');
}

/// What becomes of a request under its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Proceed,
    /// `If-None-Match` names the current version: a GET or HEAD is answered with 304, anything else with 412.
    NotModified,
    /// 412.
    Failed,
}

impl Verdict {
    /// The refusal of a request that changes something, if it is one.
    ///
    /// # Errors
    /// 412 unless the verdict is to proceed.
    pub fn for_change(self) -> Result<(), ScimError> {
        match self {
            Self::Proceed => Ok(()),
            Self::NotModified => Err(ScimError::precondition_failed(
                "If-None-Match: the resource is in this version; leave the header out to change it",
            )),
            Self::Failed => Err(ScimError::precondition_failed(
                "If-Match: the resource has changed since; read it again and repeat the change",
            )),
        }
    }
}

/// `If-Match` and `If-None-Match` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    matching: Option<Tags>,
    not_matching: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever exists.
    Any,
    /// The opaque parts of these tags.
    These(Vec<String>),
}

/// How many tags one header may name.
const MOST_TAGS: usize = 100;

impl Preconditions {
    /// Reads the two headers; several of one name are given joined by commas. A tag without quotes is taken, since bulk
    /// operations and hand-written clients send the bare version.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the header.
    pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, ScimError> {
        let read = |name, header: Option<&str>| header.map(|header| tags(name, header)).transpose();
        Ok(Self { matching: read("If-Match", if_match)?, not_matching: read("If-None-Match", if_none_match)? })
    }

    /// Whether the request puts no conditions.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.matching.is_none() && self.not_matching.is_none()
    }

    /// What they say of a resource that `exists` or not, in the version `current` (an entity tag).
    #[must_use]
    pub fn decide(&self, current: Option<&str>, exists: bool) -> Verdict {
        let current = current.map(opaque);
        let names = |tags: &Tags| match tags {
            Tags::Any => exists,
            Tags::These(tags) => exists && current.is_some_and(|current| tags.iter().any(|tag| tag == current)),
        };
        if self.matching.as_ref().is_some_and(|tags| !names(tags)) {
            Verdict::Failed
        } else if self.not_matching.as_ref().is_some_and(names) {
            Verdict::NotModified
        } else {
            Verdict::Proceed
        }
    }
}

/// What stands between the quotes.
fn opaque(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

fn tags(name: &str, header: &str) -> Result<Tags, ScimError> {
    let refuse =
        |why: &str| Err(ScimError::invalid_value(format!("{name}: {why}; send a version such as W/\"3694e05e9dff\"")));
    let mut rest = header.trim();
    if rest == "*" {
        return Ok(Tags::Any);
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() == MOST_TAGS {
            return refuse(&format!("more than {MOST_TAGS} versions are named"));
        }
        let plain = rest.strip_prefix("W/").or_else(|| rest.strip_prefix("w/")).unwrap_or(rest);
        let (tag, after) = match plain.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(parts) => parts,
                None => return refuse(&format!("\"{}\" is never closed", excerpt(plain))),
            },
            None => plain.split_at(plain.find(',').unwrap_or(plain.len())),
        };
        if tag.trim().is_empty() {
            return refuse("a version is empty");
        }
        found.push(tag.trim().to_owned());
        rest = match after.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => "",
            None => return refuse("versions are separated by commas"),
        };
    }
    if found.is_empty() { refuse("it is empty") } else { Ok(Tags::These(found)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_judged() {
        use Verdict::{Failed, NotModified, Proceed};
        for (matching, not_matching, current, exists, verdict) in [
            (None, None, Some("W/\"1\""), true, Proceed),
            (Some("W/\"1\""), None, Some("W/\"1\""), true, Proceed),
            (Some("\"1\""), None, Some("W/\"1\""), true, Proceed),
            (Some("1"), None, Some("W/\"1\""), true, Proceed),
            (Some("W/\"0\", W/\"1\""), None, Some("W/\"1\""), true, Proceed),
            (Some("W/\"0\",1"), None, Some("W/\"1\""), true, Proceed),
            (Some("W/\"2\""), None, Some("W/\"1\""), true, Failed),
            (Some("W/\"2\""), None, None, true, Failed),
            (Some("W/\"2\""), None, None, false, Failed),
            (Some("*"), None, None, true, Proceed),
            (Some("*"), None, None, false, Failed),
            (None, Some("W/\"1\""), Some("W/\"1\""), true, NotModified),
            (None, Some("W/\"2\""), Some("W/\"1\""), true, Proceed),
            (None, Some("*"), Some("W/\"1\""), true, NotModified),
            (None, Some("*"), None, false, Proceed),
            (Some("W/\"2\""), Some("W/\"1\""), Some("W/\"1\""), true, Failed),
        ] {
            let conditions = Preconditions::parse(matching, not_matching).unwrap();
            assert_eq!(conditions.decide(current, exists), verdict, "{matching:?} {not_matching:?} {current:?}");
        }
        assert_eq!(NotModified.for_change().unwrap_err().status, 412);
        assert_eq!(Failed.for_change().unwrap_err().status, 412);
        assert!(Preconditions::parse(None, None).unwrap().is_empty());
        for header in ["", ",", "W/\"1", "\"1\" \"2\"", "W/\"\"", &"1,".repeat(200)] {
            let error = Preconditions::parse(Some(header), None).unwrap_err();
            assert!(error.status == 400 && error.detail.starts_with("If-Match: "), "{header}: {}", error.detail);
        }
    }

    #[test]
    fn tags_are_weak_and_safe() {
        assert_eq!(weak("3694e05e"), "W/\"3694e05e\"");
        for odd in ["a\"b", "é", "a b", "\r\n", &"x".repeat(65)] {
            let tag = weak(odd);
            assert!(tag.starts_with("W/\"") && tag.len() == 28 && tag.is_ascii(), "{tag}");
        }
        let tag = |body: &Value| of_content(&Resource::from_map(body.as_object().unwrap().clone()));
        assert_eq!(tag(&json!({"a": "1", "b": {"c": 1, "d": 2}})), tag(&json!({"b": {"d": 2, "c": 1}, "a": "1"})));
        assert_ne!(tag(&json!({"a": "1"})), tag(&json!({"a": "2"})));
        assert_ne!(tag(&json!({"a": ["1", "2"]})), tag(&json!({"a": ["2", "1"]})));
    }
}
