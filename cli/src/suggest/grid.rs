//! Which quotas are looked at: periods, and bursts in proportion to the number.

use std::str::FromStr;
use std::time::Duration;

use tidegate::Quota;

use super::share::decimal;

/// A period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Per {
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

impl Per {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// `number` per period, with a burst of `factor` times as many.
    pub fn quota(self, number: u64, factor: Factor) -> Option<Quota> {
        let quota = Quota::new(number, self.duration()).ok()?;
        quota.try_burst(factor.times(number)?).ok()
    }
}

/// A burst as a multiple of the number per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    numerator: u128,
    denominator: u128,
}

impl FromStr for Factor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "expected a factor from 0.001 to 1000, such as 0.5";
        let (numerator, denominator) = decimal(text.trim()).ok_or(wrong)?;
        if numerator * 1_000 < denominator || numerator > denominator * 1_000 {
            return Err(wrong);
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }
}

impl Factor {
    /// So many times `number`, rounded up.
    fn times(self, number: u64) -> Option<u64> {
        let product = u128::from(number) * self.numerator;
        u64::try_from(product.div_ceil(self.denominator)).ok()
    }

    /// The smallest number whose burst is at least `burst`, or a little more.
    pub fn number_for(self, burst: u64) -> u64 {
        let number = (u128::from(burst) * self.denominator).div_ceil(self.numerator);
        u64::try_from(number).unwrap_or(u64::MAX).max(1)
    }
}
