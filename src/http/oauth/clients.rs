//! Which client a request is from (RFC 6749 §2.3, RFC 7523 §3), for every endpoint that clients talk to.
//!
//! A secret that proved right is remembered by a hash with the client it belongs to, until it expires or anybody's access ends (the
//! state's generation moves): the next request costs one SHA-256 instead of two queries. What was wrong is never remembered, so
//! a secret that is added works at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, header};
use moka::future::Cache;

use super::federation::Distrust;
use super::{AuthorizationServer, Fault};
use crate::config::Tenant;
use crate::http::message::Request;
use crate::oauth::assertion::Unverified;
use crate::oauth::client::{Credentials, Proof, refused};
use crate::oauth::parameters::Parameters;
use crate::oauth::{Door, ErrorCode, OAuthError, Scopes};
use crate::store::{Client, Remembered};
use crate::types::{Digest, Secret, Timestamp};

/// Secrets remembered at once.
const CAPACITY: u64 = 10_000;
/// For how long at most.
const KEPT: Duration = Duration::from_mins(5);
/// How exact the last use of a secret or door is known.
const TOUCH: Duration = Duration::from_mins(1);
/// Last uses of doors kept in memory, before all are forgotten and written down once more.
const USES: usize = 100_000;

/// How a client proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proved {
    /// Not at all: it is public.
    Not,
    /// By its secret.
    Secret,
    /// By an assertion of its identity provider.
    Federation,
    /// By an assertion of its own.
    PrivateKeyJwt,
}

/// The client that a request is from.
pub(super) struct Known {
    pub client: Arc<Client>,
    pub proved: Proved,
    seen: Option<Arc<Seen>>,
}

/// A secret that proved right.
struct Seen {
    client: Arc<Client>,
    digest: Digest,
    epoch: u64,
    expires: Option<Timestamp>,
    /// When its use was last written down, in milliseconds.
    touched: AtomicI64,
    /// The client's own grants by the bits of their scopes; 0 where it is not known.
    grants: [AtomicI64; 4],
}

/// What is remembered of clients.
pub(super) struct Acquaintances {
    secrets: Cache<Digest, Arc<Seen>>,
    /// When the use of each door was last written down, in milliseconds.
    uses: Mutex<HashMap<(String, String, &'static str), i64>>,
}

impl Acquaintances {
    pub(super) fn new() -> Self {
        Self { secrets: Cache::builder().max_capacity(CAPACITY).time_to_live(KEPT).build(), uses: Mutex::default() }
    }

    /// Whether a use at `now` is to be written down.
    fn due(&self, tenant: &str, client: &str, what: &'static str, now: Timestamp) -> bool {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= USES {
            uses.clear();
        }
        let last = uses.entry((tenant.to_owned(), client.to_owned(), what)).or_insert(i64::MIN);
        let due = *last == i64::MIN || now.since(Timestamp::from_millis(*last)) >= TOUCH;
        if due {
            *last = now.millis();
        }
        due
    }
}

impl AuthorizationServer {
    /// The client that a request proves to be from.
    pub(super) async fn client_of(
        &self,
        tenant: &Tenant,
        request: &Request,
        form: &Parameters,
    ) -> Result<Arc<Client>, Fault> {
        Ok(self.known(tenant, request, form).await?.client)
    }

    /// As [`AuthorizationServer::client_of`], and how it proved it.
    pub(super) async fn known(&self, tenant: &Tenant, request: &Request, form: &Parameters) -> Result<Known, Fault> {
        let mut headers = request.headers.get_all(header::AUTHORIZATION).iter();
        let authorization = headers.next();
        if headers.next().is_some() {
            return Err(OAuthError::invalid_request("The request has more than one Authorization header.").into());
        }
        let said = Credentials::read(authorization.map(HeaderValue::as_bytes), form)?;
        match &said.proof {
            Proof::Basic(secret) | Proof::Post(secret) => self.by_secret(tenant, &said.id, secret).await,
            Proof::Assertion(assertion) => self.by_assertion(tenant, &said.id, assertion).await,
            Proof::None => {
                let client = self.store.client(&tenant.name, &said.id).await?;
                let client = client.filter(|client| client.public && !client.disabled);
                let client = Arc::new(client.ok_or_else(OAuthError::invalid_client)?);
                Ok(Known { client, proved: Proved::Not, seen: None })
            }
        }
    }

    async fn by_secret(&self, tenant: &Tenant, id: &str, secret: &Secret) -> Result<Known, Fault> {
        let now = self.clock.now();
        let key = Digest::of(format!("{}\0{id}\0{}", tenant.name, secret.expose()).as_bytes());
        // Taken before the state is asked: what the state says after it moved is not believed under the old number.
        let epoch = self.verdicts.epoch();
        let good = |seen: &Arc<Seen>| seen.epoch == epoch && seen.expires.is_none_or(|expires| now < expires);
        let seen = if let Some(seen) = self.acquaintances.secrets.get(&key).await.filter(good) {
            seen
        } else {
            let seen = Arc::new(self.check_secret(tenant, id, &secret.digest(), epoch, now).await?);
            self.acquaintances.secrets.insert(key, Arc::clone(&seen)).await;
            seen
        };
        let before = seen.touched.load(Ordering::Relaxed);
        if now.since(Timestamp::from_millis(before)) >= TOUCH {
            seen.touched.store(now.millis(), Ordering::Relaxed);
            self.store.touch_client_secret(&tenant.name, id, seen.digest, now);
        }
        Ok(Known { client: Arc::clone(&seen.client), proved: Proved::Secret, seen: Some(seen) })
    }

    async fn check_secret(
        &self,
        tenant: &Tenant,
        id: &str,
        presented: &Digest,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Seen, Fault> {
        let client = self.store.client(&tenant.name, id).await?;
        let client =
            client.filter(|client| !client.public && !client.disabled).ok_or_else(OAuthError::invalid_client)?;
        // All are compared, whichever fits.
        let live = client.secrets.iter().filter(|secret| secret.is_live(now));
        let fitting = live.fold(None, |found, secret| if secret.digest.same(presented) { Some(secret) } else { found });
        let secret = fitting.ok_or_else(OAuthError::invalid_client)?;
        let (digest, expires) = (secret.digest, secret.expires);
        let touched = AtomicI64::new(secret.last_used.map_or(0, Timestamp::millis));
        Ok(Seen { client: Arc::new(client), digest, epoch, expires, touched, grants: Default::default() })
    }

    async fn by_assertion(&self, tenant: &Tenant, id: &str, assertion: &Secret) -> Result<Known, Fault> {
        const UNKNOWN: &str = "Unknown client, or assertions of this issuer are not configured for it.";
        let token = Unverified::read(assertion.expose()).map_err(refused)?;
        let doors = &tenant.doors;
        // Its own assertions a client issues by its own name; that no other issuer has.
        let (trust, proved, door) = if token.issuer == id {
            (doors.private_key_jwt.get(id), Proved::PrivateKeyJwt, Door::PrivateKeyJwt)
        } else {
            (doors.federation.get(id), Proved::Federation, Door::Federation)
        };
        let client = self.store.client(&tenant.name, id).await?.filter(|client| !client.public && !client.disabled);
        let (Some(trust), Some(client)) = (trust, client) else {
            return Err(OAuthError::new(ErrorCode::InvalidClient, UNKNOWN).into());
        };
        let verified = match self.foreign.verify(&token, trust, &doors.key_hosts).await {
            Ok(verified) => verified,
            Err(Distrust::Refused(refusal)) => {
                tracing::info!(tenant = tenant.name, client = id, reason = %refusal, "a client assertion was refused");
                return Err(refused(refusal).into());
            }
            Err(Distrust::Unreachable) => {
                let text = "The keys of the assertion's issuer cannot be fetched. Try again in a moment.";
                return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, text).into());
            }
        };
        open(&client, door)?;
        if trust.single_use {
            match self.store.remember_assertion(&tenant.name, id, &verified.id, verified.expires).await? {
                Remembered::New => {}
                Remembered::Seen => {
                    let text = "The client assertion has been used before; sign a new one with another jti.";
                    return Err(OAuthError::new(ErrorCode::InvalidClient, text).into());
                }
                Remembered::Full => {
                    let text = "Too many assertions of this client are good at once; make them shorter-lived or reuse the access token.";
                    return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, text).into());
                }
            }
        }
        Ok(Known { client: Arc::new(client), proved, seen: None })
    }

    /// The grant that the client has of itself with these scopes.
    pub(super) async fn own_grant(&self, tenant: &Tenant, known: &Known, scopes: Scopes) -> Result<i64, Fault> {
        let slot = known.seen.as_ref().map(|seen| &seen.grants[scopes.index()]);
        if let Some(grant) = slot.map(|slot| slot.load(Ordering::Relaxed)).filter(|grant| *grant != 0) {
            return Ok(grant);
        }
        let grant = self.store.own_grant(&tenant.name, &known.client.id, scopes).await?;
        if let Some(slot) = slot {
            slot.store(grant, Ordering::Relaxed);
        }
        Ok(grant)
    }

    /// Notes that the client came through `door`, and through that of its assertion if it had one.
    pub(super) fn came_through(&self, tenant: &Tenant, known: &Known, door: Door) {
        let now = self.clock.now();
        let by = match known.proved {
            Proved::Federation => Some(Door::Federation),
            Proved::PrivateKeyJwt => Some(Door::PrivateKeyJwt),
            Proved::Secret | Proved::Not => None,
        };
        for door in [Some(door), by.filter(|by| *by != door)].into_iter().flatten() {
            if self.acquaintances.due(&tenant.name, &known.client.id, door.as_str(), now) {
                self.store.touch_door(&tenant.name, &known.client.id, door, now);
            }
        }
    }
}

/// That the door is open to the client.
pub(super) fn open(client: &Client, door: Door) -> Result<(), OAuthError> {
    if client.doors.has(door) {
        return Ok(());
    }
    let text = format!("This client may not come by {0}; open that door with portcullis client open.", door.as_str());
    Err(OAuthError::new(ErrorCode::UnauthorizedClient, text))
}
