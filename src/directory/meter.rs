//! Counts and times the calls on one tenant's directory. A handle is registered once, when its first call ends; labels are
//! the tenant, the operation and the outcome, never a person.

use std::future::Future;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};

use crate::ports::DirectoryError;
use crate::types::Clock;

/// The label `operation`.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Read,
    Find,
    Create,
    Update,
    Delete,
    Probe,
}

impl Operation {
    const NAMES: [&str; 6] = ["read", "find", "create", "update", "delete", "probe"];
}

/// The label `outcome`: `ok`, or how it failed.
const OUTCOMES: [&str; 9] =
    ["ok", "not_found", "conflict", "invalid", "no_capacity", "busy", "refused", "failed", "silent"];

fn outcome<T>(result: &Result<T, DirectoryError>) -> usize {
    match result {
        Ok(_) => 0,
        Err(DirectoryError::NotFound) => 1,
        Err(DirectoryError::Conflict { .. }) => 2,
        Err(DirectoryError::Invalid { .. }) => 3,
        Err(DirectoryError::NoCapacity { .. }) => 4,
        Err(DirectoryError::Busy { .. }) => 5,
        Err(DirectoryError::Refused { .. }) => 6,
        Err(DirectoryError::Failed { .. }) => 7,
        Err(DirectoryError::Silent) => 8,
    }
}

/// The meters of one tenant's directory.
pub struct Meter {
    tenant: String,
    clock: Clock,
    gauges: [Gauges; Operation::NAMES.len()],
}

#[derive(Default)]
struct Gauges {
    duration: OnceLock<Histogram>,
    requests: [OnceLock<Counter>; OUTCOMES.len()],
}

impl Meter {
    /// Meters labelled with `tenant`.
    pub fn new(tenant: &str, clock: Clock) -> Self {
        Self { tenant: tenant.to_owned(), clock, gauges: Default::default() }
    }

    /// Does `call` and writes down how long it took and how it ended.
    pub async fn watch<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        let start = self.clock.monotonic();
        let result = call.await;
        let took = self.clock.monotonic().saturating_sub(start);
        let (gauges, name) = (&self.gauges[operation as usize], Operation::NAMES[operation as usize]);
        gauges
            .duration
            .get_or_init(|| {
                histogram!("portcullis_directory_duration_seconds", "tenant" => self.tenant.clone(), "operation" => name)
            })
            .record(took);
        let outcome = outcome(&result);
        gauges.requests[outcome]
            .get_or_init(|| {
                counter!("portcullis_directory_requests_total",
                    "tenant" => self.tenant.clone(), "operation" => name, "outcome" => OUTCOMES[outcome])
            })
            .increment(1);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::types::Timestamp;

    #[test]
    fn calls_are_counted_and_timed() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let clock = Clock::manual(Timestamp::from_seconds(0));
        let meter = Meter::new("acme", clock.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            for outcome in [Ok(()), Ok(()), Err(DirectoryError::Silent)] {
                let call = async {
                    clock.advance(Duration::from_millis(250));
                    outcome.clone()
                };
                assert_eq!(runtime.block_on(meter.watch(Operation::Create, call)), outcome);
            }
        });
        let page = recorder.handle().render();
        for line in [
            "portcullis_directory_requests_total{tenant=\"acme\",operation=\"create\",outcome=\"ok\"} 2",
            "portcullis_directory_requests_total{tenant=\"acme\",operation=\"create\",outcome=\"silent\"} 1",
            "portcullis_directory_duration_seconds_sum{tenant=\"acme\",operation=\"create\"} 0.75",
            "portcullis_directory_duration_seconds_count{tenant=\"acme\",operation=\"create\"} 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
