//! A call beyond what its own lease has left: new leases, and looks into those of others. The [module](super) documentation says why
//! it is right.

use super::lease::Lease;
use super::{Core, ShardedTokenBucket};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::{Now, Shortfall};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// The largest lease. With 256 tokens, what a lease costs is a hundredth of a call.
#[cfg(not(tidegate_loom))]
const LARGEST_LEASE: u64 = 256;
/// Models need leases that are used up in a call or two, of a bucket of a few tokens.
#[cfg(tidegate_loom)]
const LARGEST_LEASE: u64 = 2;

/// A lease is at most this part of what is there, divided by the number of shards: scarce tokens are not spread, and what leases
/// are counted as after they were used up is at most about an eighth of the capacity.
#[cfg(not(tidegate_loom))]
const PARTS_PER_SHARD: u64 = 8;
#[cfg(tidegate_loom)]
const PARTS_PER_SHARD: u64 = 1;

/// Smaller ones are not worth their bookkeeping.
#[cfg(not(tidegate_loom))]
const SMALLEST_LEASE: u64 = 4;
#[cfg(tidegate_loom)]
const SMALLEST_LEASE: u64 = 1;

/// Why a call is refused, without the hint.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    Never,
    NotYet(Now, Shortfall),
}

/// Beyond what is left of the own lease.
impl<C> ShardedTokenBucket<C> {
    // Inlined into the caller, so that a hint that nobody reads is not computed.
    #[inline]
    pub(super) fn denied(&self, refused: Refused) -> Denied {
        match refused {
            Refused::Never => Denied::Never {
                capacity: self.capacity(),
            },
            Refused::NotYet(now, shortfall) => Denied::NotYet {
                retry_after: self.core.gcra.wait(now, shortfall),
            },
        }
    }

    /// All leases together.
    pub(super) fn all_leases(&self) -> Lease {
        let mut all = Lease::NONE;
        // Relaxed: a look, after which anything may change. Nothing is held where this is 0.
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
        gcra.admit_beside(tat, now, gcra.cost_clamped(leases.counted), missing)
    }

    /// The instant as of which what was used of a lease in hand is charged: it was used before that, but maybe after `now` was read.
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

    /// Takes `n` tokens as a thread of shard `own`, whose lease has not so many left.
    #[cold]
    #[inline(never)]
    pub(super) fn try_acquire_beyond(
        &self,
        own: usize,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Refused>
    where
        C: Clock,
    {
        if n > self.capacity() {
            return Err(Refused::Never);
        }
        let Core {
            tat, gcra, held, ..
        } = &*self.core;
        loop {
            // A look, which decides nothing but what to try: refused callers write nothing.
            let lease = self.shards[own].look();
            let (seen, reading) = tat.load(gcra, now.as_nanos());
            // Relaxed: a look.
            let counted = held.load(Relaxed);
            let mut all = Lease { counted, ..lease };
            let mut charged = self.beyond(seen, reading, all, n);
            if charged.is_ok() {
                if self.lease(own, n, now) {
                    return Ok(());
                }
                continue;
            }
            // Others may have what is missing here, or have used what is held in their name.
            if counted > 0 {
                all = self.all_leases();
                charged = self.beyond(seen, reading, all, n);
            }
            match charged {
                Err(shortfall) if all.counted == all.left => {
                    if tat.is_current(seen) {
                        return Err(Refused::NotYet(reading, shortfall));
                    }
                }
                // Not tried again if it fails, or two could take from each other without end.
                _ => return self.gather(own, n, now),
            }
        }
    }

    /// Takes `n` tokens out of the own lease and the time line, and a new lease on top if there is plenty. Whether it could.
    fn lease(&self, own: usize, n: u64, now: Timestamp) -> bool
    where
        C: Clock,
    {
        let Core {
            tat, gcra, held, ..
        } = &*self.core;
        // In hand from here on: still counted, and nobody else's.
        let mine = self.shards[own].take();
        let Some(missing) = n.checked_sub(mine.left) else {
            // Another thread of this shard has leased.
            self.keep(own, mine);
            return self.shards[own].spend(n);
        };
        let now = self.settled_as_of(mine, now);
        let (seen, now) = tat.load(gcra, now.as_nanos());
        // Acquire, after the TAT: invariant 1. Meets the Release of `lower`. What is in hand is in it.
        let beside = gcra.cost_clamped(held.load(Acquire));
        let room = gcra.tokens_in(gcra.room_beside(seen, now, beside));
        let extra = self.largest_lease(room.saturating_sub(missing));

        let counted = self.raise(mine.counted, extra);
        let cost = gcra.cost(missing.saturating_add(extra));
        let charged = gcra.admit_beside(seen, now, beside, cost);
        if charged.is_ok_and(|after| tat.replace(seen, after)) {
            self.lower(counted - extra);
            self.keep(own, Lease::of(extra));
            true
        } else {
            self.keep(own, Lease { counted, ..mine });
            false
        }
    }

    /// How much to lease where so much is there: nothing where it is scarce.
    fn largest_lease(&self, room: u64) -> u64 {
        let share = room / (PARTS_PER_SHARD * self.shards.len() as u64);
        if share < SMALLEST_LEASE {
            0
        } else {
            share.min(LARGEST_LEASE)
        }
    }

    /// Takes all leases away, `n` tokens out of them and the time line, and spreads the rest over all shards.
    ///
    /// # Errors
    ///
    /// What is missing. What was used of the leases is charged to the time line then, unless `now` is too old for that.
    fn gather(&self, own: usize, n: u64, now: Timestamp) -> Result<(), Refused>
    where
        C: Clock,
    {
        let Core {
            tat, gcra, held, ..
        } = &*self.core;
        // In hand from here on: still counted, and nobody else's.
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
            // Acquire, after the TAT: invariant 1. Meets the Release of `lower`. What is in hand is in it.
            let beside = gcra.cost_clamped(held.load(Acquire));
            match gcra.admit_beside(seen, now, beside, gcra.cost(missing)) {
                Ok(after) if tat.replace(seen, after) => {
                    self.lower(hand.counted);
                    return Ok(());
                }
                Err(shortfall) => {
                    match gcra.admit_beside(seen, now, beside, 0) {
                        Ok(after) if tat.replace(seen, after) => {
                            self.lower(hand.counted - hand.left);
                            self.spread(own, Lease::of(hand.left));
                            return Err(Refused::NotYet(now, shortfall));
                        }
                        // As of so old an instant there is no room even for what others have charged since: what was used stays held.
                        Err(_) if tat.is_current(seen) => {
                            self.spread(own, hand);
                            return Err(Refused::NotYet(now, shortfall));
                        }
                        _ => {}
                    }
                }
                Ok(_) => {}
            }
        }
    }

    /// Counts so many tokens as held where `counted` are, if that is more; how many are counted then.
    fn raise(&self, counted: u64, tokens: u64) -> u64 {
        if tokens > counted {
            // Relaxed: the exchange of the time line that follows publishes it (invariant 1).
            self.core.held.fetch_add(tokens - counted, Relaxed);
        }
        counted.max(tokens)
    }

    /// Counts so many tokens as held no longer.
    fn lower(&self, tokens: u64) {
        if tokens > 0 {
            // Release: meets the Acquire of those who read it, after the lease was taken away in which they were.
            let before = self.core.held.fetch_sub(tokens, Release);
            debug_assert!(before >= tokens, "more than is held");
        }
    }

    /// Puts a lease that is counted into a shard.
    fn keep(&self, own: usize, lease: Lease) {
        if lease.counted > 0 {
            // More than a word can tell there never is, as leases are small. It would stay held, and be lost.
            let is_kept = self.shards[own].put(lease);
            debug_assert!(is_kept, "a pile of leases");
        }
    }

    /// Puts what is left in hand into all shards, or one thread would keep everything and the others lease anew, time after time.
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
