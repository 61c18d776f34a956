//! Request limits: the vendor's sliding window with a penalty, exact to the request (design decision 9).
//!
//! In no span of the window's length are more requests admitted than the quota allows. Refused requests do not count; the
//! first one starts the penalty, during which everything is refused. Time is passed in as the span since some fixed start,
//! so nothing here waits or looks at a clock.

pub mod quota;
pub mod window;

pub use quota::{Group, Penalty, Policy, Quota};
pub use window::{Decision, Limiter, Window};
