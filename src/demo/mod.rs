//! `portcullis demo`: a whole gateway on embedded defaults (contract §2 and §5).
//!
//! Five tenants, one a dialect and named like it, each on an embedded directory of its own with sample people, an
//! administrator and what its doors need; and a page at `/` that plays the identity provider against the real endpoints.
//! Everything is assembled here from the same parts as `serve`; nothing below knows that it is in a demo.

mod kept;
mod people;
mod site;

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::app::{App, AppError, Parts};
use crate::config::{Config, DirectoryConfig, Keys, Operations, RateStore, Server, State, Tenant};
use crate::dialect::Dialect;
use crate::directory::Connector;
use crate::directory::embedded::{self, Embedded};
use crate::http::gateway::{Gateway, Runtime};
use crate::oauth::scope::Scope;
use crate::ports::{DirectoryError, Entry};
use crate::store::{self, Store, StoreError};
use crate::types::{Clock, Random};

use self::kept::{Credentials, Kept};
use self::site::Stage;

/// Who signs in, in every tenant.
const ADMINISTRATOR: &str = "gatekeeper";

/// How many sample people are in memory at once.
const SEEDED_AT_ONCE: usize = 500;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The public listener; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where everything is kept; `None` is a temporary directory that is gone at the end.
    pub data: Option<PathBuf>,
    /// Sample people a tenant, seeded where a directory is still empty.
    pub people: usize,
    /// `--limits none`: no tenant is limited, whatever its dialect says.
    pub unlimited: bool,
    /// Print contract §5 on stdout instead of a few lines for people.
    pub json: bool,
}

/// What the process gives besides.
pub struct Means {
    /// Time.
    pub clock: Clock,
    /// Randomness: passwords and secrets come from it.
    pub random: Random,
    /// Renders the metrics.
    pub metrics: Option<PrometheusHandle>,
}

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {error}; choose another with --listen, such as 127.0.0.1:0 for any free port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The data directory, or a file in it.
    #[error("{}: {error}", path.display())]
    Data {
        /// What could not be made, read or written.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The gateway.
    #[error(transparent)]
    App(#[from] AppError),
    /// Its state.
    #[error(transparent)]
    State(#[from] StoreError),
    /// A sample directory.
    #[error("the directory of tenant {tenant} cannot be filled: {error}")]
    Directory {
        /// Whose.
        tenant: String,
        /// Why.
        error: DirectoryError,
    },
    /// The answer of `--json`, or the banner, cannot be printed.
    #[error("stdout: {0}")]
    Output(std::io::Error),
}

/// Sets the demo up, prints what to open once it listens, and serves until `shutdown` ends.
///
/// # Errors
/// When the address, the data directory or one of the parts cannot be had.
pub async fn run(arguments: &Arguments, means: Means, shutdown: impl Future<Output = ()>) -> Result<(), DemoError> {
    let mut shutdown = pin!(shutdown);
    let demo = tokio::select! {
        // First, so that signals are heard from the beginning and a broken-off set-up leaves no files behind.
        biased;
        () = &mut shutdown => return Ok(()),
        demo = prepare(arguments, means) => demo?,
    };
    let Demo { app, public, operations, home, json, banner } = demo;
    let mut stdout = std::io::stdout();
    let text = if arguments.json { &json } else { &banner };
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(DemoError::Output)?;
    let gateway = Arc::clone(app.gateway());
    app.run(public, operations, shutdown).await?;
    join_all(tenants(&gateway).iter().map(|tenant| tenant.directory.close())).await;
    home.close();
    Ok(())
}

/// A demo that is set up; its listeners are bound, so who connects now waits only for `App::run`.
struct Demo {
    app: App,
    public: TcpListener,
    operations: TcpListener,
    home: Home,
    /// Contract §5, one line.
    json: String,
    /// The same for people.
    banner: String,
}

async fn prepare(arguments: &Arguments, means: Means) -> Result<Demo, DemoError> {
    let Means { clock, random, metrics } = means;
    let (public, operations) =
        tokio::try_join!(listen(arguments.listen), listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
    let base_url = format!("http://{}", reachable(local(&public)?));
    let operations_url = format!("http://{}", local(&operations)?);

    let home = Home::open(arguments.data.as_deref())?;
    let kept_path = home.path().join("demo.json");
    let (kept, fresh) = match Kept::read(&kept_path)? {
        Some(kept) => (kept, false),
        None => (Kept::new(&random), true),
    };
    // The dearest step by far, so it begins first and on another core.
    let hash = fresh.then(|| {
        let (password, random) = (kept.password(), random.clone());
        tokio::task::spawn_blocking(move || password.hash(&random))
    });

    let config = configuration(arguments, &home, &base_url, local(&operations)?);
    let options = store::Options { durable: home.lasts(), ..store::Options::default() };
    let store = Store::open_with(&config.state.url, clock.clone(), options).await?;
    let stage = Arc::new(Stage::default());
    let parts = Parts {
        clock,
        random: random.clone(),
        site: Some(site::site(Arc::clone(&stage))),
        durable: home.lasts(),
        metrics,
    };
    let app = App::with_store(config, parts, store.clone()).await?;
    let gateway = app.gateway();
    try_join_all(tenants(gateway).iter().map(|tenant| seed(tenant, arguments.people))).await?;
    let hash = match hash {
        Some(task) => Some(task.await.expect("hashing a password neither panics nor is cancelled")),
        None => None,
    };
    kept.register(&store, &random, gateway.clock.now(), hash.as_deref(), &redirect_uris(&base_url)).await?;
    if fresh {
        kept.write(&kept_path)?;
    }

    let setup = describe(gateway, &kept, &base_url, &operations_url).await?;
    let json = serde_json::to_string(&setup).expect("text and lists always have a JSON form");
    let banner = banner(&home, &setup);
    stage.set(json.clone(), &base_url, gateway);
    Ok(Demo { app, public, operations, home, json, banner })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DemoError> {
    TcpListener::bind(address).await.map_err(|error| DemoError::Listen { address, error })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, DemoError> {
    listener.local_addr().map_err(DemoError::Output)
}

/// An address a browser on this machine can open: "every address" is not one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Where the files are.
enum Home {
    Lasting(PathBuf),
    Temporary(TempDir),
}

impl Home {
    fn open(data: Option<&Path>) -> Result<Self, DemoError> {
        match data {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|error| DemoError::Data { path: path.to_owned(), error })?;
                Ok(Self::Lasting(path.to_owned()))
            }
            None => tempfile::Builder::new()
                .prefix("portcullis-demo-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(|error| DemoError::Data { path: std::env::temp_dir(), error }),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Lasting(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }

    const fn lasts(&self) -> bool {
        matches!(self, Self::Lasting(_))
    }

    /// Removes what is temporary.
    fn close(self) {
        if let Self::Temporary(directory) = self
            && let Err(error) = directory.close()
        {
            tracing::warn!(%error, "the temporary directory was not removed");
        }
    }
}

fn configuration(arguments: &Arguments, home: &Home, base_url: &str, operations: SocketAddr) -> Config {
    let tenants = Dialect::all().into_iter().map(|dialect| {
        let people = embedded::Config {
            durable: home.lasts(),
            ..embedded::Config::file(home.path().join(format!("{}.db", dialect.name)))
        };
        let mut tenant = Tenant::new(&dialect.name, dialect, base_url, DirectoryConfig::Embedded(people));
        if arguments.unlimited {
            tenant.limits = None;
        }
        (dialect.name.clone(), Arc::new(tenant))
    });
    let state = State { url: format!("sqlite:{}", home.path().join("state.sqlite").display()) };
    Config {
        server: Server { listen: arguments.listen, public_url: base_url.to_owned(), ..Server::default() },
        operations: Operations { listen: operations },
        keys: Keys::beside(&state),
        state,
        rate_store: RateStore::default(),
        tenants: tenants.collect(),
    }
}

/// Where the sample clients may send people back to: Entra's own pages, this page, and tools on this machine.
fn redirect_uris(base_url: &str) -> Vec<String> {
    let mut uris: Vec<String> = [
        "https://portal.azure.com/TokenAuthorize",
        "https://entra.microsoft.com/TokenAuthorize",
        "http://127.0.0.1/callback",
        "http://[::1]/callback",
        "http://localhost/callback",
    ]
    .map(str::to_owned)
    .into();
    let own = format!("{base_url}/callback");
    if !crate::oauth::redirect::matches(&uris, &own) {
        uris.push(own);
    }
    uris
}

/// The tenants in the documentation's order.
fn tenants(gateway: &Gateway) -> Vec<Arc<Runtime>> {
    let snapshot = gateway.snapshot.load();
    Dialect::all().into_iter().filter_map(|dialect| snapshot.tenants.get(&dialect.name).cloned()).collect()
}

/// The directory behind a tenant of the demo.
fn embedded(tenant: &Runtime) -> Option<&Embedded> {
    match tenant.directory.connector() {
        Connector::Embedded(embedded) => Some(embedded),
        Connector::Rest(_) | Connector::Scim(_) | Connector::Ldap(_) | Connector::Sql(_) | Connector::Imagined(_) => {
            None
        }
    }
}

async fn seed(tenant: &Runtime, people: usize) -> Result<(), DemoError> {
    let failed = |error| DemoError::Directory { tenant: tenant.config.name.clone(), error };
    if people == 0 {
        return Ok(());
    }
    let Some(directory) = embedded(tenant) else { return Ok(()) };
    if directory.rows(1).await.map_err(failed)?.is_empty() {
        for from in (0..people).step_by(SEEDED_AT_ONCE) {
            let some = people::sample(from..people.min(from + SEEDED_AT_ONCE));
            directory.seed(&some).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// What `--json` prints and the page reads (contract §5).
#[derive(Serialize)]
struct Setup<'a> {
    base_url: &'a str,
    operations_url: &'a str,
    tenants: Vec<TenantSetup<'a>>,
}

#[derive(Serialize)]
struct TenantSetup<'a> {
    name: String,
    dialect: String,
    scim_base: String,
    issuer: String,
    authorize_url: Option<String>,
    token_url: Option<String>,
    client_id: Option<&'a str>,
    client_secret: Option<&'a str>,
    redirect_uris: Option<Vec<String>>,
    scopes: Option<[&'static str; 2]>,
    administrator: AdministratorSetup<'a>,
    secret_token: Option<&'a str>,
    unmanaged_user: Option<UserSetup>,
}

#[derive(Serialize)]
struct AdministratorSetup<'a> {
    username: &'static str,
    password: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserSetup {
    id: String,
    user_name: String,
}

async fn describe<'a>(
    gateway: &Gateway,
    kept: &'a Kept,
    base_url: &'a str,
    operations_url: &'a str,
) -> Result<Setup<'a>, DemoError> {
    let mut described = Vec::new();
    for tenant in tenants(gateway) {
        let (config, dialect) = (&tenant.config, &tenant.config.dialect);
        let Credentials { client, secret_token } = kept.of(&dialect.name);
        described.push(TenantSetup {
            name: dialect.name.clone(),
            dialect: dialect.name.clone(),
            scim_base: config.scim_base.clone(),
            issuer: config.issuer.clone(),
            authorize_url: dialect.oauth.then(|| format!("{}/oauth/authorize", config.issuer)),
            token_url: dialect.oauth.then(|| format!("{}/oauth/token", config.issuer)),
            client_id: client.as_ref().map(|client| client.id.as_str()),
            client_secret: client.as_ref().map(|client| client.secret.as_str()),
            redirect_uris: dialect.oauth.then(|| redirect_uris(base_url)),
            scopes: dialect.oauth.then(|| Scope::ALL.map(Scope::as_str)),
            administrator: AdministratorSetup { username: ADMINISTRATOR, password: kept.password_text() },
            secret_token: secret_token.as_deref(),
            unmanaged_user: unmanaged(gateway, &tenant).await?,
        });
    }
    Ok(Setup { base_url, operations_url, tenants: described })
}

/// Somebody active whom no provisioning has touched and whom the tenant's dialect would accept as they are.
async fn unmanaged(gateway: &Gateway, tenant: &Runtime) -> Result<Option<UserSetup>, DemoError> {
    let Some(directory) = embedded(tenant) else { return Ok(None) };
    let rows = directory
        .rows(200)
        .await
        .map_err(|error| DemoError::Directory { tenant: tenant.config.name.clone(), error })?;
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let links = gateway.store.links(&tenant.config.name, &keys).await?;
    let fits = |row: &Entry| {
        row.resource.active() == Some(true)
            && !links.contains_key(&row.key)
            && tenant.config.dialect.accept(None, row.resource.clone()).violations.is_empty()
    };
    let found = rows.iter().find(|row| fits(row));
    Ok(found.and_then(|row| Some(UserSetup { id: row.key.clone(), user_name: row.resource.user_name()?.to_owned() })))
}

fn banner(home: &Home, setup: &Setup<'_>) -> String {
    let mut text = format!("\n  Portcullis demo: open {}\n\n", setup.base_url);
    if let Some(tenant) = setup.tenants.first() {
        let AdministratorSetup { username, password } = tenant.administrator;
        let _ = writeln!(text, "  Sign in as {username} with {password} when it asks (the same in every tenant).\n");
    }
    for tenant in &setup.tenants {
        let door = match (tenant.client_id.is_some(), tenant.secret_token.is_some()) {
            (true, true) => "Authorize, secret token",
            (true, false) => "Authorize",
            (false, _) => "secret token",
        };
        let _ = writeln!(text, "  {:<22} {:<24} {}", tenant.name, door, tenant.scim_base);
    }
    let _ = writeln!(text, "\n  Health and metrics: {}", setup.operations_url);
    let _ = match home {
        Home::Lasting(path) => writeln!(text, "  Everything is kept in {}.", path.display()),
        Home::Temporary(_) => writeln!(text, "  Everything is temporary; --data DIR keeps it."),
    };
    text.push_str("  Secrets for scripts: --json. Ctrl-C ends it.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_becomes_one_that_opens() {
        let rows = [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("192.0.2.7:8080", "192.0.2.7:8080"),
        ];
        for (given, wanted) in rows {
            assert_eq!(reachable(given.parse().unwrap()).to_string(), wanted);
        }
    }

    #[test]
    fn the_page_is_a_redirect_target_wherever_it_listens() {
        assert_eq!(redirect_uris("http://127.0.0.1:41234").len(), 5);
        assert!(redirect_uris("http://192.0.2.7:80").contains(&"http://192.0.2.7:80/callback".to_owned()));
    }

    async fn started(data: Option<&Path>, people: usize, seed: u64) -> (Demo, serde_json::Value) {
        let arguments = Arguments {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.map(Path::to_owned),
            people,
            unlimited: true,
            json: true,
        };
        let means = Means { clock: Clock::system(), random: Random::seeded(seed), metrics: None };
        let demo = prepare(&arguments, means).await.unwrap();
        let setup = serde_json::from_str(&demo.json).unwrap();
        (demo, setup)
    }

    #[tokio::test]
    async fn a_second_start_finds_everything_again() {
        let data = tempfile::tempdir().unwrap();
        let (first, before) = started(Some(data.path()), 25, 1).await;
        first.app.gateway().store.close().await;
        drop(first);
        let (second, after) = started(Some(data.path()), 25, 2).await;
        for (old, new) in before["tenants"].as_array().unwrap().iter().zip(after["tenants"].as_array().unwrap()) {
            for key in ["name", "client_id", "client_secret", "secret_token", "administrator", "unmanaged_user"] {
                assert_eq!(old[key], new[key], "{key} of {}", old["name"]);
            }
            assert!(new["unmanaged_user"]["id"].is_string(), "{}", new["name"]);
            let name = new["name"].as_str().unwrap();
            let store = &second.app.gateway().store;
            assert!(store.administrator(name, ADMINISTRATOR).await.unwrap().is_some());
            assert_eq!(store.clients(name).await.unwrap().len(), usize::from(new["client_id"].is_string()));
            assert_eq!(store.secret_tokens(name).await.unwrap().len(), usize::from(new["secret_token"].is_string()));
        }
    }

    #[tokio::test]
    async fn it_says_what_the_contract_promises() {
        let (demo, setup) = started(None, 0, 3).await;
        let tenants = setup["tenants"].as_array().unwrap();
        assert_eq!(tenants.len(), 5);
        for tenant in tenants {
            assert_eq!(tenant["name"], tenant["dialect"]);
            assert_eq!(tenant["unmanaged_user"], serde_json::Value::Null);
            let token_only = ["vonage-contact-center", "playvox"].contains(&tenant["name"].as_str().unwrap());
            for key in ["authorize_url", "token_url", "client_id", "client_secret", "redirect_uris", "scopes"] {
                assert_eq!(tenant[key].is_null(), token_only, "{key} of {}", tenant["name"]);
            }
            assert_eq!(tenant["secret_token"].is_string(), token_only || tenant["name"] == "standard");
        }
        assert!(super::tenants(demo.app.gateway()).iter().all(|tenant| tenant.config.limits.is_none()));
        assert!(demo.banner.contains(setup["base_url"].as_str().unwrap()));
        let path = demo.home.path().to_owned();
        demo.app.gateway().store.close().await;
        demo.home.close();
        assert!(!path.exists());
    }
}
