//! What is allowed: the numbers of a tenant's limits.

use std::num::NonZeroU32;
use std::time::Duration;

/// Which budget a request draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// GET, HEAD and `.search`.
    Read,
    /// POST, PUT, PATCH, DELETE.
    Write,
}

impl Group {
    /// The word in `X-Rate-Limit-Group` and in metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// So many requests in a window of such a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub requests: NonZeroU32,
    /// In which span.
    pub window: Duration,
}

/// What follows the first refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// For how long everything of the same budget is refused; zero for no penalty.
    pub duration: Duration,
    /// Whether a request made during the penalty starts it anew (the vendor's strict reading; off by default, because a
    /// client that never pauses would be locked out for good).
    pub extend: bool,
}

/// A tenant's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For reads; `None` is unlimited.
    pub read: Option<Quota>,
    /// For writes; `None` is unlimited.
    pub write: Option<Quota>,
    /// For both.
    pub penalty: Penalty,
    /// Count and report, refuse nothing.
    pub shadow: bool,
}

impl Policy {
    /// The quota of one group.
    pub const fn quota(&self, group: Group) -> Option<Quota> {
        match group {
            Group::Read => self.read,
            Group::Write => self.write,
        }
    }
}
