//! What happens to keys for which there is no room.

use crate::denied::Denied;

/// The refusal of a key without room. A second is long enough for other keys to become unused, and
/// short enough to retry after.
pub(super) const NO_ROOM: Denied = Denied::busy(1_000_000_000);

/// Decides calls for a new key while the table is full and none of its keys is unused.
///
/// Under every policy the keys in the table keep what they have spent, and their calls are decided
/// as always. The statistics count every acquisition that the policy decides. A key that finds room
/// later starts with a new limiter. What the policy admitted is not charged to it.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{Keyed, ManualClock, Overflow, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let quota = Quota::per_minute(2);
/// let keyed = Keyed::builder(move |_: &u64| TokenBucket::with_clock(quota, clock.clone()))
///     .max_keys(1)
///     .overflow(Overflow::Refuse)
///     .build();
/// assert!(keyed.try_acquire(&7, 1).is_ok());
/// assert!(keyed.try_acquire(&8, 1).is_err()); // no room until key 7 has its tokens back
/// assert!(keyed.try_acquire(&7, 1).is_ok());
/// assert_eq!(keyed.stats().overflowed, 1);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// All keys without room share one limiter. Together they get no more than a single key does,
    /// so a flood of keys is held down, and a new key still has a chance.
    #[default]
    Share,
    /// Keys without room are refused with [`Denied::Busy`] and a retry after about a second, until
    /// another key is unused. Only the keys in the table get anything.
    Refuse,
    /// Keys without room are admitted without a limit. No new key is refused, but a flood of keys
    /// is not held down either.
    Admit,
}
