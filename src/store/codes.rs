//! Authorization codes: written when an administrator approves, taken once (RFC 6749 §4.1.2).

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::generations::{insert, read_scopes};
use super::grants::{FirstTokens, revoke};
use super::{Store, StoreError, digest, end_access};
use crate::oauth::Scopes;
use crate::oauth::pkce::Challenge;
use crate::types::{Digest, Timestamp};

/// How long a code that expired is still known, so that its replay is noticed.
const REMEMBERED: Duration = Duration::from_hours(24);
/// How long a grant that ended is still known.
const MOURNED: Duration = Duration::from_hours(24 * 7);

/// What an administrator approved, waiting to be exchanged for tokens.
pub struct Code {
    /// The client it is for.
    pub client_id: String,
    /// Who approved.
    pub administrator: i64,
    /// The redirect URI the request named; `None` if it named none.
    pub redirect_uri: Option<String>,
    /// PKCE.
    pub challenge: Option<Challenge>,
    /// What was approved.
    pub scopes: Scopes,
    /// When it stops being good.
    pub expires: Timestamp,
}

/// What became of presenting a code.
pub enum Redeemed<E> {
    /// There is no such code for this client.
    Unknown,
    /// It had been presented before; what that gave has now ended.
    Replayed,
    /// It did not fit what was presented with it, and is used up now.
    Refused(E),
    /// A grant came of it.
    Granted {
        /// The grant's number.
        grant: i64,
        /// The code as it was.
        code: Code,
    },
}

impl Store {
    /// Writes down a code that an administrator approved in the `session`; what has long ended is cleared away. False: the session has
    /// ended meanwhile, so there is no approval.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn add_code(
        &self,
        tenant: &str,
        session: &Digest,
        digest: &Digest,
        code: &Code,
    ) -> Result<bool, StoreError> {
        let now = self.clock().now();
        let ago = |span: Duration| now.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM codes WHERE expires < $1").bind(ago(REMEMBERED)).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM grants WHERE revoked_at < $1").bind(ago(MOURNED)).execute(&mut *transaction).await?;
        let added = sqlx::query(
            "INSERT INTO codes (digest, tenant, client_id, administrator_id, redirect_uri, challenge, scopes, expires)
             SELECT $1, tenant, $3, administrator_id, $5, $6, $7, $8 FROM sessions
             WHERE digest = $9 AND tenant = $2 AND administrator_id = $4",
        )
        .bind(digest.as_slice())
        .bind(tenant)
        .bind(&code.client_id)
        .bind(code.administrator)
        .bind(&code.redirect_uri)
        .bind(code.challenge.as_ref().map(|challenge| challenge.0.as_slice()))
        .bind(code.scopes.to_string())
        .bind(code.expires.millis())
        .bind(session.as_slice())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    /// Takes the code that `client_id` presents and, if `check` finds that it fits, makes a grant of it with its first tokens; all
    /// of that or nothing. Two that present the same code at once cannot both win.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn redeem_code<E>(
        &self,
        tenant: &str,
        client_id: &str,
        digest: &Digest,
        tokens: &FirstTokens,
        check: impl FnOnce(&Code) -> Result<(), E> + Send,
    ) -> Result<Redeemed<E>, StoreError>
    where
        E: Send,
    {
        let now = self.clock().now();
        let mut transaction = self.begin().await?;
        let taken = sqlx::query(
            "UPDATE codes SET taken = $4 WHERE digest = $1 AND tenant = $2 AND client_id = $3 AND taken IS NULL
             RETURNING client_id, administrator_id, redirect_uri, challenge, scopes, expires",
        )
        .bind(digest.as_slice())
        .bind(tenant)
        .bind(client_id)
        .bind(now.millis())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = taken else {
            let outcome = replayed(&mut transaction, tenant, client_id, digest, now).await?;
            transaction.commit().await?;
            return Ok(outcome);
        };
        let code = read(&row)?;
        if let Err(error) = check(&code) {
            transaction.commit().await?;
            return Ok(Redeemed::Refused(error));
        }
        let grant: i64 = sqlx::query_scalar(
            "INSERT INTO grants (tenant, client_id, administrator_id, scopes, created) VALUES ($1, $2, $3, $4, $5)
             RETURNING id",
        )
        .bind(tenant)
        .bind(client_id)
        .bind(code.administrator)
        .bind(code.scopes.to_string())
        .bind(now.millis())
        .fetch_one(&mut *transaction)
        .await?;
        insert(&mut transaction, grant, 0, &tokens.refresh, code.scopes, now, tokens.access).await?;
        sqlx::query("UPDATE codes SET grant_id = $2 WHERE digest = $1")
            .bind(digest.as_slice())
            .bind(grant)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Redeemed::Granted { grant, code })
    }
}

/// The code was not there to be taken: if it once was, what it gave ends.
async fn replayed<E>(
    transaction: &mut Transaction<'static, Sqlite>,
    tenant: &str,
    client_id: &str,
    digest: &Digest,
    now: Timestamp,
) -> Result<Redeemed<E>, StoreError> {
    let grant: Option<Option<i64>> =
        sqlx::query_scalar("SELECT grant_id FROM codes WHERE digest = $1 AND tenant = $2 AND client_id = $3")
            .bind(digest.as_slice())
            .bind(tenant)
            .bind(client_id)
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(grant) = grant else { return Ok(Redeemed::Unknown) };
    if let Some(grant) = grant
        && revoke(transaction, tenant, grant, now).await?
    {
        end_access(transaction).await?;
    }
    Ok(Redeemed::Replayed)
}

fn read(row: &SqliteRow) -> Result<Code, StoreError> {
    Ok(Code {
        client_id: row.try_get(0)?,
        administrator: row.try_get(1)?,
        redirect_uri: row.try_get(2)?,
        challenge: row.try_get::<Option<&[u8]>, _>(3)?.map(digest).transpose()?.map(Challenge),
        scopes: read_scopes(row.try_get(4)?)?,
        expires: Timestamp::from_millis(row.try_get(5)?),
    })
}
