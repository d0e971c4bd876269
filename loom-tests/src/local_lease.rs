//! What a node of tidegate-redis holds of a lease.
//!
//! The node's clock and the server's run together. The node may spend tokens until the very instant
//! at which the server stops to count them as held.

use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::model::{SharedClock, explore, leaked};
use crate::mutant;
use crate::redis::local_lease::LocalLease;
use crate::redis::local_lease::TakeOutcome::{Insufficient, Taken, TakenAndWake};

fn world() -> (&'static LocalLease, &'static SharedClock) {
    (leaked(LocalLease::new()), leaked(SharedClock::at(0)))
}

/// A call for one token, from its clock reading until it returned.
#[derive(Clone, Copy, Debug)]
struct Call {
    from: u64,
    to: u64,
    is_taken: bool,
}

/// A grant: how many tokens of it were spent, from when the server counted it as held, and until
/// when.
#[derive(Clone, Copy, Debug)]
struct Grant {
    spent: u64,
    from: u64,
    end: u64,
}

impl Call {
    fn make(lease: &LocalLease, clock: &SharedClock) -> Self {
        let from = clock.now();
        let is_taken = lease.try_take(1, from) != Insufficient;
        let to = clock.latest();
        Self { from, to, is_taken }
    }
}

/// Whether each call can be given a token of a grant that was held at some instant within the call,
/// so that no token is left.
fn fits(calls: &[Call], grants: &[Grant]) -> bool {
    let [call, others @ ..] = calls else {
        return grants.iter().all(|grant| grant.spent == 0);
    };
    (0..grants.len()).any(|index| {
        let Grant { spent, from, end } = grants[index];
        let mut rest = grants.to_vec();
        rest[index].spent = spent.saturating_sub(1);
        spent > 0 && call.from < end && call.to >= from && fits(others, &rest)
    })
}

fn assert_fits(calls: &[Call], grants: &[Grant]) {
    let taken: Vec<Call> = calls.iter().copied().filter(|call| call.is_taken).collect();
    assert!(
        fits(&taken, grants),
        "{taken:?} are not what was spent of {grants:?}"
    );
}

/// A lease of one token ends, while callers take. The refill task drains it, as of a token of
/// another lease.
fn replace_beside_calls<const CALLERS: usize>() {
    explore(3, || {
        let (lease, clock) = world();
        lease.refill(1, 10, 0);
        let calls = [(); CALLERS].map(|()| thread::spawn(move || Call::make(lease, clock)));
        clock.advance(10);
        let back = lease.drain();
        lease.refill(1, 20, 0);
        let calls = calls.map(|call| call.join().unwrap());
        let left = lease.drain();
        assert!(back <= 1 && left <= 1, "{back} and {left} left of one each");
        let first = Grant {
            spent: 1 - back,
            from: 0,
            end: 10,
        };
        let second = Grant {
            spent: 1 - left,
            from: 10,
            end: 20,
        };
        assert_fits(&calls, &[first, second]);
    });
}

/// Three threads: the refill task, and two calls. Kills `drained_by_store`.
///
/// A lease ends, and another begins. Each caller spends a token while the server counts it as held.
fn a_lease_ends() {
    replace_beside_calls::<2>();
}

/// Two threads: the refill task, and one call. Kills `no_deadline`, `not_drained`,
/// `deadline_first`.
///
/// As `a_lease_ends`.
fn a_lease_ends_for_one() {
    replace_beside_calls::<1>();
}

/// Three threads: the refill task, and two calls. Kills `taken_by_store`, `added_by_store`.
///
/// The refill task reports what the node holds, and adds to that, since the server has kept it. The
/// tokens reported as spent were taken by then, and none is lost or doubled.
fn a_lease_is_renewed() {
    explore(3, || {
        let (lease, clock) = world();
        lease.refill(2, 10, 0);
        let calls = [(); 2].map(|()| thread::spawn(move || Call::make(lease, clock)));
        clock.advance(5);
        let asked = clock.now();
        let held = lease.remaining(asked);
        lease.refill(1, asked + 10, 0);
        let calls = calls.map(|call| call.join().unwrap());
        let taken = calls.iter().filter(|call| call.is_taken).count() as u64;
        let by_then = calls.iter().filter(|call| call.from <= asked).count() as u64;
        assert!(2 - held <= taken.min(by_then), "reported as spent too soon");
        let later = lease.remaining(asked);
        assert!(held + 1 >= later, "{later} left of {held} and 1");
        assert_eq!(taken + lease.drain(), 3);
    });
}

/// Three threads: the refill task with a call, and two calls. Kills `drained_by_store`,
/// `not_drained`.
///
/// The refill task returns the rest of a lease. A token is spent or goes back, and what goes back
/// was reported as held.
fn the_rest_goes_back() {
    explore(3, || {
        let (lease, clock) = world();
        lease.refill(2, 10, 0);
        let calls = [(); 2].map(|()| thread::spawn(move || Call::make(lease, clock)));
        let held = lease.remaining(clock.now());
        let back = lease.drain();
        assert!(back <= held, "{back} go back of {held}");
        let late = Call::make(lease, clock);
        let calls = calls.map(|call| call.join().unwrap());
        let taken = calls.iter().filter(|call| call.is_taken).count() as u64;
        assert_eq!(taken + back, 2);
        assert!(
            !late.is_taken && lease.drain() == 0,
            "returned, and still here"
        );
    });
}

/// Three threads: the refill task, and two calls. Kills `kept_by_store`.
///
/// The refill task returns what an idle node need not keep. A token is spent, goes back or stays,
/// and what stays was reported as held.
fn a_reserve_stays() {
    explore(3, || {
        let (lease, clock) = world();
        lease.refill(3, 10, 0);
        let calls = [(); 2].map(|()| thread::spawn(move || Call::make(lease, clock)));
        let back = lease.drain_above(1);
        let held = lease.remaining(clock.now());
        assert!(held <= 1, "{held} are kept");
        let calls = calls.map(|call| call.join().unwrap());
        let taken = calls.iter().filter(|call| call.is_taken).count() as u64;
        let left = lease.drain();
        assert!(left <= held, "{left} left of {held} that were reported");
        assert_eq!(taken + back + left, 3);
    });
}

/// Two threads: the refill task, and a query. Kills `unpublished_deadline`, `relaxed_reading`.
///
/// A query sees no token of a lease that has ended. It stands for calls as well: an exchange of
/// loom finds the newest value, while others may find one from before the deadline that they have
/// seen.
fn a_query_after_the_end() {
    explore(3, || {
        let (lease, clock) = world();
        lease.refill(2, 10, 0);
        let query = thread::spawn(move || {
            let now = clock.now();
            let left = lease.remaining(now);
            assert!(now < 10 || left <= 1, "{left} of an ended lease");
        });
        clock.advance(10);
        assert_eq!(lease.drain(), 2);
        lease.refill(1, 20, 0);
        query.join().unwrap();
    });
}

/// Takes one token as callers do. Returns whether there was one, and whether this caller wakes the
/// refill task.
fn take_or_wake(lease: &LocalLease) -> (bool, bool) {
    match lease.try_take(1, 0) {
        Taken => (true, false),
        TakenAndWake => (true, true),
        Insufficient => (false, lease.claim_wake()),
    }
}

/// Three threads with one call each. Kills `claimed_by_store`, `claimed_forever`.
///
/// After a refill of one token, one caller wakes the refill task.
fn one_caller_wakes() {
    explore(3, || {
        let (lease, _) = world();
        assert!(lease.claim_wake() && !lease.claim_wake());
        lease.refill(1, 10, 0);
        let others = [(); 2].map(|()| thread::spawn(move || take_or_wake(lease).1));
        let mut wakes = u64::from(take_or_wake(lease).1);
        for other in others {
            wakes += u64::from(other.join().unwrap());
        }
        assert_eq!(wakes, 1, "callers wake");
    });
}

/// Two threads, one with a refill and calls, one with a call. Kills `released_first`,
/// `claimed_forever`.
///
/// During a refill no caller wakes the refill task before the tokens are there. A caller that comes
/// later and finds none does, or one before it.
fn no_wake_during_a_refill() {
    explore(3, || {
        let (lease, _) = world();
        assert!(lease.claim_wake());
        let during = thread::spawn(move || {
            let (is_taken, wakes) = take_or_wake(lease);
            let is_early = wakes && !is_taken && lease.drain() != 1;
            assert!(!is_early, "a wake for tokens that are being added");
            wakes
        });
        lease.refill(1, 10, 0);
        let mut wakes = u64::from(during.join().unwrap());
        while {
            let (is_taken, is_waking) = take_or_wake(lease);
            wakes += u64::from(is_waking);
            is_taken
        } {}
        assert_eq!(wakes, 1, "callers wake");
    });
}

/// Wakes all that wait for more rings than they have counted.
#[derive(Default)]
struct Bell {
    rings: Mutex<u64>,
    rang: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rings.lock().unwrap() += 1;
        self.rang.notify_all();
    }

    fn count(&self) -> u64 {
        *self.rings.lock().unwrap()
    }

    fn wait_past(&self, count: u64) -> u64 {
        let mut rings = self.rings.lock().unwrap();
        while *rings <= count {
            rings = self.rang.wait(rings).unwrap();
        }
        *rings
    }
}

/// Three threads: the refill task, and two callers that wait. Kills `claimed_forever`.
///
/// The refill task adds a token each time it is woken. No caller sleeps forever.
fn each_caller_is_served() {
    explore(2, || {
        let (lease, _) = world();
        let (wake, filled) = (leaked(Bell::default()), leaked(Bell::default()));
        let waits = move || {
            loop {
                let heard = filled.count();
                let (is_taken, is_waking) = take_or_wake(lease);
                if is_waking {
                    wake.ring();
                }
                if is_taken {
                    break;
                }
                filled.wait_past(heard);
            }
        };
        let others = [(); 2].map(|()| thread::spawn(waits));
        let mut heard = 0;
        for _ in 0..2 {
            heard = wake.wait_past(heard);
            lease.refill(1, 10, 0);
            filled.ring();
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

mutant::tests! { "local_lease":
    a_lease_ends { drained_by_store: "are not what was spent" }
    a_lease_ends_for_one {
        no_deadline: "are not what was spent",
        not_drained: "are not what was spent",
        deadline_first: "are not what was spent",
    }
    a_lease_is_renewed { taken_by_store: "left == right", added_by_store: "left == right" }
    the_rest_goes_back { drained_by_store: "left == right", not_drained: "left == right" }
    a_reserve_stays { kept_by_store: "are kept" }
    a_query_after_the_end {
        unpublished_deadline: "of an ended lease",
        relaxed_reading: "of an ended lease",
    }
    one_caller_wakes { claimed_by_store: "callers wake", claimed_forever: "callers wake" }
    no_wake_during_a_refill {
        released_first: "being added",
        claimed_forever: "callers wake",
    }
    each_caller_is_served { claimed_forever: "deadlock" }
}
