//! Browsers on their way through the organisation's OpenID provider: what `state` leads back to, for whom, and only once.
//!
//! Nothing secret rests here: `state` and the browser's cookie as SHA-256, nonce and PKCE verifier not at all, since they
//! are derived from `state`.

use std::time::Duration;

use sqlx::Row as _;

use super::{Store, StoreError};
use crate::types::{Digest, Timestamp};

/// How long somebody may take at the provider.
pub const LIFE: Duration = Duration::from_mins(15);
/// The most that are kept on their way; the oldest give way.
const MOST: i64 = 10_000;

/// Where a browser was when it was sent to its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Where it goes on: a path of our own.
    pub return_to: String,
    /// When it was sent.
    pub at: Timestamp,
}

impl Store {
    /// Writes down that the browser was sent to `issuer` with the `state`, and where it goes on (a path of our own) when it is back.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn begin_sign_in(
        &self,
        tenant: &str,
        state: &Digest,
        browser: &Digest,
        issuer: &str,
        return_to: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock().now().millis();
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM sign_ins WHERE created <= $1").bind(oldest(now)).execute(&mut *transaction).await?;
        sqlx::query(
            "DELETE FROM sign_ins WHERE (SELECT COUNT(*) FROM sign_ins) >= $1
             AND digest IN (SELECT digest FROM sign_ins ORDER BY created LIMIT 100)",
        )
        .bind(MOST)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO sign_ins (digest, tenant, browser, issuer, return_to, created) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(state.as_slice())
        .bind(tenant)
        .bind(browser.as_slice())
        .bind(issuer)
        .bind(return_to)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes what was begun with the `state`, once, if it was for this browser and this issuer and within [`LIFE`].
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn take_sign_in(
        &self,
        tenant: &str,
        state: &Digest,
        browser: &Digest,
        issuer: &str,
    ) -> Result<Option<Begun>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM sign_ins WHERE digest = $1 AND tenant = $2 AND browser = $3 AND issuer = $4 AND created > $5
             RETURNING return_to, created",
        )
        .bind(state.as_slice())
        .bind(tenant)
        .bind(browser.as_slice())
        .bind(issuer)
        .bind(oldest(self.clock().now().millis()))
        .fetch_optional(self.writer())
        .await?;
        row.map(|row| Ok(Begun { return_to: row.try_get(0)?, at: Timestamp::from_millis(row.try_get(1)?) })).transpose()
    }
}

fn oldest(now: i64) -> i64 {
    now.saturating_sub(i64::try_from(LIFE.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::*;

    #[tokio::test]
    async fn a_sign_in_is_taken_once_by_its_own_browser_in_time() {
        let stores = stores().await;
        let (state, browser, other) = (Digest::of(b"state"), Digest::of(b"browser"), Digest::of(b"other"));
        for store in &stores.each {
            store.begin_sign_in("acme", &state, &browser, "https://id", "/t/acme/console").await.unwrap();
            for (tenant, state, browser, issuer) in [
                ("other", &state, &browser, "https://id"),
                ("acme", &other, &browser, "https://id"),
                ("acme", &state, &other, "https://id"),
                ("acme", &state, &browser, "https://elsewhere"),
            ] {
                assert_eq!(store.take_sign_in(tenant, state, browser, issuer).await.unwrap(), None);
            }
            let taken = store.take_sign_in("acme", &state, &browser, "https://id").await.unwrap();
            let begun = Begun { return_to: "/t/acme/console".to_owned(), at: stores.clock.now() };
            assert_eq!(taken, Some(begun));
            assert_eq!(store.take_sign_in("acme", &state, &browser, "https://id").await.unwrap(), None);
            store.begin_sign_in("acme", &state, &browser, "https://id", "/").await.unwrap();
        }
        stores.clock.advance(LIFE);
        for store in &stores.each {
            assert_eq!(store.take_sign_in("acme", &state, &browser, "https://id").await.unwrap(), None, "too late");
        }
    }

    #[tokio::test]
    async fn a_flood_pushes_out_the_oldest() {
        let stores = stores().await;
        let store = &stores.each[0];
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
                    INSERT INTO sign_ins SELECT randomblob(32), 'acme', x'00', '', '', $1 + i FROM n";
        sqlx::query(fill).bind(stores.clock.now().millis()).execute(store.writer()).await.unwrap();
        for index in 0..3_u8 {
            store.begin_sign_in("acme", &Digest::of(&[index]), &Digest::of(b"b"), "i", "/").await.unwrap();
        }
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sign_ins").fetch_one(store.reader()).await.unwrap();
        assert_eq!(count, MOST - 100 + 3);
        assert!(store.take_sign_in("acme", &Digest::of(&[0]), &Digest::of(b"b"), "i").await.unwrap().is_some());
    }
}
