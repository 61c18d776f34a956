//! Administrators of a tenant who sign in with a password of the gateway's own (`sign_in = { kind = "local" }`).

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, end_access, taken};
use crate::oauth::Role;
use crate::types::Timestamp;

/// One administrator of one tenant. No `Debug`: it holds a password's hash.
#[derive(Clone)]
pub struct Administrator {
    /// The state's own number; never used again.
    pub id: i64,
    /// The tenant.
    pub tenant: String,
    /// The name they sign in with, as it was given; compared without case.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// The password's hash in PHC form ([`crate::oauth::password`]).
    pub password_hash: String,
    /// Whether signing in is barred.
    pub disabled: bool,
    /// When they were added.
    pub created: Timestamp,
}

impl Store {
    /// The administrator of `tenant` by the name they sign in with, whatever its case.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn administrator(&self, tenant: &str, username: &str) -> Result<Option<Administrator>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 AND username_key = $2",
        )
        .bind(tenant)
        .bind(username_key(username))
        .fetch_optional(self.reader())
        .await?
        .map(|row| read(&row))
        .transpose()
    }

    /// The administrator of `tenant` by number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn administrator_by_id(&self, tenant: &str, id: i64) -> Result<Option<Administrator>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(id)
        .fetch_optional(self.reader())
        .await?
        .map(|row| read(&row))
        .transpose()
    }

    /// Every administrator of `tenant`, by name.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn administrators(&self, tenant: &str) -> Result<Vec<Administrator>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 ORDER BY username_key",
        )
        .bind(tenant)
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Adds an administrator with the hash of their password; gives their number.
    ///
    /// # Errors
    /// `Exists` when the tenant has one of that name.
    pub async fn add_administrator(
        &self,
        tenant: &str,
        username: &str,
        role: Role,
        password_hash: &str,
    ) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "INSERT INTO administrators (tenant, username, username_key, role, password_hash, created)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(tenant)
        .bind(username)
        .bind(username_key(username))
        .bind(role.as_str())
        .bind(password_hash)
        .bind(self.clock().now().millis())
        .fetch_one(self.writer())
        .await
        .map_err(|error| taken(error, "an administrator of that name"))
    }

    /// Gives an administrator a new password; ends their sessions and the grants they approved. False: there is none of that number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn set_password(&self, tenant: &str, id: i64, password_hash: &str) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE administrators SET password_hash = $3 WHERE tenant = $1 AND id = $2");
        self.change(tenant, id, update.bind(tenant).bind(id).bind(password_hash)).await
    }

    /// Bars an administrator from signing in; ends their sessions and the grants they approved. False: there is none of that number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn disable_administrator(&self, tenant: &str, id: i64) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE administrators SET disabled = 1 WHERE tenant = $1 AND id = $2");
        self.change(tenant, id, update.bind(tenant).bind(id)).await
    }

    /// Carries out an `update` of the administrator and ends their access, both or neither.
    async fn change(
        &self,
        tenant: &str,
        id: i64,
        update: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if update.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        self.end_administrators_access(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn end_administrators_access(
        &self,
        transaction: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
        tenant: &str,
        id: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE grants SET revoked_at = $3 WHERE tenant = $1 AND administrator_id = $2 AND revoked_at IS NULL",
        )
        .bind(tenant)
        .bind(id)
        .bind(self.clock().now().millis())
        .execute(&mut **transaction)
        .await?;
        // A code on its way has become no grant yet; one that was taken stays, for its replay to be noticed.
        sqlx::query("DELETE FROM codes WHERE tenant = $1 AND administrator_id = $2 AND taken IS NULL")
            .bind(tenant)
            .bind(id)
            .execute(&mut **transaction)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE administrator_id = $1").bind(id).execute(&mut **transaction).await?;
        end_access(transaction).await
    }
}

/// What names are compared by.
fn username_key(username: &str) -> String {
    username.to_lowercase()
}

fn read(row: &SqliteRow) -> Result<Administrator, StoreError> {
    Ok(Administrator {
        id: row.try_get(0)?,
        tenant: row.try_get(1)?,
        username: row.try_get(2)?,
        role: row.try_get::<&str, _>(3)?.parse().map_err(|_| StoreError::Corrupt("an administrator's role"))?,
        password_hash: row.try_get(4)?,
        disabled: row.try_get(5)?,
        created: Timestamp::from_millis(row.try_get(6)?),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{access, give_access, stores};
    use super::*;

    #[tokio::test]
    async fn an_administrator_is_found_whatever_the_case_in_their_own_tenant_only() {
        let stores = stores().await;
        for store in &stores.each {
            let id = store.add_administrator("acme", "Zoë@Example.com", Role::AccountAdmin, "hash").await.unwrap();
            for name in ["Zoë@Example.com", "ZOË@EXAMPLE.COM", "zoë@example.com"] {
                let found = store.administrator("acme", name).await.unwrap().unwrap();
                assert_eq!((found.id, found.username.as_str()), (id, "Zoë@Example.com"));
                assert_eq!((found.role, found.password_hash.as_str()), (Role::AccountAdmin, "hash"));
                assert_eq!((found.disabled, found.created), (false, stores.clock.now()));
                assert!(store.administrator("other", name).await.unwrap().is_none());
            }
            assert_eq!(store.administrator_by_id("acme", id).await.unwrap().unwrap().id, id);
            assert!(store.administrator_by_id("other", id).await.unwrap().is_none());
            assert!(store.administrator("acme", "Zoë@Example.com' OR 1=1 --\0").await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_name_is_there_once_a_tenant() {
        for store in stores().await.each {
            store.add_administrator("acme", "b", Role::Viewer, "hash").await.unwrap();
            let again = store.add_administrator("acme", "B", Role::Viewer, "hash").await;
            assert!(matches!(again, Err(StoreError::Exists("an administrator of that name"))));
            store.add_administrator("other", "b", Role::Viewer, "hash").await.unwrap();
            store.add_administrator("acme", "A", Role::SuperUser, "hash").await.unwrap();
            let names: Vec<_> =
                store.administrators("acme").await.unwrap().into_iter().map(|found| found.username).collect();
            assert_eq!(names, ["A", "b"]);
        }
    }

    #[tokio::test]
    async fn a_new_password_and_disabling_end_access_and_move_the_generation() {
        for store in stores().await.each {
            let id = store.add_administrator("acme", "a", Role::SuperUser, "old").await.unwrap();
            assert_eq!(store.generation().await.unwrap(), 0);
            give_access(&store, "acme", id, "c1").await;
            give_access(&store, "acme", id + 1, "c1").await;
            assert!(store.set_password("acme", id, "new").await.unwrap());
            assert_eq!(access(&store, "acme").await, (1, 1, 1), "the other's is left");
            assert_eq!(store.generation().await.unwrap(), 1);
            assert_eq!(store.administrator("acme", "a").await.unwrap().unwrap().password_hash, "new");
            give_access(&store, "acme", id, "c1").await;
            assert!(store.disable_administrator("acme", id).await.unwrap());
            assert_eq!(access(&store, "acme").await, (1, 1, 1));
            assert_eq!(store.generation().await.unwrap(), 2);
            assert!(store.administrator("acme", "a").await.unwrap().unwrap().disabled);
            for (tenant, id) in [("other", id), ("acme", id + 1)] {
                assert!(!store.set_password(tenant, id, "x").await.unwrap());
                assert!(!store.disable_administrator(tenant, id).await.unwrap());
            }
            assert_eq!(store.generation().await.unwrap(), 2);
        }
    }
}
