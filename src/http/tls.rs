//! TLS 1.2 and 1.3 by rustls; the certificate can be changed while connections are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not fit each other, or rustls refuses them.
    #[error("certificate and private key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// No crypto provider is installed; the process forgot to.
    #[error("no TLS provider is installed")]
    NoProvider,
}

/// The certificate in force; [`Certificate::reload`] swaps it.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// When a file cannot be read or the two do not fit.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(read(chain, key)?))))
    }

    /// Reads both files again; on an error the old certificate stays in force.
    ///
    /// # Errors
    /// As [`Certificate::load`].
    pub fn reload(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        self.0.store(Arc::new(read(chain, key)?));
        Ok(())
    }

    /// A server configuration that always presents the certificate in force.
    ///
    /// # Errors
    /// When no crypto provider is installed.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(provider()?)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn provider() -> Result<Arc<CryptoProvider>, TlsError> {
    CryptoProvider::get_default().cloned().ok_or(TlsError::NoProvider)
}

fn read(chain_path: &Path, key_path: &Path) -> Result<CertifiedKey, TlsError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls_pki_types::pem::Error| TlsError::File { path, reason: error.to_string() }
    };
    let chain = CertificateDer::pem_file_iter(chain_path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(at(chain_path))?;
    if chain.is_empty() {
        return Err(TlsError::File { path: chain_path.to_owned(), reason: "holds no certificate".into() });
    }
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(at(key_path))?;
    Ok(CertifiedKey::from_der(chain, key, &*provider()?)?)
}
