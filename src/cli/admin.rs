//! `portcullis admin`: administrators of a tenant, who sign in to approve an Access Request.
//!
//! Those whom another system vouches for are written down at their first sign-in; they can be listed, barred and forgotten here, but
//! have no password to change. A name that several sources know is told apart by its number.

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::{At, Exit, Failure, World, table};
use crate::oauth::Role;
use crate::oauth::password::NewPassword;
use crate::store::{Administrator, Source, StoreError};

const MAX_NAME: usize = 254;

/// What may be done with administrators.
#[derive(Subcommand)]
pub enum Action {
    /// Add an administrator; the password is asked for, or read from standard input
    #[command(after_help = "Example: portcullis admin add --config portcullis.toml --tenant acme kim@example.com")]
    Add {
        /// Where
        #[command(flatten)]
        at: At,
        /// What they may do: super_user and account_admin approve Access Requests, a viewer does not
        #[arg(long, default_value_t = Role::SuperUser)]
        role: Role,
        /// The name they sign in with, usually an e-mail address
        username: String,
        /// Print what was added as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the administrators
    #[command(after_help = "Example: portcullis admin list --config portcullis.toml --tenant acme --json")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give an administrator a new password; ends their sessions and the access they approved
    #[command(
        after_help = "Example: portcullis admin password --config portcullis.toml --tenant acme kim@example.com < password.txt"
    )]
    Password {
        /// Where
        #[command(flatten)]
        at: At,
        /// The name they sign in with
        username: String,
    },
    /// Disable an administrator, who cannot sign in then; ends their sessions and the access they approved
    #[command(after_help = "Example: portcullis admin disable --config portcullis.toml --tenant acme kim@example.com")]
    Disable {
        /// Where
        #[command(flatten)]
        at: At,
        /// The name they sign in with, or their number in the list, such as #7
        username: String,
    },
    /// Let a disabled administrator sign in again; the access they had approved stays ended
    #[command(after_help = "Example: portcullis admin enable --config portcullis.toml --tenant acme kim@example.com")]
    Enable {
        /// Where
        #[command(flatten)]
        at: At,
        /// The name they sign in with, or their number in the list, such as #7
        username: String,
    },
    /// Forget an administrator; ends their sessions and the access they approved
    ///
    /// One whom another system vouches for is known again when they next sign in; to bar them, disable them.
    #[command(after_help = "Example: portcullis admin remove --config portcullis.toml --tenant acme kim@example.com")]
    Remove {
        /// Where
        #[command(flatten)]
        at: At,
        /// The name they sign in with, or their number in the list, such as #7
        username: String,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let (Action::Add { at, .. }
    | Action::List { at, .. }
    | Action::Password { at, .. }
    | Action::Disable { at, .. }
    | Action::Enable { at, .. }
    | Action::Remove { at, .. }) = &action;
    let place = Place::open(at, world).await?;
    let outcome = match action {
        Action::Add { role, username, json, .. } => add(&place, role, username.trim(), json, world).await,
        Action::List { json, .. } => list(&place, json, world).await,
        Action::Password { username, .. } => password(&place, username.trim(), world).await,
        Action::Disable { username, .. } => disable(&place, username.trim(), world).await,
        Action::Enable { username, .. } => enable(&place, username.trim(), world).await,
        Action::Remove { username, .. } => remove(&place, username.trim(), world).await,
    };
    place.close().await;
    outcome.map(|()| Exit::Done)
}

async fn add(place: &Place, role: Role, username: &str, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let tenant = place.name();
    if username.is_empty() || username.chars().count() > MAX_NAME || username.chars().any(char::is_control) {
        return Err(Failure::failed(format!(
            "a user name has 1 to {MAX_NAME} characters and no control characters among them"
        )));
    }
    let taken = || Failure::failed(format!("tenant `{tenant}` already has an administrator `{username}`"));
    // Asked before the password is typed, and answered again by the insert.
    if place.store.administrator(tenant, username).await?.is_some() {
        return Err(taken());
    }
    let hash = new_password(username, world)?;
    let id = match place.store.add_administrator(tenant, username, role, &hash).await {
        Err(StoreError::Exists(_)) => return Err(taken()),
        outcome => outcome?,
    };
    place.record(world, "administrators.add", id.to_string());
    if json {
        writeln!(world.out, "{}", json!({"id": id, "username": username, "role": role.as_str()}))?;
    } else {
        writeln!(world.out, "{username} is now {role} of `{tenant}`")?;
    }
    Ok(())
}

async fn list(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let administrators = place.store.administrators(place.name()).await?;
    if json {
        let list: Vec<_> = administrators
            .iter()
            .map(|found| {
                json!({
                    "id": found.id,
                    "username": found.username,
                    "source": found.source.to_string(),
                    "role": found.role.as_str(),
                    "disabled": found.disabled,
                    "created": found.created.to_string(),
                })
            })
            .collect();
        writeln!(world.out, "{}", json!(list))?;
        return Ok(());
    }
    if administrators.is_empty() {
        writeln!(world.err, "tenant `{}` has no administrators; add one with `portcullis admin add`", place.name())?;
        return Ok(());
    }
    let mut table = table::new(&["#", "USER NAME", "ROLE", "STATE", "SOURCE", "ADDED"]);
    for found in administrators {
        let state = if found.disabled { "disabled" } else { "active" };
        let (number, source) = (format!("#{}", found.id), found.source.to_string());
        let added = table::time(found.created);
        table.add_row([&number, found.username.as_str(), found.role.as_str(), state, &source, &added]);
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(())
}

async fn password(place: &Place, username: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let found = find(place, username).await?;
    if found.source != Source::Local {
        let (name, source) = (&found.username, &found.source);
        return Err(Failure::failed(format!("{name} has no password here: {source} vouches for them")));
    }
    let hash = new_password(&found.username, world)?;
    if !place.store.set_password(place.name(), found.id, &hash).await? {
        return Err(unknown(place, username));
    }
    place.record(world, "administrators.password", found.id.to_string());
    writeln!(
        world.out,
        "{} has a new password; their sessions and the access they approved have ended",
        found.username
    )?;
    Ok(())
}

async fn disable(place: &Place, username: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let found = find(place, username).await?;
    if !place.store.disable_administrator(place.name(), found.id).await? {
        return Err(unknown(place, username));
    }
    place.record(world, "administrators.disable", found.id.to_string());
    writeln!(world.out, "{} can no longer sign in; the access they approved has ended", found.username)?;
    Ok(())
}

async fn enable(place: &Place, username: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let found = find(place, username).await?;
    if !place.store.enable_administrator(place.name(), found.id).await? {
        return Err(unknown(place, username));
    }
    place.record(world, "administrators.enable", found.id.to_string());
    writeln!(world.out, "{} can sign in again; access they had approved has to be approved anew", found.username)?;
    Ok(())
}

async fn remove(place: &Place, username: &str, world: &mut World<'_>) -> Result<(), Failure> {
    let found = find(place, username).await?;
    if !place.store.remove_administrator(place.name(), found.id).await? {
        return Err(unknown(place, username));
    }
    place.record(world, "administrators.remove", found.id.to_string());
    writeln!(world.out, "{} is forgotten; the access they approved has ended", found.username)?;
    Ok(())
}

/// The administrator of that name, a local one first, or of that number (`#7`).
async fn find(place: &Place, username: &str) -> Result<Administrator, Failure> {
    if let Some(found) = place.store.administrator(place.name(), username).await? {
        return Ok(found);
    }
    let number = username.strip_prefix('#').and_then(|number| number.parse::<i64>().ok());
    let name = username.to_lowercase();
    let is_meant = |found: &Administrator| match number {
        Some(number) => found.id == number,
        None => found.username.to_lowercase() == name,
    };
    let mut found: Vec<_> = place.store.administrators(place.name()).await?.into_iter().filter(is_meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(unknown(place, username)),
        (Some(last), false) => {
            let numbers: Vec<_> = found.iter().chain([&last]).map(|found| format!("#{}", found.id)).collect();
            let numbers = numbers.join(" and ");
            Err(Failure::failed(format!("several are called `{username}`: name one by its number, {numbers}")))
        }
    }
}

fn unknown(place: &Place, username: &str) -> Failure {
    Failure::failed(format!(
        "tenant `{}` has no administrator `{username}`; `portcullis admin list` shows those it has",
        place.name()
    ))
}

fn new_password(username: &str, world: &mut World<'_>) -> Result<String, Failure> {
    let password = (world.password)(&format!("New password of {username}"))?;
    let password = NewPassword::new(password).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(password.hash(&world.random))
}
