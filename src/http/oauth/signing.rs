//! Access tokens: JWTs of type `at+jwt` (RFC 9068), signed with the keys of the state.
//!
//! The algorithm is the key's, never taken from a token's header; a key is found by `kid` among our own only. Time is checked by the
//! gateway's clock, not by the library's. Which key signs is told by the token's `iat` ([`crate::oauth::rotation`]). A running
//! gateway takes up another process's rotation when the state's generation moves.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::OpenError;
use crate::oauth::claims::{Claims, TYPE};
use crate::oauth::rotation::{LEAD, Life, SKEW, Stage};
use crate::oauth::signature::Algorithm;
use crate::store::{OlderKeys, SigningKey, Store, StoreError};
use crate::types::{Clock, Digest, Random, Timestamp};

/// The longest text that is looked at as an access token; ours have some 400 characters, with RS256 some 650.
const MAX_TOKEN: usize = 2048;
/// How often a new key is made anew because its short name is taken.
const NAMES: usize = 8;

/// A private key, parsed once.
enum Signer {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl Signer {
    fn new(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, OpenError> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rs256),
        }
        .map_err(|_| OpenError::Key)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JwtError> {
        let failed = |_| JwtError::from(ErrorKind::InvalidSignature);
        match self {
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Es256(pair) => Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// The public part, for verifying and as members of a JWK (RFC 7518 §6, RFC 8037 §2).
    fn public(&self) -> (DecodingKey, Value) {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::EdDsa(pair) => {
                let x = pair.public_key().as_ref();
                (DecodingKey::from_ed_der(x), json!({ "kty": "OKP", "crv": "Ed25519", "x": text(x) }))
            }
            Self::Es256(pair) => {
                // 4, then both coordinates (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                (DecodingKey::from_ec_der(point), json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) }))
            }
            Self::Rs256(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                (DecodingKey::from_rsa_raw_components(n, e), json!({ "kty": "RSA", "n": text(n), "e": text(e) }))
            }
        }
    }
}

/// One key, ready for use.
struct Key {
    kid: String,
    algorithm: Algorithm,
    life: Life,
    signer: Signer,
    verifier: DecodingKey,
    /// The first part of every token it signs.
    header: String,
    jwk: Value,
}

impl Key {
    fn new(key: &SigningKey, life: Life) -> Result<Self, OpenError> {
        let signer = Signer::new(key.algorithm, &key.pkcs8)?;
        let (verifier, mut jwk) = signer.public();
        let header = json!({ "typ": TYPE, "alg": key.algorithm.name(), "kid": key.kid });
        jwk["use"] = "sig".into();
        jwk["alg"] = key.algorithm.name().into();
        jwk["kid"] = key.kid.as_str().into();
        Ok(Self {
            kid: key.kid.clone(),
            algorithm: key.algorithm,
            life,
            signer,
            verifier,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            jwk,
        })
    }
}

/// The keys of this gateway; never empty.
pub(super) struct Keys(ArcSwap<Ring>);

/// The keys there are at one time, the one that signs last first.
struct Ring {
    newest: Key,
    older: Vec<Key>,
}

impl Ring {
    fn new(held: &[SigningKey]) -> Result<Self, OpenError> {
        let starts: Vec<Timestamp> = held.iter().map(|key| key.signs_from).collect();
        let mut keys = held
            .iter()
            .zip(Life::of(&starts))
            .map(|(key, life)| Key::new(key, life))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        Ok(Self { newest: keys.next().ok_or(OpenError::Key)?, older: keys.collect() })
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(|key| key.kid.as_str())
    }
}

/// What a token says; `nbf` (RFC 7519 §4.1.5) is none of ours, but it would count.
#[derive(Deserialize)]
struct Said {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    iat: i64,
    exp: i64,
    jti: String,
    nbf: Option<i64>,
}

impl Keys {
    /// The keys out of the state; the first start makes one, and so does one that is told another algorithm.
    pub(super) async fn open(
        store: &Store,
        algorithm: Algorithm,
        clock: &Clock,
        random: &Random,
    ) -> Result<Self, OpenError> {
        let mut held = store.signing_keys().await?;
        let now = clock.now();
        let (others, signs_from) = match held.first() {
            None => (OlderKeys::None, now),
            Some(newest) if newest.algorithm != algorithm => (OlderKeys::Overlap, now.after(LEAD)),
            Some(_) => return Ok(Self(ArcSwap::from_pointee(Ring::new(&held)?))),
        };
        add_key(store, algorithm, others, (now, signs_from), random).await?;
        held = store.signing_keys().await?;
        Ok(Self(ArcSwap::from_pointee(Ring::new(&held)?)))
    }

    /// Takes up what another process did to the keys. Whether it did anything.
    pub(super) async fn reload(&self, store: &Store) -> Result<bool, OpenError> {
        let names: Vec<String> = store.signing_key_entries().await?.into_iter().map(|entry| entry.kid).collect();
        if self.0.load().names().eq(names.iter().map(String::as_str)) {
            return Ok(false);
        }
        let ring = Ring::new(&store.signing_keys().await?)?;
        self.0.store(Arc::new(ring));
        tracing::info!(keys = names.len(), "the signing keys have changed");
        Ok(true)
    }

    /// Signs with the key whose time it is at `iat`. But for ES256, the same claims give the same token again.
    pub(super) fn sign(&self, claims: &Claims) -> Result<String, JwtError> {
        let ring = self.0.load();
        let from = |key: &&Key| key.life.from.seconds() <= claims.iat;
        let key = ring.all().find(from).or_else(|| ring.all().last()).unwrap_or(&ring.newest);
        let mut token = key.header.clone();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
        let signature = key.signer.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The claims of a token that one of our keys signed in its time for this issuer and audience, whether it has expired or not.
    pub(super) fn read(&self, token: &str, issuer: &str, audience: &str) -> Option<Claims> {
        let said = self.said(token, issuer, audience)?;
        let Said { iss, aud, sub, client_id, iat, exp, jti, nbf: _ } = said;
        Some(Claims { iss, aud, sub, client_id, iat, exp, jti })
    }

    /// As [`Keys::read`], for a token that is good at `now`.
    pub(super) fn verify(&self, token: &str, issuer: &str, audience: &str, now: Timestamp) -> Option<Claims> {
        let (second, soon) = (now.seconds(), now.after(SKEW).seconds());
        let said = self.said(token, issuer, audience)?;
        let good = second < said.exp && said.iat <= soon && said.nbf.is_none_or(|nbf| nbf <= soon);
        let Said { iss, aud, sub, client_id, iat, exp, jti, nbf: _ } = said;
        good.then_some(Claims { iss, aud, sub, client_id, iat, exp, jti })
    }

    fn said(&self, token: &str, issuer: &str, audience: &str) -> Option<Said> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let kid = header.kid?;
        let ring = self.0.load();
        let key = ring.all().find(|key| key.kid == kid)?;
        let mut validation = Validation::new(match key.algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        });
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let said = decode::<Said>(token, &key.verifier, &validation).ok()?.claims;
        key.life.covers(Timestamp::from_seconds(said.iat)).then_some(said)
    }

    /// The public keys as a JWK Set (RFC 7517), those to come and those whose tokens may still be about among them.
    pub(super) fn jwks(&self, now: Timestamp) -> Value {
        let ring = self.0.load();
        let keys: Vec<&Value> =
            ring.all().filter(|key| key.life.stage(now) != Stage::Retired).map(|key| &key.jwk).collect();
        json!({ "keys": keys })
    }
}

/// Makes a key and adds it to the state. `at` is when it is made and from when it signs. Gives its name; none if there is one already
/// and [`OlderKeys::None`] was said.
///
/// # Errors
/// When a key cannot be made, or the state is not available or locked.
pub async fn add_key(
    store: &Store,
    algorithm: Algorithm,
    others: OlderKeys,
    at: (Timestamp, Timestamp),
    random: &Random,
) -> Result<Option<String>, OpenError> {
    let mut left = NAMES;
    loop {
        left -= 1;
        let random = random.clone();
        // An RSA key takes a good part of a second.
        let made = tokio::task::spawn_blocking(move || mint(algorithm, &random)).await;
        let (kid, pkcs8) = made.map_err(|_| OpenError::Key)??;
        let key = SigningKey { kid, algorithm, pkcs8, created: at.0, signs_from: at.1 };
        match store.add_signing_key(&key, others).await {
            Ok(added) => return Ok(added.then_some(key.kid)),
            Err(StoreError::Exists(_)) if left > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A new private key and a short name for it, which costs room in every token.
fn mint(algorithm: Algorithm, random: &Random) -> Result<(String, Zeroizing<Vec<u8>>), OpenError> {
    let pkcs8 = match algorithm {
        Algorithm::EdDsa => {
            let seed = Zeroizing::new(random.bytes::<32>());
            let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| OpenError::Key)?;
            Zeroizing::new(pair.to_pkcs8().map_err(|_| OpenError::Key)?.as_ref().to_vec())
        }
        // The library makes these with its own generator only.
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| OpenError::Key)?;
            Zeroizing::new(pair.to_pkcs8v1().map_err(|_| OpenError::Key)?.as_ref().to_vec())
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| OpenError::Key)?;
            Zeroizing::new(pair.as_der().map_err(|_| OpenError::Key)?.as_ref().to_vec())
        }
    };
    let (_, jwk) = Signer::new(algorithm, &pkcs8)?.public();
    let mut kid = URL_SAFE_NO_PAD.encode(Digest::of(jwk.to_string().as_bytes()).as_slice());
    kid.truncate(3);
    Ok((kid, pkcs8))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;
    use crate::oauth::seal::Master;

    const START: i64 = 1_800_000_000;

    async fn store(seed: u64) -> (Store, Clock) {
        let clock = Clock::manual(Timestamp::from_seconds(START));
        let store = Store::open("sqlite::memory:", clock.clone()).await.unwrap();
        store.unlock(&Master::Passing, &Random::seeded(seed)).await.unwrap();
        (store, clock)
    }

    async fn keys_of(seed: u64, algorithm: Algorithm) -> Keys {
        let (store, clock) = store(seed).await;
        Keys::open(&store, algorithm, &clock, &Random::seeded(seed)).await.unwrap()
    }

    async fn keys(seed: u64) -> Keys {
        keys_of(seed, Algorithm::EdDsa).await
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

        let kid = keys.0.load().newest.kid.clone();
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
        let mut header = Header::new(jsonwebtoken::Algorithm::HS256);
        header.typ = Some(TYPE.into());
        header.kid = Some(kid);
        let public = keys.0.load().newest.jwk["x"].as_str().unwrap().to_owned();
        let public = URL_SAFE_NO_PAD.decode(public).unwrap();
        let confused = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        assert_eq!(verify(&keys, &confused, 1_800_000_000), None);
    }

    #[tokio::test]
    async fn each_algorithm_signs_and_verifies_and_is_published() {
        for (algorithm, members) in
            [(Algorithm::EdDsa, &["x"][..]), (Algorithm::Es256, &["x", "y"]), (Algorithm::Rs256, &["n", "e"])]
        {
            let keys = keys_of(1, algorithm).await;
            let token = keys.sign(&claims()).unwrap();
            assert_eq!(verify(&keys, &token, START), Some(claims()), "{algorithm:?}");
            let mut other = token.clone().into_bytes();
            let at = token.rfind('.').unwrap() + 5;
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(verify(&keys, std::str::from_utf8(&other).unwrap(), START), None, "{algorithm:?}");
            // Whoever has only what is published can verify it.
            let jwks: jsonwebtoken::jwk::JwkSet =
                serde_json::from_value(keys.jwks(Timestamp::from_seconds(START))).unwrap();
            let header = decode_header(&token).unwrap();
            let jwk = jwks.find(&header.kid.unwrap()).unwrap();
            let mut validation = Validation::new(header.alg);
            validation.set_audience(&["vonage-business"]);
            validation.validate_exp = false;
            decode::<Said>(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();
            let jwk = serde_json::to_value(jwk).unwrap();
            assert!(members.iter().all(|member| jwk[*member].is_string()), "{jwk}");
            assert!(jwk.get("d").is_none());
        }
    }

    #[tokio::test]
    async fn a_token_that_is_not_good_yet_is_refused() {
        let keys = keys(1).await;
        let ring = keys.0.load();
        for (nbf, good) in [(START, true), (START + 60, true), (START + 61, false)] {
            let mut said = serde_json::to_value(claims()).unwrap();
            said["nbf"] = nbf.into();
            let mut token = format!("{}.{}", ring.newest.header, URL_SAFE_NO_PAD.encode(said.to_string()));
            let signature = ring.newest.signer.sign(token.as_bytes()).unwrap();
            token = format!("{token}.{}", URL_SAFE_NO_PAD.encode(signature));
            assert_eq!(verify(&keys, &token, START).is_some(), good, "{nbf}");
        }
    }

    #[tokio::test]
    async fn rotation_overlaps() {
        let (store, clock) = store(1).await;
        let random = Random::seeded(1);
        let keys = Keys::open(&store, Algorithm::EdDsa, &clock, &random).await.unwrap();
        let old = keys.sign(&claims()).unwrap();
        let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
        let published = |keys: &Keys| keys.jwks(clock.now())["keys"].as_array().unwrap().len();

        let now = clock.now();
        let new = add_key(&store, Algorithm::Es256, OlderKeys::Overlap, (now, now.after(LEAD)), &random).await.unwrap();
        assert_eq!(published(&keys), 1);
        keys.reload(&store).await.unwrap();
        assert_eq!(published(&keys), 2, "published before it signs");
        assert_eq!(keys.sign(&claims()).unwrap(), old);
        let later = Claims { iat: START + 1, exp: START + 3601, ..claims() };
        let newer = keys.sign(&later).unwrap();
        assert_eq!(Some(kid(&newer)), new);
        assert_eq!(keys.sign(&claims()).unwrap(), old, "made again with the key of its time");
        assert!(verify(&keys, &old, START + 3599).is_some() && verify(&keys, &newer, START + 1).is_some());

        // What the old key is said to have signed long after it was replaced is a forgery.
        let forged = {
            let ring = keys.0.load();
            let late = Claims { iat: START + 3600, exp: START + 7200, ..claims() };
            let text =
                format!("{}.{}", ring.older[0].header, URL_SAFE_NO_PAD.encode(serde_json::to_vec(&late).unwrap()));
            let signature = ring.older[0].signer.sign(text.as_bytes()).unwrap();
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert_eq!(verify(&keys, &forged, START + 3601), None);
        clock.advance(std::time::Duration::from_hours(7));
        assert_eq!(published(&keys), 1, "the old one has retired");

        // Somebody else has a key: it and all it signed are gone.
        let now = clock.now();
        add_key(&store, Algorithm::EdDsa, OlderKeys::Drop, (now, now), &random).await.unwrap();
        keys.reload(&store).await.unwrap();
        assert_eq!((verify(&keys, &newer, START + 1), published(&keys)), (None, 1));
    }
}
