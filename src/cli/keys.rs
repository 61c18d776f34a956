//! `portcullis keys`: the keys that sign access tokens, and the master key that they rest under. All tenants share them; the
//! tenant that is named only has to exist.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::place::{self, Place};
use super::token::span;
use super::{At, Exit, Failure, World, table};
use crate::config::Config;
use crate::http::oauth::{OpenError, add_key};
use crate::oauth::rotation::{LEAD, Life};
use crate::oauth::seal::MasterKey;
use crate::store::{KeyEntry, OlderKeys};
use crate::types::Timestamp;

/// What may be done with keys.
#[derive(Subcommand)]
pub enum Action {
    /// List the signing keys: which signs, which comes next, which are published until their last token has expired
    #[command(after_help = "Example: portcullis keys list --config portcullis.toml --tenant acme")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin to sign with a new key; tokens of the old one stay good until they expire
    #[command(after_help = "\
Example: portcullis keys rotate --config portcullis.toml --tenant acme
  Running gateways take the key up within a second. When somebody has got hold of a key, add --compromised: every access token
  signed so far is refused then, and identity providers fetch new ones with their refresh tokens or secrets.")]
    Rotate {
        /// Where
        #[command(flatten)]
        at: At,
        /// How long the new key is published before it signs, for resource servers that keep /jwks; a second suffices for gateways
        #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "compromised")]
        after: Option<Duration>,
        /// Believe none of the old keys from now on
        #[arg(long)]
        compromised: bool,
        /// Print what came of it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a new master key, for `master_key` in the configuration
    #[command(after_help = "Example: portcullis keys master > master.key
  The same as: openssl rand -base64 32")]
    Master,
    /// Seal the state's keys under the configured master key, from another one
    #[command(after_help = "\
Example: portcullis keys reseal --config portcullis.toml --tenant acme --from file:portcullis.db.key
  Configure the new master key first, then reseal, then restart every gateway over this state.")]
    Reseal {
        /// Where
        #[command(flatten)]
        at: At,
        /// The master key they are sealed under now: env:NAME or file:PATH
        #[arg(long, value_name = "REFERENCE")]
        from: String,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let (at, action) = match action {
        Action::Master => {
            writeln!(world.out, "{}", MasterKey::mint(&world.random).text().expose())?;
            return Ok(Exit::Done);
        }
        Action::List { ref at, .. } | Action::Rotate { ref at, .. } | Action::Reseal { ref at, .. } => {
            (at.clone(), action)
        }
    };
    let config = place::load(&at.config, world)?;
    let tenant = place::tenant(&config, &at.tenant)?;
    let place = Place { tenant, store: place::state(&config, world).await? };
    let outcome = match action {
        Action::List { json, .. } => list(&place, json, world).await,
        Action::Rotate { after, compromised, json, .. } => {
            let after = (!compromised).then_some(after.unwrap_or(LEAD).max(LEAD));
            rotate(&place, &config, after, json, world).await
        }
        Action::Reseal { from, .. } => reseal(&place, &config, &from, world).await,
        Action::Master => Ok(()),
    };
    place.close().await;
    outcome.map(|()| Exit::Done)
}

async fn list(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let keys = place.store.signing_key_entries().await?;
    let starts: Vec<Timestamp> = keys.iter().map(|key| key.signs_from).collect();
    let (now, lives) = (world.clock.now(), Life::of(&starts));
    let lines = keys.iter().zip(&lives).map(|(key, life)| (key, life.stage(now).as_str(), life.retires()));
    if json {
        let entry = |(key, stage, retires): (&KeyEntry, &str, Option<Timestamp>)| {
            json!({
                "kid": key.kid,
                "algorithm": key.algorithm,
                "state": stage,
                "created": key.created.to_string(),
                "signs_from": key.signs_from.to_string(),
                "published_until": retires.map(|at| at.to_string()),
            })
        };
        writeln!(world.out, "{}", json!(lines.map(entry).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if keys.is_empty() {
        writeln!(world.err, "there are no keys; the gateway makes the first one when it starts")?;
        return Ok(());
    }
    let mut table = table::new(&["KEY", "ALGORITHM", "STATE", "MADE", "SIGNS FROM", "PUBLISHED UNTIL"]);
    for (key, stage, retires) in lines {
        let times = [table::time(key.created), table::time(key.signs_from), table::maybe(retires)];
        table.add_row([key.kid.clone(), key.algorithm.clone(), stage.to_owned()].into_iter().chain(times));
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(())
}

/// `after` is how long the keys overlap at the least; none: the old ones are gone.
async fn rotate(
    place: &Place,
    config: &Config,
    after: Option<Duration>,
    json: bool,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    place.store.unlock(&config.keys.master, &world.random).await?;
    let now = world.clock.now();
    let (others, signs_from) = after.map_or((OlderKeys::Drop, now), |after| (OlderKeys::Overlap, now.after(after)));
    let kid = add_key(&place.store, config.keys.algorithm, others, (now, signs_from), &world.random)
        .await?
        .ok_or_else(|| Failure::failed("the new key was not added"))?;
    place.record(world, "keys.rotate", kid.as_str());
    let algorithm = config.keys.algorithm.name();
    if json {
        let shown = json!({ "kid": kid, "algorithm": algorithm, "signs_from": signs_from.to_string() });
        writeln!(world.out, "{shown}")?;
        return Ok(());
    }
    let rest = match others {
        OlderKeys::Drop => "the keys before it, and all they signed, are refused from now on".to_owned(),
        _ => format!("signs from {}; tokens of the key before it stay good until they expire", table::time(signs_from)),
    };
    writeln!(world.out, "{kid} ({algorithm}) {rest}")?;
    Ok(())
}

async fn reseal(place: &Place, config: &Config, from: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let wrong = |why: String| Failure { exit: Exit::Usage, message: format!("--from {from}: {why}") };
    let text = match from.split_once(':') {
        Some(("env", name)) => {
            world.environment.get(name).map(str::to_owned).ok_or_else(|| wrong("the variable is not set".to_owned()))?
        }
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?,
        _ => return Err(wrong("write env:NAME or file:PATH".to_owned())),
    };
    let old = MasterKey::parse(&text)
        .ok_or_else(|| wrong("it is not 32 bytes in base64 or hexadecimal digits".to_owned()))?;
    let number = place.store.reseal(&old, &config.keys.master, &world.random).await?;
    place.record(world, "keys.reseal", number.to_string());
    writeln!(world.out, "{number} keys and secrets are sealed under the configured master key; restart every gateway")?;
    Ok(())
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Key => Self::failed(error.to_string()),
        }
    }
}
