//! A change of a resource: by the smallest PATCH where the server can, and otherwise by putting the whole in place.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::{Map, Value};

use super::plan::{self, Call, Step};
use super::{Scim, of_members, wire};
use crate::directory::merge::merge;
use crate::ports::{DirectoryError, Entry};
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType};

/// The most times that a change is tried again because somebody else was quicker.
const MOST_TRIES: u64 = 100;

impl Scim {
    /// Changes a resource, natively where the server can and otherwise by putting the whole in place.
    pub(super) async fn change(
        &self,
        kind: ResourceType,
        key: &str,
        sides: (&Resource, &Resource),
        add: &[Member],
        remove: &[String],
    ) -> Result<Entry, DirectoryError> {
        let deadline = self.client.deadline();
        let known = self.known().await;
        let sides = (known.kept(&self.config, kind, sides.0), known.kept(&self.config, kind, sides.1));
        if sides.0 == sides.1 && add.is_empty() && remove.is_empty() {
            return self.read_by(kind, key, deadline).await?.ok_or(DirectoryError::NotFound);
        }
        let (mut operations, lists) = plan::operations(&sides.0, &sides.1);
        let mut turn = None;
        if self.patches(&known) {
            if lists {
                // A list is set as a whole: what somebody else has put into it meanwhile must stay.
                turn = Some(self.lane(key, deadline).await?);
                let raw = self.read_raw(kind, key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                let held = wire::attributes(kind, &raw).map_err(|problem| Step::Read.nonsense(problem))?.into_map();
                operations = plan::operations(&held, &merged(&sides, &held)).0;
            }
            operations.extend(plan::member_operations(add, remove));
            if operations.is_empty() {
                return self.read_by(kind, key, deadline).await?.ok_or(DirectoryError::NotFound);
            }
            match self.call(self.config.plan_patch(kind, key, &operations), deadline).await {
                Ok(answer) => return self.settled(Step::Update, kind, key, answer, deadline).await,
                Err(refused) if refused.is_unable() => {
                    if refused.status != Some(StatusCode::BAD_REQUEST) {
                        self.no_patch.store(true, Ordering::Relaxed);
                    }
                }
                Err(refused) => return Err(of_members(refused.error, add)),
            }
        }
        let _turn = match turn {
            Some(turn) => turn,
            None => self.lane(key, deadline).await?,
        };
        for tried in 0..MOST_TRIES {
            let raw = self.read_raw(kind, key, deadline).await?.ok_or(DirectoryError::NotFound)?;
            let held = wire::attributes(kind, &raw).map_err(|problem| Step::Read.nonsense(problem))?.into_map();
            let body = whole(&raw, &held, merged(&sides, &held), kind, add, remove);
            let version = raw.get("meta").and_then(|meta| meta.get("version")?.as_str()).filter(|_| known.etag);
            let call = self.config.plan_put(kind, key, body);
            let call = call.map(|call| Call { version: version.map(str::to_owned), ..call });
            match self.call(call, deadline).await {
                Ok(answer) => return self.settled(Step::Update, kind, key, answer, deadline).await,
                Err(refused) if refused.is_late() && known.etag => {
                    // Leaves the others a moment.
                    tokio::time::sleep(std::time::Duration::from_millis(tried.min(50))).await;
                }
                Err(refused) => return Err(of_members(refused.error, add)),
            }
        }
        Err(DirectoryError::Busy { retry_after: None })
    }
}

/// What turned `sides.0` into `sides.1`, done to what is held now.
fn merged(sides: &(Map<String, Value>, Map<String, Value>), held: &Map<String, Value>) -> Map<String, Value> {
    let [before, after, held] = [&sides.0, &sides.1, held].map(|map| Value::Object(map.clone()));
    match merge(&before, &after, &held) {
        Value::Object(merged) => merged,
        _ => Map::new(),
    }
}

/// The body that puts a resource in place: what is to become of its attributes, what it holds beside those that are known
/// here, and of a group its members with some added and some removed.
fn whole(
    raw: &Map<String, Value>,
    held: &Map<String, Value>,
    becomes: Map<String, Value>,
    kind: ResourceType,
    add: &[Member],
    remove: &[String],
) -> Map<String, Value> {
    let mut body = becomes;
    for (name, value) in raw {
        let own = ["schemas", "meta", "groups", "members"].iter().any(|own| own.eq_ignore_ascii_case(name));
        let known = held.keys().any(|known| known.eq_ignore_ascii_case(name));
        let nothing = value.is_null() || *value == Value::Array(Vec::new()) || *value == Value::Object(Map::new());
        if !own && !known && !nothing {
            body.insert(name.clone(), value.clone());
        }
    }
    if kind == ResourceType::Group {
        let key = |entry: &Value| entry.get("value").and_then(Value::as_str).map(str::to_owned);
        let mut members = raw.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.retain(|entry| key(entry).is_none_or(|key| !remove.contains(&key)));
        let mut there: HashSet<String> = members.iter().filter_map(key).collect();
        members.extend(add.iter().filter(|one| there.insert(one.key.clone())).map(plan::member));
        body.insert("members".into(), Value::Array(members));
    }
    body
}
