//! Claims of an access token (RFC 9068), as few and short as they may be: one government cloud gives all secrets of a
//! connection 1 KB together (design decision 7). What was granted stands with the grant, not in the token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The JOSE `typ` of an access token (RFC 9068 §2.1): no other kind of JWT passes for one.
pub const TYPE: &str = "at+jwt";

/// The payload of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The tenant's issuer.
    pub iss: String,
    /// The tenant's name.
    pub aud: String,
    /// Who approved, or the client itself (client credentials).
    pub sub: String,
    /// The client.
    pub client_id: String,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// Expires at, seconds since the epoch.
    pub exp: i64,
    /// A [`TokenId`].
    pub jti: String,
}

/// The subject that stands for an administrator. The colon keeps it apart from client ids.
#[must_use]
pub fn subject(administrator: i64) -> String {
    format!("admin:{administrator}")
}

/// `jti`: the grant and which of its tokens this is, in base 36 (`1z.4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenId {
    /// The grant.
    pub grant: i64,
    /// The generation, counted up with each refresh; for client credentials the second of issue.
    pub number: i64,
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", base36(self.grant), base36(self.number))
    }
}

/// The text is no token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTokenId;

impl FromStr for TokenId {
    type Err = NoTokenId;

    fn from_str(text: &str) -> Result<Self, NoTokenId> {
        let parse = |part: &str| i64::from_str_radix(part, 36).ok().filter(|number| *number >= 0);
        let (grant, number) = text.split_once('.').ok_or(NoTokenId)?;
        Ok(Self { grant: parse(grant).ok_or(NoTokenId)?, number: parse(number).ok_or(NoTokenId)? })
    }
}

/// A number that is not negative in base 36; for grants in audit records and answers too.
#[must_use]
pub fn base36(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(rest % 36).unwrap_or(0)]);
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_are_written_and_read() {
        for (grant, number, text) in [(0, 0, "0.0"), (71, 4, "1z.4"), (i64::MAX, 1_763_790_000, "1y2p0ij32e8e7.t6452o")]
        {
            let id = TokenId { grant, number };
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
        for text in ["", "1", ".", "1.", "-1.0", "1.2.3", "1y2p0ij32e8e8.0", "ä.1"] {
            assert_eq!(text.parse::<TokenId>(), Err(NoTokenId), "{text}");
        }
    }
}
