//! Log lines and metrics: how they are set up, and every metric's name and meaning in one table.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Seconds; the buckets of both histograms.
const BUCKETS: [f64; 13] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Sends log lines to stderr: JSON, or readable text on a terminal. `asked` is what `PORTCULLIS_LOG` says, `default` the level
/// where it says nothing.
pub fn start_log(default: &str, asked: Option<&str>) {
    let asked = asked.filter(|asked| !asked.is_empty());
    let filter = asked.map_or_else(|| EnvFilter::try_new(default), EnvFilter::try_new);
    let wrong = filter.as_ref().err().map(ToString::to_string);
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = if io::stderr().is_terminal() {
        lines.with_writer(io::stderr).try_init()
    } else {
        let gathered = Gathered::start();
        lines.json().flatten_event(true).with_writer(move || gathered.clone()).try_init()
    };
    if let Some(reason) = wrong {
        tracing::warn!(reason, "PORTCULLIS_LOG is not understood; write error, warn, info, debug or trace");
    }
}

/// How long a line may wait for company.
const GATHER: Duration = Duration::from_millis(50);
/// How many bytes may wait; who logs more writes them out.
const HELD: usize = 64 * 1024;

/// Lines on their way to stderr. They are written together by a thread of their own, so that a request neither makes a system
/// call nor waits for a slow reader for each; [`flush_log`] writes what is left at the end.
#[derive(Clone)]
struct Gathered(Arc<(Mutex<Vec<u8>>, Condvar)>);

static GATHERED: Mutex<Option<Gathered>> = Mutex::new(None);

impl Gathered {
    fn start() -> Self {
        let gathered = Self(Arc::default());
        *GATHERED.lock().unwrap_or_else(PoisonError::into_inner) = Some(gathered.clone());
        let thread = gathered.clone();
        let spawned = std::thread::Builder::new().name("log".into()).spawn(move || {
            let (held, company) = &*thread.0;
            loop {
                let lines = held.lock().unwrap_or_else(PoisonError::into_inner);
                drop(company.wait_while(lines, |lines| lines.is_empty()).unwrap_or_else(PoisonError::into_inner));
                std::thread::sleep(GATHER);
                thread.write_out();
            }
        });
        if let Err(error) = spawned {
            eprintln!("log lines will be written late, when many have come together: {error}");
        }
        gathered
    }

    fn write_out(&self) {
        let lines = std::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        // A reader that went away has seen enough.
        let _ = io::stderr().write_all(&lines);
    }
}

impl io::Write for Gathered {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (held, company) = &*self.0;
        let mut lines = held.lock().unwrap_or_else(PoisonError::into_inner);
        let first = lines.is_empty();
        lines.extend_from_slice(line);
        let full = lines.len() > HELD;
        drop(lines);
        if full {
            self.write_out();
        } else if first {
            company.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes out the log lines that wait for company: before the process ends.
pub fn flush_log() {
    if let Some(gathered) = &*GATHERED.lock().unwrap_or_else(PoisonError::into_inner) {
        gathered.write_out();
    }
}

/// Installs the metrics recorder of this process and gives the handle that renders it.
///
/// # Errors
/// When the process has one already.
pub fn start_metrics() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &BUCKETS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("portcullis_requests_total", "Answered requests by tenant, route and status.");
    describe_histogram!("portcullis_request_duration_seconds", "From the request's head to the answer.");
    describe_counter!(
        "portcullis_rate_limited_total",
        "Requests over the limit by tenant and group; in shadow mode they passed."
    );
    describe_gauge!("portcullis_rate_limit_remaining", "What the last asker of the group had left.");
    describe_counter!("portcullis_directory_requests_total", "Calls to directories by tenant, operation and outcome.");
    describe_histogram!("portcullis_directory_duration_seconds", "Duration of one call to a directory.");
    describe_counter!("portcullis_tokens_issued_total", "Access tokens by tenant and grant type.");
    describe_counter!("portcullis_audit_dropped_total", "Audit records that found the queue full.");
    describe_gauge!(
        "portcullis_config_reload_failed",
        "1 while the configuration file is worse than the one in force."
    );
    metrics::gauge!("portcullis_config_reload_failed").set(0.0);
}
