//! The console's page: what the state holds, in words. No statement and no rule stands here.

use askama::Template;
use http::StatusCode;

use crate::config::{Tenant, span};
use crate::http::authenticate::ENTRA_TOKENS;
use crate::http::message::Response;
use crate::http::oauth::authorize::may_authorize;
use crate::http::oauth::pages::{Contact, role_name};
use crate::http::page::{render, wide_page};
use crate::limit::{Policy, Quota};
use crate::oauth::Door;
use crate::store::{Administrator, Client, LiveGrant, SecretToken};
use crate::types::Timestamp;

/// Everything the page shows.
pub(super) struct Overview<'a> {
    pub config: &'a Tenant,
    /// The console's own path.
    pub path: &'a str,
    pub administrator: &'a Administrator,
    pub form_token: &'a str,
    pub now: Timestamp,
    pub notice: Option<Result<&'a str, &'a str>>,
    pub managed: i64,
    pub grant_count: i64,
    pub grants: Vec<LiveGrant>,
    pub clients: Vec<Client>,
    pub tokens: Vec<SecretToken>,
    /// Client, door, when it was last used; the latest first.
    pub uses: Vec<(String, String, Timestamp)>,
}

#[derive(Template)]
#[template(path = "console.html", config = "src/http/askama.toml")]
struct Console<'a> {
    tenant: &'a str,
    path: &'a str,
    username: &'a str,
    role: &'a str,
    form_token: &'a str,
    may_revoke: bool,
    notice: Option<&'a str>,
    alert: Option<&'a str>,
    dialect: &'a str,
    scim_base: &'a str,
    managed: String,
    limits: Vec<String>,
    contact: Option<Contact<'a>>,
    grant_count: String,
    more: bool,
    grants: Vec<GrantRow>,
    clients: Vec<ClientRow<'a>>,
    tokens: Vec<TokenRow<'a>>,
    /// Where tokens of Entra itself are taken: when the last one came.
    entra_tokens: Option<String>,
}

struct GrantRow {
    id: i64,
    client: String,
    by: Option<String>,
    can: &'static str,
    since: String,
    issued: Option<String>,
}

struct ClientRow<'a> {
    name: &'a str,
    id: &'a str,
    state: String,
    used: String,
}

struct TokenRow<'a> {
    name: &'a str,
    prefix: &'a str,
    since: String,
    used: String,
    state: String,
}

impl Overview<'_> {
    pub(super) fn page(&self, status: StatusCode) -> Response {
        let Self { config, administrator, now, .. } = self;
        let (notice, alert) = match self.notice {
            Some(Ok(notice)) => (Some(notice), None),
            Some(Err(alert)) => (None, Some(alert)),
            None => (None, None),
        };
        let body = Console {
            tenant: &config.name,
            path: self.path,
            username: &administrator.username,
            role: role_name(administrator.role),
            form_token: self.form_token,
            may_revoke: may_authorize(administrator.role),
            notice,
            alert,
            dialect: &config.dialect.name,
            scim_base: &config.scim_base,
            managed: counted(self.managed, "person", "people"),
            limits: config.limits.as_ref().map_or_else(Vec::new, limits),
            contact: config.contact.as_deref().map(Contact::new),
            grant_count: counted(self.grant_count, "grant", "grants"),
            more: usize::try_from(self.grant_count).is_ok_and(|count| count > self.grants.len()),
            grants: self.grants.iter().map(grant).collect(),
            clients: self.clients.iter().map(|found| client(found, self.uses_of(&found.id), *now)).collect(),
            tokens: self.tokens.iter().filter(|token| !token.revoked).map(|found| token(found, *now)).collect(),
            entra_tokens: config.doors.entra_tokens.as_ref().map(|_| {
                let last = self.uses_of("").find(|(door, _)| *door == ENTRA_TOKENS);
                last.map_or_else(|| "never".to_owned(), |(_, at)| minute(at))
            }),
        };
        wide_page(status, &format!("Console of {}", config.name), &render(&body))
    }

    /// The doors that the client came through, the latest first; those of the tenant for an empty id.
    fn uses_of(&self, id: &str) -> impl Iterator<Item = (&str, Timestamp)> {
        self.uses.iter().filter(move |(client, ..)| client == id).map(|(_, door, at)| (door.as_str(), *at))
    }
}

fn grant(grant: &LiveGrant) -> GrantRow {
    let scope = |name: &str| grant.scopes.split(' ').any(|scope| scope == name);
    GrantRow {
        id: grant.id,
        client: grant.client.clone().unwrap_or_else(|| grant.client_id.clone()),
        by: grant.administrator.clone(),
        can: match (scope("scim.read"), scope("scim.write")) {
            (_, true) => "read and change people",
            (true, false) => "read people",
            (false, false) => "nothing",
        },
        since: minute(grant.created),
        issued: grant.issued.map(minute),
    }
}

fn client<'a, 'u>(
    client: &'a Client,
    uses: impl Iterator<Item = (&'u str, Timestamp)>,
    now: Timestamp,
) -> ClientRow<'a> {
    let used: Vec<_> =
        uses.filter_map(|(door, at)| Some(format!("{} {}", way(Door::named(door)?), minute(at)))).collect();
    let used = if used.is_empty() { "never used".to_owned() } else { format!("last used: {}", used.join(", ")) };
    let live = client.secrets.iter().filter(|secret| secret.expires.is_none_or(|expires| now < expires));
    let last = live.clone().filter_map(|secret| secret.expires).max();
    let forever = live.clone().any(|secret| secret.expires.is_none());
    let state = match (client.disabled, client.public, i64::try_from(live.count()).unwrap_or(i64::MAX), last) {
        (true, ..) => "disabled".to_owned(),
        (_, true, ..) => "open, without a secret (PKCE)".to_owned(),
        (_, _, 0, _) => "shut: its secrets have expired".to_owned(),
        (_, _, count, Some(last)) if !forever => {
            format!("open, {}, good until {}", counted(count, "secret", "secrets"), day(last))
        }
        (_, _, count, _) => format!("open, {}", counted(count, "secret", "secrets")),
    };
    ClientRow { name: &client.name, id: &client.id, state, used }
}

/// What a door is opened with.
const fn way(door: Door) -> &'static str {
    match door {
        Door::Code => "authorization",
        Door::Refresh => "refresh token",
        Door::ClientCredentials => "secret",
        Door::Federation => "federation",
        Door::PrivateKeyJwt => "own key",
    }
}

fn token(token: &SecretToken, now: Timestamp) -> TokenRow<'_> {
    TokenRow {
        name: &token.name,
        prefix: &token.prefix,
        since: minute(token.created),
        used: token.last_used.map_or_else(|| "never".to_owned(), minute),
        state: match token.expires {
            None => "no end".to_owned(),
            Some(end) if end <= now => "expired".to_owned(),
            Some(end) => format!("until {}", day(end)),
        },
    }
}

fn limits(policy: &Policy) -> Vec<String> {
    let quota = |what: &str, quota: Option<Quota>| {
        quota.map(|quota| format!("{} {what} in {}", quota.requests, span(quota.window)))
    };
    let mut lines: Vec<_> =
        [quota("reads", policy.read), quota("changes", policy.write)].into_iter().flatten().collect();
    if !policy.penalty.duration.is_zero() {
        lines.push(format!("then a pause of {}", span(policy.penalty.duration)));
    }
    if policy.shadow {
        lines.push("only watched, nothing is refused".to_owned());
    }
    lines
}

fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `2026-11-22 09:15` in UTC.
fn minute(at: Timestamp) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}

/// `2026-11-22`.
fn day(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}
