//! `portcullis limits`: the limits in force, as the configuration and the dialects say.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Exit, Failure, World, place, table};
use crate::config::span;
use crate::limit::{Policy, Quota};

/// What may be asked about limits.
#[derive(Subcommand)]
pub enum Action {
    /// Show the limits in force
    #[command(after_help = "Example: portcullis limits show --config portcullis.toml --tenant acme")]
    Show {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only those of this tenant
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what a configuration would have refused (not built yet)
    #[command(after_help = "Example: portcullis limits simulate --config portcullis.toml")]
    Simulate {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let Action::Show { config, tenant, json } = action else {
        return Err(Failure::later("limits simulate"));
    };
    let config = place::load(&config, world)?;
    let tenants = match tenant {
        Some(name) => vec![place::tenant(&config, &name)?],
        None => config.tenants.values().cloned().collect(),
    };
    if json {
        let list: Vec<Value> =
            tenants.iter().map(|tenant| json!({"tenant": tenant.name, "limits": tenant.limits.map(as_json)})).collect();
        writeln!(world.out, "{}", json!(list))?;
        return Ok(Exit::Done);
    }
    let mut table = table::new(&["TENANT", "READ", "WRITE", "PENALTY", "REFUSES"]);
    for tenant in tenants {
        let Some(policy) = tenant.limits else {
            table.add_row([tenant.name.as_str(), "unlimited", "unlimited", "-", "-"]);
            continue;
        };
        let quota = |quota: Option<Quota>| {
            quota
                .map_or_else(|| "unlimited".to_owned(), |quota| format!("{} in {}", quota.requests, span(quota.window)))
        };
        let extends = if policy.penalty.extend { ", longer with each try" } else { "" };
        table.add_row([
            tenant.name.clone(),
            quota(policy.read),
            quota(policy.write),
            format!("{}{extends}", span(policy.penalty.duration)),
            if policy.shadow { "no, only counts".to_owned() } else { "yes".to_owned() },
        ]);
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(Exit::Done)
}

fn as_json(policy: Policy) -> Value {
    let quota = |quota: Quota| json!({"requests": quota.requests, "window": span(quota.window)});
    json!({
        "read": policy.read.map(quota),
        "write": policy.write.map(quota),
        "penalty": {"duration": span(policy.penalty.duration), "extend": policy.penalty.extend},
        "shadow": policy.shadow,
    })
}
