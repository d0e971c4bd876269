//! Hints of a sliding window with steady traffic, and its construction errors.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{Denied, Limiter, ManualClock, SlidingWindow, Timestamp, WindowError};

const SECOND: u64 = 1_000_000_000;

fn window(limit: u64, nanos: u64) -> Result<SlidingWindow<ManualClock>, WindowError> {
    SlidingWindow::with_clock(limit, Duration::from_nanos(nanos), ManualClock::new())
}

proptest! {
    /// After an undo, a window computes hints in another way. Both ways must agree and be exact.
    #[test]
    fn hints_of_full_window_are_exact_with_and_without_undos(
        limit in prop_oneof![1_u64..10, 1_u64..500],
        slots in prop_oneof![Just(1_usize), 2_usize..70],
        undos in prop::bool::weighted(0.5),
        // Sixteenths of a slot to step, how many to request, and whether one window undoes some.
        script in prop::collection::vec(
            (0_u64..40, 0_u64..500, prop::bool::weighted(0.3)),
            100..300,
        ),
    ) {
        let new = || window(limit, SECOND).expect("a valid window").slots(slots);
        let (plain, undone) = (new(), new());
        let slots = u64::try_from(slots).expect("few slots");
        let part = SECOND / slots / 16;
        let mut now = 0;
        for (parts, n, undo) in script {
            now += parts * part;
            let at = Timestamp::from_nanos(now);
            // Enough to keep the window full: more arrives in a slot than leaves.
            let steady = 1 + n % (limit / slots * 4 + 1).min(limit);
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
                    // A call may advance the ring; a peek does not.
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

#[test]
fn construction_errors_name_the_limits() {
    assert_eq!(window(0, SECOND).unwrap_err(), WindowError::ZeroLimit);
    assert_eq!(window(1, 0).unwrap_err(), WindowError::ZeroWindow);
    assert_eq!(window(1, u64::MAX).unwrap_err(), WindowError::WindowTooLong);
    let max = match window(u64::MAX, SECOND).unwrap_err() {
        WindowError::LimitTooLarge { max } => max,
        other => panic!("{other}"),
    };
    assert!(window(max + 1, SECOND).is_err());
    let largest = window(max, SECOND).expect("the largest limit fits");
    assert!(largest.slot_count() < 64);
    let at = Timestamp::from_nanos(u64::MAX);
    assert!(largest.try_acquire_at(max, at).is_ok());
    assert!(largest.try_acquire_at(1, at).is_err());

    let usual = window(1_000, SECOND).expect("a valid window");
    assert_eq!(usual.slot_count(), 64);
    assert_eq!(usual.try_slots(0).unwrap_err(), WindowError::ZeroSlots);
    let short = window(1, 10).expect("a valid window");
    assert_eq!(
        short.try_slots(11).unwrap_err(),
        WindowError::TooManySlots { max: 10 }
    );
}
