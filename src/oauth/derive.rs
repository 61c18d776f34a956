//! What is computed instead of kept: the refresh token that follows another, the tokens of forms, what belongs to a sign-in on its
//! way through another provider, and the marks of browsers that somebody signed in with.
//!
//! One key out of the state, HMAC-SHA-256, and a label for each use. Because a refresh token follows from the one before it, an
//! answer can be given again although the state holds nothing but hashes (design decision 8).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::opaque;
use crate::types::Secret;

/// The key; it never leaves this type.
pub struct DerivationKey(hmac::Key);

impl DerivationKey {
    /// Takes the key's 32 bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The refresh token that follows `token`.
    #[must_use]
    pub fn successor(&self, token: &Secret) -> Secret {
        opaque::form(opaque::Kind::Refresh, &self.tag("refresh", &[token.expose()]))
    }

    /// The token of a form that `tenant` shows to the browser holding the cookie `browser`.
    #[must_use]
    pub fn form_token(&self, tenant: &str, browser: &Secret) -> String {
        URL_SAFE_NO_PAD.encode(self.tag("form", &[tenant, browser.expose()]))
    }

    /// Whether `token` is that of a form, in constant time.
    #[must_use]
    pub fn is_form_token(&self, token: &str, tenant: &str, browser: &Secret) -> bool {
        self.form_token(tenant, browser).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// What belongs to the `state` of a sign-in at another provider under the name `label` (its nonce, its PKCE verifier): 43 characters
    /// that nobody can tell from the `state`.
    #[must_use]
    pub fn companion(&self, label: &str, state: &Secret) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.tag("companion", &[label, state.expose()])))
    }

    /// The mark of a browser that `account` of `tenant` signed in with; `serial` tells the browsers of one account apart.
    #[must_use]
    pub fn browser_mark(&self, tenant: &str, account: &str, serial: &str) -> String {
        format!("{serial}.{}", URL_SAFE_NO_PAD.encode(self.tag("browser", &[tenant, account, serial])))
    }

    /// Whether `mark` is that of a browser that `account` signed in with, in constant time.
    #[must_use]
    pub fn is_browser_mark(&self, mark: &str, tenant: &str, account: &str) -> bool {
        mark.split_once('.').is_some_and(|(serial, _)| {
            self.browser_mark(tenant, account, serial).as_bytes().ct_eq(mark.as_bytes()).into()
        })
    }

    fn tag(&self, label: &str, parts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label.as_bytes());
        for part in parts {
            context.update(&[0]);
            context.update(part.as_bytes());
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Random;

    #[test]
    fn a_successor_is_a_refresh_token_and_always_the_same() {
        let (key, other) = (DerivationKey::new(&[1; 32]), DerivationKey::new(&[2; 32]));
        let first = opaque::mint(opaque::Kind::Refresh, &Random::seeded(1));
        let second = key.successor(&first);
        assert_eq!(opaque::recognise(opaque::Kind::Refresh, second.expose()), Some(second.digest()));
        assert_eq!(second.expose(), key.successor(&first).expose());
        assert_ne!(second.expose(), key.successor(&second).expose());
        assert_ne!(second.expose(), other.successor(&first).expose());
    }

    #[test]
    fn form_tokens_belong_to_a_tenant_and_a_browser() {
        let key = DerivationKey::new(&[1; 32]);
        let (ada, bob) = (Secret::new("ada"), Secret::new("bob"));
        let token = key.form_token("acme", &ada);
        assert!(key.is_form_token(&token, "acme", &ada));
        for (token, tenant, browser) in [(&*token, "acme", &bob), (&token, "other", &ada), ("", "acme", &ada)] {
            assert!(!key.is_form_token(token, tenant, browser));
        }
    }

    #[test]
    fn companions_and_browser_marks_belong_together() {
        let key = DerivationKey::new(&[1; 32]);
        let state = Secret::new("state");
        let nonce = key.companion("nonce", &state);
        assert_eq!(nonce.expose().len(), 43);
        assert_eq!(nonce.expose(), key.companion("nonce", &state).expose());
        assert_ne!(nonce.expose(), key.companion("verifier", &state).expose());
        assert_ne!(nonce.expose(), key.companion("nonce", &Secret::new("other")).expose());

        let mark = key.browser_mark("acme", "ada", "1");
        assert!(key.is_browser_mark(&mark, "acme", "ada"));
        let other = key.browser_mark("acme", "ada", "2");
        assert!(key.is_browser_mark(&other, "acme", "ada") && other != mark);
        for (mark, tenant, account) in [
            (&*mark, "acme", "bob"),
            (&mark, "other", "ada"),
            ("", "acme", "ada"),
            ("1.", "acme", "ada"),
            (&mark[1..], "acme", "ada"),
        ] {
            assert!(!key.is_browser_mark(mark, tenant, account));
        }
    }
}
