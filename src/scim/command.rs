//! What a request asks beside its resource: queries (RFC 7644 §3.4.2), `.search` bodies (§3.4.3), projections (§3.9), and the
//! list that answers them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::cursor;
use super::error::{ScimError, excerpt};
use super::filter::Filter;
use super::normalise;
use super::path::AttrPath;
use super::schema::{self, LIST_RESPONSE};
use super::sort::Sort;

/// Which attributes an answer shall hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Only these (and `schemas` and `id`); empty for all.
    pub attributes: Vec<AttrPath>,
    /// All but these.
    pub excluded: Vec<AttrPath>,
}

impl Projection {
    /// Whether an answer shall hold anything of this core attribute, such as `members`: if not, it need not be loaded.
    #[must_use]
    pub fn wants(&self, attribute: &str) -> bool {
        let names = |path: &AttrPath| match &path.schema {
            None => path.attribute == attribute,
            Some(urn) => path.attribute.is_empty() && schema::is_core(urn),
        };
        let whole = |path: &AttrPath| path.sub.is_none() && path.filter.is_none();
        (self.attributes.is_empty() || self.attributes.iter().any(names))
            && !self.excluded.iter().any(|path| names(path) && whole(path))
    }
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which resources; `None` for all.
    pub filter: Option<Filter>,
    /// In which order; `None` for the server's own.
    pub sort: Option<Sort>,
    /// Which of them is the first of the page, counted from 1.
    pub start_index: u64,
    /// How many are wanted at most; `None` leaves it to the server.
    pub count: Option<u64>,
    /// Paging by cursor (RFC 9865) rather than by index.
    pub cursor: Option<cursor::Request>,
    /// Which attributes.
    pub projection: Projection,
}

impl Default for Query {
    fn default() -> Self {
        Self { filter: None, sort: None, start_index: 1, count: None, cursor: None, projection: Projection::default() }
    }
}

impl Query {
    /// Reads a raw query string (without `?`); `+` is a space. Parameters that are not SCIM's are ignored.
    ///
    /// # Errors
    /// 400 `invalidFilter` for the filter, 400 `invalidCount` for the count of a query by cursor, 400 `invalidValue` for
    /// anything else: a broken percent encoding, a number that is none, a parameter given twice, `startIndex` beside `cursor`.
    pub fn parse(query_string: &str) -> Result<Self, ScimError> {
        let mut given = Given::default();
        for pair in query_string.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What cannot be decoded is none of our names.
            let Ok(name) = decode(name) else { continue };
            let Some((name, slot)) = given.slot(&name) else { continue };
            let value = decode(value).map_err(|()| {
                ScimError::invalid_value(format!("{name} is not valid percent-encoded UTF-8; encode '%' itself as %25"))
            })?;
            if slot.replace(value.into_owned()).is_some() {
                return Err(ScimError::invalid_value(format!("{name} is given twice; give it once")));
            }
        }
        let list = |name, text: Option<String>| text.map_or(Ok(Vec::new()), |text| paths(name, text.split(',')));
        let (start_index, count, cursor) = paging(
            given.cursor,
            number("startIndex", given.start_index.as_deref())?,
            number("count", given.count.as_deref()),
        )?;
        Ok(Self {
            filter: given.filter.as_deref().map(Filter::parse).transpose()?,
            sort: Sort::parse(given.sort_by.as_deref(), given.sort_order.as_deref())?,
            start_index,
            count,
            cursor,
            projection: Projection {
                attributes: list("attributes", given.attributes)?,
                excluded: list("excludedAttributes", given.excluded)?,
            },
        })
    }

    /// Reads the body of a POST to `.search`.
    ///
    /// # Errors
    /// 400 `invalidSyntax` when the body is not a JSON object, otherwise as [`Query::parse`].
    pub fn parse_search(body: &[u8]) -> Result<Self, ScimError> {
        let mut body = normalise::body(body)?;
        let mut text = |name: &'static str| match take(&mut body, name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(wrong(name, &other, "text")),
        };
        let (filter, by, order, cursor) = (text("filter")?, text("sortBy")?, text("sortOrder")?, text("cursor")?);
        let (start_index, count, cursor) = paging(
            cursor,
            json_number("startIndex", &take(&mut body, "startIndex"))?,
            json_number("count", &take(&mut body, "count")),
        )?;
        Ok(Self {
            filter: filter.as_deref().map(Filter::parse).transpose()?,
            sort: Sort::parse(by.as_deref(), order.as_deref())?,
            start_index,
            count,
            cursor,
            projection: Projection {
                attributes: json_paths("attributes", &take(&mut body, "attributes"))?,
                excluded: json_paths("excludedAttributes", &take(&mut body, "excludedAttributes"))?,
            },
        })
    }
}

/// The answer to a query (RFC 7644 §3.4.2): `total` matches in all, of which `resources` are those from `start_index` on.
#[must_use]
pub fn list_response(total: u64, start_index: u64, resources: Vec<Value>) -> Value {
    let mut list = json!({
        "schemas": [LIST_RESPONSE],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
    });
    list["Resources"] = Value::Array(resources);
    list
}

/// The answer to a query by cursor (RFC 9865 §2): without `startIndex`, without `totalResults` where it is not known, and without
/// `nextCursor` on the last page.
#[must_use]
pub fn cursor_response(total: Option<u64>, next: Option<&str>, resources: Vec<Value>) -> Value {
    let mut list = json!({ "schemas": [LIST_RESPONSE] });
    if let Some(total) = total {
        list["totalResults"] = total.into();
    }
    list["itemsPerPage"] = resources.len().into();
    if let Some(next) = next {
        list["nextCursor"] = next.into();
    }
    list["Resources"] = Value::Array(resources);
    list
}

/// Which page is asked for, by index or by cursor. An empty cursor asks for the first page (RFC 9865 §2).
fn paging(
    cursor: Option<String>,
    start_index: Option<u64>,
    count: Result<Option<u64>, ScimError>,
) -> Result<(u64, Option<u64>, Option<cursor::Request>), ScimError> {
    let Some(cursor) = cursor else { return Ok((start_index.unwrap_or(1).max(1), count?, None)) };
    if start_index.is_some_and(|start| start > 1) {
        return Err(ScimError::invalid_value("startIndex and cursor exclude each other; page by one of them"));
    }
    let count = count.map_err(cursor::invalid_count)?;
    if count == Some(0) {
        let error =
            ScimError::invalid_value("count is below 1; a query by cursor asks for at least one resource a page");
        return Err(cursor::invalid_count(error));
    }
    let request = if cursor.is_empty() { cursor::Request::First } else { cursor::Request::At(cursor) };
    Ok((1, count, Some(request)))
}

/// Parameters as given.
#[derive(Default)]
struct Given {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    cursor: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    attributes: Option<String>,
    excluded: Option<String>,
}

impl Given {
    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>)> {
        [
            ("filter", &mut self.filter),
            ("sortBy", &mut self.sort_by),
            ("sortOrder", &mut self.sort_order),
            ("cursor", &mut self.cursor),
            ("startIndex", &mut self.start_index),
            ("count", &mut self.count),
            ("attributes", &mut self.attributes),
            ("excludedAttributes", &mut self.excluded),
        ]
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, ()> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'%' && !bytes.get(at + 1..at + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(());
    }
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().map(|text| Cow::Owned(text.into_owned())).map_err(|_| ());
    }
    percent_decode_str(text).decode_utf8().map_err(|_| ())
}

/// A whole number; below zero counts as zero (RFC 7644 §3.4.2.4), beyond all bounds as the largest.
fn number(name: &str, text: Option<&str>) -> Result<Option<u64>, ScimError> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::invalid_value(format!("{name} is \"{}\"; give a whole number", excerpt(text))));
    }
    Ok(Some(if negative { 0 } else { digits.parse().unwrap_or(u64::MAX) }))
}

fn json_number(name: &str, value: &Value) -> Result<Option<u64>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(digits) => number(name, Some(&digits.to_string())),
        Value::String(text) => number(name, Some(text)),
        other => Err(wrong(name, other, "a whole number")),
    }
}

fn paths<'t>(name: &str, texts: impl Iterator<Item = &'t str>) -> Result<Vec<AttrPath>, ScimError> {
    const MOST: usize = 256;
    let mut paths = Vec::new();
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        if paths.len() == MOST {
            return Err(ScimError::invalid_value(format!("{name} names more than {MOST} attributes")));
        }
        let path = AttrPath::parse(text).map_err(|error| {
            ScimError::invalid_value(format!("{name}: \"{}\" is no attribute: {}", excerpt(text), error.detail))
        })?;
        paths.push(path);
    }
    Ok(paths)
}

fn json_paths(name: &str, value: &Value) -> Result<Vec<AttrPath>, ScimError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => paths(name, text.split(',')),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            paths(name, items.iter().filter_map(Value::as_str))
        }
        other => Err(wrong(name, other, "a list of attribute names")),
    }
}

fn wrong(name: &str, value: &Value, expected: &str) -> ScimError {
    ScimError::invalid_value(format!("{name} is {}; send {expected}", normalise::what(value)))
}

/// Takes a member out of a message; its name may come in any case.
pub(super) fn take(message: &mut Map<String, Value>, name: &str) -> Value {
    let key = message.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    key.and_then(|key| message.shift_remove(&key)).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(paths: &[AttrPath]) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn queries_as_clients_write_them() {
        let id = "7d420df3-9995-4831-a406-ecf8166f5f6a";
        for (text, filter) in [
            (format!("filter=userName+eq+%22{id}%22"), format!("userName eq \"{id}\"")),
            (format!("filter=userName%20eq%20\"{id}\"&aadOptscim062020"), format!("userName eq \"{id}\"")),
            (
                "filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22a%2Bb@c.d%22".into(),
                "emails[type eq \"work\"].value eq \"a+b@c.d\"".into(),
            ),
            ("filter=emails[type eq \"work\"].value eq \"a\"".into(), "emails[type eq \"work\"].value eq \"a\"".into()),
            (
                "excludedAttributes=members&filter=displayName eq \"Caf%C3%A9 %26 Co\"".into(),
                "displayName eq \"Café & Co\"".into(),
            ),
        ] {
            let query = Query::parse(&text).unwrap();
            assert_eq!(query.filter.map(|filter| filter.to_string()), Some(filter), "{text}");
        }
        let query = Query::parse(
            "startIndex=3&count=5&attributes=ID,%20emails.Value,&excludedAttributes=members&sortOrder=Ascending&x=%zz",
        )
        .unwrap();
        assert_eq!((query.start_index, query.count), (3, Some(5)));
        assert_eq!(printed(&query.projection.attributes), ["id", "emails.value"]);
        assert_eq!(printed(&query.projection.excluded), ["members"]);
        assert_eq!(Query::parse(""), Ok(Query::default()));
    }

    #[test]
    fn numbers_are_bounded_not_refused() {
        for (text, start_index, count) in [
            ("startIndex=0&count=0", 1, Some(0)),
            ("startIndex=-7&count=-1", 1, Some(0)),
            ("startIndex=99999999999999999999999&count=99999999999999999999999", u64::MAX, Some(u64::MAX)),
            ("STARTINDEX=2", 2, None),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!((query.start_index, query.count), (start_index, count), "{text}");
        }
    }

    #[test]
    fn wrong_queries_are_refused_by_name() {
        for (text, says) in [
            ("count=ten", "count is \"ten\""),
            ("count=", "count is \"\""),
            ("startIndex=1.5", "startIndex"),
            ("count=1&count=2", "count is given twice"),
            ("count=1&COUNT=2", "count is given twice"),
            ("filter=a%zz", "filter is not valid percent-encoded"),
            ("filter=%C3", "filter is not valid percent-encoded"),
            ("filter=%", "filter is not valid percent-encoded"),
            ("filter=", "the filter is empty"),
            ("attributes=a..b", "attributes: \"a..b\" is no attribute"),
        ] {
            let error = Query::parse(text).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.detail.contains(says), "{text}: {}", error.detail);
        }
    }

    #[test]
    fn searches_by_post() {
        let query = Query::parse_search(
            br#"{"schemas": ["x"], "Filter": "id pr", "startIndex": -1, "count": "7", "attributes": ["id"], "excludedAttributes": "a, b"}"#,
        )
        .unwrap();
        assert_eq!((query.start_index, query.count), (1, Some(7)));
        assert_eq!(printed(&query.projection.attributes), ["id"]);
        assert_eq!(printed(&query.projection.excluded), ["a", "b"]);
        for body in
            [&b"[]"[..], br#"{"filter": 7}"#, br#"{"count": true}"#, br#"{"count": 1.5}"#, br#"{"attributes": [1]}"#]
        {
            assert_eq!(Query::parse_search(body).unwrap_err().status, 400);
        }
    }

    #[test]
    fn pages_are_asked_for_by_index_or_by_cursor() {
        use cursor::Request::{At, First};
        for (text, cursor) in [
            ("count=5", None),
            ("cursor=&count=5", Some(First)),
            ("cursor", Some(First)),
            ("Cursor=VZUTiy-_", Some(At("VZUTiy-_".into()))),
            ("cursor=&startIndex=1", Some(First)),
        ] {
            assert_eq!(Query::parse(text).unwrap().cursor, cursor, "{text}");
        }
        assert_eq!(Query::parse_search(br#"{"cursor": "x"}"#).unwrap().cursor, Some(At("x".into())));
        assert_eq!(Query::parse_search(br#"{"cursor": null}"#).unwrap().cursor, None);
        for (text, keyword, says) in [
            ("cursor=&count=ten", "invalidCount", "count is \"ten\""),
            ("cursor=&count=-3", "invalidCount", "below 1"),
            ("count=ten", "invalidValue", "count is \"ten\""),
            ("cursor=x&startIndex=2", "invalidValue", "exclude each other"),
            ("sortBy=usrName", "invalidValue", "did you mean userName?"),
            ("sortBy=userName&sortOrder=up", "invalidValue", "ascending or descending"),
        ] {
            let error = Query::parse(text).unwrap_err();
            assert_eq!(error.scim_type.map(super::super::error::ScimType::as_str), Some(keyword), "{text}");
            assert!(error.detail.contains(says), "{text}: {}", error.detail);
        }
        let sort = Query::parse("sortBy=Name.FamilyName&sortOrder=Descending").unwrap().sort.unwrap();
        assert_eq!((sort.by.to_string().as_str(), sort.descending), ("name.familyName", true));
        assert_eq!(
            cursor_response(Some(7), Some("n"), vec![json!({"id": "x"})]).to_string(),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":7,"itemsPerPage":1,"nextCursor":"n","Resources":[{"id":"x"}]}"#
        );
        assert!(cursor_response(Some(0), None, vec![]).get("nextCursor").is_none());
    }

    #[test]
    fn a_projection_tells_what_need_not_be_loaded() {
        for (text, wanted) in [
            ("", true),
            ("excludedAttributes=members", false),
            ("excludedAttributes=Members.display", true),
            ("attributes=id", false),
            ("attributes=members.value", true),
            ("attributes=urn:ietf:params:scim:schemas:core:2.0:Group:members", true),
            ("attributes=urn:ietf:params:scim:schemas:core:2.0:Group", true),
            ("attributes=displayName,members&excludedAttributes=members", false),
        ] {
            assert_eq!(Query::parse(text).unwrap().projection.wants("members"), wanted, "{text}");
        }
    }

    #[test]
    fn a_list_names_its_page() {
        let list = list_response(7, 3, vec![json!({"id": "x"})]);
        assert_eq!(
            list.to_string(),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":7,"startIndex":3,"itemsPerPage":1,"Resources":[{"id":"x"}]}"#
        );
    }
}
