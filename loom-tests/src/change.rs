//! Changes of a bucket's quota beside calls.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{NoClock, SharedClock, at, explore};
use crate::mutant;
use crate::tidegate::modelled::{AtomicTat, Gcra, Handover, Leased};
use crate::tidegate::{Limiter, Quota, TokenBucket};

type Bucket = TokenBucket<NoClock>;

/// Nanoseconds per token before a change.
const T: u64 = 1_000;

fn quota(interval: u64, burst: u64) -> Quota {
    Quota::new(1, Duration::from_nanos(interval))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable")
}

fn bucket(burst: u64) -> Arc<Bucket> {
    Arc::new(Bucket::with_clock(quota(T, burst), NoClock))
}

fn admit(bucket: &Bucket, now: u64) -> u64 {
    bucket.try_acquire_at(1, at(now)).is_ok().into()
}

fn drain(bucket: &Bucket, now: u64) -> u64 {
    let mut admitted = 0;
    while admit(bucket, now) == 1 {
        admitted += 1;
    }
    admitted
}

/// Two threads, one with calls, one with a change to a larger and faster bucket. Kills
/// `unfrozen_word`, `relaxed_freeze`, `full_successor`, `opened_unset`.
///
/// At one instant exactly what was there is admitted.
fn change_beside_calls() {
    explore(3, || {
        let bucket = bucket(2);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, 5 * T) + admit(&bucket, 5 * T))
        };
        bucket.set_quota_at(quota(T / 2, 5), at(5 * T));
        let mine = drain(&bucket, 5 * T);
        assert_eq!(mine + other.join().unwrap(), 2, "of 2 tokens");
        assert_eq!(drain(&bucket, 6 * T), 2, "at the new rate");
    });
}

/// Two threads, one with a call, one with two changes. Kills `reopened`, `set_again`.
///
/// A call that is late with the first change does not disturb the second.
fn two_changes_beside_a_call() {
    explore(3, || {
        let bucket = bucket(2);
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || admit(&bucket, 5 * T))
        };
        bucket.set_quota_at(quota(T / 2, 4), at(5 * T));
        let mut mine = admit(&bucket, 5 * T);
        bucket.set_quota_at(quota(T, 3), at(5 * T));
        mine += drain(&bucket, 5 * T);
        assert_eq!(mine + other.join().unwrap(), 2, "of 2 tokens");
    });
}

/// Two threads change the quota, and a third calls. Kills `unfrozen_word`.
fn two_threads_change() {
    explore(2, || {
        let bucket = bucket(1);
        let others = [
            {
                let bucket = bucket.clone();
                thread::spawn(move || {
                    bucket.set_quota_at(quota(T / 2, 3), at(5 * T));
                    0
                })
            },
            {
                let bucket = bucket.clone();
                thread::spawn(move || admit(&bucket, 5 * T))
            },
        ];
        bucket.set_quota_at(quota(T, 2), at(5 * T));
        let mut admitted = 0;
        for other in others {
            admitted += other.join().unwrap();
        }
        assert_eq!(admitted + drain(&bucket, 5 * T), 1, "of 1 token");
    });
}

/// Two threads, one with a reading that may be old, and an advancing clock. Kills `unfrozen_word`.
///
/// The sum of what each quota allowed in its part is admitted, and no more.
fn stale_reader_beside_a_change() {
    explore(3, || {
        let bucket = bucket(2);
        let clock = Arc::new(SharedClock::at(5 * T));
        let other = {
            let (bucket, clock) = (bucket.clone(), clock.clone());
            thread::spawn(move || admit(&bucket, clock.now()) + admit(&bucket, clock.now()))
        };
        let first = admit(&bucket, clock.now());
        clock.advance(T);
        // From here on a token comes every 4 * T.
        bucket.set_quota_at(quota(4 * T, 2), at(clock.now()));
        clock.advance(4 * T);
        let others = other.join().unwrap();
        let sum = first + others + drain(&bucket, clock.now());
        // 2 at first, 1 until the change, 1 since then.
        assert!(sum <= 4, "{sum} of 4 tokens");
        assert!(sum >= 3, "{sum} of 3 tokens");
    });
}

/// Two threads, one with a charge that it undoes, one with a change. Kills `unfrozen_word`,
/// `undone_when_closed`.
///
/// The charge comes back whole, or stays.
fn undo_beside_a_change() {
    // As many grains as at the second instant, the word of a bucket is close to what would be an
    // epoch if `CLOSED` were one.
    for now in [5 * T, (1 << 63) + (1 << 61)] {
        explore(3, move || {
            let bucket = bucket(3);
            assert_eq!(admit(&bucket, now), 1);
            let other = {
                let bucket = bucket.clone();
                thread::spawn(move || {
                    let charge = bucket.charge_at(1, at(now)).expect("there are 2 tokens");
                    1 - Limiter::undo(&*bucket, charge)
                })
            };
            bucket.set_quota_at(quota(T / 2, 5), at(now));
            let kept = other.join().unwrap();
            assert_eq!(kept + drain(&bucket, now), 2, "of 2 tokens");
        });
    }
}

/// Three threads: one is late with the first of two changes, one charges after the first, one makes
/// the second. Kills `unset_as_frozen`, `reopened`, `set_again`.
///
/// The late thread does not bring back the word that the second change has frozen.
fn late_thread_beside_a_charge() {
    explore(3, || {
        let gcras = [2, 1, 2].map(|burst| Gcra::new(quota(T, burst)));
        let first = AtomicTat::full();
        let charge = |tat: &AtomicTat, gcra: &Gcra| {
            let charged = tat.decide(gcra, 5 * T, |now, tat| {
                gcra.admit(tat, now, gcra.cost(1)).map(|next| (next, ()))
            });
            u64::from(charged.is_ok())
        };
        assert_eq!(charge(&first, &gcras[0]), 1);
        let changes = {
            let first_change = Handover::at(5 * T, None);
            let second_change = Handover::at(5 * T, Some(&first_change));
            [first_change, second_change]
        };
        let [second, third] = [0, 1].map(|n: usize| changes[n].unopened(&gcras[n + 1]));
        let tats = [first, second, third];
        changes[0].close(&tats[0]);
        let all = Arc::new((tats, gcras, changes));
        let take_over = |all: &(_, _, _), n: usize| {
            let (tats, gcras, changes): &([AtomicTat; 3], [Gcra; 3], [Handover; 2]) = all;
            let leased = || Leased::NOTHING;
            changes[n].take_over(&tats[n + 1], &gcras[n + 1], &tats[n], &gcras[n], leased);
        };
        let late = {
            let all = all.clone();
            thread::spawn(move || take_over(&all, 0))
        };
        let caller = {
            let all = all.clone();
            thread::spawn(move || {
                take_over(&all, 0);
                charge(&all.0[1], &all.1[1])
            })
        };
        take_over(&all, 0);
        all.2[1].close(&all.0[1]);
        take_over(&all, 1);
        late.join().unwrap();
        let charged = caller.join().unwrap();
        let mut left = 0;
        while charge(&all.0[2], &all.1[2]) == 1 {
            left += 1;
        }
        assert_eq!(charged + left, 1, "of 1 token");
    });
}

/// Two threads, one with a call that advances the epoch, one with a change. Kills `late_epoch`.
///
/// A bucket that was drained long ago is full when it changes, and its level is that of the instant
/// of the change.
fn change_beside_an_epoch() {
    const FAST: Quota = Quota::per_second(1_000_000_000_000);
    const HALF_EPOCH: u64 = (1 << 59) / 1_000;

    explore(2, || {
        let bucket = Arc::new(Bucket::with_clock(FAST, NoClock));
        let all = FAST.capacity();
        let now = 9 * HALF_EPOCH;
        assert!(bucket.try_acquire_at(all, at(now - 10)).is_ok());
        let other = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.try_acquire_at(1, at(now)).is_ok())
        };
        bucket.set_quota_at(quota(1_000_000, all), at(now));
        let spent = u64::from(other.join().unwrap());
        assert_eq!(bucket.available_at(at(now)) + spent, 10_000, "of 10 ns");
    });
}

mutant::tests! { "change":
    change_beside_calls {
        unfrozen_word: "of 2 tokens",
        relaxed_freeze: "of 2 tokens",
        full_successor: "of 2 tokens",
        opened_unset: "of 2 tokens",
    }
    two_changes_beside_a_call { reopened: "of 2 tokens", set_again: "of 2 tokens" }
    two_threads_change { unfrozen_word: "of 1 token" }
    stale_reader_beside_a_change { unfrozen_word: " tokens" }
    undo_beside_a_change { unfrozen_word: "of 2 tokens", undone_when_closed: "of 2 tokens" }
    late_thread_beside_a_charge {
        unset_as_frozen: "of 1 token",
        reopened: "of 1 token",
        set_again: "of 1 token",
    }
    change_beside_an_epoch { late_epoch: "of 10 ns" }
}
