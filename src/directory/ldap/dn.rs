//! Distinguished names (RFC 4514): taking them apart, comparing them, and naming an entry. Servers spell one name in several
//! ways, so that two are the same when they are so without regard to case and runs of spaces, which is how the usual naming
//! attributes match.

use ldap3::dn_escape;

/// A name made comparable, from the entry up to the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dn(Vec<Vec<(String, String)>>);

/// A relative name as written, with the place where it ends.
struct Relative {
    parts: Vec<(String, String)>,
    end: usize,
}

impl Dn {
    /// Reads a name; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let normal = |(attribute, value): (String, String)| {
            (attribute.to_lowercase(), value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        };
        let relatives = split(text)?.into_iter().map(|relative| {
            let mut parts: Vec<_> = relative.parts.into_iter().map(normal).collect();
            parts.sort();
            parts
        });
        Some(Self(relatives.collect()))
    }

    /// Whether this is `base`, or lies anywhere below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.ends_with(&base.0)
    }
}

/// `attribute=value,parent`.
pub fn named(attribute: &str, value: &str, parent: &str) -> String {
    under(&relative(&[(attribute, value)]), parent)
}

/// A relative name and what it lies below, which may be the root.
pub fn under(relative: &str, parent: &str) -> String {
    if parent.is_empty() { relative.to_owned() } else { format!("{relative},{parent}") }
}

fn relative(parts: &[(&str, &str)]) -> String {
    let parts: Vec<_> = parts.iter().map(|(attribute, value)| format!("{attribute}={}", dn_escape(*value))).collect();
    parts.join("+")
}

/// The relative name and the parent of an entry.
pub fn halves(dn: &str) -> Option<(&str, &str)> {
    let end = split(dn)?.first()?.end;
    Some((&dn[..end], dn[end..].strip_prefix([',', ';']).unwrap_or_default().trim_start()))
}

/// What the entry's relative name says of `attribute`.
pub fn naming_value(dn: &str, attribute: &str) -> Option<String> {
    let first = split(dn)?.into_iter().next()?;
    first.parts.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute)).map(|(_, value)| value)
}

/// The entry's relative name with another value of `attribute`; the other parts stay.
pub fn renamed(dn: &str, attribute: &str, value: &str) -> Option<String> {
    let first = split(dn)?.into_iter().next()?;
    let parts: Vec<_> = first
        .parts
        .iter()
        .map(|(name, held)| (name.as_str(), if name.eq_ignore_ascii_case(attribute) { value } else { held.as_str() }))
        .collect();
    Some(relative(&parts))
}

/// Takes a name apart.
fn split(text: &str) -> Option<Vec<Relative>> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let mut parts = Vec::new();
        loop {
            let equals = at + bytes[at..].iter().position(|byte| matches!(byte, b'=' | b',' | b'+' | b';'))?;
            let attribute = text.get(at..equals)?.trim();
            if bytes[equals] != b'=' || attribute.is_empty() {
                return None;
            }
            let (value, end) = value(bytes, equals + 1)?;
            parts.push((attribute.to_owned(), value));
            at = end;
            if bytes.get(at) != Some(&b'+') {
                break;
            }
            at += 1;
        }
        found.push(Relative { parts, end: at });
        if at < bytes.len() {
            at += 1;
            if at == bytes.len() {
                return None;
            }
        }
    }
    Some(found)
}

/// The value that begins at `at`, unescaped, and where it ends.
fn value(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    let (mut value, mut kept) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
                if let Some(code) = hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
                    value.push(code);
                    at += 3;
                } else {
                    value.push(*bytes.get(at + 1)?);
                    at += 2;
                }
                kept = value.len();
            }
            other => {
                value.push(*other);
                if *other != b' ' {
                    kept = value.len();
                }
                at += 1;
            }
        }
    }
    value.truncate(kept);
    Some((String::from_utf8(value).ok()?, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_several_spellings_is_one() {
        for (one, other, same) in [
            ("uid=ada,ou=people,dc=example", "UID = Ada , OU=People,DC=EXAMPLE", true),
            ("cn=Lovelace\\, Ada,dc=x", "cn=Lovelace\\2C Ada,dc=x", true),
            ("cn=a\\+b,dc=x", "cn=a+b=c,dc=x", false),
            ("cn=a+uid=b,dc=x", "uid=B+cn=A,dc=x", true),
            ("cn=a  b,dc=x", "cn=a b,dc=x", true),
            ("cn=\\C3\\96,dc=x", "cn=ö,dc=x", true),
            ("cn=a,dc=x", "cn=a,dc=y", false),
        ] {
            assert_eq!(Dn::parse(one) == Dn::parse(other), same, "{one} {other}");
        }
        for none in ["ada", "uid=ada,", ",", "uid=a\\", "=a"] {
            assert_eq!(Dn::parse(none), None, "{none}");
        }
        let base = Dn::parse("dc=example").unwrap();
        assert!(Dn::parse("uid=ada,ou=p,DC=example").unwrap().is_within(&base));
        assert!(!Dn::parse("uid=ada,dc=example2").unwrap().is_within(&base));
        assert!(base.is_within(&Dn::parse("").unwrap()));
    }

    #[test]
    fn entries_are_named_and_renamed() {
        for (value, dn) in [
            ("ada", "uid=ada,dc=x"),
            ("a,b+c\"d\\<e>;f=", "uid=a\\2cb\\2bc\\22d\\5c\\3ce\\3e\\3bf\\3d,dc=x"),
            (" #a ", "uid=\\20#a\\20,dc=x"),
            ("#a", "uid=\\23a,dc=x"),
            ("a\0", "uid=a\\00,dc=x"),
        ] {
            assert_eq!(named("uid", value, "dc=x"), dn);
            assert_eq!(naming_value(dn, "UID").as_deref(), Some(value));
            assert_eq!(halves(dn).unwrap().1, "dc=x");
        }
        assert_eq!(renamed("cn=Ada\\, L+uid=ada,dc=x", "uid", "bea").unwrap(), "cn=Ada\\2c L+uid=bea");
        assert_eq!(halves("cn=a\\,b, dc=x"), Some(("cn=a\\,b", "dc=x")));
    }
}
