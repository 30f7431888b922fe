//! [`RedisSentinel`]: a master, its replica, and one sentinel that fails over after a second of silence.
//!
//! ```no_run
//! use buttress_tests::RedisSentinel;
//! let group = RedisSentinel::start();
//! group.master().stop(); // hangs: a second later the sentinel promotes the replica
//! # let _url: String = group.url();
//! ```

use crate::cluster::eventually;
use crate::server::RedisServer;

/// The name under which the sentinel knows the group.
const NAME: &str = "main";

/// Three real servers that watch each other.
#[derive(Debug)]
pub struct RedisSentinel {
    master: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
}

// === impl RedisSentinel ===

impl RedisSentinel {
    /// Starts the three and waits until the sentinel would promote the replica.
    ///
    /// # Panics
    /// When that takes longer than fifteen seconds.
    #[must_use]
    pub fn start() -> Self {
        let master = RedisServer::with().arg("repl-diskless-sync-delay", 0).start();
        let replica = RedisServer::with().replica_of(&master).start();
        eventually("the replica is in step", || replica.info("master_link_status").as_deref() == Some("up"));

        let sentinel = RedisServer::with().sentinel().start();
        let group = Self { master, replica, sentinel };
        group.tell(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &group.master.port().to_string(), "1"]);
        group.tell(&["SENTINEL", "SET", NAME, "down-after-milliseconds", "1000"]);
        group.tell(&["SENTINEL", "SET", NAME, "failover-timeout", "3000"]);
        eventually("the sentinel knows the replica", || group.knows_replica());
        group
    }

    /// The server that begins as master.
    #[must_use]
    pub const fn master(&self) -> &RedisServer {
        &self.master
    }

    /// The server that begins as replica.
    #[must_use]
    pub const fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// The sentinel.
    #[must_use]
    pub const fn sentinel(&self) -> &RedisServer {
        &self.sentinel
    }

    /// `redis-sentinel://127.0.0.1:port?sentinelServiceName=main`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName={NAME}", self.sentinel.port())
    }

    /// The port of the master that the sentinel believes in.
    #[must_use]
    pub fn master_port(&self) -> u16 {
        let address = self.sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        address.array()[1].text().parse().expect("a port")
    }

    /// Whether the replica has been promoted.
    #[must_use]
    pub fn has_failed_over(&self) -> bool {
        self.replica.info("role").as_deref() == Some("master")
    }

    fn knows_replica(&self) -> bool {
        let replicas = self.sentinel.cli(&["SENTINEL", "REPLICAS", NAME]);
        let said = format!("{:?}", replicas.array().iter().map(|one| texts(one.array())).collect::<Vec<_>>());
        // Until the replica's own report arrived, the sentinel would not promote it.
        said.contains("\"master-link-status\", \"ok\"")
    }

    fn tell(&self, command: &[&str]) {
        let reply = self.sentinel.cli(command);
        assert!(!reply.is_error(), "the sentinel refused: {reply:?}");
    }
}

fn texts(replies: &[crate::Reply]) -> Vec<String> {
    replies.iter().map(crate::Reply::text).collect()
}
