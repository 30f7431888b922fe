//! [`RedisServer`]: a private, real `redis-server` for one test.
//!
//! ```no_run
//! use buttress_tests::RedisServer;
//! let redis = RedisServer::with().password("secret").arg("maxmemory", "2mb").start();
//! assert_eq!(redis.cli(&["PING"]).text(), "PONG"); // logs in by itself
//! ```

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::port;
use crate::resp::{Reply, Resp};

/// A `redis-server` of one's own on a loopback port and a unix socket, in memory only.
///
/// The binary is `$REDIS_SERVER_BIN`, else `redis-server` from the `PATH`. Dropping kills the server by its pid and
/// removes its directory; if the whole test process dies first, a guardian process does.
#[derive(Debug)]
pub struct RedisServer {
    settings: RedisServerBuilder,
    port: u16,
    process: Mutex<Option<Process>>,
    dir: TempDir,
}

/// What to start; from [`RedisServer::with`].
#[derive(Clone, Debug, Default)]
pub struct RedisServerBuilder {
    args: Vec<String>,
    password: Option<String>,
    is_tls: bool,
    is_sentinel: bool,
}

#[derive(Debug)]
struct Process {
    server: Child,
    guardian: Child,
}

// === impl RedisServer ===

impl RedisServer {
    /// A server with nothing set but that it writes no file.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with().start()
    }

    /// A server with settings of its own.
    #[must_use]
    pub fn with() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    /// The port; the same after [`restart`](Self::restart).
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// `redis://[:password@]127.0.0.1:port`; with TLS `rediss://…@localhost:port`.
    #[must_use]
    pub fn url(&self) -> String {
        let login = self.settings.password.as_ref().map_or_else(String::new, |password| format!(":{password}@"));
        let (scheme, host) = if self.settings.is_tls { ("rediss", "localhost") } else { ("redis", "127.0.0.1") };
        format!("{scheme}://{login}{host}:{}", self.port)
    }

    /// The unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// The server's own directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id, while the server runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(|process| process.server.id())
    }

    /// Runs one raw command on a connection of its own, through the unix socket.
    ///
    /// # Panics
    /// When the server does not answer within five seconds. A refusal is a [`Reply::Error`].
    #[must_use]
    #[track_caller]
    pub fn cli<A: AsRef<[u8]>>(&self, args: &[A]) -> Reply {
        self.line().and_then(|mut line| line.ask(args)).expect("the server answers its unix socket")
    }

    /// A connection for raw commands, logged in.
    ///
    /// # Errors
    /// When the server is away.
    pub fn line(&self) -> std::io::Result<Resp> {
        let mut line = Resp::unix(&self.socket())?;
        if let Some(password) = &self.settings.password {
            let reply = line.ask(&["AUTH", password])?;
            assert!(!reply.is_error(), "the password was refused: {reply:?}");
        }
        Ok(line)
    }

    /// One line of `INFO`, such as `used_memory`. A server that changes its role cuts its connections; then it is asked again.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn info(&self, field: &str) -> Option<String> {
        let ask = || self.line().and_then(|mut line| line.ask(&["INFO", "everything"]));
        let is_cut = |reply: &std::io::Result<Reply>| {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof, WouldBlock};
            reply
                .as_ref()
                .is_err_and(|error| matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof | WouldBlock))
        };
        let first = ask();
        let reply = if is_cut(&first) { ask() } else { first };
        let info = reply.expect("the server answers its unix socket").text();
        info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    }

    /// SIGKILL, and waits until the process is gone. Does nothing when it is not running.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.end();
        }
    }

    /// SIGSTOP: the server keeps its connections and answers nothing; the kernel goes on accepting for it.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT after [`stop`](Self::stop).
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts the server again on the same port, empty; kills it first when it runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&self) {
        self.kill();
        // The system may hold the port a moment longer.
        for _ in 0..20 {
            if let Some(process) = self.settings.spawn(self.port, self.dir.path()) {
                *self.process() = Some(process);
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not come back on port {}: {}", self.port, log_tail(self.dir.path()));
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the server runs");
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is positive");
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl RedisServerBuilder ===

impl RedisServerBuilder {
    /// One directive of `redis.conf` with its value, split at spaces; may be given several times.
    #[must_use]
    pub fn arg(mut self, name: &str, value: impl ToString) -> Self {
        self.args.push(format!("--{name}"));
        self.args.extend(value.to_string().split(' ').map(str::to_owned));
        self
    }

    /// `requirepass`; [`RedisServer::url`] and [`RedisServer::cli`] use it.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.arg("requirepass", password)
    }

    /// A replica of `master`.
    #[must_use]
    pub fn replica_of(self, master: &RedisServer) -> Self {
        self.arg("replicaof", format!("127.0.0.1 {}", master.port()))
    }

    /// Speaks TLS on its port, and nothing else there; the three files are PEM.
    #[must_use]
    pub fn tls(mut self, ca: &Path, cert: &Path, key: &Path) -> Self {
        self.is_tls = true;
        self.arg("tls-ca-cert-file", ca.display())
            .arg("tls-cert-file", cert.display())
            .arg("tls-key-file", key.display())
            .arg("tls-auth-clients", "no")
    }

    /// Runs as a sentinel that watches nobody yet.
    #[must_use]
    pub const fn sentinel(mut self) -> Self {
        self.is_sentinel = true;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not start on any of five ports.
    #[must_use]
    pub fn start(self) -> RedisServer {
        for _ in 0..5 {
            let port = port::free();
            let dir = TempDir::with_prefix("buttress-redis-").expect("a temporary directory");
            if let Some(process) = self.spawn(port, dir.path()) {
                return RedisServer { settings: self, port, process: Mutex::new(Some(process)), dir };
            }
            eprintln!("redis-server did not start on port {port}: {}", log_tail(dir.path()));
        }
        panic!("redis-server does not start, see its messages above");
    }

    /// `None` when the server ended by itself, as it does when the port is taken.
    fn spawn(&self, port: u16, dir: &Path) -> Option<Process> {
        let server = self.command(port, dir).spawn().unwrap_or_else(|error| {
            panic!(
                "cannot run {}: {error}. These tests need a real Redis: install redis-server (6.2 or newer) or name \
                 its binary in REDIS_SERVER_BIN",
                binary().display()
            )
        });
        let mut process = Process { guardian: guardian(server.id()), server };
        for _ in 0..3_000 {
            if process.server.try_wait().expect("our own child").is_some() {
                process.end();
                return None;
            }
            // The socket lies in our own directory: whoever answers there is our server and not a stranger's.
            if Resp::unix(&dir.join("redis.sock")).and_then(|mut line| line.ask(&["PING"])).is_ok() {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server runs but does not answer: {}", log_tail(dir));
    }

    fn command(&self, port: u16, dir: &Path) -> Command {
        let mut command = Command::new(binary());
        if self.is_sentinel {
            // A sentinel insists on a file that it can rewrite.
            let conf = dir.join("sentinel.conf");
            std::fs::write(&conf, "").expect("our own directory is writable");
            command.arg(conf).arg("--sentinel");
        } else {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        let ports = if self.is_tls { ("0".to_owned(), Some(port.to_string())) } else { (port.to_string(), None) };
        command.args(["--port", &ports.0]);
        if let Some(tls) = ports.1 {
            command.args(["--tls-port", &tls]);
        }
        command
            .args(["--bind", "127.0.0.1", "--unixsocket", "redis.sock", "--logfile", "redis.log"])
            .args(&self.args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

// === impl Process ===

impl Process {
    /// The guardian goes first: it must not kill a stranger that was given the pid afterwards.
    fn end(mut self) {
        for child in [&mut self.guardian, &mut self.server] {
            // Both are our own children; one that has already ended is as good as killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Waits for its standard input to close, which happens when this process dies however it dies, and kills `pid`.
fn guardian(pid: u32) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read -r _; kill -9 {pid}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn binary() -> PathBuf {
    std::env::var_os("REDIS_SERVER_BIN").unwrap_or_else(|| OsString::from("redis-server")).into()
}

fn log_tail(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join("redis.log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().rev().take(3).collect();
    if lines.is_empty() { "it left no log".to_owned() } else { lines.join(" | ") }
}
