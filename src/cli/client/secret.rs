//! `portcullis client secret` and `client rotate`: a client's secrets, several of which may be good at once.
//!
//! A secret is named by its public prefix, which lists, logs and leak scanners show, too.

use std::str::FromStr;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::place::Place;
use super::super::token::span;
use super::super::{At, Failure, World, table};
use crate::oauth::expiry::{SECRET_LIFE, is_near, relied_on_until};
use crate::oauth::opaque::{self, Kind};
use crate::store::{Client, ClientSecret, Others};
use crate::types::{Secret, Timestamp};

/// What may be done with a client's secrets.
#[derive(Subcommand)]
pub enum Action {
    /// Give a client one more secret; it is shown once
    #[command(after_help = "Example: portcullis client secret add --config portcullis.toml --tenant acme cAbC123")]
    Add {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// How long it is good, such as 365d, or never
        #[arg(long, value_name = "SPAN", default_value = "730d")]
        expires: Expires,
        /// Print id and secret as JSON
        #[arg(long)]
        json: bool,
    },
    /// List a client's secrets
    #[command(after_help = "Example: portcullis client secret list --config portcullis.toml --tenant acme cAbC123")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// End one of a client's secrets for good
    #[command(
        after_help = "Example: portcullis client secret revoke --config portcullis.toml --tenant acme cAbC123 pcx_aBcD1234"
    )]
    Revoke {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// The secret, by the beginning that lists show
        secret: String,
    },
}

impl Action {
    pub(super) fn at(&self) -> &At {
        match self {
            Self::Add { at, .. } | Self::List { at, .. } | Self::Revoke { at, .. } => at,
        }
    }
}

/// How long a secret is good.
#[derive(Clone, Copy, Debug)]
pub enum Expires {
    /// That long.
    After(Duration),
    /// Until it is ended.
    Never,
}

impl Default for Expires {
    fn default() -> Self {
        Self::After(SECRET_LIFE)
    }
}

impl FromStr for Expires {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" { Ok(Self::Never) } else { span(text).map(Self::After) }
    }
}

pub(super) async fn run(place: &Place, action: Action, world: &mut World<'_>) -> Result<(), Failure> {
    match action {
        Action::Add { id, expires, json, .. } => {
            give(place, &id, Others::Stay, expires, "clients.secret.add", json, world).await
        }
        Action::List { id, json, .. } => list(place, &id, json, world).await,
        Action::Revoke { id, secret, .. } => revoke(place, &id, &secret, world).await,
    }
}

async fn list(place: &Place, id: &str, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let client = super::client(place, id).await?;
    let now = world.clock.now();
    if json {
        writeln!(world.out, "{}", as_json(&client, now))?;
        return Ok(());
    }
    if client.secrets.is_empty() {
        writeln!(world.err, "client `{id}` has no secrets")?;
        return Ok(());
    }
    write!(world.out, "{}", table::text(&rows(&client, now)))?;
    Ok(())
}

/// The secrets for people.
pub(super) fn rows(client: &Client, now: Timestamp) -> comfy_table::Table {
    let mut table = table::new(&["SECRET", "STATE", "MADE", "EXPIRES", "LAST USED"]);
    for (index, secret) in client.secrets.iter().enumerate() {
        table.add_row([
            format!("{}…", secret.prefix),
            state(client, index, now).to_owned(),
            table::time(secret.created),
            table::maybe(secret.expires),
            table::maybe(secret.last_used),
        ]);
    }
    table
}

/// The secrets for machines.
pub(super) fn as_json(client: &Client, now: Timestamp) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let one = |(index, secret): (usize, &ClientSecret)| {
        json!({
            "prefix": secret.prefix,
            "state": state(client, index, now),
            "created": secret.created.to_string(),
            "expires": text(secret.expires),
            "last_used": text(secret.last_used),
        })
    };
    client.secrets.iter().enumerate().map(one).collect()
}

/// `active`, `expires soon` while nothing took over from it, or `expired`.
pub(super) fn state(client: &Client, index: usize, now: Timestamp) -> &'static str {
    if !client.secrets[index].is_live(now) {
        return "expired";
    }
    match relied_on_until(&client.lives(), index, now) {
        Some(expires) if is_near(expires, now) => "expires soon",
        _ => "active",
    }
}

async fn revoke(place: &Place, id: &str, secret: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let secret = secret.trim_end_matches('…');
    super::client(place, id).await?;
    if !place.store.end_client_secret(place.name(), id, secret).await? {
        return Err(Failure::failed(format!(
            "client `{id}` has no such secret; `portcullis client secret list` shows those it has"
        )));
    }
    place.record(world, "clients.secret.revoke", id);
    writeln!(world.out, "client `{id}`: the secret {secret}… has ended")?;
    Ok(())
}

/// What becomes of the secrets that a client has when it is given another.
pub(super) fn others(keep: bool, overlap: Option<Duration>, world: &World<'_>) -> Others {
    match overlap {
        Some(overlap) => Others::EndAt(world.clock.now().after(overlap)),
        None if keep => Others::Stay,
        None => Others::End,
    }
}

/// Gives a client a secret and shows it.
pub(super) async fn give(
    place: &Place,
    id: &str,
    others: Others,
    expires: Expires,
    operation: &str,
    json: bool,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    confidential(place, id).await?;
    let (secret, kept) = new(expires, world);
    place.store.give_client_secret(place.name(), id, &kept, others).await?;
    place.record(world, operation, id);
    show(id, Some(&secret), Some(&kept), json, world)
}

pub(super) async fn drop_old(place: &Place, id: &str, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    confidential(place, id).await?;
    let ended = place.store.end_older_client_secrets(place.name(), id).await?;
    place.record(world, "clients.rotate", id);
    if json {
        writeln!(world.out, "{}", json!({"client_id": id, "ended": ended}))?;
    } else {
        let older = if ended == 1 { "one older secret has".to_owned() } else { format!("{ended} older secrets have") };
        writeln!(world.out, "client `{id}`: {older} ended, the newest is good")?;
    }
    Ok(())
}

/// That the tenant has such a client, and one that can keep a secret.
async fn confidential(place: &Place, id: &str) -> Result<(), Failure> {
    if super::client(place, id).await?.public {
        return Err(Failure::failed(format!("client `{id}` is public and has no secret to rotate")));
    }
    Ok(())
}

/// A secret, and what is kept of it.
pub(super) fn new(expires: Expires, world: &World<'_>) -> (Secret, ClientSecret) {
    let secret = opaque::mint(Kind::ClientSecret, &world.random);
    let now = world.clock.now();
    let kept = ClientSecret {
        digest: secret.digest(),
        prefix: opaque::public_prefix(&secret),
        created: now,
        expires: match expires {
            Expires::After(span) => Some(now.after(span)),
            Expires::Never => None,
        },
        last_used: None,
    };
    (secret, kept)
}

/// The only time a secret is seen.
pub(super) fn show(
    id: &str,
    secret: Option<&Secret>,
    kept: Option<&ClientSecret>,
    json: bool,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    let secret = secret.map(Secret::expose);
    let expires = kept.and_then(|kept| kept.expires);
    if json {
        let expires = expires.map(|expires| expires.to_string());
        writeln!(world.out, "{}", json!({"client_id": id, "client_secret": secret, "expires": expires}))?;
        return Ok(());
    }
    writeln!(world.out, "client id:     {id}")?;
    if let Some(secret) = secret {
        writeln!(world.out, "client secret: {secret}")?;
        if let Some(expires) = expires {
            writeln!(world.out, "good until:    {}", table::time(expires))?;
        }
        writeln!(world.err, "The secret is not kept and will not be shown again.")?;
    }
    Ok(())
}
