//! Wakers that come back to the queue when they are woken or dropped, as an executor's may that
//! drops or polls a task then. If the queue holds its lock meanwhile, these tests do not end.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Poll;
use core::time::Duration;
use std::sync::Mutex;

use tidegate::{Limiter, ManualClock};

use crate::manual_timer::ManualTimer;
use crate::waiters::{PermitWaiter, WaitFor, WakeFlag};
use crate::{api, bucket, combined, sharded, window};

type StaticWaiter = PermitWaiter<'static>;

/// Drops or polls waiters of the queue that it is in.
#[derive(Default)]
struct Reentrant {
    dropped_on_wake: Mutex<Vec<StaticWaiter>>,
    polled_on_wake: Mutex<Vec<StaticWaiter>>,
    dropped_on_drop: Mutex<Vec<StaticWaiter>>,
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        drop(take(&self.dropped_on_wake));
        for mut waiter in take(&self.polled_on_wake) {
            assert_eq!(waiter.poll(), Poll::Ready(Ok(())));
        }
    }
}

fn take(list: &Mutex<Vec<StaticWaiter>>) -> Vec<StaticWaiter> {
    core::mem::take(&mut *list.lock().expect("no panic"))
}

fn put(list: &Mutex<Vec<StaticWaiter>>, waiters: impl IntoIterator<Item = StaticWaiter>) {
    list.lock().expect("no panic").extend(waiters);
}

/// A queue whose head sleeps, with a second waiter whose waker is reentrant.
struct Scene<L: 'static> {
    limiter: &'static L,
    timer: ManualTimer,
    head: StaticWaiter,
    second: StaticWaiter,
    waker: Arc<Reentrant>,
}

impl<L: WaitFor + Limiter> Scene<L> {
    fn at(limiter: L, clock: &ManualClock) -> Self {
        limiter.try_acquire_at(1, limiter.now()).expect("new");
        // Wakers live for `'static`, so their waiters do.
        let limiter: &'static L = Box::leak(Box::new(limiter));
        let timer = ManualTimer::on(clock);
        let head = limiter.wait_for(timer.clone(), 1, Duration::MAX).pending();
        let mut second = limiter.wait_for(timer.clone(), 1, Duration::MAX);
        let waker = Arc::<Reentrant>::default();
        assert!(second.poll_with(&waker).is_pending());
        Self {
            limiter,
            timer,
            head,
            second,
            waker,
        }
    }

    fn join(&self) -> StaticWaiter {
        let wait = self.limiter.wait_for(self.timer.clone(), 1, Duration::MAX);
        wait.pending()
    }
}

macro_rules! on_each_scene {
    ($check:expr) => {
        on_each_scene!($check, bucket, sharded, window, combined, api)
    };
    ($check:expr, $($limiter:ident),*) => {$(
        let clock = ManualClock::new();
        $check(Scene::at($limiter(1, &clock), &clock));
    )*};
}

/// Time passes, and the waiter is admitted.
fn assert_served<L: WaitFor>(limiter: &L, timer: &ManualTimer, mut waiter: StaticWaiter) {
    timer.advance(2 * crate::SECOND);
    assert_eq!(waiter.poll(), Poll::Ready(Ok(())));
    assert_eq!(limiter.waiters(), 0);
}

#[test]
fn wakers_may_drop_waiters_when_they_are_woken() {
    fn check<L: WaitFor + Limiter>(scene: Scene<L>) {
        let behind = [scene.join(), scene.join()];
        put(&scene.waker.dropped_on_wake, behind);
        let last = scene.join();
        drop(scene.head);
        assert_eq!(scene.limiter.waiters(), 2, "the second and the last");
        drop(scene.second);
        assert_served(scene.limiter, &scene.timer, last);
    }
    on_each_scene!(check);
}

/// The last reference to a waker may go when the waiter stores another.
#[test]
fn wakers_may_drop_waiters_when_they_are_replaced() {
    fn check<L: WaitFor + Limiter>(mut scene: Scene<L>) {
        let behind = scene.join();
        put(&scene.waker.dropped_on_drop, [scene.head, behind]);
        drop(scene.waker);
        assert_eq!(scene.limiter.waiters(), 3);
        let new = Arc::<WakeFlag>::default();
        assert!(scene.second.poll_with(&new).is_pending());
        assert_eq!(scene.limiter.waiters(), 1, "the second alone");
        assert!(new.take(), "it became the head in its own poll");
        assert_served(scene.limiter, &scene.timer, scene.second);
    }
    on_each_scene!(check);
}

/// The last reference to a waker may go with its waiter.
#[test]
fn wakers_may_drop_waiters_when_their_own_leaves() {
    fn check<L: WaitFor + Limiter>(scene: Scene<L>) {
        let (behind, last) = (scene.join(), scene.join());
        put(&scene.waker.dropped_on_drop, [behind, scene.head]);
        drop(scene.waker);
        drop(scene.second);
        assert_eq!(scene.limiter.waiters(), 1);
        assert!(last.take_wake_up());
        assert_served(scene.limiter, &scene.timer, last);
    }
    on_each_scene!(check);
}

/// An executor that polls at once in `wake`. Admissions go from one to the next on one stack.
#[test]
fn wakers_may_poll_the_next_waiter() {
    fn check<L: WaitFor + Limiter>(mut scene: Scene<L>) {
        let third = scene.join();
        scene.timer.advance(2 * crate::SECOND);
        // The second is polled by its own wake, which comes when the head leaves. The third moves
        // up then.
        let second = core::mem::replace(&mut scene.second, third);
        put(&scene.waker.polled_on_wake, [second]);
        drop(scene.head);
        assert_eq!(take(&scene.waker.polled_on_wake).len(), 0);
        assert!(scene.second.take_wake_up());
        assert_eq!(scene.limiter.waiters(), 1);
        drop(scene.waker);
        assert_served(scene.limiter, &scene.timer, scene.second);
    }
    on_each_scene!(check);
}
