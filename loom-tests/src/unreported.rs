//! Charges that tidegate-redis made without the server, until the server counts them.

use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::redis::unreported::UnreportedCharges;

/// Sends a report, and returns its cost.
fn send(charges: &UnreportedCharges, arrives: bool) -> u64 {
    let report = charges.take_report();
    let cost = report.get(0);
    if arrives {
        report.confirm();
    }
    cost
}

/// Four threads: two add, one sends a report that arrives, one a report that does not. Kills
/// `added_by_store`, `taken_by_store`, `forgotten`, `kept_when_confirmed`.
///
/// The reported and the unreported charges are those that were added.
fn reported_once() {
    explore(3, || {
        let charges = leaked(UnreportedCharges::new(1));
        charges.add(&[4]);
        let fails = thread::spawn(move || send(charges, false));
        let adds = thread::spawn(move || charges.add(&[1]));
        let reports = thread::spawn(move || send(charges, true));
        charges.add(&[2]);
        fails.join().unwrap();
        adds.join().unwrap();
        let reported = reports.join().unwrap();
        assert_eq!(reported + send(charges, true), 7);
        assert_eq!(send(charges, true), 0);
    });
}

mutant::tests! { "unreported":
    reported_once {
        added_by_store: "left == right",
        taken_by_store: "left == right",
        forgotten: "left == right",
        kept_when_confirmed: "left == right",
    }
}
