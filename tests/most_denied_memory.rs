//! A flood of new keys soon allocates nothing, and neither does a shadow. Alone in its program,
//! because the allocator counts for all threads.

use std::alloc;

use cap::Cap;
use tidegate::{ManualClock, MostDenied, Quota, Shadow, TokenBucket};

#[global_allocator]
static ALLOCATOR: Cap<alloc::System> = Cap::new(alloc::System, usize::MAX);

const COUNTERS: usize = 1_000;
const KEY: usize = 64;

#[test]
fn nothing_is_allocated_for_a_refusal() {
    let denied = MostDenied::<String>::new(COUNTERS);
    let mut key = "x".repeat(KEY);
    let mut flood = |keys: core::ops::Range<u32>| {
        let digits = |n: u32| char::from_digit(n % 10, 10).expect("a digit");
        for n in keys {
            key.clear();
            key.extend((0..8).map(|place| digits(n / 10_u32.pow(place))));
            key.extend(core::iter::repeat_n('x', KEY - 8));
            denied.record(key.as_str());
        }
    };
    let before = ALLOCATOR.allocated();
    flood(0..10_000);
    // Rounded up by the vector and the hash table, which double.
    let taken = ALLOCATOR.allocated() - before;
    assert!(taken <= COUNTERS * (KEY + 2 * 48 + 16), "{taken} bytes");

    let before = ALLOCATOR.total_allocated();
    flood(10_000..200_000);
    assert_eq!(ALLOCATOR.total_allocated(), before);
    assert_eq!(denied.top(usize::MAX).keys.len(), COUNTERS);

    let bucket =
        |burst| TokenBucket::with_clock(Quota::per_day(1).burst(burst), ManualClock::new());
    let limit = Shadow::beside(bucket(100), bucket(50));
    let before = ALLOCATOR.total_allocated();
    let admitted = (0..200).filter(|_| limit.try_acquire(1).is_ok()).count();
    assert_eq!((admitted, ALLOCATOR.total_allocated()), (100, before));
}
