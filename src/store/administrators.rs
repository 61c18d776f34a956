//! Administrators of a tenant: those with a password of the gateway's own, and those whom another system vouches for.
//!
//! A vouched-for one is written down when they first sign in, because grants say who approved them; what they may do is what
//! their source said last. Names of different sources never meet: nobody becomes a local administrator by being called
//! like one elsewhere.

use std::fmt;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, end_access, taken};
use crate::oauth::Role;
use crate::types::Timestamp;

/// Who vouches for an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The gateway itself: a password whose hash it keeps.
    Local,
    /// The tenant's user system, which verified the password.
    Directory,
    /// The OpenID provider of this issuer.
    Oidc(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Directory => f.write_str("directory"),
            Self::Oidc(issuer) => write!(f, "oidc:{issuer}"),
        }
    }
}

impl Source {
    fn read(text: &str) -> Option<Self> {
        match text {
            "local" => Some(Self::Local),
            "directory" => Some(Self::Directory),
            other => other.strip_prefix("oidc:").map(|issuer| Self::Oidc(issuer.to_owned())),
        }
    }
}

/// One administrator of one tenant. No `Debug`: it holds a password's hash.
#[derive(Clone)]
pub struct Administrator {
    /// The state's own number; never used again.
    pub id: i64,
    /// The tenant.
    pub tenant: String,
    /// Who vouches for them.
    pub source: Source,
    /// The name they sign in with, as it was given, or the one their provider calls them by.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// The password's hash in PHC form ([`crate::oauth::password`]); empty, which fits no password, for one who is not local.
    pub password_hash: String,
    /// Whether signing in is barred.
    pub disabled: bool,
    /// When they were added.
    pub created: Timestamp,
}

impl Store {
    /// The local administrator of `tenant` by the name they sign in with, whatever its case.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn administrator(&self, tenant: &str, username: &str) -> Result<Option<Administrator>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, source, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 AND source = 'local' AND username_key = $2",
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
            "SELECT id, tenant, source, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(id)
        .fetch_optional(self.reader())
        .await?
        .map(|row| read(&row))
        .transpose()
    }

    /// Every administrator of `tenant`, of whatever source, by name.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn administrators(&self, tenant: &str) -> Result<Vec<Administrator>, StoreError> {
        sqlx::query(
            "SELECT id, tenant, source, username, role, password_hash, disabled, created FROM administrators
             WHERE tenant = $1 ORDER BY LOWER(username), id",
        )
        .bind(tenant)
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Adds a local administrator with the hash of their password; gives their number.
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

    /// The administrator whom `source` knows by `subject`, with the name and role it gave just now; written down if they are new.
    /// With another role than before, cached verdicts about the access they approved are void.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn vouched_administrator(
        &self,
        tenant: &str,
        source: &Source,
        subject: &str,
        username: &str,
        role: Role,
    ) -> Result<Administrator, StoreError> {
        let mut transaction = self.begin().await?;
        let before: Option<String> = sqlx::query_scalar(
            "SELECT role FROM administrators WHERE tenant = $1 AND source = $2 AND username_key = $3",
        )
        .bind(tenant)
        .bind(source.to_string())
        .bind(subject)
        .fetch_optional(&mut *transaction)
        .await?;
        let row = sqlx::query(
            "INSERT INTO administrators (tenant, source, username, username_key, role, password_hash, created)
             VALUES ($1, $2, $3, $4, $5, '', $6)
             ON CONFLICT (tenant, source, username_key) DO UPDATE SET username = excluded.username, role = excluded.role
             RETURNING id, tenant, source, username, role, password_hash, disabled, created",
        )
        .bind(tenant)
        .bind(source.to_string())
        .bind(username)
        .bind(subject)
        .bind(role.as_str())
        .bind(self.clock().now().millis())
        .fetch_one(&mut *transaction)
        .await?;
        let administrator = read(&row)?;
        if before.is_some_and(|before| before != role.as_str()) {
            end_access(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(administrator)
    }

    /// Ends the sessions of whom `source` knows by `subject`, and codes of theirs that are on their way: they have no role any more.
    /// Grants they approved stay; to end those is to disable them.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn end_vouched_sessions(&self, tenant: &str, source: &Source, subject: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for statement in [
            "DELETE FROM sessions WHERE administrator_id IN (
                 SELECT id FROM administrators WHERE tenant = $1 AND source = $2 AND username_key = $3)",
            "DELETE FROM codes WHERE taken IS NULL AND tenant = $1 AND administrator_id IN (
                 SELECT id FROM administrators WHERE tenant = $1 AND source = $2 AND username_key = $3)",
        ] {
            sqlx::query(statement)
                .bind(tenant)
                .bind(source.to_string())
                .bind(subject)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Gives a local administrator a new password; ends their sessions and the grants they approved. False: there is none of that number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn set_password(&self, tenant: &str, id: i64, password_hash: &str) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE administrators SET password_hash = $3 WHERE tenant = $1 AND id = $2 AND source = 'local'",
        );
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

    /// Lets an administrator sign in again; what they had approved before stays ended. False: there is none of that number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn enable_administrator(&self, tenant: &str, id: i64) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE administrators SET disabled = 0 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .execute(self.writer())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets an administrator; ends their sessions and the grants they approved. False: there is none of that number.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn remove_administrator(&self, tenant: &str, id: i64) -> Result<bool, StoreError> {
        let removal = sqlx::query("DELETE FROM administrators WHERE tenant = $1 AND id = $2");
        self.change(tenant, id, removal.bind(tenant).bind(id)).await
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
        source: Source::read(row.try_get(2)?).ok_or(StoreError::Corrupt("an administrator's source"))?,
        username: row.try_get(3)?,
        role: row.try_get::<&str, _>(4)?.parse().map_err(|_| StoreError::Corrupt("an administrator's role"))?,
        password_hash: row.try_get(5)?,
        disabled: row.try_get(6)?,
        created: Timestamp::from_millis(row.try_get(7)?),
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

    #[tokio::test]
    async fn who_is_vouched_for_is_known_by_source_and_subject_and_has_no_password() {
        for store in stores().await.each {
            let local = store.add_administrator("acme", "ada", Role::Viewer, "$").await.unwrap();
            let issuer = Source::Oidc("https://id.example".into());
            let vouch = async |source: &Source, subject, name, role| {
                store.vouched_administrator("acme", source, subject, name, role).await.unwrap()
            };
            let ada = vouch(&issuer, "ada", "ada", Role::SuperUser).await;
            assert_ne!(ada.id, local);
            assert_eq!(
                (ada.source.clone(), ada.role, ada.password_hash.as_str()),
                (issuer.clone(), Role::SuperUser, "")
            );
            assert_eq!(store.administrator("acme", "ada").await.unwrap().unwrap().id, local, "names do not meet");
            for (source, subject) in [
                (Source::Directory, "ada"),
                (Source::Oidc("https://other.example".into()), "ada"),
                (issuer.clone(), "Ada"),
            ] {
                assert_ne!(vouch(&source, subject, "ada", Role::SuperUser).await.id, ada.id, "{source} {subject}");
            }
            // The same person under a new name and role.
            let before = store.generation().await.unwrap();
            let again = vouch(&issuer, "ada", "Ada L.", Role::SuperUser).await;
            assert_eq!((again.id, again.username.as_str()), (ada.id, "Ada L."));
            assert_eq!(store.generation().await.unwrap(), before);
            assert_eq!(vouch(&issuer, "ada", "Ada L.", Role::Viewer).await.role, Role::Viewer);
            assert_eq!(store.generation().await.unwrap(), before + 1, "cached verdicts hold the role");
            assert!(!store.set_password("acme", ada.id, "$").await.unwrap(), "there is none to change");
            // Barred here, whatever the source says.
            assert!(store.disable_administrator("acme", ada.id).await.unwrap());
            assert!(vouch(&issuer, "ada", "Ada L.", Role::SuperUser).await.disabled);
        }
    }

    #[tokio::test]
    async fn removing_ends_access_and_enabling_gives_none_back() {
        for store in stores().await.each {
            let id = store.add_administrator("acme", "a", Role::SuperUser, "$").await.unwrap();
            give_access(&store, "acme", id, "c1").await;
            assert!(store.disable_administrator("acme", id).await.unwrap());
            assert!(store.enable_administrator("acme", id).await.unwrap());
            assert!(!store.administrator("acme", "a").await.unwrap().unwrap().disabled);
            assert_eq!(access(&store, "acme").await, (0, 0, 0));
            give_access(&store, "acme", id, "c1").await;
            assert!(!store.remove_administrator("other", id).await.unwrap());
            assert_eq!(access(&store, "acme").await, (1, 1, 1));
            let before = store.generation().await.unwrap();
            assert!(store.remove_administrator("acme", id).await.unwrap());
            assert_eq!((access(&store, "acme").await, store.generation().await.unwrap()), ((0, 0, 0), before + 1));
            assert!(store.administrator("acme", "a").await.unwrap().is_none());
            assert!(!store.enable_administrator("acme", id).await.unwrap());
            assert!(
                store.add_administrator("acme", "a", Role::Viewer, "$").await.unwrap() > id,
                "numbers are not used again"
            );
        }
    }
}
