//! The task that keeps a node's tank filled: it asks ahead of need, follows demand, and gives back what is not used.
//!
//! # What the server knows
//!
//! Each request carries a number, the number of the last one whose answer arrived, what the tank still holds, and what goes back. From
//! these the server knows what has become of all that it granted, whatever answers are lost: what it granted in an answer that did
//! not arrive never was, and what is missing otherwise was spent. A request that arrives after a later one is ignored.
//!
//! # What the node knows
//!
//! What it was granted it may spend until the moment it asked plus what a lease lasts, less a margin. The server counts from when it
//! was asked, which is later, so the node stops first.

use core::time::Duration;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use crate::lease::lease_options::LeaseOptions;
use crate::lease::leased_token_bucket::{LeaseState, nanos};
use crate::limits::unexpected;
use crate::scaled_quota::MOST_US;
use crate::script::ScriptArgs;
use crate::store::{Failure, RedisStore, ScriptKind};
use crate::sync::Ordering::Relaxed;

pub(crate) struct RefillTask {
    shared: Arc<LeaseState>,
    options: LeaseOptions,
    node: String,
    /// The number of the last request, and of the last one whose answer arrived.
    seq: u64,
    acked: u64,
    /// What was in the tank after the last answer.
    outstanding: u64,
    /// When what is in the tank ends, on the node's clock.
    deadline: u64,
    /// How much is taken at once.
    batch: u64,
    most: u64,
    /// When the last answer arrived.
    answered: u64,
    /// Not to ask again before.
    not_before: u64,
    /// Somebody has asked for more and has not got it.
    pending: bool,
    /// How many the server has refused last; 0 if it granted some.
    refused: u64,
}

/// How long a refusal keeps a node from asking, in nanoseconds.
const LONGEST_WAIT: u64 = 1_000_000_000;

/// One request for more.
struct RefillRequest {
    hold: u64,
    back: u64,
    amounts: Vec<u64>,
}

/// What the server answers.
struct RefillGrant {
    granted: u64,
    kept: bool,
    wait: Duration,
}

impl RefillTask {
    pub(crate) fn new(shared: Arc<LeaseState>, options: LeaseOptions) -> Self {
        let options = options.within_bounds();
        let most = options
            .most
            .min(shared.bucket.quota().capacity() / 2)
            .max(1);
        Self {
            shared,
            options,
            node: node(),
            seq: 0,
            acked: 0,
            outstanding: 0,
            deadline: 0,
            batch: 1,
            most,
            answered: 0,
            not_before: 0,
            pending: false,
            refused: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.shared.is_closing() {
            let asked = self.pending || self.wait_for_work().await;
            if self.shared.is_closing() {
                break;
            }
            self.wait_for_turn().await;
            if self.shared.is_closing() {
                break;
            }
            self.refill(asked).await;
        }
        self.give_back().await;
    }

    /// Until somebody asks for more, or what is held is about to end: then it is renewed or goes back.
    async fn wait_for_work(&self) -> bool {
        let asked = self.shared.wake.notified();
        if self.outstanding == 0 {
            asked.await;
            return true;
        }
        let wait = self.renewal().saturating_sub(RedisStore::now());
        tokio::time::timeout(Duration::from_nanos(wait), asked)
            .await
            .is_ok()
    }

    /// When what is held is to be renewed.
    fn renewal(&self) -> u64 {
        self.deadline.saturating_sub(self.options.ttl_ns() / 4)
    }

    /// Until the server is to be asked again; earlier only to close.
    async fn wait_for_turn(&mut self) {
        while let Some(wait) = self
            .not_before
            .checked_sub(RedisStore::now())
            .filter(|wait| *wait > 0)
        {
            if self.shared.is_closing() {
                return;
            }
            let wait = Duration::from_nanos(wait).max(Duration::from_millis(1));
            let _ = tokio::time::timeout(wait, self.shared.wake.notified()).await;
            // Relaxed: a hint. For fewer than were refused it need not wait as long.
            if (1..self.refused).contains(&self.shared.wanted.load(Relaxed)) {
                let next = self.answered.saturating_add(self.options.interval_ns());
                self.not_before = self.not_before.min(next);
            }
        }
    }

    async fn refill(&mut self, asked: bool) {
        let shared = Arc::clone(&self.shared);
        // Relaxed: a hint how much is needed.
        let wanted = shared.wanted.swap(0, Relaxed);
        let now = RedisStore::now();
        let mut request = self.look(now);
        if !asked && wanted == 0 && request.hold + request.back == self.outstanding {
            // Nobody has needed any for most of a lease.
            let back = shared.local.drain();
            request.back += back;
            request.hold -= back.min(request.hold);
        } else {
            self.adapt(now, wanted);
            request.amounts = self.amounts(request.hold, wanted);
        }
        if let Ok(grant) = self.ask(&request).await {
            self.granted(now, &request, &grant);
        } else {
            self.failed(&request);
        }
        shared.filled.notify_waiters();
    }

    /// What is in the tank, or goes back since its lease has ended.
    fn look(&self, now: u64) -> RefillRequest {
        let local = &self.shared.local;
        let (hold, back) = if now < self.deadline {
            (local.remaining(now), 0)
        } else {
            (0, local.drain())
        };
        RefillRequest {
            hold,
            back,
            amounts: Vec::new(),
        }
    }

    /// A batch should last for an interval at least, and for eight at most.
    fn adapt(&mut self, now: u64, wanted: u64) {
        let interval = self.options.interval_ns();
        let lasted = now.saturating_sub(self.answered);
        if wanted > 0 || lasted < interval {
            self.batch = self.batch.saturating_mul(2).min(self.most);
        } else if lasted > interval.saturating_mul(8) {
            self.batch = (self.batch / 2).max(1);
        }
    }

    /// How much to ask for, the most first: the last is what a caller waits for, or one.
    fn amounts(&self, hold: u64, wanted: u64) -> Vec<u64> {
        let least = wanted.saturating_sub(hold).max(1);
        let mut amounts = Vec::new();
        let mut amount = self.batch.saturating_sub(hold);
        while amount > least {
            amounts.push(amount);
            amount /= 2;
        }
        amounts.push(least);
        amounts
    }

    async fn ask(&mut self, request: &RefillRequest) -> Result<RefillGrant, Failure> {
        let shared = Arc::clone(&self.shared);
        let (limits, target) = (shared.bucket.limits(), shared.bucket.target());
        let scale = limits.scale(0);
        let owed = target
            .owed
            .as_ref()
            .map(crate::unreported::UnreportedCharges::take_report);
        let half = scale.cost(scale.capacity() / 2);
        self.seq += 1;
        let mut arguments = ScriptArgs::default();
        arguments
            .number(scale.den())
            .amount(scale.full())
            .number(MOST_US)
            .number(limits.empty_for_us())
            .amount(scale.cost(owed.as_ref().map_or(0, |owed| owed.get(0))))
            .text(&self.node)
            .number(self.seq)
            .number(self.acked)
            .amount(scale.cost(request.hold))
            .amount(scale.cost(request.back))
            .number(self.options.ttl_us())
            .amount(half);
        for &amount in &request.amounts {
            arguments.amount(scale.cost(amount));
        }
        let start = RedisStore::now();
        shared.counts.refills.one();
        let store = limits.store();
        let numbers = store
            .run(ScriptKind::Lease, &target.place, &target.keys, &arguments)
            .await?;
        // Relaxed: a hint.
        shared
            .way
            .store(RedisStore::now().saturating_sub(start), Relaxed);
        let grant = RefillGrant::read(&numbers, &request.amounts);
        let grant = grant.ok_or_else(|| Failure::Failed(unexpected()))?;
        // Not before: a request that the server ignores, it does not count either.
        if let Some(owed) = owed {
            owed.confirm();
        }
        Ok(grant)
    }

    fn granted(&mut self, asked: u64, request: &RefillRequest, grant: &RefillGrant) {
        let shared = Arc::clone(&self.shared);
        self.acked = self.seq;
        self.pending = false;
        let now = RedisStore::now();
        self.answered = now;
        let spent = self
            .outstanding
            .saturating_sub(request.hold)
            .saturating_sub(request.back);
        if let Some(shares) = shared.bucket.limits().shares() {
            shares.follow(shared.bucket.target().place.head(), &[spent]);
        }
        if grant.kept {
            shared.counts.returned.add(request.back);
        } else {
            // Its lease has ended, and with it what was in the tank.
            shared
                .counts
                .expired
                .add(request.back + shared.local.drain());
        }
        let hold = if grant.kept { request.hold } else { 0 };
        self.outstanding = hold + grant.granted;
        shared.counts.granted.add(grant.granted);
        // Relaxed: a hint. Whoever has asked for no more since this request was sent finds it now, and should not have it asked for again.
        let wanted = shared.wanted.load(Relaxed);
        if wanted <= self.outstanding {
            let _ = shared.wanted.compare_exchange(wanted, 0, Relaxed, Relaxed);
        }
        self.refused = 0;

        let lasts = self.options.ttl_ns();
        // A hundredth for clocks of different speed, and milliseconds for steps by which clocks are set; at most half.
        let margin = (lasts / 100).max(5_000_000).min(lasts / 2);
        self.deadline = asked.saturating_add(lasts - margin);
        shared
            .local
            .refill(grant.granted, self.deadline, self.outstanding / 2);

        // Give or take a quarter, or a node that asks right after another would always get nothing.
        let interval = self.options.interval_ns();
        let interval = interval - interval / 4 + fastrand::u64(0..=interval / 2);
        if let (Some(&least), 0) = (request.amounts.last(), grant.granted) {
            // As long as refusals are remembered elsewhere: what another node resets is seen then.
            let wait = nanos(grant.wait).min(LONGEST_WAIT).max(interval);
            let way = now.saturating_sub(asked);
            shared.refused(least, now.saturating_add(wait).saturating_add(way));
            self.refused = least;
            self.not_before = now.saturating_add(wait);
            if self.outstanding > 0 {
                // What is held does not end meanwhile.
                self.not_before = self.not_before.min(self.renewal());
            }
            // Whoever was refused comes back then.
            self.pending = true;
        } else if request
            .amounts
            .first()
            .is_some_and(|most| grant.granted < *most)
        {
            self.not_before = now.saturating_add(interval);
        }
    }

    fn failed(&mut self, request: &RefillRequest) {
        // Whether it went back is not known, but it is not here any more.
        self.outstanding = self.outstanding.saturating_sub(request.back);
        self.shared.counts.expired.add(request.back);
        // The store says when it is worth asking again; a call that is at fault by itself waits as long.
        let store = self.shared.bucket.limits().store();
        let wait = store.closed_for(&self.shared.bucket.target().place);
        let wait = wait.unwrap_or_else(|| store.probe_interval());
        // Never at once: the probe may be under way.
        let wait = nanos(wait).max(self.options.interval_ns());
        self.not_before = RedisStore::now().saturating_add(wait);
        self.pending = true;
    }

    /// What is left goes back, once: if that fails it counts as spent when the lease ends.
    async fn give_back(&mut self) {
        let back = self.shared.local.drain();
        if self.outstanding == 0 && self.acked == self.seq {
            return;
        }
        let request = RefillRequest {
            hold: 0,
            back,
            amounts: Vec::new(),
        };
        if let Ok(grant) = self.ask(&request).await {
            if grant.kept {
                self.shared.counts.returned.add(back);
            } else {
                self.shared.counts.expired.add(back);
            }
        }
    }
}

impl Drop for RefillTask {
    /// However it ends, its runtime's end included: nobody waits for it any more.
    fn drop(&mut self) {
        self.shared.finish();
    }
}

/// A name that no other node has: 128 bits of the system's randomness, as a collision would break the bound.
fn node() -> String {
    let random = || RandomState::new().build_hasher().finish();
    // Each state has a key of its own, but the keys of one thread differ by a counter.
    format!("z{:016x}{:016x}", random(), random())
}

impl RefillGrant {
    fn read(numbers: &[i64], amounts: &[u64]) -> Option<Self> {
        let [place, kept, wait, ..] = numbers else {
            return None;
        };
        let granted = match usize::try_from(*place).ok()?.checked_sub(1) {
            None => 0,
            Some(index) => *amounts.get(index)?,
        };
        Some(Self {
            granted,
            kept: *kept == 1,
            wait: Duration::from_micros(u64::try_from(*wait).ok()?),
        })
    }
}
