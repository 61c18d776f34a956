//! Walks a list from answer to answer until the part that is wanted is there. Pure: gives what the next call must be filled
//! with and takes its answer. Never gives less than there is: a list that contradicts itself is an error.

use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use serde_json::Value;

use super::answer;
use super::config::listing::{Listing, Paging};
use super::template::Slot;
use crate::directory::client::Base;
use crate::ports::Page;

/// The most calls of one walk: what counts without an end is no list.
const MOST_CALLS: u32 = 1000;

/// A walk under way.
pub struct Walk<'l> {
    listing: &'l Listing,
    wanted: Page,
    /// How many entries lie before the next answer.
    seen: u64,
    at: At,
    calls: u32,
    taken: Vec<Value>,
    total: Option<u64>,
}

/// Where the next answer begins.
enum At {
    Start,
    Cursor(String),
    Link(PathAndQuery),
}

/// What the next call is.
pub enum Next<'w> {
    /// The listing's own, with these slots.
    Fill(Vec<(Slot, String)>),
    /// This address.
    Follow(&'w PathAndQuery),
}

impl<'l> Walk<'l> {
    /// A walk towards `wanted`.
    pub const fn new(listing: &'l Listing, wanted: Page) -> Self {
        let seen = match listing.paging {
            Paging::Offset => wanted.offset,
            Paging::Page { .. } => wanted.offset / listing.page_size * listing.page_size,
            Paging::Cursor { .. } | Paging::Link { .. } | Paging::Whole => 0,
        };
        Self { listing, wanted, seen, at: At::Start, calls: 0, taken: Vec::new(), total: None }
    }

    /// What to call next.
    pub fn next(&self) -> Next<'_> {
        let whole = self.listing.page_size;
        let limit = match self.listing.paging {
            Paging::Offset => (self.wanted.limit - self.taken.len() as u64).clamp(1, whole),
            _ => whole,
        };
        let mut slots = vec![(Slot::Limit, limit.to_string())];
        match (&self.at, &self.listing.paging) {
            (At::Link(path), _) => return Next::Follow(path),
            (At::Cursor(cursor), _) => slots.push((Slot::Cursor, cursor.clone())),
            (At::Start, Paging::Cursor { .. }) => slots.push((Slot::Cursor, String::new())),
            (At::Start, Paging::Offset) => slots.push((Slot::Offset, self.seen.to_string())),
            (At::Start, Paging::Page { first }) => slots.push((Slot::Page, (self.seen / whole + first).to_string())),
            (At::Start, _) => {}
        }
        Next::Fill(slots)
    }

    /// Takes an answer in; whether the walk is over.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub fn take(&mut self, body: &[u8], headers: &HeaderMap, base: &Base) -> Result<bool, String> {
        let parsed: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON, or cut short")?;
        let next = self.onward(&parsed, headers, base)?;
        let (items, total) = answer::items(parsed, &self.listing.items, &self.listing.total)?;
        self.calls += 1;
        self.total = total.or(self.total);
        let (before, given) = (self.seen, items.len() as u64);
        let skip = usize::try_from(self.wanted.offset.saturating_sub(before)).unwrap_or(usize::MAX);
        let room = usize::try_from(self.wanted.limit).unwrap_or(usize::MAX).saturating_sub(self.taken.len());
        self.taken.extend(items.into_iter().skip(skip).take(room));
        self.seen = before.saturating_add(given);
        let enough = self.taken.len() as u64 >= self.wanted.limit;
        match &self.listing.paging {
            Paging::Offset => {
                let total = self.total.ok_or_else(|| format!("there is no number at \"{}\"", self.listing.total))?;
                if enough || self.seen >= total {
                    return Ok(true);
                }
                if given == 0 {
                    return Err(format!("nothing is listed after {before} of {total}"));
                }
            }
            Paging::Page { .. } => {
                let short = given < self.listing.page_size;
                match self.total {
                    Some(total) if enough || self.seen >= total => return Ok(true),
                    None if short => {
                        // A page beyond the end says nothing about how many there are.
                        if given == 0 && before > 0 && self.calls == 1 {
                            return Err(format!(
                                "the page after {before} is empty, and there is no number at \"{}\"",
                                self.listing.total
                            ));
                        }
                        self.total = Some(self.seen);
                        return Ok(true);
                    }
                    Some(total) if short => {
                        let size = self.listing.page_size;
                        return Err(format!("a page holds {given} of {total}, not page_size = {size}"));
                    }
                    _ => {}
                }
            }
            Paging::Cursor { .. } | Paging::Link { .. } => {
                if enough && self.total.is_some() {
                    return Ok(true);
                }
                match next {
                    None => {
                        self.total = self.total.or(Some(self.seen));
                        return Ok(true);
                    }
                    Some(next) => {
                        let same = match (&self.at, &next) {
                            (At::Cursor(old), At::Cursor(new)) => old == new,
                            (At::Link(old), At::Link(new)) => old == new,
                            _ => false,
                        };
                        if same {
                            return Err("it leads on to itself".into());
                        }
                        self.at = next;
                    }
                }
            }
            Paging::Whole => {
                self.total = Some(self.seen);
                return Ok(true);
            }
        }
        if self.calls >= MOST_CALLS {
            return Err(format!("the list does not end within {MOST_CALLS} answers"));
        }
        Ok(false)
    }

    /// The entries wanted, and how many there are in all.
    pub fn finish(self) -> (Vec<Value>, u64) {
        let total = self.total.unwrap_or(self.seen);
        (self.taken, total)
    }

    /// Where the list goes on, if it does.
    fn onward(&self, body: &Value, headers: &HeaderMap, base: &Base) -> Result<Option<At>, String> {
        let text = |next: &str| match body.pointer(next) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            None | Some(Value::Null | Value::String(_) | Value::Bool(false)) => Ok(None),
            Some(_) => Err(format!("there is no text at \"{next}\"")),
        };
        match &self.listing.paging {
            Paging::Cursor { next } => Ok(text(next)?.map(At::Cursor)),
            Paging::Link { next: Some(next) } => {
                text(next)?.map(|address| within(&address, base).map(At::Link)).transpose()
            }
            Paging::Link { next: None } => {
                linked(headers).map(|address| within(&address, base).map(At::Link)).transpose()
            }
            Paging::Offset | Paging::Page { .. } | Paging::Whole => Ok(None),
        }
    }
}

/// The path of an address that must lie below `base`: a bearer token goes nowhere else.
fn within(address: &str, base: &Base) -> Result<PathAndQuery, String> {
    let root = url::Url::parse(&format!("{}{}/", base.origin(), base.prefix())).map_err(|error| error.to_string())?;
    let url = root.join(address).map_err(|_| "it leads on to what is no address")?;
    let below = url.path().strip_prefix(base.prefix()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if url.origin() != root.origin() || !below {
        return Err("it leads on to another place than url".into());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    PathAndQuery::try_from(format!("{}{query}", url.path())).map_err(|_| "it leads on to what is no address".into())
}

/// The address of `rel="next"` among the `Link` headers (RFC 8288 §3).
fn linked(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|text| {
        let mut rest = text;
        while let Some((_, from)) = rest.split_once('<') {
            let (address, parameters) = from.split_once('>')?;
            let end = parameters.find(",<").or_else(|| parameters.find(", <")).unwrap_or(parameters.len());
            let is_next = parameters[..end].split(';').any(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                let value = value.trim().trim_end_matches(',').trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
            });
            if is_next {
                return Some(address.to_owned());
            }
            rest = &parameters[end..];
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_and_kept_at_home() {
        let base = Base::parse("https://hr.example.com/api").unwrap();
        for (text, expected) in [
            ("<https://hr.example.com/api/users?page=2>; rel=\"next\"", Ok("/api/users?page=2")),
            (
                "<https://hr.example.com/api/users?page=9>; rel=\"last\", </api/users?page=2>; rel=next",
                Ok("/api/users?page=2"),
            ),
            ("<users?page=2>; title=\"x\"; rel=\"prefetch next\"", Ok("/api/users?page=2")),
            ("<https://evil.example/api/users>; rel=next", Err("it leads on to another place than url")),
            ("<https://hr.example.com/apis>; rel=next", Err("it leads on to another place than url")),
            ("</api/../admin>; rel=next", Err("it leads on to another place than url")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, text.parse().unwrap());
            let found = within(&linked(&headers).unwrap(), &base);
            assert_eq!(found.as_ref().map(PathAndQuery::as_str).map_err(String::as_str), expected, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, "<https://hr.example.com/api/users>; rel=\"prev\"".parse().unwrap());
        assert_eq!(linked(&headers), None);
    }
}
