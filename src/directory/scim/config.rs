//! What the operator declares about a SCIM server, and the one place where it is checked.
//!
//! ```toml
//! [tenants.example.directory]
//! kind          = "scim"
//! url           = "env:DIRECTORY_URL"    # * http:// or https://, host, perhaps port and path prefix
//! path          = "/scim/v2"             # appended to it; none
//! token         = "env:DIRECTORY_TOKEN"  # bearer token. Optional: unset or empty = none is sent
//! timeout       = "10s"                  # of one piece of work, all in all; 10s
//! max_in_flight = 64                     # calls under way at once, 1 to 1024; 64
//! page_size     = 100                    # most entries asked for in one call, 1 to 1000; fewer may come; 100
//! groups        = true                   # whether it has /Groups; true
//! patch         = true                   # false: people and groups are put in place as a whole even where it announces PATCH; true
//! attributes    = ["userName", "name"]   # what it keeps of a person; optional: as its /Schemas say
//! ```

use std::time::Duration;

use crate::directory::client::Base;
use crate::directory::rest::Mistake;
use crate::scim::path::AttrPath;
use crate::types::Secret;

/// The configuration as written, before anything is believed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `url`.
    pub url: String,
    /// `path`.
    pub path: String,
    /// `token`; an empty one counts as none.
    pub token: Option<Secret>,
    /// `timeout`.
    pub timeout: Duration,
    /// `max_in_flight`.
    pub max_in_flight: u64,
    /// `page_size`.
    pub page_size: u64,
    /// `groups`.
    pub groups: bool,
    /// `patch`.
    pub patch: bool,
    /// `attributes`; empty means as its schemas say.
    pub attributes: Vec<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            url: String::new(),
            path: String::new(),
            token: None,
            timeout: Duration::from_secs(10),
            max_in_flight: 64,
            page_size: 100,
            groups: true,
            patch: true,
            attributes: Vec::new(),
        }
    }
}

/// A SCIM server, declared and checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) base: Base,
    pub(super) token: Option<Secret>,
    pub(super) timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) page_size: u64,
    pub(super) groups: bool,
    pub(super) patch: bool,
    pub(super) attributes: Vec<AttrPath>,
}

impl Config {
    /// Checks a draft.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn new(draft: Draft) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut refuse = |key: &str, problem: String| {
            mistakes.push(Mistake { at: vec![key.to_owned()], problem, within: None, help: None });
        };
        if !(draft.path.is_empty() || draft.path.starts_with('/')) {
            refuse("path", format!("must begin with /: write \"/{}\"", draft.path));
        }
        let base = Base::parse(&format!("{}{}", draft.url.trim_end_matches('/'), draft.path));
        let base = base.map_err(|problem| refuse("url", problem));
        let token = draft.token.filter(|token| !token.expose().is_empty());
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            refuse("token", "holds a blank, a line end or a letter beyond ASCII; a bearer token has none".into());
        }
        let mut attributes = Vec::new();
        for text in &draft.attributes {
            match AttrPath::parse(text) {
                Ok(path) if path.filter.is_none() => attributes.push(path),
                Ok(_) => refuse("attributes", format!("\"{text}\" names entries: write the attribute alone")),
                Err(error) => refuse("attributes", error.detail),
            }
        }
        for needed in ["userName", "active"] {
            if !attributes.is_empty() && !attributes.iter().any(|path| path.is(needed)) {
                refuse("attributes", format!("must hold {needed}: nobody can be found or disabled without it"));
            }
        }
        match base {
            Ok(base) if mistakes.is_empty() => Ok(Self {
                base,
                token,
                timeout: draft.timeout,
                max_in_flight: usize::try_from(draft.max_in_flight).unwrap_or(1).clamp(1, 1024),
                page_size: draft.page_size.clamp(1, 1000),
                groups: draft.groups,
                patch: draft.patch,
                attributes,
            }),
            _ => Err(mistakes),
        }
    }

    /// Whether calls carry a bearer token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the operator lets changes be PATCHes.
    pub const fn patches(&self) -> bool {
        self.patch
    }
}
