//! What a database's refusal means to an identity provider. The database's own words stay in the log: they quote values.

use sqlx::error::{DatabaseError, ErrorKind};

use super::config::Entity;
use super::dialect::Flavour;
use crate::ports::DirectoryError;
use crate::scim::ResourceType;

/// Whether a statement's outcome can be unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It reads, or has certainly not been carried out.
    None,
    /// It may have been carried out.
    Outcome,
}

/// An error of the driver, about a statement on `entity`.
pub fn meaning(error: &sqlx::Error, flavour: Flavour, entity: &Entity, doubt: Doubt) -> DirectoryError {
    match error {
        sqlx::Error::PoolTimedOut => DirectoryError::Busy { retry_after: None },
        sqlx::Error::Database(error) => refusal(error.as_ref(), flavour, entity),
        other => DirectoryError::Failed { reason: kind(other).to_owned(), maybe_done: doubt == Doubt::Outcome },
    }
}

fn refusal(error: &dyn DatabaseError, flavour: Flavour, entity: &Entity) -> DirectoryError {
    let code = error.code().unwrap_or_default().into_owned();
    match error.kind() {
        ErrorKind::UniqueViolation => DirectoryError::Conflict { attribute: blamed(error, entity) },
        ErrorKind::NotNullViolation => invalid(error, entity, "is required by the directory"),
        ErrorKind::CheckViolation => invalid(error, entity, "is refused by a rule of the directory"),
        ErrorKind::ForeignKeyViolation => invalid(error, entity, "refers to somebody or something that is not there"),
        _ => match (flavour, code.as_str()) {
            // Too long, out of range, not of the type, NUL.
            (Flavour::Postgres, "22001" | "22003" | "22007" | "22008" | "22P02" | "22021")
            | (Flavour::MySql, "22001" | "22003" | "22007" | "HY000") => {
                invalid(error, entity, "does not fit its column")
            }
            // Serialization failure, deadlock, lock not available; too many connections; starting or going down.
            (Flavour::Postgres, "40001" | "40P01" | "55P03" | "53300" | "57P01" | "57P03")
            | (Flavour::MySql, "40001" | "08004")
            | (Flavour::Sqlite, "5" | "6" | "517") => DirectoryError::Busy { retry_after: None },
            (Flavour::Postgres, "28000" | "28P01" | "42501" | "3D000") | (Flavour::MySql, "28000" | "42000") => {
                DirectoryError::Refused { reason: format!("the database refuses us ({code})") }
            }
            _ => DirectoryError::Failed { reason: format!("the database answers error {code}"), maybe_done: false },
        },
    }
}

fn invalid(error: &dyn DatabaseError, entity: &Entity, detail: &str) -> DirectoryError {
    DirectoryError::Invalid { attribute: named(error, entity), detail: detail.to_owned() }
}

/// The attribute whose column a violated constraint names; else the one that names an entry.
fn blamed(error: &dyn DatabaseError, entity: &Entity) -> String {
    let usual = match entity.kind {
        ResourceType::User => "userName",
        ResourceType::Group => "displayName",
    };
    named(error, entity).unwrap_or_else(|| usual.to_owned())
}

/// The longest column that the constraint's name or the message names.
fn named(error: &dyn DatabaseError, entity: &Entity) -> Option<String> {
    // A message may quote values after a colon or in parentheses: only the part that names things is looked at.
    let (constraint, message) = (error.constraint().unwrap_or_default(), error.message());
    let message = message.split_once(" for key ").map_or(message, |(_, key)| key);
    let said = format!("{constraint} {message}").to_lowercase();
    let mut columns: Vec<_> = entity.columns.iter().collect();
    columns.sort_by_key(|(_, column)| std::cmp::Reverse(column.len()));
    let (path, _) = columns.into_iter().find(|(_, column)| said.contains(&column.to_lowercase()))?;
    Some(path.to_string())
}

/// What went wrong, without what the driver says of addresses and users.
const fn kind(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(_) => "the database cannot be reached, or the connection broke",
        sqlx::Error::Tls(_) => "the database's certificate is not trusted, or it speaks no TLS",
        sqlx::Error::Configuration(_) => "the address of the database is not understood",
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => "a column holds what cannot be read as text",
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the connections are closed",
        _ => "the database does not answer as it should",
    }
}
