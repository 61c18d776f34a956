//! The demo's credentials: made once, kept beside the data so that a second start takes the same ones, entered in the state.
//!
//! The only file of Portcullis that holds secrets in clear, because the page and scripts need them; mode 0600.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{ADMINISTRATOR, DemoError};
use crate::dialect::{Dialect, SecretForm};
use crate::oauth::Doors;
use crate::oauth::opaque::{self, Kind};
use crate::oauth::password::NewPassword;
use crate::oauth::role::Role;
use crate::oauth::scope::Scope;
use crate::store::{Client, ClientSecret, SecretToken, Store, StoreError};
use crate::types::{Random, Secret, Timestamp};

/// Everything that opens a door of the demo.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// All administrators share it: hashing one takes as long as everything else together.
    password: String,
    tenants: BTreeMap<String, Credentials>,
}

/// What one tenant's doors need.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// Where there is an Authorize door.
    pub(super) client: Option<ClientCredentials>,
    /// Where there is a secret token door.
    pub(super) secret_token: Option<String>,
}

/// The sample client.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientCredentials {
    pub(super) id: String,
    pub(super) secret: String,
}

const NONE: &Credentials = &Credentials { client: None, secret_token: None };

impl Kept {
    /// New ones for every tenant.
    pub(super) fn new(random: &Random) -> Self {
        let tenants = Dialect::all().into_iter().map(|dialect| {
            let client = dialect.oauth.then(|| ClientCredentials {
                // Short, because it stands in every access token.
                id: format!("demo-{}", random.text::<3>()),
                secret: opaque::mint(Kind::ClientSecret, random).expose().to_owned(),
            });
            let secret_token = dialect.secret_tokens.map(|tokens| match tokens.form {
                SecretForm::Prefixed => opaque::mint(Kind::SecretToken, random).expose().to_owned(),
                SecretForm::Base64Pair => opaque::mint_pair("demo", random).text.expose().to_owned(),
            });
            (dialect.name.clone(), Credentials { client, secret_token })
        });
        Self { password: readable(random), tenants: tenants.collect() }
    }

    /// Those of an earlier start; `None` if there was none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, DemoError> {
        let failed = |error| DemoError::Data { path: path.to_owned(), error };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps them for the next start, readable by nobody else, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), DemoError> {
        let attempt = || -> std::io::Result<()> {
            let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?; // mode 0600
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.persist(path)?;
            Ok(())
        };
        attempt().map_err(|error| DemoError::Data { path: path.to_owned(), error })
    }

    /// The tenant's.
    pub(super) fn of(&self, tenant: &str) -> &Credentials {
        self.tenants.get(tenant).unwrap_or(NONE)
    }

    /// The administrators' password, to be shown.
    pub(super) fn password_text(&self) -> &str {
        &self.password
    }

    /// The administrators' password, to be hashed.
    pub(super) fn password(&self) -> NewPassword {
        NewPassword::new(Secret::new(self.password.as_str()))
            .unwrap_or_else(|_| NewPassword::new(Secret::new("-".repeat(12))).expect("twelve characters suffice"))
    }

    /// Enters in the state what is not there yet. `hash` is the password's where these credentials are new; then it also
    /// replaces that of an administrator whom a start that broke off left behind.
    pub(super) async fn register(
        &self,
        store: &Store,
        random: &Random,
        now: Timestamp,
        hash: Option<&str>,
        redirect_uris: &[String],
    ) -> Result<(), StoreError> {
        for (tenant, credentials) in &self.tenants {
            if let Some(hash) = hash {
                match store.add_administrator(tenant, ADMINISTRATOR, Role::SuperUser, hash).await {
                    Ok(_) => {}
                    Err(StoreError::Exists(_)) => {
                        if let Some(known) = store.administrator(tenant, ADMINISTRATOR).await? {
                            store.set_password(tenant, known.id, hash).await?;
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(client) = &credentials.client
                && store.client(tenant, &client.id).await?.is_none()
            {
                store.add_client(&sample_client(tenant, client, redirect_uris, now)).await?;
            }
            if let Some(text) = &credentials.secret_token
                && let Some(token) = sample_token(tenant, text, random, now)
                && store.secret_token_by_digest(tenant, &token.digest).await?.is_none()
            {
                store.add_secret_token(&token, false).await?;
            }
        }
        Ok(())
    }
}

fn sample_client(tenant: &str, client: &ClientCredentials, redirect_uris: &[String], now: Timestamp) -> Client {
    let secret = Secret::new(client.secret.as_str());
    Client {
        id: client.id.clone(),
        tenant: tenant.to_owned(),
        name: "Sample identity provider".to_owned(),
        redirect_uris: redirect_uris.to_vec(),
        scopes: Scope::ALL.map(|scope| scope.as_str().to_owned()).into(),
        secrets: vec![ClientSecret {
            digest: secret.digest(),
            prefix: opaque::public_prefix(&secret),
            created: now,
            expires: None,
            last_used: None,
        }],
        public: false,
        doors: Doors::CONFIDENTIAL,
        disabled: false,
        created: now,
    }
}

fn sample_token(tenant: &str, text: &str, random: &Random, now: Timestamp) -> Option<SecretToken> {
    let digest = opaque::recognise(Kind::SecretToken, text).or_else(|| opaque::recognise_pair(text))?;
    Some(SecretToken {
        id: format!("demo-{}", random.text::<9>()),
        tenant: tenant.to_owned(),
        name: "Sample identity provider".to_owned(),
        digest,
        // The beginning of a base64 pair tells only its id.
        prefix: opaque::public_prefix(&Secret::new(text)),
        created: now,
        expires: None,
        last_used: None,
        revoked: false,
    })
}

/// A password that can be read out and typed: three groups of three syllables, 54 random bits.
fn readable(random: &Random) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aeio";
    let mut text = String::with_capacity(20);
    for (at, byte) in random.bytes::<9>().into_iter().enumerate() {
        if at > 0 && at % 3 == 0 {
            text.push('-');
        }
        text.push(char::from(CONSONANTS[usize::from(byte >> 4)]));
        text.push(char::from(VOWELS[usize::from(byte & 3)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_three_groups_that_can_be_chosen() {
        let password = readable(&Random::seeded(5));
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [6, 6, 6]);
        assert!(NewPassword::new(Secret::new(password.as_str())).is_ok());
        assert_ne!(password, readable(&Random::seeded(6)));
    }

    #[test]
    fn each_tenant_has_what_its_doors_need() {
        let kept = Kept::new(&Random::seeded(1));
        for dialect in Dialect::all() {
            let credentials = kept.of(&dialect.name);
            assert_eq!(credentials.client.is_some(), dialect.oauth, "{}", dialect.name);
            assert_eq!(credentials.secret_token.is_some(), dialect.secret_tokens.is_some(), "{}", dialect.name);
        }
    }

    #[test]
    fn what_is_kept_is_found_again_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo.json");
        assert!(Kept::read(&path).unwrap().is_none());
        let kept = Kept::new(&Random::seeded(2));
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path).unwrap().unwrap().password_text(), kept.password_text());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "{").unwrap();
        assert!(Kept::read(&path).is_err());
    }
}
