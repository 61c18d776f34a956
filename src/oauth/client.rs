//! Client authentication (RFC 6749 §2.3.1): id and secret by HTTP Basic or in the body; a public client only names itself.
//!
//! Whether the secret is right is for whoever holds the digests; here is only what was said and how.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

use super::parameters::Parameters;
use super::{ErrorCode, OAuthError};
use crate::types::Secret;

/// Standard base64; some clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a client says who it is, by the names of RFC 8414 `token_endpoint_auth_methods_supported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `none`: a public client's name.
    None,
}

/// What a client said about itself.
pub struct Credentials {
    /// `client_id`.
    pub id: String,
    /// Its secret, unless it only named itself.
    pub secret: Option<Secret>,
    /// How it was said.
    pub method: Method,
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
        if parameters.has("client_assertion") {
            return Err(OAuthError::new(
                ErrorCode::InvalidClient,
                "Client assertions are not accepted here; use client_secret_basic or client_secret_post.",
            ));
        }
        let Some(header) = authorization else {
            return Ok(Self {
                id: id.ok_or_else(OAuthError::invalid_client)?.to_owned(),
                method: if secret.is_some() { Method::Post } else { Method::None },
                secret: secret.map(Secret::new),
            });
        };
        if secret.is_some() {
            return Err(OAuthError::invalid_request(
                "The client authenticated by the Authorization header and by the body; use one of them.",
            ));
        }
        let basic = basic(header).ok_or_else(OAuthError::invalid_client)?;
        let (header_id, header_secret) = basic.expose().split_once(':').ok_or_else(OAuthError::invalid_client)?;
        let header_id = decode(header_id);
        if id.is_some_and(|id| id != header_id) {
            return Err(OAuthError::invalid_request(
                "client_id in the body is not the client of the Authorization header.",
            ));
        }
        let header_secret = decode(header_secret);
        Ok(Self {
            id: header_id,
            secret: (!header_secret.is_empty()).then(|| Secret::new(header_secret)),
            method: Method::Basic,
        })
    }
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

    fn read(header: Option<&str>, body: &str) -> Result<(String, Option<String>, Method), ErrorCode> {
        Credentials::read(header.map(str::as_bytes), &Parameters::parse(body.as_bytes()).unwrap())
            .map(|found| (found.id, found.secret.map(|secret| secret.expose().to_owned()), found.method))
            .map_err(|error| error.code)
    }

    fn basic_of(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn both_ways_are_read() {
        let good = Ok(("entra".to_owned(), Some("s3:cret".to_owned())));
        for (header, body) in [
            (Some(basic_of("entra:s3:cret")), ""),
            (Some(basic_of("entra:s3%3Acret")), "client_id=entra"),
            (Some(basic_of("entra:s3:cret").replace("Basic", "bAsIc")), ""),
            (Some(basic_of("entra:s3:cret").trim_end_matches('=').to_owned()), ""),
            (None, "client_id=entra&client_secret=s3%3Acret"),
        ] {
            assert_eq!(read(header.as_deref(), body).map(|(id, secret, _)| (id, secret)), good, "{header:?} {body}");
        }
        assert_eq!(read(None, "client_id=app"), Ok(("app".to_owned(), None, Method::None)));
        assert_eq!(read(Some(&basic_of("app:")), ""), Ok(("app".to_owned(), None, Method::Basic)));
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
            (None, "client_id=a&client_assertion=x", ErrorCode::InvalidClient),
        ] {
            assert_eq!(read(header, body).err(), Some(expected), "{header:?} {body}");
        }
    }
}
