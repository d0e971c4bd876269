//! Lock-outs after failures: exact, all at once, and in bounded memory.

extern crate alloc;

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate::{Denied, KeyView, Limiter, ManualClock, PenaltyBox, RetryAfter, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(900);
const NANO: Duration = Duration::from_nanos(1);

type Users = PenaltyBox<u64, ManualClock>;

fn users(failures: u64) -> (Users, ManualClock) {
    let clock = ManualClock::new();
    let users = PenaltyBox::with_clock(failures, MINUTE, QUARTER, clock.clone());
    (users, clock)
}

/// A view of one key, which is a limiter: an attempt that is dropped is a failure.
fn view(users: &Users, key: u64) -> KeyView<Users, tidegate::OwnedKey<u64>> {
    KeyView::owned(users.clone(), key)
}

#[test]
fn attempts_take_places_and_failures_lock_out() {
    let (users, clock) = users(3);
    let alice = view(&users, 1);
    let now = || Limiter::now(&alice);
    let places: Vec<_> = (0..3)
        .map(|_| alice.charge_at(1, now()).expect("a place"))
        .collect();
    let busy = Denied::Busy {
        retry_after: RetryAfter::from_nanos(1_000_000_000),
    };
    assert_eq!(alice.charge_at(1, now()).map(drop), Err(busy));
    // Successes give places back, at any time and in any order.
    for place in places {
        assert_eq!(alice.undo(place), 1);
    }
    assert_eq!((alice.available_at(now()), users.len()), (3, 0));

    for failed in 1..=3 {
        assert_eq!(users.locked_out(&1), None);
        drop(alice.charge_at(1, now()).expect("a place"));
        assert_eq!(users.failures(&1), failed % 3);
    }
    assert_eq!(users.locked_out(&1), Some(QUARTER));
    let locked = |wait| Err(Denied::NotYet { retry_after: wait });
    assert_eq!(alice.charge_at(1, now()).map(drop), locked(QUARTER.into()));
    let snapshot = alice.snapshot_at(now());
    assert_eq!(
        (snapshot.available, snapshot.next_permit_in),
        (0, Some(QUARTER))
    );
    clock.advance(QUARTER.saturating_sub(NANO));
    assert_eq!(alice.peek_at(1, now()), locked(NANO.into()));
    clock.advance(NANO);
    assert_eq!(
        (alice.peek_at(1, now()), users.locked_out(&1)),
        (Ok(()), None)
    );
    assert_eq!(users.locked_out(&2), None);
    assert_eq!(alice.peek_at(4, now()), Err(Denied::Never { capacity: 3 }));
}

#[test]
fn failures_age_out_one_by_one() {
    let (users, clock) = users(3);
    for _ in 0..2 {
        users.fail(&1);
        clock.advance(MINUTE / 2);
    }
    // The first is a minute old.
    assert_eq!(users.failures(&1), 1);
    users.fail(&1);
    assert_eq!((users.failures(&1), users.locked_out(&1)), (2, None));
    users.fail(&1);
    assert_eq!(
        (users.failures(&1), users.locked_out(&1)),
        (0, Some(QUARTER))
    );
    assert!(users.forgive(&1) && !users.forgive(&1));
    assert_eq!((users.locked_out(&1), users.len()), (None, 0));
}

/// One failure is enough, and 0 counts as 1.
#[test]
fn extreme_numbers() {
    for failures in [0, 1] {
        let (users, _) = users(failures);
        users.fail(&1);
        assert_eq!(users.locked_out(&1), Some(QUARTER));
    }
    let clock = ManualClock::new();
    let forever = PenaltyBox::with_clock(2, Duration::MAX, Duration::MAX, clock.clone());
    forever.fail(&1);
    clock.advance(Duration::from_secs(1 << 32));
    forever.fail(&1);
    clock.advance(Duration::from_secs(1 << 32));
    assert!(forever.locked_out(&1).is_some());
    let never = PenaltyBox::with_clock(2, Duration::ZERO, Duration::ZERO, clock);
    (0..10).for_each(|_| never.fail(&1));
    assert_eq!((never.locked_out(&1), never.len()), (None, 0));
}

#[test]
fn keys_are_bounded_and_lock_outs_last_the_longest() {
    let (users, clock) = users(2);
    let users = users.max_keys(640);
    for key in 0..20 {
        users.fail(&key);
        users.fail(&key);
    }
    for invented in 1_000..20_000 {
        clock.advance(NANO);
        users.fail(&invented);
        assert!(users.len() <= 640, "{}", users.len());
    }
    // Keys that were locked out are the last to be forgotten.
    let locked = (0..20).filter(|key| users.locked_out(key).is_some());
    assert_eq!(locked.count(), 20);
    // What is over makes room by itself.
    clock.advance(QUARTER);
    for key in 0..640 {
        users.forgive(&key);
    }
    assert!(users.len() <= 640);
}

#[test]
fn threads_fail_no_more_often_than_allowed() {
    let (users, _) = users(5);
    let (checked, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let alice = view(&users, 1);
                for _ in 0..1_000 {
                    match alice.charge_at(1, Timestamp::ZERO) {
                        Ok(place) => {
                            checked.fetch_add(1, Relaxed);
                            drop(place); // wrong
                        }
                        Err(_) => _ = refused.fetch_add(1, Relaxed),
                    }
                }
            });
        }
    });
    assert_eq!((checked.load(Relaxed), refused.load(Relaxed)), (5, 3_995));
}

#[derive(Clone, Debug)]
enum Step {
    Attempt,
    Succeed(usize),
    Fail(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Attempt),
        2 => any::<usize>().prop_map(Step::Succeed),
        3 => any::<usize>().prop_map(Step::Fail),
        1 => (0..90_u64).prop_map(Step::Advance),
    ]
}

proptest! {
    /// Equals a model with a list of instants.
    #[test]
    fn equals_a_sequential_model(failures in 1..5_u64, steps in vec(step(), 0..200)) {
        let (users, clock) = users(failures);
        let alice = view(&users, 7);
        let mut places = Vec::new();
        let (mut failed, mut locked_until, mut seconds) = (VecDeque::<u64>::new(), 0, 0);
        for step in steps {
            failed.retain(|at| at + 60 > seconds);
            match step {
                Step::Attempt => {
                    let has_room = (failed.len() + places.len()) < usize::try_from(failures).unwrap();
                    let is_admitted = seconds >= locked_until && has_room;
                    let place = alice.charge_at(1, Limiter::now(&alice));
                    prop_assert_eq!(place.is_ok(), is_admitted);
                    places.extend(place.ok());
                }
                Step::Succeed(index) if !places.is_empty() => {
                    let place = places.swap_remove(index % places.len());
                    prop_assert_eq!(alice.undo(place), 1);
                }
                Step::Fail(index) if !places.is_empty() => {
                    drop(places.swap_remove(index % places.len()));
                    // As of the attempt: the clock stands still while there are places.
                    failed.push_back(seconds);
                    if failed.len() as u64 >= failures {
                        failed.clear();
                        locked_until = seconds + 900;
                    }
                }
                Step::Advance(by) if places.is_empty() => {
                    clock.advance(Duration::from_secs(by));
                    seconds += by;
                }
                _ => {}
            }
        }
    }
}
