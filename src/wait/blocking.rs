//! Threads that block until they are admitted.

use core::time::Duration;

use crate::clock::Clock;
use crate::combined::{Combined, CombinedDenied};
use crate::denied::Denied;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens, blocking the thread until they are available.
    ///
    /// First come, first served, whatever the sizes: a caller [reserves](Self::reserve) at once and
    /// sleeps until its instant. Callers that do not wait come after it.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the capacity. [`Denied::NotYet`] if reservations reach the
    /// longest [debt](Self::debit) or the end of the clock's time. Both before sleeping.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Clock, ManualClock, Quota, Timestamp, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    /// bucket.acquire_blocking(1)?; // at once
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| bucket.acquire_blocking(1));
    ///     while bucket.debt() == 0 { std::thread::yield_now() } // until it has reserved
    ///     clock.advance(Duration::from_secs(1));
    ///     waiter.join().unwrap()
    /// })
    /// # ?; Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn acquire_blocking(&self, n: u64) -> Result<(), Denied> {
        self.acquire_blocking_timeout(n, Duration::MAX)
    }

    /// Takes `n` tokens, blocking the thread for at most `timeout` until they are available.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] *before* sleeping if
    /// the wait would be longer than `timeout`.
    pub fn acquire_blocking_timeout(&self, n: u64, timeout: Duration) -> Result<(), Denied> {
        if n > 0 {
            self.reserve(n, timeout)?.wait();
        }
        Ok(())
    }
}

impl<C: Clock> SlidingWindow<C> {
    /// Admits `n`, blocking the thread until the window has room.
    ///
    /// Blocked threads retry when the window may next have room, in no particular order. Where
    /// order matters, wait on a [`TokenBucket`] or in a future.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the limit, before sleeping. [`Denied::NotYet`] only if the
    /// room would come after the end of the window's time, 292 years after the clock's origin.
    pub fn acquire_blocking(&self, n: u64) -> Result<(), Denied> {
        self.acquire_blocking_until(n, Timestamp::MAX)
    }

    /// Admits `n`, blocking the thread for at most `timeout` until the window has room.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] as soon as the
    /// window cannot have room within the rest of `timeout`, *before* sleeping for it.
    pub fn acquire_blocking_timeout(&self, n: u64, timeout: Duration) -> Result<(), Denied> {
        self.acquire_blocking_until(n, self.clock().now() + timeout)
    }

    fn acquire_blocking_until(&self, n: u64, deadline: Timestamp) -> Result<(), Denied> {
        let try_at = |now| self.try_acquire_at(n, now);
        retry_until(self.clock(), deadline, try_at, Denied::retry_after)
    }
}

impl<C: Clock> Combined<C> {
    /// Takes `n` permits from every limit, blocking the thread until all have them.
    ///
    /// Blocked threads retry when the limit that refuses the longest may next have room, in no
    /// particular order.
    ///
    /// # Errors
    ///
    /// [`CombinedDenied`], before sleeping: [`Denied::Never`] if `n` is above a limit's capacity,
    /// [`Denied::NotYet`] if the room would come after the end of the clock's time.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let hour = SlidingWindow::with_clock(10, Duration::from_secs(3_600), clock.clone())?;
    /// let calls = Combined::builder()
    ///     .limit("burst", TokenBucket::with_clock(Quota::per_second(1), clock.clone()))
    ///     .limit("hour", hour)
    ///     .build();
    /// calls.acquire_blocking(1)?; // at once
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| calls.acquire_blocking(1));
    ///     clock.advance(Duration::from_secs(1));
    ///     waiter.join().unwrap()
    /// })?;
    /// assert_eq!(calls.acquire_blocking(2).unwrap_err().limit(), "burst"); // never
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn acquire_blocking(&self, n: u64) -> Result<(), CombinedDenied> {
        self.acquire_blocking_until(n, Timestamp::MAX)
    }

    /// Takes `n` permits from every limit, blocking the thread for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] as soon as the
    /// limits cannot have room within the rest of `timeout`, *before* sleeping for it.
    pub fn acquire_blocking_timeout(
        &self,
        n: u64,
        timeout: Duration,
    ) -> Result<(), CombinedDenied> {
        self.acquire_blocking_until(n, self.clock().now() + timeout)
    }

    fn acquire_blocking_until(&self, n: u64, deadline: Timestamp) -> Result<(), CombinedDenied> {
        let try_at = |now| self.try_acquire_at(n, now);
        retry_until(self.clock(), deadline, try_at, CombinedDenied::retry_after)
    }
}

impl<C: Clock> ShardedTokenBucket<C> {
    /// Takes `n` tokens, blocking the thread until they are available.
    ///
    /// Blocked threads retry when the tokens should be available, in no particular order. Where
    /// order matters, wait on a [`TokenBucket`] or in a future.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the capacity, before sleeping.
    pub fn acquire_blocking(&self, n: u64) -> Result<(), Denied> {
        self.acquire_blocking_until(n, Timestamp::MAX)
    }

    /// Takes `n` tokens, blocking the thread for at most `timeout` until they are available.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] as soon as they
    /// cannot be available within the rest of `timeout`, *before* sleeping for it.
    pub fn acquire_blocking_timeout(&self, n: u64, timeout: Duration) -> Result<(), Denied> {
        self.acquire_blocking_until(n, self.clock().now() + timeout)
    }

    fn acquire_blocking_until(&self, n: u64, deadline: Timestamp) -> Result<(), Denied> {
        let try_at = |now| self.try_acquire_at(n, now);
        retry_until(self.clock(), deadline, try_at, Denied::retry_after)
    }
}

/// Retries at each hinted instant until `deadline`.
fn retry_until<E>(
    clock: &impl Clock,
    deadline: Timestamp,
    try_at: impl Fn(Timestamp) -> Result<(), E>,
    hint: impl Fn(&E) -> Option<Duration>,
) -> Result<(), E> {
    loop {
        let now = clock.now();
        let outcome = try_at(now);
        match outcome.as_ref().map_err(&hint) {
            Err(Some(wait)) if wait <= deadline - now => clock.sleep_until(now + wait),
            _ => return outcome,
        }
    }
}
