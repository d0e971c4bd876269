//! The values of semaphores, as `semaphore.lua` writes them.

use core::time::Duration;

use super::numbers::{Numbers, is_exact};

const HEAD_SIZE: usize = 22;
const RECORD_SIZE: usize = 58;

/// What nodes hold of a [`RedisSemaphore`](crate::RedisSemaphore), at one instant. Only the nodes
/// know its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSemaphore {
    /// The key on the server.
    pub key: Vec<u8>,
    /// The permits that are out.
    pub held: u64,
    /// The nodes that hold permits or wait for some.
    pub nodes: Vec<StoredHold>,
}

/// What one node holds of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredHold {
    /// The random name of the node; `None` for permits that any node may hold, because the server
    /// has lost its data: see
    /// [`SemaphoreOptions::start_empty`](crate::SemaphoreOptions::start_empty).
    pub node: Option<[u8; 16]>,
    /// The permits that it holds.
    pub held: u64,
    /// When these come back, unless the node renews them.
    pub ends_in: Duration,
    /// For how many permits it waits.
    pub waits_for: u64,
}

impl StoredSemaphore {
    /// Reads a value at `now_us` on the server's clock; `None` if it is no semaphore.
    pub(super) fn read(key: &[u8], value: &[u8], now_us: u64) -> Option<Self> {
        let mut numbers = Numbers(value);
        (numbers.bytes(1)? == b"S").then_some(())?;
        let (offset, last) = (numbers.next(7)?, numbers.next(7)?);
        numbers.next(7)?;
        let records = value.get(HEAD_SIZE..)?;
        let is_semaphore =
            is_exact(offset) && is_exact(last) && records.len().is_multiple_of(RECORD_SIZE);
        is_semaphore.then_some(())?;
        // While the clock is behind the last write, no lease ends.
        let at = now_us.checked_add(offset)?.max(last);
        let records = records.chunks_exact(RECORD_SIZE);
        let holds = records.filter_map(|record| StoredHold::read(record, at));
        let nodes: Vec<StoredHold> = holds.collect();
        Some(Self {
            key: key.to_vec(),
            held: nodes
                .iter()
                .fold(0, |sum, node| sum.saturating_add(node.held)),
            nodes,
        })
    }

    /// Returns how many permits are left of a limit.
    pub const fn available(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.held)
    }

    /// Returns how many nodes hold permits.
    pub fn holding_nodes(&self) -> usize {
        self.holders().count()
    }

    /// Returns how many nodes wait for permits.
    pub fn waiting_nodes(&self) -> usize {
        self.nodes.iter().filter(|node| node.waits_for > 0).count()
    }

    /// Returns when the first permits come back, unless their node renews them; `None` if none is
    /// out.
    pub fn first_ends_in(&self) -> Option<Duration> {
        self.holders().map(|node| node.ends_in).min()
    }

    /// Returns when all permits are back, unless nodes renew them; `None` if none is out.
    pub fn last_ends_in(&self) -> Option<Duration> {
        self.holders().map(|node| node.ends_in).max()
    }

    fn holders(&self) -> impl Iterator<Item = &StoredHold> {
        self.nodes.iter().filter(|node| node.held > 0)
    }
}

impl StoredHold {
    /// `None` if the lease has ended, or the node neither holds nor waits: its record is kept only
    /// for the order of its requests.
    fn read(record: &[u8], at: u64) -> Option<Self> {
        let mut numbers = Numbers(record);
        let node = numbers.next_chunk::<16>()?;
        numbers.next(7)?;
        let (held, ends) = (numbers.next(7)?, numbers.next(7)?);
        numbers.next(7)?;
        let (wanted, wanted_until) = (numbers.next(7)?, numbers.next(7)?);
        let waits_for = if wanted_until > at { wanted } else { 0 };
        let counts = ends > at && (held > 0 || waits_for > 0);
        counts.then(|| Self {
            node: (node != [0; 16]).then_some(node),
            held,
            ends_in: Duration::from_micros(ends - at),
            waits_for,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::bytes;
    use super::*;

    const NOW: u64 = 1_790_000_000_000_000;

    fn read(value: &[u8]) -> Option<StoredSemaphore> {
        StoredSemaphore::read(b"key", value, NOW)
    }

    fn head(offset: u64, last: u64) -> Vec<u8> {
        [b"S".to_vec(), bytes(&[(offset, 7), (last, 7), (4, 7)])].concat()
    }

    fn record(node: u8, held: u64, ends: u64, want: u64, until: u64) -> Vec<u8> {
        let numbers = [(9, 7), (held, 7), (ends, 7), (2, 7), (want, 7), (until, 7)];
        [vec![node; 16], bytes(&numbers)].concat()
    }

    #[test]
    fn holds_that_have_not_ended_count() {
        let value = [
            head(0, NOW - 5),
            record(1, 2, NOW + 900, 0, 0),
            record(2, 8, NOW, 0, 0),
            record(5, 8, NOW - 7, 0, 0),
            record(0, 1, NOW + 400, 0, 0),
            record(3, 0, NOW + 70, 4, NOW + 30),
            record(4, 0, NOW + 70, 4, NOW),
        ];
        let found = read(&value.concat()).unwrap();
        assert_eq!(
            (found.held, found.available(5), found.available(2)),
            (3, 2, 0)
        );
        assert_eq!((found.holding_nodes(), found.waiting_nodes()), (2, 1));
        assert_eq!(found.first_ends_in(), Some(Duration::from_micros(400)));
        assert_eq!(found.last_ends_in(), Some(Duration::from_micros(900)));
        let nodes: Vec<_> = found.nodes.iter().map(|hold| hold.node).collect();
        assert_eq!(nodes, [Some([1; 16]), None, Some([3; 16])]);
        assert_eq!(found.nodes[2].waits_for, 4);
    }

    #[test]
    fn no_lease_ends_while_the_clock_is_behind() {
        let value = [head(0, NOW + 600), record(1, 2, NOW + 900, 0, 0)].concat();
        let ends_in = read(&value).unwrap().last_ends_in();
        assert_eq!(ends_in, Some(Duration::from_micros(300)));
        let value = [head(100, NOW), record(1, 2, NOW + 900, 0, 0)].concat();
        let ends_in = read(&value).unwrap().last_ends_in();
        assert_eq!(ends_in, Some(Duration::from_micros(800)));
    }

    #[test]
    fn other_values_are_no_semaphore() {
        let found = read(&head(0, NOW)).unwrap();
        assert_eq!((found.held, found.last_ends_in()), (0, None));
        for value in [
            b"".to_vec(),
            b"S".to_vec(),
            b"Sleeping in the afternoon".to_vec(),
            [head(0, NOW), vec![0; 57]].concat(),
            head(1 << 53, NOW),
            head(0, 1 << 53),
            [b"W".to_vec(), head(0, NOW)[1..].to_vec()].concat(),
        ] {
            assert_eq!(read(&value), None, "{value:?}");
        }
    }
}
