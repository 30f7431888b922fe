//! [`CuttingProxy`]: a loopback TCP proxy that does to a line what networks do.
//!
//! ```no_run
//! # async fn doc() {
//! use buttress_tests::{CuttingProxy, RedisServer};
//! let redis = RedisServer::start();
//! let proxy = CuttingProxy::start(redis.addr()).await;
//! proxy.cut_after("INCR"); // the next INCR reaches the server and is executed; its reply is lost with the line
//! # }
//! ```

use std::borrow::Cow;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::port;

/// A proxy in front of one server. Needs a tokio runtime; dropping it closes every line.
#[derive(Debug)]
pub struct CuttingProxy {
    addr: SocketAddr,
    upstream: SocketAddr,
    faults: Arc<Faults>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// What goes wrong, read by the lines at each chunk.
#[derive(Debug, Default)]
struct Faults {
    next_line: AtomicU64,
    /// Lines with a lower number are black holes that go on reading.
    swallowed_below: AtomicU64,
    /// Lines with a lower number are black holes that read nothing, so that the sender's buffers fill up.
    frozen_below: AtomicU64,
    needle: Mutex<Option<Vec<u8>>>,
    cuts: AtomicU64,
    delay_ms: AtomicU64,
    stray: Mutex<Option<Vec<u8>>>,
    loses_next: AtomicBool,
    disturbed: AtomicU64,
}

enum Fate {
    Pass,
    Swallow,
    Freeze,
}

struct Line {
    number: u64,
    /// The command to cut after has passed: whatever the server says next is lost.
    is_doomed: AtomicBool,
    faults: Arc<Faults>,
}

// === impl CuttingProxy ===

impl CuttingProxy {
    /// Listens on a free port and passes everything on to `upstream`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(upstream: SocketAddr) -> Self {
        let mut tries = 0..5;
        let (addr, listener) = loop {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
            match TcpListener::bind(addr).await {
                Ok(listener) => break (addr, listener),
                Err(error) => assert!(tries.next().is_some(), "no port for the proxy: {error}"),
            }
        };
        let proxy = Self { addr, upstream, faults: Arc::default(), listening: Mutex::default() };
        proxy.listen(listener);
        proxy
    }

    /// Where to connect instead of the server.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// Once: when a command whose bytes contain `needle` comes by, forwards it, waits for the reply and closes the
    /// line instead of passing the reply on. The needle must lie within one read, as a short command's name does.
    pub fn cut_after(&self, needle: &str) {
        *self.faults.needle() = Some(needle.as_bytes().to_vec());
    }

    /// How many lines [`cut_after`](Self::cut_after) has cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.faults.cuts.load(Ordering::SeqCst)
    }

    /// Once: puts `frame` into the next replies that come by, behind a whole one, as a server does that answers a
    /// command nobody counted. From then on every reply on that line stands one place too late.
    pub fn add_reply(&self, frame: &[u8]) {
        *self.faults.stray() = Some(frame.to_vec());
    }

    /// Once: loses the next replies that come by. From then on every reply on that line stands too early.
    pub fn lose_replies(&self) {
        self.faults.loses_next.store(true, Ordering::SeqCst);
    }

    /// How often [`add_reply`](Self::add_reply) and [`lose_replies`](Self::lose_replies) have taken place.
    #[must_use]
    pub fn disturbed(&self) -> u64 {
        self.faults.disturbed.load(Ordering::SeqCst)
    }

    /// How many lines were accepted so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.faults.next_line.load(Ordering::SeqCst)
    }

    /// Turns the lines that exist into black holes: bytes are read and lost, nothing is answered. New lines work.
    pub fn swallow_existing(&self) {
        self.faults.swallowed_below.store(self.lines(), Ordering::SeqCst);
    }

    /// Turns the lines that exist into black holes that do not even read, so that the sender's buffers fill up.
    pub fn freeze_existing(&self) {
        self.faults.frozen_below.store(self.lines(), Ordering::SeqCst);
    }

    /// Holds every chunk that the server sends back for this long.
    pub fn delay(&self, by: Duration) {
        self.faults.delay_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Closes all lines and refuses new ones, until [`accept`](Self::accept).
    pub async fn refuse(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = listening {
            task.abort();
            // An aborted task has dropped its listener when it is joined; that it was cancelled is no news.
            drop(task.await);
        }
    }

    /// Listens again after [`refuse`](Self::refuse).
    ///
    /// # Panics
    /// When the port is taken meanwhile.
    pub async fn accept(&self) {
        self.refuse().await;
        self.listen(TcpListener::bind(self.addr).await.expect("the proxy's own port is free"));
    }

    fn listen(&self, listener: TcpListener) {
        let task = tokio::spawn(serve(listener, self.upstream, Arc::clone(&self.faults)));
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, faults: Arc<Faults>) {
    // Dropped with this task, and every line with it.
    let mut lines = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let number = faults.next_line.fetch_add(1, Ordering::SeqCst);
        let line = Line { number, is_doomed: AtomicBool::new(false), faults: Arc::clone(&faults) };
        lines.spawn(async move { line.run(near, upstream).await });
        while lines.try_join_next().is_some() {}
    }
}

// === impl Faults ===

impl Faults {
    fn needle(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.needle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stray(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.stray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Line ===

impl Line {
    async fn run(&self, mut near: TcpStream, upstream: SocketAddr) -> io::Result<()> {
        let mut far = TcpStream::connect(upstream).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        // Whichever side ends first ends both.
        tokio::select! {
            ended = self.carry_commands(near_read, far_write) => ended,
            ended = self.carry_replies(far_read, near_write) => ended,
        }
    }

    async fn carry_commands(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let len = from.read(&mut chunk).await?;
            if len == 0 {
                return Ok(());
            }
            match self.fate() {
                Fate::Freeze => std::future::pending().await,
                Fate::Swallow => {}
                Fate::Pass => {
                    self.look_for_needle(&chunk[..len]);
                    to.write_all(&chunk[..len]).await?;
                }
            }
        }
    }

    async fn carry_replies(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let len = from.read(&mut chunk).await?;
            if len == 0 {
                return Ok(());
            }
            let delay = self.faults.delay_ms.load(Ordering::SeqCst);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            if self.is_doomed.load(Ordering::SeqCst) {
                self.faults.cuts.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            match self.fate() {
                Fate::Freeze => std::future::pending().await,
                Fate::Swallow => {}
                Fate::Pass => to.write_all(&self.disturb(&chunk[..len])).await?,
            }
        }
    }

    fn fate(&self) -> Fate {
        if self.number < self.faults.frozen_below.load(Ordering::SeqCst) {
            Fate::Freeze
        } else if self.number < self.faults.swallowed_below.load(Ordering::SeqCst) {
            Fate::Swallow
        } else {
            Fate::Pass
        }
    }

    /// The replies with one added or without any, when that was asked for.
    fn disturb<'a>(&self, replies: &'a [u8]) -> Cow<'a, [u8]> {
        // Within a reply a stray frame would only break the protocol.
        if !replies.ends_with(b"\r\n") {
            return replies.into();
        }
        if self.faults.loses_next.swap(false, Ordering::SeqCst) {
            self.faults.disturbed.fetch_add(1, Ordering::SeqCst);
            return Cow::Borrowed(&[]);
        }
        match self.faults.stray().take() {
            Some(frame) => {
                self.faults.disturbed.fetch_add(1, Ordering::SeqCst);
                [replies, &frame].concat().into()
            }
            None => replies.into(),
        }
    }

    fn look_for_needle(&self, chunk: &[u8]) {
        let mut needle = self.faults.needle();
        if needle.as_ref().is_some_and(|needle| chunk.windows(needle.len()).any(|window| window == needle)) {
            *needle = None;
            self.is_doomed.store(true, Ordering::SeqCst);
        }
    }
}
