//! Turning a write expression around, where that is exact: what was written for a value leads back to that value alone.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::expression::{Expression, Step};
use crate::scim::path::AttrPath;
use crate::scim::schema::Kind;

/// A write expression turned around.
#[derive(Clone, Debug, PartialEq)]
pub struct Inverse(Vec<Step>);

impl Inverse {
    /// The inverse of `write` as far as `path` is concerned; `None` where there is no exact one.
    pub fn of(write: &Expression, path: &AttrPath) -> Option<Self> {
        write.inverted(path).map(Self)
    }

    /// The attribute's value for the field's. A value that the expression cannot have written is given as it is: drift shows.
    pub fn read(&self, field: Json, path: &AttrPath) -> Json {
        let text: Cow<'_, str> = match &field {
            Json::String(text) => text.as_str().into(),
            Json::Bool(yes) => if *yes { "True" } else { "False" }.into(),
            Json::Number(number) => number.to_string().into(),
            _ => return field,
        };
        let mut text = text;
        for step in &self.0 {
            match undone(step, &text) {
                Some(before) => text = before.into(),
                None => return typed(field, path),
            }
        }
        typed(text.into_owned().into(), path)
    }

    /// In words, for an operator.
    pub fn said(&self) -> String {
        let step = |step: &Step| match step {
            Step::Suffix(suffix) => format!("without \"{suffix}\" at its end"),
            Step::Prefix(prefix) => format!("without \"{prefix}\" at its beginning"),
            Step::Not => "the opposite".to_owned(),
            Step::Table(rows) => {
                let rows: Vec<String> = rows.iter().map(|(key, value)| format!("\"{value}\" as \"{key}\"")).collect();
                rows.join(", ")
            }
        };
        if self.0.is_empty() { "as it is".into() } else { self.0.iter().map(step).collect::<Vec<_>>().join(", ") }
    }

    /// The values that it can be tried with, if these are all there are.
    pub fn keys(&self) -> Option<Vec<&str>> {
        self.0.iter().find_map(|step| match step {
            Step::Table(rows) => Some(rows.iter().map(|(key, _)| key.as_str()).collect()),
            _ => None,
        })
    }
}

fn undone(step: &Step, text: &str) -> Option<String> {
    match step {
        Step::Suffix(suffix) => text.strip_suffix(suffix.as_str()).map(str::to_owned),
        Step::Prefix(prefix) => text.strip_prefix(prefix.as_str()).map(str::to_owned),
        Step::Not if text.eq_ignore_ascii_case("true") => Some("False".into()),
        Step::Not => text.eq_ignore_ascii_case("false").then(|| "True".into()),
        Step::Table(rows) => rows.iter().find(|(_, value)| value == text).map(|(key, _)| key.clone()),
    }
}

/// A value in the attribute's type; what cannot be one stays.
pub fn typed(value: Json, path: &AttrPath) -> Json {
    let text = match (&value, path.leaf().map(|leaf| leaf.kind)) {
        (Json::String(text), Some(Kind::Boolean)) => text,
        (Json::Number(number), Some(Kind::String | Kind::Reference)) => return number.to_string().into(),
        (Json::Bool(yes), Some(Kind::String)) => return if *yes { "True" } else { "False" }.into(),
        _ => return value,
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => true.into(),
        "false" | "0" => false.into(),
        _ => value,
    }
}
