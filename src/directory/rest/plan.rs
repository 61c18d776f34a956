//! The calls that carry out what a REST directory is asked, as they will leave. Pure: the connector sends these and
//! `portcullis explain` shows these, so the two cannot drift apart. A call that is `None` cannot be addressed (a key or value
//! that fits into no URL) and is never made.

use http::Method;
use http::uri::PathAndQuery;
use serde_json::{Map, Value};

use super::answer::Step;
use super::config::{Change, Config, Removal};
use super::template::{Operation, Slot};
use crate::mapping::{Changes, Kind, Unreadable, Unwritable};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// One call, but for what every call has: host, token, media types.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What it is for.
    pub step: Step,
    /// The method.
    pub method: Method,
    /// Path and query, with what stands before every path of the directory.
    pub path: PathAndQuery,
    /// The JSON body.
    pub body: Option<Map<String, Value>>,
    filled: Vec<String>,
}

impl Call {
    /// The texts it carries about a person, in path, query and body: an answer that repeats one must not be passed on.
    pub fn values(&self) -> Vec<&str> {
        let body = self.body.iter().flat_map(Map::values).filter_map(Value::as_str);
        body.chain(self.filled.iter().map(String::as_str)).collect()
    }
}

/// How a change is carried out.
pub enum Update<'c> {
    /// Nothing differs that the directory holds.
    Nothing,
    /// One call with the fields that differ.
    Fields(Option<Call>),
    /// The whole person is read, changed and put in place.
    Whole(Replacement<'c>),
}

/// A change that waits for the person as the directory holds them.
pub struct Replacement<'c> {
    config: &'c Config,
    operation: &'c Operation,
    changes: Changes,
}

impl Replacement<'_> {
    /// The call that puts `record`, as just read, in place with the changes: also what the table does not know stays.
    pub fn over(&self, key: &str, mut record: Map<String, Value>) -> Option<Call> {
        self.config.table.overlay(&mut record, &self.changes);
        record.shift_remove(&self.config.key);
        if let Some(version) = &self.config.version {
            record.shift_remove(version);
        }
        self.config.fill(Step::Update, self.operation, &[(Slot::Id, key)], Some(record))
    }
}

impl Config {
    /// Whether people can be found by this path.
    pub fn finds_by(&self, path: &AttrPath) -> bool {
        self.find.iter().any(|(known, _)| known == path)
    }

    /// Whether a person has a field for this path.
    pub fn holds(&self, path: &AttrPath) -> bool {
        self.table.holds(path)
    }

    /// The absolute address of a call.
    pub fn address(&self, call: &Call) -> String {
        format!("{}{}", self.base.origin(), call.path)
    }

    /// Whether calls carry a bearer token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Reading one person.
    pub fn plan_read(&self, key: &str) -> Option<Call> {
        self.fill(Step::Read, &self.read, &[(Slot::Id, key)], None)
    }

    /// Finding people by an exact value of `path`; also `None` when [`Config::finds_by`] denies the path.
    pub fn plan_find(&self, path: &AttrPath, value: &str) -> Option<Call> {
        let (_, operation) = self.find.iter().find(|(known, _)| known == path)?;
        self.fill(Step::Find, operation, &[(Slot::Value, value)], None)
    }

    /// One page of everybody, of [`Config::new`]'s `page_size` at most.
    pub fn plan_list(&self, offset: u64, limit: u64) -> Option<Call> {
        let (offset, limit) = (offset.to_string(), limit.clamp(1, self.page_size).to_string());
        self.fill(Step::Find, &self.list, &[(Slot::Offset, &offset), (Slot::Limit, &limit)], None)
    }

    /// Creating a person.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn plan_create(&self, person: &Resource) -> Result<Option<Call>, Unwritable> {
        Ok(self.fill(Step::Create, &self.create, &[], Some(self.table.record(person)?)))
    }

    /// Changing a person.
    ///
    /// # Errors
    /// The first attribute whose new value does not fit its field.
    pub fn plan_update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Update<'_>, Unwritable> {
        let changes = self.table.changes(before, after)?;
        if changes.is_empty() {
            return Ok(Update::Nothing);
        }
        Ok(match &self.change {
            Change::Replace(replace) => Update::Whole(Replacement { config: self, operation: replace, changes }),
            Change::Both { replace, .. } if self.removal == Removal::Replace && !changes.removed.is_empty() => {
                Update::Whole(Replacement { config: self, operation: replace, changes })
            }
            Change::Update(update) | Change::Both { update, .. } => {
                let record = self.merge_patch(changes);
                Update::Fields(self.fill(Step::Update, update, &[(Slot::Id, key)], Some(record)))
            }
        })
    }

    /// Removing a person.
    pub fn plan_delete(&self, key: &str) -> Option<Call> {
        self.fill(Step::Delete, &self.delete, &[(Slot::Id, key)], None)
    }

    /// The fields that a person's own values fill, without constants and defaults.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn fields(&self, person: &Resource) -> Result<Map<String, Value>, Unwritable> {
        Ok(self.table.changes(&Resource::default(), person)?.set)
    }

    /// The person whom a record describes.
    ///
    /// # Errors
    /// The first field that does not hold what the table says.
    pub fn person(&self, record: &Map<String, Value>) -> Result<Resource, Unreadable> {
        let mut person = self.table.person(record)?;
        if person.active().is_none() {
            person.set(&AttrPath::core("active"), Value::Bool(true));
        }
        Ok(person)
    }

    /// The fields that differ, with what stands for nothing where a value is gone.
    fn merge_patch(&self, changes: Changes) -> Map<String, Value> {
        let mut record = changes.set;
        for (field, kind) in changes.removed {
            let nothing = match (self.removal, kind) {
                (Removal::Empty, Kind::Text) => Value::String(String::new()),
                _ => Value::Null,
            };
            record.insert(field, nothing);
        }
        record
    }

    fn fill(
        &self,
        step: Step,
        operation: &Operation,
        slots: &[(Slot, &str)],
        body: Option<Map<String, Value>>,
    ) -> Option<Call> {
        let path = operation.fill(self.base.prefix(), slots)?;
        let filled = slots.iter().map(|(_, value)| (*value).to_owned()).collect();
        Some(Call { step, method: operation.method.clone(), path, body, filled })
    }
}
