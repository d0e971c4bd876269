//! What happens to a bucket and its nodes, step by step.

use tidegate::Quota;

pub(crate) const NODES: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Wait(u64),
    /// Waits for the last moment at which a node may spend its lease.
    UntilDeadline(usize),
    /// Waits for the first moment at which the server may consider the lease ended.
    UntilEnd(usize),
    /// Waits for the lease's time, plus or minus a few microseconds.
    LeaseTime(i8),
    Take(u64),
    TakeAll,
    Peek,
    Debit(u64),
    Spend(usize, u64),
    SpendAll(usize),
    Send(usize, Demand),
    /// One of the requests in flight arrives, perhaps one that its node no longer waits for.
    Arrive(usize),
    /// The node receives the reply to a request that has arrived.
    Receive(usize),
    /// The node stops waiting for a reply.
    GiveUp(usize),
    /// A request arrives and is answered at once.
    Refill(usize, Demand),
    Crash(usize),
    StepBack(u64),
    /// The server loses the key.
    Lose,
}

impl Event {
    /// The node that the event concerns.
    pub(crate) const fn node_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::UntilDeadline(node)
            | Self::UntilEnd(node)
            | Self::Spend(node, _)
            | Self::SpendAll(node)
            | Self::Send(node, _)
            | Self::Receive(node)
            | Self::GiveUp(node)
            | Self::Refill(node, _)
            | Self::Crash(node) => Some(node),
            _ => None,
        }
    }
}

/// Why a node sends a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Demand {
    Batch {
        permits: u64,
        /// What a waiting caller needs.
        needed: u64,
    },
    /// No caller has needed permits for a while.
    Idle,
    /// The node's last request.
    Close,
}

/// A batch as large as possible.
pub(crate) const BATCH: Demand = Demand::Batch {
    permits: u64::MAX,
    needed: 0,
};

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) quota: Quota,
    pub(crate) ttl_us: u64,
    /// Whether a missing bucket counts as empty for the time of a lease, or else as full.
    pub(crate) starts_empty: bool,
    /// How much of a node's smallest safety margin its slow clock uses up, in thousandths. The
    /// margin is a hundredth of the lease's time.
    pub(crate) slow_clock: u64,
    pub(crate) events: Vec<Event>,
}

impl History {
    pub(crate) const fn new(quota: Quota, ttl_us: u64, events: Vec<Event>) -> Self {
        Self {
            quota,
            ttl_us,
            starts_empty: false,
            slow_clock: 0,
            events,
        }
    }

    pub(crate) const fn empty_for_us(&self) -> u64 {
        if self.starts_empty { self.ttl_us } else { 0 }
    }
}
