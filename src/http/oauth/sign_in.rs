//! Who is there, and letting somebody in: the same for an Access Request and for the console.
//!
//! A password is weighed by the gateway (local) or by the user system (directory) behind one brake on guessing and with one answer for
//! everything that is not right; an OpenID provider is a way there and back ([`super::oidc`]). Whoever gets in gets a new
//! session under a new cookie, and the session holds only as long as the tenant still signs in that way.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::browser::{Browser, is_same_origin};
use super::directory_sign_in::Verdict;
use super::pages::{self, SignInPage};
use super::throttle::Attempt;
use super::{AuthorizationServer, redirect_to};
use crate::config::sign_in::Directory;
use crate::config::{SignIn, Tenant};
use crate::http::error::whole_seconds;
use crate::http::message::{Request, Response};
use crate::oauth::parameters::Parameters;
use crate::oauth::{password, redirect};
use crate::store::{Administrator, Source, StoreError};
use crate::types::Secret;

/// How long somebody waits for their password to be verified before they are asked to come again.
const HASHING_WAIT: Duration = Duration::from_secs(10);
/// One text for every wrong guess. It goes with 403: 401 would need a challenge (RFC 9110 §15.5.2) that no form can meet, and a
/// browser that sees 200 offers to keep the wrong password.
const WRONG: &str = "The user name or the password is not right, or the account is disabled.";
/// For a form that comes from elsewhere or from before.
pub(in crate::http) const EXPIRED: &str =
    "This page had expired. Please try again; if it happens again, allow cookies for this site.";

/// A browser before a page that wants somebody signed in.
pub(in crate::http) struct Doorstep<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// Which.
    pub browser: &'a Browser,
    /// The page's own path and query; forms post there.
    pub here: &'a str,
    /// Where to go on when somebody is signed in: a path of our own.
    pub onwards: &'a str,
    /// The client that asks for access; none: the console.
    pub client: Option<&'a str>,
    /// Where forms may lead besides here, as CSP sources.
    pub targets: Option<String>,
    /// Who might want to sign in.
    pub login_hint: Option<&'a str>,
    /// Whoever signs in shall prove it now, even if their provider knows them still.
    pub afresh: bool,
}

impl AuthorizationServer {
    /// The browser of a request.
    pub(in crate::http) fn browser(&self, tenant: &Tenant, headers: &HeaderMap) -> Browser {
        Browser::of(tenant, headers, &self.random)
    }

    /// What ties a form to the browser it is shown to.
    pub(in crate::http) fn form_token(&self, tenant: &Tenant, browser: &Browser) -> String {
        self.derivation.form_token(&tenant.name, &browser.cookie)
    }

    /// Whether a form was posted from a page of ours by the browser it was shown to.
    pub(in crate::http) fn is_own_form(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        headers: &HeaderMap,
        form_token: &str,
    ) -> bool {
        is_same_origin(tenant, headers) && self.derivation.is_form_token(form_token, &tenant.name, &browser.cookie)
    }

    /// Whose session the browser is in.
    pub(in crate::http) async fn visitor(
        &self,
        tenant: &Tenant,
        browser: &Browser,
    ) -> Result<Option<Administrator>, StoreError> {
        let Some(id) = self.store.session(&tenant.name, &browser.cookie.digest()).await? else { return Ok(None) };
        let found = self.store.administrator_by_id(&tenant.name, id).await?;
        // Who signed in by a way that the tenant has left since is not signed in.
        Ok(found.filter(|administrator| !administrator.disabled && administrator.source == source(tenant)))
    }

    /// Ends the browser's session and sends it to `to` with a new cookie.
    pub(in crate::http) async fn leave(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        to: &str,
    ) -> Result<Response, StoreError> {
        self.store.end_session(&browser.cookie.digest()).await?;
        Ok(Browser::new(&self.random).remember(tenant, redirect_to(StatusCode::SEE_OTHER, to)))
    }

    /// The sign-in page; `alert` says why it is shown again.
    pub(in crate::http) fn sign_in_page(
        &self,
        doorstep: &Doorstep<'_>,
        status: StatusCode,
        username: Option<&str>,
        alert: Option<&str>,
    ) -> Response {
        let Doorstep { tenant, browser, .. } = doorstep;
        let (provider, targets) = match &tenant.sign_in {
            SignIn::Oidc(config) => {
                // Where the form's redirect leads is known only when the provider was asked: every https host will do, and
                // a provider on this machine.
                let ours = redirect::form_targets(&config.issuer).unwrap_or_default();
                let targets = doorstep.targets.as_ref().map_or(ours.clone(), |theirs| format!("{theirs} {ours}"));
                (Some(redirect::destination(&config.issuer)), Some(targets))
            }
            SignIn::Local | SignIn::Directory(_) => (None, doorstep.targets.clone()),
        };
        let page = SignInPage {
            tenant: &tenant.name,
            client: doorstep.client,
            here: doorstep.here,
            username: username.or(doorstep.login_hint).unwrap_or_default(),
            provider: provider.as_deref(),
            form_token: &self.form_token(tenant, browser),
            alert,
        };
        browser.remember(tenant, page.page(status, targets.as_deref()))
    }

    /// Somebody pressed "Sign in".
    pub(in crate::http) async fn sign_in(
        &self,
        doorstep: &Doorstep<'_>,
        request: &Request,
        form: &Parameters,
    ) -> Result<Response, StoreError> {
        let tenant = doorstep.tenant;
        if let SignIn::Oidc(config) = &tenant.sign_in {
            return self.send_to_provider(doorstep, config, request).await;
        }
        let field = |name| form.text(name).ok().flatten().unwrap_or_default();
        // Spaces around a name are a slip of the hand, and would be as many budgets of guesses.
        let (username, password) = (field("username").trim(), Secret::new(field("password")));
        let account = account(username);
        let mark = Browser::mark(tenant, &request.headers)
            .filter(|mark| self.derivation.is_browser_mark(mark, &tenant.name, &account));
        let attempt = self.throttle.attempt(&tenant.name, username, request.peer, mark.as_deref());
        if let Some(wait) = self.throttle.wait(&attempt) {
            return Ok(self.braked(doorstep, username, wait));
        }
        let known = match &tenant.sign_in {
            SignIn::Directory(config) => self.by_directory(doorstep, config, username, &password, &attempt).await?,
            SignIn::Local | SignIn::Oidc(_) => self.by_own_hash(doorstep, username, password, &attempt).await?,
        };
        let administrator = match known {
            Ok(administrator) => administrator,
            Err(response) => return Ok(*response),
        };
        let wrong = || self.sign_in_page(doorstep, StatusCode::FORBIDDEN, Some(username), Some(WRONG));
        if administrator.disabled {
            self.throttle.wrong(&attempt);
            return Ok(wrong());
        }
        match self.begin_session(tenant, doorstep.browser, &administrator, doorstep.onwards).await? {
            Some(response) => {
                self.throttle.right(&attempt);
                let serial = mark.is_none().then(|| self.random.text::<16>());
                let mark = serial.map(|serial| self.derivation.browser_mark(&tenant.name, &account, &serial));
                Ok(Browser::give_mark(tenant, response, mark.as_deref()))
            }
            None => Ok(wrong()),
        }
    }

    /// A new session under a new cookie, and on. `None`: the administrator has changed since they were looked up.
    pub(super) async fn begin_session(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        administrator: &Administrator,
        onwards: &str,
    ) -> Result<Option<Response>, StoreError> {
        self.store.end_session(&browser.cookie.digest()).await?;
        let fresh = Browser::new(&self.random);
        if !self.store.add_session(&fresh.cookie.digest(), administrator).await? {
            return Ok(None);
        }
        Ok(Some(fresh.remember(tenant, redirect_to(StatusCode::SEE_OTHER, onwards))))
    }

    async fn by_own_hash(
        &self,
        doorstep: &Doorstep<'_>,
        username: &str,
        password: Secret,
        attempt: &Attempt,
    ) -> Result<Result<Administrator, Box<Response>>, StoreError> {
        let Ok(Ok(permit)) = tokio::time::timeout(HASHING_WAIT, self.hashing.acquire()).await else {
            return Ok(Err(Box::new(self.busy(doorstep, username))));
        };
        // Guesses sent side by side queue up here; those behind the one that was too many go no further.
        if let Some(wait) = self.throttle.wait(attempt) {
            return Ok(Err(Box::new(self.braked(doorstep, username, wait))));
        }
        let found = self.store.administrator(&doorstep.tenant.name, username).await?;
        // An unknown name costs as much as a wrong password.
        let hash = found.as_ref().map_or_else(|| password::DECOY.to_owned(), |found| found.password_hash.clone());
        let right = tokio::task::spawn_blocking(move || password::verify(&password, &hash)).await.unwrap_or(false);
        drop(permit);
        Ok(found.filter(|_| right).ok_or_else(|| self.wrong(doorstep, username, attempt)))
    }

    async fn by_directory(
        &self,
        doorstep: &Doorstep<'_>,
        config: &Directory,
        username: &str,
        password: &Secret,
        attempt: &Attempt,
    ) -> Result<Result<Administrator, Box<Response>>, StoreError> {
        let tenant = doorstep.tenant;
        // As many at once as hashes: guesses sent side by side queue up here, too.
        let Ok(Ok(permit)) = tokio::time::timeout(HASHING_WAIT, self.asking.acquire()).await else {
            return Ok(Err(Box::new(self.busy(doorstep, username))));
        };
        if let Some(wait) = self.throttle.wait(attempt) {
            return Ok(Err(Box::new(self.braked(doorstep, username, wait))));
        }
        let verdict = self.verifiers.ask(tenant, config, username, password).await;
        drop(permit);
        Ok(match verdict {
            Verdict::Wrong => Err(self.wrong(doorstep, username, attempt)),
            Verdict::Out(reason) => {
                tracing::warn!(tenant = tenant.name, error = reason, "the user system cannot verify a password");
                let alert =
                    Some("The system that verifies your password does not answer. Please try again in a moment.");
                let page = self.sign_in_page(doorstep, StatusCode::SERVICE_UNAVAILABLE, Some(username), alert);
                Err(Box::new(pages::retry_after(page, Duration::from_secs(5))))
            }
            Verdict::Right { subject, name, groups } => {
                if let Some(role) = config.roles.of(&groups) {
                    let source = Source::Directory;
                    Ok(self.store.vouched_administrator(&tenant.name, &source, &subject, &name, role).await?)
                } else {
                    let (values, reason) = (groups.len(), "none of what the user system says of them stands in roles");
                    tracing::warn!(tenant = tenant.name, values, reason, "somebody without a role signed in");
                    self.store.end_vouched_sessions(&tenant.name, &Source::Directory, &subject).await?;
                    Err(Box::new(pages::no_role(tenant, &name, doorstep.here)))
                }
            }
        })
    }

    fn wrong(&self, doorstep: &Doorstep<'_>, username: &str, attempt: &Attempt) -> Box<Response> {
        self.throttle.wrong(attempt);
        Box::new(self.sign_in_page(doorstep, StatusCode::FORBIDDEN, Some(username), Some(WRONG)))
    }

    fn braked(&self, doorstep: &Doorstep<'_>, username: &str, wait: Duration) -> Response {
        let alert = format!("Too many wrong guesses. Try again in {} seconds.", whole_seconds(wait));
        let page = self.sign_in_page(doorstep, StatusCode::TOO_MANY_REQUESTS, Some(username), Some(&alert));
        pages::retry_after(page, wait)
    }

    fn busy(&self, doorstep: &Doorstep<'_>, username: &str) -> Response {
        let alert = Some("Many people are signing in just now. Please try again in a moment.");
        let page = self.sign_in_page(doorstep, StatusCode::SERVICE_UNAVAILABLE, Some(username), alert);
        pages::retry_after(page, Duration::from_secs(5))
    }
}

/// Who vouches for the administrators of a tenant.
fn source(tenant: &Tenant) -> Source {
    match &tenant.sign_in {
        SignIn::Local => Source::Local,
        SignIn::Directory(_) => Source::Directory,
        SignIn::Oidc(config) => Source::Oidc(config.issuer.clone()),
    }
}

/// A name as the brake on guessing and the marks of browsers know it.
fn account(username: &str) -> String {
    username.to_lowercase()
}
