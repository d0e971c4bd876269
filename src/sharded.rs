//! A token bucket whose cost does not grow with cores.
//!
//! # State
//!
//! * `tat`: the time line of a token bucket (see the `tat` module). Tokens are charged to it before anybody uses them.
//! * `shards`: *leases*, that is tokens that were charged to the time line and are not used yet, one word for each few threads.
//! * `held`: an upper bound of the tokens in leases. Raised before tokens are leased, lowered after they were used or brought back.
//!
//! # A call
//!
//! 1. It takes its tokens out of its thread's own lease: one exchange on a word that mostly nobody else uses, and no clock.
//! 2. If there are not enough, it charges the time line for what is missing, and for a new lease on top, if there is plenty.
//! 3. If there are not enough there either, it takes all leases away: what they have left counts. If that, together with the time
//!    line, is less than what is asked for, the call is refused. What is left is spread over all shards.
//!
//! # Invariants
//!
//! Let L be the tokens that are left in all leases, T a token's time, C the capacity.
//!
//! 1. L ≤ `held`, at every exchange of the time line: whoever leases raises `held` first, and the exchange fails if anybody
//!    leased since the TAT was read, which is before `held` is (`mutants::sharded::held_before_tat`, `raised_too_late`).
//!    It is lowered after the exchange that charges for what was used (`lowered_too_early`, `lowered_before_exchange`).
//! 2. An ideal bucket, charged with each token when it is *used*, has a TAT of at most max(TAT, t + `held` · T) − L · T at every
//!    time t. For the use of a leased token raises its TAT by T, or to t + T, and lowers L. A call that charges the time line for b
//!    tokens makes TAT at least now + `held` · T, and adds b · T to it; after that `held` need no longer count what was used. So
//!    what was used of a lease is charged again as of then, if the time line has caught up meanwhile: nobody knows when it was used
//!    (`mutants::sharded::forgotten_use`). So `now` must not be older than that: where something was used, the clock is read again
//!    after the lease was taken away (`mutants::sharded::stale_settlement`).
//! 3. Whoever charges the time line leaves it, and what is held, at most C · T ahead of now. So the ideal bucket never is more
//!    than C · T ahead, and admits all that is admitted here: that is the bound (G1), for the whole capacity C.
//! 4. `held` is what the leases in shards and in hands are counted as, and what is about to be leased: once all calls are over,
//!    exactly the sum over the shards (`take_without_swap`, `put_overwrites`).
//!
//! # Refusals
//!
//! 1. Beside no other call, `n` tokens are refused if and only if that is more than `available`: what an ideal bucket has for which
//!    tokens that were used of the leases, as they are counted, are used just now (`not_gathered`, `held_on_top`).
//! 2. Beside other calls, `n` is refused only if it is more than that, less what they take and the leases that they have in hand
//!    meanwhile, and less the leases which they or this call were about to make. At a bucket without leases one of two calls is
//!    admitted if there is enough for each alone (`one_try`); where there are leases, both can take a part of them, and be refused.
//! 3. What others have in hand comes back (`dropped_hand`). What somebody was about to lease does not, if another call has charged the
//!    time line meanwhile and has found less used than was held: it has taken the new lease for used. So at an instant at which a
//!    bucket is full, those who come first can together get less than the capacity, by the leases that they lost a race for. At an
//!    instant by which more was used than that, nothing is lost.
//!
//! # Orderings
//!
//! Leases are Relaxed where tokens are used, as in any bucket. `held` is raised (Relaxed) before the time line is exchanged (Release)
//! and read after it is looked at (Acquire), so that who sees a charge sees what it holds (`mutants::sharded::relaxed_tat`). It is
//! lowered with Release after a lease was taken away, and read with Acquire: who sees it lowered comes after that. The bound
//! does not need that pair: who sees `held` lowered, but not the exchange before that, fails at its own (or finds the same TAT,
//! which is as good), so the twin `relaxed_held` passes the models. Leases are moved with `AcqRel` so that they are lowered
//! after they were raised, even where an exchange failed in between; models cannot tell, as loom never puts a change of `held`
//! before one that it has carried out already.
//!
//! # Progress
//!
//! Lock-free: a step is done again only because another thread's succeeded. A refusal writes nothing if no lease has been used since
//! the last one.

mod beyond;
mod lease;

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;
use std::thread;

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::gcra::AtomicTat;
use crate::gcra::Gcra;
use crate::limiter::{Limiter, sealed};
use crate::quota::Quota;
#[cfg(tidegate_loom)]
use crate::sync::Ordering;
use crate::sync::{AtomicU64, thread_number};
use crate::time::Timestamp;
#[cfg(feature = "std")]
use crate::wait::Line;
use beyond::Refused;
use lease::Shard;

/// A token bucket for many threads: as fast on all cores as on one.
///
/// One word that all threads write is passed from core to core, which takes longer than everything else in a call. Here each thread
/// takes tokens out of the bucket by the batch, a *lease*, and uses them up from a word of its own, without looking at the clock. Take it
/// where many threads are admitted millions of times per second by one quota that is far larger than 1 000; and the plain
/// [`TokenBucket`](crate::TokenBucket) elsewhere, which is smaller, exact in its refusals, and has reservations, credits and debts.
///
/// # Guarantees
///
/// For any number of threads, and with a decision time between the start and the return of each call:
///
/// * **Bound**, the plain bucket's: over any interval `[a, b]` of decision times, at most capacity + rate · (b − a) are admitted. Leased
///   tokens were taken out of the bucket before, and do not flow back into it as long as they may be used.
/// * **Refusals.** A lease is at most 256 tokens, and at most an eighth of what is there divided by the number of shards (four for each
///   thread that the machine runs at once, or up to twice that): nothing is leased where little is left. Before a call is refused, the
///   leases of all threads are looked into, so that nothing is stranded with a thread that is idle or gone. When a leased token was
///   used is not known, so it counts as used when its lease is over, or when somebody is refused. So a refusal of `n` means that
///   fewer than `n` and an eighth of the capacity were there. And while another call has taken leases into its hands, they are nobody
///   else's, and what somebody was about to lease may be lost to a race: so of calls at the same time one may be refused a little more.
/// * **Exact rates, honest hints**, no surprises: as the plain bucket. (`wait_time` and `peek`, which change nothing, count what was used
///   of leases as used now, until a call settles it.)
///
/// # Progress and cost
///
/// Lock-free. Mostly a call is one exchange on a cache line that no other core writes, and reads no clock; one in 256 charges the bucket
/// itself. A refusal writes nothing if no lease has been used since the last one. 128 bytes for each shard, allocated by `new`.
///
/// A charge of a combination that is rolled back is forfeited ([`Limiter::undo`] gives 0).
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, ShardedTokenBucket};
///
/// let clock = ManualClock::new(); // a real program: `ShardedTokenBucket::new(quota)`
/// let bucket = ShardedTokenBucket::with_clock(Quota::per_second(1_000_000).burst(50_000), clock.clone());
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| (0..10_000).for_each(|_| bucket.try_acquire(1).expect("there are 50 000")));
///     }
/// });
/// assert_eq!(bucket.available(), 10_000);
/// bucket.try_acquire(10_000)?; // whoever's leases they are in
/// let retry_after = Duration::from_micros(1);
/// assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(bucket.available(), 50_000);
/// # Ok::<(), Denied>(())
/// ```
pub struct ShardedTokenBucket<C = DefaultClock> {
    core: CachePadded<Core<C>>,
    #[cfg(feature = "std")]
    line: Line,
    shards: Box<[CachePadded<Shard>]>,
}

struct Core<C> {
    tat: AtomicTat,
    held: AtomicU64,
    gcra: Gcra,
    quota: Quota,
    clock: C,
}

/// So many shards per thread that runs at once, so that threads seldom share one.
const SHARDS_PER_THREAD: usize = 4;
const MOST_SHARDS: usize = 256;

#[cfg(feature = "std")]
impl ShardedTokenBucket {
    /// A full bucket on the [`DefaultClock`].
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, DefaultClock)
    }
}

impl<C> ShardedTokenBucket<C> {
    /// A full bucket on a clock of your choice.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shards = (threads * SHARDS_PER_THREAD).next_power_of_two();
        Self::with_shards(quota, clock, shards.min(MOST_SHARDS))
    }

    /// With so many shards: a power of two.
    #[doc(hidden)]
    pub fn with_shards(quota: Quota, clock: C, shards: usize) -> Self {
        assert!(shards.is_power_of_two(), "a power of two");
        Self {
            core: CachePadded::new(Core {
                tat: AtomicTat::full(),
                held: AtomicU64::new(0),
                gcra: Gcra::new(quota),
                quota,
                clock,
            }),
            #[cfg(feature = "std")]
            line: Line::new(),
            shards: (0..shards)
                .map(|_| CachePadded::new(Shard::empty()))
                .collect(),
        }
    }

    /// The quota that the bucket was made with.
    pub fn quota(&self) -> Quota {
        self.core.quota
    }

    /// The clock that the bucket reads.
    pub fn clock(&self) -> &C {
        &self.core.clock
    }

    /// The most tokens that the bucket holds, and so the most that one call can take.
    pub fn capacity(&self) -> u64 {
        self.core.quota.capacity()
    }

    #[cfg(feature = "std")]
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    #[cfg(feature = "std")]
    pub(crate) const fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    #[inline]
    fn own(&self) -> usize {
        thread_number() & (self.shards.len() - 1)
    }
}

/// Operations at an instant that the caller has read.
///
/// An instant older than that of an earlier call is allowed: time then stands still. It must be one that the bucket's clock has shown,
/// which is read again where tokens may have been used since: they are used without a clock.
impl<C: Clock> ShardedTokenBucket<C> {
    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_on(self.own(), n, now)
    }

    /// The same as a thread of that shard.
    #[doc(hidden)]
    #[inline]
    pub fn try_acquire_on(&self, own: usize, n: u64, now: Timestamp) -> Result<(), Denied> {
        if self.shards[own].spend(n) {
            return Ok(());
        }
        let charged = self.try_acquire_beyond(own, n, now);
        charged.map_err(|refused| self.denied(refused))
    }
}

/// Looks at an instant that the caller has read. They read no clock.
impl<C> ShardedTokenBucket<C> {
    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n > self.capacity() {
            return Err(self.denied(Refused::Never));
        }
        let Core { tat, gcra, .. } = &*self.core;
        let all = self.all_leases();
        let (now, tat) = tat.load_current(gcra, now.as_nanos());
        match self.beyond(tat, now, all, n) {
            Ok(_) => Ok(()),
            Err(shortfall) => Err(self.denied(Refused::NotYet(now, shortfall))),
        }
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at(&self, now: Timestamp) -> u64 {
        let Core { tat, gcra, .. } = &*self.core;
        let all = self.all_leases();
        let (now, tat) = tat.load_current(gcra, now.as_nanos());
        let room = gcra.room_beside(tat, now, gcra.cost_clamped(all.counted));
        let available = all.left.saturating_add(gcra.tokens_in(room));
        available.min(gcra.capacity())
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }
}

/// Operations as of now.
impl<C: Clock> ShardedTokenBucket<C> {
    /// Takes `n` tokens if they are there. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` are there, [`Denied::Never`] if `n` is above the capacity. Nothing is
    /// charged then.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        let own = self.own();
        if self.shards[own].spend(n) {
            return Ok(());
        }
        let charged = self.try_acquire_beyond(own, n, self.core.clock.now());
        charged.map_err(|refused| self.denied(refused))
    }

    /// Whether `n` tokens would be given now. Changes nothing; by the time you ask again, others may have taken them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.core.clock.now())
    }

    /// Whole tokens that could be had now.
    pub fn available(&self) -> u64 {
        self.available_at(self.core.clock.now())
    }

    /// How long until `n` tokens would be given if nobody else came; `None` if never.
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.core.clock.now())
    }
}

#[cfg(tidegate_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "for models")]
impl<C> ShardedTokenBucket<C> {
    /// What is counted as held, and what all leases in shards are counted as.
    pub fn held_and_counted(&self) -> (u64, u64) {
        let counted = self.shards.iter().map(|shard| shard.look().counted);
        // Acquire: as whoever charges reads it.
        (self.core.held.load(Ordering::Acquire), counted.sum())
    }
}

impl<C> sealed::Sealed for ShardedTokenBucket<C> {}

impl<C: Clock> Limiter for ShardedTokenBucket<C> {
    type Clock = C;
    /// Tokens are not given back, so there is nothing to remember.
    type Charge = ();

    fn clock(&self) -> &C {
        &self.core.clock
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

    /// 0: a charge is forfeited. (A lease does not tell which of its tokens were used by whom, and when.)
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
        self.available_at(now) == self.capacity()
    }
}

impl<C: fmt::Debug> fmt::Debug for ShardedTokenBucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedTokenBucket")
            .field("quota", &self.core.quota)
            .field("tat", &self.core.tat)
            .field("leases", &self.shards)
            .field("clock", &self.core.clock)
            .finish_non_exhaustive()
    }
}
