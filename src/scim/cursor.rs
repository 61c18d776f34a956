//! Paging by cursor (RFC 9865): where a walk over the resources stands, as text that only this gateway can have made.
//!
//! A cursor holds its position itself, so that no replica remembers walks: the key after which to go on, when the walk stood
//! there, and a fingerprint of the question. A MAC keeps clients from making positions up; what it holds is no secret.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{ScimError, ScimType};
use super::filter::Filter;
use super::schema::ResourceType;
use super::sort::Sort;
use crate::types::{Digest, Timestamp};

/// How long a cursor is good for unless the configuration says otherwise; announced as `cursorTimeout`.
pub const LIFE: Duration = Duration::from_hours(1);

/// Where a query by cursor shall begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// At the beginning.
    First,
    /// Where this cursor, as the client sent it, points.
    At(String),
}

/// Where a walk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The directory's key of the last resource seen.
    pub after: String,
    /// When it was seen.
    pub issued: Timestamp,
    /// The [`fingerprint`] of what is asked.
    pub question: u64,
}

/// What MACs cursors. Replicas that share it understand each other's.
pub struct Key(hmac::Key);

impl Key {
    /// From secret bytes, at least 16 of them; they are used for nothing else.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

/// One byte before everything, so that another form can be told from this one.
const FORM: u8 = 1;
const MAC: usize = 16;
const HEAD: usize = 1 + 8 + 8;
/// The longest cursor that is looked at.
const LONGEST: usize = 4096;

impl Position {
    /// The cursor: base64url text, safe in a query.
    #[must_use]
    pub fn seal(&self, key: &Key) -> String {
        let mut bytes = Vec::with_capacity(HEAD + self.after.len() + MAC);
        bytes.push(FORM);
        bytes.extend(self.issued.millis().to_be_bytes());
        bytes.extend(self.question.to_be_bytes());
        bytes.extend(self.after.as_bytes());
        let mac = hmac::sign(&key.0, &bytes);
        bytes.extend(&mac.as_ref()[..MAC]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that belongs to this `question` and is younger than `life` at `now`.
    ///
    /// # Errors
    /// 400 `invalidCursor` for text that is none of ours or belongs to another question, 400 `expiredCursor` for one too old
    /// (RFC 9865 §2.1).
    pub fn open(cursor: &str, key: &Key, question: u64, now: Timestamp, life: Duration) -> Result<Self, ScimError> {
        let invalid = |detail: &str| ScimError::new(400, Some(ScimType::InvalidCursor), detail);
        let position = unseal(cursor, key)
            .ok_or_else(|| invalid("the cursor is none of this server's; begin again with an empty cursor"))?;
        if position.question != question {
            return Err(invalid(
                "the cursor belongs to another query; keep filter, sortBy and sortOrder as they were, or begin again",
            ));
        }
        if now.since(position.issued) > life {
            return Err(ScimError::new(
                400,
                Some(ScimType::ExpiredCursor),
                format!("the cursor is older than {} seconds; begin again with an empty cursor", life.as_secs()),
            ));
        }
        Ok(position)
    }
}

fn unseal(cursor: &str, key: &Key) -> Option<Position> {
    use subtle::ConstantTimeEq as _;
    if cursor.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (held, mac) = bytes.split_last_chunk::<MAC>()?;
    let right = hmac::sign(&key.0, held);
    if !bool::from(right.as_ref()[..MAC].ct_eq(mac)) {
        return None;
    }
    let (form, rest) = held.split_first()?;
    let (issued, rest) = rest.split_first_chunk::<8>()?;
    let (question, after) = rest.split_first_chunk::<8>()?;
    (*form == FORM).then_some(Position {
        after: std::str::from_utf8(after).ok()?.to_owned(),
        issued: Timestamp::from_millis(i64::from_be_bytes(*issued)),
        question: u64::from_be_bytes(*question),
    })
}

/// What tells one question from another: the type (`None` for a search at the root), the filter and the order, in canonical
/// form. `count` and the projection may change from page to page.
#[must_use]
pub fn fingerprint(kind: Option<ResourceType>, filter: Option<&Filter>, sort: Option<&Sort>) -> u64 {
    let mut text = String::from(kind.map_or("", ResourceType::name));
    // Writing into a String cannot fail.
    if let Some(filter) = filter {
        _ = write!(text, "\0{filter}");
    }
    if let Some(Sort { by, descending }) = sort {
        _ = write!(text, "\0\0{by}\0{descending}");
    }
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(text.as_bytes()).as_slice()[..8]);
    u64::from_be_bytes(first)
}

/// A count of a query by cursor that is none (RFC 9865 §2.1).
pub(super) fn invalid_count(error: ScimError) -> ScimError {
    ScimError { scim_type: Some(ScimType::InvalidCount), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn position() -> Position {
        Position { after: "u/é 42".into(), issued: Timestamp::from_seconds(1_000_000), question: 9 }
    }

    fn open(cursor: &str, question: u64, seconds: i64) -> Result<Position, &'static str> {
        let now = Timestamp::from_seconds(1_000_000 + seconds);
        Position::open(cursor, &Key::new(&SECRET), question, now, LIFE)
            .map_err(|error| error.scim_type.map_or("", ScimType::as_str))
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = position().seal(&Key::new(&SECRET));
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{cursor}");
        assert_eq!(open(&cursor, 9, 0), Ok(position()));
        assert_eq!(open(&cursor, 9, 3600), Ok(position()));
        // A clock that runs behind on another replica is no fault.
        assert_eq!(open(&cursor, 9, -60), Ok(position()));
    }

    #[test]
    fn strange_old_and_foreign_cursors_are_told_apart() {
        let cursor = position().seal(&Key::new(&SECRET));
        assert_eq!(open(&cursor, 9, 3601), Err("expiredCursor"));
        assert_eq!(open(&cursor, 8, 0), Err("invalidCursor"));
        assert_eq!(open(&position().seal(&Key::new(b"another secret!!")), 9, 0), Err("invalidCursor"));
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&String::from_utf8(forged).unwrap(), 9, 0), Err("invalidCursor"), "{at}");
            assert_eq!(open(&cursor[..at], 9, 0), Err("invalidCursor"), "{at}");
        }
        for text in ["x", "=", "é", &"A".repeat(10_000)] {
            assert_eq!(open(text, 9, 0), Err("invalidCursor"));
        }
    }

    #[test]
    fn questions_differ_by_type_filter_and_order() {
        let filter = |text| Filter::parse(text).unwrap();
        let sort = |by| Sort::parse(Some(by), None).unwrap();
        let (one, other) = (filter("title eq \"a\""), filter("title eq \"b\""));
        let all = [
            fingerprint(None, None, None),
            fingerprint(Some(ResourceType::User), None, None),
            fingerprint(Some(ResourceType::Group), None, None),
            fingerprint(Some(ResourceType::User), Some(&one), None),
            fingerprint(Some(ResourceType::User), Some(&other), None),
            fingerprint(Some(ResourceType::User), Some(&one), sort("title").as_ref()),
            fingerprint(Some(ResourceType::User), None, sort("title").as_ref()),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        // The same question in other words.
        assert_eq!(fingerprint(None, Some(&filter("TITLE EQ  \"a\"")), None), fingerprint(None, Some(&one), None));
    }
}
