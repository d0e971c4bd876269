//! Keys of a `FixedKeyed` as limiters.

use core::cell::Cell;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::FixedKeyed;
use super::set::lowering::SetCharge;
use super::set::{Peeked, SetRefusal};
use super::state::KeyRefusal;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::{Now, WordGcra};
use crate::keyed::key_view::KeyView;
use crate::keyed::overflow::Overflow;
use crate::keyed::table::{BucketTable, ResetTable, Table};
use crate::snapshot::Snapshot;
use crate::sync::add_saturating;
use crate::time::Timestamp;
use crate::token_bucket::BucketCharge;

/// A charge on a key of a [`FixedKeyed`], for [`Limiter::undo`](crate::Limiter::undo).
#[derive(Debug)]
#[must_use = "dropping a charge does not undo it"]
pub struct FixedKeyCharge(Charged);

#[derive(Debug)]
enum Charged {
    /// Nothing: 0 tokens, or a key without room that was admitted without a limit.
    Nothing,
    Key {
        charge: SetCharge,
        tokens: u64,
        /// The number of the state of the table. A later state has other words.
        state: u64,
    },
    /// The bucket that keys without room share.
    Shared(BucketCharge),
}

impl<C, S> FixedKeyed<C, S> {
    /// Returns one key as a limiter: to charge and undo, to debit, credit and reset, to wait at, to
    /// give to code that is generic over limiters.
    ///
    /// A key that got tokens back by a credit, a reset or an undo keeps its entry for longer than
    /// other keys: about as long again as what came back takes to flow in. So other keys find a
    /// little less room.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use tidegate::{Acquire, FixedKeyed, ManualClock, Quota};
    ///
    /// let quota = Quota::per_minute(10);
    /// let users = FixedKeyed::with_clock(quota, 1000, ManualClock::new());
    /// let alice = users.at("alice");
    /// assert_eq!(Acquire::new(alice, 4).wait(), Ok(()));
    /// assert_eq!((alice.available(), alice.waiting()), (6, 0));
    /// alice.reset();
    /// assert_eq!(users.available("alice"), 10);
    /// # }
    /// ```
    pub const fn at<'a, Q: ?Sized>(&'a self, key: &'a Q) -> KeyView<&'a Self, &'a Q> {
        KeyView::new(self, key)
    }

    #[cfg(feature = "std")]
    fn wake<Q: Hash + ?Sized>(&self, key: &Q)
    where
        S: BuildHasher,
    {
        self.waits.wake(self.hasher.hash_one(key));
    }

    /// Does nothing: there are no waiters without std.
    #[cfg(not(feature = "std"))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn wake<Q: ?Sized>(&self, _: &Q) {}
}

impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// Lowers the TAT of a key, and wakes the head of its queue.
    fn lower<Q: Hash + ?Sized>(
        &self,
        key: &Q,
        now: Timestamp,
        change: impl Fn(&WordGcra, u64, Now) -> u64,
    ) {
        let nanos = now.as_nanos();
        self.on_key(key, |state, set, tag| {
            set.lower(&state.gcra, tag, nanos, |tat, now| {
                change(&state.gcra, tat, now)
            })
        });
        self.wake(key);
    }

    #[cold]
    fn charge_without_room(&self, n: u64, now: Timestamp) -> Result<FixedKeyCharge, Denied> {
        if self.overflow != Overflow::Share {
            let admitted = self.try_acquire_without_room(n, now);
            return admitted.map(|()| FixedKeyCharge(Charged::Nothing));
        }
        add_saturating(&self.overflowed, 1);
        let charge = self.shared.charge_at(n, now)?;
        Ok(FixedKeyCharge(Charged::Shared(charge)))
    }
}

impl<C: Clock, S: BuildHasher, Q: Hash + ?Sized> Table<Q> for FixedKeyed<C, S> {
    type Clock = C;
    type Charge = FixedKeyCharge;

    fn clock_for(&self, _: &Q) -> &C {
        &self.clock
    }

    fn capacity_for(&self, _: &Q) -> u64 {
        self.quota().capacity()
    }

    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    #[inline]
    fn try_acquire_leaving_for(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        let gcra = &self.state.gcra;
        let (Ok(cost), true) = (gcra.cost(n), n > 0) else {
            return self.try_acquire_at(key, n, now);
        };
        let (set, tag) = self.locate(key);
        let decided = set.decide(gcra, tag, now.as_nanos(), move |now, tat| {
            gcra.admit(tat, now, cost)
                .map_err(|shortfall| (now, shortfall))
        });
        match decided {
            Ok(exchange) => {
                left.set(Some(gcra.snapshot(exchange.after, exchange.now)));
                Ok(())
            }
            Err(SetRefusal::Denied((now, shortfall))) => Err(gcra.not_yet(now, shortfall)),
            Err(SetRefusal::Unfound(unfound)) => {
                self.try_acquire_unfound(unfound, set, tag, n, now)
            }
        }
    }

    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<FixedKeyCharge, Denied> {
        if n == 0 {
            return Ok(FixedKeyCharge(Charged::Nothing));
        }
        let charged = self.on_key(key, |state, set, tag| {
            let charged = state.charge(set, tag, n, now)?;
            Ok(charged.map(|exchange| Charged::Key {
                charge: exchange.charge(now.as_nanos()),
                tokens: n,
                state: state.number,
            }))
        });
        match charged {
            Ok(charged) => Ok(FixedKeyCharge(charged)),
            Err(KeyRefusal::Denied(denied)) => Err(denied),
            Err(KeyRefusal::Full) => self.charge_without_room(n, now),
        }
    }

    fn undo_for(&self, key: &Q, charge: FixedKeyCharge) -> u64 {
        let returned = match charge.0 {
            Charged::Nothing => 0,
            Charged::Shared(charge) => self.shared.undo_charge(&charge),
            Charged::Key {
                charge,
                tokens,
                state: number,
            } => {
                let undone = self.on_key(key, |state, set, tag| {
                    if state.number != number {
                        set.check_open()?;
                        return Ok(false);
                    }
                    set.undo(&state.gcra, tag, &charge)
                });
                if undone { tokens } else { 0 }
            }
        };
        if returned > 0 {
            self.wake(key);
        }
        returned
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.available_at(key, now)
    }

    fn refill_time_for(&self, _: &Q) -> Duration {
        self.quota().refill_time()
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.credit_for(key, n, now);
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.debit_for(key, n, now);
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.snapshot_at(key, now)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        let nanos = now.as_nanos();
        let is_full = self.on_key(key, |state, set, tag| {
            Ok(match set.peek(&state.gcra, tag, nanos)? {
                Peeked::New => Some(true),
                Peeked::Known(tat, now) => Some(WordGcra::is_full(tat, now)),
                Peeked::Full => None,
            })
        });
        is_full.unwrap_or_else(|| {
            self.overflow != Overflow::Share
                || self.shared.available_at(now) == self.shared.quota().capacity()
        })
    }
}

impl<C: Clock, S: BuildHasher, Q: Hash + ?Sized> ResetTable<Q> for FixedKeyed<C, S> {
    fn reset_for(&self, key: &Q, now: Timestamp) {
        self.lower(key, now, |_, tat, now| WordGcra::reset(tat, now));
    }
}

impl<C: Clock, S: BuildHasher, Q: Hash + ?Sized> BucketTable<Q> for FixedKeyed<C, S> {
    fn debit_for(&self, key: &Q, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        if !self.on_key(key, |state, set, tag| state.debit(set, tag, n, now)) {
            add_saturating(&self.overflowed, 1);
            if self.overflow == Overflow::Share {
                self.shared.debit_at(n, now);
            }
        }
    }

    fn credit_for(&self, key: &Q, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        self.lower(key, now, |gcra, tat, now| {
            WordGcra::credit(tat, now, gcra.cost_clamped(n))
        });
    }

    fn debt_for(&self, key: &Q, now: Timestamp) -> u64 {
        let nanos = now.as_nanos();
        let debt = self.on_key(key, |state, set, tag| {
            Ok(match set.peek(&state.gcra, tag, nanos)? {
                Peeked::Known(tat, now) => Some(state.gcra.debt(tat, now)),
                Peeked::New => Some(0),
                Peeked::Full => None,
            })
        });
        match debt {
            Some(debt) => debt,
            None if self.overflow == Overflow::Share => self.shared.debt_at(now),
            None => 0,
        }
    }
}
