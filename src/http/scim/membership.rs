//! Who belongs to what, as filters ask it: `members eq "…"` of a group, `groups eq "…"` of a person.
//!
//! Nobody loads a membership to answer that. The ids a filter names are taken out of it, the directory says which of them hold,
//! and the filter is then evaluated over those alone: as it asks for nothing but equality, the answer is exact.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::shown::Shown;
use super::walk::{Next, Walk};
use crate::http::error::Refusal;
use crate::ports::{Directory, DirectoryError, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::error::ScimError;
use crate::scim::filter::{Filter, Operator};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// As many ids of members or groups as one filter may name.
const MOST_NAMED: usize = 50;
/// The most groups that hold one member.
const MOST_HOLDERS: u64 = 20_000;

/// The attribute that tells the membership of a resource of this type: read-only `groups` of a person, `members` of a group.
pub const fn attribute(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::User => "groups",
        ResourceType::Group => "members",
    }
}

/// For each id asked about, the groups that hold it.
pub type Holders = HashMap<String, HashSet<String>>;

/// What a filter asks about the membership of resources of one type.
#[derive(Debug, Default, PartialEq)]
pub struct Question {
    /// The ids named.
    named: Vec<String>,
    /// Whether it asks if there is any.
    any: bool,
}

impl Question {
    /// What `filter` asks.
    ///
    /// # Errors
    /// 400 `invalidFilter` for anything but equality with an id, and `pr`; 400 `tooMany` for too many ids.
    pub fn of(filter: Option<&Filter>, kind: ResourceType) -> Result<Self, Refusal> {
        let mut question = Self::default();
        let mut waiting: Vec<(&Filter, bool)> = filter.into_iter().map(|filter| (filter, false)).collect();
        while let Some((filter, inside)) = waiting.pop() {
            match filter {
                Filter::And(left, right) | Filter::Or(left, right) => {
                    waiting.extend([(&**right, inside), (&**left, inside)]);
                }
                Filter::Not(inner) => waiting.push((inner, inside)),
                Filter::Compare { path, operator, value } if inside || concerns(path, kind) => {
                    let part = if inside { Some(path.attribute.as_str()) } else { path.sub.as_deref() };
                    waiting.extend(path.filter.as_deref().map(|filter| (filter, true)));
                    match (part.unwrap_or("value"), operator, value) {
                        ("value", Operator::Eq, Value::String(id)) => question.named.push(id.clone()),
                        ("value", Operator::Eq | Operator::Ne, Value::Null)
                            if !inside && kind == ResourceType::Group =>
                        {
                            question.any = true;
                        }
                        _ => return Err(undecidable(kind).into()),
                    }
                }
                Filter::Present(path) if inside || concerns(path, kind) => {
                    let plain = path.filter.is_none() && matches!(path.sub.as_deref(), None | Some("value"));
                    // A directory need not know everybody's groups.
                    if inside || !plain || kind == ResourceType::User {
                        return Err(undecidable(kind).into());
                    }
                    question.any = true;
                }
                Filter::ValuePath { path, filter } if concerns(path, kind) => waiting.push((filter, true)),
                Filter::Compare { .. } | Filter::Present(_) | Filter::ValuePath { .. } => {}
            }
        }
        question.named.sort_unstable();
        question.named.dedup();
        if question.named.len() > MOST_NAMED {
            let name = attribute(kind);
            return Err(ScimError::too_many(format!(
                "the filter names more than {MOST_NAMED} ids of {name}; ask for fewer"
            ))
            .into());
        }
        Ok(question)
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && !self.any
    }

    /// Asks the directory, for each id, which groups hold it: what a query that looks at every group needs.
    pub async fn holders<D: Directory>(&self, directory: &D) -> Result<Holders, Refusal> {
        let mut sets = Holders::new();
        for id in &self.named {
            let (mut walk, mut holders) = (Walk::default(), HashSet::new());
            let lookup = Lookup::Member { key: id.clone() };
            loop {
                let found = directory.find(ResourceType::Group, &lookup, walk.page()).await?;
                if found.total > MOST_HOLDERS {
                    return Err(ScimError::too_many(format!(
                        "members: the one named is in more than {MOST_HOLDERS} groups"
                    ))
                    .into());
                }
                match walk.take(found.entries, found.total, |entry| entry.key.as_str())? {
                    Next::More(new) => holders.extend(new.into_iter().map(|entry| entry.key)),
                    Next::Last(new) => {
                        holders.extend(new.into_iter().map(|entry| entry.key));
                        break;
                    }
                }
            }
            sets.insert(id.clone(), holders);
        }
        Ok(sets)
    }

    /// The resources as the filter may look at them: with those of the ids asked about that hold. `holders` is known already.
    pub async fn answered<D: Directory>(
        &self,
        directory: &D,
        shown: &[Shown],
        holders: Option<&Holders>,
    ) -> Result<Vec<Option<Resource>>, Refusal> {
        if self.is_empty() || shown.is_empty() {
            return Ok(shown.iter().map(|_| None).collect());
        }
        let mut held: Vec<Vec<&str>> = shown.iter().map(|_| Vec::new()).collect();
        let kind = shown[0].kind;
        if kind == ResourceType::User {
            let keys: Vec<&str> = shown.iter().map(Shown::key).collect();
            for group in &self.named {
                let inside: HashSet<String> = present(directory.has_members(group, &keys).await)?.into_iter().collect();
                for (held, _) in held.iter_mut().zip(&keys).filter(|(_, key)| inside.contains(**key)) {
                    held.push(group);
                }
            }
        } else {
            let named: Vec<&str> = self.named.iter().map(String::as_str).collect();
            for (at, group) in shown.iter().enumerate() {
                match holders {
                    Some(sets) => held[at].extend(
                        named.iter().filter(|id| sets.get(**id).is_some_and(|holders| holders.contains(group.key()))),
                    ),
                    None if named.is_empty() => {}
                    None => {
                        let inside = present(directory.has_members(group.key(), &named).await)?;
                        held[at].extend(named.iter().filter(|id| inside.iter().any(|held| held == **id)));
                    }
                }
            }
        }
        let mut anybody = vec![None; shown.len()];
        if self.any {
            for (at, group) in shown.iter().enumerate() {
                anybody[at] = match directory.members(group.key(), Page { offset: 0, limit: 1 }).await {
                    Ok(page) => page.members.into_iter().next().map(|member| member.key),
                    Err(DirectoryError::NotFound) => None,
                    Err(error) => return Err(error.into()),
                };
            }
        }
        Ok(shown
            .iter()
            .zip(held)
            .zip(anybody)
            .map(|((shown, held), anybody)| {
                let mut map = shown.seen.as_map().clone();
                let others = anybody.as_deref().filter(|key| !held.contains(key));
                let entries: Vec<_> = held.iter().copied().chain(others).map(|key| json!({ "value": key })).collect();
                if entries.is_empty() {
                    map.shift_remove(attribute(kind));
                } else {
                    map.insert(attribute(kind).into(), Value::Array(entries));
                }
                Some(Resource::from_map(map))
            })
            .collect())
    }
}

/// A group that is not there holds nobody.
fn present(held: Result<Vec<String>, DirectoryError>) -> Result<Vec<String>, DirectoryError> {
    match held {
        Err(DirectoryError::NotFound) => Ok(Vec::new()),
        held => held,
    }
}

fn concerns(path: &AttrPath, kind: ResourceType) -> bool {
    path.schema.is_none() && path.attribute == attribute(kind)
}

fn undecidable(kind: ResourceType) -> ScimError {
    let name = attribute(kind);
    ScimError::invalid_filter(format!("{name} can be asked for by id only: write {name}.value eq \"…\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filters_ask_about_membership() {
        let of = |text: &str, kind| Question::of(Some(&Filter::parse(text).unwrap()), kind);
        let rows = [
            (r#"id eq "7" and members eq "2""#, ResourceType::Group, Some((vec!["2"], false))),
            (
                r#"members.value eq "2" or not (members[value eq "1"])"#,
                ResourceType::Group,
                Some((vec!["1", "2"], false)),
            ),
            ("members pr", ResourceType::Group, Some((vec![], true))),
            ("groups pr", ResourceType::User, None),
            (r#"members eq "2""#, ResourceType::User, Some((vec![], false))),
            (r#"groups.value eq "g1" and userName pr"#, ResourceType::User, Some((vec!["g1"], false))),
            (r#"displayName eq "x""#, ResourceType::Group, Some((vec![], false))),
            (r#"members co "2""#, ResourceType::Group, None),
            (r#"members ne "2""#, ResourceType::Group, None),
            (r#"members[type eq "User"]"#, ResourceType::Group, None),
            (r#"groups.display eq "Sales""#, ResourceType::User, None),
        ];
        for (text, kind, expected) in rows {
            let question = of(text, kind).ok().map(|question| (question.named, question.any));
            let expected = expected.map(|(ids, any)| (ids.into_iter().map(String::from).collect::<Vec<_>>(), any));
            assert_eq!(question, expected, "{text}");
        }
    }
}
