//! Tuples of limiters under random loads.

use proptest::prelude::*;
use tidegate::{AllOrNothing, ManualClock};

use crate::buckets::{any_burst, any_lateness, any_rate, config};
use crate::combinations::{bucket, scenario};
use crate::load::any_load;
use crate::meter;
use crate::oracle::{self, Stated};
use crate::windows::{cycle, window};
use crate::{NANOS, SLACK};

proptest! {
    #![proptest_config(config())]

    /// The slower one, which also holds less, gives all it has, in order. Both keep their bounds.
    #[test]
    fn two_buckets_give_what_the_slower_has(
        slow in any_rate(),
        faster_by in 0_u64..1_000,
        burst in any_burst(),
        more in 0_u64..100,
        load in any_load(),
        lateness in any_lateness(),
        turned in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let fast = slow + faster_by;
        let slow_bucket = bucket(slow, burst, &clock);
        let fast_bucket = bucket(fast, burst + more, &clock);
        let both = if turned {
            (&*slow_bucket, &*fast_bucket)
        } else {
            (&*fast_bucket, &*slow_bucket)
        };
        let full_at = |now| meter::full_at(&slow_bucket, now);
        let record = scenario(load, (slow, burst), lateness)
            .run_measured(&both, &clock, &full_at, |n| both.peek(n).is_ok());
        let services = record.services.borrow();
        meter::check(&services, Stated::per_second(slow, burst));
        oracle::check_bucket(&services, Stated::per_second(slow, burst), SLACK);
        oracle::check_bucket(&services, Stated::per_second(fast, burst + more), SLACK);
        prop_assert_eq!((slow_bucket.waiting(), fast_bucket.waiting()), (0, 0));
    }

    /// A window with room for all that a bucket admits costs nothing of it.
    #[test]
    fn bucket_beside_wide_window_gives_all_it_has(
        rate in any_rate(),
        burst in any_burst(),
        length in NANOS / 2..10 * NANOS,
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let slow = bucket(rate, burst, &clock);
        let limit = burst + rate * (cycle(length) + SLACK).div_ceil(NANOS) + 1;
        let wide = window(limit, length, &clock);
        let both = (&*slow, &wide);
        let full_at = |now| meter::full_at(&slow, now);
        let record = scenario(load, (rate, burst), lateness)
            .run_measured(&both, &clock, &full_at, |n| both.peek(n).is_ok());
        let services = record.services.borrow();
        meter::check(&services, Stated::per_second(rate, burst));
        oracle::check_bucket(&services, Stated::per_second(rate, burst), SLACK);
        oracle::check_window(&services, limit, length);
    }
}
