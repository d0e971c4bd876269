//! The clock that limiters use when none is named.

#[cfg(feature = "std")]
pub use with_std::DefaultClock;
#[cfg(not(feature = "std"))]
pub use without_std::DefaultClock;

#[cfg(feature = "std")]
mod with_std {
    #[cfg(feature = "quanta")]
    use std::sync::OnceLock;

    use crate::clock::{Clock, MonotonicClock};
    use crate::time::Timestamp;

    /// The fastest clock of this machine that can be trusted.
    ///
    /// With the feature `quanta` (on by default) that is the processor's time stamp counter (TSC), but only where the
    /// operating system trusts it: on Linux, where the kernel's own clock source is `tsc`. On machines whose cores
    /// disagree the kernel has chosen another, and so does this clock: it is then, and without the feature, the same as
    /// [`MonotonicClock`](crate::MonotonicClock).
    ///
    /// Calibration finds the counter's frequency to within about 40 parts per million; rates are exact in the time that this
    /// clock tells. Where the kernel rejects the TSC only later, a process that runs by then keeps it.
    ///
    /// All values are the same clock, whose origin is the first use in the process. That first use
    /// calibrates the TSC, for 200 ms at the most; call [`DefaultClock::calibrate`] at start-up so that no request pays
    /// for it.
    ///
    /// ```
    /// use tidegate::{Clock, DefaultClock};
    ///
    /// DefaultClock::calibrate();
    /// let earlier = DefaultClock.now();
    /// assert!(DefaultClock.now() >= earlier);
    /// ```
    #[derive(Clone, Copy, Debug, Default)]
    pub struct DefaultClock;

    /// Set once the counter is calibrated, and never where it cannot be trusted.
    #[cfg(feature = "quanta")]
    static TSC: OnceLock<Tsc> = OnceLock::new();

    /// A calibrated counter. A tick is `whole + fraction / 2^64` nanoseconds, so that a reading is two multiplications.
    #[cfg(feature = "quanta")]
    struct Tsc {
        clock: quanta::Clock,
        /// The counter at the origin.
        origin: u64,
        whole: u64,
        fraction: u64,
    }

    /// So many ticks are converted to learn the length of one: days of them, which leave a relative error of 2^-46, and few
    /// enough not to overflow with the slowest counters (41 ns per tick).
    #[cfg(feature = "quanta")]
    const TICKS_LOG2: u32 = 48;

    impl DefaultClock {
        /// Decides which clock to use and calibrates it, if that was not done yet.
        ///
        /// Blocks for 200 ms at the most, once per process; other threads that need the clock wait as well.
        pub fn calibrate() {
            // Reading it is what sets either clock up.
            Self.now();
        }

        /// Before the counter is calibrated, and where it cannot be trusted.
        // Out of line, so that a decision is not the size of two clocks.
        #[cfg(feature = "quanta")]
        #[cold]
        #[inline(never)]
        fn now_slow() -> Timestamp {
            static TRUSTED: OnceLock<bool> = OnceLock::new();
            if *TRUSTED.get_or_init(kernel_trusts_tsc) {
                TSC.get_or_init(Tsc::calibrated).now()
            } else {
                MonotonicClock.now()
            }
        }
    }

    #[cfg(feature = "quanta")]
    impl Tsc {
        fn calibrated() -> Self {
            let clock = quanta::Clock::new();
            let nanos = clock.delta_as_nanos(0, 1 << TICKS_LOG2);
            Self {
                origin: clock.raw(),
                whole: nanos >> TICKS_LOG2,
                fraction: nanos << (64 - TICKS_LOG2),
                clock,
            }
        }

        #[inline]
        fn now(&self) -> Timestamp {
            // Zero if a core's counter is behind the origin: standing still, not wrapping.
            let ticks = self.clock.raw().saturating_sub(self.origin);
            let part = (u128::from(ticks) * u128::from(self.fraction)) >> 64;
            Timestamp::from_nanos(ticks.wrapping_mul(self.whole).wrapping_add(part as u64))
        }
    }

    /// What the kernel measured at boot and watches since: cores that disagree make it choose another source.
    #[cfg(all(
        feature = "quanta",
        target_os = "linux",
        any(target_arch = "x86", target_arch = "x86_64")
    ))]
    fn kernel_trusts_tsc() -> bool {
        const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(CURRENT).is_ok_and(|source| source.trim() == "tsc")
    }

    /// Elsewhere `quanta` decides: without an invariant counter it reads the operating system's clock itself.
    #[cfg(all(
        feature = "quanta",
        not(all(target_os = "linux", any(target_arch = "x86", target_arch = "x86_64")))
    ))]
    const fn kernel_trusts_tsc() -> bool {
        true
    }

    impl Clock for DefaultClock {
        #[inline]
        fn now(&self) -> Timestamp {
            #[cfg(feature = "quanta")]
            match TSC.get() {
                Some(tsc) => tsc.now(),
                None => Self::now_slow(),
            }
            #[cfg(not(feature = "quanta"))]
            MonotonicClock.now()
        }
    }
}

#[cfg(not(feature = "std"))]
mod without_std {
    use crate::clock::Clock;
    use crate::time::Timestamp;

    /// Needs the feature `std`: without it this type has no value, limiters have no `new`, and are made with `with_clock`.
    #[derive(Clone, Copy, Debug)]
    pub enum DefaultClock {}

    impl Clock for DefaultClock {
        fn now(&self) -> Timestamp {
            match *self {}
        }
    }
}
