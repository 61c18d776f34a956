//! `[tenants.NAME.sign_in]`: how administrators prove who they are, and which of them may do what.
//!
//! The TOML it is read from (`*` = must be there; unknown keys are errors):
//!
//! ```toml
//! sign_in = { kind = "local" }             # a password of the gateway's own: `portcullis admin add`
//!
//! [tenants.acme.sign_in]
//! kind          = "oidc"                   # the organisation's OpenID provider
//! issuer        = "https://id.example.com" # * its discovery document lies at ISSUER/.well-known/openid-configuration
//! client_id     = "portcullis"             # * registered there with the redirect URI PUBLIC_URL/t/acme/oauth/callback
//! client_secret = "env:OIDC_SECRET"        # none: a public client, by PKCE alone
//! scopes        = ["openid", "profile", "email"]
//! role_claim    = "groups"                 # * claim of the ID token: a name, or a JSON Pointer such as "/realm_access/roles"
//! roles         = { super_user = ["it"], account_admin = ["hr"], viewer = "staff" } # * which of its values give which role
//! timeout       = "10s"                    # of one call to the provider
//!
//! [tenants.acme.sign_in]
//! kind          = "directory"              # the user system verifies the password; `rest` or `ldap`
//! roles         = { super_user = "admin" } # *
//! rest.url      = "https://hr.example.com" # * with rest
//! rest.token    = "env:HR_TOKEN"           # bearer token of the gateway's own; none
//! rest.call     = "POST /login"            # method and path; {username} may stand in it
//! rest.body     = '{"username":"{username}","password":"{password}"}' # JSON; {username} and {password} in its texts
//! rest.success  = 200                      # the status that says: the password is right
//! rest.wrong    = [400, 401, 403, 404, 422] # those that say: it is not. Any other means the user system is out of order
//! rest.subject  = "/id"                    # where the success answer names them for good; none: by the name they typed
//! rest.role     = "/role"                  # * where it says what `roles` are about: a text, or a list of texts
//! ldap.url      = "ldaps://ldap.example.com" # * with ldap; ldap:// means StartTLS, in clear only to this machine
//! ldap.bind_dn  = "cn=gateway,dc=example"  # who searches; none: anonymous
//! ldap.bind_password = "env:LDAP_PASSWORD"
//! ldap.base     = "ou=people,dc=example"   # * below which the person's entry is
//! ldap.filter   = "(uid={username})"       # which entry it is
//! ldap.subject  = "entryUUID"              # the attribute that names them for good
//! ldap.role     = "memberOf"               # the attribute that says what `roles` are about
//! timeout       = "10s"
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value as Json;
use url::Url;

use super::load::is_loopback;
use super::reader::{Section, choose};
use super::value::{Value, advice};
use crate::directory::client::Base;
use crate::oauth::Role;
use crate::types::Secret;

const KINDS: [&str; 3] = ["local", "oidc", "directory"];
const TIMEOUT: Duration = Duration::from_secs(10);
const BOUNDS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);

/// How a tenant's administrators sign in.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// With a user name and password kept in the gateway's own state.
    Local,
    /// At the organisation's OpenID provider.
    Oidc(Box<Oidc>),
    /// With a user name and password that the tenant's user system verifies.
    Directory(Box<Directory>),
}

/// `kind = "oidc"` (OpenID Connect Core §3.1).
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The issuer, byte for byte as its documents and ID tokens name it.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; `None`: a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// Where the ID token says what `roles` are about.
    pub role_claim: Pointer,
    /// Which of its values give which role.
    pub roles: Roles,
    /// Of one call.
    pub timeout: Duration,
}

/// `kind = "directory"`.
#[derive(Clone, Debug)]
pub struct Directory {
    /// How the password is verified.
    pub verifier: Verifier,
    /// Which of the values it finds give which role.
    pub roles: Roles,
    /// Of one verification, all in all.
    pub timeout: Duration,
}

/// What verifies a password.
#[derive(Clone, Debug, PartialEq)]
pub enum Verifier {
    /// A call of the user system.
    Rest(Rest),
    /// A bind to an LDAP server.
    Ldap(Ldap),
}

/// The server that verifies a password, and where a person's entry is.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldap://` or `ldaps://`, host and perhaps port.
    pub url: String,
    /// Who searches, and their password; `None`: nobody in particular.
    pub bind: Option<(String, Secret)>,
    /// Below which entry.
    pub base: String,
    /// Which entry: an RFC 4515 filter, in which `{username}` is filled in escaped.
    pub filter: String,
    /// The attribute that names the person for good.
    pub subject: String,
    /// The attribute that says what [`Directory::roles`] are about.
    pub role: String,
    /// Whether no TLS is spoken: the server is on this machine.
    pub in_clear: bool,
}

impl PartialEq for Ldap {
    fn eq(&self, other: &Self) -> bool {
        let bind = |ldap: &Self| ldap.bind.as_ref().map(|(dn, password)| (dn.clone(), password.digest()));
        let rest = |ldap: &Self| {
            let Self { url, base, filter, subject, role, in_clear, .. } = ldap.clone();
            (url, base, filter, subject, role, in_clear)
        };
        bind(self) == bind(other) && rest(self) == rest(other)
    }
}

/// The call that verifies a password. Its address never holds the password: addresses are logged on the way.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Scheme, host and what stands before the path.
    pub base: Base,
    /// The gateway's own bearer token.
    pub token: Option<Secret>,
    /// The method.
    pub method: Method,
    /// The path, in which `{username}` is filled in percent-encoded.
    pub path: String,
    /// The JSON body, in whose texts `{username}` and `{password}` are filled in.
    pub body: Json,
    /// The status of a right password.
    pub success: StatusCode,
    /// The statuses of a wrong one.
    pub wrong: Vec<StatusCode>,
    /// Where the answer names the person for good.
    pub subject: Option<Pointer>,
    /// Where the answer says what [`Directory::roles`] are about.
    pub role: Pointer,
}

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        let token = |rest: &Self| rest.token.as_ref().map(Secret::digest);
        let rest = |rest: &Self| {
            let Self { base, method, path, body, success, wrong, subject, role, .. } = rest.clone();
            (base, method, path, body, success, wrong, subject, role)
        };
        token(self) == token(other) && rest(self) == rest(other)
    }
}

/// A place in a JSON document (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The member `text` of the document, or, if it begins with `/`, the place it points to.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.starts_with('/') {
            return Self(text.to_owned());
        }
        Self(format!("/{}", text.replace('~', "~0").replace('/', "~1")))
    }

    /// What stands there: the text itself, or the texts of a list. Numbers and truths count as their text.
    #[must_use]
    pub fn texts(&self, document: &Json) -> Vec<String> {
        let text = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(truth) => Some(truth.to_string()),
            _ => None,
        };
        match document.pointer(&self.0) {
            Some(Json::Array(items)) => items.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// Which values give which role; compared exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Role>);

impl Roles {
    /// Takes pairs of a value and the role it gives.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, Role)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The strongest role that one of the values gives.
    #[must_use]
    pub fn of(&self, values: &[String]) -> Option<Role> {
        Role::ALL.into_iter().find(|role| values.iter().any(|value| self.0.get(value) == Some(role)))
    }
}

/// Reads `sign_in`; `None` when something in it is wrong.
pub(super) fn read(value: &Value<'_>) -> Option<SignIn> {
    let mut section = value.section()?;
    let Some(kind) = section.value("kind") else {
        section.finish();
        return Some(SignIn::Local);
    };
    let kind = kind.parse(|text| {
        let found = KINDS.into_iter().find(|kind| *kind == text);
        found.ok_or_else(|| advice("is no kind of sign-in", choose(text, &KINDS)))
    });
    match kind {
        Some("oidc") => oidc(section).map(|oidc| SignIn::Oidc(Box::new(oidc))),
        Some("directory") => directory(section).map(|directory| SignIn::Directory(Box::new(directory))),
        Some(_) => {
            section.finish();
            Some(SignIn::Local)
        }
        None => {
            section.abandon();
            None
        }
    }
}

fn oidc(mut section: Section<'_>) -> Option<Oidc> {
    let issuer = section.required("issuer", "issuer = \"https://id.example.com\"").and_then(|value| {
        value.parse(|text| {
            let example =
                "write the issuer as the provider's discovery document names it, such as \"https://id.example.com\"";
            let url = Url::parse(text).map_err(|fault| advice(format!("is not a URL: {fault}"), example))?;
            let plain = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
            match url.scheme() {
                "https" if plain && url.has_host() => Ok(text.to_owned()),
                "http" if plain && is_loopback(&url) => Ok(text.to_owned()),
                "http" => Err(advice("is not https", "only a provider on this machine may be asked in clear")),
                _ => Err(advice("is no issuer", example)),
            }
        })
    });
    let client_id = section.required("client_id", "client_id = \"portcullis\"").and_then(|value| filled(&value));
    let secret = section.value("client_secret").map(|value| value.secret(false));
    let scopes = section.value("scopes").map_or_else(
        || Some(["openid", "profile", "email"].map(str::to_owned).to_vec()),
        |value| {
            let scopes: Vec<_> = value.list()?.iter().map(scope).collect::<Option<_>>()?;
            if !scopes.iter().any(|scope| scope == "openid") {
                value.refuse("`openid` is not among the scopes", "add \"openid\": without it there is no ID token");
                return None;
            }
            Some(scopes)
        },
    );
    let role_claim = section.required("role_claim", "role_claim = \"groups\"").and_then(|value| filled(&value));
    let roles = roles(&mut section);
    let timeout = section.duration("timeout", TIMEOUT, BOUNDS);
    section.finish();
    Some(Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: match secret {
            Some(secret) => Some(secret?),
            None => None,
        },
        scopes: scopes?,
        role_claim: Pointer::new(&role_claim?),
        roles: roles?,
        timeout,
    })
}

fn directory(mut section: Section<'_>) -> Option<Directory> {
    let call = section.branch("rest").map(|value| value.section().and_then(rest).map(Verifier::Rest));
    let bind = section.branch("ldap").map(|value| value.section().and_then(ldap).map(Verifier::Ldap));
    let verifier = match (call, bind) {
        (Some(verifier), None) | (None, Some(verifier)) => verifier,
        (None, None) => {
            let help = "add `rest = { url = \"https://hr.example.com\", role = \"/role\" }`, or `ldap`";
            section.refuse("nothing says how the password is verified", help);
            None
        }
        (Some(_), Some(_)) => {
            section.refuse("a password is verified by `rest` or by `ldap`, not by both", "take one of them out");
            None
        }
    };
    let roles = roles(&mut section);
    let timeout = section.duration("timeout", TIMEOUT, BOUNDS);
    section.finish();
    Some(Directory { verifier: verifier?, roles: roles?, timeout })
}

fn rest(mut section: Section<'_>) -> Option<Rest> {
    let base = section.required("url", "url = \"https://hr.example.com\"").and_then(|value| {
        value.parse(|text| Base::parse(text).map_err(|fault| advice(fault, "write scheme, host and path")))
    });
    let token = section.value("token").and_then(|value| value.secret(true));
    let call = section.value("call").map_or(Some((Method::POST, "/login".to_owned())), |value| value.parse(call));
    let body = section.value("body").map_or_else(|| Some(default_body()), |value| value.parse(body));
    let success = section.value("success").map_or(Some(StatusCode::OK), |value| status(&value));
    let wrong = section.value("wrong").map_or_else(
        || {
            Some(vec![
                StatusCode::BAD_REQUEST,
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
                StatusCode::NOT_FOUND,
                StatusCode::UNPROCESSABLE_ENTITY,
            ])
        },
        |value| value.list()?.iter().map(status).collect(),
    );
    let subject = section.value("subject").map(|value| filled(&value));
    let role = section.required("role", "role = \"/role\"").and_then(|value| filled(&value));
    section.finish();
    let (method, path) = call?;
    Some(Rest {
        base: base?,
        token,
        method,
        path,
        body: body?,
        success: success?,
        wrong: wrong?,
        subject: match subject {
            Some(subject) => Some(Pointer::new(&subject?)),
            None => None,
        },
        role: Pointer::new(&role?),
    })
}

fn ldap(mut section: Section<'_>) -> Option<Ldap> {
    let url = section.required("url", "url = \"ldaps://ldap.example.com\"").and_then(|value| {
        value.parse(|text| {
            let example = "write scheme, host and perhaps port, such as \"ldaps://ldap.example.com\"";
            let url = Url::parse(text).map_err(|fault| advice(format!("is not a URL: {fault}"), example))?;
            let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
            if !matches!(url.scheme(), "ldap" | "ldaps") || url.host_str().is_none_or(str::is_empty) || !bare {
                return Err(advice("is no address of an LDAP server", example));
            }
            // Hosts of schemes that are not the web's are left as they stand.
            let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            Ok((text.to_owned(), url.scheme() == "ldap" && loopback))
        })
    });
    let dn = section.value("bind_dn").map(|value| filled(&value));
    let password = section.value("bind_password").map(|value| value.secret(false));
    let bind = match (dn, password) {
        (None, None) => Some(None),
        (Some(dn), Some(password)) => dn.zip(password).map(Some),
        _ => {
            section.refuse("`bind_dn` and `bind_password` go together", "write both, or neither to search anonymously");
            None
        }
    };
    let base = section.required("base", "base = \"ou=people,dc=example,dc=com\"").and_then(|value| filled(&value));
    let filter = section.value("filter").map_or_else(
        || Some("(uid={username})".to_owned()),
        |value| {
            value.parse(|text| {
                let example = "write it like \"(&(objectClass=person)(uid={username}))\"";
                if !text.contains("{username}") {
                    return Err(advice("holds no {username}: it would find everybody", example));
                }
                let opens = text.bytes().filter(|byte| *byte == b'(').count();
                if !text.starts_with('(') || opens != text.bytes().filter(|byte| *byte == b')').count() {
                    return Err(advice("is no LDAP filter", example));
                }
                Ok(text.to_owned())
            })
        },
    );
    let mut attribute =
        |key: &str, default: &str| section.value(key).map_or_else(|| Some(default.to_owned()), |value| filled(&value));
    let (subject, role) = (attribute("subject", "entryUUID"), attribute("role", "memberOf"));
    section.finish();
    let (url, in_clear) = url?;
    Some(Ldap { url, bind: bind?, base: base?, filter: filter?, subject: subject?, role: role?, in_clear })
}

fn default_body() -> Json {
    serde_json::json!({ "username": "{username}", "password": "{password}" })
}

/// `METHOD /path`.
fn call(text: &str) -> Result<(Method, String), super::value::Advice> {
    let example = "write a method and a path, such as \"POST /login\"";
    let (method, path) = text.split_once(' ').ok_or_else(|| advice("is no call", example))?;
    let method = match method {
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        _ => return Err(advice("has a method that carries no password", "choose POST, PUT or PATCH")),
    };
    if path.contains("{password}") {
        return Err(advice("has the password in its path", "addresses are logged on the way: put it into `body`"));
    }
    let rest = path.replace("{username}", "");
    if !path.starts_with('/')
        || path.starts_with("//")
        || rest.contains(|c: char| !c.is_ascii_graphic() || "#{}\"<>\\^`|".contains(c))
    {
        return Err(advice("has no path, or one with characters that cannot stand in it", example));
    }
    Ok((method, path.to_owned()))
}

/// A JSON document with the password in it.
fn body(text: &str) -> Result<Json, super::value::Advice> {
    let example = "write JSON such as '{\"login\":\"{username}\",\"password\":\"{password}\"}'";
    let body: Json = serde_json::from_str(text).map_err(|fault| advice(format!("is not JSON: {fault}"), example))?;
    if !holds(&body, "{password}") {
        return Err(advice("holds no {password}", example));
    }
    Ok(body)
}

fn holds(value: &Json, slot: &str) -> bool {
    match value {
        Json::String(text) => text.contains(slot),
        Json::Array(items) => items.iter().any(|item| holds(item, slot)),
        Json::Object(members) => members.values().any(|member| holds(member, slot)),
        _ => false,
    }
}

/// `{ super_user = "it", account_admin = ["hr", "payroll"] }`.
fn roles(section: &mut Section<'_>) -> Option<Roles> {
    let mut section = section.required_section("roles", "roles = { super_user = [\"it-admins\"] }")?;
    let (mut found, mut whole) = (BTreeMap::new(), true);
    for role in Role::ALL {
        let Some(value) = section.value(role.as_str()) else { continue };
        let values = if value.is_text() { Some(vec![value]) } else { value.list() };
        for value in values.iter().flatten() {
            match filled(value) {
                Some(text) => match found.insert(text, role) {
                    Some(other) if other != role => {
                        value.refuse(format!("the same value gives {other} already"), "let each value give one role");
                        whole = false;
                    }
                    _ => {}
                },
                None => whole = false,
            }
        }
        whole &= values.is_some();
    }
    if whole && !found.values().any(|role| *role != Role::Viewer) {
        section.refuse("nobody could authorize", "let a value give super_user or account_admin");
        whole = false;
    }
    section.finish();
    whole.then_some(Roles(found))
}

/// A text that is not empty.
fn filled(value: &Value<'_>) -> Option<String> {
    value.parse(|text| match text {
        "" => Err(advice("is empty", "write what it is")),
        text => Ok(text.to_owned()),
    })
}

fn scope(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            return Err(advice("is no scope", "write one scope an item, such as \"openid\""));
        }
        Ok(text.to_owned())
    })
}

fn status(value: &Value<'_>) -> Option<StatusCode> {
    u16::try_from(value.integer(200..=599)?).ok().and_then(|status| StatusCode::from_u16(status).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_a_member_or_a_pointer_and_a_text_or_a_list() {
        let document =
            json!({"groups": ["a", 7, null], "https://x/role": "b", "realm": {"roles": ["c"]}, "admin": true});
        for (pointer, expected) in [
            ("groups", vec!["a", "7"]),
            ("https://x/role", vec!["b"]),
            ("/realm/roles", vec!["c"]),
            ("admin", vec!["true"]),
            ("realm", vec![]),
            ("absent", vec![]),
        ] {
            assert_eq!(Pointer::new(pointer).texts(&document), expected, "{pointer}");
        }
    }

    #[test]
    fn the_strongest_role_counts() {
        let roles = Roles::new([("it".to_owned(), Role::SuperUser), ("staff".to_owned(), Role::Viewer)]);
        let of = |values: &[&str]| roles.of(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["staff", "it"]), Some(Role::SuperUser));
        assert_eq!(of(&["staff"]), Some(Role::Viewer));
        assert_eq!(of(&["IT", ""]), None);
    }
}
