//! Rotation of refresh tokens (RFC 6749 §6, RFC 9700 §4.14.2) that survives a lost answer (design decision 8).
//!
//! A grant has generations: number 0 comes with the code, each refresh makes the next. A generation is one refresh token and one
//! access token; it is *confirmed* when either is first used. The refresh token before an unconfirmed generation still works and
//! gives that generation again, for an hour at most: whoever lost the answer asks again and gets it. Any other use of an
//! old refresh token means that somebody has a copy.

use std::time::Duration;

use crate::types::Timestamp;

/// How long after its issue an unconfirmed generation is given again.
pub const REPEATABLE: Duration = Duration::from_hours(1);

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
    /// It has not been used for too long.
    Expired,
}

/// Judges the refresh token of generation `presented` when the grant's newest is `current`; refresh tokens live for `idle`.
#[must_use]
pub fn judge(presented: Generation, current: Generation, now: Timestamp, idle: Duration) -> Verdict {
    if presented.number == current.number {
        return if now.since(presented.issued) < idle { Verdict::Rotate } else { Verdict::Expired };
    }
    let lost = presented.number + 1 == current.number && !current.confirmed && now.since(current.issued) < REPEATABLE;
    if lost { Verdict::Repeat } else { Verdict::Replay }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                judge(at(presented, 0), at(current, 0), Timestamp::from_seconds(now), Duration::from_hours(720)),
                expected,
                "{presented} of {current}, confirmed {confirmed}, at {now}"
            );
        }
    }
}
