//! How a connection behaves; every setting has a default that serves.
//!
//! ```no_run
//! use std::time::Duration;
//! use buttress_redis::Redis;
//!
//! # async fn example() -> Result<(), buttress_redis::ConfigError> {
//! let redis = Redis::options().deadline(Duration::from_millis(20)).name("shop").connect("redis://127.0.0.1")?;
//! # drop(redis);
//! # Ok(())
//! # }
//! ```

use std::{sync::Arc, time::Duration};

use fred::types::{
    RespVersion,
    config::{Config, TlsConfig},
};

use crate::{
    ConfigError, Redis,
    gate::Limits,
    line::Plan,
    link::{Pace, Role},
    tls::{self, Trust},
    url,
};

/// Settings of a [`Redis`]; made by [`Redis::options`], ended by [`RedisOptions::connect`].
#[derive(Clone)]
pub struct RedisOptions {
    deadline: Duration,
    body_deadline: Duration,
    connect_deadline: Duration,
    watch: Duration,
    limits: Limits,
    name: String,
    username: Option<String>,
    password: Option<String>,
    trust: Trust,
}

/// A consumer's connection is not probed: a probe would stand behind the wait, and what its one user asks tells as much.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

// === impl RedisOptions ===

impl RedisOptions {
    /// The longest a command on small values takes, waiting in our queue included. Default 50 ms.
    ///
    /// While Redis hangs, each command that was already sent costs its caller this much; later ones fail at once.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same for the handle that [`Redis::bodies`] returns. Default 250 ms, the time of 30 MB on a gigabit network.
    #[must_use]
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_deadline = deadline;
        self
    }

    /// The longest that opening a socket takes (TLS included), and again each step of the greeting. Default 500 ms.
    #[must_use]
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// How often a quiet connection is probed. Default 100 ms. A command that times out causes a probe at once, whatever this says.
    ///
    /// A hung server is left after three silent probes, each given twice the deadline.
    #[must_use]
    pub fn watchdog(mut self, interval: Duration) -> Self {
        self.watch = interval;
        self
    }

    /// How many commands may wait for one connection; the next one fails as overloaded. Default 512.
    #[must_use]
    pub fn queue(mut self, commands: usize) -> Self {
        self.limits.commands = commands;
        self
    }

    /// How many bytes of arguments may wait for one connection; what comes on top fails as overloaded. Default 32 MiB.
    ///
    /// This bounds the memory that a hung server costs. A single command beyond it is sent when nothing else waits.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// The name in `CLIENT LIST`, followed by the connection's role. Default `buttress`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The user to authenticate as, instead of the URL's.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password, instead of the URL's: for those who keep secrets apart.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Trusts the certificates in this PEM only, instead of the machine's root certificates.
    #[must_use]
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust = Trust::Only(pem.into());
        self
    }

    /// Uses this TLS configuration (client certificates, another crypto provider). Only for `rediss` URLs.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.trust = Trust::Custom(config);
        self
    }

    /// Connects in the background and returns at once, whether Redis is there or not. [`Redis::connect`] says more.
    ///
    /// # Errors
    ///
    /// A URL, certificate or setting that cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect(self, url: &str) -> Result<Redis, ConfigError> {
        let target = url::parse(url)?;
        let connector = if target.tls { Some(tls::connector(&self.trust)?) } else { None };
        let config = Config {
            fail_fast: true,
            username: self.username.clone().or(target.username),
            password: self.password.clone().or(target.password),
            server: target.server,
            database: target.database,
            tls: connector.map(TlsConfig::from),
            ..Config::default()
        };
        self.connect_with(config)
    }

    pub(crate) fn connect_with(self, config: Config) -> Result<Redis, ConfigError> {
        if self.deadline.is_zero() || self.body_deadline.is_zero() || self.connect_deadline.is_zero() {
            return Err(ConfigError::new("0", "a deadline cannot be zero"));
        }
        if self.name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ConfigError::new(self.name, "a client name cannot hold white space"));
        }
        Ok(Redis::start(self, Config { version: RespVersion::RESP3, fail_fast: true, ..config }))
    }

    /// What it takes to open a connection of this role.
    pub(crate) fn plan(&self, config: &Config, role: Role) -> Plan {
        Plan {
            config: config.clone(),
            connect_deadline: self.connect_deadline,
            limits: self.limits,
            name: format!("{}:{}", self.name, role.as_str()),
            votes: None,
        }
    }

    pub(crate) fn pace(&self, role: Role) -> Pace {
        let deadline = if role == Role::Bodies { self.body_deadline } else { self.deadline };
        let watch = if role == Role::Consumer { NEVER } else { self.watch };
        Pace { deadline, watch, probe: deadline * 2 }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(50),
            body_deadline: Duration::from_millis(250),
            connect_deadline: Duration::from_millis(500),
            watch: Duration::from_millis(100),
            limits: Limits { commands: 512, bytes: 32 << 20 },
            name: "buttress".to_owned(),
            username: None,
            password: None,
            trust: Trust::Machine,
        }
    }
}

impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the password.
        f.debug_struct("RedisOptions")
            .field("name", &self.name)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
