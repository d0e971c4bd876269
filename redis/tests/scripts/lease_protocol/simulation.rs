//! Plays a history on the server and checks it.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::history::{Demand, Event, History, NODES};
use super::node::{Grant, LeaseNode, LeaseRequest, NodeState, RequestState};
use crate::scaled_quota::ScaledQuota;
use crate::script_calls::{BucketCharge, ScriptCall, numbers, scaled};
use crate::script_harness::{START_US, Scripts, fresh_key};
use crate::support::admission::Admission;
use crate::support::bound::Bound;

pub(crate) struct Simulation<'a> {
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) history: &'a History,
    pub(crate) scaled: ScaledQuota,
    pub(crate) key: String,
    pub(crate) nodes: Vec<LeaseNode>,
    nodes_created: usize,
    /// Requests in flight whose nodes no longer wait for them.
    abandoned: Vec<LeaseRequest>,
    pub(crate) now_us: u64,
    /// How far the server's clock is behind.
    behind_us: u64,
    /// How often the key was lost.
    life: usize,
    /// One list for each life of the key.
    admissions: Vec<Vec<Admission>>,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(scripts: &'a mut Scripts, history: &'a History) -> Self {
        Self {
            scripts,
            history,
            scaled: scaled(history.quota),
            key: fresh_key(),
            nodes: (0..NODES).map(LeaseNode::new).collect(),
            nodes_created: NODES,
            abandoned: Vec::new(),
            now_us: START_US,
            behind_us: 0,
            life: 0,
            admissions: vec![Vec::new()],
        }
    }

    /// Permits that all nodes hold.
    pub(crate) fn held(&self) -> u64 {
        self.nodes.iter().map(|node| node.held).sum()
    }

    fn admit(&mut self, life: usize, permits: u64) {
        if permits > 0 {
            let now_ns = (self.now_us - START_US) * 1_000;
            self.admissions[life].push(Admission::at(now_ns, permits));
        }
    }

    /// Calls the server directly. Returns whether it admitted, and the permits available
    /// afterwards.
    pub(crate) fn call(&mut self, op: &str, cost: u64) -> Result<(bool, u64), TestCaseError> {
        let charge = BucketCharge::new(self.scaled, cost);
        let (empty_for, now) = (self.history.empty_for_us(), self.now_us - self.behind_us);
        let reply = self
            .scripts
            .take_one(op, &self.key, charge, empty_for, now)?;
        Ok((reply.admitted, self.scaled.available(reply.ahead[0])))
    }

    fn take(&mut self, cost: u64) -> TestCaseResult {
        if self.call("take", cost)?.0 {
            self.admit(self.life, cost);
        }
        Ok(())
    }

    fn spend(&mut self, node: usize, most: u64) {
        let spent = self.nodes[node].spend(most, self.now_us);
        self.admit(self.nodes[node].life, spent);
    }

    fn send(&mut self, node: usize, demand: Demand) {
        self.nodes[node].send(demand, self.history, self.now_us);
    }

    /// Delivers a request to the server.
    fn arrive(&mut self, request: &mut LeaseRequest) -> TestCaseResult {
        let (reply, stored) = self.scripts.lease(ScriptCall {
            keys: vec![self.key.clone()],
            arguments: request.arguments.clone(),
            now_us: self.now_us - self.behind_us,
        });
        let reply = numbers(&reply)?;
        let Ok(places) = u64::try_from(reply[0]) else {
            request.state = RequestState::Superseded;
            return Ok(());
        };
        let granted = request.batches.iter().enumerate();
        let granted = granted.filter(|(place, _)| places >> place & 1 == 1);
        let permits = granted.map(|(_, permits)| permits).sum();
        let held = held_us(stored[0].value.as_deref().unwrap_or_default());
        let most = |permits: u64| self.scaled.cost(permits).us + 4;
        let capacity = self.history.quota.capacity();
        prop_assert!(held <= most(capacity), "{held} us are held");
        prop_assert!(
            places == 0 || places & 1 == 1,
            "parts without the first amount"
        );
        if places > 1 {
            prop_assert!(held <= most(capacity / 2), "{held} us are held by batches");
        }
        prop_assert!(permits > 0 || request.batches.is_empty() || reply[2] > 0);
        request.state = RequestState::Answered(Grant {
            permits,
            still_held: reply[1] == 1,
            life: self.life,
            record: u64::try_from(reply[6]).unwrap(),
        });
        Ok(())
    }

    fn arrive_from(&mut self, node: usize) -> TestCaseResult {
        let mut request = self.nodes[node].request.take().expect("a request");
        self.arrive(&mut request)?;
        self.nodes[node].request = Some(request);
        Ok(())
    }

    fn arrive_any(&mut self, choice: usize) -> TestCaseResult {
        let in_flight = |node: &LeaseNode| {
            let request = node.request.as_ref();
            request.is_some_and(LeaseRequest::is_in_flight)
        };
        let indices = 0..self.nodes.len();
        let senders: Vec<_> = indices
            .filter(|&node| in_flight(&self.nodes[node]))
            .collect();
        let abandoned = self.abandoned.len();
        match choice.checked_rem(abandoned + senders.len()) {
            None => Ok(()),
            Some(choice) if choice < abandoned => {
                let mut request = self.abandoned.remove(choice);
                self.arrive(&mut request)
            }
            Some(choice) => self.arrive_from(senders[choice - abandoned]),
        }
    }

    fn receive(&mut self, node: usize) {
        if self.nodes[node].receive(self.history) == NodeState::Closed {
            self.replace(node);
        }
    }

    fn give_up(&mut self, node: usize) {
        let (request, state) = self.nodes[node].give_up();
        self.abandoned.extend(request);
        if state == NodeState::Closed {
            self.replace(node);
        }
    }

    /// Puts a new node in the place of one that closed or crashed.
    fn replace(&mut self, index: usize) {
        let new = LeaseNode::new(self.nodes_created);
        self.nodes_created += 1;
        let old = core::mem::replace(&mut self.nodes[index], new);
        let request = old.request.filter(LeaseRequest::is_in_flight);
        self.abandoned.extend(request);
    }

    fn wait_until(&mut self, us: u64) {
        self.now_us = self.now_us.max(us);
    }

    pub(crate) fn apply(&mut self, event: Event) -> TestCaseResult {
        match event {
            Event::Wait(us) => self.now_us += us,
            Event::UntilDeadline(node) => {
                self.wait_until(self.nodes[node].deadline_us.saturating_sub(1));
            }
            Event::UntilEnd(node) => self.wait_until(self.nodes[node].end_us),
            Event::LeaseTime(more) => {
                let end_us = lease_end(self.now_us, self.history.ttl_us);
                self.now_us = end_us.saturating_add_signed(more.into());
            }
            Event::Take(cost) => self.take(1 + cost % self.history.quota.capacity())?,
            Event::TakeAll => {
                let (_, available) = self.call("peek", 0)?;
                self.take(available)?;
            }
            Event::Peek => self.call("peek", 1).map(drop)?,
            Event::Debit(cost) => self.call("debit", cost).map(drop)?,
            Event::Spend(node, most) => self.spend(node, most),
            Event::SpendAll(node) => self.spend(node, u64::MAX),
            Event::Send(node, demand) => self.send(node, demand),
            Event::Arrive(choice) => self.arrive_any(choice)?,
            Event::Receive(node) => self.receive(node),
            Event::GiveUp(node) => self.give_up(node),
            Event::Refill(node, demand) => {
                self.send(node, demand);
                let request = self.nodes[node].request.as_ref();
                if request.is_some_and(LeaseRequest::is_in_flight) {
                    self.arrive_from(node)?;
                }
                self.receive(node);
            }
            Event::Crash(node) => self.replace(node),
            Event::StepBack(us) => self.behind_us += us,
            Event::Lose => {
                self.scripts.lose(&self.key);
                // Unless buckets start empty, the bound holds only within one life of the key.
                if !self.history.starts_empty {
                    self.life += 1;
                    self.admissions.push(Vec::new());
                }
            }
        }
        Ok(())
    }

    /// Checks that the bucket is full again once all leases have ended and all debts are paid.
    fn check_all_returns(&mut self) -> TestCaseResult {
        for node in 0..self.nodes.len() {
            self.replace(node);
        }
        let events = self.history.events.iter();
        let debits = events.map(|event| match event {
            Event::Debit(cost) => *cost,
            _ => 0,
        });
        let capacity = self.history.quota.capacity();
        let debt = debits.sum::<u64>() + capacity;
        // Time is clamped until the first call after a step back, and a lost bucket refills from
        // the first call on.
        self.call("peek", 0)?;
        self.now_us += 2 * self.history.ttl_us + self.scaled.cost(debt + capacity).us + 2;
        let (_, available) = self.call("peek", 0)?;
        prop_assert_eq!(available, capacity, "the bucket should be full again");
        Ok(())
    }
}

/// When the server considers a lease ended: leases end together, at multiples of a power of two
/// above an eighth of their time to live.
pub(crate) const fn lease_end(granted_us: u64, ttl_us: u64) -> u64 {
    let step = (ttl_us / 4 + 1).next_power_of_two() / 2;
    (granted_us + ttl_us).next_multiple_of(step)
}

/// What all nodes hold, as the bucket's value says: the sum over its bins.
fn held_us(value: &[u8]) -> u64 {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    let bins = value.get(132..132 + 12 * 24).unwrap_or_default();
    bins.chunks_exact(24).map(|bin| number(&bin[14..21])).sum()
}

/// Checks that a history keeps the bound and loses no permits for good.
pub(crate) fn check_history(scripts: &mut Scripts, history: &History) -> TestCaseResult {
    let mut simulation = Simulation::new(scripts, history);
    for event in &history.events {
        simulation.apply(*event)?;
    }
    let bound = Bound::new(history.quota);
    for admissions in &simulation.admissions {
        bound.check(admissions)?;
    }
    simulation.check_all_returns()
}
