//! A line to Redis on which each script waits until it is let through, and one who lets them through in every order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use buttress::redis::Redis;
use buttress::session::{Sessions, SessionsOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A proxy before one Redis, for one process. While it is shut, each script and each look at a session waits at it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Bars>);

struct Bars {
    addr: SocketAddr,
    is_open: AtomicBool,
    /// So many scripts have come, and so many were let through.
    came: AtomicU64,
    passed: AtomicU64,
    /// The script with this number is let through, and its answer is lost with the line.
    cuts_at: AtomicU64,
    /// Scripts with a lower number never reach Redis.
    lost_below: AtomicU64,
    opened: Notify,
}

// === impl Gate ===

impl Gate {
    /// It is open at first.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gate = Self(Arc::new(Bars {
            addr: listener.local_addr().expect("an address"),
            is_open: AtomicBool::new(true),
            came: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            cuts_at: AtomicU64::new(u64::MAX),
            lost_below: AtomicU64::new(0),
            opened: Notify::new(),
        }));
        let serving = gate.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(server).await.expect("the server is up");
                tokio::spawn(serving.clone().run(near, far));
            }
        });
        gate
    }

    /// Sessions of a process behind it.
    pub(crate) fn sessions(&self, options: SessionsOptions) -> Sessions {
        patient(options, &format!("redis://{}", self.0.addr))
    }

    /// How often Redis was asked for a session or a list of them.
    pub(crate) fn asked(&self) -> u64 {
        self.0.came.load(Ordering::SeqCst)
    }

    pub(crate) fn shut(&self) {
        self.0.is_open.store(false, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.0.is_open.store(true, Ordering::SeqCst);
        self.0.opened.notify_waiters();
    }

    /// Whether a script waits.
    fn is_busy(&self) -> bool {
        self.0.came.load(Ordering::SeqCst) > self.0.passed.load(Ordering::SeqCst)
    }

    /// Lets one through.
    fn let_through(&self) {
        self.0.passed.fetch_add(1, Ordering::SeqCst);
        self.0.opened.notify_waiters();
    }

    /// Lets one through, and cuts the line when Redis answers it.
    fn let_through_and_cut(&self) {
        self.0.cuts_at.store(self.0.passed.load(Ordering::SeqCst), Ordering::SeqCst);
        self.let_through();
    }

    async fn run(self, near: TcpStream, far: TcpStream) {
        for line in [&near, &far] {
            line.set_nodelay(true).expect("a socket");
        }
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        let is_cut = AtomicBool::new(false);
        // Whichever side ends first ends both.
        drop(tokio::select! {
            ended = self.carry_commands(near_read, far_write, &is_cut) => ended,
            ended = carry_replies(far_read, near_write, &is_cut) => ended,
        });
    }

    async fn carry_commands(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        is_cut: &AtomicBool,
    ) -> io::Result<()> {
        let mut pending = Vec::new();
        loop {
            while let Some(length) = command(&pending) {
                let command: Vec<u8> = pending.drain(..length).collect();
                if command.windows(7).take(16).any(|word| word == b"EVALSHA" || word == b"HGETALL") {
                    self.wait(is_cut).await?;
                }
                to.write_all(&command).await?;
            }
            if from.read_buf(&mut pending).await? == 0 {
                return Ok(());
            }
        }
    }

    /// What waits is lost, as when the process died before it was sent.
    fn lose(&self) {
        let came = self.0.came.load(Ordering::SeqCst);
        self.0.lost_below.store(came, Ordering::SeqCst);
        self.0.passed.store(came, Ordering::SeqCst);
        self.open();
    }

    async fn wait(&self, is_cut: &AtomicBool) -> io::Result<()> {
        let number = self.0.came.fetch_add(1, Ordering::SeqCst);
        loop {
            let opened = self.0.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            if self.0.is_open.load(Ordering::SeqCst) {
                self.0.passed.fetch_max(number + 1, Ordering::SeqCst);
            }
            if self.0.passed.load(Ordering::SeqCst) > number {
                is_cut.fetch_or(self.0.cuts_at.load(Ordering::SeqCst) == number, Ordering::SeqCst);
                let is_lost = number < self.0.lost_below.load(Ordering::SeqCst);
                return if is_lost { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) };
            }
            opened.await;
        }
    }
}

async fn carry_replies(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: &AtomicBool) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 || is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}

/// How long the first command is, if all of it is there.
fn command(bytes: &[u8]) -> Option<usize> {
    let line = |from: usize| {
        let length = bytes.get(from..)?.windows(2).position(|end| end == b"\r\n")?;
        let number = std::str::from_utf8(&bytes[from + 1..from + length]).ok()?.parse::<usize>().ok()?;
        Some((number, from + length + 2))
    };
    if bytes.first().is_some_and(|first| *first != b'*') {
        return bytes.windows(2).position(|end| end == b"\r\n").map(|length| length + 2); // a greeting in plain words
    }
    let (words, mut at) = line(0)?;
    for _ in 0..words {
        let (length, text) = line(at)?;
        at = text + length + 2;
    }
    (at <= bytes.len()).then_some(at)
}

/// Sessions in Redis that give a busy machine time.
pub(crate) fn patient(options: SessionsOptions, url: &str) -> Sessions {
    const PATIENCE: Duration = Duration::from_secs(10);
    let redis = Redis::options().deadline(PATIENCE).watchdog(PATIENCE).connect(url).expect("a URL");
    options.deadline(PATIENCE).redis(redis)
}

/// Waits for something real to happen, within ten seconds.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within ten seconds: {what}");
}

/// Something that is done step by step behind a gate of its own.
pub(crate) struct Stepped<T> {
    gate: Gate,
    task: JoinHandle<T>,
}

// === impl Stepped ===

impl<T: Send + 'static> Stepped<T> {
    /// Begins it, and waits for its first script.
    pub(crate) async fn begin(gate: &Gate, act: impl Future<Output = T> + Send + 'static) -> Self {
        gate.shut();
        let stepped = Self { gate: gate.clone(), task: tokio::spawn(act) };
        stepped.settle().await;
        stepped
    }

    pub(crate) fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// One script runs, and what it answers is seen.
    pub(crate) async fn step(&self) {
        self.gate.let_through();
        self.settle().await;
    }

    /// One script runs, and its answer is lost.
    pub(crate) async fn step_and_cut(&self) {
        self.gate.let_through_and_cut();
        self.settle().await;
    }

    /// The process dies, or the client has gone, before the script that waits reaches Redis.
    pub(crate) async fn die(self) {
        self.task.abort();
        drop(self.task.await);
        self.gate.lose();
    }

    /// What came of it, when all its scripts have run.
    pub(crate) async fn finish(self) -> T {
        self.gate.open();
        self.task.await.expect("it does not panic")
    }

    /// Waits until the next script is at the gate, or none comes any more.
    async fn settle(&self) {
        while !self.gate.is_busy() && !self.is_done() {
            tokio::task::yield_now().await;
        }
    }
}

/// Every order in which things can be done, one after the other; or some of them, where there are too many.
#[derive(Default)]
pub(crate) struct Orders {
    /// Where the next choice comes from, if not every one is made.
    dice: Option<u64>,
    /// Which was chosen of how many, so far.
    chosen: Vec<(usize, usize)>,
    at: usize,
}

// === impl Orders ===

impl Orders {
    /// One order of many; the same for the same seed.
    pub(crate) fn by_chance(seed: u64) -> Self {
        Self { dice: Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), ..Self::default() }
    }

    /// Which of so many goes on.
    pub(crate) fn choose(&mut self, of: usize) -> usize {
        if self.at == self.chosen.len() {
            let choice = self.dice.as_mut().map_or(0, |dice| {
                // xorshift64
                *dice ^= *dice << 13;
                *dice ^= *dice >> 7;
                *dice ^= *dice << 17;
                usize::try_from(*dice >> 33).expect("31 bits") % of
            });
            self.chosen.push((choice, of));
        }
        let (choice, options) = self.chosen[self.at];
        assert_eq!(options, of, "what happens depends on more than the order");
        self.at += 1;
        choice
    }

    /// The next order. False if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        self.chosen.truncate(self.at);
        self.at = 0;
        while let Some((choice, options)) = self.chosen.pop() {
            if choice + 1 < options {
                self.chosen.push((choice + 1, options));
                return true;
            }
        }
        false
    }

    /// For who wants to see it again.
    pub(crate) fn shown(&self) -> String {
        self.chosen[..self.at].iter().map(|(choice, _)| choice.to_string()).collect()
    }
}
