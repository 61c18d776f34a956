//! The life of one group, where the endpoint offers groups: Entra's requests (created empty, matched without its members,
//! members in both PATCH forms, the member probe, a new name), then Okta's (the name sent along with every change of members, and
//! the whole membership replaced), then its end.
//!
//! The members are the first few people of the cast. The group goes in any case, also where people are kept.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::{Cycle, Life, SEGMENT};
use crate::rehearse::endpoint::{Purpose, list, wants};
use crate::rehearse::people::{Version, patch_of, single_patch};
use crate::rehearse::report::{Check, Trip};
use crate::rehearse::wire::Answer;
use percent_encoding::utf8_percent_encode;

const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Entra's second schema of a group, which means nothing.
const ADSCIM: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";

/// People who take part; three tell "removes this one" from "removes all" and from "removes all others".
const MEMBERS: usize = 3;

/// All that is checked of groups.
pub(in crate::rehearse) const CHECKS: [Check; 9] = [
    Check::GroupCreate,
    Check::GroupMatch,
    Check::MembersLegacy,
    Check::MembersCompliant,
    Check::MembersOkta,
    Check::MemberProbe,
    Check::GroupLean,
    Check::GroupRename,
    Check::GroupDelete,
];

fn path(id: &str) -> String {
    format!("/Groups/{}", utf8_percent_encode(id, SEGMENT))
}

impl Cycle<'_> {
    /// Plays the whole life.
    pub(super) async fn team(&self) {
        let people: Vec<String> = (0..self.lives.len()).filter_map(|index| self.id(index)).take(MEMBERS).collect();
        let Some((first, others)) = people.split_first() else {
            for check in CHECKS {
                self.endpoint.report.skip(check, "there is nobody to be a member");
            }
            return;
        };
        self.progress.set_message("group");
        let Some(id) = self.form_team().await else { return };
        let (everybody, rest): (BTreeSet<_>, BTreeSet<_>) = (people.iter().collect(), others.iter().collect());
        let entry = |key: &String| json!({"$ref": null, "value": key});
        if self.flavours.legacy {
            let all = single_patch("Add", "members", &people.iter().map(entry).collect());
            let gone = single_patch("Remove", "members", &json!([entry(first)]));
            // Once more each: a present member is added, an absent one removed (RFC 7644 §3.5.2.1 and §3.5.2.2).
            let steps = [(&all, &everybody), (&all, &everybody), (&gone, &rest), (&gone, &rest)];
            self.note(Check::MembersLegacy, self.members_become(&id, &steps).await);
        }
        if self.flavours.compliant {
            let all = single_patch("add", "members", &people.iter().map(|key| json!({"value": key})).collect());
            let gone = patch_of(&json!([{"op": "remove", "path": format!("members[value eq \"{first}\"]")}]));
            let steps = [(&all, &everybody), (&gone, &rest), (&gone, &rest)];
            self.note(Check::MembersCompliant, self.members_become(&id, &steps).await);
        }
        let whole = single_patch("replace", "members", &people.iter().map(|key| json!({"value": key})).collect());
        let name = json!({"op": "replace", "value": {"id": id, "displayName": self.cast.team(Version::First)}});
        let leave = json!({"op": "remove", "path": format!("members[value eq \"{first}\"]")});
        let come = json!({"op": "add", "path": "members", "value": [{"value": first, "display": "somebody"}]});
        let (out, back) = (patch_of(&json!([name, leave])), patch_of(&json!([name, come])));
        let steps = [(&whole, &everybody), (&out, &rest), (&back, &everybody), (&out, &rest)];
        self.note(Check::MembersOkta, self.members_become(&id, &steps).await);
        for (key, held) in others.first().map(|key| (key, 1)).into_iter().chain([(first, 0)]) {
            self.note(Check::MemberProbe, self.probe_member(&id, key, held).await);
        }
        self.note(Check::GroupLean, self.read_lean(&id).await);
        self.rename_team(&id).await;
        self.end_team(&id).await;
    }

    /// Matches the group and creates it, empty; one that an earlier run of the same seed left goes first.
    async fn form_team(&self) -> Option<String> {
        let name = self.cast.team(Version::First);
        let existing = match self.match_team(&name, None).await {
            Ok(existing) => existing,
            Err(trip) => {
                self.note(Check::GroupMatch, Err(trip));
                return None;
            }
        };
        if let Some(id) = existing {
            self.set_team(Life::Here(id, Version::First));
            self.remove_team().await;
            if self.team_life() != Life::Gone {
                return None;
            }
        }
        let body = json!({"schemas": [GROUP, ADSCIM], "externalId": name, "displayName": name,
            "meta": {"resourceType": "Group"}});
        self.set_team(Life::Attempted);
        let outcome = self.endpoint.call(Method::POST, "/Groups", Some(&body)).await.and_then(|answer| {
            let body = answer.json().unwrap_or_default();
            match (body["id"].as_str().filter(|id| !id.is_empty()), answer.status) {
                (Some(id), 200..=299) => self.set_team(Life::Here(id.to_owned(), Version::First)),
                (_, 400..=499) => self.set_team(Life::Unborn),
                _ => {}
            }
            wants(&answer, &[201], Purpose::Create)?;
            let then = "has nothing to address the group by: its members never arrive";
            body["id"].as_str().map(String::from).ok_or_else(|| Trip::over(&answer, "the body has no id", then))
        });
        let id = match outcome {
            Ok(id) => id,
            Err(trip) => {
                self.note(Check::GroupCreate, Err(trip));
                return None;
            }
        };
        self.note(Check::GroupCreate, Ok(()));
        for name in [name.clone(), name.to_uppercase()] {
            self.note(Check::GroupMatch, self.match_team(&name, Some(&id)).await.map(drop));
        }
        Some(id)
    }

    /// Entra's match query: no group, or exactly one, without its members; with `id`, the one of this id.
    async fn match_team(&self, name: &str, id: Option<&str>) -> Result<Option<String>, Trip> {
        let filter = format!("displayName eq \"{name}\"");
        let answer = self.endpoint.query("Groups", &filter, "&excludedAttributes=members").await?;
        let (total, groups) = list(&answer, Purpose::Query)?;
        let then = "creates the group a second time, or writes into another one";
        if total > 1 || groups.len() > 1 {
            return Err(Trip::over(&answer, format!("{total} found for one name"), then));
        }
        let found = groups.first().and_then(|group| group["id"].as_str());
        if id.is_some() && found != id {
            return Err(Trip::over(&answer, "the group is not found by its name", then));
        }
        groups.first().map_or(Ok(()), |group| no_members(&answer, group))?;
        Ok(found.map(String::from))
    }

    /// Sends each change; after it the members must be these.
    async fn members_become(&self, id: &str, steps: &[(&Value, &BTreeSet<&String>)]) -> Result<(), Trip> {
        for (patch, wanted) in steps {
            self.patch_team(id, patch).await?;
            let answer = self.endpoint.get(&path(id)).await?;
            wants(&answer, &[200], Purpose::Read)?;
            let group = answer.json().unwrap_or_default();
            let members = group["members"].as_array();
            let held: BTreeSet<&str> = members.into_iter().flatten().filter_map(|one| one["value"].as_str()).collect();
            if !wanted.iter().map(|key| key.as_str()).eq(held.iter().copied()) {
                let change: Vec<&str> =
                    patch["Operations"].as_array().into_iter().flatten().filter_map(|one| one["op"].as_str()).collect();
                let why = format!("{} members after {}, wanted {}", held.len(), change.join(" and "), wanted.len());
                let then = "believes the members are as it said, and never looks again";
                return Err(Trip::over(&answer, why, then));
            }
        }
        Ok(())
    }

    async fn patch_team(&self, id: &str, patch: &Value) -> Result<(), Trip> {
        let answer = self.endpoint.call(Method::PATCH, &path(id), Some(patch)).await?;
        wants(&answer, &[200, 204], Purpose::Change)
    }

    /// Entra's question whether somebody is a member.
    async fn probe_member(&self, id: &str, key: &str, held: u64) -> Result<(), Trip> {
        let filter = format!("id eq \"{id}\" and members eq \"{key}\"");
        let answer = self.endpoint.query("Groups", &filter, "&attributes=id").await?;
        let (total, _) = list(&answer, Purpose::Query)?;
        if total == held {
            return Ok(());
        }
        let then = "sends memberships again that are there, and leaves out ones that are not";
        Err(Trip::over(&answer, format!("{total} found, wanted {held}"), then))
    }

    async fn read_lean(&self, id: &str) -> Result<(), Trip> {
        let answer = self.endpoint.get(&format!("{}?excludedAttributes=members", path(id))).await?;
        wants(&answer, &[200], Purpose::Read)?;
        no_members(&answer, &answer.json().unwrap_or_default())
    }

    async fn rename_team(&self, id: &str) {
        let name = self.cast.team(Version::Second);
        let outcome = match self.patch_team(id, &single_patch("Replace", "displayName", &json!(name))).await {
            Ok(()) => self.match_team(&name, Some(id)).await.map(drop),
            Err(trip) => Err(trip),
        };
        if self.note(Check::GroupRename, outcome) {
            self.set_team(Life::Here(id.to_owned(), Version::Second));
        }
    }

    async fn end_team(&self, id: &str) {
        let outcome = self.endpoint.call(Method::DELETE, &path(id), None).await;
        if !self.note(Check::GroupDelete, outcome.and_then(|answer| wants(&answer, &[204], Purpose::Delete))) {
            return;
        }
        self.set_team(Life::Gone);
        let then = "takes the group for one that is still there";
        let outcome = self.endpoint.get(&path(id)).await.and_then(|answer| match answer.status {
            404 => Ok(()),
            status => Err(Trip::over(&answer, format!("{status} instead of 404"), then)),
        });
        self.note(Check::GroupDelete, outcome);
    }

    /// Removes the group if its life was cut short.
    pub(super) async fn remove_team(&self) {
        let (id, version) = match self.team_life() {
            Life::Here(id, version) => (Some(id), version),
            Life::Attempted => (None, Version::First),
            Life::Unborn | Life::Gone => return,
        };
        let name = self.cast.team(version);
        let found = match id {
            Some(id) => Ok(Some(id)),
            None => self.match_team(&name, None).await,
        };
        let outcome = match found {
            Ok(None) => return,
            Ok(Some(id)) => self.endpoint.call(Method::DELETE, &path(&id), None).await,
            Err(trip) => Err(trip),
        };
        let outcome = outcome.and_then(|answer| match answer.status {
            200..=299 | 404 => Ok(()),
            _ => wants(&answer, &[204], Purpose::Delete),
        });
        if self.note(Check::CleanUp, outcome) {
            self.set_team(Life::Gone);
        } else {
            self.endpoint.report.left_behind(format!("the group {name}"));
        }
    }
}

fn no_members(answer: &Answer, group: &Value) -> Result<(), Trip> {
    if group.get("members").is_some() {
        let then = "gets every member with every answer; with large groups that is slow, and then repeated";
        return Err(Trip::over(answer, "members are there although excludedAttributes names them", then));
    }
    Ok(())
}
