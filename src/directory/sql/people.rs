//! Rows of people and of groups: reading, finding, writing. What a membership is stands in `groups`.

use serde_json::Value;
use sqlx::AnyConnection;

use super::config::Entity;
use super::dialect::{Flavour, Statement};
use super::{Place, Sql, invalid, row};
use crate::ports::{DirectoryError, Entry, Found, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// The longest key that is looked for.
const MAX_KEY: usize = 1024;

/// The database's own key, if this can be one.
pub fn own_key<'k>(entity: &Entity, key: &'k str) -> Option<&'k str> {
    let own = key.strip_prefix(entity.prefix.as_str())?;
    (!own.is_empty() && own.len() <= MAX_KEY && !own.chars().any(char::is_control)).then_some(own)
}

impl Sql {
    /// `SELECT` all columns of an entry.
    fn select(&self, entity: &Entity) -> Statement {
        let mut statement = self.statement("SELECT ");
        for (place, column) in row::columns(entity).enumerate() {
            if place > 0 {
                statement.words(", ");
            }
            statement.read(column);
        }
        statement.words(" FROM ").name(&entity.table);
        statement
    }

    /// `ORDER BY` the column itself: its bare name would mean what is read of it, which is text.
    pub(super) fn in_order(statement: &mut Statement, table: &str, column: &str) {
        statement.words(" ORDER BY ").name(table).words(".").name(column);
    }

    /// `WHERE` the key is this one, to the letter: the database itself would take `017` for 17.
    fn where_key(statement: &mut Statement, place: Place<'_>, own: &str) {
        let key = &place.entity.key;
        statement.words(" WHERE ").equals(key, place.column(key), own, true);
        statement.words(" AND ").read(key).words(" = ").value(None, Some(own));
    }

    /// The entry with a key, locked until the end of the transaction if asked.
    pub(super) async fn entry(
        &self,
        connection: &mut AnyConnection,
        place: Place<'_>,
        key: &str,
        lock: bool,
    ) -> Result<Option<Entry>, DirectoryError> {
        let Some(own) = own_key(place.entity, key) else { return Ok(None) };
        let mut statement = self.select(place.entity);
        Self::where_key(&mut statement, place, own);
        if lock && self.config.flavour != Flavour::Sqlite {
            statement.words(" FOR UPDATE");
        }
        match row::query(statement).fetch_optional(connection).await {
            Ok(row) => row.map(|row| row::entry(place.entity, &row)).transpose(),
            Err(error) => match self.failed(&error, place.entity.kind) {
                // What is no number, or none so large, is nobody's key where keys are numbers.
                DirectoryError::Invalid { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    /// The entry that a change has just written.
    pub(super) async fn written(
        &self,
        connection: &mut AnyConnection,
        place: Place<'_>,
        key: &str,
    ) -> Result<Entry, DirectoryError> {
        let entry = self.entry(connection, place, key, false).await?;
        entry.ok_or_else(|| row::nonsense("what was written is not there"))
    }

    pub(super) async fn find_entries(
        &self,
        kind: ResourceType,
        lookup: &Lookup,
        page: Page,
    ) -> Result<Found, DirectoryError> {
        let place = self.place(kind).await?;
        let entity = place.entity;
        let condition = |statement: &mut Statement| match lookup {
            Lookup::All => Ok(()),
            Lookup::Equal { path, value } => {
                let Some((_, column)) = entity.columns.iter().find(|(known, _)| known == path) else {
                    return super::super::unasked(&format!("finding by {path}"));
                };
                let exact = path.leaf().is_some_and(|attribute| attribute.case_exact);
                statement.words(" WHERE ");
                if exact {
                    // As text, so that what does not fit the column's type is not found rather than an error.
                    statement.read(column).words(" = ").value(None, Some(value));
                } else {
                    statement.equals(column, place.column(column), &self.told(value, path), false);
                }
                Ok(())
            }
            Lookup::Member { key } => self.where_member(statement, place, key),
        };
        if let Lookup::Equal { value, .. } = lookup
            && value.contains('\0')
        {
            return Ok(Found { entries: Vec::new(), total: 0 });
        }
        let mut count = self.statement("SELECT ");
        if self.config.flavour == Flavour::MySql {
            count.words("CAST(COUNT(*) AS CHAR) FROM ");
        } else {
            count.words("CAST(COUNT(*) AS TEXT) FROM ");
        }
        count.name(&entity.table);
        condition(&mut count)?;
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(&error, kind))?;
        let counted = row::query(count).fetch_one(&mut *connection).await.map_err(|error| self.failed(&error, kind))?;
        let total = row::text(&counted, 0)?.and_then(|total| total.parse().ok()).unwrap_or(0);
        if page.limit == 0 || page.offset >= total {
            return Ok(Found { entries: Vec::new(), total });
        }
        let mut statement = self.select(entity);
        condition(&mut statement)?;
        Self::in_order(&mut statement, &entity.table, &entity.key);
        statement.words(" LIMIT ").number(page.limit).words(" OFFSET ").number(page.offset);
        let rows =
            row::query(statement).fetch_all(&mut *connection).await.map_err(|error| self.failed(&error, kind))?;
        Ok(Found { entries: rows.iter().map(|row| row::entry(entity, row)).collect::<Result<_, _>>()?, total })
    }

    pub(super) async fn entries_after(
        &self,
        kind: ResourceType,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let place = self.place(kind).await?;
        let key = &place.entity.key;
        let mut statement = self.select(place.entity);
        if let Some(after) = after {
            let Some(own) = own_key(place.entity, after) else { return Ok(Vec::new()) };
            // MySQL takes any text for a number, and what is none for 0.
            let numbers = place.column(key).is_some_and(|column| column.kind.to_lowercase().contains("int"));
            if numbers && own.parse::<i64>().is_err() {
                return Ok(Vec::new());
            }
            statement.words(" WHERE ").name(key).words(" > ").value(place.column(key), Some(own));
        }
        Self::in_order(&mut statement, &place.entity.table, key);
        statement.words(" LIMIT ").number(limit);
        match row::query(statement).fetch_all(&self.pool).await {
            Ok(rows) => rows.iter().map(|row| row::entry(place.entity, row)).collect(),
            Err(error) => match self.failed(&error, kind) {
                DirectoryError::Invalid { .. } => Ok(Vec::new()),
                other => Err(other),
            },
        }
    }

    /// Writes a new row and gives its key, with the prefix.
    pub(super) async fn insert(
        &self,
        work: &mut AnyConnection,
        place: Place<'_>,
        resource: &Resource,
    ) -> Result<String, DirectoryError> {
        let entity = place.entity;
        let record = entity.mapping.record(resource, &self.moment()).map_err(|error| invalid(&error))?;
        let mut statement = self.statement("INSERT INTO ");
        statement.name(&entity.table).words(" (");
        for (index, column) in record.keys().enumerate() {
            if index > 0 {
                statement.words(", ");
            }
            statement.name(column);
        }
        statement.words(") VALUES (");
        for (index, (column, value)) in record.iter().enumerate() {
            if index > 0 {
                statement.words(", ");
            }
            statement.value(place.column(column), self.fitting(place, column, value)?.as_deref());
        }
        statement.words(")");
        let failed = |error: sqlx::Error| self.failed(&error, entity.kind);
        if self.config.flavour == Flavour::MySql {
            let done = row::query(statement).execute(&mut *work).await.map_err(failed)?;
            return match done.last_insert_id().filter(|id| *id > 0) {
                Some(id) => Ok(format!("{}{id}", entity.prefix)),
                None => Err(row::nonsense("the key column is not AUTO_INCREMENT")),
            };
        }
        statement.words(" RETURNING ").read(&entity.key);
        let row = row::query(statement).fetch_one(work).await.map_err(failed)?;
        let key = row::text(&row, 0)?.ok_or_else(|| row::nonsense("the database gives no key"))?;
        Ok(format!("{}{key}", entity.prefix))
    }

    /// Writes the columns that differ; with `touched` the version moves even if none does.
    pub(super) async fn change(
        &self,
        work: &mut AnyConnection,
        place: Place<'_>,
        key: &str,
        before: &Resource,
        after: &Resource,
        touched: bool,
    ) -> Result<(), DirectoryError> {
        let entity = place.entity;
        let changes = entity.mapping.changes(before, after, &self.moment()).map_err(|error| invalid(&error))?;
        let version = entity.version.as_ref().filter(|_| touched || !changes.is_empty());
        if changes.is_empty() && version.is_none() {
            return Ok(());
        }
        let mut record = serde_json::Map::new();
        entity.mapping.overlay(&mut record, &changes);
        let removed = changes.removed.iter().map(|(column, _)| column);
        let mut statement = self.statement("UPDATE ");
        statement.name(&entity.table).words(" SET ");
        for (index, column) in changes.set.keys().chain(removed).enumerate() {
            if index > 0 {
                statement.words(", ");
            }
            let value = self.fitting(place, column, record.get(column).unwrap_or(&Value::Null))?;
            statement.name(column).words(" = ").value(place.column(column), value.as_deref());
        }
        if let Some(version) = version {
            if !changes.is_empty() {
                statement.words(", ");
            }
            statement.name(version).words(" = ").name(version).words(" + 1");
        }
        let own = own_key(entity, key).ok_or(DirectoryError::NotFound)?;
        Self::where_key(&mut statement, place, own);
        self.execute(work, statement, entity.kind).await.map(|_| ())
    }

    /// Removes a row.
    pub(super) async fn remove(
        &self,
        work: &mut AnyConnection,
        place: Place<'_>,
        key: &str,
    ) -> Result<(), DirectoryError> {
        let own = own_key(place.entity, key).ok_or(DirectoryError::NotFound)?;
        let mut statement = self.statement("DELETE FROM ");
        statement.name(&place.entity.table);
        Self::where_key(&mut statement, place, own);
        match self.execute(work, statement, place.entity.kind).await? {
            0 => Err(DirectoryError::NotFound),
            _ => Ok(()),
        }
    }

    /// A value as the column takes it, if it fits.
    fn fitting(&self, place: Place<'_>, column: &str, value: &Value) -> Result<Option<String>, DirectoryError> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::String(text) => text.clone(),
            Value::Bool(yes) => self.boolean(*yes).to_owned(),
            other => other.to_string(),
        };
        let path = || {
            let (path, _) = place.entity.columns.iter().find(|(_, known)| known == column)?;
            Some(path.to_string())
        };
        if text.contains('\0') {
            return Err(DirectoryError::Invalid { attribute: path(), detail: "holds a NUL character".into() });
        }
        let most = place.column(column).and_then(|column| column.length);
        if let Some(most) = most.filter(|most| text.chars().count() > *most) {
            let detail = format!("is longer than the {most} characters that the directory keeps");
            return Err(DirectoryError::Invalid { attribute: path(), detail });
        }
        Ok(Some(text))
    }

    /// The value of a lookup as the database prints it.
    fn told(&self, value: &str, path: &AttrPath) -> String {
        let boolean = path.leaf().is_some_and(|attribute| attribute.kind == crate::scim::schema::Kind::Boolean);
        match (boolean, value) {
            (true, "true") => self.boolean(true).to_owned(),
            (true, "false") => self.boolean(false).to_owned(),
            _ => value.to_owned(),
        }
    }

    const fn boolean(&self, yes: bool) -> &'static str {
        match (self.config.flavour, yes) {
            (Flavour::Postgres, true) => "true",
            (Flavour::Postgres, false) => "false",
            (Flavour::MySql | Flavour::Sqlite, true) => "1",
            (Flavour::MySql | Flavour::Sqlite, false) => "0",
        }
    }
}
