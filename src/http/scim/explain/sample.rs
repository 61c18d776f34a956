//! A request written down as text, as HTTP/1.1 has it (RFC 9112 §2.1) and as `.http` files do: request line, headers, blank
//! line, body. Passwords in the body are put out of sight before anything else looks at it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::Unexplained;

/// A request as written.
pub struct Sample {
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, without passwords.
    pub body: Bytes,
}

/// What stands for a password.
pub const MASK: &str = "…";

impl Sample {
    /// Reads the text; lines may end in LF or CRLF, and comment lines (`#`) may stand before the request line.
    ///
    /// # Errors
    /// Says which line is none of HTTP's, and what to write.
    pub fn parse(text: &str) -> Result<Self, Unexplained> {
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut number = 0;
        let mut line = || {
            number += 1;
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let more = !rest.is_empty();
            rest = after;
            more.then(|| (number, line.strip_suffix('\r').unwrap_or(line)))
        };
        let comment = |line: &str| line.trim().is_empty() || line.starts_with('#') || line.starts_with("//");
        let first = loop {
            match line() {
                Some((_, text)) if comment(text) => {}
                Some((_, text)) => break text.trim(),
                None => return Err(Unexplained::new("there is no request; write one such as \"GET /Users/17\"")),
            }
        };
        let (method, path, query) = request_line(first)?;
        let mut headers = HeaderMap::new();
        while let Some((number, text)) = line() {
            if text.is_empty() {
                break;
            }
            let (name, value) = header(text).ok_or_else(|| {
                let hint = if text.trim_start().starts_with(['{', '[']) {
                    "put an empty line between the headers and the body"
                } else {
                    "write \"Name: value\""
                };
                Unexplained::new(format!("line {number} is no header; {hint}"))
            })?;
            headers.append(name, value);
        }
        Ok(Self { method, path, query, headers, body: without_passwords(rest.as_bytes()) })
    }
}

/// `METHOD target` or `METHOD target HTTP/1.1`; blanks in a query are taken although nobody could send them.
fn request_line(line: &str) -> Result<(Method, String, Option<String>), Unexplained> {
    let wrong = || {
        Unexplained::new(
            "the first line is no request; write a method and a path, such as \"PATCH /Users/17\" or \"GET /t/acme/scim/v2/Users HTTP/1.1\"",
        )
    };
    let (method, target) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?;
    let target = target.trim();
    let target = match target.rsplit_once(char::is_whitespace) {
        Some((target, version)) if version.starts_with("HTTP/") => target.trim_end(),
        _ => target,
    };
    // The whole address is as good as its path: the tenant is named beside it.
    let target = match target.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphabetic()) => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    if !target.starts_with('/') {
        return Err(wrong());
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    Ok((method, path.to_owned(), query))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?))
}

/// The body with every password replaced; as it is when there is none (or it is no JSON and so refused anyway).
pub fn without_passwords(body: &[u8]) -> Bytes {
    let unmarked = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    if let Ok(mut value) = serde_json::from_slice::<Value>(unmarked)
        && mask(&mut value)
    {
        return value.to_string().into();
    }
    Bytes::copy_from_slice(body)
}

/// Replaces what a member called `password` holds, and the value of an operation with that path; says whether there was one.
fn mask(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |found, item| mask(item) | found),
        Value::Object(members) => {
            let text =
                |name: &str| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            let addressed = text("path").and_then(Value::as_str).is_some_and(is_password);
            members.iter_mut().fold(false, |found, (key, value)| {
                if is_password(key) || (addressed && key.eq_ignore_ascii_case("value")) {
                    blot(value);
                    return true;
                }
                mask(value) | found
            })
        }
        _ => false,
    }
}

/// Whether a path leads to the password: `password` or `urn:…:User:password`, in any case.
pub fn is_password(path: &str) -> bool {
    path.rsplit(':').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("password"))
}

/// Replaces every scalar by one of its type that tells nothing, so that a wrong type stays one.
fn blot(value: &mut Value) {
    match value {
        Value::String(text) => MASK.clone_into(text),
        Value::Number(_) => *value = 0.into(),
        Value::Array(items) => items.iter_mut().for_each(blot),
        Value::Object(members) => members.values_mut().for_each(blot),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_people_write_them() {
        for (text, method, path, query, body) in [
            ("GET /Users/17", "GET", "/Users/17", None, ""),
            ("GET /Users?count=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/Users", Some("count=1"), ""),
            ("GET /Users?filter=userName eq \"a b\"", "GET", "/Users", Some("filter=userName eq \"a b\""), ""),
            (
                "### a note\n\nPOST https://scim.example.com/t/a/scim/v2/Users\nA: b\n\n{\"a\":1}\n",
                "POST",
                "/t/a/scim/v2/Users",
                None,
                "{\"a\":1}\n",
            ),
            ("\u{feff}DELETE https://scim.example.com", "DELETE", "/", None, ""),
        ] {
            let sample = Sample::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(sample.method, method, "{text}");
            assert_eq!((sample.path.as_str(), sample.query.as_deref()), (path, query), "{text}");
            assert_eq!(sample.body, body, "{text}");
        }
        for (text, problem) in [
            ("", "there is no request"),
            ("\n# nothing\n", "there is no request"),
            ("/Users", "the first line is no request"),
            ("GET Users", "the first line is no request"),
            ("G{T /Users", "the first line is no request"),
            ("POST /Users\n{\"a\":1}", "line 2 is no header; put an empty line"),
            ("POST /Users\nA: b\nnone\n", "line 3 is no header; write"),
        ] {
            let error = Sample::parse(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn passwords_are_out_of_sight() {
        for (body, seen) in [
            (r#"{"userName":"a","Password":"hush"}"#, r#"{"userName":"a","Password":"…"}"#),
            (r#"{"password":["hush",7,true]}"#, r#"{"password":["…",0,true]}"#),
            (
                r#"{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:password","value":"hush"}]}"#,
                r#"{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:password","value":"…"}]}"#,
            ),
            (
                r#"{"Operations":[{"op":"add","value":{"password":"hush"}}]}"#,
                r#"{"Operations":[{"op":"add","value":{"password":"…"}}]}"#,
            ),
            (r#"{ "userName" : "a" }"#, r#"{ "userName" : "a" }"#),
            ("{", "{"),
        ] {
            assert_eq!(without_passwords(body.as_bytes()), seen);
        }
    }
}
