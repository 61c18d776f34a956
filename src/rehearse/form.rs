//! Just enough HTML to fill in somebody else's sign-in and consent pages: the forms of a page, their fields and buttons.
//!
//! A tolerant scan over tags, not a parser of the HTML standard: it reads `form`, `input`, `button` and `title`, passes over
//! comments, scripts and styles, and never fails. It knows nothing of HTTP.

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it goes; `None` means the page's own address.
    pub action: Option<String>,
    /// Whether it is sent with POST.
    pub post: bool,
    pub inputs: Vec<Input>,
    pub buttons: Vec<Button>,
}

/// A field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    pub name: String,
    /// `text`, `password`, `hidden`, in lower case.
    pub kind: String,
    pub value: String,
    checked: bool,
}

/// Something that sends the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Button {
    pub name: Option<String>,
    pub value: String,
    pub text: String,
}

impl Form {
    /// The field for the password, if this is a sign-in form.
    pub fn password(&self) -> Option<&Input> {
        self.inputs.iter().find(|input| input.kind == "password")
    }

    /// The field for the user's name.
    pub fn user(&self) -> Option<&Input> {
        let mut texts = self.inputs.iter().filter(|input| matches!(input.kind.as_str(), "text" | "email" | "tel"));
        let named = |input: &&Input| {
            let name = input.name.to_ascii_lowercase();
            ["user", "login", "mail", "account", "identifier"].iter().any(|word| name.contains(word))
        };
        let all: Vec<&Input> = texts.by_ref().collect();
        all.iter().copied().find(|input| named(input)).or_else(|| all.first().copied())
    }

    /// The button that consents; one that says no is never taken.
    pub fn approval(&self) -> Option<&Button> {
        let says = |button: &Button, words: &[&str]| {
            let all =
                format!("{} {} {}", button.name.as_deref().unwrap_or(""), button.value, button.text).to_lowercase();
            words.iter().any(|word| all.contains(word))
        };
        let willing = self
            .buttons
            .iter()
            .filter(|button| !says(button, &["deny", "cancel", "decline", "reject", "another", "sign out"]));
        let mut willing: Vec<&Button> = willing.collect();
        willing
            .sort_by_key(|button| !says(button, &["authori", "allow", "approve", "accept", "consent", "grant", "yes"]));
        willing.first().copied()
    }

    /// The fields as they would be sent, the given ones filled in, with the pressed button last.
    pub fn filled(&self, fills: &[(&str, &str)], pressed: Option<&Button>) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for input in &self.inputs {
            if input.name.is_empty() || (matches!(input.kind.as_str(), "checkbox" | "radio") && !input.checked) {
                continue;
            }
            let value =
                fills.iter().find(|(name, _)| *name == input.name).map_or(input.value.as_str(), |(_, value)| value);
            pairs.push((input.name.clone(), value.to_owned()));
        }
        if let Some(Button { name: Some(name), value, .. }) = pressed {
            pairs.push((name.clone(), value.clone()));
        }
        pairs
    }
}

/// The forms of a page.
pub(super) fn forms(html: &str) -> Vec<Form> {
    let mut found: Vec<Form> = Vec::new();
    let mut open = false;
    let mut button: Option<Button> = None;
    scan(html, |piece| match piece {
        Piece::Text(text) => {
            if let Some(button) = &mut button {
                button.text.push_str(&unescape(text));
            }
        }
        Piece::Tag("form", attributes) => {
            open = true;
            found.push(Form {
                action: attributes.get("action").filter(|action| !action.is_empty()),
                post: attributes.get("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
                ..Form::default()
            });
        }
        Piece::Tag("/form", _) => open = false,
        Piece::Tag("input", attributes) => {
            let Some(form) = found.last_mut().filter(|_| open) else { return };
            let kind = attributes.get("type").unwrap_or_else(|| "text".into()).to_ascii_lowercase();
            let (name, value) = (attributes.get("name"), attributes.get("value").unwrap_or_default());
            if matches!(kind.as_str(), "submit" | "image") {
                form.buttons.push(Button { name, text: value.clone(), value });
            } else if !matches!(kind.as_str(), "button" | "reset" | "file") {
                let checked = attributes.get("checked").is_some();
                form.inputs.push(Input { name: name.unwrap_or_default(), kind, value, checked });
            }
        }
        Piece::Tag("button", attributes) => {
            let kind = attributes.get("type").unwrap_or_default().to_ascii_lowercase();
            if !matches!(kind.as_str(), "button" | "reset") {
                let (name, value) = (attributes.get("name"), attributes.get("value").unwrap_or_default());
                button = Some(Button { name, value, text: String::new() });
            }
        }
        Piece::Tag("/button", _) => {
            if let (Some(form), Some(done)) = (found.last_mut().filter(|_| open), button.take()) {
                form.buttons.push(done);
            }
        }
        Piece::Tag(..) => {}
    });
    found
}

/// What a page says in its first `role="alert"`, or else its title: the reason for showing a form again.
pub(super) fn message(html: &str) -> Option<String> {
    let mut alert = String::new();
    let mut title = String::new();
    let (mut in_alert, mut in_title) = (None::<String>, false);
    scan(html, |piece| match piece {
        Piece::Text(text) => {
            if in_alert.is_some() {
                alert.push_str(&unescape(text));
            } else if in_title {
                title.push_str(&unescape(text));
            }
        }
        Piece::Tag(name, attributes) => {
            if alert.is_empty() && attributes.get("role").as_deref() == Some("alert") {
                in_alert = Some(format!("/{name}"));
            } else if in_alert.as_deref() == Some(name) {
                in_alert = None;
            }
            in_title = name == "title";
        }
    });
    let text = if alert.trim().is_empty() { title } else { alert };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| text.chars().take(200).collect())
}

enum Piece<'a> {
    Text(&'a str),
    /// The name in lower case, `/form` for an end tag.
    Tag(&'a str, Attributes<'a>),
}

/// The text of a start tag behind its name.
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a str);

impl Attributes<'_> {
    fn get(self, wanted: &str) -> Option<String> {
        let mut rest = self.0;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '/').unwrap_or(rest.len()).max(1);
            // `max(1)` may fall inside a character only if the tag starts with one that is no name; give up then.
            let (name, behind) = rest.split_at_checked(end)?;
            let behind = behind.trim_start();
            let value;
            (value, rest) = match behind.strip_prefix('=').map(str::trim_start) {
                None => ("", behind),
                Some(quoted) if quoted.starts_with(['"', '\'']) => {
                    let mark = &quoted[..1];
                    quoted[1..].split_once(mark).unwrap_or((&quoted[1..], ""))
                }
                Some(bare) => bare.split_at(bare.find(char::is_whitespace).unwrap_or(bare.len())),
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(unescape(value));
            }
        }
    }
}

fn scan<'a>(html: &'a str, mut each: impl FnMut(Piece<'a>)) {
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        if start > 0 {
            each(Piece::Text(&rest[..start]));
        }
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(end) = tag_end(rest) else { return };
        let inside = &rest[1..end];
        rest = &rest[end + 1..];
        // The slash of an end tag belongs to its name.
        let split = inside.char_indices().skip(1).find(|(_, c)| c.is_whitespace() || *c == '/').map(|(at, _)| at);
        let (name, attributes) = inside.split_at(split.unwrap_or(inside.len()));
        let known = ["form", "/form", "input", "button", "/button", "title", "/title", "script", "style"];
        let name = known.into_iter().find(|one| one.eq_ignore_ascii_case(name)).unwrap_or(name);
        each(Piece::Tag(name, Attributes(attributes)));
        if name == "script" || name == "style" {
            let close = if name == "script" { "</script" } else { "</style" };
            let lower = rest.to_ascii_lowercase();
            rest = lower.find(close).map_or("", |at| &rest[at..]);
        }
    }
}

/// Where the tag that starts here ends, quotes respected.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Character references: the five named ones that templates write, and numeric ones.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest[1..].split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 8);
        let character = reference.and_then(|name| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)
            }
        });
        if let (Some(character), Some(name)) = (character, reference) {
            out.push(character);
            rest = &rest[name.len() + 2..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGN_IN: &str = r#"<!doctype html><title>Sign in</title><script>if (a<b) document.write("<form>")</script>
        <!-- <form action="/wrong"> --><p role="alert">Wrong &amp; sad</p>
        <FORM method=post action="/t/acme/oauth/authorize?state=a&#38;b"><input type="hidden" name="csrf" value="x&quot;y">
        <label>User <input name='username' autocomplete="username"></label><input type=password name=password>
        <input type="checkbox" name="remember" value="1"><button>Sign in</button></FORM>"#;

    #[test]
    fn a_sign_in_page_gives_its_form() {
        let forms = forms(SIGN_IN);
        assert_eq!(forms.len(), 1);
        let form = &forms[0];
        assert_eq!(form.action.as_deref(), Some("/t/acme/oauth/authorize?state=a&b"));
        assert!(form.post);
        let (user, password) = (form.user().unwrap(), form.password().unwrap());
        let pairs = form.filled(&[(&user.name, "ada"), (&password.name, "s<e>cret")], form.buttons.first());
        let wanted = [("csrf", "x\"y"), ("username", "ada"), ("password", "s<e>cret")];
        assert_eq!(pairs, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(message(SIGN_IN).as_deref(), Some("Wrong & sad"));
    }

    #[test]
    fn the_button_that_says_yes_is_pressed() {
        let page = r#"<form method="post"><input type=hidden name=t value=1>
            <button name="decision" value="deny">Deny</button>
            <button name="decision" value="authorize" autofocus><b>Authorize</b></button></form>"#;
        let form = &forms(page)[0];
        assert_eq!(form.buttons.len(), 2);
        let pressed = form.approval().unwrap();
        assert_eq!((pressed.value.as_str(), pressed.text.as_str()), ("authorize", "Authorize"));
        assert_eq!(form.filled(&[], Some(pressed))[1], ("decision".into(), "authorize".into()));
        let refusing = &forms(r"<form><input type=submit name=go value=Cancel></form>")[0];
        assert_eq!(refusing.approval(), None);
    }

    #[test]
    fn junk_never_fails() {
        for junk in [
            "<",
            "<form",
            "<form <",
            "<>",
            "</",
            "&#xffffffff;&",
            "<a é=\"",
            "<form \u{301}=x>",
            "<!--",
            "<script>x",
            "<é>",
        ] {
            let _ = forms(junk);
            let _ = message(junk);
            assert!(!unescape(junk).is_empty());
        }
    }
}
