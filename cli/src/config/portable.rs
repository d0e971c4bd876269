//! A limit that can be written for any target.

use serde::Serialize;
use tidegate::Quota;

use crate::picture::numbers::grouped;

/// A limit, without what only one target has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable {
    /// The rate and the burst. The burst of a window is its limit.
    pub quota: Quota,
    /// Whether it is a window.
    pub is_window: bool,
    /// What it applies to.
    pub by: String,
    /// For nginx: how many requests of the burst are not delayed; `None` if none of them is.
    pub nginx_delay: Option<u64>,
}

/// A limit in the words of a target. Serialized, it is a part of the output of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The name of the target.
    pub target: &'static str,
    /// What to put into the target's configuration; `None` if it cannot have such a limit.
    pub config: Option<String>,
    /// What the target does otherwise, in sentences. Empty if it decides the same.
    pub differences: Vec<String>,
}

impl Portable {
    /// A token bucket.
    pub fn bucket(quota: Quota, by: &str) -> Self {
        Self {
            quota,
            is_window: false,
            by: by.to_owned(),
            nginx_delay: None,
        }
    }

    /// A sliding window, with the rate and the period of a quota.
    pub fn window(quota: Quota, by: &str) -> Self {
        Self {
            is_window: true,
            ..Self::bucket(quota, by)
        }
    }

    /// The period in nanoseconds.
    pub const fn period_nanos(&self) -> u128 {
        self.quota.period().as_nanos()
    }

    /// The period as targets in Go and C read it: `60s`, or `1500ms`. `None` if it is not a whole
    /// number of milliseconds.
    pub fn period_text(&self) -> Option<String> {
        let nanos = self.period_nanos();
        if nanos.is_multiple_of(1_000_000_000) {
            Some(format!("{}s", nanos / 1_000_000_000))
        } else if nanos.is_multiple_of(1_000_000) {
            Some(format!("{}ms", nanos / 1_000_000))
        } else {
            None
        }
    }

    /// The rate per second.
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "for texts")]
        let rate = self.quota.rate() as f64;
        rate / self.quota.period().as_secs_f64()
    }

    /// What a target without buckets does with a burst; `None` for a window.
    pub fn no_bucket(&self, target: &str) -> Option<String> {
        let quota = self.quota;
        let rate = grouped(quota.rate());
        (!self.is_window).then(|| {
            format!(
                "{target} has no bucket: this admits {rate} requests per period, all of them at \
                 once if they come so, where the burst admits {} at once and the refill adds {rate} \
                 per period",
                grouped(quota.capacity())
            )
        })
    }

    /// What a target without windows does, whose bucket gets `refill` requests per period; `None`
    /// for a bucket.
    pub fn no_window(&self, target: &str, refill: u64) -> Option<String> {
        let rate = self.quota.rate();
        self.is_window.then(|| {
            format!(
                "{target} has no window: this bucket admits {} at once and refills meanwhile, so up \
                 to {} may pass in one period",
                grouped(rate),
                grouped(rate.saturating_add(refill))
            )
        })
    }
}
