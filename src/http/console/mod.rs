//! The tenant's own pages for its administrators (contract §4): who has access to its people, since when, and by whose word.
//!
//! One page, no script. Every administrator may look; taking access back takes a role that could have given it. What is shown
//! comes from the state and the snapshot of this request; lists are bounded.

mod pages;

use http::{HeaderValue, Method, StatusCode, header};

use super::gateway::{Gateway, Runtime};
use super::message::{Request, Response};
use super::oauth::authorize::may_authorize;
use super::oauth::browser::Browser;
use super::oauth::pages::unavailable;
use super::oauth::sign_in::{Doorstep, EXPIRED};
use super::page;
use super::record::Record;
use crate::config::Tenant;
use crate::oauth::parameters::Parameters;
use crate::store::{Administrator, StoreError};
use pages::Overview;

/// How many grants are listed.
const LISTED: u32 = 50;

/// What was done just now, said on the page it leads back to.
const ENDED: &str = "ended";

/// Answers a request below `/console`. What was done by whom goes into `record`, for the audit trail.
pub(super) async fn handle(gateway: &Gateway, tenant: &Runtime, request: &Request, record: &mut Record) -> Response {
    if !request.path.trim_end_matches('/').ends_with("/console") {
        let text = "The console is a single page, at /console.";
        return page::refusal(StatusCode::NOT_FOUND, text, None);
    }
    let outcome = match request.method {
        Method::GET | Method::HEAD => look(gateway, tenant, request).await,
        Method::POST => act(gateway, tenant, request, record).await,
        _ => {
            let text = "This page does not know the method; see the Allow header.";
            let mut response = page::refusal(StatusCode::METHOD_NOT_ALLOWED, text, None);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            return response;
        }
    };
    outcome.unwrap_or_else(|error| unavailable(&error))
}

async fn look(gateway: &Gateway, tenant: &Runtime, request: &Request) -> Result<Response, StoreError> {
    let authorization = &gateway.authorization;
    let browser = authorization.browser(&tenant.config, &request.headers);
    let (prompt, done) = match Parameters::parse(request.query.as_deref().unwrap_or_default().as_bytes()) {
        Ok(query) => {
            let text = |name| query.text(name).ok().flatten().map(str::to_owned);
            (text("prompt"), text("done"))
        }
        Err(_) => (None, None),
    };
    match authorization.visitor(&tenant.config, &browser).await? {
        Some(administrator) if prompt.as_deref() != Some("login") => {
            let notice = (done.as_deref() == Some(ENDED)).then_some("The access has ended.");
            overview(gateway, tenant, request, &browser, &administrator, StatusCode::OK, notice.map(Ok)).await
        }
        _ => Ok(ask_who(gateway, &tenant.config, request, &browser, StatusCode::OK, None)),
    }
}

/// A form was posted.
async fn act(
    gateway: &Gateway,
    tenant: &Runtime,
    request: &Request,
    record: &mut Record,
) -> Result<Response, StoreError> {
    let (authorization, config) = (&gateway.authorization, &tenant.config);
    let browser = authorization.browser(config, &request.headers);
    let administrator = authorization.visitor(config, &browser).await?;
    record.actor = administrator.as_ref().map(|administrator| format!("administrator {}", administrator.id));
    let form = Parameters::parse(&request.body).ok();
    let field = |name| form.as_ref().and_then(|form| form.text(name).ok().flatten());
    let token = field("form_token").unwrap_or_default();
    let own = authorization.is_own_form(config, &browser, &request.headers, token);
    let Some(form) = form.as_ref().filter(|_| own) else {
        return again(gateway, tenant, request, &browser, administrator, EXPIRED).await;
    };
    match (field("action"), administrator) {
        (Some("sign_in"), _) => {
            let here = here(request, is_prompted(request));
            let doorstep = doorstep(config, request, &browser, &here);
            authorization.sign_in(&doorstep, request, form).await
        }
        (Some("sign_out"), _) => authorization.leave(config, &browser, &request.path).await,
        (Some("revoke"), Some(administrator)) => {
            if !may_authorize(administrator.role) {
                let alert = "Your role is viewer: ending access takes a super user or an account administrator.";
                return again(gateway, tenant, request, &browser, Some(administrator), alert).await;
            }
            let grant = field("grant").and_then(|grant| grant.parse().ok());
            let ended = match grant {
                Some(grant) => gateway.store.end_grant(&config.name, grant).await?,
                None => false,
            };
            if !ended {
                let alert = "That access had ended already.";
                return again(gateway, tenant, request, &browser, Some(administrator), alert).await;
            }
            authorization.forget();
            record.notes.push(format!("revoked grant {}", grant.unwrap_or_default()));
            let to = format!("{}?done={ENDED}", request.path);
            Ok(super::oauth::redirect_to(StatusCode::SEE_OTHER, &to))
        }
        (_, administrator) => {
            let alert = "You have been signed out in the meantime. Please sign in again.";
            again(gateway, tenant, request, &browser, administrator, alert).await
        }
    }
}

/// The page the visitor is at, with a word on why they see it again.
async fn again(
    gateway: &Gateway,
    tenant: &Runtime,
    request: &Request,
    browser: &Browser,
    administrator: Option<Administrator>,
    alert: &str,
) -> Result<Response, StoreError> {
    match administrator {
        Some(administrator) => {
            let status = StatusCode::FORBIDDEN;
            overview(gateway, tenant, request, browser, &administrator, status, Some(Err(alert))).await
        }
        None => Ok(ask_who(gateway, &tenant.config, request, browser, StatusCode::FORBIDDEN, Some(alert))),
    }
}

fn ask_who(
    gateway: &Gateway,
    tenant: &Tenant,
    request: &Request,
    browser: &Browser,
    status: StatusCode,
    alert: Option<&str>,
) -> Response {
    let here = here(request, is_prompted(request));
    gateway.authorization.sign_in_page(&doorstep(tenant, request, browser, &here), status, None, alert)
}

fn is_prompted(request: &Request) -> bool {
    request.query.as_deref().is_some_and(|query| query.split('&').any(|pair| pair == "prompt=login"))
}

fn here(request: &Request, prompted: bool) -> String {
    format!("{}{}", request.path, if prompted { "?prompt=login" } else { "" })
}

fn doorstep<'a>(tenant: &'a Tenant, request: &'a Request, browser: &'a Browser, here: &'a str) -> Doorstep<'a> {
    Doorstep {
        tenant,
        browser,
        here,
        onwards: &request.path,
        client: None,
        targets: None,
        login_hint: None,
        afresh: is_prompted(request),
    }
}

/// The page itself. `notice` is what happened: done, or why not.
async fn overview(
    gateway: &Gateway,
    tenant: &Runtime,
    request: &Request,
    browser: &Browser,
    administrator: &Administrator,
    status: StatusCode,
    notice: Option<Result<&str, &str>>,
) -> Result<Response, StoreError> {
    let (store, name) = (&gateway.store, tenant.config.name.as_str());
    let overview = Overview {
        config: &tenant.config,
        path: &request.path,
        administrator,
        form_token: &gateway.authorization.form_token(&tenant.config, browser),
        now: gateway.clock.now(),
        notice,
        managed: store.count_managed(name).await?,
        grant_count: store.count_live_grants(name).await?,
        grants: store.live_grants(name, LISTED).await?,
        clients: store.clients(name).await?,
        tokens: store.secret_tokens(name).await?,
        uses: store.all_door_uses(name).await?,
    };
    Ok(browser.remember(&tenant.config, overview.page(status)))
}
