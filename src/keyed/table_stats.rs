//! Statistics of the tables of keys, and how they become metrics.

#[cfg(feature = "metrics")]
use alloc::string::String;

#[cfg(feature = "metrics")]
use metrics::{counter, gauge};

/// Counts of a [`Keyed`](crate::Keyed), summed over its shards one after another while other
/// threads go on.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedStats {
    /// Keys in the table.
    pub keys: u64,
    /// The most keys that the table holds.
    pub max_keys: u64,
    /// Keys that were added, added again after an eviction, or given another limiter.
    pub created: u64,
    /// Keys that were evicted. Their limiter was indistinguishable from a new one.
    pub evicted: u64,
    /// Those of `evicted` that had to make room for a new key, because there were `max_keys` keys.
    /// If these are many, keys in use are evicted and made again.
    pub evicted_for_room: u64,
    /// Acquisitions and debits that the [`Overflow`](crate::Overflow) policy has decided.
    pub overflowed: u64,
}

/// Counts of a [`FixedKeyed`](crate::FixedKeyed) at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixedKeyedStats {
    /// Keys in use: their bucket is not full.
    pub active: u64,
    /// Keys that the table was made for.
    pub capacity: u64,
    /// Acquisitions and debits that the [`Overflow`](crate::Overflow) policy has decided.
    pub overflowed: u64,
}

#[cfg(feature = "metrics")]
impl KeyedStats {
    /// Sets the metrics of the limiter with the name `limiter`. Call it before you show them, or
    /// every few seconds.
    ///
    /// All have the label `limiter`. The gauge `rate_limiter.keys` is the number of keys, the
    /// counter `rate_limiter.evictions` the number of evicted keys, and the counter
    /// `rate_limiter.overflows` the number of calls that found no room.
    pub fn publish(&self, limiter: &str) {
        set_keys(limiter, self.keys);
        counter!("rate_limiter.evictions", "limiter" => String::from(limiter))
            .absolute(self.evicted);
        set_overflows(limiter, self.overflowed);
    }
}

#[cfg(feature = "metrics")]
impl FixedKeyedStats {
    /// Sets the metrics of the limiter with the name `limiter`. Call it before you show them, or
    /// every few seconds.
    ///
    /// Both have the label `limiter`. The gauge `rate_limiter.keys` is the number of keys in use,
    /// and the counter `rate_limiter.overflows` the number of calls that found no room.
    pub fn publish(&self, limiter: &str) {
        set_keys(limiter, self.active);
        set_overflows(limiter, self.overflowed);
    }
}

#[cfg(feature = "metrics")]
fn set_keys(limiter: &str, keys: u64) {
    #[expect(clippy::cast_precision_loss, reason = "tables do not have 2^53 keys")]
    gauge!("rate_limiter.keys", "limiter" => String::from(limiter)).set(keys as f64);
}

#[cfg(feature = "metrics")]
fn set_overflows(limiter: &str, calls: u64) {
    counter!("rate_limiter.overflows", "limiter" => String::from(limiter)).absolute(calls);
}
