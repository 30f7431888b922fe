//! One connection: its protocol told, its requests served, its end in order.

use std::pin::pin;
use std::time::Duration;

use http::Version;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::shutdown::Watcher;
use crate::stack::Connected;

/// What a client in HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More than this of fields is refused.
const MAX_FIELDS: u32 = 64 << 10;

/// How connections are served. Clones share the TLS configuration.
#[derive(Clone)]
pub(crate) struct Server {
    tls: Option<TlsAcceptor>,
    header_timeout: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// Something that goes wrong with one connection, and is of no use to anybody but for debugging.
type Error = Box<dyn std::error::Error + Send + Sync>;

// === impl Server ===

impl Server {
    /// `header_timeout`: a client that does not say which protocol it speaks, finish its half of a handshake, or send
    /// the head of its next request within this time is let go.
    pub(crate) fn new(tls: Option<TlsAcceptor>, header_timeout: Duration) -> Self {
        let mut http1 = http1::Builder::new();
        // Not `pipeline_flush`: a response that streams would wait for as long as the next request lies in the buffer.
        http1.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_header_size(MAX_FIELDS as usize);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(MAX_FIELDS)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        Self { tls, header_timeout, http1, http2 }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until the client leaves; or, once the word is said, until what it has asked is answered.
    pub(crate) async fn serve(self, stream: TcpStream, service: Connected, mut watcher: Watcher) -> Result<(), Error> {
        stream.set_nodelay(true)?;
        match self.tls.clone() {
            None => {
                let told = timeout(self.header_timeout, spoken(&stream));
                // Until something has been asked, there is nothing to finish.
                let version = tokio::select! { told = told => told??, () = watcher.asked() => return Ok(()) };
                self.talk(version, stream, service, watcher).await
            }
            Some(tls) => {
                let shaken = timeout(self.header_timeout, tls.accept(stream));
                let stream = tokio::select! { shaken = shaken => shaken??, () = watcher.asked() => return Ok(()) };
                let version = negotiated(&stream);
                self.talk(version, stream, service, watcher).await
            }
        }
    }

    async fn talk<Io>(self, version: Version, stream: Io, service: Connected, mut watcher: Watcher) -> Result<(), Error>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let mut connection = pin!(self.http2.serve_connection(io, service));
            tokio::select! {
                biased;
                ended = connection.as_mut() => return Ok(ended?),
                () = watcher.asked() => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        } else {
            let mut connection = pin!(self.http1.serve_connection(io, service).with_upgrades());
            tokio::select! {
                biased;
                ended = connection.as_mut() => return Ok(ended?),
                () = watcher.asked() => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        }
    }
}

fn negotiated(stream: &TlsStream<TcpStream>) -> Version {
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Version::HTTP_2,
        _ => Version::HTTP_11,
    }
}

/// Looks at what the client begins with and leaves it in the socket, so that hyper reads the socket itself.
async fn spoken(stream: &TcpStream) -> std::io::Result<Version> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        match told(&start[..seen]) {
            Some(version) => return Ok(version),
            // A part of the preface, and no way to be woken by the rest. Rare, and bounded by the caller.
            None => sleep(Duration::from_millis(2)).await,
        }
    }
}

/// The version that begins like this, once it is told. An end is for hyper to see.
fn told(start: &[u8]) -> Option<Version> {
    match start {
        [] => Some(Version::HTTP_11),
        start if start == PREFACE => Some(Version::HTTP_2),
        start if PREFACE.starts_with(start) => None,
        _ => Some(Version::HTTP_11),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_told_by_its_beginning() {
        for (start, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some(Version::HTTP_11)),
            (b"P", None),
            (b"PR", None),
            (b"PUT", Some(Version::HTTP_11)),
            (b"PROPFIND", Some(Version::HTTP_11)),
            (b"PRI * HTTP/2.0\r\n", None),
            (PREFACE, Some(Version::HTTP_2)),
            (b"", Some(Version::HTTP_11)),
        ] {
            assert_eq!(told(start), expected, "{:?}", String::from_utf8_lossy(start));
        }
    }
}
