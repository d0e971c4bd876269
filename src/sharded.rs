//! A token bucket whose cost does not grow with the number of cores.
//!
//! # State
//!
//! * `tat`: the theoretical arrival time of a token bucket (see [`AtomicTat`]). Tokens are charged
//!   to it before any thread uses them.
//! * `shards`: *leases*, one word for each shard, which few threads share. A lease is a batch of
//!   tokens that were charged to the TAT and are not used yet.
//! * `held`: an upper bound of the tokens in leases. It is raised before tokens are leased, and
//!   lowered after they were used or returned.
//!
//! # A call
//!
//! 1. A call takes its tokens out of the lease of its thread's own shard: one exchange on a word
//!    that other threads seldom write, and no clock.
//! 2. If the lease has too few, the call charges the TAT for the missing tokens and, if there are
//!    plenty, for a new lease.
//! 3. If the TAT has too few, the call collects all leases and counts what they have left. If that
//!    and the TAT together are too few, the call is refused. The rest is spread over all shards.
//!    If the call sees that all leases have too few tokens left and that none were used, it is
//!    refused without collecting them.
//!
//! # Invariants
//!
//! Let L be the tokens left in all leases, T the emission interval, C the capacity.
//!
//! 1. L ≤ `held` at every exchange of the TAT. A thread that leases loads the TAT, then loads
//!    `held`, raises `held`, and exchanges the TAT (`held_before_tat`, `raised_too_late`). The
//!    exchange fails if another thread has leased since that load of the TAT. `held` is lowered
//!    after the exchange that charges for the used tokens (`lowered_too_early`,
//!    `lowered_before_exchange`).
//! 2. Take an ideal bucket that is charged with each token when it is *used*. At every time t its
//!    TAT is at most max(TAT, t + `held` · T) − L · T. Using a leased token raises the ideal TAT by
//!    T, or to t + T, and lowers L by 1. A call that charges b tokens to the TAT raises it to at
//!    least now + `held` · T and adds b · T. After that, `held` need no longer cover the tokens
//!    that were used. So if the TAT has fallen behind meanwhile, the used part of a lease is
//!    charged again as of now, because the time of use is unknown (`forgotten_use`). Therefore
//!    `now` must not be older than that use. Where tokens were used, the clock is read again after
//!    the lease was taken (`stale_settlement`).
//! 3. A call that charges the TAT leaves both TAT and `held` at most C · T ahead of now. So the
//!    ideal bucket is never more than C · T ahead and would admit all that is admitted here. That
//!    is the bound, for the whole capacity C.
//! 4. `held` is the sum of three numbers: what the leases in shards are counted as, what the leases
//!    in transit are counted as, and what is about to be leased. Once all calls are over, it is
//!    exactly the first (`take_without_swap`, `put_overwrites`).
//!
//! # Refusals
//!
//! 1. Without concurrent calls, `n` is refused if and only if it exceeds `available`. That is what
//!    an ideal bucket has if all used tokens of the counted leases are used just now
//!    (`not_gathered`, `held_on_top`).
//! 2. With concurrent calls, `n` is refused only if it exceeds that number less three things: what
//!    those calls take, the leases that they have in transit, and the leases that they or this call
//!    are about to make. In a bucket without leases, one of two calls is admitted if the tokens
//!    suffice for each alone (`one_try`). With leases, both may collect a part and be refused.
//! 3. Leases in transit return (`dropped_leases`). The tokens of a lease that is about to be made
//!    may be lost: if another call has charged the TAT meanwhile and found less used than `held`,
//!    it took the new lease for used. So while a bucket is full, the first calls together may get
//!    less than the capacity, by the leases for which they lost a race. Once more than that was
//!    used, nothing is lost.
//! 4. While `held` is 0 there is no lease, and a call is refused as by a plain bucket, with one
//!    load more (`refused_beside_leases`).
//!
//! # Orderings
//!
//! Using a token of a lease is Relaxed, because nothing travels with it. `held` is raised (Relaxed)
//! before the TAT is exchanged (Release). It is loaded after the TAT is loaded (Acquire). So a
//! thread that sees a charge sees the tokens that the charge holds (`relaxed_tat`).
//!
//! `held` is lowered with Release after a lease was taken, and loaded with Acquire, so that a
//! thread that sees it lowered sees what happened before. The bound does not need this pair. A
//! thread that sees `held` lowered but not the exchange before it fails its own exchange, or finds
//! the same TAT, which is as good. So the mutant `relaxed_held` passes the models.
//!
//! Leases are moved with `AcqRel`, so that `held` is lowered after it was raised even where an
//! exchange failed in between. Models cannot show this, because loom never reorders a change of
//! `held` before one that it has already executed.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Changes of the quota
//!
//! The TAT, the shards and `held` are a state, which another state replaces when the quota changes:
//! see [`changed`]. Calls on the replaced state find its TAT closed, and start again on the next.
//!
//! # Progress
//!
//! Lock-free: a step is repeated only because another thread's step succeeded. A refusal writes
//! nothing unless tokens of a lease were used since the last refusal.

mod changed;
mod lease;
mod set_quota;
mod slow_path;
mod state;
#[cfg(test)]
mod tests;

use alloc::format;
use core::fmt;
use core::time::Duration;
use std::thread;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::gcra::{Level, Refusal, Shortage};
use crate::limiter::{Limiter, sealed};
use crate::quota::Quota;
use crate::sync::{Closed, Succession, WaitQueue, thread_number};
use crate::time::Timestamp;
use changed::ChangedState;
use state::ShardedState;

/// A token bucket for many threads: as fast on all cores as on one.
///
/// One word that all threads write moves from core to core, which takes longer than everything else
/// in a call. Here each thread takes tokens out of the bucket in batches, *leases*, and uses them
/// up from a word of its own, without reading the clock.
///
/// Use it where many threads make millions of calls per second under one quota of far more than
/// 1 000 tokens. Use the plain [`TokenBucket`](crate::TokenBucket) elsewhere: it is smaller, exact
/// in its refusals, and has reservations, credits and debts.
///
/// # Guarantees
///
/// They hold for any number of threads. The decision time of a call lies between its start and its
/// return.
///
/// * **Bound.** As the plain bucket: over any interval `[a, b]` of decision times, at most
///   capacity + rate · (b − a) are admitted. Leased tokens were taken out of the bucket before, and
///   do not flow back while they can still be used. For waiters in real time, see the plain bucket.
/// * **Refusals.** A refusal of `n` means that fewer than `n` plus an eighth of the capacity were
///   available. Before a call is refused it counts the leases of all threads, so no token is
///   stranded with a thread that is idle or gone. The time at which a leased token was used is
///   unknown, so it counts as used when its lease ends or when a call is refused. While a call
///   holds a lease, no other call can use it, and a lease about to be made may be lost to a race.
///   So one of several concurrent calls may be refused although slightly more was available.
/// * **Exact rates and honest hints**, as in the plain bucket. [`wait_time`](Self::wait_time) and
///   [`peek`](Self::peek) change nothing. They count the used tokens of leases as used now, until a
///   call settles them.
///
/// # Leases
///
/// A lease is at most 256 tokens. It is also at most an eighth of the available tokens divided by
/// the number of shards, so nothing is leased where little is left. There are four shards for each
/// thread that the machine runs at once, rounded up to a power of two, and at most 256.
///
/// # Progress and cost
///
/// Lock-free. Most calls are one exchange on a cache line that no other core writes, and read no
/// clock. With plenty of tokens, about one call in 256 charges the bucket itself. A refusal writes
/// nothing unless tokens of a lease were used since the last refusal. `new` allocates 128 bytes for
/// each shard, and the first call that waits allocates a queue, which waiters lock.
///
/// A charge cannot be undone: [`Limiter::undo`] returns 0, and code that rolls back a charge here
/// forfeits it. So [`Combined`](crate::Combined) does not accept this limiter.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, ShardedTokenBucket};
///
/// let clock = ManualClock::new(); // a real program: `ShardedTokenBucket::new(quota)`
/// let quota = Quota::per_second(1_000_000).burst(50_000);
/// let bucket = ShardedTokenBucket::with_clock(quota, clock.clone());
/// bucket.try_acquire(20_000)?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             for _ in 0..5_000 {
///                 bucket.try_acquire(1).expect("30 000 are left");
///             }
///         });
///     }
/// });
/// assert_eq!(bucket.available(), 10_000);
/// bucket.try_acquire(10_000)?; // collects the leases of all threads
/// let retry_after = Duration::from_micros(1).into();
/// assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(bucket.available(), 50_000);
/// # Ok::<(), Denied>(())
/// ```
pub struct ShardedTokenBucket<C = DefaultClock> {
    state: ShardedState,
    clock: C,
    wait_queue: WaitQueue,
    changes: Succession<ChangedState>,
}

/// Shards for each thread that the machine runs at once, so that threads seldom share one.
const SHARDS_PER_THREAD: usize = 4;
const MAX_SHARDS: usize = 256;

#[cfg(feature = "std")]
impl ShardedTokenBucket {
    /// Creates a full bucket on the [`DefaultClock`].
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, DefaultClock)
    }
}

impl<C> ShardedTokenBucket<C> {
    /// Creates a full bucket on a clock of your choice.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shards = (threads * SHARDS_PER_THREAD).next_power_of_two();
        Self::build(quota, clock, shards.min(MAX_SHARDS))
    }

    fn build(quota: Quota, clock: C, shards: usize) -> Self {
        Self {
            state: ShardedState::full(quota, shards),
            clock,
            wait_queue: WaitQueue::new(),
            changes: Succession::none(),
        }
    }

    /// Returns the quota.
    pub fn quota(&self) -> Quota {
        self.query(ShardedState::quota_if_open)
    }

    /// Returns the clock that the bucket reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Returns the most tokens that the bucket holds, which is also the most that one call can
    /// take.
    pub fn capacity(&self) -> u64 {
        self.quota().capacity()
    }

    pub(crate) const fn wait_queue(&self) -> &WaitQueue {
        &self.wait_queue
    }

    /// The index of this thread's own shard.
    #[inline]
    fn own_shard(&self) -> usize {
        self.state.shard_of(thread_number())
    }

    /// Runs `operation` on the state, or on the one that has replaced it.
    #[inline]
    fn query<R>(&self, operation: impl Fn(&ShardedState) -> Result<R, Closed>) -> R {
        match operation(&self.state) {
            Ok(result) => result,
            Err(closed) => self.changed(closed, operation),
        }
    }

    /// Runs `operation` on the state that has replaced the first one.
    #[cold]
    fn changed<R>(&self, _: Closed, operation: impl Fn(&ShardedState) -> Result<R, Closed>) -> R {
        loop {
            // The first state is closed after its successor was linked, so this never repeats.
            if let Some(result) = self
                .changes
                .run(&self.state, |changed| changed.run(&operation))
            {
                return result;
            }
        }
    }
}

/// Operations at an instant that the caller has read.
///
/// An instant may be older than that of an earlier call. As in a plain bucket, such a call neither
/// refills the bucket nor moves its time back. The instant must come from the bucket's clock:
/// leased tokens are used without reading the clock, so an operation that may have to settle such
/// use reads the clock again.
impl<C: Clock> ShardedTokenBucket<C> {
    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.acquire_on_shard(self.own_shard(), n, now)
    }

    #[inline]
    fn acquire_on_shard(&self, shard: usize, n: u64, now: Timestamp) -> Result<(), Denied> {
        if self.state.spend(shard, n) {
            return Ok(());
        }
        self.acquire_beyond_lease(shard, n, now)
    }

    /// Takes `n` tokens as a thread of a shard whose lease in the first state has fewer left.
    // Out of line, so that the way of an admission stays short.
    #[cold]
    #[inline(never)]
    fn acquire_beyond_lease(&self, shard: usize, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self.state.refusal_without_leases(n, now) {
            Some(wait) => Err(Denied::not_yet(wait)),
            None => self.try_acquire_slow(shard, n, now),
        }
    }

    /// The same where a lease exists, where the call fits, or after the quota has changed.
    #[cold]
    #[inline(never)]
    fn try_acquire_slow(&self, shard: usize, n: u64, now: Timestamp) -> Result<(), Denied> {
        let state = &self.state;
        let changed = |closed| self.acquire_changed(closed, shard, n, now);
        let taken = state.try_acquire_slow(shard, n, now, &self.clock, changed);
        taken.map_err(|shortage: Shortage| shortage.denied(state.gcra()))
    }

    /// Takes `n` tokens after the quota has changed.
    #[cold]
    #[inline(never)]
    fn acquire_changed(
        &self,
        closed: Closed,
        shard: usize,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Shortage> {
        self.changed(closed, |state| {
            if state.spend(shard, n) {
                return Ok(Ok(()));
            }
            let changed = |closed| Err(Refusal::Closed(closed));
            match state.try_acquire_slow(shard, n, now, &self.clock, changed) {
                Ok(()) => Ok(Ok(())),
                Err(Refusal::Denied(shortage)) => Ok(Err(shortage.hinted(state.gcra()))),
                Err(Refusal::Closed(closed)) => Err(closed),
            }
        })
    }
}

/// For saves.
impl<C> ShardedTokenBucket<C> {
    /// The level at `now`.
    pub(crate) fn level_at(&self, now: Timestamp) -> Level {
        self.query(|state| state.level_at(now))
    }

    /// Spends what was missing from a saved level `elapsed` nanoseconds ago.
    pub(crate) fn restore_level_at(&self, level: Level, elapsed: u64, now: Timestamp) {
        self.query(|state| state.restore_level_at(level, elapsed, now));
    }
}

/// Queries at an instant that the caller has read. They read no clock.
impl<C> ShardedTokenBucket<C> {
    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.query(|state| match state.peek_at(n, now) {
            Ok(()) => Ok(Ok(())),
            Err(Refusal::Denied(shortage)) => Ok(Err(shortage.denied(state.gcra()))),
            Err(Refusal::Closed(closed)) => Err(closed),
        })
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at(&self, now: Timestamp) -> u64 {
        self.query(|state| state.available_at(now))
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }
}

/// Operations as of now. An acquisition reads the clock only if the thread's lease has too few
/// tokens.
impl<C: Clock> ShardedTokenBucket<C> {
    /// Takes `n` tokens if they are available. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` are available, and [`Denied::Never`] if
    /// `n` is above the capacity. Nothing is charged then.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        let shard = self.own_shard();
        if self.state.spend(shard, n) {
            return Ok(());
        }
        self.acquire_beyond_lease(shard, n, self.clock.now())
    }

    /// Returns `Ok` if a call for `n` tokens would be admitted now. Changes nothing, so another
    /// call may take the tokens first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.clock.now())
    }

    /// Returns the whole tokens that are available now.
    pub fn available(&self) -> u64 {
        self.available_at(self.clock.now())
    }

    /// Returns how long until a call for `n` tokens is admitted if no other call comes in between;
    /// `None` if `n` is above the capacity.
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.clock.now())
    }
}

/// For models and unit tests, which choose the number of shards and the shard of a call.
#[cfg(any(test, tidegate_loom))]
#[doc(hidden)]
#[allow(missing_docs, reason = "not part of the public interface")]
impl<C> ShardedTokenBucket<C> {
    pub fn with_shards(quota: Quota, clock: C, shards: usize) -> Self {
        Self::build(quota, clock, shards)
    }

    pub fn try_acquire_on(&self, shard: usize, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        C: Clock,
    {
        self.acquire_on_shard(shard, n, now)
    }

    /// The tokens counted as held, and the sum of what the leases in shards are counted as.
    #[cfg(tidegate_loom)]
    pub fn held_and_counted(&self) -> (u64, u64) {
        self.query(ShardedState::held_and_counted)
    }
}

impl<C> sealed::Sealed for ShardedTokenBucket<C> {}

impl<C: Clock> sealed::Internals for ShardedTokenBucket<C> {
    fn change_to_at(&self, new: &Self, now: Timestamp) -> bool {
        self.set_quota_at(new.quota(), now);
        true
    }
}

impl<C: Clock> Limiter for ShardedTokenBucket<C> {
    type Clock = C;
    /// Charges cannot be undone, so there is nothing to remember.
    type Charge = ();

    fn clock(&self) -> &C {
        &self.clock
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(n, now)
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(n, now)
    }

    fn charge_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(n, now)
    }

    /// Returns 0: the charge is forfeited, because a lease does not record when its tokens were
    /// used.
    fn undo(&self, (): ()) -> u64 {
        0
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        self.available_at(now)
    }

    fn refill_time(&self) -> Duration {
        self.quota().refill_time()
    }

    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.query(|state| Ok(state.available_at(now)? == state.quota_if_open()?.capacity()))
    }
}

impl<C: fmt::Debug> fmt::Debug for ShardedTokenBucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.query(|state| {
            state.quota_if_open()?;
            Ok(format!("{state:?}"))
        });
        f.debug_struct("ShardedTokenBucket")
            .field("quota", &self.quota())
            .field("state", &format_args!("{state}"))
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
