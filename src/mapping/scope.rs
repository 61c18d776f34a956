//! Who is let through: a tenant's scoping filter, in the words of mapping expressions, and what is answered to the rest.
//!
//! A leaver is never kept in: whoever is to be disabled or deleted gets through whatever the filter says.

use super::expression::{Expression, Fault, Input, Moment};
use crate::scim::error::ScimError;
use crate::scim::resource::Resource;
use crate::types::Digest;

/// What is answered about somebody who is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Refused {
    /// 403 with the reason.
    #[default]
    Forbid,
    /// As if it had been done; nothing is.
    Drop,
}

/// A tenant's scoping filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// True for those who are let through.
    pub filter: Expression,
    /// What is answered to the others.
    pub refused: Refused,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Admitted,
    /// It is answered as if it had been.
    Dropped,
}

impl Rule {
    /// What becomes of making a person be as `after` says.
    ///
    /// # Errors
    /// 403 for those who are forbidden; 400 `invalidValue` when the filter cannot be evaluated on them.
    pub fn judge(&self, after: &Resource, moment: &Moment) -> Result<Verdict, ScimError> {
        if after.active() == Some(false) {
            return Ok(Verdict::Admitted);
        }
        let admitted = self.filter.holds(Input::from(after), moment).map_err(|Fault { message, .. }| {
            ScimError::invalid_value(format!("the tenant's scoping filter cannot be applied: {message}"))
        })?;
        match (admitted, self.refused) {
            (true, _) => Ok(Verdict::Admitted),
            (false, Refused::Drop) => Ok(Verdict::Dropped),
            (false, Refused::Forbid) => Err(ScimError::forbidden(format!(
                "this person is outside of the scope that the service accepts, which looks at {}; leave them out of the \
                 application's scope, or have the service's scoping filter changed",
                self.names()
            ))),
        }
    }

    /// The id that stands for somebody who was dropped: the same for the same user name, and nobody's.
    pub fn id_of_dropped(user_name: &str) -> String {
        let digest = Digest::of(user_name.to_lowercase().as_bytes());
        let digits = digest.as_slice().iter().take(12).flat_map(|byte| [byte >> 4, byte & 15]);
        let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        format!("out-of-scope-{digits}")
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.filter.paths().map(ToString::to_string).collect();
        if names.is_empty() { "nothing of theirs".into() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::expression::Scim;

    #[test]
    fn leavers_pass_and_the_rest_is_answered_as_configured() {
        let rule = |refused| Rule { filter: Expression::compile("[department] = \"Sales\"", &Scim).unwrap(), refused };
        let person = |department: &str, active: bool| {
            let body = json!({"userName": "ada", "active": active, crate::scim::schema::ENTERPRISE: {"department": department}});
            Resource::parse(crate::scim::ResourceType::User, body.to_string().as_bytes()).unwrap().resource
        };
        for (department, active, refused, wanted) in [
            ("Sales", true, Refused::Forbid, Ok(Verdict::Admitted)),
            ("Ops", true, Refused::Drop, Ok(Verdict::Dropped)),
            ("Ops", true, Refused::Forbid, Err(403)),
            ("", true, Refused::Forbid, Err(403)),
            ("Ops", false, Refused::Forbid, Ok(Verdict::Admitted)),
            ("Ops", false, Refused::Drop, Ok(Verdict::Admitted)),
        ] {
            let verdict = rule(refused).judge(&person(department, active), &Moment::NONE);
            assert_eq!(verdict.map_err(|error| error.status), wanted, "{department} {active}");
        }
        let faulty = Rule { filter: Expression::compile("[userName] > 5", &Scim).unwrap(), refused: Refused::Drop };
        let error = faulty.judge(&person("Ops", true), &Moment::NONE).unwrap_err();
        assert!(error.status == 400 && !error.detail.contains("ada"), "{error}");
    }

    #[test]
    fn somebody_dropped_has_one_id() {
        assert_eq!(Rule::id_of_dropped("Ada"), Rule::id_of_dropped("ada"));
        assert_ne!(Rule::id_of_dropped("ada"), Rule::id_of_dropped("bea"));
    }
}
