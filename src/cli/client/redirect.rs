//! Which redirect URIs a client may be registered with.

use url::{Host, Url};

const MAX_URI: usize = 2000;

/// Whether codes may be sent to `uri` (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1): https, http on loopback, or an
/// application's own scheme; absolute and without a fragment.
pub(super) fn check(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_URI || uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("a redirect URI has at most 2000 characters, all of them printable ASCII");
    }
    let url = Url::parse(uri).map_err(|_| "this is not an absolute URI")?;
    if uri.contains('#') {
        return Err("a redirect URI has no fragment (RFC 6749 §3.1.2); leave out everything from # on");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a redirect URI names no user; leave out everything up to @");
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("only a loopback address may be plain http; write https"),
        scheme if scheme.contains('.') => Ok(()),
        _ => Err(
            "write an https URI, an http URI on 127.0.0.1, or an application's own scheme such as com.example.app:/callback",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ENTRA;
    use super::*;

    #[test]
    fn redirect_uris_are_checked() {
        for good in [
            ENTRA[0],
            ENTRA[1],
            "http://127.0.0.1/callback",
            "http://127.0.0.1:8080/callback?x=1",
            "http://[::1]/callback",
            "http://localhost/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "callback",
            "/callback",
            "http://example.com/callback",
            "http://127.0.0.1.example.com/",
            "https://example.com/#token",
            "https://user@example.com/",
            "https://exa mple.com/",
            "https://example.com/\u{e9}",
            "https://example.com/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            &format!("https://example.com/{}", "x".repeat(2000)),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
