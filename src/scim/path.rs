//! Attribute paths (RFC 7644 §3.5.2 and §3.10): one type for filter attributes, PATCH paths and `attributes` lists.
//!
//! A path's names are in canonical spelling where a schema knows them and as written where none does; whether an attribute
//! is known, and what the schema says of it, is [`AttrPath::definition`].

use std::fmt::{self, Write as _};

use super::error::ScimError;
use super::filter::Filter;
use super::schema::{self, Attribute, Kind, ResourceType};
use super::syntax;

/// What names an attribute, a part of one, or the entries of one that match a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttrPath {
    /// URN of the extension, in canonical spelling if it is one of ours; `None` for a core attribute.
    pub schema: Option<String>,
    /// Name of the attribute; empty when the path is a whole schema, such as the URN of the enterprise extension alone.
    pub attribute: String,
    /// Which entries of a multi-valued attribute.
    pub filter: Option<Box<Filter>>,
    /// Name of the sub-attribute.
    pub sub: Option<String>,
}

impl AttrPath {
    /// Parses `[URN:]attribute[filter].sub` in any case; names that no schema knows are kept as written.
    ///
    /// # Errors
    /// 400 `invalidPath` with the position of the offending character and a hint.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        // Most paths are plain names; they need no parser.
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(Self::plain(text));
        }
        syntax::path(text).map_err(|problem| {
            ScimError::invalid_path(format!("path, character {}: {}", problem.character, problem.message))
        })
    }

    /// The path of a core attribute; `name` must be in canonical spelling.
    #[must_use]
    pub fn core(name: &str) -> Self {
        Self { schema: None, attribute: name.to_owned(), filter: None, sub: None }
    }

    /// The path of an enterprise attribute; `name` must be in canonical spelling.
    #[must_use]
    pub fn enterprise(name: &str) -> Self {
        Self { schema: Some(schema::ENTERPRISE.to_owned()), ..Self::core(name) }
    }

    /// This path with a sub-attribute in canonical spelling.
    #[must_use]
    pub fn with_sub(self, sub: &str) -> Self {
        Self { sub: Some(sub.to_owned()), ..self }
    }

    /// This path for those entries that match.
    #[must_use]
    pub fn with_filter(self, filter: Filter) -> Self {
        Self { filter: Some(Box::new(filter)), ..self }
    }

    /// Whether this is the path that `text` spells: [`AttrPath`]'s printed form, without regard to case.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let mut rest = Rest(text);
        write!(rest, "{self}").is_ok() && rest.0.is_empty()
    }

    /// What the schema says of the attribute (not of its sub-attribute); `None` if no schema knows it.
    #[must_use]
    pub fn definition(&self) -> Option<&'static Attribute> {
        match &self.schema {
            None => schema::core(&self.attribute),
            Some(urn) => schema::extension(urn)?.attribute(&self.attribute),
        }
    }

    /// What the schema says of what the path leads to: the sub-attribute if there is one, else the attribute.
    #[must_use]
    pub fn leaf(&self) -> Option<&'static Attribute> {
        let attribute = self.definition()?;
        match &self.sub {
            Some(sub) => attribute.sub(sub),
            None => Some(attribute),
        }
    }

    /// The same for a resource of this type: `None` also if only the other type has the attribute.
    #[must_use]
    pub fn definition_in(&self, kind: ResourceType) -> Option<&'static Attribute> {
        match &self.schema {
            None => kind.attribute(&self.attribute),
            Some(urn) if schema::extended(urn) == Some(kind) => schema::extension(urn)?.attribute(&self.attribute),
            Some(_) => None,
        }
    }

    /// What a resource's schema says of what the path leads to.
    #[must_use]
    pub fn leaf_in(&self, kind: ResourceType) -> Option<&'static Attribute> {
        let attribute = self.definition_in(kind)?;
        match &self.sub {
            Some(sub) => attribute.sub(sub),
            None => Some(attribute),
        }
    }

    /// The attribute whose text a comparison with this path looks at: a complex one stands for its `value`
    /// (`manager eq "…"`, RFC 7644 §3.5.2 on defaults of complex attributes).
    pub(super) fn compared(&self) -> Option<&'static Attribute> {
        let attribute = self.definition().or_else(|| self.plural())?;
        match &self.sub {
            Some(sub) => attribute.sub(sub),
            None if attribute.kind == Kind::Complex => Some(attribute.sub("value").unwrap_or(attribute)),
            None => Some(attribute),
        }
    }

    /// The multi-valued attribute of which this unknown core name is the singular: some clients filter by `email`.
    pub(super) fn plural(&self) -> Option<&'static Attribute> {
        if self.schema.is_some() || !self.attribute.is_ascii() {
            return None;
        }
        schema::user().attributes.iter().find(|attribute| {
            attribute.multi_valued
                && attribute.name.strip_suffix('s').is_some_and(|name| name.eq_ignore_ascii_case(&self.attribute))
        })
    }

    /// The attribute that was probably meant by a name that no schema knows.
    pub(super) fn nearest(&self) -> Option<&'static str> {
        let of_extension = |urn: &str| schema::extension(urn).map(|extension| extension.attributes);
        match &self.schema {
            Some(urn) => schema::nearest(&self.attribute, of_extension(urn)?.iter()),
            None => schema::nearest(&self.attribute, schema::plain_names()),
        }
    }

    /// From a name without filter: `[URN:]attribute[.sub]`, the URN ending at the last colon. The error says what is wrong.
    pub(super) fn resolve(name: &str) -> Result<Self, String> {
        if let Some(urn) = schema::known_urn(name) {
            return Ok(Self { schema: Some(urn.to_owned()), ..Self::core("") });
        }
        let (urn, name) = match name.rsplit_once(':') {
            Some(("", _)) => return Err("a schema's URN is missing before the ':'".into()),
            Some((urn, name)) => (Some(urn), name),
            None => (None, name),
        };
        let (attribute, sub) = match name.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (name, None),
        };
        if attribute.is_empty() || sub == Some("") {
            return Err("a name is missing beside the '.' or ':'".into());
        }
        if !attribute.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$') {
            return Err("the name of an attribute begins with a letter".into());
        }
        if sub.is_some_and(|sub| sub.contains('.')) {
            return Err("attributes have one level of sub-attributes; write attribute.sub".into());
        }
        let mut path = match urn {
            None => Self::plain(attribute),
            Some(urn) if schema::is_core(urn) => {
                Self::core(schema::core(attribute).map_or(attribute, |known| known.name))
            }
            Some(urn) => match schema::extension(urn) {
                Some(known) => Self {
                    schema: Some(known.id.to_owned()),
                    ..Self::core(known.attribute(attribute).map_or(attribute, |known| known.name))
                },
                None => Self { schema: Some(urn.to_owned()), ..Self::core(attribute) },
            },
        };
        if let Some(sub) = sub {
            let known = path.definition().or_else(|| path.plural()).and_then(|attribute| attribute.sub(sub));
            path.sub = Some(known.map_or(sub, |known| known.name).to_owned());
        }
        Ok(path)
    }

    /// From an attribute's name alone. One that only the enterprise extension has means that one: clients write `manager`.
    fn plain(name: &str) -> Self {
        if let Some(known) = schema::core(name) {
            return Self::core(known.name);
        }
        match schema::enterprise().attribute(name) {
            Some(known) => Self::enterprise(known.name),
            None => Self::core(name),
        }
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.schema {
            f.write_str(urn)?;
            if !self.attribute.is_empty() {
                f.write_char(':')?;
            }
        }
        f.write_str(&self.attribute)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// A text of which each piece written takes off its beginning; a piece that is not there is an error.
struct Rest<'t>(&'t str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        match self.0.get(..piece.len()) {
            Some(start) if start.eq_ignore_ascii_case(piece) => {
                self.0 = &self.0[piece.len()..];
                Ok(())
            }
            _ => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_any_case_and_printed_canonically() {
        for (text, printed) in [
            ("userName", "userName"),
            ("USERNAME", "userName"),
            ("Name.GivenName", "name.givenName"),
            ("emails[Type eq \"work\"].Value", "emails[type eq \"work\"].value"),
            (
                "emails[type eq \"work\" and not(primary EQ \"True\")]",
                "emails[type eq \"work\" and not (primary eq true)]",
            ),
            ("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName", "name.familyName"),
            (
                "URN:IETF:params:scim:schemas:extension:enterprise:2.0:user:Department",
                &format!("{}:department", schema::ENTERPRISE),
            ),
            ("manager.value", &format!("{}:manager.value", schema::ENTERPRISE)),
            (schema::ENTERPRISE, schema::ENTERPRISE),
            ("members[value eq \"u1\"]", "members[value eq \"u1\"]"),
            ("groups.$REF", "groups.$ref"),
            ("urn:example:2.0:Thing:size", "urn:example:2.0:Thing:size"),
            ("shoeSize.left", "shoeSize.left"),
        ] {
            let path = AttrPath::parse(text).unwrap();
            assert_eq!(path.to_string(), printed);
            assert_eq!(AttrPath::parse(printed), Ok(path.clone()));
            assert!(path.is(printed) && path.is(&printed.to_uppercase()) && !path.is("u") && !path.is("userName.x"));
        }
    }

    #[test]
    fn malformed_paths_are_refused_where_they_go_wrong() {
        for (text, character) in [
            ("", 1),
            ("9", 1),
            ("emails[type eq \"work\"", 7),
            ("emails[type eq \"work\"].", 24),
            ("emails[type eq \"work\"].value.x", 24),
            ("a.b.c", 1),
            ("name.", 1),
            (":userName", 1),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:844", 1),
            ("name.givenName[x pr]", 15),
            ("userName eq \"x\"", 10),
            ("emails[type eq work]", 16),
            ("é", 1),
        ] {
            let error = AttrPath::parse(text).unwrap_err();
            assert!(error.detail.starts_with(&format!("path, character {character}:")), "{text}: {}", error.detail);
        }
    }

    #[test]
    fn a_path_knows_its_definition() {
        let leaf = |text| AttrPath::parse(text).unwrap().leaf().map(|attribute| attribute.name);
        assert_eq!(leaf("emails[type eq \"work\"].value"), Some("value"));
        assert_eq!(leaf("department"), Some("department"));
        assert_eq!(leaf("emails.size"), None);
        assert_eq!(leaf("shoeSize"), None);
    }
}
