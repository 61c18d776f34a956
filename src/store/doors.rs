//! What is remembered about doors: when each was last used, which assertions came through, how long refresh tokens live.

use sqlx::{Row as _, Sqlite, Transaction};

use super::scribe::Use;
use super::{Store, StoreError, end_access};
use crate::oauth::{Door, Doors};
use crate::types::{Digest, Timestamp};

/// How many assertions of one client are remembered at once; each is good for a day at most.
const REMEMBERED: i64 = 10_000;

/// What became of remembering an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It had not been seen before.
    New,
    /// It had.
    Seen,
    /// Too many of this client are remembered already.
    Full,
}

impl Store {
    /// Opens and closes doors of a client so that `doors` are open, and moves the generation: what is known of the client anywhere
    /// is void. False: there is none of that id.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn set_doors(&self, tenant: &str, id: &str, doors: Doors) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let changed = sqlx::query("UPDATE clients SET doors = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .bind(names(doors))
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        end_access(&mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// When the doors of a client were last used, to the minute; with an empty `id`, those of the tenant as a whole.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn door_uses(&self, tenant: &str, id: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        sqlx::query("SELECT door, last_used FROM door_uses WHERE tenant = $1 AND client_id = $2 ORDER BY door")
            .bind(tenant)
            .bind(id)
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, Timestamp::from_millis(row.try_get(1)?))))
            .collect()
    }

    /// As [`Store::door_uses`], of every client of the tenant: client, door, when. The tenant's own doors have an empty client.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn all_door_uses(&self, tenant: &str) -> Result<Vec<(String, String, Timestamp)>, StoreError> {
        sqlx::query("SELECT client_id, door, last_used FROM door_uses WHERE tenant = $1 ORDER BY last_used DESC, door")
            .bind(tenant)
            .fetch_all(self.reader())
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, Timestamp::from_millis(row.try_get(2)?))))
            .collect()
    }

    /// Notes that a door was used. Never waits: it is written with the next audit records.
    pub fn touch_door(&self, tenant: &str, client: &str, door: Door, at: Timestamp) {
        self.touch_named_door(tenant, client, door.as_str(), at);
    }

    /// As [`Store::touch_door`], for a door of the tenant as a whole.
    pub fn touch_tenant_door(&self, tenant: &str, door: &'static str, at: Timestamp) {
        self.touch_named_door(tenant, "", door, at);
    }

    fn touch_named_door(&self, tenant: &str, client: &str, door: &'static str, at: Timestamp) {
        self.note(Use::Door { tenant: tenant.to_owned(), client: client.to_owned(), door }, at);
    }

    /// Notes that a client's secret was used. Never waits.
    pub fn touch_client_secret(&self, tenant: &str, client: &str, digest: Digest, at: Timestamp) {
        self.note(Use::ClientSecret { tenant: tenant.to_owned(), client: client.to_owned(), digest }, at);
    }

    /// Remembers an assertion of a client until `expires`: of several that bring the same one, on any replica, one is first.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn remember_assertion(
        &self,
        tenant: &str,
        client: &str,
        assertion: &Digest,
        expires: Timestamp,
    ) -> Result<Remembered, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM assertions WHERE expires <= $1")
            .bind(self.clock().now().millis())
            .execute(&mut *transaction)
            .await?;
        let held: i64 = sqlx::query_scalar("SELECT count(*) FROM assertions WHERE tenant = $1 AND client_id = $2")
            .bind(tenant)
            .bind(client)
            .fetch_one(&mut *transaction)
            .await?;
        let added = sqlx::query(
            "INSERT INTO assertions (tenant, client_id, digest, expires) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(tenant)
        .bind(client)
        .bind(assertion.as_slice())
        .bind(expires.millis())
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(Remembered::Seen);
        }
        if held >= REMEMBERED {
            return Ok(Remembered::Full);
        }
        transaction.commit().await?;
        Ok(Remembered::New)
    }

    /// How long the refresh token with this digest, and those of its grant, live unused; `None` is as long as the dialect says.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn refresh_life(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let seconds: Option<i64> = sqlx::query_scalar(
            "SELECT l.seconds FROM refresh_lives l JOIN generations n ON n.grant_id = l.grant_id WHERE n.refresh = $1",
        )
        .bind(digest.as_slice())
        .fetch_optional(self.reader())
        .await?;
        Ok(seconds.and_then(|seconds| u64::try_from(seconds).ok()))
    }

    /// Sets how long the refresh tokens of a grant live unused.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn set_refresh_life(&self, grant: i64, seconds: u64) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO refresh_lives (grant_id, seconds) VALUES ($1, $2)
             ON CONFLICT (grant_id) DO UPDATE SET seconds = excluded.seconds",
        )
        .bind(grant)
        .bind(i64::try_from(seconds).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Writes down that a door was used.
pub(super) async fn touch(
    transaction: &mut Transaction<'_, Sqlite>,
    tenant: &str,
    client: &str,
    door: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO door_uses (tenant, client_id, door, last_used) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant, client_id, door) DO UPDATE SET last_used = excluded.last_used
         WHERE excluded.last_used > door_uses.last_used",
    )
    .bind(tenant)
    .bind(client)
    .bind(door)
    .bind(at.millis())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Doors as they rest in a column.
pub(super) fn names(doors: Doors) -> String {
    serde_json::Value::from(doors.iter().map(Door::as_str).collect::<Vec<_>>()).to_string()
}

/// Doors out of a column.
pub(super) fn parse(text: &str) -> Result<Doors, StoreError> {
    serde_json::from_str::<Vec<&str>>(text).ok().and_then(Doors::parse).ok_or(StoreError::Corrupt("a client's doors"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::stores;
    use super::*;

    #[tokio::test]
    async fn an_assertion_is_new_once_until_it_expires() {
        let stores = stores().await;
        let now = stores.clock.now();
        let later = now.after(Duration::from_mins(1));
        for store in &stores.each {
            let remember = async |client: &str, text: &str, until| {
                store.remember_assertion("acme", client, &Digest::of(text.as_bytes()), until).await.unwrap()
            };
            assert_eq!(remember("c", "a", later).await, Remembered::New);
            assert_eq!(remember("c", "a", later).await, Remembered::Seen);
            assert_eq!(remember("d", "a", later).await, Remembered::New, "another client's");
            assert_eq!(remember("c", "b", now).await, Remembered::New);
            assert_eq!(remember("c", "b", later).await, Remembered::New, "the first had expired");
        }
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let stores = stores().await;
        let store = &stores.each[0];
        let later = stores.clock.now().after(Duration::from_mins(1));
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO assertions SELECT 'acme', 'c', i, $1 FROM n",
        )
        .bind(later.millis())
        .execute(store.writer())
        .await
        .unwrap();
        let remember = async |client| store.remember_assertion("acme", client, &Digest::of(b"x"), later).await.unwrap();
        assert_eq!(remember("c").await, Remembered::Full);
        assert_eq!(remember("d").await, Remembered::New);
        stores.clock.advance(Duration::from_mins(1));
        assert_eq!(remember("c").await, Remembered::New);
    }

    #[tokio::test]
    async fn uses_only_move_forward() {
        for store in stores().await.each {
            for second in [100, 90, 160] {
                store.touch_door("acme", "c", Door::Federation, Timestamp::from_seconds(second));
                store.flush_audit().await;
            }
            store.touch_tenant_door("acme", "entra_tokens", Timestamp::from_seconds(7));
            store.flush_audit().await;
            let used = |door: &str, second| vec![(door.to_owned(), Timestamp::from_seconds(second))];
            assert_eq!(store.door_uses("acme", "c").await.unwrap(), used("federation", 160));
            assert_eq!(store.door_uses("acme", "").await.unwrap(), used("entra_tokens", 7));
            assert_eq!(store.door_uses("other", "c").await.unwrap(), vec![]);
        }
    }
}
