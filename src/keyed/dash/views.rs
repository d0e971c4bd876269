//! Keys of a map as limiters.

use core::borrow::Borrow;
use core::cell::RefCell;
use core::convert::Infallible;
use core::hash::Hash;
use core::time::Duration;

use super::map_pointer::MapPointer;
use super::unknown_keys::UnknownKeys;
use super::{DashKeyed, NOTHING, UNKNOWN};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::key_view::KeyView;
use crate::keyed::table::{BucketTable, ResetTable, Table};
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// A charge on a key of a [`DashKeyed`], for [`Limiter::undo`].
///
/// `C` is the charge of the key's limiter.
#[derive(Debug)]
#[must_use = "dropping a charge does not undo it"]
pub struct DashKeyCharge<C>(Option<Charged<C>>);

#[derive(Debug)]
struct Charged<C> {
    charge: C,
    /// Keys that the table had removed before.
    removals: u64,
}

impl<M: MapPointer, P, N, C> DashKeyed<M, P, N, C> {
    /// Returns one key as a limiter and a place to wait at. The key need not be in the map, and is
    /// not added.
    ///
    /// ```
    /// use dashmap::DashMap;
    /// use tidegate::{Acquire, DashKeyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, map) = (ManualClock::new(), DashMap::new());
    /// map.insert("alice", TokenBucket::with_clock(Quota::per_minute(10), clock.clone()));
    /// let users = DashKeyed::with_clock(&map, |bucket| bucket, clock);
    /// let alice = users.at("alice");
    /// assert_eq!(Acquire::new(alice, 4).wait(), Ok(()));
    /// assert_eq!((users.available("alice"), alice.waiting()), (6, 0));
    /// ```
    pub const fn at<'a, Q: ?Sized>(&'a self, key: &'a Q) -> KeyView<&'a Self, &'a Q> {
        KeyView::new(self, key)
    }
}

impl<M, P, N, C: Clock, L, Q> Table<Q> for DashKeyed<M, P, N, C>
where
    M: MapPointer,
    M::Key: Borrow<Q>,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C>,
    N: UnknownKeys<M::Key, M::Value, Q>,
    Q: Hash + Eq + ?Sized,
{
    type Clock = C;
    type Charge = DashKeyCharge<L::Charge>;

    fn clock_for(&self, _: &Q) -> &C {
        &self.clock
    }

    fn capacity_for(&self, key: &Q) -> u64 {
        self.ask(key, L::capacity).unwrap_or(0)
    }

    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
        if n == 0 {
            return Ok(DashKeyCharge(None));
        }
        let charge = |limiter: &L| {
            let charge = limiter.charge_at(n, self.not_before_eviction(now))?;
            // Relaxed: the lock of the shard orders it before a removal of this key.
            let removals = self.removals.load(Relaxed);
            Ok(DashKeyCharge(Some(Charged { charge, removals })))
        };
        self.ask_known(key, charge)
            .or_else(|| self.decide_new(key, charge))
            .unwrap_or(Err(UNKNOWN))
    }

    /// Does nothing if the table has removed any key since, because the key may have another
    /// limiter by now.
    ///
    /// A limiter that was found under the key in both calls is the same one, unless it was removed
    /// in between. A removal by the table is counted under the lock of the shard, before the
    /// removal itself. So an undo that finds the limiter which came after it, under that lock, sees
    /// the count. The type's documentation says what a replacement in the map itself means.
    fn undo_for(&self, key: &Q, charge: Self::Charge) -> u64 {
        let Some(Charged { charge, removals }) = charge.0 else {
            return 0;
        };
        let undo = |limiter: &L| {
            // Relaxed: as above.
            let is_same = self.removals.load(Relaxed) == removals;
            if is_same { limiter.undo(charge) } else { 0 }
        };
        let returned = self.ask_known(key, undo).unwrap_or(0);
        if returned > 0 {
            self.wake(key);
        }
        returned
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.available_at(key, now)
    }

    fn refill_time_for(&self, key: &Q) -> Duration {
        self.ask(key, L::refill_time).unwrap_or_default()
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.snapshot_at(key, now)
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        let give_back = |limiter: &L| limiter.give_back_at(n, self.not_before_eviction(now));
        if n > 0 && self.ask_known(key, give_back).is_some() {
            self.wake(key);
        }
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        let take = |limiter: &L| limiter.take_at(n, self.not_before_eviction(now));
        if n > 0 && self.ask_known(key, take).is_none() {
            self.decide_new(key, |limiter| {
                take(limiter);
                Ok::<(), Infallible>(())
            });
        }
    }

    fn has_several_limits(&self) -> bool {
        true
    }

    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        let each = RefCell::new(each);
        let found = self.ask(key, |limiter| {
            let now = self.not_before_eviction(now);
            limiter.each_snapshot_at(now, &mut **each.borrow_mut());
        });
        if found.is_none() {
            (each.borrow_mut())(NOTHING);
        }
    }

    fn snapshot_of_refusal_for(&self, key: &Q, n: u64, now: Timestamp) -> Snapshot {
        self.ask(key, |limiter| {
            limiter.snapshot_for_at(n, self.not_before_eviction(now))
        })
        .unwrap_or(NOTHING)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        // A key without a limiter has used nothing.
        self.ask(key, |limiter| {
            limiter.is_unused_at(self.not_before_eviction(now))
        })
        .unwrap_or(true)
    }
}

impl<M, P, N, C: Clock, Q> ResetTable<Q> for DashKeyed<M, P, N, C>
where
    M: MapPointer,
    M::Key: Borrow<Q>,
    P: Fn(&M::Value) -> &TokenBucket<C>,
    N: UnknownKeys<M::Key, M::Value, Q>,
    Q: Hash + Eq + ?Sized,
{
    fn reset_for(&self, key: &Q, now: Timestamp) {
        let reset = |bucket: &TokenBucket<C>| bucket.reset_at(self.not_before_eviction(now));
        if self.ask_known(key, reset).is_some() {
            self.wake(key);
        }
    }
}

impl<M, P, N, C: Clock, Q> BucketTable<Q> for DashKeyed<M, P, N, C>
where
    M: MapPointer,
    M::Key: Borrow<Q>,
    P: Fn(&M::Value) -> &TokenBucket<C>,
    N: UnknownKeys<M::Key, M::Value, Q>,
    Q: Hash + Eq + ?Sized,
{
    fn debit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.take_for(key, n, now);
    }

    fn credit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.give_back_for(key, n, now);
    }

    fn debt_for(&self, key: &Q, now: Timestamp) -> u64 {
        let debt = |bucket: &TokenBucket<C>| bucket.debt_at(self.not_before_eviction(now));
        self.ask_known(key, debt).unwrap_or(0)
    }
}
