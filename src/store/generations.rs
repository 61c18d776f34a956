//! The rows behind a grant's generations of tokens: single statements, for the transactions of `grants` and `codes`.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::StoreError;
use super::grants::Span;
use crate::oauth::Scopes;
use crate::oauth::refresh::Generation;
use crate::types::{Digest, Timestamp};

/// A new generation.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    grant: i64,
    number: i64,
    refresh: &Digest,
    scopes: Scopes,
    issued: Timestamp,
    access: Span,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO generations (grant_id, number, refresh, scopes, issued, access_from, access_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(grant)
    .bind(number)
    .bind(refresh.as_slice())
    .bind(scopes.to_string())
    .bind(issued.millis())
    .bind(access.from.millis())
    .bind(access.until.millis())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// One of the generation's tokens has been used.
pub(super) async fn confirm(
    transaction: &mut Transaction<'static, Sqlite>,
    grant: i64,
    number: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE generations SET confirmed = $3 WHERE grant_id = $1 AND number = $2 AND confirmed IS NULL")
        .bind(grant)
        .bind(number)
        .bind(now.millis())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The access token of the generation lives for another while.
pub(super) async fn set_access(
    transaction: &mut Transaction<'static, Sqlite>,
    grant: i64,
    number: i64,
    access: Span,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE generations SET access_from = $3, access_until = $4 WHERE grant_id = $1 AND number = $2")
        .bind(grant)
        .bind(number)
        .bind(access.from.millis())
        .bind(access.until.millis())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Clears away generations so old that their refresh tokens would have expired in any dialect.
pub(super) async fn forget_old(
    transaction: &mut Transaction<'static, Sqlite>,
    grant: i64,
    current: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    const YEAR_MILLIS: i64 = 365 * 86_400_000;
    sqlx::query("DELETE FROM generations WHERE grant_id = $1 AND number < $2 AND issued < $3")
        .bind(grant)
        .bind(current)
        .bind(now.millis().saturating_sub(YEAR_MILLIS))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Scopes out of a column.
pub(super) fn read_scopes(text: &str) -> Result<Scopes, StoreError> {
    Scopes::parse(text).ok_or(StoreError::Corrupt("a grant's scopes"))
}

/// A generation out of three columns: number, issued, confirmed.
pub(super) fn read(row: &SqliteRow, first: usize) -> Result<Generation, StoreError> {
    Ok(Generation {
        number: row.try_get(first)?,
        issued: Timestamp::from_millis(row.try_get(first + 1)?),
        confirmed: row.try_get::<Option<i64>, _>(first + 2)?.is_some(),
    })
}
