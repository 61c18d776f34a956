//! The authorize conversation without a browser (RFC 6749 §4.1, RFC 7636, RFC 9207): fetch the authorize address, fill in the
//! sign-in form, press the button that consents, and catch the redirect that carries the code.
//!
//! It stays on the origin of the authorize address, keeps cookies for it, and never connects to the redirect URI.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::{Url, form_urlencoded};

use super::form::{self, Form};
use super::report::{Check, Report, Trip};
use super::token::{Grant, OAuthClient};
use super::wire::{Answer, Wire};
use crate::types::{Random, Secret};

/// Pages and redirects that a conversation may take before it counts as going in circles.
const STEPS: usize = 20;
const THEN: &str = "Authorize ends in an error and the administrator cannot save the connection";

/// What the conversation needs to know.
pub(super) struct Authorization {
    pub authorize_url: Url,
    pub redirect_uri: Url,
    /// The issuer that the answer should name, if known.
    pub issuer: Option<String>,
    pub username: String,
    pub password: Secret,
}

/// Holds the whole conversation and gives the code to exchange. Outcomes of the single checks go to the report; an error
/// is the trip that ended it, with the check it belongs to.
pub(super) async fn converse(
    wire: &Wire,
    report: &Report,
    random: &Random,
    client: &OAuthClient,
    authorization: &Authorization,
) -> Result<Grant, (Check, Trip)> {
    let verifier = PkceCodeVerifier::new(random.text::<32>());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let (start, state) = BasicClient::new(ClientId::new(client.id.clone()))
        .set_auth_uri(AuthUrl::from_url(authorization.authorize_url.clone()))
        .set_redirect_uri(RedirectUrl::from_url(authorization.redirect_uri.clone()))
        .authorize_url(|| CsrfToken::new(random.text::<16>()))
        .add_scopes(client.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .url();
    let mut browser = Browser { wire, cookies: Vec::new(), authorization };
    let landed = browser.walk(report, start).await?;
    let code = judge(report, authorization, &landed, state.secret()).map_err(|trip| (Check::Consent, trip))?;
    Ok(Grant { code, verifier, redirect_uri: authorization.redirect_uri.clone() })
}

/// Reads the redirect that came back.
fn judge(report: &Report, authorization: &Authorization, landed: &Url, state: &str) -> Result<Secret, Trip> {
    let get = |wanted: &str| landed.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    // The line names the address only: the query holds the code.
    let line = format!("redirect to {}", bare(landed));
    let trip = |why: String, then| Trip::at(line.clone(), None, why, then);
    let returned = get("state");
    let outcome = if returned.as_deref() == Some(state) {
        Ok(())
    } else {
        let why = if returned.is_some() { "another state than was sent" } else { "no state" };
        Err(trip(why.into(), "takes the answer for forged and drops the code"))
    };
    report.note(Check::State, outcome);
    let outcome = match (get("iss"), &authorization.issuer) {
        (Some(found), Some(wanted)) if found != *wanted => Err(trip(format!("iss is {found}, wanted {wanted}"), "")),
        (Some(_), _) => Ok(()),
        (None, _) => Err(trip("no iss".into(), "")),
    };
    report.note(Check::Issuer, outcome);
    match (get("code"), get("error")) {
        (Some(code), None) if !code.is_empty() => {
            report.note(Check::Consent, Ok(()));
            Ok(Secret::new(code))
        }
        (_, Some(error)) => {
            let detail = get("error_description").map(|text| format!(": {text}")).unwrap_or_default();
            Err(trip(format!("{error}{detail}"), THEN))
        }
        _ => Err(trip("no code".into(), THEN)),
    }
}

struct Browser<'a> {
    wire: &'a Wire,
    cookies: Vec<(String, String)>,
    authorization: &'a Authorization,
}

/// A page to fetch or a form to send.
struct Visit {
    method: Method,
    url: Url,
    body: Option<String>,
}

impl Browser<'_> {
    /// Goes from page to page until the redirect URI is named.
    async fn walk(&mut self, report: &Report, start: Url) -> Result<Url, (Check, Trip)> {
        let mut visit = Visit { method: Method::GET, url: start, body: None };
        let (mut signed_in, mut sent_password) = (false, false);
        for _ in 0..STEPS {
            let check = if signed_in { Check::Consent } else { Check::SignIn };
            let answer = self.fetch(&visit).await.map_err(|trip| (check, trip))?;
            let line = format!("{} {}", visit.method, bare(&visit.url));
            let trip = |why: String| (check, Trip::at(line.clone(), Some(answer.status), why, THEN));
            match answer.status {
                301..=303 | 307 | 308 => {
                    let target = answer.header(header::LOCATION).and_then(|to| visit.url.join(to).ok());
                    let target = target.ok_or_else(|| trip("a redirect without a usable Location".into()))?;
                    if is_redirect_uri(&self.authorization.redirect_uri, &target) {
                        if !signed_in {
                            report.note(Check::SignIn, Ok(()));
                        }
                        return Ok(target);
                    }
                    if target.origin() != self.authorization.authorize_url.origin() {
                        return Err(trip(format!("leads away to {}", target.origin().ascii_serialization())));
                    }
                    if matches!(answer.status, 307 | 308) {
                        visit.url = target;
                    } else {
                        visit = Visit { method: Method::GET, url: target, body: None };
                    }
                }
                200 => {
                    let html = String::from_utf8_lossy(&answer.body).into_owned();
                    let Some(form) = choose(form::forms(&html)) else {
                        let said = form::message(&html).unwrap_or_else(|| "nothing".into());
                        return Err(trip(format!("a page without a form to go on with; it says: {said}")));
                    };
                    if form.password().is_some() {
                        if sent_password {
                            let said = form::message(&html).unwrap_or_else(|| "no reason given".into());
                            return Err(trip(format!("the sign-in was refused: {said}")));
                        }
                        sent_password = true;
                    } else if !signed_in && (sent_password || form.user().is_none()) {
                        signed_in = true;
                        report.note(Check::SignIn, Ok(()));
                    }
                    visit = self.submit(&visit.url, &form).map_err(trip)?;
                }
                _ => {
                    // A refusal is a page as well, whatever its status: sign-in pages show themselves again with 401, 403 or 429.
                    let html = String::from_utf8_lossy(&answer.body);
                    return Err(trip(match form::message(&html) {
                        Some(said) if sent_password && !signed_in => format!("the sign-in was refused: {said}"),
                        Some(said) => format!("the page says: {said}"),
                        None => "neither a page nor a redirect".into(),
                    }));
                }
            }
        }
        let line = format!("{} {}", visit.method, bare(&visit.url));
        Err((Check::Consent, Trip::at(line, None, format!("no end after {STEPS} pages and redirects"), THEN)))
    }

    fn submit(&self, page: &Url, form: &Form) -> Result<Visit, String> {
        let mut fills = Vec::new();
        let pressed = if let Some(password) = form.password() {
            fills.push((password.name.as_str(), self.authorization.password.expose()));
            fills.extend(form.user().map(|user| (user.name.as_str(), self.authorization.username.as_str())));
            form.approval().or(form.buttons.first())
        } else {
            fills.extend(form.user().map(|user| (user.name.as_str(), self.authorization.username.as_str())));
            form.approval()
        };
        let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.filled(&fills, pressed)).finish();
        let target = match &form.action {
            Some(action) => page.join(action).map_err(|error| format!("the form's action is no address: {error}"))?,
            None => page.clone(),
        };
        if target.origin() != self.authorization.authorize_url.origin() {
            return Err(format!("its form goes away to {}", target.origin().ascii_serialization()));
        }
        Ok(if form.post {
            Visit { method: Method::POST, url: target, body: Some(pairs) }
        } else {
            let mut url = target;
            url.set_query(Some(&pairs));
            Visit { method: Method::GET, url, body: None }
        })
    }

    async fn fetch(&mut self, visit: &Visit) -> Result<Answer, Trip> {
        let line = || format!("{} {}", visit.method, bare(&visit.url));
        let mut request = Request::builder().method(visit.method.clone()).uri(visit.url.as_str());
        request = request.header(header::ACCEPT, "text/html");
        if !self.cookies.is_empty() {
            let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, jar.join("; "));
        }
        if visit.body.is_some() {
            // What a browser sends with a form of its own page.
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, visit.url.origin().ascii_serialization())
                .header("sec-fetch-site", "same-origin");
        }
        let body = Full::new(Bytes::from(visit.body.clone().unwrap_or_default()));
        let request = request.body(body).map_err(|error| Trip::at(line(), None, error.to_string(), THEN))?;
        let answer = self.wire.send(request).await.map_err(|silence| Trip::silence(line(), &silence))?;
        self.keep_cookies(&answer.headers);
        Ok(answer)
    }

    /// All pages are of one origin and the jar lives for one conversation, so name and value are enough of a cookie.
    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            self.cookies.retain(|(known, _)| known != name);
            let ended = parts.any(|part| part.to_ascii_lowercase().replace(' ', "") == "max-age=0");
            if !ended && !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// The form to go on with: sign-in before consent before anything else with a button.
fn choose(forms: Vec<Form>) -> Option<Form> {
    let rank = |form: &Form| {
        if form.password().is_some() {
            0
        } else if form.approval().is_some() && form.user().is_none() {
            1
        } else if form.user().is_some() {
            2
        } else {
            3
        }
    };
    forms.into_iter().filter(|form| rank(form) < 3).min_by_key(rank)
}

fn is_redirect_uri(wanted: &Url, found: &Url) -> bool {
    found.origin() == wanted.origin() && found.path() == wanted.path()
}

/// An address without its query, which may hold codes and user names.
fn bare(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    bare.into()
}
