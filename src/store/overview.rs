//! What a tenant's console shows of grants and people, within bounds: the newest of many, by index.

use sqlx::Row as _;

use super::{Store, StoreError};
use crate::types::Timestamp;

/// A grant that has not been ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveGrant {
    /// Its number.
    pub id: i64,
    /// The client it was given to.
    pub client_id: String,
    /// That client's name, if it is still there.
    pub client: Option<String>,
    /// Who approved it; `None`: the client has it of itself (client credentials).
    pub administrator: Option<String>,
    /// The scopes as granted.
    pub scopes: String,
    /// When.
    pub created: Timestamp,
    /// When its newest tokens were issued, of a grant that has tokens of its own.
    pub issued: Option<Timestamp>,
}

impl Store {
    /// The newest `limit` live grants of `tenant`, newest first.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn live_grants(&self, tenant: &str, limit: u32) -> Result<Vec<LiveGrant>, StoreError> {
        sqlx::query(
            "SELECT g.id, g.client_id, c.name, a.username, g.scopes, g.created,
                    (SELECT n.issued FROM generations n WHERE n.grant_id = g.id ORDER BY n.number DESC LIMIT 1)
             FROM grants g
             LEFT JOIN clients c ON c.tenant = g.tenant AND c.id = g.client_id
             LEFT JOIN administrators a ON a.id = g.administrator_id AND a.tenant = g.tenant
             WHERE g.tenant = $1 AND g.revoked_at IS NULL ORDER BY g.id DESC LIMIT $2",
        )
        .bind(tenant)
        .bind(limit)
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(|row| {
            Ok(LiveGrant {
                id: row.try_get(0)?,
                client_id: row.try_get(1)?,
                client: row.try_get(2)?,
                administrator: row.try_get(3)?,
                scopes: row.try_get(4)?,
                created: Timestamp::from_millis(row.try_get(5)?),
                issued: row.try_get::<Option<i64>, _>(6)?.map(Timestamp::from_millis),
            })
        })
        .collect()
    }

    /// How many live grants `tenant` has.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn count_live_grants(&self, tenant: &str) -> Result<i64, StoreError> {
        let count = "SELECT COUNT(*) FROM grants WHERE tenant = $1 AND revoked_at IS NULL";
        Ok(sqlx::query_scalar(count).bind(tenant).fetch_one(self.reader()).await?)
    }

    /// How many people of `tenant` an identity provider manages.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn count_managed(&self, tenant: &str) -> Result<i64, StoreError> {
        let count = "SELECT COUNT(*) FROM links WHERE tenant = $1 AND state = 'managed'";
        Ok(sqlx::query_scalar(count).bind(tenant).fetch_one(self.reader()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{give_access, stores};
    use super::super::{Link, LinkState};
    use crate::oauth::Role;

    #[tokio::test]
    async fn the_newest_grants_come_first_and_ended_ones_not_at_all() {
        for store in stores().await.each {
            let ada = store.add_administrator("acme", "ada", Role::SuperUser, "$").await.unwrap();
            for client in ["c1", "c2", "c3"] {
                give_access(&store, "acme", ada, client).await;
            }
            give_access(&store, "other", ada, "c4").await;
            let found = store.live_grants("acme", 2).await.unwrap();
            let clients: Vec<_> = found.iter().map(|grant| grant.client_id.as_str()).collect();
            assert_eq!(clients, ["c3", "c2"]);
            assert_eq!((found[0].administrator.as_deref(), found[0].issued), (Some("ada"), None));
            assert_eq!(store.count_live_grants("acme").await.unwrap(), 3);
            assert!(store.end_grant("acme", found[0].id).await.unwrap());
            assert_eq!(store.live_grants("acme", 1).await.unwrap()[0].client_id, "c2");
            assert_eq!(store.count_live_grants("acme").await.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn managed_people_are_counted() {
        for store in stores().await.each {
            for (key, state) in [("1", LinkState::Managed), ("2", LinkState::Managed), ("3", LinkState::Unlinked)] {
                store.put_link("acme", &Link::new(key, state)).await.unwrap();
            }
            assert_eq!(store.count_managed("acme").await.unwrap(), 2);
            assert_eq!(store.count_managed("other").await.unwrap(), 0);
        }
    }

    /// What signing in and the console ask stays flat however many grants there are: no statement reads a whole table.
    #[tokio::test]
    async fn signing_in_and_the_console_read_by_index() {
        let stores = stores().await;
        let store = &stores.each[1];
        for statement in [
            "SELECT id FROM administrators WHERE tenant = 'a' AND source = 'local' AND username_key = 'b'",
            "SELECT id FROM administrators WHERE tenant = 'a' AND id = 1",
            "SELECT administrator_id FROM sessions WHERE digest = x'00' AND tenant = 'a'",
            "DELETE FROM sessions WHERE last_seen <= 1",
            "DELETE FROM sign_ins WHERE created <= 1",
            "DELETE FROM sign_ins WHERE digest = x'00' AND tenant = 'a' AND browser = x'00' AND issuer = '' AND created > 1",
            "UPDATE grants SET revoked_at = 1 WHERE tenant = 'a' AND administrator_id = 1 AND revoked_at IS NULL",
            "SELECT g.id FROM grants g WHERE g.tenant = 'a' AND g.revoked_at IS NULL ORDER BY g.id DESC LIMIT 100",
        ] {
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
                    .fetch_all(store.reader())
                    .await
                    .unwrap();
            let plan: Vec<_> = plan.into_iter().map(|(.., detail)| detail).collect();
            assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{statement}: {plan:?}");
        }
    }
}
