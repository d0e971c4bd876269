//! Debits, credits and resets of keys without room.

use tidegate::{Denied, FixedKeyed, Keyed, ManualClock, Overflow};

use crate::{Buckets, Table, at, bucket, per_second};

/// Without room until a second has passed.
const NEW: u64 = 100;

fn full_keyed(overflow: Overflow) -> Buckets {
    let clock = ManualClock::new();
    let table = Keyed::builder(move |_: &u64| bucket(per_second(5), &clock))
        .max_keys(1)
        .overflow(overflow)
        .build();
    table.try_acquire_at(&0, 1, at(0)).expect("room");
    table
}

fn full_fixed(overflow: Overflow) -> FixedKeyed<ManualClock> {
    let table = FixedKeyed::with_clock(per_second(5), 1, ManualClock::new()).overflow(overflow);
    for key in 0..15_u64 {
        table.try_acquire_at(&key, 1, at(0)).expect("an entry");
    }
    table
}

macro_rules! on_full_tables {
    ($check:expr, $overflow:expr) => {
        $check(&full_keyed($overflow));
        $check(&full_fixed($overflow));
    };
}

/// A debit is not lost: all keys without room pay it.
#[test]
fn debit_of_a_key_that_shares() {
    fn check<T: Table>(table: &T) {
        use tidegate::Limiter as _;
        table.debit_at(NEW, 7, at(0));
        assert_eq!(table.overflowed(), 1);
        assert_eq!(table.debt_at(NEW, at(0)), 2);
        assert_eq!(table.debt_at(NEW + 1, at(0)), 2);
        assert!(table.view(&(NEW + 1)).try_acquire_at(1, at(0)).is_err());
        assert!(!table.view(&NEW).is_unused_at(at(0)));
        // Not the key's own.
        table.credit_at(NEW, 7, at(0));
        table.reset_at(NEW, at(0));
        assert_eq!(table.debt_at(NEW, at(0)), 2);
        // The keys with room have what they had.
        assert_eq!(table.view(&0).available_at(at(0)), 4);
        assert_eq!(table.debt_at(0, at(0)), 0);
    }
    on_full_tables!(check, Overflow::Share);
}

/// The calls of the key are decided without a bucket, so there is none to charge.
#[test]
fn debit_of_a_key_that_is_refused_or_admitted() {
    fn check<T: Table>(table: &T) {
        use tidegate::Limiter as _;
        let view = table.view(&NEW);
        let before = view.peek_at(1, at(0));
        table.debit_at(NEW, 7, at(0));
        assert_eq!(table.overflowed(), 1);
        assert_eq!(
            (view.peek_at(1, at(0)), table.debt_at(NEW, at(0))),
            (before, 0)
        );
        assert!(view.is_unused_at(at(0)));
        table.credit_at(NEW, 7, at(0));
        table.reset_at(NEW, at(0));
        assert_eq!(view.peek_at(1, at(0)), before);
    }
    on_full_tables!(check, Overflow::Refuse);
    on_full_tables!(check, Overflow::Admit);
}

#[test]
fn charge_of_a_key_that_is_refused() {
    fn check<T: Table>(table: &T) {
        use tidegate::Limiter as _;
        let charge = table.view(&NEW).charge_at(1, at(0));
        assert!(matches!(charge, Err(Denied::Busy { .. })));
        assert_eq!(table.overflowed(), 1);
        let snapshot = table.view(&NEW).snapshot_at(at(0));
        assert_eq!((snapshot.available, snapshot.capacity), (0, 5));
        let charge = table.view(&NEW).charge_at(6, at(0));
        assert!(matches!(charge, Err(Denied::Never { capacity: 5 })));
    }
    on_full_tables!(check, Overflow::Refuse);
}
