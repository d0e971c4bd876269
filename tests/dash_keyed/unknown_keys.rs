//! Keys that the map does not hold.

use alloc::rc::Rc;
use core::cell::Cell;
use core::time::Duration;

use tidegate::{Denied, ManualClock};

use crate::{SECOND, Sessions, limits, session};

const UNKNOWN: Denied = Denied::Never { capacity: 0 };

/// An unknown key has nothing, and adds nothing.
#[test]
fn unknown_keys_are_refused() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    assert_eq!(limits.try_acquire("eve", 1), Err(UNKNOWN));
    assert_eq!(limits.peek("eve", 1), Err(UNKNOWN));
    assert_eq!(limits.acquire("eve", 1).wait(), Err(UNKNOWN));
    assert_eq!(
        (limits.available("eve"), limits.wait_time("eve", 1)),
        (0, None)
    );
    let snapshot = limits.snapshot_at("eve", limits.now());
    assert_eq!((snapshot.capacity, snapshot.available), (0, 0));
    assert_eq!((snapshot.limit, snapshot.next_permit_in), (None, None));
    assert_eq!(snapshot.refill_time, Duration::ZERO);
    // No permits are nothing to refuse.
    assert_eq!(limits.try_acquire("eve", 0), Ok(()));
    assert_eq!(limits.peek("eve", 0), Ok(()));
    assert!(sessions.is_empty());

    sessions.insert("eve".into(), session(1, &clock));
    assert_eq!(limits.try_acquire("eve", 1), Ok(()));
    sessions.remove("eve");
    assert_eq!(limits.try_acquire("eve", 1), Err(UNKNOWN));
}

/// A key is added by the first call that is admitted, and by nothing else.
#[test]
fn admitted_calls_add_keys() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let made = Rc::new(Cell::new(0));
    let limits = limits(&sessions, &clock).or_insert_with(|name: &String| {
        made.set(made.get() + 1);
        session(name.len() as u64, &clock)
    });
    assert_eq!(
        (limits.available("eve"), limits.peek("eve", 3)),
        (3, Ok(()))
    );
    assert_eq!(limits.wait_time("eve", 4), None);
    assert_eq!(limits.snapshot_at("eve", limits.now()).capacity, 3);
    assert_eq!(
        limits.try_acquire("eve", 4),
        Err(Denied::Never { capacity: 3 })
    );
    assert_eq!(limits.try_acquire("eve", 0), Ok(()));
    assert!(sessions.is_empty());
    assert_eq!(made.get(), 5);

    assert_eq!(limits.try_acquire("eve", 2), Ok(()));
    assert_eq!((sessions.len(), made.get()), (1, 6));
    assert_eq!((limits.available("eve"), made.get()), (1, 6));
    assert_eq!(limits.acquire("frank", 5).wait(), Ok(()));
    assert_eq!((sessions.len(), limits.available("frank")), (2, 0));
    let refused = limits.acquire("frank", 1).timeout(Duration::ZERO).wait();
    let retry_after = SECOND.into();
    assert_eq!(refused, Err(Denied::NotYet { retry_after }));
}

/// The function decides which keys are added.
#[test]
fn keys_that_stay_unknown() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock).or_insert_with(|name: &String| {
        // No lock is held.
        (sessions.len() < 2 && name != "eve").then(|| session(1, &clock))
    });
    assert_eq!(limits.try_acquire("eve", 1), Err(UNKNOWN));
    assert_eq!(limits.acquire("eve", 1).wait(), Err(UNKNOWN));
    for (name, outcome) in [("a", Ok(())), ("b", Ok(())), ("c", Err(UNKNOWN))] {
        assert_eq!(limits.try_acquire(name, 1), outcome, "{name}");
    }
    assert_eq!(sessions.len(), 2);
}

/// A function that panics adds nothing.
#[test]
fn function_that_panics() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock).or_insert_with(|name: &String| {
        assert_ne!(name, "eve");
        session(1, &clock)
    });
    let call = || limits.try_acquire("eve", 1);
    assert!(std::panic::catch_unwind(core::panic::AssertUnwindSafe(call)).is_err());
    assert_eq!(limits.try_acquire("alice", 1), Ok(()));
    assert_eq!(sessions.len(), 1);
}
