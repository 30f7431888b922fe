//! [`FakeRedis`]: a server that says what a test tells it to, for answers that no real Redis gives on demand.
//!
//! ```no_run
//! # async fn doc() {
//! use buttress_tests::{Answer, FakeRedis};
//! let loading = FakeRedis::start(|command| match command.name() {
//!     "GET" => Some(Answer::Say(b"-LOADING Redis is loading the dataset in memory\r\n".to_vec())),
//!     _ => None, // what a healthy server would say to a client that connects
//! })
//! .await;
//! # }
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A scripted server on a free port. Needs a tokio runtime; dropping it closes every line.
#[derive(Debug)]
pub struct FakeRedis {
    addr: SocketAddr,
    commands: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// A command that arrived.
#[derive(Clone, Debug)]
pub struct Command {
    /// The number of the connection, from 0.
    pub line: u64,
    name: String,
    args: Vec<Vec<u8>>,
}

/// What to do about a [`Command`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// Send these bytes.
    Say(Vec<u8>),
    /// Never answer.
    Silence,
    /// Close the line.
    HangUp,
}

type Script = dyn Fn(&Command) -> Option<Answer> + Send + Sync;

// === impl FakeRedis ===

impl FakeRedis {
    /// Answers with `script`; where that says `None`, as an empty healthy server would.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(script: impl Fn(&Command) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let commands = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(listener, Arc::new(script), Arc::clone(&commands)));
        Self { addr, commands, task }
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// How many commands came in.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::SeqCst)
    }
}

impl Drop for FakeRedis {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>, commands: Arc<AtomicU64>) {
    let mut lines = JoinSet::new();
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        lines.spawn(talk(number, stream, Arc::clone(&script), Arc::clone(&commands)));
        number += 1;
    }
}

async fn talk(line: u64, stream: TcpStream, script: Arc<Script>, commands: Arc<AtomicU64>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut is_resp3 = false;
    while let Some(command) = read_command(line, &mut stream).await? {
        commands.fetch_add(1, Ordering::SeqCst);
        is_resp3 |= command.name() == "HELLO" && command.arg(1) == b"3";
        match script(&command).unwrap_or_else(|| usual(&command, is_resp3)) {
            Answer::Say(bytes) => stream.get_mut().write_all(&bytes).await?,
            Answer::Silence => {}
            Answer::HangUp => return Ok(()),
        }
    }
    Ok(())
}

/// What an empty server says to a client that introduces itself, pings and asks.
fn usual(command: &Command, is_resp3: bool) -> Answer {
    if command.name() == "PING" && !command.arg(1).is_empty() {
        let word = command.arg(1);
        return Answer::Say([format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat());
    }
    let said: &[u8] = match (command.name(), command.arg(1).to_ascii_uppercase().as_slice()) {
        ("PING", _) => b"+PONG\r\n",
        ("HELLO", b"3") => {
            b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n\
              $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
        }
        ("INFO", _) => b"$22\r\nredis_version:7.0.15\r\n\r\n",
        ("CLIENT", b"ID") => b":1\r\n",
        ("GET", _) if is_resp3 => b"_\r\n",
        ("GET", _) => b"$-1\r\n",
        ("DEL" | "EXISTS", _) => b":0\r\n",
        _ => b"+OK\r\n",
    };
    Answer::Say(said.to_vec())
}

async fn read_command(line: u64, stream: &mut BufReader<TcpStream>) -> io::Result<Option<Command>> {
    let Some(head) = read_head(stream).await? else { return Ok(None) };
    let args = match head.strip_prefix('*') {
        Some(count) => read_args(parse(count)?, stream).await?,
        // Greetings come as a line of words.
        None => head.split_whitespace().map(|word| word.as_bytes().to_vec()).collect(),
    };
    let name = args.first().map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()).unwrap_or_default();
    Ok(Some(Command { line, name, args }))
}

async fn read_args(count: usize, stream: &mut BufReader<TcpStream>) -> io::Result<Vec<Vec<u8>>> {
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let head = read_head(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut arg = vec![0; parse(head.strip_prefix('$').unwrap_or_default())? + 2];
        stream.read_exact(&mut arg).await?;
        arg.truncate(arg.len() - 2);
        args.push(arg);
    }
    Ok(args)
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = String::new();
    let len = stream.read_line(&mut head).await?;
    Ok((len > 0).then(|| head.trim_end().to_owned()))
}

fn parse(number: &str) -> io::Result<usize> {
    number.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

// === impl Command ===

impl Command {
    /// The command's name in upper case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The argument at this place, where 0 is the name; empty when there is none.
    #[must_use]
    pub fn arg(&self, place: usize) -> &[u8] {
        self.args.get(place).map_or(&[], Vec::as_slice)
    }
}
