//! Tells operators in time that a client's secret ends: in the log, and as a metric that an alert can stand on.

use super::AuthorizationServer;
use crate::oauth::expiry::{is_near, relied_on_until};
use crate::store::StoreError;
use crate::types::Timestamp;

/// A secret that ends soon, or has ended, while its client relies on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The tenant.
    pub tenant: String,
    /// The client.
    pub client: String,
    /// The public part of the secret.
    pub secret: String,
    /// When it ends.
    pub expires: Timestamp,
}

impl AuthorizationServer {
    /// Looks at the secrets of these tenants, sets `portcullis_client_secret_expires_seconds` of each to the time left to the first
    /// end that matters (infinite without one), and gives those that end within 60 days; with `say`, the log says so, too.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn expiring_secrets(
        &self,
        tenants: impl IntoIterator<Item = &str> + Send,
        say: bool,
    ) -> Result<Vec<Expiring>, StoreError> {
        let now = self.clock.now();
        let mut near = Vec::new();
        for tenant in tenants.into_iter().map(str::to_owned).collect::<Vec<_>>() {
            let mut first: Option<Timestamp> = None;
            for client in self.store.clients(&tenant).await?.into_iter().filter(|client| !client.disabled) {
                let lives = client.lives();
                for (index, secret) in client.secrets.iter().enumerate() {
                    let Some(expires) = relied_on_until(&lives, index, now) else { continue };
                    first = Some(first.map_or(expires, |first| first.min(expires)));
                    if is_near(expires, now) {
                        near.push(Expiring {
                            tenant: tenant.clone(),
                            client: client.id.clone(),
                            secret: secret.prefix.clone(),
                            expires,
                        });
                    }
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
            let left = first.map_or(f64::INFINITY, |first| (first.seconds() - now.seconds()) as f64);
            metrics::gauge!("portcullis_client_secret_expires_seconds", "tenant" => tenant).set(left);
        }
        for Expiring { tenant, client, secret, expires } in near.iter().filter(|_| say) {
            let what = if *expires <= now { "has expired" } else { "expires soon" };
            tracing::warn!(
                tenant,
                client,
                secret,
                %expires,
                "a client's secret {what}; give it a new one with `portcullis client secret add`, enter that at the identity provider"
            );
        }
        Ok(near)
    }
}
