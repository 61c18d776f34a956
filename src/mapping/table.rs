//! See the room's own page, `mapping`.

use serde_json::{Map, Number, Value};

use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text. A number in the record is read as its digits; empty text and `null` are no value.
    Text,
    /// `true` or `false`. Also read from `"true"`, `"false"`, `0`, `1` and their texts.
    Boolean,
    /// A number. Also read from text that is one.
    Number,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    path: AttrPath,
    field: String,
    kind: Kind,
    default: Option<Value>,
}

impl Column {
    /// `path` lives in `field`; `default` is written into a whole record where the person has no value.
    ///
    /// # Errors
    /// Says what is wrong with the field's name or the default.
    pub fn new(path: AttrPath, field: String, kind: Kind, default: Option<Value>) -> Result<Self, String> {
        if field.is_empty() {
            return Err("names no field".into());
        }
        if let Some(value) = &default
            && !matches!(
                (kind, value),
                (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_))
            )
        {
            return Err(format!("the default of \"{field}\" must be a {}", kind.name()));
        }
        Ok(Self { path, field, kind, default })
    }

    /// The SCIM side.
    pub fn path(&self) -> &AttrPath {
        &self.path
    }

    /// The person's value as the field takes it.
    fn value_of(&self, person: &Resource) -> Result<Option<Value>, Unwritable> {
        let Some(value) = person.get(&self.path) else { return Ok(None) };
        let written = match (self.kind, value) {
            (_, Value::Null) => return Ok(None),
            (Kind::Text, Value::String(text)) if text.is_empty() => return Ok(None),
            (Kind::Text, Value::Number(number)) => Value::String(number.to_string()),
            (Kind::Text, Value::Bool(yes)) => Value::String(yes.to_string()),
            (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_)) => {
                value.clone()
            }
            (Kind::Boolean, Value::String(text)) => Value::Bool(boolean(text).ok_or_else(|| self.unwritable())?),
            (Kind::Number, Value::String(text)) => Value::Number(number(text).ok_or_else(|| self.unwritable())?),
            _ => return Err(self.unwritable()),
        };
        Ok(Some(written))
    }

    fn unwritable(&self) -> Unwritable {
        Unwritable { path: self.path.clone(), needs: self.kind.name() }
    }

    /// The field's value as the attribute takes it.
    fn value_in(&self, record: &Map<String, Value>) -> Result<Option<Value>, Unreadable> {
        let Some(held) = record.get(&self.field) else { return Ok(None) };
        let value = match (self.kind, held) {
            (_, Value::Null) => return Ok(None),
            (_, Value::String(text)) if text.is_empty() => return Ok(None),
            (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_)) => {
                Some(held.clone())
            }
            (Kind::Text, Value::Number(number)) => Some(Value::String(number.to_string())),
            (Kind::Boolean, Value::String(text)) => boolean(text).map(Value::Bool),
            (Kind::Boolean, Value::Number(number)) => boolean(&number.to_string()).map(Value::Bool),
            (Kind::Number, Value::String(text)) => number(text).map(Value::Number),
            _ => None,
        };
        value.map(Some).ok_or_else(|| Unreadable { field: self.field.clone(), needs: self.kind.name() })
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Number => "number",
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text.trim()).ok()
}

/// A record holds something else than the table says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field \"{field}\" is not a {needs}")]
pub struct Unreadable {
    /// The field.
    pub field: String,
    /// What the table says it is.
    pub needs: &'static str,
}

/// A person's value does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} is not a {needs}")]
pub struct Unwritable {
    /// The attribute.
    pub path: AttrPath,
    /// What its field takes.
    pub needs: &'static str,
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
    /// Names the attribute or field that stands there twice.
    pub fn new(columns: Vec<Column>, constants: Map<String, Value>) -> Result<Self, String> {
        for (index, column) in columns.iter().enumerate() {
            if let Some(other) = columns[..index].iter().find(|other| other.path == column.path) {
                return Err(format!(
                    "{} is mapped twice, to \"{}\" and \"{}\"",
                    column.path, other.field, column.field
                ));
            }
            if let Some(other) = columns[..index].iter().find(|other| other.field == column.field) {
                return Err(format!("\"{}\" is mapped to both {} and {}", column.field, other.path, column.path));
            }
            if constants.contains_key(&column.field) {
                return Err(format!("\"{}\" is both a constant and mapped to {}", column.field, column.path));
            }
        }
        Ok(Self { columns, constants })
    }

    /// Whether `path` has a field, or is the whole of which a part has one (`name` where `name.givenName` is mapped).
    pub fn holds(&self, path: &AttrPath) -> bool {
        self.columns.iter().any(|Column { path: held, .. }| {
            held == path
                || (path.sub.is_none()
                    && held.schema == path.schema
                    && held.attribute.eq_ignore_ascii_case(&path.attribute)
                    && (path.filter.is_none() || held.filter == path.filter))
        })
    }

    /// Whether `path` itself has a field.
    pub fn maps(&self, path: &AttrPath) -> bool {
        self.columns.iter().any(|column| column.path == *path)
    }

    /// The attribute whose field a text of the directory names as a word of its own, with that field.
    pub fn named_in(&self, text: &str) -> Option<(&AttrPath, &str)> {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        words.find_map(|word| {
            let column = self.columns.iter().find(|column| column.field.eq_ignore_ascii_case(word))?;
            Some((&column.path, column.field.as_str()))
        })
    }

    /// The person a record describes: what is mapped, and nothing else.
    ///
    /// # Errors
    /// The first field that does not hold what the table says.
    pub fn person(&self, record: &Map<String, Value>) -> Result<Resource, Unreadable> {
        let mut person = Resource::default();
        for column in &self.columns {
            if let Some(value) = column.value_in(record)? {
                person.set(&column.path, value);
            }
        }
        Ok(person)
    }

    /// The whole record of a person, with constants and defaults.
    ///
    /// # Errors
    /// The first attribute whose value does not fit its field.
    pub fn record(&self, person: &Resource) -> Result<Map<String, Value>, Unwritable> {
        let mut record = Map::with_capacity(self.columns.len() + self.constants.len());
        for column in &self.columns {
            if let Some(value) = column.value_of(person)?.or_else(|| column.default.clone()) {
                record.insert(column.field.clone(), value);
            }
        }
        record.extend(self.constants.iter().map(|(field, value)| (field.clone(), value.clone())));
        Ok(record)
    }

    /// What must change in the record for `before` to become `after`.
    ///
    /// # Errors
    /// The first attribute whose new value does not fit its field.
    pub fn changes(&self, before: &Resource, after: &Resource) -> Result<Changes, Unwritable> {
        let mut changes = Changes::default();
        for column in &self.columns {
            let becomes = column.value_of(after)?;
            if column.value_of(before).is_ok_and(|was| was == becomes) {
                continue;
            }
            match becomes {
                Some(value) => {
                    changes.set.insert(column.field.clone(), value);
                }
                None => changes.removed.push((column.field.clone(), column.kind)),
            }
        }
        Ok(changes)
    }

    /// Takes `changes` over into a whole `record` as the directory holds it; a removed field gets its default, if it has one.
    pub fn overlay(&self, record: &mut Map<String, Value>, changes: &Changes) {
        for (field, _) in &changes.removed {
            let default =
                self.columns.iter().find(|column| column.field == *field).and_then(|column| column.default.clone());
            match default {
                Some(value) => record.insert(field.clone(), value),
                None => record.shift_remove(field),
            };
        }
        for (field, value) in changes.set.iter().chain(&self.constants) {
            record.insert(field.clone(), value.clone());
        }
    }
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
        assert_eq!(table().record(&person), Ok(record));
        let bare = Resource::from_map(map(json!({"userName": "ada"})));
        let written = map(json!({"username": "ada", "mail": "none@example.com", "source": "scim"}));
        assert_eq!(table().record(&bare), Ok(written));
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
            let changes = table().changes(&before, &Resource::from_map(map(after.clone()))).unwrap();
            let gone: Vec<&str> = changes.removed.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!((Value::Object(changes.set.clone()), gone), (set, removed), "{after}");
        }
        let wrong = Resource::from_map(map(json!({"userName": "ada", "active": "perhaps"})));
        assert_eq!(table().changes(&before, &wrong).unwrap_err().to_string(), "active is not a boolean");
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
