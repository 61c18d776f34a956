//! A path becomes a route: a closed set, so that handling is exhaustive, 405 knows its `Allow`, and metric labels are bounded.
//!
//! There is no web framework here although the design first drew one (axum): the SCIM base depends on the tenant's dialect,
//! a tenant's own host takes the `/t/{tenant}` prefix away, and every refusal must leave in the form its reader parses. One
//! match says all that in less than overriding a framework's defaults would, and costs nothing a request.

use http::Method;

pub use super::oauth::Endpoint;
use crate::dialect::Dialect;

/// What a path below a tenant means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Below the tenant's SCIM base.
    Scim(ScimRoute),
    /// An endpoint of the tenant's authorization server.
    OAuth(Endpoint),
    /// The tenant's own pages.
    Console,
    /// `/managed/{key}`: the legacy portal asks whether somebody is managed; without a key, of the tenant as a whole.
    Managed(Option<String>),
}

/// A SCIM endpoint (RFC 7644 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimRoute {
    /// `/Users`.
    Users,
    /// `/Users/{id}`.
    User(String),
    /// `/Users/.search`.
    Search,
    /// `/Groups`. Where groups are not offered, queries answer with an empty list.
    Groups,
    /// `/Groups/.search`: so here.
    GroupSearch,
    /// `/Groups/{id}`.
    Group(String),
    /// `/.search`: people and groups (RFC 7644 §3.4.3).
    RootSearch,
    /// The base itself, where the same is asked by GET (RFC 7644 §3.4.2.1).
    Root,
    /// `/ServiceProviderConfig`.
    ServiceProviderConfig,
    /// `/Schemas`, or one of them.
    Schemas(Option<String>),
    /// `/ResourceTypes`, or one of them.
    ResourceTypes(Option<String>),
    /// `/Bulk`.
    Bulk,
    /// `/Me`.
    Me,
    /// Anything else below the base.
    Unknown,
}

impl Route {
    /// Reads the part of a path below the tenant, with its leading slash; `None` when nothing of the tenant's is there.
    pub fn parse(dialect: &Dialect, path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if let Some(rest) = below(path, &dialect.scim_base) {
            return Some(Self::Scim(ScimRoute::parse(rest)));
        }
        if let Some(rest) = dialect.scim_alias.as_deref().and_then(|alias| below(path, alias)) {
            return Some(Self::Scim(ScimRoute::parse(rest)));
        }
        if path == "console" || path.starts_with("console/") {
            return Some(Self::Console);
        }
        if let Some(rest) = below(path, "managed") {
            let key = rest.trim_start_matches('/');
            if key.is_empty() {
                return Some(Self::Managed(None));
            }
            let key = percent_encoding::percent_decode_str(key).decode_utf8().ok()?;
            return Some(Self::Managed(Some(key.into_owned())));
        }
        if path == ".well-known/oauth-authorization-server" {
            return Some(Self::OAuth(Endpoint::Metadata));
        }
        let endpoint = below(path, "oauth").or_else(|| below(path, dialect.oauth_alias.as_deref()?))?;
        Some(Self::OAuth(match endpoint.trim_end_matches('/') {
            "/authorize" => Endpoint::Authorize,
            "/token" => Endpoint::Token,
            "/revoke" => Endpoint::Revoke,
            "/introspect" => Endpoint::Introspect,
            "/jwks" => Endpoint::Jwks,
            "/sign-out" => Endpoint::SignOut,
            "/callback" => Endpoint::Callback,
            _ => return None,
        }))
    }

    /// The label in metrics and log lines.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Scim(route) => route.label(),
            Self::Console => "console",
            Self::Managed(_) => "managed",
            Self::OAuth(endpoint) => match endpoint {
                Endpoint::Authorize => "authorize",
                Endpoint::Token => "token",
                Endpoint::Revoke => "revoke",
                Endpoint::Introspect => "introspect",
                Endpoint::Jwks => "jwks",
                Endpoint::Metadata => "metadata",
                Endpoint::SignOut => "sign_out",
                Endpoint::Callback => "callback",
            },
        }
    }
}

/// What follows `base` in `path`: empty, or starting with a slash.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl ScimRoute {
    /// Reads the part of a path below the SCIM base. A trailing slash means nothing (clients add one).
    fn parse(rest: &str) -> Self {
        let mut parts = rest.trim_matches('/').splitn(2, '/');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().filter(|part| !part.is_empty()));
        let is = |word: &str| first.eq_ignore_ascii_case(word);
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(String::from);
        if second.is_some_and(|part| part.contains('/')) {
            return Self::Unknown;
        }
        match second {
            None if is("Users") => Self::Users,
            Some(".search") if is("Users") => Self::Search,
            // An id that is not UTF-8 names nobody.
            Some(id) if is("Users") => decode(id).map_or(Self::Unknown, Self::User),
            None if is(".search") => Self::RootSearch,
            None if first.is_empty() => Self::Root,
            None if is("Groups") => Self::Groups,
            Some(".search") if is("Groups") => Self::GroupSearch,
            Some(id) if is("Groups") => decode(id).map_or(Self::Unknown, Self::Group),
            None if is("ServiceProviderConfig") || is("ServiceProviderConfigs") => Self::ServiceProviderConfig,
            _ if is("Schemas") => Self::Schemas(second.and_then(decode)),
            _ if is("ResourceTypes") => Self::ResourceTypes(second.and_then(decode)),
            None if is("Bulk") => Self::Bulk,
            _ if is("Me") => Self::Me,
            _ => Self::Unknown,
        }
    }

    /// The methods this route answers, for `Allow`.
    pub const fn allow(&self) -> &'static str {
        match self {
            Self::Users | Self::Groups => "GET, HEAD, POST",
            Self::User(_) | Self::Group(_) => "GET, HEAD, PUT, PATCH, DELETE",
            Self::Search | Self::GroupSearch | Self::RootSearch | Self::Bulk => "POST",
            Self::Root
            | Self::ServiceProviderConfig
            | Self::Schemas(_)
            | Self::ResourceTypes(_)
            | Self::Me
            | Self::Unknown => "GET, HEAD",
        }
    }

    /// Whether a request here is a read: every GET and HEAD, and a search although it is a POST.
    pub fn is_read(&self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
            || matches!(self, Self::Search | Self::GroupSearch | Self::RootSearch)
    }

    /// The label in metrics, log lines and audit records.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::User(_) => "user",
            Self::Search | Self::GroupSearch | Self::RootSearch | Self::Root => "search",
            Self::Groups => "groups",
            Self::Group(_) => "group",
            Self::ServiceProviderConfig => "service_provider_config",
            Self::Schemas(_) => "schemas",
            Self::ResourceTypes(_) => "resource_types",
            Self::Bulk => "bulk",
            Self::Me => "me",
            Self::Unknown => "unknown",
        }
    }
}

/// Splits `/t/{tenant}/…` into the tenant's name and the rest with its leading slash (perhaps empty).
pub fn tenant_prefix(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/t/")?;
    Some(rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)))
}

/// The tenant that a metadata request names (RFC 8414 §3.1 puts the well-known part before the issuer's path).
pub fn metadata_tenant(path: &str) -> Option<&str> {
    path.strip_prefix("/.well-known/oauth-authorization-server/t/").map(|name| name.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_routes() {
        let standard = Dialect::named("standard").unwrap();
        let rows = [
            ("/scim/v2/Users", Some(Route::Scim(ScimRoute::Users))),
            ("/scim/v2/users/", Some(Route::Scim(ScimRoute::Users))),
            ("/scim/v2/Users/a%20b", Some(Route::Scim(ScimRoute::User("a b".into())))),
            ("/scim/v2/Users/%ff", Some(Route::Scim(ScimRoute::Unknown))),
            ("/scim/v2/Users/1/2", Some(Route::Scim(ScimRoute::Unknown))),
            ("/scim/v2/Users/.search", Some(Route::Scim(ScimRoute::Search))),
            ("/scim/v2/.search", Some(Route::Scim(ScimRoute::RootSearch))),
            ("/scim/v2", Some(Route::Scim(ScimRoute::Root))),
            ("/scim/v2/", Some(Route::Scim(ScimRoute::Root))),
            ("/scim/v2/Groups/.search", Some(Route::Scim(ScimRoute::GroupSearch))),
            ("/scim/v2/Groups/7", Some(Route::Scim(ScimRoute::Group("7".into())))),
            (
                "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
                Some(Route::Scim(ScimRoute::Schemas(Some("urn:ietf:params:scim:schemas:core:2.0:User".into())))),
            ),
            ("/scim/v20/Users", None),
            ("/oauth/token", Some(Route::OAuth(Endpoint::Token))),
            ("/oauth/tokens", None),
            ("/restapi/oauth/token", None),
            ("/console", Some(Route::Console)),
            ("/managed/a%2Fb", Some(Route::Managed(Some("a/b".into())))),
            ("/managed/", Some(Route::Managed(None))),
            ("/managed/%ff", None),
            ("", None),
        ];
        for (path, route) in rows {
            assert_eq!(Route::parse(standard, path), route, "{path}");
        }
        let ringcentral = Dialect::named("ringcentral").unwrap();
        assert_eq!(Route::parse(ringcentral, "/scim/Users"), Some(Route::Scim(ScimRoute::Users)));
        assert_eq!(Route::parse(ringcentral, "/restapi/oauth/token"), Some(Route::OAuth(Endpoint::Token)));
    }

    #[test]
    fn tenants_are_split_off() {
        assert_eq!(tenant_prefix("/t/acme/scim/v2/Users"), Some(("acme", "/scim/v2/Users")));
        assert_eq!(tenant_prefix("/t/acme"), Some(("acme", "")));
        assert_eq!(tenant_prefix("/x/acme"), None);
        assert_eq!(metadata_tenant("/.well-known/oauth-authorization-server/t/acme"), Some("acme"));
    }
}
