//! The sliding window against a list of all admissions: G4 and G5 for any length, limit, number of slots and clock script.

use core::time::Duration;

use crate::oracle::IdealWindow;
use proptest::prelude::*;
use tidegate::{Denied, Limiter, ManualClock, SlidingWindow, Timestamp};

const SECOND: u64 = 1_000_000_000;

fn any_window() -> impl Strategy<Value = SlidingWindow<ManualClock>> {
    let length = prop_oneof![
        1_u64..200,
        Just(500_000),
        Just(1_999_000),
        Just(SECOND),
        Just(60 * SECOND),
        Just(86_400 * SECOND),
        1_u64..1 << 40,
        Just(1 << 62),
    ];
    let limit = prop_oneof![1_u64..10, 1_u64..1_000, 1_u64..1 << 40];
    let slots = prop_oneof![Just(1_usize), 2_usize..70, Just(1_024)];
    (length, limit, slots).prop_filter_map("representable", |(length, limit, slots)| {
        SlidingWindow::with_clock(limit, Duration::from_nanos(length), ManualClock::new())
            .ok()?
            .try_slots(slots)
            .ok()
    })
}

/// A step of time in terms of the window, in 1/64 slots or more.
#[derive(Clone, Copy, Debug)]
enum Step {
    Nanos(u64),
    /// In 1/16 of a slot, and a nanosecond around it.
    Slots(u64, i8),
    /// In windows, and a nanosecond around it.
    Windows(u64, i8),
    Hint(i8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Nanos(0)),
        (0_u64..100).prop_map(Step::Nanos),
        (0_u64..80, -1_i8..2).prop_map(|(slots, around)| Step::Slots(slots, around)),
        (0_u64..4, -1_i8..2).prop_map(|(windows, around)| Step::Windows(windows, around)),
        (-1_i8..2).prop_map(Step::Hint),
    ]
}

impl Step {
    fn nanos(self, window: &SlidingWindow<ManualClock>, hint: Duration) -> u64 {
        let length = u64::try_from(window.window().as_nanos()).expect("windows fit");
        match self {
            Self::Nanos(nanos) => nanos,
            Self::Slots(parts, around) => (length / window.slot_count() / 16)
                .saturating_mul(parts)
                .saturating_add_signed(around.into()),
            Self::Windows(windows, around) => length
                .saturating_mul(windows)
                .saturating_add_signed(around.into()),
            Self::Hint(around) => u64::try_from(hint.as_nanos())
                .expect("hints fit")
                .saturating_add_signed(around.into()),
        }
    }
}

proptest! {
    #[test]
    fn decides_within_a_slot_of_the_ideal_window(
        window in any_window(),
        start in prop_oneof![Just(0), 0_u64..1 << 60],
        script in prop::collection::vec((any_step(), 0_u64..1 << 41, prop::bool::weighted(0.1)), 1..80),
    ) {
        let length = u64::try_from(window.window().as_nanos()).expect("windows fit");
        let slot = length / window.slot_count();
        let limit = window.limit();
        let mut ideal = IdealWindow::default();
        let (mut now, mut latest, mut hint) = (start, 0, Duration::ZERO);
        for (step, n, back) in script {
            let nanos = step.nanos(&window, hint);
            now = if back { now.saturating_sub(nanos) } else { now.saturating_add(nanos).min(1 << 62) };
            // Small numbers mostly, and now and then more than the limit.
            let n = if n % 5 == 0 { n } else { n % (limit / 2 + 2) };
            let at = Timestamp::from_nanos(now);
            // A caller with an older clock is decided when its admission enters the ring: not before the latest call that
            // had a slot.
            if (1..=limit).contains(&n) {
                latest = latest.max(now);
            }

            let used = window.current_count_at(at);
            prop_assert_eq!(window.available_at(at), limit - used);
            let peeked = window.peek_at(n, at);
            let outcome = window.try_acquire_at(n, at);
            prop_assert_eq!(outcome, peeked);
            match outcome {
                Ok(()) => {
                    prop_assert_eq!(window.wait_time_at(0, at), Some(Duration::ZERO));
                    prop_assert_eq!(window.current_count_at(at), used + n);
                    ideal.admit(n, latest);
                    ideal.assert_bound(limit, window.window());
                }
                Err(Denied::Never { capacity }) => {
                    prop_assert_eq!(capacity, limit);
                    prop_assert!(n > limit);
                }
                Err(Denied::NotYet { retry_after }) => {
                    prop_assert_eq!(window.current_count_at(at), used);
                    // Judged as of the caller's own time if nobody has moved the window on since.
                    let recent = ideal.count_since(now.saturating_sub(length + slot));
                    prop_assert!(recent > u128::from(limit - n), "{} of {} refused after {}", n, limit, recent);
                    // Beyond 2^63 ns a window's time stands still, and no hint can be kept.
                    let end = now.checked_add(u64::try_from(retry_after.as_nanos()).expect("hints fit"));
                    if now == latest && end.is_some_and(|end| end < 1 << 63) {
                        hint = retry_after;
                        let then = now + u64::try_from(retry_after.as_nanos()).expect("hints fit");
                        prop_assert!(window.peek_at(n, Timestamp::from_nanos(then)).is_ok(), "hint too short");
                        prop_assert!(window.peek_at(n, Timestamp::from_nanos(then - 1)).is_err(), "hint too long");
                        prop_assert!(then - now <= length + slot);
                    }
                }
                Err(_) => prop_assert!(false, "an outcome that the model does not know"),
            }
        }
    }
}

proptest! {
    /// Steady traffic that uses the window up, and refusals of any size. Where charges are undone, hints are reckoned in another
    /// way: a window with undos tells the same as one without, and both tell the truth.
    #[test]
    fn hints_of_a_used_up_window_are_exact_with_undos_and_without(
        limit in prop_oneof![1_u64..10, 1_u64..500],
        slots in prop_oneof![Just(1_usize), 2_usize..70],
        undos in prop::bool::weighted(0.5),
        // In 1/16 of a slot, how much is asked for, and whether some of it is undone in one of the windows.
        script in prop::collection::vec((0_u64..40, 0_u64..500, prop::bool::weighted(0.3)), 100..300),
    ) {
        let new = || SlidingWindow::with_clock(limit, Duration::from_secs(1), ManualClock::new())
            .expect("fits")
            .slots(slots);
        let (plain, undone) = (new(), new());
        let part = SECOND / u64::try_from(slots).expect("few") / 16;
        let mut now = 0;
        for (parts, n, undo) in script {
            now += parts * part;
            let at = Timestamp::from_nanos(now);
            // As much as keeps the window used up: what comes in a slot is more than what leaves.
            let steady = 1 + n % (limit / u64::try_from(slots).expect("few") * 4 + 1).min(limit);
            if undo && undos {
                if let Ok(charge) = undone.charge_at(steady, at) {
                    prop_assert_eq!(undone.undo(charge), steady);
                }
            }
            prop_assert_eq!(plain.try_acquire_at(steady, at), undone.try_acquire_at(steady, at));
            for n in [1, steady, 1 + n % limit, limit] {
                let refused = plain.peek_at(n, at);
                prop_assert_eq!(refused, undone.peek_at(n, at));
                if let Err(Denied::NotYet { retry_after }) = refused {
                    // An admission would find another head than a look.
                    prop_assert_eq!(plain.try_acquire_at(n, at), refused);
                    prop_assert_eq!(undone.try_acquire_at(n, at), refused);
                    let then = at + retry_after;
                    prop_assert!(plain.peek_at(n, then).is_ok(), "hint too short");
                    let before = Timestamp::from_nanos(then.as_nanos() - 1);
                    prop_assert!(plain.peek_at(n, before).is_err(), "hint too long");
                }
            }
        }
    }
}

/// Any number of slots costs the same and keeps the same bound, at the window's edge too.
#[test]
fn the_edge_of_a_window_holds_for_every_offset() {
    for slots in [1, 2, 10, 64, 1_024] {
        for offset in 0..200 {
            let window =
                SlidingWindow::with_clock(10, Duration::from_millis(100), ManualClock::new())
                    .expect("fits")
                    .slots(slots);
            let start = offset * 777_777;
            let mut admitted = Vec::new();
            for step in 0..400 {
                let now = start + step * 1_000_000;
                if window.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok() {
                    admitted.push(now);
                }
            }
            for (i, first) in admitted.iter().enumerate() {
                if let Some(eleventh) = admitted.get(i + 10) {
                    assert!(
                        eleventh - first > 100_000_000,
                        "{slots} slots, offset {offset}"
                    );
                }
            }
            assert!(admitted.len() >= 20, "{slots} slots: {}", admitted.len());
        }
    }
}

#[test]
fn constructions_that_do_not_fit_say_why() {
    use tidegate::WindowError;
    let new = |limit, nanos| {
        SlidingWindow::with_clock(limit, Duration::from_nanos(nanos), ManualClock::new())
    };
    assert_eq!(new(0, SECOND).unwrap_err(), WindowError::ZeroLimit);
    assert_eq!(new(1, 0).unwrap_err(), WindowError::ZeroWindow);
    assert_eq!(new(1, u64::MAX).unwrap_err(), WindowError::WindowTooLong);
    let max = match new(u64::MAX, SECOND).unwrap_err() {
        WindowError::LimitTooLarge { max } => max,
        other => panic!("{other}"),
    };
    assert!(new(max + 1, SECOND).is_err());
    let window = new(max, SECOND).expect("the largest limit fits");
    assert!(window.slot_count() < 64);
    let at = Timestamp::from_nanos(u64::MAX);
    assert!(window.try_acquire_at(max, at).is_ok());
    assert!(window.try_acquire_at(1, at).is_err());

    let window = new(1_000, SECOND).expect("fits");
    assert_eq!(window.slot_count(), 64);
    assert_eq!(window.try_slots(0).unwrap_err(), WindowError::ZeroSlots);
    let window = new(1, 10).expect("fits");
    assert_eq!(
        window.try_slots(11).unwrap_err(),
        WindowError::TooManySlots { max: 10 }
    );
}
