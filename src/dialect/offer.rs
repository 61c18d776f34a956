//! Which attributes a dialect offers, and the sieve made of them (RFC 7643 §2).
//!
//! The sieve works on a person's JSON tree in one pass. What it holds back of a change it leaves in the person as it was
//! before, because an attribute that an identity provider cannot see is not its to remove.

use serde_json::{Map, Value};

use super::SWITCHES;
use crate::scim::filter::{Filter, Operator};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// The attributes that a dialect offers.
#[derive(Clone, Debug, PartialEq)]
pub enum Offering {
    /// The whole schema of a user, the enterprise extension included.
    Everything,
    /// Only these.
    Listed(Vec<Offered>),
}

/// One top-level attribute and what of it is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    schema: Option<String>,
    attribute: String,
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq)]
enum Parts {
    /// All of it.
    Whole,
    /// These sub-attributes of a complex attribute.
    Subs(Vec<String>),
    /// The entries of these types of a multi-valued attribute, and these sub-attributes of them.
    Typed(Vec<(String, Vec<String>)>),
}

impl Offering {
    /// From paths such as `title`, `name.givenName`, `emails[type eq "work"].value` and
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    #[must_use]
    pub fn listed(paths: &[AttrPath]) -> Self {
        let mut listed: Vec<Offered> = Vec::new();
        for path in paths {
            let at = listed.iter().position(|one| one.schema == path.schema && one.attribute == path.attribute);
            let at = at.unwrap_or_else(|| {
                let parts = match (type_of(path), &path.sub) {
                    (Some(_), _) => Parts::Typed(Vec::new()),
                    (None, Some(_)) => Parts::Subs(Vec::new()),
                    (None, None) => Parts::Whole,
                };
                listed.push(Offered { schema: path.schema.clone(), attribute: path.attribute.clone(), parts });
                listed.len() - 1
            });
            match (&mut listed[at].parts, type_of(path), &path.sub) {
                (Parts::Typed(types), Some(kind), Some(sub)) => match types.iter_mut().find(|(name, _)| name == kind) {
                    Some((_, subs)) => subs.push(sub.clone()),
                    None => types.push((kind.to_owned(), vec![sub.clone()])),
                },
                (Parts::Subs(subs), None, Some(sub)) => subs.push(sub.clone()),
                // A path that contradicts an earlier one: the wider reading.
                (parts, ..) => *parts = Parts::Whole,
            }
        }
        Self::Listed(listed)
    }

    /// Why a path cannot be offered as it is written, and what to write.
    #[must_use]
    pub fn fault(path: &AttrPath) -> Option<(&'static str, String)> {
        let many = path.definition().is_some_and(|attribute| attribute.multi_valued);
        let picked = type_of(path).is_some() && path.sub.is_some();
        let name = &path.attribute;
        if path.filter.is_some() && !picked {
            return Some(("picks entries by something else than their type, or the whole of them", one_type(name)));
        }
        (many && path.sub.is_some() && !picked).then(|| ("does not say of which type", one_type(name)))
    }

    /// The paths that are offered, as they would be written; none when everything is.
    #[must_use]
    pub fn paths(&self) -> Option<Vec<String>> {
        let Self::Listed(listed) = self else { return None };
        let paths = listed.iter().flat_map(|one| {
            let name = match &one.schema {
                Some(urn) => format!("{urn}:{}", one.attribute),
                None => one.attribute.clone(),
            };
            match &one.parts {
                Parts::Whole => vec![name],
                Parts::Subs(subs) => subs.iter().map(|sub| format!("{name}.{sub}")).collect(),
                Parts::Typed(types) => types
                    .iter()
                    .flat_map(|(kind, subs)| subs.iter().map(move |sub| (kind, sub)))
                    .map(|(kind, sub)| format!("{name}[type eq \"{kind}\"].{sub}"))
                    .collect(),
            }
        });
        Some(paths.collect())
    }

    fn parts(&self, schema: Option<&str>, attribute: &str) -> Option<&Parts> {
        let Self::Listed(listed) = self else { return Some(&Parts::Whole) };
        listed
            .iter()
            .find(|one| one.attribute.eq_ignore_ascii_case(attribute) && one.schema.as_deref() == schema)
            .map(|one| &one.parts)
    }

    /// Whether this attribute, or any part of it, is offered.
    pub(super) fn offers(&self, path: &AttrPath) -> bool {
        if path.schema.is_none() && always(&path.attribute) {
            return true;
        }
        if path.attribute.is_empty() {
            // A schema's URN alone: offered if anything of it is.
            return match self {
                Self::Everything => true,
                Self::Listed(listed) => listed.iter().any(|one| one.schema == path.schema),
            };
        }
        let has = |subs: &[String]| path.sub.as_deref().is_none_or(|sub| any_case(subs, sub) || structural(sub));
        match self.parts(path.schema.as_deref(), &path.attribute) {
            None => false,
            Some(Parts::Whole) => true,
            Some(Parts::Subs(subs)) => path.sub.as_deref().is_none_or(|sub| any_case(subs, sub)),
            Some(Parts::Typed(types)) => {
                let wanted = type_of(path);
                types.iter().any(|(name, subs)| wanted.is_none_or(|kind| name.eq_ignore_ascii_case(kind)) && has(subs))
            }
        }
    }

    /// `after` without what is not offered, in whose place stands what `before` had there. Names in `dropped` what was
    /// held back, unless it was there before.
    pub(super) fn sift(&self, before: Option<&Resource>, after: Resource, dropped: &mut Vec<String>) -> Resource {
        let before = before.map(Resource::as_map);
        if matches!(self, Self::Everything) {
            let mut kept = after.into_map();
            // What the gateway itself told the directory is nobody's to see or to change.
            match before.and_then(|before| before.get(SWITCHES)) {
                Some(held) => drop(kept.insert(SWITCHES.to_owned(), held.clone())),
                None => drop(kept.shift_remove(SWITCHES)),
            }
            return Resource::from_map(kept);
        }
        let mut kept = Map::new();
        for (name, value) in after.into_map() {
            let held = before.and_then(|before| before.get(&name));
            if let Some(value) = self.attribute(&name, Some(value), held, dropped) {
                kept.insert(name, value);
            }
        }
        for (name, held) in before.into_iter().flatten() {
            if !kept.contains_key(name)
                && let Some(value) = self.attribute(name, None, Some(held), dropped)
            {
                kept.insert(name.clone(), value);
            }
        }
        Resource::from_map(kept)
    }

    /// Takes out what is not offered.
    pub(super) fn narrow(&self, resource: &mut Resource) {
        *resource = self.sift(None, std::mem::take(resource), &mut Vec::new());
    }

    /// One top-level attribute through the sieve: `None` when nothing of it is left.
    fn attribute(
        &self,
        name: &str,
        after: Option<Value>,
        held: Option<&Value>,
        dropped: &mut Vec<String>,
    ) -> Option<Value> {
        if is_urn(name) {
            let offered = |sub: &str| self.parts(Some(name), sub).is_some();
            return object(after, held, offered, |sub| format!("{name}:{sub}"), dropped);
        }
        match self.parts(None, name) {
            Some(Parts::Whole) => after,
            Some(Parts::Subs(subs)) => {
                object(after, held, |sub| any_case(subs, sub), |sub| format!("{name}.{sub}"), dropped)
            }
            Some(Parts::Typed(types)) => entries(name, types, after, held, dropped),
            None if always(name) => after,
            None => {
                if after.is_some() && after.as_ref() != held {
                    dropped.push(name.to_owned());
                }
                held.cloned()
            }
        }
    }
}

/// The members of a complex attribute through the sieve.
fn object(
    after: Option<Value>,
    held: Option<&Value>,
    offered: impl Fn(&str) -> bool,
    name: impl Fn(&str) -> String,
    dropped: &mut Vec<String>,
) -> Option<Value> {
    let held = held.and_then(Value::as_object);
    let mut kept = Map::new();
    if let Some(Value::Object(members)) = after {
        for (sub, value) in members {
            if offered(&sub) {
                kept.insert(sub, value);
                continue;
            }
            let before = held.and_then(|held| held.get(&sub));
            // Entra puts `primary` on every entry it makes; that is no attribute an administrator could unmap.
            if before != Some(&value) && sub != "primary" {
                dropped.push(name(&sub));
            }
            if let Some(before) = before {
                kept.insert(sub, before.clone());
            }
        }
    }
    for (sub, before) in held.into_iter().flatten() {
        if !offered(sub) && !kept.contains_key(sub) {
            kept.insert(sub.clone(), before.clone());
        }
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// The entries of a multi-valued attribute through the sieve: one a type that is offered, and those that were there.
fn entries(
    name: &str,
    types: &[(String, Vec<String>)],
    after: Option<Value>,
    held: Option<&Value>,
    dropped: &mut Vec<String>,
) -> Option<Value> {
    let held = held.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let offered = |entry: &Value| types.iter().find(|(kind, _)| entry_type(entry).eq_ignore_ascii_case(kind));
    let mut kept: Vec<Value> = Vec::new();
    let after = match after {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    let taken = types.len() != 1 || after.iter().any(|entry| offered(entry).is_some());
    for mut entry in after {
        // Okta and hand-written clients leave `type` out; where only one is offered there is nothing to guess.
        if !taken
            && entry_type(&entry).is_empty()
            && !held.contains(&entry)
            && let Some(members) = entry.as_object_mut()
        {
            members.insert("type".to_owned(), Value::String(types[0].0.clone()));
        }
        let Some((kind, subs)) = offered(&entry) else {
            if held.contains(&entry) {
                kept.push(entry);
            } else {
                dropped.push(format!("{name}[type eq {}]", quoted(entry_type(&entry))));
            }
            continue;
        };
        let before = held.iter().find(|held| entry_type(held).eq_ignore_ascii_case(kind));
        let label = |sub: &str| format!("{name}[type eq \"{kind}\"].{sub}");
        let Some(entry) = object(Some(entry), before, |sub| sub == "type" || any_case(subs, sub), label, dropped)
        else {
            continue;
        };
        if !subs.iter().any(|sub| entry.get(sub).is_some()) {
            continue;
        }
        // A vendor has room for one of a type; the last one said is meant.
        match kept.iter_mut().find(|kept| entry_type(kept).eq_ignore_ascii_case(kind)) {
            Some(earlier) => {
                if *earlier != entry {
                    dropped.push(format!("{name}[type eq \"{kind}\"]"));
                }
                *earlier = entry;
            }
            None => kept.push(entry),
        }
    }
    for entry in held {
        if offered(entry).is_none() && !kept.contains(entry) {
            kept.push(entry.clone());
        }
    }
    (!kept.is_empty()).then_some(Value::Array(kept))
}

/// The type that a path such as `emails[type eq "work"].value` selects.
fn type_of(path: &AttrPath) -> Option<&str> {
    match path.filter.as_deref() {
        Some(Filter::Compare { path, operator: Operator::Eq, value }) if path.is("type") => value.as_str(),
        _ => None,
    }
}

fn one_type(name: &str) -> String {
    format!("write `{name}[type eq \"work\"].value`, or `{name}` for all of it")
}

fn entry_type(entry: &Value) -> &str {
    entry.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// A client's own `type`, fit for an audit note: a short word, or nothing of it.
fn quoted(kind: &str) -> String {
    let plain = kind.len() <= 20 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    format!("\"{}\"", if plain { kind } else { "…" })
}

fn any_case(names: &[String], name: &str) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn is_urn(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

/// What every resource has, whatever the dialect (RFC 7643 §3.1).
fn always(name: &str) -> bool {
    ["schemas", "id", "meta"].iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// What tells the entries of an offered multi-valued attribute apart.
fn structural(sub: &str) -> bool {
    sub.eq_ignore_ascii_case("type")
}
