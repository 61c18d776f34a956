//! Whether a JWT that somebody else signed is to be believed: the pinned claims of [`crate::oauth::assertion`], and the keys to check
//! it with, fetched from where the configuration says (RFC 7517, OpenID Connect Discovery §4).
//!
//! A key set is kept for hours and fetched again when a token names a key that is not in it, at most once a minute: keys turn over,
//! and strangers name keys at will. Whoever comes while it is being fetched waits for that one answer. When the issuer does not
//! answer, the keys it gave before stay good for a day.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use serde::Deserialize;
use url::Url;

use crate::config::allowed;
use crate::http::fetch::Fetcher;
use crate::oauth::assertion::{Keys, Refusal, Trust, Unverified, Verified};
use crate::oauth::jws::{KeySet, Signed};
use crate::types::Clock;

/// Key sets kept at once; the configuration names a few.
const CAPACITY: u64 = 256;
/// How long a key set is believed without another look.
const FRESH: Duration = Duration::from_hours(6);
/// How long it is believed while its issuer does not answer.
const STALE: Duration = Duration::from_hours(24);
/// How often an issuer is asked at most.
const AGAIN: Duration = Duration::from_mins(1);
/// How often it is asked while it has never answered.
const AGAIN_WITHOUT: Duration = Duration::from_secs(5);

/// Why a JWT is not believed.
pub(in crate::http) enum Distrust {
    /// It is wrong.
    Refused(Refusal),
    /// Its issuer's keys are out of reach: nobody can tell.
    Unreachable,
}

impl From<Refusal> for Distrust {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is known of one issuer's keys. Times are of the monotonic clock.
struct Held {
    keys: Option<Arc<KeySet>>,
    fetched: Duration,
    tried: Duration,
}

impl Held {
    /// Whether to ask again would be too early or bring nothing new.
    fn suffices(&self, token: &Signed<'_>, now: Duration) -> bool {
        let since = |then: Duration| now.saturating_sub(then);
        match &self.keys {
            Some(keys) => (since(self.fetched) < FRESH && keys.suits(token)) || since(self.tried) < AGAIN,
            None => since(self.tried) < AGAIN_WITHOUT,
        }
    }
}

/// The keys of foreign issuers.
pub(in crate::http) struct Foreign {
    cache: Cache<String, Arc<Held>>,
    fetcher: Arc<Fetcher>,
    clock: Clock,
}

impl Foreign {
    pub(super) fn new(clock: &Clock, fetcher: Arc<Fetcher>) -> Self {
        Self { cache: Cache::new(CAPACITY), fetcher, clock: clock.clone() }
    }

    /// Checks `token` against `trust`, with keys from `hosts` only.
    pub(in crate::http) async fn verify(
        &self,
        token: &Unverified<'_>,
        trust: &Trust,
        hosts: &[String],
    ) -> Result<Verified, Distrust> {
        token.suits(trust)?;
        let keys = self.keys(&trust.keys, hosts, &token.signed).await.ok_or(Distrust::Unreachable)?;
        Ok(token.verify(trust, &keys, self.clock.now())?)
    }

    /// The keys at `url`, for a token signed by one of them: an address that the caller believes.
    pub(super) async fn published(&self, url: &Url, token: &Signed<'_>) -> Option<Arc<KeySet>> {
        let hosts: Vec<String> = url.host_str().map(str::to_owned).into_iter().collect();
        self.keys(&Keys::At(url.as_str().to_owned()), &hosts, token).await
    }

    /// The keys, fetched anew if none of them can have signed `token` and it is time.
    async fn keys(&self, keys: &Keys, hosts: &[String], token: &Signed<'_>) -> Option<Arc<KeySet>> {
        let address = match keys {
            Keys::Given(keys) => return Some(Arc::clone(keys)),
            Keys::At(url) => url,
            Keys::Discovered { metadata, .. } => metadata,
        };
        let now = self.clock.monotonic();
        if let Some(held) = self.cache.get(address).await.filter(|held| held.suffices(token, now)) {
            return held.keys.clone();
        }
        let entry = self.cache.entry_by_ref(address).and_compute_with(async |entry| {
            let held = entry.map(moka::Entry::into_value);
            if held.as_ref().is_some_and(|held| held.suffices(token, now)) {
                return Op::Nop;
            }
            let next = match self.fetch(keys, hosts).await {
                Ok(keys) => Held { keys: Some(Arc::new(keys)), fetched: now, tried: now },
                Err(reason) => {
                    tracing::warn!(address, reason, "an issuer's keys cannot be fetched");
                    let held = held.filter(|held| now.saturating_sub(held.fetched) < STALE);
                    let fetched = held.as_ref().map_or(now, |held| held.fetched);
                    Held { keys: held.and_then(|held| held.keys.clone()), fetched, tried: now }
                }
            };
            Op::Put(Arc::new(next))
        });
        entry.await.into_entry().and_then(|entry| entry.into_value().keys.clone())
    }

    async fn fetch(&self, keys: &Keys, hosts: &[String]) -> Result<KeySet, String> {
        let location = match keys {
            Keys::Given(_) => return Err("they are given".to_owned()),
            Keys::At(url) => url.clone(),
            Keys::Discovered { metadata, issuer } => {
                #[derive(Deserialize)]
                struct Metadata {
                    issuer: String,
                    jwks_uri: String,
                }
                let found: Metadata = serde_json::from_slice(&self.get(metadata, hosts).await?)
                    .map_err(|_| "the metadata hold no issuer and jwks_uri".to_owned())?;
                if found.issuer != *issuer {
                    return Err("the metadata are another issuer's".to_owned());
                }
                found.jwks_uri
            }
        };
        KeySet::parse(&self.get(&location, hosts).await?).map_err(|error| format!("what is there {error}"))
    }

    async fn get(&self, url: &str, hosts: &[String]) -> Result<bytes::Bytes, String> {
        let url = allowed(url, hosts).map_err(|(reason, help)| format!("{reason}; {help}"))?;
        self.fetcher.get(&url, None).await.map_err(|error| error.to_string())
    }
}
