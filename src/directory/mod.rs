//! The user systems behind the gateway: one connector a kind, the outbound call they share, and [`Any`], which is one of them
//! with its calls counted and timed. Implements [`ports::Directory`](crate::ports::Directory); knows no dialect and no HTTP
//! surface of the gateway. A new kind is a folder here and a line in [`Connector`].

pub mod client;
pub mod embedded;
pub mod imagined;
pub mod ldap;
mod merge;
mod meter;
pub mod rest;
pub mod scim;
pub mod sql;
mod words;

use crate::ports::{Directory, DirectoryError, Entry, Found, GroupChange, Lookup, Members, Membership, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};
use crate::types::Clock;

use self::embedded::Embedded;
use self::imagined::Imagined;
use self::ldap::Ldap;
use self::meter::{Meter, Operation};
use self::rest::Rest;
use self::scim::Scim;
use self::sql::Sql;

/// One kind of directory or another.
pub enum Connector {
    /// People in a SQLite file of our own.
    Embedded(Embedded),
    /// A user system with a REST interface.
    Rest(Box<Rest>),
    /// Another SCIM server.
    Scim(Box<Scim>),
    /// An LDAP server.
    Ldap(Box<Ldap>),
    /// A database.
    Sql(Box<Sql>),
    /// One of these that is only imagined, for `portcullis explain`.
    Imagined(Imagined),
}

impl From<Embedded> for Connector {
    fn from(embedded: Embedded) -> Self {
        Self::Embedded(embedded)
    }
}

impl From<Rest> for Connector {
    fn from(rest: Rest) -> Self {
        Self::Rest(Box::new(rest))
    }
}

impl From<Scim> for Connector {
    fn from(scim: Scim) -> Self {
        Self::Scim(Box::new(scim))
    }
}

impl From<Ldap> for Connector {
    fn from(ldap: Ldap) -> Self {
        Self::Ldap(Box::new(ldap))
    }
}

impl From<Sql> for Connector {
    fn from(sql: Sql) -> Self {
        Self::Sql(Box::new(sql))
    }
}

impl From<Imagined> for Connector {
    fn from(imagined: Imagined) -> Self {
        Self::Imagined(imagined)
    }
}

/// A tenant's directory, with `portcullis_directory_requests_total` and `portcullis_directory_duration_seconds`.
pub struct Any {
    connector: Connector,
    meter: Meter,
}

impl Any {
    /// The directory of `tenant`. Metrics go to the recorder that is installed when a first call ends.
    pub fn new(tenant: &str, connector: impl Into<Connector>, clock: Clock) -> Self {
        Self { connector: connector.into(), meter: Meter::new(tenant, clock) }
    }

    /// The connector itself, for what only one kind can do (the demo seeds its embedded ones).
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Ends what the connector holds open.
    pub async fn close(&self) {
        match &self.connector {
            Connector::Embedded(embedded) => embedded.close().await,
            Connector::Ldap(ldap) => ldap.close(),
            Connector::Sql(sql) => sql.close().await,
            Connector::Rest(_) | Connector::Scim(_) | Connector::Imagined(_) => {}
        }
    }
}

/// The same call on whichever connector it is, metered.
macro_rules! delegate {
    ($any:ident, $operation:ident, $directory:ident => $call:expr) => {{
        let call = async {
            match &$any.connector {
                Connector::Embedded($directory) => $call.await,
                Connector::Rest($directory) => $call.await,
                Connector::Scim($directory) => $call.await,
                // Several operations make one call there: kept off the stack of those who have another kind.
                Connector::Ldap($directory) => Box::pin($call).await,
                Connector::Sql($directory) => $call.await,
                Connector::Imagined($directory) => $call.await,
            }
        };
        $any.meter.watch(Operation::$operation, call).await
    }};
}

/// The same question to whichever connector it is, which answers from its configuration.
macro_rules! known {
    ($any:ident, $directory:ident => $answer:expr) => {
        match &$any.connector {
            Connector::Embedded($directory) => $answer,
            Connector::Rest($directory) => $answer,
            Connector::Scim($directory) => $answer,
            Connector::Ldap($directory) => $answer,
            Connector::Sql($directory) => $answer,
            Connector::Imagined($directory) => $answer,
        }
    };
}

impl Directory for Any {
    fn offers(&self, kind: ResourceType) -> bool {
        known!(self, directory => directory.offers(kind))
    }

    async fn read(&self, kind: ResourceType, key: &str) -> Result<Option<Entry>, DirectoryError> {
        delegate!(self, Read, directory => directory.read(kind, key))
    }

    async fn find(&self, kind: ResourceType, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        delegate!(self, Find, directory => directory.find(kind, lookup, page))
    }

    async fn seek(&self, kind: ResourceType, after: Option<&str>, limit: u64) -> Result<Vec<Entry>, DirectoryError> {
        delegate!(self, Find, directory => directory.seek(kind, after, limit))
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        delegate!(self, Create, directory => directory.create(person))
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        delegate!(self, Update, directory => directory.update(key, before, after))
    }

    async fn create_group(&self, group: &Resource, members: &[Member]) -> Result<Entry, DirectoryError> {
        delegate!(self, Create, directory => directory.create_group(group, members))
    }

    async fn update_group(&self, key: &str, change: &GroupChange) -> Result<Entry, DirectoryError> {
        delegate!(self, Update, directory => directory.update_group(key, change))
    }

    async fn members(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        delegate!(self, Find, directory => directory.members(key, page))
    }

    async fn has_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        delegate!(self, Find, directory => directory.has_members(key, candidates))
    }

    async fn memberships(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        delegate!(self, Find, directory => directory.memberships(members))
    }

    async fn delete(&self, kind: ResourceType, key: &str) -> Result<(), DirectoryError> {
        delegate!(self, Delete, directory => directory.delete(kind, key))
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        delegate!(self, Probe, directory => directory.probe())
    }

    fn seeks(&self, kind: ResourceType) -> bool {
        known!(self, directory => directory.seeks(kind))
    }

    fn finds_by(&self, kind: ResourceType, path: &AttrPath) -> bool {
        known!(self, directory => directory.finds_by(kind, path))
    }

    fn holds(&self, kind: ResourceType, path: &AttrPath) -> bool {
        known!(self, directory => directory.holds(kind, path))
    }
}

/// For a connector without groups, and for questions that it has said it does not answer.
fn unasked<T>(what: &str) -> Result<T, DirectoryError> {
    Err(DirectoryError::Failed { reason: format!("{what} is not offered by this directory"), maybe_done: false })
}
