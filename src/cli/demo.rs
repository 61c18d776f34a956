//! `portcullis demo`: everything on this machine.

use super::arguments::Demo;
use super::{Exit, Failure, World};
use crate::app;
use crate::demo::{self, Arguments, DemoError, Means};
use crate::telemetry;

/// Sets the demo up and serves it until told to stop.
pub async fn run(arguments: Demo, world: &mut World<'_>) -> Result<Exit, Failure> {
    telemetry::start_log("warn", world.environment.get("PORTCULLIS_LOG"));
    let metrics = telemetry::start_metrics().map_err(|error| Failure::failed(error.to_string()))?;
    let means = Means { clock: world.clock.clone(), random: world.random.clone(), metrics: Some(metrics) };
    let arguments = Arguments {
        listen: arguments.listen,
        data: arguments.data,
        people: usize::try_from(arguments.people).unwrap_or(usize::MAX),
        unlimited: arguments.limits.is_some(),
        json: arguments.json,
    };
    demo::run(&arguments, means, app::told_to_stop()).await?;
    Ok(Exit::Done)
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::App(error) => error.into(),
            DemoError::State(error) => error.into(),
            DemoError::Listen { .. } | DemoError::Data { .. } | DemoError::Directory { .. } | DemoError::Output(_) => {
                Self::failed(error.to_string())
            }
        }
    }
}
