//! An ID token that another provider signed (OpenID Connect Core §3.1.3.7), checked before anything in it is believed.
//!
//! The signature is [`super::jws`]'s to check; time is the caller's.

use std::time::Duration;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::jws::{KeySet, Signed, Unread, Unsigned};
use crate::types::Timestamp;

/// The longest token that is looked at; groups make them long.
const MAX_TOKEN: usize = 64 * 1024;
/// How far the provider's clock may be off.
const SKEW: Duration = Duration::from_mins(1);
/// How old a token may be: it comes straight from the token endpoint.
const OLDEST: Duration = Duration::from_mins(10);
/// The longest subject (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;

/// Why an ID token is not believed; for the operator's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no JWT, or too long.
    #[error("the ID token is no signed JWT of at most 64 KiB")]
    Form,
    /// It demands something by `crit`.
    #[error("the ID token has a crit header, and nothing in it is understood here")]
    Critical,
    /// Its algorithm is none we take.
    #[error("the ID token is not signed with an asymmetric algorithm that is known here")]
    Algorithm,
    /// No published key fits.
    #[error("the ID token names a key that the provider does not publish")]
    Key,
    /// The signature.
    #[error("the signature of the ID token is wrong")]
    Signature,
    /// `iss`.
    #[error("the ID token is of another issuer")]
    Issuer,
    /// `aud` or `azp`.
    #[error("the ID token is for another client")]
    Audience,
    /// `exp`, `iat` or `nbf`.
    #[error("the ID token has expired, or the clocks of gateway and provider differ")]
    Time,
    /// `auth_time`.
    #[error("the provider let somebody in without asking who they are, though prompt=login was sent to it")]
    NotAsked,
    /// `nonce`.
    #[error("the ID token answers another sign-in: its nonce is not ours")]
    Nonce,
    /// `sub`.
    #[error("the ID token names nobody")]
    Subject,
}

/// What the token must say.
pub struct Expected<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`, and `azp` if there is one.
    pub client_id: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// When it is.
    pub now: Timestamp,
    /// The person must have proved who they are since then, as far as the provider says (`auth_time`).
    pub asked: Option<Timestamp>,
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Malformed => Self::Form,
            Unread::Critical => Self::Critical,
            Unread::Algorithm => Self::Algorithm,
        }
    }
}

impl From<Unsigned> for Refused {
    fn from(unsigned: Unsigned) -> Self {
        match unsigned {
            Unsigned::Key => Self::Key,
            Unsigned::Signature => Self::Signature,
            Unsigned::Claims => Self::Form,
        }
    }
}

/// Reads the header of an ID token.
///
/// # Errors
/// When it is no JWT or its algorithm is none we take.
pub fn read(token: &str) -> Result<Signed<'_>, Refused> {
    Ok(Signed::read(token, MAX_TOKEN)?)
}

/// The claims, once everything is as it must be.
///
/// # Errors
/// Names the first thing that is not.
pub fn verify(token: &Signed<'_>, keys: &KeySet, expected: &Expected<'_>) -> Result<Value, Refused> {
    let claims: Value = token.verify(keys)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refused::Issuer);
    }
    audience(&claims, expected.client_id)?;
    time(&claims, expected.now)?;
    if let (Some(asked), Some(proved)) = (expected.asked, at(&claims, "auth_time"))
        && proved.after(SKEW) < asked
    {
        return Err(Refused::NotAsked);
    }
    let nonce = text("nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(Refused::Nonce);
    }
    if text("sub").is_none_or(|subject| subject.is_empty() || subject.len() > MAX_SUBJECT || subject.contains('\0')) {
        return Err(Refused::Subject);
    }
    Ok(claims)
}

/// We are among those it is for; with others beside us, or with an `azp` at all, that must be us.
fn audience(claims: &Value, client_id: &str) -> Result<(), Refused> {
    let (ours, others) = match claims.get("aud") {
        Some(Value::String(audience)) => (audience == client_id, false),
        Some(Value::Array(list)) => (list.iter().any(|audience| audience == client_id), list.len() > 1),
        _ => (false, false),
    };
    let authorized = match claims.get("azp") {
        Some(party) => party == client_id,
        None => !others,
    };
    if ours && authorized { Ok(()) } else { Err(Refused::Audience) }
}

/// A claim that is a time (RFC 7519 §2); fractions are allowed and do not matter here.
#[expect(clippy::cast_possible_truncation, reason = "rounded towards zero, and saturating at the ends of time")]
fn at(claims: &Value, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64)).map(Timestamp::from_seconds)
}

fn time(claims: &Value, now: Timestamp) -> Result<(), Refused> {
    let at = |name| at(claims, name);
    let (Some(expires), Some(issued)) = (at("exp"), at("iat")) else { return Err(Refused::Time) };
    let begun = claims.get("nbf").is_none() || at("nbf").is_some_and(|from| from <= now.after(SKEW));
    let fresh = issued <= now.after(SKEW) && now.since(issued) <= OLDEST;
    if now < expires.after(SKEW) && begun && fresh { Ok(()) } else { Err(Refused::Time) }
}

/// What to call the person in front of people: the name their provider calls them by, without what could disguise it.
#[must_use]
pub fn display_name(claims: &Value) -> String {
    let name = ["preferred_username", "email", "name", "sub"]
        .into_iter()
        .filter_map(|name| claims.get(name)?.as_str())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_default();
    let disguises = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    name.chars().filter(|c| !c.is_control() && !disguises(*c)).take(254).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://id.example",
        client_id: "portcullis",
        nonce: "n",
        now: Timestamp::from_seconds(NOW),
        asked: Some(Timestamp::from_seconds(NOW - 30)),
    };

    struct Issuer {
        signing: EncodingKey,
        public: Vec<u8>,
    }

    impl Issuer {
        fn new(seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let signing = EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref());
            Self { signing, public: pair.public_key().as_ref().to_vec() }
        }

        fn jwk(&self, more: &Value) -> Value {
            let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&self.public)});
            jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            jwk
        }

        fn token(&self, kid: Option<&str>, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = kid.map(str::to_owned);
            encode(&header, claims, &self.signing).unwrap()
        }
    }

    fn claims(more: &Value) -> Value {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "portcullis", "sub": "7", "nonce": "n", "iat": NOW, "exp": NOW + 300,
        });
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn verified(token: &str, set: &KeySet) -> Result<Value, Refused> {
        verify(&read(token)?, set, &EXPECTED)
    }

    #[test]
    fn what_it_says_is_compared() {
        let issuer = Issuer::new(1);
        let set = set(&[issuer.jwk(&json!({"kid": "a"}))]);
        for (more, expected) in [
            (json!({}), None),
            (json!({"aud": ["portcullis"], "exp": NOW - 59, "iat": NOW + 60, "nbf": NOW + 60}), None),
            (json!({"aud": ["other", "portcullis"], "azp": "portcullis", "exp": 1_800_000_000.5}), None),
            (json!({"iss": "https://id.example/"}), Some(Refused::Issuer)),
            (json!({"iss": null}), Some(Refused::Issuer)),
            (json!({"aud": "other"}), Some(Refused::Audience)),
            (json!({"aud": null}), Some(Refused::Audience)),
            (json!({"aud": ["other", "portcullis"]}), Some(Refused::Audience)),
            (json!({"azp": "other"}), Some(Refused::Audience)),
            (json!({"azp": 7}), Some(Refused::Audience)),
            (json!({"exp": NOW - 60}), Some(Refused::Time)),
            (json!({"exp": null}), Some(Refused::Time)),
            (json!({"exp": "soon"}), Some(Refused::Time)),
            (json!({"iat": NOW + 61}), Some(Refused::Time)),
            (json!({"iat": NOW - 601}), Some(Refused::Time)),
            (json!({"iat": null}), Some(Refused::Time)),
            (json!({"nbf": NOW + 61}), Some(Refused::Time)),
            (json!({"nbf": "x"}), Some(Refused::Time)),
            (json!({"auth_time": NOW - 90}), None),
            (json!({"auth_time": NOW - 91}), Some(Refused::NotAsked)),
            (json!({"nonce": "m"}), Some(Refused::Nonce)),
            (json!({"nonce": null}), Some(Refused::Nonce)),
            (json!({"nonce": ["n"]}), Some(Refused::Nonce)),
            (json!({"sub": ""}), Some(Refused::Subject)),
            (json!({"sub": null}), Some(Refused::Subject)),
            (json!({"sub": "x".repeat(256)}), Some(Refused::Subject)),
        ] {
            assert_eq!(verified(&issuer.token(Some("a"), &claims(&more)), &set).err(), expected, "{more}");
        }
    }

    #[test]
    fn only_a_published_key_for_signing_will_do() {
        let (ours, other) = (Issuer::new(1), Issuer::new(2));
        let a = ours.jwk(&json!({"kid": "a", "use": "sig", "alg": "EdDSA"}));
        for (keys, kid, expected) in [
            (vec![a.clone()], Some("a"), None),
            (vec![other.jwk(&json!({"kid": "b"})), a.clone()], Some("a"), None),
            (vec![a.clone()], None, None),
            (vec![a.clone(), json!({"kty": "XYZ", "kid": "z"})], None, None),
            (vec![a.clone(), other.jwk(&json!({"kid": "b"}))], None, Some(Refused::Key)),
            (vec![a.clone()], Some("b"), Some(Refused::Key)),
            (vec![other.jwk(&json!({"kid": "a"}))], Some("a"), Some(Refused::Signature)),
            (
                vec![ours.jwk(&json!({"kid": "a", "use": "enc"})), other.jwk(&json!({"kid": "b"}))],
                Some("a"),
                Some(Refused::Key),
            ),
            (vec![ours.jwk(&json!({"kid": "a", "alg": "RS256"}))], Some("a"), Some(Refused::Key)),
        ] {
            let token = ours.token(kid, &claims(&json!({})));
            assert_eq!(verified(&token, &set(&keys)).err(), expected, "{kid:?} {keys:?}");
        }
    }

    #[test]
    fn symmetric_algorithms_and_none_are_refused() {
        let issuer = Issuer::new(1);
        let oct = json!({"kty": "oct", "kid": "a", "k": URL_SAFE_NO_PAD.encode(&issuer.public)});
        let set = set(&[issuer.jwk(&json!({"kid": "a"})), oct]);
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("a".into());
        let hmac = encode(&header, &claims(&json!({})), &EncodingKey::from_secret(&issuer.public)).unwrap();
        assert_eq!(verified(&hmac, &set).err(), Some(Refused::Algorithm));
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let none = format!("{}.{}.", part(json!({"alg": "none", "kid": "a"})), part(claims(&json!({}))));
        for token in [none.as_str(), "", "a.b.c", &"x".repeat(MAX_TOKEN + 1)] {
            assert!(verified(token, &set).is_err(), "{token:.40}");
        }
    }

    #[test]
    fn a_person_has_a_name_to_show() {
        for (claims, expected) in [
            (json!({"sub": "7", "email": "ada@example.com", "preferred_username": "ada"}), "ada"),
            (json!({"sub": "7", "email": "ada@example.com", "preferred_username": " "}), "ada@example.com"),
            (json!({"sub": "7\n\u{202e}8"}), "78"),
        ] {
            assert_eq!(display_name(&claims), expected);
        }
    }
}
