//! The edge: connections, routes, authentication, limits, handlers and pages. hyper's types stay inside this room.

pub mod authenticate;
pub mod error;
pub mod gateway;
pub mod message;
pub mod oauth;
pub mod operations;
pub mod page;
pub mod permit;
pub mod record;
pub mod route;
pub mod scim;
pub mod serve;
pub mod tls;
