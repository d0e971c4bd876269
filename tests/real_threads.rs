//! Many real threads on one limiter: exact totals, bounds while time passes, and the order of
//! waiters.
//!
//! Totals use the operating system's clock, and limits that last an hour or a day, so that nothing
//! is refilled even on a slow machine. Other tests use a manual clock, which the threads advance.
#![cfg(feature = "std")]

mod parallel;

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use std::thread;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

use parallel::in_parallel;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// The tokens of a limiter: enough to keep all threads busy for a while.
const ALL: u64 = 120_000;

/// Returns a bucket and a window that hold [`ALL`], on the operating system's clock.
fn full() -> (TokenBucket, SlidingWindow) {
    let bucket = TokenBucket::new(Quota::per_hour(1).burst(ALL));
    let window = SlidingWindow::new(ALL, DAY).expect("a valid window");
    (bucket, window)
}

/// Returns the sum of the tokens that eight threads with `calls` calls each are admitted.
///
/// `n` returns the cost of a call from its thread and turn.
fn admitted<L>(limiter: &L, calls: u64, n: impl Fn(u64, u64) -> u64 + Sync) -> u64
where
    L: Limiter + Sync,
    L::Clock: Sync,
{
    let per_thread = in_parallel(8, |thread| {
        let sizes = (0..calls).map(|turn| n(thread as u64, turn));
        let taken = |n: &u64| limiter.try_acquire_at(*n, limiter.now()).is_ok();
        sizes.filter(taken).sum::<u64>()
    });
    per_thread.into_iter().sum()
}

#[test]
fn single_tokens_are_admitted_exactly() {
    let (bucket, window) = full();
    assert_eq!(admitted(&bucket, 20_000, |_, _| 1), ALL);
    assert_eq!(bucket.available(), 0);
    assert_eq!(admitted(&window, 20_000, |_, _| 1), ALL);
    assert_eq!(window.current_count(), ALL);
}

#[test]
fn mixed_costs_are_admitted_exactly() {
    let size = |thread, turn| (thread + turn) % 7 + 1;
    let (bucket, window) = full();
    let taken = admitted(&bucket, 8_000, size);
    // A call for one token is refused only when none is left.
    assert_eq!((taken, bucket.available()), (ALL, 0));
    let taken = admitted(&window, 8_000, size);
    assert_eq!((taken, window.available()), (ALL, 0));
}

#[test]
fn partial_requests_are_admitted_exactly() {
    let (bucket, _) = full();
    let taken = in_parallel(8, |thread| {
        let take = |turn| {
            let most = (thread as u64 + turn) % 7;
            let taken = bucket.try_acquire_up_to(most);
            assert!(taken <= most);
            taken
        };
        (0..8_000).map(take).sum::<u64>()
    });
    assert_eq!(taken.into_iter().sum::<u64>(), ALL);
}

/// Returns a bucket on a clock that does not advance.
fn frozen(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

#[test]
fn no_debit_and_no_credit_is_lost() {
    let bucket = frozen(Quota::per_second(1).burst(1_000_000)).with_initial(500_000);
    in_parallel(8, |_| {
        for n in 1..=3_000 {
            bucket.debit(n + 1);
            bucket.credit(n);
        }
    });
    assert_eq!(bucket.available(), 500_000 - 8 * 3_000);
}

#[test]
fn reservations_never_share_an_instant() {
    let bucket = frozen(Quota::per_second(1));
    let instants = in_parallel(8, |_| {
        let reserve = |_| {
            let reservation = bucket.reserve(1, Duration::MAX).expect("no limit");
            let ready_at = reservation.ready_at();
            reservation.commit();
            ready_at
        };
        (0..2_000).map(reserve).collect::<Vec<_>>()
    });
    assert!(instants.iter().all(|instants| instants.is_sorted()));
    let mut instants: Vec<_> = instants.into_iter().flatten().collect();
    instants.sort_unstable();
    let expected = (0..16_000).map(|second| Timestamp::ZERO + SECOND * second);
    assert!(instants.into_iter().eq(expected));
}

/// A cancel returns the whole reservation or nothing.
#[test]
fn canceled_reservations_balance() {
    let bucket = frozen(Quota::per_second(1).burst(500));
    let kept = in_parallel(8, |thread| {
        let turn = |turn| {
            let n = (thread as u64 + turn) % 3 + 1;
            let reservation = bucket.reserve(n, Duration::MAX).expect("no limit");
            if turn % 2 == 0 {
                let returned = reservation.cancel();
                assert!(returned == 0 || returned == n, "{returned} of {n}");
                n - returned
            } else {
                reservation.commit();
                n
            }
        };
        (0..4_000).map(turn).sum::<u64>()
    });
    let kept: u64 = kept.into_iter().sum();
    assert!(kept > 8 * 2_000, "half of them were committed");
    assert_eq!(bucket.debt(), kept - 500);
}

#[test]
fn undone_charges_balance() {
    let bucket = frozen(Quota::per_second(1).burst(10_000));
    assert_undone_charges_balance(&bucket, false);
    let window = SlidingWindow::with_clock(10_000, DAY, ManualClock::new());
    assert_undone_charges_balance(&window.expect("a valid window"), true);
}

fn assert_undone_charges_balance<L: Limiter + Sync>(limiter: &L, always_undone: bool) {
    let kept = in_parallel(8, |thread| {
        let turn = |turn| {
            let n = (thread as u64 + turn) % 3 + 1;
            let Ok(charge) = limiter.charge_at(n, Timestamp::ZERO) else {
                return 0;
            };
            if turn % 2 == 0 {
                let returned = limiter.undo(charge);
                assert!(
                    returned == n || (returned == 0 && !always_undone),
                    "{returned} of {n}"
                );
                n - returned
            } else {
                n
            }
        };
        (0..4_000).map(turn).sum::<u64>()
    });
    let kept: u64 = kept.into_iter().sum();
    assert!(kept > 9_000, "too few calls were refused: {kept}");
    assert_eq!(
        limiter.available_at(Timestamp::ZERO),
        limiter.capacity() - kept
    );
}

/// Returns a random number below `end`.
const fn random(state: &mut u64, end: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % end
}

/// Every thread advances the time, takes all tokens, and tries again with an older reading. Between
/// two calls there are at most four advances of up to two tokens each, so the bucket is never full
/// and may lose nothing.
#[test]
fn bucket_keeps_bound_and_rate_while_time_passes() {
    let exact = [
        Quota::per_second(1_000),
        Quota::per_second(3),
        Quota::per_minute(7),
    ];
    let rounded = [Quota::per_second(1_000_001), Quota::per_day(99_991)];
    let with_slack = |slack| move |quota| (quota, slack);
    let quotas = exact
        .into_iter()
        .map(with_slack(0))
        .chain(rounded.map(with_slack(1)));

    for (quota, slack) in quotas {
        let quota = quota.burst(9);
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota, clock.clone()).with_initial(0);
        let step = 2 * quota.period().as_nanos() / u128::from(quota.rate());
        let step = u64::try_from(step).expect("short intervals");

        let logs = in_parallel(4, |thread| {
            let mut seed = thread as u64 + 1;
            let mut older = Timestamp::ZERO;
            let mut log = Vec::new();
            for _ in 0..4_000 {
                clock.advance(Duration::from_nanos(random(&mut seed, step + 1)));
                let now = clock.now();
                let first = random(&mut seed, 3) + 1;
                for (n, now) in [(first, now), (1, now), (1, now), (2, older)] {
                    while bucket.try_acquire_at(n, now).is_ok() {
                        log.push((now.as_nanos(), n));
                    }
                }
                older = now;
            }
            log
        });
        let mut log: Vec<(u64, u64)> = logs.into_iter().flatten().collect();
        assert_bound(quota, &mut log);

        let end = clock.now().as_nanos();
        let total: u64 = log.iter().map(|(_, n)| n).sum::<u64>() + bucket.available();
        let exact = u128::from(end) * u128::from(quota.rate()) / quota.period().as_nanos();
        let missing = exact.checked_sub(u128::from(total));
        assert!(
            missing.is_some_and(|missing| missing <= slack),
            "{quota}: {total} of {exact}"
        );
    }
}

/// Asserts that no interval of a length admitted more than `capacity + rate * length`, exactly.
fn assert_bound(quota: Quota, log: &mut [(u64, u64)]) {
    log.sort_unstable();
    let period = i128::try_from(quota.period().as_nanos()).expect("64 bits");
    let rate = i128::from(quota.rate());
    let most = i128::from(quota.capacity()) * period;
    // The tokens admitted up to an instant, minus the refill. They rise most from the lowest point.
    let mut sum = 0;
    let mut lowest = i128::MAX;
    for &mut (now, n) in log {
        let refilled = rate * i128::from(now);
        lowest = lowest.min(sum - refilled);
        sum += i128::from(n) * period;
        assert!(
            sum - refilled - lowest <= most,
            "{quota}: too many at {now} ns"
        );
    }
}

/// A call's decision time lies between its own reading and the one after its return. An interval
/// that contains both readings contains the decision.
#[test]
fn window_keeps_bound_while_time_passes() {
    let (limit, length) = (10, 1_000_000);
    for slots in [1, 8, 50] {
        let clock = ManualClock::new();
        let window = SlidingWindow::with_clock(limit, Duration::from_nanos(length), clock.clone());
        let window = window.expect("a valid window").slots(slots);
        let logs = in_parallel(4, |thread| {
            let mut seed = thread as u64 + 1;
            let mut older = Timestamp::ZERO;
            let mut log = Vec::new();
            for _ in 0..10_000 {
                clock.advance(Duration::from_nanos(random(&mut seed, length / 20)));
                let now = clock.now();
                for (n, now) in [(random(&mut seed, 4) + 1, now), (1, now), (1, older)] {
                    if window.try_acquire_at(n, now).is_ok() {
                        log.push((now.as_nanos(), clock.now().as_nanos(), n));
                    }
                }
                older = now;
            }
            log
        });
        let mut log: Vec<(u64, u64, u64)> = logs.into_iter().flatten().collect();
        log.sort_unstable();
        for (index, &(start, ..)) in log.iter().enumerate() {
            let end = start + length;
            let nearby = log[index..]
                .iter()
                .take_while(|(before, ..)| *before <= end);
            let inside = nearby.filter(|(_, after, _)| *after <= end);
            let admitted: u64 = inside.map(|(.., n)| n).sum();
            assert!(
                admitted <= limit,
                "{slots} slots: {admitted} from {start} ns on"
            );
        }
        // A refusal counts a window and a slot, and between two calls there are at most four
        // advances.
        let total: u64 = log.iter().map(|(.., n)| n).sum();
        let turns = clock.now().as_nanos() / (2 * length + length / 4);
        assert!(
            total >= limit * turns / 2,
            "{slots} slots: {total} in {turns} turns"
        );
    }
}

#[test]
fn waiters_are_served_in_order_of_arrival() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1).burst(4), clock.clone());
    bucket.try_acquire(4).unwrap();
    let sizes = [1, 4, 2, 1, 3, 1];
    let (bucket, clock) = (&bucket, &clock);
    let served = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = sizes
            .into_iter()
            .map(|n| {
                let before = bucket.waiting();
                let waiter = scope.spawn(move || {
                    bucket.acquire(n).wait().expect("a wait without a limit");
                    (served.fetch_add(1, SeqCst), clock.now())
                });
                // The next waiter starts when this one is in the queue.
                while bucket.waiting() == before && !waiter.is_finished() {
                    thread::yield_now();
                }
                waiter
            })
            .collect();
        // Advance token by token, and join each waiter when it is due.
        let mut due = Timestamp::ZERO;
        for (position, (waiter, n)) in waiters.into_iter().zip(sizes).enumerate() {
            for _ in 0..n {
                clock.advance(SECOND);
            }
            due = due + SECOND * u32::try_from(n).expect("a small size");
            assert_eq!(waiter.join().expect("no panic"), (position, due));
        }
    });
}

/// Of eight waiters with a timeout of two seconds, two can be served. The others are refused at
/// once.
#[test]
fn waiters_beyond_their_timeout_are_refused_at_once() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    bucket.try_acquire(1).unwrap();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if let Err(denied) = bucket.acquire(1).timeout(2 * SECOND).wait() {
                    // The whole wait, which counts others that are about to be refused.
                    let seconds = (3..=8).map(|seconds| seconds * SECOND);
                    let wait = denied.retry_after().expect("it is not forever");
                    assert!(seconds.into_iter().any(|whole| whole == wait), "{wait:?}");
                    refused.fetch_add(1, SeqCst);
                }
            });
        }
        while refused.load(SeqCst) < 6 || bucket.waiting() != 2 {
            thread::yield_now();
        }
        for left in [1, 0] {
            clock.advance(SECOND);
            while bucket.waiting() != left {
                thread::yield_now();
            }
        }
    });
    assert_eq!(refused.into_inner(), 6);
}

#[test]
fn window_serves_every_waiter() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(2, SECOND, clock.clone()).unwrap();
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                window.acquire(1).wait().expect("a wait without a limit");
                served.fetch_add(1, SeqCst);
            });
        }
        while served.load(SeqCst) < 7 {
            clock.advance(SECOND / 64);
            thread::yield_now();
        }
    });
    // Seven waiters at two per window take more than three windows.
    assert!(clock.now() > Timestamp::ZERO + 3 * SECOND);

    clock.advance(2 * SECOND);
    window.acquire(2).wait().unwrap();
    assert_eq!(window.acquire(3).wait(), Err(Denied::Never { capacity: 2 }));
    let wait = window.wait_time(1).unwrap();
    let too_short = wait.saturating_sub(Duration::from_nanos(1));
    let refusal = window.acquire(1).timeout(too_short).wait();
    assert_eq!(
        refusal,
        Err(Denied::NotYet {
            retry_after: wait.into()
        })
    );
}
