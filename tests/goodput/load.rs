//! Random callers: when they come, how much they ask for, and when they give up.

use core::time::Duration;

use proptest::prelude::*;

use crate::NANOS;
use crate::random::Random;

/// A call, and when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) at: u64,
    pub(crate) n: u64,
    pub(crate) patience: Patience,
}

/// How a caller gives up. Nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Endless,
    /// The future is dropped, as by `tokio::time::timeout`.
    Dropped(u64),
    /// The call has this timeout.
    Timeout(u64),
}

impl Patience {
    pub(crate) const fn timeout(self) -> Option<u64> {
        match self {
            Self::Timeout(nanos) => Some(nanos),
            Self::Endless | Self::Dropped(_) => None,
        }
    }
}

impl Call {
    /// The `timeout` of its wait.
    pub(crate) fn timeout(self) -> Duration {
        self.patience
            .timeout()
            .map_or(Duration::MAX, Duration::from_nanos)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    Ones,
    /// From 1 to the capacity.
    Any,
    /// Ones, and one of eight takes the capacity.
    SomeLarge,
}

/// What the callers do, relative to what a limiter allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) sizes: Sizes,
    /// Percent of the quota.
    pub(crate) demand: u64,
    /// How many come at once.
    pub(crate) clump: u64,
    /// Percent of the callers that give up.
    pub(crate) leavers: u64,
    /// They wait up to 2^this times as long as the permits of a mean call take.
    pub(crate) patience: u32,
    pub(crate) seed: u64,
}

pub(crate) fn any_load() -> impl Strategy<Value = Load> {
    let sizes = prop_oneof![Just(Sizes::Ones), Just(Sizes::Any), Just(Sizes::SomeLarge)];
    let demand = prop_oneof![20_u64..95, 105_u64..300, 300_u64..2_000];
    let clump = prop_oneof![3 => Just(1_u64), 1 => 2_u64..40];
    let leavers = prop_oneof![Just(0_u64), 10_u64..90, Just(100_u64)];
    let rest = (leavers, 1_u32..9, any::<u64>());
    (sizes, demand, clump, rest).prop_map(|(sizes, demand, clump, rest)| {
        let (leavers, patience, seed) = rest;
        Load {
            sizes,
            demand,
            clump,
            leavers,
            patience,
            seed,
        }
    })
}

impl Load {
    /// The same load of calls for one permit each.
    pub(crate) const fn of_ones(self) -> Self {
        Self {
            sizes: Sizes::Ones,
            ..self
        }
    }

    const fn size(self, capacity: u64, random: &mut Random) -> u64 {
        match self.sizes {
            Sizes::Any => 1 + random.below(capacity),
            Sizes::SomeLarge if random.below(8) == 0 => capacity,
            Sizes::Ones | Sizes::SomeLarge => 1,
        }
    }

    const fn mean_size(self, capacity: u64) -> u64 {
        match self.sizes {
            Sizes::Ones => 1,
            Sizes::Any => capacity.div_ceil(2),
            Sizes::SomeLarge => (capacity + 7).div_ceil(8),
        }
    }

    /// Returns calls at a limiter that allows `rate` permits per second and `capacity` at once. The
    /// first use up the capacity, as many as that takes. After that come `count` calls.
    pub(crate) fn calls(self, rate: u64, capacity: u64, count: u64) -> Vec<Call> {
        let mut random = Random(self.seed);
        let mut calls = Vec::new();
        let mut left = capacity;
        while left > 0 {
            // Large ones, so that a large burst is not most of the test.
            let n = left.min(capacity.div_ceil(16));
            left -= n;
            calls.push(Call {
                at: 0,
                n,
                patience: Patience::Endless,
            });
        }
        // How long the permits of a mean call take.
        let interval = (NANOS * self.mean_size(capacity) / rate).max(1);
        let gap = interval * 100 / self.demand * self.clump;
        let (mut at, mut coming) = (0, 0);
        for _ in 0..count {
            if coming == 0 {
                at += random.below(2 * gap + 1);
                coming = 1 + random.below(2 * self.clump - 1);
            }
            coming -= 1;
            let n = self.size(capacity, &mut random);
            let nanos = random.below(interval << self.patience) + 1;
            let patience = match random.below(200) {
                left if left >= 2 * self.leavers => Patience::Endless,
                kind if kind % 2 == 0 => Patience::Dropped(nanos),
                _ => Patience::Timeout(nanos),
            };
            calls.push(Call { at, n, patience });
        }
        calls
    }
}
