//! `portcullis client`: OAuth clients of a tenant, one for each identity provider that asks for access.

use clap::Subcommand;
use serde_json::json;
use url::{Host, Url};

use super::place::Place;
use super::{At, Exit, Failure, World, table};
use crate::oauth::opaque::{self, Kind};
use crate::store::{Client, ClientSecret};
use crate::types::Secret;

/// Where Entra receives codes (Amazon Business's tutorial; the admin center's own landing page).
pub const ENTRA: [&str; 2] = ["https://portal.azure.com/TokenAuthorize", "https://entra.microsoft.com/TokenAuthorize"];
const SCOPES: [&str; 2] = ["scim.read", "scim.write"];
const MAX_NAME: usize = 100;
const MAX_URI: usize = 2000;

/// What may be done with clients.
#[derive(Subcommand)]
pub enum Action {
    /// Register a client; its secret is shown once
    #[command(
        after_help = "Example: portcullis client add --config portcullis.toml --tenant acme --name Entra --entra"
    )]
    Add {
        /// Where
        #[command(flatten)]
        at: At,
        /// What the Access Request page calls it
        #[arg(long)]
        name: String,
        /// Where codes may be sent, compared exactly; may be given several times
        #[arg(long = "redirect-uri", value_name = "URI", required_unless_present = "entra")]
        redirect_uris: Vec<String>,
        /// What it may ask for, scim.read or scim.write; both without this
        #[arg(long = "scope", value_name = "SCOPE", value_parser = SCOPES)]
        scopes: Vec<String>,
        /// It cannot keep a secret and uses PKCE instead
        #[arg(long)]
        public: bool,
        /// Add the redirect URIs of Microsoft Entra
        #[arg(long)]
        entra: bool,
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
    /// Give a client a new secret, shown once, in place of those it has
    #[command(after_help = "\
Example: portcullis client rotate --config portcullis.toml --tenant acme cAbC123

Without a gap:
  portcullis client rotate … --keep-old cAbC123
  enter the new secret at the identity provider, then
  portcullis client rotate … --drop-old cAbC123")]
    Rotate {
        /// Where
        #[command(flatten)]
        at: At,
        /// The client's id
        id: String,
        /// Leave the secrets it has good
        #[arg(long)]
        keep_old: bool,
        /// Make no new secret; end all but the newest
        #[arg(long, conflicts_with = "keep_old")]
        drop_old: bool,
        /// Print what came of it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Bar a client; ends the access it was given
    #[command(after_help = "Example: portcullis client disable --config portcullis.toml --tenant acme cAbC123")]
    Disable {
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

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(action: Action, world: &mut World<'_>) -> Result<Exit, Failure> {
    let (Action::Add { at, .. }
    | Action::List { at, .. }
    | Action::Rotate { at, .. }
    | Action::Disable { at, .. }
    | Action::Remove { at, .. }) = &action;
    let place = Place::open(at, world).await?;
    let outcome = match action {
        Action::Add { name, mut redirect_uris, scopes, public, entra, json, .. } => {
            if entra {
                redirect_uris.extend(ENTRA.map(str::to_owned));
            }
            add(&place, Wanted { name, redirect_uris, scopes, public }, json, world).await
        }
        Action::List { json, .. } => list(&place, json, world).await,
        Action::Rotate { id, drop_old: true, json, .. } => drop_old(&place, &id, json, world).await,
        Action::Rotate { id, keep_old, json, .. } => rotate(&place, &id, keep_old, json, world).await,
        Action::Disable { id, .. } => disable(&place, &id, world).await,
        Action::Remove { id, .. } => remove(&place, &id, world).await,
    };
    place.close().await;
    outcome.map(|()| Exit::Done)
}

struct Wanted {
    name: String,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
    public: bool,
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
        check_redirect_uri(&uri).map_err(|reason| Failure::failed(format!("--redirect-uri {uri}: {reason}")))?;
        if !redirect_uris.contains(&uri) {
            redirect_uris.push(uri);
        }
    }
    let scopes = SCOPES
        .into_iter()
        .filter(|scope| wanted.scopes.is_empty() || wanted.scopes.iter().any(|wanted| wanted == scope))
        .map(str::to_owned)
        .collect();
    let (secret, kept) = (!wanted.public).then(|| new_secret(world)).unzip();
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
        disabled: false,
        created: world.clock.now(),
    };
    place.store.add_client(&client).await?;
    place.record(world, "clients.add", &client.id);
    show(&client.id, secret.as_ref(), json, world)
}

async fn list(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let clients = place.store.clients(place.name()).await?;
    if json {
        let list: Vec<_> = clients
            .iter()
            .map(|client| {
                json!({
                    "id": client.id,
                    "name": client.name,
                    "redirect_uris": client.redirect_uris,
                    "scopes": client.scopes,
                    "public": client.public,
                    "disabled": client.disabled,
                    "secrets": client.secrets.iter().map(|secret| json!({
                        "prefix": secret.prefix,
                        "created": secret.created.to_string(),
                        "expires": secret.expires.map(|at| at.to_string()),
                    })).collect::<Vec<_>>(),
                    "created": client.created.to_string(),
                })
            })
            .collect();
        writeln!(world.out, "{}", json!(list))?;
        return Ok(());
    }
    if clients.is_empty() {
        writeln!(world.err, "tenant `{}` has no clients; register one with `portcullis client add`", place.name())?;
        return Ok(());
    }
    let mut table = table::new(&["ID", "NAME", "STATE", "SCOPES", "SECRETS", "REDIRECT URIS"]);
    for client in clients {
        let state = if client.disabled { "disabled" } else { "active" };
        let secrets = match client.secrets.as_slice() {
            [] if client.public => "public".to_owned(),
            [] => "-".to_owned(),
            secrets => secrets.iter().map(|secret| format!("{}…", secret.prefix)).collect::<Vec<_>>().join("\n"),
        };
        let uris = client.redirect_uris.join("\n");
        table.add_row([&client.id, &client.name, state, &client.scopes.join(" "), &secrets, &uris]);
    }
    write!(world.out, "{}", table::text(&table))?;
    Ok(())
}

async fn rotate(place: &Place, id: &str, keep_old: bool, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    confidential(place, id).await?;
    let (secret, kept) = new_secret(world);
    place.store.add_client_secret(place.name(), id, &kept, !keep_old).await?;
    place.record(world, "clients.rotate", id);
    show(id, Some(&secret), json, world)
}

async fn drop_old(place: &Place, id: &str, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
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
    let client = place.store.client(place.name(), id).await?.ok_or_else(|| unknown(place, id))?;
    if client.public {
        return Err(Failure::failed(format!("client `{id}` is public and has no secret to rotate")));
    }
    Ok(())
}

async fn disable(place: &Place, id: &str, world: &mut World<'_>) -> Result<(), Failure> {
    if !place.store.disable_client(place.name(), id).await? {
        return Err(unknown(place, id));
    }
    place.record(world, "clients.disable", id);
    writeln!(world.out, "client `{id}` is barred; the access it was given has ended")?;
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

fn new_secret(world: &World<'_>) -> (Secret, ClientSecret) {
    let secret = opaque::mint(Kind::ClientSecret, &world.random);
    let kept = ClientSecret {
        digest: secret.digest(),
        prefix: opaque::public_prefix(&secret),
        created: world.clock.now(),
        expires: None,
    };
    (secret, kept)
}

/// The only time a secret is seen.
fn show(id: &str, secret: Option<&Secret>, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let secret = secret.map(Secret::expose);
    if json {
        writeln!(world.out, "{}", json!({"client_id": id, "client_secret": secret}))?;
        return Ok(());
    }
    writeln!(world.out, "client id:     {id}")?;
    if let Some(secret) = secret {
        writeln!(world.out, "client secret: {secret}")?;
        writeln!(world.err, "The secret is not kept and will not be shown again.")?;
    }
    Ok(())
}

/// Whether codes may be sent to `uri` (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1): https, http on loopback, or an
/// application's own scheme; absolute and without a fragment.
fn check_redirect_uri(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_URI || uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("a redirect URI has at most 2000 characters, all of them printable ASCII");
    }
    let url = Url::parse(uri).map_err(|_| "this is not an absolute URI")?;
    if uri.contains('#') {
        return Err("a redirect URI has no fragment (RFC 6749 §3.1.2); leave out everything from # on");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a redirect URI names no user; leave out everything up to @");
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("only a loopback address may be plain http; write https"),
        scheme if scheme.contains('.') => Ok(()),
        _ => Err(
            "write an https URI, an http URI on 127.0.0.1, or an application's own scheme such as com.example.app:/callback",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_checked() {
        for good in [
            ENTRA[0],
            ENTRA[1],
            "http://127.0.0.1/callback",
            "http://127.0.0.1:8080/callback?x=1",
            "http://[::1]/callback",
            "http://localhost/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "callback",
            "/callback",
            "http://example.com/callback",
            "http://127.0.0.1.example.com/",
            "https://example.com/#token",
            "https://user@example.com/",
            "https://exa mple.com/",
            "https://example.com/\u{e9}",
            "https://example.com/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            &format!("https://example.com/{}", "x".repeat(2000)),
        ] {
            assert!(check_redirect_uri(bad).is_err(), "{bad}");
        }
    }
}
