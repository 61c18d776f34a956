//! Access tokens: JWTs of type `at+jwt` (RFC 9068) signed with Ed25519.
//!
//! The algorithm is pinned, never taken from a token's header; a key is found by `kid` among our own only. Time is checked by the gateway's
//! clock, not by the library's.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde_json::{Value, json};

use super::OpenError;
use crate::oauth::claims::{Claims, TYPE};
use crate::store::{SigningKey, Store};
use crate::types::{Digest, Random, Timestamp};

/// The longest text that is looked at as an access token; ours have some 400 characters.
const MAX_TOKEN: usize = 2048;
/// How far another replica's clock may be ahead of ours.
const SKEW_SECONDS: i64 = 60;

/// One key, ready for use.
struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    public: String,
}

impl Key {
    fn new(key: &SigningKey) -> Result<Self, OpenError> {
        let pair = Ed25519KeyPair::from_pkcs8(&key.pkcs8).map_err(|_| OpenError::Key)?;
        let public = pair.public_key().as_ref();
        Ok(Self {
            kid: key.kid.clone(),
            encoding: EncodingKey::from_ed_der(&key.pkcs8),
            decoding: DecodingKey::from_ed_der(public),
            public: URL_SAFE_NO_PAD.encode(public),
        })
    }
}

/// The keys of this gateway, newest first; never empty.
pub(super) struct Keys {
    newest: Key,
    older: Vec<Key>,
}

impl Keys {
    /// The keys out of the state; the first start makes one.
    pub(super) async fn open(store: &Store, random: &Random) -> Result<Self, OpenError> {
        let candidate = Ed25519KeyPair::from_seed_unchecked(&random.bytes::<32>()).map_err(|_| OpenError::Key)?;
        let pkcs8 = candidate.to_pkcs8().map_err(|_| OpenError::Key)?;
        let mut keys = store
            .signing_keys(&kid(candidate.public_key().as_ref()), pkcs8.as_ref())
            .await?
            .iter()
            .map(Key::new)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        Ok(Self { newest: keys.next().ok_or(OpenError::Key)?, older: keys.collect() })
    }

    /// Signs with the newest key. Ed25519 is deterministic: the same claims give the same token again.
    pub(super) fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.newest.kid.clone());
        encode(&header, claims, &self.newest.encoding)
    }

    /// The claims of a token that one of our keys signed for this issuer and audience, whether it has expired or not.
    pub(super) fn read(&self, token: &str, issuer: &str, audience: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let kid = header.kid?;
        let key = std::iter::once(&self.newest).chain(&self.older).find(|key| key.kid == kid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        decode::<Claims>(token, &key.decoding, &validation).ok().map(|token| token.claims)
    }

    /// As [`Keys::read`], for a token that is good at `now`.
    pub(super) fn verify(&self, token: &str, issuer: &str, audience: &str, now: Timestamp) -> Option<Claims> {
        let now = now.seconds();
        self.read(token, issuer, audience)
            .filter(|claims| now < claims.exp && claims.iat <= now.saturating_add(SKEW_SECONDS))
    }

    /// The public keys as a JWK Set (RFC 7517, RFC 8037).
    pub(super) fn jwks(&self) -> Value {
        let keys: Vec<Value> = std::iter::once(&self.newest)
            .chain(&self.older)
            .map(|key| {
                json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": key.public })
            })
            .collect();
        json!({ "keys": keys })
    }
}

/// A short name for a public key; it costs room in every token.
fn kid(public: &[u8]) -> String {
    let mut kid = URL_SAFE_NO_PAD.encode(Digest::of(public).as_slice());
    kid.truncate(3);
    kid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Clock;

    async fn keys(seed: u64) -> Keys {
        let store =
            Store::open("sqlite::memory:", Clock::manual(Timestamp::from_seconds(1_800_000_000))).await.unwrap();
        Keys::open(&store, &Random::seeded(seed)).await.unwrap()
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://provisioning.people.example.com/t/vonage-business".into(),
            aud: "vonage-business".into(),
            sub: "admin:17".into(),
            client_id: "c0123-_ab".into(),
            iat: 1_800_000_000,
            exp: 1_800_003_600,
            jti: "zzzz.t6452o".into(),
        }
    }

    fn verify(keys: &Keys, token: &str, second: i64) -> Option<Claims> {
        keys.verify(token, &claims().iss, "vonage-business", Timestamp::from_seconds(second))
    }

    /// `token` with one of its first two parts put in anew.
    fn forged(token: &str, part: usize, json: &str) -> String {
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts[part] = URL_SAFE_NO_PAD.encode(json);
        parts.join(".")
    }

    #[tokio::test]
    async fn a_token_is_short_and_the_same_each_time() {
        let keys = keys(1).await;
        assert_eq!(keys.sign(&claims()).unwrap(), keys.sign(&claims()).unwrap());
        // An issuer of 60 characters, one of our longest dialects' names for a tenant, ids as the command line makes them.
        let iss = "https://provisioning.of.people.example.com/t/vonage-business";
        assert_eq!(iss.len(), 60);
        for sub in [claims().sub, claims().client_id] {
            let token = keys.sign(&Claims { iss: iss.into(), sub, ..claims() }).unwrap();
            assert!(token.len() <= 400, "{} characters", token.len());
        }
    }

    #[tokio::test]
    async fn only_our_own_token_for_this_tenant_at_its_time_is_good() {
        let (keys, foreign) = (keys(1).await, keys(2).await);
        let token = keys.sign(&claims()).unwrap();
        for (second, good) in [
            (1_800_000_000, true),
            (1_800_003_599, true),
            (1_800_003_600, false),
            (1_799_999_940, true),
            (1_799_999_939, false),
        ] {
            assert_eq!(verify(&keys, &token, second).is_some(), good, "{second}");
        }
        assert_eq!(keys.verify(&token, &claims().iss, "other", Timestamp::from_seconds(1_800_000_000)), None);
        assert_eq!(
            keys.verify(&token, "https://x/t/a", "vonage-business", Timestamp::from_seconds(1_800_000_000)),
            None
        );
        assert_eq!(verify(&keys, &foreign.sign(&claims()).unwrap(), 1_800_000_000), None);

        let kid = &keys.newest.kid;
        let other = serde_json::to_string(&Claims { sub: "admin:1".into(), ..claims() }).unwrap();
        for bad in [
            String::new(),
            "a.b.c".into(),
            format!("{token}x"),
            token.rsplit_once('.').unwrap().0.to_owned(),
            format!("{}.", token.rsplit_once('.').unwrap().0),
            forged(&token, 1, &other),
            forged(&token, 0, &format!(r#"{{"typ":"at+jwt","alg":"none","kid":"{kid}"}}"#)),
            forged(&token, 0, &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#)),
            forged(&token, 0, &format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}"}}"#)),
            forged(&token, 0, r#"{"typ":"at+jwt","alg":"EdDSA","kid":"foreign"}"#),
            forged(&token, 0, r#"{"typ":"at+jwt","alg":"EdDSA"}"#),
            "x".repeat(100_000),
        ] {
            assert_eq!(verify(&keys, &bad, 1_800_000_000), None, "{bad:.80}");
        }
        // HS256 with the public key as the secret, properly signed.
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.into());
        header.kid = Some(kid.clone());
        let public = URL_SAFE_NO_PAD.decode(&keys.newest.public).unwrap();
        let confused = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        assert_eq!(verify(&keys, &confused, 1_800_000_000), None);
    }
}
