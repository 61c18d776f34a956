//! Portcullis: an OAuth-authorized SCIM 2.0 gateway.
//!
//! It stands in front of a user system that has no SCIM of its own and lets identity providers provision people into it.
//! The rooms, from the top down; arrows (`use` lines) only point down, which `tests/architecture.rs` checks:
//!
//! ```text
//! main, app, cli, demo, rehearse   the only places that name concrete parts; flags to actions
//!   http                           the edge: connections, routes, authentication, limits, handlers, pages
//!   store, directory               adapters: the gateway's own state; connectors to user systems
//!     ports                        what the core asks of the world
//!       scim dialect mapping oauth limit   the core: plain functions and types, no I/O, no clock, no randomness
//!         types                    ids, secrets, time, small shared words
//! beside: config (the composed configuration), telemetry (log lines and metric names)
//! ```

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod directory;
pub mod http;
pub mod limit;
pub mod mapping;
pub mod oauth;
pub mod ports;
pub mod rehearse;
pub mod scim;
pub mod store;
pub mod telemetry;
pub mod types;
