//! Reservations: tokens of a bucket that are taken in advance.

use core::fmt;
use core::mem;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::time::Timestamp;
use crate::token_bucket::{ReservedCharge, TokenBucket};

/// Tokens that were taken in advance. They may be used from [`ready_at`](Self::ready_at) on.
///
/// Reservations are served in the order in which they were made, without a queue: each one moves
/// the bucket's TAT, and all later callers come after it. End a reservation with
/// [`commit`](Self::commit) or `wait`, which commits. Dropping it [cancels](Self::cancel) it.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{ManualClock, Quota, TokenBucket};
///
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), ManualClock::new());
/// bucket.reserve(1, Duration::ZERO)?.commit();
///
/// let second = bucket.reserve(1, Duration::MAX)?;
/// let third = bucket.reserve(1, Duration::MAX)?;
/// assert_eq!(second.delay(), Duration::from_millis(100));
/// assert_eq!(third.delay(), Duration::from_millis(200));
///
/// // A wait that would be too long is refused and takes nothing.
/// assert!(bucket.reserve(1, Duration::from_millis(200)).is_err());
///
/// // The last one can be canceled. The second cannot once a third counts on it.
/// assert_eq!(third.cancel(), 1);
/// second.commit();
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[must_use = "a reservation that is dropped is cancelled"]
pub struct Reservation<'a, C: Clock> {
    bucket: &'a TokenBucket<C>,
    reserved: ReservedCharge,
}

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens now or in advance, if they can be used after at most `max_wait`.
    ///
    /// Never waits: the [`Reservation`] tells when the tokens may be used. `n = 0` is ready at once
    /// and changes nothing.
    ///
    /// A caller that uses the tokens must [`commit`](Reservation::commit) or `wait`. A reservation
    /// that is dropped returns its tokens.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] if the wait would be longer than `max_wait`; its hint is the whole wait.
    /// [`Denied::NotYet`] as well if reservations reach the longest [debt](Self::debit).
    /// [`Denied::Never`] if `n` is above the capacity. Nothing is charged then.
    pub fn reserve(&self, n: u64, max_wait: Duration) -> Result<Reservation<'_, C>, Denied> {
        self.reserve_at(n, max_wait, self.clock().now())
    }

    /// [`reserve`](Self::reserve) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn reserve_at(
        &self,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<Reservation<'_, C>, Denied> {
        let reserved = self.reserve_charge_at(n, max_wait, now)?;
        Ok(Reservation {
            bucket: self,
            reserved,
        })
    }
}

impl<C: Clock> Reservation<'_, C> {
    /// Returns the number of reserved tokens.
    pub const fn tokens(&self) -> u64 {
        self.reserved.charge.tokens()
    }

    /// Returns the instant from which the tokens may be used, on the bucket's clock.
    pub const fn ready_at(&self) -> Timestamp {
        self.reserved.ready_at
    }

    /// Returns the time from now until the tokens may be used; zero if they already may. Sleep for
    /// that long, then [`commit`](Self::commit).
    pub fn delay(&self) -> Duration {
        self.ready_at() - self.bucket.clock().now()
    }

    /// Keeps the tokens, to be used at their instant or later.
    pub const fn commit(self) {
        mem::forget(self);
    }

    /// Returns the tokens to the bucket, and reports how many came back: all or none.
    ///
    /// All come back if nothing was charged or credited since. None come back if a later caller
    /// already counts on this reservation, if the bucket has long been full, or if the reservation
    /// had to wait and its instant has come, because it then counts as used.
    ///
    /// After a [`reset`](TokenBucket::reset), [commit](Self::commit) instead of canceling: the
    /// reset has returned all tokens, and if the TAT has come to the very same grain again,
    /// canceling would return another caller's tokens.
    pub fn cancel(self) -> u64 {
        let now = self.bucket.clock().now();
        self.cancel_at(now)
    }

    /// [`cancel`](Self::cancel) as of `now`.
    pub fn cancel_at(self, now: Timestamp) -> u64 {
        let returned = self.bucket.cancel_at(&self.reserved, now);
        mem::forget(self);
        returned
    }

    /// Blocks the thread until the tokens may be used, and commits.
    #[cfg(feature = "std")]
    pub fn wait(self) {
        self.bucket.clock().sleep_until(self.ready_at());
        self.commit();
    }
}

/// [Cancels](Reservation::cancel).
impl<C: Clock> Drop for Reservation<'_, C> {
    fn drop(&mut self) {
        let now = self.bucket.clock().now();
        self.bucket.cancel_at(&self.reserved, now);
    }
}

impl<C: Clock> fmt::Debug for Reservation<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("tokens", &self.tokens())
            .field("ready_at", &self.ready_at())
            .finish_non_exhaustive()
    }
}
