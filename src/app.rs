//! Puts the parts together, runs them, reloads what configuration decides, and stops without losing work.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::try_join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Diagnostics, DirectoryConfig, Environment, Loaded, watch};
use crate::directory::embedded::Embedded;
use crate::directory::ldap::Ldap;
use crate::directory::rest::Rest;
use crate::directory::scim::Scim;
use crate::directory::sql::Sql;
use crate::directory::{self, Connector};
use crate::http::gateway::{Gateway, Runtime, Site, Snapshot, bounds, longest_window};
use crate::http::oauth::{AuthorizationServer, OpenError};
use crate::http::operations::Operations;
use crate::http::permit::LimitMetrics;
use crate::http::record::{RequestIds, RequestMetrics};
use crate::http::serve::{Bounds, serve};
use crate::http::tls::{Certificate, TlsError};
use crate::limit::Limiter;
use crate::ports::{Directory as _, DirectoryError};
use crate::scim::cursor;
use crate::store::{self, Store, StoreError};
use crate::types::{Clock, Random};

/// How often the state is asked whether somebody's access ended in another process: well within the promised second.
const NOTICE: Duration = Duration::from_millis(250);

/// What is left to a change under way at the least when the drain deadline has been used up by others.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// What the application is given besides its configuration.
pub struct Parts {
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// The demo's page.
    pub site: Option<Site>,
    /// Whether the state survives a power cut; the demo's does not need to.
    pub durable: bool,
    /// Renders the metrics.
    pub metrics: Option<PrometheusHandle>,
}

/// Where the configuration came from, so that it can be read again.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The environment it was read with.
    pub environment: Environment,
    /// The files that made it.
    pub files: Vec<PathBuf>,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Its own state.
    #[error("the state cannot be opened: {0}")]
    State(#[from] StoreError),
    /// The authorization server.
    #[error("the authorization server cannot start: {0}")]
    Authorization(#[from] OpenError),
    /// A tenant's directory.
    #[error("the directory of tenant {tenant} cannot be opened: {error}")]
    Directory {
        /// Whose.
        tenant: String,
        /// Why.
        error: DirectoryError,
    },
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Watching the configuration file.
    #[error("the configuration file cannot be watched: {0}")]
    Watch(#[from] notify::Error),
}

/// A gateway ready to run.
pub struct App {
    gateway: Arc<Gateway>,
    certificate: Option<Arc<Certificate>>,
    metrics: Option<PrometheusHandle>,
    source: Option<Source>,
}

impl App {
    /// Opens the state and every directory.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub async fn build(config: Config, parts: Parts) -> Result<Self, AppError> {
        let options = store::Options { durable: parts.durable, ..store::Options::default() };
        let store = Store::open_with(&config.state.url, parts.clock.clone(), options).await?;
        Self::with_store(config, parts, store).await
    }

    /// As [`App::build`], on a state that is open already.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn with_store(config: Config, parts: Parts, store: Store) -> Result<Self, AppError> {
        let certificate =
            config.server.tls.as_ref().map(|tls| Certificate::load(&tls.certificate, &tls.private_key)).transpose()?;
        let authorization =
            AuthorizationServer::open(store.clone(), &config.keys, parts.clock.clone(), parts.random.clone()).await?;
        let snapshot = assemble(Arc::new(config), None, &parts.clock).await?;
        let gateway = Gateway {
            snapshot: ArcSwap::from_pointee(snapshot),
            cursors: cursor::Key::new(&store.server_secret("cursor", &parts.random.bytes()).await?),
            store,
            authorization,
            clock: parts.clock,
            request_ids: Arc::new(RequestIds::new(&parts.random)),
            site: parts.site,
            metrics: RequestMetrics::new(""),
            changes: TaskTracker::new(),
        };
        Ok(Self { gateway: Arc::new(gateway), certificate, metrics: parts.metrics, source: None })
    }

    /// Lets the running gateway read its configuration again when the file changes or SIGHUP comes.
    #[must_use]
    pub fn reloading(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The running parts, for the demo's page.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves until `shutdown` ends; then readiness falls, connections are still accepted for a moment, and what is under
    /// way is finished within the drain deadline.
    ///
    /// # Errors
    /// When the certificate or the file watch cannot be set up.
    pub async fn run(
        self,
        public: TcpListener,
        operations: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AppError> {
        let Self { gateway, certificate, metrics, source } = self;
        let server = gateway.snapshot.load().config.server.clone();
        let addresses = (public.local_addr(), operations.local_addr());
        let (stop, stop_operations) = (CancellationToken::new(), CancellationToken::new());
        let draining = Arc::new(AtomicBool::new(false));

        let tls = certificate.as_ref().map(Certificate::server_config).transpose()?;
        let handler = Arc::clone(&gateway);
        let public = tokio::spawn(serve(public, tls, bounds(&server), stop.clone(), move |request, peer| {
            Arc::clone(&handler).handle(request, peer)
        }));
        let inside = Arc::new(Operations {
            store: gateway.store.clone(),
            metrics: metrics.clone(),
            clock: gateway.clock.clone(),
            request_ids: Arc::clone(&gateway.request_ids),
            draining: Arc::clone(&draining),
        });
        let few = Bounds { connections: 64, drain: Duration::from_secs(1), ..bounds(&server) };
        let operations = tokio::spawn(serve(operations, None, few, stop_operations.clone(), move |request, _| {
            Arc::clone(&inside).handle(request)
        }));
        let upkeep = tokio::spawn(upkeep(Arc::clone(&gateway), metrics));
        let reload = tokio::spawn(reload_on_change(Arc::clone(&gateway), certificate, source)?);
        // Said only now that signals and changes of the files are heard; with the ports that were picked for port 0.
        if let (Ok(listen), Ok(operations)) = addresses {
            tracing::info!(%listen, %operations, "portcullis is ready");
        }

        shutdown.await;
        draining.store(true, Ordering::Release);
        tracing::info!(grace_ms = u64::try_from(server.drain_grace.as_millis()).unwrap_or(0), "stopping");
        tokio::time::sleep(server.drain_grace).await;
        reload.abort();
        stop.cancel();
        let stopping = Instant::now();
        let _ = public.await;
        // A change whose client has hung up is on no connection any more, and is finished all the same.
        gateway.changes.close();
        let left = server.drain.saturating_sub(stopping.elapsed()).max(LAST_MOMENT);
        if timeout(left, gateway.changes.wait()).await.is_err() {
            tracing::warn!(
                changes = gateway.changes.len(),
                "changes were still under way when the drain deadline passed"
            );
        }
        upkeep.abort();
        stop_operations.cancel();
        let _ = operations.await;
        gateway.authorization.settle().await;
        gateway.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Makes aws-lc the process's TLS library; the first caller decides, and all callers agree.
pub fn install_tls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Ends when the process is told to stop: SIGTERM or an interrupt. Listens for them from the call on, not from the first wait.
pub fn told_to_stop() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        async move {
            let mut heard: Vec<_> = signals.into_iter().flatten().collect();
            // A signal that cannot be listened for keeps its default: it ends the process.
            let waits = heard.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures_util::future::select_all(waits).await;
        }
    }
    #[cfg(not(unix))]
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Tries what a configuration names, for `check --connect`: each with why it cannot be used, without secrets.
pub async fn probe(config: &Config, clock: &Clock) -> Vec<(String, Result<(), String>)> {
    let told = |answer: Result<(), StoreError>| answer.map_err(|error| error.to_string());
    let mut outcomes = Vec::new();
    match Store::open(&config.state.url, clock.clone()).await {
        Ok(store) => {
            outcomes.push(("state".to_owned(), told(store.ping().await)));
            outcomes.push(("master key".to_owned(), told(store.master_key(&config.keys.master).await.map(|_| ()))));
            store.close().await;
        }
        Err(error) => outcomes.push(("state".to_owned(), told(Err(error)))),
    }
    for (name, tenant) in &config.tenants {
        let outcome = match open(name, &tenant.directory, clock).await {
            Ok(directory) => {
                let answer = directory.probe().await.map_err(|error| error.to_string());
                directory.close().await;
                answer
            }
            Err(error) => Err(error.to_string()),
        };
        outcomes.push((format!("directory of {name}"), outcome));
    }
    outcomes
}

/// Builds the snapshot of a configuration. What counts, locks or is connected is taken over from `before`.
async fn assemble(config: Arc<Config>, before: Option<&Snapshot>, clock: &Clock) -> Result<Snapshot, AppError> {
    let mut tenants = HashMap::new();
    let mut hosts = HashMap::new();
    let before = |name: &str| before.and_then(|before| before.tenants.get(name));
    let directories = config.tenants.iter().map(async |(name, tenant)| {
        match before(name).filter(|old| same_file(&old.config.directory, &tenant.directory)) {
            Some(old) => Ok(Arc::clone(&old.directory)),
            None => open(name, &tenant.directory, clock).await.map(Arc::new),
        }
    });
    let directories = try_join_all(directories).await?;
    for ((name, tenant), directory) in config.tenants.iter().zip(directories) {
        let old = before(name);
        let runtime = Arc::new(Runtime {
            directory,
            limiter: old.map_or_else(|| Arc::new(Limiter::default()), |old| Arc::clone(&old.limiter)),
            limit_metrics: old.map_or_else(|| Arc::new(LimitMetrics::new(name)), |old| Arc::clone(&old.limit_metrics)),
            locks: old.map(|old| Arc::clone(&old.locks)).unwrap_or_default(),
            metrics: old.map_or_else(|| Arc::new(RequestMetrics::new(name)), |old| Arc::clone(&old.metrics)),
            config: Arc::clone(tenant),
        });
        hosts.extend(tenant.hosts.iter().map(|host| (host.clone(), Arc::clone(&runtime))));
        tenants.insert(name.clone(), runtime);
    }
    Ok(Snapshot { config, tenants, hosts })
}

/// Connects to a tenant's directory: the one place that names the kinds.
async fn open(name: &str, config: &DirectoryConfig, clock: &Clock) -> Result<directory::Any, AppError> {
    let connector = match config {
        DirectoryConfig::Embedded(config) => Embedded::open(config, clock.clone()).await.map(Connector::from),
        DirectoryConfig::Rest(config) => Rest::new(config.clone(), clock.clone()).map(Connector::from),
        DirectoryConfig::Scim(config) => Scim::new(config.clone(), clock.clone()).map(Connector::from),
        DirectoryConfig::Ldap(config) => {
            Ldap::new(config.clone(), clock.clone(), Random::system()).map(Connector::from)
        }
        DirectoryConfig::Sql(config) => Sql::new(config.clone(), clock.clone(), Random::system()).map(Connector::from),
    };
    match connector {
        Ok(connector) => Ok(directory::Any::new(name, connector, clock.clone())),
        Err(error) => Err(AppError::Directory { tenant: name.to_owned(), error }),
    }
}

/// Whether both are the same embedded file, which then stays open. Anything else is connected anew: its secrets may differ.
fn same_file(old: &DirectoryConfig, new: &DirectoryConfig) -> bool {
    matches!((old, new), (DirectoryConfig::Embedded(old), DirectoryConfig::Embedded(new)) if old == new)
}

/// The small things done from time to time.
async fn upkeep(gateway: Arc<Gateway>, metrics: Option<PrometheusHandle>) {
    let mut notice = interval(NOTICE);
    notice.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut slow = interval(Duration::from_secs(5));
    slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hourly = interval(Duration::from_hours(1));
    hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hours = 0_u32;
    let mut generation = gateway.store.generation().await.unwrap_or_default();
    loop {
        tokio::select! {
            _ = notice.tick() => match gateway.store.generation().await {
                Ok(now) if now != generation => {
                    generation = now;
                    gateway.authorization.catch_up().await;
                }
                Ok(_) => {}
                // What is cached may be stale while the state is away: check everything anew once it is back.
                Err(_) => gateway.authorization.forget(),
            },
            _ = hourly.tick() => {
                let snapshot = gateway.snapshot.load_full();
                let tenants = snapshot.tenants.keys().map(String::as_str);
                // Measured every hour, said once a day.
                if let Err(error) = gateway.authorization.expiring_secrets(tenants, hours.is_multiple_of(24)).await {
                    tracing::warn!(%error, "whether secrets expire soon cannot be told");
                }
                hours = hours.wrapping_add(1);
            }
            _ = slow.tick() => {
                let snapshot = gateway.snapshot.load_full();
                let (now, longest) = (gateway.clock.monotonic(), longest_window(&snapshot));
                for tenant in snapshot.tenants.values() {
                    tenant.limiter.sweep(now, longest);
                }
                if let Some(metrics) = &metrics {
                    metrics.run_upkeep();
                }
            }
        }
    }
}

/// Reads the configuration again when one of its files changes, or on SIGHUP.
fn reload_on_change(
    gateway: Arc<Gateway>,
    certificate: Option<Arc<Certificate>>,
    source: Option<Source>,
) -> Result<impl Future<Output = ()> + Send + use<>, AppError> {
    let (sender, mut changes) = mpsc::channel(1);
    let watcher = source.as_ref().map(|source| watch::watch(source.files.clone(), sender.clone())).transpose()?;
    let hangup = source.as_ref().and_then(|_| hangups(sender.clone()));
    Ok(async move {
        let Some(mut source) = source else { return };
        let mut watcher = watcher;
        while changes.recv().await.is_some() {
            match reload(&gateway, certificate.as_deref(), &mut source).await {
                Ok(files_changed) => {
                    metrics::gauge!("portcullis_config_reload_failed").set(0.0);
                    tracing::info!("configuration reloaded");
                    if files_changed && let Ok(new) = watch::watch(source.files.clone(), sender.clone()) {
                        watcher = Some(new);
                    }
                }
                Err(reason) => {
                    metrics::gauge!("portcullis_config_reload_failed").set(1.0);
                    tracing::error!(reason, "the configuration was not reloaded; the old one stays in force");
                }
            }
        }
        drop((watcher, hangup));
    })
}

/// Turns SIGHUP into a change, from the call on: by default it would end the process.
fn hangups(sender: mpsc::Sender<()>) -> Option<tokio::task::JoinHandle<()>> {
    #[cfg(unix)]
    {
        let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok()?;
        Some(tokio::spawn(async move {
            while signal.recv().await.is_some() {
                // A change already waiting says the same.
                let _ = sender.try_send(());
            }
        }))
    }
    #[cfg(not(unix))]
    {
        drop(sender);
        None
    }
}

async fn reload(gateway: &Gateway, certificate: Option<&Certificate>, source: &mut Source) -> Result<bool, String> {
    let (path, environment) = (source.path.clone(), source.environment.clone());
    let loaded = tokio::task::spawn_blocking(move || Config::load(&path, &environment)).await;
    let Loaded { config, warnings: _, files } =
        loaded.map_err(|error| error.to_string())?.map_err(|diagnostics: Diagnostics| diagnostics.to_string())?;
    let before = gateway.snapshot.load_full();
    let old = &before.config;
    if config.server.listen != old.server.listen
        || config.operations != old.operations
        || config.state != old.state
        || config.rate_store != old.rate_store
        || config.keys != old.keys
        || config.server.public_url != old.server.public_url
        || config.server.tls.is_some() != old.server.tls.is_some()
    {
        return Err(
            "listen addresses, public_url, state, keys, rate_store and switching TLS on or off need a restart".into()
        );
    }
    let tls = config.server.tls.clone();
    let snapshot =
        assemble(Arc::new(config), Some(&before), &gateway.clock).await.map_err(|error| error.to_string())?;
    if let (Some(certificate), Some(tls)) = (certificate, tls) {
        certificate.reload(&tls.certificate, &tls.private_key).map_err(|error| error.to_string())?;
    }
    gateway.snapshot.store(Arc::new(snapshot));
    // Whom a tenant trusts may have changed.
    gateway.authorization.forget();
    let changed = files != source.files;
    source.files = files;
    Ok(changed)
}
