//! What the core asks of the world: a directory of people and, where it has them, of groups.
//!
//! A connector implements [`Directory`] over one kind of user system. It deals in SCIM attributes (canonical names, RFC 7643)
//! and in the directory's own immutable keys; it knows nothing of dialects, links, limits or HTTP answers. Every call must end
//! within the deadline the connector was configured with.
//!
//! Membership is never part of a group's attributes: it is asked for by page and changed by what is added and what is removed
//! (design decision 4), so that one change costs the same in a group of fifty thousand as in one of ten.

use std::future::Future;
use std::time::Duration;

use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Timestamp;

/// One person, or one group, as a directory holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The directory's own immutable key; it becomes the SCIM `id`. No person and group have the same (RFC 7643 §3.1).
    pub key: String,
    /// SCIM attributes without `id`, `meta` and `schemas`: of a person `active` is always among them, of a group `members`
    /// never is.
    pub resource: Resource,
    /// When it came to be, if the directory knows.
    pub created: Option<Timestamp>,
    /// When it was last changed, if the directory knows.
    pub modified: Option<Timestamp>,
    /// Something that changes whenever the entry or, of a group, its membership does, if the directory has it.
    pub version: Option<String>,
}

/// A question that a directory can answer by itself. What it cannot is evaluated by the gateway over [`Lookup::All`].
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Everybody, or every group, in a stable order.
    All,
    /// Those whose `path` equals `value`, compared without case unless the schema says otherwise. Only for paths that
    /// [`Directory::finds_by`] affirms; an answer may hold more than the matches, never fewer.
    Equal {
        /// The attribute, such as `userName` or `externalId`.
        path: AttrPath,
        /// The value sought.
        value: String,
    },
    /// The groups of which this person or group is a member, directly. Only asked of groups.
    Member {
        /// The member's key.
        key: String,
    },
}

/// Which part of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many to pass over.
    pub offset: u64,
    /// How many to give at most; zero asks only for the total.
    pub limit: u64,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The entries of this page, in order.
    pub entries: Vec<Entry>,
    /// How many there are in all.
    pub total: u64,
}

/// What shall become of a group: all of it or, where the directory can, none.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupChange {
    /// Its attributes as read before.
    pub before: Resource,
    /// Its attributes as they shall be.
    pub after: Resource,
    /// Who shall be a member; being one already is no error.
    pub add: Vec<Member>,
    /// The keys of those who shall not; not being one is no error.
    pub remove: Vec<String>,
}

/// A part of a group's membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The members of this page, in a stable order.
    pub members: Vec<Member>,
    /// How many there are in all.
    pub total: u64,
}

/// That somebody is, directly, a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The member's key.
    pub member: String,
    /// The group's key.
    pub group: String,
    /// The group's `displayName`.
    pub display: Option<String>,
}

/// Why a directory did not do what it was asked. Texts are for the operator's log; `detail` of
/// [`DirectoryError::Invalid`] alone may reach the identity provider.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DirectoryError {
    /// No such person or group.
    #[error("no such entry")]
    NotFound,
    /// Another entry holds the value of `attribute` (a SCIM path; `userName` or `displayName` if the directory does not tell).
    #[error("{attribute} is taken")]
    Conflict {
        /// SCIM path of the attribute.
        attribute: String,
    },
    /// The directory refused a value.
    #[error("value refused: {detail}")]
    Invalid {
        /// SCIM path of the attribute, if the directory tells.
        attribute: Option<String>,
        /// What is wrong with it, without the value.
        detail: String,
    },
    /// Nothing is left to create a person with (licences, extensions).
    #[error("no capacity left: {detail}")]
    NoCapacity {
        /// What is missing.
        detail: String,
    },
    /// The directory asks to be left alone for a while (its 429, or a 503 with `Retry-After`).
    #[error("busy")]
    Busy {
        /// How long, if it says.
        retry_after: Option<Duration>,
    },
    /// It refused our own credentials or permissions: the operator must act.
    #[error("refused our credentials: {reason}")]
    Refused {
        /// For the log.
        reason: String,
    },
    /// It could not be reached, failed, or answered something that makes no sense.
    #[error("failed: {reason}")]
    Failed {
        /// For the log.
        reason: String,
        /// False when it is certain that nothing was done.
        maybe_done: bool,
    },
    /// It did not answer in time; whether it did the work is unknown.
    #[error("no answer in time")]
    Silent,
}

/// One kind of user system, behind the gateway. Calls about groups are made only where [`Directory::offers`] affirms them.
pub trait Directory: Send + Sync {
    /// Whether the directory has entries of this type. People it always has.
    fn offers(&self, kind: ResourceType) -> bool;

    /// The entry with this key.
    ///
    /// # Errors
    /// Anything but `NotFound`, which is `Ok(None)`.
    fn read(&self, kind: ResourceType, key: &str)
    -> impl Future<Output = Result<Option<Entry>, DirectoryError>> + Send;

    /// The entries that answer `lookup`, one page of them.
    ///
    /// # Errors
    /// As the directory fails.
    fn find(
        &self,
        kind: ResourceType,
        lookup: &Lookup,
        page: Page,
    ) -> impl Future<Output = Result<Found, DirectoryError>> + Send;

    /// At most `limit` entries whose keys come after `after` in the directory's own order of keys, from the first if there is
    /// none: a walk that neither misses nor repeats an entry that stays, whatever comes and goes meanwhile. Only where
    /// [`Directory::seeks`] affirms it. Fewer than `limit` entries are the last ones.
    ///
    /// # Errors
    /// As the directory fails.
    fn seek(
        &self,
        kind: ResourceType,
        after: Option<&str>,
        limit: u64,
    ) -> impl Future<Output = Result<Vec<Entry>, DirectoryError>> + Send;

    /// Creates a person and gives them as the directory now holds them.
    ///
    /// # Errors
    /// `Conflict` when the user name is taken; `Failed { maybe_done: true }` or `Silent` when the outcome is unknown.
    fn create(&self, person: &Resource) -> impl Future<Output = Result<Entry, DirectoryError>> + Send;

    /// Makes the person with this key be like `after`, by the smallest native change from `before`, and gives them as
    /// the directory now holds them.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid`, or as the directory fails.
    fn update(
        &self,
        key: &str,
        before: &Resource,
        after: &Resource,
    ) -> impl Future<Output = Result<Entry, DirectoryError>> + Send;

    /// Creates a group with its first members and gives it as the directory now holds it.
    ///
    /// # Errors
    /// As [`Directory::create`]; `Invalid` on `members` when a member does not exist.
    fn create_group(
        &self,
        group: &Resource,
        members: &[Member],
    ) -> impl Future<Output = Result<Entry, DirectoryError>> + Send;

    /// Carries out a change of a group and gives it as the directory now holds it. A directory that can only replace a whole
    /// membership takes such changes of one group one at a time.
    ///
    /// # Errors
    /// As [`Directory::update`]; `Invalid` on `members` when one who shall be added does not exist.
    fn update_group(
        &self,
        key: &str,
        change: &GroupChange,
    ) -> impl Future<Output = Result<Entry, DirectoryError>> + Send;

    /// A page of a group's direct members.
    ///
    /// # Errors
    /// `NotFound` when there is no such group.
    fn members(&self, key: &str, page: Page) -> impl Future<Output = Result<Members, DirectoryError>> + Send;

    /// Which of `candidates` are direct members of the group.
    ///
    /// # Errors
    /// `NotFound` when there is no such group.
    fn has_members(
        &self,
        key: &str,
        candidates: &[&str],
    ) -> impl Future<Output = Result<Vec<String>, DirectoryError>> + Send;

    /// The groups of which these are direct members: what a person's read-only `groups` says. Nothing if the directory cannot
    /// tell cheaply.
    ///
    /// # Errors
    /// As the directory fails.
    fn memberships(&self, members: &[&str]) -> impl Future<Output = Result<Vec<Membership>, DirectoryError>> + Send;

    /// Removes the entry; with a group its membership, with a member their part in groups.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn delete(&self, kind: ResourceType, key: &str) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Tries the connection, for `check --connect` and readiness.
    ///
    /// # Errors
    /// As the directory fails.
    fn probe(&self) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Whether [`Directory::seek`] walks entries of this type.
    fn seeks(&self, kind: ResourceType) -> bool;

    /// Whether [`Directory::find`] answers [`Lookup::Equal`] on this path by itself.
    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool;

    /// Whether the directory has somewhere to keep this attribute. Membership is not an attribute here.
    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool;
}
