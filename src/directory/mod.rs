//! The user systems behind the gateway: one connector a kind, the outbound call they share, and [`Any`], which is one of them
//! with its calls counted and timed. Implements [`ports::Directory`](crate::ports::Directory); knows no dialect and no HTTP
//! surface of the gateway. A new kind is a folder here and a line in [`Connector`].

pub mod client;
pub mod embedded;
pub mod imagined;
mod meter;
pub mod rest;

use crate::ports::{Directory, DirectoryError, Entry, Found, Lookup, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::types::Clock;

use self::embedded::Embedded;
use self::imagined::Imagined;
use self::meter::{Meter, Operation};
use self::rest::Rest;

/// One kind of directory or another.
pub enum Connector {
    /// People in a SQLite file of our own.
    Embedded(Embedded),
    /// A user system with a REST interface.
    Rest(Box<Rest>),
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
            Connector::Rest(_) | Connector::Imagined(_) => {}
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
                Connector::Imagined($directory) => $call.await,
            }
        };
        $any.meter.watch(Operation::$operation, call).await
    }};
}

impl Directory for Any {
    async fn read(&self, key: &str) -> Result<Option<Entry>, DirectoryError> {
        delegate!(self, Read, directory => directory.read(key))
    }

    async fn find(&self, lookup: &Lookup, page: Page) -> Result<Found, DirectoryError> {
        delegate!(self, Find, directory => directory.find(lookup, page))
    }

    async fn create(&self, person: &Resource) -> Result<Entry, DirectoryError> {
        delegate!(self, Create, directory => directory.create(person))
    }

    async fn update(&self, key: &str, before: &Resource, after: &Resource) -> Result<Entry, DirectoryError> {
        delegate!(self, Update, directory => directory.update(key, before, after))
    }

    async fn delete(&self, key: &str) -> Result<(), DirectoryError> {
        delegate!(self, Delete, directory => directory.delete(key))
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        delegate!(self, Probe, directory => directory.probe())
    }

    fn finds_by(&self, path: &AttrPath) -> bool {
        match &self.connector {
            Connector::Embedded(directory) => directory.finds_by(path),
            Connector::Rest(directory) => directory.finds_by(path),
            Connector::Imagined(directory) => directory.finds_by(path),
        }
    }

    fn holds(&self, path: &AttrPath) -> bool {
        match &self.connector {
            Connector::Embedded(directory) => directory.holds(path),
            Connector::Rest(directory) => directory.holds(path),
            Connector::Imagined(directory) => directory.holds(path),
        }
    }
}
