//! The word and the epoch of a token bucket.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{NoClock, SharedClock, assert_bound, at, explore};
use crate::mutant;
use crate::tidegate::{Limiter, Quota, TokenBucket};

type Bucket = TokenBucket<NoClock>;

/// Nanoseconds per token in most models.
const T: u64 = 1_000;

fn bucket(burst: u64) -> Arc<Bucket> {
    let quota = Quota::new(1, Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    Arc::new(Bucket::with_clock(quota, NoClock))
}

fn admit(bucket: &Bucket, n: u64, now: u64) -> bool {
    bucket.charge_at(n, at(now)).is_ok()
}

/// Admits one; returns it as an event.
fn event(bucket: &Bucket, now: u64) -> Option<(u64, u64)> {
    admit(bucket, 1, now).then_some((now, 1))
}

/// Reserves one with a wait of at most `10 * T`; returns the event of its use.
fn reserve(bucket: &Bucket, now: u64) -> Option<(u64, u64)> {
    let reservation = bucket.reserve_at(1, Duration::from_nanos(10 * T), at(now));
    let reservation = reservation.ok()?;
    let ready_at = reservation.ready_at().as_nanos();
    reservation.commit();
    Some((ready_at, 1))
}

fn reserve_and_cancel(bucket: &Bucket, now: u64) {
    let reservation = bucket.reserve_at(1, Duration::from_nanos(10 * T), at(now));
    reservation.expect("a short wait").cancel_at(at(now));
}

/// Two threads with two calls each. Kills `lost_update`.
///
/// At one instant, exactly the burst is admitted.
fn exact_total() {
    explore(4, || {
        let bucket = bucket(3);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || u64::from(admit(&bucket, 1, 7)) + u64::from(admit(&bucket, 1, 7)))
        };
        let mine = u64::from(admit(&bucket, 1, 7)) + u64::from(admit(&bucket, 1, 7));
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

/// Two threads with one call each and an advancing clock. Kills `stale_rebase`.
///
/// A charge with a stale reading neither moves the TAT back nor loses another charge.
fn stale_reader() {
    explore(4, || {
        let bucket = bucket(3);
        let clock = Arc::new(SharedClock::at(5 * T));
        let other = {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || event(&bucket, clock.now()))
        };
        clock.advance(T);
        let mut admitted = Vec::from_iter(event(&bucket, clock.now()));
        admitted.extend(other.join().unwrap());
        assert_eq!(
            admitted.len(),
            2,
            "one call was refused one of three tokens"
        );
        // Takes the rest.
        let now = clock.latest();
        while let Some(event) = event(&bucket, now) {
            admitted.push(event);
        }
        assert_bound(3, T, 0, &admitted);
    });
}

/// Three threads with one call each. Kills `lost_update`.
///
/// The clock advances by less than a token.
fn three_threads() {
    explore(3, || {
        let bucket = bucket(1);
        let clock = Arc::new(SharedClock::at(5 * T));
        let others = [(); 2].map(|()| {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || event(&bucket, clock.now()))
        });
        clock.advance(T - 1);
        let mut admitted = Vec::from_iter(event(&bucket, clock.now()));
        for other in others {
            admitted.extend(other.join().unwrap());
        }
        assert!(!admitted.is_empty(), "the first call was refused");
        assert_bound(1, T, 0, &admitted);
    });
}

/// Two threads, three reservations and one that is canceled. Kills `full_refund`.
///
/// The reservations that are used keep to the bound.
fn cancel() {
    explore(4, || {
        let bucket = bucket(1);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || [reserve(&bucket, 5 * T), reserve(&bucket, 5 * T)])
        };
        reserve_and_cancel(&bucket, 5 * T);
        let mut uses = Vec::from_iter(other.join().unwrap().into_iter().flatten());
        uses.extend(reserve(&bucket, 5 * T));
        assert_eq!(uses.len(), 3, "a reservation was refused");
        assert_bound(1, T, 0, &uses);
    });
}

/// Two threads, four calls, one of which is undone, and an advancing clock. Kills `full_refund`.
fn rollback() {
    explore(4, || {
        let bucket = bucket(1);
        let clock = Arc::new(SharedClock::at(5 * T));
        let undone = {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || {
                if let Ok(charge) = bucket.charge_at(1, at(clock.now())) {
                    Limiter::undo(&*bucket, charge);
                }
            })
        };
        let mut admitted = Vec::new();
        for step in [T, 0] {
            clock.advance(step);
            admitted.extend(event(&bucket, clock.now()));
        }
        undone.join().unwrap();
        admitted.extend(event(&bucket, clock.now()));
        assert_bound(1, T, 0, &admitted);
    });
}

/// Two threads, one with a credit, one with a reservation that is canceled. Kills `lost_credit`.
///
/// A credit can bring an old TAT back, which a cancel takes for the one it left. The bound with the
/// credits holds.
fn credit_and_cancel() {
    explore(4, || {
        let bucket = bucket(2);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let admitted = event(&bucket, 5 * T);
                if admitted.is_some() {
                    bucket.credit_at(1, at(5 * T));
                }
                admitted
            })
        };
        let mut admitted = Vec::from_iter(event(&bucket, 5 * T));
        reserve_and_cancel(&bucket, 5 * T);
        let credited = other.join().unwrap();
        admitted.extend(credited);
        // Takes the rest, at this instant and later.
        for now in [5 * T, 5 * T, 5 * T, 6 * T, 6 * T] {
            admitted.extend(event(&bucket, now));
        }
        assert_bound(2, T, u64::from(credited.is_some()), &admitted);
    });
}

/// 10^12 tokens per second: 1 000 grains per nanosecond, so that half a circle of grains is 106
/// days.
const FAST: Quota = Quota::per_second(1_000_000_000_000);
const ALL: u64 = FAST.capacity();
const HALF_CIRCLE: u64 = (1 << 63) / 1_000;

fn has_long_epochs() -> bool {
    mutant::is("bucket::long_epochs")
}

/// How many times the epoch advances in half a circle.
fn epochs() -> u64 {
    if has_long_epochs() { 4 } else { 16 }
}

/// Runs what advances the epoch through half a circle. With shipped epochs no other thread
/// interrupts it: loom does not remember as many stores, and sixteen advances by two threads in
/// every order would take minutes.
fn through_half_a_circle<R>(work: impl FnOnce() -> R) -> R {
    if has_long_epochs() {
        return work();
    }
    loom::stop_exploring();
    let result = work();
    loom::explore();
    result
}

fn drained() -> Arc<Bucket> {
    let bucket = Bucket::with_clock(FAST, NoClock);
    assert!(admit(&bucket, ALL, 0));
    Arc::new(bucket)
}

/// A bucket that was drained long ago, with an epoch that is two advances before `now`.
fn drained_long_ago(now: u64) -> Arc<Bucket> {
    let bucket = drained();
    // Adds nothing to a full bucket, but advances the epoch while there is one thread.
    bucket.credit_at(1, at(now - HALF_CIRCLE / epochs()));
    bucket
}

/// Two threads with one call each. Kills `unraised_tat`.
///
/// A bucket that was idle for longer than its word can tell is full, once.
fn idle_for_half_a_circle() {
    explore(2, || {
        // At this instant the drained TAT, unless it was raised, seems to be a debt.
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = drained_long_ago(now);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, ALL, now))
        };
        let mine = admit(&bucket, ALL, now);
        assert_eq!(u64::from(mine) + u64::from(other.join().unwrap()), 1);
    });
}

/// Two threads with one call each. Kills `unclamped_reading`.
///
/// A thread whose reading is half a circle old does not take the newest TAT for an ancient one.
fn reading_of_half_a_circle_ago() {
    explore(2, || {
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = drained_long_ago(now);
        let stale = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, ALL, 0))
        };
        let mine = admit(&bucket, ALL, now);
        let stale = stale.join().unwrap();
        // The stale reading is clamped to the epoch, where the bucket was full; but once.
        assert!(mine || stale);
        assert!(
            !admit(&bucket, ALL, 0),
            "{ALL} were taken, and none came back"
        );
    });
}

/// Two threads, one with a call, one with a credit that adds nothing. Its mutants need long epochs,
/// with which loom explores all of it.
///
/// The credit advances the TAT and the epoch many times. The call must not judge a TAT from before
/// by an epoch from after.
fn credit_after_half_a_circle() {
    explore(1, || {
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = drained();
        let caller = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, ALL, now))
        };
        through_half_a_circle(|| bucket.credit_at(1, at(now)));
        assert!(caller.join().unwrap(), "a full bucket refused");
    });
}

/// Two threads, one with a call, one with a credit that adds nothing. Kills `unconfirmed_refusal`,
/// `relaxed_epoch`.
fn credit_after_half_a_circle_of_long_epochs() {
    mutant::with("bucket::long_epochs", credit_after_half_a_circle);
}

/// Two threads with one call each. Its mutants need long epochs, with which loom explores all of
/// it.
///
/// One thread drains the bucket half a circle after the reading of the other. The stale thread must
/// not judge the new TAT by an old epoch, or it takes the TAT for an ancient one and puts it back.
/// A refusal must not come from an old TAT and a new epoch.
fn drained_half_a_circle_later() {
    explore(2, || {
        // The new TAT is more than half a circle ahead of the old reading. One that was put back is
        // less than half a circle behind the new reading.
        let now = HALF_CIRCLE + 500_000_000;
        let bucket = drained();
        let stale = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, ALL, 1))
        };
        let drained = through_half_a_circle(|| admit(&bucket, ALL, now));
        stale.join().unwrap();
        // If the stale reading was clamped to an epoch on the way, the bucket was full at that
        // epoch.
        assert!(drained, "a full bucket refused");
        assert!(!admit(&bucket, ALL, now), "what was taken came back");
    });
}

/// Two threads with one call each. Kills `relaxed_word`, `unpublished_word`, `unclamped_reading`.
fn drained_half_a_circle_of_long_epochs_later() {
    mutant::with("bucket::long_epochs", drained_half_a_circle_later);
}

mutant::tests! { "bucket":
    exact_total { lost_update: "left == right" }
    stale_reader { stale_rebase: " of " }
    three_threads { lost_update: " of " }
    cancel { full_refund: " of " }
    rollback { full_refund: " of " }
    credit_and_cancel { lost_credit: " of " }
    idle_for_half_a_circle { unraised_tat: "left == right", long_epochs: passes }
    reading_of_half_a_circle_ago { unclamped_reading: "none came back", long_epochs: passes }
    credit_after_half_a_circle {}
    credit_after_half_a_circle_of_long_epochs {
        unconfirmed_refusal: "a full bucket refused",
        relaxed_epoch: "a full bucket refused",
    }
    drained_half_a_circle_later {}
    drained_half_a_circle_of_long_epochs_later {
        relaxed_word: "came back",
        unpublished_word: "came back",
        unclamped_reading: "came back",
    }
}
