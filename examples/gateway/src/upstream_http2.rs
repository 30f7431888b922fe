//! One connection in HTTP/2, made when it is needed and anew when it has gone.
//!
//! hyper-util's pool would keep one connection for each `:authority`, and the client chooses that; here it is a part of
//! the request alone.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tower_service::Service as _;
use tracing::debug;

use crate::failure::Failure;
use crate::upload::Upload;
use crate::upstream::Connector;

/// A dead connection is noticed by a ping of this pace, and given up after [`PONG`].
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);

/// The one connection. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Http2 {
    connector: Connector,
    address: Uri,
    connect_timeout: Duration,
    current: Arc<Mutex<Option<SendRequest<Upload>>>>,
}

// === impl Http2 ===

impl Http2 {
    pub(crate) fn new(connector: Connector, address: Uri, connect_timeout: Duration) -> Self {
        Self { connector, address, connect_timeout, current: Arc::default() }
    }

    /// Sends a request. One that the connection did not take, because it went away meanwhile, goes over a new one.
    pub(crate) async fn send(&self, request: Request<Upload>) -> Result<Response<Incoming>, Failure> {
        let mut connection = self.connection().await?;
        match connection.try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(mut refused) => match refused.take_message() {
                Some(request) => {
                    self.forget().await;
                    let mut connection = self.connection().await?;
                    connection.send_request(request).await.map_err(|error| Failure::of_asking(&error))
                }
                None => Err(Failure::of_asking(refused.error())),
            },
        }
    }

    /// Held while it connects, so that a crowd makes one connection.
    async fn connection(&self) -> Result<SendRequest<Upload>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connected = timeout(self.connect_timeout, self.connect()).await.map_err(|_| Failure::ConnectTimeout)??;
        *current = Some(connected.clone());
        Ok(connected)
    }

    async fn connect(&self) -> Result<SendRequest<Upload>, Failure> {
        let io = self.connector.clone().call(self.address.clone()).await.map_err(|error| failed(&*error))?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .handshake(io)
            .await
            .map_err(|error| Failure::of_asking(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "the connection to the upstream ended");
            }
        });
        Ok(sender)
    }

    async fn forget(&self) {
        *self.current.lock().await = None;
    }
}

fn failed(error: &(dyn Error + 'static)) -> Failure {
    let failure = Failure::of_connecting(error);
    debug!(cause = ?error, reason = failure.as_str(), "no connection to the upstream");
    failure
}
