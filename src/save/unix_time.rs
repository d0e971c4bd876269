//! The wall clock, by which time passes while a process is down.

/// An instant of the wall clock: nanoseconds since 1970, the Unix epoch.
///
/// Limiters run on a monotonic [`Clock`](crate::Clock), which starts anew with each process. So a
/// save also notes the wall clock, and a restore lets the time in between flow in. A wall clock
/// that went back gives nothing.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use std::time::{Duration, SystemTime};
/// use tidegate::UnixTime;
///
/// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// assert_eq!(UnixTime::from(start), UnixTime::from_nanos(1_700_000_000_000_000_000));
/// assert!(UnixTime::now() > UnixTime::from(start));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct UnixTime(u64);

impl UnixTime {
    /// Creates the instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Reads the operating system's wall clock.
    #[cfg(feature = "std")]
    pub fn now() -> Self {
        std::time::SystemTime::now().into()
    }

    /// Whether a wall clock may have shown this when it was set: not 1970 itself, which stands for
    /// an unknown time, and not after 2262.
    pub(crate) const fn is_plausible(self) -> bool {
        self.0 > 0 && self.0 <= u64::MAX >> 1
    }

    /// Nanoseconds since `earlier`, or 0 if that is later.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Clamps instants before 1970 and after 2554.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for UnixTime {
    fn from(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH);
        Self(crate::time::nanos(since.unwrap_or_default()))
    }
}
