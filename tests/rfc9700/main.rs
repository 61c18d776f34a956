//! RFC 9700 (OAuth 2.0 Security Best Current Practice) as a checklist, over real sockets: a row each, its section in the name. What the
//! RFC leaves to RFC 6749 §10 and to common sense about forms and guessing stands here too.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod access_tokens;
mod browser;
mod clients;
mod codes;
mod redirects;
mod site;
#[path = "../support/mod.rs"]
mod support;
