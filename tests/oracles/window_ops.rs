//! Compares `SlidingWindow` with a list of all admissions, at hostile times.

mod admissions;

use core::time::Duration;

use super::bytes::Bytes;
use super::call_log::CallLog;
use super::choices::{amount, fraction, moved, start, take_recent};
use admissions::{Admissions, LAST};
use tidegate::{Denied, Limiter, ManualClock, SlidingWindow, Timestamp, WindowCharge, WindowError};

/// More operations find no more bugs.
const MAX_OPERATIONS: u64 = 100;

/// The number of slots that a run may visit, so that no input is slow.
const MAX_WALK: u64 = 1 << 20;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WindowOperation {
    Query,
    TryAcquire,
    TryAcquireAsLimiter,
    Charge,
    Undo,
}

/// Frequent operations appear more than once.
const OPERATIONS: [WindowOperation; 8] = [
    WindowOperation::TryAcquire,
    WindowOperation::TryAcquire,
    WindowOperation::TryAcquire,
    WindowOperation::TryAcquireAsLimiter,
    WindowOperation::Charge,
    WindowOperation::Charge,
    WindowOperation::Undo,
    WindowOperation::Query,
];

type Window = SlidingWindow<ManualClock>;

/// Runs one input.
///
/// # Panics
///
/// Panics if the window and its oracle disagree.
pub(crate) fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let window = any_window(&mut bytes);
    let length = u64::try_from(window.window().as_nanos()).expect("at most 2^62");
    let now = start(&mut bytes, LAST);
    let mut run = WindowRun {
        admissions: Admissions::new(window.limit(), length, window.slot_count()),
        window: &window,
        length,
        bytes,
        now,
        hint: 0,
        held: Vec::new(),
        log: CallLog::new(),
    };
    for _ in 0..MAX_OPERATIONS.min(MAX_WALK / window.slot_count()) {
        if run.bytes.is_empty() {
            break;
        }
        run.operation();
    }
    let _ = run.query(1);
}

/// Returns a window from anywhere in the accepted range. Values out of range must be refused before
/// they are moved inside.
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
            Err(other) => unreachable!("the default slots are accepted: {other}"),
        }
    };
    assert_eq!(window.limit(), limit);
    assert_eq!(window.window(), Duration::from_nanos(length));
    // The default is fewer than 64 slots only if more do not fit.
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
                other => unreachable!("limit and length were accepted: {other}"),
            }
            window
        }
    }
}

#[derive(Debug)]
struct WindowRun<'a> {
    window: &'a Window,
    admissions: Admissions,
    length: u64,
    bytes: Bytes<'a>,
    now: u64,
    /// The last hint in nanoseconds.
    hint: u64,
    held: Vec<HeldWindowCharge>,
    log: CallLog<WindowOperation>,
}

/// A charge that the run may still undo.
#[derive(Debug)]
struct HeldWindowCharge {
    charge: WindowCharge,
    n: u64,
    /// Its number among the admissions, unless it charged nothing.
    number: Option<u64>,
    /// [`Admissions::latest`] when it was made.
    at: u64,
}

impl WindowRun<'_> {
    fn operation(&mut self) {
        let operation = self.bytes.pick(&OPERATIONS);
        self.step();
        let (window, at) = (self.window, Timestamp::from_nanos(self.now));
        let available = window.available_at(at);
        let n = amount(&mut self.bytes, available, window.limit());
        self.log.push(operation, n, self.now);
        let peeked = self.query(n);
        let used = window.current_count_at(at);

        let outcome = match operation {
            WindowOperation::Query => return,
            WindowOperation::Undo => return self.undo(),
            WindowOperation::TryAcquire => window.try_acquire_at(n, at),
            WindowOperation::TryAcquireAsLimiter => Limiter::try_acquire_at(window, n, at),
            WindowOperation::Charge => window.charge_at(n, at).map(|charge| {
                self.held.push(HeldWindowCharge {
                    charge,
                    n,
                    number: None,
                    at: self.admissions.decision_time(self.now),
                });
            }),
        };
        assert_eq!(outcome, peeked);
        let admitted = if outcome.is_ok() { n } else { 0 };
        assert_eq!(window.current_count_at(at), used + admitted);
        if n > 0 && n <= window.limit() {
            self.admissions.attempt(self.now);
        }
        if admitted > 0 {
            let number = self.admissions.admit(n);
            if let (WindowOperation::Charge, Some(held)) = (operation, self.held.last_mut()) {
                held.number = Some(number);
            }
        }
    }

    /// Moves the time, usually forward.
    fn step(&mut self) {
        let choice = self.bytes.byte();
        let slot = self.length / self.window.slot_count();
        let step = match choice % 10 {
            0 => 0,
            1 => 1,
            2 => u64::from(self.bytes.byte()),
            3 => self.hint,
            4 => self.hint.saturating_add_signed(self.bytes.nudge()),
            // Quarters of a slot.
            5 => fraction(slot, self.bytes.byte(), 4).saturating_add_signed(self.bytes.nudge()),
            6 => self.length.saturating_add_signed(self.bytes.nudge()),
            7 => self.length.saturating_mul(self.bytes.byte().into()),
            8 => self
                .bytes
                .pick(&[LAST, 1 << 32, (1 << 32) * 1_000_000, SECOND])
                .saturating_add_signed(self.bytes.nudge()),
            _ => self.bytes.number(),
        };
        self.now = moved(self.now, step, choice);
    }

    /// Asserts every query, and that queries change nothing.
    fn query(&mut self, n: u64) -> Result<(), Denied> {
        let window = self.window;
        let at = Timestamp::from_nanos(self.now);
        let used = window.current_count_at(at);
        self.admissions.assert_counts(used, self.now);
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
                assert!(n <= window.limit() && retry_after.as_nanos() > 0);
                self.assert_hint(n, retry_after.into());
            }
            Err(Denied::Never { capacity }) => assert!(capacity == window.limit() && n > capacity),
            Err(other) => unreachable!("unknown refusal: {other}"),
        }
        assert_eq!(
            window.current_count_at(at),
            used,
            "a query changed the state"
        );
        peeked
    }

    /// Asserts that a hint is exact to the nanosecond, and no longer than a window and a slot.
    fn assert_hint(&mut self, n: u64, wait: Duration) {
        let wait = u64::try_from(wait.as_nanos()).expect("windows are short");
        self.hint = wait;
        // The window's time ends at `LAST`, and no wait helps beyond it.
        let Some(then) = self.now.checked_add(wait).filter(|&then| then <= LAST) else {
            return;
        };
        let peek = |nanos| self.window.peek_at(n, Timestamp::from_nanos(nanos));
        assert_eq!(peek(then), Ok(()), "the hint was too short");
        assert!(peek(then - 1).is_err(), "the hint was too long");
        assert!(
            then <= self
                .admissions
                .expiry(self.admissions.decision_time(self.now))
        );
    }

    fn undo(&mut self) {
        let Some((_, held)) = take_recent(&mut self.bytes, &mut self.held) else {
            return;
        };
        let at = Timestamp::from_nanos(self.now);
        let used = self.window.current_count_at(at);
        let returned = self.window.undo(held.charge);
        // At a later time, the undone charge may no longer count.
        let left = self.window.current_count_at(at);
        assert!(left == used || left == used - returned);
        match held.number {
            Some(number) if returned > 0 => {
                assert_eq!(returned, held.n);
                self.admissions.undo(number);
            }
            Some(_) => assert!(
                self.admissions.latest() > held.at,
                "forfeited, although no call has advanced the window"
            ),
            None => assert_eq!(returned, 0),
        }
        if self.admissions.decision_time(self.now) == held.at {
            assert_eq!(left, used - held.n);
        }
    }
}
