//! Decisions of single calls, against the same limits on their own.

use alloc::sync::Arc;
use core::time::Duration;

use proptest::prelude::*;
use tidegate::{Limiter, ManualClock, Quota, Shadow, ShadowCounts, SlidingWindow, TokenBucket};

use crate::{bucket, counts};

#[test]
fn each_pair_of_decisions_has_its_count() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(5, &clock), bucket(3, &clock));
    assert!(limit.try_acquire(3).is_ok());
    assert_eq!(counts(limit.stats()), [1, 0, 0, 0]);
    assert!(limit.try_acquire(2).is_ok()); // the candidate has none left
    assert_eq!(counts(limit.stats()), [1, 1, 0, 0]);
    assert!(limit.try_acquire(1).is_err());
    assert_eq!(counts(limit.stats()), [1, 1, 0, 1]);
    // A call that the candidate refused has not taken its tokens.
    clock.advance(Duration::from_secs(2));
    assert_eq!(limit.candidate().available(), 2);
    assert!(limit.try_acquire(3).is_err());
    assert_eq!(counts(limit.stats()), [1, 1, 0, 2]);
    let looser = Shadow::beside(bucket(1, &clock), bucket(3, &clock));
    assert!(looser.try_acquire(2).is_err());
    assert!(looser.try_acquire(3).is_err());
    // It was charged for neither, because neither happened.
    assert_eq!(counts(looser.stats()), [0, 0, 2, 0]);
    assert_eq!(looser.stats().calls(), 2);
}

#[test]
fn replacement_is_charged_for_what_it_admits() {
    let clock = ManualClock::new();
    let looser = Shadow::instead(bucket(1, &clock), bucket(3, &clock));
    assert!(looser.try_acquire(2).is_err());
    assert!(looser.try_acquire(2).is_err());
    assert!(looser.try_acquire(1).is_ok());
    assert!(looser.try_acquire(1).is_err());
    assert_eq!(counts(looser.stats()), [1, 0, 1, 2]);
    let stats = looser.stats();
    assert_eq!((stats.admitted(), stats.refused()), (1, 3));
    assert_eq!(
        (stats.candidate_admitted(), stats.candidate_refused()),
        (2, 2)
    );
}

#[test]
fn queries_ask_the_live_limit_and_count_nothing() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(5, &clock), bucket(3, &clock));
    assert!(limit.try_acquire(2).is_ok());
    let (before, now) = (limit.stats(), limit.now());
    assert_eq!(limit.peek(3), Ok(()));
    assert_eq!(limit.peek(4), limit.live().peek(4));
    assert_eq!((limit.available(), limit.capacity()), (3, 5));
    assert_eq!(limit.wait_time_at(5, now), Some(Duration::from_secs(2)));
    assert_eq!(limit.snapshot_at(now), limit.live().snapshot_at(now));
    assert_eq!(limit.refill_time(), Duration::from_secs(5));
    assert!(limit.try_acquire(0).is_ok());
    assert_eq!(limit.stats(), before);
    // Evicted only if nothing is lost: the candidate refills in 3 s, the live limit in 5 s.
    clock.advance(Duration::from_secs(2));
    assert!(limit.is_unused_at(limit.now()));
    let candidate_in_use = Shadow::beside(bucket(1, &clock), bucket(3, &clock));
    candidate_in_use
        .candidate()
        .try_acquire(1)
        .expect("it is full");
    assert!(!candidate_in_use.is_unused_at(limit.now()));
}

#[test]
fn undo_undoes_both_and_the_count() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(5, &clock), bucket(3, &clock));
    let now = limit.now();
    let charge = limit.charge_at(3, now).expect("there are 5");
    assert_eq!(
        (limit.live().available(), limit.candidate().available()),
        (2, 0)
    );
    assert_eq!(counts(limit.stats()), [1, 0, 0, 0]);
    assert_eq!(limit.undo(charge), 3);
    assert_eq!(
        (limit.live().available(), limit.candidate().available()),
        (5, 3)
    );
    assert_eq!(counts(limit.stats()), [0, 0, 0, 0]);

    // A charge that the candidate had no part in.
    let charge = limit.charge_at(4, now).expect("there are 5");
    assert_eq!(counts(limit.stats()), [0, 1, 0, 0]);
    assert_eq!(limit.undo(charge), 4);
    assert_eq!(
        (limit.live().available(), limit.candidate().available()),
        (5, 3)
    );
    assert_eq!(counts(limit.stats()), [0, 0, 0, 0]);

    // One limit may be both.
    let one = bucket(5, &clock);
    let twice = Shadow::beside(&one, &one);
    let charge = twice.charge_at(2, now).expect("there are 5");
    assert_eq!(one.available(), 1);
    assert_eq!(twice.undo(charge), 2);
    assert_eq!(one.available(), 5);
}

#[test]
fn any_limiters_can_be_tried() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(2, second, clock.clone()).expect("valid");
    let limit = Shadow::beside(Arc::new(bucket(3, &clock)), window);
    // A shadow of a shadow: two candidates.
    let limit = Shadow::beside(limit, bucket(1, &clock));
    for _ in 0..4 {
        _ = limit.try_acquire(1);
    }
    assert_eq!(counts(limit.stats()), [1, 2, 0, 1]);
    assert_eq!(counts(limit.live().stats()), [2, 1, 0, 1]);
    let (live, candidate) = limit.into_parts();
    assert_eq!((live.available(), candidate.available()), (0, 0));
}

#[test]
fn shadows_can_share_their_counts() {
    let clock = ManualClock::new();
    let all = Arc::new(ShadowCounts::new());
    let shadow =
        || Shadow::beside(bucket(2, &clock), bucket(1, &clock)).counted_in(Arc::clone(&all));
    let (one, other) = (shadow(), shadow());
    for limit in [&one, &other, &one, &other, &one] {
        _ = limit.try_acquire(1);
    }
    assert_eq!(counts(all.stats()), [2, 2, 0, 1]);
    assert_eq!(one.stats(), all.stats());
    assert!(Arc::ptr_eq(other.counts(), &all));
}

/// A call: how long after the last one, and for how many permits.
fn calls() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..3_000_u64, 0..5_u64), 0..200)
}

proptest! {
    /// The live limit decides as if it were alone. The candidate decides as if it were alone, on
    /// the calls that reach it.
    #[test]
    fn both_decide_as_if_alone(
        live in 1..8_u64,
        candidate in 1..8_u64,
        is_replacement in any::<bool>(),
        calls in calls(),
    ) {
        let clock = ManualClock::new();
        let quota = |burst| Quota::per_second(1).burst(burst);
        let bucket = |burst| TokenBucket::with_clock(quota(burst), clock.clone());
        let shadow = if is_replacement { Shadow::instead } else { Shadow::beside };
        let limit = shadow(bucket(live), bucket(candidate));
        let (live, candidate) = (bucket(live), bucket(candidate));
        let mut expected = [0; 4];
        for (millis, n) in calls {
            clock.advance(Duration::from_millis(millis));
            let decided = live.try_acquire(n);
            let would = if decided.is_ok() || is_replacement {
                candidate.try_acquire(n)
            } else {
                candidate.peek(n)
            };
            let decision = limit.decide(n);
            prop_assert_eq!((decision.live, decision.candidate), (decided, would));
            prop_assert_eq!(decision.differs(), decided.is_ok() != would.is_ok());
            if n > 0 {
                expected[usize::from(decided.is_err()) * 2 + usize::from(would.is_err())] += 1;
            }
            prop_assert_eq!(counts(limit.stats()), expected);
        }
        prop_assert_eq!(limit.stats().calls(), expected.iter().sum::<u64>());
    }
}
