//! Rotation of refresh tokens (RFC 6749 §6, RFC 9700 §4.14.2) that survives a lost answer (design decision 8).
//!
//! A grant has generations: number 0 comes with the code, each refresh makes the next. A generation is one refresh token and one
//! access token; it is *confirmed* when either is first used. The refresh token before an unconfirmed generation still works and
//! gives that generation again, for an hour at most: whoever lost the answer asks again and gets it. Any other use of an
//! old refresh token means that somebody has a copy.
//!
//! A request is held to what had been used when it came in: one of several workers that refresh at once may find, when its turn
//! comes, that another has used the result already ([`Verdict::as_it_came_in`]).

use std::time::Duration;

use crate::types::Timestamp;

/// How long after its issue an unconfirmed generation is given again.
pub const REPEATABLE: Duration = Duration::from_hours(1);

/// How long refresh tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Without being used.
    pub idle: Duration,
    /// However much they are used, from when the administrator approved; `None` is for ever.
    pub limit: Option<Duration>,
}

impl Lifetime {
    /// The longest a refresh token issued now can live.
    #[must_use]
    pub fn at_most(&self) -> Duration {
        self.limit.map_or(self.idle, |limit| limit.min(self.idle))
    }

    /// When a refresh token issued at `issued` in a grant made at `granted` stops being good.
    #[must_use]
    pub fn ends(&self, granted: Timestamp, issued: Timestamp) -> Timestamp {
        let idle = issued.after(self.idle);
        self.limit.map_or(idle, |limit| granted.after(limit).min(idle))
    }
}

/// One generation of a grant, as far as rotation is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// 0 for the tokens that came with the code.
    pub number: i64,
    /// When its refresh token came to be.
    pub issued: Timestamp,
    /// Whether one of its tokens has been used.
    pub confirmed: bool,
}

/// What to do with a refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make the next generation.
    Rotate,
    /// Give the current generation again.
    Repeat,
    /// Somebody has a copy: end the grant.
    Replay,
    /// It has not been used for too long, or its grant has come to its limit.
    Expired,
}

impl Verdict {
    /// This verdict, of a request that would have been judged `before` when it came in: what was good then gets what came of it.
    #[must_use]
    pub fn as_it_came_in(self, before: Option<Self>) -> Self {
        match (self, before) {
            (Self::Replay, Some(Self::Rotate | Self::Repeat)) => Self::Repeat,
            (verdict, _) => verdict,
        }
    }
}

/// Judges the refresh token of generation `presented` when the newest of its grant, made at `granted`, is `current`.
#[must_use]
pub fn judge(
    presented: Generation,
    current: Generation,
    granted: Timestamp,
    now: Timestamp,
    lifetime: Lifetime,
) -> Verdict {
    let newest = presented.number == current.number;
    let lost = presented.number + 1 == current.number && !current.confirmed && now.since(current.issued) < REPEATABLE;
    if !newest && !lost {
        Verdict::Replay
    } else if now >= lifetime.ends(granted, if newest { presented.issued } else { current.issued }) {
        Verdict::Expired
    } else if newest {
        Verdict::Rotate
    } else {
        Verdict::Repeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Lifetime = Lifetime { idle: Duration::from_hours(720), limit: None };

    #[test]
    fn the_table_of_decision_8() {
        const DAY: i64 = 86_400;
        for (presented, current, confirmed, now, expected) in [
            // The newest, in time and too late.
            (0, 0, false, 10, Verdict::Rotate),
            (3, 3, true, 10, Verdict::Rotate),
            (3, 3, false, 30 * DAY - 1, Verdict::Rotate),
            (3, 3, false, 30 * DAY, Verdict::Expired),
            // The one before: again until the new one is used, an hour at most.
            (2, 3, false, 0, Verdict::Repeat),
            (2, 3, false, 3599, Verdict::Repeat),
            (2, 3, false, 3600, Verdict::Replay),
            (2, 3, true, 1, Verdict::Replay),
            // Older ones never.
            (1, 3, false, 1, Verdict::Replay),
            (0, 3, true, 90 * DAY, Verdict::Replay),
        ] {
            let at = |number, issued| Generation { number, issued: Timestamp::from_seconds(issued), confirmed };
            assert_eq!(
                judge(
                    at(presented, 0),
                    at(current, 0),
                    Timestamp::from_seconds(0),
                    Timestamp::from_seconds(now),
                    MONTH
                ),
                expected,
                "{presented} of {current}, confirmed {confirmed}, at {now}"
            );
        }
    }

    #[test]
    fn a_grant_may_have_a_limit() {
        let at = |number, issued| Generation { number, issued: Timestamp::from_seconds(issued), confirmed: false };
        let limited = Lifetime { limit: Some(Duration::from_secs(1000)), ..MONTH };
        for (now, expected) in [(999, (Verdict::Rotate, Verdict::Repeat)), (1000, (Verdict::Expired, Verdict::Expired))]
        {
            let judge = |presented| {
                judge(presented, at(3, 900), Timestamp::from_seconds(0), Timestamp::from_seconds(now), limited)
            };
            assert_eq!((judge(at(3, 900)), judge(at(2, 0))), expected, "{now}");
        }
    }

    #[test]
    fn only_what_was_good_when_it_came_in_is_saved() {
        for (before, now, expected) in [
            (Some(Verdict::Rotate), Verdict::Replay, Verdict::Repeat),
            (Some(Verdict::Repeat), Verdict::Replay, Verdict::Repeat),
            (Some(Verdict::Replay), Verdict::Replay, Verdict::Replay),
            (None, Verdict::Replay, Verdict::Replay),
            (Some(Verdict::Rotate), Verdict::Repeat, Verdict::Repeat),
            (Some(Verdict::Rotate), Verdict::Rotate, Verdict::Rotate),
            (Some(Verdict::Rotate), Verdict::Expired, Verdict::Expired),
        ] {
            assert_eq!(now.as_it_came_in(before), expected, "{before:?} {now:?}");
        }
    }
}
