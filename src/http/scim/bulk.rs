//! Bulk requests (RFC 7644 §3.7): each operation goes the way that a request of its own would go, with the same rules, locks,
//! journal and audit record; the write budget has been asked for all of them before the first.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::shown::location;
use super::{Surface, perform_one, respond};
use crate::http::error::Refusal;
use crate::http::message::{Request, Response};
use crate::http::record::{self, Heading, Record};
use crate::http::route::ScimRoute;
use crate::limit::Group;
use crate::scim::ResourceType;
use crate::scim::bulk::{self, Bulk, BulkOperation, Ids, Limits, Operation, Outcome, Step, Target, hold_back, order};
use crate::scim::error::ScimError;
use crate::scim::schema::{MAX_OPERATIONS, MAX_PAYLOAD};

/// How much one bulk request may hold here: never more than is read, nor than the write budget could ever admit.
pub fn limits(surface: &Surface<'_>) -> Limits {
    let quota = surface.tenant.config.limits.as_ref().and_then(|policy| policy.quota(Group::Write));
    Limits {
        operations: quota.map_or(MAX_OPERATIONS, |quota| MAX_OPERATIONS.min(u64::from(quota.requests.get()))),
        payload: MAX_PAYLOAD.min(surface.body_limit as u64),
    }
}

/// How many requests of the write budget this one is.
pub fn cost(surface: &Surface<'_>, request: &Request) -> u32 {
    let count = Bulk::parse(&request.body, &limits(surface)).map_or(1, |bulk| bulk.operations.len());
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Carries out the operations and tells what became of each.
pub async fn carry_out(surface: &Surface<'_>, request: &Request, record: &mut Record) -> Result<Response, Refusal> {
    let bulk = Bulk::parse(&request.body, &limits(surface))?;
    let steps = order(&bulk);
    let mut work = Work {
        surface,
        request,
        ids: Ids::default(),
        held_back: HashMap::new(),
        outcomes: bulk.operations.iter().map(|_| None).collect(),
    };
    let mut errors = 0;
    for step in steps {
        // What was begun is ended all the same.
        if bulk.fail_on_errors.is_some_and(|most| errors >= most) && !matches!(step, Step::Complete(_)) {
            continue;
        }
        let failed = match step {
            Step::Whole(index) => work.whole(index, &bulk.operations[index]).await,
            Step::Begin(index) => work.begin(index, &bulk.operations[index]).await,
            Step::Complete(index) => work.complete(index).await,
        };
        errors += u64::from(failed);
    }
    let done = work.outcomes.iter().flatten().count();
    record.notes.push(format!("{done} of {} operations, {errors} failed", bulk.operations.len()));
    Ok(respond(StatusCode::OK, &bulk::response(work.outcomes.into_iter().flatten().collect())))
}

/// A bulk request under way.
struct Work<'a> {
    surface: &'a Surface<'a>,
    request: &'a Request,
    /// What the resources created so far are called.
    ids: Ids,
    /// What still has to be added to a resource that was created without it.
    held_back: HashMap<usize, Value>,
    outcomes: Vec<Option<Outcome>>,
}

impl Work<'_> {
    /// Carries an operation out; whether it failed.
    async fn whole(&mut self, index: usize, operation: &Operation) -> bool {
        let outcome = match operation {
            Operation::Malformed { method, bulk_id, error } => undone(*method, bulk_id.clone(), None, error),
            Operation::Sound(operation) => {
                let mut operation = operation.clone();
                match operation.resolve(&self.ids) {
                    Ok(()) => self.one(index, operation).await,
                    Err(error) => undone(Some(operation.method), operation.bulk_id, None, &error),
                }
            }
        };
        self.settle(index, outcome)
    }

    /// Creates a resource without what refers to others that are not there yet.
    async fn begin(&mut self, index: usize, operation: &Operation) -> bool {
        let Operation::Sound(operation) = operation else { return self.whole(index, operation).await };
        let mut operation = operation.clone();
        if let Some(rest) = hold_back(&mut operation.data, &self.ids) {
            self.held_back.insert(index, rest);
        }
        self.whole(index, &Operation::Sound(operation)).await
    }

    /// Adds what was held back.
    async fn complete(&mut self, index: usize) -> bool {
        let Some(mut data) = self.held_back.remove(&index) else { return false };
        let Some(begun) = self.outcomes[index].take() else { return false };
        let created = begun.bulk_id.as_ref().and_then(|name| self.ids.get(name)).filter(|_| begun.status < 300);
        let (Some(_), Some(path)) = (created, begun.location.clone()) else {
            self.outcomes[index] = Some(begun);
            return false;
        };
        let outcome = match bulk::resolve(&mut data, &self.ids) {
            Ok(()) => {
                let patch = BulkOperation { method: bulk::Method::Patch, path, bulk_id: None, version: None, data };
                self.one(index, patch).await
            }
            Err(error) => undone(Some(bulk::Method::Patch), None, None, &error),
        };
        // To the client it is one operation: created, or why what it refers to could not be added.
        let failed = outcome.status >= 300;
        self.outcomes[index] = Some(if failed {
            Outcome { status: outcome.status, response: outcome.response, ..begun }
        } else {
            Outcome { version: outcome.version.or(begun.version.clone()), ..begun }
        });
        failed
    }

    fn settle(&mut self, index: usize, outcome: Outcome) -> bool {
        let failed = outcome.status >= 300;
        self.outcomes[index] = Some(outcome);
        failed
    }

    /// One operation as a request of its own.
    async fn one(&mut self, index: usize, operation: BulkOperation) -> Outcome {
        let (method, bulk_id) = (operation.method, operation.bulk_id.clone());
        let Target { kind, id } = match operation.target() {
            Ok(target) => target,
            Err(error) => return undone(Some(method), bulk_id, None, &error),
        };
        let base = self.surface.base();
        let place = id.as_deref().map(|id| location(base, kind, id));
        let (route, request) = match self.request_of(operation, kind, id) {
            Ok(pair) => pair,
            Err(error) => return undone(Some(method), bulk_id, place, &error),
        };
        let clock = self.surface.store.clock();
        let started = clock.monotonic();
        let heading = Heading {
            request_id: request.request_id.clone(),
            tenant: Some(self.surface.tenant.config.name.clone()),
            route: route.label(),
            method: request.method.clone(),
            at: clock.now(),
        };
        let mut record = Record::default();
        record.notes.push(format!("operation {} of a bulk request", index + 1));
        let outcome = perform_one(self.surface, &route, &request, &mut record).await;
        let response = outcome.unwrap_or_else(|refusal| {
            super::refused(&self.surface.tenant.config.dialect, refusal, &request.request_id, &mut record)
        });
        if let (Some(name), Some(id), true) = (&bulk_id, &record.target, response.status().is_success()) {
            self.ids.insert(name.clone(), id.clone());
        }
        let took = clock.monotonic().saturating_sub(started);
        record::log(&heading, &record, response.status(), took);
        self.surface.store.audit(record::audit(heading, record, response.status(), took));
        told(method, bulk_id, place, response).await
    }

    fn request_of(
        &self,
        operation: BulkOperation,
        kind: ResourceType,
        id: Option<String>,
    ) -> Result<(ScimRoute, Request), ScimError> {
        let route = match (kind, id) {
            (ResourceType::User, None) => ScimRoute::Users,
            (ResourceType::User, Some(id)) => ScimRoute::User(id),
            (ResourceType::Group, None) => ScimRoute::Groups,
            (ResourceType::Group, Some(id)) => ScimRoute::Group(id),
        };
        let mut headers = HeaderMap::new();
        if let Some(version) = &operation.version {
            let version = HeaderValue::from_str(version)
                .map_err(|_| ScimError::invalid_value("version: is no entity tag; send it as it was read"))?;
            headers.insert(header::IF_MATCH, version);
        }
        let body = if operation.data.is_null() { Bytes::new() } else { operation.data.to_string().into() };
        let request = Request {
            method: match operation.method {
                bulk::Method::Post => Method::POST,
                bulk::Method::Put => Method::PUT,
                bulk::Method::Patch => Method::PATCH,
                bulk::Method::Delete => Method::DELETE,
            },
            path: operation.path,
            query: None,
            headers,
            body,
            peer: self.request.peer,
            request_id: self.request.request_id.clone(),
        };
        Ok((route, request))
    }
}

/// An answer as a bulk response tells it: errors with their body, successes without.
async fn told(method: bulk::Method, bulk_id: Option<String>, place: Option<String>, response: Response) -> Outcome {
    let (head, body) = response.into_parts();
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(String::from);
    let response = if head.status.is_success() {
        None
    } else {
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        serde_json::from_slice(&body).ok()
    };
    Outcome {
        method: Some(method),
        bulk_id,
        location: text(header::LOCATION).or(place),
        version: text(header::ETAG),
        status: head.status.as_u16(),
        response,
    }
}

fn undone(method: Option<bulk::Method>, bulk_id: Option<String>, place: Option<String>, error: &ScimError) -> Outcome {
    Outcome {
        method,
        bulk_id,
        location: place,
        version: None,
        status: error.status,
        response: serde_json::from_str(&error.body(None)).ok(),
    }
}
