//! Filters (RFC 7644 §3.4.2.2) as trees: what may be asked, in canonical names and with values of the attributes' types.
//!
//! Parsing is in `syntax`, answering in `evaluate`. A filter is either exact or refused: an attribute that nobody knows is an
//! error with the nearest name, never a silent "no match".

mod evaluate;

use std::fmt::{self, Write as _};

use serde_json::Value;

pub use self::evaluate::Subject;
pub(super) use self::evaluate::{Scope, holds, instant, same_without_case};
use super::error::ScimError;
use super::path::AttrPath;
use super::syntax;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    const ALL: [Self; 9] = [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The keyword, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// The operator with this keyword, in any case.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether it asks for an order.
    pub(super) const fn orders(self) -> bool {
        matches!(self, Self::Gt | Self::Ge | Self::Lt | Self::Le)
    }
}

/// A question about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// Whether any value of `path` stands in this relation to `value`.
    Compare {
        /// The attribute.
        path: AttrPath,
        /// The relation.
        operator: Operator,
        /// What it is compared with: text, number, boolean or null.
        value: Value,
    },
    /// Whether the attribute has a value.
    Present(AttrPath),
    /// Whether some entry of `path` matches `filter`, whose paths are sub-attributes.
    ValuePath {
        /// The multi-valued attribute, without a filter of its own.
        path: AttrPath,
        /// What is asked of an entry.
        filter: Box<Filter>,
    },
}

impl Filter {
    /// Parses a filter: at most 8 KiB, 32 levels and 128 comparisons.
    ///
    /// # Errors
    /// 400 `invalidFilter` with the position of the offending character and a hint; also for an attribute that is none, and
    /// for a comparison that its type does not allow.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        syntax::filter(text).map_err(|problem| {
            ScimError::invalid_filter(format!("filter, character {}: {}", problem.character, problem.message))
        })
    }

    /// Whether the subject is among what is asked for. Several values of one attribute: any of them suffices.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        evaluate::holds(self, Scope::Resource(subject))
    }

    /// The parts that all must hold: the tree's uppermost ANDs, flattened, from left to right.
    #[must_use]
    pub fn conjuncts(&self) -> Vec<&Filter> {
        let mut parts = Vec::new();
        let mut waiting = vec![self];
        while let Some(filter) = waiting.pop() {
            match filter {
                Self::And(left, right) => waiting.extend([&**right, &**left]),
                part => parts.push(part),
            }
        }
        parts
    }

    /// The path of an equality with text, and the text: what a directory can often answer by itself.
    #[must_use]
    pub fn as_equality(&self) -> Option<(&AttrPath, &str)> {
        match self {
            Self::Compare { path, operator: Operator::Eq, value: Value::String(text) } => Some((path, text)),
            _ => None,
        }
    }

    /// The id of the member that a group must have: `members eq "…"`, `members.value eq "…"`, `members[value eq "…"]`. A
    /// directory answers that without loading the members.
    #[must_use]
    pub fn as_member(&self) -> Option<&str> {
        self.as_reference("members")
    }

    /// The id of the group that a person must belong to: `groups eq "…"`, `groups.value eq "…"`, `groups[value eq "…"]`.
    #[must_use]
    pub fn as_group(&self) -> Option<&str> {
        self.as_reference("groups")
    }

    /// Whether answering it takes the attribute of this name: what a gateway must load before it asks [`Filter::matches`].
    #[must_use]
    pub fn concerns(&self, attribute: &str) -> bool {
        let names = |path: &AttrPath| path.schema.is_none() && path.attribute == attribute;
        match self {
            Self::And(left, right) | Self::Or(left, right) => left.concerns(attribute) || right.concerns(attribute),
            Self::Not(inner) => inner.concerns(attribute),
            Self::Compare { path, .. } | Self::Present(path) | Self::ValuePath { path, .. } => names(path),
        }
    }

    fn as_reference(&self, attribute: &str) -> Option<&str> {
        let is_value = |path: &AttrPath| path.schema.is_none() && path.attribute == "value" && path.sub.is_none();
        match self {
            Self::ValuePath { path, filter } if path.schema.is_none() && path.attribute == attribute => match &**filter
            {
                Self::Compare { path, operator: Operator::Eq, value: Value::String(id) } if is_value(path) => Some(id),
                _ => None,
            },
            _ => {
                let (path, id) = self.as_equality()?;
                let whole = path.sub.as_deref().is_none_or(|sub| sub == "value");
                (path.schema.is_none() && path.attribute == attribute && path.filter.is_none() && whole).then_some(id)
            }
        }
    }

    /// How tightly the printed form binds.
    const fn strength(&self) -> u8 {
        match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            _ => 2,
        }
    }
}

/// The canonical form; parsing it gives the same tree again.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(left, right) => write!(f, "{} and {}", Operand(left, 1), Operand(right, 2)),
            Self::Or(left, right) => write!(f, "{} or {}", Operand(left, 0), Operand(right, 1)),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Compare { path, operator, value } => write!(f, "{path} {} {value}", operator.as_str()),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::ValuePath { path, filter } => write!(f, "{path}[{filter}]"),
        }
    }
}

/// A part of a filter, in parentheses if it binds less tightly than its place demands.
struct Operand<'f>(&'f Filter, u8);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.strength() >= self.1 {
            return self.0.fmt(f);
        }
        f.write_char('(')?;
        self.0.fmt(f)?;
        f.write_char(')')
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::resource::{Meta, Resource, ResourceType};
    use crate::types::Timestamp;

    fn ada() -> Resource {
        let body = json!({
            "userName": "Ada@Example.com", "externalId": "E7", "displayName": "Ada Lovelace", "active": true, "title": "Zählerin",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"type": "work", "value": "ada@example.com", "primary": true}, {"type": "home", "value": "a@home.example"}],
            "roles": [{"value": "admin", "primary": "True"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                {"department": "Engines", "employeeNumber": "0701984", "manager": {"value": "M1", "$ref": "../Users/M1"}},
        });
        Resource::parse(ResourceType::User, body.to_string().as_bytes()).unwrap().resource
    }

    fn asked(filter: &str) -> bool {
        let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()), "{filter}");
        let meta = Meta {
            id: "u7",
            location: "https://scim.example.com/Users/u7",
            created: Some(Timestamp::from_seconds(1_763_790_000)),
            modified: None,
            version: None,
        };
        filter.matches(&Subject { kind: ResourceType::User, resource: &ada(), meta })
    }

    #[test]
    fn filters_that_match() {
        for filter in [
            r#"userName eq "ada@example.com""#,
            r#"USERNAME Eq "ADA@example.com""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ada""#,
            r#"id eq "u7""#,
            r#"externalId eq "E7""#,
            r#"emails[type eq "work"].value eq "ADA@example.com""#,
            r#"emails[type eq "work" and value co "@example.com"]"#,
            r#"emails[type eq "work"] eq "ada@example.com""#,
            r#"emails.type eq "home""#,
            r#"emails eq "a@home.example""#,
            r#"email eq "ada@example.com""#,
            r#"email.value eq "ada@example.com""#,
            r#"emails co "home" and emails co "example.com""#,
            r#"emails.type ne "work""#,
            "active eq true",
            "active eq True",
            r#"active eq "True""#,
            r#"active ne "False""#,
            r#"roles[primary eq "True"].value eq "admin""#,
            r#"manager eq "M1""#,
            r#"manager.value eq "M1""#,
            "manager.$ref pr",
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "M1""#,
            r#"department eq "engines""#,
            r#"id eq "u7" and manager eq "M1""#,
            r#"not(userName eq "x")"#,
            r#"NOT (userName eq "x") AND (title pr OR nickName pr)"#,
            "emails pr and not (phoneNumbers pr)",
            r#"nickName ne "Babs""#,
            "nickName eq null",
            "userName ne null",
            r#"title eq "ZÄHLERIN""#,
            r#"title ew "RIN""#,
            r#"displayName ge "Ada""#,
            r#"meta.created gt "2025-11-22T05:39:59Z""#,
            r#"meta.created eq "2025-11-22T06:40:00+01:00""#,
            r#"meta.created lt "2025-11-22T05:40:01""#,
            r#"meta.resourceType eq "User""#,
            r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
            "meta pr",
            r#"employeeNumber eq "0701984""#,
            r#"not (urn:example:custom:2.0:User:size eq "9")"#,
            r#"userName eq "ad\u0061@example.com""#,
            r#"not (members eq "u1") and not (groups.value eq "g")"#,
            r#"userName eq "x" or userName eq "y" or active eq true and title pr"#,
            r#"(userName eq "x" or active eq true) and (title pr and (title pr and title pr))"#,
        ] {
            assert!(asked(filter), "{filter}");
        }
    }

    #[test]
    fn filters_that_do_not_match() {
        for filter in [
            r#"externalId eq "e7""#,
            r#"id eq "U7""#,
            r#"manager eq "m1""#,
            r#"emails[type eq "home"].value eq "ada@example.com""#,
            r#"emails[type eq "home" and value co "@example.com"]"#,
            "phoneNumbers pr",
            "not (active pr)",
            r#"userName gt "b""#,
            r#"meta.lastModified gt "2000-01-01T00:00:00Z""#,
            r#"emails[type eq "fax"].value ne null"#,
            "emails.display pr",
            "members[$ref pr]",
        ] {
            assert!(!asked(filter), "{filter}");
        }
    }

    #[test]
    fn refused_filters_say_where_and_what() {
        for (filter, character, says) in [
            ("", 1, "empty"),
            ("   ", 4, "empty"),
            ("userName eq jyoung", 13, "\"jyoung\""),
            ("userName eq 'jyoung'", 13, "\"jyoung\""),
            ("userName eq “jyoung”", 13, "\"jyoung\""),
            ("userName eq", 12, "expected a value"),
            ("userName", 9, "operators"),
            ("userName is \"x\"", 10, "found \"is\""),
            ("userName eq \"x", 13, "never closed"),
            ("userName eq \"x\" und", 17, "expected 'and', 'or'"),
            ("(userName eq \"x\"", 1, "never closed"),
            ("userName eq \"x\")", 16, "expected 'and', 'or'"),
            ("emails[type eq \"work\"", 7, "never closed"),
            ("userNme eq \"x\"", 1, "did you mean userName?"),
            ("äuserName eq \"x\"", 1, "name of an attribute"),
            ("title pr and nme.givenName eq \"x\"", 14, "did you mean name?"),
            ("name.givenNme eq \"x\"", 1, "did you mean givenName?"),
            ("emails[typ eq \"work\"]", 8, "did you mean type?"),
            ("shoeSize eq 9", 1, "no attribute"),
            ("title pr and password sw \"a\"", 14, "never told"),
            ("not (password pr)", 6, "never told"),
            ("title pr and meta.location ew \"/Users/7\"", 14, "filter by id"),
            ("name eq \"Ada\"", 1, "givenName"),
            ("active gt true", 11, "no order"),
            ("active eq \"yes\"", 11, "true or false"),
            ("userName co null", 13, "pr"),
            ("meta.created gt \"yesterday\"", 17, "2026-01-31T08:00:00Z"),
            ("meta.created le 184467", 17, "2026-01-31T08:00:00Z"),
            ("userName eq \"a\\u0000\"", 13, "NUL"),
            ("userName eq \"a\\q\"", 13, "JSON string"),
            ("urn:ietf:params:scim:schemas:core:2.0:User eq \"x\"", 1, "names a schema"),
        ] {
            let error = Filter::parse(filter).expect_err(filter);
            assert_eq!((error.status, error.scim_type), (400, Some(super::super::error::ScimType::InvalidFilter)));
            assert!(error.detail.starts_with(&format!("filter, character {character}:")), "{filter}: {}", error.detail);
            assert!(error.detail.contains(says), "{filter}: {}", error.detail);
        }
    }

    #[test]
    fn the_bounds_hold() {
        let nested = |depth: usize| format!("{}active pr{}", "(".repeat(depth), ")".repeat(depth));
        let chained = |terms: usize| vec!["active pr"; terms].join(" or ");
        assert!(Filter::parse(&nested(32)).is_ok());
        assert!(Filter::parse(&nested(33)).is_err());
        assert!(Filter::parse(&"not(".repeat(2000)).is_err());
        assert!(Filter::parse(&chained(128)).is_ok());
        assert!(Filter::parse(&chained(129)).is_err());
        assert!(Filter::parse(&format!("userName eq \"{}\"", "x".repeat(8192))).is_err());
    }

    #[test]
    fn questions_about_membership_are_seen() {
        for (filter, member, group) in [
            (r#"members eq "u1""#, Some("u1"), None),
            (r#"Members.Value EQ "u1""#, Some("u1"), None),
            (r#"members[value eq "u1"]"#, Some("u1"), None),
            (r#"urn:ietf:params:scim:schemas:core:2.0:Group:members eq "u1""#, Some("u1"), None),
            (r#"groups.value eq "g1""#, None, Some("g1")),
            (r#"groups[value eq "g1"]"#, None, Some("g1")),
            (r#"members ne "u1""#, None, None),
            (r#"members.type eq "User""#, None, None),
            (r#"members[value eq "u1" and type eq "User"]"#, None, None),
            (r#"members[type eq "User"].value eq "u1""#, None, None),
            (r#"displayName eq "members""#, None, None),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            assert_eq!((parsed.as_member(), parsed.as_group()), (member, group), "{filter}");
        }
        let filter = Filter::parse(r#"id eq "g1" and not (members eq "u1")"#).unwrap();
        assert!(filter.concerns("members") && !filter.concerns("groups"));
    }

    #[test]
    fn conjuncts_are_flattened_in_order() {
        let filter =
            Filter::parse(r#"(id eq "1" and active pr) and (title pr or nickName pr) and manager eq "2""#).unwrap();
        let parts: Vec<_> = filter.conjuncts().into_iter().map(ToString::to_string).collect();
        assert_eq!(parts[..2], [r#"id eq "1""#, "active pr"]);
        assert_eq!(parts[2], "title pr or nickName pr");
        assert_eq!(parts.len(), 4);
    }
}
