//! What is told about a request afterwards: one log line, one audit record, two metrics. People appear by id, tokens by
//! their public prefix; values never appear (design decision 13).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::store::AuditRecord;
use crate::types::{Digest, Random, Timestamp};

/// Gathered while a request is handled.
#[derive(Debug, Default)]
pub struct Record {
    /// Who asked: public ids only.
    pub actor: Option<String>,
    /// The SCIM id of the person concerned.
    pub target: Option<String>,
    /// What happened besides: "linked", "dropped displayName".
    pub notes: Vec<String>,
    /// What the operator should know of a failure.
    pub cause: Option<String>,
}

/// Makes request ids: a secret of this process and a count, hashed, since asking the system for each costs a call of it.
pub struct RequestIds {
    secret: [u8; 32],
    count: AtomicU64,
}

impl RequestIds {
    /// Ids that nobody else can foretell.
    pub fn new(random: &Random) -> Self {
        Self { secret: random.bytes(), count: AtomicU64::new(0) }
    }

    /// A UUID of version 7 (RFC 9562): sorts by time, and cannot be guessed.
    pub fn next(&self, now: Timestamp) -> String {
        let mut seed = [0; 40];
        seed[..32].copy_from_slice(&self.secret);
        seed[32..].copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Digest::of(&seed).as_slice()[..16]);
        bytes[..6].copy_from_slice(&now.millis().to_be_bytes()[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for nibble in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }
}

impl Record {
    /// Notes something about attributes, by their paths.
    pub fn note_paths<'p>(&mut self, what: &str, paths: impl IntoIterator<Item = &'p str>) {
        let paths: Vec<_> = paths.into_iter().map(told).collect();
        if !paths.is_empty() {
            self.notes.push(format!("{what} {}", paths.join(", ")));
        }
    }
}

/// As much of a path as may be told: clients write it, and in a filter or in place of a name it may hold somebody's data. An
/// entry's type is told if it is a plain word.
fn told(path: &str) -> &str {
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_$:.".contains(&byte));
    let (name, rest) = path.find('[').map_or((path, ""), |at| path.split_at(at));
    if !word(name.trim_end_matches('…')) {
        return "(no name)";
    }
    let typed = rest.strip_prefix("[type eq \"").and_then(|rest| rest.split_once("\"]"));
    if typed.is_some_and(|(kind, sub)| word(kind) && word(sub)) { path } else { name }
}

/// What is fixed about a request before it is handled.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The id in the answer, the log line and the audit record.
    pub request_id: String,
    /// The tenant, if the path names one.
    pub tenant: Option<String>,
    /// The bounded name of the route.
    pub route: &'static str,
    /// The method.
    pub method: Method,
    /// When it came in.
    pub at: Timestamp,
}

/// Writes the log line.
pub fn log(heading: &Heading, record: &Record, status: StatusCode, took: Duration) {
    let Heading { request_id, tenant, route, method, .. } = heading;
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let (tenant, actor, target) = (tenant.as_deref(), record.actor.as_deref(), record.target.as_deref());
    let notes = (!record.notes.is_empty()).then(|| record.notes.join("; "));
    let notes = notes.as_deref();
    let status = status.as_u16();
    if let Some(cause) = record.cause.as_deref() {
        tracing::warn!(request_id, tenant, route, %method, status, duration_us, actor, target, notes, cause, "request");
    } else {
        tracing::info!(request_id, tenant, route, %method, status, duration_us, actor, target, notes, "request");
    }
}

/// The audit record of a request to a tenant.
pub fn audit(heading: Heading, record: Record, status: StatusCode, took: Duration) -> AuditRecord {
    AuditRecord {
        at: heading.at,
        request_id: heading.request_id,
        tenant: heading.tenant,
        actor: record.actor,
        operation: format!("{}.{}", heading.route, heading.method.as_str().to_ascii_lowercase()),
        target: record.target,
        status: status.as_u16(),
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        notes: record.notes,
    }
}

/// What counts one combination of route and status.
type Handles = (Counter, Histogram);

/// The request metrics of one tenant. Handles are made once for each combination, which are few: names of routes and statuses.
pub struct RequestMetrics {
    tenant: String,
    handles: RwLock<HashMap<(&'static str, u16), Handles>>,
}

impl RequestMetrics {
    /// For `tenant`; the empty name stands for requests outside any tenant.
    pub fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), handles: RwLock::default() }
    }

    /// Counts one answered request.
    pub fn count(&self, route: &'static str, status: StatusCode, took: Duration) {
        let key = (route, status.as_u16());
        if let Some((counter, histogram)) = self.handles.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            counter.increment(1);
            histogram.record(took.as_secs_f64());
            return;
        }
        let counter = metrics::counter!("portcullis_requests_total",
            "tenant" => self.tenant.clone(), "route" => route, "status" => status.as_u16().to_string());
        let histogram = metrics::histogram!("portcullis_request_duration_seconds",
            "tenant" => self.tenant.clone(), "route" => route);
        counter.increment(1);
        histogram.record(took.as_secs_f64());
        self.handles.write().unwrap_or_else(PoisonError::into_inner).insert(key, (counter, histogram));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids_that_sort_by_time() {
        let ids = RequestIds::new(&Random::seeded(1));
        let [first, second] = [1_763_790_000_000, 1_763_790_000_001].map(Timestamp::from_millis).map(|at| ids.next(at));
        assert_eq!((first.len(), &first[14..15]), (36, "7"));
        assert!(first < second);
    }

    #[test]
    fn of_a_path_only_names_and_types_are_told() {
        for (path, expected) in [
            ("displayName", "displayName"),
            ("name.givenName", "name.givenName"),
            (
                "urn:ietf:params:scim:schemas:extension:x:2.0:User:shoeSize",
                "urn:ietf:params:scim:schemas:extension:x:2.0:User:shoeSize",
            ),
            ("emails[type eq \"work\"].value", "emails[type eq \"work\"].value"),
            ("emails[type eq \"work\"]", "emails[type eq \"work\"]"),
            ("emails[type eq \"ada@example.com\"].value", "emails"),
            ("emails[value eq \"Lovelace\"].display", "emails"),
            ("emails[type eq \"work\" and value eq \"Lovelace\"].display", "emails"),
            ("ada@example.com", "(no name)"),
            ("Ada Lovelace", "(no name)"),
            ("Ž", "(no name)"),
            ("averyveryverylongname…", "averyveryverylongname…"),
        ] {
            assert_eq!(told(path), expected);
        }
    }
}
