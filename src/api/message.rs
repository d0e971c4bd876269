//! The texts of a status.

use alloc::string::ToString;
use core::fmt;
use core::time::Duration;

use super::config::RateLimitConfig;
use super::refusal::LimitKind;
use super::status::RateLimitStatus;

impl RateLimitStatus {
    /// Returns the reason for people: `minute limit of 50 requests reached, retry in 1.2 s`.
    pub const fn message(&self) -> LimitMessage {
        LimitMessage(*self)
    }
}

impl fmt::Display for RateLimitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message())?;
        if !self.is_limited {
            let requests = Count(self.requests_remaining, "requests");
            let tokens = Count(self.tokens_remaining, "tokens");
            write!(f, ": {requests} and {tokens} remaining")?;
        }
        Ok(())
    }
}

/// A number that may be without a limit: `12 requests`, `unlimited tokens`.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(RateLimitConfig::NO_LIMIT, unit) => write!(f, "unlimited {unit}"),
            Self(count, unit) => write!(f, "{count} {unit}"),
        }
    }
}

/// The reason of a [`RateLimitStatus`] for people, a text that is written where it is read: print
/// it, compare it with a `&str`, or make it a `String` by [`to_string`](ToString::to_string).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LimitMessage(RateLimitStatus);

impl fmt::Display for LimitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let Some(kind) = status.limited_by else {
            return f.write_str("not limited");
        };
        let (words, unit) = kind.words();
        let name = status.limit_name().unwrap_or("");
        let space = if name.is_empty() { "" } else { " " };
        let number = status.limit;
        let plural = if number == 1 { "" } else { "s" };
        let limit = format_args!("{words}{space}{name} of {number} {unit}{plural}");
        let wait = RoundedWait(status.wait_time());
        match kind {
            LimitKind::Queue => f.write_str("other waiters are ahead in the queue"),
            LimitKind::Pause => write!(f, "paused by the server, retry in {wait}"),
            LimitKind::Provider => {
                write!(
                    f,
                    "too little left according to the server, retry in {wait}"
                )
            }
            LimitKind::Adaptive => {
                write!(
                    f,
                    "slowed down after refusals of the server, retry in {wait}"
                )
            }
            _ if status.is_permanent => write!(f, "above the {limit}, no wait helps"),
            LimitKind::InFlight => write!(f, "{limit} reached, retry when one ends"),
            _ => write!(f, "{limit} reached, retry in {wait}"),
        }
    }
}

/// As a text.
impl fmt::Debug for LimitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl PartialEq<str> for LimitMessage {
    fn eq(&self, other: &str) -> bool {
        self.to_string().as_str() == other
    }
}

impl PartialEq<&str> for LimitMessage {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// A wait for people, rounded up: `1.2 s`, `2 min 5 s`, `3 h 20 min`.
struct RoundedWait(Duration);

impl fmt::Display for RoundedWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        if millis < 100 {
            return write!(f, "{millis} ms");
        }
        let tenths = millis.div_ceil(100);
        if tenths < 600 {
            return write!(f, "{}.{} s", tenths / 10, tenths % 10);
        }
        let seconds = tenths.div_ceil(10);
        if seconds < 3_600 {
            return write!(f, "{} min {} s", seconds / 60, seconds % 60);
        }
        let minutes = seconds.div_ceil(60);
        write!(f, "{} h {} min", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::time::Duration;

    use super::RoundedWait;

    #[test]
    fn waits_are_rounded_up() {
        for (nanos, text) in [
            (1, "1 ms"),
            (99_000_000, "99 ms"),
            (99_000_001, "0.1 s"),
            (1_200_000_000, "1.2 s"),
            (1_200_000_001, "1.3 s"),
            (59_900_000_001, "1 min 0 s"),
            (125_000_000_000, "2 min 5 s"),
            (3_600_000_000_000, "1 h 0 min"),
            (12_000_000_000_000, "3 h 20 min"),
        ] {
            assert_eq!(RoundedWait(Duration::from_nanos(nanos)).to_string(), text);
        }
    }
}
