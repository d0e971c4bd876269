//! Until when the permits of a node are its own, in tidegate-redis.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::redis::hold_deadline::HoldDeadline;

/// Three threads: the holder looks twice, the task extends the hold, the clock passes the deadline.
/// Kills `silent_reader`, `stored_extension`, `late_extension`.
///
/// A holder that has found its permits lost never finds them held again, and the task does not
/// think that they are.
fn lost_permits_stay_lost() {
    explore(3, || {
        let hold = leaked(HoldDeadline::until(10));
        let clock = leaked(AtomicU64::new(5));
        let holder = thread::spawn(move || {
            let first = hold.get(clock.load(Relaxed));
            let second = hold.get(clock.load(Relaxed));
            assert!(first.is_some() || second.is_none(), "held again");
            second
        });
        let task = thread::spawn(move || {
            let now = clock.load(Relaxed);
            let is_held = hold.extend(20, now);
            assert!(!is_held || now < 10, "extended too late");
            is_held
        });
        clock.store(15, Relaxed);
        let (seen, extended) = (holder.join().unwrap(), task.join().unwrap());
        assert!(seen.is_some() || !extended, "lost to the holder only");
        assert_eq!(hold.get(16).is_some(), extended, "after all");
    });
}

mutant::tests! { "hold_deadline":
    lost_permits_stay_lost {
        silent_reader: "lost to the holder only",
        stored_extension: "lost to the holder only",
        late_extension: "extended too late",
    }
}
