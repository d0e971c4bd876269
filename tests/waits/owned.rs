//! Futures that own their limiters, or share them: they outlive whoever made them.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::LazyLock;

use tidegate::{
    Acquire, Awaitable, Combined, DefaultClock, Denied, ManualClock, Quota, SlidingWindow, Timer,
    TokenBucket,
};

use crate::crowd::{Flag, ManualTimer, Waits, poll};
use crate::{SECOND, bucket, combined, window};

/// What a service has that waits in `call`: nothing is boxed, borrowed or without a name.
#[cfg(feature = "tokio")]
#[derive(Debug)]
struct Call {
    turn: Acquire<Arc<TokenBucket>, tidegate::TokioTimer>,
}

const fn is_spawned<F: Future<Output = Result<(), Denied>> + Send + 'static>(_: &F) {}

/// Also where neither the limiter nor the timer is known.
fn spawned<L, T>(limiter: &Arc<L>, timer: T) -> impl Future<Output = Result<(), Denied>> + use<L, T>
where
    L: Awaitable + Send + Sync + 'static,
    T: Timer<Sleep: Send> + Send + 'static,
{
    let future = Acquire::new(Arc::clone(limiter), timer, 1, Duration::MAX);
    is_spawned(&future);
    future
}

#[test]
fn what_is_owned_can_be_spawned() {
    let at_once = |_: Duration| core::future::ready(());
    let bucket = Arc::new(TokenBucket::new(Quota::per_second(1)));
    let window = Arc::new(SlidingWindow::new(1, SECOND).unwrap());
    let both = Arc::new(Combined::builder().limit("bucket", bucket.clone()).build());
    is_spawned(&spawned(&bucket, at_once));
    is_spawned(&spawned(&window, at_once));
    is_spawned(&spawned(&both, at_once));
    is_spawned(&Box::pin(spawned(&Arc::new(bucket), at_once)));
}

/// Through any pointer, and through pointers to pointers.
#[test]
fn any_pointer_will_do() {
    static LAZY: LazyLock<SlidingWindow> = LazyLock::new(|| SlidingWindow::new(1, SECOND).unwrap());
    fn takes_one<P: core::ops::Deref<Target: Awaitable>>(limiter: P) {
        let never = |_: Duration| core::future::pending();
        let mut future = pin!(Acquire::new(limiter, never, 1, Duration::ZERO));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    }
    let clock = ManualClock::new();
    let shared = Arc::new(window(4, &clock));
    takes_one(&*shared);
    takes_one(&shared);
    takes_one(Rc::new(Arc::clone(&shared)));
    takes_one(Arc::clone(&shared));
    assert_eq!((shared.available(), Arc::strong_count(&shared)), (0, 1));
    takes_one(Box::new(bucket(1, &clock)));
    let boxed = Box::new(combined(2, &clock));
    takes_one(&boxed);
    takes_one(boxed);
    takes_one(&*LAZY);
    assert_eq!(LAZY.available(), 0);
}

/// The future is the last who has the limiter: it waits all the same, and the limiter goes with it.
#[test]
fn a_future_keeps_its_limiter() {
    fn check<L: Awaitable + Send + Sync>(limiter: L, clock: &ManualClock) {
        limiter.try_acquire_at(1, limiter.now()).expect("new");
        let timer = ManualTimer::on(clock);
        let limiter = Arc::new(limiter);
        let gone = Arc::downgrade(&limiter);
        let flag = Arc::new(Flag::default());
        let wait = || {
            let limiter = gone.upgrade().expect("the caller has it");
            Box::pin(Acquire::new(limiter, timer.clone(), 1, Duration::MAX))
        };
        let (mut served, mut dropped) = (wait(), wait());
        assert!(poll(&mut served, &flag).is_pending());
        assert!(poll(&mut dropped, &flag).is_pending());
        drop(limiter);
        drop(dropped);
        timer.advance(2 * SECOND);
        assert!(flag.take());
        assert_eq!(poll(&mut served, &flag), Poll::Ready(Ok(())));
        assert!(gone.upgrade().is_some());
        drop(served);
        assert!(gone.upgrade().is_none());
    }
    let clock = ManualClock::new();
    check(bucket(1, &clock), &clock);
    check(window(1, &clock), &clock);
    check(combined(1, &clock), &clock);
}

/// Borrowed and owned ones are in the same line.
#[test]
fn who_owns_waits_in_the_same_line() {
    let clock = ManualClock::new();
    let window = Arc::new(window(1, &clock));
    window.try_acquire(1).unwrap();
    let timer = ManualTimer::on(&clock);
    let flags: [Arc<Flag>; 3] = Default::default();
    let mut borrowed = (*window).wait(timer.clone(), 1, Duration::MAX);
    let mut owned = window.wait(timer.clone(), 1, Duration::MAX);
    let mut last = (*window).wait(timer.clone(), 1, Duration::MAX);
    assert!(poll(&mut borrowed, &flags[0]).is_pending());
    assert!(poll(&mut owned, &flags[1]).is_pending());
    assert!(poll(&mut last, &flags[2]).is_pending());
    assert_eq!((window.waiting(), timer.asleep()), (3, 1));
    drop(borrowed);
    assert!(flags[1].take() && !flags[2].take());
    drop(owned);
    assert!(flags[2].take());
    drop(last);
    assert_eq!(window.waiting(), 0);
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use core::sync::atomic::AtomicU64;
    use core::sync::atomic::Ordering::Relaxed;

    use tidegate::{Clock, TokioTimer};
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::JoinSet;

    use super::*;

    const LITTLE: Duration = Duration::from_millis(1);

    fn threads() -> Runtime {
        let mut threads = Builder::new_multi_thread();
        let runtime = threads.worker_threads(3).enable_time().build();
        runtime.expect("a runtime")
    }

    /// The futures are the tasks. All are admitted, and not before it is their time.
    #[test]
    fn spawned_on_threads() {
        fn check<L: Awaitable + Send + Sync + 'static>(limiter: L) -> Arc<L> {
            const TASKS: u32 = 40;
            let limiter = Arc::new(limiter);
            let start = DefaultClock.now();
            threads().block_on(async {
                let mut tasks = JoinSet::new();
                for _ in 0..TASKS {
                    tasks.spawn(spawned(&limiter, TokioTimer));
                }
                assert!(tasks.join_all().await.iter().all(Result::is_ok));
            });
            assert!(DefaultClock.now() - start >= (TASKS - 1) * LITTLE);
            assert_eq!(Arc::strong_count(&limiter), 1);
            limiter
        }
        let bucket = || TokenBucket::new(Quota::new(1, LITTLE).unwrap());
        let window = || SlidingWindow::new(1, LITTLE).unwrap();
        assert_eq!(check(bucket()).debt(), 0);
        assert_eq!(check(window()).waiting(), 0);
        let both = Combined::builder()
            .limit("bucket", bucket())
            .limit("window", window())
            .build();
        assert_eq!(check(both).waiting(), 0);
    }

    /// Tasks that are aborted while they wait leave no trace.
    #[test]
    fn aborted() {
        let bucket = Arc::new(TokenBucket::new(Quota::per_hour(1)));
        let window = Arc::new(SlidingWindow::new(1, 3_600 * SECOND).unwrap());
        bucket.try_acquire(1).unwrap();
        window.try_acquire(1).unwrap();
        threads().block_on(async {
            // One each, as the places of a bucket come back only from its end.
            for _ in 0..20 {
                let mut tasks = JoinSet::new();
                tasks.spawn(spawned(&bucket, TokioTimer));
                for _ in 0..10 {
                    tasks.spawn(spawned(&window, TokioTimer));
                }
                while (bucket.debt(), window.waiting()) != (1, 10) {
                    tokio::task::yield_now().await;
                }
                tasks.shutdown().await;
                assert_eq!((bucket.debt(), window.waiting()), (0, 0));
            }
        });
        assert_eq!(Arc::strong_count(&bucket), 1);
        assert_eq!(Arc::strong_count(&window), 1);
    }

    /// Kept in a struct, and the caller's pointers are gone.
    #[test]
    fn kept_in_a_struct() {
        let (calls, gone): (Vec<Call>, _) = {
            let bucket = Arc::new(TokenBucket::new(Quota::new(1, LITTLE).unwrap()));
            let call = |_| Call {
                turn: Acquire::new(Arc::clone(&bucket), TokioTimer, 1, Duration::MAX),
            };
            ((0..20).map(call).collect(), Arc::downgrade(&bucket))
        };
        assert_eq!(gone.strong_count(), 20);
        let admitted = Arc::new(AtomicU64::new(0));
        threads().block_on(async {
            let mut tasks = JoinSet::new();
            for (number, call) in calls.into_iter().enumerate() {
                let admitted = Arc::clone(&admitted);
                tasks.spawn(async move {
                    if number % 2 == 0 {
                        return;
                    }
                    call.turn.await.unwrap();
                    admitted.fetch_add(1, Relaxed);
                });
            }
            let _ = tasks.join_all().await;
        });
        assert_eq!((admitted.load(Relaxed), gone.strong_count()), (10, 0));
    }
}
