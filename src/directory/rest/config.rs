//! What the operator declares about a REST user system, and the one place where it is checked.
//!
//! A [`Draft`] is the text of the configuration, key by key; [`Config::new`] turns it into a [`Config`] that nothing needs to
//! doubt again, or lists every [`Mistake`] with the key it stands at. No file format is known here.
//!
//! The TOML it is read from (every key below `[tenants.NAME.directory]`; `*` = must be there; unknown keys are errors):
//!
//! ```toml
//! [tenants.example.directory]
//! kind          = "rest"
//! url           = "env:DIRECTORY_URL"    # * http:// or https://, host, perhaps port and path prefix; no query, no user:password@
//! token         = "env:DIRECTORY_TOKEN"  # bearer token. Optional: unset or empty variable (or file) = none is sent
//! timeout       = "10s"                  # of one piece of work (read, find, create, change, delete), all in all; 10s
//! max_in_flight = 64                     # calls under way at once, 1 to 1024; more wait, within their timeout; 64
//! key           = "id"                   # the member of a person that is its immutable key (text or number); "id"
//! version       = "version"              # the member that changes with every change; optional, none
//! items         = "/items"               # where list and find answers hold the people: JSON Pointer (RFC 6901), "" = the answer itself; "/items"
//! total         = "/total"               # where a list answer says how many there are in all; "/total"
//! error         = "/error"               # where a refusal explains itself; "/error"
//! page_size     = 100                    # most people asked for in one list call, 1 to 10000; 100
//! unique        = true                   # whether the user system itself refuses a user name twice, by 409; false = it is asked before each create and rename; true
//! paging        = "offset"               # how a list goes on: "offset", "page", "cursor", "link" (header), "none" (one answer holds all); by the slots of list
//! first_page    = 1                      # the number of the first page; 1
//! next          = "/next"                # where a list answer holds the next {cursor}, or with paging = "link" the next address; "/next"
//! headers       = { Accept = "application/vnd.example.v4+json" }  # sent with every call; optional
//! removal       = "null"                 # how a PATCH takes a value away: "null" (RFC 7396), "empty" (""), or "replace" (by PUT of the whole person); "null"
//!
//! [tenants.example.directory.operations] # "METHOD /path"; {id}, {offset}, {limit} are filled in percent-encoded
//! read    = "GET /users/{id}"                            # *
//! create  = "POST /users"                                # *
//! update  = "PATCH /users/{id}"                          # update, replace or both; update sends changed fields only
//! replace = "PUT /users/{id}"                            #   replace sends every field
//! delete  = "DELETE /users/{id}"                         # *
//! list    = "GET /users?offset={offset}&limit={limit}"   # * or by {page}, by {cursor}, or with paging = "link" or "none"
//! after   = "GET /users?after={key}&limit={limit}"       # optional: the people after a key, in order of their keys; the
//!                                                        #   parameter is left out at the beginning
//!
//! [tenants.example.directory.find]       # SCIM path = the call that finds people by one exact {value}
//! userName = "GET /users?username={value}"               # *
//!
//! [tenants.example.directory.attributes] # SCIM path = field of a person. userName and active must be among them
//! userName = "username"                                  # short for { field = "username" }
//! active   = { field = "enabled", kind = "boolean" }     # kind: "text" (default), "boolean", "number"
//! 'emails[type eq "work"].value' = { field = "email", default = "none@example.com" }  # default: sent by create and replace when there is no value
//!
//! mobile   = "/contact/phones/0/number"                  # a field that begins with / is a place inside the record
//!                                        # also write, read, apply: expressions and when; see `crate::mapping`'s `line`
//!
//! [tenants.example.directory.fields]     # optional: fields made of attributes and never read; { write, kind, default, apply }
//! full_name = 'Join(" ", [name.givenName], [name.familyName])'
//!
//! [tenants.example.directory.constants]  # optional: fields that create and replace always send
//! source = "scim"
//! ```
//!
//! What an answer means beside its status is told by `[[tenants.NAME.directory.answers]]`, see [`verdict`](super::verdict);
//! groups by `[tenants.NAME.directory.groups]`, see [`groups`].

pub mod groups;
pub mod listing;
pub mod members;
mod operations;
mod table;

use std::ops::Range;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use self::groups::{Groups, GroupsDraft};
use self::listing::{Listing, PagingDraft};
use self::operations::{headers, operations};
use self::table::{doubts, find, mistake, table};
use super::shape::Shape;
use super::template::Operation;
use super::verdict::{RuleDraft, Rules};
use crate::directory::client::Base;
use crate::mapping::{Slip, Table};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::types::Secret;

/// The configuration as written, before anything is believed. Defaults as in the module's grammar.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `url`.
    pub url: String,
    /// `token`; an empty one counts as none.
    pub token: Option<Secret>,
    /// `timeout`.
    pub timeout: Duration,
    /// `max_in_flight`.
    pub max_in_flight: u64,
    /// `key`.
    pub key: String,
    /// `version`.
    pub version: Option<String>,
    /// `items`.
    pub items: String,
    /// `total`.
    pub total: String,
    /// `error`.
    pub error: String,
    /// `page_size`.
    pub page_size: u64,
    /// `unique`.
    pub unique: bool,
    /// `removal`.
    pub removal: String,
    /// `[operations]`: name and `METHOD /path`, in the order written.
    pub operations: Vec<(String, String)>,
    /// `[find]`: SCIM path and `METHOD /path`, in the order written.
    pub find: Vec<(String, String)>,
    /// `[attributes]`: SCIM path and where it goes, in the order written.
    pub attributes: Vec<(String, Attribute)>,
    /// `[fields]`: field and what it is made of, in the order written.
    pub fields: Vec<(String, Attribute)>,
    /// `[constants]`: field and value, in the order written.
    pub constants: Vec<(String, Value)>,
    /// `paging`, `first_page` and `next`.
    pub paging: PagingDraft,
    /// `headers`: name and value.
    pub headers: Vec<(String, String)>,
    /// `[[answers]]`, in the order written.
    pub answers: Vec<RuleDraft>,
    /// `[groups]`.
    pub groups: Option<Box<GroupsDraft>>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            url: String::new(),
            token: None,
            timeout: Duration::from_secs(10),
            max_in_flight: 64,
            key: "id".into(),
            version: None,
            items: "/items".into(),
            total: "/total".into(),
            error: "/error".into(),
            page_size: 100,
            unique: true,
            removal: "null".into(),
            operations: Vec::new(),
            find: Vec::new(),
            attributes: Vec::new(),
            fields: Vec::new(),
            constants: Vec::new(),
            paging: PagingDraft::default(),
            headers: Vec::new(),
            answers: Vec::new(),
            groups: None,
        }
    }
}

/// One line of `[attributes]` or `[fields]` as written.
pub use crate::mapping::Line as Attribute;

/// Something wrong with a [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", at.join("."))]
pub struct Mistake {
    /// Which part of the text there, in bytes, if not all of it: a place in an expression.
    pub within: Option<Range<usize>>,
    /// What to do about it, where `problem` does not say.
    pub help: Option<String>,
    /// The key below `[tenants.NAME.directory]`, a segment each, such as `["operations", "read"]`. For a key that is missing,
    /// the last segment names it.
    pub at: Vec<String>,
    /// What is wrong and what to write instead; without secrets.
    pub problem: String,
}

/// How a PATCH takes a value away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// By `null` (JSON Merge Patch, RFC 7396).
    Null,
    /// By `""` for text, `null` for everything else.
    Empty,
    /// Not at all: the whole person is put in place again without the field.
    Replace,
}

/// How an existing person is changed: at least one way exists.
#[derive(Clone, Debug)]
pub enum Change {
    /// PATCH only.
    Update(Operation),
    /// PUT only.
    Replace(Operation),
    /// Both; PUT is taken where [`Removal::Replace`] asks for it.
    Both {
        /// The PATCH.
        update: Operation,
        /// The PUT.
        replace: Operation,
    },
}

/// A REST user system, declared and checked: its people, and with them its groups. Groups are records of the same make, so
/// theirs is a `Config` again, of another [`ResourceType`].
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) kind: ResourceType,
    pub(super) base: Base,
    pub(super) token: Option<Secret>,
    pub(super) timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) read: Operation,
    pub(super) create: Operation,
    pub(super) change: Change,
    pub(super) delete: Operation,
    pub(super) list: Listing,
    pub(super) after: Option<Operation>,
    pub(super) find: Vec<(AttrPath, Operation)>,
    /// The attribute that names an entry, and whether entries can be found by it.
    pub(super) name: AttrPath,
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) error: String,
    pub(super) unique: bool,
    pub(super) removal: Removal,
    pub(super) table: Table,
    pub(super) shape: Shape,
    pub(super) headers: HeaderMap,
    pub(super) rules: Rules,
    pub(super) groups: Option<Box<Groups>>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Mistake>,
}

impl Config {
    /// Checks a draft.
    ///
    /// # Errors
    /// Every mistake found, in the order of the keys.
    pub fn new(mut draft: Draft) -> Result<Self, Vec<Mistake>> {
        let groups = draft.groups.take();
        let people = Self::declared(draft, ResourceType::User);
        let Some(groups) = groups else { return people };
        match Groups::new(*groups, people.as_ref().ok()) {
            Ok(groups) => people.map(|people| Self { groups: Some(Box::new(groups)), ..people }),
            Err(more) => Err(people.err().into_iter().flatten().chain(more).collect()),
        }
    }

    /// Checks what is declared of one type of records.
    fn declared(draft: Draft, kind: ResourceType) -> Result<Self, Vec<Mistake>> {
        let mut checks = Checks::default();
        let base = checks.keep(&["url"], Base::parse(&draft.url));
        let token = draft.token.filter(|token| !token.expose().is_empty());
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            checks.add(&["token"], "holds a blank, a line end or a letter beyond ASCII; a bearer token has none");
        }
        checks.within(&["timeout"], draft.timeout.as_millis(), 1, 300_000, "between 1ms and 300s");
        checks.within(&["max_in_flight"], draft.max_in_flight.into(), 1, 1024, "between 1 and 1024");
        checks.within(&["page_size"], draft.page_size.into(), 1, 10_000, "between 1 and 10000");
        for (name, pointer) in [("items", &draft.items), ("total", &draft.total), ("error", &draft.error)] {
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                checks.add(&[name], format!("is a JSON Pointer (RFC 6901): write \"/{pointer}\""));
            }
        }
        if draft.key.is_empty() {
            let whose = noun(kind);
            checks.add(&["key"], format!("name the member of a {whose} that holds its immutable key, such as \"id\""));
        }
        let removal = match draft.removal.as_str() {
            "null" => Removal::Null,
            "empty" => Removal::Empty,
            "replace" => Removal::Replace,
            other => {
                checks.add(&["removal"], format!("\"{other}\" is none of \"null\", \"empty\", \"replace\""));
                Removal::Null
            }
        };
        let headers = headers(&draft.headers, &mut checks);
        let rules = Rules::new(draft.answers).map_err(|(index, key, problem)| {
            checks.add(&[&format!("answers[{index}]"), key], problem);
        });
        let listing = listing::Declared {
            paging: draft.paging,
            items: draft.items,
            total: draft.total,
            page_size: draft.page_size,
        };
        let operations = operations(&draft.operations, kind, removal, &listing, &mut checks);
        let find = find(&draft.find, kind, &mut checks);
        let fields = draft.attributes.iter().map(|(_, attribute)| attribute.field.as_str());
        let fields =
            fields.filter(|field| !field.is_empty()).chain(draft.fields.iter().map(|(field, _)| field.as_str()));
        let shape = Shape::of(fields.chain(draft.constants.iter().map(|(field, _)| field.as_str())));
        let shape = shape.map_err(|(field, problem)| {
            let of = |attribute: &&(String, Attribute)| attribute.1.field == field;
            let path = draft.attributes.iter().find(of).map(|(path, _)| path.as_str());
            let at = path.map_or(["constants", field.as_str()], |path| ["attributes", path]);
            checks.add(&at, format!("\"{field}\" {problem}"));
        });
        let table = table(draft.attributes, draft.fields, draft.constants, &draft.key, kind, &mut checks);
        if let Some(table) = &table {
            for (path, _) in &find {
                if !table.maps(path) && !checks.misreads(path) {
                    let problem = "is not among the attributes, so its answers could not be checked";
                    checks.add(&["find", &path.to_string()], problem);
                }
            }
        }
        for (path, _) in
            table.iter().flat_map(|table| find.iter().filter(|(path, _)| table.maps(path) && !table.can_seek(path)))
        {
            let problem = "is written by an expression that looks at more than it, so nobody can be sought by it";
            checks.add(&["find", &path.to_string()], problem);
        }
        let warnings = table.iter().flat_map(doubts).collect();
        match (base, operations, table, shape, rules) {
            (Some(base), Some(operations), Some(table), Ok(shape), Ok(rules)) if checks.0.is_empty() => Ok(Self {
                kind,
                base,
                token,
                timeout: draft.timeout,
                max_in_flight: usize::try_from(draft.max_in_flight).unwrap_or(1),
                read: operations.read,
                create: operations.create,
                change: operations.change,
                delete: operations.delete,
                list: operations.list,
                after: operations.after,
                find,
                name: AttrPath::core(name(kind)),
                key: draft.key,
                version: draft.version,
                error: draft.error,
                unique: draft.unique,
                removal,
                table,
                shape,
                headers,
                rules,
                groups: None,
                warnings,
            }),
            _ => Err(checks.0),
        }
    }

    /// What is declared of this type, if anything is.
    pub fn of(&self, kind: ResourceType) -> Option<&Self> {
        match kind {
            ResourceType::User => Some(self),
            ResourceType::Group => self.groups().map(|groups| &groups.records),
        }
    }

    /// The groups, where they are declared.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_deref()
    }
}

/// The attribute without which an entry is none.
const fn name(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::User => "userName",
        ResourceType::Group => "displayName",
    }
}

const fn noun(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::User => "person",
        ResourceType::Group => "group",
    }
}

/// The mistakes so far.
#[derive(Default)]
struct Checks(Vec<Mistake>);

impl Checks {
    fn add(&mut self, at: &[&str], problem: impl Into<String>) {
        let at = at.iter().map(ToString::to_string).collect();
        self.0.push(Mistake { at, problem: problem.into(), within: None, help: None });
    }

    /// Whether the line of this attribute is known to be wrong.
    fn misreads(&self, path: &AttrPath) -> bool {
        let is_its = |mistake: &Mistake| matches!(mistake.at.as_slice(), [table, key, ..] if table == "attributes" && path.is(key));
        self.0.iter().any(is_its)
    }

    /// What is wrong with a line of the mapping.
    fn slips(&mut self, at: &[&str], slips: Vec<Slip>) {
        self.0.extend(slips.into_iter().map(|slip| mistake(at, slip)));
    }

    fn keep<T>(&mut self, at: &[&str], outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|problem| self.add(at, problem)).ok()
    }

    fn within(&mut self, at: &[&str], value: u128, least: u128, most: u128, range: &str) {
        if !(least..=most).contains(&value) {
            self.add(at, format!("must be {range}"));
        }
    }
}

#[cfg(test)]
mod tests;
