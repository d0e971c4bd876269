//! The quota of a sharded bucket and its atomic state: what a change of the quota replaces.

use alloc::boxed::Box;
use core::fmt;

use crossbeam_utils::CachePadded;

use super::lease::{Lease, Shard};
use crate::gcra::{AtomicTat, Gcra, Now, Refusal, Shortage, Shortfall};
use crate::quota::Quota;
use crate::sync::AtomicU64;
use crate::sync::Closed;
#[cfg(tidegate_loom)]
use crate::sync::Ordering::Acquire;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

/// See the [module](self) documentation.
pub(super) struct ShardedState {
    pub(super) core: CachePadded<ShardedCore>,
    pub(super) shards: Box<[CachePadded<Shard>]>,
}

/// On cache lines of its own, so that calls that use leases do not wait for calls that make them.
pub(super) struct ShardedCore {
    pub(super) tat: AtomicTat,
    pub(super) held: AtomicU64,
    pub(super) gcra: Gcra,
    pub(super) quota: Quota,
}

impl ShardedState {
    /// A full bucket without leases.
    pub(super) fn full(quota: Quota, shards: usize) -> Self {
        Self::new(AtomicTat::full(), Gcra::new(quota), quota, shards)
    }

    pub(super) fn new(tat: AtomicTat, gcra: Gcra, quota: Quota, shards: usize) -> Self {
        debug_assert!(
            shards.is_power_of_two(),
            "the number of shards is not a power of two"
        );
        Self {
            core: CachePadded::new(ShardedCore {
                tat,
                held: AtomicU64::new(0),
                gcra,
                quota,
            }),
            shards: (0..shards)
                .map(|_| CachePadded::new(Shard::empty()))
                .collect(),
        }
    }

    /// The index of a thread's shard.
    #[inline]
    pub(super) fn shard_of(&self, thread: usize) -> usize {
        thread & (self.shards.len() - 1)
    }

    /// Uses `n` tokens of the shard's lease if so many are left.
    #[inline]
    pub(super) fn spend(&self, shard: usize, n: u64) -> bool {
        self.shards[shard].spend(n)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.core.gcra.capacity()
    }

    /// The quota, unless it has changed.
    pub(super) fn quota_if_open(&self) -> Result<Quota, Closed> {
        self.core.tat.check_open_now()?;
        Ok(self.core.quota)
    }

    /// The refusal of a call for more than the capacity, unless the quota has changed.
    #[cold]
    pub(super) fn never(&self) -> Refusal<Shortage> {
        match self.core.tat.check_open_now() {
            Ok(()) => Refusal::Denied(Shortage::Never {
                capacity: self.capacity(),
            }),
            Err(closed) => Refusal::Closed(closed),
        }
    }

    pub(super) fn gcra(&self) -> &Gcra {
        &self.core.gcra
    }

    pub(super) fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Refusal<Shortage>> {
        if n > self.capacity() {
            return Err(self.never());
        }
        let ShardedCore { tat, gcra, .. } = &*self.core;
        let all = self.all_leases();
        let (now, tat) = tat.load_current(gcra, now.as_nanos())?;
        match self.admit_with_leases(tat, now, all, n) {
            Ok(_) => Ok(()),
            Err(shortfall) => Err(Refusal::Denied(Shortage::NotYet(now, shortfall))),
        }
    }

    pub(super) fn available_at(&self, now: Timestamp) -> Result<u64, Closed> {
        let ShardedCore { tat, gcra, .. } = &*self.core;
        let all = self.all_leases();
        let (now, tat) = tat.load_current(gcra, now.as_nanos())?;
        let room = gcra.room_with_held(tat, now, gcra.cost_clamped(all.counted));
        let available = all.left.saturating_add(gcra.tokens_in(room));
        Ok(available.min(gcra.capacity()))
    }

    /// The nanoseconds that a call has to wait which no lease can serve, as of a bucket without
    /// leases: one load more than in a plain bucket. `None` in all other cases: a lease exists, the
    /// quota has changed, or the call fits.
    #[inline]
    pub(super) fn refusal_without_leases(&self, n: u64, now: Timestamp) -> Option<u64> {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        let (seen, now) = tat.load_covered(gcra, now.as_nanos())?;
        // Relaxed: after the TAT, whose Acquire shows what was raised for every lease in it. Tokens
        // of a lease that is made later were not in the bucket at `now`.
        if held.load(Relaxed) > 0 || n > gcra.capacity() {
            return None;
        }
        let shortfall = gcra.admit(seen, now, gcra.cost(n)).err()?;
        if !tat.is_current(seen) {
            return None;
        }
        gcra.usual_wait_nanos(now, shortfall)
    }

    /// All leases, merged.
    pub(super) fn all_leases(&self) -> Lease {
        let mut all = Lease::NONE;
        // Relaxed: a hint, which may be outdated at once. At 0 no lease exists.
        if self.core.held.load(Relaxed) > 0 {
            for shard in &self.shards {
                all = all.merge(shard.load());
            }
        }
        all
    }

    /// The TAT after `n` tokens, some of which are left in `leases`.
    pub(super) fn admit_with_leases(
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

    /// The tokens counted as held, and the sum of what the leases in shards are counted as.
    #[cfg(tidegate_loom)]
    pub(super) fn held_and_counted(&self) -> Result<(u64, u64), Closed> {
        self.core.tat.check_open_now()?;
        let counted = self.shards.iter().map(|shard| shard.load().counted);
        // Acquire: as in a charge.
        Ok((self.core.held.load(Acquire), counted.sum()))
    }
}

impl fmt::Debug for ShardedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedState")
            .field("tat", &self.core.tat)
            .field("leases", &self.shards)
            .finish_non_exhaustive()
    }
}
