//! What of a dialect an operator may choose for one tenant without writing a dialect of their own: the choices that the open
//! questions of `reference/dialects.md` leave. Each says whether the dialect has anything that it turns.

use super::{Dialect, Letters, Protected, Rule, Visibility, path};

impl Dialect {
    /// Whether those whom provisioning never touched are seen (question 12).
    pub fn choose_exposure(&mut self, everyone: bool) -> bool {
        self.visibility = if everyone { Visibility::Everyone } else { Visibility::Managed };
        true
    }

    /// Whether letters of every script count as letters (question 14).
    pub fn choose_unicode(&mut self, unicode: bool) -> bool {
        let letters = if unicode { Letters::Unicode } else { Letters::Ascii };
        self.each_text(|_, text| text.letters = letters)
    }

    /// Whether names may have spaces (question 14); user names never do.
    pub fn choose_spaces(&mut self, allow: bool) -> bool {
        self.each_text(|user_name, text| text.spaces = if user_name { text.spaces } else { allow })
    }

    /// The signs that a user name may have beside letters and digits (question 16).
    pub fn choose_user_name_signs(&mut self, signs: &str) -> bool {
        let mut found = false;
        self.each_text(|user_name, text| {
            if user_name {
                signs.clone_into(&mut text.also);
                found = true;
            }
        });
        found
    }

    /// Whether spaces are taken out of telephone numbers instead of refused (question 17).
    pub fn choose_stripping(&mut self, take_out: bool) -> bool {
        let mut found = false;
        for rule in &mut self.rules {
            if let Rule::Phone { strip, .. } = rule {
                *strip = take_out;
                found = true;
            }
        }
        found
    }

    /// Whether a create without a work e-mail is refused instead of given its user name (question 9).
    pub fn choose_strict_email(&mut self, strict: bool) -> bool {
        let is_email = |to: &super::AttrPath| to.attribute == "emails";
        let found = self.copied.iter().any(|(to, _)| is_email(to));
        if strict {
            self.copied.retain(|(to, _)| !is_email(to));
        }
        found
    }

    /// Whether a 429 comes in the vendor's own form (question 5).
    pub fn choose_vendor_errors(&mut self, vendor: bool) -> bool {
        self.errors.throttle_envelope = vendor;
        self.errors.throttle_code.is_some()
    }

    /// Which roles make somebody protected (question 13); with none nobody is.
    pub fn choose_protected_roles(&mut self, values: Vec<String>) -> bool {
        let attribute = self.protected.take().map_or_else(|| path("roles"), |protected| protected.attribute);
        self.protected = (!values.is_empty()).then_some(Protected { attribute, values });
        true
    }

    fn each_text(&mut self, mut change: impl FnMut(bool, &mut super::Text)) -> bool {
        let mut found = false;
        for rule in &mut self.rules {
            if let Rule::Text(text) = rule {
                change(text.path.is("userName"), text);
                found = true;
            }
        }
        found
    }
}
