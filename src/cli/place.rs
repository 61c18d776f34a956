//! Where a command works: a tenant of a configuration, and the state behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{Exit, Failure, World};
use crate::config::{Config, Tenant};
use crate::http::record::RequestIds;
use crate::store::{AuditRecord, Store};

/// The flags that name a tenant.
#[derive(Args, Clone, Debug)]
pub struct At {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The tenant
    #[arg(long, value_name = "TENANT")]
    pub tenant: String,
}

/// A tenant and the open state. [`Place::close`] it: what it did is written to the audit trail then.
pub(super) struct Place {
    pub tenant: Arc<Tenant>,
    pub store: Store,
}

impl Place {
    /// Reads the configuration, finds the tenant, opens the state.
    pub async fn open(at: &At, world: &World<'_>) -> Result<Self, Failure> {
        let config = load(&at.config, world)?;
        let tenant = tenant(&config, &at.tenant)?;
        let store = state(&config, world).await?;
        Ok(Self { tenant, store })
    }

    /// The tenant's name.
    pub fn name(&self) -> &str {
        &self.tenant.name
    }

    /// Leaves a record of a change made from the command line; `target` is an id, never a name.
    pub fn record(&self, world: &World<'_>, operation: &str, target: impl Into<String>) {
        let at = world.clock.now();
        self.store.audit(AuditRecord {
            at,
            request_id: RequestIds::new(&world.random).next(at),
            tenant: Some(self.tenant.name.clone()),
            actor: Some("command line".to_owned()),
            operation: operation.to_owned(),
            target: Some(target.into()),
            status: 200,
            duration_us: 0,
            notes: Vec::new(),
        });
    }

    /// Writes down what is still queued.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// The configuration at `path`.
pub(super) fn load(path: &Path, world: &World<'_>) -> Result<Config, Failure> {
    Ok(Config::load(path, &world.environment)?.config)
}

/// The tenant called `name`; else the answer says which there are.
pub(super) fn tenant(config: &Config, name: &str) -> Result<Arc<Tenant>, Failure> {
    config.tenants.get(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = config.tenants.keys().map(String::as_str).collect();
        Failure::failed(format!("there is no tenant `{name}`; the tenants are {}", names.join(", ")))
    })
}

/// The state of `config`.
pub(super) async fn state(config: &Config, world: &World<'_>) -> Result<Store, Failure> {
    let url = &config.state.url;
    if url.starts_with("sqlite::memory:") {
        return Err(Failure::failed(
            "this configuration keeps its state in memory, which only the running gateway can reach; \
             give it a file: url = \"sqlite:portcullis.db\" under [state]",
        ));
    }
    Store::open(url, world.clock.clone()).await.map_err(|error| {
        let failure = Failure::from(error);
        match failure.exit {
            Exit::Unreachable => Failure { message: format!("{url}: {}", failure.message), ..failure },
            _ => failure,
        }
    })
}
