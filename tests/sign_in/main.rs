//! Signing in over real sockets: local passwords, the organisation's OpenID provider, the user system's word, and the console behind.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod console;
mod directory;
mod ldap;
mod local;
mod oidc;
mod peer;
mod provider;
mod visitor;

#[path = "../support/mod.rs"]
mod support;
