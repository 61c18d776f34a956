//! See the room's own page, `mapping`.

use serde_json::{Map, Value};

use super::column::{Apply, Column, Kind, Read, Write, Written};
use super::expression::Moment;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// A record holds something else than the table says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field \"{field}\" {problem}")]
pub struct Unreadable {
    /// The field.
    pub field: String,
    /// What is wrong with it, such as `is not a boolean`; never its value.
    pub problem: String,
}

/// A person's value does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute} {problem}")]
pub struct Unwritable {
    /// The attribute, or the field that is made of several.
    pub attribute: String,
    /// What is wrong with it, such as `is not a boolean`; never its value.
    pub problem: String,
}

/// What differs between two persons, field by field.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Changes {
    /// Fields with a new value.
    pub set: Map<String, Value>,
    /// Fields whose value is gone, and what they hold.
    pub removed: Vec<(String, Kind)>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    constants: Map<String, Value>,
}

impl Table {
    /// Columns, and fields that every whole record holds with the same value.
    ///
    /// # Errors
    /// Names the attribute or field that stands there twice, or the attribute that a mapping looks at and that is kept nowhere.
    pub fn new(columns: Vec<Column>, constants: Map<String, Value>) -> Result<Self, String> {
        for (index, column) in columns.iter().enumerate() {
            let before = &columns[..index];
            if let Some(path) = column.path()
                && let Some(other) = before.iter().find(|other| other.path() == Some(path))
            {
                let place = |column: &Column| column.field().map_or("nothing".into(), |field| format!("\"{field}\""));
                return Err(format!("{path} is mapped twice, to {} and {}", place(other), place(column)));
            }
            let Some(field) = column.field() else { continue };
            if let Some(other) = before.iter().find(|other| other.field() == Some(field)) {
                return Err(format!("\"{field}\" is mapped to both {} and {}", other.name(), column.name()));
            }
            if constants.contains_key(field) {
                return Err(format!("\"{field}\" is both a constant and mapped to {}", column.name()));
            }
        }
        let table = Self { columns, constants };
        for column in table.columns.iter().filter(|column| column.apply == Apply::Always) {
            let unkept = |path: &&AttrPath| !table.columns.iter().any(|other| other.reads(path));
            if let Some(lost) = column.sources().into_iter().find(unkept) {
                return Err(format!(
                    "{} is made of {lost}, which this directory keeps nowhere, so that a later change would be computed \
                     without it: map {lost}, too, or write apply = \"create\"",
                    column.name()
                ));
            }
        }
        Ok(table)
    }

    /// Its lines.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether `path` has a field, or is the whole of which a part has one (`name` where `name.givenName` is mapped), or is
    /// looked at when some field is written.
    pub fn holds(&self, path: &AttrPath) -> bool {
        self.columns.iter().any(|column| {
            column.write != Write::Never && column.path().is_some_and(|held| covers(held, path))
                || column.sources().into_iter().any(|source| covers(source, path))
        })
    }

    /// Whether `path` itself has a field.
    pub fn maps(&self, path: &AttrPath) -> bool {
        self.columns.iter().any(|column| column.path() == Some(path))
    }

    /// What the field of `path` holds for somebody whose value there is `value`; `None` when nobody can be found so.
    ///
    /// # Errors
    /// The value fits no field.
    pub fn sought(&self, path: &AttrPath, value: &str) -> Result<Option<Value>, Unwritable> {
        let Some(column) = self.columns.iter().find(|column| column.path() == Some(path)) else { return Ok(None) };
        if !matches!(column.write, Write::Expression(_)) {
            return Ok(Some(value.into()));
        }
        let mut person = Resource::default();
        person.set(path, super::inverse::typed(value.into(), path));
        Ok(match column.value_of(&person, &Moment::NONE)? {
            Written::Value(value) => Some(value),
            Written::Nothing | Written::Untouched | Written::Refused => None,
        })
    }

    /// Whether people can be sought by this path: its field must follow from its value alone.
    pub fn can_seek(&self, path: &AttrPath) -> bool {
        self.columns.iter().find(|column| column.path() == Some(path)).is_some_and(|column| match &column.write {
            Write::Copy => true,
            Write::Expression(expression) => expression.is_stable() && expression.paths().all(|source| source == path),
            Write::Never => false,
        })
    }

    /// The attribute whose field a text of the directory names as a word of its own, with that field.
    pub fn named_in(&self, text: &str) -> Option<(&AttrPath, &str)> {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        words.find_map(|word| {
            let named = |column: &&Column| column.field().is_some_and(|field| field.eq_ignore_ascii_case(word));
            let column = self.columns.iter().find(named)?;
            Some((column.path().or_else(|| column.sources().into_iter().next())?, column.field()?))
        })
    }

    /// The person a record describes: what is mapped, and nothing else.
    ///
    /// # Errors
    /// The first field that does not hold what the table says.
    pub fn person(&self, record: &Map<String, Value>) -> Result<Resource, Unreadable> {
        let mut person = Resource::default();
        for column in &self.columns {
            if let (Some(path), Some(value)) = (column.path(), column.value_in(record)?) {
                person.set(path, value);
            }
        }
        Ok(person)
    }

    /// The whole record of a person, with constants and defaults.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field, or that says that the person is to stay away.
    pub fn record(&self, person: &Resource, moment: &Moment) -> Result<Map<String, Value>, Unwritable> {
        let mut record = Map::with_capacity(self.columns.len() + self.constants.len());
        for column in &self.columns {
            let value = match column.value_of(person, moment)? {
                Written::Value(value) => Some(value),
                Written::Nothing => column.default.clone(),
                Written::Untouched => None,
                Written::Refused => {
                    let problem = "leaves this person out (IgnoreObjectFlow)".to_owned();
                    return Err(Unwritable { attribute: column.name(), problem });
                }
            };
            if let (Some(field), Some(value)) = (&column.field, value) {
                record.insert(field.clone(), value);
            }
        }
        record.extend(self.constants.iter().map(|(field, value)| (field.clone(), value.clone())));
        Ok(record)
    }

    /// The fields that a person's own values fill, without constants and defaults.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn filled(&self, person: &Resource, moment: &Moment) -> Result<Map<String, Value>, Unwritable> {
        let mut record = Map::new();
        for column in &self.columns {
            if let (Some(field), Written::Value(value)) = (&column.field, column.value_of(person, moment)?) {
                record.insert(field.clone(), value);
            }
        }
        Ok(record)
    }

    /// What must change in the record for `before` to become `after`.
    ///
    /// # Errors
    /// The first attribute whose new value does not fit its field.
    pub fn changes(&self, before: &Resource, after: &Resource, moment: &Moment) -> Result<Changes, Unwritable> {
        let mut changes = Changes::default();
        for column in self.columns.iter().filter(|column| column.apply == Apply::Always) {
            let becomes = column.value_of(after, moment)?;
            if column.value_of(before, moment).is_ok_and(|was| was == becomes) {
                continue;
            }
            let Some(field) = column.field.clone() else { continue };
            match becomes {
                Written::Value(value) => {
                    changes.set.insert(field, value);
                }
                Written::Nothing => changes.removed.push((field, column.kind)),
                // A person who is there already is not put out by a mapping.
                Written::Untouched | Written::Refused => {}
            }
        }
        Ok(changes)
    }

    /// A body with the values that must not be shown covered.
    pub fn shown(&self, mut body: Map<String, Value>) -> Map<String, Value> {
        for column in self.columns.iter().filter(|column| column.is_redacted()) {
            if let Some(value) = column.field().and_then(|field| body.get_mut(field)) {
                *value = super::expression::REDACTED.into();
            }
        }
        body
    }

    /// Takes `changes` over into a whole `record` as the directory holds it; a removed field gets its default, if it has one.
    pub fn overlay(&self, record: &mut Map<String, Value>, changes: &Changes) {
        for (field, _) in &changes.removed {
            let named = |column: &&Column| column.field() == Some(field);
            match self.columns.iter().find(named).and_then(|column| column.default.clone()) {
                Some(value) => record.insert(field.clone(), value),
                None => record.shift_remove(field),
            };
        }
        for (field, value) in changes.set.iter().chain(&self.constants) {
            record.insert(field.clone(), value.clone());
        }
    }
}

impl Column {
    /// Whether the person as read has a value for `source`, or something it is a part of.
    fn reads(&self, source: &AttrPath) -> bool {
        let several = |path: &AttrPath| {
            source.filter.is_none()
                && path.sub == source.sub
                && path.schema == source.schema
                && path.attribute.eq_ignore_ascii_case(&source.attribute)
        };
        self.read != Read::Never && self.path().is_some_and(|path| path == source || several(path))
    }
}

/// Whether `held` is `path`, or a part of it.
fn covers(held: &AttrPath, path: &AttrPath) -> bool {
    held == path
        || (path.sub.is_none()
            && held.schema == path.schema
            && held.attribute.eq_ignore_ascii_case(&path.attribute)
            && (path.filter.is_none() || held.filter == path.filter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn column(path: &str, field: &str, kind: Kind, default: Option<Value>) -> Column {
        Column::new(AttrPath::parse(path).unwrap(), field.into(), kind, default).unwrap()
    }

    fn table() -> Table {
        let columns = vec![
            column("userName", "username", Kind::Text, None),
            column("name.givenName", "first", Kind::Text, None),
            column("emails[type eq \"work\"].value", "mail", Kind::Text, Some(json!("none@example.com"))),
            column("active", "enabled", Kind::Boolean, None),
            column("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter", "cost", Kind::Number, None),
        ];
        Table::new(columns, [("source".to_owned(), json!("scim"))].into_iter().collect()).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    #[test]
    fn a_record_and_a_person_say_the_same() {
        let record = map(
            json!({"username": "ada", "first": "Ada", "mail": "a@x", "enabled": false, "cost": 7, "source": "scim"}),
        );
        let person = json!({"userName": "ada", "name": {"givenName": "Ada"}, "emails": [{"type": "work", "value": "a@x"}],
            "active": false, ENTERPRISE: {"costCenter": 7}});
        let person = Resource::from_map(map(person));
        assert_eq!(table().person(&record), Ok(person.clone()));
        assert_eq!(table().record(&person, &Moment::NONE), Ok(record));
        let bare = Resource::from_map(map(json!({"userName": "ada"})));
        let written = map(json!({"username": "ada", "mail": "none@example.com", "source": "scim"}));
        assert_eq!(table().record(&bare, &Moment::NONE), Ok(written));
    }

    #[test]
    fn fields_are_read_in_the_forms_directories_use() {
        for (field, held, value) in [
            ("enabled", json!("True"), Ok(json!({"active": true}))),
            ("enabled", json!("0"), Ok(json!({"active": false}))),
            ("enabled", json!(1), Ok(json!({"active": true}))),
            ("enabled", json!(""), Ok(json!({}))),
            ("enabled", json!("yes"), Err("field \"enabled\" is not a boolean")),
            ("enabled", json!(2), Err("field \"enabled\" is not a boolean")),
            ("username", json!(17), Ok(json!({"userName": "17"}))),
            ("username", json!(null), Ok(json!({}))),
            ("username", json!(["ada"]), Err("field \"username\" is not a text")),
            ("username", json!(true), Err("field \"username\" is not a text")),
            ("cost", json!("1.5"), Ok(json!({ENTERPRISE: {"costCenter": 1.5}}))),
            ("cost", json!("much"), Err("field \"cost\" is not a number")),
        ] {
            let read = table().person(&map(json!({ field: held })));
            let read = read.map(|person| Value::Object(person.into_map())).map_err(|error| error.to_string());
            assert_eq!(read, value.map_err(str::to_owned), "{field}: {held}");
        }
    }

    #[test]
    fn only_what_differs_changes() {
        let before = Resource::from_map(map(json!({"userName": "ada", "name": {"givenName": "Ada"}, "active": true})));
        for (after, set, removed) in [
            (
                json!({"userName": "ada", "name": {"givenName": "Ada"}, "active": true, "title": "Dr"}),
                json!({}),
                vec![],
            ),
            (
                json!({"userName": "ada", "name": {"givenName": "Ada"}, "active": "False"}),
                json!({"enabled": false}),
                vec![],
            ),
            (json!({"userName": "ada", "name": {"givenName": ""}, "active": true}), json!({}), vec!["first"]),
            (json!({"userName": "bea", "active": true}), json!({"username": "bea"}), vec!["first"]),
        ] {
            let changes = table().changes(&before, &Resource::from_map(map(after.clone())), &Moment::NONE).unwrap();
            let gone: Vec<&str> = changes.removed.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!((Value::Object(changes.set.clone()), gone), (set, removed), "{after}");
        }
        let wrong = Resource::from_map(map(json!({"userName": "ada", "active": "perhaps"})));
        assert_eq!(table().changes(&before, &wrong, &Moment::NONE).unwrap_err().to_string(), "active is not a boolean");
    }

    #[test]
    fn a_part_is_held_and_the_whole_it_is_part_of() {
        for (path, held) in [
            ("userName", true),
            ("name", true),
            ("name.givenName", true),
            ("name.familyName", false),
            ("emails", true),
            ("emails[type eq \"work\"]", true),
            ("emails[type eq \"work\"].value", true),
            ("emails[type eq \"home\"].value", false),
            ("title", false),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter", true),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", false),
        ] {
            assert_eq!(table().holds(&AttrPath::parse(path).unwrap()), held, "{path}");
        }
    }

    #[test]
    fn what_stands_there_twice_is_refused() {
        let twice = |first: (&str, &str), second: (&str, &str)| {
            let columns = [first, second].map(|(path, field)| column(path, field, Kind::Text, None)).into();
            Table::new(columns, [("fixed".to_owned(), json!(1))].into_iter().collect()).unwrap_err()
        };
        assert_eq!(twice(("userName", "a"), ("username", "b")), "userName is mapped twice, to \"a\" and \"b\"");
        assert_eq!(twice(("userName", "a"), ("title", "a")), "\"a\" is mapped to both userName and title");
        assert_eq!(twice(("userName", "a"), ("title", "fixed")), "\"fixed\" is both a constant and mapped to title");
    }
}
