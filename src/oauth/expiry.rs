//! Which secrets of a client need a successor before they expire. One that another has taken over from needs none.

use std::time::Duration;

use crate::types::Timestamp;

/// How long a client's secret is good, unless said otherwise: two years (Entra's gallery asks for one to three, entra.md §1.3).
pub const SECRET_LIFE: Duration = Duration::from_hours(2 * 365 * 24);
/// How long before its end a secret is warned about.
pub const WARNING: Duration = Duration::from_hours(60 * 24);

/// The dates of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
}

impl Life {
    /// Whether this one lives at `now`, longer than `other`, and has been used no less recently.
    fn took_over(self, other: Self, now: Timestamp) -> bool {
        let longer = match (self.expires, other.expires) {
            (None, Some(_)) => true,
            (Some(own), Some(other)) => own > other && own > now,
            (_, None) => false,
        };
        longer && self.last_used >= other.last_used
    }
}

/// When the secret at `index` ends for whoever relies on it; `None` if it never does, or another took over from it.
#[must_use]
pub fn relied_on_until(lives: &[Life], index: usize, now: Timestamp) -> Option<Timestamp> {
    let life = *lives.get(index)?;
    let expires = life.expires?;
    let forgotten = expires <= now && life.last_used.is_none();
    let replaced = lives.iter().any(|other| other.took_over(life, now));
    (!forgotten && !replaced).then_some(expires)
}

/// Whether an end at `expires` is to be warned about at `now`, also when it has passed.
#[must_use]
pub fn is_near(expires: Timestamp, now: Timestamp) -> bool {
    expires.since(now) < WARNING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_warned_about_until_another_took_over() {
        const DAY: i64 = 86_400;
        let now = 1000 * DAY;
        let at = |day: i64| (day != 0).then(|| Timestamp::from_seconds(now + day * DAY));
        // Each secret: when it expires and was last used, in days from now; 0 is never. Which are warned about.
        for (secrets, expected) in [
            (vec![(59, -1)], vec![0]),
            (vec![(60, -1)], vec![]),
            (vec![(0, -1)], vec![]),
            (vec![(59, 0)], vec![0]),
            (vec![(-1, -2)], vec![0]),
            (vec![(-1, 0)], vec![]),
            // There is a newer one, not used yet; then used since.
            (vec![(30, -1), (700, 0)], vec![0]),
            (vec![(30, -2), (700, -1)], vec![]),
            (vec![(30, -2), (0, -1)], vec![]),
            (vec![(-1, -2), (700, -1)], vec![]),
            // Both near, the later one in use.
            (vec![(10, -9), (20, -1)], vec![1]),
            (vec![(30, 0), (700, 0)], vec![]),
        ] {
            let lives: Vec<_> =
                secrets.iter().map(|(expires, used)| Life { expires: at(*expires), last_used: at(*used) }).collect();
            let now = Timestamp::from_seconds(now);
            let warned: Vec<_> = (0..lives.len())
                .filter(|index| relied_on_until(&lives, *index, now).is_some_and(|expires| is_near(expires, now)))
                .collect();
            assert_eq!(warned, expected, "{secrets:?}");
        }
    }
}
