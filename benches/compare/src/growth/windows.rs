//! Windows with more and more slots.

use tidegate::{DefaultClock, SlidingWindow};

use super::{Effort, Point, pinned};
use crate::histories::{LONG, MANY, evenly_used_window, rotating_window, used_up_before};
use crate::slices::{Calls, Rows, Times, Visits, calls};

pub(super) const TEXT: &str = "An admission within a slot. A refusal after one call used up the \
                              limit, just now or half a window ago, or after steady traffic did, \
                              with an equal part in each slot. And an admission that is the first \
                              in its slot, on a clock that goes on by a slot with each reading.";

const CALLS: usize = 4_000;

pub(super) fn measure(effort: Effort) -> Vec<Times<Point>> {
    let visits = Visits {
        rounds: 2 * effort.rounds,
        warm: 2,
        kept: 10,
    };
    pinned(visits, |rows| {
        let all = [1, 4, 16, 64, 256, 1_024, 4_096];
        for slots in all
            .into_iter()
            .filter(|&slots| slots <= 64 || !effort.quick)
        {
            add(rows, "admitted", slots, calls(window(MANY, slots), true));
            let just_now = window(1_000, slots);
            assert!(just_now.try_acquire(1_000).is_ok());
            add(rows, "refused, just used up", slots, calls(just_now, false));
            let before = used_up_before(slots);
            add(rows, "refused, used up before", slots, calls(before, false));
            let evenly = evenly_used_window(slots);
            add(rows, "refused, steady traffic", slots, calls(evenly, false));
            let rotating = rotating_window(slots);
            add(rows, "first in a slot", slots, calls(rotating, true));
        }
    })
}

fn window(limit: u64, slots: usize) -> SlidingWindow {
    let window = SlidingWindow::with_clock(limit, LONG, DefaultClock);
    window.expect("in range").slots(slots)
}

fn add(rows: &mut Rows<Point>, name: &'static str, slots: usize, calls: Calls) {
    let point = Point {
        curve: "slots",
        limiter: "tidegate SlidingWindow",
        calls: name,
        x: slots,
    };
    rows.add_calls(point, CALLS, calls);
}
