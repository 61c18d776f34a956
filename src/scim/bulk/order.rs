//! The order of a bulk request's operations: as sent, but for those that must wait for what they refer to.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{Bulk, BulkOperation, Ids, Method, Operation, is_locator, references};
use crate::scim::schema::PATCH_OP;

/// One thing to do; the number is the operation's index in [`Bulk::operations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry the operation out.
    Whole(usize),
    /// It closes a circle: carry the POST out without what [`hold_back`] takes.
    Begin(usize),
    /// PATCH what was held back into the resource that the operation created.
    Complete(usize),
}

/// The order in which every reference can be resolved when its turn comes. A reference that leads nowhere makes nobody wait.
#[must_use]
pub fn order(bulk: &Bulk) -> Vec<Step> {
    let operations = &bulk.operations;
    let creators: HashMap<&str, usize> = operations
        .iter()
        .enumerate()
        .filter_map(|(index, operation)| match operation {
            Operation::Sound(BulkOperation { method: Method::Post, bulk_id: Some(name), .. }) => {
                Some((name.as_str(), index))
            }
            _ => None,
        })
        .collect();
    let mut waits: Vec<HashSet<usize>> = operations
        .iter()
        .map(|operation| match operation {
            Operation::Sound(operation) => {
                let mut names = Vec::new();
                names.extend(references(&operation.path, true).into_iter().map(|(_, name)| name));
                collect(&operation.data, &mut names);
                names.iter().filter_map(|name| creators.get(name).copied()).collect()
            }
            Operation::Malformed { .. } => HashSet::new(),
        })
        .collect();
    let mut steps = Vec::with_capacity(operations.len());
    let mut open: Vec<usize> = (0..operations.len()).collect();
    let mut begun = Vec::new();
    while !open.is_empty() {
        let before = open.len();
        // What an earlier turn of this round did frees those behind it at once.
        let mut done = HashSet::new();
        open.retain(|&index| {
            let ready = waits[index].is_subset(&done);
            if ready {
                steps.push(Step::Whole(index));
                done.insert(index);
            }
            !ready
        });
        free(&mut waits, &done);
        if open.len() < before {
            continue;
        }
        // Everybody waits for somebody: the first POST that somebody waits for begins.
        let chosen = open.iter().copied().find(|index| open.iter().any(|other| waits[*other].contains(index)));
        let Some(chosen) = chosen else { break };
        steps.push(Step::Begin(chosen));
        begun.push(chosen);
        open.retain(|&index| index != chosen);
        free(&mut waits, &HashSet::from([chosen]));
    }
    // Nothing can be left: who waits, waits for a POST that is still open.
    steps.extend(open.into_iter().map(Step::Whole));
    steps.extend(begun.into_iter().map(Step::Complete));
    steps
}

fn free(waits: &mut [HashSet<usize>], done: &HashSet<usize>) {
    for wait in waits {
        wait.retain(|index| !done.contains(index));
    }
}

fn collect<'d>(data: &'d Value, names: &mut Vec<&'d str>) {
    let text = |text: &'d str, inside| references(text, inside).into_iter().map(|(_, name)| name);
    match data {
        Value::String(whole) => names.extend(text(whole, false)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(parts) => {
            for (name, value) in parts {
                match value {
                    Value::String(part) => names.extend(text(part, is_locator(name))),
                    other => collect(other, names),
                }
            }
        }
        _ => {}
    }
}

/// Takes out of a POST's body the attributes that refer to resources not created yet, and gives them as the body of the
/// PATCH that adds them later; `None` if there are none.
#[must_use]
pub fn hold_back(data: &mut Value, ids: &Ids) -> Option<Value> {
    let Value::Object(attributes) = data else { return None };
    let waits = |value: &Value| {
        let mut names = Vec::new();
        collect(value, &mut names);
        names.iter().any(|name| ids.get(name).is_none())
    };
    let mut operations = Vec::new();
    let mut kept = Map::with_capacity(attributes.len());
    for (name, value) in std::mem::take(attributes) {
        match value {
            value if !waits(&value) => drop(kept.insert(name, value)),
            // Of a list the entries that can be resolved stay.
            Value::Array(items) => {
                let (held, there): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| waits(item));
                operations.push(json!({"op": "add", "path": name, "value": held}));
                if !there.is_empty() {
                    kept.insert(name, Value::Array(there));
                }
            }
            // Of an extension only the attribute concerned goes.
            Value::Object(parts) if name.contains(':') => {
                let (mut there, mut held) = (Map::new(), Map::new());
                for (part, value) in parts {
                    if waits(&value) {
                        held.insert(part, value)
                    } else {
                        there.insert(part, value)
                    };
                }
                operations.push(json!({"op": "add", "value": {name.clone(): held}}));
                if !there.is_empty() {
                    kept.insert(name, Value::Object(there));
                }
            }
            value => operations.push(json!({"op": "add", "path": name, "value": value})),
        }
    }
    *attributes = kept;
    (!operations.is_empty()).then(|| json!({"schemas": [PATCH_OP], "Operations": operations}))
}
