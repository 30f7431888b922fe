//! The handle, and its verbs.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use fred::{clients::Client, interfaces::ClientLike as _, types::config::Config};
use tokio::time::Instant;

use crate::{
    ConfigError, Consumer, Error, ErrorKind, Eviction, Feed, RedisOptions, Reply, Script,
    command::Command,
    eviction,
    line::Plan,
    link::{Link, Proof, Role, State},
    proof, read,
    sentinels::Sentinels,
};

/// The way to Redis: cheap to clone, share one.
///
/// Dropping the last clone closes its sockets and ends its tasks.
#[derive(Clone)]
pub struct Redis {
    core: Arc<Core>,
    role: Role,
    /// For scripts, where the caller can wait longer or less than others.
    patience: Option<Duration>,
}

/// Whether [`Redis::set`] may replace what is there.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// Replaces what is there.
    #[default]
    Always,
    /// Leaves what is there as it is.
    IfAbsent,
}

/// How the connection stands, for a readiness endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// Commands fail at once, with this error, since then.
    Down {
        /// What went wrong last.
        error: Error,
        /// When commands stopped being sent.
        since: Instant,
    },
    /// The first connection is being opened.
    Opening,
    /// Commands are sent.
    Up,
}

struct Core {
    options: RedisOptions,
    config: Config,
    data: Link,
    bodies: OnceLock<Link>,
    sentinels: Option<Sentinels>,
}

// === impl Redis ===

impl Redis {
    /// Connects in the background and returns at once: when Redis is down, commands fail within milliseconds until it is there.
    ///
    /// | URL | reaches |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | one server |
    /// | `rediss://…` | the same over TLS, the machine's root certificates trusted |
    /// | `unix:///run/redis.sock?db=0`, `redis+unix://…` | one server through a socket |
    /// | `redis-sentinel://host:26379/0?sentinelServiceName=main&node=host2:26379` | the master that the sentinels name; `sentinelUsername`, `sentinelPassword` if they want them |
    /// | `redis-cluster://host:6379?node=host2:6379` | a cluster |
    /// | `rediss-sentinel://…`, `rediss-cluster://…` | the same over TLS |
    ///
    /// # Errors
    ///
    /// A URL that cannot be used; the error names it, without its password.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect(url: &str) -> Result<Self, ConfigError> {
        Self::options().connect(url)
    }

    /// Settings other than the defaults; end with [`RedisOptions::connect`].
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// The same Redis through a connection of its own for large values, with [`RedisOptions::body_deadline`].
    ///
    /// A reply of a megabyte holds up all that stands behind it; who reads or writes values beyond 32 KiB, or of unknown size, asks
    /// here, so that small lookups do not wait. The connection is opened at the first call of this method.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn bodies(&self) -> Self {
        self.core.link(Role::Bodies);
        Self { core: self.core.clone(), role: Role::Bodies, patience: self.patience }
    }

    /// The same connection for who can wait longer for a script or the fields of a hash, or less, than [`RedisOptions::deadline`].
    ///
    /// A server that hangs is noticed as early as before; what is asked of it meanwhile waits for as long as this says.
    #[must_use]
    pub fn with_script_deadline(&self, deadline: Duration) -> Self {
        Self { patience: Some(deadline), ..self.clone() }
    }

    /// A connection of its own that may block: for [`Consumer::take`], [`Consumer::read`] and [`Consumer::wait_for_replicas`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        Consumer::new(self.core.open(Role::Consumer))
    }

    /// Announces each change of a key that begins with `prefix`, whoever makes it.
    ///
    /// Takes a connection of its own, opened now.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn watch(&self, prefix: impl Into<Bytes>) -> Feed {
        Feed::new(self.core.open(Role::Push), prefix.into())
    }

    /// Whether commands are sent at the moment. [`Redis::health`] says more.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link().post().is_up()
    }

    /// How the connection stands.
    #[must_use]
    pub fn health(&self) -> Health {
        match &*self.link().post().subscribe().borrow() {
            State::Up(_) => Health::Up,
            State::Opening => Health::Opening,
            State::Down(error, since) => Health::Down { error: error.clone(), since: *since },
        }
    }

    /// The value under `key`, if [`Redis::set`] has written it there.
    ///
    /// The bytes are a slice of the socket's buffer: copy what is kept for long, or it holds the whole buffer. `None` is also the
    /// answer for bytes that somebody else wrote, that are not whole, or that belong to another key (a counter tells).
    /// It does not prove absence; where that matters, ask [`Redis::contains`].
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, Error> {
        read::one(self.link(), key.as_ref()).await
    }

    /// The values under `keys`, in their order; each as [`Redis::get`] has it.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; then nothing is known of any key.
    pub async fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Bytes>>, Error> {
        read::many(self.link(), keys).await
    }

    /// Writes `value` under `key` for `ttl` (for ever without one; never shorter than a millisecond). Answers whether it was written.
    ///
    /// The value is stored behind 24 bytes that name its key, so that it is believed under this key only.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, full, or refuses. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Option<Duration>,
        mode: Mode,
    ) -> Result<bool, Error> {
        let key = key.as_ref();
        let sealed = proof::seal(key, value.as_ref())
            .ok_or_else(|| Error::new(ErrorKind::Overloaded, "a value beyond 4 GiB"))?;
        let command = Command::set(key, sealed, ttl.map(millis), mode == Mode::IfAbsent);
        match self.link().ask(command, Proof::Nonce).await? {
            Reply::Bytes(status) if status == "OK" => Ok(true),
            Reply::Nil if mode == Mode::IfAbsent => Ok(false),
            _ => Err(Error::malformed("SET answered neither OK nor nil")),
        }
    }

    /// Removes `key`. Answers whether there was anything.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.flag(Command::on("UNLINK", key.as_ref())).await
    }

    /// Lets `key` live for `ttl` from now (never shorter than a millisecond). Answers whether there is such a key.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn touch(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool, Error> {
        self.flag(Command::on("PEXPIRE", key.as_ref()).number(millis(ttl))).await
    }

    /// Whether there is anything under `key`. Unlike the `None` of [`Redis::get`], this `false` is proven.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses.
    pub async fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.flag(Command::on("EXISTS", key.as_ref())).await
    }

    /// Runs a script. In a cluster all `keys` must share one hash tag.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the script failed. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn run<K: AsRef<[u8]>>(&self, script: &Script, keys: &[K], args: &[Bytes]) -> Result<Reply, Error> {
        script.run(self.link(), keys, args, self.deadline()).await
    }

    /// Runs a script that takes a word before its arguments (`ARGV[1]`) and gives it back before its answer, as the first of a list: it proves itself
    /// by that, and costs Redis one command instead of two. Answers with the rest of the list.
    ///
    /// An error is not proven: it may be that of another command, where replies are out of step.
    ///
    /// # Errors
    ///
    /// As of [`run`](Self::run); or the word did not come back.
    pub async fn run_marked<K: AsRef<[u8]>>(
        &self,
        script: &Script,
        keys: &[K],
        args: &[Bytes],
    ) -> Result<Reply, Error> {
        script.run_marked(self.link(), keys, args, self.deadline()).await
    }

    /// All fields of a hash with their values. `mark` is a field with a value that only this hash has, such as a digest of its key: a reply with it
    /// proves itself, any other is asked for once more. `None`, as of [`get`](Self::get), does not prove absence.
    ///
    /// The bytes are slices of the socket's buffer: copy what is kept for long.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; something else than a hash lies there.
    pub async fn fields(
        &self,
        key: impl AsRef<[u8]>,
        mark: (&str, &[u8]),
    ) -> Result<Option<Vec<(Bytes, Bytes)>>, Error> {
        read::fields(self.link(), key.as_ref(), mark, self.deadline()).await
    }

    /// Sends `message` to whoever listens on `channel` now. Answers how many do (in a cluster: on one node).
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn publish(&self, channel: &str, message: impl Into<Bytes>) -> Result<u64, Error> {
        self.count(Command::new("PUBLISH").arg(channel.to_owned()).arg(message)).await
    }

    /// Appends `value` to the list that consumers [`take`](Consumer::take) from. Answers how long the list is now.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, full, or refuses. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn push(&self, list: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64, Error> {
        let list = list.as_ref();
        let sealed = proof::seal(list, value.as_ref())
            .ok_or_else(|| Error::new(ErrorKind::Overloaded, "a value beyond 4 GiB"))?;
        self.count(Command::on("RPUSH", list).arg(sealed)).await
    }

    /// What this Redis does when its memory is full; `None` where the user may ask neither `INFO` nor `CONFIG GET`, or the
    /// server does not say. In a cluster any one node is asked: it is configured alike, or nobody can tell.
    ///
    /// # Errors
    ///
    /// Redis is away or slow.
    pub async fn eviction(&self) -> Result<Option<Eviction>, Error> {
        eviction::ask(self.link()).await
    }

    pub(crate) fn start(options: RedisOptions, config: Config) -> Self {
        let sentinels = Sentinels::start(&options, &config);
        let data = open(Role::Data, &options, &config, sentinels.as_ref());
        Self {
            core: Arc::new(Core { options, config, data, bodies: OnceLock::new(), sentinels }),
            role: Role::Data,
            patience: None,
        }
    }

    fn link(&self) -> &Link {
        self.core.link(self.role)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience.unwrap_or(self.link().post().pace.deadline)
    }

    async fn flag(&self, command: Command) -> Result<bool, Error> {
        self.count(command).await.map(|count| count > 0)
    }

    async fn count(&self, command: Command) -> Result<u64, Error> {
        let number =
            self.link().ask(command, Proof::Nonce).await?.as_int().and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Error::malformed("no number where one was expected"))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the configuration: it holds the password.
        f.debug_struct("Redis").field("role", &self.role).field("health", &self.health()).finish_non_exhaustive()
    }
}

/// A Redis like the one this client is configured for: same servers, credentials, TLS and database.
///
/// The connections are separate from the client's: one that is shared with subscriptions or transactions could be put out of step by
/// them. The client itself need not be connected.
///
/// # Panics
///
/// Outside of a tokio runtime.
impl From<&Client> for Redis {
    fn from(client: &Client) -> Self {
        let options = Self::options();
        options.connect_with(client.client_config()).expect("the default options are valid")
    }
}

// === impl Core ===

impl Core {
    fn link(&self, role: Role) -> &Link {
        match role {
            Role::Bodies => self.bodies.get_or_init(|| self.open(Role::Bodies)),
            _ => &self.data,
        }
    }

    fn open(&self, role: Role) -> Link {
        open(role, &self.options, &self.config, self.sentinels.as_ref())
    }
}

fn open(role: Role, options: &RedisOptions, config: &Config, sentinels: Option<&Sentinels>) -> Link {
    let plan = Plan { votes: sentinels.map(Sentinels::votes), ..options.plan(config, role) };
    Link::start(role, plan, options.pace(role))
}

/// Whole milliseconds, at least one: zero would be an error to Redis.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}
