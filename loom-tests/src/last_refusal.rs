//! The last refusal of a server that tidegate-redis remembers.

use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::redis::last_refusal::LastRefusal;

/// Two threads, one with two refusals, one with two queries. Kills `until_first`,
/// `unpublished_cost`, `relaxed_reading`.
///
/// The server refuses one permit until 10, then five until 20. No caller learns that one permit is
/// refused until 20.
fn no_hint_is_too_long() {
    explore(3, || {
        let refusal = leaked(LastRefusal::new());
        refusal.set(1, 10);
        let query = thread::spawn(move || {
            let until = refusal.until(1);
            assert!(until.is_none_or(|until| until <= 10), "until {until:?}");
            refusal.until(5)
        });
        refusal.set(5, 20);
        let five = query.join().unwrap();
        assert!(five == Some(10) || five == Some(20), "{five:?} of five");
        assert_eq!((refusal.until(4), refusal.until(5)), (None, Some(20)));
    });
}

mutant::tests! { "last_refusal":
    no_hint_is_too_long {
        until_first: "until Some(20)",
        unpublished_cost: "until Some(20)",
        relaxed_reading: "until Some(20)",
    }
}
