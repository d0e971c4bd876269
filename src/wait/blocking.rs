//! Threads that sleep until they are admitted.

use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens, sleeping until they are there.
    ///
    /// First come, first served, whatever the sizes: a caller takes its place at once ([`reserve`](Self::reserve)), sleeps
    /// until its instant, and callers who do not wait come after it.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the capacity; [`Denied::NotYet`] only if the waiting line has reached its end (see
    /// [`debit`](Self::debit)). Both before sleeping.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Clock, ManualClock, Quota, Timestamp, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    /// bucket.acquire_blocking(1)?; // there already
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| bucket.acquire_blocking(1));
    ///     while bucket.debt() == 0 { std::thread::yield_now() } // it has taken its place
    ///     clock.advance(Duration::from_secs(1));
    ///     waiter.join().unwrap()
    /// })
    /// # ?; Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn acquire_blocking(&self, n: u64) -> Result<(), Denied> {
        self.acquire_blocking_timeout(n, Duration::MAX)
    }

    /// Takes `n` tokens, sleeping for at most `timeout` until they are there.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] if the wait would be longer than `timeout`.
    /// That is known, and returned, *before* sleeping.
    pub fn acquire_blocking_timeout(&self, n: u64, timeout: Duration) -> Result<(), Denied> {
        if n > 0 {
            self.reserve(n, timeout)?.wait();
        }
        Ok(())
    }
}

impl<C: Clock> SlidingWindow<C> {
    /// Admits `n`, sleeping until the window has room.
    ///
    /// A window cannot promise anyone an instant, since others may come in between: waiters try again when the window
    /// could next have room, in no particular order. Where order matters, wait on a [`TokenBucket`].
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the limit, before sleeping; [`Denied::NotYet`] only if the room would come after the end
    /// of the window's time, 292 years after the clock's origin.
    pub fn acquire_blocking(&self, n: u64) -> Result<(), Denied> {
        retry_until(self, n, Timestamp::MAX)
    }

    /// Admits `n`, sleeping for at most `timeout` until the window has room.
    ///
    /// # Errors
    ///
    /// As [`acquire_blocking`](Self::acquire_blocking), and [`Denied::NotYet`] as soon as the window cannot have room within
    /// what is left of `timeout`, *before* sleeping for it.
    pub fn acquire_blocking_timeout(&self, n: u64, timeout: Duration) -> Result<(), Denied> {
        retry_until(self, n, self.clock().now() + timeout)
    }
}

/// Tries at each hinted instant until `deadline`.
fn retry_until<L: Limiter>(limiter: &L, n: u64, deadline: Timestamp) -> Result<(), Denied> {
    loop {
        let now = limiter.now();
        match limiter.try_acquire_at(n, now) {
            Err(Denied::NotYet { retry_after }) if retry_after <= deadline - now => {
                limiter.clock().sleep_until(now + retry_after);
            }
            outcome => return outcome,
        }
    }
}
