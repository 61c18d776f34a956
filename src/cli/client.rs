//! `portcullis client`: OAuth clients of a tenant, one for each identity provider that asks for access.

mod list;
mod redirect;
pub mod secret;
mod show;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;

use super::place::Place;
use super::token::span;
use super::{At, Exit, Failure, World};
use crate::oauth::{Door, Doors};
use crate::store::Client;
use secret::Expires;

/// Where Entra receives codes (Amazon Business's tutorial; the admin center's own landing page).
pub const ENTRA: [&str; 2] = ["https://portal.azure.com/TokenAuthorize", "https://entra.microsoft.com/TokenAuthorize"];
const SCOPES: [&str; 2] = ["scim.read", "scim.write"];
const MAX_NAME: usize = 100;

/// The names of doors, for a flag.
fn doors() -> PossibleValuesParser {
    PossibleValuesParser::new(Door::ALL.map(Door::as_str))
}

/// What may be done with clients.
#[derive(Subcommand)]
pub enum Action {
    /// Register a client; its secret is shown once
    #[command(after_help = "\
Example: portcullis client add --config portcullis.toml --tenant acme --name Entra --entra

For a new connection of Entra, without a browser:
  portcullis client add … --name Entra --door client_credentials")]
    Add {
        /// Where
        #[command(flatten)]
        at: At,
        /// What the Access Request page calls it
        #[arg(long)]
        name: String,
        /// Where codes may be sent, compared exactly; may be given several times
        #[arg(long = "redirect-uri", value_name = "URI", required_unless_present_any = ["entra", "doors"])]
        redirect_uris: Vec<String>,
        /// What it may ask for, scim.read or scim.write; both without this
        #[arg(long = "scope", value_name = "SCOPE", value_parser = SCOPES)]
        scopes: Vec<String>,
        /// How it may come to an access token; may be given several times. Without this: code and refresh, and unless it is public
        /// client_credentials
        #[arg(long = "door", id = "doors", value_name = "DOOR", value_parser = doors())]
        doors: Vec<String>,
        /// It cannot keep a secret and uses PKCE instead
        #[arg(long)]
        public: bool,
        /// Add the redirect URIs of Microsoft Entra
        #[arg(long)]
        entra: bool,
        /// How long its secret is good, such as 365d, or never
        #[arg(long, value_name = "SPAN", default_value = "730d")]
        expires: Expires,
        /// Print id and secret as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the clients
    #[command(after_help = "Example: portcullis client list --config portcullis.toml --tenant acme")]
    List {
        /// Where
        #[command(flatten)]
        at: At,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one client: its secrets, when each door was last used, and which can be closed safely
    #[command(after_help = "\
Example: portcullis client show --config portcullis.toml --tenant acme cAbC123 --json

A door can be closed safely when another open door has been used since, and it has not been used for 30 days or never.
Codes and refresh tokens count as one way in. Last uses are known to the minute.")]
    Show {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Open doors to a client, beside those that are open
    #[command(
        after_help = "Example: portcullis client open --config portcullis.toml --tenant acme cAbC123 client_credentials"
    )]
    Open {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Which
        #[arg(required = true, value_name = "DOOR", value_parser = doors())]
        doors: Vec<String>,
    },
    /// Close doors of a client: nothing new comes through; access tokens that did run out by themselves
    #[command(after_help = "\
Example: portcullis client close --config portcullis.toml --tenant acme cAbC123 code refresh
`portcullis client show` tells which doors can be closed without anybody noticing.")]
    Close {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Which
        #[arg(required = true, value_name = "DOOR", value_parser = doors())]
        doors: Vec<String>,
    },
    /// Secrets of a client: several may be good at once
    #[command(subcommand)]
    Secret(secret::Action),
    /// Give a client a new secret, shown once, in place of those it has
    #[command(after_help = "\
Example: portcullis client rotate --config portcullis.toml --tenant acme cAbC123

Without a gap:
  portcullis client rotate … --keep-old cAbC123
  enter the new secret at the identity provider, then
  portcullis client rotate … --drop-old cAbC123
Or, with an end set beforehand:
  portcullis client rotate … --overlap 7d cAbC123")]
    Rotate {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Leave the secrets it has good
        #[arg(long)]
        keep_old: bool,
        /// Leave the secrets it has good for this long, such as 7d
        #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "keep_old")]
        overlap: Option<std::time::Duration>,
        /// Make no new secret; end all but the newest
        #[arg(long, conflicts_with_all = ["keep_old", "overlap", "expires"])]
        drop_old: bool,
        /// How long the new secret is good, such as 365d, or never
        #[arg(long, value_name = "SPAN", default_value = "730d")]
        expires: Expires,
        /// Print what came of it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Disable a client; ends the access it was given
    #[command(after_help = "Example: portcullis client disable --config portcullis.toml --tenant acme cAbC123")]
    Disable {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
    },
    /// Let a disabled client in again; the access it had does not come back
    #[command(after_help = "Example: portcullis client enable --config portcullis.toml --tenant acme cAbC123")]
    Enable {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
    },
    /// Remove a client; ends the access it was given
    #[command(after_help = "Example: portcullis client remove --config portcullis.toml --tenant acme cAbC123")]
    Remove {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
    },
}

impl Action {
    fn at(&self) -> &At {
        match self {
            Self::Add { at, .. }
            | Self::List { at, .. }
            | Self::Show { at, .. }
            | Self::Open { at, .. }
            | Self::Close { at, .. }
            | Self::Rotate { at, .. }
            | Self::Disable { at, .. }
            | Self::Enable { at, .. }
            | Self::Remove { at, .. } => at,
            Self::Secret(action) => action.at(),
        }
    }
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let place = Place::open(action.at(), world).await?;
    let outcome = match action {
        Action::Add { name, mut redirect_uris, scopes, doors, public, entra, expires, json, .. } => {
            if entra {
                redirect_uris.extend(ENTRA.map(str::to_owned));
            }
            add(&place, Wanted { name, redirect_uris, scopes, doors, public, expires }, json, world).await
        }
        Action::List { json, .. } => list::run(&place, json, world).await,
        Action::Show { id, json, .. } => show::run(&place, &id, json, world).await,
        Action::Open { id, doors, .. } => open(&place, &id, &doors, world).await,
        Action::Close { id, doors, .. } => close(&place, &id, &doors, world).await,
        Action::Secret(action) => secret::run(&place, action, world).await,
        Action::Rotate { id, drop_old: true, json, .. } => secret::drop_old(&place, &id, json, world).await,
        Action::Rotate { id, keep_old, overlap, expires, json, .. } => {
            let others = secret::others(keep_old, overlap, world);
            secret::give(&place, &id, others, expires, "clients.rotate", json, world).await
        }
        Action::Disable { id, .. } => disable(&place, &id, world).await,
        Action::Enable { id, .. } => enable(&place, &id, world).await,
        Action::Remove { id, .. } => remove(&place, &id, world).await,
    };
    place.close().await;
    outcome.map(|()| Exit::Done)
}

struct Wanted {
    name: String,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
    doors: Vec<String>,
    public: bool,
    expires: Expires,
}

async fn add(place: &Place, wanted: Wanted, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.tenant.dialect.oauth {
        return Err(Failure::failed(format!(
            "tenant `{}` speaks `{}`, whose identity providers hold a secret token and not an OAuth grant; \
             use `portcullis token issue`",
            place.name(),
            place.tenant.dialect.name
        )));
    }
    let name = wanted.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Failure::failed(format!(
            "--name has 1 to {MAX_NAME} characters and no control characters among them"
        )));
    }
    let mut redirect_uris: Vec<String> = Vec::new();
    for uri in wanted.redirect_uris {
        redirect::check(&uri).map_err(|reason| Failure::failed(format!("--redirect-uri {uri}: {reason}")))?;
        if !redirect_uris.contains(&uri) {
            redirect_uris.push(uri);
        }
    }
    let doors = match named(&wanted.doors) {
        Doors::NONE if wanted.public => Doors::PUBLIC,
        Doors::NONE => Doors::CONFIDENTIAL,
        doors => doors,
    };
    if wanted.public {
        fit_public(doors)?;
    }
    if doors.has(Door::Code) && redirect_uris.is_empty() {
        return Err(Failure::failed("the door `code` needs a --redirect-uri (or --entra) to send codes to"));
    }
    let scopes = SCOPES
        .into_iter()
        .filter(|scope| wanted.scopes.is_empty() || wanted.scopes.iter().any(|wanted| wanted == scope))
        .map(str::to_owned)
        .collect();
    // Whoever proves itself by assertions only has no use for a secret; `client secret add` makes one later.
    let by_assertion = doors.has(Door::Federation) || doors.has(Door::PrivateKeyJwt);
    let with_secret = !wanted.public && (doors.has(Door::ClientCredentials) || !by_assertion);
    let (secret, kept) = with_secret.then(|| secret::new(wanted.expires, world)).unzip();
    let client = Client {
        // A letter in front, so that no id looks like a flag. Short, because it stands in every access token, twice in some, and those
        // have 400 characters (design decision 7); nothing hangs on its being hard to guess.
        id: format!("c{}", world.random.text::<6>()),
        tenant: place.name().to_owned(),
        name: name.to_owned(),
        redirect_uris,
        scopes,
        secrets: kept.into_iter().collect(),
        public: wanted.public,
        doors,
        disabled: false,
        created: world.clock.now(),
    };
    place.store.add_client(&client).await?;
    place.record(world, "clients.add", &client.id);
    secret::show(&client.id, secret.as_ref(), client.secrets.first(), json, world)?;
    unconfigured(place, &client.id, doors, world)
}

async fn open(place: &Place, id: &str, doors: &[String], world: &mut World<'_>) -> Result<(), Failure> {
    let client = client(place, id).await?;
    let doors = named(doors).iter().fold(client.doors, Doors::with);
    if client.public {
        fit_public(doors)?;
    }
    if doors.has(Door::Code) && client.redirect_uris.is_empty() {
        return Err(Failure::failed(format!(
            "client `{id}` has no redirect URI to send codes to; add another with `portcullis client add --redirect-uri …`"
        )));
    }
    set(place, &client, doors, "clients.open", world).await?;
    if doors.has(Door::ClientCredentials) && client.secrets.is_empty() {
        writeln!(world.err, "It has no secret yet: `portcullis client secret add` makes one.")?;
    }
    unconfigured(place, id, doors, world)
}

async fn close(place: &Place, id: &str, doors: &[String], world: &mut World<'_>) -> Result<(), Failure> {
    let client = client(place, id).await?;
    let left = named(doors).iter().fold(client.doors, Doors::without);
    let judged = show::judge(place, &client, world.clock.now()).await?;
    for door in judged.iter().filter(|door| door.open && !left.has(door.door) && !door.closable.safe) {
        writeln!(world.err, "`{}` may be missed: {}.", door.door.as_str(), door.closable.reason)?;
    }
    set(place, &client, left, "clients.close", world).await
}

async fn set(
    place: &Place,
    client: &Client,
    doors: Doors,
    operation: &str,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    let id = &client.id;
    if !place.store.set_doors(place.name(), id, doors).await? {
        return Err(unknown(place, id));
    }
    place.record(world, operation, id);
    let open: Vec<_> = doors.iter().map(Door::as_str).collect();
    let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
    writeln!(world.out, "client `{id}`: open doors are {open}")?;
    Ok(())
}

/// The doors of these names, which clap has checked.
fn named(names: &[String]) -> Doors {
    names.iter().filter_map(|name| Door::named(name)).fold(Doors::NONE, Doors::with)
}

fn fit_public(doors: Doors) -> Result<(), Failure> {
    match doors.iter().find(|door| !Doors::PUBLIC.has(*door)) {
        None => Ok(()),
        Some(door) => Err(Failure::failed(format!(
            "a public client proves nothing, so it cannot come by `{}`; there are code and refresh",
            door.as_str()
        ))),
    }
}

/// Says which open doors lead nowhere until the configuration says whom to trust.
fn unconfigured(place: &Place, id: &str, doors: Doors, world: &mut World<'_>) -> Result<(), Failure> {
    for door in doors.iter().filter(|door| !show::is_configured(place, id, *door)) {
        let keys = match door {
            Door::Federation => "`issuer` or `tenant_id`, `audience` and `subject`",
            _ => "`keys` or `keys_url`",
        };
        let (tenant, door) = (place.name(), door.as_str());
        writeln!(
            world.err,
            "The configuration must say whom to trust: [tenants.{tenant}.doors.{door}.{id}] with {keys}."
        )?;
    }
    Ok(())
}

async fn client(place: &Place, id: &str) -> Result<Client, Failure> {
    place.store.client(place.name(), id).await?.ok_or_else(|| unknown(place, id))
}

async fn disable(place: &Place, id: &str, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.store.disable_client(place.name(), id).await? {
        return Err(unknown(place, id));
    }
    place.record(world, "clients.disable", id);
    writeln!(world.out, "client `{id}` is barred; the access it was given has ended")?;
    Ok(())
}

async fn enable(place: &Place, id: &str, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.store.enable_client(place.name(), id).await? {
        return Err(unknown(place, id));
    }
    place.record(world, "clients.enable", id);
    writeln!(world.out, "client `{id}` may come again; the access it had has not come back")?;
    Ok(())
}

async fn remove(place: &Place, id: &str, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.store.remove_client(place.name(), id).await? {
        return Err(unknown(place, id));
    }
    place.record(world, "clients.remove", id);
    writeln!(world.out, "client `{id}` is removed; the access it was given has ended")?;
    Ok(())
}

fn unknown(place: &Place, id: &str) -> Failure {
    Failure::failed(format!(
        "tenant `{}` has no client `{id}`; `portcullis client list` shows those it has",
        place.name()
    ))
}
