//! One line of a table: where an attribute lives, and what is done to its value on the way there and back.

use serde_json::{Map, Number, Value};

use super::expression::{Expression, Input, Moment, Outcome, Source};
use super::inverse::{Inverse, typed};
use super::table::{Unreadable, Unwritable};
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

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Apply {
    /// At every change.
    #[default]
    Always,
    /// Only when the person is created.
    Create,
}

/// What a field is written from.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The attribute's value as it is.
    Copy,
    /// The result of an expression over the person.
    Expression(Box<Expression>),
    /// Nothing: there is no field.
    Never,
}

/// What an attribute is read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// The field's value as it is.
    Copy,
    /// The write expression turned around.
    Inverse(Inverse),
    /// The result of an expression over the record.
    Expression(Box<Expression>),
    /// Nothing: no attribute is made of it.
    Never,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The attribute; none for a field that is only written.
    pub(super) path: Option<AttrPath>,
    /// The field; none for an attribute that is only read.
    pub(super) field: Option<String>,
    pub(super) kind: Kind,
    pub(super) default: Option<Value>,
    pub(super) write: Write,
    pub(super) read: Read,
    pub(super) apply: Apply,
}

/// What comes of writing a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// This value.
    Value(Value),
    /// No value.
    Nothing,
    /// The field stays as it is.
    Untouched,
    /// The whole person is to stay away.
    Refused,
}

impl Column {
    /// `path` lives in `field`; `default` is written into a whole record where the person has no value.
    ///
    /// # Errors
    /// Says what is wrong with the field's name or the default.
    pub fn new(path: AttrPath, field: String, kind: Kind, default: Option<Value>) -> Result<Self, String> {
        Self {
            path: Some(path),
            field: Some(field),
            kind,
            default,
            write: Write::Copy,
            read: Read::Copy,
            apply: Apply::Always,
        }
        .checked()
    }

    /// The same with another way there.
    #[must_use]
    pub fn written(self, write: Write, apply: Apply) -> Self {
        Self { write, apply, ..self }
    }

    /// The same with another way back.
    #[must_use]
    pub fn read_by(self, read: Read) -> Self {
        Self { read, ..self }
    }

    /// An attribute that is made of fields and never written.
    pub fn only_read(path: AttrPath, kind: Kind, read: Expression) -> Self {
        let read = Read::Expression(Box::new(read));
        Self { path: Some(path), field: None, kind, default: None, write: Write::Never, read, apply: Apply::Always }
    }

    /// A field that is made of attributes and never read.
    ///
    /// # Errors
    /// Says what is wrong with the field's name or the default.
    pub fn only_written(
        field: String,
        kind: Kind,
        default: Option<Value>,
        write: Expression,
        apply: Apply,
    ) -> Result<Self, String> {
        let write = Write::Expression(Box::new(write));
        Self { path: None, field: Some(field), kind, default, write, read: Read::Never, apply }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let field = self.field.as_deref().unwrap_or_default();
        if field.is_empty() {
            return Err("names no field".into());
        }
        if let Some(value) = &self.default
            && !matches!(
                (self.kind, value),
                (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_))
            )
        {
            return Err(format!("the default of \"{field}\" must be a {}", self.kind.name()));
        }
        Ok(self)
    }

    /// The SCIM side.
    pub const fn path(&self) -> Option<&AttrPath> {
        self.path.as_ref()
    }

    /// The directory's side.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The way there.
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// The way back.
    pub const fn read(&self) -> &Read {
        &self.read
    }

    /// When it is written.
    pub const fn apply(&self) -> Apply {
        self.apply
    }

    /// What it is called in messages: the attribute, or else the field.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| self.field.clone().unwrap_or_default(), ToString::to_string)
    }

    /// Whether its value must not be shown.
    pub fn is_redacted(&self) -> bool {
        matches!(&self.write, Write::Expression(expression) if expression.is_redacted())
    }

    /// The SCIM paths that writing it looks at.
    pub fn sources(&self) -> Vec<&AttrPath> {
        match &self.write {
            Write::Copy => self.path.iter().collect(),
            Write::Expression(expression) => expression.paths().collect(),
            Write::Never => Vec::new(),
        }
    }

    /// The person's value as the field takes it.
    pub(super) fn value_of(&self, person: &Resource, moment: &Moment) -> Result<Written, Unwritable> {
        let evaluated;
        let value = match &self.write {
            Write::Never => return Ok(Written::Untouched),
            Write::Copy => match self.path.as_ref().and_then(|path| person.get(path)) {
                Some(value) => value,
                None => return Ok(Written::Nothing),
            },
            Write::Expression(expression) => {
                evaluated = expression.evaluate(Input::from(person), moment).map_err(|fault| Unwritable {
                    attribute: self.name(),
                    problem: format!("cannot be written: {}", fault.message),
                })?;
                match &evaluated {
                    Outcome::Value(value) => value,
                    Outcome::Null => return Ok(Written::Nothing),
                    Outcome::LeaveAttribute => return Ok(Written::Untouched),
                    Outcome::LeaveObject => return Ok(Written::Refused),
                }
            }
        };
        let written = match (self.kind, value) {
            (_, Value::Null) => return Ok(Written::Nothing),
            (Kind::Text, Value::String(text)) if text.is_empty() => return Ok(Written::Nothing),
            (Kind::Text, Value::Number(number)) => Value::String(number.to_string()),
            (Kind::Text, Value::Bool(yes)) => Value::String(yes.to_string()),
            (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_)) => {
                value.clone()
            }
            (Kind::Boolean, Value::String(text)) => Value::Bool(boolean(text).ok_or_else(|| self.unwritable())?),
            (Kind::Number, Value::String(text)) => Value::Number(number(text).ok_or_else(|| self.unwritable())?),
            _ => return Err(self.unwritable()),
        };
        Ok(Written::Value(written))
    }

    fn unwritable(&self) -> Unwritable {
        let what = match self.write {
            Write::Expression(_) => "is not written as a",
            Write::Copy | Write::Never => "is not a",
        };
        Unwritable { attribute: self.name(), problem: format!("{what} {}", self.kind.name()) }
    }

    /// The field's value as its kind says.
    fn held(&self, record: &Map<String, Value>) -> Result<Option<Value>, Unreadable> {
        let Some((field, held)) = self.field.as_ref().and_then(|field| Some((field, record.get(field)?))) else {
            return Ok(None);
        };
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
        value
            .map(Some)
            .ok_or_else(|| Unreadable { field: field.clone(), problem: format!("is not a {}", self.kind.name()) })
    }

    /// The attribute's value in a record.
    pub(super) fn value_in(&self, record: &Map<String, Value>) -> Result<Option<Value>, Unreadable> {
        let Some(path) = &self.path else { return Ok(None) };
        match &self.read {
            Read::Never => Ok(None),
            Read::Copy => self.held(record),
            Read::Inverse(inverse) => Ok(self.held(record)?.map(|value| inverse.read(value, path))),
            Read::Expression(expression) => {
                let outcome = expression.evaluate(Input::from(record), &Moment::NONE).map_err(|fault| Unreadable {
                    field: self.field.clone().unwrap_or_else(|| names(expression.sources())),
                    problem: format!("cannot be read as {path}: {}", fault.message),
                })?;
                Ok(match outcome {
                    Outcome::Value(Value::String(text)) if text.is_empty() => None,
                    Outcome::Value(value) => Some(typed(value, path)),
                    Outcome::Null | Outcome::LeaveAttribute | Outcome::LeaveObject => None,
                })
            }
        }
    }
}

fn names(sources: &[Source]) -> String {
    sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
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
