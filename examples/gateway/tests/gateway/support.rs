//! The binary, an upstream that records what reaches it, and a client that says exactly what it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A running gateway; dropped, it is killed.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
}

/// An upstream whose connections a test takes one by one.
pub(crate) struct Upstream {
    listener: TcpListener,
}

/// One end of a connection, read by lines and spoken to in bytes.
pub(crate) struct Line {
    reader: BufReader<TcpStream>,
}

/// A message as it came over the wire.
#[derive(Debug)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) start: String,
    /// `name: value`, names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

// === impl Gateway ===

impl Gateway {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args)
    }

    pub(crate) fn start_at(listen: &str, args: &[&str]) -> Self {
        let mut child = command(&["--listen", listen]).args(args).spawn().expect("the gateway starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let address = announced(&mut out);
        let admin = args.contains(&"--admin").then(|| announced(&mut out));
        // The rest is read away, so that a full pipe never blocks it.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self { child, address, admin }
    }

    pub(crate) fn before(upstream: &Upstream) -> Self {
        Self::start(&["--upstream", &upstream.url()])
    }

    pub(crate) fn connect(&self) -> Line {
        Line::to(self.address)
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn ask(&self, request: &str) -> Message {
        let mut line = self.connect();
        line.say(request);
        line.message()
    }

    pub(crate) fn get(&self, path: &str, fields: &str) -> Message {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n{fields}\r\n"))
    }

    /// Sends an order to purge to the admin listener.
    pub(crate) fn order(&self, order: &str, host: &str, kind: &str) -> Message {
        self.post("/purge", order, host, kind)
    }

    /// Sends a body to the admin listener.
    pub(crate) fn post(&self, path: &str, order: &str, host: &str, kind: &str) -> Message {
        let mut line = Line::to(self.admin.expect("started with --admin"));
        let length = order.len();
        line.say(format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{order}"
        ));
        line.message()
    }

    /// The same from any thread.
    pub(crate) fn get_from(address: SocketAddr, path: &str) -> Message {
        let mut line = Line::to(address);
        line.say(format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n"));
        line.message()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the gateway does not end");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The address in the next line that it says.
fn announced(out: &mut impl std::io::BufRead) -> SocketAddr {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("//").and_then(|(_, address)| address.parse().ok());
    address.unwrap_or_else(|| panic!("it said {line:?} instead of where it listens"))
}

/// How many responses are stored in Redis.
pub(crate) fn entries(redis: &buttress_tests::RedisServer) -> usize {
    redis.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]).array().len()
}

/// What a gateway with bad arguments says and exits with.
pub(crate) fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(args).stderr(Stdio::piped()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GATEWAY_")) {
        command.env_remove(name);
    }
    command
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Line {
        Line::over(self.listener.accept().unwrap().0)
    }

    /// Answers every request with `response`, forever; the requests come out of the receiver.
    pub(crate) fn answering(self, response: impl Fn(&Message) -> String + Send + Sync + 'static) -> Receiver<Message> {
        let (sender, receiver) = channel();
        let response = std::sync::Arc::new(response);
        std::thread::spawn(move || {
            for stream in self.listener.incoming() {
                let (mut line, sender, response) = (Line::over(stream.unwrap()), sender.clone(), response.clone());
                std::thread::spawn(move || {
                    while let Some(request) = line.try_message() {
                        let answer = response(&request);
                        drop(sender.send(request)); // before the answer: whoever has that finds the request
                        line.say(answer);
                    }
                });
            }
        });
        receiver
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // Who has hung up is found out by reading.
        drop(self.reader.get_mut().write_all(bytes.as_ref()));
    }

    pub(crate) fn message(&mut self) -> Message {
        self.try_message().expect("a message, not the end of the connection")
    }

    /// A message with its whole body; `None` at the end of the connection.
    pub(crate) fn try_message(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        if let Some(length) = message.field("content-length") {
            message.body = vec![0; length.parse().unwrap()];
            if message.start.contains("304") {
                message.body.clear();
            }
            self.reader.read_exact(&mut message.body).ok()?;
        } else if message.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                message.body.extend(chunk);
            }
        }
        Some(message)
    }

    /// The start line and fields alone.
    pub(crate) fn head(&mut self) -> Option<Message> {
        let start = self.line().filter(|line| !line.is_empty())?;
        let mut fields = Vec::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Message { start, fields, body: Vec::new() })
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(self.line()?.split(';').next()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk).ok()?;
        self.line()?;
        (size > 0).then_some(chunk)
    }

    /// The fields after the last chunk, which is read first.
    pub(crate) fn trailers(&mut self) -> Vec<(String, String)> {
        assert_eq!(self.line().as_deref(), Some("0"));
        let lines = std::iter::from_fn(|| self.line().filter(|line| !line.is_empty()));
        lines
            .filter_map(|line| {
                line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect()
    }

    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok().filter(|&count| count > 0)?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

// === impl Message ===

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_else(|_| panic!("no status in {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// What the cache nearest to the client says: the last member (RFC 9211 section 2).
    pub(crate) fn is_hit(&self) -> bool {
        let last = self.fields.iter().rev().find(|(name, _)| name == "cache-status");
        last.is_some_and(|(_, status)| status.split(';').any(|part| part.trim() == "hit"))
    }
}

/// A response with these fields (each with its line end) and body.
pub(crate) fn response(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len())
}
