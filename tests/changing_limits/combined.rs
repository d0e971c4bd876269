//! One limit of a combination changes by its name.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{
    ChangeError, Combined, Limiter, ManualClock, Quota, SlidingWindow, TokenBucket, WindowError,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn calls() -> (
    Combined<ManualClock>,
    Arc<TokenBucket<ManualClock>>,
    ManualClock,
) {
    let clock = ManualClock::new();
    let burst = Arc::new(TokenBucket::with_clock(Quota::per_second(5), clock.clone()));
    let hour = SlidingWindow::with_clock(100, HOUR, clock.clone()).expect("valid");
    let calls = Combined::builder()
        .limit("hour", hour)
        .limit("burst", burst.clone())
        .build();
    (calls, burst, clock)
}

#[test]
fn limits_change_by_name() {
    let (calls, burst, clock) = calls();
    calls.try_acquire(3).expect("valid");
    calls
        .set_quota("burst", Quota::per_second(50))
        .expect("valid");
    assert_eq!(
        (calls.available_in("burst"), burst.capacity()),
        (Some(2), 50)
    );
    calls.set_limit("hour", 10, HOUR).expect("valid");
    assert_eq!(calls.available_in("hour"), Some(7));
    clock.advance(Duration::from_secs(1));
    let denied = calls.try_acquire(8).unwrap_err();
    assert_eq!(denied.limit(), "hour");
    calls.try_acquire(7).expect("valid");
    assert_eq!(
        (calls.available_in("hour"), burst.available()),
        (Some(0), 43)
    );
    assert_eq!(calls.forfeited(), 0);
}

#[test]
fn errors_change_nothing() {
    let (calls, burst, _) = calls();
    let quota = Quota::per_second(50);
    assert_eq!(
        calls.set_quota("day", quota),
        Err(ChangeError::UnknownLimit)
    );
    assert_eq!(calls.set_quota("hour", quota), Err(ChangeError::NotABucket));
    assert_eq!(
        calls.set_limit("burst", 1, HOUR),
        Err(ChangeError::NotAWindow)
    );
    let zero = ChangeError::Window(WindowError::ZeroLimit);
    assert_eq!(calls.set_limit("hour", 0, HOUR), Err(zero));
    assert_eq!(
        (burst.capacity(), calls.available_in("hour")),
        (5, Some(100))
    );
}

#[test]
fn calls_are_charged_to_all_or_none_after_changes() {
    let (calls, burst, _) = calls();
    burst.set_quota(Quota::per_second(8));
    calls.set_limit("hour", 4, HOUR).expect("valid");
    assert_eq!(calls.try_acquire(5).unwrap_err().limit(), "hour");
    assert_eq!(calls.available_in("burst"), Some(5));
    let charge = calls.charge_at(4, calls.now()).expect("valid");
    assert_eq!(calls.undo(charge), 4);
    assert_eq!(
        (calls.available_in("burst"), calls.available_in("hour")),
        (Some(5), Some(4))
    );

    let old = calls.charge_at(2, calls.now()).expect("valid");
    calls
        .set_quota("burst", Quota::per_second(9))
        .expect("valid");
    calls.undo(old);
    assert_eq!(
        calls.available_in("burst"),
        Some(3),
        "a charge from before stays"
    );
    assert_eq!(calls.forfeited(), 2);
}

#[test]
fn same_numbers_as_a_bucket_that_was_never_changed() {
    let clock = ManualClock::new();
    let make = || TokenBucket::with_clock(Quota::per_second(10), clock.clone());
    let (changed, plain) = (make(), make());
    changed.set_quota(Quota::per_second(11));
    changed.set_quota(Quota::per_second(10));
    let [changed, plain] =
        [changed, plain].map(|bucket| Combined::builder().limit("", bucket).build());
    for step in 0..200_u64 {
        assert_eq!(changed.try_acquire(step % 4), plain.try_acquire(step % 4));
        assert_eq!(changed.available(), plain.available());
        clock.advance(Duration::from_millis(step * 7 % 90));
    }
}
