//! From a file to a [`Config`]: the sections of the whole gateway. Tenants are read by `tenant`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use url::{Host, Url};

use super::cover::cover;
use super::diagnostic::{Diagnostic, Diagnostics, Severity, position};
use super::environment::Environment;
use super::reader::{Outcome, Reader, Section};
use super::schemas;
use super::tenant::{self, Context};
use super::value::{Value, advice};
use super::{Config, Keys, Loaded, Operations, RateStore, Server, State, Tls, tree};
use crate::scim::schema;

/// Largest configuration file.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);

/// Reads and checks the file at `path`.
pub(super) fn file(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes));
    let whole = |message: String, help: &str| {
        let finding = finding(path, None, message, help);
        Err(Diagnostics::new("", vec![finding]))
    };
    match read {
        Err(fault) => return whole(format!("cannot be read: {fault}"), "name a configuration file with --config FILE"),
        Ok(length) if length as u64 > FILE_LIMIT => {
            return whole("is larger than 4 MiB".to_owned(), "name a configuration file with --config FILE");
        }
        Ok(_) => {}
    }
    match std::str::from_utf8(&bytes) {
        Ok(source) => text(source, path, environment),
        Err(fault) => {
            let source = String::from_utf8_lossy(&bytes[..fault.valid_up_to()]).into_owned();
            let at = source.len();
            let message = "this is not UTF-8".to_owned();
            let finding = finding(path, Some((&source, at..at)), message, "save the file as UTF-8");
            Err(Diagnostics::new(cover(&source, &[]), vec![finding]))
        }
    }
}

fn finding(path: &Path, place: Option<(&str, std::ops::Range<usize>)>, message: String, help: &str) -> Diagnostic {
    let at = place.as_ref().map(|(source, span)| position(source, span.start));
    Diagnostic {
        severity: Severity::Error,
        file: path.display().to_string(),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
        variable: None,
        key: String::new(),
        message,
        help: Some(help.to_owned()),
        span: place.map(|(_, span)| span),
        source: None,
    }
}

/// Checks a text that stands for the file at `path`.
pub(super) fn text(source: &str, path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
    let (config, outcome) = read(source, path, environment)?;
    match config {
        Some(config) if !outcome.diagnostics.has_errors() => {
            Ok(Loaded { config, warnings: outcome.diagnostics, files: outcome.files })
        }
        _ => Err(outcome.diagnostics),
    }
}

/// The same, with what tests want to see besides. `Err` is for a text that is not TOML.
pub(super) fn read(
    source: &str,
    path: &Path,
    environment: &Environment,
) -> Result<(Option<Config>, Outcome), Diagnostics> {
    let table = parse_toml(source, path)?;
    let reader = Reader::new(path, source, environment);
    reader.depends_on(path);
    let (config, before) = root(reader.root(table));
    let outcome = reader.finish();
    if outcome.diagnostics.has_errors() {
        before.restore();
    }
    Ok((config, outcome))
}

/// The text of the file at `path` as a tree, or where it is not TOML.
pub(super) fn parse_toml(source: &str, path: &Path) -> Result<Rc<tree::Table>, Diagnostics> {
    tree::parse(source).map_err(|faults| {
        let fault = |(span, message): (std::ops::Range<usize>, String)| {
            finding(path, Some((source, span)), format!("this is not TOML: {message}"), "see https://toml.io")
        };
        let mut found: Vec<_> = faults.into_iter().map(fault).collect();
        // The first of a line is the cause of the others.
        found.sort_by_key(|fault| (fault.line, fault.column));
        found.dedup_by_key(|fault| fault.line);
        Diagnostics::new(cover(source, &[]), found)
    })
}

/// The configuration, and what the schemas it declares have taken the place of.
fn root(mut root: Section<'_>) -> (Option<Config>, schema::Before) {
    let server = server(root.section("server"));
    let operations = operations(root.section("operations"), server.as_ref().map(|server| server.listen));
    let state = state(root.section("state"));
    let rate_store = rate_store(root.section("rate_store"));
    let keys = Keys::read(root.section("keys"), state.as_ref());
    let declared = root.branch("schemas").map_or(Some(Vec::new()), |value| value.section().and_then(schemas::all));
    // Attributes must be known before the tenants' mappings name them.
    let before = declared.clone().and_then(|declared| schema::declare(declared).ok()).unwrap_or_default();
    let context = Context {
        declared: declared.as_deref().unwrap_or_default(),
        public_url: server.as_ref().map_or("http://127.0.0.1:8080", |server| &server.public_url),
        state_file: state.as_ref().and_then(State::file),
        embedded: RefCell::default(),
    };
    let tenants = match root.required_section("tenants", "[tenants.NAME]") {
        Some(section) => tenant::all(section, &context),
        None => Some(BTreeMap::new()),
    };
    root.finish();
    let whole = || {
        declared.is_some().then_some(())?;
        Some(Config { server: server?, operations, state: state?, rate_store, keys: keys?, tenants: tenants? })
    };
    (whole(), before)
}

fn server(mut section: Section<'_>) -> Option<Server> {
    let default = Server::default();
    let listen_value = section.value("listen");
    let listen = listen_value.as_ref().map_or(Some(default.listen), Value::address);
    let tls_value = section.branch("tls");
    let tls = tls_value.as_ref().and_then(Value::section).map(tls);
    let public_value = section.value("public_url");
    let public_url = match &public_value {
        Some(value) => public_url(value, tls_value.is_some()),
        None => derived_url(&section, listen_value.as_ref(), listen, tls_value.is_some()),
    };
    let timeout = MILLISECOND * 10..=HOUR;
    let header_timeout = section.duration("header_timeout", default.header_timeout, timeout.clone());
    let handshake_timeout = section.duration("handshake_timeout", default.handshake_timeout, timeout.clone());
    let request_timeout = section.duration("request_timeout", default.request_timeout, timeout);
    let body_limit = section.value("body_limit").and_then(|value| value.bytes(1024..=64 << 20));
    let max_connections = section.integer("max_connections", 10_000, 1..=1_000_000);
    let drain = section.duration("drain", default.drain, Duration::ZERO..=HOUR);
    let drain_grace = section.duration("drain_grace", default.drain_grace, Duration::ZERO..=HOUR);
    section.finish();
    Some(Server {
        listen: listen?,
        public_url: public_url?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        header_timeout,
        handshake_timeout,
        request_timeout,
        body_limit: body_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default.body_limit),
        max_connections: usize::try_from(max_connections).unwrap_or(default.max_connections),
        drain,
        drain_grace,
    })
}

/// `public_url` is what tokens name as their issuer and what redirects lead back to, character by character.
fn public_url(value: &Value<'_>, tls: bool) -> Option<String> {
    let url = value.parse(|text| {
        let example = "write it like \"https://scim.example.com\"";
        let url = Url::parse(text).map_err(|fault| advice(format!("is not a URL: {fault}"), example))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(advice("is not an http or https URL", example));
        }
        let origin = url.origin().ascii_serialization();
        let help = format!("write \"{origin}\": scheme, host and port, nothing after");
        if !url.username().is_empty() || url.password().is_some() {
            return Err(advice("holds credentials", help));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || text.ends_with('/') {
            return Err(advice("has a path, a slash at its end, a query or a fragment", help));
        }
        Ok(url)
    })?;
    let origin = url.origin().ascii_serialization();
    if url.scheme() == "http" && !is_loopback(&url) {
        let help = "use https: set `tls`, or let a proxy in front end TLS";
        value.note(Severity::Warning, format!("{origin} sends tokens and passwords over the network in clear"), help);
    } else if url.scheme() == "http" && tls {
        let message = "`public_url` says http, but `tls` makes the gateway speak https";
        value.note(Severity::Warning, message, format!("write \"{}\"", origin.replacen("http", "https", 1)));
    } else if url.scheme() == "https" && !tls {
        let message = "`public_url` says https and there is no `tls`: a proxy in front is taken to end TLS";
        value.note(Severity::Note, message, "without such a proxy set `tls`");
    }
    Some(origin)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Without `public_url`, the address listened on has to do.
fn derived_url(
    section: &Section<'_>,
    listen_value: Option<&Value<'_>>,
    listen: Option<SocketAddr>,
    tls: bool,
) -> Option<String> {
    let listen = listen?;
    let scheme = if tls { "https" } else { "http" };
    if listen.port() == 0 {
        let help = "name a port, or set `public_url`";
        match listen_value {
            Some(value) => value.refuse("port 0 is any free port: no `public_url` can be made from it", help),
            None => section.refuse("port 0 is any free port: no `public_url` can be made from it", help),
        }
        return None;
    }
    let host = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other,
    };
    let url = format!("{scheme}://{}", SocketAddr::new(host, listen.port()));
    if let Some(value) = listen_value
        && !listen.ip().is_loopback()
    {
        let message = format!("there is no `public_url`: links and the token issuer will say {url}");
        value.note(Severity::Warning, message, "set `public_url` to the address that the outside uses");
    }
    Some(url)
}

fn tls(mut section: Section<'_>) -> Option<Tls> {
    let certificate = section.required("certificate", "certificate = \"tls/fullchain.pem\"").and_then(|value| {
        pem(&value, "certificate", |bytes| {
            let mut certificates = CertificateDer::pem_slice_iter(bytes);
            matches!(certificates.next(), Some(Ok(_))) && certificates.all(|certificate| certificate.is_ok())
        })
    });
    let private_key = section
        .required("private_key", "private_key = \"tls/key.pem\"")
        .and_then(|value| pem(&value, "private key", |bytes| PrivateKeyDer::from_pem_slice(bytes).is_ok()));
    section.finish();
    Some(Tls { certificate: certificate?, private_key: private_key? })
}

/// A PEM file that can be read and holds what it should.
fn pem(value: &Value<'_>, what: &str, holds: impl FnOnce(&[u8]) -> bool) -> Option<PathBuf> {
    let path = value.file_path()?;
    value.reader.depends_on(&path);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes)) {
        Ok(_) if holds(&bytes) => Some(path),
        Ok(_) => {
            let help = format!("name a PEM file that begins with -----BEGIN {}-----", what.to_uppercase());
            value.refuse(format!("`{}` holds no {what} in PEM form", path.display()), help);
            None
        }
        Err(fault) => {
            let help = "name a file that the gateway may read; relative paths start at the configuration file";
            value.refuse(format!("cannot read `{}`: {fault}", path.display()), help);
            None
        }
    }
}

fn operations(mut section: Section<'_>, public: Option<SocketAddr>) -> Operations {
    let default = Operations::default();
    let value = section.value("listen");
    let listen = value.as_ref().and_then(Value::address).unwrap_or(default.listen);
    if let (Some(value), true) = (&value, Some(listen) == public && listen.port() != 0) {
        value.refuse(format!("`{listen}` is the public listener too"), "choose another port: metrics are not public");
    }
    section.finish();
    Operations { listen }
}

impl State {
    /// The database file, if the state is in one.
    pub fn file(&self) -> Option<&Path> {
        self.url.strip_prefix("sqlite:").filter(|rest| *rest != ":memory:").map(Path::new)
    }
}

fn state(mut section: Section<'_>) -> Option<State> {
    let folder = section.reader.folder;
    let value = section.value("url");
    let url = match &value {
        None => Some(sqlite(folder, "portcullis.db")),
        Some(value) => value.parse(|text| {
            let example = "write \"sqlite:portcullis.db\"";
            match text.split_once(':') {
                Some(("sqlite", ":memory:")) => Ok("sqlite::memory:".to_owned()),
                Some(("sqlite", path)) => {
                    let path = path.strip_prefix("//").unwrap_or(path);
                    if path.is_empty() || path.contains(['?', '\0']) {
                        return Err(advice("names no plain file", format!("{example}, without options")));
                    }
                    Ok(sqlite(folder, path))
                }
                Some(("postgres" | "postgresql", _)) => Err(later("is PostgreSQL, which", example)),
                _ => Err(advice("is no place for state", example)),
            }
        }),
    };
    if let (Some(value), Some("sqlite::memory:")) = (&value, url.as_deref()) {
        let message = "state in memory: administrators, clients and grants are gone when the gateway stops";
        value.note(Severity::Warning, message, "name a file: \"sqlite:portcullis.db\"");
    }
    section.finish();
    Some(State { url: url? })
}

fn sqlite(folder: &Path, path: &str) -> String {
    format!("sqlite:{}", folder.join(path).display())
}

fn rate_store(mut section: Section<'_>) -> RateStore {
    let default = RateStore::default();
    let url = section.value("url").and_then(|value| {
        value.parse(|text| match text {
            "memory:" => Ok(text.to_owned()),
            _ if text.starts_with("redis:") || text.starts_with("rediss:") => {
                Err(later("is Redis, which", "write \"memory:\""))
            }
            _ => Err(advice("is no place for counters", "write \"memory:\"")),
        })
    });
    section.finish();
    RateStore { url: url.unwrap_or(default.url) }
}

/// What is promised but not built yet says so.
pub(super) fn later(what: &str, instead: impl Into<String>) -> super::value::Advice {
    advice(format!("{what} is not in this version"), instead)
}
