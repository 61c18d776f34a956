//! Trying a table before anybody depends on it: does what is written come back the same? What does not is told with an example.

use serde_json::{Map, Value};

use super::column::{Column, Read, Write, Written};
use super::expression::Moment;
use super::inverse::typed;
use super::table::Table;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::schema::Kind;

/// An attribute that does not come back as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The attribute.
    pub path: AttrPath,
    /// What was sent.
    pub sent: String,
    /// What its field then held, if it got anything.
    pub held: Option<String>,
    /// What is read back.
    pub back: Option<String>,
}

/// Values of nobody, with what expressions trip over: blanks, letter case, marks, quotes, digits.
const SAMPLES: [&str; 6] =
    ["Ada Lovelace", "Ada.Lovelace@example.com", "+1 (555) 010-0100", "O'Neill-Ünal", "x", "2024-05-01"];

/// The attributes of `table` that do not come back, each with the first example found. Plain copies are not tried.
pub fn losses(table: &Table) -> Vec<Loss> {
    table.columns().iter().filter_map(|column| loss(table, column)).collect()
}

fn loss(table: &Table, column: &Column) -> Option<Loss> {
    let path = column.path()?;
    if matches!((column.write(), column.read()), (Write::Copy, Read::Copy) | (Write::Never, _)) {
        return None;
    }
    let keys = match column.read() {
        Read::Inverse(inverse) => inverse.keys(),
        _ => None,
    };
    let boolean = path.leaf().is_some_and(|leaf| leaf.kind == Kind::Boolean);
    let samples: Vec<&str> = if boolean { vec!["True", "False"] } else { keys.unwrap_or_else(|| SAMPLES.to_vec()) };
    samples.iter().enumerate().find_map(|(index, sample)| {
        // Every other attribute that takes part has a value of its own.
        let mut person = Resource::default();
        for (offset, other) in table.columns().iter().flat_map(Column::sources).enumerate() {
            person.set(other, sample_of(other, index + offset + 1));
        }
        person.set(path, typed((*sample).into(), path));
        let mut record = Map::new();
        for other in table.columns() {
            if let (Some(field), Ok(Written::Value(value))) = (other.field(), other.value_of(&person, &Moment::NONE)) {
                record.insert(field.to_owned(), value);
            }
        }
        let back = column.value_in(&record).ok().flatten();
        let held = column.field().and_then(|field| record.get(field)).map(shown);
        if back.as_ref() == person.get(path) {
            return None;
        }
        let sent = person.get(path).map(shown)?;
        Some(Loss { path: path.clone(), sent, held, back: back.as_ref().map(shown) })
    })
}

fn sample_of(path: &AttrPath, index: usize) -> Value {
    match path.leaf().map(|leaf| leaf.kind) {
        Some(Kind::Boolean) => true.into(),
        _ => SAMPLES[index % SAMPLES.len()].into(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} does not come back as it is sent: \"{}\" is written as ", self.path, self.sent)?;
        match &self.held {
            Some(held) => write!(f, "\"{held}\"")?,
            None => f.write_str("nothing")?,
        }
        match &self.back {
            Some(back) => write!(f, " and read as \"{back}\""),
            None => f.write_str(" and read as nothing"),
        }
    }
}
