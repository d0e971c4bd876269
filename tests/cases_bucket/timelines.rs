//! Timelines: what is asked when, and the answer.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, Reservation, Timestamp, TokenBucket};

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Takes so many tokens, or is refused.
    Try(u64),
    /// The tokens that are there, or minus those that are owed.
    Level,
    /// Reserves so many tokens, however long that takes.
    Reserve(u64),
    /// Reserves so many tokens if that takes at most so many ticks.
    Within(u64, u32),
    /// Cancels the reservation with this number, counted from 0.
    Cancel(usize),
    /// Takes so many tokens, and lets the time pass that this takes.
    Wait(u64),
    /// Waits for one token, and then owes the rest of so many.
    PayLater(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Yes,
    /// Refused, with a hint of so many ticks.
    No(u32),
    Never,
    Is(i64),
    /// Reserved, to act at this tick.
    Acts(u32),
    /// Cancelled; so many tokens came back.
    Back(u64),
    /// Done, so many ticks later.
    Waits(u32),
}

use Op::{Cancel, Level, PayLater, Reserve, Try, Wait, Within};
use Out::{Acts, Back, Is, Never, No, Waits, Yes};

/// What happens at which tick. Steps at one tick run in the order written.
type Steps<'a> = &'a [(u32, Op, Out)];

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Ticks last as long as one token.
fn play(id: &str, quota: Quota, initial: u64, steps: Steps<'_>) {
    let tick = quota.period() / u32::try_from(quota.rate()).expect("a small rate");
    let ticks_of = |wait: Duration| {
        let ticks = wait.as_nanos() / tick.as_nanos();
        let ticks = u32::try_from(ticks).expect("a short timeline");
        assert_eq!(tick * ticks, wait, "{id}: {wait:?} is no whole tick");
        ticks
    };

    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(quota, clock.clone()).with_initial(initial);
    let mut reservations: Vec<Option<Reservation<'_, _>>> = Vec::new();
    let refused = |denied: Denied| match denied.retry_after() {
        Some(wait) => No(ticks_of(wait)),
        None => Never,
    };

    for (number, &(time, op, expected)) in steps.iter().enumerate() {
        let now = Timestamp::ZERO + tick * time;
        assert!(now >= clock.now(), "{id}: step {number} is in the past");
        clock.set(now);
        let before = format!("{bucket:?}");
        let out = match op {
            Try(n) => bucket.try_acquire(n).map_or_else(refused, |()| Yes),
            Level => {
                let [there, owed] = [bucket.available(), bucket.debt()].map(i64::try_from);
                Is(there.expect("few tokens") - owed.expect("few tokens"))
            }
            Reserve(n) | Within(n, _) => {
                let patience = match op {
                    Within(_, ticks) => tick * ticks,
                    _ => Duration::MAX,
                };
                match bucket.reserve(n, patience) {
                    Ok(reservation) => {
                        let acts = ticks_of(reservation.ready_at() - Timestamp::ZERO);
                        reservations.push(Some(reservation));
                        Acts(acts)
                    }
                    Err(denied) => refused(denied),
                }
            }
            Cancel(index) => Back(reservations[index].take().map_or(0, Reservation::cancel)),
            Wait(n) | PayLater(n) => {
                let first = if matches!(op, Wait(_)) { n } else { 1 };
                let place = bucket.reserve(first, Duration::MAX).expect("no limit");
                let delay = place.delay();
                place.commit();
                clock.advance(delay);
                bucket.debit(n - first);
                Waits(ticks_of(delay))
            }
        };
        assert_eq!(out, expected, "{id}: step {number}, {op:?} at tick {time}");
        if matches!(out, No(_) | Never) {
            assert_eq!(format!("{bucket:?}"), before, "{id}: step {number} refused");
        }
    }
    for reservation in reservations.into_iter().flatten() {
        reservation.commit();
    }
}

/// Ten per second, so that a tick is 100 ms.
const fn ten(burst: u64) -> Quota {
    Quota::per_second(10).burst(burst)
}

/// One per second.
const fn one(burst: u64) -> Quota {
    Quota::per_second(1).burst(burst)
}

/// A full bucket.
fn full(id: &str, quota: Quota, steps: Steps<'_>) {
    play(id, quota, quota.capacity(), steps);
}

#[test]
#[rustfmt::skip]
fn a_try() {
    full("A01", ten(1), &[
        (0, Level, Is(1)), (0, Try(1), Yes), (0, Level, Is(0)), (0, Try(1), No(1)), (0, Try(1), No(1)),
        (1, Level, Is(1)), (1, Try(1), Yes), (1, Try(1), No(1)), (1, Try(1), No(1)),
        (2, Level, Is(1)), (2, Try(2), Never), (2, Try(1), Yes), (2, Try(1), No(1)),
    ]);
    full("A02", ten(3), &[
        (0, Level, Is(3)), (0, Try(2), Yes), (0, Level, Is(1)), (0, Try(2), No(1)), (0, Try(1), Yes),
        (0, Level, Is(0)), (0, Try(1), No(1)),
        (1, Level, Is(1)), (1, Try(4), Never),
        (2, Level, Is(2)), (2, Try(1), Yes),
        (3, Level, Is(2)), (3, Try(1), Yes),
        (4, Level, Is(2)), (4, Try(1), Yes), (4, Level, Is(1)), (4, Try(1), Yes), (4, Try(1), No(1)), (4, Try(1), No(1)),
        (9, Level, Is(3)), (9, Try(3), Yes), (9, Try(0), Yes), (9, Level, Is(0)),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_reserve() {
    full("A12", ten(2), &[(0, Reserve(2), Acts(0)), (0, Reserve(2), Acts(2)), (3, Reserve(2), Acts(4))]);
    full("A13", ten(2), &[
        (0, Reserve(3), Never), (0, Reserve(2), Acts(0)),
        (1, Level, Is(1)), (1, Try(2), No(1)), (1, Reserve(2), Acts(2)), (1, Level, Is(-1)), (1, Try(1), No(2)),
        (3, Level, Is(1)), (3, Try(1), Yes),
    ]);
    full("A15", ten(2), &[
        (0, Reserve(2), Acts(0)), (0, Reserve(2), Acts(2)), (1, Cancel(1), Back(2)), (1, Reserve(2), Acts(2)),
    ]);
    full("A16", ten(2), &[
        (0, Reserve(2), Acts(0)), (0, Reserve(2), Acts(2)), (3, Cancel(1), Back(0)), (3, Reserve(2), Acts(4)),
    ]);
    full("A25", ten(2), &[
        (0, Reserve(2), Acts(0)), (0, Within(1, 1), Acts(1)), (0, Within(1, 1), No(2)), (0, Level, Is(-1)),
        (0, Within(1, 2), Acts(2)),
    ]);
    full("A26, not blocking", ten(3), &[
        (0, Reserve(1), Acts(0)), (0, Cancel(0), Back(1)), (0, Reserve(4), Never),
        (0, Wait(2), Waits(0)), (0, Wait(3), Waits(2)),
    ]);
    full("A27, not blocking", ten(3), &[
        (0, Wait(2), Waits(0)), (0, Reserve(3), Acts(2)), (1, Cancel(0), Back(3)), (1, Wait(2), Waits(0)),
    ]);
    full("A28, not blocking", ten(3), &[(0, Wait(2), Waits(0)), (0, Within(3, 1), No(2)), (0, Level, Is(1))]);
}

#[test]
#[rustfmt::skip]
fn f_slack() {
    for burst in [1, 10] {
        play("F04", ten(burst), 1, &[(0, Reserve(1), Acts(0)), (0, Reserve(1), Acts(1)), (0, Reserve(1), Acts(2))]);
    }

    let mut steps = vec![(0, Try(1), Yes), (2, Reserve(1), Acts(2)), (2, Reserve(1), Acts(2))];
    steps.extend((3..=24).map(|second| (2, Reserve(1), Acts(second))));
    full("F07", one(2), &steps);

    full("F08", ten(1), &[(0, Try(1), Yes), (50, Reserve(1), Acts(50)), (50, Reserve(1), Acts(51))]);
}

#[test]
fn f01_four_takers_keep_the_rate() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(100).burst(1), clock.clone());
    // Each taker comes back as soon as its last take was due.
    let mut due = [Timestamp::ZERO; 4];
    let mut takes = Vec::new();
    while takes.len() < 400 {
        due.sort_unstable();
        clock.set(due[0]);
        let reservation = bucket.reserve(1, Duration::MAX).expect("no limit");
        due[0] = reservation.ready_at();
        takes.push(due[0]);
        reservation.commit();
    }
    for second in 1..=3_u64 {
        let done = takes
            .iter()
            .filter(|take| take.as_nanos() < second * 1_000_000_000)
            .count();
        assert_eq!(done as u64, second * 100, "F01: by second {second}");
    }
}

#[test]
#[rustfmt::skip]
fn g_stored_and_pay_later() {
    let five = |burst| Quota::per_second(5).burst(burst);
    full("G01", five(1), &[(0, Wait(1), Waits(0)), (0, Wait(1), Waits(1)), (1, Wait(1), Waits(1))]);
    full("G02", five(1), &[(0, Wait(1), Waits(0)), (1, Wait(1), Waits(0)), (1, Wait(1), Waits(1))]);
    full("G03, burst 6", five(6), &[
        (10, Wait(1), Waits(0)), (10, Wait(1), Waits(0)), (10, Wait(3), Waits(0)), (10, Wait(1), Waits(0)),
        (10, Wait(1), Waits(1)),
    ]);
    full("G03, burst 5", five(5), &[
        (10, Wait(1), Waits(0)), (10, Wait(1), Waits(0)), (10, Wait(3), Waits(0)), (10, Wait(1), Waits(1)),
    ]);
    full("G04", one(1), &[
        (0, PayLater(1), Waits(0)), (0, PayLater(1), Waits(1)), (1, PayLater(2), Waits(1)),
        (2, PayLater(4), Waits(2)), (4, PayLater(8), Waits(4)), (8, PayLater(1), Waits(8)),
    ]);
}

/// Where a queue grants on ticks, a bucket has told everybody their tick beforehand.
#[test]
#[rustfmt::skip]
fn j_queue() {
    full("J01", one(1), &[
        (0, Try(1), Yes), (0, Reserve(1), Acts(1)), (0, Reserve(1), Acts(2)), (1, Try(1), No(2)), (2, Level, Is(0)),
    ]);
    full("J03", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), Acts(1)), (0, Within(1, 1), No(2)), (0, Level, Is(-1)), (1, Level, Is(0)),
    ]);
    full("J07 (a)", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), Acts(1)), (0, Cancel(0), Back(1)), (1, Level, Is(1)),
    ]);
    full("J07 (b)", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), Acts(1)), (0, Cancel(0), Back(1)), (0, Within(1, 1), Acts(1)),
        (1, Level, Is(0)),
    ]);
}

/// What is missing takes its time at the rate. Where a period brings several tokens, they come one by one, so the last two
/// are earlier than with a refill once per period (which would be 40 s).
#[test]
#[rustfmt::skip]
fn j13_retry_after_is_the_time_that_remains() {
    let period = Duration::from_secs(20);
    // Limit, left, already queued, wanted, tokens per period, milliseconds.
    let table = [
        (2, 0, 0, 2, 1, 40_000),
        (2, 0, 1, 2, 1, 60_000),
        (3, 1, 0, 3, 1, 40_000),
        (2, 0, 1, 2, 2, 30_000),
        (2, 0, 1, 2, 100, 600),
    ];
    for (row, (limit, left, queued, wanted, per_period, hint)) in table.into_iter().enumerate() {
        let clock = ManualClock::new();
        let quota = Quota::new(per_period, period).unwrap().burst(limit);
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        bucket.try_acquire(limit - left).unwrap();
        bucket.reserve(queued, Duration::MAX).unwrap().commit();
        let retry_after = ms(hint);
        assert_eq!(bucket.try_acquire(wanted), Err(Denied::NotYet { retry_after }), "J13, row {row}");

        // The part that has passed is subtracted.
        let part = ms(hint / 8);
        clock.advance(part);
        let retry_after = retry_after.saturating_sub(part);
        assert_eq!(bucket.try_acquire(wanted), Err(Denied::NotYet { retry_after }), "J13, row {row}, later");
    }
}

#[test]
fn j14_no_hint_where_there_is_no_wait() {
    let bucket = TokenBucket::with_clock(one(1), ManualClock::new());
    assert_eq!(bucket.wait_time(1), Some(Duration::ZERO));
    let reservation = bucket.reserve(1, Duration::ZERO).unwrap();
    assert_eq!(reservation.delay(), Duration::ZERO);
}

#[test]
#[rustfmt::skip]
fn s01_a_cancelled_place_is_not_given_twice() {
    full("S01", one(1), &[
        (0, Reserve(1), Acts(0)), (0, Reserve(1), Acts(1)), (0, Cancel(0), Back(0)), (0, Reserve(1), Acts(2)),
    ]);
}

#[test]
fn s07_a_late_rollback_returns_nothing() {
    let bucket = TokenBucket::with_clock(one(1), ManualClock::new());
    let tick = |n: u32| Timestamp::ZERO + Duration::from_secs(1) * n;
    let charge = bucket.charge_at(1, tick(0)).unwrap();
    assert_eq!(bucket.try_acquire_at(1, tick(1)), Ok(()));
    assert_eq!(bucket.undo(charge), 0);
    assert!(
        bucket.try_acquire_at(1, tick(1)).is_err(),
        "S07: two actions at one instant"
    );
    assert_eq!(bucket.try_acquire_at(1, tick(2)), Ok(()));

    // With nobody in between it is as if the charge had never been made.
    let before = format!("{bucket:?}");
    let charge = bucket.charge_at(1, tick(9)).unwrap();
    assert_eq!(bucket.undo(charge), 1);
    assert_eq!(format!("{bucket:?}"), before);
}

#[test]
fn r04_refusals_do_not_leak() {
    for refusals in [1, 10, 1_000] {
        let bucket = TokenBucket::with_clock(ten(5), ManualClock::new());
        bucket.try_acquire(3).unwrap();
        let before = format!("{bucket:?}");
        for _ in 0..refusals {
            let retry_after = ms(100);
            assert_eq!(bucket.try_acquire(3), Err(Denied::NotYet { retry_after }));
            assert_eq!(bucket.try_acquire(6), Err(Denied::Never { capacity: 5 }));
            assert!(bucket.reserve(3, ms(99)).is_err());
        }
        assert_eq!(format!("{bucket:?}"), before, "R04: after {refusals}");
        assert_eq!(bucket.available(), 2, "R04: after {refusals}");
    }
}

#[test]
fn r05_more_than_the_bucket_is_an_error_or_a_debt() {
    let clock = ManualClock::new();
    let quota = Quota::per_minute(90_000).burst(1_500);
    let bucket = TokenBucket::with_clock(quota, clock.clone());
    assert_eq!(
        bucket.try_acquire(2_000),
        Err(Denied::Never { capacity: 1_500 })
    );
    assert_eq!(bucket.wait_time(2_000), None);
    assert!(bucket.reserve(2_000, Duration::MAX).is_err());

    bucket.debit(2_000);
    assert_eq!(bucket.debt(), 500);
    let wait = bucket.wait_time(1_500).unwrap();
    assert_eq!(wait, Duration::from_nanos(1_333_333_334));
    clock.advance(wait);
    assert_eq!(bucket.try_acquire(1_500), Ok(()));
}
