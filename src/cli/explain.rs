//! `portcullis explain`: what the gateway would do with a SCIM request, stage by stage. Nothing is sent, no state is opened.

use std::io::{self, Read};

use super::arguments::Explain;
use super::{Exit, Failure, World, expression, place};
use crate::http::scim::explain;

/// The most that is read of a request, or of a person beside it, in bytes.
const MOST: u64 = 1024 * 1024;

/// Does it; the request is read from standard input. A request that the gateway would refuse is explained like any other.
///
/// # Errors
/// See [`Failure`].
pub async fn run(arguments: Explain, world: &mut World<'_>) -> Result<Exit, Failure> {
    if let Some(expression) = &arguments.expression {
        return expression::run(expression, arguments.input.as_deref(), arguments.now.as_deref(), world);
    }
    let (Some(path), Some(name)) = (&arguments.config, &arguments.tenant) else {
        return Err(Failure::failed("name --config and --tenant, or an --expression"));
    };
    let config = place::load(path, world)?;
    let tenant = place::tenant(&config, name)?;
    let person = match &arguments.person {
        Some(path) => {
            let named = |problem| Failure::failed(format!("{}: {problem}", path.display()));
            let file = std::fs::File::open(path).map_err(|error| named(error.to_string()))?;
            Some(bounded(file).map_err(named)?)
        }
        None => None,
    };
    let request = bounded(io::stdin().lock()).map_err(|problem| Failure::failed(format!("the request: {problem}")))?;
    let request = String::from_utf8(request).map_err(|_| Failure::failed("the request: is not UTF-8"))?;
    let explanation = explain::explain(&config, &tenant, &world.clock, &request, person.as_deref()).await;
    let explanation = explanation.map_err(|error| Failure::failed(error.to_string()))?;
    if arguments.json {
        writeln!(world.out, "{}", explanation.json())?;
    } else {
        write!(world.out, "{}", explanation.text())?;
    }
    Ok(Exit::Done)
}

fn bounded(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MOST { Err(format!("holds more than {MOST} bytes")) } else { Ok(bytes) }
}
