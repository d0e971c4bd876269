//! Kinds of limits, which differ in one number: the rate.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tidegate::Quota;

use super::fraction::BurstFactor;
use crate::replay::limits::{Limits, WindowLimit};

/// The period of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One second
    Second,
    /// One minute
    #[value(alias = "min")]
    Minute,
    /// One hour
    Hour,
    /// One day of 24 hours
    Day,
}

impl Period {
    const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `n` per period with a burst of a multiple of `n`.
    Bucket(Period, BurstFactor),
    /// A window of `n` per period.
    Window(Period),
}

impl Kind {
    /// The limit with this rate, or `None` if it is out of range.
    pub fn limits(self, rate: u64) -> Option<Limits> {
        match self {
            Self::Bucket(..) => self.quota(rate).map(Limits::from),
            Self::Window(period) => {
                let quota = Quota::new(rate, period.length()).ok()?;
                WindowLimit::new(quota).ok().map(Limits::from)
            }
        }
    }

    /// The quota with this rate; `None` for a window, or if it is out of range.
    pub fn quota(self, rate: u64) -> Option<Quota> {
        let Self::Bucket(period, factor) = self else {
            return None;
        };
        let quota = Quota::new(rate, period.length()).ok()?;
        quota.try_burst(factor.burst(rate)?).ok()
    }

    /// A rate that refuses no request of a key with `requests` requests.
    pub fn sufficient(self, requests: u64) -> u64 {
        match self {
            Self::Bucket(_, factor) => factor.rate_for(requests),
            Self::Window(_) => requests.max(1),
        }
    }
}

/// The kind with `N` for its rate: `N/min burst 2×N`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(period, factor) if factor.is_one() => write!(f, "N/{}", period.unit()),
            Self::Bucket(period, factor) => write!(f, "N/{} burst {factor}×N", period.unit()),
            Self::Window(period) => write!(f, "window N/{}", period.unit()),
        }
    }
}
