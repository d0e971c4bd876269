//! Options of a [`Keyed`](crate::Keyed).

use core::fmt;
use core::hash::BuildHasher;
use core::time::Duration;

use super::factory::Factory;
use crate::keyed::keys::KeyHasher;
use crate::keyed::overflow::Overflow;
use crate::keyed::wait_queues::WaitOptions;

/// Builds a [`Keyed`](crate::Keyed): see [`Keyed::builder`](crate::Keyed::builder).
#[must_use = "nothing is made until `build`"]
pub struct KeyedBuilder<K, L, S = KeyHasher> {
    pub(super) factory: Factory<K, L>,
    pub(super) max_keys: usize,
    pub(super) idle_timeout: Duration,
    pub(super) overflow: Overflow,
    pub(super) shared: Option<L>,
    pub(super) hasher: S,
    pub(super) waits: WaitOptions,
}

/// A million keys of 8 bytes take 36 MB. With 24 bytes they take 69 MB: a `String`, without its
/// text.
const DEFAULT_MAX_KEYS: usize = 1_000_000;

/// To make a key again takes less than a microsecond. At most once in ten seconds, that is nothing,
/// also for a million keys.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

impl<K, L> KeyedBuilder<K, L> {
    pub(super) fn new(factory: Factory<K, L>) -> Self {
        Self {
            factory,
            max_keys: DEFAULT_MAX_KEYS,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            overflow: Overflow::default(),
            shared: None,
            hasher: KeyHasher::new(),
            waits: WaitOptions::DEFAULT,
        }
    }
}

impl<K, L, S> KeyedBuilder<K, L, S> {
    /// Sets the most keys that the table holds, 1 000 000 by default. Memory beyond that of
    /// the empty table is allocated only as keys are added, and freed as they are evicted.
    ///
    /// With 0 the [`Overflow`] policy decides every call.
    pub const fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Sets how long a key is kept after its limiter has become unused: its bucket is full, or its
    /// window is empty. 10 seconds by default.
    ///
    /// A call for a key that was used less than that ago finds it in the table, and takes no
    /// exclusive lock. The only exception is a table that has reached
    /// [`max_keys`](Self::max_keys) meanwhile, where a new key takes the place of an unused one.
    /// After the timeout, an insertion evicts the key when it comes across it.
    ///
    /// Ten seconds serve most programs. A key that comes back later is made again, and at most once
    /// in ten seconds that costs nothing. Keys that never come back take memory for ten seconds
    /// longer than their limiter needs it: a flood of 10 000 of them per second, 100 000 keys. Zero
    /// evicts keys as soon as their limiter is unused. Then clients that stay far below their limit
    /// are evicted and made again at nearly every call. No timeout grants tokens.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_second(10));
    /// let time = clock.clone();
    /// let limits = Keyed::builder(move |_: &u64| TokenBucket::with_clock(quota, time.clone()))
    ///     .max_keys(100)
    ///     .idle_timeout(Duration::from_secs(60))
    ///     .build();
    /// limits.try_acquire(&1, 1)?; // its bucket is full again after 0.1 s
    /// clock.advance(Duration::from_secs(60));
    /// limits.try_acquire(&2, 1)?;
    /// assert!(limits.contains(&1));
    /// clock.advance(Duration::from_secs(1));
    /// limits.try_acquire(&3, 1)?;
    /// assert!(!limits.contains(&1));
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets what happens to new keys while all of `max_keys` are in use, [`Overflow::Share`] by
    /// default.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets the limiter that keys without room share under [`Overflow::Share`].
    ///
    /// By default it is what the factory makes for the first of these keys. Set it if limits differ
    /// from key to key, because otherwise the limit of that first key is the limit of all.
    pub fn shared(mut self, limiter: L) -> Self {
        self.shared = Some(limiter);
        self
    }

    /// Sets how many threads and futures may wait in the whole table, any number by default. It
    /// bounds the memory of their queues.
    ///
    /// A caller beyond that is refused at once, unless it is admitted without waiting. The hint
    /// is the whole wait behind those that wait for the same key.
    ///
    /// ```
    /// # use core::{future::Future, pin::pin};
    /// # use core::task::{Context, Waker};
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_second(1));
    /// let users = Keyed::builder(move |_: &u64| TokenBucket::with_clock(quota, clock.clone()))
    ///     .max_waiters(1)
    ///     .build();
    /// users.try_acquire(&7, 1)?;
    /// users.try_acquire(&8, 1)?;
    /// # let never = |_| core::future::pending();
    /// # let mut context = Context::from_waker(Waker::noop());
    /// let mut first = pin!(users.acquire(&7, 1).timer(never));
    /// assert!(first.as_mut().poll(&mut context).is_pending());
    /// assert_eq!(users.waiting(), 1);
    /// assert!(users.acquire(&8, 1).wait().is_err());
    /// assert!(users.acquire(&9, 1).wait().is_ok()); // a new key, which need not wait
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn max_waiters(mut self, most: usize) -> Self {
        self.waits.max_waiters = most as u64;
        self
    }

    /// Sets how many threads and futures may wait for one key, any number by default. Without it,
    /// the waiters of one key could take all of [`max_waiters`](Self::max_waiters).
    pub const fn max_waiters_per_key(mut self, most: usize) -> Self {
        self.waits.max_waiters_per_key = most as u64;
        self
    }

    /// Sets by how much the decision of a waiter may precede the moment at which its timer woke
    /// it, 2 ms by default: see [`TokenBucket::wait_slack`](crate::TokenBucket::wait_slack).
    pub const fn wait_slack(mut self, slack: Duration) -> Self {
        self.waits.slack = Some(slack);
        self
    }

    /// Sets another hash function. All of its 64 bits must be good, because some of them choose the
    /// part of the table.
    ///
    /// Where clients can choose their keys, it must be seeded. Otherwise they can make all calls
    /// slow.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<K, L, T> {
        KeyedBuilder {
            factory: self.factory,
            max_keys: self.max_keys,
            idle_timeout: self.idle_timeout,
            overflow: self.overflow,
            shared: self.shared,
            hasher,
            waits: self.waits,
        }
    }
}

impl<K, L, S> fmt::Debug for KeyedBuilder<K, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBuilder")
            .field("max_keys", &self.max_keys)
            .field("idle_timeout", &self.idle_timeout)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
