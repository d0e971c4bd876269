//! Keys whose limiters are windows, combinations, or limiters of an API.

use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, Combined, Denied, Keyed, ManualClock, Quota, RateLimitConfig,
    SlidingWindow, Timestamp,
};

use crate::waiters::Waiters;
use crate::{MILLISECOND, SECOND, bucket, keyed};

fn window(limit: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, SECOND, clock.clone()).expect("valid")
}

/// What a key's window admits, and when, is what a window alone does.
#[test]
fn windows_admit_as_a_window_alone() {
    let clock = ManualClock::new();
    let table = keyed(&clock, window);
    let alone = window(3, &clock);
    let mut waiters = Waiters::at(&table, &clock);
    table.try_acquire(&3, 3).unwrap();
    alone.try_acquire(3).unwrap();
    let wait = alone.wait_time(1).unwrap();
    for _ in 0..7 {
        waiters.join(3, 1);
    }
    // Seven are ahead: two windows, and the first of the third.
    waiters.join_for(3, 1, Duration::ZERO);
    let Err(Denied::NotYet { retry_after }) = waiters.outcome() else {
        unreachable!("the window is used up");
    };
    assert_eq!(retry_after, wait + 2 * SECOND);
    waiters.finish();
    let at: Vec<Timestamp> = waiters.ended().iter().map(|ended| ended.at).collect();
    let after = |windows: u32| Timestamp::ZERO + wait * windows;
    let expected = [1, 1, 1, 2, 2, 2, 3].map(after);
    assert_eq!(at, expected);
}

/// A window is decided at the present, so a late timer never lets too many through.
#[test]
fn windows_keep_their_bound_on_late_timers() {
    let clock = ManualClock::new();
    let table = keyed(&clock, |_, clock| window(2, clock));
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..40 {
        waiters.join(1, 1);
    }
    for _ in 0..400 {
        waiters.advance(67 * MILLISECOND);
    }
    let at: Vec<Timestamp> = waiters.ended().iter().map(|ended| ended.at).collect();
    assert_eq!(at.len(), 40);
    assert!(at.windows(3).all(|three| three[2] - three[0] >= SECOND));
}

/// The strictest limit decides, each as of the instant that fits it.
#[test]
fn combinations_wait_for_the_strictest_limit() {
    let clock = ManualClock::new();
    let table = keyed(&clock, |_, clock| {
        Combined::builder()
            .limit("burst", bucket(Quota::per_second(10).burst(2), clock))
            .limit("minute", window(5, clock))
            .build()
    });
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..6 {
        waiters.join(1, 1);
    }
    waiters.finish();
    let waits: Vec<Duration> = waiters
        .ended()
        .iter()
        .map(|ended| ended.at - Timestamp::ZERO)
        .collect();
    assert_eq!(waits[..5], [0, 0, 100, 200, 300].map(Duration::from_millis));
    // The window has room again a second and a slot after the first.
    assert!(
        waits[5] >= SECOND && waits[5] <= SECOND + SECOND / 32,
        "{waits:?}"
    );
}

/// A permit is a request. The limiters measure what waits ahead in requests and tokens.
#[test]
fn limiters_of_an_api() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 2,
        ..RateLimitConfig::DEFAULT
    };
    let table: Keyed<u64, ApiRateLimiter<_>> =
        Keyed::new(move |_| ApiRateLimiter::with_clock(config, time.clone()).expect("valid"));
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..5 {
        waiters.join(1, 1);
    }
    assert_eq!(waiters.admitted(), [0, 1]);
    waiters.join_for(1, 1, Duration::ZERO);
    let retry_after = 4 * SECOND;
    assert_eq!(
        waiters.outcome(),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    waiters.finish();
    assert_eq!(waiters.admitted(), [2, 3, 4]);
    assert_eq!(clock.now(), Timestamp::ZERO + 3 * SECOND);
}

/// A pointer to a limiter that keys share: each key has an order of its own, and together they get
/// what the limiter admits.
#[test]
fn keys_that_share_a_limiter() {
    let clock = ManualClock::new();
    let shared = alloc::sync::Arc::new(bucket(Quota::per_second(1), &clock));
    let table = {
        let shared = shared.clone();
        Keyed::new(move |_: &u64| shared.clone())
    };
    let mut waiters = Waiters::at(&table, &clock);
    for number in 0..20 {
        waiters.join(number % 4, 1);
    }
    waiters.finish();
    let ended = waiters.ended();
    for key in 0..4 {
        let of_key = ended.iter().filter(|ended| ended.key == key);
        assert!(of_key.map(|ended| ended.number).is_sorted());
    }
    assert_eq!(ended.len(), 20);
    assert_eq!(clock.now(), Timestamp::ZERO + 19 * SECOND);
    assert_eq!(shared.available(), 0);
}
