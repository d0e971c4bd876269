//! A sliding window under hostile operations and times, against a list of all admissions.

mod ideal;

use std::time::Duration;

use crate::bytes::Bytes;
use crate::calls::Calls;
use crate::replay::Target;
use ideal::{Ideal, LAST};
use tidegate::{Denied, Limiter, ManualClock, SlidingWindow, Timestamp, WindowCharge, WindowError};

/// This target.
pub const TARGET: Target = Target {
    name: "window_ops",
    check,
};

/// More than this finds nothing that fewer would not.
const MAX_OPERATIONS: u64 = 100;

/// Slots that are walked in all, so that many slots do not make a slow input.
const MAX_WALK: u64 = 1 << 20;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Ask,
    TryAcquire,
    TryAcquireAsLimiter,
    Charge,
    GiveBack,
}

/// The frequent ones more than once.
const OPERATIONS: [Operation; 8] = [
    Operation::TryAcquire,
    Operation::TryAcquire,
    Operation::TryAcquire,
    Operation::TryAcquireAsLimiter,
    Operation::Charge,
    Operation::Charge,
    Operation::GiveBack,
    Operation::Ask,
];

type Window = SlidingWindow<ManualClock>;

/// Runs one input.
///
/// # Panics
///
/// If the window and its oracle disagree.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let window = any_window(&mut bytes);
    let length = u64::try_from(window.window().as_nanos()).expect("at most 2^62");
    let now = match bytes.byte() % 4 {
        0 | 1 => 0,
        2 => LAST.saturating_sub(bytes.number()),
        _ => bytes.number(),
    };
    let mut run = Run {
        ideal: Ideal::new(window.limit(), length, window.slot_count()),
        window: &window,
        length,
        bytes,
        now,
        hint: 0,
        held: Vec::new(),
        calls: Calls::new(),
    };
    for _ in 0..MAX_OPERATIONS.min(MAX_WALK / window.slot_count()) {
        if run.bytes.is_empty() {
            break;
        }
        run.operation();
    }
    let _ = run.ask(1);
}

/// A window from anywhere in the accepted range. What is outside is checked to be an error, and moved inside.
fn any_window(bytes: &mut Bytes<'_>) -> Window {
    let mut length = match bytes.byte() % 4 {
        0 => u64::from(bytes.byte()),
        1 => bytes.number(),
        _ => bytes.pick(&[
            1,
            2,
            63,
            500_000,
            1_999_000,
            SECOND,
            60 * SECOND,
            3_600 * SECOND,
            365 * 86_400 * SECOND,
            1 << 62,
        ]),
    };
    let mut limit = match bytes.byte() % 4 {
        0 => u64::from(bytes.byte()),
        1 => bytes.number(),
        _ => bytes.pick(&[1, 2, 10, 50, 1_000, u32::MAX.into(), 1 << 40, u64::MAX]),
    };
    let slots = match bytes.byte() % 4 {
        0 => usize::from(bytes.byte()),
        1 => usize::try_from(bytes.number()).unwrap_or(usize::MAX),
        _ => bytes.pick(&[1, 2, 3, 7, 10, 60, 64, 100, 1_000, 1_024, 65_536]),
    };

    let new = |limit, length| {
        SlidingWindow::with_clock(limit, Duration::from_nanos(length), ManualClock::new())
    };
    let window = loop {
        match new(limit, length) {
            Ok(window) => break window,
            Err(WindowError::ZeroLimit) => {
                assert_eq!(limit, 0);
                limit = 1;
            }
            Err(WindowError::ZeroWindow) => {
                assert_eq!(length, 0);
                length = 1;
            }
            Err(WindowError::WindowTooLong) => {
                assert!(length > 1 << 62);
                length = 1 << 62;
            }
            Err(WindowError::LimitTooLarge { max }) => {
                assert!(limit > max);
                assert!(new(max + 1, length).is_err());
                limit = max;
            }
            Err(other) => unreachable!("the number of slots was not ours: {other}"),
        }
    };
    assert_eq!(window.limit(), limit);
    assert_eq!(window.window(), Duration::from_nanos(length));
    // Fewer than 64 slots only where more do not fit.
    let by_default = usize::try_from(window.slot_count()).expect("few");
    if by_default != 64 {
        assert!(by_default < 64);
        let twice = new(limit, length).and_then(|window| window.try_slots(2 * by_default));
        assert!(twice.is_err());
    }

    match new(limit, length).and_then(|window| window.try_slots(slots)) {
        Ok(window) => {
            assert_eq!(window.slot_count(), u64::try_from(slots).expect("few"));
            window
        }
        Err(error) => {
            match error {
                WindowError::ZeroSlots => assert_eq!(slots, 0),
                WindowError::TooManySlots { max } => {
                    assert_eq!(max, usize::try_from(length.min(65_536)).expect("few"));
                    assert!(slots > max);
                }
                WindowError::LimitTooLarge { max } => {
                    assert!(limit > max);
                    let smaller = new(max, length).and_then(|window| window.try_slots(slots));
                    assert!(smaller.is_ok());
                }
                other => unreachable!("the rest was accepted: {other}"),
            }
            window
        }
    }
}

#[derive(Debug)]
struct Run<'a> {
    window: &'a Window,
    ideal: Ideal,
    length: u64,
    bytes: Bytes<'a>,
    now: u64,
    /// The last hint in nanoseconds.
    hint: u64,
    held: Vec<Held>,
    calls: Calls<Operation>,
}

/// What may still be taken back.
#[derive(Debug)]
struct Held {
    charge: WindowCharge,
    n: u64,
    /// Its number in the ideal window, unless nothing was charged.
    number: Option<u64>,
    /// [`Ideal::latest`] when it was made.
    at: u64,
}

impl Run<'_> {
    fn operation(&mut self) {
        let operation = self.bytes.pick(&OPERATIONS);
        self.step();
        let (window, at) = (self.window, Timestamp::from_nanos(self.now));
        let n = self.amount(window.available_at(at));
        self.calls.note(operation, n, self.now);
        let peeked = self.ask(n);
        let used = window.current_count_at(at);

        let outcome = match operation {
            Operation::Ask => return,
            Operation::GiveBack => return self.give_back(),
            Operation::TryAcquire => window.try_acquire_at(n, at),
            Operation::TryAcquireAsLimiter => Limiter::try_acquire_at(window, n, at),
            Operation::Charge => window.charge_at(n, at).map(|charge| {
                self.held.push(Held {
                    charge,
                    n,
                    number: None,
                    at: self.ideal.decision_time(self.now),
                });
            }),
        };
        assert_eq!(outcome, peeked);
        let admitted = if outcome.is_ok() { n } else { 0 };
        assert_eq!(window.current_count_at(at), used + admitted);
        if n > 0 && n <= window.limit() {
            self.ideal.attempt(self.now);
        }
        if admitted > 0 {
            let number = self.ideal.admit(n);
            if let (Operation::Charge, Some(held)) = (operation, self.held.last_mut()) {
                held.number = Some(number);
            }
        }
    }

    /// Moves the time, mostly on.
    fn step(&mut self) {
        let choice = self.bytes.byte();
        let slot = self.length / self.window.slot_count();
        let step = match choice % 10 {
            0 => 0,
            1 => 1,
            2 => u64::from(self.bytes.byte()),
            3 => self.hint,
            4 => self.hint.saturating_add_signed(self.bytes.nudge()),
            5 => {
                // In quarters of a slot.
                let quarters = u128::from(slot) * u128::from(self.bytes.byte()) / 4;
                u64::try_from(quarters)
                    .unwrap_or(u64::MAX)
                    .saturating_add_signed(self.bytes.nudge())
            }
            6 => self.length.saturating_add_signed(self.bytes.nudge()),
            7 => self.length.saturating_mul(self.bytes.byte().into()),
            8 => self
                .bytes
                .pick(&[LAST, 1 << 32, (1 << 32) * 1_000_000, SECOND])
                .saturating_add_signed(self.bytes.nudge()),
            _ => self.bytes.number(),
        };
        // One in four goes back.
        self.now = if choice >= 192 {
            self.now.saturating_sub(step)
        } else {
            self.now.saturating_add(step)
        };
    }

    fn amount(&mut self, available: u64) -> u64 {
        let limit = self.window.limit();
        match self.bytes.byte() % 8 {
            0 => 1,
            1 => u64::from(self.bytes.byte() % 16),
            2 => available,
            3 => available.saturating_add_signed(self.bytes.nudge()),
            4 => limit.saturating_add_signed(self.bytes.nudge()),
            5 | 6 => {
                let part = u128::from(limit) * u128::from(self.bytes.byte()) / 255;
                u64::try_from(part).unwrap_or(u64::MAX)
            }
            _ => self.bytes.number(),
        }
    }

    /// Everything that only asks: judged, and judged by itself.
    fn ask(&mut self, n: u64) -> Result<(), Denied> {
        let window = self.window;
        let at = Timestamp::from_nanos(self.now);
        let used = window.current_count_at(at);
        self.ideal.assert_counts(used, self.now);
        assert_eq!(window.available_at(at), window.limit() - used);
        assert_eq!(Limiter::available_at(window, at), window.limit() - used);
        assert_eq!(window.is_unused_at(at), used == 0);

        let peeked = window.peek_at(n, at);
        assert_eq!(peeked.is_ok(), n <= window.limit() - used);
        let wait = peeked.map_or_else(|denied| denied.retry_after(), |()| Some(Duration::ZERO));
        assert_eq!(window.wait_time_at(n, at), wait);
        match peeked {
            Ok(()) => {}
            Err(Denied::NotYet { retry_after }) => {
                assert!(n <= window.limit() && !retry_after.is_zero());
                self.wait_for(n, retry_after);
            }
            Err(Denied::Never { capacity }) => assert!(capacity == window.limit() && n > capacity),
            Err(other) => unreachable!("unknown: {other}"),
        }
        assert_eq!(
            window.current_count_at(at),
            used,
            "asking changed something"
        );
        peeked
    }

    /// Honest and tight hints, and not too far away.
    fn wait_for(&mut self, n: u64, wait: Duration) {
        let wait = u64::try_from(wait.as_nanos()).expect("windows are short");
        self.hint = wait;
        // Later the window's time stands still, and no wait helps.
        let Some(then) = self.now.checked_add(wait).filter(|&then| then <= LAST) else {
            return;
        };
        let peek = |nanos| self.window.peek_at(n, Timestamp::from_nanos(nanos));
        assert_eq!(peek(then), Ok(()), "the hint was too short");
        assert!(peek(then - 1).is_err(), "the hint was too long");
        assert!(then <= self.ideal.gone(self.ideal.decision_time(self.now)));
    }

    fn give_back(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let choice = self.bytes.byte();
        // Mostly the latest, which is the likeliest to come back.
        let index = if choice >= 192 {
            usize::from(self.bytes.byte()) % self.held.len()
        } else {
            self.held.len() - 1
        };
        let held = self.held.remove(index);
        let at = Timestamp::from_nanos(self.now);
        let used = self.window.current_count_at(at);
        let returned = self.window.undo(held.charge);
        // As of another instant, what came back may not count anyhow.
        let left = self.window.current_count_at(at);
        assert!(left == used || left == used - returned);
        match held.number {
            Some(number) if returned > 0 => {
                assert_eq!(returned, held.n);
                self.ideal.undo(number);
            }
            Some(_) => assert!(
                self.ideal.latest() > held.at,
                "forfeited, though nobody has moved the window on"
            ),
            None => assert_eq!(returned, 0),
        }
        if self.ideal.decision_time(self.now) == held.at {
            assert_eq!(left, used - held.n);
        }
    }
}
