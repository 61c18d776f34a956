//! Sealing of the server's private keys and secrets under a master key that rests elsewhere than they do: AES-256-GCM.
//!
//! A sealed text names the master key by a fingerprint, so that a wrong one is told from a damaged one, and is bound to its place
//! (kind, name, algorithm): it opens nowhere else. Nothing here knows where master keys or sealed texts are kept.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::types::{Random, Secret};

/// The first byte of a sealed text: which form it has.
const FORM: u8 = 1;
const HEAD: usize = 1 + Fingerprint::LENGTH + NONCE_LEN;

/// The key that all others are sealed under: 32 bytes. Prints nothing, and is wiped on drop.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new one.
    #[must_use]
    pub fn mint(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// Reads 32 bytes in base64 (either alphabet, padded or not) or in hexadecimal digits; space around them does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut bytes = if text.len() == 64 {
            let digits: Vec<u8> = text
                .bytes()
                .map(|digit| char::from(digit).to_digit(16))
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .filter_map(|digit| u8::try_from(digit).ok())
                .collect();
            digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        } else {
            let text = text.trim_end_matches('=');
            STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?
        };
        let key = bytes.as_slice().try_into().ok().map(Self);
        bytes.zeroize();
        key
    }

    /// The form that [`MasterKey::parse`] reads and `openssl rand -base64 32` writes.
    #[must_use]
    pub fn text(&self) -> Secret {
        Secret::new(STANDARD.encode(self.0))
    }

    /// What tells this key from others without telling anything about it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), b"portcullis master key fingerprint");
        let mut out = [0; Fingerprint::LENGTH];
        out.copy_from_slice(&tag.as_ref()[..Fingerprint::LENGTH]);
        Fingerprint(out)
    }

    /// Seals `plain` for `place`.
    ///
    /// # Errors
    /// When the library fails, which for texts of this size it has no reason to.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], random: &Random) -> Result<Vec<u8>, SealError> {
        let nonce = random.bytes::<NONCE_LEN>();
        let mut body = plain.to_vec();
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.text()), &mut body)
            .map_err(|_| SealError::Damaged)?;
        let mut sealed = Vec::with_capacity(HEAD + body.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&self.fingerprint().0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// When another master key sealed it, or when it is damaged or was moved from another place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let under = Fingerprint::of(sealed)?;
        if under != self.fingerprint() {
            return Err(SealError::OtherKey { under });
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&sealed[1 + Fingerprint::LENGTH..HEAD]).map_err(|_| SealError::Damaged)?;
        let mut body = sealed[HEAD..].to_vec();
        let length = self
            .cipher()?
            .open_in_place(nonce, Aad::from(place.text()), &mut body)
            .map_err(|_| SealError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&AES_256_GCM, &self.0).map(LessSafeKey::new).map_err(|_| SealError::Damaged)
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for MasterKey {}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// It is given.
    Given(MasterKey),
    /// It rests in this file; a state that has nothing sealed yet makes one there.
    Beside(PathBuf),
    /// It lasts as long as the process, as its state does.
    Passing,
}

/// What a sealed text is and whose: it opens as nothing else.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The private part of a signing key.
    SigningKey {
        /// Its id.
        kid: &'a str,
        /// Its JOSE algorithm.
        algorithm: &'a str,
    },
    /// A secret of the server.
    ServerSecret {
        /// Its name.
        name: &'a str,
    },
}

impl Place<'_> {
    fn text(&self) -> String {
        match self {
            Self::SigningKey { kid, algorithm } => format!("portcullis signing key\0{kid}\0{algorithm}"),
            Self::ServerSecret { name } => format!("portcullis server secret\0{name}"),
        }
    }
}

/// Tells master keys apart in messages and sealed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; Self::LENGTH]);

impl Fingerprint {
    const LENGTH: usize = 4;

    /// Of the master key that sealed a text.
    ///
    /// # Errors
    /// When it has not the form of a sealed text.
    pub fn of(sealed: &[u8]) -> Result<Self, SealError> {
        let whole = sealed.first() == Some(&FORM) && sealed.len() >= HEAD + AES_256_GCM.tag_len();
        let bytes = sealed.get(1..=Self::LENGTH).filter(|_| whole).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(SealError::Damaged)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a sealed text does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another master key sealed it.
    #[error("sealed under the master key {under}, which is not the one given")]
    OtherKey {
        /// Which.
        under: Fingerprint,
    },
    /// It is not what was once sealed here.
    #[error("damaged, or moved from another place")]
    Damaged,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place::SigningKey { kid: "a", algorithm: "EdDSA" };

    #[test]
    fn what_is_sealed_opens_in_its_place_under_its_key_only() {
        let random = Random::seeded(1);
        let (key, other) = (MasterKey::mint(&random), MasterKey::mint(&random));
        let sealed = key.seal(&PLACE, b"private", &random).unwrap();
        assert_eq!(key.open(&PLACE, &sealed).unwrap(), b"private");
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_ne!(sealed, key.seal(&PLACE, b"private", &random).unwrap(), "a nonce is used once");
        assert_eq!(other.open(&PLACE, &sealed), Err(SealError::OtherKey { under: key.fingerprint() }));
        for place in [
            Place::SigningKey { kid: "b", algorithm: "EdDSA" },
            Place::SigningKey { kid: "a", algorithm: "ES256" },
            Place::ServerSecret { name: "a" },
        ] {
            assert_eq!(key.open(&place, &sealed), Err(SealError::Damaged), "{place:?}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&PLACE, &damaged).is_err(), "byte {at}");
            assert!(key.open(&PLACE, &sealed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn master_keys_are_read_in_the_forms_people_have() {
        let key = MasterKey([0xfb; 32]);
        let text = key.text();
        let hex = "fb".repeat(32);
        for form in [
            text.expose().to_owned(),
            format!("{}\n", text.expose()),
            text.expose().trim_end_matches('=').to_owned(),
            text.expose().replace('+', "-").replace('/', "_"),
            hex.clone(),
            hex.to_uppercase(),
        ] {
            assert_eq!(MasterKey::parse(&form), Some(key.clone()), "{form}");
        }
        for junk in [
            "",
            "secret",
            &hex[1..],
            &"g".repeat(64),
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
            &"ä".repeat(32),
        ] {
            assert_eq!(MasterKey::parse(junk), None, "{junk}");
        }
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
