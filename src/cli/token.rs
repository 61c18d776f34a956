//! `portcullis token`: static secret tokens of a tenant, for identity providers that hold a token instead of an OAuth grant.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::{At, Exit, Failure, World, table};
use crate::dialect::SecretForm;
use crate::oauth::opaque::{self, Kind};
use crate::store::SecretToken;
use crate::types::Timestamp;

const MAX_NAME: usize = 100;

/// What may be done with secret tokens.
#[derive(Subcommand)]
pub enum Action {
    /// Issue a token; it is shown once
    #[command(
        after_help = "Example: portcullis token issue --config portcullis.toml --tenant acme --name Entra --expires 365d"
    )]
    Issue {
        /// Where
        #[command(flatten)]
        at: At,
        /// What to call it in lists
        #[arg(long, default_value = "")]
        name: String,
        /// How long it is good, such as 12h or 365d; without this until revoked
        #[arg(long, value_name = "SPAN", value_parser = span)]
        expires: Option<Duration>,
        /// Where only one token lives at a time: how long the one before stays good, such as 5m; without this it ends at once
        #[arg(long, value_name = "SPAN", value_parser = span)]
        overlap: Option<Duration>,
        /// Print id and token as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens, revoked and expired ones too
    #[command(after_help = "Example: portcullis token list --config portcullis.toml --tenant acme")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token for good
    #[command(after_help = "Example: portcullis token revoke --config portcullis.toml --tenant acme tAbC123")]
    Revoke {
        /// Where
        #[command(flatten)]
        at: At,
        /// The token's id, as `token list` shows it
        id: String,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let (Action::Issue { at, .. } | Action::List { at, .. } | Action::Revoke { at, .. }) = &action;
    let place = Place::open(at, world).await?;
    let outcome = match action {
        Action::Issue { name, expires, overlap, json, .. } => {
            issue(&place, name.trim(), expires, overlap, json, world).await
        }
        Action::List { json, .. } => list(&place, json, world).await,
        Action::Revoke { id, .. } => revoke(&place, &id, world).await,
    };
    place.close().await;
    outcome.map(|()| Exit::Done)
}

async fn issue(
    place: &Place,
    name: &str,
    expires: Option<Duration>,
    overlap: Option<Duration>,
    json: bool,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    let dialect = &place.tenant.dialect;
    let Some(door) = dialect.secret_tokens else {
        return Err(Failure::failed(format!(
            "tenant `{}` speaks `{}`, whose identity providers come in by OAuth and not with a secret token; \
             use `portcullis client add`",
            place.name(),
            dialect.name
        )));
    };
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Failure::failed(format!(
            "--name has at most {MAX_NAME} characters and no control characters among them"
        )));
    }
    if overlap.is_some() && !door.single {
        return Err(Failure::failed(format!(
            "--overlap is for dialects with one token at a time; of `{}` several live side by side, and `portcullis token revoke` ends one",
            dialect.name
        )));
    }
    // A letter in front, so that no id looks like a flag.
    let id = format!("t{}", world.random.text::<12>());
    let (text, digest, prefix) = match door.form {
        SecretForm::Prefixed => {
            let token = opaque::mint(Kind::SecretToken, &world.random);
            let (digest, prefix) = (token.digest(), opaque::public_prefix(&token));
            (token, digest, prefix)
        }
        SecretForm::Base64Pair => {
            let pair = opaque::mint_pair(&id, &world.random);
            (pair.text, pair.digest, pair.prefix)
        }
    };
    let now = world.clock.now();
    let replaced = door.single && place.store.secret_tokens(place.name()).await?.iter().any(|token| !token.revoked);
    let token = SecretToken {
        id,
        tenant: place.name().to_owned(),
        name: name.to_owned(),
        digest,
        prefix,
        created: now,
        expires: expires.map(|span| now.after(span)),
        last_used: None,
        revoked: false,
    };
    place.store.issue_secret_token(&token, door.single.then_some(overlap.unwrap_or_default())).await?;
    place.record(world, "tokens.issue", &token.id);
    if json {
        writeln!(world.out, "{}", json!({"id": token.id, "token": text.expose()}))?;
    } else {
        writeln!(world.out, "id:    {}", token.id)?;
        writeln!(world.out, "token: {}", text.expose())?;
        writeln!(world.err, "The token is not kept and will not be shown again.")?;
    }
    match overlap {
        _ if !replaced => {}
        None => writeln!(world.err, "`{}` has one token at a time: the one before is revoked.", dialect.name)?,
        Some(overlap) => {
            let end = table::time(now.after(overlap));
            writeln!(world.err, "`{}` has one token at a time: the one before ends at {end}.", dialect.name)?;
        }
    }
    Ok(())
}

async fn list(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let tokens = place.store.secret_tokens(place.name()).await?;
    let now = world.clock.now();
    if json {
        let list: Vec<_> = tokens
            .iter()
            .map(|token| {
                let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
                json!({
                    "id": token.id,
                    "name": token.name,
                    "prefix": token.prefix,
                    "state": state(token, now),
                    "created": token.created.to_string(),
                    "expires": text(token.expires),
                    "last_used": text(token.last_used),
                })
            })
            .collect();
        writeln!(world.out, "{}", json!(list))?;
        return Ok(());
    }
    if tokens.is_empty() {
        writeln!(world.err, "tenant `{}` has no secret tokens; issue one with `portcullis token issue`", place.name())?;
        return Ok(());
    }
    let mut table = table::new(&["ID", "NAME", "TOKEN", "STATE", "ISSUED", "EXPIRES", "LAST USED"]);
    for token in tokens {
        table.add_row([
            token.id.clone(),
            token.name.clone(),
            format!("{}…", token.prefix),
            state(&token, now).to_owned(),
            table::time(token.created),
            table::maybe(token.expires),
            table::maybe(token.last_used),
        ]);
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(())
}

async fn revoke(place: &Place, id: &str, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.store.revoke_secret_token(place.name(), id).await? {
        return Err(Failure::failed(format!(
            "tenant `{}` has no secret token `{id}`; `portcullis token list` shows those it has",
            place.name()
        )));
    }
    place.record(world, "tokens.revoke", id);
    writeln!(world.out, "token `{id}` is revoked")?;
    Ok(())
}

fn state(token: &SecretToken, now: Timestamp) -> &'static str {
    match token.expires {
        _ if token.revoked => "revoked",
        Some(at) if at <= now => "expired",
        _ => "active",
    }
}

/// A span of time such as `12h` or `365d`; a day is 24 hours.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a span of time such as 12h or 365d".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(span).ok().filter(|span| !span.is_zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, hours) in [("365d", 365 * 24), ("12h", 12), ("1d 1h", 25)] {
            assert_eq!(span(text), Ok(Duration::from_hours(hours)), "{text}");
        }
        for text in ["", "365", "0d", "-1d", "1y", "2mo", "soon", "99999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
