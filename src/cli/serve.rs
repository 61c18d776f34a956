//! `portcullis serve`: runs the gateway until it is told to stop.

use tokio::net::TcpListener;

use super::arguments::Serve;
use super::{Exit, Failure, World};
use crate::app::{self, App, AppError, Parts, Source};
use crate::config::{Config, Loaded};
use crate::http::oauth::OpenError;
use crate::store::StoreError;
use crate::telemetry;

/// Loads the configuration, listens, serves, drains.
pub async fn run(arguments: Serve, world: &mut World<'_>) -> Result<Exit, Failure> {
    let Loaded { config, warnings, files } = Config::load(&arguments.config, &world.environment)?;
    telemetry::start_log("info", world.environment.get("PORTCULLIS_LOG"));
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    app::install_tls_provider();
    let metrics = telemetry::start_metrics().map_err(|error| Failure::failed(error.to_string()))?;
    let (listen, operations) = (config.server.listen, config.operations.listen);
    let parts = Parts {
        clock: world.clock.clone(),
        random: world.random.clone(),
        site: None,
        durable: true,
        metrics: Some(metrics),
    };
    // Listening first: whoever starts the gateway and asks at once is kept waiting, not refused.
    let public = bind(listen, "server.listen").await?;
    let inside = bind(operations, "operations.listen").await?;
    let source = Source { path: arguments.config, environment: world.environment.clone(), files };
    let app = App::build(config, parts).await?.reloading(source);
    app.run(public, inside, app::told_to_stop()).await?;
    Ok(Exit::Done)
}

async fn bind(address: std::net::SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| Failure {
        exit: Exit::Failed,
        message: format!("cannot listen on {address} ({key}): {error}"),
    })
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let exit = match &error {
            AppError::Authorization(OpenError::Store(StoreError::MasterKey(_))) | AppError::Tls(_) => {
                Exit::Configuration
            }
            AppError::State(_) | AppError::Authorization(_) | AppError::Directory { .. } => Exit::Unreachable,
            AppError::Watch(_) => Exit::Failed,
        };
        Self { exit, message: error.to_string() }
    }
}
