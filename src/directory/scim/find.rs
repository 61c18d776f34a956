//! Finding by a value: by the server's filter as far as it answers one, and otherwise by looking through all there are.

use std::sync::PoisonError;

use serde_json::{Map, Value};

use super::plan::{self, Step};
use super::{Scim, wire};
use crate::directory::client::Deadline;
use crate::ports::{DirectoryError, Entry, Page};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;

/// The most entries that are looked through where the server answers no filter.
const MOST_SCANNED: u64 = 10_000;

/// Where an entry comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The server's answer to a filter.
    Filter,
    /// The list of everything.
    Scan,
}

impl Scim {
    /// Everything of a type, where no filter helps.
    async fn scan(&self, kind: ResourceType, deadline: Deadline) -> Result<Vec<Map<String, Value>>, DirectoryError> {
        let (all, total) = self.list(kind, None, Page { offset: 0, limit: MOST_SCANNED }, deadline).await?;
        if total > MOST_SCANNED {
            let reason =
                format!("it answers no such filter, and more than {MOST_SCANNED} would have to be looked through");
            return Err(DirectoryError::Failed { reason, maybe_done: false });
        }
        Ok(all)
    }

    pub(super) fn refuses(&self, kind: ResourceType, attribute: &'static str) -> bool {
        self.no_filter.lock().unwrap_or_else(PoisonError::into_inner).contains(&(kind, attribute))
    }

    /// The resources of which `matches` holds, by the server's filter or, where it has none, from all there are.
    async fn matching(
        &self,
        kind: ResourceType,
        attribute: &'static str,
        value: &str,
        deadline: Deadline,
        matches: impl Fn(&Map<String, Value>, Origin) -> bool,
    ) -> Result<Vec<Map<String, Value>>, DirectoryError> {
        if self.known().await.filter && !self.refuses(kind, attribute) {
            let filter = plan::equals(attribute, value);
            let whole = Page { offset: 0, limit: MOST_SCANNED };
            let refused = match self.list(kind, Some(&filter), whole, deadline).await {
                Ok((found, _)) if found.iter().all(|raw| matches(raw, Origin::Filter)) => return Ok(found),
                // It gives what was not asked for: it does not look at the filter.
                Ok(_) => true,
                Err(refused) => match refused.status.map(|status| status.as_u16()) {
                    Some(400) => wire::says(&refused.body, &["invalidFilter"]),
                    Some(501) => true,
                    _ => return Err(refused.error),
                },
            };
            if refused {
                self.no_filter.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, attribute));
            }
        }
        Ok(self.scan(kind, deadline).await?.into_iter().filter(|raw| matches(raw, Origin::Scan)).collect())
    }

    pub(super) async fn find_equal(
        &self,
        kind: ResourceType,
        path: &AttrPath,
        value: &str,
        deadline: Deadline,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let Some(attribute) = filtered(kind, path) else {
            return Err(DirectoryError::Failed { reason: format!("{path} is not found by"), maybe_done: false });
        };
        let sought = value.to_lowercase();
        let is_it = |held: Option<&Value>| held.and_then(Value::as_str).is_some_and(|it| it.to_lowercase() == sought);
        let found = self.matching(kind, attribute, value, deadline, |raw, _| match attribute {
            "emails.value" => raw
                .get("emails")
                .and_then(Value::as_array)
                .is_some_and(|list| list.iter().any(|it| is_it(it.get("value")))),
            attribute => is_it(raw.get(attribute)),
        });
        let entries = found.await?.iter().map(|raw| self.entry(kind, raw)).collect::<Result<_, _>>();
        entries.map_err(|problem| Step::Find.nonsense(problem))
    }

    /// The groups in which a member is, directly.
    pub(super) async fn groups_of(
        &self,
        key: &str,
        deadline: Deadline,
    ) -> Result<Vec<Map<String, Value>>, DirectoryError> {
        let shown = |raw: &Map<String, Value>| {
            let list = raw.get("members").and_then(Value::as_array)?;
            Some(list.iter().any(|entry| entry.get("value").and_then(Value::as_str) == Some(key)))
        };
        // A list may leave members out: what a filter by them finds need not show them. Then they are looked at one by one.
        let holds = |raw: &Map<String, Value>, origin| shown(raw).unwrap_or(origin == Origin::Filter);
        let found = self.matching(ResourceType::Group, "members.value", key, deadline, holds).await?;
        let mut groups = Vec::with_capacity(found.len());
        for raw in found {
            let is_in = if let Some(is_in) = shown(&raw) {
                is_in
            } else {
                let id = wire::id(&raw).map_err(|problem| Step::Find.nonsense(problem))?;
                let whole = self.read_raw(ResourceType::Group, id, deadline).await?;
                whole.is_some_and(|whole| shown(&whole).unwrap_or(false))
            };
            if is_in {
                groups.push(raw);
            }
        }
        Ok(groups)
    }
}

/// The attribute of the filter that finds by this path; an answer may hold more than the matches.
pub fn filtered(kind: ResourceType, path: &AttrPath) -> Option<&'static str> {
    let whole = AttrPath { filter: None, ..path.clone() };
    let known: &[&str] = match kind {
        ResourceType::User => &["userName", "externalId", "emails.value"],
        ResourceType::Group => &["displayName", "externalId"],
    };
    known.iter().find(|name| whole.is(name) && (path.filter.is_none() || **name == "emails.value")).copied()
}
