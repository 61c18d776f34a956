//! Administrators who are signed in. The browser holds a random id in a cookie, the state its SHA-256.

use std::time::Duration;

use sqlx::Row as _;

use super::{Administrator, Store, StoreError};
use crate::types::{Digest, Timestamp};

/// How long a session lives without being used.
pub const IDLE: Duration = Duration::from_mins(30);
/// How long a session lives at most: a browser left open is somebody's who signed in this working day.
pub const LIFE: Duration = Duration::from_hours(12);
/// How often use is written down: a page more or less does not matter, a write a page does.
const TOUCH: Duration = Duration::from_mins(1);

impl Store {
    /// Begins the session of an administrator whose password was right; sessions that have ended are cleared away. False: they were
    /// disabled or got another password since `administrator` was read.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn add_session(&self, digest: &Digest, administrator: &Administrator) -> Result<bool, StoreError> {
        let now = self.clock().now().millis();
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE last_seen <= $1 OR created <= $2")
            .bind(now.saturating_sub(millis(IDLE)))
            .bind(now.saturating_sub(millis(LIFE)))
            .execute(&mut *transaction)
            .await?;
        let begun = sqlx::query(
            "INSERT INTO sessions (digest, tenant, administrator_id, created, last_seen)
             SELECT $1, tenant, id, $2, $2 FROM administrators
             WHERE tenant = $3 AND id = $4 AND disabled = 0 AND password_hash = $5",
        )
        .bind(digest.as_slice())
        .bind(now)
        .bind(&administrator.tenant)
        .bind(administrator.id)
        .bind(&administrator.password_hash)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(begun.rows_affected() > 0)
    }

    /// Whose session of `tenant` this is, if it was used within [`IDLE`] and began within [`LIFE`].
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn session(&self, tenant: &str, digest: &Digest) -> Result<Option<i64>, StoreError> {
        let row =
            sqlx::query("SELECT administrator_id, last_seen, created FROM sessions WHERE digest = $1 AND tenant = $2")
                .bind(digest.as_slice())
                .bind(tenant)
                .fetch_optional(self.reader())
                .await?;
        let Some(row) = row else { return Ok(None) };
        let administrator: i64 = row.try_get(0)?;
        let now = self.clock().now();
        let since = |column| Ok::<_, StoreError>(now.since(Timestamp::from_millis(row.try_get(column)?)));
        let unused = since(1)?;
        if unused >= IDLE || since(2)? >= LIFE {
            return Ok(None);
        }
        if unused >= TOUCH {
            sqlx::query("UPDATE sessions SET last_seen = $2 WHERE digest = $1")
                .bind(digest.as_slice())
                .bind(now.millis())
                .execute(self.writer())
                .await?;
        }
        Ok(Some(administrator))
    }

    /// Ends a session; one that is not there has ended already.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn end_session(&self, digest: &Digest) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE digest = $1").bind(digest.as_slice()).execute(self.writer()).await?;
        Ok(())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Stores, stores};
    use super::*;
    use crate::oauth::Role;

    /// The administrator `name` of `acme`.
    async fn administrator(store: &Store, name: &str) -> Administrator {
        store.add_administrator("acme", name, Role::SuperUser, "$").await.unwrap();
        store.administrator("acme", name).await.unwrap().unwrap()
    }

    /// Asks for the session every so often; how long it was found.
    async fn lasts(stores: &Stores, digest: &Digest, every: Duration) -> Duration {
        let began = stores.clock.now();
        loop {
            let found = stores.each[0].session("acme", digest).await.unwrap();
            assert_eq!(stores.each[1].session("acme", digest).await.unwrap(), found);
            if found.is_none() || stores.clock.now().since(began) > LIFE * 2 {
                return stores.clock.now().since(began);
            }
            stores.clock.advance(every);
        }
    }

    #[tokio::test]
    async fn a_session_slides_until_it_idles_out_or_its_day_is_over() {
        let stores = stores().await;
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        for store in &stores.each {
            let ada = administrator(store, "ada").await;
            for digest in [&a, &b, &c] {
                assert!(store.add_session(digest, &ada).await.unwrap());
            }
            assert_eq!(store.session("acme", &c).await.unwrap(), Some(ada.id));
            assert_eq!(store.session("other", &c).await.unwrap(), None);
            store.end_session(&c).await.unwrap();
            assert_eq!(store.session("acme", &c).await.unwrap(), None);
        }
        assert_eq!(lasts(&stores, &a, Duration::from_mins(20)).await, LIFE);
        assert_eq!(lasts(&stores, &b, Duration::from_mins(20)).await, Duration::ZERO, "unused meanwhile");
    }

    #[tokio::test]
    async fn nobody_signs_in_with_what_has_changed_meanwhile() {
        for store in stores().await.each {
            let digest = Digest::of(b"a");
            let before = administrator(&store, "ada").await;
            store.set_password("acme", before.id, "$new").await.unwrap();
            assert!(!store.add_session(&digest, &before).await.unwrap());
            let now = store.administrator("acme", "ada").await.unwrap().unwrap();
            assert!(store.add_session(&digest, &now).await.unwrap());
            store.disable_administrator("acme", now.id).await.unwrap();
            assert!(!store.add_session(&digest, &now).await.unwrap());
        }
    }
}
