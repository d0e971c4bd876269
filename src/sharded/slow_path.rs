//! A call that the lease of its own shard does not cover: it makes a new lease, or collects the
//! leases of all shards. The [module above](super) explains why that is correct.

use super::lease::Lease;
use super::state::{ShardedCore, ShardedState};
use crate::clock::Clock;
use crate::gcra::{Level, Refusal, Shortage};
use crate::sync::Closed;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// The largest lease. With 256 tokens, making it adds a hundredth to the cost of each call.
#[cfg(not(tidegate_loom))]
const LARGEST_LEASE: u64 = 256;
/// Models need leases that last for a call or two, of a bucket with a few tokens.
#[cfg(tidegate_loom)]
const LARGEST_LEASE: u64 = 2;

/// A lease is at most the available tokens divided by this and by the number of shards. So scarce
/// tokens are not spread, and leases that are used up count as at most about an eighth of the
/// capacity.
#[cfg(not(tidegate_loom))]
const PARTS_PER_SHARD: u64 = 8;
#[cfg(tidegate_loom)]
const PARTS_PER_SHARD: u64 = 1;

/// Smaller leases do not pay for their bookkeeping.
#[cfg(not(tidegate_loom))]
const SMALLEST_LEASE: u64 = 4;
#[cfg(tidegate_loom)]
const SMALLEST_LEASE: u64 = 1;

/// Calls that the lease of their own shard does not cover.
impl ShardedState {
    /// The instant as of which the used part of a taken lease is charged. Its tokens were used
    /// before that instant, but maybe after `now` was read.
    fn settled_as_of(taken: Lease, now: Timestamp, clock: &impl Clock) -> Timestamp {
        if taken.counted == taken.left {
            now
        } else {
            now.max(clock.now())
        }
    }

    /// The level at `now`, for a save: that of the ideal bucket in the module's invariant 2, or
    /// lower.
    pub(super) fn level_at(&self, now: Timestamp) -> Result<Level, Closed> {
        // What is left in leases in transit stays unused until they are put back. A sum of leases
        // in shards could count a token twice that a call moves from one to the other.
        let collected = self.collect();
        let level = self.level_without(collected, now);
        // If the quota has changed meanwhile, the shards are closed, and these leases count as
        // used.
        self.spread(0, collected);
        level
    }

    /// The level while the caller holds leases.
    fn level_without(&self, collected: Lease, now: Timestamp) -> Result<Level, Closed> {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        loop {
            let (now, seen) = tat.load_current(gcra, now.as_nanos())?;
            // Acquire: pairs with the Release in `lower`, so that the tokens by which `held` was
            // lowered are in the TAT, or the TAT is no longer the one above.
            let held_grains = gcra.cost_clamped(held.load(Acquire));
            if tat.is_current(seen) {
                return Ok(gcra.level_with_held(seen, now, held_grains, collected.left));
            }
        }
    }

    /// Takes the leases of all shards.
    fn collect(&self) -> Lease {
        let leases = self.shards.iter().map(|shard| shard.take());
        leases.fold(Lease::NONE, Lease::merge)
    }

    /// Spends what was missing from a saved level `elapsed` nanoseconds ago.
    pub(super) fn restore_level_at(
        &self,
        level: Level,
        elapsed: u64,
        now: Timestamp,
    ) -> Result<(), Closed> {
        let ShardedCore { tat, gcra, .. } = &*self.core;
        tat.update(gcra, now.as_nanos(), |now, tat| {
            gcra.restored(tat, now, level, elapsed)
        })
    }

    /// Takes `n` tokens as a thread of `shard`, whose lease has fewer left. Where the quota has
    /// changed, calls `on_closed` instead.
    // Where that is returned instead, each refusal takes ten instructions more.
    #[expect(clippy::inline_always, reason = "into the cold functions that call it")]
    #[inline(always)]
    pub(super) fn try_acquire_slow<E: From<Shortage>>(
        &self,
        shard: usize,
        n: u64,
        now: Timestamp,
        clock: &impl Clock,
        on_closed: impl Fn(Closed) -> Result<(), E>,
    ) -> Result<(), E> {
        if n > self.capacity() {
            return match self.never() {
                Refusal::Denied(never) => Err(never.into()),
                Refusal::Closed(closed) => on_closed(closed),
            };
        }
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        loop {
            // These loads only choose what to try, so that refused calls write nothing.
            let lease = self.shards[shard].load();
            let (seen, reading) = match tat.load(gcra, now.as_nanos()) {
                Ok(loaded) => loaded,
                Err(closed) => return on_closed(closed),
            };
            // Relaxed: a hint.
            let counted = held.load(Relaxed);
            let mut all = Lease { counted, ..lease };
            let mut charged = self.admit_with_leases(seen, reading, all, n);
            if charged.is_ok() {
                match self.acquire_and_lease(shard, n, now, clock) {
                    Ok(true) => return Ok(()),
                    Ok(false) => continue,
                    Err(closed) => return on_closed(closed),
                }
            }
            // Other shards may have the missing tokens, or may have used what is held for them.
            if counted > 0 {
                all = self.all_leases();
                charged = self.admit_with_leases(seen, reading, all, n);
            }
            match charged {
                Err(shortfall) if all.counted == all.left => {
                    if tat.is_current(seen) {
                        return Err(Shortage::NotYet(reading, shortfall).into());
                    }
                }
                // Tried once. Otherwise two calls could take leases from each other without end.
                _ => return self.gather(shard, n, now, clock, on_closed),
            }
        }
    }

    /// Takes `n` tokens out of the shard's lease and the TAT, and makes a new lease if there are
    /// plenty. Returns whether it succeeded.
    fn acquire_and_lease(
        &self,
        shard: usize,
        n: u64,
        now: Timestamp,
        clock: &impl Clock,
    ) -> Result<bool, Closed> {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        // From here on the lease is in transit: still counted, and not usable by other calls.
        let taken = self.shards[shard].take();
        let Some(missing) = n.checked_sub(taken.left) else {
            // Another thread of this shard has leased.
            self.keep(shard, taken);
            return Ok(self.spend(shard, n));
        };
        let now = Self::settled_as_of(taken, now, clock);
        let (seen, now) = match tat.load(gcra, now.as_nanos()) {
            Ok(loaded) => loaded,
            Err(closed) => {
                self.keep(shard, taken);
                return Err(closed);
            }
        };
        // Acquire: pairs with the Release in `lower`. After the load of the TAT: invariant 1. The
        // lease in transit is included.
        let held_grains = gcra.cost_clamped(held.load(Acquire));
        let room = gcra.tokens_in(gcra.room_with_held(seen, now, held_grains));
        let extra = self.lease_size(room.saturating_sub(missing));

        let counted = self.raise(taken.counted, extra);
        let cost = gcra.cost(missing.saturating_add(extra));
        let charged = gcra.admit_with_held(seen, now, held_grains, cost);
        if charged.is_ok_and(|after| tat.replace(seen, after)) {
            self.lower(counted - extra);
            self.keep(shard, Lease::unused(extra));
            Ok(true)
        } else {
            self.keep(shard, Lease { counted, ..taken });
            Ok(false)
        }
    }

    /// The size of a new lease where `room` tokens are available: 0 where they are scarce.
    fn lease_size(&self, room: u64) -> u64 {
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
    /// old for that.
    fn gather<E: From<Shortage>>(
        &self,
        shard: usize,
        n: u64,
        now: Timestamp,
        clock: &impl Clock,
        on_closed: impl Fn(Closed) -> Result<(), E>,
    ) -> Result<(), E> {
        let ShardedCore {
            tat, gcra, held, ..
        } = &*self.core;
        // From here on the leases are in transit: still counted, and not usable by other calls.
        let collected = self
            .shards
            .iter()
            .fold(Lease::NONE, |all, shard| all.merge(shard.take()));
        let Some(missing) = n.checked_sub(collected.left) else {
            let left = collected.left - n;
            self.spread(shard, Lease { left, ..collected });
            return Ok(());
        };
        let now = Self::settled_as_of(collected, now, clock);
        loop {
            let (seen, now) = match tat.load(gcra, now.as_nanos()) {
                Ok(loaded) => loaded,
                Err(closed) => {
                    self.keep(shard, collected);
                    return on_closed(closed);
                }
            };
            // Acquire: pairs with the Release in `lower`. After the load of the TAT: invariant 1.
            // The leases in transit are included.
            let held_grains = gcra.cost_clamped(held.load(Acquire));
            match gcra.admit_with_held(seen, now, held_grains, gcra.cost(missing)) {
                Ok(after) if tat.replace(seen, after) => {
                    self.lower(collected.counted);
                    return Ok(());
                }
                Err(shortfall) => {
                    match gcra.admit_with_held(seen, now, held_grains, 0) {
                        Ok(after) if tat.replace(seen, after) => {
                            self.lower(collected.counted - collected.left);
                            self.spread(shard, Lease::unused(collected.left));
                            return Err(Shortage::NotYet(now, shortfall).into());
                        }
                        // The instant is too old: as of then the bucket has no room even for the
                        // charges made since. So the used part stays held.
                        Err(_) if tat.is_current(seen) => {
                            self.spread(shard, collected);
                            return Err(Shortage::NotYet(now, shortfall).into());
                        }
                        _ => {}
                    }
                }
                Ok(_) => {}
            }
        }
    }

    /// Counts a lease as at least `tokens` instead of `counted`, and returns what it then counts
    /// as. Raises `held` by the difference.
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
            debug_assert!(before >= tokens, "lowered below zero");
        }
    }

    /// Puts a counted lease into a shard.
    fn keep(&self, shard: usize, lease: Lease) {
        if lease.counted > 0 {
            // Leases are small, so their sum always fits. Where it does not, or where the shard is
            // closed, this lease is lost and stays counted in `held`.
            let is_kept = self.shards[shard].put(lease);
            debug_assert!(
                is_kept || self.shards[shard].is_closed(),
                "the leases of a shard do not fit its word"
            );
        }
    }

    /// Spreads a lease over all shards. Otherwise one thread would keep everything, and the others
    /// would make new leases again and again.
    fn spread(&self, shard: usize, mut rest: Lease) {
        let part = Lease::unused(rest.left / self.shards.len() as u64);
        if part.left >= SMALLEST_LEASE {
            for other in (0..self.shards.len()).filter(|other| *other != shard) {
                self.keep(other, part);
                rest.counted -= part.counted;
                rest.left -= part.left;
            }
        }
        self.keep(shard, rest);
    }
}
