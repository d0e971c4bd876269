//! Three servers that share the keys among them.

use core::ops::RangeInclusive;

use redis::{FromRedisValue, RedisResult};

use super::servers::{Options, Server, line_value};
use super::slot_move::SlotMove;
use super::until::until;

/// Which slots a node has at first.
const SLOTS: [RangeInclusive<u16>; 3] = [0..=5_460, 5_461..=10_922, 10_923..=16_383];

/// Three masters without replicas, on TCP.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Returns when all three say that all is well, which takes some seconds.
    pub(crate) fn start_with(options: &Options) -> Self {
        let options = options
            .clone()
            .tcp(0)
            .set("cluster-enabled", "yes")
            .set("cluster-announce-ip", "127.0.0.1")
            // A node that is down takes only its own keys with it.
            .set("cluster-require-full-coverage", "no")
            .set("cluster-node-timeout", "5000");
        let nodes = SLOTS.map(|_| Server::start(options.clone())).into();
        let cluster = Self { nodes };
        for (node, slots) in SLOTS.into_iter().enumerate() {
            let (first, last) = slots.into_inner();
            let (first, last) = (first.to_string(), last.to_string());
            cluster.tell(node, &["ADDSLOTSRANGE", &first, &last]);
            // Apart from the start, so that they need not find out.
            cluster.tell(node, &["SET-CONFIG-EPOCH", &(node + 1).to_string()]);
        }
        for node in 1..SLOTS.len() {
            let port = cluster.nodes[node].port().expect("a port").to_string();
            cluster.tell(0, &["MEET", "127.0.0.1", &port]);
        }
        cluster.wait_until_well();
        cluster
    }

    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    /// To kill it, and bring it back: then [`wait_until_well`](Self::wait_until_well).
    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Server {
        &mut self.nodes[node]
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// Waits until each node knows all others and who has which slot.
    pub(crate) fn wait_until_well(&self) {
        let is_well = |node| {
            let info: String = self.ask(node, &["INFO"]).ok()?;
            let says = |field, value| (line_value(&info, field) == Some(value)).then_some(());
            says("cluster_state", "ok")?;
            says("cluster_known_nodes", "3")?;
            says("cluster_slots_ok", "16384")
        };
        until("a cluster that is well", || {
            (0..self.len())
                .all(|node| is_well(node).is_some())
                .then_some(())
        });
    }

    pub(crate) fn slot_of(&self, key: &str) -> u16 {
        self.ask(0, &["KEYSLOT", key]).unwrap()
    }

    /// The running node that says that the slot is its own. Just after a move there may be none for a moment, until the news has gone around.
    pub(crate) fn owner_of_slot(&self, slot: u16) -> usize {
        let owns = |node: &usize| {
            let slots = self.own_slots(*node);
            slots.iter().any(|slots| slots.contains(&slot))
        };
        until("an owner that runs", || {
            (0..self.len())
                .filter(|&node| self.nodes[node].is_running())
                .find(owns)
        })
    }

    pub(crate) fn owner_of(&self, key: &str) -> usize {
        self.owner_of_slot(self.slot_of(key))
    }

    /// A key of this node's, which begins so.
    pub(crate) fn key_on(&self, node: usize, prefix: &str) -> String {
        let slots = self.own_slots(node);
        (0..10_000)
            .map(|number| format!("{prefix}{number}"))
            .find(|key| slots.iter().any(|slots| slots.contains(&self.slot_of(key))))
            .expect("a key of this node's")
    }

    /// Opens the slot for its move to another node: until it is finished, its owner sends clients there for keys that it has not.
    pub(crate) fn begin_move(&self, slot: u16, to: usize) -> SlotMove<'_> {
        SlotMove::begin(self, slot, to)
    }

    /// Moves the slot and all keys that are in it.
    pub(crate) fn move_slot(&self, slot: u16, to: usize) {
        let moving = self.begin_move(slot, to);
        moving.move_keys();
        moving.finish();
    }

    pub(crate) fn id(&self, node: usize) -> String {
        self.ask(node, &["MYID"]).unwrap()
    }

    pub(crate) fn tell(&self, node: usize, arguments: &[&str]) {
        let () = self.ask(node, arguments).unwrap();
    }

    /// `CLUSTER` with these arguments.
    pub(crate) fn ask<R: FromRedisValue>(&self, node: usize, arguments: &[&str]) -> RedisResult<R> {
        let mut connection = self.nodes[node].connection_within(super::until::PATIENCE)?;
        redis::cmd("CLUSTER").arg(arguments).query(&mut connection)
    }

    /// The node's own line is `id address myself,master - 0 0 1 connected 0-5460 5470 [5471->-id]`, with slots on the move at the end.
    fn own_slots(&self, node: usize) -> Vec<RangeInclusive<u16>> {
        let nodes: String = self.ask(node, &["NODES"]).unwrap();
        let myself = nodes
            .lines()
            .find(|line| line.contains("myself"))
            .expect("its own line");
        let slots = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        myself.split(' ').skip(8).filter_map(slots).collect()
    }
}
