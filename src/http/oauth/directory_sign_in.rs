//! Passwords that the tenant's user system verifies (`sign_in.kind = "directory"`).
//!
//! The password passes through: it stands in the body of one call or in one bind, never in an address, a log line or the state. What is neither a
//! yes nor a no (another status, a redirect, silence) means that the user system is out of order, and counts as no guess.

mod ldap;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::config::Tenant;
use crate::config::sign_in::{Directory, Rest, Verifier};
use crate::directory::client::Client;
use crate::oauth::password::MAX_BYTES;
use crate::types::{Clock, Secret};

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How many calls of one tenant are under way at once.
const AT_ONCE: usize = 8;
/// The longest name that anybody is asked about.
const MAX_NAME: usize = 254;

/// What the user system says of a name and a password.
pub(super) enum Verdict {
    /// They belong together.
    Right {
        /// What tells the person apart for good.
        subject: String,
        /// What to call them.
        name: String,
        /// What [`Directory::roles`] are about.
        groups: Vec<String>,
    },
    /// They do not.
    Wrong,
    /// It does not say; the reason is for the log and holds no value.
    Out(String),
}

/// Every tenant's user system, as far as it verifies passwords.
pub(super) struct Verifiers {
    clock: Clock,
    known: Mutex<HashMap<String, Arc<Kept>>>,
}

/// Who is asked, and what they were made for.
struct Kept {
    verifier: Verifier,
    timeout: Duration,
    asks: Asks,
}

enum Asks {
    Rest(Box<Caller>),
    Ldap(ldap::Server),
}

struct Caller {
    rest: Rest,
    client: Client,
}

impl Verifiers {
    /// Knows none yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Asks the tenant's user system.
    pub(super) async fn ask(&self, tenant: &Tenant, config: &Directory, username: &str, password: &Secret) -> Verdict {
        // An empty password is none: to an LDAP server it means "anonymous", which it may well allow.
        let name = username;
        let odd = name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control);
        if odd || password.expose().is_empty() || password.expose().len() > MAX_BYTES {
            return Verdict::Wrong;
        }
        match self.kept(&tenant.name, config).await {
            Ok(kept) => match &kept.asks {
                Asks::Rest(caller) => caller.ask(name, password).await,
                Asks::Ldap(server) => server.ask(name, password).await,
            },
            Err(reason) => Verdict::Out(reason),
        }
    }

    /// Who is asked for the tenant; another one when the configuration has changed.
    async fn kept(&self, tenant: &str, config: &Directory) -> Result<Arc<Kept>, String> {
        let Directory { verifier, timeout, .. } = config.clone();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = known.get(tenant).filter(|kept| kept.verifier == verifier && kept.timeout == timeout) {
                return Ok(Arc::clone(kept));
            }
        }
        // Trust roots are read from files.
        let clock = self.clock.clone();
        let made = tokio::task::spawn_blocking(move || {
            let asks = match &verifier {
                Verifier::Rest(rest) => {
                    let client = Client::new(rest.base.clone(), rest.token.as_ref(), timeout, AT_ONCE, clock)?;
                    Asks::Rest(Box::new(Caller { rest: rest.clone(), client }))
                }
                Verifier::Ldap(ldap) => Asks::Ldap(ldap::Server::new(ldap, timeout)?),
            };
            Ok::<_, String>(Arc::new(Kept { verifier, timeout, asks }))
        });
        let kept = made.await.map_err(|error| error.to_string())??;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(tenant.to_owned(), Arc::clone(&kept));
        Ok(kept)
    }
}

impl Caller {
    async fn ask(&self, username: &str, password: &Secret) -> Verdict {
        let Rest { base, method, path, body, success, wrong, subject, role, .. } = &self.rest;
        let encoded = utf8_percent_encode(username, RESERVED).to_string();
        // A name made of dots would address something else.
        if path.contains("{username}") && encoded.bytes().all(|byte| byte == b'.') {
            return Verdict::Wrong;
        }
        let path = format!("{}{}", base.prefix(), path.replace("{username}", &encoded));
        let Ok(path) = PathAndQuery::from_maybe_shared(Bytes::from(path)) else { return Verdict::Wrong };
        let body = Bytes::from_owner(Zeroizing::new(fill(body, username, password).to_string().into_bytes()));
        let answer = match self.client.call(method, path, Some(body), self.client.deadline()).await {
            Ok(answer) => answer,
            Err(error) => return Verdict::Out(error.to_string()),
        };
        if wrong.contains(&answer.status) {
            return Verdict::Wrong;
        }
        if answer.status != *success {
            return Verdict::Out(format!("it answers a sign-in with {}", answer.status.as_u16()));
        }
        // An answer without a body names no role; what is no JSON neither.
        let document: Json = serde_json::from_slice(&answer.body).unwrap_or(Json::Null);
        let subject = match subject {
            None => username.to_lowercase(),
            Some(pointer) => match pointer.texts(&document).into_iter().next().filter(|text| is_subject(text)) {
                Some(subject) => subject,
                None => return Verdict::Out("its answer does not say who signed in (`subject`)".to_owned()),
            },
        };
        Verdict::Right { subject, name: username.to_owned(), groups: role.texts(&document) }
    }
}

fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.contains('\0')
}

/// The body with name and password in the places meant for them. They are filled into texts, never into the JSON around them.
fn fill(template: &Json, username: &str, password: &Secret) -> Json {
    match template {
        // Only what stands in the template counts as a place: a name may well be `{password}`.
        Json::String(text) => {
            let parts = text.split("{password}").map(|part| part.replace("{username}", username));
            parts.collect::<Vec<_>>().join(password.expose()).into()
        }
        Json::Array(items) => items.iter().map(|item| fill(item, username, password)).collect(),
        Json::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), fill(value, username, password))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_passwords_stay_in_their_places() {
        let template = json!({"user": {"login": "{username}"}, "secret": ["pw:{password}"], "kind": 1});
        let filled = fill(&template, "{password}\",\"admin\":\"", &Secret::new("a\"b{username}"));
        let expected =
            json!({"user": {"login": "{password}\",\"admin\":\""}, "secret": ["pw:a\"b{username}"], "kind": 1});
        assert_eq!(filled, expected);
    }
}
