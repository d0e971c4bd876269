//! Many real threads on one limiter: exact totals, bounds while time passes, and the order of those who wait.
//!
//! Totals are taken on the operating system's clock with limits that last for an hour or a day, so that no machine is so slow
//! that anything comes back. Where time passes it is a manual clock's, which the threads themselves move on.
#![cfg(feature = "std")]

mod parallel;

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use std::thread;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

use parallel::in_parallel;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// What there is to be had: enough to keep all threads busy for a while.
const ALL: u64 = 120_000;

/// A bucket and a window that hold so much, on the operating system's clock.
fn full() -> (TokenBucket, SlidingWindow) {
    let bucket = TokenBucket::new(Quota::per_hour(1).burst(ALL));
    let window = SlidingWindow::new(ALL, DAY).expect("a valid window");
    (bucket, window)
}

/// How much `threads` × `tries` calls are admitted for together, where a call asks for what its thread and turn give.
fn admitted<L>(limiter: &L, tries: u64, n: impl Fn(u64, u64) -> u64 + Sync) -> u64
where
    L: Limiter + Sync,
    L::Clock: Sync,
{
    let per_thread = in_parallel(8, |thread| {
        let sizes = (0..tries).map(|turn| n(thread as u64, turn));
        let taken = |n: &u64| limiter.try_acquire_at(*n, limiter.now()).is_ok();
        sizes.filter(taken).sum::<u64>()
    });
    per_thread.into_iter().sum()
}

#[test]
fn one_by_one_all_and_no_more() {
    let (bucket, window) = full();
    assert_eq!(admitted(&bucket, 20_000, |_, _| 1), ALL);
    assert_eq!(bucket.available(), 0);
    assert_eq!(admitted(&window, 20_000, |_, _| 1), ALL);
    assert_eq!(window.current_count(), ALL);
}

#[test]
fn in_all_sizes_all_and_no_more() {
    let size = |thread, turn| (thread + turn) % 7 + 1;
    let (bucket, window) = full();
    let taken = admitted(&bucket, 8_000, size);
    // Who asked for one was refused only when nothing was left.
    assert_eq!((taken, bucket.available()), (ALL, 0));
    let taken = admitted(&window, 8_000, size);
    assert_eq!((taken, window.available()), (ALL, 0));
}

#[test]
fn up_to_all_and_no_more() {
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

/// A bucket on a clock that stands still.
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
fn every_reservation_has_its_own_place() {
    let bucket = frozen(Quota::per_second(1));
    let places = in_parallel(8, |_| {
        let place = |_| {
            let reservation = bucket.reserve(1, Duration::MAX).expect("no limit");
            let due = reservation.ready_at();
            reservation.commit();
            due
        };
        (0..2_000).map(place).collect::<Vec<_>>()
    });
    // A thread's own places are in its own order.
    assert!(places.iter().all(|places| places.is_sorted()));
    let mut places: Vec<_> = places.into_iter().flatten().collect();
    places.sort_unstable();
    let expected = (0..16_000).map(|place| Timestamp::ZERO + SECOND * place);
    assert!(places.into_iter().eq(expected));
}

/// What is cancelled comes back whole or is forfeited; either way nobody else's tokens do.
#[test]
fn cancelled_reservations_balance() {
    let bucket = frozen(Quota::per_second(1).burst(500));
    let kept = in_parallel(8, |thread| {
        let turn = |turn| {
            let n = (thread as u64 + turn) % 3 + 1;
            let reservation = bucket.reserve(n, Duration::MAX).expect("no limit");
            if turn % 2 == 0 {
                let back = reservation.cancel();
                assert!(back == 0 || back == n, "{back} of {n} came back");
                n - back
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
    undone_charges_balance_on(&bucket, false);
    let window = SlidingWindow::with_clock(10_000, DAY, ManualClock::new());
    undone_charges_balance_on(&window.expect("a valid window"), true);
}

fn undone_charges_balance_on<L: Limiter + Sync>(limiter: &L, always_undone: bool) {
    let kept = in_parallel(8, |thread| {
        let turn = |turn| {
            let n = (thread as u64 + turn) % 3 + 1;
            let Ok(charge) = limiter.charge_at(n, Timestamp::ZERO) else {
                return 0;
            };
            if turn % 2 == 0 {
                let back = limiter.undo(charge);
                assert!(
                    back == n || (back == 0 && !always_undone),
                    "{back} of {n} came back"
                );
                n - back
            } else {
                n
            }
        };
        (0..4_000).map(turn).sum::<u64>()
    });
    let kept: u64 = kept.into_iter().sum();
    assert!(kept > 9_000, "too little to be refused: {kept}");
    assert_eq!(
        limiter.available_at(Timestamp::ZERO),
        limiter.capacity() - kept
    );
}

/// An unpredictable number below `end`.
const fn random(state: &mut u64, end: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % end
}

/// Every thread moves the time on, takes all there is, and tries again with an older reading. At most four advances of up
/// to two tokens lie between two looks at the bucket, so that it is never full, and nothing may be lost.
#[test]
fn a_bucket_keeps_its_bound_and_its_rate_while_time_passes() {
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

/// In every interval `[a, b]` at most capacity + rate · (b − a), without rounding.
fn assert_bound(quota: Quota, log: &mut [(u64, u64)]) {
    log.sort_unstable();
    let period = i128::try_from(quota.period().as_nanos()).expect("64 bits");
    let rate = i128::from(quota.rate());
    let most = i128::from(quota.capacity()) * period;
    // What was admitted by an instant, less what flowed in: its rise is largest from its lowest point so far.
    let mut sum = 0;
    let mut lowest = i128::MAX;
    for &mut (now, n) in log {
        let flowed = rate * i128::from(now);
        lowest = lowest.min(sum - flowed);
        sum += i128::from(n) * period;
        assert!(
            sum - flowed - lowest <= most,
            "{quota}: too many up to {now} ns"
        );
    }
}

/// An admission's decision time lies between the reading it was given and the reading after it returned; an interval that
/// holds both holds the decision.
#[test]
fn a_window_keeps_its_bound_while_time_passes() {
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
        // A refusal counts a window and a slot, and between two looks pass at most four advances.
        let total: u64 = log.iter().map(|(.., n)| n).sum();
        let turns = clock.now().as_nanos() / (2 * length + length / 4);
        assert!(
            total >= limit * turns / 2,
            "{slots} slots: {total} in {turns} turns"
        );
    }
}

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
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
                let debt = bucket.debt();
                let waiter = scope.spawn(move || {
                    bucket.acquire_blocking(n).expect("it may wait for ever");
                    (served.fetch_add(1, SeqCst), clock.now())
                });
                // The next one comes when this one has taken its place.
                while bucket.debt() == debt && !waiter.is_finished() {
                    thread::yield_now();
                }
                waiter
            })
            .collect();
        // Time passes token by token, and stops while somebody who is due has not got through yet.
        let mut due = Timestamp::ZERO;
        for (place, (waiter, n)) in waiters.into_iter().zip(sizes).enumerate() {
            for _ in 0..n {
                clock.advance(SECOND);
            }
            due = due + SECOND * u32::try_from(n).expect("a small size");
            assert_eq!(waiter.join().expect("no panic"), (place, due));
        }
    });
}

/// Of eight who would wait for two seconds at most, two can be served in that time, and the others hear so at once.
#[test]
fn a_line_is_as_long_as_its_patience() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    bucket.try_acquire(1).unwrap();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if let Err(denied) = bucket.acquire_blocking_timeout(1, 2 * SECOND) {
                    assert_eq!(denied.retry_after(), Some(3 * SECOND));
                    refused.fetch_add(1, SeqCst);
                }
            });
        }
        while refused.load(SeqCst) + usize::try_from(bucket.debt()).unwrap() < 8 {
            thread::yield_now();
        }
        clock.advance(8 * SECOND);
    });
    assert_eq!(refused.into_inner(), 6);
}

#[test]
fn a_window_serves_everybody_who_waits() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(2, SECOND, clock.clone()).unwrap();
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                window.acquire_blocking(1).expect("it may wait for ever");
                served.fetch_add(1, SeqCst);
            });
        }
        while served.load(SeqCst) < 7 {
            clock.advance(SECOND / 64);
            thread::yield_now();
        }
    });
    // Seven need three windows to pass.
    assert!(clock.now() > Timestamp::ZERO + 3 * SECOND);

    clock.advance(2 * SECOND);
    window.acquire_blocking(2).unwrap();
    assert_eq!(
        window.acquire_blocking(3),
        Err(Denied::Never { capacity: 2 })
    );
    let wait = window.wait_time(1).unwrap();
    let too_short = wait.saturating_sub(Duration::from_nanos(1));
    let refusal = window.acquire_blocking_timeout(1, too_short);
    assert_eq!(refusal, Err(Denied::NotYet { retry_after: wait }));
}
