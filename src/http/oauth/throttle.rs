//! The brake on guessing passwords. Only wrong guesses count; who is over is told when to come again.
//!
//! Three budgets: an address; an account as tried from one address; and, as a wide net under a guess spread over many addresses, an
//! account as such. The last lets a trickle through and never holds for an address from which the account was signed in to
//! before. A browser that the account signed in with before bears a mark and has a budget of its own instead of all three, so that a
//! stranger cannot lock an administrator out, not even from behind the same address. Keys are hashed into a fixed number of
//! buckets under a random seed: memory is bounded whatever names and addresses are tried, and nothing needs sweeping.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::types::{Clock, Digest, Random};

/// A hashed key.
type Bucket = u16;
/// How many pairs of account and address that signed in are remembered.
const KNOWN: usize = 4096;

/// The gateway's clock for governor.
#[derive(Clone)]
struct Hand(Clock);

impl governor::clock::Clock for Hand {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

/// One budget of wrong guesses per bucket.
struct Budget {
    limiter: RateLimiter<Bucket, HashMapStateStore<Bucket>, Hand, StateInformationMiddleware>,
    every: Duration,
    clock: Hand,
    /// Buckets with nothing left, and until when.
    shut: Mutex<HashMap<Bucket, Duration>>,
}

impl Budget {
    fn new(burst: NonZeroU32, every: Duration, clock: &Clock) -> Self {
        let quota = Quota::with_period(every).unwrap_or_else(|| Quota::per_second(burst)).allow_burst(burst);
        let clock = Hand(clock.clone());
        let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone()).with_middleware();
        Self { limiter, every, clock, shut: Mutex::default() }
    }

    /// How long to wait; zero if a guess is free.
    fn wait(&self, bucket: Bucket) -> Duration {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        match shut.get(&bucket) {
            Some(until) if *until > now => until.saturating_sub(now),
            Some(_) => {
                shut.remove(&bucket);
                Duration::ZERO
            }
            None => Duration::ZERO,
        }
    }

    /// Counts a wrong guess.
    fn count(&self, bucket: Bucket) {
        let now = self.clock.now();
        let until = match self.limiter.check_key(&bucket) {
            Ok(state) if state.remaining_burst_capacity() > 0 => return,
            Ok(_) => now.saturating_add(self.every),
            Err(refused) => now.saturating_add(refused.wait_time_from(now)),
        };
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket, until);
    }
}

/// The brake of one gateway.
pub(super) struct Throttle {
    seed: [u8; 16],
    address: Budget,
    account_at_address: Budget,
    account: Budget,
    browser: Budget,
    known: Mutex<HashMap<Bucket, Digest>>,
}

/// Who is trying to sign in, from where.
pub(super) struct Attempt {
    address: Bucket,
    account_at_address: Bucket,
    account: Bucket,
    pair: Digest,
    /// The browser, if it bears the account's mark.
    browser: Option<Bucket>,
}

impl Throttle {
    pub(super) fn new(clock: &Clock, random: &Random) -> Self {
        let burst = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            seed: random.bytes(),
            address: Budget::new(burst(50), Duration::from_secs(3), clock),
            account_at_address: Budget::new(burst(10), Duration::from_secs(10), clock),
            account: Budget::new(burst(100), Duration::from_secs(5), clock),
            browser: Budget::new(burst(10), Duration::from_secs(10), clock),
            known: Mutex::default(),
        }
    }

    /// An attempt at `username` of `tenant` from `address`, by a browser that bears the account's `mark`, which is known to be genuine.
    /// A host owns a whole /64 of IPv6, so that counts as one address.
    pub(super) fn attempt(&self, tenant: &str, username: &str, address: IpAddr, mark: Option<&str>) -> Attempt {
        let address = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => format!("{:x}", u128::from(address) >> 64),
            },
        };
        let account = format!("{tenant}\0{}", username.to_lowercase());
        let pair = self.digest(&format!("{account}\0{address}"));
        Attempt {
            address: bucket(&self.digest(&address)),
            account_at_address: bucket(&pair),
            account: bucket(&self.digest(&account)),
            pair,
            browser: mark.map(|mark| bucket(&self.digest(&format!("{account}\0{mark}")))),
        }
    }

    /// How long the attempt has to wait; `None` if it may go on.
    pub(super) fn wait(&self, attempt: &Attempt) -> Option<Duration> {
        if let Some(browser) = attempt.browser {
            let wait = self.browser.wait(browser);
            return (wait > Duration::ZERO).then_some(wait);
        }
        let mut wait = self.address.wait(attempt.address).max(self.account_at_address.wait(attempt.account_at_address));
        if !self.is_known(attempt) {
            wait = wait.max(self.account.wait(attempt.account));
        }
        (wait > Duration::ZERO).then_some(wait)
    }

    /// The guess was wrong.
    pub(super) fn wrong(&self, attempt: &Attempt) {
        if let Some(browser) = attempt.browser {
            return self.browser.count(browser);
        }
        self.address.count(attempt.address);
        self.account_at_address.count(attempt.account_at_address);
        self.account.count(attempt.account);
    }

    /// The guess was right: from here, this account is not held up by what others do to it.
    pub(super) fn right(&self, attempt: &Attempt) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(attempt.account_at_address, attempt.pair);
    }

    fn is_known(&self, attempt: &Attempt) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&attempt.account_at_address).is_some_and(|pair| pair.same(&attempt.pair))
    }

    fn digest(&self, text: &str) -> Digest {
        Digest::of(&[&self.seed[..], text.as_bytes()].concat())
    }
}

fn bucket(digest: &Digest) -> Bucket {
    Bucket::from_be_bytes([digest.0[0], digest.0[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    fn throttle() -> (Throttle, Clock) {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        (Throttle::new(&clock, &Random::seeded(1)), clock)
    }

    fn guess(throttle: &Throttle, name: &str, address: &str) -> Option<Duration> {
        let attempt = throttle.attempt("acme", name, address.parse().unwrap(), None);
        let wait = throttle.wait(&attempt);
        if wait.is_none() {
            throttle.wrong(&attempt);
        }
        wait
    }

    #[test]
    fn ten_guesses_at_one_account_then_one_in_ten_seconds() {
        let (throttle, clock) = throttle();
        for _ in 0..10 {
            assert_eq!(guess(&throttle, "ada", "192.0.2.1"), None);
        }
        assert_eq!(guess(&throttle, "ADA", "192.0.2.1"), Some(Duration::from_secs(10)));
        assert_eq!(guess(&throttle, "bob", "192.0.2.1"), None, "another account");
        assert_eq!(guess(&throttle, "ada", "192.0.2.2"), None, "another address");
        clock.advance(Duration::from_secs(10));
        assert_eq!(guess(&throttle, "ada", "192.0.2.1"), None);
        assert!(guess(&throttle, "ada", "192.0.2.1").is_some());
    }

    #[test]
    fn one_address_has_fifty_guesses_at_whomever() {
        let (throttle, _) = throttle();
        for index in 0..50 {
            assert_eq!(guess(&throttle, &format!("user{index}"), &format!("2001:db8::{index}")), None, "{index}");
        }
        assert!(guess(&throttle, "somebody", "2001:db8::ffff").is_some(), "the same /64");
        assert_eq!(guess(&throttle, "somebody", "2001:db8:1::1"), None);
    }

    #[test]
    fn a_spread_guess_meets_a_trickle_that_does_not_hold_up_the_administrator() {
        let (throttle, clock) = throttle();
        let home = throttle.attempt("acme", "ada", "198.51.100.1".parse().unwrap(), None);
        throttle.right(&home);
        for index in 0..100 {
            assert_eq!(guess(&throttle, "ada", &format!("192.0.2.{index}")), None, "{index}");
        }
        assert!(guess(&throttle, "ada", "192.0.2.200").is_some());
        assert_eq!(throttle.wait(&home), None);
        clock.advance(Duration::from_secs(5));
        assert_eq!(guess(&throttle, "ada", "192.0.2.201"), None);
    }

    #[test]
    fn a_marked_browser_is_held_up_by_its_own_guesses_alone() {
        let (throttle, _) = throttle();
        for index in 0..60 {
            guess(&throttle, &format!("user{}", index / 12), "192.0.2.1");
        }
        assert!(guess(&throttle, "ada", "192.0.2.1").is_some(), "the address is shut");
        let marked = |mark| throttle.attempt("acme", "ada", "192.0.2.1".parse().unwrap(), Some(mark));
        for _ in 0..10 {
            assert_eq!(throttle.wait(&marked("m")), None);
            throttle.wrong(&marked("m"));
        }
        assert!(throttle.wait(&marked("m")).is_some(), "a stolen mark is worth ten guesses");
        assert_eq!(throttle.wait(&marked("n")), None);
    }
}
