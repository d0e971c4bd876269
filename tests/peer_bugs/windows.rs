//! Bugs of windows.

use core::time::Duration;

use tidegate::{Denied, Limiter, ManualClock, SlidingWindow, Timestamp};

use crate::{NANO, SECOND, at};

fn window(limit: u64, length: Duration) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, length, ManualClock::new()).expect("a valid window")
}

/// Half a millisecond was rounded to zero milliseconds.
#[test]
fn pingora_short_window_became_zero() {
    let length = Duration::from_micros(500);
    let window = window(10, length);
    let clock = window.clock();
    assert_eq!(window.window(), length);
    for _ in 0..4 {
        assert_eq!(window.try_acquire(10), Ok(()));
        assert_eq!(window.current_count(), 10);
        let wait = window.try_acquire(1).unwrap_err().retry_after().unwrap();
        assert!(
            wait > length && wait <= length + length / 64 + NANO,
            "{wait:?}"
        );
        clock.advance(length);
        assert!(window.try_acquire(1).is_err());
        clock.advance(wait.saturating_sub(length));
    }
    assert_eq!(window.current_count(), 0);
}

/// A stale reading wrapped.
#[test]
fn pingora_stale_reading_wiped_the_window() {
    let ms = |n: u64| at(n * 1_000_000);
    let window = window(10, Duration::from_millis(100));
    for start in (0..3_000).step_by(150) {
        assert_eq!(window.try_acquire_at(4, ms(start + 60)), Ok(()));
        assert_eq!(window.try_acquire_at(4, ms(start + 90)), Ok(()));
        // Readings from an earlier slot, from before the window and from the origin.
        for stale in [ms(start + 80), ms(start + 50), Timestamp::ZERO] {
            assert!(window.try_acquire_at(3, stale).is_err());
            assert_eq!(window.current_count_at(stale), 8);
        }
        assert_eq!(window.try_acquire_at(2, ms(start)), Ok(()));
        assert!(window.try_acquire_at(1, ms(start + 100)).is_err());
    }
}

/// A fixed window with a limit of 10 admitted 19 around its edge. At any offset, a sliding window
/// admits the eleventh call a whole window later.
#[test]
fn tower_window_edge_doubled_the_limit() {
    let second = Duration::from_secs(1);
    for slots in [1, 10, 64, 1_000] {
        let late = second / u32::try_from(slots).unwrap();
        for offset in (0..SECOND).step_by(7_812_500 / 2) {
            let window = window(10, second).slots(slots);
            let (first, last) = (at(offset), at(offset + 1_999_999));
            assert_eq!(window.try_acquire_at(1, first), Ok(()));
            assert_eq!(window.try_acquire_at(9, last), Ok(()));
            assert_eq!(
                window
                    .try_acquire_at(10, last + Duration::from_micros(1))
                    .ok(),
                None
            );

            let Err(Denied::NotYet { retry_after }) = window.peek_at(1, last) else {
                unreachable!("{slots} slots, {offset}: the window was full")
            };
            let next = last + retry_after;
            assert!(next > first + second, "{slots} slots, {offset}: early");
            assert!(
                next <= first + second + late,
                "{slots} slots, {offset}: late"
            );
            assert!(
                window
                    .peek_at(1, last + retry_after.as_duration().saturating_sub(NANO))
                    .is_err()
            );
            assert_eq!(window.peek_at(1, next), Ok(()));
        }
    }
}

/// No interval admits more than the limit, whatever its start.
#[test]
fn tower_some_interval_exceeded_the_limit() {
    let length = 1_000_000;
    for slots in [1, 2, 3, 8, 10, 64, 1_024] {
        let offsets = [
            (0, 1_000),
            (1, 7_000),
            (999, 13_001),
            (499_999, 33_333),
            (5, 125_000),
            (0, 500_000),
        ];
        for (start, step) in offsets {
            let window = window(10, Duration::from_nanos(length)).slots(slots);
            let times = (start..start + 6 * length).step_by(step);
            let admitted: Vec<u64> = times
                .filter(|&now| window.try_acquire_at(1, at(now)).is_ok())
                .collect();
            let late = length / slots as u64;
            for eleven in admitted.windows(11) {
                let [first, .., tenth, last] = *eleven else {
                    unreachable!()
                };
                let span = last - first;
                assert!(span > length, "{slots} slots: 11 in {span} ns from {first}");
                let due = tenth.max(first + length + late) + step as u64;
                assert!(
                    last <= due,
                    "{slots} slots, step {step}: {last} is after {due}"
                );
            }
        }
    }
}

/// A client that kept trying was refused forever.
#[test]
fn actix_limitation_refusals_extended_the_wait() {
    let window = window(5, Duration::from_secs(1));
    window.try_acquire(5).unwrap();
    let wait = window.wait_time(5).unwrap();
    let end = Timestamp::ZERO + wait;
    for now in (0..end.as_nanos()).step_by(1_000_000) {
        assert!(window.try_acquire_at(1, at(now)).is_err());
        assert!(window.try_acquire_at(6, at(now)).is_err());
    }
    assert_eq!(window.try_acquire_at(5, end), Ok(()));
}

#[test]
fn linkerd2_late_undo_took_another_charge() {
    let window = window(10, Duration::from_secs(1)).slots(10);
    let charge = window.charge_at(4, at(0)).unwrap();
    assert_eq!(window.undo(charge), 4);
    let charge = window.charge_at(4, at(0)).unwrap();
    assert_eq!(window.try_acquire_at(5, at(SECOND / 2)), Ok(()));
    assert_eq!(window.undo(charge), 0);
    assert_eq!(window.current_count_at(at(SECOND / 2)), 9);
}

#[test]
fn limitador_updates_at_expiry_were_lost() {
    let window = window(100, Duration::from_secs(1)).slots(10);
    let slot = SECOND / 10;
    for edge in 1..50 {
        for now in [edge * slot - 1, edge * slot, edge * slot + 1] {
            assert_eq!(window.try_acquire_at(3, at(now)), Ok(()), "at {now}");
        }
        // Nine in each of ten slots, and six so far in the current one.
        let expected = (9 * edge).min(96);
        assert_eq!(
            window.current_count_at(at(edge * slot + 1)),
            expected,
            "at edge {edge}"
        );
    }
}
