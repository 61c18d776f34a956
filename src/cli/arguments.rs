//! The flags of the commands whose work is done in other rooms.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `portcullis demo`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: portcullis demo --listen 127.0.0.1:8080 --people 25

PORTCULLIS_LOG=info shows a log line for each request.")]
pub struct Demo {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Keep everything in this directory instead of a temporary one that is gone at the end
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Sample people of each tenant; 0 for none
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub people: u32,
    /// `none` lifts the vendors' request limits
    #[arg(long, value_name = "WHICH")]
    pub limits: Option<DemoLimits>,
    /// Print what a script needs on one line of JSON when ready
    #[arg(long)]
    pub json: bool,
}

/// What may be said about limits in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DemoLimits {
    /// No limits at all.
    None,
}

/// `portcullis serve`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: portcullis serve --config portcullis.toml

Log lines go to standard error; PORTCULLIS_LOG=error, warn, info (as without it), debug or trace says how many.
SIGHUP reads the configuration again, SIGTERM finishes what is under way and stops.")]
pub struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `portcullis check`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: portcullis check --config portcullis.toml --connect")]
pub struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Also try the state, the rate store and each directory
    #[arg(long)]
    pub connect: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `portcullis explain`: a request from standard input, or one mapping expression.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: portcullis explain --config portcullis.toml --tenant acme < request.http
Example: portcullis explain --expression 'StripSpaces([telephoneNumber])' --input '{\"telephoneNumber\":\"+1 555 0100\"}'

An expression's result is printed as JSON: a text, number, true or false, list, or null for an attribute without a value.
What is to be left out is {\"left_out\":\"attribute\"} or {\"left_out\":\"object\"}, a redacted value \"[Redact]\". When the evaluation
fails it exits 1; when the expression itself, the input or the time is wrong, 2. Texts are converted to base 64 from
UTF-16, as Entra ID does.")]
pub struct Explain {
    /// The configuration
    #[arg(long, value_name = "FILE", required_unless_present = "expression", conflicts_with = "expression")]
    pub config: Option<PathBuf>,
    /// The tenant the request is for
    #[arg(long, value_name = "TENANT", required_unless_present = "expression", conflicts_with = "expression")]
    pub tenant: Option<String>,
    /// The person the request is about, as the directory holds them (JSON of a SCIM user); for a create, somebody who is there
    #[arg(long, value_name = "FILE", conflicts_with = "expression")]
    pub person: Option<PathBuf>,
    /// Print the explanation as JSON
    #[arg(long, conflicts_with = "expression")]
    pub json: bool,
    /// Evaluate this mapping expression instead
    #[arg(long, value_name = "EXPRESSION")]
    pub expression: Option<String>,
    /// What the expression reads: a JSON object of a SCIM user; keys that SCIM does not know are attributes, too
    #[arg(long, value_name = "JSON", requires = "expression")]
    pub input: Option<String>,
    /// The time that the expression takes for now, RFC 3339
    #[arg(long, value_name = "TIME", requires = "expression")]
    pub now: Option<String>,
}
