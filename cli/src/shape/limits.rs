//! Limits for traffic that is made up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tidegate::{Combined, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

use crate::caret;
use crate::failure::Failure;

/// At most so many in any interval of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Quota);

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let quota = caret::window(text)?;
        let window = Self(quota);
        window.build().map_err(|error| error.to_string())?;
        Ok(window)
    }
}

impl Window {
    /// As many per period as this quota.
    ///
    /// # Errors
    ///
    /// If there is no such window.
    pub fn of(quota: Quota) -> Result<Self, Failure> {
        let problem =
            |error: &dyn fmt::Display| Failure::Usage(format!("no window like the quota: {error}"));
        let quota = quota
            .try_burst(quota.rate())
            .map_err(|error| problem(&error))?;
        let window = Self(quota);
        window.build().map_err(|error| problem(&error))?;
        Ok(window)
    }

    /// The length.
    pub const fn length(&self) -> Duration {
        self.0.period()
    }

    /// The most in any interval of that length.
    pub const fn limit(&self) -> u64 {
        self.0.rate()
    }

    fn build(&self) -> Result<SlidingWindow<ManualClock>, tidegate::WindowError> {
        SlidingWindow::with_clock(self.limit(), self.length(), ManualClock::new())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the crate's limiters.
#[derive(Debug)]
pub(super) enum Limit {
    Bucket(TokenBucket<ManualClock>),
    Window(SlidingWindow<ManualClock>),
    Both(Combined<ManualClock>),
}

/// Names of limits are for refusals, which nobody reads here.
const NAME: &str = "limit";

impl Limit {
    pub(super) fn bucket(quota: Quota) -> Self {
        Self::Bucket(TokenBucket::with_clock(quota, ManualClock::new()))
    }

    pub(super) fn window(window: Window) -> Result<Self, Failure> {
        let built = window
            .build()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self::Window(built))
    }

    pub(super) fn both(quota: Quota, windows: &[Window]) -> Result<Self, Failure> {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut builder = Combined::builder().limit(NAME, bucket);
        for window in windows {
            let built = window
                .build()
                .map_err(|error| Failure::Usage(error.to_string()))?;
            builder = builder.limit(NAME, built);
        }
        Ok(Self::Both(builder.build()))
    }

    /// Whether one request is admitted at that time.
    pub(super) fn admits(&self, nanos: u64) -> bool {
        let now = Timestamp::from_nanos(nanos);
        match self {
            Self::Bucket(bucket) => bucket.try_acquire_at(1, now).is_ok(),
            Self::Window(window) => window.try_acquire_at(1, now).is_ok(),
            Self::Both(both) => both.try_acquire_at(1, now).is_ok(),
        }
    }
}
