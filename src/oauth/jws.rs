//! Signatures of others (RFC 7515) and the keys to check them with (RFC 7517): the one place where a foreign signature is verified.
//!
//! The algorithm comes from the list here, never from the token alone: only asymmetric ones, so that neither `none` nor an HMAC made
//! with a public key gets through; and the key must be of the algorithm's family. What the claims must say is for
//! [`super::assertion`] and [`super::id_token`]; where keys come from, for those who fetch.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The most keys of one set that are looked at.
const MAX_KEYS: usize = 64;

/// The algorithms that can be trusted: signatures with a public key only (RFC 7518 §3.1, RFC 8037).
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of that name, if it can be trusted.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
}

/// Public keys by their names (RFC 7517 §5).
pub struct KeySet(Vec<Key>);

struct Key {
    kid: Option<String>,
    /// The one algorithm it is for, when it says so.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

/// The text is no JWK Set, or holds no key that could sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a JWK Set with a public key for signatures in it")]
pub struct NoKeys;

impl KeySet {
    /// Reads a JWK Set. Keys of unknown kinds, for encryption, or symmetric are passed over.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn parse(json: &[u8]) -> Result<Self, NoKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| NoKeys)?;
        let keys: Vec<Key> = set.keys.into_iter().take(MAX_KEYS).filter_map(key).collect();
        if keys.is_empty() { Err(NoKeys) } else { Ok(Self(keys)) }
    }

    /// Whether there is a key that may have signed it.
    #[must_use]
    pub fn suits(&self, token: &Signed<'_>) -> bool {
        self.find(token).is_some()
    }

    /// The key that may have signed it: the one its `kid` names, or, without a `kid`, the only one that is possible.
    fn find(&self, token: &Signed<'_>) -> Option<&DecodingKey> {
        let named = |key: &&Key| token.kid.is_none() || key.kid == token.kid;
        let fits = |key: &&Key| {
            key.algorithm.is_none_or(|stated| stated == token.algorithm)
                && key.decoding.family() == token.algorithm.family()
        };
        let mut keys = self.0.iter().filter(named).filter(fits);
        let first = keys.next()?;
        (token.kid.is_some() || keys.next().is_none()).then_some(&first.decoding)
    }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let public = matches!(
        jwk.algorithm,
        AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_) | AlgorithmParameters::OctetKeyPair(_)
    );
    if !public || jwk.common.public_key_use.as_ref().is_some_and(|wanted| *wanted != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.common.key_algorithm {
        Some(stated) => Some(algorithm(&stated.to_string())?),
        None => None,
    };
    Some(Key { algorithm, decoding: DecodingKey::from_jwk(&jwk).ok()?, kid: jwk.common.key_id })
}

/// Why a text is not read as a signed JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is none, or too long.
    Malformed,
    /// It demands something by `crit` that nobody here understands.
    Critical,
    /// Its algorithm is none of [`ALGORITHMS`].
    Algorithm,
}

/// Why a signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// No key fits.
    Key,
    /// It is wrong.
    Signature,
    /// It is right, but what it signs are not the claims that were looked for.
    Claims,
}

/// A signed JWT whose header has been read, and nothing else.
pub struct Signed<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> Signed<'a> {
    /// Reads the header of a token of at most `longest` bytes.
    ///
    /// # Errors
    /// When it is no JWT, is too long, or is signed in a way that is not taken here.
    pub fn read(token: &'a str, longest: usize) -> Result<Self, Unread> {
        if token.len() > longest || token.split('.').count() != 3 {
            return Err(Unread::Malformed);
        }
        // A header with an algorithm unknown to the library, `none` among them, is not read at all.
        let header = decode_header(token).map_err(|_| Unread::Malformed)?;
        if header.crit.is_some() {
            return Err(Unread::Critical);
        }
        if !ALGORITHMS.iter().any(|(_, known)| *known == header.alg) {
            return Err(Unread::Algorithm);
        }
        Ok(Self { token, algorithm: header.alg, kid: header.kid })
    }

    /// What it says it is signed with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What is signed: everything but the signature, which some algorithms can write in more than one way.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.token.rsplit_once('.').map_or(self.token, |(signed, _)| signed)
    }

    /// Claims that nobody vouches for yet: to find out whose key to look for, and nothing else.
    #[must_use]
    pub fn unverified<T: DeserializeOwned>(&self) -> Option<T> {
        dangerous::insecure_decode_claims(self.token).ok()
    }

    /// The claims, if one of `keys` signed them. No claim is looked at.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn verify<T: DeserializeOwned>(&self, keys: &KeySet) -> Result<T, Unsigned> {
        let key = keys.find(self).ok_or(Unsigned::Key)?;
        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        decode(self.token, key, &validation).map(|token| token.claims).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => Unsigned::Claims,
            _ => Unsigned::Signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_without_a_usable_key_are_refused() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let signer = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "a", "x": x});
        let mut encryption = signer.clone();
        encryption["use"] = "enc".into();
        for (keys, usable) in [
            (json!({"keys": [signer]}), true),
            (json!({"keys": [{"kty": "XYZ", "kid": "q"}, 7, signer]}), true),
            (json!({"keys": [encryption]}), false),
            (json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}), false),
            (json!({"keys": []}), false),
            (json!({}), false),
            (json!([]), false),
        ] {
            assert_eq!(KeySet::parse(keys.to_string().as_bytes()).is_ok(), usable, "{keys}");
        }
    }
}
