//! The command line (contract §2): flags to actions, outcomes to exit codes. Each command has a file; this one lists them.
//!
//! Answers go to standard output, everything said about them to standard error. Whatever a command needs of the process (time,
//! randomness, environment, streams, somebody typing a password) comes in as a [`World`], so that tests can play all of it.

pub mod admin;
pub mod arguments;
pub mod audit;
pub mod check;
pub mod client;
pub mod demo;
pub mod explain;
mod expression;
pub mod keys;
pub mod limits;
mod place;
pub mod prompt;
pub mod serve;
mod table;
pub mod token;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use place::At;

use crate::config::{Diagnostics, Environment};
use crate::store::StoreError;
use crate::telemetry;
use crate::types::{Clock, Random, Secret};

/// An OAuth-authorized SCIM 2.0 gateway: it lets Entra ID, Okta and others provision people into a user system that knows no SCIM.
#[derive(Parser)]
#[command(
    name = "portcullis",
    version,
    about,
    max_term_width = 110,
    after_help = "\
Example: portcullis demo
  starts a gateway with five tenants and sample people; open the address it prints.

Exit codes: 0 done, 1 the operation failed, 2 wrong usage, 64 invalid configuration, 69 a needed service is unreachable."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Every command there is.
#[derive(Subcommand)]
pub enum Command {
    /// Try everything on this machine: five tenants with sample people, and a page that plays the identity provider
    Demo(arguments::Demo),
    /// Run the gateway
    Serve(arguments::Serve),
    /// Validate and explain a configuration
    Check(arguments::Check),
    /// Play an identity provider against any SCIM endpoint and report what it would trip over
    Rehearse(Box<crate::rehearse::Arguments>),
    /// Show, stage by stage, what the gateway would do with a SCIM request, sending nothing
    Explain(arguments::Explain),
    /// Administrators of a tenant: those who approve an Access Request
    #[command(
        subcommand,
        after_help = "Example: portcullis admin add --config portcullis.toml --tenant acme kim@example.com"
    )]
    Admin(admin::Action),
    /// OAuth clients of a tenant: the identity providers that may ask for access
    #[command(
        subcommand,
        after_help = "\
Example: portcullis client add --config portcullis.toml --tenant acme --name Entra --entra

Doors are the ways in which a client comes to an access token; several may be open at once:
  code                an administrator authorizes in a browser
  refresh             the refresh token that came with that
  client_credentials  the client's secret
  federation          an assertion of its identity provider, as [tenants.acme.doors.federation] trusts it
  private_key_jwt     an assertion of its own, as [tenants.acme.doors.private_key_jwt] trusts it"
    )]
    Client(client::Action),
    /// Static secret tokens of a tenant, for identity providers that hold a token instead of an OAuth grant
    #[command(subcommand, after_help = "Example: portcullis token list --config portcullis.toml --tenant acme")]
    Token(token::Action),
    /// Keys that sign access tokens
    #[command(subcommand, after_help = "Example: portcullis keys rotate --config portcullis.toml --tenant acme")]
    Keys(keys::Action),
    /// Request limits
    #[command(subcommand)]
    Limits(limits::Action),
    /// The audit trail: one record a request
    #[command(subcommand)]
    Audit(audit::Action),
}

/// How a command ended, as its exit code tells (contract §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The operation failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The configuration is invalid.
    Configuration = 64,
    /// A needed service is unreachable.
    Unreachable = 69,
}

impl Exit {
    const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Usage, Self::Configuration, Self::Unreachable];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ExitCode> for Exit {
    fn from(code: ExitCode) -> Self {
        Self::ALL.into_iter().find(|exit| ExitCode::from(*exit) == code).unwrap_or(Self::Failed)
    }
}

/// Why a command did not do what it was asked: an exit code and what to tell the person who asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong and what to do about it.
    pub message: String,
}

impl Failure {
    /// The operation failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// A command that later work brings.
    fn later(command: &str) -> Self {
        Self::failed(format!("`portcullis {command}` is not built yet"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) | StoreError::Migration(_) => Exit::Unreachable,
            StoreError::Address(_) | StoreError::MasterKey(_) => Exit::Configuration,
            StoreError::Exists(_) | StoreError::Missing(_) | StoreError::Corrupt(_) => Exit::Failed,
        };
        Self { exit, message: error.to_string() }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { exit: Exit::Configuration, message: diagnostics.report(false) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever reads the answer has seen enough: `portcullis audit tail | head`.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        Self { exit, message: format!("cannot write the answer: {error}") }
    }
}

/// What a command needs of the process it runs in.
pub struct World<'a> {
    /// The environment variables.
    pub environment: Environment,
    /// What time it is.
    pub clock: Clock,
    /// Where ids, salts and secrets come from.
    pub random: Random,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Gets a new password from somebody, who is asked with the text given.
    pub password: &'a mut dyn FnMut(&str) -> Result<Secret, Failure>,
}

/// The `portcullis` binary: runs what its arguments say, with the streams, environment, clock and randomness of the process.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let mut world = World {
        // What is not UTF-8 cannot be a value of the configuration.
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        clock: Clock::system(),
        random: Random::system(),
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        password: &mut prompt::password,
    };
    let exit = runtime.block_on(run(std::env::args_os(), &mut world));
    telemetry::flush_log();
    exit.into()
}

/// Reads `arguments` (the program's name first) and does what they say. Says itself what went wrong.
pub async fn run<I, T>(arguments: I, world: &mut World<'_>) -> Exit
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, not mistakes; clap knows which stream each belongs to.
            let _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match dispatch(cli.command, world).await {
        Ok(exit) => exit,
        Err(failure) => {
            if failure.exit != Exit::Done {
                let _ = writeln!(world.err, "{}", failure.message.trim_end());
            }
            failure.exit
        }
    }
}

async fn dispatch(command: Command, world: &mut World<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, world).await,
        Command::Serve(arguments) => serve::run(arguments, world).await,
        Command::Check(arguments) => check::run(arguments, world).await,
        Command::Rehearse(arguments) => {
            Ok(crate::rehearse::run(*arguments, world.clock.clone(), world.random.clone()).await.into())
        }
        Command::Explain(arguments) => explain::run(arguments, world).await,
        Command::Admin(action) => admin::run(action, world).await,
        Command::Client(action) => client::run(action, world).await,
        Command::Token(action) => token::run(action, world).await,
        Command::Keys(action) => keys::run(action, world).await,
        Command::Limits(action) => limits::run(action, world),
        Command::Audit(action) => audit::run(action, world).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_helps_with_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() {
                    visit(sub, &path);
                    continue;
                }
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example") && help.contains(&path), "{path}: {help:?}");
            }
        }
        visit(&Cli::command(), "portcullis");
    }

    #[test]
    fn what_contract_2_lists_is_understood() {
        for line in [
            "demo",
            "demo --listen 127.0.0.1:0 --data x --people 0 --limits none --json",
            "serve --config f",
            "check --config f --connect --json",
            "explain --config f --tenant t",
            "explain --config f --tenant t --person p --json",
            "explain --expression E --input {} --now 2026-01-01T00:00:00Z",
            "admin add --config f --tenant t --role viewer name",
            "admin list --config f --tenant t --json",
            "admin password --config f --tenant t name",
            "admin disable --config f --tenant t name",
            "client add --config f --tenant t --name n --redirect-uri u --redirect-uri v --scope scim.read --public",
            "client add --config f --tenant t --name n --entra --json",
            "client list --config f --tenant t",
            "client rotate --config f --tenant t id --keep-old",
            "client rotate --config f --tenant t id --drop-old --json",
            "client disable --config f --tenant t id",
            "client remove --config f --tenant t id",
            "token issue --config f --tenant t --name n --expires 365d --json",
            "token list --config f --tenant t",
            "token revoke --config f --tenant t id",
            "keys list --config f --tenant t",
            "keys rotate --config f --tenant t",
            "keys rotate --config f --tenant t --after 10m --json",
            "keys rotate --config f --tenant t --compromised",
            "keys master",
            "keys reseal --config f --tenant t --from env:OLD",
            "limits show --config f",
            "limits simulate --config f",
            "audit tail --config f --tenant t --follow --json -n 20",
            "audit export --config f",
            "audit verify --config f",
        ] {
            let parsed = Cli::try_parse_from(["portcullis"].into_iter().chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
        }
        for line in ["", "demo --people -1", "serve", "explain", "explain --expression E --config f", "admin add name"]
        {
            let parsed = Cli::try_parse_from(["portcullis"].into_iter().chain(line.split_whitespace()));
            assert!(parsed.is_err(), "{line}");
        }
    }

    #[test]
    fn exit_codes_are_the_contracts() {
        let codes =
            [Exit::Done, Exit::Failed, Exit::Usage, Exit::Configuration, Exit::Unreachable].map(|exit| exit as u8);
        assert_eq!(codes, [0, 1, 2, 64, 69]);
    }
}
