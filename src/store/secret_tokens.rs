//! Static secret tokens of a tenant, for identity providers that know no OAuth. Only their hashes rest here.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::scribe::Use;
use super::{Store, StoreError, digest, end_access, taken};
use crate::types::{Digest, Timestamp};

/// How exact "last used" is: one write a minute at most, not one a request.
const TOUCH: Duration = Duration::from_mins(1);

/// What is kept of a secret token.
#[derive(Clone)]
pub struct SecretToken {
    /// Its public id.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// What its owner calls it.
    pub name: String,
    /// The token's SHA-256.
    pub digest: Digest,
    /// The part of the token that may be shown.
    pub prefix: String,
    /// When it was issued.
    pub created: Timestamp,
    /// When it stops being good, if ever.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Store {
    /// The token of `tenant` that hashes to `digest`, revoked and expired ones too.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn secret_token_by_digest(
        &self,
        tenant: &str,
        digest: &Digest,
    ) -> Result<Option<SecretToken>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, name, digest, prefix, created, expires, last_used, revoked FROM secret_tokens
             WHERE tenant = $1 AND digest = $2",
        )
        .bind(tenant)
        .bind(digest.as_slice())
        .fetch_optional(self.reader())
        .await?
        .map(|row| read(&row))
        .transpose()
    }

    /// Every token of `tenant`, oldest first, revoked and expired ones too.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn secret_tokens(&self, tenant: &str) -> Result<Vec<SecretToken>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, name, digest, prefix, created, expires, last_used, revoked FROM secret_tokens
             WHERE tenant = $1 ORDER BY created, id",
        )
        .bind(tenant)
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Adds a token; with `replace_others`, all others of the tenant are revoked in the same moment.
    ///
    /// # Errors
    /// `Exists` when there is one of that id.
    pub async fn add_secret_token(&self, token: &SecretToken, replace_others: bool) -> Result<(), StoreError> {
        self.issue_secret_token(token, replace_others.then_some(Duration::ZERO)).await
    }

    /// Adds a token; with `overlap`, all others of the tenant end that much after it was issued, unless they end before.
    ///
    /// # Errors
    /// `Exists` when there is one of that id.
    pub async fn issue_secret_token(&self, token: &SecretToken, overlap: Option<Duration>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let ended = match overlap {
            None => 0,
            Some(Duration::ZERO) => {
                sqlx::query("UPDATE secret_tokens SET revoked = 1 WHERE tenant = $1 AND revoked = 0")
                    .bind(&token.tenant)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected()
            }
            Some(overlap) => sqlx::query(
                "UPDATE secret_tokens SET expires = $2
                     WHERE tenant = $1 AND revoked = 0 AND (expires IS NULL OR expires > $2)",
            )
            .bind(&token.tenant)
            .bind(token.created.after(overlap).millis())
            .execute(&mut *transaction)
            .await?
            .rows_affected(),
        };
        if ended > 0 {
            end_access(&mut transaction).await?;
        }
        sqlx::query(
            "INSERT INTO secret_tokens (id, tenant, name, digest, prefix, created, expires, last_used, revoked)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&token.id)
        .bind(&token.tenant)
        .bind(&token.name)
        .bind(token.digest.as_slice())
        .bind(&token.prefix)
        .bind(token.created.millis())
        .bind(token.expires.map(Timestamp::millis))
        .bind(token.last_used.map(Timestamp::millis))
        .bind(token.revoked)
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, "a secret token of that id"))?;
        transaction.commit().await?;
        Ok(())
    }

    /// Revokes a token for good. False: the tenant has none of that id.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn revoke_secret_token(&self, tenant: &str, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let revoked = sqlx::query("UPDATE secret_tokens SET revoked = 1 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if revoked.rows_affected() == 0 {
            return Ok(false);
        }
        end_access(&mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that a token was used `at`. Never waits: it is written with the next audit records, to the minute.
    pub fn touch_secret_token(&self, id: &str, at: Timestamp) {
        self.note(Use::SecretToken(id.to_owned()), at);
    }
}

/// Writes down that a token was used `at`, unless that is within a minute of the last note.
pub(super) async fn touch(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let span = i64::try_from(TOUCH.as_millis()).unwrap_or(i64::MAX);
    sqlx::query("UPDATE secret_tokens SET last_used = $2 WHERE id = $1 AND (last_used IS NULL OR last_used <= $3)")
        .bind(id)
        .bind(at.millis())
        .bind(at.millis().saturating_sub(span))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<SecretToken, StoreError> {
    Ok(SecretToken {
        id: row.try_get(0)?,
        tenant: row.try_get(1)?,
        name: row.try_get(2)?,
        digest: digest(row.try_get(3)?)?,
        prefix: row.try_get(4)?,
        created: Timestamp::from_millis(row.try_get(5)?),
        expires: row.try_get::<Option<i64>, _>(6)?.map(Timestamp::from_millis),
        last_used: row.try_get::<Option<i64>, _>(7)?.map(Timestamp::from_millis),
        revoked: row.try_get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::*;

    fn token(id: &str, tenant: &str) -> SecretToken {
        SecretToken {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            name: "Entra".to_owned(),
            digest: Digest::of(id.as_bytes()),
            prefix: "pcs_abcd".to_owned(),
            created: Timestamp::from_seconds(1),
            expires: Some(Timestamp::from_seconds(9)),
            last_used: None,
            revoked: false,
        }
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_digest_in_its_own_tenant_only() {
        for store in stores().await.each {
            store.add_secret_token(&token("one", "acme"), false).await.unwrap();
            let found = store.secret_token_by_digest("acme", &Digest::of(b"one")).await.unwrap().unwrap();
            assert_eq!((found.id.as_str(), found.name.as_str(), found.prefix.as_str()), ("one", "Entra", "pcs_abcd"));
            assert_eq!((found.created, found.expires), (Timestamp::from_seconds(1), Some(Timestamp::from_seconds(9))));
            assert!(store.secret_token_by_digest("other", &Digest::of(b"one")).await.unwrap().is_none());
            assert!(store.secret_token_by_digest("acme", &Digest::of(b"two")).await.unwrap().is_none());
            let again = store.add_secret_token(&token("one", "acme"), false).await;
            assert!(matches!(again, Err(StoreError::Exists(_))));
        }
    }

    #[tokio::test]
    async fn revoking_and_replacing_move_the_generation() {
        for store in stores().await.each {
            store.add_secret_token(&token("one", "acme"), true).await.unwrap();
            store.add_secret_token(&token("two", "other"), true).await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 0, "nobody lost anything yet");
            store.add_secret_token(&token("three", "acme"), true).await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 1);
            let revoked: Vec<_> =
                store.secret_tokens("acme").await.unwrap().into_iter().map(|t| (t.id, t.revoked)).collect();
            assert_eq!(revoked, [("one".to_owned(), true), ("three".to_owned(), false)]);
            assert!(!store.secret_tokens("other").await.unwrap()[0].revoked);

            assert!(!store.revoke_secret_token("other", "three").await.unwrap());
            assert_eq!(store.generation().await.unwrap(), 1);
            assert!(store.revoke_secret_token("acme", "three").await.unwrap());
            assert_eq!(store.generation().await.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn an_overlap_lets_the_others_live_on_for_a_while() {
        for store in stores().await.each {
            let issued = |id: &str, expires| SecretToken {
                created: Timestamp::from_seconds(100),
                expires: Option::map(expires, Timestamp::from_seconds),
                ..token(id, "acme")
            };
            store.issue_secret_token(&issued("endless", None), None).await.unwrap();
            store.issue_secret_token(&issued("short", Some(110)), None).await.unwrap();
            store.issue_secret_token(&token("foreign", "other"), None).await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 0);
            let overlap = Some(Duration::from_mins(1));
            store.issue_secret_token(&issued("new", None), overlap).await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 1);
            let until = |id: &'static str| {
                let store = store.clone();
                async move {
                    let found =
                        store.secret_token_by_digest("acme", &Digest::of(id.as_bytes())).await.unwrap().unwrap();
                    (found.revoked, found.expires.map(Timestamp::seconds))
                }
            };
            assert_eq!(until("endless").await, (false, Some(160)));
            assert_eq!(until("short").await, (false, Some(110)));
            assert_eq!(until("new").await, (false, None));
        }
    }

    #[tokio::test]
    async fn use_is_noted_once_a_minute() {
        let stores = stores().await;
        for store in &stores.each {
            store.add_secret_token(&token("one", "acme"), false).await.unwrap();
            for (at, expected) in [(100, 100), (159, 100), (160, 160), (150, 160)] {
                store.touch_secret_token("one", Timestamp::from_seconds(at));
                store.flush_audit().await;
                let noted = store.secret_tokens("acme").await.unwrap()[0].last_used;
                assert_eq!(noted, Some(Timestamp::from_seconds(expected)), "used at {at}");
            }
        }
    }
}
