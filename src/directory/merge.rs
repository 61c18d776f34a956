//! Two changes to one person at the same time, neither lost: what turned `before` into `after` is done to what is held `now`.

use serde_json::{Map, Value};

/// `now`, changed as `before` was changed to become `after`. Objects are followed member by member, lists whose entries are
/// told apart by their `type` (RFC 7643 §2.4) entry by entry; everything else changes as a whole.
pub fn merge(before: &Value, after: &Value, now: &Value) -> Value {
    if before == now {
        return after.clone();
    }
    if before == after {
        return now.clone();
    }
    match (before, after, now) {
        (Value::Object(before), Value::Object(after), Value::Object(now)) => Value::Object(members(before, after, now)),
        (Value::Array(before), Value::Array(after), Value::Array(now)) => {
            match (typed(before), typed(after), typed(now)) {
                (Some(before), Some(after), Some(now)) => {
                    Value::Array(members(&before, &after, &now).into_iter().map(|(_, entry)| entry).collect())
                }
                _ => Value::Array(after.clone()),
            }
        }
        _ => after.clone(),
    }
}

fn members(before: &Map<String, Value>, after: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = now.clone();
    for (name, was) in before {
        if !after.contains_key(name) && now.contains_key(name) {
            // A list or an object that lost all it had then, may by now have gained something else.
            let left = merge(was, &emptied(was), &now[name]);
            if is_empty(&left) {
                merged.shift_remove(name);
            } else {
                merged.insert(name.clone(), left);
            }
        }
    }
    for (name, becomes) in after {
        let value = match (before.get(name), now.get(name)) {
            (was, Some(held)) => merge(was.unwrap_or(&emptied(held)), becomes, held),
            (Some(was), None) if was == becomes => continue,
            (_, None) => becomes.clone(),
        };
        merged.insert(name.clone(), value);
    }
    merged
}

fn emptied(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        _ => false,
    }
}

/// The entries by their types, if every one has a type of its own.
fn typed(entries: &[Value]) -> Option<Map<String, Value>> {
    let mut by_type = Map::new();
    for entry in entries {
        let kind = entry.get("type")?.as_str()?.to_lowercase();
        if by_type.insert(kind, entry.clone()).is_some() {
            return None;
        }
    }
    Some(by_type)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_did_at_once_is_both_done() {
        let work = json!({"type": "work", "value": "w"});
        for (before, after, now, merged) in [
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 1}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 1, "b": 3}), json!({"a": 2, "b": 3})),
            (json!({"a": 1, "b": 1}), json!({"a": 1}), json!({"a": 9, "b": 1}), json!({"a": 9})),
            (json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1}), json!({"a": 1}), json!({"a": 2})),
            (
                json!({"n": {"g": 1}}),
                json!({"n": {"g": 2}}),
                json!({"n": {"g": 1, "f": 5}}),
                json!({"n": {"g": 2, "f": 5}}),
            ),
            (json!({}), json!({"n": {"g": 2}}), json!({"n": {"f": 5}}), json!({"n": {"f": 5, "g": 2}})),
            (json!({"n": {"g": 1}}), json!({}), json!({"n": {"g": 1, "f": 5}}), json!({"n": {"f": 5}})),
            (json!({"n": {"g": 1}}), json!({}), json!({"n": {"g": 1}}), json!({})),
            (
                json!({"p": [work]}),
                json!({"p": [work, {"type": "home", "value": "h"}]}),
                json!({"p": [{"type": "work", "value": "x"}, {"type": "fax", "value": "f"}]}),
                json!({"p": [
                    {"type": "work", "value": "x"}, {"type": "fax", "value": "f"}, {"type": "home", "value": "h"}
                ]}),
            ),
            (json!({"p": [work]}), json!({}), json!({"p": [work, {"type": "fax"}]}), json!({"p": [{"type": "fax"}]})),
            (json!({"l": ["a"]}), json!({"l": ["a", "b"]}), json!({"l": ["c"]}), json!({"l": ["a", "b"]})),
        ] {
            assert_eq!(merge(&before, &after, &now), merged, "{before} to {after}, now {now}");
        }
    }
}
