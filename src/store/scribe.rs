//! Writes that nobody waits for: audit records, and when a token, secret or door was last used.
//!
//! They are gathered for a moment and written by one task in one transaction, which does not wait for the disk: it is behind the
//! answers anyway. The queue is bounded: when it is full the write is lost, counted, and the request goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, Sqlite, Transaction};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{AuditRecord, Options, StoreError, audit, clients, doors, secret_tokens};
use crate::types::{Digest, Timestamp};

/// Writes waiting their turn.
const QUEUE: usize = 8192;
/// Writes of one transaction.
const BATCH: usize = 256;
/// How long a write may wait for company.
const GATHER: Duration = Duration::from_millis(200);
/// How long a flush may take.
const FLUSH: Duration = Duration::from_secs(5);
/// The oldest audit records are looked for after this many new ones.
const SWEEP: usize = 1024;

enum Entry {
    Record(AuditRecord),
    Used { what: Use, at: Timestamp },
    Flush(oneshot::Sender<()>),
}

/// What was used.
pub(super) enum Use {
    /// A secret token, by its id.
    SecretToken(String),
    /// A client's secret.
    ClientSecret { tenant: String, client: String, digest: Digest },
    /// A client's door, or with an empty client one of the tenant as a whole.
    Door { tenant: String, client: String, door: &'static str },
}

/// The way into the queue.
#[derive(Clone)]
pub(super) struct Scribe {
    queue: mpsc::Sender<Entry>,
    hurry: Arc<Notify>,
    losing: Arc<AtomicBool>,
}

impl Scribe {
    /// Starts the task that writes.
    pub(super) fn start(writer: SqlitePool, options: Options) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        let scribe = Self { queue, hurry: Arc::default(), losing: Arc::default() };
        let desk = Desk {
            writer,
            keep: i64::try_from(options.audit_keep).unwrap_or(i64::MAX),
            durable: options.durable,
            unswept: 0,
            hurry: scribe.hurry.clone(),
            losing: scribe.losing.clone(),
        };
        tokio::spawn(desk.run(entries));
        scribe
    }

    /// Hands over an audit record.
    pub(super) fn record(&self, record: AuditRecord) {
        if self.queue.try_send(Entry::Record(record)).is_err() {
            lost(1);
            if !self.losing.swap(true, Ordering::Relaxed) {
                tracing::warn!("the audit queue is full: records are being lost until the state keeps up again");
            }
        }
    }

    /// Hands over that something was used. Beside a full queue it is of no account and is dropped.
    pub(super) fn used(&self, what: Use, at: Timestamp) {
        let _ = self.queue.try_send(Entry::Used { what, at });
    }

    /// Returns when everything queued before the call is written, or after [`FLUSH`].
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.hurry.notify_one();
        let flush = async {
            if self.queue.send(Entry::Flush(done)).await.is_ok() {
                // An error says that the task is gone, and with it the queue.
                let _ = written.await;
            }
        };
        if tokio::time::timeout(FLUSH, flush).await.is_err() {
            tracing::warn!("the audit trail could not be written down in time");
        }
    }
}

/// The task that writes.
struct Desk {
    writer: SqlitePool,
    keep: i64,
    durable: bool,
    unswept: usize,
    hurry: Arc<Notify>,
    losing: Arc<AtomicBool>,
}

/// What is written in one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<AuditRecord>,
    used: Vec<(Use, Timestamp)>,
}

impl Desk {
    /// Until every handle of the store is gone and the queue is empty.
    async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut gathered = Vec::with_capacity(BATCH);
        while entries.recv_many(&mut gathered, BATCH).await > 0 {
            // Sleeping, rather than waking for each record, is what makes a record cheap.
            if gathered.len() < BATCH && !gathered.iter().any(|entry| matches!(entry, Entry::Flush(_))) {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = self.hurry.notified() => {}
                }
                while gathered.len() < BATCH
                    && let Ok(entry) = entries.try_recv()
                {
                    gathered.push(entry);
                }
            }
            let mut batch = Batch::default();
            let mut waiting = Vec::new();
            for entry in gathered.drain(..) {
                match entry {
                    Entry::Record(record) => batch.records.push(record),
                    Entry::Used { what, at } => batch.used.push((what, at)),
                    Entry::Flush(done) => waiting.push(done),
                }
            }
            match self.write(&batch).await {
                Ok(()) => self.losing.store(false, Ordering::Relaxed),
                Err(error) => {
                    lost(batch.records.len());
                    if !self.losing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "audit records could not be written and are lost");
                    }
                }
            }
            for done in waiting {
                // Nobody waits any more: fine.
                let _ = done.send(());
            }
        }
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.records.is_empty() && batch.used.is_empty() {
            return Ok(());
        }
        let mut connection = self.writer.acquire().await?;
        if !self.durable {
            return self.batch(connection.begin_with("BEGIN IMMEDIATE").await?, batch).await;
        }
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
        let outcome = match connection.begin_with("BEGIN IMMEDIATE").await {
            Ok(transaction) => self.batch(transaction, batch).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await {
            // Others' changes must not ride on a connection that does not wait for the disk.
            connection.close_on_drop();
            return Err(error.into());
        }
        outcome
    }

    async fn batch(&mut self, mut transaction: Transaction<'_, Sqlite>, batch: &Batch) -> Result<(), StoreError> {
        audit::insert_all(&mut transaction, &batch.records).await?;
        for (what, at) in &batch.used {
            match what {
                Use::SecretToken(id) => secret_tokens::touch(&mut transaction, id, *at).await?,
                Use::ClientSecret { tenant, client, digest } => {
                    clients::touch_secret(&mut transaction, tenant, client, digest, *at).await?;
                }
                Use::Door { tenant, client, door } => doors::touch(&mut transaction, tenant, client, door, *at).await?,
            }
        }
        self.unswept += batch.records.len();
        if self.unswept >= SWEEP {
            // Twice as many as came, so that a bound that was lowered is reached in time.
            let bound = i64::try_from(self.unswept * 2).unwrap_or(i64::MAX);
            audit::sweep(&mut transaction, self.keep, bound).await?;
            self.unswept = 0;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn lost(records: usize) {
    metrics::counter!("portcullis_audit_dropped_total").increment(records as u64);
}

#[cfg(test)]
mod tests {
    use super::super::audit::tests::record;
    use super::super::testing::stores;
    use super::super::{Options, Store};
    use super::*;
    use crate::types::Clock;

    #[tokio::test]
    async fn closing_writes_what_is_queued() {
        let stores = stores().await;
        for n in 0..600 {
            stores.each[1].audit(record(n, "acme"));
        }
        stores.each[1].close().await;
        let again = Store::open(&stores.url(), Clock::manual(Timestamp::from_seconds(2))).await.unwrap();
        assert_eq!(again.audit_tail(None, 1000, None).await.unwrap().len(), 600);
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_are_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("state.db").display());
        for durable in [false, true] {
            let options = Options { durable, audit_keep: 100 };
            let clock = Clock::manual(Timestamp::from_seconds(2));
            let store = Store::open_with(&url, clock, options).await.unwrap();
            for n in 0..4 * SWEEP {
                store.audit(record(n, "acme"));
            }
            store.flush_audit().await;
            let held = store.audit_tail(None, 10_000, None).await.unwrap().len();
            assert!((100..100 + SWEEP).contains(&held), "{held}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_full_queue_never_waits() {
        let stores = stores().await;
        let store = &stores.each[1];
        // Nothing is written meanwhile: this test's one thread never lets go.
        for n in 0..QUEUE + 10 {
            store.audit(record(n, "acme"));
        }
        assert!(store.scribe.losing.load(Ordering::Relaxed));
        store.flush_audit().await;
        assert!(!store.scribe.losing.load(Ordering::Relaxed));
        assert_eq!(store.audit_tail(None, 100_000, None).await.unwrap().len(), QUEUE);
    }

    #[tokio::test]
    async fn an_audit_batch_leaves_the_writer_waiting_for_the_disk() {
        let stores = stores().await;
        let store = &stores.each[1];
        store.audit(record(1, "acme"));
        store.flush_audit().await;
        let level: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(store.writer()).await.unwrap();
        assert_eq!(level, 2, "FULL");
    }
}
