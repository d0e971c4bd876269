//! One key of a table, as a place to wait at.

use alloc::sync::Arc;

use super::wait_queues::Place;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::wait::sealed::Waits;
use crate::wait::{Hold, Instants};

/// One key of a table: a place to wait at, for [`Acquire`](crate::Acquire) and all that waits.
///
/// `table.at(&key)` borrows the table and the key. [`KeyView::owned`] takes any pointer to the
/// table and owns the key: with an [`Arc`] the view is `'static`. A view is no more than the two.
/// It adds no key to the table, and the key may be evicted or removed while there is a view.
///
/// ```
/// use tidegate::{Acquire, FixedKeyed, ManualClock, Quota};
///
/// let users = FixedKeyed::with_clock(Quota::per_second(1), 1000, ManualClock::new());
/// let alice = users.at("alice");
/// Acquire::new(alice, 1).wait()?; // the same as `users.acquire("alice", 1).wait()`
/// assert_eq!(users.available("alice"), 0);
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeyView<T, H> {
    table: T,
    key: H,
}

/// A key that a [`KeyView`] owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnedKey<K>(K);

impl<T, H> KeyView<T, H> {
    pub(super) const fn new(table: T, key: H) -> Self {
        Self { table, key }
    }

    /// Returns the table, or the pointer to it.
    pub const fn table(&self) -> &T {
        &self.table
    }
}

impl<T, K> KeyView<T, OwnedKey<K>> {
    /// Returns a view that owns its key. `table` is a pointer to a table, such as an [`Arc`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidegate::{Acquire, KeyView, Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let users = Arc::new(Keyed::new(move |_: &String| {
    ///     TokenBucket::with_clock(Quota::per_second(5), clock.clone())
    /// }));
    /// let view = KeyView::owned(users.clone(), String::from("alice"));
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    /// let task = runtime.spawn(Acquire::new(view, 2)); // `'static`
    /// assert_eq!(runtime.block_on(task)?, Ok(()));
    /// assert_eq!(users.available("alice"), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn owned(table: T, key: K) -> Self {
        Self::new(table, OwnedKey(key))
    }
}

impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    /// Returns the key.
    pub fn key(&self) -> &H::Key {
        self.key.key()
    }

    /// Returns the number of threads and futures that wait for this key.
    pub fn waiting(&self) -> u64 {
        self.table.waiting_for(self.key.key())
    }
}

/// A borrowed key, or one that is owned.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait KeyHandle {
    type Key: ?Sized;

    fn key(&self) -> &Self::Key;
}

impl<Q: ?Sized> KeyHandle for &Q {
    type Key = Q;

    #[inline]
    fn key(&self) -> &Q {
        self
    }
}

impl<K> KeyHandle for OwnedKey<K> {
    type Key = K;

    #[inline]
    fn key(&self) -> &K {
        &self.0
    }
}

/// How a table lets calls wait for a key: [`Waits`] with the key as an argument.
#[expect(unnameable_types, reason = "a detail of `KeyView`")]
pub trait Table<Q: ?Sized> {
    type Clock: Clock;

    fn clock_for(&self, key: &Q) -> &Self::Clock;

    /// The most permits that one call for the key can be admitted for.
    fn max_permits_for(&self, key: &Q) -> u64;

    fn waiting_for(&self, key: &Q) -> u64;

    /// What all that wait for the key ask for.
    fn queued(&self, key: &Q) -> u128;

    /// `None` if there are too many waiters.
    fn enter(&self, key: &Q) -> Option<Place>;

    fn exit(&self, place: Place);

    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold>;

    /// The refusal of `n` after the permits of `ahead`.
    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<Q: ?Sized, T: Table<Q> + ?Sized> Table<Q> for $pointer {
            type Clock = T::Clock;

            fn clock_for(&self, key: &Q) -> &T::Clock {
                (**self).clock_for(key)
            }

            fn max_permits_for(&self, key: &Q) -> u64 {
                (**self).max_permits_for(key)
            }

            #[inline]
            fn waiting_for(&self, key: &Q) -> u64 {
                (**self).waiting_for(key)
            }

            fn queued(&self, key: &Q) -> u128 {
                (**self).queued(key)
            }

            fn enter(&self, key: &Q) -> Option<Place> {
                (**self).enter(key)
            }

            fn exit(&self, place: Place) {
                (**self).exit(place);
            }

            #[inline]
            fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
                (**self).attempt(key, n, at)
            }

            fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
                (**self).refusal(key, ahead, n, now)
            }
        }
    )*};
}
forward!(&T, Arc<T>);

impl<T, H> Waits for KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    type Clock = T::Clock;
    type Demand = u128;
    type Place = Place;

    fn wait_clock(&self) -> &T::Clock {
        self.table.clock_for(self.key())
    }

    fn max_permits(&self) -> u64 {
        self.table.max_permits_for(self.key())
    }

    fn demand(&self, n: u64) -> u128 {
        n.into()
    }

    #[inline]
    fn is_busy(&self) -> bool {
        self.waiting() != 0
    }

    fn queued(&self) -> u128 {
        self.table.queued(self.key())
    }

    fn enter(&self) -> Option<Place> {
        self.table.enter(self.key())
    }

    fn queue<'a>(&'a self, place: &'a Place) -> &'a WaitQueue {
        place.queue()
    }

    fn exit(&self, place: Place) {
        self.table.exit(place);
    }

    #[inline]
    fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
        self.table.attempt(self.key(), n, at)
    }

    fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.table.refusal(self.key(), ahead, n, now)
    }
}
