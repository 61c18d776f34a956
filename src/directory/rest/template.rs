//! `GET /users/{id}`: a call with slots. What fills a slot is percent-encoded whatever it is (RFC 3986 §2.1), so a value can
//! never become a path segment, a parameter or a fragment of its own.

use http::Method;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a template leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `{id}`: the key of a person.
    Id,
    /// `{value}`: the value sought.
    Value,
    /// `{offset}`: how many to pass over.
    Offset,
    /// `{limit}`: how many to give at most.
    Limit,
    /// `{page}`: the number of a page.
    Page,
    /// `{cursor}`: where the page before left off. Its whole parameter is left out when there is none.
    Cursor,
    /// `{key}`: the key after which a walk goes on. Its whole parameter is left out when there is none.
    Key,
    /// `{member}`: the key of a member.
    Member,
    /// `{kind}`: what a member is.
    Kind,
}

impl Slot {
    const ALL: [Self; 9] = [
        Self::Id,
        Self::Value,
        Self::Offset,
        Self::Limit,
        Self::Page,
        Self::Cursor,
        Self::Key,
        Self::Member,
        Self::Kind,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Value => "value",
            Self::Offset => "offset",
            Self::Limit => "limit",
            Self::Page => "page",
            Self::Cursor => "cursor",
            Self::Key => "key",
            Self::Member => "member",
            Self::Kind => "kind",
        }
    }

    /// Whether an empty value takes its parameter away instead of being sent.
    const fn may_lack(self) -> bool {
        matches!(self, Self::Cursor | Self::Key)
    }
}

/// A method and a path template.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The method.
    pub method: Method,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// A slot in the path, where an empty value or `..` would address something else.
    Segment(Slot),
    /// A slot after `?`.
    Parameter(Slot),
}

impl Operation {
    /// Reads `METHOD /path`, in which every one of `slots` must occur and no other may.
    ///
    /// # Errors
    /// Says what is wrong and what to write.
    pub fn parse(text: &str, slots: &[Slot]) -> Result<Self, String> {
        Self::parse_with(text, slots, &[])
    }

    /// Reads `METHOD /path`, in which every one of `required` must occur, any of `optional` may, and no other.
    ///
    /// # Errors
    /// Says what is wrong and what to write.
    pub fn parse_with(text: &str, required: &[Slot], optional: &[Slot]) -> Result<Self, String> {
        let slots = [required, optional].concat();
        let (method, path) = text.split_once(' ').ok_or("write a method and a path, such as \"GET /users/{id}\"")?;
        let path = path.trim_start();
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => return Err(format!("\"{other}\" is none of GET, POST, PUT, PATCH, DELETE")),
        };
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(format!("the path \"{path}\" must begin with one /; the host stands in url"));
        }
        if let Some(odd) = path.chars().find(|&c| !c.is_ascii_graphic() || "#\"<>\\^`|".contains(c)) {
            return Err(format!("{odd:?} cannot stand in a path; write it percent-encoded"));
        }
        let mut parts = Vec::new();
        let mut rest = path;
        let mut query = false;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            query |= before.contains('?');
            let close =
                from.find('}').filter(|_| from.starts_with('{')).ok_or("has a { or } without its other half")?;
            let name = &from[1..close];
            let slot = Slot::ALL.into_iter().find(|slot| slot.name() == name && slots.contains(slot));
            let slot = slot.ok_or_else(|| match &*slots {
                [] => format!("nothing can be filled in for {{{name}}} here"),
                slots => format!("nothing can be filled in for {{{name}}} here, only for {}", names(slots)),
            })?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(if query { Part::Parameter(slot) } else { Part::Segment(slot) });
            rest = &from[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let operation = Self { method, parts };
        if let Some(missing) = required.iter().find(|slot| !operation.has(**slot)) {
            return Err(format!("{{{}}} must stand in the path or after ?", missing.name()));
        }
        let lacking = |part: &Part| matches!(part, Part::Segment(slot) if slot.may_lack());
        if operation.parts.iter().any(lacking) {
            return Err("{cursor} and {key} are parameters: they stand after ?".into());
        }
        Ok(operation)
    }

    /// Whether `slot` occurs.
    pub fn has(&self, slot: Slot) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Segment(held) | Part::Parameter(held) if *held == slot))
    }

    /// The path below `prefix` with the slots filled in. `None` when a value cannot be addressed at all: empty or made of dots
    /// as a path segment, with control characters, or too long for a URI.
    pub fn fill(&self, prefix: &str, values: &[(Slot, &str)]) -> Option<PathAndQuery> {
        let mut path = String::with_capacity(prefix.len() + 64);
        path.push_str(prefix);
        let mut left_out = false;
        for part in &self.parts {
            match part {
                Part::Text(text) if std::mem::take(&mut left_out) => {
                    path.push_str(text.strip_prefix('&').unwrap_or(text));
                }
                Part::Text(text) => path.push_str(text),
                Part::Parameter(slot) if slot.may_lack() && values.contains(&(*slot, "")) => {
                    path.truncate(path.rfind(['?', '&']).map_or(path.len(), |at| at + 1));
                    left_out = true;
                }
                Part::Segment(slot) | Part::Parameter(slot) => {
                    let (_, value) = values.iter().find(|(filled, _)| filled == slot)?;
                    let astray = matches!(part, Part::Segment(_)) && value.bytes().all(|byte| byte == b'.');
                    if astray || value.len() > 8192 || value.bytes().any(|byte| byte.is_ascii_control()) {
                        return None;
                    }
                    path.extend(utf8_percent_encode(value, RESERVED));
                }
            }
        }
        if left_out {
            path.truncate(path.trim_end_matches(['?', '&']).len());
        }
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(path)).ok()
    }
}

fn names(slots: &[Slot]) -> String {
    slots.iter().map(|slot| format!("{{{}}}", slot.name())).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value() {
        let find = Operation::parse("GET /users?username={value}", &[Slot::Value]).unwrap();
        let read = Operation::parse("GET /users/{id}", &[Slot::Id]).unwrap();
        for (value, query, path) in [
            ("ada@example.com", Some("/v1/users?username=ada%40example.com"), Some("/v1/users/ada%40example.com")),
            (
                "a&b=c#d?e+f g",
                Some("/v1/users?username=a%26b%3Dc%23d%3Fe%2Bf%20g"),
                Some("/v1/users/a%26b%3Dc%23d%3Fe%2Bf%20g"),
            ),
            ("Ä", Some("/v1/users?username=%C3%84"), Some("/v1/users/%C3%84")),
            ("17/../18", Some("/v1/users?username=17%2F..%2F18"), Some("/v1/users/17%2F..%2F18")),
            ("..", Some("/v1/users?username=.."), None),
            ("", Some("/v1/users?username="), None),
            ("a\0b", None, None),
            ("a\r\nb", None, None),
        ] {
            let filled = find.fill("/v1", &[(Slot::Value, value)]);
            assert_eq!(filled.as_ref().map(PathAndQuery::as_str), query, "{value:?} in a query");
            let filled = read.fill("/v1", &[(Slot::Id, value)]);
            assert_eq!(filled.as_ref().map(PathAndQuery::as_str), path, "{value:?} in a path");
        }
    }

    #[test]
    fn what_there_is_none_of_takes_its_parameter_away() {
        for (text, cursor, path) in [
            ("GET /users?cursor={cursor}&limit={limit}", "", "/users?limit=5"),
            ("GET /users?cursor={cursor}&limit={limit}", "a=", "/users?cursor=a%3D&limit=5"),
            ("GET /users?limit={limit}&cursor={cursor}", "", "/users?limit=5"),
            ("GET /users?cursor={cursor}", "", "/users"),
        ] {
            let list = Operation::parse_with(text, &[Slot::Cursor], &[Slot::Limit]).unwrap();
            let filled = list.fill("", &[(Slot::Cursor, cursor), (Slot::Limit, "5")]);
            assert_eq!(filled.as_ref().map(PathAndQuery::as_str), Some(path), "{text}");
        }
    }

    #[test]
    fn a_wrong_template_says_what_to_write() {
        for (text, slots, problem) in [
            ("/users", &[][..], "write a method and a path, such as \"GET /users/{id}\""),
            ("FETCH /users", &[], "\"FETCH\" is none of GET, POST, PUT, PATCH, DELETE"),
            ("GET users", &[], "the path \"users\" must begin with one /; the host stands in url"),
            (
                "GET //evil.example/users",
                &[],
                "the path \"//evil.example/users\" must begin with one /; the host stands in url",
            ),
            ("GET /users/{id", &[Slot::Id], "has a { or } without its other half"),
            ("GET /users/}{id}", &[Slot::Id], "has a { or } without its other half"),
            ("GET /users/{key}", &[Slot::Id], "nothing can be filled in for {key} here, only for {id}"),
            ("POST /users/{id}", &[], "nothing can be filled in for {id} here"),
            ("GET /users", &[Slot::Id], "{id} must stand in the path or after ?"),
            ("GET /users#{id}", &[Slot::Id], "'#' cannot stand in a path; write it percent-encoded"),
        ] {
            assert_eq!(Operation::parse(text, slots).unwrap_err(), problem, "{text}");
        }
    }
}
