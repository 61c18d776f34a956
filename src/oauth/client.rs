//! Client authentication (RFC 6749 §2.3.1, RFC 7521 §4.2): id and secret by HTTP Basic or in the body, or a signed assertion; a
//! public client only names itself.
//!
//! Whether a secret is right or an assertion to be believed is for whoever holds digests and keys; here is only what was said.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

use super::assertion::{Refusal, Unverified};
use super::parameters::Parameters;
use super::{ErrorCode, OAuthError};
use crate::types::Secret;

/// Standard base64; some clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The only kind of assertion there is (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a client proves itself with, by the names of RFC 8414 `token_endpoint_auth_methods_supported`.
pub enum Proof {
    /// `client_secret_basic`.
    Basic(Secret),
    /// `client_secret_post`.
    Post(Secret),
    /// `private_key_jwt`, or the same form signed by the client's identity provider.
    Assertion(Secret),
    /// `none`: a public client's name.
    None,
}

/// What a client said about itself.
pub struct Credentials {
    /// `client_id`.
    pub id: String,
    /// What it gave to prove it.
    pub proof: Proof,
}

impl Credentials {
    /// Reads them from the value of an `Authorization` header and the body's parameters. A `client_id` in the body beside
    /// Basic is taken if it is the same (RingCentral's SDKs send it).
    ///
    /// # Errors
    /// `invalid_client` when there are none or the header is malformed, `invalid_request` when there are two kinds at once.
    pub fn read(authorization: Option<&[u8]>, parameters: &Parameters) -> Result<Self, OAuthError> {
        let id = parameters.text("client_id")?;
        let secret = parameters.text("client_secret")?;
        let assertion = assertion(parameters)?;
        if usize::from(authorization.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
            return Err(OAuthError::invalid_request(
                "The client authenticated in more than one way; use one of Authorization header, client_secret and client_assertion.",
            ));
        }
        let Some(header) = authorization else {
            let id = match (id, assertion) {
                (Some(id), _) => id.to_owned(),
                // RFC 7521 §4.2: client_id may be left out, the subject of an own assertion is the client.
                (None, Some(assertion)) => Unverified::read(assertion).map_err(refused)?.subject,
                (None, None) => return Err(OAuthError::invalid_client()),
            };
            let proof = match (secret, assertion) {
                (Some(secret), _) => Proof::Post(Secret::new(secret)),
                (None, Some(assertion)) => Proof::Assertion(Secret::new(assertion)),
                (None, None) => Proof::None,
            };
            return Ok(Self { id, proof });
        };
        let basic = basic(header).ok_or_else(OAuthError::invalid_client)?;
        let (header_id, header_secret) = basic.expose().split_once(':').ok_or_else(OAuthError::invalid_client)?;
        let header_id = decode(header_id);
        if id.is_some_and(|id| id != header_id) {
            return Err(OAuthError::invalid_request(
                "client_id in the body is not the client of the Authorization header.",
            ));
        }
        let header_secret = decode(header_secret);
        let proof = if header_secret.is_empty() { Proof::None } else { Proof::Basic(Secret::new(header_secret)) };
        Ok(Self { id: header_id, proof })
    }
}

/// The assertion among the parameters.
fn assertion(parameters: &Parameters) -> Result<Option<&str>, OAuthError> {
    match (parameters.text("client_assertion_type")?, parameters.text("client_assertion")?) {
        (None, None) => Ok(None),
        (Some(JWT_BEARER), Some(assertion)) => Ok(Some(assertion)),
        (Some(JWT_BEARER), None) => Err(OAuthError::invalid_request("The parameter client_assertion is missing.")),
        _ => Err(OAuthError::invalid_request(
            "client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
        )),
    }
}

/// A refused assertion as its client hears of it.
pub fn refused(refusal: Refusal) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, format!("The client assertion is refused: {refusal}."))
}

/// The `user:password` of a Basic header (RFC 7617).
fn basic(header: &[u8]) -> Option<Secret> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, token) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > 4096 {
        return None;
    }
    let bytes = LENIENT.decode(token.trim()).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map(Secret::new)
}

/// Id and secret are form-encoded inside Basic (RFC 6749 §2.3.1); what does not decode was sent plain.
fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Id, method and what was given.
    fn read(header: Option<&str>, body: &str) -> Result<(String, &'static str, String), ErrorCode> {
        Credentials::read(header.map(str::as_bytes), &Parameters::parse(body.as_bytes()).unwrap())
            .map(|found| {
                let (method, given) = match found.proof {
                    Proof::Basic(secret) => ("basic", secret),
                    Proof::Post(secret) => ("post", secret),
                    Proof::Assertion(assertion) => ("assertion", assertion),
                    Proof::None => ("none", Secret::new("")),
                };
                (found.id, method, given.expose().to_owned())
            })
            .map_err(|error| error.code)
    }

    fn basic_of(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn both_ways_are_read() {
        let good = Ok(("entra".to_owned(), "s3:cret".to_owned()));
        for (header, body) in [
            (Some(basic_of("entra:s3:cret")), ""),
            (Some(basic_of("entra:s3%3Acret")), "client_id=entra"),
            (Some(basic_of("entra:s3:cret").replace("Basic", "bAsIc")), ""),
            (Some(basic_of("entra:s3:cret").trim_end_matches('=').to_owned()), ""),
            (None, "client_id=entra&client_secret=s3%3Acret"),
        ] {
            assert_eq!(read(header.as_deref(), body).map(|(id, _, secret)| (id, secret)), good, "{header:?} {body}");
        }
        assert_eq!(read(None, "client_id=app"), Ok(("app".to_owned(), "none", String::new())));
        assert_eq!(read(Some(&basic_of("app:")), ""), Ok(("app".to_owned(), "none", String::new())));
        // {"alg":"RS256"}.{"iss":"i","sub":"app"}.sig
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJpIiwic3ViIjoiYXBwIn0.c2ln";
        for id in ["", "&client_id=app"] {
            let body = format!("client_assertion_type={JWT_BEARER}&client_assertion={jwt}{id}");
            assert_eq!(read(None, &body), Ok(("app".to_owned(), "assertion", jwt.to_owned())));
        }
    }

    #[test]
    fn what_is_amiss_is_refused() {
        for (header, body, expected) in [
            (None, "", ErrorCode::InvalidClient),
            (Some("Basic"), "", ErrorCode::InvalidClient),
            (Some("Basic !!!"), "", ErrorCode::InvalidClient),
            (Some("Bearer abc"), "", ErrorCode::InvalidClient),
            (Some("Basic bm9jb2xvbg=="), "", ErrorCode::InvalidClient),
            (Some("Basic /////w=="), "", ErrorCode::InvalidClient),
            (Some("Basic ZW50cmE6cw=="), "client_secret=s", ErrorCode::InvalidRequest),
            (Some("Basic ZW50cmE6cw=="), "client_id=other", ErrorCode::InvalidRequest),
            (None, "client_id=a&client_id=a&client_secret=s", ErrorCode::InvalidRequest),
            (None, "client_id=a&client_assertion=x", ErrorCode::InvalidRequest),
            (None, "client_id=a&client_assertion_type=saml&client_assertion=x", ErrorCode::InvalidRequest),
            (None, &format!("client_id=a&client_assertion_type={JWT_BEARER}"), ErrorCode::InvalidRequest),
            (None, &format!("client_assertion_type={JWT_BEARER}&client_assertion=x"), ErrorCode::InvalidClient),
            (
                Some("Basic ZW50cmE6cw=="),
                &format!("client_assertion_type={JWT_BEARER}&client_assertion=x"),
                ErrorCode::InvalidRequest,
            ),
        ] {
            assert_eq!(read(header, body).err(), Some(expected), "{header:?} {body}");
        }
    }
}
