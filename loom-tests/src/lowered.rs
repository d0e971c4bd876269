//! Tokens that come back to the buckets of a set of two places, beside charges and evictions.

use loom::thread;

use crate::keyed::{A, T, Table, X, Z};
use crate::model::{at, explore};
use crate::mutant;
use crate::tidegate::Limiter;

/// Two threads: an undo beside a call. Kills `undone_anyway`.
///
/// The undo returns its token, or the call was charged on top. The bucket holds what is left.
fn undone_beside_a_call() {
    explore(3, || {
        let table = Table::new(3);
        let charge = table.0.at(&X).charge_at(1, at(5 * T)).expect("full");
        let other = {
            let table = table.clone();
            thread::spawn(move || table.call(X, 1, 5 * T))
        };
        let returned = table.0.at(&X).undo(charge);
        assert!(other.join().unwrap().admitted, "refused one of two");
        let left = table.0.available_at(&X, at(5 * T));
        assert_eq!(left, 1 + returned, "left after {returned} came back");
    });
}

/// Two threads: a credit, and a reset, beside a call. Kills `dropped_credit`.
fn credited_beside_a_call() {
    for reset in [false, true] {
        explore(3, move || {
            let table = Table::new(3);
            table.call(X, 2, 5 * T);
            let other = {
                let table = table.clone();
                thread::spawn(move || table.call(X, 1, 5 * T))
            };
            if reset {
                table.0.at(&X).reset_at(at(5 * T));
            } else {
                table.0.at(&X).credit_at(2, at(5 * T));
            }
            assert!(other.join().unwrap().admitted, "refused one of one");
            let left = table.0.available_at(&X, at(5 * T));
            // If the call came first, the reset forgives it as well.
            assert!(left == 2 || reset && left == 3, "{left} left");
        });
    }
}

/// Two threads, one with a call, one with an undo and a call; then a call. Kills `unnoted_hold`,
/// `ignored_hold`.
///
/// A call holds the value that an undo lowers. The key is full again, and another key would reach
/// that value in its place.
fn held_value_of_an_undone_charge() {
    explore(3, || {
        let table = Table::new(3);
        table.call(Z, 3, 6 * T);
        // The TAT is `7 * T`, and `5 * T` after the undo.
        let charge = table.0.at(&X).charge_at(2, at(5 * T)).expect("full");
        let holder = {
            let table = table.clone();
            thread::spawn(move || table.call(X, 1, 6 * T))
        };
        table.0.at(&X).undo(charge);
        // From `6 * T` to `7 * T`, if there were a place.
        let first = table.call(A, 1, 6 * T);
        let calls = [holder.join().unwrap(), first];
        let second = table.call(A, 2, 6 * T);
        table.assert_apart(&[calls[0], calls[1], second]);
    });
}

/// Two threads, one with a charge and its undo, one with a call. Kills `held_entry_claimed`,
/// `reloaded_span`, `unpublished_hold`.
///
/// The call evicts the key, and may miss that its TAT was lowered. It does not get the place before
/// the clock has passed every value of the key.
fn hold_that_an_eviction_missed() {
    explore(3, || {
        let table = Table::new(3);
        table.call(Z, 3, 6 * T);
        // The TAT is `5 * T`, a full bucket.
        table.call(X, 1, 4 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.call(A, 1, 6 * T))
        };
        let charge = table.0.at(&X).charge_at(2, at(5 * T));
        let was_charged = charge.is_ok();
        if let Ok(charge) = charge {
            // The TAT was `7 * T`.
            table.0.at(&X).undo(charge);
        }
        let call = other.join().unwrap();
        assert!(!was_charged || !call.admitted, "a place is free too early");
    });
}

/// Two threads, one with a credit, one with a call. Kills `lost_owner`.
///
/// The credit notes a hold of a key that is evicted at that moment. The place goes to the new key,
/// or to none.
fn hold_beside_a_claim() {
    explore(3, || {
        let table = Table::new(1);
        table.call(Z, 1, 6 * T);
        table.call(X, 1, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.0.at(&X).credit_at(1, at(5 * T)))
        };
        let call = table.call(A, 1, 6 * T + 1);
        other.join().unwrap();
        // The keys that were charged after `6 * T`, or made the owner.
        let owners = table.0.stats_at(at(6 * T)).active;
        assert!(call.admitted || owners == 1, "a place is lost: {owners}");
    });
}

/// As `held_value_of_an_undone_charge`, of a key that was full before the charge, and had been for
/// a while. Kills `lowered_below_mark`.
fn held_value_of_a_charge_of_a_full_bucket() {
    explore(3, || {
        let table = Table::new(3);
        table.call(Z, 3, 9 * T);
        table.call(X, 1, 5 * T);
        let now = 8 * T + 1;
        // The TAT is `10 * T + 1`, and `8 * T + 1` after the undo.
        let charge = table.0.at(&X).charge_at(2, at(now)).expect("full");
        let now = now + T;
        let holder = {
            let table = table.clone();
            thread::spawn(move || table.call(X, 1, now))
        };
        table.0.at(&X).undo(charge);
        let first = table.call(A, 1, now);
        let calls = [holder.join().unwrap(), first];
        let second = table.call(A, 2, now);
        table.assert_apart(&[calls[0], calls[1], second]);
    });
}

mutant::tests! { "lowered":
    undone_beside_a_call { undone_anyway: "came back" }
    credited_beside_a_call { dropped_credit: " left" }
    held_value_of_an_undone_charge {
        unnoted_hold: "another's bucket",
        ignored_hold: "another's bucket",
    }
    hold_that_an_eviction_missed {
        held_entry_claimed: "too early",
        reloaded_span: "too early",
        unpublished_hold: "too early",
    }
    hold_beside_a_claim { lost_owner: "a place is lost" }
    held_value_of_a_charge_of_a_full_bucket { lowered_below_mark: "another's bucket" }
}
