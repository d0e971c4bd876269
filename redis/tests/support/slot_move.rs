//! A slot that moves from one node of a cluster to another.

use super::cluster::Cluster;
use super::server::command;
use super::wait::until;

/// A move that has begun and stays halfway until it is finished.
#[derive(Debug)]
pub(crate) struct SlotMove<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: usize,
    to: usize,
}

impl<'a> SlotMove<'a> {
    pub(crate) fn begin(cluster: &'a Cluster, slot: u16, to: usize) -> Self {
        let from = cluster.owner_of_slot(slot);
        let (text, source, target) = (slot.to_string(), cluster.id(from), cluster.id(to));
        let () = cluster.ask(to, &["SETSLOT", &text, "IMPORTING", &source]);
        let () = cluster.ask(from, &["SETSLOT", &text, "MIGRATING", &target]);
        Self {
            cluster,
            slot,
            from,
            to,
        }
    }

    /// Moves the slot's keys and returns their number.
    pub(crate) fn move_keys(&self) -> usize {
        let slot = self.slot.to_string();
        let mut moved = 0;
        loop {
            let arguments = ["GETKEYSINSLOT", &slot, "100"];
            let keys: Vec<String> = self.cluster.ask(self.from, &arguments);
            if keys.is_empty() {
                return moved;
            }
            moved += keys.len();
            self.move_some(&keys);
        }
    }

    /// Moves these keys and leaves the others of the slot behind.
    pub(crate) fn move_some(&self, keys: &[String]) {
        let port = self.cluster.port(self.to).to_string();
        let done: String = command(&["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"])
            .arg(keys)
            .query(&mut self.cluster.node(self.from).connection())
            .unwrap();
        assert_eq!(done, "OK");
    }

    /// Makes the other node the owner, and returns when all nodes know.
    pub(crate) fn finish(self) {
        let Self {
            cluster,
            slot,
            from,
            to,
        } = self;
        let (text, target) = (slot.to_string(), cluster.id(to));
        // The new owner learns first, so the slot has an owner at any time.
        let others = (0..cluster.len()).filter(|&node| node != to && node != from);
        for node in [to, from].into_iter().chain(others) {
            let () = cluster.ask(node, &["SETSLOT", &text, "NODE", &target]);
        }
        // Told again until it holds: news of an earlier move that is still on its way may win over
        // the first telling.
        until("the slot's new owner", || {
            if cluster.owner_now(slot) == Some(to) {
                return true;
            }
            for node in 0..cluster.len() {
                // A node that cannot be told now is told again.
                let _: redis::RedisResult<()> =
                    cluster.try_ask(node, &["SETSLOT", &text, "NODE", &target]);
            }
            false
        });
        cluster.wait_until_healthy();
    }
}
