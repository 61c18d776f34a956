//! `[tenants.NAME.doors]`: how identity providers prove themselves besides with secrets, and how long what they get lives.
//!
//! Which doors a client has is said when it is added and kept in the state; here is whom to trust for those that need trust, pinned
//! claim by claim. Whoever reads the result finds only URLs that may be fetched and algorithms that can be verified.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::diagnostic::Severity;
use super::reader::{Section, choose, list};
use super::value::{Value, advice};
use crate::dialect::Dialect;
use crate::oauth::assertion::{Keys, Trust};
use crate::oauth::jws::{ALGORITHMS, KeySet, algorithm};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Entra refuses an access token of less than an hour and its gallery one of more than six (entra.md §1.3).
const TTL: std::ops::RangeInclusive<Duration> = HOUR..=Duration::from_hours(6);
const LIFETIME: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=DAY;
/// Where Entra publishes its keys: public cloud, US government, China.
const KEY_HOSTS: [&str; 3] =
    ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"];
/// The audience of the tokens that Entra issues itself for a provisioning job without an app of its own.
const PROVISIONING: &str = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621";
const ENTRA: &str = "https://login.microsoftonline.com";

/// What a tenant trusts beside its own secrets.
#[derive(Clone, Debug)]
pub struct DoorsConfig {
    /// The life of an access token that a client gets for itself.
    pub client_credentials_ttl: Duration,
    /// The hosts from which public keys may be fetched.
    pub key_hosts: Vec<String>,
    /// Whose assertions stand for a client, by client id: workload identity federation.
    pub federation: BTreeMap<String, Arc<Trust>>,
    /// The clients' own keys, by client id.
    pub private_key_jwt: BTreeMap<String, Arc<Trust>>,
    /// The access tokens of Entra that are taken as they are.
    pub entra_tokens: Option<Arc<Trust>>,
}

impl DoorsConfig {
    /// Nothing trusted; lifetimes as the dialect has them.
    pub fn new(dialect: &Dialect) -> Self {
        Self {
            client_credentials_ttl: dialect.access_ttl.clamp(*TTL.start(), *TTL.end()),
            key_hosts: KEY_HOSTS.map(str::to_owned).into(),
            federation: BTreeMap::new(),
            private_key_jwt: BTreeMap::new(),
            entra_tokens: None,
        }
    }
}

/// Reads the section for a tenant whose authorization server is `issuer`.
pub(super) fn read(mut section: Section<'_>, dialect: &Dialect, issuer: &str) -> DoorsConfig {
    let mut doors = DoorsConfig::new(dialect);
    doors.client_credentials_ttl = section.duration("client_credentials_ttl", doors.client_credentials_ttl, TTL);
    if let Some(hosts) = section.value("key_hosts") {
        doors.key_hosts = hosts.list().map(|hosts| hosts.iter().filter_map(host).collect()).unwrap_or_default();
    }
    let hosts = doors.key_hosts.clone();
    doors.federation = each(&mut section, "federation", |section, _| federation(section, &hosts));
    doors.private_key_jwt = each(&mut section, "private_key_jwt", |section, client| {
        let endpoints = ["oauth"].into_iter().chain(dialect.oauth_alias.as_deref());
        let audiences = endpoints.map(|path| format!("{issuer}/{path}/token")).chain([issuer.to_owned()]).collect();
        private_key_jwt(section, client, audiences, &hosts)
    });
    doors.entra_tokens = section
        .branch("entra_tokens")
        .and_then(|value| value.section())
        .and_then(|section| entra_tokens(section, &hosts))
        .map(Arc::new);
    section.finish();
    doors
}

/// A table of tables, one a client.
fn each(
    section: &mut Section<'_>,
    key: &str,
    read: impl Fn(Section<'_>, &str) -> Option<Trust>,
) -> BTreeMap<String, Arc<Trust>> {
    let Some(mut clients) = section.branch(key).and_then(|value| value.section()) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for (client, _) in clients.names() {
        let trust = clients.branch(&client).and_then(|value| value.section()).and_then(|one| read(one, &client));
        found.extend(trust.map(|trust| (client, Arc::new(trust))));
    }
    found
}

fn federation(mut section: Section<'_>, hosts: &[String]) -> Option<Trust> {
    let tenant_id = section.value("tenant_id").map(|value| tenant_id(&value));
    let stated = section.value("issuer").map(|value| url(&value, None));
    let issuer = match (&stated, &tenant_id) {
        (Some(issuer), _) => issuer.clone(),
        (None, Some(Some(tenant))) => Some(format!("{ENTRA}/{tenant}/v2.0")),
        (None, Some(None)) => None,
        (None, None) => {
            section.required("issuer", "issuer = \"https://login.microsoftonline.com/TENANT/v2.0\"");
            None
        }
    };
    let audiences = section.required("audience", "audience = \"api://…\"").and_then(|value| audiences(&value));
    let subject = section.required("subject", "subject = \"…\"").and_then(|value| value.text());
    let common = common(&mut section, DAY, hosts);
    // What the metadata name is held against the list when they are fetched.
    let keys = common.keys.or_else(|| {
        let issuer = issuer.clone()?;
        allowed(&issuer, hosts).map_err(|(message, help)| section.refuse(message, help)).ok()?;
        Some(Keys::Discovered {
            metadata: format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
            issuer,
        })
    });
    section.finish();
    Some(Trust {
        issuer: issuer?,
        audiences: audiences?,
        subject: Some(subject?),
        tenant_id: tenant_id.flatten(),
        algorithms: common.algorithms?,
        max_lifetime: common.max_lifetime,
        single_use: common.single_use,
        keys: keys?,
    })
}

fn private_key_jwt(mut section: Section<'_>, client: &str, audiences: Vec<String>, hosts: &[String]) -> Option<Trust> {
    let common = common(&mut section, HOUR, hosts);
    if common.keys.is_none() && !common.wrong {
        section.required("keys", "keys = \"file:client.jwks.json\"");
    }
    section.finish();
    Some(Trust {
        issuer: client.to_owned(),
        audiences,
        subject: Some(client.to_owned()),
        tenant_id: None,
        algorithms: common.algorithms?,
        max_lifetime: common.max_lifetime,
        single_use: common.single_use,
        keys: common.keys?,
    })
}

fn entra_tokens(mut section: Section<'_>, hosts: &[String]) -> Option<Trust> {
    let tenant = section.required("tenant_id", "tenant_id = \"…\"").and_then(|value| tenant_id(&value));
    let issuer = match (section.value("issuer"), &tenant) {
        (Some(value), _) => url(&value, None),
        (None, tenant) => tenant.as_ref().map(|tenant| format!("https://sts.windows.net/{tenant}/")),
    };
    let audiences =
        section.value("audience").map_or_else(|| Some(vec![PROVISIONING.to_owned()]), |value| audiences(&value));
    let subject = section.value("subject").and_then(|value| value.text());
    if subject.is_none() {
        let message = "any application of that Entra tenant that can get a token for this audience is let in";
        section.note(Severity::Warning, message, "set `subject` to the object id of the provisioning service");
    }
    let algorithms = section.value("algorithms").map_or_else(|| algorithms(None), |value| algorithms(Some(&value)));
    let keys = match section.value("keys_url") {
        Some(value) => url(&value, Some(hosts)),
        None => tenant.as_ref().map(|tenant| format!("{ENTRA}/{tenant}/discovery/keys")),
    };
    let max_lifetime = section.duration("max_lifetime", DAY, LIFETIME);
    section.finish();
    Some(Trust {
        issuer: issuer?,
        audiences: audiences?,
        subject,
        tenant_id: Some(tenant?),
        algorithms: algorithms?,
        max_lifetime,
        single_use: false,
        keys: Keys::At(keys?),
    })
}

/// What both kinds of assertion are configured with.
struct Common {
    algorithms: Option<Vec<jsonwebtoken::Algorithm>>,
    max_lifetime: Duration,
    single_use: bool,
    keys: Option<Keys>,
    /// Keys are given, and are not right.
    wrong: bool,
}

fn common(section: &mut Section<'_>, longest: Duration, hosts: &[String]) -> Common {
    let algorithms = algorithms(section.value("algorithms").as_ref());
    let max_lifetime = section.duration("max_lifetime", longest, LIFETIME);
    let single_use = section.boolean("single_use", true);
    let (given, at) = (section.value("keys"), section.value("keys_url"));
    if let (Some(given), Some(_)) = (&given, &at) {
        given.refuse("`keys` and `keys_url` are both set", "leave one of them out");
    }
    let stated = given.is_some() || at.is_some();
    let given = given.and_then(|value| {
        value.parse(|text| {
            KeySet::parse(text.as_bytes())
                .map(|keys| Keys::Given(Arc::new(keys)))
                .map_err(|error| advice(error.to_string(), "write \"file:PATH\" of a file like {\"keys\":[…]}"))
        })
    });
    let keys = given.or_else(|| at.and_then(|value| url(&value, Some(hosts))).map(Keys::At));
    Common { algorithms, max_lifetime, single_use, wrong: stated && keys.is_none(), keys }
}

fn algorithms(value: Option<&Value<'_>>) -> Option<Vec<jsonwebtoken::Algorithm>> {
    let Some(value) = value else { return Some(vec![jsonwebtoken::Algorithm::RS256]) };
    let names = ALGORITHMS.map(|(name, _)| name);
    let known = |item: Value<'_>| {
        item.parse(|text| algorithm(text).ok_or_else(|| advice("is no algorithm to trust", choose(text, &names))))
    };
    let read: Vec<_> = value.list()?.into_iter().map(known).collect();
    if read.is_empty() {
        value.refuse("no algorithm is trusted", format!("choose {}", list(&names)));
        return None;
    }
    read.into_iter().collect()
}

/// One text or several.
fn audiences(value: &Value<'_>) -> Option<Vec<String>> {
    if value.is_text() {
        return Some(vec![value.text()?]);
    }
    value.list()?.iter().map(Value::text).collect()
}

/// The id of an Entra tenant, in the form its tokens have it.
fn tenant_id(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        let lengths: Vec<_> = text.split('-').map(str::len).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
            let help = "write the Directory (tenant) ID, such as \"00000000-0000-0000-0000-000000000000\"";
            return Err(advice("is not the id of an Entra tenant", help));
        }
        Ok(text.to_ascii_lowercase())
    })
}

fn host(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        let help = "write host names or addresses only, such as \"login.microsoftonline.com\"";
        match Url::parse(&format!("https://{text}/")) {
            Ok(url) if url.host_str() == Some(text) && url.port().is_none() => Ok(text.to_owned()),
            _ => Err(advice("is not a host name", help)),
        }
    })
}

/// A URL that tokens name; with `hosts`, one that is fetched.
fn url(value: &Value<'_>, hosts: Option<&[String]>) -> Option<String> {
    value.parse(|text| {
        let example = "write it like \"https://login.microsoftonline.com/…\"";
        let url = Url::parse(text).map_err(|fault| advice(format!("is not a URL: {fault}"), example))?;
        if !matches!(url.scheme(), "https" | "http") || url.query().is_some() || url.fragment().is_some() {
            return Err(advice("is not a plain https URL", example));
        }
        if let Some(hosts) = hosts {
            allowed(text, hosts).map_err(|(message, help)| advice(message, help))?;
        }
        Ok(text.to_owned())
    })
}

/// Whether public keys may be fetched from `url`: https, or http on loopback, and a host that is listed. `Err` says why not and what
/// to do; the same question is asked again of what metadata name.
pub fn allowed(url: &str, hosts: &[String]) -> Result<Url, (String, String)> {
    let url = Url::parse(url).map_err(|_| ("is not a URL".to_owned(), "name an https URL".to_owned()))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(("keys are fetched by https only".to_owned(), "name an https URL".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("it holds credentials".to_owned(), "leave out everything up to @".to_owned()));
    }
    match url.host_str() {
        Some(host) if hosts.iter().any(|listed| listed == host) => Ok(url),
        host => {
            let host = host.unwrap_or_default();
            Err((
                format!("keys may not be fetched from `{host}`"),
                format!("if it is to be trusted, add \"{host}\" to `key_hosts`"),
            ))
        }
    }
}
