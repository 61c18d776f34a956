//! How the three databases differ, as far as this connector cares, and the one builder of statements. Names are quoted,
//! values are always bound. Every value travels as text: a column is read as `CAST(column AS text)` and written as a bound
//! text cast to the column's own type, so that the connector knows no types but what a mapping says.

use std::fmt::Write as _;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Flavour {
    /// By the scheme of an address.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once(':')?;
        match scheme {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// What it calls text in a cast.
    const fn text(self) -> &'static str {
        match self {
            Self::Postgres | Self::Sqlite => "TEXT",
            Self::MySql => "CHAR",
        }
    }

    /// The statement that tells a table's columns: name, type to cast to, and how many characters fit. Its parameters are the
    /// table and, if the name says one, the schema.
    pub const fn columns(self, with_schema: bool) -> &'static str {
        match (self, with_schema) {
            (Self::Postgres, false) => {
                "SELECT column_name::text, CASE WHEN data_type = 'USER-DEFINED' THEN quote_ident(udt_schema) || '.' || quote_ident(udt_name)
                   ELSE data_type::text END, character_maximum_length::text
                 FROM information_schema.columns WHERE table_name = $1 AND table_schema = ANY (current_schemas(false))"
            }
            (Self::Postgres, true) => {
                "SELECT column_name::text, CASE WHEN data_type = 'USER-DEFINED' THEN quote_ident(udt_schema) || '.' || quote_ident(udt_name)
                   ELSE data_type::text END, character_maximum_length::text
                 FROM information_schema.columns WHERE table_name = $1 AND table_schema = $2"
            }
            (Self::MySql, false) => {
                "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR), CAST(character_maximum_length AS CHAR)
                 FROM information_schema.columns WHERE table_name = ? AND table_schema = DATABASE()"
            }
            (Self::MySql, true) => {
                "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR), CAST(character_maximum_length AS CHAR)
                 FROM information_schema.columns WHERE table_name = ? AND table_schema = ?"
            }
            (Self::Sqlite, false) => "SELECT name, type, NULL FROM pragma_table_info(?)",
            (Self::Sqlite, true) => "SELECT name, type, NULL FROM pragma_table_info(?, ?)",
        }
    }
}

/// A column as the database describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What a bound text is cast to.
    pub kind: String,
    /// How many characters fit, if there is a bound.
    pub length: Option<usize>,
}

impl Described {
    fn is_text(&self) -> bool {
        matches!(self.kind.as_str(), "text" | "character varying" | "character" | "name")
    }
}

/// A statement being written.
pub struct Statement {
    flavour: Flavour,
    /// The text so far.
    pub sql: String,
    /// The values bound so far.
    pub values: Vec<Option<String>>,
}

impl Statement {
    /// Begins with constant words.
    pub fn new(flavour: Flavour, words: &'static str) -> Self {
        Self { flavour, sql: words.to_owned(), values: Vec::new() }
    }

    /// Adds constant words.
    pub fn words(&mut self, words: &'static str) -> &mut Self {
        self.sql.push_str(words);
        self
    }

    /// Adds a name, quoted; a dot parts a schema from a table.
    pub fn name(&mut self, name: &str) -> &mut Self {
        let quote = if self.flavour == Flavour::MySql { '`' } else { '"' };
        for (place, part) in name.split('.').enumerate() {
            if place > 0 {
                self.sql.push('.');
            }
            self.sql.push(quote);
            for letter in part.chars() {
                if letter == quote {
                    self.sql.push(quote);
                }
                self.sql.push(letter);
            }
            self.sql.push(quote);
        }
        self
    }

    /// Adds a column to be read.
    pub fn read(&mut self, column: &str) -> &mut Self {
        let text = self.flavour.text();
        self.words("CAST(").name(column);
        // Writing to a String cannot fail.
        let _ = write!(self.sql, " AS {text})");
        self
    }

    /// Adds a bound value in the type of its column.
    pub fn value(&mut self, column: Option<&Described>, value: Option<&str>) -> &mut Self {
        self.values.push(value.map(String::from));
        match (self.flavour, column) {
            (Flavour::Postgres, Some(column)) if !column.is_text() => {
                let _ = write!(self.sql, "CAST(CAST(${} AS text) AS {})", self.values.len(), column.kind);
            }
            (Flavour::Postgres, _) => {
                let _ = write!(self.sql, "CAST(${} AS text)", self.values.len());
            }
            (Flavour::MySql | Flavour::Sqlite, _) => self.sql.push('?'),
        }
        self
    }

    /// Adds a whole number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let _ = write!(self.sql, "{}", i64::try_from(number).unwrap_or(i64::MAX));
        self
    }

    /// Adds `column = value`, without case unless `exact`. MySQL's collations and PostgreSQL's `citext` decide about case by
    /// themselves; elsewhere both sides are lowered, as an index on `lower(column)` has it.
    pub fn equals(&mut self, column: &str, described: Option<&Described>, value: &str, exact: bool) -> &mut Self {
        let own_case = self.flavour == Flavour::MySql || described.is_some_and(|it| it.kind.ends_with("citext"));
        if exact || own_case {
            return self.name(column).words(" = ").value(described, Some(value));
        }
        if self.flavour == Flavour::Sqlite || described.is_some_and(Described::is_text) {
            self.words("LOWER(").name(column);
        } else {
            self.words("LOWER(").read(column);
        }
        self.words(") = LOWER(").value(None, Some(value)).words(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_values_bound() {
        let number = Described { name: "n".into(), kind: "integer".into(), length: None };
        for (flavour, expected) in [
            (
                Flavour::Postgres,
                r#"SELECT CAST("a""b" AS TEXT) FROM "s"."t" WHERE "n" = CAST(CAST($1 AS text) AS integer) AND LOWER(CAST("u" AS TEXT)) = LOWER(CAST($2 AS text))"#,
            ),
            (Flavour::MySql, "SELECT CAST(`a\"b` AS CHAR) FROM `s`.`t` WHERE `n` = ? AND `u` = ?"),
            (Flavour::Sqlite, r#"SELECT CAST("a""b" AS TEXT) FROM "s"."t" WHERE "n" = ? AND LOWER("u") = LOWER(?)"#),
        ] {
            let mut statement = Statement::new(flavour, "SELECT ");
            statement.read("a\"b").words(" FROM ").name("s.t").words(" WHERE ");
            statement.equals("n", Some(&number), "1", true).words(" AND ").equals("u", None, "Ada'; --", false);
            assert_eq!(statement.sql, expected);
            assert_eq!(statement.values, [Some("1".to_owned()), Some("Ada'; --".to_owned())]);
        }
    }
}
