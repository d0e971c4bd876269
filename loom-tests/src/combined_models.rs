//! What must hold when a call is charged to several limits or to none, whatever the threads do.

use loom::sync::Arc;
use loom::thread;
use tidegate::{Combined, Limiter, Quota, SlidingWindow, Timestamp, TokenBucket};

use crate::bucket_twin::NoClock;
use crate::{SharedClock, assert_bound, explore};

/// Nanoseconds per token.
const T: u64 = 1_000;

/// A limit that a combination shares with others.
pub type Bucket = std::sync::Arc<TokenBucket<NoClock>>;

/// What the models need of a combination of two limits.
pub trait Pair: Send + Sync + Sized + 'static {
    fn new(first: Bucket, second: Bucket) -> Self;

    fn admit(&self, now: u64) -> bool;

    /// Permits that came back to neither limit.
    fn forfeited(&self) -> u64;
}

/// Full at the start of a model, and refilled by one every `T`.
fn bucket(burst: u64) -> Bucket {
    let quota = Quota::new(1, core::time::Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    std::sync::Arc::new(TokenBucket::with_clock(quota, NoClock))
}

fn take(bucket: &Bucket, now: u64) -> bool {
    bucket.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok()
}

fn left(bucket: &Bucket, now: u64) -> u64 {
    bucket.available_at(Timestamp::from_nanos(now))
}

/// Two callers and two limits with one permit each: one caller is admitted, and the loser has nothing to roll back (G6).
/// Killed by `AssumedCharge`.
pub fn race_for_the_last<P: Pair>() {
    explore(4, || {
        let (first, second) = (bucket(3), bucket(1));
        let pair = Arc::new(P::new(first.clone(), second.clone()));
        let other = {
            let pair = pair.clone();
            thread::spawn(move || u64::from(pair.admit(7)))
        };
        let mine = u64::from(pair.admit(7));
        assert_eq!(mine + other.join().unwrap(), 1, "admitted for the last one");
        assert_eq!((left(&first, 7), left(&second, 7)), (2, 0));
        assert_eq!(pair.forfeited(), 0);
    });
}

/// Somebody else takes what the second limit had, after the first was charged: the charge comes back, as nobody came in
/// between (G6). Two threads. Killed by `KeptCharge`.
pub fn refused_by_the_second<P: Pair>() {
    explore(4, || {
        // With equal headroom the first is charged first.
        let (first, second) = (bucket(1), bucket(1));
        let pair = Arc::new(P::new(first.clone(), second.clone()));
        let taker = {
            let second = second.clone();
            thread::spawn(move || take(&second, 7))
        };
        let admitted = pair.admit(7);
        let taken = taker.join().unwrap();
        assert_eq!(u64::from(admitted) + u64::from(taken), 1);
        assert_eq!(left(&first, 7), 1 - u64::from(admitted), "charged in vain");
    });
}

/// S07: a call is charged to limit 1 and stops; another takes from limit 1 at a later time, and a third one what limit 2 had.
/// The rolled back charge must not let two calls act at one instant (G1). Three threads, an advancing clock. Killed by
/// `FullRefund`.
pub fn rollback_across_limits<P: Pair>() {
    explore(3, || {
        let (first, second) = (bucket(1), bucket(1));
        let pair = Arc::new(P::new(first.clone(), second.clone()));
        let clock = Arc::new(SharedClock::at(5 * T));
        let combined = {
            let (pair, clock) = (pair.clone(), clock.clone());
            thread::spawn(move || {
                let now = clock.now();
                pair.admit(now).then_some((now, 1))
            })
        };
        let taker = {
            let second = second.clone();
            thread::spawn(move || take(&second, 5 * T))
        };
        let mut acts = Vec::new();
        clock.advance(T);
        let now = clock.now();
        acts.extend(take(&first, now).then_some((now, 1)));
        acts.extend(combined.join().unwrap());
        taker.join().unwrap();
        let now = clock.latest();
        acts.extend(take(&first, now).then_some((now, 1)));
        assert_bound(1, T, 0, &acts);
    });
}

/// Every permit that is gone from a limit was used by a call that was admitted, or is counted as forfeited (G6). Three
/// threads. Killed by `KeptCharge`.
pub fn nothing_is_lost<P: Pair>() {
    explore(3, || {
        let (first, second) = (bucket(2), bucket(2));
        let pair = Arc::new(P::new(first.clone(), second.clone()));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let pair = pair.clone();
                thread::spawn(move || u64::from(pair.admit(7)))
            })
            .collect();
        let taken = u64::from(take(&second, 7));
        let admitted: u64 = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum();
        let gone = (2 - left(&first, 7)) + (2 - left(&second, 7));
        assert_eq!(
            gone,
            2 * admitted + taken + pair.forfeited(),
            "a permit is lost"
        );
    });
}

/// A call returns, alone and in a bounded number of steps, also after a charge on a window was undone beside a late rotation. (What
/// would keep it from returning is a window that answers differently when asked and when called: `window::hint_from_the_base`.)
pub fn returns_after_an_undo_beside_a_rotation() {
    const SLOT: u64 = 1_000;
    let at = |slot: u64| Timestamp::from_nanos(slot * SLOT);
    explore(2, move || {
        let length = core::time::Duration::from_nanos(4 * SLOT);
        let window = SlidingWindow::with_clock(3, length, NoClock).expect("fits");
        let window = std::sync::Arc::new(window.slots(4));
        let other = {
            let window = window.clone();
            thread::spawn(move || window.try_acquire_at(1, at(8)).is_ok())
        };
        if let Ok(charge) = window.charge_at(1, at(7)) {
            window.undo(charge);
        }
        assert!(window.try_acquire_at(1, at(9)).is_ok());
        other.join().unwrap();
        let combined = Combined::builder().limit("window", window).build();
        let _ = combined.try_acquire_at(1, at(10));
    });
}
