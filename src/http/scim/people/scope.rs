//! A tenant's scoping filter, applied to a change: who is not let through is refused, or answered as if it had been done.

use super::{People, Person};
use crate::http::error::Refusal;
use crate::http::record::Record;
use crate::mapping::expression::Moment;
use crate::mapping::scope::{Rule, Verdict};
use crate::ports::Entry;
use crate::scim::resource::Resource;

impl People<'_> {
    /// Whether making somebody be as `after` says is to be answered without being done.
    ///
    /// # Errors
    /// 403 where the tenant forbids it; 400 when the filter cannot be applied.
    pub(super) fn drops(&self, after: &Resource, record: &mut Record) -> Result<bool, Refusal> {
        let Some(rule) = &self.tenant.config.scope else { return Ok(false) };
        let moment = Moment { now: self.store.clock().now(), random: None };
        let dropped = rule.judge(after, &moment)? == Verdict::Dropped;
        if dropped {
            record.notes.push("out of scope: answered, and nothing was done".into());
        }
        Ok(dropped)
    }

    /// Somebody who was not created, as they are answered: under an id that leads to nobody.
    pub(super) fn never_created(&self, sent: &Resource, user_name: &str) -> Person {
        let key = Rule::id_of_dropped(user_name);
        let entry = Entry { key, resource: sent.clone(), created: None, modified: None, version: None };
        self.person(entry, None)
    }
}
