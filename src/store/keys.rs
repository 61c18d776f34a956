//! The authorization server's own keys and secrets, sealed under the master key (see `vault`): no private part rests in clear.

use std::time::Duration;

use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{Store, StoreError, end_access, taken};
use crate::oauth::rotation::{LONGEST_TOKEN, SKEW};
use crate::oauth::seal::Place;
use crate::oauth::signature::Algorithm;
use crate::types::Timestamp;

/// A key that signs access tokens. No `Debug`: it holds the private part.
pub struct SigningKey {
    /// Its name in JWT headers and in the JWKS.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private key, PKCS#8 (RFC 5958) DER.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created: Timestamp,
    /// From when it signs.
    pub signs_from: Timestamp,
}

/// What may be told of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub kid: String,
    /// What it signs with.
    pub algorithm: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when it signs.
    pub signs_from: Timestamp,
}

/// What becomes of the keys there are when a new one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OlderKeys {
    /// There must be none: of several processes that start at once one makes the first.
    None,
    /// They sign until the new one does, and are believed until their last token has expired.
    Overlap,
    /// They are gone, with every token they signed: somebody else has one.
    Drop,
}

impl Store {
    /// The signing keys, the one that signs last first; makes none.
    ///
    /// # Errors
    /// When the state is not available, is still locked, or a key does not open.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let vault = self.vault()?;
        sqlx::query(
            "SELECT kid, algorithm, private_key, created, signs_from FROM signing_keys
             ORDER BY signs_from DESC, created DESC, kid",
        )
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(|row| {
            let (kid, algorithm): (String, &str) = (row.try_get(0)?, row.try_get(1)?);
            Ok(SigningKey {
                pkcs8: vault.open(&Place::SigningKey { kid: &kid, algorithm }, row.try_get(2)?)?,
                algorithm: algorithm.parse().map_err(|_| StoreError::Corrupt("a signing key's algorithm"))?,
                kid,
                created: Timestamp::from_millis(row.try_get(3)?),
                signs_from: Timestamp::from_millis(row.try_get(4)?),
            })
        })
        .collect()
    }

    /// Adds a key, and clears away those retired. Running gateways take it up within a second. False: there are keys, and there was
    /// to be none.
    ///
    /// # Errors
    /// `Exists` when there is a key of that name; when the state is not available or still locked.
    pub async fn add_signing_key(&self, key: &SigningKey, others: OlderKeys) -> Result<bool, StoreError> {
        let place = Place::SigningKey { kid: &key.kid, algorithm: key.algorithm.name() };
        let sealed = self.vault()?.seal(&place, &key.pkcs8)?;
        let mut transaction = self.begin().await?;
        match others {
            OlderKeys::None => {
                let held: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM signing_keys").fetch_one(&mut *transaction).await?;
                if held > 0 {
                    return Ok(false);
                }
            }
            OlderKeys::Overlap => {
                let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                let last = self.clock().now().millis().saturating_sub(millis(LONGEST_TOKEN + SKEW));
                sqlx::query(
                    "DELETE FROM signing_keys WHERE EXISTS
                         (SELECT 1 FROM signing_keys n WHERE n.signs_from > signing_keys.signs_from AND n.signs_from <= $1)",
                )
                .bind(last)
                .execute(&mut *transaction)
                .await?;
            }
            OlderKeys::Drop => {
                sqlx::query("DELETE FROM signing_keys").execute(&mut *transaction).await?;
            }
        }
        sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, private_key, created, signs_from, sealed)
             VALUES ($1, $2, $3, $4, $5, 1)",
        )
        .bind(&key.kid)
        .bind(key.algorithm.name())
        .bind(sealed)
        .bind(key.created.millis())
        .bind(key.signs_from.millis())
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, "a signing key of that name"))?;
        if others != OlderKeys::None {
            end_access(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// What may be told of every signing key, in the order of [`Store::signing_keys`]; opens none.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn signing_key_entries(&self) -> Result<Vec<KeyEntry>, StoreError> {
        sqlx::query(
            "SELECT kid, algorithm, created, signs_from FROM signing_keys ORDER BY signs_from DESC, created DESC, kid",
        )
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(|row| {
            Ok(KeyEntry {
                kid: row.try_get(0)?,
                algorithm: row.try_get(1)?,
                created: Timestamp::from_millis(row.try_get(2)?),
                signs_from: Timestamp::from_millis(row.try_get(3)?),
            })
        })
        .collect()
    }

    /// The secret of that name; if there is none yet, `candidate` becomes it.
    ///
    /// # Errors
    /// When the state is not available, is still locked, or holds something else than 32 bytes.
    pub async fn server_secret(&self, name: &str, candidate: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        let (vault, place) = (self.vault()?, Place::ServerSecret { name });
        let held = || sqlx::query_scalar("SELECT value FROM server_secrets WHERE name = $1").bind(name);
        let mut sealed: Option<Vec<u8>> = held().fetch_optional(self.reader()).await?;
        if sealed.is_none() {
            sqlx::query(
                "INSERT INTO server_secrets (name, value, sealed) VALUES ($1, $2, 1) ON CONFLICT (name) DO NOTHING",
            )
            .bind(name)
            .bind(vault.seal(&place, candidate)?)
            .execute(self.writer())
            .await?;
            sealed = held().fetch_optional(self.reader()).await?;
        }
        let sealed = sealed.ok_or(StoreError::Missing("server secret of that name"))?;
        let value = vault.open(&place, &sealed)?;
        value.as_slice().try_into().map_err(|_| StoreError::Corrupt("a server secret"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::*;
    use crate::oauth::seal::Master;
    use crate::types::Random;

    fn key(kid: &str, signs_from: i64) -> SigningKey {
        SigningKey {
            kid: kid.into(),
            algorithm: Algorithm::EdDsa,
            pkcs8: Zeroizing::new(kid.into()),
            created: Timestamp::from_seconds(0),
            signs_from: Timestamp::from_seconds(signs_from),
        }
    }

    async fn kids(store: &Store) -> Vec<String> {
        store.signing_keys().await.unwrap().into_iter().map(|key| key.kid).collect()
    }

    #[tokio::test]
    async fn keys_come_and_go() {
        let stores = stores().await;
        let now = stores.clock.now().seconds();
        for store in &stores.each {
            assert!(matches!(store.signing_keys().await, Err(StoreError::MasterKey(_))), "locked");
            store.unlock(&Master::Passing, &Random::seeded(1)).await.unwrap();
            assert!(store.add_signing_key(&key("a", 1), OlderKeys::None).await.unwrap());
            assert!(!store.add_signing_key(&key("b", 1), OlderKeys::None).await.unwrap());
            let before = store.generation().await.unwrap();
            assert!(store.add_signing_key(&key("b", now), OlderKeys::Overlap).await.unwrap());
            assert_eq!(store.generation().await.unwrap(), before + 1);
            let taken = store.add_signing_key(&key("b", now), OlderKeys::Overlap).await;
            assert!(matches!(taken, Err(StoreError::Exists(_))));
            assert_eq!(kids(store).await, ["b", "a"]);
        }
        stores.clock.advance(LONGEST_TOKEN + SKEW);
        for store in &stores.each {
            store.add_signing_key(&key("c", now + 30_000), OlderKeys::Overlap).await.unwrap();
            assert_eq!(kids(store).await, ["c", "b"], "a has retired");
            store.add_signing_key(&key("d", now), OlderKeys::Drop).await.unwrap();
            assert_eq!(kids(store).await, ["d"]);
        }
    }

    #[tokio::test]
    async fn the_first_secret_stays() {
        for store in stores().await.each {
            store.unlock(&Master::Passing, &Random::seeded(1)).await.unwrap();
            for secret in [1, 2] {
                assert_eq!(store.server_secret("derivation", &[secret; 32]).await.unwrap(), [1; 32]);
            }
            assert_eq!(store.server_secret("other", &[3; 32]).await.unwrap(), [3; 32]);
        }
    }
}
