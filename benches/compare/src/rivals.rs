//! The limiters of one key that the suite compares. [`for_each`] is the list.
//!
//! A limiter that takes a clock gets tidegate's, so that only the limiters differ. If its own
//! clock is another one, the list has it a second time, as it is shipped.

mod clocks;
pub mod leaky_bucket;
mod list;

use std::time::Duration;

pub use clocks::{QuantaClock, SharedClock};
pub use list::{for_each, for_each_with_clock};
use tidegate::Quota;

use crate::{Gate, HOUR};

/// A bucket's limit is `rate` per `period`, and `burst` at once. A window ignores `burst`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub rate: u64,
    pub period: Duration,
    pub burst: u64,
}

impl Limit {
    /// More than a measurement uses up.
    pub const PLENTY: Self = Self {
        rate: 1 << 31,
        period: HOUR,
        burst: u32::MAX as u64,
    };

    /// The same for a limiter that stores each admission: it forgets them soon.
    pub const PLENTY_BRIEF: Self = Self {
        rate: u64::MAX,
        period: Duration::from_millis(1),
        burst: 0,
    };

    /// One permit, and the next after an hour.
    pub const ONCE: Self = Self {
        rate: 1,
        period: HOUR,
        burst: 1,
    };

    /// A hundred permits at once, and the next after half a minute.
    pub const HUNDRED: Self = Self {
        rate: 100,
        period: HOUR,
        burst: 100,
    };

    /// A million per second. Callers that ask without a pause see admissions and refusals.
    pub const BUSY: Self = Self {
        rate: 1_000,
        period: Duration::from_millis(1),
        burst: 1_000,
    };

    pub fn quota(self) -> Quota {
        Quota::new(self.rate, self.period)
            .and_then(|quota| quota.try_burst(self.burst))
            .expect("in range")
    }

    pub fn rate32(self) -> u32 {
        u32::try_from(self.rate).expect("in range")
    }

    pub fn burst32(self) -> u32 {
        u32::try_from(self.burst).expect("in range")
    }

    /// Returns the tokens that come in a second.
    pub fn per_second(self) -> f64 {
        self.rate as f64 / self.period.as_secs_f64()
    }
}

/// The kind of a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A burst and a refill.
    Bucket,
    /// So many in any interval, or in the intervals of a fixed grid.
    Window,
    /// A window that stores the time of each admission.
    Log,
}

/// The clock that a limiter reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// `tidegate::DefaultClock`: the processor's counter, through `quanta`.
    Counter,
    /// The same counter, calibrated again by governor's `quanta`.
    Quanta,
    /// The clock of the operating system, through `std`.
    System,
}

impl ClockSource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "TSC",
            Self::Quanta => "own TSC",
            Self::System => "OS",
        }
    }
}

/// A row of every table.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    pub name: &'static str,
    pub kind: Kind,
    pub clock: ClockSource,
    /// Its configuration.
    pub setup: &'static str,
    /// Where its form for many keys is measured, or why it is left out.
    pub keyed: &'static str,
}

impl Rival {
    pub fn is_bucket(&self) -> bool {
        self.kind == Kind::Bucket
    }

    /// Returns a limit that a measurement does not reach.
    pub fn plenty(&self) -> Limit {
        if self.kind == Kind::Log {
            Limit::PLENTY_BRIEF
        } else {
            Limit::PLENTY
        }
    }
}

/// The work on each limiter.
pub trait RivalVisitor {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G);
}
