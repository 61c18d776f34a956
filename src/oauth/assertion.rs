//! JWTs that others signed: client assertions (RFC 7521 §4.2, RFC 7523 §3) and access tokens that Entra issued for us.
//!
//! What must stand in one is pinned beforehand in a [`Trust`]: issuer, audience, subject, tenant, algorithms. The signature is
//! [`super::jws`]'s to check; time is the caller's. Where keys come from and whether an assertion was seen before is for those who hold
//! caches and a state.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::jws::{KeySet, Signed, Unread, Unsigned};
use crate::types::{Digest, Timestamp};

/// How far the clock of whoever signed may be away from ours.
pub const SKEW: Duration = Duration::from_mins(1);
/// The longest text that is looked at as an assertion.
const MAX_LENGTH: usize = 8192;

/// Where the public keys of whoever signs are found.
#[derive(Clone, Debug)]
pub enum Keys {
    /// They are given.
    Given(Arc<KeySet>),
    /// A JWK Set at this URL.
    At(String),
    /// A JWK Set that the metadata at this URL name (`jwks_uri`, OpenID Connect Discovery §3); the metadata must be this issuer's.
    Discovered {
        /// `…/.well-known/openid-configuration`.
        metadata: String,
        /// What they must say in `issuer`.
        issuer: String,
    },
}

/// What a JWT must say to be believed, and for what time.
#[derive(Clone, Debug)]
pub struct Trust {
    /// `iss`.
    pub issuer: String,
    /// `aud` must name one of these.
    pub audiences: Vec<String>,
    /// `sub`; `None` admits any, which suits only an issuer that one tenant has to itself.
    pub subject: Option<String>,
    /// Entra's `tid`.
    pub tenant_id: Option<String>,
    /// The algorithms it may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The longest life it may have.
    pub max_lifetime: Duration,
    /// Whether it is accepted once only.
    pub single_use: bool,
    /// Who signs.
    pub keys: Keys,
}

/// Why a JWT is not believed. Texts say what to set right and hold no value of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no JWT, or a claim is missing or of the wrong kind.
    #[error("it is not a signed JWT with iss, sub, aud and exp")]
    Malformed,
    /// It demands something by `crit` that nobody here understands.
    #[error("it has a crit header, and nothing in it is understood here")]
    Critical,
    /// The algorithm is not on the list.
    #[error("it is signed with an algorithm that is not configured")]
    Algorithm,
    /// No key fits.
    #[error("its signing key is not among those its issuer publishes")]
    Key,
    /// The signature is wrong.
    #[error("its signature is not right")]
    Signature,
    /// Another issuer.
    #[error("its issuer (iss) is not the configured one")]
    Issuer,
    /// Another audience.
    #[error("its audience (aud) is not the configured one")]
    Audience,
    /// Another subject.
    #[error("its subject (sub) is not the configured one")]
    Subject,
    /// Another Entra tenant.
    #[error("its tenant (tid) is not the configured one")]
    TenantId,
    /// Too late.
    #[error("it has expired")]
    Expired,
    /// Too early.
    #[error("it is not valid yet; compare the clocks")]
    Early,
    /// Good for longer than is accepted.
    #[error("it is good for longer than max_lifetime")]
    TooLong,
}

/// `aud`: one or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: serde_json::Number,
    iat: Option<serde_json::Number>,
    nbf: Option<serde_json::Number>,
    jti: Option<String>,
    tid: Option<String>,
}

/// A NumericDate (RFC 7519 §2): seconds, perhaps with a fraction.
fn seconds(number: &serde_json::Number) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
    number.as_i64().or_else(|| number.as_f64().map(|number| number.floor() as i64)).unwrap_or(i64::MAX)
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Malformed => Self::Malformed,
            Unread::Critical => Self::Critical,
            Unread::Algorithm => Self::Algorithm,
        }
    }
}

impl From<Unsigned> for Refusal {
    fn from(unsigned: Unsigned) -> Self {
        match unsigned {
            Unsigned::Key => Self::Key,
            Unsigned::Signature => Self::Signature,
            Unsigned::Claims => Self::Malformed,
        }
    }
}

/// A JWT that was read, not believed: enough to tell whose key to look for.
pub struct Unverified<'a> {
    /// Its header and its signature.
    pub signed: Signed<'a>,
    /// `iss`, unverified.
    pub issuer: String,
    /// `sub`, unverified.
    pub subject: String,
}

/// What is known of a JWT that was believed.
#[derive(Debug)]
pub struct Verified {
    /// What tells it from every other of its issuer: of its `jti`, or of all that was signed when it has none.
    pub id: Digest,
    /// When it stops being good here.
    pub expires: Timestamp,
}

impl<'a> Unverified<'a> {
    /// Reads a JWT.
    ///
    /// # Errors
    /// When it is none, or has no claims that could be checked.
    pub fn read(token: &'a str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Names {
            iss: String,
            sub: String,
        }
        let signed = Signed::read(token, MAX_LENGTH)?;
        let names: Names = signed.unverified().ok_or(Refusal::Malformed)?;
        Ok(Self { signed, issuer: names.iss, subject: names.sub })
    }

    /// Whether it is signed with one of the algorithms of `trust`; to be asked before anybody looks for a key.
    ///
    /// # Errors
    /// When it is not.
    pub fn suits(&self, trust: &Trust) -> Result<(), Refusal> {
        if trust.algorithms.contains(&self.signed.algorithm()) { Ok(()) } else { Err(Refusal::Algorithm) }
    }

    /// Checks everything: signature, then claims, then time.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, trust: &Trust, keys: &KeySet, now: Timestamp) -> Result<Verified, Refusal> {
        self.suits(trust)?;
        let claims: Claims = self.signed.verify(keys)?;
        self.check(trust, &claims, now)
    }

    fn check(&self, trust: &Trust, claims: &Claims, now: Timestamp) -> Result<Verified, Refusal> {
        if claims.iss != trust.issuer {
            return Err(Refusal::Issuer);
        }
        let meant = |audience: &String| trust.audiences.contains(audience);
        let ours = match &claims.aud {
            Audience::One(audience) => meant(audience),
            Audience::Several(audiences) => audiences.iter().any(meant),
        };
        if !ours {
            return Err(Refusal::Audience);
        }
        if trust.subject.as_ref().is_some_and(|subject| *subject != claims.sub) {
            return Err(Refusal::Subject);
        }
        if trust.tenant_id.is_some() && trust.tenant_id != claims.tid {
            return Err(Refusal::TenantId);
        }
        let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let (now, skew, longest) = (now.seconds(), whole(SKEW), whole(trust.max_lifetime));
        let expires = seconds(&claims.exp);
        if expires.saturating_add(skew) <= now {
            return Err(Refusal::Expired);
        }
        let issued = claims.iat.as_ref().map(seconds);
        if [issued, claims.nbf.as_ref().map(seconds)].into_iter().flatten().any(|from| from > now.saturating_add(skew))
        {
            return Err(Refusal::Early);
        }
        // Without iat, what is left of its life stands for all of it.
        let life = expires.saturating_sub(issued.unwrap_or(now.saturating_add(skew)));
        if life > longest {
            return Err(Refusal::TooLong);
        }
        let id = match &claims.jti {
            Some(jti) => Digest::of(format!("jti\0{}\0{jti}", claims.iss).as_bytes()),
            // Not of the signature: some can be written in more than one way.
            None => Digest::of(self.signed.text().as_bytes()),
        };
        Ok(Verified { id, expires: Timestamp::from_seconds(expires.saturating_add(skew)) })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    struct Issuer {
        public: Vec<u8>,
        private: EncodingKey,
    }

    fn issuer(seed: u8) -> Issuer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let private = EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref());
        Issuer { public: pair.public_key().as_ref().to_vec(), private }
    }

    impl Issuer {
        fn jwk(&self, kid: &str) -> Value {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": URL_SAFE_NO_PAD.encode(&self.public)})
        }

        fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = kid.map(str::to_owned);
            encode(&header, claims, &self.private).unwrap()
        }
    }

    fn trust() -> Trust {
        Trust {
            issuer: "https://login.example.com/t/v2.0".into(),
            audiences: vec!["api://app".into()],
            subject: Some("object".into()),
            tenant_id: Some("t".into()),
            algorithms: vec![Algorithm::EdDSA, Algorithm::RS256],
            max_lifetime: Duration::from_hours(1),
            single_use: true,
            keys: Keys::At(String::new()),
        }
    }

    fn claims() -> Value {
        json!({"iss": "https://login.example.com/t/v2.0", "aud": "api://app", "sub": "object", "tid": "t",
               "iat": NOW, "nbf": NOW, "exp": NOW + 3600})
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn verify(token: &str, keys: &KeySet, second: i64) -> Result<Verified, Refusal> {
        Unverified::read(token)?.verify(&trust(), keys, Timestamp::from_seconds(second))
    }

    #[test]
    fn every_claim_is_held_against_what_is_pinned() {
        let signer = issuer(1);
        let keys = set(&[signer.jwk("a")]);
        for (claim, value, expected) in [
            ("x", json!(1), None),
            ("aud", json!(["other", "api://app"]), None),
            ("exp", json!(1_800_003_600.5), None),
            ("iss", json!("https://login.example.com/t/v2.0/"), Some(Refusal::Issuer)),
            ("aud", json!("api://other"), Some(Refusal::Audience)),
            ("aud", json!([]), Some(Refusal::Audience)),
            ("aud", json!(7), Some(Refusal::Malformed)),
            ("sub", json!("Object"), Some(Refusal::Subject)),
            ("tid", json!("u"), Some(Refusal::TenantId)),
            ("tid", Value::Null, Some(Refusal::TenantId)),
            ("exp", json!(NOW - 60), Some(Refusal::Expired)),
            ("exp", json!(NOW - 59), None),
            ("exp", json!(NOW + 3601), Some(Refusal::TooLong)),
            ("exp", json!(1e300), Some(Refusal::TooLong)),
            ("exp", json!("soon"), Some(Refusal::Malformed)),
            ("exp", Value::Null, Some(Refusal::Malformed)),
            ("iat", json!(NOW + 60), None),
            ("iat", json!(NOW + 61), Some(Refusal::Early)),
            ("nbf", json!(NOW + 61), Some(Refusal::Early)),
            ("nbf", json!(NOW + 60), None),
            ("iat", json!(NOW - 1), Some(Refusal::TooLong)),
            ("iat", Value::Null, None),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let found = verify(&signer.sign(Some("a"), &claims), &keys, NOW);
            assert_eq!(found.err(), expected, "{claim} {value}");
        }
    }

    #[test]
    fn only_the_key_it_names_will_do() {
        let (signer, other) = (issuer(1), issuer(2));
        let token = |kid| signer.sign(kid, &claims());
        let alone = set(&[signer.jwk("a")]);
        let both = set(&[other.jwk("b"), signer.jwk("a")]);
        let swapped = set(&[other.jwk("a")]);
        let bound = set(&[{
            let mut jwk = signer.jwk("a");
            jwk["alg"] = "RS256".into();
            jwk
        }]);
        for (kid, keys, expected) in [
            (Some("a"), &alone, None),
            (Some("a"), &both, None),
            (None, &alone, None),
            (None, &both, Some(Refusal::Key)),
            (Some("b"), &both, Some(Refusal::Signature)),
            (Some("a"), &swapped, Some(Refusal::Signature)),
            (Some("z"), &both, Some(Refusal::Key)),
            (Some("a"), &bound, Some(Refusal::Key)),
        ] {
            assert_eq!(verify(&token(kid), keys, NOW).err(), expected, "{kid:?} {keys:?}");
        }
    }

    #[test]
    fn algorithms_are_ours_to_choose() {
        let signer = issuer(1);
        let keys = set(&[signer.jwk("a")]);
        // HS256 with the public key as the secret.
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("a".into());
        let confused = encode(&header, &claims(), &EncodingKey::from_secret(&signer.public)).unwrap();
        assert_eq!(verify(&confused, &keys, NOW).err(), Some(Refusal::Algorithm));

        let good = signer.sign(Some("a"), &claims());
        let rest = good.split_once('.').unwrap().1;
        for (header, expected) in [
            (r#"{"alg":"none","kid":"a"}"#, Refusal::Malformed),
            (r#"{"alg":"RS256","kid":"a"}"#, Refusal::Key),
            (r#"{"alg":"ES256","kid":"a"}"#, Refusal::Algorithm),
            (r#"{"alg":"EdDSA","kid":"a","crit":["exp"]}"#, Refusal::Critical),
        ] {
            let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(verify(&token, &keys, NOW).err(), Some(expected), "{header}");
        }
        for junk in [String::new(), "a.b.c".into(), "x".repeat(100_000), format!("{good}x"), good.replace('.', "")] {
            assert!(verify(&junk, &keys, NOW).is_err(), "{junk:.40}");
        }
    }

    #[test]
    fn the_id_tells_assertions_apart() {
        let signer = issuer(1);
        let keys = set(&[signer.jwk("a")]);
        let id = |change: &dyn Fn(&mut Value)| {
            let mut claims = claims();
            change(&mut claims);
            verify(&signer.sign(Some("a"), &claims), &keys, NOW).unwrap().id
        };
        let plain = id(&|_| {});
        assert_eq!(plain, id(&|_| {}));
        assert_ne!(plain, id(&|claims| claims["x"] = 1.into()));
        let first = id(&|claims| claims["jti"] = "1".into());
        assert_ne!(plain, first);
        assert_eq!(first, id(&|claims| (claims["jti"], claims["x"]) = ("1".into(), 1.into())));
    }
}
