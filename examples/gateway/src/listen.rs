//! The listeners, and how they close: no new connections, what is in flight is finished, then the end.

use std::net::SocketAddr;
use std::time::Duration;

use buttress::redis::Redis;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Admin};
use crate::config::{Config, Problem};
use crate::connection::Server;
use crate::demo;
use crate::forward::Hop;
use crate::shutdown::{Shutdown, Watcher};
use crate::stack::{Connected, Stack};
use crate::tls;

/// The open listeners.
pub(crate) struct Doors {
    main: TcpListener,
    server: Server,
    admin: Option<(TcpListener, Option<String>)>,
}

// === impl Doors ===

impl Doors {
    pub(crate) async fn open(config: &Config) -> Result<Self, Problem> {
        let tls = config.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
        let admin = match config.admin {
            Some(address) => Some((bind("--admin", address).await?, config.admin_token.clone())),
            None => None,
        };
        Ok(Self {
            main: bind("--listen", config.listen).await?,
            server: Server::new(tls, config.header_timeout),
            admin,
        })
    }

    /// Says on standard output where the doors are, and what to try.
    pub(crate) fn announce(&self, config: &Config) {
        let scheme = if self.server.is_tls() { "https" } else { "http" };
        let base = format!("{scheme}://{}", shown(&self.main));
        println!("listening on {base}");
        if let Some((admin, _)) = &self.admin {
            println!("admin on http://{}", shown(admin));
            println!("dashboard on http://{}/dashboard/", shown(admin));
        }
        if config.upstream.is_none() {
            println!("\nno --upstream given: a demo origin answers. Try\n");
            for (command, effect) in demo::curl_lines(&base) {
                println!("  # {effect}\n  {command}\n");
            }
        }
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is in flight within `grace`; a second signal ends it at once.
    pub(crate) async fn serve(
        self,
        stack: Stack,
        shutdown: Shutdown,
        metrics: Option<PrometheusHandle>,
        redis: Option<Redis>,
        grace: Duration,
    ) {
        let mut stop = Stop::listen();
        let admin = self.admin.map(|(listener, token)| {
            let admin = Admin::new(token, metrics, redis, stack.clone(), shutdown.clone());
            tokio::spawn(admin::serve(listener, admin))
        });
        loop {
            let accepted = tokio::select! {
                accepted = self.main.accept() => accepted,
                () = stop.wait() => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    let hop = Hop { client: from.ip(), tls: self.server.is_tls() };
                    let service = stack.for_connection(hop);
                    connection(stream, from, self.server.clone(), service, shutdown.watcher());
                }
                Err(error) => {
                    // Out of file descriptors, most likely: a loop without a pause would only burn the processor.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.main);
        tokio::select! {
            () = shutdown.finish() => {}
            () = tokio::time::sleep(grace) => tracing::warn!(?grace, "requests are still in flight"),
            () = stop.wait() => tracing::warn!("a second signal: not waiting any longer"),
        }
        stack.settled().await;
        if let Some(admin) = admin {
            admin.abort();
        }
    }
}

/// Serves one connection, in a task of its own.
fn connection(stream: TcpStream, from: SocketAddr, server: Server, service: Connected, watcher: Watcher) {
    tokio::spawn(async move {
        if let Err(error) = server.serve(stream, service, watcher).await {
            tracing::debug!(%from, error, "a connection ended badly");
        }
    });
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| Problem::new(flag, address, error))
}

fn shown(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// The signals that ask for the end.
struct Stop {
    term: Option<tokio::signal::unix::Signal>,
    int: Option<tokio::signal::unix::Signal>,
}

impl Stop {
    fn listen() -> Self {
        Self { term: signal(SignalKind::terminate()).ok(), int: signal(SignalKind::interrupt()).ok() }
    }

    async fn wait(&mut self) {
        async fn next(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = next(&mut self.term) => {}
            () = next(&mut self.int) => {}
        }
    }
}
