//! The authorize conversation (RFC 6749 §4.1.1): sign in, see the Access Request, go back with a code.
//!
//! Nothing of it is kept but the session: the request stands in the address line and is read afresh at every step, forms post to
//! the address they are shown at, and a form token ties each post to the browser the form was shown to.

use std::time::Duration;

use http::{Method, StatusCode};

use super::browser::Browser;
use super::pages::{self, Consent, Contact, WrongRole, role_name, scope_list};
use super::sign_in::{Doorstep, EXPIRED};
use super::{AuthorizationServer, is_form, redirect_to};
use crate::config::{SignIn, Tenant};
use crate::http::message::{Request, Response};
use crate::oauth::authorize::{AuthorizationRequest, Registration, ReturnAddress, without_prompt};
use crate::oauth::opaque::{self, Kind};
use crate::oauth::parameters::Parameters;
use crate::oauth::{Door, ErrorCode, OAuthError, Role, Scopes, redirect};
use crate::store::{Administrator, Client, Code, StoreError};

/// How long a code is good for.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// How many are named who could help.
const NAMED: usize = 5;
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
        let administrator = self.visitor(tenant, &conversation.browser).await?;
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
                Ok(self.access_request(&conversation, &administrator, StatusCode::OK, None).await?)
            }
            _ => Ok(self.ask_who(&conversation, StatusCode::OK, None)),
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
        let parsed = super::clients::open(&client, Door::Code)
            .and_then(|()| AuthorizationRequest::parse(&parameters, &registration))
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
        let Some(form) = form.as_ref().filter(|_| self.is_own_form(tenant, browser, &request.headers, token)) else {
            return self.again(conversation, Some(EXPIRED)).await;
        };
        match field("action") {
            Some("deny") => {
                let error = OAuthError::new(ErrorCode::AccessDenied, "The administrator did not approve.");
                Ok(conversation.refuse(StatusCode::SEE_OTHER, &error))
            }
            Some("switch") => {
                Ok(self.leave(tenant, browser, &conversation.here(&conversation.for_another_account())).await?)
            }
            Some("authorize") => self.approve(conversation).await,
            Some("sign_in") | None => {
                let (here, onwards) = conversation.addresses();
                Ok(self.sign_in(&conversation.doorstep(&here, &onwards), request, form).await?)
            }
            Some(_) => self.again(conversation, None).await,
        }
    }

    /// The administrator pressed Authorize.
    async fn approve(&self, conversation: &Conversation<'_>) -> Result<Response, Stop> {
        let Conversation { tenant, client, address, request, .. } = conversation;
        let signed_out = || {
            let alert = Some("You have been signed out in the meantime. Please sign in again.");
            Ok(self.ask_who(conversation, StatusCode::FORBIDDEN, alert))
        };
        let Some(administrator) = self.visitor(conversation.tenant, &conversation.browser).await? else {
            return signed_out();
        };
        if !may_authorize(administrator.role) {
            return Ok(self.access_request(conversation, &administrator, StatusCode::FORBIDDEN, None).await?);
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
        let expires_in = tenant.dialect.oauth_alias.as_ref().map(|_| CODE_LIFE.as_secs());
        Ok(redirect_to(StatusCode::SEE_OTHER, &address.with_code(code.expose(), &tenant.issuer, expires_in)))
    }

    /// The page of the step the administrator is at, with a word on why they see it again.
    async fn again(&self, conversation: &Conversation<'_>, alert: Option<&str>) -> Result<Response, Stop> {
        Ok(match self.visitor(conversation.tenant, &conversation.browser).await? {
            Some(administrator) => {
                self.access_request(conversation, &administrator, StatusCode::FORBIDDEN, alert).await?
            }
            None => self.ask_who(conversation, StatusCode::FORBIDDEN, alert),
        })
    }

    /// The sign-in page of this conversation.
    fn ask_who(&self, conversation: &Conversation<'_>, status: StatusCode, alert: Option<&str>) -> Response {
        let (here, onwards) = conversation.addresses();
        self.sign_in_page(&conversation.doorstep(&here, &onwards), status, None, alert)
    }

    /// The Access Request, or why this administrator cannot answer it and who can.
    async fn access_request(
        &self,
        conversation: &Conversation<'_>,
        administrator: &Administrator,
        status: StatusCode,
        alert: Option<&str>,
    ) -> Result<Response, StoreError> {
        let Conversation { tenant, client, browser, request, address, .. } = conversation;
        let form_token = &self.form_token(tenant, browser);
        let destination = &redirect::destination(&address.uri);
        let onward = conversation.onward();
        if !may_authorize(administrator.role) {
            let who_can = match tenant.contact {
                Some(_) => Vec::new(),
                None => self.who_can_authorize(tenant, administrator).await?,
            };
            let page = WrongRole {
                tenant: &tenant.name,
                client: &client.name,
                username: &administrator.username,
                role: role_name(administrator.role),
                contact: tenant.contact.as_deref().map(Contact::new),
                who_can: who_can.join(", "),
                destination,
                form_token,
            };
            return Ok(page.page(onward.as_deref()));
        }
        let page = Consent {
            tenant: &tenant.name,
            client: &client.name,
            username: &administrator.username,
            role: role_name(administrator.role),
            scopes: scope_list(request.scopes),
            destination,
            form_token,
            alert,
            local: matches!(tenant.sign_in, SignIn::Local),
        };
        Ok(page.page(status, onward.as_deref()))
    }

    /// The names of some who may authorize, for a colleague of theirs who may not.
    async fn who_can_authorize(&self, tenant: &Tenant, asks: &Administrator) -> Result<Vec<String>, StoreError> {
        let all = self.store.administrators(&tenant.name).await?;
        let can = |other: &Administrator| may_authorize(other.role) && !other.disabled && other.source == asks.source;
        Ok(all.into_iter().filter(can).take(NAMED).map(|administrator| administrator.username).collect())
    }
}

impl Conversation<'_> {
    /// This step's address, and the next one's.
    fn addresses(&self) -> (String, String) {
        (self.here(self.query), self.here(&without_prompt(self.query)))
    }

    fn doorstep<'a>(&'a self, here: &'a str, onwards: &'a str) -> Doorstep<'a> {
        Doorstep {
            tenant: self.tenant,
            browser: &self.browser,
            here,
            onwards,
            client: Some(&self.client.name),
            targets: self.onward(),
            login_hint: self.request.login_hint.as_deref(),
            afresh: self.request.prompt.login,
        }
    }

    /// The query for somebody who wants to be somebody else: a provider that still knows them shall ask.
    fn for_another_account(&self) -> String {
        match self.tenant.sign_in {
            SignIn::Oidc(_) => format!("{}&prompt=login", without_prompt(self.query)),
            SignIn::Local | SignIn::Directory(_) => self.query.to_owned(),
        }
    }

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

/// Which roles may approve an Access Request, and take back what was approved.
pub(in crate::http) const fn may_authorize(role: Role) -> bool {
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
