//! What came of a rehearsal: checks with their outcome, and every request an identity provider would trip over.
//!
//! Like findings are counted, not repeated, so that ten thousand people leave a report of a page. Two forms: text grouped
//! by step for people, one JSON document for machines.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{Answer, Silence, Tally};

/// How many different findings one check keeps; more are only counted.
const FINDINGS_PER_CHECK: usize = 8;
/// How many left-behind people are named.
const LEFT_NAMED: usize = 20;

macro_rules! checks {
    ($($name:ident $step:literal $id:literal $title:literal $severity:ident;)*) => {
        /// Everything that is checked, in the order of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Check { $(#[doc = $title] $name,)* }
        impl Check {
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            const fn step(self) -> &'static str { match self { $(Self::$name => $step,)* } }
            /// The name scripts hold on to.
            pub const fn id(self) -> &'static str { match self { $(Self::$name => $id,)* } }
            const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
            const fn severity(self) -> Severity { match self { $(Self::$name => Severity::$severity,)* } }
        }
    };
}

/// Whether an identity provider stumbles over it, or only a careful reader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Required,
    Advisory,
}

checks! {
    SignIn "Authorize" "authorize.sign_in" "the authorize address leads to a sign-in page that lets the administrator in" Required;
    Consent "Authorize" "authorize.consent" "consenting leads back to the redirect URI with a code" Required;
    State "Authorize" "authorize.state" "state comes back byte for byte" Required;
    Issuer "Authorize" "authorize.iss" "the answer names its issuer (RFC 9207)" Advisory;
    Token "Authorize" "token.issue" "the token endpoint gives an access token" Required;
    Expiry "Authorize" "token.expires_in" "tokens come with a lifetime of at least an hour" Advisory;
    NoStore "Authorize" "token.no_store" "token answers forbid caching" Advisory;
    Refresh "Authorize" "token.refresh" "the refresh token gives a new access token" Required;
    UsersProbe "Test Connection" "connection.users" "an unknown user is 200 and an empty list" Required;
    GroupsProbe "Test Connection" "connection.groups" "an unknown group is 200 and an empty list" Required;
    WrongToken "Test Connection" "connection.wrong_token" "a wrong token is refused with 401" Required;
    Challenge "Test Connection" "connection.challenge" "the refusal says WWW-Authenticate: Bearer (RFC 6750)" Advisory;
    ProviderConfig "Discovery" "discovery.service_provider_config" "/ServiceProviderConfig tells what is supported" Advisory;
    Schemas "Discovery" "discovery.schemas" "/Schemas lists the attributes to map" Advisory;
    ResourceTypes "Discovery" "discovery.resource_types" "/ResourceTypes lists User" Advisory;
    Match "Initial cycle" "cycle.match" "the match query before the create finds nobody or one" Required;
    Create "Initial cycle" "cycle.create" "POST gives 201 with an id" Required;
    Location "Initial cycle" "cycle.location" "the answer to POST has Location and meta.location" Advisory;
    Echo "Initial cycle" "cycle.echo" "the answer to POST shows the values as sent" Required;
    Update "Initial cycle" "cycle.update" "somebody already there is updated" Required;
    FindAgain "Initial cycle" "cycle.find" "the new user is found by user name, once" Required;
    FindOtherCase "Initial cycle" "cycle.find_other_case" "also in other letter case" Required;
    Duplicate "Initial cycle" "cycle.duplicate" "creating the same user again is 409" Required;
    ChangeLegacy "Changes" "change.legacy" "changes in Entra's older PATCH form arrive" Required;
    ChangeCompliant "Changes" "change.compliant" "changes in Entra's compliant PATCH form arrive" Required;
    Clear "Changes" "change.clear" "an attribute can be cleared with empty text and with null" Advisory;
    Kept "Changes" "change.kept" "optional attributes are kept, not dropped" Advisory;
    Paging "Paging" "paging.walk" "walking the list by pages finds everybody exactly once" Required;
    Projection "Paging" "paging.projection" "attributes and excludedAttributes are obeyed" Advisory;
    GroupCreate "Groups" "groups.create" "POST of a group without members gives 201 with an id" Required;
    GroupMatch "Groups" "groups.match" "the group is found by its name in any letter case, once" Required;
    MembersLegacy "Groups" "groups.members_legacy" "members come and go in Entra's older form: Add and Remove with a list" Required;
    MembersCompliant "Groups" "groups.members_compliant" "members come and go in Entra's compliant form: members[value eq …]" Required;
    MembersOkta "Groups" "groups.members_okta" "members change as Okta says it: with the name in one PATCH, and replaced as a whole" Required;
    MemberProbe "Groups" "groups.member_probe" "the query whether somebody is a member is answered" Required;
    GroupLean "Groups" "groups.without_members" "a group is read without its members" Advisory;
    GroupRename "Groups" "groups.rename" "a new name arrives" Required;
    GroupDelete "Groups" "groups.delete" "DELETE of a group gives 204, then it is 404" Required;
    DisableLegacy "Disable and restore" "disable.legacy" "PATCH active \"False\" disables" Required;
    DisableCompliant "Disable and restore" "disable.compliant" "PATCH active false disables" Required;
    DisabledReadable "Disable and restore" "disable.readable" "a disabled user is still read and found, with active false" Required;
    Restore "Disable and restore" "restore" "PATCH active true restores" Required;
    Delete "Delete" "delete" "DELETE gives 204" Required;
    DeletedGone "Delete" "delete.gone" "a deleted user is 404 and no longer found" Required;
    UnknownId "Errors" "errors.unknown_id" "an unknown id is 404" Required;
    BadFilter "Errors" "errors.bad_filter" "a malformed filter is 400" Advisory;
    BadBody "Errors" "errors.bad_body" "malformed JSON is 400" Advisory;
    ErrorForm "Errors" "errors.form" "errors have the SCIM form, status as text (RFC 7644 §3.12)" Advisory;
    MediaType "Throughout" "media_type" "every body is application/scim+json" Required;
    CleanUp "Throughout" "clean_up" "nobody is left behind" Required;
}

/// A request an identity provider trips over.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    request: String,
    status: Option<u16>,
    request_id: Option<String>,
    why: String,
    then: &'static str,
    unreachable: bool,
}

impl Trip {
    /// An answer that is not what it should be; `then` is what the identity provider does about it.
    pub fn over(answer: &Answer, why: impl Into<String>, then: &'static str) -> Self {
        let request_id = answer.header("x-request-id").map(Into::into);
        Self { request_id, ..Self::at(answer.line.clone(), Some(answer.status), why, then) }
    }

    /// A request that got no answer.
    pub fn silence(request: impl Into<String>, silence: &Silence) -> Self {
        let then = "takes it for a passing fault, keeps the object back and tries again after half an hour or more; \
                    when the first probe fails like this the whole job goes to quarantine";
        let unreachable = matches!(silence, Silence::Unreachable(_));
        Self { unreachable, ..Self::at(request, None, silence.to_string(), then) }
    }

    /// Something found outside one SCIM answer, as in the authorize conversation.
    pub fn at(request: impl Into<String>, status: Option<u16>, why: impl Into<String>, then: &'static str) -> Self {
        Self { request: request.into(), status, request_id: None, why: why.into(), then, unreachable: false }
    }

    /// Whether there was not even a connection.
    pub const fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// What is wrong, without the request.
    pub fn why(&self) -> &str {
        &self.why
    }

    fn like(&self, other: &Self) -> bool {
        self.status == other.status && self.why == other.why && self.then == other.then
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{}  ->  {status}", self.request),
            None => write!(f, "{}  ->  no answer", self.request),
        }
    }
}

#[derive(Default)]
struct Score {
    passed: u64,
    tripped: u64,
    skipped: Option<String>,
    findings: Vec<(Trip, u64)>,
    unlisted: u64,
}

/// The growing report; shared by everything that runs at once.
#[derive(Default)]
pub(super) struct Report(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    scores: BTreeMap<Check, Score>,
    left: Vec<String>,
    left_count: u64,
    interrupted: bool,
}

impl Report {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one outcome of a check; gives whether it passed.
    pub fn note(&self, check: Check, outcome: Result<(), Trip>) -> bool {
        self.with(|inner| {
            let score = inner.scores.entry(check).or_default();
            let Err(trip) = outcome else {
                score.passed += 1;
                return true;
            };
            score.tripped += 1;
            if let Some((_, times)) = score.findings.iter_mut().find(|(known, _)| known.like(&trip)) {
                *times += 1;
            } else if score.findings.len() < FINDINGS_PER_CHECK {
                score.findings.push((trip, 1));
            } else {
                score.unlisted += 1;
            }
            false
        })
    }

    /// Says why a check was not made.
    pub fn skip(&self, check: Check, why: impl Into<String>) {
        self.with(|inner| inner.scores.entry(check).or_default().skipped = Some(why.into()));
    }

    /// Names somebody who could not be removed.
    pub fn left_behind(&self, who: impl Into<String>) {
        self.with(|inner| {
            inner.left_count += 1;
            if inner.left.len() < LEFT_NAMED {
                inner.left.push(who.into());
            }
        });
    }

    /// The run was cut short by a signal: what is reported is not the whole.
    pub fn interrupted(&self) {
        self.with(|inner| inner.interrupted = true);
    }

    /// Whether nothing required went wrong.
    pub fn passed(&self) -> bool {
        self.with(|inner| {
            !inner.interrupted
                && inner
                    .scores
                    .iter()
                    .all(|(check, score)| score.tripped == 0 || check.severity() == Severity::Advisory)
        })
    }

    /// The number of times a check was passed and tripped over.
    #[cfg(test)]
    pub fn count(&self, check: Check) -> (u64, u64) {
        self.with(|inner| inner.scores.get(&check).map_or((0, 0), |score| (score.passed, score.tripped)))
    }

    /// The report as text, wide as a terminal's usual hundred columns or so.
    pub fn text(&self, run: &RunFacts, tally: &Tally) -> String {
        let passed = self.passed();
        self.with(|inner| {
            let mut out = String::new();
            // Writing to a String cannot fail; the results are dropped on purpose.
            let _ = writeln!(
                out,
                "Rehearsed as Microsoft Entra ID: {} people against {}, seed {}",
                run.people, run.endpoint, run.seed
            );
            let mut step = "";
            for check in Check::ALL {
                let Some(score) = inner.scores.get(check) else { continue };
                if check.step() != step {
                    step = check.step();
                    let _ = writeln!(out, "\n{step}");
                }
                let times = if score.passed + score.tripped > 1 {
                    format!("  ({} of {})", score.passed, score.passed + score.tripped)
                } else {
                    String::new()
                };
                let _ = match (&score.skipped, score.verdict(*check)) {
                    (Some(why), "skipped") => writeln!(out, "  skipped  {}: {why}", check.title()),
                    (_, verdict) => writeln!(out, "  {verdict:<7}  {}{times}", check.title()),
                };
            }
            for (severity, heading) in [
                (Severity::Required, "What an identity provider would trip over"),
                (Severity::Advisory, "What to look at (nothing stops because of it)"),
            ] {
                list_findings(&mut out, inner, severity, heading);
            }
            let _ = writeln!(
                out,
                "\n{} requests in {:.1} s; half within {}, 99 % within {}, slowest {}; {} over {} ms",
                tally.requests(),
                run.took.as_secs_f64(),
                millis(tally.percentile(50)),
                millis(tally.percentile(99)),
                millis(tally.slowest),
                tally.slow,
                super::wire::SLOW.as_millis(),
            );
            if let Some(refused) = tally.statuses.get(&429) {
                let _ = writeln!(
                    out,
                    "429 was answered {refused} times; waited {:.0} s in all",
                    tally.waited.as_secs_f64()
                );
            }
            for (group, limit) in &run.limits {
                let _ = writeln!(
                    out,
                    "Limit {group}: {} in {} s, at its fullest {} left",
                    limit.requests, limit.window, limit.lowest
                );
            }
            if inner.left_count > 0 {
                let _ = writeln!(out, "\nLeft behind ({}), please remove by hand:", inner.left_count);
                for who in &inner.left {
                    let _ = writeln!(out, "  {who}");
                }
            } else if run.kept {
                let _ = writeln!(out, "\nThe people were left there, as --keep asks.");
            }
            let closing = match (inner.interrupted, passed) {
                (true, _) => "INTERRUPTED: the run was cut short",
                (_, true) => "PASSED",
                (_, false) => "FAILED",
            };
            let _ = writeln!(out, "\n{closing}");
            out
        })
    }

    /// The report as one JSON document.
    pub fn json(&self, run: &RunFacts, tally: &Tally) -> Value {
        let passed = self.passed();
        self.with(|inner| {
            let checks: Vec<Value> = inner
                .scores
                .iter()
                .map(|(check, score)| {
                    json!({"id": check.id(), "step": check.step(), "title": check.title(), "outcome": score.verdict(*check),
                           "passed": score.passed, "tripped": score.tripped, "skipped": score.skipped,
                           "required": check.severity() == Severity::Required})
                })
                .collect();
            let findings: Vec<Value> = inner
                .scores
                .iter()
                .flat_map(|(check, score)| score.findings.iter().map(move |found| (check, found)))
                .map(|(check, (trip, times))| {
                    json!({"check": check.id(), "required": check.severity() == Severity::Required,
                           "request": trip.request, "status": trip.status, "request_id": trip.request_id,
                           "why": trip.why, "then": trip.then, "times": times})
                })
                .collect();
            let limits: serde_json::Map<String, Value> = run
                .limits
                .iter()
                .map(|(group, limit)| {
                    (group.clone(), json!({"limit": limit.requests, "window": limit.window, "lowest_remaining": limit.lowest}))
                })
                .collect();
            json!({
                "endpoint": run.endpoint, "people": run.people, "seed": run.seed,
                "passed": passed, "interrupted": inner.interrupted,
                "checks": checks, "findings": findings,
                "requests": {"total": tally.requests(), "unanswered": tally.silent,
                    "statuses": tally.statuses.iter().map(|(status, count)| (status.to_string(), json!(count)))
                        .collect::<serde_json::Map<_, _>>(),
                    "slow": tally.slow, "rate_limited": tally.statuses.get(&429).copied().unwrap_or(0),
                    "waited_ms": whole_millis(tally.waited)},
                "latency_ms": {"p50": exact_millis(tally.percentile(50)), "p99": exact_millis(tally.percentile(99)),
                    "max": exact_millis(tally.slowest)},
                "limits": limits, "duration_ms": whole_millis(run.took),
                "kept": run.kept, "left_behind": {"count": inner.left_count, "users": inner.left},
            })
        })
    }
}

impl Score {
    fn verdict(&self, check: Check) -> &'static str {
        match (self.tripped, check.severity()) {
            (0, _) if self.passed == 0 => "skipped",
            (0, _) => "passed",
            (_, Severity::Required) => "FAILED",
            (_, Severity::Advisory) => "warning",
        }
    }
}

fn list_findings(out: &mut String, inner: &Inner, severity: Severity, heading: &str) {
    let mut number = 0;
    for (check, score) in inner.scores.iter().filter(|(check, score)| check.severity() == severity && score.tripped > 0)
    {
        if number == 0 {
            let _ = writeln!(out, "\n{heading}");
        }
        for (trip, times) in &score.findings {
            number += 1;
            let times = if *times > 1 { format!("  ({times} times)") } else { String::new() };
            let _ = writeln!(out, "  {number}. {trip}{times}");
            let _ = writeln!(out, "     wanted: {}", check.title());
            let _ = writeln!(out, "     found:  {}", trip.why);
            if !trip.then.is_empty() {
                let _ = writeln!(out, "     Entra:  {}", trip.then);
            }
            if let Some(id) = &trip.request_id {
                let _ = writeln!(out, "     request id: {id}");
            }
        }
        if score.unlisted > 0 {
            let _ = writeln!(out, "     and {} more of this check", score.unlisted);
        }
    }
}

/// What the report says about the run as a whole.
pub(super) struct RunFacts {
    pub endpoint: String,
    pub people: usize,
    pub seed: u64,
    pub took: Duration,
    pub kept: bool,
    pub limits: BTreeMap<String, Limit>,
}

/// A rate limit as its headers told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub requests: u64,
    pub window: u64,
    /// The lowest `Remaining` seen.
    pub lowest: u64,
}

fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1000.0)
}

fn exact_millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> RunFacts {
        let took = Duration::from_secs(1);
        RunFacts { endpoint: "http://x/scim".into(), people: 2, seed: 7, took, kept: false, limits: BTreeMap::new() }
    }

    #[test]
    fn like_findings_are_counted_once_and_decide_the_outcome() {
        let report = Report::default();
        assert!(report.note(Check::UsersProbe, Ok(())));
        for index in 0..3 {
            let trip = Trip::at(format!("POST /Users {index}"), Some(500), "wanted 201", "keeps it for later");
            assert!(!report.note(Check::Create, Err(trip)));
        }
        assert!(!report.passed());
        let text = report.text(&facts(), &Tally::default());
        assert!(text.contains("1. POST /Users 0  ->  500  (3 times)"), "{text}");
        assert!(text.contains("FAILED   POST gives 201 with an id  (0 of 3)"), "{text}");
        let json = report.json(&facts(), &Tally::default());
        assert_eq!(json["findings"][0]["times"], 3);
        assert_eq!(json["checks"][0]["outcome"], "passed");
        assert_eq!(json["passed"], false);
    }

    #[test]
    fn advice_does_not_fail_a_run_and_different_findings_are_bounded() {
        let report = Report::default();
        for index in 0..100 {
            report.note(Check::Schemas, Err(Trip::at("GET /Schemas", Some(404), format!("{index}"), "")));
        }
        assert!(report.passed());
        assert_eq!(report.json(&facts(), &Tally::default())["findings"].as_array().unwrap().len(), FINDINGS_PER_CHECK);
        assert!(report.text(&facts(), &Tally::default()).contains("and 92 more"));
    }
}
