//! The static types of expressions, and where attributes come from.

use std::fmt;

use serde_json::{Map, Value};

use super::nearest;
use crate::scim::path::AttrPath;
use crate::scim::schema::{self, Kind};

/// What is known of a value before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A date; no attribute is one.
    Date,
    /// Several texts.
    List,
    /// Another resource's id.
    Reference,
    /// Nothing is known.
    Any,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date",
            Self::List => "a list",
            Self::Reference => "a reference",
            Self::Any => "anything",
        })
    }
}

/// Where an attribute's value is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In a person, by SCIM path.
    Path(AttrPath),
    /// In a record of a directory, by the name of its field.
    Field(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Field(name) => f.write_str(name),
        }
    }
}

/// A name that no attribute has.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What is wrong with it, as the end of a sentence that begins with the name.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Unknown {
    fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self { message: message.into(), help }
    }
}

/// Which attributes an expression may read.
pub trait Scope {
    /// The attribute of this name, the text between the brackets.
    ///
    /// # Errors
    /// Says why there is none, with the nearest right name.
    fn attribute(&self, name: &str) -> Result<(Source, Type), Unknown>;
}

/// The attributes of a SCIM user (RFC 7643 §4.1, §4.3).
#[derive(Clone, Copy, Debug)]
pub struct Scim;

impl Scope for Scim {
    fn attribute(&self, name: &str) -> Result<(Source, Type), Unknown> {
        let path = AttrPath::parse(name).map_err(|error| Unknown::new("is no SCIM path", Some(error.detail)))?;
        let Some(definition) = path.definition() else { return Err(unknown(&path, name)) };
        let leaf = match &path.sub {
            None => definition,
            Some(sub) => definition.sub(sub).ok_or_else(|| {
                let near = nearest(sub, definition.sub_attributes.iter().map(|part| part.name));
                let parts = || definition.sub_attributes.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
                let help = match near {
                    Some(near) => Some(format!("did you mean [{}]?", path.clone().with_sub(near))),
                    None if definition.sub_attributes.is_empty() => None,
                    None => Some(format!("{} has {}", definition.name, parts())),
                };
                Unknown::new("is no attribute of a user", help)
            })?,
        };
        if leaf.kind == Kind::Complex {
            let reference = matches!(leaf.name, "manager");
            if reference && path.filter.is_none() {
                return Ok((Source::Path(path.with_sub("value")), Type::Reference));
            }
            let part = if leaf.sub("value").is_some() { "value" } else { "…" };
            let help = match leaf.sub_attributes.first() {
                Some(first) if part == "…" => format!("choose one, such as [{}]", path.with_sub(first.name)),
                _ if leaf.multi_valued && path.filter.is_none() => {
                    format!("write [{name}.value] for all of them, or [{name}[type eq \"work\"].value] for one")
                }
                _ => format!("write [{name}.{part}]"),
            };
            return Err(Unknown::new("has parts", Some(help)));
        }
        let several = definition.multi_valued && path.filter.is_none() || leaf.multi_valued;
        let kind = match leaf.kind {
            _ if several => Type::List,
            _ if matches!(definition.name, "manager" | "members") => Type::Reference,
            Kind::Boolean => Type::Boolean,
            Kind::Decimal | Kind::Integer => Type::Number,
            _ => Type::Text,
        };
        Ok((Source::Path(path), kind))
    }
}

/// What Entra calls its own attributes, and where their values arrive in SCIM by its default mappings.
const ENTRA: &[(&str, &str)] = &[
    ("userPrincipalName", "userName"),
    ("mail", "emails[type eq \"work\"].value"),
    ("givenName", "name.givenName"),
    ("surname", "name.familyName"),
    ("telephoneNumber", "phoneNumbers[type eq \"work\"].value"),
    ("mobile", "phoneNumbers[type eq \"mobile\"].value"),
    ("facsimileTelephoneNumber", "phoneNumbers[type eq \"fax\"].value"),
    ("jobTitle", "title"),
    ("mailNickname", "externalId"),
    ("objectId", "externalId"),
    ("employeeId", "employeeNumber"),
    ("companyName", "organization"),
    ("physicalDeliveryOfficeName", "addresses[type eq \"work\"].formatted"),
    ("streetAddress", "addresses[type eq \"work\"].streetAddress"),
    ("city", "addresses[type eq \"work\"].locality"),
    ("state", "addresses[type eq \"work\"].region"),
    ("postalCode", "addresses[type eq \"work\"].postalCode"),
    ("country", "addresses[type eq \"work\"].country"),
    ("accountEnabled", "active"),
    ("IsSoftDeleted", "active"),
];

fn unknown(path: &AttrPath, name: &str) -> Unknown {
    if let Some((_, scim)) = ENTRA.iter().find(|(entra, _)| entra.eq_ignore_ascii_case(name)) {
        let help = format!("that is Entra ID's name; in SCIM it arrives as [{scim}]");
        return Unknown::new("is no attribute of a user", Some(help));
    }
    let known = || schema::user().attributes.iter().chain(schema::enterprise().attributes).chain(schema::common());
    let sub = path.sub.as_deref().unwrap_or("");
    let near = nearest(&path.attribute, known().map(|attribute| attribute.name)).map(str::to_owned).or_else(|| {
        let parts = known().flat_map(|whole| whole.sub_attributes.iter().map(move |part| (whole.name, part.name)));
        let mut parts = parts.filter(|(_, part)| part.eq_ignore_ascii_case(&path.attribute));
        parts.next().filter(|_| path.sub.is_none()).map(|(whole, part)| format!("{whole}.{part}"))
    });
    let dot = if sub.is_empty() { "" } else { "." };
    let help = near.map(|near| format!("did you mean [{near}{dot}{sub}]?"));
    Unknown::new("is no attribute of a user", help)
}

/// The fields of a directory's own records. Which there are nobody has declared, so a name is wrong only when it is no name.
#[derive(Clone, Copy, Debug)]
pub struct Fields;

impl Scope for Fields {
    fn attribute(&self, name: &str) -> Result<(Source, Type), Unknown> {
        Ok((Source::Field(name.to_owned()), Type::Any))
    }
}

/// A sample in hand: what it holds by that very name, else a SCIM path into it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a>(pub &'a Map<String, Value>);

impl Scope for Sample<'_> {
    fn attribute(&self, name: &str) -> Result<(Source, Type), Unknown> {
        let scim = Scim.attribute(name);
        let Some(value) = self.0.get(name) else {
            return scim.map_err(|unknown| {
                let near = nearest(name, self.0.keys().map(String::as_str));
                Unknown { help: near.map(|near| format!("did you mean [{near}]?")).or(unknown.help), ..unknown }
            });
        };
        if schema::core(name).is_some() {
            return scim;
        }
        let kind = match value {
            Value::String(_) => Type::Text,
            Value::Number(_) => Type::Number,
            Value::Bool(_) => Type::Boolean,
            Value::Array(_) => Type::List,
            Value::Null | Value::Object(_) => Type::Any,
        };
        Ok((Source::Field(name.to_owned()), kind))
    }
}
