//! Conversations with the authorization server, as requests and answers: no sockets, no waiting, a clock that is moved.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod authorize;
mod bearer;
mod gate;
mod refresh;
mod token;
