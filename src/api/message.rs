//! The message of a status.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
#[cfg(all(feature = "std", not(tidegate_loom)))]
use alloc::string::String;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;

use super::refusal::{LimitHit, LimitKind, Retry};
#[cfg(all(feature = "std", not(tidegate_loom)))]
use crate::sync::Lazy;

const NOT_LIMITED: &str = "not limited";

/// The reason of a [`RateLimitStatus`](crate::RateLimitStatus) for people: a text that is written
/// when it is read. Most refusals are answered without, and then allocate nothing.
///
/// Use it as a `&str`. Without `std` it is written at once.
pub struct LimitMessage {
    /// `None` if the call is not limited.
    refusal: Option<Refusal>,
    #[cfg(all(feature = "std", not(tidegate_loom)))]
    text: Lazy<String>,
    #[cfg(not(all(feature = "std", not(tidegate_loom))))]
    text: Option<Box<str>>,
}

/// What the message says, in few bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Refusal {
    /// That of a shared limit, or empty.
    name: &'static str,
    limit: u64,
    /// Nanoseconds.
    wait: u64,
    kind: LimitKind,
    help: Help,
}

/// What helps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Help {
    Wait,
    Release,
    Nothing,
}

#[cfg(all(feature = "std", not(tidegate_loom)))]
impl LimitMessage {
    #[inline]
    const fn of(refusal: Option<Refusal>) -> Self {
        let text = Lazy::new();
        Self { refusal, text }
    }

    fn text(&self) -> &str {
        let write = |refusal: Refusal| Box::new(refusal.text().into_owned());
        self.refusal.map_or(NOT_LIMITED, |refusal| {
            self.text.get_or_init(|| write(refusal))
        })
    }

    #[inline]
    pub(super) const fn not_limited() -> Self {
        Self::of(None)
    }
}

#[cfg(not(all(feature = "std", not(tidegate_loom))))]
impl LimitMessage {
    fn of(refusal: Option<Refusal>) -> Self {
        let text = refusal.map(|refusal| refusal.text().into());
        Self { refusal, text }
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or(NOT_LIMITED)
    }

    #[inline]
    pub(super) const fn not_limited() -> Self {
        Self {
            refusal: None,
            text: None,
        }
    }
}

impl LimitMessage {
    /// The name of the shared limit that refuses.
    pub(super) fn limit_name(&self) -> Option<&'static str> {
        let name = self.refusal.map(|refusal| refusal.name);
        name.filter(|name| !name.is_empty())
    }

    /// With the whole wait in nanoseconds.
    #[inline]
    pub(super) fn limited(hit: LimitHit, wait: u64) -> Self {
        let help = match hit.retry {
            Retry::After(_) => Help::Wait,
            Retry::OnRelease => Help::Release,
            Retry::Never => Help::Nothing,
        };
        Self::of(Some(Refusal {
            name: hit.name.unwrap_or(""),
            limit: hit.limit,
            wait,
            kind: hit.kind,
            help,
        }))
    }
}

impl Deref for LimitMessage {
    type Target = str;

    fn deref(&self) -> &str {
        self.text()
    }
}

impl AsRef<str> for LimitMessage {
    fn as_ref(&self) -> &str {
        self.text()
    }
}

impl fmt::Display for LimitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl fmt::Debug for LimitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

impl Clone for LimitMessage {
    fn clone(&self) -> Self {
        Self::of(self.refusal)
    }
}

impl PartialEq for LimitMessage {
    fn eq(&self, other: &Self) -> bool {
        self.refusal == other.refusal
    }
}

impl Eq for LimitMessage {}

impl PartialEq<str> for LimitMessage {
    fn eq(&self, other: &str) -> bool {
        self.text() == other
    }
}

impl PartialEq<&str> for LimitMessage {
    fn eq(&self, other: &&str) -> bool {
        self.text() == *other
    }
}

impl Refusal {
    fn text(self) -> Cow<'static, str> {
        let Self {
            name,
            limit,
            wait,
            kind,
            help,
        } = self;
        let (words, unit) = kind.words();
        let space = if name.is_empty() { "" } else { " " };
        let plural = if limit == 1 { "" } else { "s" };
        let limit = format_args!("{words}{space}{name} of {limit} {unit}{plural}");
        let wait = RoundedWait(Duration::from_nanos(wait));
        Cow::Owned(match (kind, help) {
            (LimitKind::Queue, _) => return Cow::Borrowed("other waiters are ahead in the queue"),
            (LimitKind::Pause, _) => format!("paused by the server, retry in {wait}"),
            (LimitKind::Provider, _) => {
                format!("too little left according to the server, retry in {wait}")
            }
            (LimitKind::Adaptive, _) => {
                format!("slowed down after refusals of the server, retry in {wait}")
            }
            (_, Help::Wait) => format!("{limit} reached, retry in {wait}"),
            (_, Help::Release) => format!("{limit} reached, retry when one ends"),
            (_, Help::Nothing) => format!("above the {limit}, no wait helps"),
        })
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
