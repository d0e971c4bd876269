//! What happens to keys for which there is no room.

/// What becomes of a new key while there is no room for it: as many keys as there may be, and none of them unused.
///
/// Whatever it says, the keys that are there keep what they have spent, and calls for them are decided as always. Every
/// acquisition that a policy decides is counted in the statistics. A key that finds room later starts anew there: what the policy
/// gave it is not charged to it.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{Keyed, ManualClock, Overflow, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let keyed = Keyed::builder(move |_: &u64| TokenBucket::with_clock(Quota::per_minute(2), clock.clone()))
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
    /// All such keys share one limiter, so that together they get no more than a single key: a flood of keys is held down, and
    /// a newcomer in the midst of it has a chance.
    #[default]
    Share,
    /// They are refused until one of the others is unused: nobody gets anything beyond the keys that there is room for.
    Refuse,
    /// They are admitted without a limit: nobody who is new is turned away, and a flood of keys is not held down either.
    Admit,
}
