//! `[keys]`, and how long a tenant's refresh tokens live: what access tokens are signed with, and the master key under which the state's keys rest.
//!
//! A master key never stands in the configuration file itself: whoever reads the one would have the other. Without one, a state in a
//! file has it in another file beside it, so that a copy of the state alone opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::State;
use super::diagnostic::Severity;
use super::reader::{Section, choose};
use super::value::advice;
use crate::dialect::Dialect;
use crate::oauth::refresh::Lifetime;
use crate::oauth::seal::{Master, MasterKey};
use crate::oauth::signature::Algorithm;

/// `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What new signing keys are for.
    pub algorithm: Algorithm,
    /// Where the master key comes from.
    pub master: Master,
}

impl Default for Keys {
    /// For a state in memory.
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), master: Master::Passing }
    }
}

impl Keys {
    /// The default for `state`.
    #[must_use]
    pub fn beside(state: &State) -> Self {
        let beside = |file: &std::path::Path| {
            let mut path = file.as_os_str().to_owned();
            path.push(".key");
            Master::Beside(PathBuf::from(path))
        };
        Self { algorithm: Algorithm::default(), master: state.file().map_or(Master::Passing, beside) }
    }

    /// Reads the section.
    pub(super) fn read(mut section: Section<'_>, state: Option<&State>) -> Option<Self> {
        const HELP: &str =
            "give it as `env:NAME` or `file:PATH`; `portcullis keys master` or `openssl rand -base64 32` makes one";
        let algorithm = section.value("algorithm").map_or(Some(Algorithm::default()), |value| {
            let algorithm = value.parse(|text| {
                let names = Algorithm::ALL.map(Algorithm::name);
                text.parse().map_err(|_| advice("is no algorithm that is offered", choose(text, &names)))
            });
            if algorithm == Some(Algorithm::Rs256) {
                let message = "access tokens signed with RS256 are 256 characters longer than others";
                let help = "Entra's government clouds give all secrets of a connection 1 KB together; EdDSA or ES256 leave room";
                value.note(Severity::Note, message, help);
            }
            algorithm
        });
        let master = section.value("master_key").map(|value| {
            if value.in_clear() {
                value.reader.hide(&value.node.origin);
                value.refuse("the master key is written in clear in the file that it protects the state from", HELP);
                return None;
            }
            let text = value.secret(false)?;
            let key = MasterKey::parse(text.expose());
            if key.is_none() {
                value.refuse("`master_key` is not 32 bytes in base64 or hexadecimal digits", HELP);
            }
            key.map(Master::Given)
        });
        let master = match (master, state.map(|state| (state, Self::beside(state).master))) {
            (Some(given), _) => given,
            (None, Some((state, Master::Passing))) if state.url != "sqlite::memory:" => {
                section.refuse("`master_key` is missing: replicas that share a state share its master key", HELP);
                None
            }
            (None, Some((_, beside))) => Some(beside),
            (None, None) => None,
        };
        section.finish();
        Some(Self { algorithm: algorithm?, master: master? })
    }
}

/// `refresh_idle` and `refresh_limit` of a tenant.
pub(super) fn lifetime(section: &mut Section<'_>, dialect: Option<&Dialect>) -> Option<Lifetime> {
    const DAY: Duration = Duration::from_hours(24);
    let default = dialect.map_or(DAY * 90, |dialect| dialect.refresh_idle);
    let idle = section.duration("refresh_idle", default, DAY..=DAY * 365);
    let limit = match section.value("refresh_limit") {
        Some(value) if !value.is_word("none") => Some(value.duration(DAY..=DAY * 3650)?),
        _ => None,
    };
    Some(Lifetime { idle, limit })
}
