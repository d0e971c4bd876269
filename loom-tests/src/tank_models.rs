//! What must hold for what a node holds of a lease, whatever callers and the filler do.
//!
//! Time is a number of the node's clock, and the server's runs with it: the node may spend until the very instant at which the server
//! stops to count it as held.

use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::tank::{Taken, Tank};
use crate::{SharedClock, explore};

/// What callers and the filler do with it.
pub trait Holds: Send + Sync + Sized + 'static {
    fn new() -> &'static Self;

    fn take(&self, n: u64, now: u64) -> Got;

    fn ask(&self) -> bool;

    fn left(&self, now: u64) -> u64;

    fn empty(&self) -> u64;

    fn extend(&self, granted: u64, deadline: u64, low: u64);

    /// What the server grants in place of a lease that has ended, and what was left of that one.
    fn replace(&self, granted: u64, deadline: u64) -> u64 {
        let left = self.empty();
        self.extend(granted, deadline, 0);
        left
    }
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    Enough,
    Ask,
    Dry,
}

/// A call for one token, from its reading of the clock until it returned.
#[derive(Clone, Copy, Debug)]
struct Call {
    from: u64,
    to: u64,
    taken: bool,
}

/// A grant: what was spent of it, from when, and when the server stopped to count it as held.
#[derive(Clone, Copy, Debug)]
struct Grant {
    spent: u64,
    from: u64,
    end: u64,
}

impl Call {
    fn of(tank: &impl Holds, clock: &SharedClock) -> Self {
        let from = clock.now();
        let taken = tank.take(1, from) != Got::Dry;
        let to = clock.latest();
        Self { from, to, taken }
    }
}

/// Whether each call can be given a token of a grant that was held at some instant within the call, so that all are given.
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
    let taken: Vec<Call> = calls.iter().copied().filter(|call| call.taken).collect();
    assert!(
        fits(&taken, grants),
        "{taken:?} are not what was spent of {grants:?}"
    );
}

/// A lease ends, and the filler takes what is left of it out and adds a token of another: each of two callers spends a token while the
/// server counts it as held. Three threads. Killed by `EmptiedByStore`, and what kills the next.
pub fn a_lease_ends<T: Holds>() {
    explore(3, || replaced::<T, 2>());
}

/// The same with one caller. Two threads. Killed by `NoDeadline`, `NotEmptied` and `DeadlineFirst`.
pub fn a_lease_ends_for_one<T: Holds>() {
    explore(3, || replaced::<T, 1>());
}

fn replaced<T: Holds, const CALLERS: usize>() {
    let (tank, clock) = (T::new(), clock());
    tank.extend(1, 10, 0);
    let calls = [(); CALLERS].map(|()| thread::spawn(move || Call::of(tank, clock)));
    clock.advance(10);
    let back = tank.replace(1, 20);
    let calls = calls.map(|call| call.join().unwrap());
    let left = tank.empty();
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
}

/// The filler reports what is held, and adds to that since the server has kept it, while two take: what it has reported as spent was
/// taken by then, and nothing is lost or doubled. Three threads. Killed by `TakenByStore` and `AddedByStore`.
pub fn a_lease_is_renewed<T: Holds>() {
    explore(3, || {
        let (tank, clock) = (T::new(), clock());
        tank.extend(2, 10, 0);
        let calls = [(); 2].map(|()| thread::spawn(move || Call::of(tank, clock)));
        clock.advance(5);
        let asked = clock.now();
        let hold = tank.left(asked);
        tank.extend(1, asked + 10, 0);
        let calls = calls.map(|call| call.join().unwrap());
        let taken = calls.iter().filter(|call| call.taken).count() as u64;
        let by_then = calls.iter().filter(|call| call.from <= asked).count() as u64;
        assert!(2 - hold <= taken.min(by_then), "reported as spent too soon");
        let later = tank.left(asked);
        assert!(hold + 1 >= later, "{later} left of {hold} and 1");
        assert_eq!(taken + tank.empty(), 3);
    });
}

/// What is left goes back, since nobody needs it or the node closes, while two take: a token is spent or goes back, and what goes back
/// was reported as held. Three threads. Killed by `EmptiedByStore` and `NotEmptied`.
pub fn what_is_left_goes_back<T: Holds>() {
    explore(3, || {
        let (tank, clock) = (T::new(), clock());
        tank.extend(2, 10, 0);
        let calls = [(); 2].map(|()| thread::spawn(move || Call::of(tank, clock)));
        let hold = tank.left(clock.now());
        let back = tank.empty();
        assert!(back <= hold, "{back} go back of {hold}");
        let late = Call::of(tank, clock);
        let calls = calls.map(|call| call.join().unwrap());
        let taken = calls.iter().filter(|call| call.taken).count() as u64;
        assert_eq!(taken + back, 2);
        assert!(!late.taken && tank.empty() == 0, "it is still there");
    });
}

/// Who asks what is left sees none of a lease that has ended. Two threads. Killed by `RelaxedDeadline` and `RelaxedReading`.
///
/// It stands for callers who take as well: a loom exchange finds the newest value, others might find one from before the deadline that
/// they have seen.
pub fn a_look_after_the_end<T: Holds>() {
    explore(3, || {
        let (tank, clock) = (T::new(), clock());
        tank.extend(2, 10, 0);
        let looks = thread::spawn(move || {
            let now = clock.now();
            let left = tank.left(now);
            assert!(now < 10 || left <= 1, "{left} of an ended lease");
        });
        clock.advance(10);
        assert_eq!(tank.empty(), 2);
        tank.extend(1, 20, 0);
        looks.join().unwrap();
    });
}

fn clock() -> &'static SharedClock {
    Box::leak(Box::new(SharedClock::at(0)))
}

/// Takes one as callers do. Whether there was one, and whether it is for this caller to wake the filler.
fn call(tank: &impl Holds) -> (bool, bool) {
    match tank.take(1, 0) {
        Got::Enough => (true, false),
        Got::Ask => (true, true),
        Got::Dry => (false, tank.ask()),
    }
}

/// After a refill of one token, of three callers one is told to ask. Three threads. Killed by `AskedByStore` and `AskedForEver`.
pub fn one_is_told<T: Holds>() {
    explore(3, || {
        let tank = T::new();
        assert!(tank.ask() && !tank.ask());
        tank.extend(1, 10, 0);
        let others = [(); 2].map(|()| thread::spawn(move || call(tank).1));
        let mut told = u64::from(call(tank).1);
        for other in others {
            told += u64::from(other.join().unwrap());
        }
        assert_eq!(told, 1, "told to ask");
    });
}

/// During a refill nobody is told to ask before it is there; but who comes after it and finds nothing, or one before, is. Two threads.
/// Killed by `AskedFirst` and `AskedForEver`.
pub fn told_after_the_refill<T: Holds>() {
    explore(3, || {
        let tank = T::new();
        assert!(tank.ask());
        let during = thread::spawn(move || {
            let (taken, told) = call(tank);
            let early = told && !taken && tank.empty() != 1;
            assert!(!early, "told to ask for what is being added");
            told
        });
        tank.extend(1, 10, 0);
        let mut told = u64::from(during.join().unwrap());
        while {
            let (taken, tells) = call(tank);
            told += u64::from(tells);
            taken
        } {}
        assert_eq!(told, 1, "told to ask");
    });
}

/// Wakes those who listen, and is not missed by who has counted before.
#[derive(Default)]
struct Bell {
    rings: Mutex<u64>,
    rang: Condvar,
}

impl Bell {
    fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }

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

/// Two wait for a token each, which the filler adds one by one when it is woken: nobody sleeps for ever. Three threads. Killed by
/// `AskedForEver`.
pub fn everybody_is_served<T: Holds>() {
    explore(2, || {
        let (tank, wake, filled) = (T::new(), Bell::leaked(), Bell::leaked());
        let waits = move || {
            loop {
                let heard = filled.count();
                let (taken, told) = call(tank);
                if told {
                    wake.ring();
                }
                if taken {
                    break;
                }
                filled.wait_past(heard);
            }
        };
        let others = [(); 2].map(|()| thread::spawn(waits));
        let mut heard = 0;
        for _ in 0..2 {
            heard = wake.wait_past(heard);
            tank.extend(1, 10, 0);
            filled.ring();
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

/// The shipped one.
pub struct ShippedTank(Tank);

impl Holds for ShippedTank {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(Tank::new())))
    }

    fn take(&self, n: u64, now: u64) -> Got {
        match self.0.take(n, now) {
            Taken::Enough => Got::Enough,
            Taken::Ask => Got::Ask,
            Taken::Dry => Got::Dry,
        }
    }

    fn ask(&self) -> bool {
        self.0.ask()
    }

    fn left(&self, now: u64) -> u64 {
        self.0.left(now)
    }

    fn empty(&self) -> u64 {
        self.0.empty()
    }

    fn extend(&self, granted: u64, deadline: u64, low: u64) {
        self.0.extend(granted, deadline, low);
    }
}
