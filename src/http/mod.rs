//! The edge: connections, routes, authentication, limits, handlers and pages.

pub mod message;
