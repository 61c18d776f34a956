//! A request as handlers see it, and the few ways to make an answer. Framework-free: hyper stays in `serve`.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;

/// Media type of SCIM bodies (RFC 7644 §3.1).
pub const SCIM_JSON: &str = "application/scim+json";

/// A request whose body has been read whole, within the configured bound.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query string without `?`, still percent-encoded.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// The id that the answer, the log line and the audit record carry.
    pub request_id: String,
}

/// An answer; its body is in memory.
pub type Response = http::Response<Full<Bytes>>;

/// An answer with a body of the given media type.
#[must_use]
pub fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
