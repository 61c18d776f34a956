//! The closed set of rules that a vendor's validation is said with: data, checked by one function each.
//!
//! A message names the SCIM path, what is wrong and the way out, in words for the administrator of an identity provider
//! (Entra's expressions where one helps). It never holds the value: people's data are not for logs.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::{Violation, region};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// Something that a value must be like. A value that is absent breaks no rule; that is what `required` is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Characters and length.
    Text(Text),
    /// An e-mail address.
    Email(AttrPath),
    /// A telephone number.
    Phone {
        /// The attribute.
        path: AttrPath,
        /// What it must look like.
        form: Phone,
        /// Whether spaces are taken out instead of refused.
        strip: bool,
    },
    /// The same as another attribute's value, compared without case.
    Same {
        /// The attribute that a create is told about.
        path: AttrPath,
        /// What it must equal.
        other: AttrPath,
    },
    /// There is a value here, or `other` is an e-mail address.
    EmailSomewhere {
        /// The attribute that may be missing.
        path: AttrPath,
        /// What may stand in for it.
        other: AttrPath,
    },
    /// A country that needs a region has one, and it is one of the country's.
    Region {
        /// State or province.
        region: AttrPath,
        /// Country.
        country: AttrPath,
    },
}

/// Which characters a value may have, and how many. It is judged, and written, in NFC: neither the verdict nor the length
/// depends on how a client spells an accent.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The attribute.
    pub path: AttrPath,
    /// The least number of characters.
    pub min: usize,
    /// The greatest number of characters, if there is one.
    pub max: Option<usize>,
    /// What counts as a letter.
    pub letters: Letters,
    /// Characters allowed beside letters and the digits 0-9.
    pub also: String,
    /// Whether blanks are allowed.
    pub spaces: bool,
}

/// What counts as a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// A-Z and a-z.
    Ascii,
    /// Of every script.
    Unicode,
}

/// The form of a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    /// ITU-T E.164 in full: `+`, country code, number; 7 to 15 digits and nothing else.
    E164,
    /// Digits, so many, perhaps after a `+`.
    Digits {
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
}

impl Rule {
    /// Adds to `violations` what is wrong with `after`, looking only at what differs from `before` (all of it on a create).
    pub(super) fn check(
        &self,
        before: Option<&Resource>,
        after: &Resource,
        vendor: &str,
        violations: &mut Vec<Violation>,
    ) {
        match self {
            Self::Text(rule) => {
                if let Some(text) = changed_text(before, after, &rule.path)
                    && let Some(detail) = rule.fault(text)
                {
                    violations.push(Violation::new(&rule.path, &detail));
                }
            }
            Self::Email(path) => {
                if let Some(text) = changed_text(before, after, path)
                    && !is_email(text)
                {
                    let detail = format!("{vendor} wants an e-mail address here{}", map_from(path));
                    violations.push(Violation::new(path, &detail));
                }
            }
            Self::Phone { path, form, strip } => {
                if let Some(text) = changed_text(before, after, path)
                    && let Some(detail) = form.fault(path, &stripped(text, *strip))
                {
                    violations.push(Violation::new(path, &detail));
                }
            }
            Self::Same { path, other } => {
                let (Some(one), Some(two)) = (text(after, path), text(after, other)) else { return };
                if one.to_lowercase() != two.to_lowercase() {
                    let detail = format!(
                        "{vendor} wants {other} and {path} to be the same e-mail address; map both from one attribute \
                         (in Entra, for example [mail]) and change them in one request"
                    );
                    blame(before, after, path, other, |path| {
                        violations.push(Violation::new(path, &detail));
                    });
                }
            }
            Self::EmailSomewhere { path, other } => {
                if text(after, path).is_none() && !text(after, other).is_some_and(is_email) {
                    let detail = format!(
                        "{vendor} needs an e-mail address, in {path} or as {other}; in Entra, map {path} from [mail] and \
                         see that the person has one"
                    );
                    blame(before, after, path, other, |path| {
                        violations.push(Violation::new(path, &detail));
                    });
                }
            }
            Self::Region { region: path, country } => {
                let Some(named) = text(after, country) else { return };
                let (region, paths) = (text(after, path), [path, country]);
                blame(before, after, path, country, |blamed| {
                    if let Some(detail) = region::fault(named, region, paths, blamed) {
                        violations.push(Violation::new(blamed, &detail));
                    }
                });
            }
        }
    }
}

impl Rule {
    /// The attribute that the rule is about; of two, the one that a create is told about.
    #[must_use]
    pub const fn path(&self) -> &AttrPath {
        match self {
            Self::Text(Text { path, .. })
            | Self::Email(path)
            | Self::Phone { path, .. }
            | Self::Same { path, .. }
            | Self::EmailSomewhere { path, .. }
            | Self::Region { region: path, .. } => path,
        }
    }

    /// The value as it is written, if that is another spelling than the one sent.
    pub(super) fn spelling(&self, text: &str) -> Option<String> {
        let spelt = match self {
            Self::Text(_) => text.nfc().collect(),
            Self::Phone { strip, .. } => stripped(text, *strip).into_owned(),
            _ => return None,
        };
        (spelt != text).then_some(spelt)
    }
}

impl Text {
    fn fault(&self, text: &str) -> Option<String> {
        let (path, text) = (&self.path, &*text.nfc().collect::<String>());
        let strip = || source(path).map_or_else(String::new, |from| format!("; in Entra, map StripSpaces([{from}])"));
        let foreign = text.chars().find(|&character| !self.allows(character));
        let (what, way_out) = match foreign {
            _ if text.contains("#EXT#") && !self.also.contains('#') => (
                "the character # is not allowed".to_owned(),
                "; this is a guest's user principal name: in Entra, map it from [mail], or leave guests out of scope"
                    .to_owned(),
            ),
            Some(' ') => ("spaces are not allowed".to_owned(), strip()),
            Some(blank) if blank.is_whitespace() => (
                "line breaks, tabs and other blanks are not allowed".to_owned(),
                "; correct the value where it comes from".to_owned(),
            ),
            Some(control) if control.is_control() => (
                "control characters are not allowed".to_owned(),
                "; correct the value where it comes from".to_owned(),
            ),
            Some(sign) if sign.is_ascii() => (
                format!("the character {sign} is not allowed"),
                source(path).map_or_else(String::new, |from| {
                    format!(
                        "; change the value where it comes from or, in Entra, map Replace([{from}], \"{}\", , , \"-\", , )",
                        if sign == '"' || sign == '\\' { format!("\\{sign}") } else { sign.to_string() }
                    )
                }),
            ),
            Some(letter) if self.letters == Letters::Ascii && (letter.is_alphanumeric() || is_combining_mark(letter)) => (
                "letters and digits other than A-Z, a-z and 0-9 are not allowed".to_owned(),
                source(path)
                    .map_or_else(String::new, |from| format!("; in Entra, map NormalizeDiacritics([{from}])")),
            ),
            Some(_) => (
                "symbols other than those named here are not allowed".to_owned(),
                "; correct the value where it comes from".to_owned(),
            ),
            None => {
                let length = text.chars().count();
                let what = if length < self.min {
                    "too short"
                } else if self.max.is_some_and(|max| length > max) {
                    "too long"
                } else {
                    return None;
                };
                (what.to_owned(), "; map a value of that length, or leave the person out of scope".to_owned())
            }
        };
        Some(format!("{what}; {}{way_out}", self.rule()))
    }

    fn allows(&self, character: char) -> bool {
        let letter = match self.letters {
            Letters::Ascii => character.is_ascii_alphabetic(),
            Letters::Unicode => character.is_alphabetic() || is_combining_mark(character),
        };
        letter || character.is_ascii_digit() || self.also.contains(character) || (self.spaces && character == ' ')
    }

    /// The rule in words: `1-45 letters, digits or : ( ) - , . '`.
    pub(super) fn rule(&self) -> String {
        let mut words = match self.max {
            Some(max) => format!("{}-{max} letters, digits", self.min),
            None if self.min > 1 => format!("at least {} letters, digits", self.min),
            None => "letters, digits".to_owned(),
        };
        if self.spaces {
            words.push_str(", spaces");
        }
        words.push_str(" or");
        for character in self.also.chars() {
            words.push(' ');
            words.push(character);
        }
        words
    }
}

impl Phone {
    fn fits(self, text: &str) -> bool {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain
            && match self {
                Self::E164 => text.starts_with('+') && !digits.starts_with('0') && (7..=15).contains(&digits.len()),
                Self::Digits { min, max } => (min..=max).contains(&digits.len()),
            }
    }

    fn fault(self, path: &AttrPath, text: &str) -> Option<String> {
        if self.fits(text) {
            return None;
        }
        let from = source(path).unwrap_or("telephoneNumber");
        let what = if text.contains(' ') { "spaces are not allowed; " } else { "" };
        let rule = match self {
            Self::E164 => {
                "the number must be in E.164 form: + and country code, then the number, 7-15 digits in all and nothing \
                 between them (such as +14155550100)"
                    .to_owned()
            }
            Self::Digits { min, max } => format!("{min}-{max} digits, + before them or not, and nothing between them"),
        };
        // What an expression can mend is told; a missing country code has to be added where the number is kept.
        let mended = self.fits(&text.chars().filter(|&character| !is_filler(character)).collect::<String>());
        let spaces = text.contains(' ');
        let others = text.contains(|sign: char| sign != ' ' && is_filler(sign));
        let way_out = match (mended, spaces, others) {
            (true, true, false) => format!("in Entra, map StripSpaces([{from}])"),
            (true, true, true) => {
                format!("in Entra, map StripSpaces(Replace([{from}], , \"[^+0-9 ]\", , \"\", , ))")
            }
            (true, false, _) => format!("in Entra, map Replace([{from}], , \"[^+0-9]\", , \"\", , )"),
            (false, true, _) => format!(
                "in Entra, map StripSpaces([{from}]), and correct the number where it comes from: its spaces are not all"
            ),
            (false, false, _) => "correct the number where it comes from, or unmap the attribute".to_owned(),
        };
        Some(format!("{what}{rule}; {way_out}"))
    }
}

/// What people put between the digits of a telephone number.
fn is_filler(character: char) -> bool {
    character.is_whitespace() || "()-./".contains(character)
}

/// Without its spaces, where they are to be taken out.
fn stripped(text: &str, strip: bool) -> Cow<'_, str> {
    if strip && text.contains(' ') { text.replace(' ', "").into() } else { text.into() }
}

/// One `@` with something on both sides, no blanks: what every mail system agrees on.
fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && text.len() <= 254
    }) && !text.contains(|character: char| character.is_whitespace() || character.is_control())
}

/// Whether there is a value that says something; text of nothing but blanks does not.
pub(super) fn given(resource: &Resource, path: &AttrPath) -> bool {
    resource.get(path).is_some_and(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()))
}

pub(super) fn missing(path: &AttrPath, vendor: &str) -> Violation {
    let fallback = if path.attribute == "emails" {
        " (people without a mailbox have no mail: Coalesce([mail], [userPrincipalName]))"
    } else {
        ""
    };
    Violation::new(path, &format!("{vendor} requires a value{}{fallback}", map_from(path)))
}

fn text<'r>(resource: &'r Resource, path: &AttrPath) -> Option<&'r str> {
    resource.text(path).filter(|text| !text.trim().is_empty())
}

/// The text at `path`, if there is one and it is not as before.
fn changed_text<'r>(before: Option<&Resource>, after: &'r Resource, path: &AttrPath) -> Option<&'r str> {
    text(after, path).filter(|_| differs(before, after, path))
}

fn differs(before: Option<&Resource>, after: &Resource, path: &AttrPath) -> bool {
    before.is_none_or(|before| before.get(path) != after.get(path))
}

/// A rule over two attributes blames the first on a create, and on a change each that was changed: putting those back
/// restores what was there.
fn blame(
    before: Option<&Resource>,
    after: &Resource,
    first: &AttrPath,
    second: &AttrPath,
    mut violation: impl FnMut(&AttrPath),
) {
    if before.is_none() {
        return violation(first);
    }
    for path in [first, second] {
        if differs(before, after, path) {
            violation(path);
        }
    }
}

fn map_from(path: &AttrPath) -> String {
    let from = source(path).map_or_else(String::new, |from| format!(" from, for example, [{from}]"));
    format!("; in Entra, map it{from} and see that the person has a value there")
}

/// Entra's attribute that an administrator would usually map to `path`.
fn source(path: &AttrPath) -> Option<&'static str> {
    Some(match (path.attribute.as_str(), path.sub.as_deref()) {
        ("userName", _) => "userPrincipalName",
        ("displayName", _) | ("name", Some("formatted")) => "displayName",
        ("name", Some("givenName")) => "givenName",
        ("name", Some("familyName")) => "surname",
        ("emails", _) => "mail",
        ("phoneNumbers", _) if path.to_string().contains("mobile") => "mobile",
        ("phoneNumbers", _) => "telephoneNumber",
        ("addresses", Some("region")) => "state",
        ("addresses", Some("country")) => "country",
        _ => return None,
    })
}

/// The path `active`.
pub(super) fn active() -> &'static AttrPath {
    static ACTIVE: LazyLock<AttrPath> = LazyLock::new(|| super::path("active"));
    &ACTIVE
}
