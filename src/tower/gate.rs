//! What decides about requests: a limiter, one for each key, or several together.

use core::time::Duration;

use super::head::RequestHead;
use super::key::NoKey;
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// What a [`RateLimitLayer`](super::RateLimitLayer) asks about every request.
///
/// | | limits |
/// |---|---|
/// | any [`Limiter`], also behind an `Arc` | all requests together |
/// | [`PerKey`](super::PerKey) | those of each key |
/// | [`Named`](super::Named) | as the gate in it, with a name that clients and logs see |
/// | a tuple of up to four gates | a request must pass all: none is charged for what another refuses |
///
/// All gates of a tuple must be on the same clock, or on clones of it (of the same type they have to be). They are looked at before any is charged, so a refusal
/// charges none. Should other requests take the last permit between the look and the charge, those that were charged before
/// are undone where that is exact ([`Limiter::undo`]), and otherwise forfeited; keys always forfeit. Charges are made in the order of
/// the tuple: put the limits of one client first and those of all last, so that nobody pays for somebody else's race.
///
/// ```compile_fail
/// use tidegate::tower::RateLimitLayer;
/// use tidegate::{ManualClock, Quota, TokenBucket};
///
/// let minute = TokenBucket::new(Quota::per_minute(100));
/// let day = TokenBucket::with_clock(Quota::per_day(10_000), ManualClock::new());
/// RateLimitLayer::new((minute, day)); // which time is it?
/// ```
///
/// Sealed, as limiters are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate",
    note = "a gate is a limiter, a `PerKey::new(table, extractor)` whose table has the extractor's keys, a `Named`, or a tuple of 2 \
            to 4 gates on one type of clock"
)]
pub trait Gate: Decide {}

impl<G: Decide> Gate for G {}

/// What a gate does. Apart from it, so that who imports all of [`tower`](super) has not these names, which limiters and tables have too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate",
    note = "a gate is a limiter, a `PerKey::new(table, extractor)` whose table has the extractor's keys, a `Named`, or a tuple of 2 \
            to 4 gates on one type of clock"
)]
#[expect(unnameable_types, reason = "that is what hides and seals it")]
pub trait Decide: sealed::Sealed {
    /// What it is decided by.
    type Clock;

    /// What of a request it needs to know.
    type Key;

    /// What it takes to take a charge back.
    type Charge;

    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, Keyless>;

    /// The time; `None` if this has nothing to say about such a key.
    fn now(&self, key: &Self::Key) -> Option<Timestamp>;

    fn peek_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused>;

    fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused>;

    fn charge_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<Self::Charge, Refused>;

    /// Takes a charge of `n` back, and returns how many permits were lost.
    fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64;

    fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot>;
}

/// A request without the key that it is limited by.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only gates and layers need it")]
pub struct Keyless {
    pub(super) why: NoKey,
    /// The name of the gate that wants it.
    pub(super) limit: Option<&'static str>,
}

/// A refusal, by which limit, and where that stands.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only gates and layers need it")]
pub struct Refused {
    pub(super) denied: Denied,
    /// Of the gate that refused, which need not be the one that has least left.
    pub(super) snapshot: Snapshot,
    /// Permits that were charged all the same, to other gates.
    pub(super) forfeited: u64,
}

impl Refused {
    pub(super) const fn new(denied: Denied, snapshot: Snapshot) -> Self {
        Self {
            denied,
            snapshot,
            forfeited: 0,
        }
    }

    pub(super) fn outlasts(&self, other: &Self) -> bool {
        let wait = |refused: &Self| refused.denied.retry_after().unwrap_or(Duration::MAX);
        wait(self) > wait(other)
    }
}

impl<L: Limiter> Decide for L {
    type Clock = L::Clock;
    type Key = ();
    type Charge = L::Charge;

    fn find(&self, _: &RequestHead<'_>) -> Result<(), Keyless> {
        Ok(())
    }

    fn now(&self, (): &()) -> Option<Timestamp> {
        Some(Limiter::now(self))
    }

    fn peek_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), Refused> {
        let seen = Limiter::peek_at(self, n, now);
        seen.map_err(|denied| Refused::new(denied, self.snapshot_for_at(n, now)))
    }

    fn try_acquire_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), Refused> {
        let charged = Limiter::try_acquire_at(self, n, now);
        charged.map_err(|denied| Refused::new(denied, self.snapshot_for_at(n, now)))
    }

    fn charge_at(&self, (): &(), n: u64, now: Timestamp) -> Result<L::Charge, Refused> {
        let charged = Limiter::charge_at(self, n, now);
        charged.map_err(|denied| Refused::new(denied, self.snapshot_for_at(n, now)))
    }

    fn undo(&self, (): &(), n: u64, charge: L::Charge) -> u64 {
        n.saturating_sub(Limiter::undo(self, charge))
    }

    fn snapshot_at(&self, (): &(), now: Timestamp) -> Option<Snapshot> {
        Some(Limiter::snapshot_at(self, now))
    }
}

/// A gate with a name of its own: for header fields, refusals and logs.
///
/// ```
/// use tidegate::tower::{Named, RateLimitLayer};
/// use tidegate::{Quota, TokenBucket};
///
/// let minute = Named::new("minute", TokenBucket::new(Quota::per_minute(100)));
/// let day = Named::new("day", TokenBucket::new(Quota::per_day(10_000)));
/// let layer = RateLimitLayer::new((minute, day));
/// # drop(layer);
/// ```
#[derive(Clone, Debug)]
pub struct Named<G> {
    name: &'static str,
    gate: G,
}

impl<G> Named<G> {
    /// `gate` with a name.
    pub const fn new(name: &'static str, gate: G) -> Self {
        Self { name, gate }
    }

    /// The gate itself.
    pub const fn gate(&self) -> &G {
        &self.gate
    }

    const fn named(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot {
            limit: Some(self.name),
            ..snapshot
        }
    }

    const fn refused(&self, refused: Refused) -> Refused {
        Refused {
            snapshot: self.named(refused.snapshot),
            ..refused
        }
    }
}

impl<G> sealed::Sealed for Named<G> {}

impl<G: Gate> Decide for Named<G> {
    type Clock = G::Clock;
    type Key = G::Key;
    type Charge = G::Charge;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, Keyless> {
        let key = self.gate.find(request);
        key.map_err(|keyless| Keyless {
            limit: Some(self.name),
            ..keyless
        })
    }

    fn now(&self, key: &G::Key) -> Option<Timestamp> {
        self.gate.now(key)
    }

    fn peek_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
        let seen = self.gate.peek_at(key, n, now);
        seen.map_err(|refused| self.refused(refused))
    }

    fn try_acquire_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
        let charged = self.gate.try_acquire_at(key, n, now);
        charged.map_err(|refused| self.refused(refused))
    }

    fn charge_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<G::Charge, Refused> {
        let charged = self.gate.charge_at(key, n, now);
        charged.map_err(|refused| self.refused(refused))
    }

    fn undo(&self, key: &G::Key, n: u64, charge: G::Charge) -> u64 {
        self.gate.undo(key, n, charge)
    }

    fn snapshot_at(&self, key: &G::Key, now: Timestamp) -> Option<Snapshot> {
        let snapshot = self.gate.snapshot_at(key, now);
        snapshot.map(|snapshot| self.named(snapshot))
    }
}
