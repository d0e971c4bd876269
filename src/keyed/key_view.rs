//! One key of a table, as a limiter.

mod buckets;
mod limiter;
mod operations;
#[cfg(feature = "std")]
mod waits;

use super::table::Table;

/// One key of a table, as a [`Limiter`](crate::Limiter).
///
/// `table.at(&key)` borrows the table and the key. [`KeyView::owned`] takes any pointer to the
/// table and owns the key: with an [`Arc`](alloc::sync::Arc) the view is `'static`. A view is no
/// more than the two. It adds no key to the table before it is charged, and the key may be evicted
/// or removed while there is a view. What it then shows and does is what the table does for a new
/// key.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{Denied, FixedKeyed, Limiter, ManualClock, Quota};
///
/// let users = FixedKeyed::with_clock(Quota::per_second(1), 1000, ManualClock::new());
/// let alice = users.at("alice");
/// assert_eq!(alice.try_acquire(1), Ok(()));
/// assert_eq!(users.available("alice"), 0);
///
/// /// Works with any limiter.
/// fn is_full<L: Limiter>(limiter: &L) -> bool {
///     limiter.is_unused_at(limiter.now())
/// }
/// assert!(!is_full(&alice) && is_full(&users.at("bob")));
/// # }
/// ```
///
/// # A charge and its undo
///
/// An undo returns all permits or none, as for the limiter alone. None come back if the key was
/// removed since the charge, or evicted, which happens only when its limiter is unused. So a key
/// that comes back is never credited with what an earlier limiter was charged. The undo of the
/// charge that added a key to a `Keyed` removes the key again.
///
/// # Log-ins
///
/// Five *failed* log-ins per 15 minutes and user: each failure is a debit, whatever it leaves, and
/// a success forgives them.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use core::time::Duration;
/// use tidegate::{Denied, FixedKeyed, ManualClock, Quota};
///
/// let quota = Quota::new(5, Duration::from_secs(15 * 60)).expect("valid");
/// let failures = FixedKeyed::with_clock(quota, 100_000, ManualClock::new());
/// let log_in = |user: &str, password: &str| -> Result<bool, Denied> {
///     let user = failures.at(user);
///     user.peek(1)?;
///     let is_right = password == "secret";
///     if is_right {
///         user.reset();
///     } else {
///         user.debit(1);
///     }
///     Ok(is_right)
/// };
///
/// for _ in 0..4 {
///     assert_eq!(log_in("alice", "guess"), Ok(false));
/// }
/// assert_eq!(log_in("alice", "secret"), Ok(true));
/// for _ in 0..5 {
///     assert_eq!(log_in("alice", "guess"), Ok(false));
/// }
/// let retry_after = Duration::from_secs(3 * 60).into();
/// assert_eq!(log_in("alice", "secret"), Err(Denied::NotYet { retry_after }));
/// assert_eq!(log_in("bob", "secret"), Ok(true));
/// # }
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
    pub(crate) const fn new(table: T, key: H) -> Self {
        Self { table, key }
    }

    /// Returns the table, or the pointer to it.
    pub const fn table(&self) -> &T {
        &self.table
    }
}

impl<T, K> KeyView<T, OwnedKey<K>> {
    /// Returns a view that owns its key. `table` is a pointer to a table, such as an
    /// [`Arc`](alloc::sync::Arc).
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
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
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn owned(table: T, key: K) -> Self {
        Self::new(table, OwnedKey(key))
    }
}

impl<T, H: KeyHandle> KeyView<T, H> {
    /// Returns the key.
    pub fn key(&self) -> &H::Key {
        self.key.key()
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
