//! Futures that own a share of their limiter.

use alloc::sync::Arc;
use core::future::{Future, pending, ready};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::LazyLock;

use tidegate::{
    Acquire, Awaitable, Combined, Limiter, ManualClock, Quota, SlidingWindow, Timer, TokenBucket,
};

use crate::manual_timer::ManualTimer;
use crate::waiters::{Outcome, WaitFor, Waiter};
use crate::{SECOND, assert_spawnable, bucket, combined, window};

/// Waits for one permit, where neither the limiter nor the timer is known.
fn wait_for_one<L, T>(limiter: &Arc<L>, timer: T) -> impl Future<Output = Outcome> + use<L, T>
where
    L: Awaitable + Send + Sync + 'static,
    T: Timer<Sleep: Send> + Send + 'static,
{
    let future = Acquire::new(Arc::clone(limiter), 1).timer(timer);
    assert_spawnable(&future);
    future
}

#[test]
fn owning_futures_can_be_spawned() {
    let timer = |_: Duration| ready(());
    let bucket = Arc::new(TokenBucket::new(Quota::per_second(1)));
    let window = Arc::new(SlidingWindow::new(1, SECOND).unwrap());
    let both = Combined::builder().limit("bucket", bucket.clone());
    assert_spawnable(&wait_for_one(&bucket, timer));
    assert_spawnable(&wait_for_one(&window, timer));
    assert_spawnable(&wait_for_one(&Arc::new(both.build()), timer));
    assert_spawnable(&Box::pin(wait_for_one(&Arc::new(bucket), timer)));
}

/// Also pointers to pointers.
#[test]
fn futures_accept_any_pointer() {
    static LAZY: LazyLock<SlidingWindow> = LazyLock::new(|| SlidingWindow::new(1, SECOND).unwrap());
    fn take_one<P: Awaitable>(limiter: P) {
        let wait = Acquire::new(limiter, 1).timeout(Duration::ZERO);
        let wait = wait.timer(|_| pending());
        let mut context = Context::from_waker(Waker::noop());
        let outcome = pin!(wait).poll(&mut context);
        assert_eq!(outcome, Poll::Ready(Ok(())));
    }
    let clock = ManualClock::new();
    let shared = Arc::new(window(4, &clock));
    take_one(&*shared);
    take_one(&shared);
    take_one(Box::new(Arc::clone(&shared)));
    take_one(Arc::clone(&shared));
    assert_eq!((shared.available(), Arc::strong_count(&shared)), (0, 1));
    take_one(Box::new(bucket(1, &clock)));
    let boxed = Box::new(combined(2, &clock));
    take_one(&boxed);
    take_one(boxed);
    take_one(&*LAZY);
    assert_eq!(LAZY.available(), 0);
}

/// The future is the limiter's last owner, and drops it.
#[test]
fn futures_keep_their_limiter() {
    fn check<L: Awaitable + Limiter + Send + Sync>(limiter: L, clock: &ManualClock) {
        limiter.try_acquire_at(1, limiter.now()).expect("new");
        let timer = ManualTimer::on(clock);
        let limiter = Arc::new(limiter);
        let share = Arc::downgrade(&limiter);
        let wait = || {
            let limiter = share.upgrade().expect("the test has it");
            let wait = Acquire::new(limiter, 1).timer(timer.clone());
            Waiter::new(1, wait).pending()
        };
        let (mut served, dropped) = (wait(), wait());
        drop(limiter);
        drop(dropped);
        timer.advance(2 * SECOND);
        assert!(served.take_wake_up());
        assert_eq!(served.ready(), Ok(()));
        assert!(share.upgrade().is_some());
        drop(served);
        assert!(share.upgrade().is_none());
    }
    let clock = ManualClock::new();
    check(bucket(1, &clock), &clock);
    check(window(1, &clock), &clock);
    check(combined(1, &clock), &clock);
    check(crate::sharded(1, &clock), &clock);
    check(crate::api(1, &clock), &clock);
}

#[test]
fn owning_and_borrowing_futures_share_a_queue() {
    let clock = ManualClock::new();
    let window = Arc::new(window(1, &clock));
    window.try_acquire(1).unwrap();
    let timer = ManualTimer::on(&clock);
    let borrowing = || {
        (*window)
            .wait_for(timer.clone(), 1, Duration::MAX)
            .pending()
    };
    let first = borrowing();
    let owning = window.wait_for(timer.clone(), 1, Duration::MAX).pending();
    let last = borrowing();
    assert_eq!((window.waiting(), timer.pending()), (3, 1));
    drop(first);
    assert!(owning.take_wake_up() && !last.take_wake_up());
    drop(owning);
    assert!(last.take_wake_up());
    drop(last);
    assert_eq!(window.waiting(), 0);
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use core::sync::atomic::AtomicU64;
    use core::sync::atomic::Ordering::Relaxed;

    use tidegate::{Clock, DefaultClock, TokioTimer};
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::JoinSet;

    use super::*;
    use crate::{MILLISECOND, limits};

    fn multi_thread_runtime() -> Runtime {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(3).enable_time().build();
        runtime.expect("a runtime")
    }

    /// The futures are the tasks. All are admitted, and none too early.
    #[test]
    fn futures_run_as_tasks() {
        fn check<L: Awaitable + Send + Sync + 'static>(limiter: L) -> Arc<L> {
            const TASKS: u32 = 40;
            let limiter = Arc::new(limiter);
            let start = DefaultClock.now();
            multi_thread_runtime().block_on(async {
                let mut tasks = JoinSet::new();
                for _ in 0..TASKS {
                    tasks.spawn(wait_for_one(&limiter, TokioTimer));
                }
                assert!(tasks.join_all().await.iter().all(Result::is_ok));
            });
            assert!(DefaultClock.now() - start >= (TASKS - 1) * MILLISECOND);
            assert_eq!(Arc::strong_count(&limiter), 1);
            limiter
        }
        let bucket = || TokenBucket::new(Quota::new(1, MILLISECOND).unwrap());
        let window = || SlidingWindow::new(1, MILLISECOND).unwrap();
        assert_eq!(check(bucket()).debt(), 0);
        assert_eq!(check(window()).waiting(), 0);
        assert_eq!(check(limits(window(), bucket())).waiting(), 0);
    }

    #[test]
    fn aborted_tasks_leave_nothing_behind() {
        let bucket = Arc::new(TokenBucket::new(Quota::per_hour(1)));
        let window = Arc::new(SlidingWindow::new(1, 3_600 * SECOND).unwrap());
        bucket.try_acquire(1).unwrap();
        window.try_acquire(1).unwrap();
        multi_thread_runtime().block_on(async {
            for _ in 0..20 {
                let mut tasks = JoinSet::new();
                for _ in 0..10 {
                    tasks.spawn(wait_for_one(&bucket, TokioTimer));
                    tasks.spawn(wait_for_one(&window, TokioTimer));
                }
                while (bucket.waiting(), window.waiting()) != (10, 10) {
                    tokio::task::yield_now().await;
                }
                tasks.shutdown().await;
                assert_eq!((bucket.waiting(), window.waiting()), (0, 0));
                assert_eq!(bucket.debt(), 0);
            }
        });
        assert_eq!(Arc::strong_count(&bucket), 1);
        assert_eq!(Arc::strong_count(&window), 1);
    }

    /// The future of a service that waits in `call`: named, not boxed, and `'static`.
    #[derive(Debug)]
    struct Call {
        turn: Acquire<Arc<TokenBucket>, TokioTimer>,
    }

    /// Half of the futures are dropped. The bucket is dropped with the last one.
    #[test]
    fn structs_can_hold_futures() {
        let (calls, share): (Vec<Call>, _) = {
            let bucket = Arc::new(TokenBucket::new(Quota::new(1, MILLISECOND).unwrap()));
            let call = |_| Call {
                turn: Acquire::new(Arc::clone(&bucket), 1).timer(TokioTimer),
            };
            ((0..20).map(call).collect(), Arc::downgrade(&bucket))
        };
        assert_eq!(share.strong_count(), 20);
        let admitted = Arc::new(AtomicU64::new(0));
        multi_thread_runtime().block_on(async {
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
            tasks.join_all().await;
        });
        assert_eq!((admitted.load(Relaxed), share.strong_count()), (10, 0));
    }
}
