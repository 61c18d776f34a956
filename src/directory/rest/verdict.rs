//! What an answer means where its status does not tell: success that is not 2xx, failure that is, and which of its
//! explanations is a duplicate, a missing licence or a wrong value. Declared, checked and applied here; pure.
//!
//! ```toml
//! [[tenants.example.directory.answers]]  # the first that fits decides; what none fits is judged by its status
//! on        = ["create"]                 # read, find, create, update, delete, add, remove (of members); optional: any
//! status    = [200]                      # optional: any
//! at        = "/code"                    # JSON Pointer into the body; optional
//! matches   = "^E1[78]$"                 # regular expression that the text there must match; optional: something stands there
//! means     = "duplicate"                # * success, duplicate, gone, invalid, no-capacity, busy, refused, failed
//! attribute = "userName"                 # of duplicate and invalid: the attribute at fault; optional
//! ```

use regex_automata::meta::Regex;
use serde_json::Value;

use super::answer::Step;
use crate::scim::path::AttrPath;

/// One of `[[answers]]` as written.
#[derive(Clone, Debug, Default)]
pub struct RuleDraft {
    /// `on`; empty means any call.
    pub on: Vec<String>,
    /// `status`; empty means any.
    pub status: Vec<u64>,
    /// `at`.
    pub at: Option<String>,
    /// `matches`.
    pub matches: Option<String>,
    /// `means`.
    pub means: String,
    /// `attribute`.
    pub attribute: Option<String>,
}

/// What an answer can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Done.
    Success,
    /// Another entry holds a value.
    Duplicate(Option<String>),
    /// There is no such entry.
    Gone,
    /// A value is refused.
    Invalid(Option<String>),
    /// Nothing left to create with.
    NoCapacity,
    /// To be asked later.
    Busy,
    /// Our credentials or permissions are refused.
    Refused,
    /// Nothing was done, for another reason.
    Failed,
}

/// The rules, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    on: Vec<Step>,
    status: Vec<u16>,
    at: Option<String>,
    matches: Option<Regex>,
    means: Meaning,
}

const MEANINGS: [&str; 8] = ["success", "duplicate", "gone", "invalid", "no-capacity", "busy", "refused", "failed"];

/// The size in bytes to which an expression may grow when it is compiled.
const EXPRESSION_LIMIT: usize = 256 * 1024;

impl Rules {
    /// Checks the rules.
    ///
    /// # Errors
    /// The first mistake: the rule's number from 0, the key, and what is wrong.
    pub fn new(drafts: Vec<RuleDraft>) -> Result<Self, (usize, &'static str, String)> {
        let rule =
            |(index, draft): (usize, RuleDraft)| Rule::new(draft).map_err(|(key, problem)| (index, key, problem));
        drafts.into_iter().enumerate().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// What an answer means, if a rule says so.
    pub fn judge(&self, step: Step, status: u16, body: &[u8]) -> Option<&Meaning> {
        if self.0.is_empty() {
            return None;
        }
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        self.0.iter().find(|rule| rule.fits(step, status, &body)).map(|rule| &rule.means)
    }
}

impl Rule {
    fn new(draft: RuleDraft) -> Result<Self, (&'static str, String)> {
        let step = |name: &String| {
            Step::ALL
                .into_iter()
                .find(|step| step.name() == name)
                .ok_or_else(|| ("on", format!("\"{name}\" is none of read, find, create, update, delete, add, remove")))
        };
        let on = draft.on.iter().map(step).collect::<Result<_, _>>()?;
        let status = draft.status.iter().map(|status| {
            let number = u16::try_from(*status).ok().filter(|status| (200..600).contains(status));
            number.ok_or_else(|| ("status", format!("{status} is no status between 200 and 599")))
        });
        let status: Vec<u16> = status.collect::<Result<_, _>>()?;
        if let Some(at) = draft.at.as_ref().filter(|at| !at.is_empty() && !at.starts_with('/')) {
            return Err(("at", format!("is a JSON Pointer (RFC 6901): write \"/{at}\"")));
        }
        if draft.matches.is_some() && draft.at.is_none() {
            return Err(("matches", "says nothing without at = \"/…\", where the text stands".into()));
        }
        if status.is_empty() && draft.at.is_none() {
            return Err(("means", "would hold for every answer: give status, or at".into()));
        }
        let matches = draft.matches.map(|text| {
            let config = Regex::config().nfa_size_limit(Some(EXPRESSION_LIMIT));
            let built = Regex::builder().configure(config).build(&text);
            built.map_err(|error| ("matches", format!("is no regular expression: {error}")))
        });
        let attribute = draft.attribute.map(|text| {
            AttrPath::parse(&text).map(|path| path.to_string()).map_err(|error| ("attribute", error.detail))
        });
        let attribute = attribute.transpose()?;
        let means = match draft.means.as_str() {
            "success" => Meaning::Success,
            "duplicate" => Meaning::Duplicate(attribute),
            "gone" => Meaning::Gone,
            "invalid" => Meaning::Invalid(attribute),
            "no-capacity" => Meaning::NoCapacity,
            "busy" => Meaning::Busy,
            "refused" => Meaning::Refused,
            "failed" => Meaning::Failed,
            other => return Err(("means", format!("\"{other}\" is none of {}", MEANINGS.join(", ")))),
        };
        Ok(Self { on, status, at: draft.at, matches: matches.transpose()?, means })
    }

    fn fits(&self, step: Step, status: u16, body: &Value) -> bool {
        let here = (self.on.is_empty() || self.on.contains(&step))
            && (self.status.is_empty() || self.status.contains(&status));
        here && self.at.as_ref().is_none_or(|at| {
            let text = match body.pointer(at) {
                None | Some(Value::Null) => return false,
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            self.matches.as_ref().is_none_or(|matches| matches.is_match(text.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(on: &[&str], status: &[u64], at: Option<&str>, matches: Option<&str>, means: &str) -> RuleDraft {
        RuleDraft {
            on: on.iter().map(ToString::to_string).collect(),
            status: status.to_vec(),
            at: at.map(Into::into),
            matches: matches.map(Into::into),
            means: means.into(),
            attribute: Some("username".into()),
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = Rules::new(vec![
            rule(&["create"], &[200], Some("/code"), Some("^E1[78]$"), "duplicate"),
            rule(&[], &[200], Some("/code"), None, "failed"),
            rule(&["delete"], &[302], None, None, "success"),
        ])
        .unwrap();
        for (step, status, body, means) in [
            (Step::Create, 200, "{\"code\":\"E17\"}", Some(Meaning::Duplicate(Some("userName".into())))),
            (Step::Update, 200, "{\"code\":\"E17\"}", Some(Meaning::Failed)),
            (Step::Create, 200, "{\"code\":17}", Some(Meaning::Failed)),
            (Step::Create, 200, "{\"code\":null}", None),
            (Step::Create, 200, "<html>", None),
            (Step::Delete, 302, "", Some(Meaning::Success)),
            (Step::Read, 302, "", None),
        ] {
            assert_eq!(rules.judge(step, status, body.as_bytes()).cloned(), means, "{step:?} {status} {body}");
        }
    }

    #[test]
    fn a_wrong_rule_says_why() {
        for (draft, key, problem) in [
            (
                rule(&["make"], &[], Some("/a"), None, "gone"),
                "on",
                "\"make\" is none of read, find, create, update, delete, add, remove",
            ),
            (rule(&[], &[99], None, None, "gone"), "status", "99 is no status between 200 and 599"),
            (rule(&[], &[], Some("code"), None, "gone"), "at", "is a JSON Pointer (RFC 6901): write \"/code\""),
            (
                rule(&[], &[200], None, Some("x"), "gone"),
                "matches",
                "says nothing without at = \"/…\", where the text stands",
            ),
            (rule(&[], &[], None, None, "gone"), "means", "would hold for every answer: give status, or at"),
            (
                rule(&[], &[200], None, None, "dup"),
                "means",
                "\"dup\" is none of success, duplicate, gone, invalid, no-capacity, busy, refused, failed",
            ),
        ] {
            assert_eq!(Rules::new(vec![draft]).unwrap_err(), (0, key, problem.to_owned()));
        }
        let huge = Rules::new(vec![rule(&[], &[], Some("/a"), Some("(\\w{500}){500}"), "gone")]).unwrap_err();
        assert_eq!(huge.1, "matches");
    }
}
