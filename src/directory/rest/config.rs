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
//!
//! [tenants.example.directory.constants]  # optional: fields that create and replace always send
//! source = "scim"
//! ```
//!
//! What an answer means beside its status is told by `[[tenants.NAME.directory.answers]]`, see [`verdict`](super::verdict);
//! groups by `[tenants.NAME.directory.groups]`, see [`groups`].

pub mod groups;
pub mod listing;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value};

use self::groups::{Groups, GroupsDraft};
use self::listing::{Listing, PagingDraft};
use super::shape::Shape;
use super::template::{Operation, Slot};
use super::verdict::{RuleDraft, Rules};
use crate::directory::client::Base;
use crate::mapping::{Column, Kind, Table};
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
            constants: Vec::new(),
            paging: PagingDraft::default(),
            headers: Vec::new(),
            answers: Vec::new(),
            groups: None,
        }
    }
}

/// One line of `[attributes]` as written.
#[derive(Clone, Debug, Default)]
pub struct Attribute {
    /// `field`.
    pub field: String,
    /// `kind`; none means text.
    pub kind: Option<String>,
    /// `default`.
    pub default: Option<Value>,
}

/// Something wrong with a [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", at.join("."))]
pub struct Mistake {
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
        let shape = Shape::of(fields.chain(draft.constants.iter().map(|(field, _)| field.as_str())));
        let shape = shape.map_err(|(field, problem)| {
            let of = |attribute: &&(String, Attribute)| attribute.1.field == field;
            let path = draft.attributes.iter().find(of).map(|(path, _)| path.as_str());
            let at = path.map_or(["constants", field.as_str()], |path| ["attributes", path]);
            checks.add(&at, format!("\"{field}\" {problem}"));
        });
        let table = table(draft.attributes, draft.constants, &draft.key, kind, &mut checks);
        for (path, _) in table.iter().flat_map(|table| find.iter().filter(|(path, _)| !table.maps(path))) {
            checks
                .add(&["find", &path.to_string()], "is not among the attributes, so its answers could not be checked");
        }
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
        self.0.push(Mistake { at: at.iter().map(ToString::to_string).collect(), problem: problem.into() });
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

struct Operations {
    read: Operation,
    create: Operation,
    change: Change,
    delete: Operation,
    list: Listing,
    after: Option<Operation>,
}

/// The names of `[operations]`, the slots each must and may hold, and an example for who left it out.
const OPERATIONS: [(&str, &[Slot], &str); 7] = [
    ("read", &[Slot::Id], "GET /users/{id}"),
    ("create", &[], "POST /users"),
    ("update", &[Slot::Id], "PATCH /users/{id}"),
    ("replace", &[Slot::Id], "PUT /users/{id}"),
    ("delete", &[Slot::Id], "DELETE /users/{id}"),
    ("list", &[], "GET /users?offset={offset}&limit={limit}"),
    ("after", &[Slot::Key, Slot::Limit], "GET /users?after={key}&limit={limit}"),
];

fn operations(
    written: &[(String, String)],
    kind: ResourceType,
    removal: Removal,
    listing: &listing::Declared,
    checks: &mut Checks,
) -> Option<Operations> {
    for (name, _) in written {
        if !OPERATIONS.iter().any(|(known, ..)| known == name) {
            checks.add(&["operations", name], "there are read, create, update, replace, delete, list and after");
        }
    }
    let mut paging = None;
    let mut parsed = OPERATIONS.map(|(name, slots, _)| {
        let text = &written.iter().find(|(written, _)| written == name)?.1;
        if name != "list" {
            return checks.keep(&["operations", name], Operation::parse(text, slots));
        }
        let list = listing.read(text, &[], &[]).map_err(|(key, problem)| match key {
            Some(key) => checks.add(&[key], problem),
            None => checks.add(&["operations", name], problem),
        });
        let list = list.ok()?;
        paging = Some(list.paging);
        Some(list.operation)
    });
    for ((name, _, example), parsed) in OPERATIONS.iter().zip(&parsed) {
        let written = written.iter().any(|(written, _)| written == name);
        if parsed.is_none() && !written && !matches!(*name, "update" | "replace" | "after") {
            let example = of_kind(example, kind);
            checks.add(&["operations", name], format!("is missing: write one such as {name} = \"{example}\""));
        }
    }
    for ((name, ..), operation) in OPERATIONS.iter().zip(&parsed) {
        let reads = matches!(*name, "read" | "list" | "after");
        if operation.as_ref().is_some_and(|operation| (operation.method == Method::GET) != reads) {
            let should =
                if reads { "must be a GET: it may be repeated" } else { "must not be a GET: it changes something" };
            checks.add(&["operations", name], should);
        }
    }
    let [read, create, update, replace, delete, list, after] = parsed.each_mut().map(Option::take);
    let change = match (update, replace) {
        (Some(update), Some(replace)) => Change::Both { update, replace },
        (Some(update), None) => {
            if removal == Removal::Replace {
                checks.add(&["operations", "replace"], "is missing: removal = \"replace\" needs it");
            }
            Change::Update(update)
        }
        (None, Some(replace)) => Change::Replace(replace),
        (None, None) => {
            if !written.iter().any(|(name, _)| matches!(name.as_str(), "update" | "replace")) {
                let advice = "write update = \"PATCH /users/{id}\" or replace = \"PUT /users/{id}\"";
                checks.add(&["operations", "update"], of_kind(advice, kind));
            }
            return None;
        }
    };
    let list = Listing {
        operation: list?,
        paging: paging?,
        items: listing.items.clone(),
        total: listing.total.clone(),
        page_size: listing.page_size,
    };
    Some(Operations { read: read?, create: create?, change, delete: delete?, list, after })
}

/// An example as it would be for this type.
fn of_kind(example: &str, kind: ResourceType) -> String {
    match kind {
        ResourceType::User => example.to_owned(),
        ResourceType::Group => example.replace("/users", "/groups"),
    }
}

/// Headers of every call. Values may be keys: no debug output shows them.
fn headers(written: &[(String, String)], checks: &mut Checks) -> HeaderMap {
    const OURS: [HeaderName; 6] = [
        header::HOST,
        header::AUTHORIZATION,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::IF_MATCH,
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let parsed = HeaderName::try_from(name).ok().filter(|parsed| !OURS.contains(parsed));
        match (parsed, HeaderValue::try_from(value)) {
            (Some(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            (None, _) => checks.add(&["headers", name], "is no header that can be chosen here"),
            (_, Err(_)) => checks.add(&["headers", name], "holds a letter that a header cannot carry"),
        }
    }
    headers
}

fn find(written: &[(String, String)], kind: ResourceType, checks: &mut Checks) -> Vec<(AttrPath, Operation)> {
    let mut found = Vec::new();
    for (path, text) in written {
        let operation = checks.keep(&["find", path], Operation::parse(text, &[Slot::Value]));
        if operation.as_ref().is_some_and(|operation| operation.method != Method::GET) {
            checks.add(&["find", path], "must be a GET: it may be repeated");
        }
        if let Some(path) = checks.keep(&["find", path], AttrPath::parse(path).map_err(|error| error.detail))
            && let Some(operation) = operation
        {
            found.push((path, operation));
        }
    }
    if kind == ResourceType::User && !written.iter().any(|(path, _)| path.eq_ignore_ascii_case("userName")) {
        checks.add(&["find", "userName"], "is missing: write one such as userName = \"GET /users?username={value}\"");
    }
    found
}

fn table(
    attributes: Vec<(String, Attribute)>,
    constants: Vec<(String, Value)>,
    key: &str,
    entry: ResourceType,
    checks: &mut Checks,
) -> Option<Table> {
    let mut columns = Vec::new();
    for (text, attribute) in attributes {
        let at = ["attributes", text.as_str()];
        let kind = match attribute.kind.as_deref() {
            None | Some("text") => Kind::Text,
            Some("boolean") => Kind::Boolean,
            Some("number") => Kind::Number,
            Some(other) => {
                checks.add(&at, format!("kind \"{other}\" is none of \"text\", \"boolean\", \"number\""));
                continue;
            }
        };
        if attribute.field == key {
            let whose = noun(entry);
            checks.add(
                &at,
                format!("\"{key}\" is the key of a {whose}: the directory gives it, no attribute maps to it"),
            );
        }
        let path = checks.keep(&at, AttrPath::parse(&text).map_err(|error| error.detail));
        let column = path.map(|path| Column::new(path, attribute.field, kind, attribute.default));
        if let Some(column) = column.and_then(|column| checks.keep(&at, column)) {
            if entry == ResourceType::Group && column.path().attribute.eq_ignore_ascii_case("members") {
                checks.add(&at, "is no attribute here: say in [groups.members] how members are kept");
            }
            if column.path().is("active") && kind != Kind::Boolean {
                checks.add(&at, "active is a boolean: write { field = \"…\", kind = \"boolean\" }");
            }
            columns.push(column);
        }
    }
    let (needed, why) = match entry {
        ResourceType::User => (&["userName", "active"][..], "nobody can be found or disabled without it"),
        ResourceType::Group => (&["displayName"][..], "a group has no other name"),
    };
    for needed in needed {
        if !columns.iter().any(|column| column.path().is(needed)) {
            checks.add(&["attributes", needed], format!("must be mapped: {why}"));
        }
    }
    let constants: Map<String, Value> = constants.into_iter().collect();
    match Table::new(columns, constants) {
        Ok(table) => Some(table),
        Err(clash) => {
            checks.add(&["attributes"], clash);
            None
        }
    }
}

#[cfg(test)]
mod tests;
