//! Token buckets, sharded ones too, under random loads.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{Awaitable, Clock, Limiter, ManualClock, Quota, ShardedTokenBucket, TokenBucket};

use crate::SLACK;
use crate::load::{Call, Load, Patience, any_load};
use crate::meter::{self, Measure};
use crate::oracle::{self, Stated};
use crate::scenario::Scenario;
use crate::timer::Lateness;

pub(crate) const CALLS: u64 = 800;

pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

/// Rates per second.
pub(crate) fn any_rate() -> impl Strategy<Value = u64> {
    const RATES: &[u64] = &[1, 3, 10, 100, 333, 1_000, 3_000, 10_000, 20_000];
    prop_oneof![prop::sample::select(RATES), 1_u64..20_000]
}

pub(crate) fn any_burst() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1_u64), 2_u64..10, 10_u64..200]
}

/// Timers that are late by no more than the default slack.
pub(crate) fn any_lateness() -> impl Strategy<Value = Lateness> {
    prop_oneof![Just(Lateness::Ticks), Just(Lateness::Jitter)]
}

/// Runs a load at a bucket, and checks order, timeouts, bound and goodput. Returns how many calls
/// were refused, and how many dropped.
fn run<L: Awaitable + Limiter>(
    bucket: &L,
    clock: &ManualClock,
    (rate, burst): (u64, u64),
    load: Load,
    lateness: Lateness,
) -> (u64, u64) {
    let scenario = Scenario {
        calls: load.calls(rate, burst, CALLS),
        lateness,
        slack: SLACK,
        seed: load.seed,
    };
    let stated = Stated::per_second(rate, burst);
    let peek = |n| bucket.peek_at(n, clock.now()).is_ok();
    let full_at = |now| meter::full_at(bucket, now);
    let record = scenario.run_measured(bucket, clock, &full_at, peek);
    let services = record.services.take();
    oracle::check_bucket(&services, stated, SLACK);
    if lateness != Lateness::Stalls {
        meter::check(&services, stated);
        meter::check_refusals(&record.refusals.take(), stated, SLACK);
    }
    (record.refused.get(), record.dropped.get())
}

const fn quota(rate: u64, burst: u64) -> Quota {
    Quota::per_second(rate).burst(burst)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn token_bucket_gives_all_it_has_in_order(
        rate in any_rate(),
        burst in any_burst(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota(rate, burst), clock.clone());
        let left = run(&bucket, &clock, (rate, burst), load, lateness);
        prop_assert_eq!(bucket.debt(), 0);
        prop_assert_eq!(bucket.waiting(), 0);
        if load.leavers == 0 {
            prop_assert_eq!(left, (0, 0));
        }
    }

    #[test]
    fn sharded_bucket_gives_all_it_has_in_order(
        rate in any_rate(),
        burst in any_burst(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let bucket = ShardedTokenBucket::with_clock(quota(rate, burst), clock.clone());
        run(&bucket, &clock, (rate, burst), load, lateness);
        prop_assert_eq!(bucket.waiting(), 0);
    }

    /// After a stall, no more goes at once than what flows in within the slack.
    #[test]
    fn bound_and_order_hold_when_the_process_stalls(
        rate in any_rate(),
        burst in any_burst(),
        load in any_load(),
    ) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota(rate, burst), clock.clone());
        run(&bucket, &clock, (rate, burst), load, Lateness::Stalls);
        let clock = ManualClock::new();
        let sharded = ShardedTokenBucket::with_clock(quota(rate, burst), clock.clone());
        run(&sharded, &clock, (rate, burst), load, Lateness::Stalls);
    }
}

/// The measure sees the loss that the slack prevents: without it, a bucket with a burst of 1 gives
/// one token per tick.
#[test]
fn measure_notices_what_is_lost_without_slack() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(quota(10_000, 1), clock.clone());
    let bucket = bucket.wait_slack(Duration::ZERO);
    let calls = (0..200).map(|_| Call {
        at: 0,
        n: 1,
        patience: Patience::Endless,
    });
    let scenario = Scenario {
        calls: calls.collect(),
        lateness: Lateness::Ticks,
        slack: 0,
        seed: 1,
    };
    let stated = Stated::per_second(10_000, 1);
    let full_at = |now| meter::full_at(&bucket, now);
    let record = scenario.run_measured(&bucket, &clock, &full_at, |_| false);
    let services = record.services.take();
    oracle::check_bucket(&services, stated, 0);
    let Measure { lost, admitted } = meter::measure(&services, stated);
    assert_eq!(record.admitted.get(), 200);
    assert!(admitted * 8 <= lost, "{admitted} admitted, {lost} lost");
}
