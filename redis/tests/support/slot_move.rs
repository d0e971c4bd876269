//! A slot on its way from one node of a cluster to another.

use super::cluster::Cluster;
use super::until::until;

/// A move that has begun, and stays halfway until it is finished.
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
        cluster.tell(to, &["SETSLOT", &text, "IMPORTING", &source]);
        cluster.tell(from, &["SETSLOT", &text, "MIGRATING", &target]);
        Self {
            cluster,
            slot,
            from,
            to,
        }
    }

    /// Moves the keys that are in the slot, and says how many.
    pub(crate) fn move_keys(&self) -> usize {
        let target = self.cluster.node(self.to).port().expect("a port");
        let slot = self.slot.to_string();
        let mut moved = 0;
        loop {
            let keys: Vec<String> = self
                .cluster
                .ask(self.from, &["GETKEYSINSLOT", &slot, "100"])
                .unwrap();
            if keys.is_empty() {
                return moved;
            }
            moved += keys.len();
            let mut migrate = redis::cmd("MIGRATE");
            migrate
                .arg("127.0.0.1")
                .arg(target)
                .arg("")
                .arg(0)
                .arg(10_000)
                .arg("KEYS")
                .arg(keys);
            let () = migrate
                .query(&mut self.cluster.node(self.from).connection())
                .unwrap();
        }
    }

    /// Makes the other node the owner, and returns when all know.
    pub(crate) fn finish(self) {
        let Self {
            cluster,
            slot,
            from,
            to,
        } = self;
        let (text, target) = (slot.to_string(), cluster.id(to));
        // The new owner first: so there is one at any time.
        let others = (0..cluster.len()).filter(|&node| node != to && node != from);
        for node in [to, from].into_iter().chain(others) {
            cluster.tell(node, &["SETSLOT", &text, "NODE", &target]);
        }
        until("a cluster that knows the slot's owner", || {
            (cluster.owner_of_slot(slot) == to).then_some(())
        });
        cluster.wait_until_well();
    }
}
