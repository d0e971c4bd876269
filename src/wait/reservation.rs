//! A place in a token bucket's future.

use core::fmt;
use core::mem;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::time::Timestamp;
use crate::token_bucket::{ReservedCharge, TokenBucket};

/// Tokens that were taken in advance: from [`ready_at`](Self::ready_at) on they may be used.
///
/// Reservations are served in the order in which they were made, without a queue: each moved the bucket's time line on,
/// and later callers, waiting or not, come after it. End one with [`commit`](Self::commit) (or `wait`, which
/// commits); dropping it without is a [`cancel`](Self::cancel).
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
/// // A wait that would be too long is refused beforehand, and takes nothing.
/// assert!(bucket.reserve(1, Duration::from_millis(200)).is_err());
///
/// // The last one gives its place back. The second cannot: the third was promised a time that counts on it.
/// assert_eq!(third.cancel(), 1);
/// second.commit();
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[must_use = "a reservation that is dropped is cancelled"]
pub struct Reservation<'a, C: Clock> {
    bucket: &'a TokenBucket<C>,
    booked: ReservedCharge,
}

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens now or in advance, if they can be used after at most `max_wait`.
    ///
    /// Never waits: the [`Reservation`] says when the tokens may be used. `n = 0` is ready at once and changes nothing.
    ///
    /// Whoever uses them must [`commit`](Reservation::commit) (or `wait`): a reservation that is merely
    /// dropped gives its tokens back, also after its delay has been slept through if there was none.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] if it would be longer, with the time after which `n` tokens are there without waiting, and
    /// [`Denied::Never`] if `n` is above the capacity. Nothing is charged then. The queue of reservations ends where the
    /// [debt](Self::debit) does.
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
        let booked = self.reserve_charge_at(n, max_wait, now)?;
        Ok(Reservation {
            bucket: self,
            booked,
        })
    }
}

impl<C: Clock> Reservation<'_, C> {
    /// How many tokens were taken.
    pub const fn tokens(&self) -> u64 {
        self.booked.charge.tokens()
    }

    /// The instant from which the tokens may be used, on the bucket's clock.
    pub const fn ready_at(&self) -> Timestamp {
        self.booked.ready_at
    }

    /// How long from now until the tokens may be used; zero when they already may. After sleeping for that long,
    /// [`commit`](Self::commit).
    pub fn delay(&self) -> Duration {
        self.ready_at() - self.bucket.clock().now()
    }

    /// Keeps the tokens: the reservation is used, or will be at its instant.
    pub const fn commit(self) {
        mem::forget(self);
    }

    /// Gives the tokens back, and returns how many came back: all or none.
    ///
    /// Not after a [`reset`](TokenBucket::reset), which has given everything back: [commit](Self::commit) then. Should the time line have
    /// come to the very same grain again, a cancelled reservation would give back what is somebody else's.
    ///
    /// All come back if nothing was charged or given back since; and none if somebody was promised a time that counts on this
    /// place, or if the bucket has long been full again in any case. None also if the tokens were not there at first and their instant has come: then they count as used.
    pub fn cancel(self) -> u64 {
        let now = self.bucket.clock().now();
        self.cancel_at(now)
    }

    /// [`cancel`](Self::cancel) as of `now`.
    pub fn cancel_at(self, now: Timestamp) -> u64 {
        let returned = self.bucket.cancel_at(&self.booked, now);
        mem::forget(self);
        returned
    }

    /// Sleeps until the tokens may be used, and commits.
    ///
    /// Sleeps once; after an early awakening it looks at the clock and sleeps again.
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
        self.bucket.cancel_at(&self.booked, now);
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
