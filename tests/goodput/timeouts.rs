//! Timeouts of calls behind others: refused at once if they cannot be met, and only then.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{
    Acquire, Awaitable, Combined, Denied, Limiter, ManualClock, Quota, ShardedTokenBucket,
    SlidingWindow, TokenBucket,
};

use crate::TICK;

const MILLISECOND: Duration = Duration::from_nanos(TICK);
const NANOSECOND: Duration = Duration::from_nanos(1);
/// A token of a bucket.
const TOKEN: Duration = Duration::from_millis(100);
/// A millisecond less.
const REST: Duration = Duration::from_millis(99);

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn wait<L: Awaitable>(
    limiter: &L,
    timeout: Duration,
) -> impl Future<Output = Result<(), Denied>> + use<'_, L> {
    let never = |_| core::future::pending::<()>();
    Acquire::new(limiter, 1).timeout(timeout).timer(never)
}

fn bucket(clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone())
}

/// With one taken and one waiting, a call that has `whole` is not refused, and one that has a
/// nanosecond less is, with the whole wait as its hint.
fn check_exact<L: Awaitable + Limiter>(limiter: &L, whole: Duration) {
    limiter.try_acquire_at(1, limiter.now()).expect("full");
    let mut head = pin!(wait(limiter, Duration::MAX));
    assert!(poll(head.as_mut()).is_pending());
    let retry_after = whole.into();
    let refused = Poll::Ready(Err(Denied::NotYet { retry_after }));
    assert_eq!(
        poll(pin!(wait(limiter, whole.saturating_sub(NANOSECOND)))),
        refused
    );
    assert!(poll(pin!(wait(limiter, whole))).is_pending());
}

#[test]
fn timeout_that_cannot_be_met_is_refused_at_once() {
    // At the origin of the clock, and later.
    for start in [Duration::ZERO, 12_345 * MILLISECOND] {
        let clock = ManualClock::new();
        clock.advance(start);
        check_exact(&bucket(&clock), 2 * TOKEN);
        let quota = Quota::per_second(10).burst(1);
        let sharded = ShardedTokenBucket::with_clock(quota, clock.clone());
        check_exact(&sharded, 2 * TOKEN);
        let both = Combined::builder()
            .limit("bucket", bucket(&clock))
            .limit("other", bucket(&clock))
            .build();
        check_exact(&both, 2 * TOKEN);

        // A window of 64 slots and one more slot, from the start of a slot. After the head, at
        // least a window.
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(64 * 10));
        let length = Duration::from_secs(64);
        let window = || SlidingWindow::with_clock(1, length, clock.clone()).expect("valid");
        let whole = Duration::from_secs(65 + 64);
        check_exact(&window(), whole);
        let both = Combined::builder()
            .limit("bucket", bucket(&clock))
            .limit("window", window())
            .build();
        check_exact(&both, whole);
    }
}

/// The head was due a millisecond ago, but its timer is late. It will be decided as of then, and so
/// the token behind it comes a millisecond earlier than if it was decided now.
fn check_behind_late_head<L: Awaitable + Limiter>(limiter: &L, clock: &ManualClock) {
    limiter.try_acquire_at(1, limiter.now()).expect("full");
    let mut head = pin!(wait(limiter, Duration::MAX));
    assert!(poll(head.as_mut()).is_pending());
    clock.advance(TOKEN + MILLISECOND);
    let mut next = pin!(wait(limiter, REST));
    assert!(poll(next.as_mut()).is_pending(), "it can be met");
    assert_eq!(poll(head.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(next.as_mut()).is_pending());
    clock.advance(REST);
    assert_eq!(poll(next.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn timeout_that_can_be_met_behind_a_late_head_is_not_refused() {
    let clock = ManualClock::new();
    check_behind_late_head(&bucket(&clock), &clock);
    let quota = Quota::per_second(10).burst(1);
    check_behind_late_head(
        &ShardedTokenBucket::with_clock(quota, clock.clone()),
        &clock,
    );
    let both = Combined::builder().limit("bucket", bucket(&clock));
    check_behind_late_head(&both.build(), &clock);
}

/// A head whose timeout ended before it was due, but whose timer is late, is admitted as of when it
/// was due. So the token behind it is not late, too.
#[test]
fn late_head_past_its_timeout_costs_those_behind_nothing() {
    let clock = ManualClock::new();
    let bucket = bucket(&clock);
    let mut first = pin!(wait(&bucket, TOKEN));
    bucket.try_acquire(1).expect("full");
    assert!(poll(first.as_mut()).is_pending());
    // Due at 200 ms, if the first is served; behind it by its timeout.
    let mut second = pin!(wait(&bucket, 2 * TOKEN));
    assert!(poll(second.as_mut()).is_pending());
    let mut third = pin!(wait(&bucket, Duration::MAX));
    assert!(poll(third.as_mut()).is_pending());
    // An overtaking call delays the first to 200 ms, beyond its timeout.
    clock.advance(TOKEN);
    bucket.try_acquire(1).expect("overtakes");
    clock.advance(TOKEN + MILLISECOND);
    assert_eq!(
        poll(first.as_mut()),
        Poll::Ready(Ok(())),
        "there is room by now"
    );
    assert!(poll(second.as_mut()).is_ready(), "its timeout has ended");
    assert!(poll(third.as_mut()).is_pending());
    clock.advance(REST);
    assert_eq!(
        poll(third.as_mut()),
        Poll::Ready(Ok(())),
        "not a millisecond later"
    );
}
