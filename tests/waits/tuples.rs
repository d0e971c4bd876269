//! Waits of tuples: in the queue of the member that refuses the longest.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Acquire, AllOrNothing, Denied, FixedKeyed, Limiter, ManualClock, Quota};

use crate::manual_timer::ManualTimer;
use crate::waiters::{Outcome, Waiter};
use crate::{MILLISECOND, SECOND, assert_spawnable, bucket, combined, sharded, window};

/// Polls woken waiters and advances to the next deadlines, until none is left. Returns their
/// numbers in the order of their admission.
fn finish(waiters: Vec<Waiter<'_, Outcome>>, timer: &ManualTimer) -> Vec<usize> {
    let mut waiting: Vec<_> = waiters.into_iter().enumerate().collect();
    let mut admitted = Vec::new();
    while !waiting.is_empty() {
        let woken = waiting.iter().position(|(_, waiter)| waiter.take_wake_up());
        let Some(index) = woken else {
            assert!(timer.advance_to_next(), "{} wait forever", waiting.len());
            continue;
        };
        if let core::task::Poll::Ready(outcome) = waiting[index].1.poll() {
            assert_eq!(outcome, Ok(()));
            admitted.push(waiting.remove(index).0);
        }
    }
    admitted
}

#[test]
fn waits_at_the_member_that_refuses_the_longest() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (short, long) = (bucket(3, &clock), bucket(5, &clock));
    short.try_acquire(3).unwrap();
    long.debit(7);
    let both = (&short, &long);
    let waiter = Waiter::new(1, both.acquire(1).timer(timer.clone())).pending();
    assert_eq!((short.waiting(), long.waiting()), (0, 1));
    assert_eq!(
        (short.available(), long.debt()),
        (0, 2),
        "charged while it waits"
    );
    timer.advance(2 * SECOND);
    assert!(!waiter.take_wake_up(), "woken too early");
    timer.advance(SECOND);
    assert_eq!(waiter.woken_output(), Ok(()));
    assert_eq!((short.available(), long.available()), (2, 0));
}

/// A call leaves the queue of a member that it no longer lacks.
#[test]
fn moves_to_a_member_that_refuses_longer_by_then() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (first, second) = (bucket(2, &clock), bucket(2, &clock));
    first.try_acquire(2).unwrap();
    let both = (&first, &second);
    let moving = Waiter::new(1, both.acquire(1).timer(timer.clone())).pending();
    let behind = Waiter::new(1, first.acquire(1).timer(timer.clone())).pending();
    assert_eq!((first.waiting(), second.waiting()), (2, 0));
    // Overtakes the call at the member whose queue it is not in.
    second.debit(12);
    timer.advance(SECOND);
    let moving = moving.woken_in_vain();
    assert_eq!((first.waiting(), second.waiting()), (1, 1));
    // Woken by the one that left, and due.
    assert_eq!(behind.woken_output(), Ok(()));
    // What comes back to the member that refuses wakes the call.
    clock.advance(SECOND);
    second.reset();
    assert_eq!(moving.woken_output(), Ok(()));
    assert_eq!((first.available(), second.available()), (0, 1));
    assert_eq!((first.waiting(), second.waiting()), (0, 0));
}

#[test]
fn order_is_that_of_the_queue_whatever_waits_there() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let global = bucket(1, &clock);
    let users = FixedKeyed::with_clock(Quota::per_second(100), 100, clock.clone());
    global.try_acquire(1).unwrap();
    let names = ["a", "b", "c", "d", "e", "f"];
    let views = names.map(|name| users.at(name));
    let tuples = views.map(|user| (&global, user));
    let turned = views.map(|user| (user, &global));
    let waiters = (0..6).map(|number| match number % 3 {
        0 => Waiter::new(1, tuples[number].acquire(1).timer(timer.clone())),
        1 => Waiter::new(1, turned[number].acquire(1).timer(timer.clone())),
        _ => Waiter::new(1, global.acquire(1).timer(timer.clone())),
    });
    let waiters = waiters.map(Waiter::pending).collect();
    assert_eq!(global.waiting(), 6);
    assert_eq!(finish(waiters, &timer), [0, 1, 2, 3, 4, 5]);
    assert_eq!(timer.now().as_nanos(), 6_000_000_000, "one a second");
}

/// A user that is out of permits does not keep others from the global limit.
#[test]
fn exhausted_key_blocks_no_other() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let global = bucket(1, &clock);
    let users = FixedKeyed::with_clock(Quota::per_hour(1).burst(1), 100, clock.clone());
    users.try_acquire("greedy", 1).unwrap();
    global.try_acquire(1).unwrap();
    let (greedy, other) = ((&global, users.at("greedy")), (&global, users.at("other")));
    let first = Waiter::new(1, greedy.acquire(1).timer(timer.clone())).pending();
    let second = Waiter::new(1, other.acquire(1).timer(timer.clone())).pending();
    assert_eq!((global.waiting(), users.waiting()), (1, 1));
    timer.advance(SECOND);
    assert_eq!(second.woken_output(), Ok(()));
    drop(first);
    assert_eq!((global.waiting(), users.waiting()), (0, 0));
    assert_eq!(users.available("greedy"), 0);
}

/// Opposite orders neither deadlock nor lose permits.
#[test]
fn opposite_orders_get_all_that_flows_in() {
    for seed in 0..50_u64 {
        let clock = ManualClock::new();
        let timer = ManualTimer::on(&clock);
        let (a, b) = (bucket(1 + seed % 3, &clock), bucket(1 + seed % 2, &clock));
        a.debit(1 + seed % 3 + seed % 5);
        b.debit(1 + seed % 2 + seed % 7);
        let debt = (seed % 5).max(seed % 7);
        let (one, other) = ((&a, &b), (&b, &a));
        let waiters = (0..20).map(|number| {
            let waiter = match (number + seed) % 2 {
                0 => Waiter::new(1, one.acquire(1).timer(timer.clone())),
                _ => Waiter::new(1, other.acquire(1).timer(timer.clone())),
            };
            waiter.pending()
        });
        let admitted = finish(waiters.collect(), &timer);
        assert_eq!(admitted, (0..20).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(
            timer.now().as_nanos(),
            (debt + 20) * 1_000_000_000,
            "seed {seed}"
        );
    }
}

/// Both members are used by others that wait there, too. All are served in the end.
#[test]
fn waiters_of_the_members_alone_do_not_stop_tuples() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (a, b) = (bucket(1, &clock), bucket(2, &clock));
    a.debit(2);
    b.debit(3);
    let both = (&a, &b);
    let waiters = (0..30).map(|number| {
        let waiter = match number % 3 {
            0 => Waiter::new(1, both.acquire(1).timer(timer.clone())),
            1 => Waiter::new(1, a.acquire(1).timer(timer.clone())),
            _ => Waiter::new(1, b.acquire(1).timer(timer.clone())),
        };
        waiter.pending()
    });
    let admitted = finish(waiters.collect(), &timer);
    assert_eq!(admitted.len(), 30);
    // 20 of each member, none lost: no bucket was full before the last call took from it.
    assert_eq!((a.waiting(), b.waiting()), (0, 0));
    let last = timer.now().as_nanos() / 1_000_000_000;
    assert!((21..=31).contains(&last), "{last} s");
}

#[test]
fn timeout_that_cannot_be_met_is_refused_before_sleeping() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (a, b) = (bucket(1, &clock), bucket(1, &clock));
    a.try_acquire(1).unwrap();
    b.debit(2);
    let both = (&a, &b);
    let denied = |seconds| {
        Err(Denied::NotYet {
            retry_after: Duration::from_secs(seconds).into(),
        })
    };
    assert_eq!(
        both.acquire(1).timeout(1999 * MILLISECOND).wait(),
        denied(2)
    );
    let ahead = Waiter::new(1, both.acquire(1).timer(timer.clone())).pending();
    // Behind the one that waits, at the same member.
    assert_eq!(both.acquire(1).timeout(2 * SECOND).wait(), denied(3));
    assert_eq!((b.waiting(), a.waiting()), (1, 0));
    drop(ahead);
    assert_eq!(b.waiting(), 0);
    assert_eq!(both.acquire(2).wait(), Err(Denied::Never { capacity: 1 }));
}

/// The deadline stays when a call moves. It is refused once it cannot be met.
#[test]
fn move_beyond_the_deadline_is_refused() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (a, b) = (bucket(1, &clock), bucket(1, &clock));
    a.try_acquire(1).unwrap();
    let both = (&a, &b);
    let wait = both.acquire(1).timeout(5 * SECOND).timer(timer.clone());
    let waiter = Waiter::new(1, wait).pending();
    b.debit(10);
    timer.advance(SECOND);
    let retry_after = 9 * SECOND;
    assert_eq!(
        waiter.woken_output(),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!((a.waiting(), b.waiting()), (0, 0));
    assert_eq!(a.available(), 1);
}

/// Where the other queue is full, the call keeps its place, and is admitted all the same.
#[test]
fn full_queue_of_the_other_member_keeps_the_place() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (a, b) = (bucket(1, &clock), bucket(1, &clock).max_waiters(0));
    a.try_acquire(1).unwrap();
    let both = (&a, &b);
    let waiter = Waiter::new(1, both.acquire(1).timer(timer.clone())).pending();
    b.debit(3);
    timer.advance(SECOND);
    let waiter = waiter.woken_in_vain();
    assert_eq!((a.waiting(), b.waiting()), (1, 0));
    timer.advance(2 * SECOND);
    assert_eq!(waiter.woken_output(), Ok(()));
}

#[test]
fn each_member_has_its_own_cost() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let (requests, tokens, unused) = (bucket(2, &clock), bucket(9, &clock), bucket(1, &clock));
    unused.try_acquire(1).unwrap();
    let all = (&requests, &tokens, &unused);
    assert_eq!(all.acquire_each([1, 8, 0]).wait(), Ok(()));
    assert_eq!(all.acquire_each([0, 0, 0]).wait(), Ok(()));
    let first = Waiter::new(1, all.acquire_each([1, 5, 0]).timer(timer.clone())).pending();
    assert_eq!(
        (requests.waiting(), tokens.waiting(), unused.waiting()),
        (0, 1, 0)
    );
    // What it asks of this member counts for those behind.
    let denied = tokens.acquire(2).timeout(5 * SECOND).wait();
    assert_eq!(
        denied,
        Err(Denied::NotYet {
            retry_after: (6 * SECOND).into()
        })
    );
    timer.advance(4 * SECOND);
    assert_eq!(first.woken_output(), Ok(()));
    assert_eq!((requests.available(), tokens.available()), (1, 0));
}

#[test]
fn owned_tuples_wait_in_tasks_and_threads() {
    let clock = ManualClock::new();
    let (a, b) = (Arc::new(bucket(1, &clock)), Arc::new(window(5, &clock)));
    let wait = Acquire::new((a.clone(), b.clone()), 1).timer(crate::no_sleep);
    assert_spawnable(&wait);
    drop(wait);
    assert_eq!(Acquire::new((a.clone(), b), 1).wait(), Ok(()));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| (&a, &bucket(1, &clock)).acquire(1).wait());
        while a.waiting() == 0 {
            std::thread::yield_now();
        }
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn members_of_all_types_wait_together() {
    let clock = ManualClock::new();
    let timer = ManualTimer::on(&clock);
    let users = FixedKeyed::with_clock(Quota::per_second(1), 100, clock.clone());
    let all = (
        bucket(1, &clock),
        window(1, &clock),
        sharded(1, &clock),
        combined(1, &clock),
        users.at("a"),
    );
    assert_eq!(all.acquire(1).wait(), Ok(()));
    let waiters = (0..5).map(|_| Waiter::new(1, all.acquire(1).timer(timer.clone())).pending());
    assert_eq!(finish(waiters.collect(), &timer), [0, 1, 2, 3, 4]);
    assert_eq!(all.0.available_at(all.0.now()), 0);
    assert_eq!(all.3.forfeited(), 0);
}
