//! What must hold for a token bucket's word, whatever the threads do.

use loom::sync::Arc;
use loom::thread;
use tidegate::Quota;

use crate::{SharedClock, assert_bound, explore};

/// Nanoseconds per token in most models.
const T: u64 = 1_000;

/// What the models need of a bucket; times in nanoseconds.
pub trait Bucket: Send + Sync + Sized + 'static {
    type Charge;

    /// How many times the mark is raised in half a circle.
    const RAISES: u64;

    fn new(quota: Quota) -> Self;

    /// Takes `n` with a wait of at most `max_wait`; returns what undoes it and from when it may be used.
    fn reserve(&self, n: u64, now: u64, max_wait: u64) -> Option<(Self::Charge, u64)>;

    fn undo(&self, charge: Self::Charge) -> bool;

    fn credit(&self, n: u64, now: u64);

    fn admit(&self, n: u64, now: u64) -> bool {
        self.reserve(n, now, 0).is_some()
    }

    /// Reserves, does something else, and cancels before the time has come; returns whether the place came back.
    fn reserve_and_cancel(&self, n: u64, now: u64, max_wait: u64, later: impl Fn()) -> bool {
        match self.reserve(n, now, max_wait) {
            Some((charge, _)) => {
                later();
                self.undo(charge)
            }
            None => false,
        }
    }
}

fn quota(burst: u64) -> Quota {
    Quota::new(1, core::time::Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable")
}

/// Two threads with two calls each at one instant: exactly the burst is admitted (G1, G2). Killed by `LostUpdate`.
pub fn exact_total<B: Bucket>() {
    explore(4, || {
        let bucket = Arc::new(B::new(quota(3)));
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || u64::from(bucket.admit(1, 7)) + u64::from(bucket.admit(1, 7)))
        };
        let mine = u64::from(bucket.admit(1, 7)) + u64::from(bucket.admit(1, 7));
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

/// Two threads and an advancing clock: a charge whose reading is stale when it lands neither moves the TAT back nor loses
/// another's charge (G1). Killed by `StaleRebase`.
pub fn stale_reader<B: Bucket>() {
    explore(4, || {
        let bucket = Arc::new(B::new(quota(3)));
        let clock = Arc::new(SharedClock::at(5 * T));
        let other = {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || {
                let now = clock.now();
                bucket.admit(1, now).then_some((now, 1))
            })
        };
        let mut admitted = Vec::new();
        clock.advance(T);
        let now = clock.now();
        admitted.extend(bucket.admit(1, now).then_some((now, 1)));
        admitted.extend(other.join().unwrap());
        assert_eq!(admitted.len(), 2, "three were there, and one was refused");
        // All that is left.
        let now = clock.latest();
        while bucket.admit(1, now) {
            admitted.push((now, 1));
        }
        assert_bound(3, T, 0, &admitted);
    });
}

/// Three threads with one call each, the clock advancing by less than a token (G1, G2). Killed by `LostUpdate`.
pub fn three_threads<B: Bucket>() {
    explore(3, || {
        let bucket = Arc::new(B::new(quota(1)));
        let clock = Arc::new(SharedClock::at(5 * T));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (bucket, clock) = (bucket.clone(), clock.clone());
                thread::spawn(move || {
                    let now = clock.now();
                    bucket.admit(1, now).then_some((now, 1))
                })
            })
            .collect();
        clock.advance(T - 1);
        let now = clock.now();
        let mut admitted = Vec::new();
        admitted.extend(bucket.admit(1, now).then_some((now, 1)));
        for thread in threads {
            admitted.extend(thread.join().unwrap());
        }
        assert!(!admitted.is_empty(), "the first caller was refused");
        assert_bound(1, T, 0, &admitted);
    });
}

/// S01: one reservation is cancelled while others are made; everything that acts keeps to the bound (G1, G8). Killed by
/// `FullRefund`.
pub fn cancel<B: Bucket>() {
    explore(4, || {
        let bucket = Arc::new(B::new(quota(1)));
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let mut acts = Vec::new();
                for _ in 0..2 {
                    acts.extend(bucket.reserve(1, 5 * T, 10 * T).map(|(_, at)| (at, 1)));
                }
                acts
            })
        };
        // It may give its place back; it must not act, and nobody may act on its place twice.
        bucket.reserve_and_cancel(1, 5 * T, 10 * T, || {});
        let mut acts = other.join().unwrap();
        acts.extend(bucket.reserve(1, 5 * T, 10 * T).map(|(_, at)| (at, 1)));
        assert_eq!(acts.len(), 3, "a reservation was refused");
        assert_bound(1, T, 0, &acts);
    });
}

/// A rollback beside charges at an advancing clock: S07 on one limit. Killed by `FullRefund`.
pub fn rollback<B: Bucket>() {
    explore(4, || {
        let bucket = Arc::new(B::new(quota(1)));
        let clock = Arc::new(SharedClock::at(5 * T));
        let rolled_back = {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || {
                let now = clock.now();
                if let Some((charge, _)) = bucket.reserve(1, now, 0) {
                    bucket.undo(charge);
                }
            })
        };
        let mut admitted = Vec::new();
        for step in [T, 0] {
            clock.advance(step);
            let now = clock.now();
            admitted.extend(bucket.admit(1, now).then_some((now, 1)));
        }
        rolled_back.join().unwrap();
        let now = clock.now();
        admitted.extend(bucket.admit(1, now).then_some((now, 1)));
        assert_bound(1, T, 0, &admitted);
    });
}

/// A credit beside a cancel, which it can fool by bringing an old TAT back: the bound with the credits holds. Killed by
/// `LostCredit`.
pub fn credit_and_cancel<B: Bucket>() {
    explore(4, || {
        let bucket = Arc::new(B::new(quota(2)));
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let admitted = bucket.admit(1, 5 * T);
                if admitted {
                    bucket.credit(1, 5 * T);
                }
                u64::from(admitted)
            })
        };
        let mut acts = Vec::new();
        acts.extend(bucket.admit(1, 5 * T).then_some((5 * T, 1)));
        bucket.reserve_and_cancel(1, 5 * T, 10 * T, || {});
        let credited = other.join().unwrap();
        if credited == 1 {
            acts.push((5 * T, 1));
        }
        // Everything that is left, at this instant and later.
        for now in [5 * T, 5 * T, 5 * T, 6 * T, 6 * T] {
            acts.extend(bucket.admit(1, now).then_some((now, 1)));
        }
        assert_bound(2, T, credited, &acts);
    });
}

/// 10^12 per second: 1 000 grains per nanosecond, so that half a circle of grains is 106 days, and the mark is raised every 6.
const FAST: Quota = Quota::per_second(1_000_000_000_000);
const HALF_CIRCLE: u64 = (1 << 63) / 1_000;

/// Runs what another thread does while the mark is raised through half a circle. Where that takes more raises than loom
/// remembers stores, it is not interrupted: sixteen raises by two threads in every order would take minutes.
fn through_half_a_circle<B: Bucket, R>(work: impl FnOnce() -> R) -> R {
    const FEW: u64 = 4;
    if B::RAISES <= FEW {
        return work();
    }
    loom::stop_exploring();
    let result = work();
    loom::explore();
    result
}

/// A bucket that was drained long ago, and whose time has come up to the last two steps of the mark before `now`.
fn drained_long_ago<B: Bucket>(now: u64) -> Arc<B> {
    let bucket = B::new(FAST);
    assert!(bucket.admit(FAST.capacity(), 0));
    // Gives nothing back, as it is full, and brings the mark up while there is but one thread.
    bucket.credit(1, now - HALF_CIRCLE / B::RAISES);
    Arc::new(bucket)
}

/// A bucket that was drained, and then idle for longer than its word can tell, is full for whoever comes first, and once
/// (G2, G10). Two threads. Killed by `UnraisedTat`.
pub fn idle_for_half_a_circle<B: Bucket>() {
    explore(2, || {
        // Here the drained TAT, taken as it stands, looks like a debt.
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = drained_long_ago::<B>(now);
        let all = FAST.capacity();
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.admit(all, now))
        };
        let mine = bucket.admit(all, now);
        assert_eq!(u64::from(mine) + u64::from(other.join().unwrap()), 1);
    });
}

/// A thread whose reading is half a circle old must not take the newest TAT for an ancient one (G1). Two threads. Killed by
/// `UnclampedReading`.
pub fn reading_of_half_a_circle_ago<B: Bucket>() {
    explore(2, || {
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = drained_long_ago::<B>(now);
        let all = FAST.capacity();
        let stale = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.admit(all, 0))
        };
        let mine = bucket.admit(all, now);
        let stale = stale.join().unwrap();
        // Time stands still where the mark is, and there the bucket was full; but once.
        assert!(mine || stale);
        assert!(
            !bucket.admit(all, 0),
            "{all} were taken, and none came back"
        );
    });
}

/// While somebody only looks at a bucket that has been idle for longer than its word can tell, whoever comes is served: the
/// look raises the TAT and the mark many times, and a TAT from before must not be judged by a mark from after (G2, G10). Two
/// threads. Killed by `UnconfirmedRefusal` and `RelaxedMark`.
pub fn looked_at_after_half_a_circle<B: Bucket>() {
    explore(1, || {
        let now = HALF_CIRCLE + 2_000_000_000;
        let bucket = Arc::new(B::new(FAST));
        assert!(bucket.admit(FAST.capacity(), 0));
        let caller = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.admit(FAST.capacity(), now))
        };
        through_half_a_circle::<B, _>(|| bucket.credit(1, now));
        let admitted = caller.join().unwrap();
        assert!(admitted, "a full bucket refused");
    });
}

/// A bucket is drained half a circle later while somebody holds a reading from before: neither does he take the new TAT, with a
/// mark from before, for an ancient one and put it back (G1), nor does a refusal come from an old TAT with a new mark (G2). Two
/// threads. Killed by `RelaxedWord` and `UnclampedReading`.
pub fn drained_half_a_circle_later<B: Bucket>() {
    explore(2, || {
        // The new TAT is more than half a circle ahead of the old reading, and one that was put back less than half of one behind
        // the new reading.
        let now = HALF_CIRCLE + 500_000_000;
        let all = FAST.capacity();
        let bucket = Arc::new(B::new(FAST));
        assert!(bucket.admit(all, 0));
        let stale = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.admit(all, 1))
        };
        let drained = through_half_a_circle::<B, _>(|| bucket.admit(all, now));
        stale.join().unwrap();
        // If time stood still for the stale caller where the bucket had just been brought up, it was full for him.
        assert!(drained, "a full bucket refused");
        assert!(!bucket.admit(all, now), "what was taken came back");
    });
}
