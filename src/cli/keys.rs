//! `portcullis keys`: the keys that sign access tokens. All tenants share them; the tenant that is named only has to exist.

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::{At, Exit, Failure, World, table};

/// What may be done with signing keys.
#[derive(Subcommand)]
pub enum Action {
    /// List the keys
    #[command(after_help = "Example: portcullis keys list --config portcullis.toml --tenant acme")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin to sign with a new key (not built yet)
    #[command(after_help = "Example: portcullis keys rotate --config portcullis.toml --tenant acme")]
    Rotate {
        /// Where
        #[command(flatten)]
        at: At,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let Action::List { at, json } = action else {
        return Err(Failure::later("keys rotate"));
    };
    let place = Place::open(&at, world).await?;
    let outcome = list(&place, json, world).await;
    place.close().await;
    outcome.map(|()| Exit::Done)
}

async fn list(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let keys = place.store.signing_key_names().await?;
    if json {
        let list: Vec<_> = keys
            .iter()
            .map(
                |(kid, algorithm, created)| json!({"kid": kid, "algorithm": algorithm, "created": created.to_string()}),
            )
            .collect();
        writeln!(world.out, "{}", json!(list))?;
        return Ok(());
    }
    if keys.is_empty() {
        writeln!(world.err, "there are no keys; the gateway makes the first one when it starts")?;
        return Ok(());
    }
    let mut table = table::new(&["KEY", "ALGORITHM", "MADE"]);
    for (kid, algorithm, created) in keys {
        table.add_row([kid, algorithm, table::time(created)]);
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(())
}
