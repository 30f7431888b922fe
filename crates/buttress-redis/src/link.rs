//! A supervised sequence of connections for one role, and the way a command takes through it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    Error, ErrorKind, Rejection,
    command::{Command, Reply},
    line::{Line, Plan},
    names, supervisor,
};

/// What a connection is for. Each role has connections of its own, so that none has to wait behind another's traffic.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Role {
    /// Large values.
    Bodies,
    /// Small values and scripts.
    Data,
    /// One consumer that blocks.
    Consumer,
    /// Invalidations.
    Push,
    /// What a sentinel says.
    Sentinel,
}

/// The way to Redis for one role. Dropped, it ends its supervisor and its connection.
#[derive(Debug)]
pub(crate) struct Link {
    post: Arc<Post>,
    supervisor: JoinHandle<()>,
}

/// What callers and the supervisor share.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) role: Role,
    pub(crate) plan: Plan,
    pub(crate) pace: Pace,
    state: watch::Sender<State>,
    /// A command timed out: probe now.
    pub(crate) suspicion: Notify,
    timeouts_in_a_row: AtomicU32,
}

/// How long a command may take, and how closely a connection is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// For one command, everything included.
    pub(crate) deadline: Duration,
    /// Between two probes.
    pub(crate) watch: Duration,
    /// For the answer to a probe.
    pub(crate) probe: Duration,
}

/// Whether a command can be sent, and if not, why.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// The first connection is being opened; a command waits for it within its deadline.
    Opening,
    Up(Arc<Line>),
    Down(Error, Instant),
}

/// What stands for the proof of a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    /// A nonce sent behind the command.
    Nonce,
    /// The value itself, to be opened by the caller.
    Value,
}

/// A command that blocks its connection. Dropped before it is [over](Wait::over), it takes the connection along: what is sent
/// next would stand behind a wait that nobody needs, and what ends the wait would be lost.
struct Wait<'a> {
    post: &'a Post,
    line: &'a Arc<Line>,
    over: bool,
}

/// So many commands in a row without an answer are evidence enough: nobody else shall wait for a probe to tell.
const TIMEOUTS_UNTIL_DOWN: u32 = 32;

// === impl Role ===

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Consumer => "consumer",
            Self::Data => "data",
            Self::Push => "push",
            Self::Sentinel => "sentinel",
        }
    }
}

// === impl Link ===

impl Link {
    /// Starts to connect in the background. Must be called within a tokio runtime.
    pub(crate) fn start(role: Role, plan: Plan, pace: Pace) -> Self {
        let post = Arc::new(Post {
            role,
            plan,
            pace,
            state: watch::Sender::new(State::Opening),
            suspicion: Notify::new(),
            timeouts_in_a_row: AtomicU32::new(0),
        });
        let supervisor = tokio::spawn(supervisor::supervise(post.clone()));
        Self { post, supervisor }
    }

    pub(crate) fn post(&self) -> &Arc<Post> {
        &self.post
    }

    /// Sends a command, waits for its reply for at most the role's deadline.
    pub(crate) async fn ask(&self, command: Command, proof: Proof) -> Result<Reply, Error> {
        self.ask_until(command, proof, Instant::now() + self.post.pace.deadline).await
    }

    pub(crate) async fn ask_until(&self, command: Command, proof: Proof, deadline: Instant) -> Result<Reply, Error> {
        if !self.post.plan.config.server.is_clustered() {
            return self.post.send(command, proof, deadline).await;
        }
        // A redirection is not followed (that is where replies are mixed up). The command was not executed and the new
        // topology has been read by now, so it is asked once more; while a slot moves between nodes this ends in a refusal.
        match self.post.send(command.clone(), proof, deadline).await {
            Err(error) if error.kind() == ErrorKind::Rejected(Rejection::Moving) => {
                self.post.send(command, proof, deadline).await
            }
            answer => answer,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

// === impl Post ===

impl Post {
    /// Whether commands are sent at the moment.
    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// The state now, and a way to wait for the next.
    pub(crate) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The connection as it stands: for the supervisor and those who act on one connection.
    pub(crate) fn up(&self, line: &Arc<Line>) {
        self.timeouts_in_a_row.store(0, Ordering::Relaxed);
        let changed = self.state.send_if_modified(|state| {
            let changed = !matches!(state, State::Up(current) if Arc::ptr_eq(current, line));
            if changed {
                *state = State::Up(line.clone());
            }
            changed
        });
        if changed {
            names::up(self.role, true);
            tracing::info!(role = self.role.as_str(), "redis is up");
        }
    }

    /// No command is sent from now on. `because` is what callers are told.
    pub(crate) fn down(&self, because: &Error) {
        let told = refusal(because);
        let was_up = !matches!(self.state.send_replace(State::Down(told, Instant::now())), State::Down(..));
        if was_up {
            names::up(self.role, false);
            tracing::warn!(role = self.role.as_str(), error = %because, "redis is down");
        }
    }

    /// A reply was not the one it should be: it is counted, and the connection given up.
    pub(crate) fn unproven(&self) {
        names::unproven(self.role);
        if let State::Up(line) = &*self.state.borrow() {
            line.condemn();
        }
    }

    /// Whether commands are sent over this very connection at the moment.
    pub(crate) fn is_up_with(&self, line: &Arc<Line>) -> bool {
        matches!(&*self.state.borrow(), State::Up(current) if Arc::ptr_eq(current, line))
    }

    async fn send(&self, command: Command, proof: Proof, deadline: Instant) -> Result<Reply, Error> {
        let line = self.line(deadline).await?;
        self.send_over(&line, command, proof, deadline).await
    }

    /// Sends a command over this connection, whether or not there is a newer one.
    pub(crate) async fn send_over(
        &self,
        line: &Arc<Line>,
        command: Command,
        proof: Proof,
        deadline: Instant,
    ) -> Result<Reply, Error> {
        let wait = command.is_blocking().then(|| Wait { post: self, line, over: false });
        let answer = match proof {
            Proof::Nonce => line.ask_proven(command, deadline).await,
            Proof::Value => line.ask(command, deadline).await,
        };
        if let Some(wait) = wait {
            wait.over();
        }
        self.take_note(line, answer.as_ref().err());
        answer
    }

    /// The open connection; waited for only while the very first one is being opened.
    pub(crate) async fn line(&self, deadline: Instant) -> Result<Arc<Line>, Error> {
        match &*self.state.borrow() {
            State::Up(line) => return Ok(line.clone()),
            State::Down(error, _) => return Err(error.clone()),
            State::Opening => {}
        }
        let mut states = self.state.subscribe();
        let settled = timeout_at(deadline, states.wait_for(|state| !matches!(state, State::Opening))).await;
        match settled.as_ref().map(|state| state.as_deref()) {
            Ok(Ok(State::Up(line))) => Ok(line.clone()),
            Ok(Ok(State::Down(error, _))) => Err(error.clone()),
            _ => Err(Error::new(ErrorKind::Unavailable, "not connected yet")),
        }
    }

    /// Learns from how a command ended.
    fn take_note(&self, line: &Arc<Line>, error: Option<&Error>) {
        let Some(error) = error else {
            self.timeouts_in_a_row.store(0, Ordering::Relaxed);
            return;
        };
        names::error(self.role, error);
        match error.kind() {
            // Nobody else asks here, and a probe would only stand behind the next wait: the answer that is missing is evidence enough.
            ErrorKind::TimedOut | ErrorKind::Disconnected if self.role == Role::Consumer => self.leave(line, error),
            ErrorKind::TimedOut => self.note_timeout(error),
            ErrorKind::Disconnected => self.suspicion.notify_one(),
            // Perhaps by commands that were given up on: a probe tells which of them are gone.
            ErrorKind::Overloaded => self.suspicion.notify_one(),
            ErrorKind::Unproven => {
                names::unproven(self.role);
                line.condemn();
            }
            // A master that became a replica, or forgot us: the way to the right one is a new connection.
            ErrorKind::Rejected(Rejection::ReadOnly | Rejection::Denied) if error.ends_the_connection() => {
                line.condemn()
            }
            _ => {}
        }
    }

    /// Gives a connection up; nothing more is sent over it from this moment on.
    fn leave(&self, line: &Arc<Line>, because: &Error) {
        if self.is_up_with(line) {
            self.down(because);
        }
        line.condemn();
    }

    fn note_timeout(&self, error: &Error) {
        self.suspicion.notify_one();
        if self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS_UNTIL_DOWN && self.is_up() {
            self.down(error);
        }
    }
}

// === impl Wait ===

impl Wait<'_> {
    fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.post.leave(self.line, &Error::new(ErrorKind::Disconnected, "given up together with a wait"));
        }
    }
}

/// What callers are told while the connection is down for this reason: nothing was sent, whatever happened to an earlier command.
fn refusal(because: &Error) -> Error {
    match because.kind() {
        ErrorKind::Rejected(why) if why.refuses_everyone() => because.clone(),
        _ => Error::new(ErrorKind::Unavailable, because.to_string()),
    }
}
