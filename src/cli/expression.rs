//! `portcullis explain --expression`: one mapping expression, evaluated over a sample.
//!
//! The result is JSON on standard output. Nothing but what is left out prints as an object, so the kinds of result can be told
//! apart. What is wrong goes to standard error with a caret under the place.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{Exit, Failure, World};
use crate::mapping::expression::{Expression, Input, Moment, Outcome, Problem, REDACTED, Sample};
use crate::scim::ResourceType;
use crate::scim::resource::Resource;
use crate::types::Timestamp;

/// Evaluates `text` over `input`, the JSON of a SCIM user, at `now`.
///
/// # Errors
/// Exit 2 when the expression, the input or the time is wrong; 1 when the evaluation fails.
pub fn run(text: &str, input: Option<&str>, now: Option<&str>, world: &mut World<'_>) -> Result<Exit, Failure> {
    let usage = |message: String| Failure { exit: Exit::Usage, message };
    let record: Map<String, Value> = serde_json::from_str(input.unwrap_or("{}"))
        .map_err(|error| usage(format!("--input is no JSON object: {error}")))?;
    let person = Resource::parse(ResourceType::User, Value::Object(record.clone()).to_string().as_bytes())
        .map_err(|error| usage(format!("--input: {}", error.detail)))?
        .resource;
    let now = match now {
        None => world.clock.now(),
        Some(now) => now
            .parse::<jiff::Timestamp>()
            .map(|now| Timestamp::from_millis(now.as_millisecond()))
            .map_err(|_| usage("--now is no time: write one such as 2026-01-31T08:00:00Z".into()))?,
    };
    let expression = Expression::compile(text, &Sample(&record)).map_err(|problems| {
        let reports: Vec<String> = problems.iter().map(|problem| report("error", text, problem)).collect();
        usage(format!("the expression is wrong\n{}", reports.join("\n")))
    })?;
    for warning in expression.warnings() {
        writeln!(world.err, "{}", report("warning", text, warning))?;
    }
    let moment = Moment { now, random: Some(world.random.clone()) };
    let input = Input { person: Some(&person), record: Some(&record) };
    let outcome = expression.evaluate(input, &moment).map_err(|fault| {
        let mut message = fault.message.clone();
        point(&mut message, text, &fault.span);
        Failure::failed(message)
    })?;
    let shown = match outcome {
        Outcome::Value(_) if expression.is_redacted() => json!(REDACTED),
        Outcome::Value(value) => value,
        Outcome::Null => Value::Null,
        Outcome::LeaveAttribute => json!({ "left_out": "attribute" }),
        Outcome::LeaveObject => json!({ "left_out": "object" }),
    };
    writeln!(world.out, "{shown}")?;
    Ok(Exit::Done)
}

fn report(word: &str, text: &str, problem: &Problem) -> String {
    let mut out = format!("{word}: {problem}");
    point(&mut out, text, &problem.span);
    out
}

/// The line of `text` that `span` begins in, with carets under the place.
fn point(out: &mut String, text: &str, span: &Range<usize>) {
    let start = text.floor_char_boundary(span.start);
    let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[from..].lines().next().unwrap_or("");
    let before = text[from..start].chars().count();
    let end = text.floor_char_boundary(span.end.min(from + line.len())).max(start);
    let carets = text[start..end].chars().count().max(1);
    // Writing into a text cannot fail.
    _ = write!(out, "\n  {line}\n  {:before$}{}", "", "^".repeat(carets));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::types::{Clock, Random};

    #[test]
    fn results_and_mistakes_can_be_told_apart() {
        for (text, input, now, wanted) in [
            (
                "StripSpaces([telephoneNumber])",
                r#"{"telephoneNumber":"+1 555 0100"}"#,
                None,
                Ok((Exit::Done, "\"+15550100\"\n")),
            ),
            ("[title]", "{}", None, Ok((Exit::Done, "null\n"))),
            ("Count([emails.value])", r#"{"emails":[{"value":"a"}]}"#, None, Ok((Exit::Done, "1\n"))),
            ("IgnoreFlowIfNullOrEmpty([title])", "{}", None, Ok((Exit::Done, "{\"left_out\":\"attribute\"}\n"))),
            ("Redact([title])", r#"{"title":"Dr"}"#, None, Ok((Exit::Done, "\"[Redact]\"\n"))),
            ("DateDiff(\"d\", \"2026-01-01\", Now())", "{}", Some("2026-01-31T08:00:00Z"), Ok((Exit::Done, "30\n"))),
            (
                "Left([titel], 1)",
                "{}",
                None,
                Err((
                    Exit::Usage,
                    "the expression is wrong\nerror: [titel] is no attribute of a user (did you mean [title]?)\n  Left([titel], 1)\n       ^^^^^^^",
                )),
            ),
            (
                "Append(\"é\",\n  CStr(CDate([title])))",
                r#"{"title":"hush"}"#,
                None,
                Err((
                    Exit::Failed,
                    "CDate of [title]: [title] is no date\n    CStr(CDate([title])))\n         ^^^^^^^^^^^^^^",
                )),
            ),
            ("[title]", "[]", None, Err((Exit::Usage, "--input is no JSON object"))),
            ("[title]", "{}", Some("soon"), Err((Exit::Usage, "--now is no time"))),
        ] {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut world = World {
                environment: Environment::default(),
                clock: Clock::manual(Timestamp::from_seconds(0)),
                random: Random::seeded(1),
                out: &mut out,
                err: &mut err,
                password: &mut |_| Err(Failure::failed("nobody types here")),
            };
            match (run(text, Some(input), now, &mut world), wanted) {
                (Ok(exit), Ok((wanted, shown))) => {
                    assert_eq!((exit, String::from_utf8_lossy(&out).as_ref()), (wanted, shown), "{text}");
                }
                (Err(failure), Err((exit, message))) => {
                    assert_eq!(failure.exit, exit, "{text}");
                    assert!(failure.message.starts_with(message), "{text}: {}", failure.message);
                }
                (outcome, _) => panic!("{text}: {:?}", outcome.map_err(|failure| failure.message)),
            }
        }
    }
}
