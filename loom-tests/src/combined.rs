//! Calls that are charged to several limits or to none.

use core::time::Duration;
use std::sync::Arc;

use loom::thread;

use crate::model::{NoClock, SharedClock, assert_bound, at, explore};
use crate::mutant;
use crate::tidegate::{
    ApiRateLimiter, Combined, Limiter, Quota, RateLimitConfig, SlidingWindow, TokenBucket,
};

/// Nanoseconds per token.
const T: u64 = 1_000;

type Bucket = Arc<TokenBucket<NoClock>>;

/// A bucket that is full at the start of a model, and gains a token every `T`.
fn bucket(burst: u64) -> Bucket {
    let quota = Quota::new(1, Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    Arc::new(TokenBucket::with_clock(quota, NoClock))
}

fn take(bucket: &Bucket, now: u64) -> bool {
    bucket.try_acquire_at(1, at(now)).is_ok()
}

fn left(bucket: &Bucket, now: u64) -> u64 {
    bucket.available_at(at(now))
}

/// Two buckets that others share, and their combination.
struct Pair {
    first: Bucket,
    second: Bucket,
    both: Combined<NoClock>,
}

impl Pair {
    fn new(first: u64, second: u64) -> Arc<Self> {
        let (first, second) = (bucket(first), bucket(second));
        let both = Combined::builder()
            .limit("first", first.clone())
            .limit("second", second.clone())
            .build();
        Arc::new(Self {
            first,
            second,
            both,
        })
    }

    fn admit(&self, now: u64) -> bool {
        self.both.try_acquire_at(1, at(now)).is_ok()
    }
}

/// Two threads with one call each. Kills `assumed_charge`.
///
/// One of two limits has one permit. One call is admitted, and the other has nothing to roll back.
fn race_for_the_last() {
    explore(4, || {
        let pair = Pair::new(3, 1);
        let other = {
            let pair = pair.clone();
            thread::spawn(move || u64::from(pair.admit(7)))
        };
        let mine = u64::from(pair.admit(7));
        assert_eq!(mine + other.join().unwrap(), 1, "admitted for the last one");
        assert_eq!((left(&pair.first, 7), left(&pair.second, 7)), (2, 0));
        assert_eq!(pair.both.forfeited(), 0);
    });
}

/// Two threads with one call each. Kills `kept_charge`.
///
/// One thread takes the permit of the second limit after the first was charged. That charge comes
/// back.
fn refused_by_the_second() {
    explore(4, || {
        // Of equal headroom, so that the first is charged first.
        let pair = Pair::new(1, 1);
        let other = {
            let pair = pair.clone();
            thread::spawn(move || take(&pair.second, 7))
        };
        let admitted = u64::from(pair.admit(7));
        let taken = u64::from(other.join().unwrap());
        assert_eq!(admitted + taken, 1);
        assert_eq!(left(&pair.first, 7), 1 - admitted, "charged in vain");
    });
}

/// Three threads, four calls, an advancing clock. Kills `full_refund_across_limits`.
///
/// A call has charged the first limit. One thread takes from that limit at a later instant, and
/// another takes the permit of the second limit. The charge that is rolled back must not let two
/// calls act at one instant.
fn rollback_across_limits() {
    explore(3, || {
        let pair = Pair::new(1, 1);
        let clock = Arc::new(SharedClock::at(5 * T));
        let both = {
            let (pair, clock) = (pair.clone(), clock.clone());
            thread::spawn(move || {
                let now = clock.now();
                pair.admit(now).then_some((now, 1))
            })
        };
        let second = {
            let pair = pair.clone();
            thread::spawn(move || take(&pair.second, 5 * T))
        };
        clock.advance(T);
        let now = clock.now();
        let mut admitted = Vec::from_iter(take(&pair.first, now).then_some((now, 1)));
        admitted.extend(both.join().unwrap());
        second.join().unwrap();
        let now = clock.latest();
        admitted.extend(take(&pair.first, now).then_some((now, 1)));
        assert_bound(1, T, 0, &admitted);
    });
}

/// Three threads with one call each. Kills `kept_charge`.
///
/// Each permit that left a limit was used by an admitted call, or is counted as forfeited.
fn every_permit_is_counted() {
    explore(3, || {
        let pair = Pair::new(2, 2);
        let others = [(); 2].map(|()| {
            let pair = pair.clone();
            thread::spawn(move || u64::from(pair.admit(7)))
        });
        let taken = u64::from(take(&pair.second, 7));
        let admitted: u64 = others.map(|other| other.join().unwrap()).iter().sum();
        let gone = (2 - left(&pair.first, 7)) + (2 - left(&pair.second, 7));
        let counted = 2 * admitted + taken + pair.both.forfeited();
        assert_eq!(gone, counted, "a permit is lost");
    });
}

/// Two threads, three calls, one of which is undone, then a call of a combination. Kills no mutant:
/// a query and a call that answer differently would keep the call from returning, and
/// `window::query_and_call_agree` has the mutant of that.
///
/// A call returns in a bounded number of steps, also after an undo beside a late rotation.
fn returns_after_an_undo_beside_a_rotation() {
    const SLOT: u64 = 1_000;
    explore(2, move || {
        let window = SlidingWindow::with_clock(3, Duration::from_nanos(4 * SLOT), NoClock);
        let window = Arc::new(window.expect("fits").slots(4));
        let other = {
            let window = window.clone();
            thread::spawn(move || window.try_acquire_at(1, at(8 * SLOT)).is_ok())
        };
        if let Ok(charge) = window.charge_at(1, at(7 * SLOT)) {
            window.undo(charge);
        }
        assert!(window.try_acquire_at(1, at(9 * SLOT)).is_ok());
        other.join().unwrap();
        let combined = Combined::builder().limit("window", window).build();
        let _ = combined.try_acquire_at(1, at(10 * SLOT));
    });
}

/// Two threads with one call each, a minute apart. Kills `assumed_charge`.
///
/// A call to an API limiter has charged the burst. A minute later, when the burst is back, another
/// call takes the only request of the minute. The first call is refused, as its minute includes
/// both.
fn api_call_overtaken_by_a_minute() {
    const MINUTE: u64 = 60_000_000_000;
    fn admit(api: &ApiRateLimiter<NoClock>, minute: u64) -> u64 {
        u64::from(!api.try_acquire_at(at(minute * MINUTE)).is_limited)
    }
    explore(1, || {
        let config = RateLimitConfig {
            requests_per_minute: 1,
            burst_size: 1,
            enable_backoff: false,
            ..RateLimitConfig::DEFAULT
        };
        let api = Arc::new(ApiRateLimiter::with_clock(config, NoClock).expect("valid"));
        let first = {
            let api = api.clone();
            thread::spawn(move || admit(&api, 10))
        };
        let second = admit(&api, 11);
        let admitted = first.join().unwrap() + second;
        assert_eq!(admitted, 1, "admitted in one minute");
        let stats = api.stats_at(at(11 * MINUTE));
        assert_eq!(stats.requests_remaining_minute, 0);
    });
}

mutant::tests! { "combined":
    race_for_the_last { assumed_charge: "admitted for the last one" }
    refused_by_the_second { kept_charge: "charged in vain" }
    rollback_across_limits { full_refund_across_limits: " of " }
    every_permit_is_counted { kept_charge: "a permit is lost" }
    returns_after_an_undo_beside_a_rotation {}
    api_call_overtaken_by_a_minute { assumed_charge: "admitted in one minute" }
}
