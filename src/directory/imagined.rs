//! A directory that is only imagined: it answers as one of its kind would that does all it is asked, and notes each call
//! instead of making it. `portcullis explain` walks a request over it; the gateway itself never builds one. Holds one or two
//! people in memory; no network, no file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use serde_json::{Map, Value};

use super::rest::plan::{Call, Update};
use super::rest::{self, invalid};
use super::scim::known::Known;
use super::scim::plan::{equals, operations};
use super::scim::{self};
use super::unasked;
use super::{embedded, ldap, sql};
use crate::mapping::expression::Moment;
use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};

/// The key of somebody whom the imagined directory creates.
pub const NEW: &str = "NEW";

const EVERYBODY: &str = "list everybody, page by page; this is the first page";

/// Which kind of directory is imagined.
pub enum Kind {
    /// The gateway's own.
    Embedded(embedded::Config),
    /// A user system with a REST interface.
    Rest(Box<rest::Config>),
    /// Another SCIM server, which says nothing of itself.
    Scim(Box<scim::Config>),
    /// An LDAP server.
    Ldap(Box<ldap::Config>),
    /// Tables of a database.
    Sql(Box<sql::Config>),
}

/// Something the directory was asked. Values are the sample's own.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A call over HTTP.
    Call {
        /// What it is for.
        purpose: String,
        /// The method.
        method: Method,
        /// The absolute address.
        url: String,
        /// Whether a bearer token goes with it.
        token: bool,
        /// The JSON body.
        body: Option<Value>,
    },
    /// Work on the gateway's own file, in a database or on an LDAP server.
    Own {
        /// What is done.
        purpose: String,
        /// The values written; null takes one away.
        values: Option<Value>,
    },
}

impl Asked {
    /// What it is for.
    pub fn purpose(&self) -> &str {
        match self {
            Self::Call { purpose, .. } | Self::Own { purpose, .. } => purpose,
        }
    }
}

/// The connector.
pub struct Imagined {
    kind: Kind,
    moment: Moment,
    people: Mutex<Vec<Entry>>,
    /// Only the gateway's own directory is imagined with groups.
    groups: Mutex<Vec<Entry>>,
    asked: Mutex<Vec<Asked>>,
}

impl Imagined {
    /// A directory in which only `person` is, if anybody, at `moment`.
    pub fn new(kind: Kind, person: Option<Entry>, moment: Moment) -> Self {
        let people = Mutex::new(person.into_iter().collect());
        Self { kind, moment, people, groups: Mutex::default(), asked: Mutex::default() }
    }

    /// The same with a group, which has no members.
    #[must_use]
    pub fn with_group(self, group: Option<Entry>) -> Self {
        Self { groups: Mutex::new(group.into_iter().collect()), ..self }
    }

    /// Everything it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether somebody is there under this key, and the kind could hold such a key at all. Asks nothing.
    pub fn has(&self, key: &str) -> bool {
        let possible = match &self.kind {
            Kind::Embedded(_) => embedded::is_key(key),
            Kind::Ldap(_) | Kind::Sql(_) => !key.is_empty(),
            Kind::Rest(config) => config.plan_read(key).is_some(),
            Kind::Scim(config) => config.plan_read(ResourceType::User, key).is_some(),
        };
        possible && self.person(key).is_some()
    }

    fn people(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    }

    /// Notes work on the gateway's own file, in a database or on an LDAP server.
    fn own(&self, what: impl std::fmt::Display, values: Option<Value>) {
        let place = match &self.kind {
            Kind::Embedded(config) => config.path.display().to_string(),
            Kind::Ldap(config) => config.place().to_owned(),
            Kind::Sql(config) => config.place(),
            Kind::Rest(_) | Kind::Scim(_) => String::new(),
        };
        self.note(Asked::Own { purpose: format!("{what} (in {place})"), values });
    }

    /// Notes a call; `false` when it cannot be addressed and so is never made.
    fn call(&self, config: &rest::Config, purpose: impl Into<String>, call: Option<&Call>) -> bool {
        let Some(call) = call else { return false };
        self.note(Asked::Call {
            purpose: purpose.into(),
            method: call.method.clone(),
            url: config.address(call),
            token: config.has_token(),
            body: call.body.clone().map(|body| Value::Object(config.shown(body))),
        });
        true
    }

    /// As [`Imagined::call`], to a SCIM server.
    fn ask(&self, config: &scim::Config, purpose: impl Into<String>, call: Option<scim::plan::Call>) -> bool {
        let Some(call) = call else { return false };
        self.note(Asked::Call {
            purpose: purpose.into(),
            url: config.address(&call),
            method: call.method,
            token: config.has_token(),
            body: call.body,
        });
        true
    }

    /// Notes work on groups, which only the gateway's own file has here.
    fn team(&self, what: impl std::fmt::Display, values: Option<Value>) -> Result<(), DirectoryError> {
        let Kind::Embedded(_) = &self.kind else { return unasked("a group") };
        self.own(what, values);
        Ok(())
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold_group(&self, key: &str, group: Resource) -> Entry {
        let entry = Entry { key: key.to_owned(), resource: group, created: None, modified: None, version: None };
        let mut groups = self.groups();
        groups.retain(|other| other.key != key);
        groups.push(entry.clone());
        entry
    }

    fn find_groups(&self, lookup: &Lookup) -> Result<Found, DirectoryError> {
        let entries: Vec<_> = match lookup {
            Lookup::All => {
                self.team("list the groups, page by page; this is the first page", None)?;
                self.groups().clone()
            }
            Lookup::Member { key } => {
                self.team(format_args!("find the groups that hold {key}"), None)?;
                Vec::new()
            }
            Lookup::Equal { path, value } => {
                let sought = Map::from_iter([(path.to_string(), value.clone().into())]);
                self.team(format_args!("find the groups with this {path}"), Some(Value::Object(sought)))?;
                let same = |entry: &&Entry| {
                    entry.resource.text(path).is_some_and(|text| text.to_lowercase() == value.to_lowercase())
                };
                self.groups().iter().filter(same).cloned().collect()
            }
        };
        Ok(Found { total: entries.len() as u64, entries })
    }

    fn person(&self, key: &str) -> Option<Entry> {
        self.people().iter().find(|entry| entry.key == key).cloned()
    }

    /// Puts a person into the list, as they are now.
    fn hold(&self, key: &str, person: Resource) -> Entry {
        let entry = Entry { key: key.to_owned(), resource: person, created: None, modified: None, version: None };
        let mut people = self.people();
        people.retain(|other| other.key != key);
        people.push(entry.clone());
        entry
    }
}

impl Directory for Imagined {
    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        if kind == ResourceType::Group {
            self.team(format_args!("read the group {key}"), None)?;
            return Ok(self.groups().iter().find(|group| group.key == key && embedded::is_group_key(key)).cloned());
        }
        match &self.kind {
            Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_) => {
                self.own(format_args!("read the person {key}"), None);
                Ok(self.person(key).filter(|_| self.has(key)))
            }
            Kind::Rest(config) => {
                let made = self.call(config, format!("read the person {key}"), config.plan_read(key).as_ref());
                Ok(self.person(key).filter(|_| made))
            }
            Kind::Scim(config) => {
                let call = config.plan_read(ResourceType::User, key);
                let made = self.ask(config, format!("read the person {key}"), call);
                Ok(self.person(key).filter(|_| made))
            }
        }
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        if kind == ResourceType::Group {
            return self.find_groups(lookup);
        }
        match (&self.kind, lookup) {
            (Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_), Lookup::All) => self.own(EVERYBODY, None),
            (Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_), Lookup::Equal { path, value }) => {
                let sought = Map::from_iter([(path.to_string(), value.clone().into())]);
                self.own(format_args!("find who has this {path}"), Some(Value::Object(sought)));
            }
            (_, Lookup::Member { .. }) => return unasked("a group"),
            (Kind::Rest(config), Lookup::All) => {
                self.call(config, EVERYBODY, config.plan_list(page.offset, page.limit).as_ref());
            }
            (Kind::Rest(config), Lookup::Equal { path, value }) => {
                self.call(config, format!("find who has this {path}"), config.plan_find(path, value).as_ref());
            }
            (Kind::Scim(config), Lookup::All) => {
                self.ask(config, EVERYBODY, config.plan_list(ResourceType::User, None, page.offset, page.limit));
            }
            (Kind::Scim(config), Lookup::Equal { path, value }) => {
                let filter = scim::filtered(ResourceType::User, path).map(|attribute| equals(attribute, value));
                let call = config.plan_list(ResourceType::User, filter.as_deref(), 0, u64::MAX);
                self.ask(config, format!("find who has this {path}"), call);
            }
        }
        let matches = |entry: &&Entry| match lookup {
            Lookup::All | Lookup::Member { .. } => true,
            Lookup::Equal { path, value } => {
                entry.resource.text(path).is_some_and(|text| text.to_lowercase() == value.to_lowercase())
            }
        };
        let found: Vec<Entry> = self.people().iter().filter(matches).cloned().collect();
        let total = found.len() as u64;
        let (offset, limit) = (usize::try_from(page.offset), usize::try_from(page.limit));
        let entries = found.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect();
        Ok(Found { entries, total })
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        let held = match &self.kind {
            Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_) => {
                self.own("add a person", Some(Value::Object(person.as_map().clone())));
                person.clone()
            }
            Kind::Rest(config) => {
                let call = config.plan_create(person, &self.moment).map_err(|error| invalid(&error))?;
                self.call(config, "create the person", call.as_ref());
                let record = call.and_then(|call| call.body).unwrap_or_default();
                config.resource(&record).map_err(|error| nonsense(&error))?
            }
            Kind::Scim(config) => {
                let known = Known::default();
                let call = config.plan_create(&known, ResourceType::User, person, &[]);
                self.ask(config, "create the person", call);
                Resource::from_map(known.kept(config, ResourceType::User, person))
            }
        };
        let name = person.user_name().map(str::to_lowercase);
        if self.people().iter().any(|other| other.resource.user_name().map(str::to_lowercase) == name) {
            return Err(DirectoryError::Conflict { attribute: "userName".into() });
        }
        Ok(self.hold(NEW, held))
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        let held = match &self.kind {
            Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_) => {
                self.own(format_args!("change the person {key}"), Some(difference(before, after)));
                after.clone()
            }
            Kind::Rest(config) => {
                match config.plan_update(key, before, after, &self.moment).map_err(|error| invalid(&error))? {
                    Update::Nothing => {
                        self.call(
                            config,
                            format!("read the person {key}: nothing differs"),
                            config.plan_read(key).as_ref(),
                        );
                        before.clone()
                    }
                    Update::Fields(call) => {
                        self.call(config, format!("change the person {key}: only what differs"), call.as_ref());
                        let record = config.fields(after, &self.moment).map_err(|error| invalid(&error))?;
                        config.resource(&record).map_err(|error| nonsense(&error))?
                    }
                    Update::Whole(replacement) => {
                        let read = "read the person as held now, also what is not mapped";
                        self.call(config, read, config.plan_read(key).as_ref());
                        let record = config.fields(before, &self.moment).map_err(|error| invalid(&error))?;
                        let call = replacement.over(key, &record);
                        let put = "put the whole person in place; fields that are not mapped go back as they were read";
                        self.call(config, put, call.as_ref());
                        let record = call.and_then(|call| call.body).unwrap_or_default();
                        config.resource(&record).map_err(|error| nonsense(&error))?
                    }
                }
            }
            Kind::Scim(config) => {
                let [before, after] =
                    [before, after].map(|side| Known::default().kept(config, ResourceType::User, side));
                let (operations, lists) = operations(&before, &after);
                let read = || config.plan_read(ResourceType::User, key);
                if operations.is_empty() {
                    self.ask(config, format!("read the person {key}: nothing differs"), read());
                } else if config.patches() {
                    if lists {
                        self.ask(config, "read the person as held now: a list is set as a whole", read());
                    }
                    let call = config.plan_patch(ResourceType::User, key, &operations);
                    self.ask(config, format!("change the person {key}: only what differs"), call);
                } else {
                    self.ask(config, "read the person as held now, also what is not known here", read());
                    let call = config.plan_put(ResourceType::User, key, after.clone());
                    self.ask(config, "put the whole person in place", call);
                }
                Resource::from_map(after)
            }
        };
        Ok(self.hold(key, held))
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        if kind == ResourceType::Group {
            self.team(format_args!("remove the group {key} and its membership"), None)?;
            self.groups().retain(|group| group.key != key);
            return Ok(());
        }
        match &self.kind {
            Kind::Embedded(_) | Kind::Ldap(_) | Kind::Sql(_) => self.own(format_args!("remove the person {key}"), None),
            Kind::Rest(config) => {
                self.call(config, format!("remove the person {key}"), config.plan_delete(key).as_ref());
            }
            Kind::Scim(config) => {
                let call = config.plan_delete(ResourceType::User, key);
                self.ask(config, format!("remove the person {key}"), call);
            }
        }
        self.people().retain(|entry| entry.key != key);
        Ok(())
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        Ok(())
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        let mut values = group.as_map().clone();
        if !members.is_empty() {
            values.insert("members".into(), members.iter().map(|member| Value::from(member.key.as_str())).collect());
        }
        self.team("add a group with its members", Some(Value::Object(values)))?;
        Ok(self.hold_group(NEW, group.clone()))
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        let Value::Object(mut values) = difference(&change.before, &change.after) else { return unasked("a group") };
        if !change.add.is_empty() {
            let added = change.add.iter().map(|member| Value::from(member.key.as_str()));
            values.insert("members to add".into(), added.collect());
        }
        if !change.remove.is_empty() {
            values.insert(
                "members to remove".into(),
                change.remove.iter().map(|key| Value::from(key.as_str())).collect(),
            );
        }
        self.team(format_args!("change the group {key}"), Some(Value::Object(values)))?;
        Ok(self.hold_group(key, change.after.clone()))
    }

    async fn members(&self, key: &str, _: Page) -> Result<Members, DirectoryError> {
        self.team(format_args!("read the members of the group {key}, page by page"), None)?;
        Ok(Members::default())
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        self.team(format_args!("ask which of {} are in the group {key}", candidates.join(", ")), None)?;
        Ok(Vec::new())
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        if matches!(self.kind, Kind::Embedded(_)) {
            self.team(format_args!("read in which groups {} is", members.join(", ")), None)?;
        }
        Ok(Vec::new())
    }

    async fn seek(&self, _: ResourceType, _: Option<&str>, _: u64) -> Result<Vec<Entry>, DirectoryError> {
        unasked("a walk by key")
    }

    fn seeks(&self, _: ResourceType) -> bool {
        false
    }

    fn offers(&self, kind: ResourceType) -> bool {
        kind == ResourceType::User || matches!(self.kind, Kind::Embedded(_))
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match &self.kind {
            Kind::Embedded(_) if kind == ResourceType::Group => embedded::finds_groups_by(path),
            Kind::Embedded(_) => embedded::finds_by(path),
            Kind::Ldap(config) => config.finds_by(ResourceType::User, path),
            Kind::Sql(config) => config.finds_by(ResourceType::User, path),
            Kind::Rest(config) => config.finds_by(path),
            Kind::Scim(_) => scim::filtered(ResourceType::User, path).is_some(),
        }
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match &self.kind {
            Kind::Embedded(_) if kind == ResourceType::Group => embedded::holds_of_groups(path),
            Kind::Embedded(_) => embedded::holds(path),
            Kind::Ldap(config) => config.holds(ResourceType::User, path),
            Kind::Sql(config) => config.holds(ResourceType::User, path),
            Kind::Rest(config) => config.holds(path),
            Kind::Scim(config) => Known::default().holds(config, ResourceType::User, path),
        }
    }
}

/// The attributes that differ, with their new values; null where there is none any more.
fn difference(before: &Resource, after: &Resource) -> Value {
    let mut changes = Map::new();
    for path in after.paths().iter().chain(&before.paths()) {
        let (held, wanted) = (before.get(path), after.get(path));
        if held != wanted {
            changes.insert(path.to_string(), wanted.cloned().unwrap_or_default());
        }
    }
    Value::Object(changes)
}

/// What was written cannot be read back: the declared fields contradict each other.
fn nonsense(error: &crate::mapping::Unreadable) -> DirectoryError {
    DirectoryError::Failed { reason: error.to_string(), maybe_done: true }
}
