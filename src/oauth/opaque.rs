//! Opaque tokens that name themselves: a prefix that tells the kind, 32 random bytes, a checksum (design decision 7).
//!
//! `pcs_` + 43 characters + 6 characters of checksum, all base64url. The prefix lets leak scanners find a token that went astray,
//! the checksum lets junk be refused before any lookup. State keeps only the SHA-256 of the whole text. Nothing here knows what a
//! token is good for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::types::{Digest, Random, Secret};

const RANDOM_CHARACTERS: usize = 43;
const CHECKSUM_CHARACTERS: usize = 6;
const PREFIX_CHARACTERS: usize = 4;
/// How many characters of a token may be shown, in a list or an audit record: its kind and 48 of its 256 random bits.
const PUBLIC_CHARACTERS: usize = 12;
/// Longest text looked at as a [`pair`](mint_pair): an id, a colon and a token, in base64, are 96 characters.
const MAX_PAIR: usize = 256;

/// What an opaque token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An authorization code (RFC 6749 §1.3.1).
    Code,
    /// A refresh token (RFC 6749 §1.5).
    Refresh,
    /// A static secret token of a tenant.
    SecretToken,
    /// The secret of a confidential client (RFC 6749 §2.3.1).
    ClientSecret,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Code, Self::Refresh, Self::SecretToken, Self::ClientSecret];

    /// The four characters a token of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "pcc_",
            Self::Refresh => "pcr_",
            Self::SecretToken => "pcs_",
            Self::ClientSecret => "pcx_",
        }
    }
}

/// A new token of the kind.
#[must_use]
pub fn mint(kind: Kind, random: &Random) -> Secret {
    form(kind, &random.bytes::<32>())
}

/// The token of the kind that is made of these bytes; they must be as good as random.
#[must_use]
pub fn form(kind: Kind, bytes: &[u8; 32]) -> Secret {
    let mut text = String::with_capacity(PREFIX_CHARACTERS + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS);
    text.push_str(kind.prefix());
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    let sum = checksum(&text);
    text.push_str(&sum);
    Secret::new(text)
}

/// The digest to look a token up by, if `text` has the form of one of this kind; `None` is a refusal without a lookup.
#[must_use]
pub fn recognise(kind: Kind, text: &str) -> Option<Digest> {
    let well_formed = text.len() == PREFIX_CHARACTERS + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS
        && text.starts_with(kind.prefix())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !well_formed {
        return None;
    }
    let (body, sum) = text.split_at(PREFIX_CHARACTERS + RANDOM_CHARACTERS);
    (checksum(body) == sum).then(|| Digest::of(text.as_bytes()))
}

/// The kind that `text` says it is by its prefix, unchecked.
#[must_use]
pub fn kind_of(text: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))
}

/// The part of a token that may be shown in lists, logs and the audit trail.
#[must_use]
pub fn public_prefix(token: &Secret) -> String {
    token.expose().chars().take(PUBLIC_CHARACTERS).collect()
}

/// A key pair as one text, the form Playvox calls BASE64 KEY: `base64(id:secret)`, the secret an opaque token of its own.
pub struct Pair {
    /// The text to hand out.
    pub text: Secret,
    /// What to look it up by: the digest of `id:secret`, whatever base64 alphabet it comes back in.
    pub digest: Digest,
    /// The part of the secret that may be shown.
    pub prefix: String,
}

/// A new key pair of the public `id`.
#[must_use]
pub fn mint_pair(id: &str, random: &Random) -> Pair {
    let secret = mint(Kind::SecretToken, random);
    let plain = Secret::new(format!("{id}:{}", secret.expose()));
    Pair { text: Secret::new(STANDARD.encode(plain.expose())), digest: plain.digest(), prefix: public_prefix(&secret) }
}

/// The digest to look a key pair up by, if `text` has the form of one. Both base64 alphabets, padded or not, are understood.
#[must_use]
pub fn recognise_pair(text: &str) -> Option<Digest> {
    if text.len() > MAX_PAIR {
        return None;
    }
    let alphabet: String = text
        .trim_end_matches('=')
        .chars()
        .map(|character| match character {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let plain = Secret::new(String::from_utf8(URL_SAFE_NO_PAD.decode(alphabet).ok()?).ok()?);
    let (id, secret) = plain.expose().split_once(':')?;
    (!id.is_empty() && recognise(Kind::SecretToken, secret).is_some()).then(|| plain.digest())
}

/// 36 bits of the SHA-256 of all before it.
fn checksum(body: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(&Digest::of(body.as_bytes()).as_slice()[..5]);
    text.truncate(CHECKSUM_CHARACTERS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_as_its_own_kind_only() {
        let random = Random::seeded(1);
        for kind in Kind::ALL {
            let token = mint(kind, &random);
            assert_eq!(token.expose().len(), 53);
            assert_eq!(kind_of(token.expose()), Some(kind));
            for other in Kind::ALL {
                let expected = (other == kind).then(|| token.digest());
                assert_eq!(recognise(other, token.expose()), expected, "{kind:?} as {other:?}");
            }
        }
    }

    #[test]
    fn every_single_changed_character_is_noticed() {
        let token = mint(Kind::Refresh, &Random::seeded(2));
        for at in 0..token.expose().len() {
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(recognise(Kind::Refresh, std::str::from_utf8(&bytes).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn junk_is_refused() {
        for junk in ["", "pcs_", "pcs", "ä", "pcs_\0", &format!("pcs_{}", "a".repeat(49)), &"pcs_".repeat(4096)] {
            assert_eq!(recognise(Kind::SecretToken, junk), None);
            assert_eq!(recognise_pair(junk), None);
        }
        // Forty-nine bytes after the prefix whose split falls inside a character.
        assert_eq!(recognise(Kind::SecretToken, &format!("pcs_{}é{}", "a".repeat(42), "a".repeat(5))), None);
    }

    #[test]
    fn a_pair_is_found_in_either_alphabet() {
        let pair = mint_pair("key-1", &Random::seeded(3));
        let text = pair.text.expose().to_owned();
        assert!(pair.prefix.starts_with("pcs_"));
        for form in [text.clone(), text.trim_end_matches('=').to_owned(), text.replace('+', "-").replace('/', "_")] {
            assert_eq!(recognise_pair(&form), Some(pair.digest), "{form}");
        }
        assert_eq!(recognise_pair(&STANDARD.encode("key-1:guess")), None);
        assert_eq!(recognise_pair(&STANDARD.encode([0xff; 70])), None);
    }

    #[test]
    fn the_public_part_tells_the_kind_and_little_more() {
        let token = mint(Kind::Code, &Random::seeded(4));
        assert_eq!(public_prefix(&token), token.expose()[..12]);
    }
}
