//! Membership: rows of the join table. The group's own row is locked while its membership changes, so that counting on what
//! was read is right; a change touches as many rows as it adds and removes, whatever the size of the group.

use sqlx::AnyConnection;

use super::config::DraftMembers;
use super::dialect::{Described, Flavour, Statement};
use super::people::own_key;
use super::{Place, Sql, row};
use crate::ports::{DirectoryError, Members, Membership, Page};
use crate::scim::{Member, ResourceType};

/// The join table, and how the database describes its columns.
#[derive(Clone, Copy)]
struct Join<'a> {
    names: &'a DraftMembers,
    group: Option<&'a Described>,
    person: Option<&'a Described>,
}

impl Sql {
    async fn join(&self) -> Result<Join<'_>, DirectoryError> {
        let [_, _, columns] = self.described().await?;
        let Some((_, names)) = &self.config.groups else { return super::super::unasked("a group") };
        let column = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        Ok(Join { names, group: column(&names.group), person: column(&names.person) })
    }

    /// ` WHERE` groups hold this member.
    pub(super) fn where_member(
        &self,
        statement: &mut Statement,
        place: Place<'_>,
        member: &str,
    ) -> Result<(), DirectoryError> {
        let Some((_, names)) = self.config.groups.as_ref().filter(|_| place.entity.kind == ResourceType::Group) else {
            return super::super::unasked("members of a person");
        };
        statement.words(" WHERE ").name(&place.entity.key).words(" IN (SELECT ").name(&names.group);
        statement.words(" FROM ").name(&names.table).words(" WHERE ").read(&names.person).words(" = ");
        statement.value(None, Some(member)).words(")");
        Ok(())
    }

    pub(super) async fn members_page(&self, key: &str, page: Page) -> Result<Members, DirectoryError> {
        let (place, join) = (self.place(ResourceType::Group).await?, self.join().await?);
        let failed = |error: sqlx::Error| self.failed(&error, ResourceType::Group);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        self.entry(&mut connection, place, key, false).await?.ok_or(DirectoryError::NotFound)?;
        let own = own_key(place.entity, key).ok_or(DirectoryError::NotFound)?;
        let of_group = |statement: &mut Statement| {
            statement.words(" FROM ").name(&join.names.table).words(" WHERE ");
            statement.equals(&join.names.group, join.group, own, true);
        };
        let mut count = match self.config.flavour {
            Flavour::MySql => self.statement("SELECT CAST(COUNT(*) AS CHAR)"),
            Flavour::Postgres | Flavour::Sqlite => self.statement("SELECT CAST(COUNT(*) AS TEXT)"),
        };
        of_group(&mut count);
        let counted = row::query(count).fetch_one(&mut *connection).await.map_err(failed)?;
        let total = row::text(&counted, 0)?.and_then(|total| total.parse().ok()).unwrap_or(0);
        let mut statement = self.statement("SELECT ");
        statement.read(&join.names.person);
        of_group(&mut statement);
        Self::in_order(&mut statement, &join.names.table, &join.names.person);
        statement.words(" LIMIT ").number(page.limit).words(" OFFSET ").number(page.offset);
        let rows = row::query(statement).fetch_all(&mut *connection).await.map_err(failed)?;
        let mut members = Vec::with_capacity(rows.len());
        for row in &rows {
            let key = row::text(row, 0)?.ok_or_else(|| row::nonsense("a member is null"))?;
            members.push(Member { key: format!("{}{key}", self.config.people.prefix), kind: ResourceType::User });
        }
        Ok(Members { members, total })
    }

    pub(super) async fn held_members(&self, key: &str, candidates: &[&str]) -> Result<Vec<String>, DirectoryError> {
        let (place, join) = (self.place(ResourceType::Group).await?, self.join().await?);
        let failed = |error: sqlx::Error| self.failed(&error, ResourceType::Group);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        self.entry(&mut connection, place, key, false).await?.ok_or(DirectoryError::NotFound)?;
        let own = own_key(place.entity, key).ok_or(DirectoryError::NotFound)?;
        let mut held = Vec::new();
        for candidate in candidates {
            let Some(person) = own_key(&self.config.people, candidate) else { continue };
            let mut statement = self.statement("SELECT ");
            statement.read(&join.names.person).words(" FROM ").name(&join.names.table).words(" WHERE ");
            statement.equals(&join.names.group, join.group, own, true);
            statement.words(" AND ").read(&join.names.person).words(" = ").value(None, Some(person));
            let found = row::query(statement).fetch_optional(&mut *connection).await.map_err(failed)?;
            held.extend(found.map(|_| (*candidate).to_owned()));
        }
        Ok(held)
    }

    pub(super) async fn groups_of(&self, members: &[&str]) -> Result<Vec<Membership>, DirectoryError> {
        if self.config.groups.is_none() {
            return Ok(Vec::new());
        }
        let (place, join) = (self.place(ResourceType::Group).await?, self.join().await?);
        let failed = |error: sqlx::Error| self.failed(&error, ResourceType::Group);
        let display = place.entity.columns.iter().find(|(path, _)| path.is("displayName"));
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let mut all = Vec::new();
        for member in members {
            let Some(own) = own_key(&self.config.people, member) else { continue };
            let mut statement = self.statement("SELECT ");
            statement.read(&place.entity.key).words(", ");
            match display {
                Some((_, column)) => statement.read(column),
                None => statement.words("NULL"),
            };
            statement.words(" FROM ").name(&place.entity.table).words(" WHERE ").name(&place.entity.key);
            statement.words(" IN (SELECT ").name(&join.names.group).words(" FROM ").name(&join.names.table);
            statement.words(" WHERE ").read(&join.names.person).words(" = ").value(None, Some(own));
            statement.words(")");
            Self::in_order(&mut statement, &place.entity.table, &place.entity.key);
            for row in row::query(statement).fetch_all(&mut *connection).await.map_err(failed)? {
                let key = row::text(&row, 0)?.ok_or_else(|| row::nonsense("a key is null"))?;
                let group = format!("{}{key}", place.entity.prefix);
                all.push(Membership { member: (*member).to_owned(), group, display: row::text(&row, 1)? });
            }
        }
        Ok(all)
    }

    /// Adds a member who is there and not yet in the group; gives how many rows that made.
    pub(super) async fn add_member(
        &self,
        work: &mut AnyConnection,
        key: &str,
        member: &Member,
    ) -> Result<u64, DirectoryError> {
        let (place, join) = (self.place(ResourceType::Group).await?, self.join().await?);
        let people = self.place(ResourceType::User).await?;
        if member.kind == ResourceType::Group {
            let detail = "names a group; the groups of this directory hold people only".to_owned();
            return Err(DirectoryError::Invalid { attribute: Some("members".into()), detail });
        }
        if self.entry(work, people, &member.key, false).await?.is_none() {
            let detail = "names somebody who does not exist; create the member first".to_owned();
            return Err(DirectoryError::Invalid { attribute: Some("members".into()), detail });
        }
        let (Some(group), Some(person)) = (own_key(place.entity, key), own_key(people.entity, &member.key)) else {
            return Err(DirectoryError::NotFound);
        };
        let mut statement = self.statement("SELECT ");
        statement.read(&join.names.person).words(" FROM ").name(&join.names.table).words(" WHERE ");
        statement.equals(&join.names.group, join.group, group, true).words(" AND ");
        statement.equals(&join.names.person, join.person, person, true);
        let failed = |error: sqlx::Error| self.failed(&error, ResourceType::Group);
        if row::query(statement).fetch_optional(&mut *work).await.map_err(failed)?.is_some() {
            return Ok(0);
        }
        let mut statement = self.statement("INSERT INTO ");
        statement.name(&join.names.table).words(" (").name(&join.names.group).words(", ").name(&join.names.person);
        statement.words(") VALUES (").value(join.group, Some(group)).words(", ").value(join.person, Some(person));
        statement.words(")");
        self.execute(work, statement, ResourceType::Group).await
    }

    /// Takes a member away; gives how many rows that removed.
    pub(super) async fn remove_member(
        &self,
        work: &mut AnyConnection,
        key: &str,
        member: &str,
    ) -> Result<u64, DirectoryError> {
        let (place, join) = (self.place(ResourceType::Group).await?, self.join().await?);
        let (Some(group), Some(person)) = (own_key(place.entity, key), own_key(&self.config.people, member)) else {
            return Ok(0);
        };
        let mut statement = self.statement("DELETE FROM ");
        statement.name(&join.names.table).words(" WHERE ");
        statement.equals(&join.names.group, join.group, group, true);
        statement.words(" AND ").read(&join.names.person).words(" = ").value(None, Some(person));
        self.execute(work, statement, ResourceType::Group).await
    }

    /// Takes away an entry's part in membership, before it goes itself.
    pub(super) async fn forget_membership(
        &self,
        work: &mut AnyConnection,
        kind: ResourceType,
        key: &str,
    ) -> Result<(), DirectoryError> {
        let Some((groups, names)) = &self.config.groups else { return Ok(()) };
        let (entity, column) = match kind {
            ResourceType::User => (&self.config.people, &names.person),
            ResourceType::Group => (groups, &names.group),
        };
        let own = own_key(entity, key).ok_or(DirectoryError::NotFound)?;
        let (join, place) = (self.join().await?, self.place(ResourceType::Group).await?);
        let described = if kind == ResourceType::User { join.person } else { join.group };
        if let (ResourceType::User, Some(version)) = (kind, &groups.version) {
            let mut statement = self.statement("UPDATE ");
            statement.name(&groups.table).words(" SET ").name(version).words(" = ").name(version).words(" + 1");
            self.where_member(&mut statement, place, own)?;
            self.execute(work, statement, ResourceType::Group).await?;
        }
        let mut statement = self.statement("DELETE FROM ");
        statement.name(&names.table).words(" WHERE ").equals(column, described, own, true);
        self.execute(work, statement, kind).await.map(|_| ())
    }
}
