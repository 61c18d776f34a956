//! Whether a code fits what is presented with it (RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9700 §2.1.1).

use super::OAuthError;
use super::pkce::Challenge;
use crate::types::Timestamp;

/// What the code was made for.
pub struct Approved<'a> {
    /// The redirect URI of the authorization request; `None` if it named none.
    pub redirect_uri: Option<&'a str>,
    /// Its challenge.
    pub challenge: Option<Challenge>,
    /// When the code stops being good.
    pub expires: Timestamp,
}

/// What the token request says.
pub struct Presented<'a> {
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`.
    pub verifier: Option<&'a str>,
    /// The redirect URIs registered for the client.
    pub registered: &'a [String],
}

/// Whether the code may be exchanged.
///
/// # Errors
/// `invalid_grant`.
pub fn fits(approved: &Approved<'_>, presented: &Presented<'_>, now: Timestamp) -> Result<(), OAuthError> {
    if now >= approved.expires {
        return Err(OAuthError::invalid_grant("The code has expired; it is good for a minute. Authorize again."));
    }
    let same_address = match (approved.redirect_uri, presented.redirect_uri, presented.registered) {
        (Some(approved), Some(presented), _) => approved == presented,
        (None, None, _) => true,
        // The request named none, so the code went to the only one registered; naming that now does no harm.
        (None, Some(presented), [only]) => presented == only,
        (None, Some(_), _) | (Some(_), None, _) => false,
    };
    if !same_address {
        return Err(OAuthError::invalid_grant("redirect_uri is not the one of the authorization request."));
    }
    match (approved.challenge, presented.verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if challenge.admits(verifier) => Ok(()),
        (Some(_), Some(_)) => Err(OAuthError::invalid_grant("code_verifier does not fit the code_challenge.")),
        (Some(_), None) => Err(OAuthError::invalid_grant("code_verifier is missing.")),
        // Otherwise whoever strips the challenge on its way here goes unnoticed (PKCE downgrade).
        (None, Some(_)) => Err(OAuthError::invalid_grant(
            "code_verifier is given but the authorization request had no code_challenge.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Digest;

    #[test]
    fn a_code_fits_its_own_request_only() {
        const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = Some(Challenge(Digest::of(VERIFIER.as_bytes())));
        let (a, b) = (Some("https://a.example/cb"), Some("https://b.example/cb"));
        for (approved_uri, with_challenge, uri, verifier, now, expected) in [
            (a, false, a, None, 59, true),
            (a, false, a, None, 60, false),
            (a, false, b, None, 0, false),
            (a, false, None, None, 0, false),
            (None, false, None, None, 0, true),
            (None, false, a, None, 0, true),
            (None, false, b, None, 0, false),
            (a, true, a, Some(VERIFIER), 0, true),
            (a, true, a, None, 0, false),
            (a, true, a, Some("x"), 0, false),
            (a, false, a, Some(VERIFIER), 0, false),
        ] {
            let approved = Approved {
                redirect_uri: approved_uri,
                challenge: challenge.filter(|_| with_challenge),
                expires: Timestamp::from_seconds(60),
            };
            let registered = ["https://a.example/cb".to_owned()];
            let presented = Presented { redirect_uri: uri, verifier, registered: &registered };
            let found = fits(&approved, &presented, Timestamp::from_seconds(now));
            assert_eq!(found.is_ok(), expected, "{approved_uri:?} {uri:?} {verifier:?} at {now}: {found:?}");
        }
    }
}
