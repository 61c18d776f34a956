//! The authorization server's own keys. They rest in clear for now: the state's file must be readable by the gateway only.

use sqlx::Row as _;

use super::{Store, StoreError};
use crate::types::Timestamp;

/// A key that signs access tokens. No `Debug`: it holds the private part.
pub struct SigningKey {
    /// Its name in JWT headers and in the JWKS.
    pub kid: String,
    /// The private key, PKCS#8 (RFC 5958) DER.
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    /// The signing keys, newest first. If there is none yet, `kid` and `pkcs8` become the first; of several processes that start at once
    /// one wins, and all see the same.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn signing_keys(&self, kid: &str, pkcs8: &[u8]) -> Result<Vec<SigningKey>, StoreError> {
        sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, private_key, created)
             SELECT $1, 'EdDSA', $2, $3 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
        )
        .bind(kid)
        .bind(pkcs8)
        .bind(self.clock().now().millis())
        .execute(self.writer())
        .await?;
        sqlx::query(
            "SELECT kid, private_key, created FROM signing_keys WHERE algorithm = 'EdDSA' ORDER BY created DESC, kid",
        )
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(|row| {
            Ok(SigningKey {
                kid: row.try_get(0)?,
                pkcs8: row.try_get(1)?,
                created: Timestamp::from_millis(row.try_get(2)?),
            })
        })
        .collect()
    }

    /// Name, algorithm and birth of every signing key, newest first; makes none.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn signing_key_names(&self) -> Result<Vec<(String, String, Timestamp)>, StoreError> {
        sqlx::query("SELECT kid, algorithm, created FROM signing_keys ORDER BY created DESC, kid")
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, Timestamp::from_millis(row.try_get(2)?))))
            .collect()
    }

    /// The secret of that name; if there is none yet, `candidate` becomes it.
    ///
    /// # Errors
    /// When the state is not available, or holds something else than 32 bytes.
    pub async fn server_secret(&self, name: &str, candidate: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query("INSERT INTO server_secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(&candidate[..])
            .execute(self.writer())
            .await?;
        let value: Vec<u8> = sqlx::query_scalar("SELECT value FROM server_secrets WHERE name = $1")
            .bind(name)
            .fetch_one(self.reader())
            .await?;
        value.try_into().map_err(|_| StoreError::Corrupt("a server secret"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;

    #[tokio::test]
    async fn the_first_key_and_secret_stay() {
        for store in stores().await.each {
            for (kid, secret) in [("a", 1), ("b", 2)] {
                let keys = store.signing_keys(kid, kid.as_bytes()).await.unwrap();
                assert_eq!(keys.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["a"]);
                assert_eq!(store.server_secret("derivation", &[secret; 32]).await.unwrap(), [1; 32]);
            }
            assert_eq!(store.server_secret("other", &[3; 32]).await.unwrap(), [3; 32]);
        }
    }
}
