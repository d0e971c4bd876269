//! What header fields tell a client about its limit.

use alloc::vec::Vec;
use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// Which header fields tell clients about their limit.
///
/// | | a success | a refusal |
/// |---|---|---|
/// | `None` | | |
/// | `RetryAfterOnly` | | `Retry-After` |
/// | `Draft11`, the default | `RateLimit-Policy`, `RateLimit` | the same, `Retry-After` |
/// | `LegacyX` | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | the same, `Retry-After` |
/// | `Both` | those of both | those of both, `Retry-After` |
///
/// Waits are in whole seconds, **rounded up, and at least 1**: who comes when told is not early. A refusal that no wait helps (a
/// request that costs more than the limit ever gives) has no `Retry-After`. Of several limits, the fields are about the one that has
/// least left, on a refusal about the one that refuses for longest. They tell a client what others use as well where a limit is
/// shared: `None` keeps that to yourself.
///
/// `RateLimit` fields are lists: those that the handler or an inner layer has set stay beside these. Of two layers with legacy
/// fields, those with the smaller `X-RateLimit-Remaining` stay, and of equals those with the later `X-RateLimit-Reset`.
///
/// The draft is [draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/), revision
/// 11: Structured Fields, in which `q` is the capacity, `w` the seconds until all of it is back (a window's length), `r` what is
/// left, and `t` the seconds until there is more.
///
/// ```
/// use http::HeaderMap;
/// use tidegate::tower::HeaderStyle;
/// use tidegate::{Limiter, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_minute(100).burst(5), clock);
/// bucket.try_acquire(2)?;
/// let mut fields = HeaderMap::new();
/// HeaderStyle::Draft11.tell("default", &bucket.snapshot_at(bucket.now()), None, &mut fields);
/// assert_eq!(fields["ratelimit-policy"], r#""default";q=5;w=3"#);
/// assert_eq!(fields["ratelimit"], r#""default";r=3;t=1"#);
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderStyle {
    /// None at all.
    None,
    /// `Retry-After` on refusals.
    RetryAfterOnly,
    /// `RateLimit` and `RateLimit-Policy` of the IETF's draft, revision 11.
    #[default]
    Draft11,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    LegacyX {
        /// What `X-RateLimit-Reset` counts.
        reset: Reset,
    },
    /// The draft's and the legacy ones.
    Both {
        /// What `X-RateLimit-Reset` counts.
        reset: Reset,
    },
}

/// What `X-RateLimit-Reset` counts until there is more: clients differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reset {
    /// Seconds from now, as at Reddit; 0 where all is there.
    #[default]
    Delta,
    /// Seconds since 1970, as at GitHub and Discord.
    Epoch,
}

pub(super) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MOST: u64 = 999_999_999_999_999;

impl HeaderStyle {
    /// Adds the fields to those of a response: of a success, or of a refusal if `denied` is there. `name` is the policy's,
    /// unless the limit has one of its own.
    ///
    /// For servers that have no tower; a [`RateLimitLayer`](super::RateLimitLayer) does this by itself.
    pub fn tell(
        self,
        name: &str,
        snapshot: &Snapshot,
        denied: Option<Denied>,
        fields: &mut HeaderMap,
    ) {
        Fields::of(self, name, snapshot, denied).add_to(fields);
    }

    /// Whether a success has fields.
    pub(super) const fn tells_success(self) -> bool {
        !matches!(self, Self::None | Self::RetryAfterOnly)
    }
}

/// Fields, to be added to a response that is not there yet.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// `RateLimit-Policy` and `RateLimit`.
    draft: Option<(HeaderValue, HeaderValue)>,
    legacy: Option<Legacy>,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
struct Legacy {
    limit: u64,
    remaining: u64,
    reset: u64,
}

impl Fields {
    pub(super) const NONE: Self = Self {
        draft: None,
        legacy: None,
        retry_after: None,
    };

    pub(super) fn of(
        style: HeaderStyle,
        name: &str,
        snapshot: &Snapshot,
        denied: Option<Denied>,
    ) -> Self {
        let retry_after = denied.and_then(|denied| denied.retry_after());
        let next_permit_in = match denied {
            Some(_) => retry_after,
            None => snapshot.next_permit_in,
        };
        let (draft, legacy) = match style {
            HeaderStyle::None => return Self::NONE,
            HeaderStyle::RetryAfterOnly => (false, None),
            HeaderStyle::Draft11 => (true, None),
            HeaderStyle::LegacyX { reset } => (false, Some(reset)),
            HeaderStyle::Both { reset } => (true, Some(reset)),
        };
        let name = snapshot.limit.unwrap_or(name);
        Self {
            draft: draft.then(|| {
                (
                    policy(name, snapshot),
                    limit(name, snapshot, next_permit_in),
                )
            }),
            legacy: legacy.map(|reset| Legacy {
                limit: snapshot.capacity,
                remaining: snapshot.available,
                reset: reset.count(next_permit_in),
            }),
            retry_after,
        }
    }

    pub(super) fn add_to(self, fields: &mut HeaderMap) {
        if let Some((policy, limit)) = self.draft {
            // Into a map that is full they do not go, here and below: that is no reason to panic, as the plain methods do.
            let _ = fields.try_append(RATELIMIT_POLICY, policy);
            let _ = fields.try_append(RATELIMIT, limit);
        }
        if let Some(legacy) = self.legacy {
            legacy.add_to(fields);
        }
        if let Some(wait) = self.retry_after {
            add_retry_after(wait, fields);
        }
    }
}

/// Not over what whoever built the refusal has said.
pub(super) fn add_retry_after(wait: Duration, fields: &mut HeaderMap) {
    if !fields.contains_key(RETRY_AFTER) {
        let _ = fields.try_insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
}

impl Legacy {
    fn add_to(self, fields: &mut HeaderMap) {
        let told =
            |name: &HeaderName| -> Option<u64> { fields.get(name)?.to_str().ok()?.parse().ok() };
        // An inner limit has less left, or as little and for longer: it may be the one that refused.
        let is_tighter = |remaining| {
            remaining < self.remaining
                || remaining == self.remaining && told(&X_RESET) > Some(self.reset)
        };
        if told(&X_REMAINING).is_some_and(is_tighter) {
            return;
        }
        let _ = fields.try_insert(X_LIMIT, HeaderValue::from(self.limit));
        let _ = fields.try_insert(X_REMAINING, HeaderValue::from(self.remaining));
        let _ = fields.try_insert(X_RESET, HeaderValue::from(self.reset));
    }
}

impl Reset {
    fn count(self, next_permit_in: Option<Duration>) -> u64 {
        match self {
            Self::Delta => next_permit_in.map_or(0, seconds),
            Self::Epoch => {
                // A clock before 1970 is as wrong as any.
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                // Rounded once.
                seconds(now.saturating_add(next_permit_in.unwrap_or_default()))
            }
        }
    }
}

/// Whole seconds, rounded up, at least 1.
pub(super) fn seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

fn policy(name: &str, snapshot: &Snapshot) -> HeaderValue {
    let (quota, window) = (snapshot.capacity, seconds(snapshot.refill_time));
    item(name, [Some((b'q', quota)), Some((b'w', window))])
}

fn limit(name: &str, snapshot: &Snapshot, next_permit_in: Option<Duration>) -> HeaderValue {
    let wait = next_permit_in.map(|wait| (b't', seconds(wait)));
    item(name, [Some((b'r', snapshot.available)), wait])
}

/// A string of a structured field with parameters that are integers. Its length is found first, so that it is written once, where it
/// stays.
fn item(name: &str, parameters: [Option<(u8, u64)>; 2]) -> HeaderValue {
    let parameters =
        parameters.map(|parameter| parameter.map(|(key, number)| (key, number.min(MOST))));
    let present = parameters.iter().flatten();
    let numbers: usize = present
        .map(|(_, number)| ";k=".len() + digits(*number))
        .sum();
    // Characters that are escaped or replaced make it longer or shorter, which costs another allocation.
    let mut text = Vec::with_capacity(2 + name.len() + numbers);
    text.push(b'"');
    if name.bytes().all(is_plain) {
        text.extend_from_slice(name.as_bytes());
    } else {
        for character in name.chars() {
            match character {
                '"' | '\\' => text.extend([b'\\', character as u8]),
                ' '..='~' => text.push(character as u8),
                // Strings have only printable ASCII (RFC 9651, section 3.3.3).
                _ => text.push(b'?'),
            }
        }
    }
    text.push(b'"');
    for (key, number) in parameters.into_iter().flatten() {
        text.extend_from_slice(&[b';', key, b'=']);
        put_number(&mut text, number);
    }
    HeaderValue::try_from(text).expect("printable ASCII")
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// How many decimal digits a number has.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn put_number(text: &mut Vec<u8>, number: u64) {
    // As many as a u64 has.
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}
