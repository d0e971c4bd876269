//! Changes of a sharded bucket's quota while it is used.
//!
//! A later state is a whole sharded bucket with its own TAT, leases and count of held tokens. The
//! TAT moves as that of a plain bucket does (see [`Handover`]). Each thread that takes part does
//! this between the freeze of the old TAT and the first exchange of the new one:
//!
//! 1. It closes all leases of the old state, and adds up what they had left. No lease in a shard
//!    can be used from then on (`open_leases`), and none can be put back (`added_to_closed`). So
//!    all threads find the same sum.
//! 2. It loads `held` of the old state, after the freeze (`held_before_freeze`,
//!    `unfenced_freeze`).
//!
//! The new state starts with the old capacity, less what is charged to the TAT or held, whichever
//! is more, plus what the leases had left (`lost_leases`). That is what
//! [`available`](ShardedTokenBucket::available) returned before, in grains.
//!
//! # The bound
//!
//! Let a be any instant, and U the tokens that are used at or after a, plus those left in leases.
//! At every exchange of the TAT, U · T ≤ max(TAT − a, `held` · T):
//!
//! * At a, U is what leases have left, which is at most `held`.
//! * A call at now ≥ a that charges b tokens raises the TAT to at least now + `held` · T, and then
//!   by b · T. U grows by b.
//! * A call with a reading before a counts as used before a. What it leases adds the same to U and
//!   to `held`. What it lowers `held` by was used before its reading, or is no longer in U.
//!
//! After the freeze no exchange succeeds. So the old state admits at most that much, less what the
//! closed leases had left: those are in U and are never used. With a change at s, an interval that
//! begins at a ≤ s admits on the old state at most C + r (s − a) less the level that moves, for
//! each value of `held` that is loaded after the freeze. The new state admits that level and
//! r' (b − s). So the sum is C + r (s − a) + r' (b − s), as for a plain bucket.
//!
//! `held` is not frozen. A call that had raised it may fail, and a call that was admitted may lower
//! it late. So threads may compute different levels, all of which are sound. The first exchange of
//! the new word decides, and the others fail, because the unset word does not come back.
//!
//! # What is lost
//!
//! A lease in transit is counted in `held`, and its call may find its shard closed. What it has
//! left is then lost. It cannot be credited to the new state: that may have been full meanwhile, so
//! a late credit would be a burst.
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.

use super::ShardedTokenBucket;
use super::state::{ShardedCore, ShardedState};
use crate::clock::Clock;
use crate::gcra::{Gcra, Handover, Leased};
use crate::quota::Quota;
use crate::sync::Ordering::Acquire;
use crate::sync::{Closed, Successor, fence};
use crate::time::Timestamp;

/// The state of a sharded bucket after a change of its quota.
pub(super) struct ChangedState {
    state: ShardedState,
    handover: Handover,
}

impl ChangedState {
    pub(super) fn run<R>(
        &self,
        operation: impl Fn(&ShardedState) -> Result<R, Closed>,
    ) -> Result<R, Closed> {
        operation(&self.state)
    }
}

impl Successor for ChangedState {
    type State = ShardedState;

    fn state(&self) -> &ShardedState {
        &self.state
    }

    fn close(&self, old: &ShardedState) {
        self.handover.close(&old.core.tat);
    }

    fn take_over(&self, old: &ShardedState) {
        let ShardedCore { tat, gcra, .. } = &*self.state.core;
        let ShardedCore {
            tat: old_tat,
            gcra: old_gcra,
            ..
        } = &*old.core;
        self.handover
            .take_over(tat, gcra, old_tat, old_gcra, || old.close_leases());
    }
}

impl ShardedState {
    /// Closes all leases of a bucket whose TAT is frozen.
    fn close_leases(&self) -> Leased {
        let ShardedCore { held, gcra, .. } = &*self.core;
        // Acquire, of the frozen TAT: pairs with the Release in `replace`, so that `held` was raised
        // for each charge before the freeze.
        fence(Acquire);
        let left = self.shards.iter().map(|shard| shard.close()).sum();
        // Acquire: pairs with the Release in `lower`, as in a charge.
        let held = held.load(Acquire);
        Leased {
            held: gcra.cost_clamped(held),
            unused: gcra.cost_clamped(left),
        }
    }
}

impl<C> ShardedTokenBucket<C> {
    /// [`set_quota`](Self::set_quota) as of `now`.
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) {
        let changed = self.changes.replace(&self.state, |latest| {
            let state = latest.map_or(&self.state, |latest| &latest.state);
            let handover = Handover::at(now.as_nanos());
            let gcra = Gcra::new(quota);
            let tat = handover.unopened(&gcra);
            (state.core.quota != quota).then(|| ChangedState {
                state: ShardedState::new(tat, gcra, quota, state.shards.len()),
                handover,
            })
        });
        if changed {
            self.wait_queue.wake_head();
        }
    }
}

impl<C: Clock> ShardedTokenBucket<C> {
    /// Changes the quota while other threads use the bucket. No call waits for it.
    ///
    /// The level is carried over in tokens, at most the new capacity:
    /// [`available`](Self::available) is the same before and after. So a larger capacity is not a
    /// free burst. It fills at the new rate. A call is decided by the old quota or by the new one,
    /// never by parts of both. Does nothing if the quota is the same. The number of shards stays.
    ///
    /// # Bound
    ///
    /// As of the plain bucket. For one change at `s`, from rate r to rate r', the bucket admits
    /// from `a` to `b` at most capacity + r · (s − a) + r' · (b − s), with the capacity before the
    /// change.
    ///
    /// # What goes on
    ///
    /// * Waiters keep their places. The first is woken and decided by the new quota. A waiter that
    ///   asks for more than the new capacity is refused with [`Denied::Never`](crate::Denied).
    /// * Leases in shards are collected, and their tokens come back, as if a call had collected
    ///   them. A call that makes or collects leases at that very moment loses those that it holds:
    ///   mostly one, at most an eighth of the capacity. They count as used.
    ///
    /// # Cost
    ///
    /// A bucket whose quota was never changed pays nothing. After the first change, each call reads
    /// the clock and finds the quota through a pointer, which takes some ten nanoseconds more. Its
    /// leases remain, so threads still do not slow each other down. The bucket keeps the
    /// allocation of the first quota, and a second one as large. A change allocates, visits all
    /// shards, and takes a lock that only other changes take.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, ShardedTokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(10_000).burst(10_000);
    /// let bucket = ShardedTokenBucket::with_clock(quota, clock.clone());
    /// for _ in 0..4 {
    ///     bucket.try_acquire(1_000)?; // the thread's shard has a lease from now on
    /// }
    ///
    /// bucket.set_quota(Quota::per_second(50_000).burst(20_000)); // shared: no `mut`
    /// assert_eq!((bucket.capacity(), bucket.available()), (20_000, 6_000));
    /// clock.advance(Duration::from_millis(100));
    /// assert_eq!(bucket.available(), 11_000);
    ///
    /// bucket.set_quota(quota);
    /// assert_eq!(bucket.available(), 10_000);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn set_quota(&self, quota: Quota) {
        self.set_quota_at(quota, self.clock.now());
    }
}
