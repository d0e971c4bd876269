//! Quotas, steps of time and amounts at which other limiters broke, and random ones.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::Quota;

const SECOND: u64 = 1_000_000_000;
pub(crate) const DAY: u64 = 86_400 * SECOND;

#[rustfmt::skip]
const RATES: [u64; 17] = [
    1, 3, 7, 70_000, 100_001, 300_000, 999_983, 1_000_001, 1_500_000, 70_000_000, 300_000_001,
    600_000_000, 999_999_999, 1_000_000_001, 2_000_000_000, u32::MAX as u64, u64::MAX - 58,
];

const PERIODS: [Duration; 11] = [
    Duration::from_nanos(1),
    Duration::from_micros(500),
    Duration::from_micros(1_999),
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(3_600),
    Duration::from_nanos(30 * DAY),
    Duration::from_nanos(40 * DAY),
    Duration::from_nanos(45 * DAY),
    Duration::from_nanos(365 * DAY),
    Duration::from_secs(600 * 31_557_600),
];

const BURSTS: [u64; 6] = [1, 10, 300, 3_000_000, 5_200_000, u32::MAX as u64];

/// Returns every quota of the grid that can be constructed.
fn grid() -> Vec<Quota> {
    let mut quotas = Vec::new();
    for rate in RATES {
        for period in PERIODS {
            let Ok(quota) = Quota::new(rate, period) else {
                continue;
            };
            quotas.push(quota);
            quotas.extend(
                BURSTS
                    .iter()
                    .filter_map(|&burst| quota.try_burst(burst).ok()),
            );
        }
    }
    quotas
}

pub(crate) fn any_quota() -> impl Strategy<Value = Quota> {
    let anything = (1_u64..=1 << 50, 1_u64..=200_000 * DAY, 1_u64..=1 << 40).prop_filter_map(
        "a valid quota",
        |(rate, period, burst)| {
            Quota::new(rate, Duration::from_nanos(period))
                .ok()?
                .try_burst(burst)
                .ok()
        },
    );
    prop_oneof![3 => prop::sample::select(grid()), 1 => anything]
}

/// A step of time, in terms of the quota.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Nanos(u64),
    /// The interval between tokens, give or take a few nanoseconds.
    Interval(i8),
    /// The last hint, give or take a few nanoseconds.
    Hint(i8),
    /// So many 256ths of the time to fill up.
    Refill(u8),
}

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Nanos(0)),
        Just(Step::Nanos(1)),
        (0_u64..10_000).prop_map(Step::Nanos),
        (0_u64..10 * SECOND).prop_map(Step::Nanos),
        Just(Step::Nanos(1 << 32)),
        Just(Step::Nanos((1 << 32) * 1_000_000)),
        (-2_i8..3).prop_map(Step::Interval),
        (-2_i8..3).prop_map(Step::Hint),
        any::<u8>().prop_map(Step::Refill),
    ]
}

impl Step {
    pub(crate) fn nanos(self, quota: Quota, hint: Duration) -> u64 {
        let clamp = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        let period = quota.period().as_nanos();
        match self {
            Self::Nanos(nanos) => nanos,
            Self::Interval(around) => {
                clamp(period / u128::from(quota.rate())).saturating_add_signed(around.into())
            }
            Self::Hint(around) => clamp(hint.as_nanos()).saturating_add_signed(around.into()),
            Self::Refill(part) => {
                let refill = period * u128::from(quota.capacity()) / u128::from(quota.rate());
                clamp(refill / 256 * u128::from(part))
            }
        }
    }
}

/// How many tokens to request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    Few(u64),
    /// So many 255ths of the capacity.
    Part(u8),
    Any(u64),
}

impl Amount {
    pub(crate) fn tokens(self, quota: Quota) -> u64 {
        match self {
            Self::Few(n) | Self::Any(n) => n,
            Self::Part(part) => {
                let tokens = u128::from(quota.capacity()) * u128::from(part) / 255;
                u64::try_from(tokens).expect("at most the capacity")
            }
        }
    }
}

pub(crate) fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        4 => (0_u64..12).prop_map(Amount::Few),
        4 => any::<u8>().prop_map(Amount::Part),
        1 => prop_oneof![Just(u64::from(u32::MAX)), Just(u64::MAX), any::<u64>()].prop_map(Amount::Any),
    ]
}
