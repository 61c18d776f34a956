//! OAuth clients of a tenant (RFC 6749 §2): their redirect URIs, scopes and secrets.

use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::{Store, StoreError, digest, doors, end_access, taken};
use crate::oauth::Doors;
use crate::oauth::expiry::Life;
use crate::types::{Digest, Timestamp};

/// A client registered with one tenant.
#[derive(Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// What the Access Request page calls it.
    pub name: String,
    /// Where codes may be sent, compared exactly.
    pub redirect_uris: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// Its secrets; several while one takes over from another. None for a public client.
    pub secrets: Vec<ClientSecret>,
    /// Whether it cannot keep a secret (RFC 6749 §2.1): PKCE must stand in.
    pub public: bool,
    /// The doors that are open to it.
    pub doors: Doors,
    /// Whether it is barred.
    pub disabled: bool,
    /// When it was added.
    pub created: Timestamp,
}

impl Client {
    /// The dates of its secrets.
    pub fn lives(&self) -> Vec<Life> {
        self.secrets.iter().map(|secret| Life { expires: secret.expires, last_used: secret.last_used }).collect()
    }
}

/// What is kept of a client's secret.
#[derive(Clone)]
pub struct ClientSecret {
    /// The secret's SHA-256.
    pub digest: Digest,
    /// The part of the secret that may be shown.
    pub prefix: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops being good, if ever.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

impl ClientSecret {
    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// What becomes of a client's other secrets when it gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They stay good.
    Stay,
    /// They end in the same moment.
    End,
    /// They end then, unless before.
    EndAt(Timestamp),
}

impl Store {
    /// The client of `tenant` called `id`.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn client(&self, tenant: &str, id: &str) -> Result<Option<Client>, StoreError> {
        let row = sqlx::query(
            "SELECT id, tenant, name, redirect_uris, scopes, public, disabled, created, doors FROM clients
             WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(id)
        .fetch_optional(self.reader())
        .await?;
        // Asked for in any case: an unknown client takes as long as one that is known.
        let secrets = secrets(self.reader(), tenant, id).await?;
        row.map(|row| read(&row, &secrets)).transpose()
    }

    /// Every client of `tenant`, oldest first.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn clients(&self, tenant: &str) -> Result<Vec<Client>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant, name, redirect_uris, scopes, public, disabled, created, doors FROM clients
             WHERE tenant = $1 ORDER BY created, id",
        )
        .bind(tenant)
        .fetch_all(self.reader())
        .await?;
        let mut clients = Vec::with_capacity(rows.len());
        for row in &rows {
            clients.push(read(row, &secrets(self.reader(), tenant, row.try_get(0)?).await?)?);
        }
        Ok(clients)
    }

    /// Adds a client with its secrets.
    ///
    /// # Errors
    /// `Exists` when the tenant has one of that id.
    pub async fn add_client(&self, client: &Client) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO clients (tenant, id, name, redirect_uris, scopes, public, disabled, created, doors)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&client.tenant)
        .bind(&client.id)
        .bind(&client.name)
        .bind(list(&client.redirect_uris))
        .bind(list(&client.scopes))
        .bind(client.public)
        .bind(client.disabled)
        .bind(client.created.millis())
        .bind(doors::names(client.doors))
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, "a client of that id"))?;
        for secret in &client.secrets {
            insert_secret(&mut transaction, &client.tenant, &client.id, secret).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Gives a client one more secret; with `replace`, all others end in the same moment.
    ///
    /// # Errors
    /// `Missing` when the tenant has no such client.
    pub async fn add_client_secret(
        &self,
        tenant: &str,
        id: &str,
        secret: &ClientSecret,
        replace: bool,
    ) -> Result<(), StoreError> {
        self.give_client_secret(tenant, id, secret, if replace { Others::End } else { Others::Stay }).await
    }

    /// Gives a client one more secret, and says what becomes of the others.
    ///
    /// # Errors
    /// `Missing` when the tenant has no such client.
    pub async fn give_client_secret(
        &self,
        tenant: &str,
        id: &str,
        secret: &ClientSecret,
        others: Others,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let client: Option<i64> = sqlx::query_scalar("SELECT 1 FROM clients WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        if client.is_none() {
            return Err(StoreError::Missing("client of that id"));
        }
        match others {
            Others::Stay => {}
            Others::End => _ = delete_secrets(&mut transaction, tenant, id, i64::MAX).await?,
            Others::EndAt(end) => {
                let changed = sqlx::query(
                    "UPDATE client_secrets SET expires = $3
                     WHERE tenant = $1 AND client_id = $2 AND (expires IS NULL OR expires > $3)",
                )
                .bind(tenant)
                .bind(id)
                .bind(end.millis())
                .execute(&mut *transaction)
                .await?;
                if changed.rows_affected() > 0 {
                    end_access(&mut transaction).await?;
                }
            }
        }
        insert_secret(&mut transaction, tenant, id, secret).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends all secrets of a client but the newest; gives how many those were.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn end_older_client_secrets(&self, tenant: &str, id: &str) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT max(created) FROM client_secrets WHERE tenant = $1 AND client_id = $2")
                .bind(tenant)
                .bind(id)
                .fetch_one(&mut *transaction)
                .await?;
        let ended = delete_secrets(&mut transaction, tenant, id, newest.unwrap_or_default()).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Ends the client's secret of that public prefix. False: it has none.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn end_client_secret(&self, tenant: &str, id: &str, prefix: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query("DELETE FROM client_secrets WHERE tenant = $1 AND client_id = $2 AND prefix = $3")
            .bind(tenant)
            .bind(id)
            .bind(prefix)
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        end_access(&mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Lets a barred client in again; the access it had does not come back. False: there is none of that id.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn enable_client(&self, tenant: &str, id: &str) -> Result<bool, StoreError> {
        let changed = sqlx::query("UPDATE clients SET disabled = 0 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .execute(self.writer())
            .await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Bars a client and revokes its grants. False: there is none of that id.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn disable_client(&self, tenant: &str, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let changed = sqlx::query("UPDATE clients SET disabled = 1 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        self.end_clients_access(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a client and revokes its grants. False: there is none of that id.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn remove_client(&self, tenant: &str, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        self.end_clients_access(&mut transaction, tenant, id).await?;
        let removed = sqlx::query("DELETE FROM clients WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM door_uses WHERE tenant = $1 AND client_id = $2")
            .bind(tenant)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn end_clients_access(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        tenant: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE grants SET revoked_at = $3 WHERE tenant = $1 AND client_id = $2 AND revoked_at IS NULL")
            .bind(tenant)
            .bind(id)
            .bind(self.clock().now().millis())
            .execute(&mut **transaction)
            .await?;
        sqlx::query("DELETE FROM codes WHERE tenant = $1 AND client_id = $2 AND taken IS NULL")
            .bind(tenant)
            .bind(id)
            .execute(&mut **transaction)
            .await?;
        end_access(transaction).await
    }
}

/// Writes down that a secret was used `at`, unless it was noted to be used later.
pub(super) async fn touch_secret(
    transaction: &mut Transaction<'_, Sqlite>,
    tenant: &str,
    id: &str,
    digest: &Digest,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE client_secrets SET last_used = $4
         WHERE tenant = $1 AND client_id = $2 AND digest = $3 AND (last_used IS NULL OR last_used < $4)",
    )
    .bind(tenant)
    .bind(id)
    .bind(digest.as_slice())
    .bind(at.millis())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn insert_secret(
    transaction: &mut Transaction<'static, Sqlite>,
    tenant: &str,
    id: &str,
    secret: &ClientSecret,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO client_secrets (tenant, client_id, digest, prefix, created, expires) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant)
    .bind(id)
    .bind(secret.digest.as_slice())
    .bind(&secret.prefix)
    .bind(secret.created.millis())
    .bind(secret.expires.map(Timestamp::millis))
    .execute(&mut **transaction)
    .await
    .map_err(|error| taken(error, "such a secret"))?;
    Ok(())
}

/// Ends the client's secrets that were made before `until`, in milliseconds.
async fn delete_secrets(
    transaction: &mut Transaction<'static, Sqlite>,
    tenant: &str,
    id: &str,
    until: i64,
) -> Result<u64, StoreError> {
    let removed = sqlx::query("DELETE FROM client_secrets WHERE tenant = $1 AND client_id = $2 AND created < $3")
        .bind(tenant)
        .bind(id)
        .bind(until)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    if removed > 0 {
        end_access(transaction).await?;
    }
    Ok(removed)
}

/// A client out of a row, with the rows of its secrets.
fn read(row: &SqliteRow, secrets: &[SqliteRow]) -> Result<Client, StoreError> {
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    let secret = |row: &SqliteRow| {
        Ok(ClientSecret {
            digest: digest(row.try_get(0)?)?,
            prefix: row.try_get(1)?,
            created: Timestamp::from_millis(row.try_get(2)?),
            expires: time(row.try_get(3)?),
            last_used: time(row.try_get(4)?),
        })
    };
    Ok(Client {
        id: row.try_get(0)?,
        tenant: row.try_get(1)?,
        name: row.try_get(2)?,
        redirect_uris: parse_list(row.try_get(3)?)?,
        scopes: parse_list(row.try_get(4)?)?,
        secrets: secrets.iter().map(secret).collect::<Result<_, StoreError>>()?,
        public: row.try_get(5)?,
        disabled: row.try_get(6)?,
        created: Timestamp::from_millis(row.try_get(7)?),
        doors: doors::parse(row.try_get(8)?)?,
    })
}

async fn secrets(reader: &SqlitePool, tenant: &str, id: &str) -> Result<Vec<SqliteRow>, StoreError> {
    Ok(sqlx::query(
        "SELECT digest, prefix, created, expires, last_used FROM client_secrets
         WHERE tenant = $1 AND client_id = $2 ORDER BY created, digest",
    )
    .bind(tenant)
    .bind(id)
    .fetch_all(reader)
    .await?)
}

/// A list as it rests in a column.
fn list(values: &[String]) -> String {
    serde_json::Value::from(values).to_string()
}

fn parse_list(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("a client's list"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{access, give_access, stores};
    use super::*;

    fn client(tenant: &str, id: &str) -> Client {
        Client {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            name: "Entra \"prod\"".to_owned(),
            redirect_uris: vec![
                "https://portal.azure.com/TokenAuthorize".to_owned(),
                "http://127.0.0.1/a,b".to_owned(),
            ],
            scopes: vec!["scim.read".to_owned()],
            secrets: vec![secret("first", 1)],
            public: false,
            doors: Doors::CONFIDENTIAL,
            disabled: false,
            created: Timestamp::from_seconds(5),
        }
    }

    fn secret(text: &str, created: i64) -> ClientSecret {
        ClientSecret {
            digest: Digest::of(text.as_bytes()),
            prefix: format!("pcx_{text}"),
            created: Timestamp::from_seconds(created),
            expires: None,
            last_used: None,
        }
    }

    fn prefixes(client: &Client) -> Vec<&str> {
        client.secrets.iter().map(|secret| secret.prefix.as_str()).collect()
    }

    #[tokio::test]
    async fn a_client_is_read_as_added_in_its_own_tenant_only() {
        for store in stores().await.each {
            let added = client("acme", "c1");
            store.add_client(&added).await.unwrap();
            store.add_client(&client("other", "c1")).await.unwrap();
            let found = store.client("acme", "c1").await.unwrap().unwrap();
            assert_eq!((&found.name, &found.redirect_uris), (&added.name, &added.redirect_uris));
            assert_eq!((&found.scopes, found.public, found.disabled), (&added.scopes, false, false));
            assert_eq!((found.created, prefixes(&found)), (added.created, vec!["pcx_first"]));
            assert!(found.secrets[0].digest.same(&Digest::of(b"first")));
            assert!(store.client("acme", "c2").await.unwrap().is_none());
            assert_eq!(store.clients("acme").await.unwrap().len(), 1);
            assert!(store.clients("nobody").await.unwrap().is_empty());
            assert!(matches!(store.add_client(&added).await, Err(StoreError::Exists("a client of that id"))));
        }
    }

    #[tokio::test]
    async fn secrets_take_over_from_one_another() {
        for store in stores().await.each {
            store.add_client(&client("acme", "c1")).await.unwrap();
            store.add_client_secret("acme", "c1", &secret("second", 2), false).await.unwrap();
            assert_eq!(prefixes(&store.client("acme", "c1").await.unwrap().unwrap()), ["pcx_first", "pcx_second"]);
            assert_eq!(store.generation().await.unwrap(), 0, "nobody lost anything yet");
            store.add_client_secret("acme", "c1", &secret("third", 3), true).await.unwrap();
            assert_eq!(prefixes(&store.client("acme", "c1").await.unwrap().unwrap()), ["pcx_third"]);
            assert_eq!(store.generation().await.unwrap(), 1);
            store.add_client_secret("acme", "c1", &secret("fourth", 4), false).await.unwrap();
            assert_eq!(store.end_older_client_secrets("acme", "c1").await.unwrap(), 1);
            assert_eq!(store.end_older_client_secrets("acme", "c1").await.unwrap(), 0);
            assert_eq!(prefixes(&store.client("acme", "c1").await.unwrap().unwrap()), ["pcx_fourth"]);
            assert_eq!(store.generation().await.unwrap(), 2);
            let missing = store.add_client_secret("other", "c1", &secret("x", 1), true).await;
            assert!(matches!(missing, Err(StoreError::Missing(_))));
        }
    }

    #[tokio::test]
    async fn a_secret_ends_by_its_name_or_after_a_while() {
        for store in stores().await.each {
            store.add_client(&client("acme", "c1")).await.unwrap();
            let end = Timestamp::from_seconds(100);
            store.give_client_secret("acme", "c1", &secret("second", 2), Others::EndAt(end)).await.unwrap();
            let found = store.client("acme", "c1").await.unwrap().unwrap();
            assert_eq!(found.secrets.iter().map(|secret| secret.expires).collect::<Vec<_>>(), [Some(end), None]);
            assert!(found.secrets[0].is_live(Timestamp::from_seconds(99)) && !found.secrets[0].is_live(end));
            assert_eq!(store.generation().await.unwrap(), 1);

            store.touch_client_secret("acme", "c1", Digest::of(b"second"), end);
            store.flush_audit().await;
            assert_eq!(store.client("acme", "c1").await.unwrap().unwrap().secrets[1].last_used, Some(end));
            assert!(!store.end_client_secret("acme", "c1", "pcx_other").await.unwrap());
            assert!(!store.end_client_secret("other", "c1", "pcx_first").await.unwrap());
            assert!(store.end_client_secret("acme", "c1", "pcx_first").await.unwrap());
            assert_eq!(prefixes(&store.client("acme", "c1").await.unwrap().unwrap()), ["pcx_second"]);
            assert_eq!(store.generation().await.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn doors_open_and_close_and_a_client_comes_back() {
        for store in stores().await.each {
            store.add_client(&client("acme", "c1")).await.unwrap();
            let doors = Doors::PUBLIC.with(crate::oauth::Door::Federation);
            assert!(!store.set_doors("other", "c1", doors).await.unwrap());
            assert!(store.set_doors("acme", "c1", doors).await.unwrap());
            assert_eq!(store.client("acme", "c1").await.unwrap().unwrap().doors, doors);
            assert_eq!(store.generation().await.unwrap(), 1);
            store.disable_client("acme", "c1").await.unwrap();
            assert!(store.enable_client("acme", "c1").await.unwrap() && !store.enable_client("x", "c1").await.unwrap());
            assert!(!store.client("acme", "c1").await.unwrap().unwrap().disabled);
        }
    }

    #[tokio::test]
    async fn disabling_and_removing_move_the_generation() {
        for store in stores().await.each {
            store.add_client(&client("acme", "c1")).await.unwrap();
            assert!(!store.disable_client("other", "c1").await.unwrap());
            assert!(!store.remove_client("other", "c1").await.unwrap());
            assert_eq!(store.generation().await.unwrap(), 0);
            give_access(&store, "acme", 1, "c1").await;
            give_access(&store, "acme", 1, "c2").await;
            assert!(store.disable_client("acme", "c1").await.unwrap());
            assert_eq!(access(&store, "acme").await, (1, 2, 1), "the other's is left, and who signed in stays so");
            assert!(store.client("acme", "c1").await.unwrap().unwrap().disabled);
            give_access(&store, "acme", 1, "c1").await;
            assert!(store.remove_client("acme", "c1").await.unwrap());
            assert!(store.client("acme", "c1").await.unwrap().is_none());
            assert_eq!(access(&store, "acme").await, (1, 3, 1));
            assert_eq!(store.generation().await.unwrap(), 2);
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM client_secrets").fetch_one(store.reader()).await.unwrap();
            assert_eq!(left, 0, "its secrets went with it");
        }
    }

    #[tokio::test]
    async fn another_process_sees_that_access_ended() {
        let stores = stores().await;
        let ours = &stores.each[1];
        ours.add_client(&client("acme", "c1")).await.unwrap();
        let theirs = Store::open(&stores.url(), stores.clock.clone()).await.unwrap();
        assert!(theirs.disable_client("acme", "c1").await.unwrap());
        theirs.close().await;
        assert_eq!(ours.generation().await.unwrap(), 1);
        assert!(ours.client("acme", "c1").await.unwrap().unwrap().disabled);
    }
}
