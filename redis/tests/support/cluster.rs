//! A cluster of three nodes that share the keys.

use core::ops::RangeInclusive;

use redis::{FromRedisValue, RedisResult};

use super::server::{Server, ServerOptions, field_value};
use super::slot_move::SlotMove;
use super::wait::until;

/// The slots that each node owns at first.
const SLOTS: [RangeInclusive<u16>; 3] = [0..=5_460, 5_461..=10_922, 10_923..=16_383];

/// Three masters without replicas, on TCP.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster of each available kind, one after the other.
    pub(crate) fn each_kind() -> impl Iterator<Item = Self> {
        ServerOptions::each_kind().map(|options| Self::start(options.durable()))
    }

    /// Returns once all three nodes report a healthy cluster, which takes some seconds.
    pub(crate) fn start(options: ServerOptions) -> Self {
        let options = options
            .tcp()
            .set("cluster-enabled", "yes")
            .set("cluster-announce-ip", "127.0.0.1")
            // A node that is down affects only its own keys.
            .set("cluster-require-full-coverage", "no")
            .set("cluster-node-timeout", "5000");
        let nodes = SLOTS.map(|_| options.clone().start()).into();
        let cluster = Self { nodes };
        for (node, slots) in SLOTS.into_iter().enumerate() {
            let (first, last) = (slots.start().to_string(), slots.end().to_string());
            let () = cluster.ask(node, &["ADDSLOTSRANGE", &first, &last]);
            // Distinct from the start, so that the nodes need not resolve a conflict.
            let () = cluster.ask(node, &["SET-CONFIG-EPOCH", &(node + 1).to_string()]);
        }
        for node in 1..SLOTS.len() {
            let port = cluster.port(node).to_string();
            let () = cluster.ask(0, &["MEET", "127.0.0.1", &port]);
        }
        cluster.wait_until_healthy();
        cluster
    }

    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    /// For killing and restarting the node. Call `wait_until_healthy` after a restart.
    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Server {
        &mut self.nodes[node]
    }

    pub(crate) fn port(&self, node: usize) -> u16 {
        self.nodes[node]
            .port()
            .expect("cluster nodes listen on TCP")
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// Waits until each node knows all others and the owner of each slot.
    pub(crate) fn wait_until_healthy(&self) {
        let healthy = [
            ("cluster_state", "ok"),
            ("cluster_known_nodes", "3"),
            ("cluster_slots_ok", "16384"),
        ];
        until("a healthy cluster", || {
            (0..self.len()).all(|node| {
                let info: String = self.try_ask(node, &["INFO"]).unwrap_or_default();
                let has = |(field, value)| field_value(&info, field) == Some(value);
                healthy.into_iter().all(has)
            })
        });
    }

    pub(crate) fn slot_of(&self, key: &str) -> u16 {
        self.ask(0, &["KEYSLOT", key])
    }

    /// Returns the running node that claims the slot.
    ///
    /// Waits for it: just after a move no node may claim the slot until the news has spread.
    pub(crate) fn owner_of_slot(&self, slot: u16) -> usize {
        until("a running owner of the slot", || self.owner_now(slot))
    }

    /// Returns the running node that claims the slot, if one does now.
    pub(crate) fn owner_now(&self, slot: u16) -> Option<usize> {
        (0..self.len()).find(|&node| self.nodes[node].is_running() && self.owns(node, slot))
    }

    pub(crate) fn owner_of(&self, key: &str) -> usize {
        self.owner_of_slot(self.slot_of(key))
    }

    /// Returns a key with this prefix that the node owns.
    pub(crate) fn key_on(&self, node: usize, prefix: &str) -> String {
        (0..10_000)
            .map(|number| format!("{prefix}{number}"))
            .find(|key| self.owns(node, self.slot_of(key)))
            .expect("the node owns some key")
    }

    /// Returns a key for each node, in the order of the nodes.
    pub(crate) fn key_on_each(&self, prefix: &str) -> Vec<String> {
        (0..self.len())
            .map(|node| self.key_on(node, prefix))
            .collect()
    }

    /// Begins to move a slot. Until the move is finished, the old owner redirects clients to the
    /// new one for keys that it does not hold.
    pub(crate) fn begin_move(&self, slot: u16, to: usize) -> SlotMove<'_> {
        SlotMove::begin(self, slot, to)
    }

    /// Moves the slot and all of its keys.
    pub(crate) fn move_slot(&self, slot: u16, to: usize) {
        let slot_move = self.begin_move(slot, to);
        slot_move.move_keys();
        slot_move.finish();
    }

    pub(crate) fn id(&self, node: usize) -> String {
        self.ask(node, &["MYID"])
    }

    /// Runs `CLUSTER` with these arguments on a node.
    #[track_caller]
    pub(crate) fn ask<R: FromRedisValue>(&self, node: usize, arguments: &[&str]) -> R {
        self.try_ask(node, arguments).unwrap()
    }

    pub(crate) fn try_ask<R: FromRedisValue>(
        &self,
        node: usize,
        arguments: &[&str],
    ) -> RedisResult<R> {
        self.nodes[node].try_query(&[&["CLUSTER"], arguments].concat())
    }

    /// A node describes itself as `id address myself,master - 0 0 1 connected 0-5460 5470
    /// [5471->-id]`, with its slots and then those on the move.
    fn owns(&self, node: usize, slot: u16) -> bool {
        let nodes: String = self.ask(node, &["NODES"]);
        let mut lines = nodes.lines();
        let myself = lines.find(|line| line.contains("myself"));
        let slots = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
        };
        let own = myself.expect("the node's own line").split(' ').skip(8);
        own.filter_map(slots).any(|slots| slots.contains(&slot))
    }
}
