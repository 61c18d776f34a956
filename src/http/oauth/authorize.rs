//! The authorize conversation (RFC 6749 §4.1.1): sign in, see the Access Request, go back with a code.
//!
//! Nothing of it is kept but the session: the request stands in the address line and is read afresh at every step, forms post to
//! the address they are shown at, and a form token ties each post to the browser the form was shown to.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};

use super::browser::{Browser, is_same_origin};
use super::pages::{self, Consent, SignIn, WrongRole, role_name, scope_list};
use super::{AuthorizationServer, is_form};
use crate::config::Tenant;
use crate::http::error::whole_seconds;
use crate::http::message::{Request, Response, empty};
use crate::oauth::authorize::{AuthorizationRequest, Registration, ReturnAddress, without_prompt};
use crate::oauth::opaque::{self, Kind};
use crate::oauth::parameters::Parameters;
use crate::oauth::{ErrorCode, OAuthError, Role, Scopes, password, redirect};
use crate::store::{Administrator, Client, Code, StoreError};
use crate::types::Secret;

/// How long a code is good for.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// How long somebody waits for their password to be verified before they are asked to come again.
const HASHING_WAIT: Duration = Duration::from_secs(10);
/// One text for every wrong guess. It goes with 403: 401 would need a challenge (RFC 9110 §15.5.2) that no form can meet, and a
/// browser that sees 200 offers to keep the wrong password.
const WRONG: &str = "The user name or the password is not right, or the account is disabled.";

/// Why there is no next step: an answer instead.
enum Stop {
    Answer(Box<Response>),
    State(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::State(error)
    }
}

impl From<Response> for Stop {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

/// A request that may be put before an administrator, and everything the steps need.
struct Conversation<'a> {
    tenant: &'a Tenant,
    path: &'a str,
    query: &'a str,
    client: Client,
    address: ReturnAddress,
    request: AuthorizationRequest,
    browser: Browser,
}

impl AuthorizationServer {
    pub(super) async fn authorize(&self, tenant: &Tenant, request: &Request) -> Response {
        match self.converse(tenant, request).await {
            Ok(response) => response,
            Err(Stop::Answer(response)) => *response,
            Err(Stop::State(error)) => pages::unavailable(&error),
        }
    }

    async fn converse(&self, tenant: &Tenant, request: &Request) -> Result<Response, Stop> {
        let query = request.query.as_deref().unwrap_or_default();
        if request.method == Method::POST && query.is_empty() {
            return Ok(posted_request(request));
        }
        let conversation = self.read(tenant, request, query).await?;
        if request.method == Method::POST {
            return self.step(&conversation, request).await;
        }
        let administrator = self.signed_in(&conversation).await?;
        let prompt = conversation.request.prompt;
        match administrator {
            _ if prompt.none => {
                let (code, text) = match administrator {
                    Some(_) => (ErrorCode::ConsentRequired, "An administrator has to approve every time."),
                    None => (ErrorCode::LoginRequired, "Nobody is signed in."),
                };
                Ok(conversation.refuse(StatusCode::FOUND, &OAuthError::new(code, text)))
            }
            Some(administrator) if !prompt.login => {
                Ok(self.access_request(&conversation, &administrator, StatusCode::OK, None))
            }
            _ => Ok(self.sign_in_page(&conversation, StatusCode::OK, None, None)),
        }
    }

    /// Reads the request off the address line, and who is asking off the cookie.
    async fn read<'a>(
        &self,
        tenant: &'a Tenant,
        request: &'a Request,
        query: &'a str,
    ) -> Result<Conversation<'a>, Stop> {
        let broken = |error: OAuthError| Stop::from(pages::broken_request(&error));
        let parameters = Parameters::parse(query.as_bytes()).map_err(broken)?;
        let id = parameters.required("client_id").map_err(broken)?;
        let client = self.store.client(&tenant.name, id).await?.filter(|client| !client.disabled).ok_or_else(|| {
            broken(OAuthError::invalid_request("The client_id is not one registered here, or is disabled."))
        })?;
        let registration = Registration {
            redirect_uris: &client.redirect_uris,
            scopes: Scopes::registered(&client.scopes),
            public: client.public,
        };
        let address = ReturnAddress::of(&parameters, &registration).map_err(broken)?;
        let parsed = AuthorizationRequest::parse(&parameters, &registration)
            .map_err(|error| Stop::from(redirect_to(StatusCode::FOUND, &address.with_error(&error, &tenant.issuer))))?;
        let browser = Browser::of(tenant, &request.headers, &self.random);
        Ok(Conversation { tenant, path: &request.path, query, client, address, request: parsed, browser })
    }

    /// A form was posted.
    async fn step(&self, conversation: &Conversation<'_>, request: &Request) -> Result<Response, Stop> {
        let Conversation { tenant, browser, .. } = conversation;
        let form = Parameters::parse(&request.body).ok().filter(|_| is_form(request));
        let field = |name| form.as_ref().and_then(|form| form.text(name).ok().flatten());
        let token = field("form_token").unwrap_or_default();
        if !is_same_origin(tenant, &request.headers)
            || !self.derivation.is_form_token(token, &tenant.name, &browser.cookie)
        {
            let alert =
                Some("This page had expired. Please try again; if it happens again, allow cookies for this site.");
            return self.again(conversation, alert).await;
        }
        match field("action") {
            Some("deny") => {
                let error = OAuthError::new(ErrorCode::AccessDenied, "The administrator did not approve.");
                Ok(conversation.refuse(StatusCode::SEE_OTHER, &error))
            }
            Some("switch") => {
                self.store.end_session(&browser.cookie.digest()).await?;
                let response = redirect_to(StatusCode::SEE_OTHER, &conversation.here(conversation.query));
                Ok(Browser::new(&self.random).remember(tenant, response))
            }
            Some("authorize") => self.approve(conversation).await,
            Some("sign_in") | None => {
                let username = field("username").unwrap_or_default();
                let password = Secret::new(field("password").unwrap_or_default());
                self.sign_in(conversation, request, username, password).await
            }
            Some(_) => self.again(conversation, None).await,
        }
    }

    /// Somebody says who they are.
    async fn sign_in(
        &self,
        conversation: &Conversation<'_>,
        request: &Request,
        username: &str,
        password: Secret,
    ) -> Result<Response, Stop> {
        let tenant = conversation.tenant;
        let attempt = self.throttle.attempt(&tenant.name, username, request.peer);
        let braked = |wait: Duration| {
            let alert = format!("Too many wrong guesses. Try again in {} seconds.", whole_seconds(wait));
            let page =
                self.sign_in_page(conversation, StatusCode::TOO_MANY_REQUESTS, Some(username), Some(alert.as_str()));
            pages::retry_after(page, wait)
        };
        if let Some(wait) = self.throttle.wait(&attempt) {
            return Ok(braked(wait));
        }
        let Ok(Ok(permit)) = tokio::time::timeout(HASHING_WAIT, self.hashing.acquire()).await else {
            let alert = Some("Many people are signing in just now. Please try again in a moment.");
            let page = self.sign_in_page(conversation, StatusCode::SERVICE_UNAVAILABLE, Some(username), alert);
            return Ok(pages::retry_after(page, Duration::from_secs(5)));
        };
        // Guesses sent side by side queue up here; those behind the one that was too many go no further.
        if let Some(wait) = self.throttle.wait(&attempt) {
            return Ok(braked(wait));
        }
        let found = self.store.administrator(&tenant.name, username).await?;
        // An unknown name costs as much as a wrong password.
        let hash = found.as_ref().map_or_else(|| password::DECOY.to_owned(), |found| found.password_hash.clone());
        let right = tokio::task::spawn_blocking(move || password::verify(&password, &hash)).await.unwrap_or(false);
        drop(permit);
        let Some(administrator) = found.filter(|found| right && !found.disabled) else {
            self.throttle.wrong(&attempt);
            return Ok(self.sign_in_page(conversation, StatusCode::FORBIDDEN, Some(username), Some(WRONG)));
        };
        self.store.end_session(&conversation.browser.cookie.digest()).await?;
        let browser = Browser::new(&self.random);
        if !self.store.add_session(&browser.cookie.digest(), &administrator).await? {
            return Ok(self.sign_in_page(conversation, StatusCode::FORBIDDEN, Some(username), Some(WRONG)));
        }
        self.throttle.right(&attempt);
        let onwards = conversation.here(&without_prompt(conversation.query));
        Ok(browser.remember(tenant, redirect_to(StatusCode::SEE_OTHER, &onwards)))
    }

    /// The administrator pressed Authorize.
    async fn approve(&self, conversation: &Conversation<'_>) -> Result<Response, Stop> {
        let Conversation { tenant, client, address, request, .. } = conversation;
        let signed_out = || {
            let alert = Some("You have been signed out in the meantime. Please sign in again.");
            Ok(self.sign_in_page(conversation, StatusCode::FORBIDDEN, None, alert))
        };
        let Some(administrator) = self.signed_in(conversation).await? else { return signed_out() };
        if !may_authorize(administrator.role) {
            return Ok(self.access_request(conversation, &administrator, StatusCode::FORBIDDEN, None));
        }
        let code = opaque::mint(Kind::Code, &self.random);
        let approved = Code {
            client_id: client.id.clone(),
            administrator: administrator.id,
            redirect_uri: address.stated.then(|| address.uri.clone()),
            challenge: request.challenge,
            scopes: request.scopes,
            expires: self.clock.now().after(CODE_LIFE),
        };
        let session = conversation.browser.cookie.digest();
        if !self.store.add_code(&tenant.name, &session, &code.digest(), &approved).await? {
            return signed_out();
        }
        let expires_in = tenant.dialect.oauth_alias.map(|_| CODE_LIFE.as_secs());
        Ok(redirect_to(StatusCode::SEE_OTHER, &address.with_code(code.expose(), &tenant.issuer, expires_in)))
    }

    /// The page of the step the administrator is at, with a word on why they see it again.
    async fn again(&self, conversation: &Conversation<'_>, alert: Option<&str>) -> Result<Response, Stop> {
        Ok(match self.signed_in(conversation).await? {
            Some(administrator) => self.access_request(conversation, &administrator, StatusCode::FORBIDDEN, alert),
            None => self.sign_in_page(conversation, StatusCode::FORBIDDEN, None, alert),
        })
    }

    /// Whose session the browser is in.
    async fn signed_in(&self, conversation: &Conversation<'_>) -> Result<Option<Administrator>, StoreError> {
        let tenant = &conversation.tenant.name;
        let Some(id) = self.store.session(tenant, &conversation.browser.cookie.digest()).await? else {
            return Ok(None);
        };
        Ok(self.store.administrator_by_id(tenant, id).await?.filter(|administrator| !administrator.disabled))
    }

    fn sign_in_page(
        &self,
        conversation: &Conversation<'_>,
        status: StatusCode,
        username: Option<&str>,
        alert: Option<&str>,
    ) -> Response {
        let Conversation { tenant, client, browser, request, .. } = conversation;
        let page = SignIn {
            tenant: &tenant.name,
            client: &client.name,
            username: username.or(request.login_hint.as_deref()).unwrap_or_default(),
            form_token: &self.derivation.form_token(&tenant.name, &browser.cookie),
            alert,
        };
        browser.remember(tenant, page.page(status, conversation.onward().as_deref()))
    }

    /// The Access Request, or why this administrator cannot answer it.
    fn access_request(
        &self,
        conversation: &Conversation<'_>,
        administrator: &Administrator,
        status: StatusCode,
        alert: Option<&str>,
    ) -> Response {
        let Conversation { tenant, client, browser, request, address, .. } = conversation;
        let form_token = &self.derivation.form_token(&tenant.name, &browser.cookie);
        let destination = &redirect::destination(&address.uri);
        let onward = conversation.onward();
        if !may_authorize(administrator.role) {
            return WrongRole {
                tenant: &tenant.name,
                client: &client.name,
                username: &administrator.username,
                role: role_name(administrator.role),
                destination,
                form_token,
            }
            .page(onward.as_deref());
        }
        Consent {
            tenant: &tenant.name,
            client: &client.name,
            username: &administrator.username,
            role: role_name(administrator.role),
            scopes: scope_list(request.scopes),
            destination,
            form_token,
            alert,
        }
        .page(status, onward.as_deref())
    }
}

impl Conversation<'_> {
    /// Back to the client with a refusal.
    fn refuse(&self, status: StatusCode, error: &OAuthError) -> Response {
        redirect_to(status, &self.address.with_error(error, &self.tenant.issuer))
    }

    /// This endpoint with another query.
    fn here(&self, query: &str) -> String {
        format!("{}?{query}", self.path)
    }

    /// Where forms may lead besides here.
    fn onward(&self) -> Option<String> {
        redirect::form_targets(&self.address.uri)
    }
}

/// Which roles may approve an Access Request.
const fn may_authorize(role: Role) -> bool {
    match role {
        Role::SuperUser | Role::AccountAdmin => true,
        Role::Viewer => false,
    }
}

/// An authorization request whose parameters were posted (RFC 6749 §3.1 lets a server take those): from here on they stand
/// in the address line like anybody's.
fn posted_request(request: &Request) -> Response {
    let body = std::str::from_utf8(&request.body).ok().filter(|body| {
        is_form(request) && !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
    });
    match body {
        Some(body) => redirect_to(StatusCode::SEE_OTHER, &format!("{}?{body}", request.path)),
        None => pages::broken_request(&OAuthError::invalid_request("The request has no parameters.")),
    }
}

/// A redirect that is kept nowhere.
fn redirect_to(status: StatusCode, to: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else {
        return pages::broken_request(&OAuthError::invalid_request("The redirect_uri cannot be put into a header."));
    };
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
