//! The calls that carry out what a REST directory is asked, as they will leave. Pure: the connector sends these and
//! `portcullis explain` shows these, so the two cannot drift apart. A call that is `None` cannot be addressed (a key or value
//! that fits into no URL) and is never made.

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use serde_json::{Map, Value};

use super::answer::Step;
use super::config::groups::Guard;
use super::config::listing::Listing;
use super::config::{Change, Config, Removal};
use super::paging::{Next, Walk};
use super::shape::Place;
use super::template::{Operation, Slot};
use crate::mapping::expression::Moment;
use crate::mapping::{Changes, Kind, Table, Unreadable, Unwritable};
use crate::ports::Page;
use crate::scim::ResourceType;
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
    /// The state that it is to change, as `If-Match` (RFC 9110 §13.1.1).
    pub guard: Option<HeaderValue>,
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
    /// The person is read, and put in place as a whole or, where fields lie deep inside, in the parts that change.
    Whole(Replacement<'c>),
}

/// A change that waits for the person as the directory holds them.
pub struct Replacement<'c> {
    config: &'c Config,
    operation: &'c Operation,
    changes: Changes,
    /// Only the members of the record in which something changes are sent.
    in_parts: bool,
}

impl Replacement<'_> {
    /// The call that puts `record`, as just read, in place with the changes: also what the table does not know stays.
    pub fn over(&self, key: &str, record: &Map<String, Value>) -> Option<Call> {
        self.with(key, record, None, None)
    }

    /// As [`Replacement::over`], with another value at a place that the table does not know (null: none), and saying which
    /// state of the record it is to change.
    pub fn with(
        &self,
        key: &str,
        record: &Map<String, Value>,
        placed: Option<(&Place, Value)>,
        guard: Option<(Guard, Option<HeaderValue>)>,
    ) -> Option<Call> {
        let config = self.config;
        let mut flat = config.shape.flat(record);
        config.table.overlay(&mut flat, &self.changes);
        let mut body = config.shape.folded(flat);
        body.shift_remove(&config.key);
        let version = config.version.as_ref().and_then(|version| Some((version.clone(), body.shift_remove(version)?)));
        let place = placed.as_ref().map(|(place, _)| place.top().to_owned());
        match placed {
            Some((place, Value::Null)) => place.remove(&mut body),
            Some((place, value)) => place.set(&mut body, value),
            None => {}
        }
        if self.in_parts {
            let changes = &self.changes;
            let fields = changes.set.keys().chain(changes.removed.iter().map(|(field, _)| field));
            let kinds = |top: &str| changes.removed.iter().find(|(field, _)| field == top).map(|(_, kind)| *kind);
            let mut part = Map::new();
            for top in fields.map(|field| config.shape.top_of(field)).chain(place.as_deref()) {
                let value = body.shift_remove(top).filter(|value| !value.is_null());
                let nothing = || config.nothing(kinds(top));
                part.entry(top).or_insert_with(|| value.unwrap_or_else(nothing));
            }
            body = part;
        }
        let (guard, held) = guard.unwrap_or((Guard::None, None));
        if let (Guard::Version, Some((member, value))) = (guard, version) {
            body.insert(member, value);
        }
        let call = config.fill(Step::Update, self.operation, &[(Slot::Id, key)], Some(body))?;
        Some(Call { guard: held.filter(|_| guard == Guard::IfMatch), ..call })
    }

    /// Whether nothing differs that the directory holds.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
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
        // A field that an expression writes is sought by what the expression makes of the value.
        let sought = match self.table.sought(path, value).ok()?? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.fill(Step::Find, operation, &[(Slot::Value, &sought)], None)
    }

    /// The first answer of everybody, of [`Config::new`]'s `page_size` at most.
    pub fn plan_list(&self, offset: u64, limit: u64) -> Option<Call> {
        self.plan_walk(&self.list, &Walk::new(&self.list, Page { offset, limit }), &[])
    }

    /// The next call of a walk over a list, with what else the list's call must be filled with.
    pub fn plan_walk(&self, listing: &Listing, walk: &Walk<'_>, slots: &[(Slot, &str)]) -> Option<Call> {
        match walk.next() {
            Next::Fill(own) => {
                let own = own.iter().map(|(slot, text)| (*slot, text.as_str()));
                let all: Vec<_> = slots.iter().copied().chain(own).collect();
                // A list that belongs to one entry is gone with it.
                let step = if slots.is_empty() { Step::Find } else { Step::Read };
                self.fill(step, &listing.operation, &all, None)
            }
            Next::Follow(path) => {
                let path = path.clone();
                Some(Call { step: Step::Find, method: Method::GET, path, body: None, guard: None, filled: Vec::new() })
            }
        }
    }

    /// At most `limit` entries after a key, in order of the keys; `None` also where the directory cannot tell them.
    pub fn plan_after(&self, key: &str, limit: u64) -> Option<Call> {
        let limit = limit.clamp(1, self.list.page_size).to_string();
        self.fill(Step::Find, self.after.as_ref()?, &[(Slot::Key, key), (Slot::Limit, &limit)], None)
    }

    /// Creating a person.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn plan_create(&self, person: &Resource, moment: &Moment) -> Result<Option<Call>, Unwritable> {
        Ok(self.fill(Step::Create, &self.create, &[], Some(self.record(person, moment)?)))
    }

    /// The record of a new entry, as it is sent.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn record(&self, entry: &Resource, moment: &Moment) -> Result<Map<String, Value>, Unwritable> {
        Ok(self.shape.part(self.table.record(entry, moment)?))
    }

    /// Changing a person.
    ///
    /// # Errors
    /// The first attribute whose new value does not fit its field.
    pub fn plan_update(
        &self,
        key: &str,
        before: &Resource,
        after: &Resource,
        moment: &Moment,
    ) -> Result<Update<'_>, Unwritable> {
        let changes = self.table.changes(before, after, moment)?;
        if changes.is_empty() {
            return Ok(Update::Nothing);
        }
        let replacement = self.replacement(changes);
        match &self.change {
            Change::Update(update) | Change::Both { update, .. }
                if replacement.in_parts && !self.in_depth(&replacement) =>
            {
                let record = self.shape.part(self.merge_patch(replacement.changes));
                Ok(Update::Fields(self.fill(Step::Update, update, &[(Slot::Id, key)], Some(record))))
            }
            _ => Ok(Update::Whole(replacement)),
        }
    }

    /// A change that is laid over the record as read.
    ///
    /// # Errors
    /// The first attribute whose new value does not fit its field.
    pub fn plan_over(
        &self,
        before: &Resource,
        after: &Resource,
        moment: &Moment,
    ) -> Result<Replacement<'_>, Unwritable> {
        Ok(self.replacement(self.table.changes(before, after, moment)?))
    }

    fn replacement(&self, changes: Changes) -> Replacement<'_> {
        let (operation, in_parts) = match &self.change {
            Change::Replace(replace) => (replace, false),
            Change::Both { replace, .. } if self.removal == Removal::Replace && !changes.removed.is_empty() => {
                (replace, false)
            }
            Change::Update(update) | Change::Both { update, .. } => (update, true),
        };
        Replacement { config: self, operation, changes, in_parts }
    }

    /// Whether a change goes deeper than fields can be sent alone.
    fn in_depth(&self, replacement: &Replacement<'_>) -> bool {
        let changes = &replacement.changes;
        let fields = changes.set.keys().chain(changes.removed.iter().map(|(field, _)| field));
        self.shape.needs_whole(fields.map(String::as_str), self.removal == Removal::Null)
    }

    /// Whether changes of one entry must take turns, lest one undo another.
    pub(super) fn takes_turns(&self) -> bool {
        match &self.change {
            Change::Update(_) => !self.shape.is_flat(),
            Change::Both { .. } => self.removal == Removal::Replace || !self.shape.is_flat(),
            Change::Replace(_) => true,
        }
    }

    /// Removing a person.
    pub fn plan_delete(&self, key: &str) -> Option<Call> {
        self.fill(Step::Delete, &self.delete, &[(Slot::Id, key)], None)
    }

    /// The fields that a person's own values fill, without constants and defaults.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn fields(&self, person: &Resource, moment: &Moment) -> Result<Map<String, Value>, Unwritable> {
        Ok(self.shape.part(self.table.filled(person, moment)?))
    }

    /// Whether two values of an attribute are one to the directory, because their mapping makes the same of both.
    pub fn writes_alike(&self, path: &AttrPath, one: &str, other: &str) -> bool {
        let written = |value| self.table.sought(path, value).ok().flatten();
        written(one).is_some_and(|one| written(other) == Some(one))
    }

    /// A body as it may be shown.
    pub fn shown(&self, body: Map<String, Value>) -> Map<String, Value> {
        self.table.shown(body)
    }

    /// The declared attributes and fields.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What a record describes: a person, or a group.
    ///
    /// # Errors
    /// The first field that does not hold what the table says.
    pub fn resource(&self, record: &Map<String, Value>) -> Result<Resource, Unreadable> {
        let mut resource = if self.shape.is_flat() {
            self.table.person(record)?
        } else {
            self.table.person(&self.shape.flat(record))?
        };
        if self.kind == ResourceType::User && resource.active().is_none() {
            resource.set(&AttrPath::core("active"), Value::Bool(true));
        }
        Ok(resource)
    }

    /// The fields that differ, with what stands for nothing where a value is gone.
    fn merge_patch(&self, changes: Changes) -> Map<String, Value> {
        let mut record = changes.set;
        for (field, kind) in changes.removed {
            record.insert(field, self.nothing(Some(kind)));
        }
        record
    }

    /// What stands for nothing in a PATCH.
    fn nothing(&self, kind: Option<Kind>) -> Value {
        match (self.removal, kind) {
            (Removal::Empty, Some(Kind::Text)) => Value::String(String::new()),
            _ => Value::Null,
        }
    }

    pub(super) fn fill(
        &self,
        step: Step,
        operation: &Operation,
        slots: &[(Slot, &str)],
        body: Option<Map<String, Value>>,
    ) -> Option<Call> {
        let path = operation.fill(self.base.prefix(), slots)?;
        let filled = slots.iter().map(|(_, value)| (*value).to_owned()).collect();
        Some(Call { step, method: operation.method.clone(), path, body, guard: None, filled })
    }
}
