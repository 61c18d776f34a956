//! Request parameters (RFC 6749 §3.1, §3.2): `application/x-www-form-urlencoded`, in a query string or a body.
//!
//! Bounded before anything is decoded. Values stay bytes until somebody asks for text, because `state` belongs to the client and
//! goes back as it came, UTF-8 or not. A parameter without a value counts as absent; one that occurs twice is an error for
//! whoever asks for it.

use percent_encoding::percent_decode;

use super::OAuthError;

/// The longest query string or body that is read, in bytes.
pub const MAX_TOTAL: usize = 16 * 1024;
/// The longest value, in bytes after decoding.
pub const MAX_VALUE: usize = 4096;
/// The most parameters in one request.
const MAX_COUNT: usize = 64;

/// The parameters of one request.
pub struct Parameters(Vec<(Vec<u8>, Vec<u8>)>);

impl Parameters {
    /// Reads a query string or form body.
    ///
    /// # Errors
    /// `invalid_request` when it is too long or holds too many parameters.
    pub fn parse(encoded: &[u8]) -> Result<Self, OAuthError> {
        if encoded.len() > MAX_TOTAL {
            return Err(OAuthError::invalid_request("The request's parameters are longer than 16 KiB together."));
        }
        let mut pairs = Vec::new();
        for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_COUNT {
                return Err(OAuthError::invalid_request("The request has more than 64 parameters."));
            }
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            pairs.push((decode(name), decode(value)));
        }
        Ok(Self(pairs))
    }

    /// The bytes of the parameter; `None` if it is absent or empty.
    ///
    /// # Errors
    /// `invalid_request` when it occurs more than once or is longer than [`MAX_VALUE`].
    pub fn bytes(&self, name: &'static str) -> Result<Option<&[u8]>, OAuthError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice());
        let value = values.next();
        if values.next().is_some() {
            return Err(OAuthError::invalid_request(format!("The parameter {name} occurs more than once.")));
        }
        match value {
            Some(value) if value.len() > MAX_VALUE => {
                Err(OAuthError::invalid_request(format!("The parameter {name} is longer than {MAX_VALUE} bytes.")))
            }
            Some([]) | None => Ok(None),
            value => Ok(value),
        }
    }

    /// The text of the parameter; `None` if it is absent or empty.
    ///
    /// # Errors
    /// As [`Parameters::bytes`], and when it is not UTF-8 or holds a NUL.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, OAuthError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(Some(text)),
            _ => Err(OAuthError::invalid_request(format!("The parameter {name} is not UTF-8 text."))),
        }
    }

    /// The text of a parameter that must be there.
    ///
    /// # Errors
    /// As [`Parameters::text`], and when it is absent.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.text(name)?.ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing.")))
    }

    /// That no parameter occurs twice, whether anybody asks for it or not (RFC 6749 §3.2).
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn distinct(&self) -> Result<(), OAuthError> {
        let twice =
            self.0.iter().enumerate().any(|(index, (name, _))| self.0[..index].iter().any(|(other, _)| other == name));
        if twice { Err(OAuthError::invalid_request("A parameter occurs more than once.")) } else { Ok(()) }
    }

    /// Whether the parameter occurs at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name.as_bytes())
    }
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_forms_are() {
        let parameters = Parameters::parse(b"a=1+2&b=%C3%A4%26&c=&d&e=x=y&&f=%zz&g=%FF%00").unwrap();
        for (name, expected) in
            [("a", Some("1 2")), ("b", Some("ä&")), ("c", None), ("d", None), ("e", Some("x=y")), ("f", Some("%zz"))]
        {
            assert_eq!(parameters.text(name).unwrap(), expected, "{name}");
        }
        assert_eq!(parameters.bytes("g").unwrap(), Some(&[0xff, 0][..]));
        assert!(parameters.text("g").is_err());
        assert!(parameters.required("c").is_err());
        assert!(parameters.has("d") && !parameters.has("z"));
    }

    #[test]
    fn repeated_parameters_are_refused() {
        for query in ["state=1&state=1", "state=1&%73tate=2", "state=&state="] {
            let parameters = Parameters::parse(query.as_bytes()).unwrap();
            assert!(parameters.bytes("state").is_err(), "{query}");
            assert!(parameters.distinct().is_err(), "{query}");
        }
        assert!(Parameters::parse(b"a=1&b=1").unwrap().distinct().is_ok());
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(Parameters::parse(&vec![b'a'; MAX_TOTAL + 1]).is_err());
        assert!(Parameters::parse("a=1&".repeat(MAX_COUNT).as_bytes()).is_ok());
        assert!(Parameters::parse("a=1&".repeat(MAX_COUNT + 1).as_bytes()).is_err());
        let long = format!("a={}", "x".repeat(MAX_VALUE + 1));
        assert!(Parameters::parse(long.as_bytes()).unwrap().bytes("a").is_err());
    }
}
