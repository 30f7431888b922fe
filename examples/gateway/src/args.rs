//! The command line, and its twins in the environment.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// A caching reverse proxy made of the buttress layers.
///
/// A flag wins over its environment variable, that over the file, that over the default.
#[derive(Debug, Default, Parser)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, env = "GATEWAY_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// The service behind the cache [default: a demo origin in this process]
    #[arg(long, env = "GATEWAY_UPSTREAM", value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Share the cache through Redis [default: in this process alone]
    #[arg(long, env = "GATEWAY_REDIS", value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// A TOML file with all settings
    #[arg(long, env = "GATEWAY_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Serve /dashboard/, /healthz, /readyz, /metrics, /purge and /explain there [default: off]
    #[arg(long, env = "GATEWAY_ADMIN", value_name = "ADDR:PORT")]
    pub(crate) admin: Option<String>,
    /// Bearer token for the admin listener; required when it is not on a loopback address
    #[arg(long, env = "GATEWAY_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) admin_token: Option<String>,
    /// Certificate chain for TLS, in PEM
    #[arg(long, env = "GATEWAY_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key for TLS, in PEM
    #[arg(long, env = "GATEWAY_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Seconds that requests in flight are given after SIGTERM [default: 30]
    #[arg(long, env = "GATEWAY_GRACE", value_name = "SECONDS")]
    pub(crate) grace: Option<String>,
    /// Threads that serve [default: one per core]
    #[arg(long, env = "GATEWAY_WORKERS", value_name = "COUNT")]
    pub(crate) workers: Option<String>,
    /// What the cache may keep in this process, in bytes; 0 with --redis asks Redis each time [default: 64 MiB]
    #[arg(long, env = "GATEWAY_CACHE_CAPACITY", value_name = "BYTES")]
    pub(crate) cache_capacity: Option<String>,
}

/// What else it can do than serve.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what would be said of each file of a build, and why; exits with 1 if something looks wrong
    Lint {
        /// The directory that is served
        dir: PathBuf,
    },
}

/// The command line as given; clap answers `--help` and `--version` itself.
pub(crate) fn parse() -> Result<Args, String> {
    Args::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => first_line(&error.render().to_string()),
    })
}

/// What clap says first is what is wrong; the rest is advice.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("the arguments make no sense");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
