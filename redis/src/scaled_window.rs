//! A window in the server's units: slots of whole microseconds. No I/O, no clock.

use core::time::Duration;

use tidegate::{SlidingWindow, WindowError};

/// The slots of a window, unless it is shorter than so many microseconds.
const SLOTS: u64 = 64;

/// The largest limit, and the most that a debt makes a window count. The scripts keep totals
/// modulo 2⁴⁸, so what counts must stay below.
pub(crate) const MAX_COUNT: u64 = 1 << 46;

/// A window in the scripts' units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScaledWindow {
    limit: u64,
    /// In microseconds.
    #[cfg(any(test, feature = "tower"))]
    length: u64,
    /// The length of a slot in microseconds.
    slot: u64,
    /// How many slots before the current one count. They are as long as the window, so no interval
    /// of its length touches more slots than these and the current one.
    reach: u64,
}

/// What a window has admitted, as a script tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WindowUse {
    /// The permits that count.
    pub(crate) used: u64,
    /// In how many microseconds the first of these no longer counts, and the last; 0 if none does.
    pub(crate) first_us: u64,
    pub(crate) last_us: u64,
}

impl WindowUse {
    /// Returns what is known of it after `us` microseconds, if nothing was admitted meanwhile.
    pub(crate) const fn after(self, us: u64) -> Self {
        if us >= self.last_us {
            return Self {
                used: 0,
                first_us: 0,
                last_us: 0,
            };
        }
        Self {
            used: self.used,
            first_us: self.first_us.saturating_sub(us),
            last_us: self.last_us - us,
        }
    }
}

impl ScaledWindow {
    /// Accepts what the window of this process accepts, up to a limit of 2⁴⁶. The length is rounded
    /// up to whole microseconds.
    pub(crate) fn new(limit: u64, window: Duration) -> Result<Self, WindowError> {
        SlidingWindow::new(limit, window)?;
        if limit > MAX_COUNT {
            return Err(WindowError::LimitTooLarge { max: MAX_COUNT });
        }
        // At most 2^62 nanoseconds.
        let length = u64::try_from(window.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        // Where 64 slots do not divide the window, one more has to count, so they are half as long.
        let parts = if length.is_multiple_of(SLOTS) {
            SLOTS
        } else {
            2 * SLOTS
        };
        let slot = (length / parts).max(1);
        Ok(Self {
            limit,
            #[cfg(any(test, feature = "tower"))]
            length,
            slot,
            reach: length.div_ceil(slot),
        })
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    #[cfg(any(test, feature = "tower"))]
    pub(crate) const fn length(&self) -> Duration {
        Duration::from_micros(self.length)
    }

    /// The length of a slot in microseconds.
    pub(crate) const fn slot(&self) -> u64 {
        self.slot
    }

    /// How many slots before the current one count: at most 255.
    pub(crate) const fn reach(&self) -> u64 {
        self.reach
    }

    pub(crate) const fn available(&self, counted: WindowUse) -> u64 {
        self.limit.saturating_sub(counted.used)
    }

    /// Returns the time until the window has more; `None` if it is empty, or nothing is known of
    /// it since a slot has ended. What counts beyond the limit has to age out first.
    #[cfg(feature = "tower")]
    pub(crate) const fn next_permit_in(&self, counted: WindowUse) -> Option<Duration> {
        if counted.used == 0 || counted.used > self.limit || counted.first_us == 0 {
            None
        } else {
            Some(Duration::from_micros(counted.first_us))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(us: u64) -> ScaledWindow {
        ScaledWindow::new(10, Duration::from_micros(us)).unwrap()
    }

    #[test]
    fn counting_slots_are_as_long_as_the_window_and_a_64th_more_at_most() {
        let lengths = (1..2_000).chain([15_625, 100_000, 1_000_000, 59_999_999, 86_400_000_000]);
        for us in lengths {
            let window = window(us);
            let (slot, reach) = (window.slot(), window.reach());
            assert!((1..=255).contains(&reach), "{us} us");
            assert!(slot * reach >= us, "{us} us");
            assert!(slot * (reach + 1) <= us + (us / 64).max(1), "{us} us");
        }
        let minute = window(60_000_000);
        assert_eq!((minute.slot(), minute.reach()), (937_500, 64));
    }

    #[test]
    fn lengths_are_rounded_up_to_microseconds() {
        let window = ScaledWindow::new(3, Duration::from_nanos(1_500_001)).unwrap();
        assert_eq!(window.length(), Duration::from_micros(1_501));
    }

    #[test]
    fn unrepresentable_windows_are_errors() {
        let day = Duration::from_secs(86_400);
        assert_eq!(ScaledWindow::new(0, day), Err(WindowError::ZeroLimit));
        let none = ScaledWindow::new(1, Duration::ZERO);
        assert_eq!(none, Err(WindowError::ZeroWindow));
        let centuries = ScaledWindow::new(1, day * 365 * 200);
        assert_eq!(centuries, Err(WindowError::WindowTooLong));
        assert!(ScaledWindow::new(MAX_COUNT, day * 36_500).is_ok());
        let large = ScaledWindow::new(MAX_COUNT + 1, day * 36_500);
        let max = MAX_COUNT;
        assert_eq!(large, Err(WindowError::LimitTooLarge { max }));
    }

    #[test]
    fn what_counts_is_known_until_the_last_slot_has_aged_out() {
        let counted = WindowUse {
            used: 3,
            first_us: 10,
            last_us: 20,
        };
        let later = |us| counted.after(us);
        assert_eq!((later(9).used, later(9).first_us), (3, 1));
        assert_eq!((later(15).used, later(15).first_us), (3, 0));
        assert_eq!(later(20), WindowUse::default());
    }
}
