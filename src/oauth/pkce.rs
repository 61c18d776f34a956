//! Proof Key for Code Exchange (RFC 7636), method S256 only: `plain` proves nothing to whoever saw the request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OAuthError;
use super::parameters::Parameters;
use crate::types::Digest;

/// A `code_challenge` of method S256: the SHA-256 of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge(pub Digest);

impl Challenge {
    /// The challenge of an authorization request, if it has one (RFC 7636 §4.3).
    ///
    /// # Errors
    /// `invalid_request` for another method (a missing one means `plain`), a method alone, or a value that is no SHA-256.
    pub fn of(parameters: &Parameters) -> Result<Option<Self>, OAuthError> {
        let challenge = parameters.text("code_challenge")?;
        let method = parameters.text("code_challenge_method")?;
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err(OAuthError::invalid_request("code_challenge_method is given but code_challenge is missing."))
            }
            (Some(challenge), Some("S256")) => URL_SAFE_NO_PAD
                .decode(challenge)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(|bytes| Some(Self(Digest(bytes))))
                .ok_or_else(|| OAuthError::invalid_request("code_challenge is not the base64url form of a SHA-256.")),
            (Some(_), _) => {
                Err(OAuthError::invalid_request("code_challenge_method must be S256; plain is not accepted."))
            }
        }
    }

    /// Whether `verifier` is what the challenge was made of (RFC 7636 §4.6); one of a wrong form (§4.1) never is.
    #[must_use]
    pub fn admits(&self, verifier: &str) -> bool {
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
            && self.0.same(&Digest::of(verifier.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge(query: &str) -> Result<Option<Challenge>, OAuthError> {
        Challenge::of(&Parameters::parse(query.as_bytes()).unwrap())
    }

    #[test]
    fn the_rfcs_example_fits() {
        let found = challenge(&format!("code_challenge={CHALLENGE}&code_challenge_method=S256")).unwrap().unwrap();
        assert!(found.admits(VERIFIER));
        for wrong in [CHALLENGE, "", &VERIFIER[1..], &VERIFIER.replace('d', "e"), &"ä".repeat(30)] {
            assert!(!found.admits(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_s256_is_taken() {
        assert_eq!(challenge("x=y").unwrap(), None);
        for query in [
            format!("code_challenge={CHALLENGE}"),
            format!("code_challenge={CHALLENGE}&code_challenge_method=plain"),
            format!("code_challenge={CHALLENGE}&code_challenge_method=s256"),
            format!("code_challenge={CHALLENGE}=&code_challenge_method=S256"),
            "code_challenge=abc&code_challenge_method=S256".to_owned(),
            "code_challenge_method=S256".to_owned(),
        ] {
            assert!(challenge(&query).is_err(), "{query}");
        }
    }
}
