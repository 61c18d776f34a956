//! `portcullis client show`: one client, its doors, and which of them can be closed (the rule: [`crate::oauth::door::closable`]).

use serde_json::{Value, json};

use super::super::place::Place;
use super::super::{Failure, World, table};
use super::secret;
use crate::http::authenticate::ENTRA_TOKENS;
use crate::oauth::Door;
use crate::oauth::door::{Closable, closable, closable_door};
use crate::store::Client;
use crate::types::Timestamp;

/// One of the client's doors.
pub(super) struct Judged {
    pub door: Door,
    pub open: bool,
    pub last_used: Option<Timestamp>,
    pub closable: Closable,
}

/// A way in that belongs to the tenant and not to a client.
struct Shared {
    name: &'static str,
    open: bool,
    last_used: Option<Timestamp>,
}

/// When the doors were last used.
struct Uses {
    own: Vec<(Door, Timestamp)>,
    shared: [Shared; 2],
}

impl Uses {
    async fn of(place: &Place, client: &Client, now: Timestamp) -> Result<Self, Failure> {
        let own = place.store.door_uses(place.name(), &client.id).await?;
        let own = own.into_iter().filter_map(|(name, at)| Some((Door::named(&name)?, at))).collect();
        let tokens = place.store.secret_tokens(place.name()).await?;
        let live = |expires: Option<Timestamp>| expires.is_none_or(|expires| now < expires);
        let good = tokens.iter().filter(|token| !token.revoked && live(token.expires));
        let entra = place.store.door_uses(place.name(), "").await?;
        let entra = entra.into_iter().find(|(name, _)| name == ENTRA_TOKENS).map(|(_, at)| at);
        let shared = [
            Shared {
                name: "secret_tokens",
                open: good.clone().next().is_some(),
                last_used: tokens.iter().filter_map(|token| token.last_used).max(),
            },
            Shared { name: ENTRA_TOKENS, open: place.tenant.doors.entra_tokens.is_some(), last_used: entra },
        ];
        Ok(Self { own, shared })
    }

    fn last(&self, door: Door) -> Option<Timestamp> {
        self.own.iter().find(|(used, _)| *used == door).map(|(_, at)| *at)
    }

    /// The latest use of the tenant's own open doors, but for that called `except`.
    fn shared(&self, except: &str) -> Option<Timestamp> {
        self.shared.iter().filter(|door| door.open && door.name != except).filter_map(|door| door.last_used).max()
    }

    fn judge(&self, client: &Client, now: Timestamp) -> Vec<Judged> {
        let shared = self.shared("");
        let one = |door| {
            let closable = closable_door(door, client.doors, |door| self.last(door), shared, now);
            Judged { door, open: client.doors.has(door), last_used: self.last(door), closable }
        };
        Door::ALL.into_iter().map(one).collect()
    }

    /// The tenant's own doors, and whether they can be closed as far as this client is concerned.
    fn judge_shared(&self, client: &Client, now: Timestamp) -> Vec<(&Shared, Closable)> {
        let own = client.doors.iter().filter_map(|door| self.last(door)).max();
        let one = |door| (door, closable(Shared::last(door), own.max(self.shared(door.name)), now));
        self.shared.iter().map(one).collect()
    }
}

impl Shared {
    fn last(&self) -> Option<Timestamp> {
        self.last_used
    }
}

/// The client's doors, each judged.
pub(super) async fn judge(place: &Place, client: &Client, now: Timestamp) -> Result<Vec<Judged>, Failure> {
    Ok(Uses::of(place, client, now).await?.judge(client, now))
}

/// Whether the configuration has what the door needs.
pub(super) fn is_configured(place: &Place, id: &str, door: Door) -> bool {
    match door {
        Door::Federation => place.tenant.doors.federation.contains_key(id),
        Door::PrivateKeyJwt => place.tenant.doors.private_key_jwt.contains_key(id),
        Door::Code | Door::Refresh | Door::ClientCredentials => true,
    }
}

pub(super) async fn run(place: &Place, id: &str, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let client = super::client(place, id).await?;
    let now = world.clock.now();
    let uses = Uses::of(place, &client, now).await?;
    let (own, shared) = (uses.judge(&client, now), uses.judge_shared(&client, now));
    if json {
        writeln!(world.out, "{}", as_json(place, &client, &own, &shared, now))?;
        return Ok(());
    }
    writeln!(world.out, "client:        {id} ({})", client.name)?;
    let kind = if client.public { "public" } else { "confidential" };
    writeln!(world.out, "state:         {}, {kind}", if client.disabled { "disabled" } else { "active" })?;
    writeln!(world.out, "scopes:        {}", client.scopes.join(" "))?;
    for uri in &client.redirect_uris {
        writeln!(world.out, "redirect URI:  {uri}")?;
    }
    writeln!(world.out)?;
    let mut doors = table::new(&["DOOR", "STATE", "LAST USED", "CAN BE CLOSED"]);
    for door in &own {
        let state = match door.open {
            false => "closed",
            true if !is_configured(place, id, door.door) => "open, not configured",
            true => "open",
        };
        doors.add_row([door.door.as_str(), state, &table::maybe(door.last_used), &advice(door.open, door.closable)]);
    }
    for (door, closable) in shared.iter().filter(|(door, _)| door.open || door.last_used.is_some()) {
        let state = if door.open { "open to the tenant" } else { "closed" };
        doors.add_row([door.name, state, &table::maybe(door.last_used), &advice(door.open, *closable)]);
    }
    write!(world.out, "{}", table::text(&doors))?;
    if !client.secrets.is_empty() {
        writeln!(world.out)?;
        write!(world.out, "{}", table::text(&secret::rows(&client, now)))?;
    }
    Ok(())
}

fn advice(open: bool, closable: Closable) -> String {
    match (open, closable.safe) {
        (false, _) => "-".to_owned(),
        (true, safe) => format!("{}: {}", if safe { "yes" } else { "no" }, closable.reason),
    }
}

fn as_json(place: &Place, client: &Client, own: &[Judged], shared: &[(&Shared, Closable)], now: Timestamp) -> Value {
    let door = |name: &str, open: bool, last_used: Option<Timestamp>, closable: Closable| {
        json!({
            "door": name,
            "open": open,
            "last_used": last_used.map(|at| at.to_string()),
            "closable": open && closable.safe,
            "reason": open.then_some(closable.reason),
        })
    };
    let own: Vec<Value> = own
        .iter()
        .map(|judged| {
            let mut one = door(judged.door.as_str(), judged.open, judged.last_used, judged.closable);
            one["configured"] = is_configured(place, &client.id, judged.door).into();
            one
        })
        .collect();
    let shared: Vec<Value> =
        shared.iter().map(|(one, closable)| door(one.name, one.open, one.last_used, *closable)).collect();
    json!({
        "id": client.id,
        "name": client.name,
        "public": client.public,
        "disabled": client.disabled,
        "scopes": client.scopes,
        "redirect_uris": client.redirect_uris,
        "created": client.created.to_string(),
        "doors": own,
        "tenant_doors": shared,
        "secrets": secret::as_json(client, now),
    })
}
