//! What the sentinels say: a master that they have replaced is left at once, whether it knows that it was or not.
//!
//! Such a one answers for seconds more, and for as long as it cannot be reached by them: its reads are of the past, and what it is told is
//! thrown away. So the sentinels are asked all the time, each over a connection of its own.

use std::time::Duration;

use fred::types::config::{Config, Server, ServerConfig};
use futures_util::future::join_all;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::{
    Error, RedisOptions, Reply,
    command::Command,
    link::{Link, Proof, Role},
};

/// The watch over one group. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Sentinels {
    votes: watch::Receiver<Vec<Server>>,
    task: JoinHandle<()>,
}

/// Whom each sentinel that answers takes for the master.
pub(crate) type Votes = watch::Receiver<Vec<Server>>;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(100);

/// Whether more of them name another master than this one. While none answers, nobody is replaced.
pub(crate) fn is_replaced(votes: &[Server], master: &Server) -> bool {
    let ours = votes.iter().filter(|vote| is_same(vote, master)).count();
    let largest = votes.iter().map(|vote| votes.iter().filter(|other| is_same(vote, other)).count()).max();
    largest.is_some_and(|largest| ours < largest)
}

// === impl Sentinels ===

impl Sentinels {
    /// None where there are no sentinels.
    pub(crate) fn start(options: &RedisOptions, config: &Config) -> Option<Self> {
        let ServerConfig::Sentinel { hosts, service_name, username, password } = &config.server else { return None };
        let link = |host: &Server| {
            let config = Config {
                server: ServerConfig::Centralized { server: host.clone() },
                username: username.clone(),
                password: password.clone(),
                database: None,
                ..config.clone()
            };
            Link::start(Role::Sentinel, options.plan(&config, Role::Sentinel), options.pace(Role::Sentinel))
        };
        let links: Vec<_> = hosts.iter().map(link).collect();
        let (sender, votes) = watch::channel(Vec::new());
        let task = tokio::spawn(ask_on(links, service_name.clone(), sender));
        Some(Self { votes, task })
    }

    pub(crate) fn votes(&self) -> Votes {
        self.votes.clone()
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask_on(links: Vec<Link>, name: String, votes: watch::Sender<Vec<Server>>) {
    loop {
        let answers = join_all(links.iter().map(|link| ask(link, &name))).await;
        let now: Vec<_> = answers.into_iter().filter_map(|answer| answer.ok().flatten()).collect();
        votes.send_if_modified(|votes| {
            let is_new = *votes != now;
            *votes = now;
            is_new
        });
        sleep(EVERY).await;
    }
}

/// Whom a sentinel takes for the master; none if it knows no such group.
async fn ask(link: &Link, name: &str) -> Result<Option<Server>, Error> {
    let command = Command::new("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name.to_owned());
    Ok(server(link.ask(command, Proof::Nonce).await?))
}

fn server(reply: Reply) -> Option<Server> {
    let mut parts = reply.into_list()?.into_iter().map(Reply::into_bytes);
    let (host, port) = (parts.next()??, parts.next()??);
    let port = std::str::from_utf8(&port).ok()?.parse().ok()?;
    Some(Server::new(std::str::from_utf8(&host).ok()?, port))
}

/// The name by which TLS knows it does not matter.
fn is_same(one: &Server, other: &Server) -> bool {
    one.host == other.host && one.port == other.port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_replaced_when_more_sentinels_say_so_than_not() {
        let of = |votes: &str| votes.chars().map(|host| Server::new(host.to_string(), 1)).collect::<Vec<_>>();
        for (votes, expected) in
            [("", false), ("a", false), ("b", true), ("ab", false), ("abb", true), ("aab", false), ("bc", true)]
        {
            assert_eq!(is_replaced(&of(votes), &Server::new("a", 1)), expected, "{votes}");
        }
        assert!(is_replaced(&of("a"), &Server::new("a", 2)));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let text = |text: &'static str| Reply::Bytes(text.into());
        assert_eq!(server(Reply::List(vec![text("10.0.0.1"), text("6379")])), Some(Server::new("10.0.0.1", 6379)));
        for other in
            [Reply::Nil, text("10.0.0.1"), Reply::List(vec![text("a")]), Reply::List(vec![text("a"), text("b")])]
        {
            assert_eq!(server(other), None);
        }
    }
}
