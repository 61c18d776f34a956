//! The authorization request (RFC 6749 §4.1.1), in two steps that decide who hears of a mistake.
//!
//! First the [`ReturnAddress`]: a wrong one is told to the person at the browser, never sent anywhere. Then the rest: a mistake there
//! goes back to the client, with its `state` and our issuer (RFC 9207). Both are read afresh from the address line at every
//! step of the conversation, so a page cannot be made to approve something else than it showed.

use percent_encoding::percent_decode_str;

use super::parameters::Parameters;
use super::pkce::Challenge;
use super::{ErrorCode, OAuthError, Scopes, redirect};

/// What a client is registered for, as far as an authorization request is concerned.
pub struct Registration<'a> {
    /// Where codes may be sent.
    pub redirect_uris: &'a [String],
    /// What it may ask for.
    pub scopes: Scopes,
    /// Whether it cannot keep a secret, and so must use PKCE.
    pub public: bool,
}

/// Where the answer goes.
pub struct ReturnAddress {
    /// The redirect URI.
    pub uri: String,
    /// Whether the request named it; the token request must then name it too (RFC 6749 §4.1.3).
    pub stated: bool,
    state: Option<Vec<u8>>,
}

impl ReturnAddress {
    /// The address of a request: the one it names if that is registered, else the only one registered.
    ///
    /// # Errors
    /// For the person at the browser; must not be sent to any redirect URI.
    pub fn of(parameters: &Parameters, registration: &Registration<'_>) -> Result<Self, OAuthError> {
        let stated = parameters.text("redirect_uri")?;
        let uri = match (stated, registration.redirect_uris) {
            (Some(uri), registered) if redirect::matches(registered, uri) => uri,
            (Some(_), _) => {
                return Err(OAuthError::invalid_request(
                    "The redirect_uri is not one of those registered for this client. It must be the same to the letter.",
                ));
            }
            (None, [only]) => only,
            (None, _) => {
                return Err(OAuthError::invalid_request(
                    "The redirect_uri is missing, and the client has not exactly one registered.",
                ));
            }
        };
        // A state that cannot be read is an error of the request, told to the client without it.
        let state = parameters.bytes("state").ok().flatten().map(<[u8]>::to_vec);
        Ok(Self { uri: uri.to_owned(), stated: stated.is_some(), state })
    }

    /// The address with a code (RFC 6749 §4.1.2). `expires_in`, the seconds the code lives, is RingCentral's addition.
    #[must_use]
    pub fn with_code(&self, code: &str, issuer: &str, expires_in: Option<u64>) -> String {
        let expires_in = expires_in.map(|seconds| seconds.to_string());
        let mut parameters = vec![("code", code.as_bytes())];
        if let Some(seconds) = &expires_in {
            parameters.push(("expires_in", seconds.as_bytes()));
        }
        self.with(parameters, issuer)
    }

    /// The address with a refusal (RFC 6749 §4.1.2.1).
    #[must_use]
    pub fn with_error(&self, error: &OAuthError, issuer: &str) -> String {
        self.with(
            vec![("error", error.code.as_str().as_bytes()), ("error_description", error.description.as_bytes())],
            issuer,
        )
    }

    fn with<'a>(&'a self, mut parameters: Vec<(&'static str, &'a [u8])>, issuer: &'a str) -> String {
        if let Some(state) = &self.state {
            parameters.push(("state", state));
        }
        parameters.push(("iss", issuer.as_bytes()));
        redirect::with(&self.uri, &parameters)
    }
}

/// `prompt` (OpenID Connect Core §3.1.2.1): what the client wants asked. Values that mean nothing here are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Sign in again, whoever is signed in.
    pub login: bool,
    /// Show no page.
    pub none: bool,
}

/// A request that may be put before an administrator.
pub struct AuthorizationRequest {
    /// What is asked for.
    pub scopes: Scopes,
    /// PKCE.
    pub challenge: Option<Challenge>,
    /// What to ask.
    pub prompt: Prompt,
    /// Who might want to sign in.
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// Reads the rest of the request. A missing `response_type` means `code`: authorization addresses that identity providers
    /// keep on file do not all have one.
    ///
    /// # Errors
    /// For the client, by way of [`ReturnAddress::with_error`].
    pub fn parse(parameters: &Parameters, registration: &Registration<'_>) -> Result<Self, OAuthError> {
        parameters.distinct()?;
        parameters.bytes("state")?;
        if !matches!(parameters.text("response_type")?, None | Some("code")) {
            return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "The only response_type is code."));
        }
        if !matches!(parameters.text("response_mode")?, None | Some("query")) {
            return Err(OAuthError::invalid_request("The only response_mode is query."));
        }
        let scopes = match parameters.text("scope")? {
            None => registration.scopes,
            Some(text) => {
                Scopes::parse(text).filter(|scopes| scopes.within(registration.scopes)).ok_or_else(invalid_scope)?
            }
        };
        if scopes.is_empty() {
            return Err(invalid_scope());
        }
        let challenge = Challenge::of(parameters)?;
        if registration.public && challenge.is_none() {
            return Err(OAuthError::invalid_request("A public client must send a code_challenge (PKCE, S256)."));
        }
        let words: Vec<&str> = parameters.text("prompt")?.unwrap_or_default().split(' ').collect();
        let prompt = Prompt { login: words.contains(&"login"), none: words.contains(&"none") };
        if prompt.none && words.len() > 1 {
            return Err(OAuthError::invalid_request("prompt=none stands alone."));
        }
        let login_hint = parameters.text("login_hint")?.map(str::to_owned);
        Ok(Self { scopes, challenge, prompt, login_hint })
    }
}

fn invalid_scope() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidScope,
        "The scope is unknown or not registered for this client; there are scim.read and scim.write.",
    )
}

/// `query` without the wish to sign in again, all else untouched: where to go on after that wish has been met.
#[must_use]
pub fn without_prompt(query: &str) -> String {
    let is_prompt = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        percent_decode_str(name).eq(*b"prompt")
    };
    query.split('&').filter(|pair| !is_prompt(pair)).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(query.as_bytes()).unwrap()
    }

    fn uris(list: &[&str]) -> Vec<String> {
        list.iter().map(|uri| (*uri).to_owned()).collect()
    }

    #[test]
    fn the_return_address_is_a_registered_one() {
        let one = uris(&["https://a.example/cb"]);
        let two = uris(&["https://a.example/cb", "http://127.0.0.1/cb"]);
        for (registered, query, expected) in [
            (&one, "", Some(("https://a.example/cb", false))),
            (&one, "redirect_uri=", Some(("https://a.example/cb", false))),
            (&two, "", None),
            (&one, "redirect_uri=https://a.example/cb", Some(("https://a.example/cb", true))),
            (&two, "redirect_uri=http://127.0.0.1:99/cb", Some(("http://127.0.0.1:99/cb", true))),
            (&one, "redirect_uri=https://evil.example/cb", None),
            (&one, "redirect_uri=https://a.example/cb&redirect_uri=https://a.example/cb", None),
            (&one, "redirect_uri=https://a.example/cb%00", None),
        ] {
            let registration = Registration { redirect_uris: registered, scopes: Scopes::ALL, public: false };
            let found = ReturnAddress::of(&parameters(query), &registration).ok();
            assert_eq!(found.as_ref().map(|address| (address.uri.as_str(), address.stated)), expected, "{query}");
        }
    }

    #[test]
    fn answers_carry_state_and_issuer() {
        let registered = uris(&["https://a.example/cb?x=1"]);
        let registration = Registration { redirect_uris: &registered, scopes: Scopes::ALL, public: false };
        for (query, state) in [
            ("state=1", "&state=1"),
            ("state=a%2Bb+c%FF%00%0d%0a", "&state=a%2Bb%20c%FF%00%0D%0A"),
            ("", ""),
            ("state=1&state=2", ""),
        ] {
            let address = ReturnAddress::of(&parameters(query), &registration).unwrap();
            assert_eq!(
                address.with_code("pcc_x", "https://i.example/t/a", Some(60)),
                format!("https://a.example/cb?x=1&code=pcc_x&expires_in=60{state}&iss=https%3A%2F%2Fi.example%2Ft%2Fa")
            );
            let error = OAuthError::new(ErrorCode::AccessDenied, "No.");
            assert_eq!(
                address.with_error(&error, "i"),
                format!("https://a.example/cb?x=1&error=access_denied&error_description=No.{state}&iss=i")
            );
        }
    }

    #[test]
    fn mistakes_are_told_by_their_codes() {
        let registered = uris(&["https://a.example/cb"]);
        let read_only = Scopes::parse("scim.read").unwrap();
        for (public, scopes, query, expected) in [
            (false, Scopes::ALL, "response_type=code&state=1&scope=scim.read", None),
            (false, Scopes::ALL, "", None),
            (false, Scopes::ALL, "prompt=login+sso&brand_id=7&login_hint=ada", None),
            (false, Scopes::ALL, "response_type=token", Some(ErrorCode::UnsupportedResponseType)),
            (false, Scopes::ALL, "response_type=code+token", Some(ErrorCode::UnsupportedResponseType)),
            (false, Scopes::ALL, "response_mode=fragment", Some(ErrorCode::InvalidRequest)),
            (false, Scopes::ALL, "scope=openid", Some(ErrorCode::InvalidScope)),
            (false, read_only, "scope=scim.write", Some(ErrorCode::InvalidScope)),
            (false, Scopes::NONE, "", Some(ErrorCode::InvalidScope)),
            (false, Scopes::ALL, "state=1&state=1", Some(ErrorCode::InvalidRequest)),
            (false, Scopes::ALL, "x=1&x=1", Some(ErrorCode::InvalidRequest)),
            (false, Scopes::ALL, "code_challenge=x&code_challenge_method=plain", Some(ErrorCode::InvalidRequest)),
            (false, Scopes::ALL, "prompt=none+login", Some(ErrorCode::InvalidRequest)),
            (true, Scopes::ALL, "response_type=code", Some(ErrorCode::InvalidRequest)),
            (true, Scopes::ALL, CHALLENGE, None),
        ] {
            let registration = Registration { redirect_uris: &registered, scopes, public };
            let found = AuthorizationRequest::parse(&parameters(query), &registration).err().map(|error| error.code);
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn the_wish_to_sign_in_again_is_taken_out() {
        for (query, expected) in [
            ("client_id=a&prompt=login&state=%FF+x", "client_id=a&state=%FF+x"),
            ("prompt=login+sso", ""),
            ("a=1&%70rompt=login", "a=1"),
            ("client_id=a&xprompt=1", "client_id=a&xprompt=1"),
        ] {
            assert_eq!(without_prompt(query), expected);
        }
    }
}
