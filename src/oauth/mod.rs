//! The authorization server's rules (RFC 6749 and its kin) as plain functions and types: no I/O, no clock, no store.

pub mod assertion;
pub mod authorize;
pub mod claims;
pub mod client;
pub mod derive;
pub mod door;
pub mod error;
pub mod exchange;
pub mod expiry;
pub mod id_token;
pub mod jws;
pub mod metadata;
pub mod opaque;
pub mod parameters;
pub mod password;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod role;
pub mod rotation;
pub mod scope;
pub mod seal;
pub mod signature;

pub use door::{Door, Doors};
pub use error::{ErrorCode, OAuthError};
pub use role::Role;
pub use scope::{Scope, Scopes};
