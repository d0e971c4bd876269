//! Tables of keys in metrics.

use alloc::string::String;

use metrics::{counter, gauge};

use super::fixed::FixedKeyedStats;
use super::map::KeyedStats;

impl KeyedStats {
    /// Sets the metrics of the limiter that is called `limiter`: call it when you are about to show them, or every few seconds.
    ///
    /// The gauge `rate_limiter.keys` is the number of keys, the counter `rate_limiter.evictions` how many were dropped, the counter
    /// `rate_limiter.overflows` how many calls found no room; all with the label `limiter`.
    pub fn publish(&self, limiter: &str) {
        keys(limiter, self.keys);
        counter!("rate_limiter.evictions", "limiter" => String::from(limiter))
            .absolute(self.dropped);
        overflows(limiter, self.overflowed);
    }
}

impl FixedKeyedStats {
    /// Sets the metrics of the limiter that is called `limiter`: call it when you are about to show them, or every few seconds.
    ///
    /// The gauge `rate_limiter.keys` is the number of keys in use, the counter `rate_limiter.overflows` how many calls found no room;
    /// both with the label `limiter`.
    pub fn publish(&self, limiter: &str) {
        keys(limiter, self.active);
        overflows(limiter, self.overflowed);
    }
}

fn keys(limiter: &str, keys: u64) {
    #[expect(clippy::cast_precision_loss, reason = "tables do not have 2^53 keys")]
    gauge!("rate_limiter.keys", "limiter" => String::from(limiter)).set(keys as f64);
}

fn overflows(limiter: &str, calls: u64) {
    counter!("rate_limiter.overflows", "limiter" => String::from(limiter)).absolute(calls);
}
