//! How a REST user system names the members of a group, and how they are written: entries of a list, and templates of bodies.

use http::Method;
use serde_json::{Map, Value};

use super::Checks;
use super::groups::{Changer, MembersDraft, listed};
use super::listing::{Declared, Listing};
use crate::directory::rest::answer;
use crate::directory::rest::template::{Operation, Slot};
use crate::scim::ResourceType;

/// How members are named and written.
#[derive(Clone, Debug)]
pub struct Members {
    /// Where an entry holds the key.
    pub key: String,
    /// Where it says what the member is, and in which words.
    pub kind: Option<KindField>,
    entry: Value,
    numbers: bool,
    /// Whether one is a member.
    pub has: Option<Operation>,
    /// The groups of a member.
    pub of: Option<Listing>,
}

/// Where an entry says what a member is.
#[derive(Clone, Debug)]
pub struct KindField {
    /// A JSON Pointer.
    pub at: String,
    /// The words for a person and for a group.
    pub words: [String; 2],
}

/// A member as the user system names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The user system's own key.
    pub key: String,
    /// What it is.
    pub kind: ResourceType,
}

impl Members {
    /// Who an entry of a list of members is.
    ///
    /// # Errors
    /// What is missing in it.
    pub fn read(&self, entry: &Value) -> Result<Named, String> {
        let key = entry.pointer(&self.key).and_then(answer::text);
        let key =
            key.filter(|key| !key.is_empty()).ok_or_else(|| format!("a member has no key at \"{}\"", self.key))?;
        let Some(field) = &self.kind else { return Ok(Named { key, kind: ResourceType::User }) };
        let word = entry.pointer(&field.at).and_then(Value::as_str).unwrap_or_default();
        let kind = ResourceType::ALL.into_iter().zip(&field.words).find(|(_, known)| known.eq_ignore_ascii_case(word));
        let (kind, _) = kind.ok_or_else(|| format!("a member is neither person nor group at \"{}\"", field.at))?;
        Ok(Named { key, kind })
    }

    /// An entry for a member.
    pub fn write(&self, member: &Named) -> Value {
        self.fill(&self.entry, std::slice::from_ref(member))
    }

    /// The word for what a member is.
    pub fn word(&self, kind: ResourceType) -> &str {
        match (&self.kind, kind) {
            (Some(KindField { words: [user, _], .. }), ResourceType::User) => user,
            (Some(KindField { words: [_, group], .. }), ResourceType::Group) => group,
            (None, kind) => kind.name(),
        }
    }

    /// The body of a call about members.
    pub fn body(&self, changer: &Changer, members: &[Named]) -> Option<Map<String, Value>> {
        match self.fill(changer.body.as_ref()?, members) {
            Value::Object(body) => Some(body),
            _ => None,
        }
    }

    /// A key as a record holds it.
    pub fn value(&self, key: &str) -> Value {
        let number = self.numbers.then(|| key.parse::<i64>().ok().filter(|number| number.to_string() == key)).flatten();
        number.map_or_else(|| Value::String(key.to_owned()), Value::from)
    }

    fn fill(&self, template: &Value, members: &[Named]) -> Value {
        match template {
            Value::Array(list) if repeats(template) => list
                .iter()
                .flat_map(|entry| members.iter().map(move |one| self.fill(entry, std::slice::from_ref(one))))
                .collect(),
            Value::Array(list) => list.iter().map(|entry| self.fill(entry, members)).collect(),
            Value::Object(parts) => parts.iter().map(|(name, part)| (name.clone(), self.fill(part, members))).collect(),
            Value::String(text) => match members.first() {
                Some(member) if text == "{member}" => self.value(&member.key),
                Some(member) => {
                    // One pass: a key that spells {kind} stays a key.
                    let parts: Vec<_> =
                        text.split("{member}").map(|part| part.replace("{kind}", self.word(member.kind))).collect();
                    Value::String(parts.join(&member.key))
                }
                None => template.clone(),
            },
            other => other.clone(),
        }
    }
}

/// Whether a template is a list whose only entry mentions a member.
fn repeats(template: &Value) -> bool {
    matches!(template, Value::Array(list) if list.len() == 1 && mentions(&list[0]))
}

pub(super) fn mentions(template: &Value) -> bool {
    match template {
        Value::String(text) => text.contains("{member}"),
        Value::Array(list) => list.iter().any(mentions),
        Value::Object(parts) => parts.values().any(mentions),
        _ => false,
    }
}

/// Whether a template holds a list that takes many members, and no other mention of one.
pub(super) fn takes_many(template: &Value) -> bool {
    fn single(template: &Value) -> bool {
        !repeats(template)
            && match template {
                Value::Array(list) => list.iter().any(single),
                Value::Object(parts) => parts.values().any(single),
                other => mentions(other),
            }
    }
    mentions(template) && !single(template)
}

/// Checks what is declared of members in every form.
pub(super) fn members(draft: &MembersDraft, prefix: &str, listing: &Declared, checks: &mut Checks) -> Option<Members> {
    if draft.kind.is_some() && prefix.is_empty() {
        checks.add(&["kind"], "needs a prefix: without one, a group's id cannot be told from a person's");
    }
    for (name, pointer) in [("key", Some(&draft.key)), ("kind", draft.kind.as_ref())] {
        if let Some(pointer) = pointer.filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            checks.add(&[name], format!("is a JSON Pointer (RFC 6901): write \"/{pointer}\""));
        }
    }
    if !mentions(&draft.entry) {
        checks.add(&["entry"], "must hold \"{member}\"");
    }
    let kind = draft.kind.clone().map(|at| KindField { at, words: draft.words.clone() });
    let has = draft.has.as_ref().map(|text| {
        let operation = Operation::parse_with(text, &[Slot::Id, Slot::Member], &[Slot::Kind]);
        let operation = operation.and_then(|operation| match operation.method {
            Method::GET => Ok(operation),
            _ => Err("must be a GET: it may be repeated".to_owned()),
        });
        checks.keep(&["has"], operation)
    });
    let of = draft.of.as_ref().map(|text| listed(&["of"], text, listing, &[Slot::Member], checks));
    let (has, of) = (lift(has)?, lift(of)?);
    Some(Members { key: draft.key.clone(), kind, entry: draft.entry.clone(), numbers: draft.numbers, has, of })
}

/// `None` only for what was written and is wrong.
#[expect(clippy::option_option, reason = "whether it was written, and whether it is right")]
fn lift<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        None => Some(None),
        Some(right) => right.map(Some),
    }
}
