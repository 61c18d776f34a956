//! Paging by cursor (RFC 9865). A directory that walks by key is walked by key; of another one everything is looked at, put in
//! the order of its keys, and read on from the one where the last page ended. Either way who stays is met exactly once.

use super::{Listed, Plan, SCAN, plan};
use crate::http::error::Refusal;
use crate::http::scim::Surface;
use crate::http::scim::membership::Question;
use crate::http::scim::shown::Shown;
use crate::http::scim::sink::{Mark, Sink};
use crate::http::scim::walk::STEP;
use crate::ports::{Directory as _, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::command::Query;
use crate::scim::cursor::{self, Position};
use crate::scim::error::{ScimError, ScimType};
use crate::scim::filter::Filter;
use crate::scim::schema::{DEFAULT_RESULTS, MAX_RESULTS};

impl Surface<'_> {
    /// One page from where a cursor points.
    pub(super) async fn by_cursor(
        &self,
        kinds: &[ResourceType],
        filter: Option<&Filter>,
        query: &Query,
        request: &cursor::Request,
    ) -> Result<Listed, Refusal> {
        let kind = if let [kind] = kinds { Some(*kind) } else { None };
        let sort = query.sort.as_ref();
        let question = cursor::fingerprint(kind, filter, sort);
        let now = self.store.clock().now();
        let after = match request {
            cursor::Request::First => None,
            cursor::Request::At(text) => Some(Position::open(text, self.cursors, question, now, cursor::LIFE)?.after),
        };
        let count = query.count.unwrap_or(DEFAULT_RESULTS).min(MAX_RESULTS);
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let seal = |after: String| Position { after, issued: now, question }.seal(self.cursors);
        if sort.is_some() {
            let after = after.map(|text| Mark::open(&text).ok_or_else(misplaced)).transpose()?;
            let mut sink = Sink::best(filter, sort, after, most);
            for kind in kinds {
                self.fill(*kind, filter, &mut sink).await?;
            }
            let total = Some(sink.total());
            let (kept, more) = sink.finish();
            let next = kept.last().filter(|_| more).map(|(mark, _)| seal(mark.seal()));
            return Ok(Listed { page: kept.into_iter().map(|(_, shown)| shown).collect(), total, next });
        }
        // A mark is the type's endpoint and the key after which to go on.
        let (first, mut key) = match &after {
            None => (kinds[0], None),
            Some(text) => {
                let (endpoint, key) = text.split_once('/').ok_or_else(misplaced)?;
                let kind = ResourceType::of_endpoint(endpoint).ok_or_else(misplaced)?;
                (kind, (!key.is_empty()).then(|| key.to_owned()))
            }
        };
        let first = kinds.iter().position(|kind| *kind == first).ok_or_else(misplaced)?;
        let (mut page, mut next, mut total) = (Vec::new(), None, Some(0));
        for (at, kind) in kinds.iter().enumerate() {
            let plan = plan(self.tenant, *kind, filter);
            let walked = matches!(plan, Plan::Native | Plan::Scan) && self.tenant.directory.seeks(*kind);
            if at < first || next.is_some() {
                total = None;
                continue;
            }
            if page.len() == most {
                next = Some(format!("{}/", kind.endpoint()));
                total = None;
                continue;
            }
            let (after, wanted) = (key.take(), most - page.len());
            let last = if walked {
                let part = self.seek(*kind, filter, after, wanted).await?;
                total = match total.filter(|_| plan == Plan::Native) {
                    Some(before) => {
                        let all = Page { offset: 0, limit: 0 };
                        Some(before + self.tenant.directory.find(*kind, &Lookup::All, all).await?.total)
                    }
                    None => None,
                };
                page.extend(part.0);
                part.1
            } else {
                let mut sink = Sink::best(filter, None, after.as_deref().map(Mark::at), wanted);
                self.fill(*kind, filter, &mut sink).await?;
                total = total.map(|before| before + sink.total());
                let (kept, more) = sink.finish();
                page.extend(kept.into_iter().map(|(_, shown)| shown));
                page.last().filter(|_| more).map(|shown| shown.key().to_owned())
            };
            next = last.map(|key| format!("{}/{key}", kind.endpoint()));
        }
        Ok(Listed { page, total, next: next.map(seal) })
    }

    /// The next `count` that match, in the directory's order of keys, and the key after which to go on if there may be more.
    async fn seek(
        &self,
        kind: ResourceType,
        filter: Option<&Filter>,
        mut after: Option<String>,
        count: usize,
    ) -> Result<(Vec<Shown>, Option<String>), Refusal> {
        let question = Question::of(filter, kind)?;
        let holders = self.holders(kind, &question).await?;
        // One more than is wanted tells whether there are more.
        let step = if filter.is_none() { count as u64 + 1 } else { STEP };
        let (mut page, mut looked) = (Vec::<Shown>::new(), 0);
        loop {
            let entries = self.tenant.directory.seek(kind, after.as_deref(), step).await?;
            let read = entries.len() as u64;
            let Some(last) = entries.last().map(|entry| entry.key.clone()) else { return Ok((page, None)) };
            let shown = self.see_all(kind, entries).await?;
            let known = question.answered(&*self.tenant.directory, &shown, holders.as_ref()).await?;
            for (shown, known) in shown.into_iter().zip(known) {
                let subject = shown.subject(known.as_ref().unwrap_or(&shown.seen));
                if filter.is_some_and(|filter| !filter.matches(&subject)) {
                    continue;
                }
                if page.len() == count {
                    return Ok((page, after));
                }
                after = Some(shown.key().to_owned());
                page.push(shown);
            }
            looked += read;
            if read < step {
                return Ok((page, None));
            }
            after = Some(last);
            if looked >= SCAN {
                // A page with few matches, or none, is an answer: the client goes on from here.
                return Ok((page, after));
            }
        }
    }
}

/// A cursor of ours whose mark is of another form: made by another version.
fn misplaced() -> ScimError {
    ScimError::new(
        400,
        Some(ScimType::InvalidCursor),
        "the cursor is of another version of this server; begin again with an empty cursor",
    )
}
