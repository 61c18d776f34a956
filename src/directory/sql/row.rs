//! Rows as records, and statements as queries.

use serde_json::{Map, Value};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use super::config::Entity;
use super::dialect::{Described, Statement};
use crate::ports::{DirectoryError, Entry};

/// A statement with its values bound. Its text is made of constant words and quoted names of the configuration alone.
pub fn query(statement: Statement) -> Query<'static, Any, AnyArguments> {
    let Statement { sql, values, .. } = statement;
    values.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), Query::bind)
}

/// What a description of a column says.
pub fn described(row: &AnyRow) -> Result<Described, DirectoryError> {
    let name = text(row, 0)?.ok_or_else(|| nonsense("a column without a name"))?;
    let kind = text(row, 1)?.unwrap_or_default();
    let length = text(row, 2)?.and_then(|length| length.parse().ok());
    Ok(Described { name, kind, length })
}

/// The text of a column; MySQL gives long ones as bytes.
pub fn text(row: &AnyRow, column: usize) -> Result<Option<String>, DirectoryError> {
    match row.try_get::<Option<String>, _>(column) {
        Ok(text) => Ok(text),
        Err(_) => match row.try_get::<Option<Vec<u8>>, _>(column) {
            Ok(Some(bytes)) => String::from_utf8(bytes).map(Some).map_err(|_| nonsense("a column holds no text")),
            Ok(None) => Ok(None),
            Err(_) => Err(nonsense("a column cannot be read as text")),
        },
    }
}

/// The names of the columns that [`entry`] reads, in order.
pub fn columns(entity: &Entity) -> impl Iterator<Item = &str> {
    let fixed = std::iter::once(entity.key.as_str()).chain(entity.version.as_deref());
    fixed.chain(entity.columns.iter().map(|(_, column)| column.as_str()))
}

/// An entry from a row of [`columns`].
pub fn entry(entity: &Entity, row: &AnyRow) -> Result<Entry, DirectoryError> {
    let key = text(row, 0)?.ok_or_else(|| nonsense("a key is null"))?;
    let first = 1 + usize::from(entity.version.is_some());
    let version = if entity.version.is_some() { text(row, 1)? } else { None };
    let mut record = Map::new();
    for (place, (_, column)) in entity.columns.iter().enumerate() {
        if let Some(value) = text(row, first + place)? {
            record.insert(column.clone(), Value::String(value));
        }
    }
    let mut resource = entity.mapping.person(&record).map_err(|error| nonsense(&error.to_string()))?;
    if entity.kind == crate::scim::ResourceType::User && resource.active().is_none() {
        resource.set(&crate::scim::path::AttrPath::core("active"), Value::Bool(true));
    }
    Ok(Entry { key: format!("{}{key}", entity.prefix), resource, created: None, modified: None, version })
}

/// What a database says makes no sense.
pub fn nonsense(problem: &str) -> DirectoryError {
    DirectoryError::Failed { reason: problem.to_owned(), maybe_done: false }
}
