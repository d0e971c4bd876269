//! The limits of a replay.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tidegate::{Clock, Quota, SlidingWindow, Timestamp, WindowError};

use crate::explain::max_admitted;
use crate::values;

/// The clock of limiters that receive the time with each call. It is never read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogClock;

impl Clock for LogClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

/// A sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimit {
    /// The limit and the length: a quota without a burst.
    pub quota: Quota,
    /// The number of slots; `None` for the default of the crate.
    slots: Option<usize>,
}

impl FromStr for WindowLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let quota = values::window_quota(text)?;
        Self::new(quota).map_err(|error| error.to_string())
    }
}

impl fmt::Display for WindowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window {}", self.quota)
    }
}

impl WindowLimit {
    /// A window with the rate and period of a quota. The burst is ignored.
    ///
    /// # Errors
    ///
    /// If a window cannot have this limit or length.
    pub fn new(quota: Quota) -> Result<Self, WindowError> {
        let window = Self {
            quota: quota.try_burst(quota.rate()).unwrap_or(quota),
            slots: None,
        };
        window.build().map(|_| window)
    }

    /// The same window with another number of slots.
    ///
    /// # Errors
    ///
    /// If the window cannot have that many slots.
    pub fn with_slots(self, slots: usize) -> Result<Self, String> {
        let slots = Some(slots);
        let window = Self { slots, ..self };
        let built = window.build().map_err(|error| format!("{self}: {error}"));
        built.map(|_| window)
    }

    /// Builds an empty window.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`with_slots`](Self::with_slots), which call it once.
    pub fn build(&self) -> Result<SlidingWindow<LogClock>, WindowError> {
        let window = SlidingWindow::with_clock(self.quota.rate(), self.quota.period(), LogClock)?;
        match self.slots {
            Some(slots) => window.try_slots(slots),
            None => Ok(window),
        }
    }
}

/// All limits of a key.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The token bucket.
    pub quota: Option<Quota>,
    /// The sliding windows.
    pub windows: Vec<WindowLimit>,
}

impl Limits {
    /// The limits as text.
    pub fn texts(&self) -> Vec<String> {
        let quota = self.quota.iter().map(ToString::to_string);
        let windows = self.windows.iter().map(ToString::to_string);
        quota.chain(windows).collect()
    }

    /// The limits as one text: `100/min burst 20 and window 500/hour`.
    pub fn text(&self) -> String {
        self.texts().join(" and ")
    }

    /// The fewest requests that a key needs at once to be refused, less one.
    pub fn least_capacity(&self) -> u64 {
        let quota = self.quota.iter().map(|quota| quota.capacity());
        let windows = self.windows.iter().map(|window| window.quota.rate());
        quota.chain(windows).min().unwrap_or(u64::MAX)
    }

    /// An upper bound of what all limits admit of one key in any interval of this many nanoseconds,
    /// both ends included. A bucket and a single window reach it.
    pub fn most_within(&self, nanos: u64) -> u64 {
        let quota = self.quota.map(|quota| max_admitted(quota, nanos));
        let windows = self.windows.iter().map(|window| {
            // An interval is covered by this many of the window's length.
            let pieces = u128::from(nanos).div_ceil(window.quota.period().as_nanos().max(1));
            let most = pieces.max(1).saturating_mul(window.quota.rate().into());
            u64::try_from(most).unwrap_or(u64::MAX)
        });
        quota.into_iter().chain(windows).min().unwrap_or(u64::MAX)
    }

    /// After how many nanoseconds without a request all limits are as good as new: the bucket is
    /// full and the windows are empty.
    pub fn idle_nanos(&self) -> u64 {
        let quota = self.quota.iter().map(|quota| quota.refill_time());
        // A request counts for the window and at most one slot, which is no longer than the window.
        let windows = self.windows.iter();
        let windows = windows.map(|window| window.quota.period().saturating_mul(2));
        let longest = quota.chain(windows).max().unwrap_or_default();
        // A bucket may be late by 170 ns, see [`tidegate::TokenBucket`].
        let idle = longest.saturating_add(Duration::from_secs(1));
        u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The quota, if it is the only limit.
    pub fn only_quota(&self) -> Option<Quota> {
        self.quota.filter(|_| self.windows.is_empty())
    }
}

impl From<Quota> for Limits {
    fn from(quota: Quota) -> Self {
        Self {
            quota: Some(quota),
            windows: Vec::new(),
        }
    }
}

impl From<WindowLimit> for Limits {
    fn from(window: WindowLimit) -> Self {
        Self {
            quota: None,
            windows: vec![window],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, WindowLimit};

    #[test]
    fn most_in_a_minute() {
        let minute = 60_000_000_000;
        let window = |text: &str| text.parse::<WindowLimit>().unwrap();
        let bucket: Limits = "100/min burst 20"
            .parse::<tidegate::Quota>()
            .unwrap()
            .into();
        assert_eq!(bucket.most_within(minute), 120);
        for (text, most) in [("10/min", 10), ("10/30s", 20), ("4/7s", 36), ("50/h", 50)] {
            assert_eq!(
                Limits::from(window(text)).most_within(minute),
                most,
                "{text}"
            );
        }
        let both = Limits {
            windows: vec![window("500/h"), window("110/min")],
            ..bucket
        };
        assert_eq!((both.most_within(minute), both.least_capacity()), (110, 20));
        assert_eq!(
            both.text(),
            "100/min burst 20 and window 500/hour and window 110/min"
        );
        assert_eq!(Limits::default().most_within(minute), u64::MAX);
    }
}
