//! The window itself: a log of admissions per key.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::quota::{Group, Penalty, Quota};

/// What the limiter says to one request. Everything the answer's headers need comes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may pass.
    pub admitted: bool,
    /// Which budget was drawn on.
    pub group: Group,
    /// The quota in force.
    pub quota: Quota,
    /// How many more would be admitted right now.
    pub remaining: u32,
    /// Zero if admitted; else after this span a lone client is admitted.
    pub retry_after: Duration,
    /// Whether this refusal is the one that started the penalty.
    pub penalty_started: bool,
}

/// The admissions of one key in one group that still count, and its penalty. Times are nanoseconds since the start.
#[derive(Debug, Default)]
pub struct Window {
    admitted: VecDeque<u64>,
    penalty_until: u64,
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Window {
    /// Asks for one admission at `now`.
    pub fn admit(&mut self, now: Duration, group: Group, quota: Quota, penalty: Penalty) -> Decision {
        self.admit_many(1, now, group, quota, penalty)
    }

    /// Asks for `count` admissions at `now`, all or none; more than the quota has are never admitted.
    pub fn admit_many(&mut self, count: u32, now: Duration, group: Group, quota: Quota, penalty: Penalty) -> Decision {
        let (now, length, limit) = (nanos(now), nanos(quota.window), quota.requests.get() as usize);
        self.forget(now, length);
        let decision = |admitted, used: usize, wait, penalty_started| Decision {
            admitted,
            group,
            quota,
            remaining: u32::try_from(limit.saturating_sub(used)).unwrap_or(u32::MAX),
            retry_after: Duration::from_nanos(wait),
            penalty_started,
        };
        let in_penalty = now < self.penalty_until;
        let count = count as usize;
        if !in_penalty && self.admitted.len().saturating_add(count) <= limit {
            self.admitted.extend(std::iter::repeat_n(now, count));
            return decision(true, self.admitted.len(), 0, false);
        }
        if !in_penalty || penalty.extend {
            self.penalty_until = now.saturating_add(nanos(penalty.duration));
        }
        // So many must leave that the rest and `count` fit. When the quota was lowered while running, more than `limit` may
        // still count.
        let must_leave = (self.admitted.len() + count.min(limit)).saturating_sub(limit);
        let room_at = match must_leave.checked_sub(1) {
            Some(last_to_leave) => self.admitted[last_to_leave].saturating_add(length),
            None => now,
        };
        let used = if now < self.penalty_until { limit } else { self.admitted.len() };
        decision(false, used, room_at.max(self.penalty_until).saturating_sub(now), !in_penalty)
    }

    /// How many admissions count at `now`.
    pub fn used(&mut self, now: Duration, window: Duration) -> usize {
        self.forget(nanos(now), nanos(window));
        self.admitted.len()
    }

    fn forget(&mut self, now: u64, length: u64) {
        while self.admitted.front().is_some_and(|at| at.saturating_add(length) <= now) {
            self.admitted.pop_front();
        }
        if self.admitted.is_empty() && self.admitted.capacity() > 64 {
            self.admitted.shrink_to(0);
        }
    }

    fn idle(&mut self, now: u64, length: u64) -> bool {
        self.forget(now, length);
        self.admitted.is_empty() && self.penalty_until <= now
    }
}

const SHARDS: usize = 16;
type Shard = Mutex<HashMap<Box<str>, [Window; 2]>>;

/// The windows of all keys of one tenant. A key is one grant or secret token together with its client.
pub struct Limiter {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl Limiter {
    /// Asks for one admission of `key` at `now`.
    pub fn admit(&self, key: &str, now: Duration, group: Group, quota: Quota, penalty: Penalty) -> Decision {
        self.admit_many(1, key, now, group, quota, penalty)
    }

    /// Asks for `count` admissions of `key` at `now`, all or none.
    pub fn admit_many(
        &self,
        count: u32,
        key: &str,
        now: Duration,
        group: Group,
        quota: Quota,
        penalty: Penalty,
    ) -> Decision {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        let mut windows = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        // Looked up by reference first: the name is copied only for a key never seen.
        if let Some(pair) = windows.get_mut(key) {
            return pair[group as usize].admit_many(count, now, group, quota, penalty);
        }
        windows.entry(key.into()).or_default()[group as usize].admit_many(count, now, group, quota, penalty)
    }

    /// Drops the keys for which nothing counts any more. `longest` is the longest window in force.
    pub fn sweep(&self, now: Duration, longest: Duration) {
        let (now, length) = (nanos(now), nanos(longest));
        for shard in &self.shards {
            let mut windows = shard.lock().unwrap_or_else(PoisonError::into_inner);
            windows.retain(|_, [read, write]| !(read.idle(now, length) & write.idle(now, length)));
            if windows.capacity() > 64 && windows.len() * 4 < windows.capacity() {
                windows.shrink_to_fit();
            }
        }
    }

    /// How many keys are held.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn quota(requests: u32, seconds: u64) -> Quota {
        Quota { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_secs(seconds) }
    }

    const MINUTE: Penalty = Penalty { duration: Duration::from_mins(1), extend: false };
    const STRICT: Penalty = Penalty { duration: Duration::from_mins(1), extend: true };
    const NONE: Penalty = Penalty { duration: Duration::ZERO, extend: false };

    /// Plays `(at, times)` and gives `(admitted, refused, retry_after of the last)` a row.
    fn play(quota: Quota, penalty: Penalty, rows: &[(u64, u32)]) -> Vec<(u32, u32, u64)> {
        let mut window = Window::default();
        rows.iter()
            .map(|&(at, times)| {
                let (mut admitted, mut refused, mut wait) = (0, 0, 0);
                for _ in 0..times {
                    let decision = window.admit(Duration::from_secs(at), Group::Read, quota, penalty);
                    *(if decision.admitted { &mut admitted } else { &mut refused }) += 1;
                    wait = decision.retry_after.as_secs();
                }
                (admitted, refused, wait)
            })
            .collect()
    }

    #[test]
    fn the_window_slides() {
        assert_eq!(
            play(quota(3, 60), NONE, &[(0, 2), (30, 2), (60, 3), (90, 1)]),
            [(2, 0, 0), (1, 1, 30), (2, 1, 30), (1, 0, 0)]
        );
    }

    #[test]
    fn the_first_refusal_starts_the_penalty() {
        assert_eq!(
            play(quota(2, 10), MINUTE, &[(0, 3), (11, 1), (59, 1), (60, 1)]),
            [(2, 1, 60), (0, 1, 49), (0, 1, 1), (1, 0, 0)]
        );
    }

    #[test]
    fn a_strict_penalty_is_renewed_by_every_request() {
        assert_eq!(
            play(quota(1, 10), STRICT, &[(0, 2), (59, 1), (118, 1), (178, 1)]),
            [(1, 1, 60), (0, 1, 60), (0, 1, 60), (1, 0, 0)]
        );
    }

    #[test]
    fn a_window_longer_than_the_penalty_is_waited_for() {
        assert_eq!(play(quota(1, 100), MINUTE, &[(0, 2), (99, 1), (159, 1)]), [(1, 1, 100), (0, 1, 60), (1, 0, 0)]);
    }

    #[test]
    fn many_are_admitted_together_or_not_at_all() {
        let mut window = Window::default();
        let mut ask = |count, at| {
            let decision = window.admit_many(count, Duration::from_secs(at), Group::Write, quota(10, 60), NONE);
            (decision.admitted, decision.remaining, decision.retry_after.as_secs())
        };
        assert_eq!(ask(4, 0), (true, 6, 0));
        assert_eq!(ask(6, 10), (true, 0, 0));
        assert_eq!(ask(5, 20), (false, 0, 50), "four leave at 60, the fifth at 70");
        assert_eq!(ask(4, 60), (true, 0, 0));
        assert_eq!(ask(7, 130), (true, 3, 0));
        assert_eq!(ask(4, 130), (false, 3, 60), "nothing of it was taken");
        assert!(!ask(11, 1000).0, "more than ever fit");
    }

    #[test]
    fn a_quota_lowered_while_running_holds_at_once() {
        let mut window = Window::default();
        for at in 0..5 {
            assert!(window.admit(Duration::from_secs(at), Group::Read, quota(5, 60), NONE).admitted);
        }
        let refused = window.admit(Duration::from_secs(5), Group::Read, quota(2, 60), NONE);
        assert_eq!((refused.admitted, refused.remaining, refused.retry_after.as_secs()), (false, 0, 58));
        assert!(window.admit(Duration::from_secs(63), Group::Read, quota(2, 60), NONE).admitted);
    }

    #[test]
    fn groups_and_keys_do_not_share() {
        let limiter = Limiter::default();
        let ask = |key, group| limiter.admit(key, Duration::ZERO, group, quota(1, 60), MINUTE).admitted;
        assert!(ask("a", Group::Read) && ask("a", Group::Write) && ask("b", Group::Read));
        assert!(!ask("a", Group::Read));
        assert_eq!(limiter.keys(), 2);
        limiter.sweep(Duration::from_mins(1), Duration::from_mins(1));
        assert_eq!(limiter.keys(), 0);
    }

    proptest! {
        /// No span of the window's length ever holds more admissions than the quota, and whoever waits as told is admitted.
        #[test]
        fn never_over_admits_and_keeps_its_promise(
            limit in 1_u32..6, window in 1_u64..20, penalty in 0_u64..20, extend: bool,
            gaps in proptest::collection::vec(0_u64..8, 1..200),
        ) {
            let (quota, penalty) = (quota(limit, window), Penalty { duration: Duration::from_secs(penalty), extend });
            let mut subject = Window::default();
            let (mut now, mut admitted) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let decision = subject.admit(Duration::from_secs(now), Group::Write, quota, penalty);
                if decision.admitted {
                    admitted.push(now);
                    let inside = admitted.iter().filter(|at| **at + window > now).count();
                    prop_assert!(inside <= limit as usize);
                    prop_assert_eq!(decision.remaining as usize, limit as usize - inside);
                } else if gap == 7 {
                    now += decision.retry_after.as_secs();
                    prop_assert!(subject.admit(Duration::from_secs(now), Group::Write, quota, penalty).admitted);
                    admitted.push(now);
                }
            }
        }
    }
}
