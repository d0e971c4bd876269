//! What must hold for what was admitted without the server, whatever calls do.

use loom::thread;

use crate::explore;
use crate::owed::Owed;

pub trait Owes: Send + Sync + Sized + 'static {
    fn new() -> &'static Self;

    fn add(&self, cost: u64);

    /// Sends what is owed. How much that was.
    fn send(&self, arrives: bool) -> u64;
}

/// Two add, while one call reports and another does not arrive: what was reported and what is still owed is what was added. Four
/// threads. Killed by `AddedByStore`, `TakenByStore`, `Forgotten` and `KeptWhenReported`.
pub fn reported_once<O: Owes>() {
    explore(3, || {
        let owed = O::new();
        owed.add(4);
        let fails = thread::spawn(move || {
            owed.send(false);
        });
        let adds = thread::spawn(move || owed.add(1));
        let reports = thread::spawn(move || owed.send(true));
        owed.add(2);
        fails.join().unwrap();
        adds.join().unwrap();
        let reported = reports.join().unwrap();
        assert_eq!(reported + owed.send(true), 7);
        assert_eq!(owed.send(true), 0);
    });
}

/// The shipped one.
pub struct ShippedOwed(Owed);

impl Owes for ShippedOwed {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(Owed::new(1))))
    }

    fn add(&self, cost: u64) {
        self.0.add(&[cost]);
    }

    fn send(&self, arrives: bool) -> u64 {
        let taken = self.0.take();
        let cost = taken.get(0);
        if arrives {
            taken.reported();
        }
        cost
    }
}
