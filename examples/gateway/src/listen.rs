//! The listeners, and how they close: no new connections, what is in flight is finished, then the end.

use std::net::SocketAddr;
use std::time::Duration;

use buttress::redis::Redis;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::admin::{self, Admin};
use crate::config::{Config, Problem};
use crate::demo;
use crate::forward::Hop;
use crate::stack::Stack;
use crate::tls;

/// A client that does not send its request line and fields, or its half of a handshake, within this time is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The open listeners.
pub(crate) struct Doors {
    main: TcpListener,
    tls: Option<TlsAcceptor>,
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
        Ok(Self { main: bind("--listen", config.listen).await?, tls, admin })
    }

    /// Says on standard output where the doors are, and what to try.
    pub(crate) fn announce(&self, config: &Config) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", shown(&self.main));
        println!("listening on {base}");
        if let Some((admin, _)) = &self.admin {
            println!("admin on http://{}", shown(admin));
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
        metrics: Option<PrometheusHandle>,
        redis: Option<Redis>,
        grace: Duration,
    ) {
        let server = server();
        let graceful = GracefulShutdown::new();
        let mut stop = Stop::listen();
        let admin =
            self.admin.map(|(listener, token)| tokio::spawn(admin::serve(listener, Admin::new(token, metrics, redis))));
        loop {
            let accepted = tokio::select! {
                accepted = self.main.accept() => accepted,
                () = stop.wait() => break,
            };
            match accepted {
                Ok((stream, client)) => {
                    let hop = Hop { client: client.ip(), tls: self.tls.is_some() };
                    connection(stream, self.tls.clone(), &server, stack.clone(), hop, &graceful);
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
            () = graceful.shutdown() => {}
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
fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    server: &auto::Builder<TokioExecutor>,
    stack: Stack,
    hop: Hop,
    graceful: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection that is gone already");
    }
    let (server, watcher) = (server.clone(), graceful.watcher());
    tokio::spawn(async move {
        match tls {
            None => talk(stream, server, stack, hop, watcher).await,
            Some(tls) => match tokio::time::timeout(HEADER_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => talk(stream, server, stack, hop, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    });
}

async fn talk<Io>(
    stream: Io,
    server: auto::Builder<TokioExecutor>,
    stack: Stack,
    hop: Hop,
    watcher: hyper_util::server::graceful::Watcher,
) where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), stack.for_connection(hop));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// HTTP/1.1 and HTTP/2, told apart by their first bytes.
fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Not `pipeline_flush`: hyper would then close a connection whose peer has sent more than it may without flushing
    // the response that it has made.
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(256).max_header_list_size(64 << 10);
    server
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
