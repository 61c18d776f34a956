//! `portcullis check`: loads, validates and explains a configuration.
//!
//! Mistakes and warnings go to stderr, with the offending lines on a terminal and as `file:line:column: message (fix)`
//! otherwise; what the configuration means goes to stdout. With `--json` everything is one object on stdout. How to try
//! state, rate store and directories is the caller's to say: `check` only shows what came of it.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Check;
use super::{Exit, Failure, World};
use crate::config::{Config, Diagnostics, DirectoryConfig, Loaded, Tenant, span};
use crate::limit::{Policy, Quota};
use crate::mapping::Column;
use crate::mapping::scope::Refused;
use crate::oauth::seal::Master;

/// What came of trying one of the services that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which one, such as `state` or `directory of acme`.
    pub what: String,
    /// Why it cannot be used, without secrets.
    pub outcome: Result<(), String>,
}

/// Checks the configuration file; with `--connect` also tries what it names. Ends with 0, 64 for a configuration with
/// mistakes, or 69 when something did not answer.
pub async fn run(arguments: Check, world: &mut World<'_>) -> Result<Exit, Failure> {
    let Check { config: path, connect, json } = arguments;
    let (path, environment) = (path.as_path(), &world.environment);
    let loaded = Config::load(path, environment);
    let probes = match &loaded {
        Ok(loaded) if connect => {
            crate::app::install_tls_provider();
            let outcomes = crate::app::probe(&loaded.config, &world.clock).await;
            outcomes.into_iter().map(|(what, outcome)| Probe { what, outcome }).collect()
        }
        _ => Vec::new(),
    };
    let terminal = stderr().is_terminal();
    let colours = environment.get("NO_COLOR").is_none_or(str::is_empty);
    let style = match (json, terminal) {
        (true, _) => Style::Json,
        (false, true) => Style::Report { colours },
        (false, false) => Style::Lines,
    };
    let answer = answer(path, &loaded, &probes, style);
    // A reader that went away has seen enough.
    _ = world.err.write_all(answer.err.as_bytes());
    _ = world.out.write_all(answer.out.as_bytes());
    Ok(answer.exit)
}

#[derive(Clone, Copy)]
enum Style {
    Json,
    Report { colours: bool },
    Lines,
}

struct Answer {
    out: String,
    err: String,
    exit: Exit,
}

fn answer(path: &Path, loaded: &Result<Loaded, Diagnostics>, probes: &[Probe], style: Style) -> Answer {
    let findings = match loaded {
        Ok(loaded) => &loaded.warnings,
        Err(found) => found,
    };
    let exit = match loaded {
        Err(_) => Exit::Configuration,
        Ok(_) if probes.iter().any(|probe| probe.outcome.is_err()) => Exit::Unreachable,
        Ok(_) => Exit::Done,
    };
    let err = match style {
        Style::Json => {
            return Answer { out: document(loaded, findings, probes).to_string() + "\n", err: String::new(), exit };
        }
        Style::Report { colours } => findings.report(colours),
        Style::Lines => findings.to_string(),
    };
    let out = loaded.as_ref().map(|loaded| explain(path, &loaded.config, probes)).unwrap_or_default();
    Answer { out, err, exit }
}

/// The configuration in words.
fn explain(path: &Path, config: &Config, probes: &[Probe]) -> String {
    let mut out = String::new();
    let number = config.tenants.len();
    let tenants = if number == 1 { "one tenant".to_owned() } else { format!("{number} tenants") };
    _ = writeln!(out, "{} is valid: {tenants}.\n", path.display());
    let server = &config.server;
    let tls = if server.tls.is_some() { "TLS" } else { "plain HTTP" };
    row(&mut out, "Public", format_args!("{}, listening on {} ({tls})", server.public_url, server.listen));
    row(&mut out, "Operations", format_args!("http://{} (/healthz /readyz /metrics)", config.operations.listen));
    row(&mut out, "State", format_args!("{}", config.state.url));
    row(&mut out, "Rate store", format_args!("{}", config.rate_store.url));
    let algorithm = config.keys.algorithm.name();
    row(&mut out, "Keys", format_args!("{algorithm}, sealed under {}", master(&config.keys.master)));
    for tenant in config.tenants.values() {
        explain_tenant(&mut out, tenant, config);
    }
    if !probes.is_empty() {
        out.push('\n');
    }
    for Probe { what, outcome } in probes {
        _ = match outcome {
            Ok(()) => writeln!(out, "{what}: answers"),
            Err(fault) => writeln!(out, "{what}: {fault}"),
        };
    }
    out
}

/// Where the master key is; never the key.
fn master(master: &Master) -> String {
    match master {
        Master::Given(key) => format!("the configured master key ({})", key.fingerprint()),
        Master::Beside(path) => {
            let made = if path.exists() { "" } else { ", which is made at the first start" };
            format!("the master key in {}{made}: back it up with the state", path.display())
        }
        Master::Passing => "a master key that lasts as long as the process".to_owned(),
    }
}

fn explain_tenant(out: &mut String, tenant: &Tenant, config: &Config) {
    let dialect = &tenant.dialect;
    _ = writeln!(out, "\n[{}] looks like {} ({})", tenant.name, dialect.title, dialect.name);
    row(out, "SCIM base", format_args!("{}", tenant.scim_base));
    for host in &tenant.hosts {
        let scheme = config.server.public_url.split("://").next().unwrap_or("https");
        row(out, "", format_args!("{scheme}://{host}/{}", dialect.scim_base));
    }
    if let Some(alias) = &dialect.scim_alias {
        row(out, "", format_args!("{}/{alias}", tenant.issuer));
    }
    for (title, text) in dialect.explain() {
        row(out, title, format_args!("{text}"));
    }
    let doors = match (dialect.oauth, dialect.secret_tokens.is_some()) {
        (true, true) => "OAuth (portcullis client add), and secret tokens (portcullis token issue)",
        (true, false) => "OAuth (portcullis client add)",
        (false, true) => "secret tokens (portcullis token issue)",
        (false, false) => "none",
    };
    row(out, "Doors", format_args!("{doors}"));
    if dialect.oauth {
        row(out, "Issuer", format_args!("{}", tenant.issuer));
        for (index, base) in oauth_bases(tenant).iter().enumerate() {
            let title = |title| if index == 0 { title } else { "" };
            row(out, title("Authorize"), format_args!("{base}/authorize"));
            row(out, title("Token"), format_args!("{base}/token"));
        }
        row(out, "Sign-in", format_args!("local administrators (portcullis admin add)"));
    }
    row(out, "Limits", format_args!("{}", tenant.limits.as_ref().map_or("none".to_owned(), limits)));
    let kind = tenant.directory.kind();
    let place = match &tenant.directory {
        DirectoryConfig::Embedded(embedded) => format!(", {}", embedded.path.display()),
        DirectoryConfig::Rest(_) | DirectoryConfig::Scim(_) => String::new(),
        DirectoryConfig::Ldap(ldap) => format!(", {}", ldap.place()),
        DirectoryConfig::Sql(sql) => format!(", {}", sql.place()),
    };
    row(out, "Directory", format_args!("{kind}{place}"));
    let switches = &tenant.switches;
    if let Some(text) = switches.refusal(&tenant.name) {
        row(out, "Off", format_args!("{text}"));
    }
    let carried: Vec<_> =
        switches.carried().iter().map(|(path, value)| format!("{} {value}", path.attribute)).collect();
    if !carried.is_empty() {
        row(out, "Carried", format_args!("{}, to the directory with each new person", carried.join(", ")));
    }
    if tenant.managed.is_some() {
        row(out, "Managed", format_args!("{}/managed/{{key}} tells the portal who is managed", tenant.issuer));
    }
    for (index, line) in mappings(tenant).iter().enumerate() {
        row(out, if index == 0 { "Mapping" } else { "" }, format_args!("{line}"));
    }
    if let Some(scope) = &tenant.scope {
        let answer = match scope.refused {
            Refused::Forbid => "others get 403",
            Refused::Drop => "others are answered, and nothing is done",
        };
        row(out, "Scope", format_args!("{}; {answer}; a disable or delete always passes", scope.filter));
    }
    if tenant.strict_attributes {
        row(out, "Strict", format_args!("attributes that the dialect does not offer are refused"));
    }
    if tenant.discovery_public {
        row(out, "Discovery", format_args!("/Schemas and /ResourceTypes answer without a token"));
    }
}

/// What the directory's mappings do, where they do more than copy.
fn mappings(tenant: &Tenant) -> Vec<String> {
    match &tenant.directory {
        DirectoryConfig::Rest(rest) => rest.table().columns().iter().filter_map(Column::said).collect(),
        DirectoryConfig::Ldap(ldap) => ldap.columns().filter_map(Column::said).collect(),
        DirectoryConfig::Sql(sql) => sql.columns().filter_map(Column::said).collect(),
        DirectoryConfig::Embedded(_) | DirectoryConfig::Scim(_) => Vec::new(),
    }
}

fn row(out: &mut String, title: &str, value: std::fmt::Arguments<'_>) {
    _ = writeln!(out, "  {title:<10}  {value}");
}

/// Where the OAuth endpoints are: the vendor's own paths first, because that is what its clients know.
fn oauth_bases(tenant: &Tenant) -> Vec<String> {
    let paths = tenant.dialect.oauth_alias.as_deref().into_iter().chain(["oauth"]);
    paths.map(|path| format!("{}/{path}", tenant.issuer)).collect()
}

fn limits(policy: &Policy) -> String {
    let quota = |name, quota: Option<Quota>| match quota {
        Some(quota) => format!("{name} {} in {}", quota.requests, span(quota.window)),
        None => format!("{name} unlimited"),
    };
    let mut text = format!("{}, {}", quota("read", policy.read), quota("write", policy.write));
    if policy.penalty.duration > Duration::ZERO {
        _ = write!(text, ", then a penalty of {}", span(policy.penalty.duration));
        text.push_str(if policy.penalty.extend { " that every request renews" } else { "" });
    }
    text.push_str(if policy.shadow { " (shadow: counted, nothing is refused)" } else { "" });
    text
}

/// The same as data.
fn document(loaded: &Result<Loaded, Diagnostics>, findings: &Diagnostics, probes: &[Probe]) -> Value {
    let mut document = json!({ "valid": loaded.is_ok(), "diagnostics": findings });
    let Ok(Loaded { config, .. }) = loaded else { return document };
    let server = &config.server;
    document["server"] =
        json!({ "listen": server.listen, "public_url": server.public_url, "tls": server.tls.is_some() });
    document["operations"] = json!({ "listen": config.operations.listen });
    document["state"] = json!({ "url": config.state.url });
    document["rate_store"] = json!({ "url": config.rate_store.url });
    let file = if let Master::Beside(path) = &config.keys.master { Some(path.display().to_string()) } else { None };
    document["keys"] = json!({ "algorithm": config.keys.algorithm.name(), "master_key_file": file });
    document["tenants"] = config.tenants.values().map(|tenant| tenant_document(tenant)).collect();
    if !probes.is_empty() {
        let probe = |probe: &Probe| json!({ "what": probe.what, "ok": probe.outcome.is_ok(), "error": probe.outcome.as_ref().err() });
        document["connect"] = probes.iter().map(probe).collect();
    }
    document
}

fn tenant_document(tenant: &Tenant) -> Value {
    let dialect = &tenant.dialect;
    let oauth = oauth_bases(tenant).into_iter().next().filter(|_| dialect.oauth);
    let endpoint = |name: &str| oauth.as_ref().map(|base| format!("{base}/{name}"));
    let quota = |quota: Quota| json!({ "requests": quota.requests, "window_seconds": quota.window.as_secs() });
    let limits = tenant.limits.map(|policy| {
        json!({
            "read": policy.read.map(quota),
            "write": policy.write.map(quota),
            "penalty": { "seconds": policy.penalty.duration.as_secs_f64(), "extend": policy.penalty.extend },
            "shadow": policy.shadow,
        })
    });
    let mut directory = json!({ "kind": tenant.directory.kind() });
    if let DirectoryConfig::Embedded(embedded) = &tenant.directory {
        directory["path"] = json!(embedded.path.display().to_string());
    }
    json!({
        "name": tenant.name,
        "dialect": dialect.name,
        "dialect_says": dialect.explain().into_iter().map(|(title, text)| (title.to_lowercase(), text.into())).collect::<serde_json::Map<_, Value>>(),
        "scim_enabled": tenant.switches.refusal(&tenant.name).is_none(),
        "managed_url": tenant.managed.map(|_| format!("{}/managed", tenant.issuer)),
        "hosts": tenant.hosts,
        "scim_base": tenant.scim_base,
        "issuer": tenant.issuer,
        "authorize_url": endpoint("authorize"),
        "token_url": endpoint("token"),
        "revoke_url": endpoint("revoke"),
        "doors": { "oauth": dialect.oauth, "secret_token": dialect.secret_tokens.is_some() },
        "limits": limits,
        "directory": directory,
        "mappings": mappings(tenant),
        "scope": tenant.scope.as_ref().map(|scope| json!({
            "filter": scope.filter.text(),
            "refused": if scope.refused == Refused::Drop { "drop" } else { "forbid" },
        })),
        "strict_attributes": tenant.strict_attributes,
        "discovery_public": tenant.discovery_public,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const TEXT: &str = "[tenants.acme]\ndialect = \"ringcentral\"\nhosts = [\"acme.example.com\"]\n\
        directory = { kind = \"embedded\" }\n[tenants.b]\ndialect = \"playvox\"\ndirectory = { kind = \"embedded\" }\n";

    fn load(text: &str) -> Result<Loaded, Diagnostics> {
        Config::parse(text, Path::new("/etc/p.toml"), &Environment::default())
    }

    #[test]
    fn a_valid_configuration_is_explained() {
        let answer = answer(Path::new("p.toml"), &load(TEXT), &[], Style::Lines);
        let wanted = "\
p.toml is valid: 2 tenants.

  Public      http://127.0.0.1:8080, listening on 127.0.0.1:8080 (plain HTTP)
  Operations  http://127.0.0.1:9090 (/healthz /readyz /metrics)
  State       sqlite:/etc/portcullis.db
  Rate store  memory:
  Keys        EdDSA, sealed under the master key in /etc/portcullis.db.key, which is made at the first start: back it up with the state

[acme] looks like RingCentral (ringcentral)
  SCIM base   http://127.0.0.1:8080/t/acme/scim/v2
              http://acme.example.com/scim/v2
              http://127.0.0.1:8080/t/acme/scim
  Offers      userName, externalId, active, title, name.givenName, name.familyName, emails[type eq \"work\"].value, \
addresses[type eq \"work\"].country, addresses[type eq \"work\"].region, addresses[type eq \"work\"].locality, \
addresses[type eq \"work\"].postalCode, addresses[type eq \"work\"].streetAddress, \
phoneNumbers[type eq \"mobile\"].value, phoneNumbers[type eq \"work\"].value, phoneNumbers[type eq \"other\"].value, \
urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department; no groups
  Requires    userName, name.givenName, name.familyName, emails[type eq \"work\"].value
  Refuses     what is not like this: userName: an e-mail address; emails[type eq \"work\"].value: the same as userName; \
phoneNumbers[type eq \"mobile\"].value: an E.164 number such as +14155550100, spaces refused; \
addresses[type eq \"work\"].region: a state, province or county of the addresses[type eq \"work\"].country where that \
is US, GB or CA
  Shows       everybody in the directory; filters may say email for emails[type eq \"work\"].value
  Creates     a userName that is there already is refused: 409; inactive unless active says otherwise; \
emails[type eq \"work\"].value is taken from userName when it is missing
  Disables    active false disables the person in the directory
  Deletes     DELETE removes the person from the directory
  Doors       OAuth (portcullis client add)
  Issuer      http://127.0.0.1:8080/t/acme
  Authorize   http://127.0.0.1:8080/t/acme/restapi/oauth/authorize
  Token       http://127.0.0.1:8080/t/acme/restapi/oauth/token
              http://127.0.0.1:8080/t/acme/oauth/authorize
              http://127.0.0.1:8080/t/acme/oauth/token
  Sign-in     local administrators (portcullis admin add)
  Limits      read 300 in 60s, write 1000 in 60s, then a penalty of 60s
  Directory   embedded, /etc/acme.directory.db

[b] looks like Playvox (playvox)
  SCIM base   http://127.0.0.1:8080/t/b/scim/v1
  Offers      userName, active, displayName, emails[type eq \"work\"].value, name.givenName, name.familyName, \
name.formatted, externalId; no groups
  Requires    userName
  Refuses     what is not like this: an e-mail address in emails[type eq \"work\"].value or as userName
  Shows       everybody in the directory
  Creates     a userName that is there already is refused: 409; somebody whom a DELETE put aside is taken up again
  Disables    active false disables the person in the directory
  Deletes     DELETE disables the person in the directory and keeps their data
  Doors       secret tokens (portcullis token issue)
  Limits      none
  Directory   embedded, /etc/b.directory.db
";
        assert_eq!(answer.out, wanted);
        assert_eq!((answer.err.as_str(), answer.exit), ("", Exit::Done));
    }

    #[test]
    fn the_same_as_data() {
        let answer = answer(Path::new("p.toml"), &load(TEXT), &[], Style::Json);
        let document: Value = serde_json::from_str(&answer.out).expect("JSON");
        assert_eq!(document["valid"], true);
        assert_eq!(document["tenants"][0]["limits"]["read"], json!({ "requests": 300, "window_seconds": 60 }));
        assert_eq!(document["tenants"][0]["token_url"], "http://127.0.0.1:8080/t/acme/restapi/oauth/token");
        assert_eq!(document["tenants"][1]["token_url"], Value::Null);
        assert_eq!(document["tenants"][1]["doors"], json!({ "oauth": false, "secret_token": true }));
    }

    #[test]
    fn mistakes_are_64_and_silence_is_69() {
        let wrong = load("[tenants.acme]\ndialect = \"ringcentrl\"\ndirectory = { kind = \"embedded\" }\n");
        let lines = answer(Path::new("p.toml"), &wrong, &[], Style::Lines);
        assert_eq!(lines.exit, Exit::Configuration);
        assert_eq!(lines.err, "/etc/p.toml:2:11: `ringcentrl` is no dialect (did you mean `ringcentral`?)\n");
        let document: Value =
            serde_json::from_str(&answer(Path::new("p.toml"), &wrong, &[], Style::Json).out).expect("JSON");
        assert_eq!(document["valid"], false);
        assert_eq!(document["diagnostics"][0]["key"], "tenants.acme.dialect");
        assert_eq!(document["diagnostics"][0]["help"], "did you mean `ringcentral`?");

        let probes = [
            Probe { what: "state".to_owned(), outcome: Ok(()) },
            Probe { what: "directory of acme".to_owned(), outcome: Err("no answer in time".to_owned()) },
        ];
        let silent = answer(Path::new("p.toml"), &load(TEXT), &probes, Style::Lines);
        assert_eq!(silent.exit, Exit::Unreachable);
        assert!(silent.out.ends_with("\nstate: answers\ndirectory of acme: no answer in time\n"), "{}", silent.out);
    }

    #[tokio::test]
    async fn the_exit_says_what_came_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.toml");
        for (text, connect, exit) in [
            ("[tenants]\n", true, Exit::Configuration),
            ("[tenants.acme]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\" }\n", true, Exit::Done),
        ] {
            std::fs::write(&path, text).expect("written");
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut world = World {
                environment: Environment::default(),
                clock: crate::types::Clock::system(),
                random: crate::types::Random::seeded(1),
                out: &mut out,
                err: &mut err,
                password: &mut |_| Err(Failure::failed("nobody types here")),
            };
            let arguments = Check { config: path.clone(), connect, json: true };
            assert_eq!(run(arguments, &mut world).await.expect("an exit"), exit);
            assert!(serde_json::from_slice::<Value>(&out).is_ok());
        }
    }
}
