//! What the core asks of the world: a directory of people.
//!
//! A connector implements [`Directory`] over one kind of user system. It deals in SCIM attributes (canonical names, RFC 7643)
//! and in the directory's own immutable key; it knows nothing of dialects, links, limits or HTTP answers. Every call must end
//! within the deadline the connector was configured with.

use std::future::Future;
use std::time::Duration;

use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::types::Timestamp;

/// One person as a directory holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The directory's own immutable key; it becomes the SCIM `id`.
    pub key: String,
    /// SCIM attributes, `active` always among them; no `id`, `meta` or `schemas`.
    pub person: Resource,
    /// When the person came to be, if the directory knows.
    pub created: Option<Timestamp>,
    /// When the person was last changed, if the directory knows.
    pub modified: Option<Timestamp>,
    /// Something that changes whenever the person does, if the directory has it.
    pub version: Option<String>,
}

/// A question that a directory can answer by itself. What it cannot is evaluated by the gateway over [`Lookup::All`].
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Everybody, in a stable order.
    All,
    /// Those whose `path` equals `value`, compared without case unless the schema says otherwise. Only for paths that
    /// [`Directory::finds_by`] affirms; an answer may hold more than the matches, never fewer.
    Equal {
        /// The attribute, such as `userName` or `externalId`.
        path: AttrPath,
        /// The value sought.
        value: String,
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

/// Why a directory did not do what it was asked. Texts are for the operator's log; `detail` of
/// [`DirectoryError::Invalid`] alone may reach the identity provider.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DirectoryError {
    /// No such person.
    #[error("no such person")]
    NotFound,
    /// Somebody else holds the value of `attribute` (a SCIM path; `userName` if the directory does not tell).
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

/// One kind of user system, behind the gateway.
pub trait Directory: Send + Sync {
    /// The person with this key.
    ///
    /// # Errors
    /// Anything but `NotFound`, which is `Ok(None)`.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Entry>, DirectoryError>> + Send;

    /// The people that answer `lookup`, one page of them.
    ///
    /// # Errors
    /// As the directory fails.
    fn find(&self, lookup: &Lookup, page: Page) -> impl Future<Output = Result<Found, DirectoryError>> + Send;

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

    /// Removes the person.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Tries the connection, for `check --connect` and readiness.
    ///
    /// # Errors
    /// As the directory fails.
    fn probe(&self) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Whether [`Directory::find`] answers [`Lookup::Equal`] on this path by itself.
    fn finds_by(&self, path: &AttrPath) -> bool;

    /// Whether the directory has somewhere to keep this attribute.
    fn holds(&self, path: &AttrPath) -> bool;
}
