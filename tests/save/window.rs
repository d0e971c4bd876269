//! Sliding windows: the bound holds across restarts by the wall clock.

use std::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, SlidingWindow};

use crate::{SECOND, at, wall};

type Window = SlidingWindow<ManualClock>;

fn window(limit: u64, length: u64, slots: usize) -> Window {
    let length = Duration::from_nanos(length);
    let window = SlidingWindow::with_clock(limit, length, ManualClock::new()).unwrap();
    window.slots(slots)
}

/// Admissions by the wall clock.
#[derive(Debug, Default)]
struct Log(Vec<(u64, u64)>);

impl Log {
    /// Permits admitted in `(now - length, now]`.
    fn within(&self, length: u64, now: u64) -> u64 {
        let recent = self.0.iter().filter(|(then, _)| then + length > now);
        recent.map(|(_, n)| n).sum()
    }

    /// Permits that must not count any more are older than this.
    fn within_and_slots(&self, length: u64, slots: u64, now: u64) -> u64 {
        // A slot may be shorter than the chosen one, not longer. One more for each restart.
        self.within(length + 2 * length.div_ceil(slots), now)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Admit(u64),
    /// Down for so long, and then a clock that begins there.
    Restart(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u64..700).prop_map(Step::Pass),
        4 => (1_u64..6).prop_map(Step::Admit),
        1 => (0_u64..900, prop_oneof![Just(0), 0_u64..5_000]).prop_map(|(down, clock)| {
            Step::Restart(down, clock)
        }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// No interval of the window's length holds more than the limit, nothing counts for two slots
    /// longer than it must, and hints are exact.
    #[test]
    fn bound_holds_across_restarts(
        limit in 1_u64..12,
        length in prop_oneof![Just(1_000_u64), 200_u64..2_000],
        slots in 1_u64..12,
        steps in steps(),
    ) {
        let new = || window(limit, length, usize::try_from(slots).unwrap());
        let (mut live, mut log) = (new(), Log::default());
        // The limiter's clock, and the wall clock.
        let (mut now, mut time) = (0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Pass(nanos) => {
                    now += nanos;
                    time += nanos;
                }
                Step::Restart(down, clock) => {
                    let saved = live.save_at(at(now), wall(time));
                    time += down;
                    now = clock;
                    live = Window::restore_at(&saved, new(), at(now), wall(time)).unwrap();
                }
                Step::Admit(n) => {
                    let available = live.available_at(at(now));
                    let wait = live.wait_time_at(n, at(now));
                    let admitted = live.try_acquire_at(n, at(now)).is_ok();
                    prop_assert_eq!(admitted, n <= available);
                    if admitted {
                        log.0.push((time, n));
                    } else if let Some(wait) = wait {
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0);
                        prop_assert!(live.peek_at(n, at(now + wait)).is_ok());
                        prop_assert!(live.peek_at(n, at(now + wait - 1)).is_err());
                    } else {
                        prop_assert!(n > limit);
                    }
                }
            }
            let most = limit - log.within(length, time);
            let available = live.available_at(at(now));
            prop_assert!(available <= most, "{available} of {most}");
            let least = limit.saturating_sub(log.within_and_slots(length, slots, time));
            prop_assert!(available >= least, "{available}, at least {least}");
        }
    }
}

#[test]
fn ages_go_on_while_the_clock_begins_anew() {
    let minute = 60 * SECOND;
    let before = window(100, minute, 60);
    before.try_acquire_at(60, at(3_600 * SECOND)).unwrap();
    before.try_acquire_at(40, at(3_630 * SECOND)).unwrap();
    let saved = before.save_at(at(3_640 * SECOND), wall(0));
    assert_eq!(saved.state().count(), 100);

    // 10 s later, on a clock that begins: 60 are 50 s old, 40 are 20 s old, or a slot less.
    let fresh = window(100, minute, 60);
    let live = Window::restore_at(&saved, fresh, at(0), wall(10 * SECOND)).unwrap();
    assert_eq!(live.available_at(at(0)), 0);
    assert_eq!(live.available_at(at(10 * SECOND)), 0);
    assert_eq!(live.available_at(at(12 * SECOND)), 60);
    assert_eq!(live.available_at(at(42 * SECOND)), 100);
    // Admissions of this life count beside them.
    live.try_acquire_at(60, at(12 * SECOND)).unwrap();
    assert_eq!(live.available_at(at(12 * SECOND)), 0);
    assert_eq!(live.available_at(at(42 * SECOND)), 40);

    // A wall clock that went back makes nothing older.
    let fresh = window(100, minute, 60);
    let saved = before.save_at(at(3_640 * SECOND), wall(5 * SECOND));
    let live = Window::restore_at(&saved, fresh, at(0), wall(0)).unwrap();
    assert_eq!(live.available_at(at(20 * SECOND)), 0);
    assert_eq!(live.available_at(at(22 * SECOND)), 60);
}

/// Restarts in a row make nothing younger.
#[test]
fn many_restarts_keep_ages() {
    let new = || window(10, SECOND, 10);
    let mut live = new();
    live.try_acquire_at(10, at(0)).unwrap();
    let mut time = 0;
    // A life of 30 ms and a pause of 10 ms, within slots of 100 ms.
    for _ in 0..30 {
        let saved = live.save_at(at(30_000_000), wall(time + 30_000_000));
        time += 40_000_000;
        live = Window::restore_at(&saved, new(), at(0), wall(time)).unwrap();
    }
    assert_eq!(live.available_at(at(0)), 10, "1.2 s later");
}

#[test]
fn another_window_counts_for_its_own_length() {
    let before = window(100, 60 * SECOND, 60);
    before.try_acquire_at(90, at(0)).unwrap();
    let saved = before.save_at(at(10 * SECOND), wall(0));
    let restored = |limit, length| {
        Window::restore_at(&saved, window(limit, length, 10), at(0), wall(0)).unwrap()
    };
    let lower = restored(50, 60 * SECOND);
    assert_eq!(lower.available_at(at(0)), 0);
    assert_eq!(lower.available_at(at(57 * SECOND)), 50);
    let shorter = restored(100, 20 * SECOND);
    assert_eq!(shorter.available_at(at(0)), 10);
    assert_eq!(shorter.available_at(at(14 * SECOND)), 100);
    assert_eq!(restored(100, 5 * SECOND).available_at(at(0)), 100);
}
