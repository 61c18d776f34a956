//! What the operator declares about the groups of a REST user system: records like people's, and in which of three forms the
//! user system keeps who is in them.
//!
//! ```toml
//! [tenants.example.directory.groups]
//! membership = "sub-resource"          # * "sub-resource": calls that list, add and remove members
//!                                      #   "list": the group's record holds them all and is put in place with another list
//!                                      #   "attribute": a field of the person's record names their groups
//! prefix     = "g-"                    # stands before a group's key to make it an id that no person has; "g-". "" where the
//!                                      #   user system's own keys are unique over both
//! # key, version, items, total, error, page_size, paging, first_page, next, unique, removal, headers, [[answers]] and the
//! # tables operations, find, attributes and constants as for people; what is absent is as declared for people, tables are
//! # their own. displayName must be among the attributes; to be found by it is optional.
//!
//! [tenants.example.directory.groups.members]
//! list   = "GET /groups/{id}/members?offset={offset}&limit={limit}"  # * sub-resource: the members; or without paging
//!                                      # * attribute: the people who name the group, as find answers them
//! add    = "POST /groups/{id}/members" # * sub-resource. Or { call = "…", body = { ids = ["{member}"] } }: a list whose only
//!                                      #   entry mentions {member} is repeated, so that one call takes many. Without a body
//!                                      #   the entry below is sent, or nothing where {member} stands in the path
//! remove = "DELETE /groups/{id}/members/{member}"  # * sub-resource; as add
//! batch  = 100                         # the most members of one call that takes many; 100
//! has    = "GET /groups/{id}/members/{member}"     # sub-resource, optional: 2xx when it is a member, 404 when not
//! of     = "GET /groups?member={member}"           # sub-resource, list; optional: the groups of a member, as find answers them
//! field  = "/members"                  # * list: where the group's record holds the list. attribute: where a person's record
//!                                      #   names their groups. A JSON Pointer
//! single = false                       # attribute: the field holds one group, not a list; false
//! by     = "id"                        # attribute: the member of a group's record that the field holds; the key
//! guard  = "none"                      # list, attribute: how a change says which state it changes: "if-match" (ETag, 412),
//!                                      #   "version" (the version goes back in the body, 409), "none"
//! key    = "/id"                       # where an entry of a list of members holds the key: a JSON Pointer; "": the entry itself
//! kind   = "/type"                     # where it says what the member is; without, only people can be members
//! words  = { user = "user", group = "group" }      # and in which words; "User" and "Group"
//! entry  = { id = "{member}", type = "{kind}" }    # an entry as it is written; "{member}"
//! numbers = false                      # whether keys are written as JSON numbers; false
//! ```

use http::Method;
use serde_json::Value;

use super::listing::{Declared, Listing, PagingDraft};
use super::members::{Members, Named, members, mentions, takes_many};
use super::{Checks, Config, Draft, Mistake};
use crate::directory::rest::shape::Place;
use crate::directory::rest::template::{Operation, Slot};
use crate::scim::ResourceType;

/// `[groups]` as written.
#[derive(Clone, Debug)]
pub struct GroupsDraft {
    /// What is as for people, with theirs where it was absent.
    pub records: Draft,
    /// `prefix`.
    pub prefix: String,
    /// `membership`.
    pub membership: String,
    /// `[groups.members]`.
    pub members: MembersDraft,
}

/// `[groups.members]` as written.
#[derive(Clone, Debug)]
pub struct MembersDraft {
    /// `list`.
    pub list: Option<String>,
    /// `add`.
    pub add: Option<CallDraft>,
    /// `remove`.
    pub remove: Option<CallDraft>,
    /// `batch`.
    pub batch: u64,
    /// `has`.
    pub has: Option<String>,
    /// `of`.
    pub of: Option<String>,
    /// `field`.
    pub field: Option<String>,
    /// `single`.
    pub single: bool,
    /// `by`.
    pub by: Option<String>,
    /// `guard`.
    pub guard: String,
    /// `key`.
    pub key: String,
    /// `kind`.
    pub kind: Option<String>,
    /// `words`: for a person and for a group.
    pub words: [String; 2],
    /// `entry`.
    pub entry: Value,
    /// `numbers`.
    pub numbers: bool,
}

impl Default for MembersDraft {
    fn default() -> Self {
        Self {
            list: None,
            add: None,
            remove: None,
            batch: 100,
            has: None,
            of: None,
            field: None,
            single: false,
            by: None,
            guard: "none".into(),
            key: String::new(),
            kind: None,
            words: [ResourceType::User, ResourceType::Group].map(|kind| kind.name().to_owned()),
            entry: Value::String("{member}".into()),
            numbers: false,
        }
    }
}

/// A call and the body it carries.
#[derive(Clone, Debug, Default)]
pub struct CallDraft {
    /// `METHOD /path`.
    pub call: String,
    /// The body.
    pub body: Option<Value>,
}

/// The groups of a REST user system, declared and checked.
#[derive(Clone, Debug)]
pub struct Groups {
    /// Their records.
    pub records: Config,
    /// What stands before their keys.
    pub prefix: String,
    /// How members are named and written.
    pub members: Members,
    /// In which form the user system keeps who is in them.
    pub membership: Membership,
}

/// The form of membership.
#[derive(Clone, Debug)]
pub enum Membership {
    /// Calls that list, add and remove.
    SubResource {
        /// Lists members.
        list: Listing,
        /// Adds some.
        add: Changer,
        /// Removes some.
        remove: Changer,
    },
    /// A list in the group's record.
    List {
        /// Where.
        place: Place,
        /// Which state a change is of.
        guard: Guard,
    },
    /// A field of the person's record.
    Attribute {
        /// Lists the people of a group.
        list: Listing,
        /// Where the field is.
        place: Place,
        /// Whether it holds one group only.
        single: bool,
        /// The member of a group's record that it holds, if not the key.
        by: Option<String>,
        /// Which state a change is of.
        guard: Guard,
    },
}

/// A call that adds or removes members.
#[derive(Clone, Debug)]
pub struct Changer {
    /// The call.
    pub operation: Operation,
    pub(super) body: Option<Value>,
    /// How many members it takes at once.
    pub batch: usize,
}

/// How a change says which state of the record it is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Not at all: only the turns that changes of one gateway take keep them apart.
    None,
    /// By `If-Match` with the `ETag` of the answer that was read.
    IfMatch,
    /// By the version in the body.
    Version,
}

impl Groups {
    /// Checks a draft; `people` is what was declared of people, if that was right.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn new(draft: GroupsDraft, people: Option<&Config>) -> Result<Self, Vec<Mistake>> {
        let listing = Declared {
            paging: draft.records.paging.clone(),
            items: draft.records.items.clone(),
            total: draft.records.total.clone(),
            page_size: draft.records.page_size,
        };
        let key = draft.records.key.clone();
        let version = draft.records.version.clone();
        let mut checks = Checks::default();
        let records = Config::declared(draft.records, ResourceType::Group).map_err(|mistakes| {
            // The host and the token are declared for people, and their mistakes are told there.
            let own = mistakes
                .into_iter()
                .filter(|it| !matches!(it.at[0].as_str(), "url" | "token" | "timeout" | "max_in_flight"));
            checks.0.extend(own);
        });
        if draft.prefix.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'/' | b'?' | b'#' | b'%')) {
            checks.add(&["prefix"], "holds a character that cannot stand in an id: letters, digits, - and . can");
        }
        let mut of_members = Checks::default();
        let members = members(&draft.members, &draft.prefix, &listing, &mut of_members);
        let membership = match draft.membership.as_str() {
            "sub-resource" => sub_resource(&draft.members, &listing, &mut of_members),
            "list" => list(&draft.members, version.as_deref(), &mut of_members),
            "attribute" => attribute(&draft.members, &key, people, &mut of_members),
            other => {
                checks
                    .add(&["membership"], format!("\"{other}\" is none of \"sub-resource\", \"list\", \"attribute\""));
                None
            }
        };
        checks.0.extend(of_members.0.into_iter().map(|mistake| mistake.below("members")));
        match (records, members, membership) {
            (Ok(records), Some(members), Some(membership)) if checks.0.is_empty() => {
                Ok(Self { records, prefix: draft.prefix, members, membership })
            }
            _ => Err(checks.0.into_iter().map(|mistake| mistake.below("groups")).collect()),
        }
    }

    /// The user system's own key of what has this SCIM id, and what that is.
    pub fn named(&self, id: &str) -> Named {
        match id.strip_prefix(&self.prefix).filter(|_| !self.prefix.is_empty()) {
            Some(key) => Named { key: key.to_owned(), kind: ResourceType::Group },
            None => Named { key: id.to_owned(), kind: ResourceType::User },
        }
    }

    /// The user system's own key of the group with this SCIM id, if it can be one.
    pub fn own_key<'i>(&self, id: &'i str) -> Option<&'i str> {
        id.strip_prefix(&self.prefix)
    }

    /// The SCIM id of what the user system names so.
    pub fn id_of(&self, named: &Named) -> String {
        match named.kind {
            ResourceType::User => named.key.clone(),
            ResourceType::Group => format!("{}{}", self.prefix, named.key),
        }
    }

    /// Whether an id is certainly a group's.
    pub fn claims(&self, id: &str) -> bool {
        !self.prefix.is_empty() && id.starts_with(&self.prefix)
    }
}

impl Mistake {
    fn below(mut self, key: &str) -> Self {
        self.at.insert(0, key.to_owned());
        self
    }
}

/// A call that lists, paged as its slots say; with none of them as the records are, if by links, else not at all.
pub(super) fn listed(
    at: &[&str],
    text: &str,
    declared: &Declared,
    required: &[Slot],
    checks: &mut Checks,
) -> Option<Listing> {
    let paged = ["{offset}", "{page}", "{cursor}"].iter().any(|slot| text.contains(slot));
    let links = declared.paging.kind.as_deref() == Some("link");
    let kind = match (paged, links) {
        (true, _) => None,
        (false, true) => Some("link".to_owned()),
        (false, false) => Some("none".to_owned()),
    };
    let declared = Declared {
        paging: PagingDraft { kind, ..declared.paging.clone() },
        items: declared.items.clone(),
        total: declared.total.clone(),
        page_size: declared.page_size,
    };
    let listing = declared.read(text, required, &[Slot::Kind]).map_err(|(_, problem)| problem);
    let listing = checks.keep(at, listing)?;
    if listing.operation.method != Method::GET {
        checks.add(at, "must be a GET: it may be repeated");
    }
    Some(listing)
}

fn sub_resource(draft: &MembersDraft, listing: &Declared, checks: &mut Checks) -> Option<Membership> {
    let list = needed("list", draft.list.as_ref(), "GET /groups/{id}/members?offset={offset}&limit={limit}", checks);
    let list = list.and_then(|text| listed(&["list"], text, listing, &[Slot::Id], checks));
    let add = needed("add", draft.add.as_ref(), "POST /groups/{id}/members", checks);
    let add = add.and_then(|call| changer("add", call, draft, checks));
    let remove = needed("remove", draft.remove.as_ref(), "DELETE /groups/{id}/members/{member}", checks);
    let remove = remove.and_then(|call| changer("remove", call, draft, checks));
    Some(Membership::SubResource { list: list?, add: add?, remove: remove? })
}

fn changer(name: &str, draft: &CallDraft, members: &MembersDraft, checks: &mut Checks) -> Option<Changer> {
    let operation = Operation::parse_with(&draft.call, &[Slot::Id], &[Slot::Member, Slot::Kind]);
    let operation = checks.keep(&[name], operation)?;
    if operation.method == Method::GET {
        checks.add(&[name], "must not be a GET: it changes something");
    }
    let in_path = operation.has(Slot::Member);
    let body = match &draft.body {
        None if in_path => None,
        None if name == "add" => Some(members.entry.clone()),
        None => {
            checks.add(&[name], "names no member: let {member} stand in the path, or give a body");
            None
        }
        Some(body) if !in_path && !mentions(body) => {
            checks.add(&[name], "names no member: let {member} stand in the path or in the body");
            None
        }
        body => body.clone(),
    };
    if body.as_ref().is_some_and(|body| !body.is_object()) {
        checks.add(&[name], "has a body that is no object: write body = { … }, or entry = { … }");
    }
    let many = !in_path && body.as_ref().is_some_and(takes_many);
    let batch = if many { usize::try_from(members.batch.clamp(1, 10_000)).unwrap_or(1) } else { 1 };
    Some(Changer { operation, body, batch })
}

fn list(draft: &MembersDraft, version: Option<&str>, checks: &mut Checks) -> Option<Membership> {
    let guard = guard(&draft.guard, version, checks);
    let place = place(draft, "/members", checks);
    Some(Membership::List { place: place?, guard: guard? })
}

fn attribute(draft: &MembersDraft, key: &str, people: Option<&Config>, checks: &mut Checks) -> Option<Membership> {
    let example = "GET /users?group={id}&offset={offset}&limit={limit}";
    let list = needed("list", draft.list.as_ref(), example, checks);
    let list = list.zip(people).and_then(|(text, people)| {
        let own = &people.list;
        let declared = Declared {
            paging: PagingDraft::default(),
            items: own.items.clone(),
            total: own.total.clone(),
            page_size: own.page_size,
        };
        listed(&["list"], text, &declared, &[Slot::Id], checks)
    });
    if draft.kind.is_some() {
        checks.add(&["kind"], "has no meaning here: the members are people, since their records name the group");
    }
    let guard = guard(&draft.guard, people.and_then(|people| people.version.as_deref()), checks);
    let place = place(draft, "/groups", checks);
    let by = draft.by.clone().filter(|by| by != key);
    Some(Membership::Attribute { list: list?, place: place?, single: draft.single, by, guard: guard? })
}

fn guard(word: &str, version: Option<&str>, checks: &mut Checks) -> Option<Guard> {
    match word {
        "none" => Some(Guard::None),
        "if-match" => Some(Guard::IfMatch),
        "version" if version.is_some() => Some(Guard::Version),
        "version" => {
            checks.add(&["guard"], "\"version\" needs the member of the record that holds it: version = \"…\"");
            None
        }
        other => {
            checks.add(&["guard"], format!("\"{other}\" is none of \"none\", \"if-match\", \"version\""));
            None
        }
    }
}

fn place(draft: &MembersDraft, example: &str, checks: &mut Checks) -> Option<Place> {
    let field = needed("field", draft.field.as_ref(), example, checks)?;
    checks.keep(&["field"], Place::parse(field))
}

fn needed<'d, T>(name: &str, written: Option<&'d T>, example: &str, checks: &mut Checks) -> Option<&'d T> {
    if written.is_none() {
        checks.add(&[name], format!("is missing: write one such as {name} = \"{example}\""));
    }
    written
}
