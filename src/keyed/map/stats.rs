//! Counts of keys.

/// Counts of a [`Keyed`](crate::Keyed), summed over its parts one after another while others go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedStats {
    /// Keys that are there.
    pub keys: u64,
    /// How many there may be.
    pub max_keys: u64,
    /// Keys that were added, among them those that came back.
    pub created: u64,
    /// Keys that were dropped because nobody could tell them from new ones.
    pub dropped: u64,
    /// Calls that the [`Overflow`](crate::Overflow) policy has decided.
    pub overflowed: u64,
}
