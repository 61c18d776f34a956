//! What the directory's mappings made of the person: each expression, what it looked at, and what came of it.

use serde_json::Value;

use crate::config::DirectoryConfig;
use crate::directory::imagined::Asked;
use crate::mapping::{Apply, Column, Write};

/// A line for each mapping that does more than copy, where a call wrote something.
pub fn mapped(directory: &DirectoryConfig, asked: &[Asked]) -> Vec<String> {
    let DirectoryConfig::Rest(config) = directory else { return Vec::new() };
    let written = asked.iter().rev().find_map(|asked| match asked {
        Asked::Call { body: Some(Value::Object(body)), .. } => Some(body),
        _ => None,
    });
    let Some(body) = written else { return Vec::new() };
    let line = |column: &Column| {
        let (Write::Expression(expression), Some(field)) = (column.write(), column.field()) else { return None };
        let read: Vec<String> = expression.sources().iter().map(ToString::to_string).collect();
        let read =
            if read.is_empty() { "looks at nothing".to_owned() } else { format!("looks at {}", read.join(", ")) };
        let result = match (body.get(field), column.apply()) {
            (Some(value), _) => value.to_string(),
            (None, Apply::Create) => "not sent (only on create, or nothing to write)".into(),
            (None, Apply::Always) => "not sent: nothing to write, or nothing differs".into(),
        };
        Some(format!("{field} ← {expression}: {read}; {result}"))
    };
    config.table().columns().iter().filter_map(line).collect()
}
