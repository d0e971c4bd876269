//! Timelines: calls at ticks, and their answers.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, Reservation, Timestamp, TokenBucket};

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Tries to take tokens.
    Try(u64),
    /// Reads the available tokens, or the debt as a negative number.
    Level,
    /// Reserves tokens, however long that takes.
    Reserve(u64),
    /// Reserves tokens if the wait is at most this many ticks.
    Within(u64, u32),
    /// Cancels the reservation with this number, from 0.
    Cancel(usize),
    /// Takes tokens, and advances the clock by the wait.
    Wait(u64),
    /// Waits for one token, and debits the rest.
    PayLater(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Yes,
    /// Refused, with a hint in ticks.
    No(u32),
    Never,
    Is(i64),
    /// Reserved, ready at this tick.
    ReadyAt(u32),
    /// Canceled, with this many tokens returned.
    Returned(u64),
    /// Done, after this many ticks.
    Waits(u32),
}

use Op::{Cancel, Level, PayLater, Reserve, Try, Wait, Within};
use Out::{Is, Never, No, ReadyAt, Returned, Waits, Yes};

/// Ticks, operations and answers. Steps at one tick run in the order written.
type Steps<'a> = &'a [(u32, Op, Out)];

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs a timeline whose tick is the time of one token.
fn play(case: &str, quota: Quota, initial: u64, steps: Steps<'_>) {
    let tick = quota.period() / u32::try_from(quota.rate()).expect("a small rate");
    let ticks_of = |wait: Duration| {
        let ticks = wait.as_nanos() / tick.as_nanos();
        let ticks = u32::try_from(ticks).expect("a short timeline");
        assert_eq!(tick * ticks, wait, "{case}: {wait:?} is no whole tick");
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
        assert!(now >= clock.now(), "{case}: step {number} is in the past");
        clock.set(now);
        let before = format!("{bucket:?}");
        let out = match op {
            Try(n) => bucket.try_acquire(n).map_or_else(refused, |()| Yes),
            Level => {
                let [available, debt] = [bucket.available(), bucket.debt()].map(i64::try_from);
                Is(available.expect("few tokens") - debt.expect("few tokens"))
            }
            Reserve(n) | Within(n, _) => {
                let max_wait = match op {
                    Within(_, ticks) => tick * ticks,
                    _ => Duration::MAX,
                };
                match bucket.reserve(n, max_wait) {
                    Ok(reservation) => {
                        let ready_at = ticks_of(reservation.ready_at() - Timestamp::ZERO);
                        reservations.push(Some(reservation));
                        ReadyAt(ready_at)
                    }
                    Err(denied) => refused(denied),
                }
            }
            Cancel(index) => Returned(reservations[index].take().map_or(0, Reservation::cancel)),
            Wait(n) | PayLater(n) => {
                let first = if matches!(op, Wait(_)) { n } else { 1 };
                let reservation = bucket.reserve(first, Duration::MAX).expect("no limit");
                let delay = reservation.delay();
                reservation.commit();
                clock.advance(delay);
                bucket.debit(n - first);
                Waits(ticks_of(delay))
            }
        };
        assert_eq!(
            out, expected,
            "{case}: step {number}, {op:?} at tick {time}"
        );
        if matches!(out, No(_) | Never) {
            assert_eq!(
                format!("{bucket:?}"),
                before,
                "{case}: step {number} refused"
            );
        }
    }
    for reservation in reservations.into_iter().flatten() {
        reservation.commit();
    }
}

/// Returns ten per second, whose tick is 100 ms.
const fn ten(burst: u64) -> Quota {
    Quota::per_second(10).burst(burst)
}

/// Returns one per second.
const fn one(burst: u64) -> Quota {
    Quota::per_second(1).burst(burst)
}

/// Runs a timeline on a full bucket.
fn full(case: &str, quota: Quota, steps: Steps<'_>) {
    play(case, quota, quota.capacity(), steps);
}

#[test]
#[rustfmt::skip]
fn golang_try() {
    full("burst of 1", ten(1), &[
        (0, Level, Is(1)), (0, Try(1), Yes), (0, Level, Is(0)), (0, Try(1), No(1)),
        (0, Try(1), No(1)),
        (1, Level, Is(1)), (1, Try(1), Yes), (1, Try(1), No(1)), (1, Try(1), No(1)),
        (2, Level, Is(1)), (2, Try(2), Never), (2, Try(1), Yes), (2, Try(1), No(1)),
    ]);
    full("burst of 3", ten(3), &[
        (0, Level, Is(3)), (0, Try(2), Yes), (0, Level, Is(1)), (0, Try(2), No(1)),
        (0, Try(1), Yes),
        (0, Level, Is(0)), (0, Try(1), No(1)),
        (1, Level, Is(1)), (1, Try(4), Never),
        (2, Level, Is(2)), (2, Try(1), Yes),
        (3, Level, Is(2)), (3, Try(1), Yes),
        (4, Level, Is(2)), (4, Try(1), Yes), (4, Level, Is(1)), (4, Try(1), Yes),
        (4, Try(1), No(1)), (4, Try(1), No(1)),
        (9, Level, Is(3)), (9, Try(3), Yes), (9, Try(0), Yes), (9, Level, Is(0)),
    ]);
}

#[test]
#[rustfmt::skip]
fn golang_reserve() {
    full("reserve in advance", ten(2), &[
        (0, Reserve(2), ReadyAt(0)), (0, Reserve(2), ReadyAt(2)), (3, Reserve(2), ReadyAt(4)),
    ]);
    full("try after reserve", ten(2), &[
        (0, Reserve(3), Never), (0, Reserve(2), ReadyAt(0)),
        (1, Level, Is(1)), (1, Try(2), No(1)), (1, Reserve(2), ReadyAt(2)), (1, Level, Is(-1)),
        (1, Try(1), No(2)),
        (3, Level, Is(1)), (3, Try(1), Yes),
    ]);
    full("cancel before it is ready", ten(2), &[
        (0, Reserve(2), ReadyAt(0)), (0, Reserve(2), ReadyAt(2)), (1, Cancel(1), Returned(2)),
        (1, Reserve(2), ReadyAt(2)),
    ]);
    full("cancel after it was ready", ten(2), &[
        (0, Reserve(2), ReadyAt(0)), (0, Reserve(2), ReadyAt(2)), (3, Cancel(1), Returned(0)),
        (3, Reserve(2), ReadyAt(4)),
    ]);
    full("limited wait", ten(2), &[
        (0, Reserve(2), ReadyAt(0)), (0, Within(1, 1), ReadyAt(1)), (0, Within(1, 1), No(2)),
        (0, Level, Is(-1)),
        (0, Within(1, 2), ReadyAt(2)),
    ]);
    full("canceled wait", ten(3), &[
        (0, Reserve(1), ReadyAt(0)), (0, Cancel(0), Returned(1)), (0, Reserve(4), Never),
        (0, Wait(2), Waits(0)), (0, Wait(3), Waits(2)),
    ]);
    full("cancel returns all", ten(3), &[
        (0, Wait(2), Waits(0)), (0, Reserve(3), ReadyAt(2)), (1, Cancel(0), Returned(3)),
        (1, Wait(2), Waits(0)),
    ]);
    full("wait beyond its limit", ten(3), &[
        (0, Wait(2), Waits(0)), (0, Within(3, 1), No(2)), (0, Level, Is(1)),
    ]);
}

#[test]
#[rustfmt::skip]
fn uber_unused_time_is_limited_to_the_burst() {
    for burst in [1, 10] {
        play("reserve at one instant", ten(burst), 1, &[
            (0, Reserve(1), ReadyAt(0)), (0, Reserve(1), ReadyAt(1)), (0, Reserve(1), ReadyAt(2)),
        ]);
    }

    let mut steps = vec![(0, Try(1), Yes), (2, Reserve(1), ReadyAt(2))];
    steps.extend((2..=24).map(|second| (2, Reserve(1), ReadyAt(second))));
    full("slack of one token", one(2), &steps);

    full("long idle time", ten(1), &[
        (0, Try(1), Yes), (50, Reserve(1), ReadyAt(50)), (50, Reserve(1), ReadyAt(51)),
    ]);
}

#[test]
fn uber_four_takers_keep_the_rate() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(100).burst(1), clock.clone());
    // Each taker returns as soon as its last reservation is ready.
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
        assert_eq!(done as u64, second * 100, "by second {second}");
    }
}

#[test]
#[rustfmt::skip]
fn guava_stored_permits_and_later_payment() {
    let five = |burst| Quota::per_second(5).burst(burst);
    full("without stored permits", five(1), &[
        (0, Wait(1), Waits(0)), (0, Wait(1), Waits(1)), (1, Wait(1), Waits(1)),
    ]);
    full("one stored permit", five(1), &[
        (0, Wait(1), Waits(0)), (1, Wait(1), Waits(0)), (1, Wait(1), Waits(1)),
    ]);
    full("six stored permits", five(6), &[
        (10, Wait(1), Waits(0)), (10, Wait(1), Waits(0)), (10, Wait(3), Waits(0)),
        (10, Wait(1), Waits(0)),
        (10, Wait(1), Waits(1)),
    ]);
    full("five stored permits", five(5), &[
        (10, Wait(1), Waits(0)), (10, Wait(1), Waits(0)), (10, Wait(3), Waits(0)),
        (10, Wait(1), Waits(1)),
    ]);
    full("pay later", one(1), &[
        (0, PayLater(1), Waits(0)), (0, PayLater(1), Waits(1)), (1, PayLater(2), Waits(1)),
        (2, PayLater(4), Waits(2)), (4, PayLater(8), Waits(4)), (8, PayLater(1), Waits(8)),
    ]);
}

/// A queue grants permits on ticks. A bucket names each tick in advance.
#[test]
#[rustfmt::skip]
fn dotnet_queue() {
    full("queue of two", one(1), &[
        (0, Try(1), Yes), (0, Reserve(1), ReadyAt(1)), (0, Reserve(1), ReadyAt(2)),
        (1, Try(1), No(2)), (2, Level, Is(0)),
    ]);
    full("queue limit", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), ReadyAt(1)), (0, Within(1, 1), No(2)),
        (0, Level, Is(-1)), (1, Level, Is(0)),
    ]);
    full("canceled in queue", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), ReadyAt(1)), (0, Cancel(0), Returned(1)),
        (1, Level, Is(1)),
    ]);
    full("queue again", one(1), &[
        (0, Try(1), Yes), (0, Within(1, 1), ReadyAt(1)), (0, Cancel(0), Returned(1)),
        (0, Within(1, 1), ReadyAt(1)),
        (1, Level, Is(0)),
    ]);
}

/// Missing tokens arrive one by one, also when a period brings several. So the last two rows are
/// shorter than with one refill per period, which would take 40 s.
#[test]
#[rustfmt::skip]
fn dotnet_retry_after_is_the_remaining_time() {
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
        let refused = Err(Denied::NotYet { retry_after: retry_after.into() });
        assert_eq!(bucket.try_acquire(wanted), refused, "row {row}");

        // The hint shrinks as time passes.
        let part = ms(hint / 8);
        clock.advance(part);
        let retry_after = retry_after.saturating_sub(part);
        let refused = Err(Denied::NotYet { retry_after: retry_after.into() });
        assert_eq!(bucket.try_acquire(wanted), refused, "row {row}, later");
    }
}

#[test]
#[rustfmt::skip]
fn canceled_reservation_is_not_given_twice() {
    full("late cancel", one(1), &[
        (0, Reserve(1), ReadyAt(0)), (0, Reserve(1), ReadyAt(1)), (0, Cancel(0), Returned(0)),
        (0, Reserve(1), ReadyAt(2)),
    ]);
}

#[test]
fn late_undo_returns_nothing() {
    let bucket = TokenBucket::with_clock(one(1), ManualClock::new());
    let tick = |n: u32| Timestamp::ZERO + Duration::from_secs(1) * n;
    let charge = bucket.charge_at(1, tick(0)).unwrap();
    assert_eq!(bucket.try_acquire_at(1, tick(1)), Ok(()));
    assert_eq!(bucket.undo(charge), 0);
    assert!(
        bucket.try_acquire_at(1, tick(1)).is_err(),
        "two actions at one instant"
    );
    assert_eq!(bucket.try_acquire_at(1, tick(2)), Ok(()));

    // Without a call in between, an undo restores the state.
    let before = format!("{bucket:?}");
    let charge = bucket.charge_at(1, tick(9)).unwrap();
    assert_eq!(bucket.undo(charge), 1);
    assert_eq!(format!("{bucket:?}"), before);
}

#[test]
fn more_than_the_capacity_is_an_error_or_a_debt() {
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
