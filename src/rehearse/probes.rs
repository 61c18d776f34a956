//! What is asked before and beside the people: Test Connection, the discovery documents (RFC 7644 §4), and how errors look.

use serde_json::{Value, json};

use super::endpoint::{Endpoint, Purpose, list, wants};
use super::people::Mapping;
use super::report::{Check, Trip};
use crate::types::{Random, Secret};
use bytes::Bytes;
use http::{Method, header};

/// A random GUID as Entra makes one up for its probe.
pub(super) fn guid(random: &Random) -> String {
    let mut hex = String::with_capacity(36);
    for (at, byte) in random.bytes::<16>().into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            hex.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    hex
}

/// Test Connection as Entra does it; gives whether the credentials were taken, without which nothing else is worth trying.
/// An error means that not even a connection came about.
pub(super) async fn test_connection(endpoint: &Endpoint<'_>, random: &Random) -> Result<bool, Trip> {
    let report = endpoint.report;
    let mut wrong_token_path = None;
    let mut admitted = true;
    for (check, kind, attribute) in
        [(Check::UsersProbe, "Users", "userName"), (Check::GroupsProbe, "Groups", "displayName")]
    {
        let filter = format!("{attribute} eq \"{}\"", guid(random));
        let more = if kind == "Groups" { "&excludedAttributes=members" } else { "" };
        let outcome = endpoint.query(kind, &filter, more).await;
        if let Err(trip) = &outcome
            && trip.is_unreachable()
        {
            return Err(trip.clone());
        }
        admitted &= !outcome.as_ref().is_ok_and(|answer| kind == "Users" && matches!(answer.status, 401 | 403));
        let outcome = outcome.and_then(|answer| match list(&answer, Purpose::Query)? {
            (0, found) if found.is_empty() => Ok(()),
            (total, _) => Err(Trip::over(
                &answer,
                format!("{total} found for a random value: the filter is not understood"),
                "takes the wrong person for a match and overwrites them",
            )),
        });
        report.note(check, outcome);
        wrong_token_path.get_or_insert_with(|| super::endpoint::query_path(kind, &filter, more));
    }
    let path = wrong_token_path.unwrap_or_default();
    match endpoint.with_token(&path, &Secret::new(format!("wrong-{}", guid(random)))).await {
        Err(trip) => {
            report.note(Check::WrongToken, Err(trip));
        }
        Ok(answer) => {
            let then = "cannot tell the administrator that the token is bad";
            let outcome = match answer.status {
                401 => Ok(()),
                status => Err(Trip::over(&answer, format!("{status} instead of 401"), then)),
            };
            if report.note(Check::WrongToken, outcome) {
                let challenge = answer.header(header::WWW_AUTHENTICATE);
                let bearer = challenge.is_some_and(|text| text.to_ascii_lowercase().starts_with("bearer"));
                let outcome = if bearer { Ok(()) } else { Err(Trip::over(&answer, "no such challenge", "")) };
                report.note(Check::Challenge, outcome);
            }
        }
    }
    Ok(admitted)
}

/// What the discovery documents announce.
pub(super) struct Announced {
    /// What there is to map, if `/Schemas` can be read.
    pub mapping: Option<Mapping>,
    /// Whether there are groups.
    pub groups: bool,
}

/// Reads the discovery documents.
pub(super) async fn discover(endpoint: &Endpoint<'_>) -> Announced {
    let report = endpoint.report;
    let config = document(endpoint, "/ServiceProviderConfig").await.and_then(|(answer, document)| {
        if document["patch"]["supported"] == true {
            Ok(())
        } else {
            Err(Trip::over(&answer, "patch.supported is not true", "sends PATCH all the same; other clients may not"))
        }
    });
    report.note(Check::ProviderConfig, config);
    let mut groups = false;
    let types = document(endpoint, "/ResourceTypes").await.and_then(|(answer, document)| {
        let listed = document["Resources"].as_array().or(document.as_array());
        let lists = |endpoint: &str, name: &str| {
            listed.is_some_and(|all| all.iter().any(|one| one["endpoint"] == *endpoint || one["name"] == *name))
        };
        groups = lists("/Groups", "Group");
        if lists("/Users", "User") { Ok(()) } else { Err(Trip::over(&answer, "no User in it", "")) }
    });
    report.note(Check::ResourceTypes, types);
    let mapping = match document(endpoint, "/Schemas").await {
        Err(trip) => {
            report.note(Check::Schemas, Err(trip));
            None
        }
        Ok((answer, document)) => {
            let mapping = Mapping::announced(&document);
            let then = "shows no attributes to map in its provisioning page";
            let trip = || Trip::over(&answer, "no ListResponse with the core user schema in it", then);
            report.note(Check::Schemas, mapping.map(drop).ok_or_else(trip));
            mapping
        }
    };
    Announced { mapping, groups }
}

async fn document(endpoint: &Endpoint<'_>, path: &str) -> Result<(super::wire::Answer, Value), Trip> {
    let answer = endpoint.get(path).await?;
    wants(&answer, &[200], Purpose::Discovery)?;
    let document = answer.json().ok_or_else(|| Trip::over(&answer, "the body is no JSON", ""))?;
    Ok((answer, document))
}

/// Requests that must fail, and how.
pub(super) async fn errors(endpoint: &Endpoint<'_>, random: &Random) {
    let report = endpoint.report;
    let unknown = format!("/Users/{}", guid(random));
    let outcome = endpoint.get(&unknown).await.and_then(|answer| wants(&answer, &[404], Purpose::Read));
    report.note(Check::UnknownId, outcome);
    let outcome = endpoint.query("Users", "userName eq", "").await.and_then(|answer| {
        wants(&answer, &[400], Purpose::Query)?;
        match answer.json().unwrap_or_default()["scimType"].as_str() {
            Some("invalidFilter") => Ok(()),
            _ => Err(Trip::over(&answer, "scimType is not invalidFilter (RFC 7644 §3.12)", "")),
        }
    });
    report.note(Check::BadFilter, outcome);
    let outcome = endpoint.call_raw(Method::POST, "/Users", Some(Bytes::from_static(b"{\"schemas\":["))).await;
    report.note(Check::BadBody, outcome.and_then(|answer| wants(&answer, &[400], Purpose::Create)));
    // A user name of the wrong kind: had it been taken, there would now be somebody without one.
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ["x"]});
    let outcome = endpoint.call(Method::POST, "/Users", Some(&body)).await;
    if let Ok(answer) = &outcome
        && let (201, Some(id)) = (answer.status, answer.json().unwrap_or_default()["id"].as_str())
    {
        let _ = endpoint.call(Method::DELETE, &super::cycle::user_path(id), None).await;
    }
    report.note(Check::BadBody, outcome.and_then(|answer| wants(&answer, &[400], Purpose::Create)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_looks_like_one() {
        let guid = guid(&Random::seeded(1));
        assert_eq!(guid.len(), 36);
        assert_eq!(guid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
