//! A private redis-server, and waiting for what takes a moment.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use buttress_redis::Redis;

/// A server of this test alone, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    args: Vec<String>,
}

impl Server {
    pub fn start(args: &[&str]) -> Self {
        Self::start_on(free_port(), args)
    }

    pub fn start_on(port: u16, args: &[&str]) -> Self {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let server = Self { child: spawn(port, &args), port, args };
        server.wait();
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server is ours");
    }

    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.args);
        self.wait();
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(args).output().expect("redis-cli is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// How many clients are connected, `redis-cli` aside.
    pub fn clients(&self) -> usize {
        self.cli(&["client", "list"]).lines().filter(|line| !line.contains("cmd=client|list")).count()
    }

    fn wait(&self) {
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen on port {}", self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, args: &[String]) -> Child {
    let server = std::env::var_os("REDIS_SERVER_BIN").map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
    Command::new(server)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed, or REDIS_SERVER_BIN names it")
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// Waits until `condition` holds; fails after five seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {what}");
}

/// A handle that is up.
pub async fn connected(server: &Server) -> Redis {
    let redis = Redis::connect(&server.url()).expect("a good URL");
    eventually("connected", || redis.is_up()).await;
    redis
}
