//! A client for raw commands, blocking and without dependencies: what a test says to a server behind the wire's back.
//!
//! ```no_run
//! use buttress_tests::{RedisServer, Resp};
//! let redis = RedisServer::start();
//! let mut line = Resp::tcp(redis.addr()).expect("the server is up");
//! assert_eq!(line.ask(&["INCR", "n"]).expect("answered").int(), 1);
//! ```

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a server may take to answer before [`Resp::ask`] gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection that speaks RESP2.
pub struct Resp {
    line: BufReader<Box<dyn Stream>>,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK` and the like.
    Simple(String),
    /// `-ERR …`, without the dash.
    Error(String),
    /// `:1`.
    Int(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// The absent string or array.
    Nil,
    /// Replies in a row.
    Array(Vec<Self>),
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

// === impl Resp ===

impl Resp {
    /// Connects to a TCP port.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn tcp(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { line: BufReader::new(Box::new(stream)) })
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { line: BufReader::new(Box::new(stream)) })
    }

    /// Sends one command and reads one reply. A refusal by the server is a [`Reply::Error`], not an error.
    ///
    /// # Errors
    /// When the line broke, or five seconds passed without a reply.
    pub fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        self.line.get_mut().write_all(&encode(args))?;
        self.line.get_mut().flush()?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Reply> {
        let mut head = String::new();
        if self.line.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head = head.trim_end();
        let (kind, rest) = head.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
        let number = || rest.parse::<i64>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(len) => Reply::Bulk(self.read_bulk(len)?),
                Err(_) => Reply::Nil,
            },
            "*" => match usize::try_from(number()?) {
                Ok(len) => Reply::Array((0..len).map(|_| self.read()).collect::<io::Result<_>>()?),
                Err(_) => Reply::Nil,
            },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }

    fn read_bulk(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len + 2];
        self.line.read_exact(&mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl std::fmt::Debug for Resp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resp")
    }
}

/// A command as it goes over the line.
#[must_use]
pub fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        wire.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        wire.extend_from_slice(arg);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

// === impl Reply ===

impl Reply {
    /// The text of a simple or bulk string, or of an error.
    ///
    /// # Panics
    /// When the reply is something else.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) | Self::Error(text) => text.clone(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("a text was expected, the server said {other:?}"),
        }
    }

    /// The number.
    ///
    /// # Panics
    /// When the reply is something else.
    #[must_use]
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("a number was expected, the server said {other:?}"),
        }
    }

    /// The replies in a row.
    ///
    /// # Panics
    /// When the reply is something else.
    #[must_use]
    pub fn array(&self) -> &[Self] {
        match self {
            Self::Array(replies) => replies,
            other => panic!("an array was expected, the server said {other:?}"),
        }
    }

    /// Whether the server refused.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}
