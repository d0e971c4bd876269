//! Queues of more and more waiters.

use std::future::{Future, Pending, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate::{Acquire, Clock, Quota, Timestamp, TokenBucket};

use super::{Effort, Point, pinned};
use crate::slices::{Rows, Times, Visits, per_call, time};

pub(super) const TEXT: &str = "Futures of `acquire(1)` at a bucket on a clock that is set by \
                              hand, without a runtime: their waker does nothing, and their timer \
                              costs nothing. That many come to an empty queue; are served in \
                              order, each when its permit is there, with the poll of the next \
                              one; or are dropped in random order. The time of each step, per \
                              waiter.";

/// The fewest waiters in a slice. Short queues are repeated until it has them, so that reading the
/// timer costs little.
const WAITERS: usize = 1_000;

const INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn measure(effort: Effort) -> Vec<Times<Point>> {
    let visits = Visits {
        rounds: effort.rounds,
        warm: 1,
        kept: 3,
    };
    pinned(visits, |rows| {
        for power in 0..=effort.waiters {
            let waiters = 10_usize.pow(power);
            add(rows, waiters, "joins", join);
            add(rows, waiters, "is served", serve);
            add(rows, waiters, "leaves", leave);
        }
    })
}

fn add(
    rows: &mut Rows<Point>,
    waiters: usize,
    name: &'static str,
    step: fn(&[Bucket], &mut [Vec<Waiter<'_>>]) -> Duration,
) {
    let point = Point {
        curve: "waiters",
        limiter: "tidegate TokenBucket",
        calls: name,
        x: waiters,
    };
    rows.add(point, move || {
        let buckets: Vec<Bucket> = (0..WAITERS.div_ceil(waiters)).map(|_| bucket()).collect();
        let queue = |bucket| (0..waiters).map(|_| waiter(bucket)).collect();
        let mut queues: Vec<Vec<Waiter<'_>>> = buckets.iter().map(queue).collect();
        per_call(step(&buckets, &mut queues), buckets.len() * waiters)
    });
}

/// A clock that is set by hand, and read without a lock or a fence.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Relaxed))
    }
}

type Bucket = TokenBucket<HandClock>;
type Waiter<'a> = Acquire<&'a Bucket, fn(Duration) -> Pending<()>>;

/// A bucket that is used up. A call has waited there, so the queue exists.
fn bucket() -> Bucket {
    let clock = HandClock(AtomicU64::new(0));
    let bucket = TokenBucket::with_clock(Quota::per_second(1), clock);
    assert!(bucket.try_acquire(1).is_ok());
    assert!(poll(&mut waiter(&bucket)).is_pending());
    bucket
}

fn waiter(bucket: &Bucket) -> Waiter<'_> {
    bucket.acquire(1).timer(|_| pending())
}

fn poll(waiter: &mut Waiter<'_>) -> Poll<bool> {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(waiter)
        .poll(&mut context)
        .map(|admitted| admitted.is_ok())
}

fn count(queues: &[Vec<Waiter<'_>>]) -> usize {
    queues.iter().map(Vec::len).sum()
}

fn join(_: &[Bucket], queues: &mut [Vec<Waiter<'_>>]) -> Duration {
    let mut waiting = 0;
    let taken = time(|| {
        for waiter in queues.iter_mut().flatten() {
            waiting += usize::from(poll(waiter).is_pending());
        }
    });
    assert_eq!(waiting, count(queues));
    taken
}

fn serve(buckets: &[Bucket], queues: &mut [Vec<Waiter<'_>>]) -> Duration {
    join(buckets, queues);
    let mut served = 0;
    let taken = time(|| {
        for (bucket, queue) in buckets.iter().zip(queues.iter_mut()) {
            let mut now = bucket.clock().now();
            for at in 0..queue.len() {
                now = now + INTERVAL;
                bucket.clock().0.store(now.as_nanos(), Relaxed);
                served += usize::from(poll(&mut queue[at]) == Poll::Ready(true));
                // The next one was woken, and begins to sleep until its permit comes.
                if let Some(next) = queue.get_mut(at + 1) {
                    assert!(poll(next).is_pending());
                }
            }
        }
    });
    assert_eq!(served, count(queues));
    taken
}

fn leave(buckets: &[Bucket], queues: &mut [Vec<Waiter<'_>>]) -> Duration {
    join(buckets, queues);
    let mut random = fastrand::Rng::with_seed(1);
    queues.iter_mut().for_each(|queue| random.shuffle(queue));
    let taken = time(|| queues.iter_mut().for_each(Vec::clear));
    assert!(buckets.iter().all(|bucket| bucket.waiting() == 0));
    taken
}
