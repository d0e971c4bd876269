//! Debits, debts, credits and resets of buckets, in every form in which tables keep them.

use tidegate::{Limiter as _, ManualClock};

use crate::{SECOND, Table, at, fixed, on_each_table, words};

#[test]
fn debts_flow_in() {
    fn check<T: Table>(table: &T, _: &ManualClock) {
        let view = table.view(&1);
        let left = |now| (view.available_at(at(now)), table.debt_at(1, at(now)));
        table.debit_at(1, 3, at(0));
        assert_eq!(left(0), (2, 0));
        table.debit_at(1, 7, at(0));
        assert_eq!(left(0), (0, 5));
        assert_eq!(left(SECOND / 2), (0, 5), "part of a token is one");
        assert_eq!(left(SECOND), (0, 4));
        assert_eq!(
            view.wait_time_at(1, at(0)).map(|wait| wait.as_secs()),
            Some(6)
        );
        assert!(view.try_acquire_at(1, at(5 * SECOND)).is_err());
        assert_eq!(left(5 * SECOND), (0, 0));
        assert_eq!(left(10 * SECOND), (5, 0));
        assert!(view.is_unused_at(at(10 * SECOND)));
        assert!(!view.is_unused_at(at(10 * SECOND - 1)));
    }
    on_each_table!(check, 5);
}

#[test]
fn credits_end_at_the_capacity() {
    fn check<T: Table>(table: &T, _: &ManualClock) {
        let view = table.view(&1);
        table.debit_at(1, 10, at(0));
        table.credit_at(1, 2, at(0));
        assert_eq!(table.debt_at(1, at(0)), 3);
        table.credit_at(1, 5, at(0));
        assert_eq!(view.available_at(at(0)), 2);
        table.credit_at(1, 0, at(0));
        table.credit_at(1, 1_000, at(0));
        assert_eq!(view.available_at(at(0)), 5);
        table.credit_at(1, u64::MAX, at(0));
        assert!(view.try_acquire_at(5, at(0)).is_ok());
        assert!(view.try_acquire_at(1, at(0)).is_err());
        table.reset_at(1, at(0));
        assert_eq!(view.available_at(at(0)), 5);
    }
    on_each_table!(check, 5);
}

/// The longest debt, at the beginning of time and at the end of what words hold.
#[test]
fn longest_debts() {
    const YEAR: u64 = 365 * 86_400 * SECOND;
    let clock = ManualClock::new();
    for now in [0, 100 * YEAR, u64::MAX] {
        let (words, fixed) = (words(5, &clock), fixed(5, &clock));
        for _ in 0..3 {
            words.debit_at(1, u64::MAX, at(now));
            fixed.debit_at(1, u64::MAX, at(now));
        }
        let years = words.debt_at(1, at(now)) / (YEAR / SECOND);
        assert!((18..=36).contains(&years), "{years}");
        assert_eq!(words.debt_at(1, at(now)), fixed.debt_at(1, at(now)));
        // An older clock does not lower it.
        words.debit_at(1, 1, at(0));
        fixed.debit_at(1, 1, at(0));
        assert_eq!(words.debt_at(1, at(now)), fixed.debt_at(1, at(now)));
        assert_eq!(words.debt_at(1, at(now)) / (YEAR / SECOND), years);
        words.reset_at(1, at(now));
        fixed.reset_at(1, at(now));
        assert_eq!(words.at(&1).available_at(at(now)), 5);
        assert_eq!(fixed.at(&1).available_at(at(now)), 5);
    }
}

/// A credit and a reset of an older reading do not make a key new as of a time before its eviction.
#[test]
fn returned_tokens_and_old_readings() {
    let clock = ManualClock::new();
    for reset in [false, true] {
        let table = words(2, &clock);
        table.try_acquire_at(&1, 2, at(0)).expect("new");
        assert_eq!(table.evict_unused_at(at(2 * SECOND)), 1);
        table.try_acquire_at(&1, 2, at(2 * SECOND)).expect("new");
        if reset {
            table.at(&1).reset_at(at(1));
        } else {
            table.at(&1).credit_at(2, at(1));
        }
        let old = (0..9)
            .filter(|_| table.try_acquire_at(&1, 1, at(1)).is_ok())
            .count();
        let more = (0..9).filter(|_| table.try_acquire_at(&1, 1, at(2 * SECOND)).is_ok());
        assert_eq!(old + more.count(), 2, "{reset}");
    }
}
