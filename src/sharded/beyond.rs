//! A call that its own lease does not cover: new leases, and collecting the leases of other shards.
//! The [module above](super) explains why it is correct.

use super::lease::Lease;
use super::shortage::Shortage;
use super::{ShardedCore, ShardedTokenBucket};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::{Now, Shortfall};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// The largest lease. With 256 tokens, the cost of a lease is a hundredth of a call for each.
#[cfg(not(tidegate_loom))]
const LARGEST_LEASE: u64 = 256;
/// Models need leases that last for a call or two, of a bucket with a few tokens.
#[cfg(tidegate_loom)]
const LARGEST_LEASE: u64 = 2;

/// A lease is at most the available tokens divided by this and by the number of shards. So scarce
/// tokens are not spread, and used-up leases count as at most about an eighth of the capacity.
#[cfg(not(tidegate_loom))]
const PARTS_PER_SHARD: u64 = 8;
#[cfg(tidegate_loom)]
const PARTS_PER_SHARD: u64 = 1;

/// Smaller leases do not pay for their bookkeeping.
#[cfg(not(tidegate_loom))]
const SMALLEST_LEASE: u64 = 4;
#[cfg(tidegate_loom)]
const SMALLEST_LEASE: u64 = 1;

/// Calls that the thread's own lease does not cover.
impl<C> ShardedTokenBucket<C> {
    // Inlined into the caller, so that an unused hint is never computed.
    #[inline]
    pub(super) fn denied(&self, refused: Shortage) -> Denied {
        match refused {
            Shortage::Never => Denied::Never {
                capacity: self.capacity(),
            },
            Shortage::NotYet(now, shortfall) => Denied::NotYet {
                retry_after: self.core.gcra.wait(now, shortfall),
            },
        }
    }

    /// The sum of all leases.
    pub(super) fn all_leases(&self) -> Lease {
        let mut all = Lease::NONE;
        // Relaxed: a hint, after which anything may change. At 0 no lease exists.
        if self.core.held.load(Relaxed) > 0 {
            for shard in &self.shards {
                all = all.and(shard.look());
            }
        }
        all
    }

    /// The TAT after `n` tokens, some of which are left in `leases`.
    pub(super) fn beyond(
        &self,
        tat: u64,
        now: Now,
        leases: Lease,
        n: u64,
    ) -> Result<u64, Shortfall> {
        let gcra = &self.core.gcra;
        let missing = gcra.cost(n.saturating_sub(leases.left));
        gcra.admit_with_held(tat, now, gcra.cost_clamped(leases.counted), missing)
    }

    /// The instant as of which the used part of a collected lease is charged. Its tokens were used
    /// before that instant, but maybe after `now` was read.
    fn settled_as_of(&self, hand: Lease, now: Timestamp) -> Timestamp
    where
        C: Clock,
    {
        if hand.counted == hand.left {
            now
        } else {
            now.max(self.core.clock.now())
        }
    }

    /// Takes `n` tokens as a thread of shard `own`, whose lease has fewer left.
    #[cold]
    #[inline(never)]
    pub(super) fn try_acquire_beyond(
        &self,
        own: usize,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Shortage>
    where
        C: Clock,
    {
        if n > self.capacity() {
            return Err(Shortage::Never);
        }
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        loop {
            // Only chooses what to try, so that refused callers write nothing.
            let lease = self.shards[own].look();
            let (seen, reading) = tat.load(gcra, now.as_nanos());
            // Relaxed: a hint.
            let counted = held.load(Relaxed);
            let mut all = Lease { counted, ..lease };
            let mut charged = self.beyond(seen, reading, all, n);
            if charged.is_ok() {
                if self.lease(own, n, now) {
                    return Ok(());
                }
                continue;
            }
            // Other shards may have the missing tokens, or may have used what is held for them.
            if counted > 0 {
                all = self.all_leases();
                charged = self.beyond(seen, reading, all, n);
            }
            match charged {
                Err(shortfall) if all.counted == all.left => {
                    if tat.is_current(seen) {
                        return Err(Shortage::NotYet(reading, shortfall));
                    }
                }
                // Tried once, or two calls could take from each other without end.
                _ => return self.gather(own, n, now),
            }
        }
    }

    /// Takes `n` tokens out of the own lease and the TAT, and a new lease if there are plenty.
    /// Returns whether it succeeded.
    fn lease(&self, own: usize, n: u64, now: Timestamp) -> bool
    where
        C: Clock,
    {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        // From here on the lease is in transit: still counted, and not usable by other calls.
        let mine = self.shards[own].take();
        let Some(missing) = n.checked_sub(mine.left) else {
            // Another thread of this shard has leased.
            self.keep(own, mine);
            return self.shards[own].spend(n);
        };
        let now = self.settled_as_of(mine, now);
        let (seen, now) = tat.load(gcra, now.as_nanos());
        // Acquire, after the TAT: invariant 1. Pairs with the Release of `lower`. The lease in
        // transit is included.
        let beside = gcra.cost_clamped(held.load(Acquire));
        let room = gcra.tokens_in(gcra.room_with_held(seen, now, beside));
        let extra = self.largest_lease(room.saturating_sub(missing));

        let counted = self.raise(mine.counted, extra);
        let cost = gcra.cost(missing.saturating_add(extra));
        let charged = gcra.admit_with_held(seen, now, beside, cost);
        if charged.is_ok_and(|after| tat.replace(seen, after)) {
            self.lower(counted - extra);
            self.keep(own, Lease::of(extra));
            true
        } else {
            self.keep(own, Lease { counted, ..mine });
            false
        }
    }

    /// The size of a new lease where `room` tokens are available: 0 where they are scarce.
    fn largest_lease(&self, room: u64) -> u64 {
        let share = room / (PARTS_PER_SHARD * self.shards.len() as u64);
        if share < SMALLEST_LEASE {
            0
        } else {
            share.min(LARGEST_LEASE)
        }
    }

    /// Collects all leases, takes `n` tokens out of them and the TAT, and spreads the rest over all
    /// shards.
    ///
    /// # Errors
    ///
    /// The shortfall. The used part of the leases is then charged to the TAT, unless `now` is too
    /// old.
    fn gather(&self, own: usize, n: u64, now: Timestamp) -> Result<(), Shortage>
    where
        C: Clock,
    {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        // From here on the leases are in transit: still counted, and not usable by other calls.
        let hand = self
            .shards
            .iter()
            .fold(Lease::NONE, |hand, shard| hand.and(shard.take()));
        let Some(missing) = n.checked_sub(hand.left) else {
            let left = hand.left - n;
            self.spread(own, Lease { left, ..hand });
            return Ok(());
        };
        let now = self.settled_as_of(hand, now);
        loop {
            let (seen, now) = tat.load(gcra, now.as_nanos());
            // Acquire, after the TAT: invariant 1. Pairs with the Release of `lower`. The leases in
            // transit are included.
            let beside = gcra.cost_clamped(held.load(Acquire));
            match gcra.admit_with_held(seen, now, beside, gcra.cost(missing)) {
                Ok(after) if tat.replace(seen, after) => {
                    self.lower(hand.counted);
                    return Ok(());
                }
                Err(shortfall) => {
                    match gcra.admit_with_held(seen, now, beside, 0) {
                        Ok(after) if tat.replace(seen, after) => {
                            self.lower(hand.counted - hand.left);
                            self.spread(own, Lease::of(hand.left));
                            return Err(Shortage::NotYet(now, shortfall));
                        }
                        // At so old an instant not even the charges made since have room, so the
                        // used part stays held.
                        Err(_) if tat.is_current(seen) => {
                            self.spread(own, hand);
                            return Err(Shortage::NotYet(now, shortfall));
                        }
                        _ => {}
                    }
                }
                Ok(_) => {}
            }
        }
    }

    /// Raises `held` so that `tokens` are counted where `counted` are, and returns the larger.
    fn raise(&self, counted: u64, tokens: u64) -> u64 {
        if tokens > counted {
            // Relaxed: the exchange of the TAT that follows publishes it (invariant 1).
            self.core.held.fetch_add(tokens - counted, Relaxed);
        }
        counted.max(tokens)
    }

    /// Lowers `held` by `tokens`.
    fn lower(&self, tokens: u64) {
        if tokens > 0 {
            // Release: pairs with the Acquire loads of `held`, after the lease was taken.
            let before = self.core.held.fetch_sub(tokens, Release);
            debug_assert!(before >= tokens, "more than is held");
        }
    }

    /// Puts a counted lease into a shard.
    fn keep(&self, own: usize, lease: Lease) {
        if lease.counted > 0 {
            // Leases are small, so their sum always fits. Otherwise it would stay held and be lost.
            let is_kept = self.shards[own].put(lease);
            debug_assert!(is_kept, "a pile of leases");
        }
    }

    /// Spreads the rest over all shards. Otherwise one thread would keep everything, and the others
    /// would lease again and again.
    fn spread(&self, own: usize, mut hand: Lease) {
        let part = Lease::of(hand.left / self.shards.len() as u64);
        if part.left >= SMALLEST_LEASE {
            for shard in (0..self.shards.len()).filter(|shard| *shard != own) {
                self.keep(shard, part);
                hand.counted -= part.counted;
                hand.left -= part.left;
            }
        }
        self.keep(own, hand);
    }
}
