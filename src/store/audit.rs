//! The audit trail: one record a request.
//!
//! A record names people and tokens by id only and carries no values. The [`scribe`](super::scribe) writes it beside the requests'
//! own work.

use std::sync::{Arc, LazyLock};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction};

use super::{Store, StoreError};
use crate::types::Timestamp;

/// Rows of one statement, largest first; each is prepared once.
const ROWS: [usize; 4] = [64, 16, 4, 1];

/// What one request did. No names, no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it was answered.
    pub at: Timestamp,
    /// `X-Request-Id`.
    pub request_id: String,
    /// The tenant, if it came that far.
    pub tenant: Option<String>,
    /// Who: the client's id and the public prefix of the token or the id of the grant.
    pub actor: Option<String>,
    /// What, such as `users.patch`.
    pub operation: String,
    /// On whom: a SCIM `id`.
    pub target: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// What was left out or decided: `dropped displayName`, `linked`.
    pub notes: Vec<String>,
}

impl Store {
    /// Hands a record over to be written; never waits. When the queue is full the record is lost, counted in
    /// `portcullis_audit_dropped_total`, and the first loss is logged.
    pub fn audit(&self, record: AuditRecord) {
        self.scribe.record(record);
    }

    /// Returns when every record handed over before is written, or after five seconds.
    pub async fn flush_audit(&self) {
        self.scribe.flush().await;
    }

    /// Records with their sequence numbers, oldest first: up to `limit` behind `after`, or the newest `limit` without it. Of one
    /// tenant, or of all.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn audit_tail(
        &self,
        tenant: Option<&str>,
        limit: u32,
        after: Option<i64>,
    ) -> Result<Vec<(i64, AuditRecord)>, StoreError> {
        const AFTER: &str = "SELECT seq, at, request_id, tenant, actor, operation, target, status, duration_us, notes
             FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        const AFTER_OF: &str =
            "SELECT seq, at, request_id, tenant, actor, operation, target, status, duration_us, notes
             FROM audit WHERE tenant = $3 AND seq > $1 ORDER BY seq LIMIT $2";
        const LAST: &str = "SELECT seq, at, request_id, tenant, actor, operation, target, status, duration_us, notes
             FROM audit WHERE seq > $1 ORDER BY seq DESC LIMIT $2";
        const LAST_OF: &str = "SELECT seq, at, request_id, tenant, actor, operation, target, status, duration_us, notes
             FROM audit WHERE tenant = $3 AND seq > $1 ORDER BY seq DESC LIMIT $2";
        let statement = match (after, tenant) {
            (Some(_), None) => AFTER,
            (Some(_), Some(_)) => AFTER_OF,
            (None, None) => LAST,
            (None, Some(_)) => LAST_OF,
        };
        let mut query = sqlx::query(statement).bind(after.unwrap_or(-1)).bind(limit);
        if let Some(tenant) = tenant {
            query = query.bind(tenant);
        }
        let rows = query.fetch_all(self.reader()).await?;
        let mut records = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if after.is_none() {
            records.reverse();
        }
        Ok(records)
    }
}

/// Writes `records` down in their order.
pub(super) async fn insert_all(
    transaction: &mut Transaction<'_, Sqlite>,
    mut records: &[AuditRecord],
) -> Result<(), StoreError> {
    for (rows, statement) in ROWS.into_iter().zip(STATEMENTS.iter()) {
        while records.len() >= rows {
            let (these, rest) = records.split_at(rows);
            insert(transaction, statement.clone(), these).await?;
            records = rest;
        }
    }
    Ok(())
}

/// Deletes the oldest records, as many as there are more than `keep` but at most `bound`.
pub(super) async fn sweep(transaction: &mut Transaction<'_, Sqlite>, keep: i64, bound: i64) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM audit WHERE seq <= (SELECT MAX(seq) FROM audit) - $1
             AND seq < (SELECT MIN(seq) FROM audit) + $2",
    )
    .bind(keep)
    .bind(bound)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// One statement for each of [`ROWS`].
static STATEMENTS: LazyLock<[Arc<str>; ROWS.len()]> = LazyLock::new(|| {
    ROWS.map(|rows| {
        let mut text = String::from(
            "INSERT INTO audit (at, request_id, tenant, actor, operation, target, status, duration_us, notes) VALUES ",
        );
        for row in 0..rows {
            if row > 0 {
                text.push_str(", ");
            }
            text.push_str("(?, ?, ?, ?, ?, ?, ?, ?, ?)");
        }
        text.into()
    })
});

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    statement: Arc<str>,
    records: &[AuditRecord],
) -> Result<(), StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for record in records {
        let notes = if record.notes.is_empty() {
            "[]".to_owned()
        } else {
            serde_json::Value::from(record.notes.as_slice()).to_string()
        };
        query = query
            .bind(record.at.millis())
            .bind(&record.request_id)
            .bind(&record.tenant)
            .bind(&record.actor)
            .bind(&record.operation)
            .bind(&record.target)
            .bind(record.status)
            .bind(i64::try_from(record.duration_us).unwrap_or(i64::MAX))
            .bind(notes);
    }
    query.execute(&mut **transaction).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<(i64, AuditRecord), StoreError> {
    let record = AuditRecord {
        at: Timestamp::from_millis(row.try_get(1)?),
        request_id: row.try_get(2)?,
        tenant: row.try_get(3)?,
        actor: row.try_get(4)?,
        operation: row.try_get(5)?,
        target: row.try_get(6)?,
        status: row.try_get(7)?,
        duration_us: u64::try_from(row.try_get::<i64, _>(8)?).unwrap_or(0),
        notes: serde_json::from_str(row.try_get(9)?).map_err(|_| StoreError::Corrupt("an audit record's notes"))?,
    };
    Ok((row.try_get(0)?, record))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::stores;
    use super::*;

    pub(in super::super) fn record(n: usize, tenant: &str) -> AuditRecord {
        AuditRecord {
            at: Timestamp::from_seconds(1),
            request_id: format!("r{n}"),
            tenant: Some(tenant.to_owned()),
            actor: Some("client pcs_12345678".to_owned()),
            operation: "users.patch".to_owned(),
            target: Some(n.to_string()),
            status: 200,
            duration_us: 1234,
            notes: if n.is_multiple_of(2) { vec!["dropped displayName".to_owned()] } else { Vec::new() },
        }
    }

    #[tokio::test]
    async fn records_are_read_as_written_whatever_their_number() {
        for store in stores().await.each {
            // 64 + 64 + 16 + 4 + 1 + 1: every statement runs.
            for n in 0..150 {
                store.audit(record(n, if n % 3 == 0 { "acme" } else { "other" }));
            }
            store.flush_audit().await;
            let all = store.audit_tail(None, 1000, None).await.unwrap();
            assert_eq!(all.len(), 150);
            for (n, (seq, held)) in all.iter().enumerate() {
                assert_eq!(*seq, i64::try_from(n).unwrap() + 1);
                assert_eq!(*held, record(n, if n % 3 == 0 { "acme" } else { "other" }));
            }
        }
    }

    #[tokio::test]
    async fn the_tail_is_the_newest_and_then_what_follows() {
        for store in stores().await.each {
            for n in 0..10 {
                store.audit(record(n, if n % 2 == 0 { "acme" } else { "other" }));
            }
            store.flush_audit().await;
            for (tenant, limit, after, expected) in [
                (None, 3, None, vec![8, 9, 10]),
                (None, 3, Some(0), vec![1, 2, 3]),
                (None, 9, Some(8), vec![9, 10]),
                (None, 9, Some(10), vec![]),
                (Some("acme"), 2, None, vec![7, 9]),
                (Some("acme"), 2, Some(3), vec![5, 7]),
                (Some("nobody"), 2, None, vec![]),
            ] {
                let seqs: Vec<i64> =
                    store.audit_tail(tenant, limit, after).await.unwrap().into_iter().map(|(seq, _)| seq).collect();
                assert_eq!(seqs, expected, "{tenant:?} {limit} {after:?}");
            }
        }
    }
}
