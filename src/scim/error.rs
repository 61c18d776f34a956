//! The one error of SCIM requests (RFC 7644 §3.12): status, `scimType` and a detail written for the admin who reads it.
//!
//! A detail names the attribute, says what is wrong with it and what to do. It never holds a person's data beyond the
//! piece of the request that it is about, and that piece is kept short.

use std::borrow::Cow;

use serde_json::json;

use super::schema::ERROR;

/// The detail error keywords of RFC 7644 §3.12, table 9, and of RFC 9865 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter's syntax is wrong, or the attribute cannot be compared that way.
    InvalidFilter,
    /// The filter yields more results than the server will compute.
    TooMany,
    /// A unique value is held by somebody else.
    Uniqueness,
    /// The change touches something that clients cannot change.
    Mutability,
    /// The body's structure is wrong.
    InvalidSyntax,
    /// The `path` of a PATCH operation is malformed.
    InvalidPath,
    /// The `path` of a PATCH operation selects nothing.
    NoTarget,
    /// A value is missing or of the wrong form.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request must not carry this in its URI.
    Sensitive,
    /// The cursor is none of ours, or belongs to another query (RFC 9865 §2.1).
    InvalidCursor,
    /// The cursor was ours and is too old (RFC 9865 §2.1).
    ExpiredCursor,
    /// The count of a query by cursor is wrong (RFC 9865 §2.1).
    InvalidCount,
}

impl ScimType {
    /// The keyword as it stands in `scimType`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// Why a SCIM request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// The keyword, where RFC 7644 has one.
    pub scim_type: Option<ScimType>,
    /// What is wrong and what to do, for a human.
    pub detail: String,
}

impl ScimError {
    /// An error with this status, keyword and detail.
    pub fn new(status: u16, scim_type: Option<ScimType>, detail: impl Into<String>) -> Self {
        Self { status, scim_type, detail: detail.into() }
    }

    /// 400 `invalidFilter`.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidFilter), detail)
    }

    /// 400 `invalidPath`.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidPath), detail)
    }

    /// 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidValue), detail)
    }

    /// 400 `invalidSyntax`.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidSyntax), detail)
    }

    /// 400 `noTarget`.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::NoTarget), detail)
    }

    /// 400 `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::Mutability), detail)
    }

    /// 400 `tooMany`.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::TooMany), detail)
    }

    /// 409 `uniqueness`.
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(409, Some(ScimType::Uniqueness), detail)
    }

    /// 413: the request is larger than is announced in `/ServiceProviderConfig`.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(413, None, detail)
    }

    /// 412: the resource is not in the version that the request asks for (RFC 7644 §3.14).
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(412, None, detail)
    }

    /// 404: no resource has this id.
    #[must_use]
    pub fn not_found(id: &str) -> Self {
        Self::new(404, None, format!("there is no resource with the id \"{}\"", excerpt(id)))
    }

    /// 403 without a keyword.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, None, detail)
    }

    /// The response body: JSON with `schemas`, `status` (as text), `scimType` and `detail`, which ends with the request's id.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> String {
        let detail: Cow<'_, str> = match request_id {
            Some(id) => format!("{} (request {id})", self.detail).into(),
            None => self.detail.as_str().into(),
        };
        let mut body = json!({ "schemas": [ERROR], "status": self.status.to_string() });
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = scim_type.as_str().into();
        }
        body["detail"] = detail.into();
        body.to_string()
    }
}

/// The beginning of something the client sent, short enough to be quoted in a detail.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_body_has_a_textual_status_and_quotes_the_request() {
        let body: Value = serde_json::from_str(&ScimError::uniqueness("userName is taken").body(Some("0192"))).unwrap();
        assert_eq!(
            body,
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "409",
                   "scimType": "uniqueness", "detail": "userName is taken (request 0192)"})
        );
        let body: Value = serde_json::from_str(&ScimError::not_found("x").body(None)).unwrap();
        assert_eq!(body["status"], "404");
        assert!(body.get("scimType").is_none());
    }

    #[test]
    fn what_is_quoted_is_kept_short() {
        assert!(ScimError::not_found(&"é".repeat(5000)).detail.len() < 300);
    }
}
