//! The authorization server's rules (RFC 6749 and its kin) as plain functions and types: no I/O, no clock, no store.

pub mod authorize;
pub mod claims;
pub mod client;
pub mod derive;
pub mod error;
pub mod exchange;
pub mod metadata;
pub mod opaque;
pub mod parameters;
pub mod password;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod role;
pub mod scope;

pub use error::{ErrorCode, OAuthError};
pub use role::Role;
pub use scope::{Scope, Scopes};
