//! The trait of everything that a [`RateLimitLayer`](super::RateLimitLayer) can limit by.

use core::cell::Cell;

use super::key_extractor::NoKey;
use super::request_head::RequestHead;
use super::response_head::ResponseHead;
use crate::all_or_none::Refusal;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::limiter::sealed::Internals;
use crate::prepared_charge::headroom_of;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Decides whether a [`RateLimitLayer`](super::RateLimitLayer) admits a request.
///
/// | gate | limits |
/// |---|---|
/// | any [`Limiter`], also behind an `Arc` | all requests together |
/// | [`PerKey`](super::PerKey) | the requests of each key |
/// | [`Named`](super::Named) | as the gate in it, with a name for clients and logs |
/// | a tuple of up to eight gates, or a `Vec` of any number | by all of them; none is charged for what another refuses |
/// | a [`BoxGate`](super::BoxGate) | as the gate in it, whose type is chosen at run time |
/// | `()` | nothing: for a layer that limits only bytes or requests at the same time, or has only a [shared](super::SharedGate) limit |
///
/// All gates of a tuple must read the same clock or clones of it. The compiler checks that their
/// clocks have one type. A tuple looks at all gates before it charges any, so a refusal charges
/// none.
///
/// Another request may take the last permit between that look and the charge. The charges before it
/// are then undone where that is exact ([`Limiter::undo`]), those of keys too, and otherwise
/// forfeited, which the [statistics](super::RateLimitLayerStats) count. The gate that has the least
/// room is charged first, so that such races seldom cost a client anything.
///
/// ```compile_fail
/// use tidegate::layer::RateLimitLayer;
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
            keys, a `Named`, a `BoxGate`, a `Vec`, a tuple of 2 to 8 gates on one type of clock, or \
            `()`"
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

    /// Returns the number of requests of cost `n`, at least 1, for which there seems to be room;
    /// `None` for none.
    fn headroom_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Option<u64>;

    fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.charge_at(key, n, now).map(drop)
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that writes the snapshot of what the charge has
    /// left, if the gate knows it without another look, and has no more than one limit. If it
    /// writes none, [`each_snapshot_at`](Self::each_snapshot_at) shows it.
    fn try_acquire_leaving_at(
        &self,
        key: &Self::Key,
        n: u64,
        now: Timestamp,
        _left: &Cell<Option<Snapshot>>,
    ) -> Result<(), GateDenied> {
        self.try_acquire_at(key, n, now)
    }

    fn charge_at(
        &self,
        key: &Self::Key,
        n: u64,
        now: Timestamp,
    ) -> Result<Self::Charge, GateDenied>;

    /// Reverses a charge of `n`, and returns how many permits are forfeited.
    fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64;

    /// Turns a charge of `charged` into one of `used`, as far as possible. There is no charge if
    /// nothing was charged.
    fn settle_at(
        &self,
        key: &Self::Key,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    );

    /// Whether a settlement depends on more than what was used.
    fn settles_by_response(&self) -> bool {
        false
    }

    /// [`settle_at`](Self::settle_at) with the response, from what was charged to what is used.
    fn settle_by_response_at(
        &self,
        key: &Self::Key,
        charge: Option<Self::Charge>,
        (charged, used): (u64, u64),
        _response: &ResponseHead<'_>,
        now: Timestamp,
    ) {
        self.settle_at(key, charge, charged, used, now);
    }

    /// Tells that a call was refused because of peeks. Gates that count their refusals look
    /// whether theirs was among them.
    #[inline]
    fn record_peeked_refusal(&self, _key: &Self::Key, _n: u64, _now: Timestamp) {}

    /// The snapshot of the limit that has the least left; `None` if none limits the request.
    fn snapshot_at(&self, key: &Self::Key, now: Timestamp) -> Option<Snapshot>;

    /// Whether [`each_snapshot_at`](Self::each_snapshot_at) may show several.
    fn has_several_limits(&self) -> bool;

    /// Shows the snapshot of each limit on the request, always in the same order.
    /// `None` for one that does not limit this request, so that the others keep their numbers.
    fn each_snapshot_at(
        &self,
        key: &Self::Key,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    );
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
}

impl Refusal for GateDenied {
    fn outlasts(&self, other: &Self) -> bool {
        self.denied.outlasts(&other.denied)
    }

    fn forfeited(&self) -> u64 {
        self.forfeited
    }

    fn with_forfeited(self, forfeited: u64) -> Self {
        Self { forfeited, ..self }
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

    fn headroom_at(&self, (): &(), n: u64, now: Timestamp) -> Option<u64> {
        headroom_of(Limiter::available_at(self, now), n)
    }

    fn try_acquire_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), GateDenied> {
        Limiter::try_acquire_at(self, n, now)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    #[inline]
    fn try_acquire_leaving_at(
        &self,
        (): &(),
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), GateDenied> {
        Internals::try_acquire_leaving_at(self, n, now, left)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    fn charge_at(&self, (): &(), n: u64, now: Timestamp) -> Result<L::Charge, GateDenied> {
        Limiter::charge_at(self, n, now)
            .map_err(|denied| GateDenied::new(denied, self.snapshot_for_at(n, now)))
    }

    fn undo(&self, (): &(), n: u64, charge: L::Charge) -> u64 {
        n.saturating_sub(Limiter::undo(self, charge))
    }

    fn settle_at(
        &self,
        (): &(),
        charge: Option<L::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        Limiter::settle_at(self, charge, charged, used, now);
    }

    fn record_peeked_refusal(&self, (): &(), n: u64, now: Timestamp) {
        self.record_peeked_refusal_at(n, now);
    }

    fn snapshot_at(&self, (): &(), now: Timestamp) -> Option<Snapshot> {
        Some(Limiter::snapshot_at(self, now))
    }

    fn has_several_limits(&self) -> bool {
        Internals::has_several_limits(self)
    }

    fn each_snapshot_at(&self, (): &(), now: Timestamp, each: &mut dyn FnMut(Option<Snapshot>)) {
        Internals::each_snapshot_at(self, now, &mut |snapshot| each(Some(snapshot)));
    }
}

/// Limits no request.
impl GateOperations for () {
    type Clock = ();
    type Key = ();
    type Charge = ();

    #[inline]
    fn find(&self, _: &RequestHead<'_>) -> Result<(), MissingKey> {
        Ok(())
    }

    /// No request is limited, so none of the others is called.
    #[inline]
    fn now(&self, (): &()) -> Option<Timestamp> {
        None
    }

    #[inline]
    fn peek_at(&self, (): &(), _: u64, _: Timestamp) -> Result<(), GateDenied> {
        Ok(())
    }

    #[inline]
    fn headroom_at(&self, (): &(), _: u64, _: Timestamp) -> Option<u64> {
        Some(u64::MAX)
    }

    #[inline]
    fn charge_at(&self, (): &(), _: u64, _: Timestamp) -> Result<(), GateDenied> {
        Ok(())
    }

    #[inline]
    fn undo(&self, (): &(), _: u64, (): ()) -> u64 {
        0
    }

    #[inline]
    fn settle_at(&self, (): &(), _: Option<()>, _: u64, _: u64, _: Timestamp) {}

    #[inline]
    fn snapshot_at(&self, (): &(), _: Timestamp) -> Option<Snapshot> {
        None
    }

    #[inline]
    fn has_several_limits(&self) -> bool {
        false
    }

    #[inline]
    fn each_snapshot_at(&self, (): &(), _: Timestamp, _: &mut dyn FnMut(Option<Snapshot>)) {}
}
