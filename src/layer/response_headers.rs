//! The header fields that describe a limit to clients.

use core::mem;
use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::field_values::{number, seconds};
use super::kept_values::{capacity_value, draft_values};
use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// Selects the header fields that describe a limit to clients.
///
/// | style | on success | on rejection |
/// |---|---|---|
/// | `None` | | |
/// | `RetryAfterOnly` | | `Retry-After` |
/// | `Draft11`, the default | `RateLimit-Policy`, `RateLimit` | the same, `Retry-After` |
/// | `LegacyX` | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | the same, `Retry-After` |
/// | `Both` | those of both | those of both, `Retry-After` |
///
/// Waits are in whole seconds, **rounded up, and at least 1**, so a client that obeys them is never
/// early. A rejection that no wait helps has no `Retry-After`: the request costs more than the
/// limit's capacity.
///
/// `RateLimit-Policy` lists every limit on the request, in the same order in each response. The
/// other fields describe the limit that has the least left, and on a rejection the one that refuses
/// longest; [`describe_all`](super::RateLimitLayerBuilder::describe_all) lists every limit in
/// `RateLimit`, too. Where clients share a limit, the fields show what other clients use. `None`
/// keeps that private.
///
/// `RateLimit` and `RateLimit-Policy` are lists, so entries of the handler or of an inner layer
/// stay. If two layers set legacy fields, the smaller `X-RateLimit-Remaining` stays. If both are
/// equal, the later `X-RateLimit-Reset` stays. A layer adds no legacy fields to a rejection of an
/// inner one, nor to any other response with status 429, whose limit they would contradict.
///
/// The draft is [draft-ietf-httpapi-ratelimit-headers], revision 11, in Structured Fields. `q` is
/// the capacity and `w` the seconds in which all of it returns, which is a window's length. `r` is
/// what is left, and `t` the seconds until there is more. A limit on the bytes of responses has
/// `qu="content-bytes"`, and one on requests at the same time `qu="concurrent-requests"` instead of
/// `w`.
///
/// [draft-ietf-httpapi-ratelimit-headers]:
/// https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
///
/// ```
/// use http::HeaderMap;
/// use tidegate::layer::HeaderStyle;
/// use tidegate::{Limiter, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_minute(100).burst(5), clock);
/// bucket.try_acquire(2)?;
/// let mut headers = HeaderMap::new();
/// let snapshot = bucket.snapshot_at(bucket.now());
/// HeaderStyle::Draft11.write_to("default", &snapshot, None, &mut headers);
/// assert_eq!(headers["ratelimit-policy"], r#""default";q=5;w=3"#);
/// assert_eq!(headers["ratelimit"], r#""default";r=3;t=1"#);
/// # Ok::<(), tidegate::Denied>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderStyle {
    /// No fields.
    None,
    /// `Retry-After` on rejections.
    RetryAfterOnly,
    /// `RateLimit` and `RateLimit-Policy` of the IETF draft, revision 11.
    #[default]
    Draft11,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    LegacyX {
        /// The unit of `X-RateLimit-Reset`.
        reset: Reset,
    },
    /// The fields of the draft and the legacy ones.
    Both {
        /// The unit of `X-RateLimit-Reset`.
        reset: Reset,
    },
}

/// The unit of `X-RateLimit-Reset`, which names the instant when there is more. Providers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reset {
    /// Seconds from now, as at Reddit; 0 if the limit is full.
    #[default]
    Delta,
    /// Seconds since 1970, as at GitHub and Discord.
    Epoch,
}

pub(super) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

impl HeaderStyle {
    /// Writes the fields of a success, or of a rejection if `denied` is `Some`, to the headers of a
    /// response. `name` is the policy's name, unless the limit has its own.
    ///
    /// This is for servers without tower. A [`RateLimitLayer`](super::RateLimitLayer) calls it.
    pub fn write_to(
        self,
        name: &str,
        snapshot: &Snapshot,
        denied: Option<Denied>,
        headers: &mut HeaderMap,
    ) {
        let mut fields = Headers::NONE;
        fields.set(self, name, snapshot, denied);
        fields.write_to(headers);
    }

    pub(super) const fn is_draft(self) -> bool {
        matches!(self, Self::Draft11 | Self::Both { .. })
    }

    pub(super) const fn describes_successes(self) -> bool {
        !matches!(self, Self::None | Self::RetryAfterOnly)
    }
}

/// Header fields for a response that does not exist yet.
#[derive(Debug)]
pub(super) struct Headers {
    /// `RateLimit-Policy` and `RateLimit`.
    pub(super) draft: Option<(HeaderValue, HeaderValue)>,
    legacy: Option<LegacyHeaders>,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
struct LegacyHeaders {
    limit: u64,
    remaining: u64,
    reset: u64,
}

impl Headers {
    pub(super) const NONE: Self = Self {
        draft: None,
        legacy: None,
        retry_after: None,
    };

    pub(super) const fn take(&mut self) -> Self {
        mem::replace(self, Self::NONE)
    }

    /// Sets the fields of a success, or of a rejection if `denied` is `Some`.
    #[inline]
    pub(super) fn set(
        &mut self,
        style: HeaderStyle,
        name: &str,
        snapshot: &Snapshot,
        denied: Option<Denied>,
    ) {
        let retry_after = denied.and_then(|denied| denied.retry_after());
        let next_permit_in = match denied {
            Some(_) => retry_after,
            None => snapshot.next_permit_in,
        };
        let (draft, legacy) = match style {
            HeaderStyle::None => return,
            HeaderStyle::RetryAfterOnly => (false, None),
            HeaderStyle::Draft11 => (true, None),
            HeaderStyle::LegacyX { reset } => (false, Some(reset)),
            HeaderStyle::Both { reset } => (true, Some(reset)),
        };
        let name = snapshot.limit.unwrap_or(name);
        if draft {
            self.draft = Some(draft_values(name, snapshot, next_permit_in));
        }
        if let Some(reset) = legacy {
            self.legacy = Some(LegacyHeaders {
                limit: snapshot.capacity,
                remaining: snapshot.available,
                reset: reset.count(next_permit_in),
            });
        }
        self.retry_after = retry_after;
    }

    /// Those of a rejection by a limit that is not described.
    pub(super) fn of_unknown(style: HeaderStyle, retry_after: Option<Duration>) -> Self {
        let is_told = style != HeaderStyle::None;
        Self {
            retry_after: retry_after.filter(|_| is_told),
            ..Self::NONE
        }
    }

    /// Writes the fields of a success to a response, which may be the rejection of an inner limit.
    /// A response gets them once: the values are taken.
    pub(super) fn write_to_response<B>(&mut self, response: &mut Response<B>) {
        if self.legacy.is_some() && is_rejection(response) {
            self.legacy = None;
        }
        self.write_to(response.headers_mut());
    }

    /// Writes the fields. They are written once: the values are taken.
    pub(super) fn write_to(&mut self, headers: &mut HeaderMap) {
        if let Some((policy, limit)) = self.draft.take() {
            // Skipped if the map is full, here and below. `append` and `insert` would panic.
            let _ = headers.try_append(RATELIMIT_POLICY, policy);
            let _ = headers.try_append(RATELIMIT, limit);
        }
        if let Some(legacy) = self.legacy.take() {
            legacy.write_to(headers);
        }
        if let Some(wait) = self.retry_after.take() {
            add_retry_after(wait, headers);
        }
    }
}

/// Marks the rejections of layers that are not known otherwise.
#[derive(Clone, Copy)]
struct Rejected;

/// Lets outer layers see a rejection. Most are known by their status; a mark takes an allocation.
pub(super) fn mark_rejection<B>(response: &mut Response<B>) {
    if !is_rejection(response) {
        response.extensions_mut().insert(Rejected);
    }
}

/// Whether an inner limit has refused: a layer, or any other by its status or that of gRPC.
fn is_rejection<B>(response: &Response<B>) -> bool {
    let is_exhausted = |status: &HeaderValue| status == "8";
    response.status() == StatusCode::TOO_MANY_REQUESTS
        || response.extensions().get::<Rejected>().is_some()
        || response
            .headers()
            .get(GRPC_STATUS)
            .is_some_and(is_exhausted)
}

/// Adds `Retry-After`, unless a [`Reject`](super::Reject) has set it.
pub(super) fn add_retry_after(wait: Duration, headers: &mut HeaderMap) {
    if !headers.contains_key(RETRY_AFTER) {
        let _ = headers.try_insert(RETRY_AFTER, number(seconds(wait)));
    }
}

impl LegacyHeaders {
    /// Keeps the fields of an inner limit that has less left, or as little for longer. It may be
    /// the limit that refused.
    fn write_to(self, headers: &mut HeaderMap) {
        let reset = || headers.get(X_RESET).and_then(parse);
        let is_tighter = |remaining| {
            remaining < self.remaining || remaining == self.remaining && reset() > Some(self.reset)
        };
        if headers
            .get(X_REMAINING)
            .and_then(parse)
            .is_some_and(is_tighter)
        {
            return;
        }
        let _ = headers.try_insert(X_LIMIT, capacity_value(self.limit));
        let _ = headers.try_insert(X_REMAINING, number(self.remaining));
        let _ = headers.try_insert(X_RESET, number(self.reset));
    }
}

/// The number in a field of another limit.
fn parse(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

impl Reset {
    fn count(self, next_permit_in: Option<Duration>) -> u64 {
        match self {
            Self::Delta => next_permit_in.map_or(0, seconds),
            Self::Epoch => {
                // A system clock before 1970 counts as 1970.
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                // The sum is rounded, not both parts.
                seconds(now.saturating_add(next_permit_in.unwrap_or_default()))
            }
        }
    }
}
