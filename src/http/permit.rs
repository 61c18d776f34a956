//! The limiter's yes, as a value: a SCIM handler takes a [`Permit`], and only this module can make one, so a route that skips
//! the limit does not compile. The headers of the answer come from the decision itself, never from a second calculation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::authenticate::Caller;
use crate::limit::{Decision, Group, Limiter, Policy};

const GROUP: HeaderName = HeaderName::from_static("x-rate-limit-group");
const LIMIT: HeaderName = HeaderName::from_static("x-rate-limit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
const WINDOW: HeaderName = HeaderName::from_static("x-rate-limit-window");

/// Leave to do one request of one group.
#[derive(Debug)]
pub struct Permit(Option<Decision>);

/// A refusal by the limit.
#[derive(Debug)]
pub struct Limited {
    decision: Decision,
    code: Option<String>,
}

/// What the metrics of a tenant's limits are kept in: handles made once, not looked up a request.
pub struct LimitMetrics {
    limited: [metrics::Counter; 2],
    remaining: [metrics::Gauge; 2],
    warned: [AtomicBool; 2],
}

impl LimitMetrics {
    /// The handles for `tenant`.
    pub fn new(tenant: &str) -> Self {
        let counter = |group: Group| metrics::counter!("portcullis_rate_limited_total", "tenant" => tenant.to_owned(), "group" => group.as_str());
        let gauge = |group: Group| metrics::gauge!("portcullis_rate_limit_remaining", "tenant" => tenant.to_owned(), "group" => group.as_str());
        Self {
            limited: [counter(Group::Read), counter(Group::Write)],
            remaining: [gauge(Group::Read), gauge(Group::Write)],
            warned: [AtomicBool::new(false), AtomicBool::new(false)],
        }
    }
}

impl Permit {
    /// Asks the tenant's limiter for `count` requests, all or none. Without limits everything passes and no headers are sent.
    ///
    /// # Errors
    /// Over the limit, unless the policy only watches (`shadow`).
    pub fn ask(
        limiter: &Limiter,
        policy: Option<&Policy>,
        metrics: &LimitMetrics,
        caller: &Caller,
        (count, group): (u32, Group),
        now: Duration,
        code: Option<&str>,
    ) -> Result<Self, Limited> {
        let Some((policy, quota)) = policy.and_then(|policy| Some((policy, policy.quota(group)?))) else {
            return Ok(Self(None));
        };
        let decision = limiter.admit_many(count, caller.budget_key(), now, group, quota, policy.penalty);
        metrics.remaining[group as usize].set(f64::from(decision.remaining));
        if decision.admitted {
            metrics.warned[group as usize].store(false, Ordering::Relaxed);
            return Ok(Self(Some(decision)));
        }
        metrics.limited[group as usize].increment(1);
        if decision.penalty_started && !metrics.warned[group as usize].swap(true, Ordering::Relaxed) {
            tracing::warn!(
                actor = caller.actor(),
                group = group.as_str(),
                limit = quota.requests.get(),
                window_s = quota.window.as_secs(),
                shadow = policy.shadow,
                "limit reached"
            );
        }
        if policy.shadow { Ok(Self(Some(decision))) } else { Err(Limited { decision, code: code.map(str::to_owned) }) }
    }

    /// The limit headers of the answer.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Some(decision) = &self.0 {
            write(decision, headers);
        }
    }
}

impl Limited {
    /// After this span a lone client is admitted.
    pub fn retry_after(&self) -> Duration {
        self.decision.retry_after
    }

    /// What the identity provider's administrator reads.
    pub fn detail(&self) -> String {
        let Decision { group, quota, .. } = &self.decision;
        let code = self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        format!(
            "Request rate exceeded{code}: {} {} requests are allowed in {} seconds; wait {} seconds",
            quota.requests,
            group.as_str(),
            quota.window.as_secs(),
            super::error::whole_seconds(self.decision.retry_after),
        )
    }

    /// The limit headers of the answer.
    pub fn write(&self, headers: &mut HeaderMap) {
        write(&self.decision, headers);
    }
}

fn write(decision: &Decision, headers: &mut HeaderMap) {
    headers.insert(GROUP, HeaderValue::from_static(decision.group.as_str()));
    headers.insert(LIMIT, decision.quota.requests.get().into());
    headers.insert(REMAINING, decision.remaining.into());
    headers.insert(WINDOW, decision.quota.window.as_secs().into());
}
