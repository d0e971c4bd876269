//! A view is a limiter.

use core::time::Duration;

use super::{KeyHandle, KeyView, Table};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

impl<T, H> sealed::Sealed for KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
}

impl<T, H> sealed::Internals for KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
        self.table.snapshot_of_refusal_for(self.key(), n, now)
    }

    fn give_back_at(&self, n: u64, now: Timestamp) {
        self.table.give_back_for(self.key(), n, now);
    }

    fn take_at(&self, n: u64, now: Timestamp) {
        self.table.take_for(self.key(), n, now);
    }

    fn has_several_limits(&self) -> bool {
        self.table.has_several_limits()
    }

    fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        self.table.each_snapshot_for(self.key(), now, each);
    }

    #[inline]
    fn record_peeked_refusal_at(&self, n: u64, now: Timestamp) {
        self.table.record_peeked_refusal_for(self.key(), n, now);
    }
}

impl<T, H> Limiter for KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    type Clock = T::Clock;
    type Charge = T::Charge;

    fn clock(&self) -> &T::Clock {
        self.table.clock_for(self.key())
    }

    fn capacity(&self) -> u64 {
        self.table.capacity_for(self.key())
    }

    #[inline]
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table.peek_for(self.key(), n, now)
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table.try_acquire_for(self.key(), n, now)
    }

    #[inline]
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<T::Charge, Denied> {
        self.table.charge_for(self.key(), n, now)
    }

    fn undo(&self, charge: T::Charge) -> u64 {
        self.table.undo_for(self.key(), charge)
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        self.table.available_for(self.key(), now)
    }

    fn settle_at(&self, charge: Option<T::Charge>, charged: u64, used: u64, now: Timestamp) {
        self.table
            .settle_for(self.key(), charge, charged, used, now);
    }

    fn refill_time(&self) -> Duration {
        self.table.refill_time_for(self.key())
    }

    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        self.table.snapshot_for(self.key(), now)
    }

    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.table.is_unused_for(self.key(), now)
    }
}
