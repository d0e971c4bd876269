//! The undo of charges, while keys are evicted, removed and made again.

use tidegate::{
    Combined, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, SlidingWindow, TokenBucket,
};

use crate::{SECOND, Table, at, bucket, fixed, keyed, on_each_table, per_second, words};

#[test]
fn undo_is_exact_or_nothing() {
    fn check<T: Table>(table: &T, _: &ManualClock) {
        let view = table.view(&1);
        let first = view.charge_at(2, at(0)).expect("full");
        let second = view.charge_at(1, at(0)).expect("three are left");
        assert_eq!(view.undo(first), 0, "a call was decided on top");
        assert_eq!(view.undo(second), 1);
        assert_eq!(view.available_at(at(0)), 3);
        // Charges that are undone last first leave nothing.
        let charges: Vec<_> = (0..3)
            .map(|_| view.charge_at(1, at(SECOND)).expect("four are left"))
            .collect();
        for charge in charges.into_iter().rev() {
            assert_eq!(view.undo(charge), 1);
        }
        assert_eq!(view.available_at(at(SECOND)), 4);
        let nothing = view.charge_at(0, at(SECOND)).expect("free");
        assert_eq!(view.undo(nothing), 0);
    }
    on_each_table!(check, 5);
}

/// The first charge of a key leaves no key behind.
#[test]
fn undo_of_the_first_charge_removes_the_key() {
    let clock = ManualClock::new();
    let table = words(5, &clock);
    let view = table.at(&1);
    let charge = view.charge_at(5, at(0)).expect("full");
    assert_eq!(table.len(), 1);
    assert_eq!((view.undo(charge), table.len()), (5, 0));
    assert_eq!(table.stats().created, 0, "as if it had never been added");
    // Not if others were charged since.
    let charge = view.charge_at(1, at(0)).expect("full");
    view.try_acquire_at(1, at(0)).expect("four are left");
    assert_eq!((view.undo(charge), table.len()), (0, 1));
    assert_eq!(view.available_at(at(0)), 3);
}

/// A bucket that had been full for a while is full again.
#[test]
fn undo_of_a_charge_of_a_full_bucket() {
    fn check<T: Table>(table: &T, _: &ManualClock) {
        let view = table.view(&1);
        view.try_acquire_at(1, at(0)).expect("full");
        let later = at(10 * SECOND);
        let charge = view.charge_at(3, later).expect("full");
        assert_eq!(view.undo(charge), 3);
        assert!(view.is_unused_at(later));
        assert_eq!(view.available_at(later), 5);
    }
    on_each_table!(check, 5);
}

/// The key is evicted between the charge and the undo, because it is full by then.
#[test]
fn undo_after_an_eviction_returns_nothing() {
    let clock = ManualClock::new();
    let table = words(5, &clock);
    let view = table.at(&1);
    let charge = view.charge_at(5, at(0)).expect("full");
    assert_eq!(table.evict_unused_at(at(6 * SECOND)), 1);
    assert_eq!(view.undo(charge), 0);
    assert_eq!(table.len(), 0);

    let charge = view.charge_at(5, at(6 * SECOND)).expect("full");
    assert_eq!(table.evict_unused_at(at(12 * SECOND)), 1);
    view.try_acquire_at(5, at(12 * SECOND)).expect("a new one");
    assert_eq!(view.undo(charge), 0);
    assert_eq!(view.available_at(at(12 * SECOND)), 0);
}

/// A removed key comes back, and reaches the very level that an old charge had left.
#[test]
fn undo_after_a_removal_returns_nothing() {
    for is_new in [true, false] {
        let clock = ManualClock::new();
        let table = words(5, &clock);
        let view = table.at(&1);
        if !is_new {
            view.try_acquire_at(1, at(0)).expect("full");
        }
        let old = view.charge_at(3, at(0)).expect("enough");
        assert!(table.remove(&1));
        let left = if is_new { 3 } else { 4 };
        view.try_acquire_at(left, at(0)).expect("a new one");
        assert_eq!(view.undo(old), 0);
        assert_eq!(view.available_at(at(0)), 5 - left);
    }
}

/// The same with limiters that are kept whole. A window would take the old charge for its own.
#[test]
fn undo_at_a_window_after_a_removal_returns_nothing() {
    let clock = ManualClock::new();
    let window = |_, clock: &ManualClock| {
        let second = core::time::Duration::from_secs(1);
        SlidingWindow::with_clock(5, second, clock.clone()).expect("valid")
    };
    let table = keyed(&clock, window);
    let view = table.at(&1);
    let old = view.charge_at(3, at(0)).expect("empty");
    view.reset_at(at(0));
    assert_eq!(table.len(), 0);
    view.try_acquire_at(4, at(0)).expect("a new one");
    assert_eq!(view.undo(old), 0);
    assert_eq!(view.available_at(at(0)), 1);
}

/// An undo does not make a key new as of a time before its eviction.
#[test]
fn undone_key_is_not_new_as_of_an_old_reading() {
    let clock = ManualClock::new();
    let check = |table: &dyn Fn(u64, u64) -> bool, undo: &dyn Fn()| {
        assert!(table(2, 0));
        undo();
        // Old readings get what is there at the present, and no more.
        let admitted = (0..10).filter(|_| table(1, 1)).count();
        let more = (0..10).filter(|_| table(1, 2 * SECOND + 1)).count();
        assert_eq!(admitted + more, 2, "{admitted} and {more}");
    };
    let table = words(2, &clock);
    check(
        &|n, now| table.try_acquire_at(&1, n, at(now)).is_ok(),
        &|| {
            assert_eq!(table.evict_unused_at(at(2 * SECOND + 1)), 1);
            let view = table.at(&1);
            let charge = view.charge_at(1, at(2 * SECOND + 1)).expect("new");
            assert_eq!(view.undo(charge), 1);
        },
    );
    let table = keyed(&clock, |_, clock| {
        let window = core::time::Duration::from_secs(100);
        Combined::builder()
            .limit("bucket", bucket(per_second(2), clock))
            .limit(
                "window",
                SlidingWindow::with_clock(1_000, window, clock.clone()).expect("valid"),
            )
            .build()
    });
    table.try_acquire_at(&1, 2, at(0)).expect("new");
    assert_eq!(table.evict_unused_at(at(300 * SECOND)), 1);
    let view = table.at(&1);
    let charge = view.charge_at(1, at(300 * SECOND)).expect("new");
    assert_eq!(view.undo(charge), 1);
    assert_eq!(table.len(), 0);
    let admitted = |now| {
        (0..10)
            .filter(|_| table.try_acquire_at(&1, 1, at(now)).is_ok())
            .count()
    };
    assert_eq!(admitted(1) + admitted(300 * SECOND), 2);
}

/// In a set, keys that got tokens back hold their entry until no old value can come back.
#[test]
fn entry_of_an_undone_charge_is_held() {
    let clock = ManualClock::new();
    let table = FixedKeyed::with_clock(per_second(10), 1, clock.clone()).overflow(Overflow::Refuse);
    for key in 0..15_u64 {
        let charge = table.at(&key).charge_at(10, at(0)).expect("an entry");
        assert_eq!(table.at(&key).undo(charge), 10);
    }
    assert_eq!(table.stats_at(at(0)).active, 0);
    // Full, and kept.
    assert!(table.try_acquire_at(&100, 1, at(9 * SECOND)).is_err());
    assert_eq!(table.available_at(&3, at(9 * SECOND)), 10);
    assert!(table.try_acquire_at(&3, 10, at(9 * SECOND)).is_ok());
    // As long as the tokens would have taken to flow in.
    assert!(table.try_acquire_at(&100, 10, at(10 * SECOND + 1)).is_ok());
    assert!(table.try_acquire_at(&101, 10, at(10 * SECOND + 1)).is_ok());
    assert_eq!(table.available_at(&3, at(10 * SECOND + 1)), 1);
}

/// Under `Share` the shared bucket is charged, and undone.
#[test]
fn undo_of_a_charge_without_room() {
    let clock = ManualClock::new();
    for (overflow, returned) in [(Overflow::Share, 3), (Overflow::Admit, 0)] {
        let time = clock.clone();
        let table = Keyed::builder(move |_: &u64| bucket(per_second(5), &time))
            .max_keys(1)
            .overflow(overflow)
            .build();
        table.try_acquire_at(&0, 1, at(0)).expect("room");
        check_without_room(&table.at(&7), returned);
        let table = FixedKeyed::with_clock(per_second(5), 1, clock.clone()).overflow(overflow);
        for key in 0..15_u64 {
            table.try_acquire_at(&key, 1, at(0)).expect("an entry");
        }
        check_without_room(&table.at(&100_u64), returned);
    }
}

fn check_without_room<L: Limiter>(view: &L, returned: u64) {
    let charge = view.charge_at(3, at(0)).expect("shared or admitted");
    let left = view.available_at(at(0));
    assert_eq!(view.undo(charge), returned);
    assert_eq!(view.available_at(at(0)), left + returned);
    assert_eq!(view.available_at(at(0)), 5);
}

/// Threads charge a few keys and undo half of it, while keys are evicted. Nothing is lost, and
/// nothing is granted twice.
#[test]
fn threads_that_charge_and_undo() {
    fn check(admitted: impl Fn(u64, bool) -> bool + Sync, available: impl Fn(u64) -> u64) {
        let taken: Vec<core::sync::atomic::AtomicU64> = (0..4)
            .map(|_| core::sync::atomic::AtomicU64::new(0))
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (taken, admitted) = (&taken, &admitted);
                scope.spawn(move || {
                    for turn in 0..2_000_u64 {
                        let key = (turn + thread) % 4;
                        if admitted(key, turn % 2 == 0) {
                            taken[usize::try_from(key).expect("small")]
                                .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        for (key, taken) in (0..).zip(taken) {
            let taken = taken.into_inner();
            assert_eq!(taken + available(key), 1_000, "key {key}: {taken} taken");
        }
    }
    fn charge<L: Limiter>(view: &L, undo: bool) -> bool {
        match view.charge_at(1, at(0)) {
            Ok(charge) => !undo || view.undo(charge) == 0,
            Err(_) => false,
        }
    }
    let clock = ManualClock::new();
    let table = words(1_000, &clock);
    check(
        |key, undo| charge(&table.at(&key), undo),
        |key| table.available_at(&key, at(0)),
    );
    let table = fixed(1_000, &clock);
    check(
        |key, undo| charge(&table.at(&key), undo),
        |key| table.available_at(&key, at(0)),
    );
}

/// A bucket that is not full when it is made is kept as it was made.
#[test]
fn undo_at_a_bucket_that_starts_empty() {
    let table: Keyed<u64, TokenBucket<ManualClock>> = keyed(&ManualClock::new(), |_, clock| {
        bucket(per_second(5), clock).with_initial(2)
    });
    let view = table.at(&1);
    let charge = view.charge_at(2, at(0)).expect("two");
    assert_eq!(view.undo(charge), 2);
    assert_eq!(view.available_at(at(0)), 2);
}
