//! What the authorization server refuses with: the codes of RFC 6749 §4.1.2.1 and §5.2, RFC 7009 §2.2.1 and OpenID Connect's
//! answers to `prompt=none`.

use std::borrow::Cow;

use serde_json::json;

/// A registered error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated, too long or makes no sense.
    InvalidRequest,
    /// The client is unknown, or did not prove who it is.
    InvalidClient,
    /// The code or refresh token is unknown, used up, expired, or another client's.
    InvalidGrant,
    /// This client may not do this.
    UnauthorizedClient,
    /// The grant type is none of ours.
    UnsupportedGrantType,
    /// The response type is none of ours.
    UnsupportedResponseType,
    /// A scope that does not exist or was not granted.
    InvalidScope,
    /// The administrator said no.
    AccessDenied,
    /// Something broke on our side.
    ServerError,
    /// We cannot answer now.
    TemporarilyUnavailable,
    /// `prompt=none`, and nobody is signed in.
    LoginRequired,
    /// `prompt=none`, and the administrator would have to approve.
    ConsentRequired,
}

impl ErrorCode {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
        }
    }

    /// The HTTP status when it is answered as JSON (RFC 6749 §5.2).
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType
            | Self::InvalidScope
            | Self::AccessDenied
            | Self::LoginRequired
            | Self::ConsentRequired => 400,
        }
    }
}

/// A refusal: what, and in words that the client's operator can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// The words: printable ASCII without `"` and `\` (RFC 6749 §5.2), never a value that was sent.
    pub description: Cow<'static, str>,
}

impl OAuthError {
    /// A refusal with `description`.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into() }
    }

    /// `invalid_request`.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_grant`.
    pub fn invalid_grant(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// `invalid_client`. The words are the same for an unknown client and a wrong secret.
    pub const fn invalid_client() -> Self {
        Self {
            code: ErrorCode::InvalidClient,
            description: Cow::Borrowed("Unknown client, or the client secret is wrong, expired or missing."),
        }
    }

    /// The JSON body of RFC 6749 §5.2.
    #[must_use]
    pub fn body(&self) -> String {
        json!({ "error": self.code.as_str(), "error_description": self.description }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_rfc_6749s() {
        assert_eq!(
            OAuthError::invalid_grant("The code is used up.").body(),
            r#"{"error":"invalid_grant","error_description":"The code is used up."}"#
        );
        assert_eq!(OAuthError::invalid_client().code.status(), 401);
    }
}
