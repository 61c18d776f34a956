//! `portcullis client list`.

use serde_json::json;

use super::super::place::Place;
use super::super::{Failure, World, table};
use super::secret;
use crate::oauth::Door;

pub(super) async fn run(place: &Place, json: bool, world: &mut World<'_>) -> Result<(), Failure> {
    let clients = place.store.clients(place.name()).await?;
    let now = world.clock.now();
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
                    "doors": client.doors.iter().map(Door::as_str).collect::<Vec<_>>(),
                    "secrets": secret::as_json(client, now),
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
    let mut table = table::new(&["ID", "NAME", "STATE", "DOORS", "SCOPES", "SECRETS", "REDIRECT URIS"]);
    let mut expiring = false;
    for client in clients {
        let state = if client.disabled { "disabled" } else { "active" };
        let doors = client.doors.iter().map(Door::as_str).collect::<Vec<_>>().join("\n");
        let mut secrets = Vec::new();
        for (index, one) in client.secrets.iter().enumerate() {
            let state = secret::state(&client, index, now);
            let until = one.expires.map(|at| format!(" until {}", day(&table::time(at)))).unwrap_or_default();
            let remark = if state == "active" { String::new() } else { format!(", {}", state.to_uppercase()) };
            expiring |= state == "expires soon";
            secrets.push(format!("{}…{until}{remark}", one.prefix));
        }
        let secrets = match secrets.as_slice() {
            [] if client.public => "public".to_owned(),
            [] => "-".to_owned(),
            secrets => secrets.join("\n"),
        };
        let uris = client.redirect_uris.join("\n");
        table.add_row([&client.id, &client.name, state, &doors, &client.scopes.join(" "), &secrets, &uris]);
    }
    write!(world.out, "{}", table::text(&table))?;
    if expiring {
        writeln!(
            world.err,
            "A secret expires within 60 days: `portcullis client secret add` makes its successor; enter that at the identity provider."
        )?;
    }
    Ok(())
}

fn day(time: &str) -> &str {
    time.split(' ').next().unwrap_or(time)
}
