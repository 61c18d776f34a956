//! Creates in flight: written down before they are carried out (design decision 6).
//!
//! When an identity provider repeats a create whose answer it never saw, the open entry tells that the person found in the
//! directory came of its own first try. Only digests rest here.

use std::time::Duration;

use sqlx::Row as _;

use super::{Store, StoreError, digest};
use crate::types::{Digest, Timestamp};

/// For how long a create counts as open. Whoever has not repeated it within a day asks for something new, and somebody of that
/// name has long been created by other hands.
const OPEN: Duration = Duration::from_hours(24);

/// A create that was begun and whose end nobody wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenCreate {
    /// Its number.
    pub id: i64,
    /// The digest of the request's body.
    pub body_digest: Digest,
    /// When it was begun.
    pub at: Timestamp,
}

impl Store {
    /// Writes down that a create begins; gives its number. It takes the place of an open one for the same name.
    ///
    /// # Errors
    /// When the state is not available: then the create must not be tried.
    pub async fn begin_create(
        &self,
        tenant: &str,
        user_name_digest: &Digest,
        body_digest: &Digest,
    ) -> Result<i64, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM journal WHERE tenant = $1 AND user_name = $2")
            .bind(tenant)
            .bind(user_name_digest.as_slice())
            .execute(&mut *transaction)
            .await?;
        let id = sqlx::query_scalar(
            "INSERT INTO journal (tenant, user_name, body, at) VALUES ($1, $2, $3, $4) RETURNING id",
        )
        .bind(tenant)
        .bind(user_name_digest.as_slice())
        .bind(body_digest.as_slice())
        .bind(self.clock().now().millis())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// The create for that name which was begun within the last day and not finished.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn open_create(&self, tenant: &str, user_name_digest: &Digest) -> Result<Option<OpenCreate>, StoreError> {
        let latest = sqlx::query(
            "SELECT id, body, at FROM journal WHERE tenant = $1 AND user_name = $2 ORDER BY id DESC LIMIT 1",
        )
        .bind(tenant)
        .bind(user_name_digest.as_slice())
        .fetch_optional(self.reader())
        .await?
        .map(|row| -> Result<_, StoreError> {
            Ok(OpenCreate {
                id: row.try_get(0)?,
                body_digest: digest(row.try_get(1)?)?,
                at: Timestamp::from_millis(row.try_get(2)?),
            })
        })
        .transpose()?;
        Ok(latest.filter(|open| self.clock().now().since(open.at) < OPEN))
    }

    /// Writes down that the outcome of a create is known. A number that is not open is ignored.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn finish(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM journal WHERE id = $1").bind(id).execute(self.writer()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::*;

    #[tokio::test]
    async fn a_create_is_open_until_finished() {
        let stores = stores().await;
        let (name, body) = (Digest::of(b"name"), Digest::of(b"body"));
        for store in &stores.each {
            assert_eq!(store.open_create("acme", &name).await.unwrap(), None);
            let id = store.begin_create("acme", &name, &body).await.unwrap();
            let open = OpenCreate { id, body_digest: body, at: stores.clock.now() };
            assert_eq!(store.open_create("acme", &name).await.unwrap(), Some(open));
            assert_eq!(store.open_create("other", &name).await.unwrap(), None);
            store.finish(id).await.unwrap();
            assert_eq!(store.open_create("acme", &name).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn an_open_create_expires() {
        let stores = stores().await;
        let (name, body) = (Digest::of(b"name"), Digest::of(b"body"));
        for store in &stores.each {
            store.begin_create("acme", &name, &body).await.unwrap();
        }
        stores.clock.advance(OPEN.saturating_sub(Duration::from_secs(1)));
        for store in &stores.each {
            assert!(store.open_create("acme", &name).await.unwrap().is_some());
        }
        stores.clock.advance(Duration::from_secs(1));
        for store in &stores.each {
            assert_eq!(store.open_create("acme", &name).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_second_try_takes_the_place_of_the_first() {
        for store in stores().await.each {
            let name = Digest::of(b"name");
            let first = store.begin_create("acme", &name, &Digest::of(b"1")).await.unwrap();
            let second = store.begin_create("acme", &name, &Digest::of(b"2")).await.unwrap();
            assert_ne!(first, second);
            store.finish(first).await.unwrap();
            let open = store.open_create("acme", &name).await.unwrap().unwrap();
            assert_eq!((open.id, open.body_digest), (second, Digest::of(b"2")));
        }
    }
}
