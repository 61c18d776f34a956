//! The edge: connections, routes, authentication, limits, handlers and pages. hyper's types stay inside this room.

pub mod authenticate;
mod console;
pub mod error;
mod fetch;
pub mod gateway;
pub mod managed;
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
