//! One connection, from its opening to its end.
//!
//! Each connection is a client of its own, which is thrown away when the connection ends: it has no way to reconnect, so
//! it can neither send a command twice nor carry a wrong count or a full queue into the next connection. Opening the next one
//! is the supervisor's work.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind as FredKind},
    interfaces::{ClientLike as _, TrackingInterface as _},
    types::{
        ConnectHandle, Key, Value,
        client::Invalidation,
        config::{Config, ConnectionConfig, Options, PerformanceConfig, Server, ServerConfig, TcpConfig},
    },
};
use tokio::{
    sync::{Notify, broadcast},
    time::{Instant, timeout},
};

use crate::{
    Error, ErrorKind, Rejection,
    command::{Command, Reply},
    gate::{Gate, Limits},
    proof::Nonce,
    sentinels::{self, Votes},
};

/// What is needed to open a connection.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    /// For the socket, and again for each step of the greeting.
    pub(crate) connect_deadline: Duration,
    pub(crate) limits: Limits,
    pub(crate) name: String,
    /// What the sentinels say, if there are any.
    pub(crate) votes: Option<Votes>,
}

/// An open connection (in a cluster: one to each node).
#[derive(Debug)]
pub(crate) struct Line {
    client: Client,
    gate: Arc<Gate>,
    condemned: Notify,
}

/// What drives a connection. Dropped, it ends the connection at once and closes its sockets.
#[derive(Debug)]
pub(crate) struct Driver(ConnectHandle);

/// A reply to come. Boxed, because the client's futures nest deeply: their types and their size would go into every caller's own.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>>;

/// Steps that an opening may take, each of them bounded by the connection deadline: nodes to try, greeting, topology.
const OPENING_STEPS: u32 = 8;
/// Events kept for a slow reader of the invalidation feed; one that lags further is told to forget everything.
const EVENTS: usize = 8192;

// === impl Plan ===

impl Plan {
    /// The same plan, to be tried with these nodes of a cluster too: those that the URL names may be the ones that fail.
    pub(crate) fn knowing(&self, nodes: Vec<Option<Server>>) -> Self {
        let mut plan = self.clone();
        if let ServerConfig::Clustered { hosts, .. } = &mut plan.config.server {
            let learned: Vec<_> = nodes.into_iter().flatten().filter(|node| !hosts.contains(node)).collect();
            hosts.extend(learned);
        }
        plan
    }

    fn connection(&self) -> ConnectionConfig {
        ConnectionConfig {
            connection_timeout: self.connect_deadline,
            internal_command_timeout: self.connect_deadline,
            max_command_attempts: 1,
            // Following a redirection is where this client mixes up replies; see `Link::ask` for what is done instead.
            max_redirections: 0,
            // Its own limit never lets go once reached; `Gate` is ours.
            max_command_buffer_len: 0,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the configuration: it holds the password.
        f.debug_struct("Plan").field("name", &self.name).field("limits", &self.limits).finish_non_exhaustive()
    }
}

// === impl Line ===

impl Line {
    /// Opens a connection and proves that it answers. Ends by itself, in a bounded time.
    pub(crate) async fn open(plan: &Plan) -> Result<(Arc<Self>, Driver), Error> {
        let performance = PerformanceConfig { broadcast_channel_capacity: EVENTS, ..PerformanceConfig::default() };
        let client = Client::new(plan.config.clone(), Some(performance), Some(plan.connection()), None);
        let mut driver = Driver(client.connect());
        let line = Arc::new(Self { client, gate: Gate::new(plan.limits), condemned: Notify::new() });
        tokio::select! {
            error = driver.ended() => return Err(error),
            answered = line.probe(plan.connect_deadline * OPENING_STEPS) => answered?,
        }
        line.introduce(&plan.name, plan.connect_deadline).await;
        Ok((line, driver))
    }

    /// Sends one command and waits for the next reply in order. Nothing proves yet that it is the reply to this command.
    pub(crate) async fn ask(&self, command: Command, deadline: Instant) -> Result<Reply, Error> {
        let bytes = command.bytes();
        self.admitted(bytes, self.exchange(command, None, deadline.saturating_duration_since(Instant::now()))).await
    }

    /// Sends one command with a nonce behind it. The reply is believed if the nonce comes back in the next place.
    pub(crate) async fn ask_proven(&self, command: Command, deadline: Instant) -> Result<Reply, Error> {
        let bytes = command.bytes();
        self.admitted(bytes, self.exchange_proven(command, None, deadline.saturating_duration_since(Instant::now())))
            .await
    }

    /// Whether every node answers within `limit`, and with the answer to this question. What was left behind before is gone by then.
    pub(crate) async fn probe(&self, limit: Duration) -> Result<(), Error> {
        let sweep = self.gate.sweep();
        let probed = self.probe_nodes(limit).await;
        match probed {
            Ok(()) => self.gate.swept(sweep),
            Err(_) => self.gate.unsweep(sweep),
        }
        probed
    }

    /// Asks the supervisor to give this connection up.
    pub(crate) fn condemn(&self) {
        self.condemned.notify_one();
    }

    /// Ready once the connection is to be given up.
    pub(crate) async fn condemned(&self) -> Error {
        self.condemned.notified().await;
        Error::new(ErrorKind::Disconnected, "given up after what it answered")
    }

    /// Ready once the sentinels name another master than the one that this is connected to.
    pub(crate) async fn replaced(&self, votes: Option<Votes>) -> Error {
        if let Some(mut votes) = votes {
            loop {
                let masters = votes.borrow_and_update().clone();
                if self.client.active_connections().iter().any(|ours| sentinels::is_replaced(&masters, ours)) {
                    return Error::new(ErrorKind::Disconnected, "the sentinels name another master");
                }
                if votes.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending().await
    }

    /// Whether commands go to the nodes of a cluster.
    pub(crate) fn is_clustered(&self) -> bool {
        self.client.is_clustered()
    }

    /// Announcements of changed keys from now on. They come once `CLIENT TRACKING` is on.
    pub(crate) fn invalidations(&self) -> broadcast::Receiver<Invalidation> {
        self.client.invalidation_rx()
    }

    /// Whether `key` is kept by `node`.
    pub(crate) fn is_kept_by(&self, key: &Bytes, node: Option<&Server>) -> bool {
        node.is_none() || Key::from(key.clone()).cluster_owner(&self.client).as_ref() == node
    }

    /// The node of a cluster that `key` is sent to now; `None` without a cluster.
    pub(crate) fn owner(&self, key: &[u8]) -> Option<Server> {
        self.is_clustered().then(|| Key::from(key).cluster_owner(&self.client)).flatten()
    }

    /// The nodes to talk to one by one; a single connection is `None`.
    pub(crate) fn nodes(&self) -> Vec<Option<Server>> {
        if self.is_clustered() { self.client.active_connections().into_iter().map(Some).collect() } else { vec![None] }
    }

    /// Sends one command to `node`, outside the gate.
    pub(crate) fn exchange(&self, command: Command, node: Option<Server>, limit: Duration) -> Answer<'_> {
        Box::pin(async move {
            let options = options(node, limit)?;
            let reply = command.send(&self.client.with_options(&options)).await;
            reply.map(Reply::from_value).map_err(|error| classify(&error))
        })
    }

    /// The same with a nonce behind it: the reply is believed if the nonce comes back in the next place.
    ///
    /// The two are written one right behind the other before anything is read. Sent apart they would prove nothing: the client
    /// drops a reply that nobody waits for, so the true reply to the first, coming behind a false one, could be gone before
    /// the nonce is sent.
    pub(crate) fn exchange_proven(&self, command: Command, node: Option<Server>, limit: Duration) -> Answer<'_> {
        Box::pin(async move {
            let nonce = Nonce::next().to_bytes();
            let echo = Command::new("PING").beside(&command).arg(nonce.clone());
            let options = options(node, limit)?;
            let pair = self.client.pipeline().with_options(&options);
            for command in [command, echo] {
                command.send(&pair).await.map_err(|error| classify(&error))?;
            }
            prove(pair.try_all().await, nonce)
        })
    }

    async fn admitted(&self, bytes: usize, exchange: Answer<'_>) -> Result<Reply, Error> {
        let permit = self.gate.enter(bytes).map_err(|full| Error::new(ErrorKind::Overloaded, full.as_str()))?;
        let reply = exchange.await;
        if !matches!(&reply, Err(error) if error.kind().may_have_happened()) {
            permit.answered();
        }
        reply
    }

    async fn probe_nodes(&self, limit: Duration) -> Result<(), Error> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            // A cluster before its topology is known: the first reply comes from whichever node is found first.
            return self.probe_node(None, limit).await;
        }
        for node in nodes {
            self.probe_node(node, limit).await?;
        }
        Ok(())
    }

    async fn probe_node(&self, node: Option<Server>, limit: Duration) -> Result<(), Error> {
        let nonce = Nonce::next().to_bytes();
        // A refusal has to be proven as well: it becomes what everybody is told.
        match self.exchange_proven(Command::new("PING").arg(nonce.clone()), node, limit).await? {
            Reply::Bytes(word) if word == nonce => Ok(()),
            _ => Err(Error::new(ErrorKind::Unproven, "a probe came back with another word")),
        }
    }

    /// Tells the server who is connected, for `CLIENT LIST`. A user who may not is served all the same.
    async fn introduce(&self, name: &str, limit: Duration) {
        let naming = async {
            for node in self.nodes() {
                let command = Command::new("CLIENT").arg("SETNAME").arg(name.to_owned());
                if let Err(error) = self.exchange(command, node, limit).await {
                    tracing::debug!(%error, "connection stays without a name");
                }
            }
        };
        if timeout(limit, naming).await.is_err() {
            tracing::debug!("connection stays without a name: no answer");
        }
    }
}

// === impl Driver ===

impl Driver {
    /// Ready once the connection has ended, with the reason.
    pub(crate) async fn ended(&mut self) -> Error {
        match (&mut self.0).await {
            Ok(Ok(())) => Error::new(ErrorKind::Disconnected, "connection closed"),
            Ok(Err(error)) => classify(&error),
            Err(panic) => Error::new(ErrorKind::Disconnected, format!("connection driver failed: {panic}")),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn options(node: Option<Server>, limit: Duration) -> Result<Options, Error> {
    if limit.is_zero() {
        // To the client it would mean no limit.
        return Err(Error::new(ErrorKind::Unavailable, "the deadline passed before the command was sent"));
    }
    Ok(Options { timeout: Some(limit), max_attempts: Some(1), cluster_node: node, ..Options::default() })
}

/// The first of two replies, if the second is the nonce.
fn prove(replies: Vec<Result<Value, FredError>>, nonce: Bytes) -> Result<Reply, Error> {
    let mut replies = replies.into_iter();
    match (replies.next(), replies.next()) {
        (Some(reply), Some(Ok(echo))) if Reply::from_value(echo.clone()) == Reply::Bytes(nonce) => {
            reply.map(Reply::from_value).map_err(|error| classify(&error))
        }
        // One error for both: they were not sent, or not answered.
        (Some(Err(error)), None) => Err(classify(&error)),
        (Some(Err(error)), Some(Err(other))) => prove_refusal(classify(&error), classify(&other)),
        _ => Err(Error::new(ErrorKind::Unproven, "the nonce did not come back behind the reply")),
    }
}

/// Two refusals prove each other where the server refuses even a `PING`, and for the same reason. Of any other reason the
/// second may be the true reply to the command, and the first a stray.
fn prove_refusal(error: Error, echo: Error) -> Result<Reply, Error> {
    let is_for_everyone = match error.kind() {
        ErrorKind::Rejected(why) => why.refuses_everyone(),
        _ => true,
    };
    if is_for_everyone && error.kind() == echo.kind() {
        return Err(error);
    }
    Err(Error::new(ErrorKind::Unproven, "a refusal came where the nonce should be"))
}

/// What an error of the client means for the command.
fn classify(error: &FredError) -> Error {
    let text = error.details();
    let kind = match error.kind() {
        FredKind::Timeout => ErrorKind::TimedOut,
        FredKind::IO | FredKind::Canceled | FredKind::Protocol | FredKind::Tls => ErrorKind::Disconnected,
        // The command was redirected (and thus not executed) and the redirection was not followed.
        FredKind::Routing => ErrorKind::Rejected(Rejection::Moving),
        _ => match text {
            "Client is not initialized." | "Failed to send command to router." | "Failed to route command." => {
                ErrorKind::Unavailable
            }
            "channel closed" | "Missing response." | "Missing expected connection." => ErrorKind::Disconnected,
            server => return Error::from_reply(server),
        },
    };
    Error::new(kind, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: FredKind, text: &'static str, expected: ErrorKind) {
        assert_eq!(classify(&FredError::new(kind, text)).kind(), expected, "{text}");
    }

    fn refused(text: &'static str) -> Result<Value, FredError> {
        Err(FredError::new(FredKind::Unknown, text))
    }

    fn said(text: &'static str) -> Result<Value, FredError> {
        Ok(Value::String(text.into()))
    }

    #[track_caller]
    fn check_proof(replies: Vec<Result<Value, FredError>>, expected: Result<&'static str, ErrorKind>) {
        let proven = prove(replies, Bytes::from_static(b"bt-1"));
        assert_eq!(proven.map_err(|error| error.kind()), expected.map(|text| Reply::Bytes(text.into())));
    }

    #[test]
    fn a_reply_is_believed_before_its_nonce_only() {
        let denied = Err(ErrorKind::Rejected(Rejection::Denied));
        check_proof(vec![said("OK"), said("bt-1")], Ok("OK"));
        check_proof(vec![refused("NOPERM"), said("bt-1")], denied);
        check_proof(vec![said("OK"), said("bt-2")], Err(ErrorKind::Unproven));
        check_proof(vec![said("bt-1"), said("OK")], Err(ErrorKind::Unproven));
        check_proof(vec![said("OK"), Ok(Value::Null)], Err(ErrorKind::Unproven));
        check_proof(vec![said("bt-1")], Err(ErrorKind::Unproven));
        check_proof(vec![], Err(ErrorKind::Unproven));
        check_proof(vec![said("OK"), refused("OOM")], Err(ErrorKind::Unproven));
        check_proof(vec![refused("OOM"), refused("NOPERM")], Err(ErrorKind::Unproven));
        check_proof(vec![refused("ERR DISCARD without MULTI"), refused("EXECABORT")], Err(ErrorKind::Unproven));
        check_proof(vec![refused("OOM"), refused("OOM")], Err(ErrorKind::Unproven));
        check_proof(vec![refused("NOAUTH"), refused("NOAUTH")], denied);
        check_proof(vec![refused("MISCONF"), refused("MISCONF")], Err(ErrorKind::Rejected(Rejection::ReadOnly)));
        check_proof(vec![Err(FredError::new(FredKind::Timeout, ""))], Err(ErrorKind::TimedOut));
    }

    #[test]
    fn the_client_s_errors_are_classified_by_what_happened_to_the_command() {
        check(FredKind::Timeout, "Request timed out.", ErrorKind::TimedOut);
        check(FredKind::IO, "Connection closed.", ErrorKind::Disconnected);
        check(FredKind::Canceled, "Connection closed unexpectedly.", ErrorKind::Disconnected);
        check(FredKind::Unknown, "channel closed", ErrorKind::Disconnected);
        check(FredKind::Unknown, "Failed to route command.", ErrorKind::Unavailable);
        check(FredKind::Routing, "Too many redirections.", ErrorKind::Rejected(Rejection::Moving));
        check(FredKind::Auth, "NOAUTH HELLO must be called", ErrorKind::Rejected(Rejection::Denied));
        check(FredKind::Unknown, "LOADING Redis is loading", ErrorKind::Rejected(Rejection::Loading));
        check(FredKind::Cluster, "CLUSTERDOWN Hash slot not served", ErrorKind::Rejected(Rejection::Moving));
    }
}
