//! The task that refills a node's lease: it asks before tokens run out, follows the demand, and
//! gives back what is not used.
//!
//! # What the server knows
//!
//! Each request has a number. It carries the number of the last request whose reply arrived, the
//! tokens that the node still holds, and the tokens that it gives back. From these the server knows
//! what became of all that it granted, whatever replies are lost. A grant in a reply that did not
//! arrive never took effect, and what is missing otherwise was spent. A request that arrives after
//! a later one is ignored.
//!
//! # What the node knows
//!
//! The node may spend a grant until the instant of its request plus the time to live, less a
//! margin. The server counts from the arrival of the request, which is later, so the node stops
//! first.

use core::time::Duration;
use std::sync::Arc;

use crate::lease::lease_options::LeaseOptions;
use crate::lease::lease_state::LeaseState;
use crate::limits::MAX_CHANGES;
use crate::live_quota::told_quotas;
use crate::node_name::random_node_name;
use crate::quota_record::QuotaRecord;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::stats::TokenFlow;
use crate::store::CallFailure;
use crate::sync::Ordering::Relaxed;
use crate::time::{self, nanos};
use crate::unreported::UnreportedCharges;

pub(crate) struct RefillTask {
    state: Arc<LeaseState>,
    options: LeaseOptions,
    node: [u8; 16],
    /// Where the server keeps what it knows of this node; 0 if it keeps nothing.
    record: u64,
    /// The number of the last request, and of the last one whose reply arrived.
    seq: u64,
    acked: u64,
    /// The tokens in the local lease after the last reply.
    outstanding: u64,
    /// When these end, on the node's clock.
    deadline: u64,
    /// How many tokens the node should hold after a refill.
    batch: u64,
    /// Whether a request was granted as a whole since the batch grew.
    may_grow: bool,
    /// When the last reply arrived.
    replied: u64,
    /// No request before this instant.
    not_before: u64,
    /// Whether a call has asked for more and not got it, or the node has no reserve yet.
    pending: bool,
    /// The tokens that the server last refused; 0 if it granted some.
    refused: u64,
    /// What one call asks for: the most of late, an eighth less whenever the node was idle for a
    /// lease.
    usual: u64,
    /// How many nodes hold a lease, or wait for one.
    leases: u64,
}

/// How long at most a refusal keeps a node from asking, in nanoseconds. As long as other limiters
/// cache denials by default, so that a reset by another node is seen as soon.
const MAX_REFUSAL_WAIT: u64 = 1_000_000_000;

struct RefillRequest {
    /// The tokens that the node keeps.
    hold: u64,
    /// The tokens that the node gives back.
    back: u64,
    /// The amounts to grant: first what a call waits for, and then the parts of a batch. The server
    /// grants nothing if the first does not fit, and otherwise each part that fits.
    amounts: Vec<u64>,
}

struct RefillGrant {
    granted: u64,
    /// Whether the tokens that the node holds are still its own.
    kept: bool,
    wait: Duration,
    leases: u64,
    record: u64,
}

impl RefillTask {
    pub(crate) fn new(state: Arc<LeaseState>, options: LeaseOptions) -> Self {
        let options = options.clamped();
        Self {
            state,
            options,
            node: random_node_name(),
            record: 0,
            seq: 0,
            acked: 0,
            outstanding: 0,
            deadline: 0,
            batch: 1,
            may_grow: true,
            replied: 0,
            not_before: 0,
            // For the reserve.
            pending: true,
            refused: 0,
            usual: 1,
            leases: 1,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.state.is_closing() {
            let asked = self.pending || self.wait_for_work().await;
            if self.state.is_closing() {
                break;
            }
            self.wait_for_turn().await;
            if self.state.is_closing() {
                break;
            }
            self.refill(asked).await;
        }
        self.give_back().await;
    }

    /// Waits until a call asks for more, or the lease is about to end and must be renewed or given
    /// back. Returns whether a call asked.
    async fn wait_for_work(&self) -> bool {
        let asked = self.state.wake_task.notified();
        if self.outstanding == 0 {
            asked.await;
            return true;
        }
        let wait = time::until(self.renewal());
        tokio::time::timeout(wait, asked).await.is_ok()
    }

    /// When the lease is to be renewed.
    fn renewal(&self) -> u64 {
        self.deadline.saturating_sub(self.options.ttl_ns() / 4)
    }

    /// Waits until the server may be asked again, or the lease is closed.
    async fn wait_for_turn(&mut self) {
        loop {
            let wait = time::until(self.not_before);
            if wait.is_zero() || self.state.is_closing() {
                return;
            }
            let wait = wait.max(Duration::from_millis(1));
            let _ = tokio::time::timeout(wait, self.state.wake_task.notified()).await;
            // Relaxed: a hint. A request for fewer tokens than were refused need not wait as long.
            if (1..self.refused).contains(&self.state.unmet_request.load(Relaxed)) {
                let next = self.replied.saturating_add(self.options.interval_ns());
                self.not_before = self.not_before.min(next);
            }
        }
    }

    async fn refill(&mut self, asked: bool) {
        let state = Arc::clone(&self.state);
        // Relaxed: a hint how much is needed.
        let needed = state.unmet_request.swap(0, Relaxed);
        let now = time::now();
        let (mut hold, mut back) = if now < self.deadline {
            (state.local.remaining(now), 0)
        } else {
            (0, state.local.drain())
        };
        let mut amounts = Vec::new();
        if !asked && needed == 0 && hold + back == self.outstanding {
            // No call has needed a token for most of a lease.
            self.usual = (self.usual - self.usual.div_ceil(8)).max(1);
            let reserve = self.reserve();
            back += state.local.drain_above(reserve);
            hold = state.local.remaining(now);
            if hold < reserve {
                amounts = self.amounts(hold, reserve);
            }
        } else {
            self.usual = self.usual.max(needed);
            self.adapt_batch(now, needed);
            amounts = self.amounts(hold, needed);
        }
        let request = RefillRequest {
            hold,
            back,
            amounts,
        };
        match self.send(&request).await {
            Ok(grant) => self.granted(now, &request, &grant),
            Err(failure) => self.failed(&request, failure),
        }
        state.refilled.notify_waiters();
    }

    /// How much an idle node keeps, so that its next call is admitted at once: what a call usually
    /// asks for, if all nodes together keep at most half of the capacity.
    fn reserve(&self) -> u64 {
        let share = self.state.bucket.quota().capacity() / 2 / self.leases.max(1);
        self.usual.min(share)
    }

    /// The most tokens that the node should hold after a refill.
    fn max_batch(&self) -> u64 {
        let half = self.state.bucket.quota().capacity() / 2;
        // The reply has a bit for each part of a batch, in a number below 2^53.
        self.options.max_batch.min(half).clamp(1, 1 << 50)
    }

    /// Adapts the batch, which should last for at least one interval and at most eight.
    ///
    /// It doubles only once for each request that is granted as a whole. While tokens are scarce or
    /// the server does not answer, its size is not what calls wait for. If it grew, the first node
    /// to ask after an outage would take half of a full bucket, and hold what it cannot use.
    fn adapt_batch(&mut self, now: u64, needed: u64) {
        let interval = self.options.interval_ns();
        let lasted = now.saturating_sub(self.replied);
        if needed > 0 || lasted < interval {
            if self.may_grow {
                self.batch = self.batch.saturating_mul(2);
                self.may_grow = false;
            }
        } else if lasted > interval.saturating_mul(8) {
            self.batch = (self.batch / 2).max(1);
        }
        self.batch = self.batch.min(self.max_batch());
    }

    /// Returns the amounts to ask for: what a call waits for, or 1, and then the rest of the batch
    /// in halves, so that any smaller amount is the sum of some of them.
    fn amounts(&self, hold: u64, needed: u64) -> Vec<u64> {
        let least = needed.saturating_sub(hold).max(1);
        let mut amounts = vec![least];
        let mut rest = self.batch.saturating_sub(hold).saturating_sub(least);
        while rest > 0 {
            let half = rest.div_ceil(2);
            amounts.push(half);
            rest -= half;
        }
        amounts
    }

    /// Sends a request, again if the server tells of a newer quota: then it has done nothing.
    async fn send(&mut self, request: &RefillRequest) -> Result<RefillGrant, CallFailure> {
        // A key of a table does not tell of the table's quota while it is unused.
        self.state.bucket.limits().follow_changes().await;
        for _ in 0..MAX_CHANGES {
            match self.send_once(request).await? {
                Ok(grant) => return Ok(grant),
                Err(newer) => self.state.bucket.limits().adopt(&newer),
            }
        }
        Err(CallFailure::Failed(script::unexpected_reply()))
    }

    /// The error is the newer quota that the server knows.
    async fn send_once(
        &mut self,
        request: &RefillRequest,
    ) -> Result<Result<RefillGrant, Vec<(usize, QuotaRecord)>>, CallFailure> {
        let state = Arc::clone(&self.state);
        let (limits, buckets) = (state.bucket.limits(), state.bucket.buckets());
        let record = state.bucket.live_quota().get();
        let quota = record.scaled;
        let report = buckets
            .unreported
            .as_ref()
            .map(UnreportedCharges::take_report);
        let unreported = report.as_ref().map_or(0, |report| report.get(0));
        let half = quota.cost(quota.capacity() / 2);
        self.seq += 1;
        let mut node = self.node.to_vec();
        if record.version > 0 {
            node.extend(record.to_bytes());
            node.extend(state.bucket.live_quota().base().to_bytes());
            node.push(if limits.is_table() { b'1' } else { b'0' });
        }
        let mut arguments = ScriptArgs::default();
        arguments
            .number(quota.den())
            .amount(quota.full())
            .number(limits.empty_for_us())
            .amount(quota.cost(unreported))
            .bytes(&node)
            .number(self.record)
            .number(self.seq)
            .number(self.acked)
            .amount(quota.cost(request.hold))
            .amount(quota.cost(request.back))
            .number(self.options.ttl_us())
            .amount(half);
        for &amount in &request.amounts {
            arguments.amount(quota.cost(amount));
        }
        let call = ScriptCall {
            script: &script::LEASE,
            keys: &buckets.keys,
            arguments,
        };
        let start = time::now();
        state.observer.counters.refills.increment();
        let numbers = limits.store().run(&buckets.base, &call).await?;
        if let Some(newer) = told_quotas(&numbers) {
            return Ok(Err(newer));
        }
        let round_trip = time::now().saturating_sub(start);
        // Relaxed: a hint.
        state.round_trip.store(round_trip, Relaxed);
        let observer = limits.observer();
        observer.record_round_trip(Duration::from_nanos(round_trip));
        let grant = RefillGrant::read(&numbers, &request.amounts)
            .ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))?;
        // Only now: the server does not count the charges of a request that it ignores.
        if let Some(report) = report {
            report.confirm();
        }
        Ok(Ok(grant))
    }

    fn granted(&mut self, sent: u64, request: &RefillRequest, grant: &RefillGrant) {
        let state = Arc::clone(&self.state);
        state.failure.store(None);
        self.acked = self.seq;
        self.leases = grant.leases;
        self.record = grant.record;
        let now = time::now();
        self.replied = now;
        if let Some(shares) = state.bucket.limits().shares() {
            let left = request.hold.saturating_add(request.back);
            let used = self.outstanding.saturating_sub(left);
            shares.follow(state.bucket.buckets().base.as_bytes(), &[used]);
        }
        let hold = if grant.kept {
            state.record(TokenFlow::Returned, request.back);
            request.hold
        } else {
            // The lease has ended on the server, and the tokens left here with it.
            let lost = request.back + state.local.drain();
            state.record(TokenFlow::Expired, lost);
            0
        };
        self.outstanding = hold + grant.granted;
        // The reserve may have been lost with the lease.
        self.pending = self.outstanding == 0 && self.reserve() > 0;
        state.record(TokenFlow::Granted, grant.granted);
        // Relaxed: a hint. A call that asked for no more since this request was sent finds the
        // tokens now, so they should not be requested again.
        let needed = state.unmet_request.load(Relaxed);
        if needed <= self.outstanding {
            let unmet = &state.unmet_request;
            let _ = unmet.compare_exchange(needed, 0, Relaxed, Relaxed);
        }
        self.refused = 0;
        self.may_grow |= grant.granted == request.amounts.iter().sum::<u64>();

        let ttl = self.options.ttl_ns();
        // A hundredth for clocks of different speed, and 5 ms for adjustments of clocks; at most
        // half.
        let margin = (ttl / 100).max(5_000_000).min(ttl / 2);
        self.deadline = sent.saturating_add(ttl - margin);
        let threshold = self.outstanding / 2;
        state.local.refill(grant.granted, self.deadline, threshold);
        let observer = &state.observer;
        observer.record_held(state.bucket.limits().observer(), self.outstanding);

        // Give or take a quarter. Otherwise a node that asks right after another one would never
        // get any.
        let interval = self.options.interval_ns();
        let interval = interval - interval / 4 + fastrand::u64(0..=interval / 2);
        match *request.amounts {
            [least, ..] if grant.granted == 0 => {
                // Soon enough to be known as waiting, which the server forgets like a lease.
                let most = MAX_REFUSAL_WAIT.min(ttl / 2);
                let wait = nanos(grant.wait).min(most).max(interval);
                self.not_before = now.saturating_add(wait);
                let round_trip = now.saturating_sub(sent);
                let until = self.not_before.saturating_add(round_trip);
                state.last_refusal.set(least, until);
                self.refused = least;
                if self.outstanding > 0 {
                    // The lease must not end meanwhile.
                    self.not_before = self.not_before.min(self.renewal());
                }
                // The refused call comes back then.
                self.pending = true;
            }
            ref amounts => {
                // While others hold little, the grant is nearly the whole batch, and a wait would
                // leave this node without tokens.
                let wanted: u64 = amounts.iter().sum();
                if grant.granted < wanted - wanted / 4 {
                    self.not_before = now.saturating_add(interval);
                }
            }
        }
    }

    fn failed(&mut self, request: &RefillRequest, failure: CallFailure) {
        if let CallFailure::Failed(error) = failure {
            self.state.failure.store(Some(Arc::new(error)));
        }
        // The server may or may not have taken the tokens back. They are not here any more.
        self.outstanding = self.outstanding.saturating_sub(request.back);
        self.state.record(TokenFlow::Expired, request.back);
        // The store says when it is worth asking again. A call that is itself at fault waits as
        // long.
        let bucket = &self.state.bucket;
        let wait = bucket.limits().store().retry_after(&bucket.buckets().base);
        // Never at once: the probe may be under way.
        let wait = nanos(wait).max(self.options.interval_ns());
        self.not_before = time::now().saturating_add(wait);
        self.pending = true;
    }

    /// Gives back the tokens that are left, once. If that fails they count as spent when the lease
    /// ends.
    async fn give_back(&mut self) {
        let back = self.state.local.drain();
        // A node that was refused says that it no longer waits.
        if self.outstanding == 0 && self.acked == self.seq && self.refused == 0 {
            return;
        }
        let request = RefillRequest {
            hold: 0,
            back,
            amounts: Vec::new(),
        };
        if let Ok(grant) = self.send(&request).await {
            let flow = if grant.kept {
                TokenFlow::Returned
            } else {
                TokenFlow::Expired
            };
            self.state.record(flow, back);
        }
    }
}

impl Drop for RefillTask {
    /// Releases all waiters when the task ends in any way, also with its runtime.
    fn drop(&mut self) {
        self.state.end();
    }
}

impl RefillGrant {
    fn read(numbers: &[i64], amounts: &[u64]) -> Option<Self> {
        let [places, kept, wait, _, _, leases, record] = numbers else {
            return None;
        };
        let places = u64::try_from(*places).ok()?;
        let is_granted = |place: usize| places >> place & 1 == 1;
        let granted = amounts.iter().enumerate();
        let granted = granted.filter(|(place, _)| is_granted(*place));
        Some(Self {
            granted: granted.map(|(_, amount)| amount).sum(),
            kept: *kept == 1,
            wait: Duration::from_micros(u64::try_from(*wait).ok()?),
            leases: u64::try_from(*leases).ok()?,
            record: u64::try_from(*record).ok()?,
        })
    }
}
