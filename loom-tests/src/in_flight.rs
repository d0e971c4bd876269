//! Permits on what is done at the same time.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::model::explore;
use crate::mutant;
use crate::tidegate::InFlight;

/// What only the holder of a permit touches.
struct Changed(UnsafeCell<()>);

/// Does something with a permit, and asserts that not more than `limit` do. The count of those who
/// do is Relaxed, so that only permits order them. Returns whether there was a permit.
fn work(permits: &InFlight, at_work: &AtomicU64, limit: u64) -> bool {
    let Ok(permit) = permits.try_acquire() else {
        return false;
    };
    let others = at_work.fetch_add(1, Relaxed);
    assert!(others < limit, "{} of {limit} at work", others + 1);
    at_work.fetch_sub(1, Relaxed);
    drop(permit);
    true
}

/// Three threads that work twice, once and once. Kills `stored_count`.
fn never_more_at_work() {
    for limit in [1, 2] {
        explore(2, move || {
            let (permits, at_work) = (InFlight::new(limit), Arc::new(AtomicU64::new(0)));
            let others = [(); 2].map(|()| {
                let (permits, at_work) = (permits.clone(), at_work.clone());
                thread::spawn(move || work(&permits, &at_work, limit))
            });
            work(&permits, &at_work, limit);
            work(&permits, &at_work, limit);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(permits.in_flight(), 0, "permits are lost");
        });
    }
}

/// Two threads that change one thing with the only permit. Kills `relaxed_take`,
/// `relaxed_return`.
fn holders_see_each_other() {
    explore(3, || {
        let permits = InFlight::new(1);
        // Loom fails the model if an access does not come after the one before.
        let thing = Arc::new(Changed(UnsafeCell::new(())));
        let change = |permits: &InFlight, thing: &Changed| {
            if let Ok(permit) = permits.try_acquire() {
                thing.0.with_mut(|_| ());
                drop(permit);
            }
        };
        let other = {
            let (permits, thing) = (permits.clone(), thing.clone());
            thread::spawn(move || change(&permits, &thing))
        };
        change(&permits, &thing);
        other.join().unwrap();
    });
}

/// Two threads beside a permit that stays out. Kills `strict_limit`.
///
/// Of two permits, one is there for each of the two, unless the other has it.
fn refused_only_when_all_are_out() {
    explore(3, || {
        let permits = InFlight::new(3);
        let stays = permits.try_acquire().expect("room");
        let other = {
            let permits = permits.clone();
            thread::spawn(move || permits.try_acquire().is_ok())
        };
        let mine = permits.try_acquire();
        assert!(mine.is_ok() && other.join().unwrap(), "a false refusal");
        drop(stays);
    });
}

mutant::tests! { "in_flight":
    never_more_at_work {
        stored_count: "permits are lost",
    }
    holders_see_each_other {
        relaxed_take: "Causality violation",
        relaxed_return: "Causality violation",
    }
    refused_only_when_all_are_out { strict_limit: "a false refusal" }
}
