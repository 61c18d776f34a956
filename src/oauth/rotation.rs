//! The life of a signing key: published, signing, published still, retired.
//!
//! A key signs from the moment set for it until the next one's. It stays published and is believed until the last token it can
//! have signed has expired; what it is said to have signed after its time is a forgery. Which key signed is told by a token's `iat`, so
//! that making a token again (a repeated refresh) takes the same key again.

use std::time::Duration;

use crate::types::Timestamp;

/// How long before its first signature a new key is there: every process that shares the state has noticed it by then, as it notices
/// a revocation. Nobody else has to know it beforehand; resource servers ask `/introspect`, and whoever verifies by `/jwks`
/// fetches it again for a `kid` that is new.
pub const LEAD: Duration = Duration::from_secs(1);
/// The longest an access token of any dialect or setting lives.
pub const LONGEST_TOKEN: Duration = Duration::from_hours(6);
/// How far the clocks of two replicas may be apart.
pub const SKEW: Duration = Duration::from_mins(1);

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Published, and will sign.
    Next,
    /// Signs.
    Signing,
    /// Signs no more, is published still.
    Published,
    /// Not believed any more.
    Retired,
}

impl Stage {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }
}

/// When a key signs, and until when it is believed; `None` while nothing follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The first moment it signs.
    pub from: Timestamp,
    /// When the next key takes over.
    pub until: Option<Timestamp>,
}

impl Life {
    /// The lives of keys that sign from these moments, the latest first.
    pub fn of(starts: &[Timestamp]) -> Vec<Self> {
        let next = std::iter::once(None).chain(starts.iter().copied().map(Some));
        starts.iter().zip(next).map(|(from, until)| Self { from: *from, until }).collect()
    }

    /// When it is not believed any more.
    #[must_use]
    pub fn retires(&self) -> Option<Timestamp> {
        self.until.map(|until| until.after(LONGEST_TOKEN).after(SKEW))
    }

    /// Where it is at `now`.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Stage {
        match (self.until, self.retires()) {
            (_, Some(retires)) if now >= retires => Stage::Retired,
            (Some(until), _) if now >= until => Stage::Published,
            _ if now < self.from => Stage::Next,
            _ => Stage::Signing,
        }
    }

    /// Whether it can have signed, by our clock or a replica's, a token issued at `issued`.
    #[must_use]
    pub fn covers(&self, issued: Timestamp) -> bool {
        self.until.is_none_or(|until| issued < until.after(SKEW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_life() {
        let at = Timestamp::from_seconds;
        let lives = Life::of(&[at(2000), at(1000)]);
        let (new, old) = (lives[0], lives[1]);
        let last = 2000 + 6 * 3600 + 60;
        for (now, expected) in [
            (1999, (Stage::Next, Stage::Signing)),
            (2000, (Stage::Signing, Stage::Published)),
            (last - 1, (Stage::Signing, Stage::Published)),
            (last, (Stage::Signing, Stage::Retired)),
        ] {
            assert_eq!((new.stage(at(now)), old.stage(at(now))), expected, "{now}");
        }
        assert!(old.covers(at(2059)) && !old.covers(at(2060)) && new.covers(at(i64::MAX / 1000)));
    }
}
