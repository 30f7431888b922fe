//! Support shared by the tests: real servers started on free ports, and probes for tower's laws.
//!
//! It knows no crate of the workspace, so that a layer's own unit tests can use it without meeting a second copy of
//! their types. Everything here panics with a plain message when it cannot do its work: it serves tests only.
//!
//! ```no_run
//! use buttress_tests::RedisServer;
//!
//! let redis = RedisServer::start(); // a private server; needs `redis-server` on the PATH
//! assert_eq!(redis.cli(&["SET", "k", "v"]).text(), "OK");
//! redis.stop(); // hangs as a stuck machine would: SIGSTOP
//! redis.cont();
//! redis.kill(); // dies as in a power cut: SIGKILL
//! redis.restart(); // empty, on the same port
//! ```

pub mod strict;
pub mod service;
pub mod body;
pub mod port;
pub mod resp;
pub mod server;
pub mod cluster;
pub mod sentinel;
pub mod proxy;
pub mod fake;
pub mod certs;
pub mod load;
pub mod python;
pub mod counters;

pub use certs::Certificates;
pub use cluster::RedisCluster;
pub use counters::Counters;
pub use fake::{Answer, FakeRedis};
pub use load::{Load, Sample};
pub use proxy::CuttingProxy;
pub use python::{PythonPackages, PythonService};
pub use resp::{Reply, Resp};
pub use sentinel::RedisSentinel;
pub use server::{RedisServer, RedisServerBuilder};
pub use service::{Calls, Counting, counting};
pub use strict::Strict;
