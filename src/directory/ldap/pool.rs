//! Connections to the server: bounded in number, bound as the operator says, checked before they are used again. A connection
//! on which an operation broke or was given up is never used again; the work of others is not touched.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ldap3::asn1::{StructureTag, parse_tag};
use ldap3::controls::PagedResults;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Mod, ResultEntry, Scope, SearchOptions};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::config::Config;
use super::fault::{Fault, code};
use crate::directory::client::{tls, tls_with};
use crate::ports::DirectoryError;

/// RFC 2696.
const PAGED: &str = "1.2.840.113556.1.4.319";
/// How long an idle connection is trusted to be alive without asking.
const TRUSTED: Duration = Duration::from_secs(5);
/// How long it is kept at all.
const KEPT: Duration = Duration::from_mins(5);

/// The pool.
pub struct Pool {
    url: String,
    settings: LdapConnSettings,
    bind: Option<(String, crate::types::Secret)>,
    timeout: Duration,
    page_size: i32,
    permits: Semaphore,
    idle: Mutex<Vec<(Ldap, Instant)>>,
}

/// One connection while a piece of work has it.
pub struct Session<'p> {
    pool: &'p Pool,
    ldap: Ldap,
    permit: SemaphorePermit<'p>,
    /// Operations that have begun and not ended.
    under_way: AtomicUsize,
}

/// An entry as the server sends it.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Its name.
    pub dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Raw {
    /// The values of an attribute.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let held = self.attributes.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
        held.map_or(&[], |(_, values)| values)
    }

    /// Those that are text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Names and values of all attributes.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &[Vec<u8>])> {
        self.attributes.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Reads a search result entry (RFC 4511 §4.5.2); `None` for a referral and for what makes no sense.
    fn read(entry: ResultEntry) -> Option<Self> {
        let mut parts = entry.0.match_id(4)?.expect_constructed()?.into_iter();
        let text = |tag: StructureTag| String::from_utf8(tag.expect_primitive()?).ok();
        let dn = text(parts.next()?)?;
        let mut attributes = Vec::new();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = text(parts.next()?)?;
            let values = parts.next()?.expect_constructed()?.into_iter().filter_map(StructureTag::expect_primitive);
            attributes.push((name, values.collect()));
        }
        Some(Self { dn, attributes })
    }
}

impl Pool {
    /// Reads the trust roots; nothing is called yet.
    ///
    /// # Errors
    /// `Failed` when TLS cannot be set up.
    pub fn new(config: &Config) -> Result<Self, DirectoryError> {
        let failed = |reason: String| DirectoryError::Failed { reason, maybe_done: false };
        let mut settings = LdapConnSettings::new().set_conn_timeout(config.timeout).set_starttls(config.starttls);
        if config.tls {
            let tls = match &config.ca {
                None => tls(true),
                Some(file) => CertificateDer::pem_file_iter(file)
                    .and_then(Iterator::collect)
                    .map_err(|error| format!("the trusted roots {} cannot be read: {error}", file.display()))
                    .and_then(tls_with),
            };
            settings = settings.set_config(Arc::<ClientConfig>::new(tls.map_err(failed)?));
        }
        Ok(Self {
            url: config.url.clone(),
            settings,
            bind: config.bind.clone(),
            timeout: config.timeout,
            page_size: config.page_size,
            permits: Semaphore::new(config.max_connections),
            idle: Mutex::default(),
        })
    }

    /// A connection, when there is one to be had.
    ///
    /// # Errors
    /// As the server cannot be reached or refuses us.
    pub async fn session(&self) -> Result<Session<'_>, Fault> {
        let closed = |_| Fault::Broken { reason: "the connections are closed".into(), maybe_done: false };
        let mut permit = self.permits.acquire().await.map_err(closed)?;
        while let Some((mut ldap, since)) = self.take() {
            if ldap.is_closed() || since.elapsed() >= KEPT {
                continue;
            }
            let session = Session { pool: self, ldap, permit, under_way: AtomicUsize::new(0) };
            if since.elapsed() < TRUSTED || session.entry("", "(objectClass=*)", &["1.1"]).await.is_ok() {
                return Ok(session);
            }
            permit = session.permit;
        }
        self.connect(permit).await
    }

    async fn connect<'p>(&'p self, permit: SemaphorePermit<'p>) -> Result<Session<'p>, Fault> {
        let not_done = |fault: Fault| match fault {
            Fault::Broken { reason, .. } => Fault::Broken { reason, maybe_done: false },
            other => other,
        };
        let (connection, ldap) = LdapConnAsync::with_settings(self.settings.clone(), &self.url)
            .await
            .map_err(|error| not_done(error.into()))?;
        // It ends with the handle.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "the connection to an LDAP server ended");
            }
        });
        let session = Session { pool: self, ldap, permit, under_way: AtomicUsize::new(0) };
        if let Some((dn, password)) = &self.bind {
            let bound = session.tracked(session.ready().simple_bind(dn, password.expose())).await;
            checked(bound.map_err(not_done)?)?;
        }
        Ok(session)
    }

    fn take(&self) -> Option<(Ldap, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Ends the connections that are idle; those at work end with it.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Session<'_> {
    /// Gives the connection back, if it is as it was. One that is dropped instead is closed.
    pub fn done(self) {
        if self.under_way.into_inner() == 0 && !self.pool.permits.is_closed() {
            let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((self.ldap, Instant::now()));
        }
    }

    /// An operation. One that is given up, or during which the connection breaks, never ends.
    async fn tracked<T, E: Into<Fault>>(
        &self,
        operation: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Fault> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let outcome = operation.await.map_err(E::into);
        if !outcome.as_ref().is_err_and(Fault::ends_connection) {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
        }
        outcome
    }

    /// A handle whose next operation ends in time. Several may be at work on one connection.
    fn ready(&self) -> Ldap {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.pool.timeout);
        ldap
    }

    /// One search operation: its entries, and how it ended. More than `most` entries break the connection.
    async fn search(
        mut ldap: Ldap,
        (base, scope): (&str, Scope),
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<(Vec<Raw>, LdapResult), Fault> {
        let mut stream = ldap.streaming_search(base, scope, filter, attributes).await?;
        let mut found = Vec::new();
        while let Some(entry) = stream.next().await? {
            if entry.is_ref() || entry.is_intermediate() {
                continue;
            }
            if found.len() == most {
                let reason = "the server sends more entries than were asked for".to_owned();
                return Err(Fault::Broken { reason, maybe_done: false });
            }
            let senseless =
                || Fault::Broken { reason: "the server sends an entry that makes no sense".into(), maybe_done: false };
            found.push(Raw::read(entry).ok_or_else(senseless)?);
        }
        Ok((found, stream.finish().await))
    }

    /// At most `most` entries of a subtree; that there are more is no error.
    pub async fn some(&self, base: &str, filter: &str, attributes: &[&str], most: u8) -> Result<Vec<Raw>, Fault> {
        let mut ldap = self.ready();
        ldap.with_search_options(SearchOptions::new().sizelimit(i32::from(most)));
        let search = Self::search(ldap, (base, Scope::Subtree), filter, attributes, usize::from(most));
        let (found, result) = self.tracked(search).await?;
        if result.rc != code::SIZE_LIMIT {
            checked(result)?;
        }
        Ok(found)
    }

    /// The entry of this name, if it is there and the filter fits it.
    pub async fn entry(&self, dn: &str, filter: &str, attributes: &[&str]) -> Result<Option<Raw>, Fault> {
        let search = Self::search(self.ready(), (dn, Scope::Base), filter, attributes, 1);
        let (mut found, result) = self.tracked(search).await?;
        if result.rc == code::NO_SUCH_OBJECT {
            return Ok(None);
        }
        checked(result)?;
        Ok(found.pop())
    }

    /// Shows `each` every entry of a subtree, page by page, in the server's order.
    pub async fn walk(
        &self,
        base: &str,
        filter: &str,
        attributes: &[&str],
        mut each: impl FnMut(Raw) + Send,
    ) -> Result<(), Fault> {
        let (size, mut cookie) = (self.pool.page_size, Vec::new());
        loop {
            let mut ldap = self.ready();
            ldap.with_controls(PagedResults { size, cookie });
            let most = usize::try_from(size).unwrap_or(usize::MAX);
            let search = Self::search(ldap, (base, Scope::Subtree), filter, attributes, most);
            let (found, result) = self.tracked(search).await?;
            let next = result.ctrls.iter().find(|control| control.1.ctype == PAGED);
            let next = next.and_then(|control| control.1.val.as_deref()).and_then(next_page).unwrap_or_default();
            checked(result)?;
            found.into_iter().for_each(&mut each);
            if next.is_empty() {
                return Ok(());
            }
            cookie = next;
        }
    }

    /// Whether the entry has this value.
    pub async fn compare(&self, dn: &str, attribute: &str, value: &str) -> Result<bool, Fault> {
        let result = self.tracked(self.ready().compare(dn, attribute, value)).await?.0;
        match result.rc {
            code::COMPARE_TRUE => Ok(true),
            // Without any value of it the attribute is not there at all.
            code::COMPARE_FALSE | code::NO_SUCH_ATTRIBUTE => Ok(false),
            _ => checked(result).map(|()| false),
        }
    }

    /// Adds an entry.
    pub async fn add(&self, dn: &str, attributes: Vec<super::Values>) -> Result<(), Fault> {
        let attributes = attributes.into_iter().map(|(name, values)| (name.into_bytes(), values.into_iter().collect()));
        checked(self.tracked(self.ready().add(dn, attributes.collect())).await?)
    }

    /// Changes an entry; no changes are none.
    pub async fn modify(&self, dn: &str, changes: &[Mod<Vec<u8>>]) -> Result<(), Fault> {
        if changes.is_empty() {
            return Ok(());
        }
        checked(self.tracked(self.ready().modify(dn, changes.to_vec())).await?)
    }

    /// Renames an entry, and moves it if there is a new parent.
    pub async fn rename(&self, dn: &str, relative: &str, parent: Option<&str>) -> Result<(), Fault> {
        checked(self.tracked(self.ready().modifydn(dn, relative, true, parent)).await?)
    }

    /// Removes an entry.
    pub async fn delete(&self, dn: &str) -> Result<(), Fault> {
        checked(self.tracked(self.ready().delete(dn)).await?)
    }
}

fn checked(result: LdapResult) -> Result<(), Fault> {
    match result.rc {
        0 => Ok(()),
        code => Err(Fault::Result { code, text: result.text }),
    }
}

/// The cookie of a page: `SEQUENCE { size INTEGER, cookie OCTET STRING }`.
fn next_page(value: &[u8]) -> Option<Vec<u8>> {
    let (_, tag) = parse_tag(value).ok()?;
    tag.expect_constructed()?.into_iter().nth(1)?.expect_primitive()
}
