//! A password that an LDAP server verifies (RFC 4513 §5.1): find the person's entry, then bind as that entry.
//!
//! The name goes into the filter escaped (RFC 4515 §3), the password into the bind and nowhere else. Every sign-in has a connection of
//! its own: a bind changes who a connection is, and one that is kept would be somebody. Nothing goes over a network in clear.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions, ldap_escape};
use rustls::ClientConfig;

use super::Verdict;
use crate::config::sign_in::Ldap;
use crate::directory::client::tls;
use crate::types::Secret;

/// `invalidCredentials` (RFC 4511 §4.1.9).
const INVALID_CREDENTIALS: u32 = 49;
/// `sizeLimitExceeded`.
const SIZE_LIMIT: u32 = 4;
/// The longest value that tells somebody apart.
const MAX_SUBJECT: usize = 255;

/// One tenant's server.
pub(super) struct Server {
    ldap: Ldap,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// Reads the machine's trust roots if the server is not on this machine.
    ///
    /// # Errors
    /// Says why TLS cannot be set up.
    pub(super) fn new(ldap: &Ldap, timeout: Duration) -> Result<Self, String> {
        let tls = if ldap.in_clear { None } else { Some(Arc::new(tls(true)?)) };
        Ok(Self { ldap: ldap.clone(), timeout, tls })
    }

    /// Asks the server, within the deadline all in all.
    pub(super) async fn ask(&self, username: &str, password: &Secret) -> Verdict {
        match tokio::time::timeout(self.timeout, self.bind(username, password)).await {
            Ok(Ok(verdict)) => verdict,
            // The library's texts name results and addresses, not what was sent.
            Ok(Err(error)) => Verdict::Out(error.to_string()),
            Err(_) => Verdict::Out("no answer in time".to_owned()),
        }
    }

    async fn bind(&self, username: &str, password: &Secret) -> Result<Verdict, LdapError> {
        let Ldap { url, bind, base, filter, subject, role, in_clear } = &self.ldap;
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(self.timeout)
            .set_starttls(!in_clear && url.starts_with("ldap://"));
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, url).await?;
        // It ends with the handle.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "the connection to an LDAP server ended");
            }
        });
        if let Some((dn, secret)) = bind {
            ldap.simple_bind(dn, secret.expose()).await?.success()?;
        }
        let filter = filter.replace("{username}", &ldap_escape(username));
        let attributes = [subject.as_str(), role.as_str()];
        ldap.with_search_options(SearchOptions::new().sizelimit(2));
        let found = ldap.search(base, Scope::Subtree, &filter, attributes).await?;
        if found.1.rc == SIZE_LIMIT {
            return Ok(several());
        }
        let (entries, _) = found.success()?;
        // Referrals are no entries.
        let mut entries: Vec<_> =
            entries.into_iter().filter(|entry| !entry.is_ref()).map(SearchEntry::construct).collect();
        let entry = match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) => entry,
            (Some(_), false) => return Ok(several()),
            (None, _) => {
                // An unknown name costs a bind, too; there is no such entry to bind as.
                ldap.simple_bind(&format!("cn=nobody,{base}"), password.expose()).await?;
                ldap.unbind().await?;
                return Ok(Verdict::Wrong);
            }
        };
        let answer = ldap.simple_bind(&entry.dn, password.expose()).await?;
        ldap.unbind().await?;
        match answer.rc {
            0 => {}
            INVALID_CREDENTIALS => return Ok(Verdict::Wrong),
            // Its own text may name the person.
            other => return Ok(Verdict::Out(format!("the server answers a bind with result {other}"))),
        }
        let Some(subject) = first(&entry, subject) else {
            return Ok(Verdict::Out(format!("the entry has no `{subject}` that tells the person apart (`subject`)")));
        };
        let groups = values(&entry, role).cloned().collect();
        Ok(Verdict::Right { subject, name: username.to_owned(), groups })
    }
}

fn several() -> Verdict {
    Verdict::Out("several entries fit the name; make `filter` find one".to_owned())
}

fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> impl Iterator<Item = &'a String> {
    let named = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.into_iter().flat_map(|(_, values)| values)
}

/// The first value; one that is no text (`objectGUID`) in hexadecimal.
fn first(entry: &SearchEntry, attribute: &str) -> Option<String> {
    let text = values(entry, attribute).next().cloned();
    let binary = || {
        let (_, values) = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute))?;
        let mut text = String::new();
        for byte in values.first()? {
            let _ = write!(text, "{byte:02x}");
        }
        Some(text)
    };
    text.or_else(binary)
        .filter(|subject| !subject.is_empty() && subject.len() <= MAX_SUBJECT && !subject.contains('\0'))
}
