//! The trait of everything that a [`RateLimitLayer`](super::RateLimitLayer) can limit by.

use core::time::Duration;

use super::key_extractor::NoKey;
use super::request_head::RequestHead;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Decides whether a [`RateLimitLayer`](super::RateLimitLayer) admits a request.
///
/// | gate | limits |
/// |---|---|
/// | any [`Limiter`], also behind an `Arc` | all requests together |
/// | [`PerKey`](super::PerKey) | the requests of each key |
/// | [`Named`](super::Named) | as the gate in it, with a name for clients and logs |
/// | a tuple of up to four gates | by all of them; none is charged for what another refuses |
///
/// All gates of a tuple must read the same clock or clones of it. The compiler checks that their
/// clocks have one type. A tuple peeks at all gates before it charges any, so a refusal charges
/// none.
///
/// Another request may take the last permit between the peek and the charge. The charges before it
/// are then undone where that is exact ([`Limiter::undo`]), and otherwise forfeited. A [`PerKey`]
/// always forfeits. Charges are made in the order of the tuple, so put limits per client first and
/// limits on all clients last. Then no client pays for another's race.
///
/// ```compile_fail
/// use tidegate::tower::RateLimitLayer;
/// use tidegate::{ManualClock, Quota, TokenBucket};
///
/// let minute = TokenBucket::new(Quota::per_minute(100));
/// let day = TokenBucket::with_clock(Quota::per_day(10_000), ManualClock::new());
/// RateLimitLayer::new((minute, day)); // two types of clock
/// ```
///
/// The trait is sealed, as [`Limiter`] is.
///
/// [`PerKey`]: super::PerKey
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate",
    note = "a gate is a limiter, a `PerKey::new(table, extractor)` whose table has the extractor's \
            keys, a `Named`, or a tuple of 2 to 4 gates on one type of clock"
)]
pub trait Gate: GateOperations {}

impl<G: GateOperations> Gate for G {}

/// What a gate does. A trait of its own, so that a glob import of [`tower`](super) does not bring
/// methods into scope that limiters and tables also have.
#[expect(unnameable_types, reason = "that is what seals it")]
pub trait GateOperations {
    type Clock;

    /// What the gate reads from a request.
    type Key;

    /// Identifies a charge, for `undo`.
    type Charge;

    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, MissingKey>;

    /// Returns the time; `None` if the gate does not limit requests with this key.
    fn now(&self, key: &Self::Key) -> Option<Timestamp>;

    fn peek_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied>;

    fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.charge_at(key, n, now).map(drop)
    }

    fn charge_at(
        &self,
        key: &Self::Key,
        n: u64,
        now: Timestamp,
    ) -> Result<Self::Charge, GateDenied>;

    /// Reverses a charge of `n`, and returns how many permits are forfeited.
    fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64;

    fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot>;
}

/// A request lacks the key that it is limited by.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only gates and layers need it")]
pub struct MissingKey {
    pub(super) why: NoKey,
    /// The name of the gate that needs the key.
    pub(super) limit: Option<&'static str>,
}

/// A refusal, with the snapshot of the limit that refused.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only gates and layers need it")]
pub struct GateDenied {
    pub(super) denied: Denied,
    /// Another gate may have less left than the one that refused.
    pub(super) snapshot: Snapshot,
    /// Permits that other gates were charged and could not undo.
    pub(super) forfeited: u64,
}

impl GateDenied {
    pub(super) const fn new(denied: Denied, snapshot: Snapshot) -> Self {
        Self {
            denied,
            snapshot,
            forfeited: 0,
        }
    }

    pub(super) fn outlasts(&self, other: &Self) -> bool {
        let wait = |this: &Self| this.denied.retry_after().unwrap_or(Duration::MAX);
        wait(self) > wait(other)
    }
}

impl<L: Limiter> GateOperations for L {
    type Clock = L::Clock;
    type Key = ();
    type Charge = L::Charge;

    fn find(&self, _: &RequestHead<'_>) -> Result<(), MissingKey> {
        Ok(())
    }

    fn now(&self, (): &()) -> Option<Timestamp> {
        Some(Limiter::now(self))
    }

    fn peek_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), GateDenied> {
        Limiter::peek_at(self, n, now)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    fn try_acquire_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), GateDenied> {
        Limiter::try_acquire_at(self, n, now)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    fn charge_at(&self, (): &(), n: u64, now: Timestamp) -> Result<L::Charge, GateDenied> {
        Limiter::charge_at(self, n, now)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    fn undo(&self, (): &(), n: u64, charge: L::Charge) -> u64 {
        n.saturating_sub(Limiter::undo(self, charge))
    }

    fn snapshot_at(&self, (): &(), now: Timestamp) -> Option<Snapshot> {
        Some(Limiter::snapshot_at(self, now))
    }
}
