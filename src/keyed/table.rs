//! What a table does for one key: the operations of a limiter, with the key as an argument.
//!
//! A [`KeyView`](super::KeyView) turns these traits into a limiter. A table implements
//! [`Table`]; [`WaitTable`] if calls can wait for its keys; [`ResetTable`] if it can forgive what
//! a key has spent; and [`BucketTable`] if its limiters are token buckets.

use alloc::sync::Arc;
use core::cell::Cell;
use core::time::Duration;

#[cfg(feature = "std")]
use super::wait_queues::Place;
use crate::clock::Clock;
use crate::denied::Denied;
#[cfg(feature = "std")]
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
#[cfg(feature = "std")]
use crate::wait::{Hold, Instants};

/// [`Limiter`](crate::Limiter) with the key as an argument. A query adds no key.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait Table<Q: ?Sized> {
    type Clock: Clock;
    type Charge: Send;

    fn clock_for(&self, key: &Q) -> &Self::Clock;

    fn capacity_for(&self, key: &Q) -> u64;

    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>;

    /// [`try_acquire_for`](Self::try_acquire_for) that writes the snapshot of what the charge has
    /// left, if the table knows it without another look, and the key has no more than one limit. If
    /// it writes none, [`each_snapshot_for`](Self::each_snapshot_for) shows it.
    #[inline]
    fn try_acquire_leaving_for(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        _left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        self.try_acquire_for(key, n, now)
    }

    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<Self::Charge, Denied>;

    /// Exact or nothing. Wakes the head of the key's wait queue if permits came back.
    fn undo_for(&self, key: &Q, charge: Self::Charge) -> u64;

    /// Turns a charge of `charged` into one of `used`, as far as possible. There is no charge if
    /// nothing was charged.
    fn settle_for(
        &self,
        key: &Q,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        let returned = match charge {
            // Exact, if nothing was decided on top of it.
            Some(charge) if used == 0 => self.undo_for(key, charge),
            _ => 0,
        };
        if used >= charged {
            self.take_for(key, used - charged, now);
        } else {
            self.give_back_for(key, (charged - used).saturating_sub(returned), now);
        }
    }

    /// Gives back permits that were charged and not used, if the key's limiter can.
    fn give_back_for(&self, _key: &Q, _n: u64, _now: Timestamp) {}

    /// Takes permits for what was done already: all of them from a bucket, which may go into debt,
    /// and from another limiter as many as there are.
    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        let n = n.min(self.available_for(key, now));
        if n > 0 {
            // Another call may be faster, and then nothing is there to take.
            let _ = self.try_acquire_for(key, n, now);
        }
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64;

    fn refill_time_for(&self, key: &Q) -> Duration;

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot;

    /// Whether a key may have several limits.
    fn has_several_limits(&self) -> bool {
        false
    }

    /// The snapshot of each of the key's limits.
    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        each(self.snapshot_for(key, now));
    }

    /// The snapshot for a caller that was refused `n` permits.
    fn snapshot_of_refusal_for(&self, key: &Q, _n: u64, now: Timestamp) -> Snapshot {
        self.snapshot_for(key, now)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool;

    /// Tells that a call was refused because of peeks at several limiters. A table that counts its
    /// refusals looks whether its own was among them.
    #[inline]
    fn record_peeked_refusal_for(&self, _key: &Q, _n: u64, _now: Timestamp) {}
}

/// How a table lets calls wait for a key: [`Waits`](crate::wait::sealed::Waits) with the key as an
/// argument.
#[cfg(feature = "std")]
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait WaitTable<Q: ?Sized>: Table<Q> {
    /// The most permits that one call for the key can be admitted for.
    fn max_permits_for(&self, key: &Q) -> u64;

    fn waiting_for(&self, key: &Q) -> u64;

    /// What all that wait for the key ask for.
    fn queued(&self, key: &Q) -> u128;

    /// `None` if there are too many waiters.
    fn enter(&self, key: &Q) -> Option<Place>;

    fn exit(&self, place: Place);

    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold>;

    /// [`attempt`](Self::attempt) with a charge that can be undone.
    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold>;

    /// Until when an attempt would be refused; `None` if it would be admitted.
    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold>;

    /// The refusal of `n` after the permits of `ahead`.
    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied>;

    /// Tells that a call of `n` for the key was refused in the end. Only tables that count refusals
    /// use it.
    #[inline]
    fn refused(&self, _key: &Q, _n: u64, _now: Timestamp) {}
}

/// A table that can forgive what a key has spent. Wakes the head of the key's wait queue.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait ResetTable<Q: ?Sized>: Table<Q> {
    fn reset_for(&self, key: &Q, now: Timestamp);
}

/// A table of token buckets.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait BucketTable<Q: ?Sized>: ResetTable<Q> {
    /// Adds the key if need be, as a charge does.
    fn debit_for(&self, key: &Q, n: u64, now: Timestamp);

    /// Wakes the head of the key's wait queue.
    fn credit_for(&self, key: &Q, n: u64, now: Timestamp);

    fn debt_for(&self, key: &Q, now: Timestamp) -> u64;
}

/// A table whose keys can have quotas of their own.
#[cfg(feature = "std")]
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait QuotaTable<Q: ?Sized>: BucketTable<Q> {
    /// Adds the key if need be. Wakes the head of the key's wait queue.
    fn set_quota_for(&self, key: &Q, quota: Quota, now: Timestamp) -> Result<(), Denied>;
}

/// A pointer to a table, which does what the table does.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait TablePointer {
    type Table: ?Sized;

    fn table(&self) -> &Self::Table;
}

impl<T: ?Sized> TablePointer for &T {
    type Table = T;

    #[inline]
    fn table(&self) -> &T {
        self
    }
}

impl<T: ?Sized> TablePointer for Arc<T> {
    type Table = T;

    #[inline]
    fn table(&self) -> &T {
        self
    }
}

impl<Q: ?Sized, P: TablePointer<Table: Table<Q>>> Table<Q> for P {
    type Clock = <P::Table as Table<Q>>::Clock;
    type Charge = <P::Table as Table<Q>>::Charge;

    fn clock_for(&self, key: &Q) -> &Self::Clock {
        self.table().clock_for(key)
    }

    fn capacity_for(&self, key: &Q) -> u64 {
        self.table().capacity_for(key)
    }

    #[inline]
    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table().peek_for(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table().try_acquire_for(key, n, now)
    }

    #[inline]
    fn try_acquire_leaving_for(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        self.table().try_acquire_leaving_for(key, n, now, left)
    }

    #[inline]
    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
        self.table().charge_for(key, n, now)
    }

    fn undo_for(&self, key: &Q, charge: Self::Charge) -> u64 {
        self.table().undo_for(key, charge)
    }

    fn settle_for(
        &self,
        key: &Q,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.table().settle_for(key, charge, charged, used, now);
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().give_back_for(key, n, now);
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().take_for(key, n, now);
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.table().available_for(key, now)
    }

    fn refill_time_for(&self, key: &Q) -> Duration {
        self.table().refill_time_for(key)
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.table().snapshot_for(key, now)
    }

    fn has_several_limits(&self) -> bool {
        self.table().has_several_limits()
    }

    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        self.table().each_snapshot_for(key, now, each);
    }

    fn snapshot_of_refusal_for(&self, key: &Q, n: u64, now: Timestamp) -> Snapshot {
        self.table().snapshot_of_refusal_for(key, n, now)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        self.table().is_unused_for(key, now)
    }

    #[inline]
    fn record_peeked_refusal_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().record_peeked_refusal_for(key, n, now);
    }
}

#[cfg(feature = "std")]
impl<Q: ?Sized, P: TablePointer<Table: WaitTable<Q>>> WaitTable<Q> for P {
    fn max_permits_for(&self, key: &Q) -> u64 {
        self.table().max_permits_for(key)
    }

    #[inline]
    fn waiting_for(&self, key: &Q) -> u64 {
        self.table().waiting_for(key)
    }

    fn queued(&self, key: &Q) -> u128 {
        self.table().queued(key)
    }

    fn enter(&self, key: &Q) -> Option<Place> {
        self.table().enter(key)
    }

    fn exit(&self, place: Place) {
        self.table().exit(place);
    }

    #[inline]
    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
        self.table().attempt(key, n, at)
    }

    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        self.table().charge_as_of(key, n, at)
    }

    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
        self.table().hold_as_of(key, n, at)
    }

    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.table().refusal(key, ahead, n, now)
    }

    #[inline]
    fn refused(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().refused(key, n, now);
    }
}

impl<Q: ?Sized, P: TablePointer<Table: ResetTable<Q>>> ResetTable<Q> for P {
    fn reset_for(&self, key: &Q, now: Timestamp) {
        self.table().reset_for(key, now);
    }
}

impl<Q: ?Sized, P: TablePointer<Table: BucketTable<Q>>> BucketTable<Q> for P {
    fn debit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().debit_for(key, n, now);
    }

    fn credit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table().credit_for(key, n, now);
    }

    fn debt_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.table().debt_for(key, now)
    }
}

#[cfg(feature = "std")]
impl<Q: ?Sized, P: TablePointer<Table: QuotaTable<Q>>> QuotaTable<Q> for P {
    fn set_quota_for(&self, key: &Q, quota: Quota, now: Timestamp) -> Result<(), Denied> {
        self.table().set_quota_for(key, quota, now)
    }
}
