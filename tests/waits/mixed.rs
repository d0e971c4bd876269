//! Threads and futures in one queue.

use core::time::Duration;
use std::sync::Mutex;
use std::thread;

use tidegate::{Clock, Denied, Limiter, ManualClock};

use crate::manual_timer::ManualTimer;
use crate::random::Random;
use crate::waiters::{Outcome, PermitWaiter, WaitFor};
use crate::{MILLISECOND, NANOSECOND, SECOND, bucket, on_each_limiter, window};

/// What a waiter is, and for how long it waits.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Thread,
    Future,
    /// A thread and a future with timeouts that can be met.
    PatientThread,
    PatientFuture,
}

const KINDS: [Kind; 4] = [
    Kind::Thread,
    Kind::Future,
    Kind::PatientThread,
    Kind::PatientFuture,
];

/// The waiters of a limiter that has no permits left, numbered in order of arrival.
struct Queue<'a, L> {
    limiter: &'a L,
    timer: ManualTimer,
    futures: Mutex<Vec<(usize, PermitWaiter<'a>)>>,
    /// In the order in which they ended.
    ended: Mutex<Vec<(usize, Outcome)>>,
}

impl<'a, L: WaitFor + Limiter> Queue<'a, L> {
    fn at(limiter: &'a L, clock: &ManualClock) -> Self {
        Self {
            limiter,
            timer: ManualTimer::on(clock),
            futures: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    fn end(&self, number: usize, outcome: Outcome) {
        self.ended.lock().expect("no panic").push((number, outcome));
    }

    /// Adds a waiter, which is in the queue afterwards.
    fn join<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, number: usize, n: u64, kind: Kind) {
        let timeout = match kind {
            Kind::Thread | Kind::Future => Duration::MAX,
            Kind::PatientThread | Kind::PatientFuture => 1_000 * SECOND,
        };
        let waiters = self.limiter.waiters();
        match kind {
            Kind::Thread | Kind::PatientThread => {
                scope.spawn(move || self.end(number, self.limiter.block_for(n, timeout)));
            }
            Kind::Future | Kind::PatientFuture => {
                let waiter = self.limiter.wait_for(self.timer.clone(), n, timeout);
                let mut futures = self.futures.lock().expect("no panic");
                futures.push((number, waiter.pending()));
            }
        }
        while self.limiter.waiters() == waiters {
            thread::yield_now();
        }
    }

    /// Polls the futures that were woken.
    fn poll_woken(&self) {
        let mut futures = self.futures.lock().expect("no panic");
        futures.retain_mut(|(number, waiter)| {
            if !waiter.take_wake_up() {
                return true;
            }
            match waiter.poll() {
                core::task::Poll::Ready(outcome) => {
                    self.end(*number, outcome);
                    false
                }
                core::task::Poll::Pending => true,
            }
        });
    }

    /// Polls woken futures until `count` waiters have ended. Does not return if a waiter misses its
    /// turn.
    fn await_ended(&self, count: usize) {
        while self.ended.lock().expect("no panic").len() < count {
            self.poll_woken();
            thread::yield_now();
        }
    }

    /// Returns those that ended since the last call.
    fn ended(&self) -> Vec<(usize, Outcome)> {
        core::mem::take(&mut *self.ended.lock().expect("no panic"))
    }
}

/// Each is admitted at the instant at which its permits are there, and no other before it.
#[test]
fn threads_and_futures_are_served_in_order() {
    const COUNT: usize = 12;
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut random = Random(5);
        limiter.try_acquire_at(3, clock.now()).expect("new");
        let queue = Queue::at(limiter, clock);
        // No two of them have room at once, in a window either.
        let sizes: Vec<u64> = (0..COUNT).map(|_| 2 + random.below(2)).collect();
        let mut served = Vec::new();
        thread::scope(|scope| {
            for (number, &n) in sizes.iter().enumerate() {
                let kind = KINDS[usize::try_from(random.below(4)).expect("an index")];
                queue.join(scope, number, n, kind);
            }
            for &n in &sizes {
                let wait = limiter.wait_time_at(n, clock.now()).expect("not never");
                queue.timer.advance(wait.saturating_sub(NANOSECOND));
                queue.poll_woken();
                served.push(queue.ended());
                queue.timer.advance(NANOSECOND);
                queue.await_ended(1);
                served.push(queue.ended());
            }
        });
        let expected = (0..COUNT).flat_map(|number| [vec![], vec![(number, Ok(()))]]);
        assert_eq!(served, expected.collect::<Vec<_>>());
        assert_eq!(limiter.waiters(), 0);
    }
    for _ in 0..10 {
        on_each_limiter!(check, 3);
    }
}

/// A future that is the head is dropped, and the thread behind it moves up; and the other way round
/// a thread that times out makes room.
#[test]
fn threads_and_futures_hand_their_turn_to_each_other() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let queue = Queue::at(limiter, clock);
        let ended = thread::scope(|scope| {
            let head = limiter.wait_for(queue.timer.clone(), 1, Duration::MAX);
            let head = head.pending();
            queue.join(scope, 1, 1, Kind::Thread);
            queue.join(scope, 2, 1, Kind::Future);
            queue.timer.advance(2 * SECOND);
            drop(head);
            queue.await_ended(1);
            queue.timer.advance(2 * SECOND);
            queue.await_ended(2);
            queue.ended()
        });
        assert_eq!(ended, [(1, Ok(())), (2, Ok(()))]);
    }
    on_each_limiter!(check, 1);
}

/// Waits behind a forgotten future end at their deadlines, in threads and in futures.
#[test]
fn deadlines_end_waits_of_both() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let queue = Queue::at(&window, &clock);
    let mut waiters = crate::waiters::Waiters::at(&window, &clock);
    let forgotten = waiters.join(1);
    waiters.forget(forgotten);
    let ended = thread::scope(|scope| {
        queue.join(scope, 0, 1, Kind::PatientThread);
        queue.join(scope, 1, 1, Kind::PatientFuture);
        queue.timer.advance(1_000 * SECOND);
        queue.poll_woken();
        assert_eq!(
            window.waiting(),
            3,
            "not before the slack has passed as well"
        );
        queue.timer.advance(2 * MILLISECOND);
        queue.await_ended(2);
        queue.ended()
    });
    for (number, outcome) in ended {
        assert!(
            matches!(outcome, Err(Denied::NotYet { .. })),
            "{number}: {outcome:?}"
        );
    }
    assert_eq!(window.waiting(), 1);
}

/// A reset wakes the head, be it a thread or a future, and each that leaves wakes the next.
#[test]
fn resets_wake_both() {
    let clock = ManualClock::new();
    let bucket = bucket(4, &clock);
    bucket.debit(504);
    let queue = Queue::at(&bucket, &clock);
    let mut ended = thread::scope(|scope| {
        for number in 0..8 {
            queue.join(scope, number, 1, KINDS[number % 4]);
        }
        bucket.reset();
        queue.await_ended(4);
        let mut ended = queue.ended();
        assert_eq!(bucket.waiting(), 4);
        bucket.reset();
        queue.await_ended(4);
        // A thread may be slow to tell that it ended, so the halves are sorted.
        ended.sort_unstable_by_key(|(number, _)| *number);
        ended.extend(queue.ended());
        ended
    });
    ended[4..].sort_unstable_by_key(|(number, _)| *number);
    assert!(ended.into_iter().eq((0..8).map(|number| (number, Ok(())))));
}
