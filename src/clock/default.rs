//! The clock that limiters use by default.

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

    /// The fastest trusted clock of this machine.
    ///
    /// With the feature `quanta`, on by default, this is the processor's time stamp counter (TSC)
    /// where the operating system trusts it. On Linux that means that the kernel's own clock source
    /// is `tsc`. Elsewhere, and without the feature, it is the same as
    /// [`MonotonicClock`](crate::MonotonicClock). Machines whose cores disagree about time fall
    /// into that case.
    ///
    /// Calibration finds the counter's frequency to within about 40 parts per million. Rates are
    /// exact in the time of this clock. If the kernel rejects the TSC later, a running process
    /// keeps it.
    ///
    /// All values are the same clock. Its origin is the first use in the process, which calibrates
    /// the TSC for at most 200 ms. Call [`DefaultClock::calibrate`] at startup so that no request
    /// pays for it.
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

    /// Set once the counter is calibrated; never set where it cannot be trusted.
    #[cfg(feature = "quanta")]
    static TSC: OnceLock<Tsc> = OnceLock::new();

    /// A calibrated counter. A tick is `whole + fraction / 2^64` nanoseconds, so that a reading
    /// takes two multiplications.
    #[cfg(feature = "quanta")]
    struct Tsc {
        clock: quanta::Clock,
        /// The counter at the origin.
        origin: u64,
        whole: u64,
        fraction: u64,
    }

    /// Number of ticks that are converted to learn the length of one. They are days, which leaves a
    /// relative error of 2^-46, and they do not overflow with the slowest counters (41 ns per
    /// tick).
    #[cfg(feature = "quanta")]
    const TICKS_LOG2: u32 = 48;

    impl DefaultClock {
        /// Chooses the clock and calibrates it, unless that was done already.
        ///
        /// Blocks for at most 200 ms, once per process. Other threads that need the clock wait,
        /// too.
        pub fn calibrate() {
            // The first reading sets either clock up.
            Self.now();
        }

        /// Before the counter is calibrated, and where it cannot be trusted.
        // Out of line, so that a decision does not inline two clocks.
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
            // Saturates at zero if a core's counter is behind the origin.
            let ticks = self.clock.raw().saturating_sub(self.origin);
            let part = (u128::from(ticks) * u128::from(self.fraction)) >> 64;
            Timestamp::from_nanos(ticks.wrapping_mul(self.whole).wrapping_add(part as u64))
        }
    }

    /// The kernel measures the TSC at boot and watches it. It switches source if cores disagree.
    #[cfg(all(
        feature = "quanta",
        target_os = "linux",
        any(target_arch = "x86", target_arch = "x86_64")
    ))]
    fn kernel_trusts_tsc() -> bool {
        const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(CURRENT).is_ok_and(|source| source.trim() == "tsc")
    }

    /// Elsewhere `quanta` decides: without an invariant counter it reads the operating system's
    /// clock.
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

    /// Needs the feature `std`. Without it this type has no value, and limiters are created by
    /// `with_clock`.
    #[derive(Clone, Copy, Debug)]
    pub enum DefaultClock {}

    impl Clock for DefaultClock {
        fn now(&self) -> Timestamp {
            match *self {}
        }
    }
}
