//! The doors by which identity providers come to an access token, as conversations over real sockets with a clock that is moved:
//! secrets, federation, own keys, Entra's tokens, and the way from one to another.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "../support/mod.rs"]
mod support;

mod client_secrets;
mod entra_tokens;
mod federation;
mod issuer;
mod key_fetching;
mod moving;
mod one_by_one;
mod private_key_jwt;
mod table;
