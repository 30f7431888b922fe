//! `gateway`: a caching reverse proxy made of the buttress layers, and the proof that they compose.
//!
//! ```text
//! gateway                                                   a demo origin behind the cache, and curl lines to try
//! gateway --upstream http://127.0.0.1:9000                  a cache in front of a service
//! gateway --upstream … --redis redis://127.0.0.1:6379       … shared with other gateways
//! ```

mod args;
mod config;
mod stack;
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
mod tls;
mod admin;
mod demo;

use std::process::ExitCode;

use crate::config::{Config, Problem};

/// A configuration that cannot be used; also what clap exits with.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match args::parse().and_then(Config::resolve).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gateway: {problem}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn run(config: Config) -> Result<(), Problem> {
    runtime(config.workers)?.block_on(async {
        let metrics = admin::recorder(&config)?;
        let redis = stack::redis(&config)?;
        let stack = stack::build(&config, redis.clone())?;
        let doors = listen::Doors::open(&config).await?;
        doors.announce(&config);
        doors.serve(stack, metrics, redis, config.grace).await;
        Ok(())
    })
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
