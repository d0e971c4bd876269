//! What decides about requests: a limiter, one for each key, or several together.

use core::time::Duration;

use super::head::RequestHead;
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::standing::Standing;
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
/// All gates of a tuple must be on the same clock, or on clones of it. They are looked at before any is charged, so a refusal
/// charges none. Should other requests take the last permit between the look and the charge, those that were charged before
/// are undone where that is exact ([`Limiter::undo`]), and otherwise forfeited; keys always forfeit. Charges are made in the order of
/// the tuple: put the limits of one client first and those of all last, so that nobody pays for somebody else's race.
///
/// Sealed, as limiters are.
pub trait Gate: sealed::Sealed {
    /// What of a request it needs to know.
    #[doc(hidden)]
    type Key;

    /// What it takes to take a charge back.
    #[doc(hidden)]
    type Charge;

    #[doc(hidden)]
    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey>;

    /// The time; `None` if this has nothing to say about such a key.
    #[doc(hidden)]
    fn now(&self, key: &Self::Key) -> Option<Timestamp>;

    #[doc(hidden)]
    fn peek_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused>;

    #[doc(hidden)]
    fn try_acquire_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<(), Refused>;

    #[doc(hidden)]
    fn charge_at(&self, key: &Self::Key, n: u64, now: Timestamp) -> Result<Self::Charge, Refused>;

    /// Takes a charge of `n` back, and returns how many permits were lost.
    #[doc(hidden)]
    fn undo(&self, key: &Self::Key, n: u64, charge: Self::Charge) -> u64;

    #[doc(hidden)]
    fn standing_at(&self, key: &Self::Key, now: Timestamp) -> Option<Standing>;

    /// That of the limit of this name; `None` if there is none.
    #[doc(hidden)]
    fn standing_of(&self, _limit: &str, _key: &Self::Key, _now: Timestamp) -> Option<Standing> {
        None
    }
}

/// A request without the key that it is limited by.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "the trait that has it is sealed")]
pub struct NoKey;

/// A refusal, and the name of the limit if it has one.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "the trait that has it is sealed")]
pub struct Refused {
    pub(super) denied: Denied,
    pub(super) limit: Option<&'static str>,
    /// Permits that were charged all the same, to other gates.
    pub(super) forfeited: u64,
}

impl Refused {
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        let wait = |refused: &Self| refused.denied.retry_after().unwrap_or(Duration::MAX);
        wait(self) > wait(other)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self {
            denied,
            limit: None,
            forfeited: 0,
        }
    }
}

impl<L: Limiter> Gate for L {
    type Key = ();
    type Charge = L::Charge;

    fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
        Ok(())
    }

    fn now(&self, (): &()) -> Option<Timestamp> {
        Some(Limiter::now(self))
    }

    fn peek_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), Refused> {
        Ok(Limiter::peek_at(self, n, now)?)
    }

    fn try_acquire_at(&self, (): &(), n: u64, now: Timestamp) -> Result<(), Refused> {
        Ok(Limiter::try_acquire_at(self, n, now)?)
    }

    fn charge_at(&self, (): &(), n: u64, now: Timestamp) -> Result<L::Charge, Refused> {
        Ok(Limiter::charge_at(self, n, now)?)
    }

    fn undo(&self, (): &(), n: u64, charge: L::Charge) -> u64 {
        n.saturating_sub(Limiter::undo(self, charge))
    }

    fn standing_at(&self, (): &(), now: Timestamp) -> Option<Standing> {
        Some(Limiter::standing_at(self, now))
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

    const fn named(&self, refused: Refused) -> Refused {
        Refused {
            limit: Some(self.name),
            ..refused
        }
    }
}

impl<G> sealed::Sealed for Named<G> {}

impl<G: Gate> Gate for Named<G> {
    type Key = G::Key;
    type Charge = G::Charge;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, NoKey> {
        self.gate.find(request)
    }

    fn now(&self, key: &G::Key) -> Option<Timestamp> {
        self.gate.now(key)
    }

    fn peek_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
        let seen = self.gate.peek_at(key, n, now);
        seen.map_err(|refused| self.named(refused))
    }

    fn try_acquire_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), Refused> {
        let charged = self.gate.try_acquire_at(key, n, now);
        charged.map_err(|refused| self.named(refused))
    }

    fn charge_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<G::Charge, Refused> {
        let charged = self.gate.charge_at(key, n, now);
        charged.map_err(|refused| self.named(refused))
    }

    fn undo(&self, key: &G::Key, n: u64, charge: G::Charge) -> u64 {
        self.gate.undo(key, n, charge)
    }

    fn standing_at(&self, key: &G::Key, now: Timestamp) -> Option<Standing> {
        let standing = self.gate.standing_at(key, now)?;
        Some(Standing {
            limit: Some(self.name),
            ..standing
        })
    }

    fn standing_of(&self, limit: &str, key: &G::Key, now: Timestamp) -> Option<Standing> {
        (limit == self.name)
            .then(|| self.standing_at(key, now))
            .flatten()
    }
}
