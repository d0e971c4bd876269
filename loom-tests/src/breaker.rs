//! The circuit breaker of tidegate-redis.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::redis::breaker::Breaker;

/// Three threads, each with a call that fails. Kills `opened_by_store`, `opened_always`,
/// `same_word_again`.
///
/// The call that opens the breaker probes twice, and closes it. One call probes at a time. Of the
/// calls that were made while the breaker was closed for the same period, one opens it, so no
/// earlier failure counts. In the end it is closed.
fn one_failure_opens() {
    explore(3, || {
        let breaker = leaked(Breaker::new());
        let probing = leaked(AtomicU64::new(0));
        let fails = move || {
            let seen = breaker.check().ok()?;
            if !breaker.open(seen, 10) {
                return None;
            }
            assert_eq!(probing.fetch_add(1, Relaxed), 0, "two probe");
            breaker.postpone(20);
            assert_eq!(breaker.open_until(), Some(20 | 1), "overwritten");
            probing.fetch_sub(1, Relaxed);
            breaker.close(seen);
            Some(seen)
        };
        let others = [(); 2].map(|()| thread::spawn(fails));
        let mut opened = Vec::from_iter(fails());
        for other in others {
            if let Some(seen) = other.join().unwrap() {
                assert!(!opened.contains(&seen), "opened twice from {seen:?}");
                opened.push(seen);
            }
        }
        let last = breaker.check().expect("closed in the end");
        assert!(!opened.contains(&last), "closed as before");
    });
}

mutant::tests! { "breaker":
    one_failure_opens {
        opened_by_store: "overwritten",
        opened_always: "opened twice",
        same_word_again: "opened twice",
    }
}
