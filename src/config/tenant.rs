//! `[tenants.NAME]`: dialect, hosts, limits; the directory behind is read by `directory`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::cover::quote;
use super::diagnostic::Severity;
use super::reader::{Section, choose, list};
use super::value::{Value, advice};
use super::{SignIn, Switches, Tenant, dialect, directory, doors, schemas, sign_in, switches, words};
use crate::dialect::Dialect;
use crate::limit::{Penalty, Policy, Quota};
use crate::mapping::expression::{Expression, Problem, Scim, Type};
use crate::mapping::scope::{self, Refused};
use crate::scim::schema::{Declared, Selection};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// What a tenant takes from the rest of the configuration.
pub(super) struct Context<'a> {
    pub public_url: &'a str,
    pub state_file: Option<&'a Path>,
    /// The schemas that tenants may list.
    pub declared: &'a [Declared],
    /// Files of embedded directories, each with the tenant whose people it holds.
    pub embedded: RefCell<HashMap<PathBuf, String>>,
}

/// All tenants, or `None` when one of them is wrong.
pub(super) fn all(mut section: Section<'_>, context: &Context<'_>) -> Option<BTreeMap<String, Arc<Tenant>>> {
    let mut tenants = BTreeMap::new();
    let mut hosts = HashMap::new();
    let mut whole = true;
    let names = section.names();
    if names.is_empty() {
        section.refuse("there is no tenant", "add a section [tenants.NAME] with a `dialect` and a `directory`");
    }
    for (name, origin) in &names {
        // In a variable's name a hyphen is written as `_`, and tenant names hold no `_`.
        let variable = matches!(origin, super::tree::Origin::Variable(_));
        let name = if variable { &name.replace('_', "-") } else { name };
        let named = is_tenant_name(name);
        if !named {
            let help = "use lower-case letters, digits and `-`, at most 63, beginning with a letter or digit";
            let path = ["tenants".to_owned(), name.clone()];
            let message = format!("{} is no name for a tenant", quote(name));
            section.reader.report(Severity::Error, origin, &path, message, Some(help.to_owned()));
        }
        let Some(value) = section.branch(name) else { continue };
        let Some(tenant) = value.section() else {
            whole = false;
            continue;
        };
        let others: Vec<_> = names.iter().map(|(other, _)| other.as_str()).filter(|other| other != name).collect();
        match tenant_of(name, tenant, variable.then_some(&others), context, &mut hosts) {
            Some(tenant) if named => _ = tenants.insert(name.clone(), Arc::new(tenant)),
            _ => whole = false,
        }
    }
    section.finish();
    whole.then_some(tenants)
}

fn is_tenant_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `others` is given when only variables speak of this tenant: then its name may be a slip.
fn tenant_of(
    name: &str,
    mut section: Section<'_>,
    others: Option<&Vec<&str>>,
    context: &Context<'_>,
    hosts: &mut HashMap<String, String>,
) -> Option<Tenant> {
    let dialect = match (section.value("dialect"), others) {
        (Some(value), _) => dialect::read(&value),
        (None, Some(others)) => {
            let help = words::nearest(name, others.iter().copied()).map_or_else(
                || format!("choose {}, or give it a `dialect` to make it one", list(others)),
                |meant| format!("did you mean the tenant `{meant}`?"),
            );
            section.refuse(format!("there is no tenant `{name}`"), help);
            section.abandon();
            return None;
        }
        (None, None) => {
            section.required("dialect", "dialect = \"standard\"");
            None
        }
    };
    let hosts = section.value("hosts").map_or(Some(Vec::new()), |value| self::hosts(name, &value, context, hosts));
    let sign_in = section.branch("sign_in").map_or(Some(SignIn::Local), |value| sign_in::read(&value));
    let contact = section.value("contact").and_then(|value| contact(&value));
    let default_limits = dialect.as_ref().and_then(|dialect| dialect.default_limits);
    let limits = match section.branch("limits") {
        Some(value) => limits(&value, default_limits),
        None => default_limits,
    };
    let refresh = super::keys::lifetime(&mut section, dialect.as_deref());
    let doors = dialect.as_deref().and_then(|dialect| {
        let issuer = format!("{}/t/{name}", context.public_url);
        section.branch("doors").and_then(|value| value.section()).map(|section| doors::read(section, dialect, &issuer))
    });
    let discovery_public = section.boolean("discovery_public", false);
    let strict_attributes = section.boolean("strict_attributes", false);
    let schemas =
        section.value("schemas").map_or(Some(Selection::default()), |value| schemas::listed(&value, context.declared));
    let (switches, dialect) = chosen(&mut section, dialect).unzip();
    let managed = section.branch("managed").and_then(|value| value.section()).and_then(switches::managed);
    let scope = section.branch("scope").map(|value| scope(&value));
    let directory = section
        .required_section("directory", "directory = { kind = \"embedded\" }")
        .and_then(|section| directory::read(section, name, context));
    section.finish();
    let mut tenant = Tenant::new(name, &dialect?, context.public_url, directory?);
    tenant.hosts = hosts?;
    tenant.sign_in = sign_in?;
    tenant.contact = contact;
    tenant.limits = limits;
    tenant.refresh = refresh.unwrap_or(tenant.refresh);
    tenant.doors = doors.unwrap_or(tenant.doors);
    tenant.discovery_public = discovery_public;
    tenant.strict_attributes = strict_attributes;
    tenant.schemas = schemas?;
    tenant.switches = switches.unwrap_or_default();
    tenant.managed = managed;
    tenant.scope = match scope {
        Some(scope) => Some(scope?),
        None => None,
    };
    Some(tenant)
}

/// The dialect with what the tenant chooses of it, and the tenant's switches.
fn chosen(section: &mut Section<'_>, dialect: Option<Arc<Dialect>>) -> Option<(Switches, Arc<Dialect>)> {
    let on_create = section.branch("on_create").and_then(|value| value.section()).and_then(dialect::on_create);
    let switches = section.section("switches");
    let Some(mut dialect) = dialect else {
        switches.abandon();
        return None;
    };
    if let Some(given) = on_create.filter(|given| !given.is_empty()) {
        let own = Arc::make_mut(&mut dialect);
        own.on_create.retain(|(path, _)| !given.iter().any(|(other, _)| other == path));
        own.on_create.extend(given);
    }
    Some(switches::read(switches, &dialect))
}

/// `{ filter = '…', refused = "forbid" }`.
fn scope(value: &Value<'_>) -> Option<scope::Rule> {
    let mut section = value.section()?;
    let filter = section.required("filter", "filter = '[department] = \"Sales\"'").and_then(|value| filter(&value));
    let refused = section.value("refused").map_or(Some(Refused::default()), |value| {
        value.parse(|text| match text {
            "forbid" => Ok(Refused::Forbid),
            "drop" => Ok(Refused::Drop),
            _ => Err(advice("is no answer to the refused", choose(text, &["forbid", "drop"]))),
        })
    });
    section.finish();
    Some(scope::Rule { filter: filter?, refused: refused? })
}

/// An expression over a person that is true or false.
fn filter(value: &Value<'_>) -> Option<Expression> {
    let text = value.text()?;
    let note = |severity, problem: &Problem| {
        let origin = value.reader.inside(&value.node.origin, &problem.span);
        value.reader.report(severity, &origin, &value.path, problem.message.clone(), problem.help.clone());
    };
    match Expression::compile(&text, &Scim) {
        Ok(filter) if matches!(filter.kind(), Type::Boolean | Type::Any) && !filter.is_random() => {
            for warning in filter.warnings() {
                note(Severity::Warning, warning);
            }
            Some(filter)
        }
        Ok(filter) => {
            let message = format!("a scoping filter says yes or no; this is {}", filter.kind());
            value.refuse(message, "write a comparison, such as [department] = \"Sales\", or IsPresent([department])");
            None
        }
        Err(problems) => {
            for problem in &problems {
                note(Severity::Error, problem);
            }
            None
        }
    }
}

/// Host names of the tenant's own; `taken` holds those of the tenants before, with their tenant.
fn hosts(
    tenant: &str,
    value: &Value<'_>,
    context: &Context<'_>,
    taken: &mut HashMap<String, String>,
) -> Option<Vec<String>> {
    let public = Url::parse(context.public_url).ok()?;
    let public = public.origin().ascii_serialization();
    let public = public.split_once("://").map_or("", |(_, host)| host);
    let host = |item: Value<'_>| {
        item.parse(|text| {
            if !is_host(text) {
                let help = match text.split("://").last().unwrap_or(text).split('/').next() {
                    Some(host) if is_host(&host.to_lowercase()) => format!("write \"{}\"", host.to_lowercase()),
                    _ => "write a host name in lower case, with a port if it is not 443, such as \"acme.example.com\""
                        .into(),
                };
                return Err(advice("is not a host name in lower case", help));
            }
            if text == public {
                return Err(advice("is the host of `public_url`", "give the tenant a host name of its own"));
            }
            if let Some(owner) = taken.get(text) {
                return Err(advice(format!("belongs to the tenant `{owner}` already"), "a host leads to one tenant"));
            }
            taken.insert(text.to_owned(), tenant.to_owned());
            Ok(text.to_owned())
        })
    };
    // All items are looked at before the first wrong one ends the list.
    let read: Vec<_> = value.list()?.into_iter().map(host).collect();
    read.into_iter().collect()
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(label)
        && matches!(Host::parse(name), Ok(Host::Domain(_) | Host::Ipv4(_)))
        && port.is_none_or(|port| !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok())
}

/// Whom to ask: something a person can read on a page.
fn contact(value: &Value<'_>) -> Option<String> {
    value.parse(|text| match text.trim() {
        "" => Err(advice("is empty", "write an address or a name, such as \"it@example.com\"")),
        text if text.chars().count() > 200 || text.chars().any(char::is_control) => {
            Err(advice("is too long, or has control characters", "write one line of at most 200 characters"))
        }
        text => Ok(text.to_owned()),
    })
}

/// `limits = "none"`, or a table whose absent keys are the dialect's.
pub(super) fn limits(value: &Value<'_>, default: Option<Policy>) -> Option<Policy> {
    if value.is_text() {
        _ = none(value, "{ read = { requests = 300, window = \"60s\" } }");
        return None;
    }
    let mut section = value.section()?;
    let default = default.unwrap_or(Policy {
        read: None,
        write: None,
        penalty: Penalty { duration: Duration::ZERO, extend: false },
        shadow: false,
    });
    let read = section.branch("read").map_or(default.read, |value| quota(&value));
    let write = section.branch("write").map_or(default.write, |value| quota(&value));
    let penalty = section.branch("penalty").map_or(default.penalty, |value| penalty(&value, default.penalty));
    let shadow = section.boolean("shadow", default.shadow);
    section.finish();
    (read.is_some() || write.is_some()).then_some(Policy { read, write, penalty, shadow })
}

/// The word "none", in place of a table.
fn none(value: &Value<'_>, table: &str) -> Option<()> {
    value.parse(|text| match text {
        "none" => Ok(()),
        _ => Err(advice("is neither \"none\" nor a table", format!("write \"none\", or `{table}`"))),
    })
}

/// `{ requests = 300, window = "60s" }` or `"none"`.
fn quota(value: &Value<'_>) -> Option<Quota> {
    if value.is_text() {
        none(value, "{ requests = 300, window = \"60s\" }")?;
        return None;
    }
    let mut section = value.section()?;
    let requests = section.required("requests", "requests = 300").and_then(|value| value.integer(1..=1_000_000));
    let window = section.required("window", "window = \"60s\"").and_then(|value| {
        let window = value.duration(SECOND..=DAY)?;
        if window.subsec_nanos() == 0 {
            return Some(window);
        }
        let help = "write whole seconds: X-Rate-Limit-Window counts in them";
        value.parse(|_| Err(advice("is not a whole number of seconds", help)))
    });
    section.finish();
    let requests = requests.and_then(|requests| u32::try_from(requests).ok()).and_then(NonZeroU32::new);
    Some(Quota { requests: requests?, window: window? })
}

/// `{ duration = "60s", extend = false }` or `"none"`.
fn penalty(value: &Value<'_>, default: Penalty) -> Penalty {
    if value.is_text() {
        _ = none(value, "{ duration = \"60s\", extend = false }");
        return Penalty { duration: Duration::ZERO, extend: false };
    }
    let Some(mut section) = value.section() else { return default };
    let duration = section.duration("duration", default.duration, Duration::ZERO..=DAY);
    let extend = section.boolean("extend", default.extend);
    section.finish();
    Penalty { duration, extend }
}
