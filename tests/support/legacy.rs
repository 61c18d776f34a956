//! The sample user system: the REST side of the directory that `config/examples/rest.toml` speaks to, in memory, with
//! everything it can do wrong. Tests start it in their own process; `cargo run --example sample-directory` makes it a server.
//!
//! Strict where its description leaves a choice, so that what works here works elsewhere: `id` in a body, a `null`, a page
//! over 1000 and unknown fields are refused with 400.

#![allow(dead_code, reason = "every test uses its own part")]
#![expect(clippy::unwrap_used, reason = "test support: a failure here is the test's")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::line::{Ending, Line};
use super::people::{People, refuse, rendered};

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Behave.
    None,
    /// Answer with this status; nothing is done.
    Status(u16, Option<&'static str>),
    /// Do the work, then answer with this status.
    StatusAfter(u16),
    /// Reset the connection; nothing is done.
    ResetBefore,
    /// Do the work, then reset the connection.
    ResetAfter,
    /// Do the work and never answer.
    Silence,
    /// Do the work, send most of the answer and close.
    Cut,
    /// Answer 200 with this body; nothing is done.
    Body(&'static str),
}

/// How it behaves in general. Shares are of a thousand.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// The bearer token it insists on.
    pub token: Option<String>,
    /// Added to every answer.
    pub latency: Duration,
    /// At most so much more, at random.
    pub jitter: Duration,
    /// Answered 500, nothing done.
    pub share_500: u64,
    /// Answered 503, nothing done.
    pub share_503: u64,
    /// Reset before the work.
    pub share_reset_before: u64,
    /// Reset after the work.
    pub share_reset_after: u64,
    /// Done, never answered.
    pub share_silence: u64,
    /// Done, the answer cut short.
    pub share_cut: u64,
    /// More requests than this in one second are answered 429 with `Retry-After: 1`.
    pub rate: Option<u64>,
    /// `null` in a PATCH takes a value away instead of being refused.
    pub null_removes: bool,
    /// Changes are answered 204 without a body.
    pub tight_lipped: bool,
    /// It has groups, which the real one has not.
    pub groups: bool,
    /// A group's record holds its members, and is changed with them.
    pub listed_members: bool,
    /// Everybody goes on by a cursor in the answer.
    pub cursors: bool,
    /// Everybody goes on by a `Link` header.
    pub links: bool,
    /// E-mail and phone lie deep inside a person's record.
    pub nested: bool,
    /// Refusals are 200 with a code, a removal is answered 302, and only its own media type is accepted.
    pub odd: bool,
    /// The SCIM side has a `/ServiceProviderConfig`.
    pub scim_tells: bool,
    /// The SCIM side knows no PATCH.
    pub scim_no_patch: bool,
    /// The SCIM side compares versions.
    pub scim_etag: bool,
    /// The SCIM side gives at most so many in one answer; 0: a thousand.
    pub scim_page: usize,
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `PATCH /users/17`, with the query as sent.
    pub line: String,
    /// The body; `null` if there was none.
    pub body: Value,
}

/// The running directory; gone when dropped.
pub struct Legacy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    people: Mutex<People>,
    manners: Mutex<Manners>,
    script: Mutex<VecDeque<Fault>>,
    seen: Mutex<VecDeque<Seen>>,
    window: Mutex<(Option<Instant>, u64)>,
    dice: AtomicU64,
    hang_up: Notify,
}

impl Legacy {
    /// Starts on a free loopback port, with nobody in it.
    pub async fn start() -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), Manners::default())
    }

    /// Starts on a listener.
    pub fn start_on(listener: TcpListener, manners: Manners) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            people: Mutex::default(),
            manners: Mutex::new(manners),
            script: Mutex::default(),
            seen: Mutex::default(),
            window: Mutex::default(),
            dice: AtomicU64::new(0x9E37_79B9_7F4A_7C15),
            hang_up: Notify::new(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the general manners.
    pub fn manners(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.shared.manners.lock().unwrap());
    }

    /// What to do to the next requests, one each; after that the general manners hold again.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.script.lock().unwrap().extend(faults);
    }

    /// Closes every connection that is open, as a restart would.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// Puts a person in directly and gives their id.
    pub fn put(&self, user: Value) -> String {
        let Value::Object(user) = user else { panic!("a user is an object") };
        let id = self.shared.people.lock().unwrap().create(user).expect("a valid user");
        id.to_string()
    }

    /// Everybody, as stored.
    pub fn people(&self) -> Vec<Value> {
        let people = self.shared.people.lock().unwrap();
        people.by_id.iter().map(|(id, user)| rendered(*id, user)).collect()
    }

    /// The last thousand requests since the last time this was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().drain(..).collect()
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, ending) = (Arc::clone(&shared), Arc::new(AtomicU8::new(Ending::Whole as u8)));
        let line = Line::new(stream, Arc::clone(&ending));
        connections.spawn(async move {
            let service = service_fn(|request| answer(&shared, &ending, request));
            tokio::select! {
                _ = http1::Builder::new().serve_connection(TokioIo::new(line), service) => {}
                () = shared.hang_up.notified() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: &Shared,
    ending: &AtomicU8,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let manners = shared.manners.lock().unwrap().clone();
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(refuse(StatusCode::BAD_REQUEST, "the body is cut short"));
    };
    shared.note(&head.method, &head.uri, &body);
    let wait =
        manners.latency + manners.jitter.mul_f64(f64::from(u16::try_from(shared.throw(1000)).unwrap_or(0)) / 1000.0);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if shared.too_many(manners.rate) {
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "slow down");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Ok(response);
    }
    let asked = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if manners.token.as_ref().is_some_and(|token| asked != Some(format!("Bearer {token}").as_str())) {
        return Ok(refuse(StatusCode::UNAUTHORIZED, "a bearer token is needed"));
    }
    let work = || shared.people.lock().unwrap().carry_out(&head.method, &head.uri, &head.headers, &body, &manners);
    Ok(match shared.fault(&manners) {
        Fault::None => work(),
        Fault::Status(status, wait) => {
            let mut response = refuse(StatusCode::from_u16(status).unwrap(), "out of order");
            if let Some(wait) = wait {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
            }
            response
        }
        Fault::StatusAfter(status) => {
            work();
            refuse(StatusCode::from_u16(status).unwrap(), "out of order")
        }
        Fault::ResetBefore => {
            ending.store(Ending::Reset as u8, Ordering::Release);
            Response::default()
        }
        Fault::ResetAfter => {
            ending.store(Ending::Reset as u8, Ordering::Release);
            work()
        }
        Fault::Silence => {
            work();
            std::future::pending().await
        }
        Fault::Cut => {
            ending.store(Ending::Cut as u8, Ordering::Release);
            work()
        }
        Fault::Body(body) => Response::new(Full::new(Bytes::from_static(body.as_bytes()))),
    })
}

impl Shared {
    fn note(&self, method: &Method, uri: &http::Uri, body: &[u8]) {
        let mut seen = self.seen.lock().unwrap();
        if seen.len() == 1000 {
            seen.pop_front();
        }
        seen.push_back(Seen {
            line: format!("{method} {uri}"),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        });
    }

    fn fault(&self, manners: &Manners) -> Fault {
        if let Some(fault) = self.script.lock().unwrap().pop_front() {
            return fault;
        }
        let mut thrown = self.throw(1000);
        for (share, fault) in [
            (manners.share_500, Fault::Status(500, None)),
            (manners.share_503, Fault::Status(503, None)),
            (manners.share_reset_before, Fault::ResetBefore),
            (manners.share_reset_after, Fault::ResetAfter),
            (manners.share_silence, Fault::Silence),
            (manners.share_cut, Fault::Cut),
        ] {
            if thrown < share {
                return fault;
            }
            thrown -= share;
        }
        Fault::None
    }

    /// A number below `sides`, by xorshift: repeatable from run to run.
    fn throw(&self, sides: u64) -> u64 {
        let step = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            Some(x ^ (x << 17))
        };
        self.dice.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).unwrap_or_default() % sides
    }

    fn too_many(&self, rate: Option<u64>) -> bool {
        let Some(rate) = rate else { return false };
        let mut window = self.window.lock().unwrap();
        let now = Instant::now();
        if window.0.is_none_or(|start| now.duration_since(start) >= Duration::from_secs(1)) {
            *window = (Some(now), 0);
        }
        window.1 += 1;
        window.1 > rate
    }
}
