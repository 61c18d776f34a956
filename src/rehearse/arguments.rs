//! The flags of `portcullis rehearse`, and the checked [`Plan`] they become.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use url::Url;

use super::authorize::Authorization;
use super::cycle::Flavours;
use super::token::OAuthClient;
use crate::types::{Random, Secret};

/// Which of Entra's two PATCH forms are rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flavour {
    /// One after the other.
    Both,
    /// Capitalised operations, one for each attribute, "False" as text: what Entra sends by default.
    Legacy,
    /// What `aadOptscim062020` switches on.
    Compliant,
}

/// How the client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// In the Authorization header.
    Basic,
    /// In the form body.
    Body,
}

/// Which names the made-up people have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    /// ASCII without spaces, which every system takes.
    Plain,
    /// Also accents, other scripts and spaces.
    Unicode,
}

/// Plays an identity provider against a SCIM endpoint: authorize, Test Connection, an initial cycle, changes, disable,
/// restore, delete. Whoever it creates it also removes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  With a secret token:
    PORTCULLIS_REHEARSE_TOKEN=… portcullis rehearse --scim-url https://scim.example.com/t/acme/scim/v2
  With client credentials:
    PORTCULLIS_REHEARSE_CLIENT_SECRET=… portcullis rehearse --scim-url URL --token-url URL --client-id ID
  The whole Authorize conversation, as an administrator:
    portcullis rehearse --scim-url URL --authorize-url URL --token-url URL --client-id ID \\
      --client-secret-file secret.txt --username admin@example.com --password-file password.txt
  Against the demo:
    portcullis demo --json > demo.json & portcullis rehearse --demo demo.json --tenant standard --people 1000

A secret given as a flag shows in the list of processes: better use the environment, a file, or - for standard input.
Exit codes: 0 all passed; 1 something failed; 2 wrong usage; 69 the endpoint cannot be reached.")]
pub struct Arguments {
    /// The SCIM base address, which Entra calls the Tenant URL.
    #[arg(long, value_name = "URL", required_unless_present = "demo")]
    pub scim_url: Option<Url>,

    /// Take addresses and credentials from what `portcullis demo --json` printed; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scim_url", "token", "token_file", "authorize_url", "token_url"])]
    pub demo: Option<PathBuf>,
    /// Which tenant of the demo.
    #[arg(long, value_name = "NAME", requires = "demo")]
    pub tenant: Option<String>,

    /// A secret token (visible to other users of the machine; prefer the variable or --token-file).
    #[arg(
        long,
        env = "PORTCULLIS_REHEARSE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Secret token"
    )]
    pub token: Option<String>,
    /// A file that holds the secret token; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token_url", help_heading = "Secret token")]
    pub token_file: Option<PathBuf>,

    /// The authorization endpoint; with it the whole sign-in and consent conversation is held.
    #[arg(long, value_name = "URL", requires_all = ["token_url", "username"], help_heading = "OAuth")]
    pub authorize_url: Option<Url>,
    /// The token endpoint; without --authorize-url the client-credentials grant is used.
    #[arg(long, value_name = "URL", requires = "client_id", help_heading = "OAuth")]
    pub token_url: Option<Url>,
    /// The client's id.
    #[arg(long, value_name = "ID", help_heading = "OAuth")]
    pub client_id: Option<String>,
    /// The client's secret (prefer the variable or --client-secret-file).
    #[arg(
        long,
        env = "PORTCULLIS_REHEARSE_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        help_heading = "OAuth"
    )]
    pub client_secret: Option<String>,
    /// A file that holds the client's secret; - reads standard input.
    #[arg(long, value_name = "FILE", help_heading = "OAuth")]
    pub client_secret_file: Option<PathBuf>,
    /// Where the client's id and secret go.
    #[arg(long, value_enum, default_value_t = ClientAuth::Basic, help_heading = "OAuth")]
    pub client_auth: ClientAuth,
    /// A scope to ask for; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", help_heading = "OAuth")]
    pub scopes: Vec<String>,
    /// The redirect URI; it is never connected to.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1/callback", help_heading = "OAuth")]
    pub redirect_uri: Url,
    /// The issuer that the authorization answer should name (RFC 9207).
    #[arg(long, value_name = "URL", help_heading = "OAuth")]
    pub issuer: Option<String>,
    /// The administrator who signs in.
    #[arg(long, value_name = "NAME", help_heading = "OAuth")]
    pub username: Option<String>,
    /// Their password (prefer the variable or --password-file).
    #[arg(
        long,
        env = "PORTCULLIS_REHEARSE_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD",
        help_heading = "OAuth"
    )]
    pub password: Option<String>,
    /// A file that holds the password; - reads standard input.
    #[arg(long, value_name = "FILE", help_heading = "OAuth")]
    pub password_file: Option<PathBuf>,

    /// How many people take part.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Cycle")]
    pub people: u32,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Cycle")]
    pub concurrency: u16,
    /// The same seed makes up the same people; those found already there are updated, and removed at the end.
    #[arg(long, help_heading = "Cycle")]
    pub seed: Option<u64>,
    /// Which PATCH form; by default both, or the compliant one if the address carries aadOptscim062020.
    #[arg(long, value_enum, help_heading = "Cycle")]
    pub flavour: Option<Flavour>,
    /// What user names begin with.
    #[arg(long, default_value = "rehearse", value_parser = prefix, help_heading = "Cycle")]
    pub prefix: String,
    /// The mail domain of user names.
    #[arg(long, default_value = "example.com", value_parser = domain, help_heading = "Cycle")]
    pub domain: String,
    /// Which names people have.
    #[arg(long, value_enum, help_heading = "Cycle")]
    pub names: Option<Names>,
    /// Leave the people there at the end.
    #[arg(long, help_heading = "Cycle")]
    pub keep: bool,

    /// Trust the certificates in this PEM file besides the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Seconds that one request may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub timeout: u16,
    /// Print the report as one JSON document.
    #[arg(long)]
    pub json: bool,
}

fn prefix(text: &str) -> Result<String, String> {
    let fits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(text.into()) } else { Err("1 to 12 letters, digits or hyphens".into()) }
}

fn domain(text: &str) -> Result<String, String> {
    let fits = (3..=100).contains(&text.len())
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    if fits { Ok(text.into()) } else { Err("a host name such as example.com".into()) }
}

/// What the arguments come to.
pub(super) struct Plan {
    /// Without query and slash at the end.
    pub scim_base: String,
    pub door: Door,
    pub people: usize,
    pub concurrency: usize,
    pub seed: u64,
    pub flavours: Flavours,
    pub prefix: String,
    pub domain: String,
    pub wide: bool,
    pub keep: bool,
    pub ca_file: Option<PathBuf>,
    pub timeout: Duration,
    pub json: bool,
}

/// How the endpoint is entered.
pub(super) enum Door {
    Token(Secret),
    ClientCredentials(OAuthClient),
    Authorize(OAuthClient, Box<Authorization>),
}

/// Why arguments make no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    #[error("{0}")]
    Wrong(String),
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is not what `portcullis demo --json` prints: {source}", path.display())]
    NotADemo { path: PathBuf, source: serde_json::Error },
}

impl Arguments {
    /// Checks the arguments as a whole and reads the files they name.
    pub(super) fn plan(mut self, random: &Random) -> Result<Plan, UsageError> {
        let mut wide = self.names == Some(Names::Unicode);
        let door;
        let scim_url;
        if let Some(path) = self.demo.take() {
            let tenant = demo_tenant(&path, self.tenant.as_deref())?;
            wide = wide || (self.names.is_none() && tenant.dialect == "standard");
            scim_url = tenant.scim_base.clone();
            door = tenant.door(self.client_auth == ClientAuth::Body)?;
        } else {
            scim_url = self.scim_url.take().ok_or_else(|| wrong("--scim-url is missing"))?;
            door = self.door()?;
        }
        if !matches!(scim_url.scheme(), "http" | "https") {
            return Err(wrong("--scim-url must begin with https:// or http://"));
        }
        // Entra's feature flags ride in the query of the Tenant URL; whether they are sent on is not documented.
        let compliant_flag = scim_url.query().is_some_and(|query| query.contains("aadOptscim062020"));
        let flavour = self.flavour.unwrap_or(if compliant_flag { Flavour::Compliant } else { Flavour::Both });
        let mut base = scim_url;
        base.set_query(None);
        base.set_fragment(None);
        Ok(Plan {
            scim_base: base.as_str().trim_end_matches('/').to_owned(),
            door,
            people: usize::try_from(self.people).unwrap_or(usize::MAX),
            concurrency: self.concurrency.into(),
            // 32 bits are enough to tell runs apart and easy to type again.
            seed: self.seed.unwrap_or_else(|| u32::from_be_bytes(random.bytes()).into()),
            flavours: Flavours { legacy: flavour != Flavour::Compliant, compliant: flavour != Flavour::Legacy },
            prefix: self.prefix,
            domain: self.domain,
            wide,
            keep: self.keep,
            ca_file: self.ca_file,
            timeout: Duration::from_secs(self.timeout.into()),
            json: self.json,
        })
    }

    fn door(&mut self) -> Result<Door, UsageError> {
        let Some(token_url) = self.token_url.take() else {
            return match secret(self.token.take(), self.token_file.as_deref())? {
                Some(token) => Ok(Door::Token(token)),
                None => Err(wrong(
                    "no credentials: give PORTCULLIS_REHEARSE_TOKEN or --token-file, or --token-url with --client-id",
                )),
            };
        };
        let client = OAuthClient {
            token_url,
            id: self.client_id.take().ok_or_else(|| wrong("--token-url needs --client-id"))?,
            secret: secret(self.client_secret.take(), self.client_secret_file.as_deref())?,
            scopes: std::mem::take(&mut self.scopes),
            in_body: self.client_auth == ClientAuth::Body,
        };
        let Some(authorize_url) = self.authorize_url.take() else {
            if client.secret.is_none() {
                return Err(wrong(
                    "client credentials need a secret: PORTCULLIS_REHEARSE_CLIENT_SECRET or --client-secret-file",
                ));
            }
            return Ok(Door::ClientCredentials(client));
        };
        let password = secret(self.password.take(), self.password_file.as_deref())?;
        let authorization = Authorization {
            authorize_url,
            redirect_uri: self.redirect_uri.clone(),
            issuer: self.issuer.take(),
            username: self.username.take().ok_or_else(|| wrong("--authorize-url needs --username"))?,
            password: password.ok_or_else(|| wrong("no password: PORTCULLIS_REHEARSE_PASSWORD or --password-file"))?,
        };
        Ok(Door::Authorize(client, Box::new(authorization)))
    }
}

fn wrong(text: impl Into<String>) -> UsageError {
    UsageError::Wrong(text.into())
}

/// A file wins over the flag, because the flag's value may come from an environment set for something else.
fn secret(flag: Option<String>, file: Option<&Path>) -> Result<Option<Secret>, UsageError> {
    let text = match file {
        Some(path) => Some(read(path)?),
        None => flag,
    };
    let secret = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    Ok(secret.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Reads a file, or standard input for `-`; at most 1 MiB.
fn read(path: &Path) -> Result<String, UsageError> {
    let limit = 1 << 20;
    let mut text = String::new();
    let outcome = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    outcome.map_err(|source| UsageError::Unreadable { path: path.to_owned(), source })?;
    Ok(text)
}

#[derive(Deserialize)]
struct Demo {
    tenants: Vec<DemoTenant>,
}

/// One tenant of the line that `portcullis demo --json` prints.
#[derive(Deserialize)]
struct DemoTenant {
    name: String,
    dialect: String,
    scim_base: Url,
    issuer: Option<String>,
    authorize_url: Option<Url>,
    token_url: Option<Url>,
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(default)]
    redirect_uris: Option<Vec<Url>>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    administrator: Option<DemoAdministrator>,
    secret_token: Option<String>,
}

#[derive(Deserialize)]
struct DemoAdministrator {
    username: String,
    password: String,
}

fn demo_tenant(path: &Path, wanted: Option<&str>) -> Result<DemoTenant, UsageError> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.trim_start().starts_with('{')).unwrap_or_default();
    let demo: Demo =
        serde_json::from_str(line).map_err(|source| UsageError::NotADemo { path: path.to_owned(), source })?;
    let names: Vec<String> = demo.tenants.iter().map(|tenant| tenant.name.clone()).collect();
    let mut matching = demo.tenants.into_iter().filter(|tenant| wanted.is_none_or(|wanted| tenant.name == wanted));
    match (matching.next(), matching.next()) {
        (Some(tenant), None) => Ok(tenant),
        _ => Err(wrong(format!("say which tenant with --tenant: one of {}", names.join(", ")))),
    }
}

impl DemoTenant {
    /// By Authorize where the dialect has it, else with the secret token.
    fn door(self, in_body: bool) -> Result<Door, UsageError> {
        let missing = |what: &str| wrong(format!("tenant {} has no {what} in the demo's line", self.name));
        let (Some(authorize_url), Some(token_url)) = (self.authorize_url, self.token_url) else {
            return Ok(Door::Token(Secret::new(self.secret_token.ok_or_else(|| missing("secret_token"))?)));
        };
        let uris = self.redirect_uris.unwrap_or_default();
        let loopback = |uri: &&Url| uri.host_str() == Some("127.0.0.1");
        let redirect_uri = uris.iter().find(loopback).or(uris.first()).cloned();
        let administrator = self.administrator.ok_or_else(|| missing("administrator"))?;
        let client = OAuthClient {
            token_url,
            id: self.client_id.ok_or_else(|| missing("client_id"))?,
            secret: self.client_secret.map(Secret::new),
            scopes: self.scopes.unwrap_or_default(),
            in_body,
        };
        let authorization = Authorization {
            authorize_url,
            redirect_uri: redirect_uri.ok_or_else(|| missing("redirect URI"))?,
            issuer: self.issuer,
            username: administrator.username,
            password: Secret::new(administrator.password),
        };
        Ok(Door::Authorize(client, Box::new(authorization)))
    }
}
