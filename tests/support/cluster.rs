//! [`RedisCluster`]: real nodes with all slots given out, and slots that migrate step by step.
//!
//! ```no_run
//! use buttress_tests::RedisCluster;
//! let cluster = RedisCluster::start(3, 0);
//! let slot = cluster.slot("some key");
//! let (from, to) = (cluster.owner(slot), (cluster.owner(slot) + 1) % 3);
//! cluster.begin_migration(slot, from, to);
//! while cluster.migrate_keys(slot, from, to, 10) > 0 {}
//! cluster.finish_migration(slot, to);
//! ```

use std::time::Duration;

use crate::resp::Reply;
use crate::server::RedisServer;

const SLOTS: usize = 16_384;

/// A cluster on loopback ports whose nodes notice a dead one after a second.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
}

// === impl RedisCluster ===

impl RedisCluster {
    /// Starts `masters` with the slots in equal shares, and `replicas` for each.
    ///
    /// # Panics
    /// When the nodes do not agree within fifteen seconds.
    #[must_use]
    pub fn start(masters: usize, replicas: usize) -> Self {
        let node = || {
            RedisServer::with()
                .arg("cluster-enabled", "yes")
                .arg("cluster-node-timeout", 1_000)
                .arg("cluster-require-full-coverage", "no")
                .arg("repl-diskless-sync-delay", 0)
                .start()
        };
        let nodes: Vec<_> = (0..masters * (1 + replicas)).map(|_| node()).collect();
        let cluster = Self { nodes, masters };
        cluster.hand_out_slots();
        cluster.introduce();
        cluster.attach_replicas();
        cluster
    }

    /// The nodes: masters first, then the replicas; the replica `masters + i` belongs to the master `i % masters`.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// `redis-cluster://127.0.0.1:port?node=127.0.0.1:port&…`, naming every node.
    #[must_use]
    pub fn url(&self) -> String {
        let others: Vec<_> = self.nodes[1..].iter().map(|node| format!("node=127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://127.0.0.1:{}?{}", self.nodes[0].port(), others.join("&"))
    }

    /// The slot of a key.
    #[must_use]
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).int();
        u16::try_from(slot).expect("a slot is below 16384")
    }

    /// Which of the masters that were started had this slot at the beginning.
    #[must_use]
    pub fn owner(&self, slot: u16) -> usize {
        (usize::from(slot) * self.masters) / SLOTS
    }

    /// From now on `from` sends clients on to `to` with `ASK` for each key of the slot that it no longer has.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        self.ok(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        self.ok(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
    }

    /// Moves up to `count` keys of the slot and says how many it moved.
    #[must_use]
    pub fn migrate_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> usize {
        let found = self.nodes[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()]);
        let keys: Vec<_> = found.array().iter().map(Reply::text).collect();
        if keys.is_empty() {
            return 0;
        }
        let port = self.nodes[to].port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        self.ok(from, &command);
        keys.len()
    }

    /// Gives the slot to `to` for good and tells every node.
    pub fn finish_migration(&self, slot: u16, to: usize) {
        let (slot, id) = (slot.to_string(), self.id(to));
        // The new owner first, as redis-cli does: for a moment two nodes answer, never none.
        let others = (0..self.masters).filter(|&node| node != to);
        for node in std::iter::once(to).chain(others) {
            self.ok(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
    }

    /// Waits until every replica has all that its master has: a link that is up may still not carry anything for a second.
    ///
    /// # Panics
    /// When that takes longer than fifteen seconds.
    pub fn await_replicas(&self) {
        let has_all = |(place, replica): (usize, &RedisServer)| {
            let master = self.nodes[place % self.masters].info("master_repl_offset");
            master.is_some_and(|offset| offset != "0" && Some(offset) == replica.info("slave_repl_offset"))
        };
        let replicas = || self.nodes.iter().enumerate().skip(self.masters);
        eventually("the replicas have all that their masters have", || replicas().all(has_all));
    }

    fn hand_out_slots(&self) {
        for master in 0..self.masters {
            let mine = (0..SLOTS).filter(|slot| slot * self.masters / SLOTS == master).map(|slot| slot.to_string());
            let command: Vec<_> = ["CLUSTER".to_owned(), "ADDSLOTS".to_owned()].into_iter().chain(mine).collect();
            self.ok(master, &command);
            // Nodes of equal epoch would quarrel first.
            self.ok(master, &["CLUSTER", "SET-CONFIG-EPOCH", &(master + 1).to_string()]);
        }
    }

    fn introduce(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[..place] {
                assert!(!node.cli(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]).is_error());
            }
        }
        let agree = || self.nodes.iter().all(|node| self.is_content(node));
        eventually("the nodes agree", agree);
    }

    fn is_content(&self, node: &RedisServer) -> bool {
        let info = node.cli(&["CLUSTER", "INFO"]).text();
        info.contains("cluster_state:ok")
            && info.contains(&format!("cluster_slots_ok:{SLOTS}"))
            && info.contains(&format!("cluster_known_nodes:{}", self.nodes.len()))
    }

    fn attach_replicas(&self) {
        for place in self.masters..self.nodes.len() {
            self.ok(place, &["CLUSTER", "REPLICATE", &self.id(place % self.masters)]);
        }
        let in_step = |node: &RedisServer| node.info("master_link_status").as_deref() == Some("up");
        eventually("the replicas are in step", || self.nodes[self.masters..].iter().all(in_step));
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].cli(&["CLUSTER", "MYID"]).text()
    }

    #[track_caller]
    fn ok<A: AsRef<[u8]>>(&self, node: usize, command: &[A]) {
        let reply = self.nodes[node].cli(command);
        assert!(!reply.is_error(), "node {node} refused: {reply:?}");
    }
}

/// Asks every 20 ms, for fifteen seconds.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..750 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not within fifteen seconds: {what}");
}
