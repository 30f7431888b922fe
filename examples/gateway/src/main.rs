//! `gateway`: a caching reverse proxy made of the buttress layers, and the proof that they compose.
//!
//! ```text
//! gateway                                                   a demo origin behind the cache, and curl lines to try
//! gateway --upstream http://127.0.0.1:9000                  a cache in front of a service
//! gateway --upstream … --redis redis://127.0.0.1:6379       … shared with other gateways
//! gateway lint dist                                         what would be said of the files of a build, and why
//! ```

mod args;
mod config;
mod stack;
mod assets;
mod jwt;
mod session;
mod events;
mod origin;

mod forward;
mod target;
mod whence;
mod proxy;
mod upload;
mod upstream;
mod upstream_http2;
mod failure;
mod upgrade;

mod listen;
mod connection;
mod shutdown;
mod access;
mod tls;
mod admin;
mod orders;
mod purge;
mod revoke;
mod logins;
mod explain;
mod demo;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use crate::args::Command;
use crate::config::{Config, Problem};
use crate::shutdown::Shutdown;

/// A configuration that cannot be used; also what clap exits with.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = args::parse().and_then(|mut args| {
        let command = args.command.take();
        let config = Config::resolve(args);
        let done = config.and_then(|config| match command {
            Some(Command::Lint { dir }) => lint(config, &dir),
            None => run(config).map(|()| ExitCode::SUCCESS),
        });
        done.map_err(|problem| problem.to_string())
    });
    match done {
        Ok(code) => code,
        Err(message) => {
            eprintln!("gateway: {message}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn run(config: Config) -> Result<(), Problem> {
    runtime(config.workers)?.block_on(async {
        let redis = stack::redis(&config)?;
        let counting = events::Counting::of(&config, redis.as_ref())?;
        let metrics = events::recorder(&config, counting.as_ref())?; // before anything is counted by its macros
        let shutdown = Shutdown::new();
        let stack = stack::build(&config, redis.clone(), counting, &shutdown)?;
        if let Some(assets) = stack.assets() {
            assets.reload_on_hangup();
        }
        if let Some(guard) = stack.guard() {
            guard.reload_on_hangup();
        }
        let doors = listen::Doors::open(&config).await?;
        doors.announce(&config);
        doors.serve(stack, shutdown, metrics, redis, config.grace).await;
        Ok(())
    })
}

/// Prints the verdicts; what looks wrong makes it fail, so that a script can ask.
fn lint(config: Config, dir: &Path) -> Result<ExitCode, Problem> {
    let lint = assets::lint(config.assets, dir)?;
    println!("{lint}");
    Ok(if lint.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runtime(workers: Option<usize>) -> Result<tokio::runtime::Runtime, Problem> {
    let mut builder = match workers {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().map_err(|error| Problem::new("--workers", workers.unwrap_or(0), error))
}
