//! `portcullis audit`: reading the audit trail. People and tokens appear in it by id only.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::{Exit, Failure, World, place, table};
use crate::store::{AuditRecord, Store};

/// How often `--follow` looks for more.
const LOOK: Duration = Duration::from_millis(500);
/// Records of one look.
const PAGE: u32 = 1000;

/// What may be done with the trail.
#[derive(Subcommand)]
pub enum Action {
    /// Show the newest records
    #[command(after_help = "Example: portcullis audit tail --config portcullis.toml --tenant acme --follow")]
    Tail {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only those of this tenant
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// How many
        #[arg(short = 'n', value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
        number: u32,
        /// Keep showing records as they come, until interrupted
        #[arg(long)]
        follow: bool,
        /// Print each record as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the trail out (not built yet)
    #[command(after_help = "Example: portcullis audit export --config portcullis.toml")]
    Export {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Verify that nobody changed the trail (not built yet)
    #[command(after_help = "Example: portcullis audit verify --config portcullis.toml")]
    Verify {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let Action::Tail { config, tenant, number, follow, json } = action else {
        return Err(Failure::later(if matches!(action, Action::Export { .. }) {
            "audit export"
        } else {
            "audit verify"
        }));
    };
    let config = place::load(&config, world)?;
    if let Some(name) = &tenant {
        place::tenant(&config, name)?;
    }
    let store = place::state(&config, world).await?;
    let outcome = tail(&store, tenant.as_deref(), number, follow, json, world).await;
    store.close().await;
    outcome.map(|()| Exit::Done)
}

async fn tail(
    store: &Store,
    tenant: Option<&str>,
    number: u32,
    follow: bool,
    json: bool,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    let newest = store.audit_tail(tenant, number, None).await?;
    // With -n 0 there is nothing to go on from but the newest record of all.
    let mut last = match newest.last() {
        Some((seq, _)) => *seq,
        None => store.audit_tail(None, 1, None).await?.last().map_or(0, |(seq, _)| *seq),
    };
    show(&newest, json, world)?;
    if newest.is_empty() && !follow {
        writeln!(world.err, "there are no records")?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        let more = store.audit_tail(tenant, PAGE, Some(last)).await?;
        last = more.last().map_or(last, |(seq, _)| *seq);
        show(&more, json, world)?;
    }
}

fn show(records: &[(i64, AuditRecord)], json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    for (seq, record) in records {
        if json {
            writeln!(world.out, "{}", as_json(*seq, record))?;
        } else {
            writeln!(world.out, "{}", as_line(*seq, record))?;
        }
    }
    world.out.flush()?;
    Ok(())
}

fn as_json(seq: i64, record: &AuditRecord) -> serde_json::Value {
    json!({
        "seq": seq,
        "at": record.at.to_string(),
        "request_id": record.request_id,
        "tenant": record.tenant,
        "actor": record.actor,
        "operation": record.operation,
        "target": record.target,
        "status": record.status,
        "duration_us": record.duration_us,
        "notes": record.notes,
    })
}

/// Columns by width, so that a line that comes later stands under the ones before.
fn as_line(seq: i64, record: &AuditRecord) -> String {
    let or_dash = |text: &Option<String>| table::plain(text.as_deref().unwrap_or("-"));
    let mut line = format!(
        "{seq:>8}  {}  {}  {:<16} {:<20} {:<24} {:>6}.{} ms  {}  {}",
        table::time(record.at),
        record.status,
        or_dash(&record.tenant),
        table::plain(&record.operation),
        or_dash(&record.target),
        record.duration_us / 1000,
        record.duration_us % 1000 / 100,
        table::plain(&record.request_id),
        or_dash(&record.actor),
    );
    if !record.notes.is_empty() {
        line.push_str("  (");
        line.push_str(&table::plain(&record.notes.join("; ")));
        line.push(')');
    }
    line
}
