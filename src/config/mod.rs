//! The configuration: one TOML file, read into one immutable snapshot of valid values (contract §3, design decision 12).
//!
//! Two stages: `tree` and `reader` know TOML, places and spelling; `load`, `tenant` and `directory` know which keys there
//! are. Every mistake of a run is collected with its place ([`Diagnostics`]) before any is reported, and code past
//! [`Config::load`] never sees an unchecked URL, a zero quota or half a section. The process environment comes in as a
//! value ([`Environment`]); only `main` reads the real one.
//!
//! To add a key: ask the [`reader`]'s section for it in the function of its section, and write it with its default and
//! one comment line into `config/portcullis.example.toml`; a test compares the two.

mod cover;
mod diagnostic;
mod dialect;
mod directory;
mod directory_ldap;
mod directory_rest;
mod directory_scim;
mod directory_sql;
mod doors;
mod environment;
mod inside;
mod keys;
mod load;
mod reader;
mod schemas;
pub mod sign_in;
mod switches;
mod tenant;
#[cfg(test)]
mod tests;
mod tree;
mod value;
pub mod watch;
mod words;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use doors::{DoorsConfig, allowed};
pub use environment::Environment;
pub use keys::Keys;
pub use sign_in::SignIn;
pub use switches::Switches;
pub use words::span;

use crate::dialect::Dialect;
use crate::directory::{embedded, ldap, rest, scim, sql};
use crate::limit;
use crate::mapping::scope;
use crate::oauth::refresh::Lifetime;
use crate::scim::schema::Selection;
use crate::types::Digest;

/// Everything the gateway was told, checked. A request keeps the snapshot it started with; a reload swaps the pointer.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener.
    pub server: Server,
    /// The listener for health, readiness and metrics.
    pub operations: Operations,
    /// Where the gateway keeps its own state.
    pub state: State,
    /// Where request counters live.
    pub rate_store: RateStore,
    /// What signs, and what the state's keys are sealed under.
    pub keys: Keys,
    /// The tenants by name; at least one when read from a file.
    pub tenants: BTreeMap<String, Arc<Tenant>>,
}

/// `[server]`: the public listener and the deadlines of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Scheme, host and port under which the outside reaches the gateway; no trailing slash.
    pub public_url: String,
    /// Certificate and key; `None` speaks plain HTTP (on loopback, or behind a proxy that ends TLS).
    pub tls: Option<Tls>,
    /// For the head of a connection's first request to arrive.
    pub header_timeout: Duration,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For a whole request, its body and its answer.
    pub request_timeout: Duration,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Connections open at the same time.
    pub max_connections: usize,
    /// For work in flight to finish after SIGTERM.
    pub drain: Duration,
    /// How long connections are still accepted after readiness fell.
    pub drain_grace: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: "http://127.0.0.1:8080".to_owned(),
            tls: None,
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            max_connections: 10_000,
            drain: Duration::from_secs(30),
            drain_grace: Duration::from_secs(1),
        }
    }
}

/// PEM files of the public listener; both were readable when the configuration was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// `[operations]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    /// Address and port of `/healthz`, `/readyz`, `/metrics`.
    pub listen: SocketAddr,
}

impl Default for Operations {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)) }
    }
}

/// `[state]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `sqlite:PATH` with the path already resolved against the configuration file's folder, or `sqlite::memory:`.
    pub url: String,
}

/// `[rate_store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateStore {
    /// `memory:`.
    pub url: String,
}

impl Default for RateStore {
    fn default() -> Self {
        Self { url: "memory:".to_owned() }
    }
}

/// `[tenants.NAME]`: one company's gate.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Lower-case letters, digits and hyphens, at most 63; part of every URL.
    pub name: String,
    /// Which vendor's surface it shows, with what the tenant chose of it.
    pub dialect: Arc<Dialect>,
    /// Host names (lower case, with the port if it is not the scheme's own) where the `/t/NAME` prefix falls away.
    pub hosts: Vec<String>,
    /// How administrators prove who they are.
    pub sign_in: SignIn,
    /// Whom to ask who cannot get in: an address, a number, a page.
    pub contact: Option<String>,
    /// The limits in force; `None` is unlimited.
    pub limits: Option<limit::Policy>,
    /// What identity providers may prove themselves with besides secrets.
    pub doors: DoorsConfig,
    /// The user system behind.
    pub directory: DirectoryConfig,
    /// The OAuth issuer, `{public_url}/t/{name}` (RFC 8414 §2).
    pub issuer: String,
    /// The absolute SCIM base, `{issuer}/{dialect.scim_base}`; every `meta.location` begins with it.
    pub scim_base: String,
    /// How long refresh tokens live.
    pub refresh: Lifetime,
    /// Whether `/Schemas` and `/ResourceTypes` answer without a token. `/ServiceProviderConfig` always does.
    pub discovery_public: bool,
    /// Whether an attribute that the dialect does not offer is refused with 400 instead of dropped and audited.
    pub strict_attributes: bool,
    /// Which of the declared schemas it offers.
    pub schemas: Selection,
    /// What the vendor's portal would let its administrator switch.
    pub switches: Switches,
    /// The hash of the token with which the legacy portal asks who is managed; without it nobody is told.
    pub managed: Option<Digest>,
    /// Who is let through; everybody without.
    pub scope: Option<scope::Rule>,
}

impl Tenant {
    /// A tenant with everything else at its default: local sign-in, the dialect's limits, no hosts of its own.
    pub fn new(name: &str, dialect: &Arc<Dialect>, public_url: &str, directory: DirectoryConfig) -> Self {
        let issuer = format!("{public_url}/t/{name}");
        Self {
            name: name.to_owned(),
            dialect: Arc::clone(dialect),
            hosts: Vec::new(),
            sign_in: SignIn::Local,
            contact: None,
            limits: dialect.default_limits,
            doors: DoorsConfig::new(dialect),
            directory,
            scim_base: format!("{issuer}/{}", dialect.scim_base),
            issuer,
            refresh: Lifetime { idle: dialect.refresh_idle, limit: None },
            discovery_public: false,
            strict_attributes: false,
            schemas: Selection::default(),
            switches: Switches::default(),
            managed: None,
            scope: None,
        }
    }
}

/// `[tenants.NAME.directory]`: each connector owns its configuration.
#[derive(Clone, Debug)]
pub enum DirectoryConfig {
    /// The gateway's own directory in SQLite.
    Embedded(embedded::Config),
    /// A JSON-over-HTTP user system.
    Rest(rest::Config),
    /// Another SCIM server.
    Scim(scim::Config),
    /// An LDAP server.
    Ldap(ldap::Config),
    /// Tables of a database.
    Sql(sql::Config),
}

impl DirectoryConfig {
    /// The word of the `kind` key.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Rest(_) => "rest",
            Self::Scim(_) => "scim",
            Self::Ldap(_) => "ldap",
            Self::Sql(_) => "sql",
        }
    }
}

/// A configuration that may be used, and what to tell the operator about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The snapshot.
    pub config: Config,
    /// Warnings and notes only.
    pub warnings: Diagnostics,
    /// The files that made it: the configuration, `file:` values, certificate and key. What [`watch::watch`] watches.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// Reads the file at `path`, with `env:` values and `PORTCULLIS__…` overrides from `environment`. Relative paths are
    /// taken from the file's folder.
    ///
    /// # Errors
    /// Every mistake that was found, in the order of the file; also when the file cannot be read.
    pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
        load::file(path, environment)
    }

    /// The same for a text in hand that stands for the file at `path`.
    ///
    /// # Errors
    /// Every mistake that was found, in the order of the text.
    pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
        load::text(text, path, environment)
    }
}
