//! What one look at a limit says about a call: whether there is room, how much, and the exchange that would take it.

#![deny(clippy::arithmetic_side_effects)]

/// What a call wants of one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// It is refused unless so many are there.
    pub(crate) required: u64,
    /// So many are taken: `need`, or none.
    pub(crate) cost: u64,
}

impl Request {
    pub(crate) const fn of(n: u64) -> Self {
        Self {
            required: n,
            cost: n,
        }
    }
}

/// A charge that can be made or was made: the limit's word before and after it. With the number of permits it is also what
/// undoes it.
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

/// What a look at a limit that has room found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedCharge {
    /// What is there for everybody: permits of a window, grains of a bucket.
    pub(crate) room: u64,
    /// See [`headroom`].
    pub(crate) headroom: u64,
    /// The charge as it can be made right away, or [`Exchange::NONE`].
    pub(crate) charge: Exchange,
}

impl PreparedCharge {
    /// With so much room; `None` if that is less than is needed.
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

    /// For a limit that is not asked.
    pub(crate) const UNLIMITED: Self = Self {
        room: u64::MAX,
        headroom: u64::MAX,
        charge: Exchange::NONE,
    };
}

/// With room for more calls than this, a limit is as good as empty: this many callers do not race for its last permit at once,
/// and which of two such limits is charged first makes no difference.
const PLENTY_LOG2: u32 = 10;

/// How many calls of `cost` (at least 1) there is room for; `None` for none, and `u64::MAX` for more than a thousand, so that
/// the common case takes no division.
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
