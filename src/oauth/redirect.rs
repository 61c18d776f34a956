//! Redirect URIs (RFC 6749 §3.1.2, RFC 9700 §4.1.3): compared byte for byte with what is registered.
//!
//! One exception: a loopback URI matches on any port (RFC 8252 §7.3), because a native client gets its port from the system. Nothing is
//! decoded or normalised before comparing, so tricks with case, dots, userinfo or fragments have nothing to work on.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a query value: the unreserved characters of RFC 3986.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether `asked` is one of the client's `registered` URIs.
#[must_use]
pub fn matches(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|uri| uri == asked || same_loopback(uri, asked))
}

/// Whether both are `http` URIs of the same loopback host and differ in nothing but the port.
fn same_loopback(registered: &str, asked: &str) -> bool {
    match (loopback(registered), loopback(asked)) {
        (Some(registered), Some(asked)) => registered == asked,
        _ => false,
    }
}

/// Host and everything after the port of a loopback URI.
fn loopback(uri: &str) -> Option<(&'static str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (host, rest) =
        ["127.0.0.1", "[::1]", "localhost"].into_iter().find_map(|host| Some((host, rest.strip_prefix(host)?)))?;
    let after_port = match rest.strip_prefix(':') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse::<u16>().ok()?;
            &rest[digits..]
        }
        None => rest,
    };
    let ends_authority = after_port.is_empty() || after_port.starts_with(['/', '?']);
    let clean = !after_port.contains(['#', '\\']) && after_port.bytes().all(|byte| byte.is_ascii_graphic());
    (ends_authority && clean).then_some((host, after_port))
}

/// The sources that the `form-action` of a Content Security Policy needs for a form whose answer redirects to the URI. Browsers hold
/// the whole chain of redirects against it, and a client may well send its administrator on to another host (Okta's to that
/// of the organisation, a portal to its sign-in), so every https host is among them.
#[must_use]
pub fn form_targets(uri: &str) -> Option<String> {
    let url = url::Url::parse(uri).ok()?;
    Some(match url.origin() {
        url::Origin::Tuple(scheme, ..) if scheme == "https" => "https:".to_owned(),
        origin @ url::Origin::Tuple(..) => format!("{} https:", origin.ascii_serialization()),
        url::Origin::Opaque(_) => format!("{}:", url.scheme()),
    })
}

/// Where a URI leads, in words for a person: its host and an unusual port, or its scheme if it has no host.
#[must_use]
pub fn destination(uri: &str) -> String {
    match url::Url::parse(uri) {
        Ok(url) if url.has_host() => url.authority().to_owned(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => uri.to_owned(),
    }
}

/// `uri` with parameters added to its query (RFC 6749 §4.1.2). Values are bytes and come out exactly when decoded.
#[must_use]
pub fn with(uri: &str, parameters: &[(&str, &[u8])]) -> String {
    let mut out = uri.to_owned();
    let mut separator = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    for (name, value) in parameters {
        out.push_str(separator);
        out.push_str(name);
        out.push('=');
        match std::str::from_utf8(value) {
            Ok(text) => out.extend(utf8_percent_encode(text, UNRESERVED)),
            Err(_) => out.extend(percent_encoding::percent_encode(value, UNRESERVED)),
        }
        separator = "&";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_match_exactly_and_loopback_on_any_port() {
        let registered = [
            "https://portal.azure.com/TokenAuthorize",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
            "http://localhost:3000/cb?x=1",
            "http://10.0.0.1/callback",
        ]
        .map(str::to_owned);
        for (asked, expected) in [
            ("https://portal.azure.com/TokenAuthorize", true),
            ("https://portal.azure.com/tokenauthorize", false),
            ("https://PORTAL.azure.com/TokenAuthorize", false),
            ("https://portal.azure.com/TokenAuthorize/", false),
            ("https://portal.azure.com/TokenAuthorize?x", false),
            ("https://portal.azure.com/TokenAuthorize#", false),
            ("https://portal.azure.com:443/TokenAuthorize", false),
            ("https://user@portal.azure.com/TokenAuthorize", false),
            ("https://portal.azure.com/%54okenAuthorize", false),
            ("https://portal.azure.com/x/../TokenAuthorize", false),
            ("https://portal.azure.com.evil.example/TokenAuthorize", false),
            ("http://portal.azure.com/TokenAuthorize", false),
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:41234/callback", true),
            ("http://127.0.0.1:0/callback", true),
            ("http://127.0.0.1:/callback", false),
            ("http://127.0.0.1:99999/callback", false),
            ("http://127.0.0.1:80x/callback", false),
            ("http://127.0.0.1:80@evil.example/callback", false),
            ("http://127.0.0.1.evil.example/callback", false),
            ("http://127.0.0.1:80/callback/", false),
            ("http://127.0.0.1:80/callback#x", false),
            ("http://127.0.0.1:80\\@evil.example/callback", false),
            ("https://127.0.0.1:80/callback", false),
            ("http://127.0.0.2/callback", false),
            ("http://localhost/callback", false),
            ("http://[::1]:8080/callback", true),
            ("http://localhost:4000/cb?x=1", true),
            ("http://localhost:4000/cb?x=2", false),
            ("http://10.0.0.1:81/callback", false),
            ("", false),
        ] {
            assert_eq!(matches(&registered, asked), expected, "{asked}");
        }
    }

    #[test]
    fn parameters_come_back_as_they_were() {
        for (uri, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=x&state=%C3%A4%20%26%0D%0A"),
            ("https://a.example/cb?", "https://a.example/cb?code=x&state=%C3%A4%20%26%0D%0A"),
            ("https://a.example/cb?y=1", "https://a.example/cb?y=1&code=x&state=%C3%A4%20%26%0D%0A"),
        ] {
            assert_eq!(with(uri, &[("code", b"x"), ("state", "ä &\r\n".as_bytes())]), expected);
        }
        assert_eq!(with("a:b", &[("state", &[0xff, 0x00])]), "a:b?state=%FF%00");
    }

    #[test]
    fn where_forms_may_lead_and_how_a_person_is_told() {
        for (uri, targets, told) in [
            ("https://portal.azure.com/TokenAuthorize", Some("https:"), "portal.azure.com"),
            ("http://127.0.0.1:4000/cb", Some("http://127.0.0.1:4000 https:"), "127.0.0.1:4000"),
            ("http://[::1]/cb", Some("http://[::1] https:"), "[::1]"),
            ("com.example.app:/cb", Some("com.example.app:"), "com.example.app:"),
            ("not a uri", None, "not a uri"),
        ] {
            assert_eq!(form_targets(uri).as_deref(), targets, "{uri}");
            assert_eq!(destination(uri), told, "{uri}");
        }
    }
}
