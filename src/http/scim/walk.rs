//! Reading a list whole, page by page, although others add to it and take from it meanwhile.
//!
//! Pages are cut by position, and positions move when an entry before them goes. So each page begins with the last entry of the
//! one before; when something else stands there, the walk steps back until it meets an entry that it knows. Whatever stays in
//! the list all the while is met, and met once.

use std::collections::HashSet;

use crate::ports::{DirectoryError, Page};

/// How many entries are asked for at a time.
pub const STEP: u64 = 500;

/// How often a walk steps back before it gives up.
const PATIENCE: u32 = 100;

/// Where a walk stands.
#[derive(Debug, Default)]
pub struct Walk {
    offset: u64,
    /// Whether the next page must begin with an entry that is known.
    overlaps: bool,
    met: HashSet<String>,
    backward: u32,
}

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Look at these, which were not met before, and read on.
    More(Vec<T>),
    /// Look at these; there are no others.
    Last(Vec<T>),
}

impl Walk {
    /// The page to ask for.
    pub const fn page(&self) -> Page {
        Page { offset: self.offset, limit: STEP }
    }

    /// Takes the page that was asked for: what it holds, and how long the whole list is.
    ///
    /// # Errors
    /// `Busy` when the list changes so fast that no end is met.
    pub fn take<T>(&mut self, items: Vec<T>, total: u64, key: impl Fn(&T) -> &str) -> Result<Next<T>, DirectoryError> {
        if self.overlaps && !items.first().is_some_and(|first| self.met.contains(key(first))) {
            self.backward += 1;
            if self.backward > PATIENCE {
                return Err(DirectoryError::Busy { retry_after: None });
            }
            self.offset = self.offset.min(total).saturating_sub(STEP / 2);
            self.overlaps = self.offset > 0;
            return Ok(Next::More(Vec::new()));
        }
        let length = items.len() as u64;
        let end = self.offset + length;
        let new = items.into_iter().filter(|item| self.met.insert(key(item).to_owned())).collect();
        if length == 0 || end >= total {
            return Ok(Next::Last(new));
        }
        // A directory that gives one entry at a time leaves nothing to overlap with.
        self.overlaps = length > 1;
        self.offset = end - u64::from(self.overlaps);
        Ok(Next::More(new))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Walks over `list`, which `change` may change between two pages.
    fn walk(list: &mut Vec<String>, mut change: impl FnMut(&mut Vec<String>)) -> Vec<String> {
        let (mut walk, mut all) = (Walk::default(), Vec::new());
        loop {
            let Page { offset, limit } = walk.page();
            let (offset, limit) = (usize::try_from(offset).unwrap(), usize::try_from(limit).unwrap());
            let page: Vec<_> = list.iter().skip(offset).take(limit).cloned().collect();
            match walk.take(page, list.len() as u64, String::as_str).unwrap() {
                Next::More(new) => all.extend(new),
                Next::Last(new) => {
                    all.extend(new);
                    return all;
                }
            }
            change(list);
        }
    }

    #[test]
    fn a_list_that_rests_is_read_once() {
        for length in [0, 1, 499, 500, 501, 1000, 1700] {
            let mut list: Vec<_> = (0..length).map(|number| number.to_string()).collect();
            let all = list.clone();
            assert_eq!(walk(&mut list, |_| {}), all, "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Who stays is met exactly once, whoever comes and goes, and wherever.
        #[test]
        fn survivors_are_met_once(
            length in 1_usize..3000,
            changes in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let mut list: Vec<_> = (0..length).map(|number| format!("o{number}")).collect();
            let (mut gone, mut made) = (HashSet::new(), 0);
            let mut changes = changes.into_iter();
            let met = walk(&mut list, |list| {
                for (removes, at) in changes.by_ref().take(7) {
                    if removes && !list.is_empty() {
                        gone.insert(list.remove(at.index(list.len())));
                    } else {
                        made += 1;
                        list.insert(at.index(list.len() + 1), format!("n{made}"));
                    }
                }
            });
            let distinct: HashSet<_> = met.iter().cloned().collect();
            prop_assert_eq!(distinct.len(), met.len());
            for number in 0..length {
                let name = format!("o{number}");
                prop_assert!(gone.contains(&name) || distinct.contains(&name), "{}", name);
            }
        }
    }
}
