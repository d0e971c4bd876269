//! The limiters of the suite, of one key each: [`for_each`] is the list.
//!
//! Where a limiter takes a clock, it gets the one that tidegate reads, so that what differs is the limiter; and where its own clock is
//! another, it is in the list a second time, as it is shipped.

mod clocks;
pub mod leaky_bucket;
mod list;

use std::time::Duration;

pub use clocks::{Quanta, Shared};
pub use list::{for_each, for_each_with_clock};
use tidegate::Quota;

use crate::Gate;

/// `rate` per `period`, and for buckets `burst` at once. A window of length `period` admits `rate`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub rate: u64,
    pub period: Duration,
    pub burst: u64,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Limit {
    /// What no measurement uses up.
    pub const PLENTY: Self = Self {
        rate: 1 << 31,
        period: HOUR,
        burst: u32::MAX as u64,
    };

    /// The same for what remembers each admission: soon forgotten.
    pub const PLENTY_BRIEF: Self = Self {
        rate: u64::MAX,
        period: Duration::from_millis(1),
        burst: 0,
    };

    /// One, and the next after an hour.
    pub const ONCE: Self = Self {
        rate: 1,
        period: HOUR,
        burst: 1,
    };

    /// A hundred at once, and then nothing for half a minute.
    pub const HUNDRED: Self = Self {
        rate: 100,
        period: HOUR,
        burst: 100,
    };

    /// A million per second: callers who do nothing but ask are refused now and then, and admitted now and then.
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

    /// So many refill in a second.
    pub fn per_second(self) -> f64 {
        self.rate as f64 / self.period.as_secs_f64()
    }
}

/// What a limiter promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Burst and refill.
    Bucket,
    /// No more than so many in any interval, or in those that a fixed grid makes.
    Window,
    /// The same; keeps the time of each admission.
    Log,
}

/// What time a limiter reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// `tidegate::DefaultClock`: the counter of the processor, through `quanta`.
    Counter,
    /// The same counter, calibrated once more by the `quanta` of governor.
    Quanta,
    /// That of the operating system, through `std`.
    System,
}

impl Time {
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
    pub time: Time,
    /// How it is set up.
    pub setup: &'static str,
    /// Where its form for many keys is measured, or why it is not.
    pub keyed: &'static str,
}

impl Rival {
    pub fn is_bucket(&self) -> bool {
        self.kind == Kind::Bucket
    }

    /// What it admits at once if its clock stands still.
    pub fn at_once(&self, limit: Limit) -> u64 {
        if self.is_bucket() {
            limit.burst
        } else {
            limit.rate
        }
    }

    /// The limit that it does not reach.
    pub fn plenty(&self) -> Limit {
        if self.kind == Kind::Log {
            Limit::PLENTY_BRIEF
        } else {
            Limit::PLENTY
        }
    }
}

/// What is done with each limiter.
pub trait Visitor {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G);
}

/// A limiter, and how it is asked for one permit.
pub struct Asked<S, F> {
    state: S,
    ask: F,
}

/// Puts a limiter behind [`Gate`].
pub fn asked<S: Sync, F: Fn(&S) -> bool + Sync>(state: S, ask: F) -> Asked<S, F> {
    Asked { state, ask }
}

impl<S: Sync, F: Fn(&S) -> bool + Sync> Gate for Asked<S, F> {
    #[inline(always)]
    fn admit(&self) -> bool {
        (self.ask)(&self.state)
    }
}
