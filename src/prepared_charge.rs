//! The result of checking a limit for a call: its room, and the exchange that charges the call.

#![deny(clippy::arithmetic_side_effects)]

use crate::time::Timestamp;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::wait::Instants;

/// What a call requires of one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Permits that must be available.
    pub(crate) required: u64,
    /// Permits that are charged: `required`, or none.
    pub(crate) cost: u64,
}

impl Request {
    /// A call that is charged all that it requires.
    pub(crate) const fn charge(n: u64) -> Self {
        Self {
            required: n,
            cost: n,
        }
    }
}

/// Buckets may decide a waiting call as of the instant at which it was due; windows decide it as of
/// now. For a call that does not wait the two are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsOf {
    pub(crate) due: Timestamp,
    pub(crate) now: Timestamp,
}

impl From<Timestamp> for AsOf {
    #[inline]
    fn from(now: Timestamp) -> Self {
        Self { due: now, now }
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl From<Instants> for AsOf {
    #[inline]
    fn from(Instants { due, now, .. }: Instants) -> Self {
        Self { due, now }
    }
}

/// A charge that can be made or was made: the limit's word before and after it. Together with the
/// number of permits it also undoes the charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Exchange {
    pub(crate) const NONE: Self = Self {
        before: 0,
        after: 0,
    };

    /// Whether there is something to exchange.
    #[inline]
    pub(crate) const fn is_prepared(self) -> bool {
        self.before != self.after
    }
}

/// The result of checking a limit that has room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedCharge {
    /// What is available before the charge: permits of a window, grains of a bucket.
    pub(crate) room: u64,
    /// See [`headroom`].
    pub(crate) headroom: u64,
    /// The exchange that makes the charge, or [`Exchange::NONE`] if it cannot be made directly.
    pub(crate) charge: Exchange,
}

impl PreparedCharge {
    /// Returns `None` if `room` is less than `required`.
    #[inline]
    pub(crate) const fn new(room: u64, required: u64, charge: Exchange) -> Option<Self> {
        match headroom(room, required) {
            Some(headroom) => Some(Self {
                room,
                headroom,
                charge,
            }),
            None => None,
        }
    }

    /// For a limit that another one's charge covers, together with its headroom.
    #[inline]
    pub(crate) const fn only_looked_at(room: u64, required: u64) -> Option<Self> {
        if room < required {
            return None;
        }
        Some(Self {
            room,
            ..Self::UNLIMITED
        })
    }

    /// For a limit that the call does not charge.
    pub(crate) const UNLIMITED: Self = Self {
        room: u64::MAX,
        headroom: u64::MAX,
        charge: Exchange::NONE,
    };
}

/// [`headroom`] for members that prepare no charge. Apart from it, so that prepared charges inline
/// it.
pub(crate) const fn headroom_of(room: u64, cost: u64) -> Option<u64> {
    headroom(room, cost)
}

/// With room for so many calls, a limit counts as unused. So many callers do not race for its last
/// permit at once, and the order of two such limits makes no difference.
pub(crate) const PLENTY: u64 = 1 << PLENTY_LOG2;

const PLENTY_LOG2: u32 = 10;

/// The number of calls of `cost`, at least 1, that fit in `room`. `None` for none. `u64::MAX` for
/// 1 024 or more, so that the common case does not divide.
#[inline]
const fn headroom(room: u64, cost: u64) -> Option<u64> {
    if room >> PLENTY_LOG2 >= cost {
        return Some(u64::MAX);
    }
    match room.checked_div(cost) {
        Some(calls) if calls > 0 => Some(calls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::headroom;

    #[test]
    fn counts_calls_until_there_are_plenty() {
        assert_eq!(headroom(0, 1), None);
        assert_eq!(headroom(6, 7), None);
        assert_eq!(headroom(7, 7), Some(1));
        assert_eq!(headroom(20, 7), Some(2));
        assert_eq!(headroom(1_023, 1), Some(1_023));
        assert_eq!(headroom(1_024, 1), Some(u64::MAX));
        assert_eq!(headroom(u64::MAX, u64::MAX), Some(1));
    }
}
