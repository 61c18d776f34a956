//! Grants and their generations of tokens. What a refresh token is worth is judged by [`crate::oauth::refresh`]; here the judgement
//! and what follows from it are one transaction.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use super::generations::{confirm, forget_old, insert, read, read_scopes, set_access};
use super::{Store, StoreError, end_access};
use crate::oauth::refresh::{Generation, REPEATABLE};
use crate::oauth::{Role, Scopes};
use crate::types::{Digest, Timestamp};

/// The life of an access token: its `iat` and `exp`, whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// `iat`.
    pub from: Timestamp,
    /// `exp`.
    pub until: Timestamp,
}

/// The tokens that come with a new grant.
pub struct FirstTokens {
    /// Of the refresh token.
    pub refresh: Digest,
    /// Of the access token.
    pub access: Span,
}

/// What the state knows when a refresh token is presented.
pub struct Held {
    /// The grant's number.
    pub grant: i64,
    /// What was granted at first; a refresh may ask for less, never for more.
    pub granted: Scopes,
    /// When it was granted.
    pub since: Timestamp,
    /// The generation the token belongs to.
    pub presented: Generation,
    /// The grant's newest generation.
    pub current: Generation,
    /// The access token of the generation after the presented one, if there is one.
    pub access: Option<Span>,
}

/// What is to follow.
pub enum Turn {
    /// The next generation.
    Rotate {
        /// Of its refresh token.
        refresh: Digest,
        /// Of its access token.
        access: Span,
        /// What its access token may be used for.
        scopes: Scopes,
    },
    /// The generation after the presented one again; with `renewed`, its access token for another while.
    Repeat {
        /// The access token's new life, when the old one is over.
        renewed: Option<Span>,
    },
    /// The end of the grant.
    End,
}

/// What became of presenting a refresh token.
pub enum Refreshed<E> {
    /// There is no such token for this client, or its grant has ended.
    Unknown,
    /// It was refused; nothing changed.
    Refused(E),
    /// It was a replay; the grant has ended.
    Ended,
    /// The generation to answer with.
    Given {
        /// The grant's number.
        grant: i64,
        /// The generation's number.
        number: i64,
        /// Who approved.
        administrator: Option<i64>,
        /// What its access token may be used for.
        scopes: Scopes,
        /// Its access token.
        access: Span,
    },
}

/// What stands behind an access token that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The client.
    pub client_id: String,
    /// Who approved, and their role.
    pub administrator: Option<(i64, Role)>,
    /// What the token may be used for.
    pub scopes: Scopes,
    /// Whether its first use has yet to be written down ([`Store::confirm`]).
    pub unconfirmed: bool,
}

/// What a refresh token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The grant.
    pub grant: i64,
    /// The generation.
    pub number: i64,
    /// The client.
    pub client_id: String,
    /// When the token came to be.
    pub issued: Timestamp,
    /// When the grant was made.
    pub granted: Timestamp,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Whether a refresh has made a newer one and that one has been used, or the grant has ended.
    pub spent: bool,
}

impl Store {
    /// Judges the refresh token that `client_id` presents by `decide` and does what follows, in one transaction: of several
    /// that present the same token at once the first makes the next generation, the others get it again.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn refresh<E>(
        &self,
        tenant: &str,
        client_id: &str,
        digest: &Digest,
        decide: impl FnOnce(&Held) -> Result<Turn, E> + Send,
    ) -> Result<Refreshed<E>, StoreError>
    where
        E: Send,
    {
        let now = self.clock().now();
        let mut transaction = self.begin().await?;
        let row = held(tenant, client_id, digest).fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(Refreshed::Unknown) };
        let administrator: Option<i64> = row.try_get(1)?;
        let (held, scopes) = read_held(&row)?;
        let grant = held.grant;
        let turn = match decide(&held) {
            Ok(turn) => turn,
            Err(error) => return Ok(Refreshed::Refused(error)),
        };
        let number = held.current.number;
        let given = match turn {
            Turn::Rotate { refresh, access, scopes } => {
                // Using the newest refresh token is the first use that confirms its generation.
                confirm(&mut transaction, grant, number, now).await?;
                insert(&mut transaction, grant, number + 1, &refresh, scopes, now, access).await?;
                forget_old(&mut transaction, grant, number, now).await?;
                Refreshed::Given { grant, number: number + 1, administrator, scopes, access }
            }
            Turn::Repeat { renewed } => {
                let number = held.presented.number + 1;
                if let Some(access) = renewed {
                    set_access(&mut transaction, grant, number, access).await?;
                }
                // Nothing is after the newest: to repeat it is a mistake of whoever decided.
                let (Some(access), Some(scopes)) = (renewed.or(held.access), scopes) else {
                    return Err(StoreError::Corrupt("a grant without the generation to repeat"));
                };
                Refreshed::Given { grant, number, administrator, scopes, access }
            }
            Turn::End => {
                revoke(&mut transaction, tenant, grant, now).await?;
                end_access(&mut transaction).await?;
                Refreshed::Ended
            }
        };
        transaction.commit().await?;
        Ok(given)
    }

    /// What [`Store::refresh`] would give `decide`, read beforehand and without waiting for anybody's write.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn held(&self, tenant: &str, client_id: &str, digest: &Digest) -> Result<Option<Held>, StoreError> {
        let row = held(tenant, client_id, digest).fetch_optional(self.reader()).await?;
        row.map(|row| read_held(&row).map(|(held, _)| held)).transpose()
    }

    /// What stands behind token `number` of `grant`; `None` if the grant, its client or its administrator may no longer act.
    /// A grant of client credentials has no generations: any number will do.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn access(&self, tenant: &str, grant: i64, number: i64) -> Result<Option<Access>, StoreError> {
        let row = sqlx::query(
            "SELECT g.client_id, g.administrator_id, a.role, COALESCE(n.scopes, g.scopes), n.confirmed
             FROM grants g
             JOIN clients c ON c.tenant = g.tenant AND c.id = g.client_id AND c.disabled = 0
             LEFT JOIN administrators a ON a.id = g.administrator_id AND a.tenant = g.tenant AND a.disabled = 0
             LEFT JOIN generations n ON n.grant_id = g.id AND n.number = $3
             WHERE g.tenant = $1 AND g.id = $2 AND g.revoked_at IS NULL
               AND (g.administrator_id IS NULL OR (a.id IS NOT NULL AND n.grant_id IS NOT NULL))",
        )
        .bind(tenant)
        .bind(grant)
        .bind(number)
        .fetch_optional(self.reader())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role = row
            .try_get::<Option<&str>, _>(2)?
            .map(|role| role.parse::<Role>().map_err(|_| StoreError::Corrupt("an administrator's role")))
            .transpose()?;
        let administrator = row.try_get::<Option<i64>, _>(1)?.zip(role);
        Ok(Some(Access {
            client_id: row.try_get(0)?,
            administrator,
            scopes: read_scopes(row.try_get(3)?)?,
            unconfirmed: administrator.is_some() && row.try_get::<Option<i64>, _>(4)?.is_none(),
        }))
    }

    /// Writes down that a token of the generation has been used.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn confirm(&self, grant: i64, number: i64) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        confirm(&mut transaction, grant, number, self.clock().now()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What a refresh token belongs to, whichever client asks.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn refresh_token_owner(&self, tenant: &str, digest: &Digest) -> Result<Option<Owner>, StoreError> {
        let row = sqlx::query(
            "SELECT g.id, n.number, g.client_id, n.issued, n.scopes, g.created,
                    g.revoked_at IS NOT NULL OR EXISTS (
                        SELECT 1 FROM generations m WHERE m.grant_id = g.id AND
                        (m.number > n.number + 1 OR (m.number = n.number + 1 AND (m.confirmed IS NOT NULL OR m.issued <= $3))))
             FROM generations n JOIN grants g ON g.id = n.grant_id WHERE n.refresh = $1 AND g.tenant = $2",
        )
        .bind(digest.as_slice())
        .bind(tenant)
        .bind(self.clock().now().millis().saturating_sub(i64::try_from(REPEATABLE.as_millis()).unwrap_or(i64::MAX)))
        .fetch_optional(self.reader())
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Owner {
            grant: row.try_get(0)?,
            number: row.try_get(1)?,
            client_id: row.try_get(2)?,
            issued: Timestamp::from_millis(row.try_get(3)?),
            scopes: read_scopes(row.try_get(4)?)?,
            granted: Timestamp::from_millis(row.try_get(5)?),
            spent: row.try_get(6)?,
        }))
    }

    /// The grant that a client has of itself with these scopes (client credentials), made when there is none.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn own_grant(&self, tenant: &str, client_id: &str, scopes: Scopes) -> Result<i64, StoreError> {
        const FIND: &str = "SELECT id FROM grants WHERE tenant = $1 AND client_id = $2 AND scopes = $3
                            AND administrator_id IS NULL AND revoked_at IS NULL ORDER BY id LIMIT 1";
        let scopes = scopes.to_string();
        let find = || sqlx::query_scalar(FIND).bind(tenant).bind(client_id).bind(&scopes);
        if let Some(grant) = find().fetch_optional(self.reader()).await? {
            return Ok(grant);
        }
        let mut transaction = self.begin().await?;
        let grant = match find().fetch_optional(&mut *transaction).await? {
            Some(grant) => grant,
            None => {
                sqlx::query_scalar(
                    "INSERT INTO grants (tenant, client_id, scopes, created) VALUES ($1, $2, $3, $4) RETURNING id",
                )
                .bind(tenant)
                .bind(client_id)
                .bind(&scopes)
                .bind(self.clock().now().millis())
                .fetch_one(&mut *transaction)
                .await?
            }
        };
        transaction.commit().await?;
        Ok(grant)
    }

    /// The client of a grant, whether it still lives or not.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn grant_client(&self, tenant: &str, grant: i64) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT client_id FROM grants WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(grant)
            .fetch_optional(self.reader())
            .await?)
    }

    /// Ends a grant and moves the generation. False: it had ended already.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn end_grant(&self, tenant: &str, grant: i64) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let ended = revoke(&mut transaction, tenant, grant, self.clock().now()).await?;
        if ended {
            end_access(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }
}

/// The refresh token of that digest, the newest generation of its grant, and the one after the token's own.
const HELD: &str = "SELECT g.id, g.administrator_id, g.scopes, g.created, p.number, p.issued, p.confirmed,
            c.number, c.issued, c.confirmed, n.access_from, n.access_until, n.scopes
     FROM generations p JOIN grants g ON g.id = p.grant_id JOIN generations c ON c.grant_id = g.id
     LEFT JOIN generations n ON n.grant_id = g.id AND n.number = p.number + 1
     WHERE p.refresh = $1 AND g.tenant = $2 AND g.client_id = $3 AND g.revoked_at IS NULL
     ORDER BY c.number DESC LIMIT 1";

fn held<'a>(tenant: &'a str, client_id: &'a str, digest: &'a Digest) -> Query<'a, Sqlite, SqliteArguments> {
    sqlx::query(HELD).bind(digest.as_slice()).bind(tenant).bind(client_id)
}

/// And the scopes of the generation after the presented one.
fn read_held(row: &SqliteRow) -> Result<(Held, Option<Scopes>), StoreError> {
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    let (from, until) = (time(row.try_get(10)?), time(row.try_get(11)?));
    let held = Held {
        grant: row.try_get(0)?,
        granted: read_scopes(row.try_get(2)?)?,
        since: Timestamp::from_millis(row.try_get(3)?),
        presented: read(row, 4)?,
        current: read(row, 7)?,
        access: from.zip(until).map(|(from, until)| Span { from, until }),
    };
    let scopes = row.try_get::<Option<&str>, _>(12)?.map(read_scopes).transpose()?;
    Ok((held, scopes))
}

/// Ends a grant; false if it had ended already. The caller moves the generation.
pub(super) async fn revoke(
    transaction: &mut Transaction<'static, Sqlite>,
    tenant: &str,
    grant: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE grants SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL")
        .bind(tenant)
        .bind(grant)
        .bind(now.millis())
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::super::{Client, Code, Redeemed};
    use super::*;

    fn span(from: i64) -> Span {
        Span { from: Timestamp::from_seconds(from), until: Timestamp::from_seconds(from + 3600) }
    }

    async fn client(store: &Store, id: &str) {
        let client = Client {
            id: id.into(),
            tenant: "acme".into(),
            name: id.into(),
            redirect_uris: vec![],
            scopes: vec![],
            secrets: vec![],
            public: false,
            doors: crate::oauth::Doors::CONFIDENTIAL,
            disabled: false,
            created: Timestamp::from_seconds(0),
        };
        store.add_client(&client).await.unwrap();
    }

    /// A grant that an administrator approved for client `c`, whose first refresh token is `first`.
    async fn granted(store: &Store, administrator: i64, first: &Digest) -> i64 {
        let (session, digest) = (Digest::of(b"session"), Digest::of(b"code"));
        let code = Code {
            client_id: "c".into(),
            administrator,
            redirect_uri: None,
            challenge: None,
            scopes: Scopes::ALL,
            expires: Timestamp::from_seconds(0),
        };
        assert!(!store.add_code("acme", &session, &digest, &code).await.unwrap(), "nobody has signed in");
        let ada = store.administrator_by_id("acme", administrator).await.unwrap().unwrap();
        assert!(store.add_session(&session, &ada).await.unwrap());
        assert!(store.add_code("acme", &session, &digest, &code).await.unwrap());
        let tokens = FirstTokens { refresh: *first, access: span(0) };
        let redeem = async |tenant, client| store.redeem_code::<()>(tenant, client, &digest, &tokens, |_| Ok(())).await;
        assert!(matches!(redeem("acme", "other").await.unwrap(), Redeemed::Unknown));
        assert!(matches!(redeem("other", "c").await.unwrap(), Redeemed::Unknown));
        match redeem("acme", "c").await.unwrap() {
            Redeemed::Granted { grant, .. } => grant,
            _ => panic!("no grant"),
        }
    }

    #[tokio::test]
    async fn a_grant_from_code_to_end() {
        for store in stores().await.each {
            client(&store, "c").await;
            let ada = store.add_administrator("acme", "ada", Role::SuperUser, "$").await.unwrap();
            let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
            let grant = granted(&store, ada, &first).await;
            let access = store.access("acme", grant, 0).await.unwrap().unwrap();
            assert_eq!((access.administrator, access.unconfirmed), (Some((ada, Role::SuperUser)), true));
            for (tenant, grant, number) in [("other", grant, 0), ("acme", grant + 1, 0), ("acme", grant, 1)] {
                assert_eq!(store.access(tenant, grant, number).await.unwrap(), None);
            }

            let turned = store
                .refresh::<()>("acme", "c", &first, |held| {
                    assert_eq!((held.presented, held.granted), (held.current, Scopes::ALL));
                    Ok(Turn::Rotate { refresh: second, access: span(9), scopes: Scopes::ALL })
                })
                .await
                .unwrap();
            assert!(matches!(turned, Refreshed::Given { number: 1, .. }));
            let repeated = store
                .refresh::<()>("acme", "c", &first, |held| {
                    assert!(held.presented.confirmed && !held.current.confirmed);
                    Ok(Turn::Repeat { renewed: Some(span(99)) })
                })
                .await
                .unwrap();
            assert!(matches!(repeated, Refreshed::Given { number: 1, access, .. } if access == span(99)));
            let held = store.held("acme", "c", &first).await.unwrap().unwrap();
            assert_eq!((held.current.number, held.access, held.since), (1, Some(span(99)), store.clock().now()));
            assert!(store.held("acme", "other", &first).await.unwrap().is_none());
            // Another was quicker and has refreshed with the result: what comes after the presented one is given all the same.
            let third = Digest::of(b"3");
            let on = Turn::Rotate { refresh: third, access: span(100), scopes: Scopes::ALL };
            store.refresh::<()>("acme", "c", &second, |_| Ok(on)).await.unwrap();
            let late = store.refresh::<()>("acme", "c", &first, |_| Ok(Turn::Repeat { renewed: None })).await.unwrap();
            assert!(matches!(late, Refreshed::Given { number: 1, access, .. } if access == span(99)));
            store.confirm(grant, 1).await.unwrap();
            assert!(!store.access("acme", grant, 1).await.unwrap().unwrap().unconfirmed);
            let owner = store.refresh_token_owner("acme", &first).await.unwrap().unwrap();
            assert_eq!((owner.grant, owner.number, owner.spent), (grant, 0, true));

            let before = store.generation().await.unwrap();
            assert!(store.end_grant("acme", grant).await.unwrap() && !store.end_grant("acme", grant).await.unwrap());
            assert_eq!(store.generation().await.unwrap(), before + 1);
            assert_eq!(store.access("acme", grant, 1).await.unwrap(), None);
            let gone = store.refresh::<()>("acme", "c", &third, |_| Ok(Turn::End)).await.unwrap();
            assert!(matches!(gone, Refreshed::Unknown));
        }
    }

    #[tokio::test]
    async fn a_client_has_one_grant_of_its_own_for_the_same_scopes() {
        for store in stores().await.each {
            client(&store, "c").await;
            let grant = store.own_grant("acme", "c", Scopes::ALL).await.unwrap();
            assert_eq!(store.own_grant("acme", "c", Scopes::ALL).await.unwrap(), grant);
            let access = store.access("acme", grant, 1_800_000_000).await.unwrap().unwrap();
            assert_eq!((access.administrator, access.unconfirmed), (None, false));
            assert!(store.disable_client("acme", "c").await.unwrap());
            assert_eq!(store.access("acme", grant, 0).await.unwrap(), None);
        }
    }
}
