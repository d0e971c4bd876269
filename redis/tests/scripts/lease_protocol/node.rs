//! A node's side of the protocol, which follows the crate's refill task.

use core::mem::take;

use super::history::{Demand, History};
use super::simulation::lease_end;
use crate::scaled_quota::Amount;
use crate::script_calls::{amounts, number, scaled};

/// A request to the script `lease`.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRequest {
    sent_us: u64,
    hold: u64,
    back: u64,
    pub(crate) batches: Vec<u64>,
    pub(crate) arguments: Vec<Vec<u8>>,
    closes: bool,
    pub(crate) state: RequestState,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestState {
    InFlight,
    /// The server had seen a later request of the node.
    Superseded,
    Answered(Grant),
}

impl LeaseRequest {
    pub(crate) const fn is_in_flight(&self) -> bool {
        matches!(self.state, RequestState::InFlight)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) permits: u64,
    /// Whether the node's earlier lease is still valid.
    pub(crate) still_held: bool,
    /// How often the key had been lost before.
    pub(crate) life: usize,
    pub(crate) record: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct LeaseNode {
    name: [u8; 16],
    /// Where the server keeps what it knows of the node.
    record: u64,
    seq: u64,
    acked: u64,
    outstanding: u64,
    pub(crate) held: u64,
    pub(crate) deadline_us: u64,
    pub(crate) end_us: u64,
    pub(crate) request: Option<LeaseRequest>,
    /// The life of the key in which the server granted what the node holds.
    pub(crate) life: usize,
}

/// What the caller must do with the node afterwards.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    Open,
    Closed,
}

/// A name without runs of zeros, which a record has, too.
fn name(created: usize) -> [u8; 16] {
    let created = u128::try_from(created).unwrap() + 1;
    created
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        .to_be_bytes()
}

impl LeaseNode {
    pub(crate) fn new(created: usize) -> Self {
        Self {
            name: name(created),
            record: 0,
            seq: 0,
            acked: 0,
            outstanding: 0,
            held: 0,
            deadline_us: 0,
            end_us: 0,
            request: None,
            life: 0,
        }
    }

    /// Takes up to `most` permits from the lease.
    pub(crate) fn spend(&mut self, most: u64, now_us: u64) -> u64 {
        if now_us >= self.deadline_us {
            return 0;
        }
        let spent = self.held.min(most);
        self.held -= spent;
        spent
    }

    /// Sends a request, unless the node waits for a reply already.
    pub(crate) fn send(&mut self, demand: Demand, history: &History, now_us: u64) {
        if self.request.is_some() {
            return;
        }
        let half = history.quota.capacity() / 2;
        let (mut hold, mut back) = if now_us < self.deadline_us {
            (self.held, 0)
        } else {
            (0, take(&mut self.held))
        };
        let mut batches = Vec::new();
        match demand {
            Demand::Idle if hold + back != self.outstanding => batches.push(1),
            Demand::Idle | Demand::Close => {
                back += take(&mut self.held);
                hold = 0;
            }
            Demand::Batch { permits, needed } => {
                let least = needed.saturating_sub(hold).max(1);
                batches.push(least);
                let batch = permits.min(half).max(1).saturating_sub(hold);
                let mut rest = batch.saturating_sub(least);
                while rest > 0 {
                    let part = rest.div_ceil(2);
                    batches.push(part);
                    rest -= part;
                }
            }
        }
        self.seq += 1;
        let scaled = scaled(history.quota);
        let cost = |permits: u64| scaled.cost(permits);
        let mut arguments = vec![number(scaled.den())];
        arguments.extend(amounts(&[scaled.full()]));
        arguments.push(number(history.empty_for_us()));
        arguments.extend(amounts(&[Amount::default()]));
        arguments.push(self.name.to_vec());
        arguments.extend([self.record, self.seq, self.acked].map(number));
        arguments.extend(amounts(&[cost(hold), cost(back)]));
        arguments.push(number(history.ttl_us));
        arguments.extend(amounts(&[cost(half)]));
        arguments.extend(amounts(
            &batches.iter().copied().map(cost).collect::<Vec<_>>(),
        ));
        self.request = Some(LeaseRequest {
            sent_us: now_us,
            hold,
            back,
            batches,
            arguments,
            closes: matches!(demand, Demand::Close),
            state: RequestState::InFlight,
        });
    }

    /// Receives the reply, if the request has arrived.
    pub(crate) fn receive(&mut self, history: &History) -> NodeState {
        let grant = match self.request.as_ref().map(|request| request.state) {
            None | Some(RequestState::InFlight) => return NodeState::Open,
            Some(RequestState::Superseded) => return self.give_up().1,
            Some(RequestState::Answered(grant)) => grant,
        };
        let request = self.request.take().expect("answered");
        if request.closes {
            return NodeState::Closed;
        }
        self.acked = self.seq;
        self.record = grant.record;
        let mut kept = request.hold;
        if !grant.still_held {
            (self.held, kept) = (0, 0);
        }
        self.life = grant.life;
        self.outstanding = kept + grant.permits;
        self.held += grant.permits;
        let slow = history.ttl_us / 100 * history.slow_clock / 1_000;
        self.end_us = lease_end(request.sent_us, history.ttl_us);
        self.deadline_us = request.sent_us + history.ttl_us - history.ttl_us / 100 + slow;
        NodeState::Open
    }

    /// Stops waiting for the reply. Returns the request if it is still in flight.
    pub(crate) fn give_up(&mut self) -> (Option<LeaseRequest>, NodeState) {
        let Some(request) = self.request.take() else {
            return (None, NodeState::Open);
        };
        self.outstanding = self.outstanding.saturating_sub(request.back);
        let state = if request.closes {
            NodeState::Closed
        } else {
            NodeState::Open
        };
        (Some(request).filter(LeaseRequest::is_in_flight), state)
    }
}
