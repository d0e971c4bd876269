//! Views where a limiter is expected.

use core::time::Duration;

use alloc::sync::Arc;

use tidegate::{
    Denied, KeyView, Limiter, ManualClock, Overflow, Quota, SlidingWindow, TokenBucket,
};

use crate::{SECOND, Table, at, bucket, fixed, keyed, on_each_table, per_second, words};

/// Charges both or neither.
fn both<A: Limiter, B: Limiter>(a: &A, b: &B, n: u64) -> bool {
    let now = a.now();
    let Ok(charge) = a.charge_at(n, now) else {
        return false;
    };
    if b.charge_at(n, now).is_ok() {
        return true;
    }
    assert_eq!(a.undo(charge), n);
    false
}

#[test]
fn both_or_neither() {
    fn check<T: Table>(table: &T, clock: &ManualClock) {
        let global = bucket(per_second(3), clock);
        assert!(both(&table.view(&1), &global, 2));
        assert!(!both(&table.view(&1), &global, 2));
        assert!(!both(&global, &table.view(&1), 1 + 1));
        assert!(!both(&table.view(&2), &global, 2));
        assert!(both(&table.view(&2), &global, 1));
        let left = |key| table.view(&key).available_at(clock_now(clock));
        assert_eq!((left(1), left(2), global.available()), (8, 9, 0));
    }
    on_each_table!(check, 10);
}

fn clock_now(clock: &ManualClock) -> tidegate::Timestamp {
    tidegate::Clock::now(clock)
}

/// A view has the answers of the limiter alone.
#[test]
fn view_is_like_the_limiter_alone() {
    fn check<T: Table>(table: &T, _: &ManualClock) {
        let alone = TokenBucket::with_clock(per_second(5), ManualClock::new());
        let view = table.view(&1);
        for (n, now) in [
            (1, 0),
            (3, 0),
            (2, 0),
            (0, 0),
            (9, 1),
            (1, SECOND),
            (5, 6 * SECOND),
        ] {
            let now = at(now);
            assert_eq!(Limiter::capacity(&view), 5);
            assert_eq!(view.refill_time(), Limiter::refill_time(&alone));
            assert_eq!(view.peek_at(n, now), alone.peek_at(n, now), "{n}");
            assert_eq!(view.wait_time_at(n, now), alone.wait_time_at(n, now));
            assert_eq!(view.snapshot_at(now), Limiter::snapshot_at(&alone, now));
            assert_eq!(view.is_unused_at(now), alone.is_unused_at(now));
            assert_eq!(view.try_acquire_at(n, now), alone.try_acquire_at(n, now));
            assert_eq!(view.available_at(now), alone.available_at(now));
        }
    }
    on_each_table!(check, 5);
}

#[test]
fn view_adds_no_key_before_it_is_charged() {
    let clock = ManualClock::new();
    let table = words(5, &clock);
    assert_eq!((table.clock().is_none(), table.now()), (true, None));
    let view = table.at(&7);
    assert_eq!(
        (view.now(), view.available(), view.capacity()),
        (at(0), 5, 5)
    );
    assert_eq!((view.peek(5), view.wait_time(6)), (Ok(()), None));
    assert_eq!(
        (view.snapshot().available, view.snapshot().capacity),
        (5, 5)
    );
    assert_eq!(view.refill_time(), Duration::from_secs(5));
    assert!(view.is_unused_at(at(0)));
    view.credit(3);
    view.reset();
    view.debit(0);
    assert_eq!(view.try_acquire(0), Ok(()));
    assert!(view.charge_at(0, at(0)).is_ok());
    assert_eq!(view.try_acquire(6), Err(Denied::Never { capacity: 5 }));
    assert_eq!((table.len(), table.now()), (0, Some(at(0))));
    assert_eq!(view.try_acquire(1), Ok(()));
    assert_eq!(table.len(), 1);
    let table = fixed(5, &clock);
    assert_eq!((table.now(), table.at(&7).now()), (at(0), at(0)));
}

#[test]
fn owned_view_is_a_static_limiter() {
    fn needs_static<L: Limiter + Send + Sync + 'static>(limiter: L) -> u64 {
        std::thread::spawn(move || limiter.available_at(limiter.now()))
            .join()
            .expect("no panic")
    }
    let clock = ManualClock::new();
    let table = Arc::new(words(5, &clock));
    let view = KeyView::owned(table.clone(), 7);
    view.debit(2);
    assert_eq!(needs_static(view), 3);
    let table = Arc::new(fixed(5, &clock));
    assert_eq!(KeyView::owned(table.clone(), "a").try_acquire(5), Ok(()));
    assert_eq!(needs_static(KeyView::owned(table, "a")), 0);
}

/// The limiters of a table may be views of another table.
#[test]
fn view_as_the_limiter_of_a_key() {
    let clock = ManualClock::new();
    let tenants = Arc::new(words(3, &clock));
    let inner = tenants.clone();
    // Keys 10 to 19 belong to tenant 1.
    let users = keyed(&clock, move |key, _| {
        KeyView::owned(inner.clone(), key / 10)
    });
    assert_eq!(users.try_acquire(&10, 2), Ok(()));
    let charge = users.at(&11).charge_at(1, at(0)).expect("one is left");
    assert!(users.try_acquire(&12, 1).is_err());
    assert_eq!(users.at(&11).undo(charge), 1);
    assert_eq!((tenants.available(&1), users.available(&13)), (1, 1));
    assert_eq!(users.available(&20), 3);
}

/// What a table of other limiters can do.
#[test]
fn windows_are_charged_undone_and_reset() {
    let clock = ManualClock::new();
    let window = |_, clock: &ManualClock| {
        SlidingWindow::with_clock(3, Duration::from_secs(1), clock.clone()).expect("valid")
    };
    let table = keyed(&clock, window);
    let view = table.at(&1);
    let first = view.charge_at(1, at(0)).expect("empty");
    let second = view.charge_at(2, at(0)).expect("two are left");
    assert_eq!((view.available(), view.undo(first)), (0, 1));
    assert_eq!((view.available(), table.len()), (1, 1));
    assert_eq!(view.undo(second), 2);
    assert_eq!(view.try_acquire(3), Ok(()));
    view.reset();
    assert_eq!((table.len(), view.available()), (0, 3));
}

/// Without room for any key.
#[test]
fn capacity_in_a_table_of_no_keys() {
    for (overflow, capacity) in [
        (Overflow::Refuse, 0),
        (Overflow::Share, 3),
        (Overflow::Admit, 5),
    ] {
        let clock = ManualClock::new();
        let time = clock.clone();
        let table = tidegate::Keyed::builder(move |_: &u64| {
            TokenBucket::with_clock(Quota::per_second(5), time.clone())
        })
        .max_keys(0)
        .overflow(overflow)
        .shared(bucket(Quota::per_second(3), &clock))
        .build();
        assert_eq!(table.at(&1).capacity(), capacity, "{overflow:?}");
    }
}
