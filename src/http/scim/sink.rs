//! What a query keeps of the resources it looks at: a window by position, or the best so many in an order. Bounded by what
//! the answer can hold, not by what is looked at.

use std::cmp::Ordering;
use std::ops::Range;

use serde_json::{Value, json};

use super::shown::Shown;
use crate::scim::filter::Filter;
use crate::scim::resource::Resource;
use crate::scim::sort::{self, Key, Sort};

/// Where a resource stands in an order: its value, and its id to tell equals apart.
#[derive(Debug, PartialEq)]
pub struct Mark {
    value: Option<Key>,
    id: String,
}

impl Mark {
    /// Of a resource; without a sort it is the id alone that orders.
    pub fn of(shown: &Shown, resource: &Resource, sort: Option<&Sort>) -> Self {
        let value = sort.and_then(|sort| sort::key(&shown.subject(resource), sort));
        Self { value, id: shown.key().to_owned() }
    }

    /// At an id.
    pub fn at(id: &str) -> Self {
        Self { value: None, id: id.to_owned() }
    }

    /// Who has no value is ordered last, descending first (RFC 7644 §3.4.2.3).
    pub fn compare(&self, other: &Self, sort: Option<&Sort>) -> Ordering {
        let ordering = match (&self.value, &other.value) {
            (Some(one), Some(other)) => one.compare(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        let ordering = if sort.is_some_and(|sort| sort.descending) { ordering.reverse() } else { ordering };
        ordering.then_with(|| self.id.cmp(&other.id))
    }

    /// As text, for a cursor.
    pub fn seal(&self) -> String {
        let (kind, value) = match &self.value {
            None => ('n', Value::Null),
            Some(Key::Boolean(value)) => ('b', json!(value)),
            Some(Key::Number(value)) => ('f', json!(value)),
            Some(Key::Time(value)) => ('t', json!(value)),
            Some(Key::Text(value)) => ('s', json!(value)),
        };
        json!([kind.to_string(), value, self.id]).to_string()
    }

    /// Reads [`Mark::seal`]'s text.
    pub fn open(text: &str) -> Option<Self> {
        let (kind, value, id): (String, Value, String) = serde_json::from_str(text).ok()?;
        let value = match kind.as_str() {
            "n" => None,
            "b" => Some(Key::Boolean(value.as_bool()?)),
            "f" => Some(Key::Number(value.as_f64()?)),
            "t" => Some(Key::Time(value.as_i64()?)),
            "s" => Some(Key::Text(value.as_str()?.to_owned())),
            _ => return None,
        };
        Some(Self { value, id })
    }
}

/// What is kept.
enum Keep<'a> {
    Window(Range<u64>, Vec<Shown>),
    Best { sort: Option<&'a Sort>, after: Option<Mark>, most: usize, kept: Vec<(Mark, Shown)>, left_out: bool },
}

/// Takes the resources that match.
pub struct Sink<'a> {
    filter: Option<&'a Filter>,
    keep: Keep<'a>,
    total: u64,
}

impl<'a> Sink<'a> {
    /// Keeps those at these positions, counted from zero.
    pub const fn window(filter: Option<&'a Filter>, wanted: Range<u64>) -> Self {
        Self { filter, keep: Keep::Window(wanted, Vec::new()), total: 0 }
    }

    /// Keeps the first `most` in this order, of those after a mark.
    pub const fn best(filter: Option<&'a Filter>, sort: Option<&'a Sort>, after: Option<Mark>, most: usize) -> Self {
        Self { filter, keep: Keep::Best { sort, after, most, kept: Vec::new(), left_out: false }, total: 0 }
    }

    /// The window of positions wanted, if that is what is kept.
    pub fn wanted(&self) -> Option<Range<u64>> {
        match &self.keep {
            Keep::Window(wanted, _) => Some(wanted.clone()),
            Keep::Best { .. } => None,
        }
    }

    /// Counts so many that match and are known to lie outside the window.
    pub const fn pass(&mut self, count: u64) {
        self.total += count;
    }

    /// Looks at one; `known` is what the filter may look at in place of what is seen.
    pub fn take(&mut self, shown: Shown, known: Option<&Resource>) {
        let subject = shown.subject(known.unwrap_or(&shown.seen));
        if self.filter.is_some_and(|filter| !filter.matches(&subject)) {
            return;
        }
        self.total += 1;
        match &mut self.keep {
            Keep::Window(wanted, kept) => {
                if wanted.contains(&(self.total - 1)) {
                    kept.push(shown);
                }
            }
            Keep::Best { sort, after, most, kept, left_out } => {
                let mark = Mark::of(&shown, &shown.seen, *sort);
                if after.as_ref().is_some_and(|after| mark.compare(after, *sort).is_le()) {
                    return;
                }
                kept.push((mark, shown));
                if kept.len() > most.saturating_mul(2).max(64) {
                    trim(kept, *sort, *most, left_out);
                }
            }
        }
    }

    /// How many match in all.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// What was kept, in order, and whether more would follow. A window's marks say nothing.
    pub fn finish(self) -> (Vec<(Mark, Shown)>, bool) {
        match self.keep {
            Keep::Window(_, kept) => (kept.into_iter().map(|shown| (Mark::at(shown.key()), shown)).collect(), false),
            Keep::Best { sort, most, mut kept, mut left_out, .. } => {
                trim(&mut kept, sort, most, &mut left_out);
                (kept, left_out)
            }
        }
    }
}

fn trim(kept: &mut Vec<(Mark, Shown)>, sort: Option<&Sort>, most: usize, left_out: &mut bool) {
    kept.sort_by(|(one, _), (other, _)| one.compare(other, sort));
    *left_out |= kept.len() > most;
    kept.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_into_cursors_and_come_back() {
        for value in
            [None, Some(Key::Boolean(true)), Some(Key::Number(1.5)), Some(Key::Time(-7)), Some(Key::Text("é\"".into()))]
        {
            let mark = Mark { value, id: "g7".into() };
            assert_eq!(Mark::open(&mark.seal()), Some(mark));
        }
        for text in ["", "[]", "[\"x\",1,\"2\"]", "[\"b\",1,\"2\"]"] {
            assert_eq!(Mark::open(text), None);
        }
    }
}
