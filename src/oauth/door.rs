//! The doors of a client: the ways by which it may come to an access token, each open or closed (RFC 6749 §4, RFC 7523).
//!
//! All may be open at once, so that a client moves from one to another without a gap; [`closable`] tells when one can be shut. Closing
//! a door ends what could be asked for through it from then on; access tokens that came through it run out by themselves.

use std::time::Duration;

use crate::types::Timestamp;

/// One way to an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// An administrator approves, and a code is exchanged (RFC 6749 §4.1).
    Code,
    /// A refresh token (RFC 6749 §6).
    Refresh,
    /// The client's own secret (RFC 6749 §4.4).
    ClientCredentials,
    /// An assertion that the client's identity provider signed (RFC 7523 §2.2): workload identity federation.
    Federation,
    /// An assertion signed with the client's own key (RFC 7523 §2.2, `private_key_jwt` of OpenID Connect Core §9).
    PrivateKeyJwt,
}

impl Door {
    /// Every door, in the order they are listed.
    pub const ALL: [Self; 5] =
        [Self::Code, Self::Refresh, Self::ClientCredentials, Self::Federation, Self::PrivateKeyJwt];

    /// Its name on the command line and in the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Refresh => "refresh",
            Self::ClientCredentials => "client_credentials",
            Self::Federation => "federation",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The door of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.as_str() == name)
    }

    /// The door that this one makes a pair with: without codes no refresh tokens, and without those a code lasts an hour.
    #[must_use]
    pub const fn partner(self) -> Option<Self> {
        match self {
            Self::Code => Some(Self::Refresh),
            Self::Refresh => Some(Self::Code),
            Self::ClientCredentials | Self::Federation | Self::PrivateKeyJwt => None,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors(u8);

impl Doors {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Those of a client that keeps a secret, unless said otherwise.
    pub const CONFIDENTIAL: Self = Self::NONE.with(Door::Code).with(Door::Refresh).with(Door::ClientCredentials);
    /// Those that a client without a secret can have.
    pub const PUBLIC: Self = Self::NONE.with(Door::Code).with(Door::Refresh);

    /// The doors with these names; `None` if one of them is no door.
    #[must_use]
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().try_fold(Self::NONE, |doors, name| Door::named(name).map(|door| doors.with(door)))
    }

    /// These and `door`.
    #[must_use]
    pub const fn with(self, door: Door) -> Self {
        Self(self.0 | door.bit())
    }

    /// These without `door`.
    #[must_use]
    pub const fn without(self, door: Door) -> Self {
        Self(self.0 & !door.bit())
    }

    /// Whether `door` is among them.
    #[must_use]
    pub const fn has(self, door: Door) -> bool {
        self.0 & door.bit() != 0
    }

    /// Those of them that are in `other`, too.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The doors in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Door> {
        Door::ALL.into_iter().filter(move |door| self.has(*door))
    }
}

/// How long a door must have been quiet before it is called safe to close: longer than the four weeks after which Entra stops a
/// job that it holds in quarantine.
pub const QUIET: Duration = Duration::from_hours(30 * 24);

/// Whether an open door can be closed without anybody noticing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closable {
    /// Whether it can.
    pub safe: bool,
    /// Why, in words for an operator.
    pub reason: &'static str,
}

/// The rule: a door can be closed when another open door has been used since, and this one has not been used for [`QUIET`] or never.
/// `own` is when it was last used itself, `others` the latest use of any other open door.
#[must_use]
pub fn closable(own: Option<Timestamp>, others: Option<Timestamp>, now: Timestamp) -> Closable {
    let (safe, reason) = match (own, others) {
        (_, None) => (false, "no other open door has been used"),
        (None, Some(_)) => (true, "never used, and another door is in use"),
        (Some(own), Some(_)) if now.since(own) < QUIET => (false, "used in the last 30 days"),
        (Some(own), Some(others)) if others <= own => (false, "no other open door has been used since"),
        (Some(_), Some(_)) => (true, "not used for 30 days, and another door has been used since"),
    };
    Closable { safe, reason }
}

/// [`closable`] for one of a client's `open` doors; `outside` is the latest use of what is no client's door, such as a static secret
/// token. Codes and refresh tokens count as one way in: neither can stand in for the other.
#[must_use]
pub fn closable_door(
    door: Door,
    open: Doors,
    last_used: impl Fn(Door) -> Option<Timestamp>,
    outside: Option<Timestamp>,
    now: Timestamp,
) -> Closable {
    let partner = door.partner().filter(|partner| open.has(*partner));
    let own = last_used(door).max(partner.and_then(&last_used));
    let others = open.iter().filter(|other| *other != door && Some(*other) != partner).filter_map(&last_used).max();
    closable(own, others.max(outside), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read() {
        for door in Door::ALL {
            assert_eq!(Door::named(door.as_str()), Some(door));
            assert!(Doors::NONE.with(door).has(door) && !Doors::NONE.with(door).without(door).has(door));
        }
        assert_eq!(Doors::parse(["code", "refresh"]), Some(Doors::PUBLIC));
        assert_eq!(Doors::parse(["code", "window"]), None);
        assert_eq!(Doors::CONFIDENTIAL.and(Doors::PUBLIC), Doors::PUBLIC);
    }

    #[test]
    fn a_door_can_be_closed_when_another_took_over_and_it_is_quiet() {
        const DAY: i64 = 86_400;
        let now = 100 * DAY;
        let at = |second: i64| (second >= 0).then(|| Timestamp::from_seconds(second));
        // Last use of code, refresh, client_credentials, federation; then of a secret token; the door; the verdict.
        for (code, refresh, secret, federation, outside, door, safe) in [
            (-1, -1, now, now, -1, Door::ClientCredentials, false),
            (-1, -1, now - 29 * DAY, now, -1, Door::ClientCredentials, false),
            (-1, -1, now - 30 * DAY, now, -1, Door::ClientCredentials, true),
            (-1, -1, now - 31 * DAY, now - 40 * DAY, -1, Door::ClientCredentials, false),
            (-1, -1, -1, now, -1, Door::ClientCredentials, true),
            (-1, -1, -1, -1, -1, Door::ClientCredentials, false),
            (-1, -1, now - 40 * DAY, -1, now, Door::ClientCredentials, true),
            // Codes are old while refresh tokens are in use; another way in must be in use before either goes.
            (0, now, -1, -1, -1, Door::Code, false),
            (0, now, now, -1, -1, Door::Code, false),
            (0, now - 50 * DAY, now, -1, -1, Door::Code, true),
            (0, now - 50 * DAY, now, -1, -1, Door::Refresh, true),
        ] {
            let last = |door| match door {
                Door::Code => at(code),
                Door::Refresh => at(refresh),
                Door::ClientCredentials => at(secret),
                Door::Federation => at(federation),
                Door::PrivateKeyJwt => None,
            };
            let open = Doors::CONFIDENTIAL.with(Door::Federation);
            let found = closable_door(door, open, last, at(outside), Timestamp::from_seconds(now));
            assert_eq!(found.safe, safe, "{door:?} {code} {refresh} {secret} {federation} {outside}: {}", found.reason);
        }
    }
}
