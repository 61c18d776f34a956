//! `portcullis rehearse`: plays Microsoft Entra ID from a terminal against any SCIM 2.0 and OAuth endpoint, this gateway's or
//! a stranger's, and says which requests an identity provider would trip over.
//!
//! It is a client of the outside: everything it knows of a server it learns over the wire (RFC 6749, RFC 7636, RFC 7644), so
//! it must not use the gateway's own parts. Whoever it creates it removes, also after a failure or an interruption.

mod arguments;
mod attribute;
mod authorize;
mod cycle;
mod endpoint;
mod form;
mod people;
mod probes;
mod report;
mod token;
mod wire;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

pub use arguments::{Arguments, ClientAuth, Flavour, Names};
use arguments::{Door, Plan};
use cycle::Cycle;
use endpoint::Endpoint;
use people::{Cast, Mapping};
use report::{Check, Report, RunFacts, Trip};
use token::Access;
use wire::Wire;

use crate::types::{Clock, Random};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 69;

/// Runs the rehearsal, prints its report on stdout and gives the exit code: 0 all passed, 1 something failed, 2 wrong
/// usage, 69 the endpoint cannot be reached.
pub async fn run(arguments: Arguments, clock: Clock, random: Random) -> ExitCode {
    let plan = match arguments.plan(&random) {
        Ok(plan) => plan,
        Err(error) => return complain(&error.to_string(), USAGE),
    };
    let wire = match Wire::new(plan.ca_file.as_deref(), plan.concurrency, plan.timeout, clock.clone()) {
        Ok(wire) => wire,
        Err(error) => return complain(&error.to_string(), USAGE),
    };
    let progress = progress_bar(&plan);
    let start = clock.monotonic();
    let stop = CancellationToken::new();
    let report = Report::default();
    let rehearsal = rehearse(&plan, &wire, &report, &clock, &random, &stop, &progress);
    let outcome = until_done_or_interrupted(rehearsal, &stop, &report).await;
    progress.finish_and_clear();
    let limits = match outcome {
        Ok(limits) => limits,
        Err(unreachable) => {
            return complain(&format!("{unreachable} cannot be reached: {}", unreachable.why()), UNREACHABLE);
        }
    };
    let facts = RunFacts {
        endpoint: plan.scim_base,
        people: plan.people,
        seed: plan.seed,
        took: clock.monotonic().saturating_sub(start),
        kept: plan.keep,
        limits,
    };
    let tally = wire.tally();
    let text = if plan.json { format!("{}\n", report.json(&facts, &tally)) } else { report.text(&facts, &tally) };
    // A closed pipe is the reader's choice and changes nothing about the outcome.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "portcullis rehearse: {text}");
    ExitCode::from(code)
}

/// The first interruption ends the run early and lets it clean up; the second ends it as it is.
async fn until_done_or_interrupted<T>(
    rehearsal: impl Future<Output = Result<T, Trip>>,
    stop: &CancellationToken,
    report: &Report,
) -> Result<T, Trip>
where
    T: Default,
{
    tokio::pin!(rehearsal);
    tokio::select! {
        outcome = &mut rehearsal => return outcome,
        () = interruption() => {}
    }
    report.interrupted();
    stop.cancel();
    let _ = writeln!(std::io::stderr().lock(), "interrupted: removing the people of this run (again to leave them)");
    tokio::select! {
        outcome = &mut rehearsal => outcome,
        () = interruption() => {
            report.left_behind("whoever this run had not yet removed: run again with the same --seed to remove them");
            Ok(T::default())
        }
    }
}

/// Waits for Ctrl-C or SIGTERM; for ever if the system offers no signals.
async fn interruption() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}

/// The steps in their order. Gives the limits seen; an error means that nothing could be reached at all.
async fn rehearse(
    plan: &Plan,
    wire: &Wire,
    report: &Report,
    clock: &Clock,
    random: &Random,
    stop: &CancellationToken,
    progress: &ProgressBar,
) -> Result<std::collections::BTreeMap<String, report::Limit>, Trip> {
    progress.set_message("authorize");
    let nothing = || Ok(std::collections::BTreeMap::new());
    let (access, by_code) = match &plan.door {
        Door::Token(token) => (Access::given(wire, report, clock.clone(), token.clone()), false),
        Door::ClientCredentials(client) => {
            match Access::fetch(wire, report, clock.clone(), client.clone(), None).await {
                Ok(access) => (access, false),
                Err(trip) if trip.is_unreachable() => return Err(trip),
                Err(trip) => {
                    report.note(Check::Token, Err(trip));
                    return nothing();
                }
            }
        }
        Door::Authorize(client, authorization) => {
            let grant = match authorize::converse(wire, report, random, client, authorization).await {
                Ok(grant) => grant,
                Err((_, trip)) if trip.is_unreachable() => return Err(trip),
                Err((check, trip)) => {
                    report.note(check, Err(trip));
                    return nothing();
                }
            };
            match Access::fetch(wire, report, clock.clone(), client.clone(), Some(grant)).await {
                Ok(access) => (access, true),
                Err(trip) if trip.is_unreachable() => return Err(trip),
                Err(trip) => {
                    report.note(Check::Token, Err(trip));
                    return nothing();
                }
            }
        }
    };
    let refreshed = by_code && access.refreshable().await;
    let endpoint = Endpoint::new(wire, report, access, clock.clone(), &plan.scim_base, stop.clone());
    if refreshed {
        // A failure is in the report already, and the first token may still do.
        let _ = endpoint.access.renew().await;
    }
    progress.set_message("test connection");
    if !probes::test_connection(&endpoint, random).await? {
        report.skip(Check::Create, "the credentials are refused");
        return Ok(endpoint.limits());
    }
    let announced = probes::discover(&endpoint).await;
    if !stop.is_cancelled() {
        probes::errors(&endpoint, random).await;
    }
    let mapping = announced.mapping.unwrap_or(Mapping::UNTOLD);
    let cast = Cast::new(plan.seed, &plan.prefix, &plan.domain, plan.wide, mapping);
    let cycle = Cycle::new(&endpoint, &cast, mapping, plan.flavours, plan.people, plan.concurrency, progress);
    let cycle = if announced.groups {
        cycle.with_team()
    } else {
        let why = "/ResourceTypes announces no groups";
        for check in cycle::team::CHECKS {
            report.skip(check, why);
        }
        cycle
    };
    cycle.live().await;
    if !plan.keep {
        cycle.delete().await;
        endpoint.start_cleaning();
        cycle.clean_up().await;
    }
    if stop.is_cancelled() {
        report.interrupted();
    }
    Ok(endpoint.limits())
}

/// A bar on stderr where somebody watches, otherwise nothing.
fn progress_bar(plan: &Plan) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let flavours = usize::from(plan.flavours.legacy) + usize::from(plan.flavours.compliant);
    // Create and delete, and for each flavour change, disable and restore.
    let phases = 1 + 3 * flavours + usize::from(!plan.keep);
    let bar = ProgressBar::new((plan.people * phases) as u64);
    match ProgressStyle::with_template("{msg:16} {wide_bar} {pos}/{len}  {elapsed}  left {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
