//! The header fields that describe a limit to clients.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::denied::Denied;
use crate::snapshot::{QuotaUnit, Snapshot};

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
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

// What is counted, where it is not requests over time (section 4.1.2 of the draft).
const CONCURRENT_REQUESTS: &[u8] = br#";qu="concurrent-requests""#;
const CONTENT_BYTES: &[u8] = br#";qu="content-bytes""#;

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MOST: u64 = 999_999_999_999_999;

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
        Headers::new(self, name, snapshot, denied).write_to(headers);
    }

    pub(super) const fn is_draft(self) -> bool {
        matches!(self, Self::Draft11 | Self::Both { .. })
    }

    pub(super) const fn describes_successes(self) -> bool {
        !matches!(self, Self::None | Self::RetryAfterOnly)
    }
}

/// Header fields for a response that does not exist yet.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// `RateLimit-Policy` and `RateLimit`.
    draft: Option<(HeaderValue, HeaderValue)>,
    legacy: Option<LegacyHeaders>,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
struct LegacyHeaders {
    limit: u64,
    remaining: u64,
    reset: u64,
}

/// Describes all limits of a request. Most have one, which needs no list.
pub(super) struct Description<'a> {
    style: HeaderStyle,
    name: &'a str,
    describes_all: bool,
    /// The limit that has refused.
    refusal: Option<(Snapshot, Denied)>,
    only: Option<Snapshot>,
    /// How many limits without a name of their own do not limit the request, and came first.
    skipped: u32,
    list: Option<List>,
}

/// The items of several limits.
#[derive(Default)]
struct List {
    policies: Vec<u8>,
    limits: Vec<u8>,
    /// How many limits without a name of their own there were.
    unnamed: u32,
    /// The limit that the fields are about, with its number among the unnamed ones: the tightest
    /// one, or the one that has refused.
    shown: Option<(Snapshot, u32)>,
}

impl<'a> Description<'a> {
    #[inline]
    pub(super) const fn new(
        style: HeaderStyle,
        name: &'a str,
        describes_all: bool,
        refusal: Option<(Snapshot, Denied)>,
    ) -> Self {
        Self {
            style,
            name,
            describes_all,
            refusal,
            only: None,
            skipped: 0,
            list: None,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, snapshot: Option<Snapshot>) {
        match snapshot {
            Some(first) if self.only.is_none() && self.list.is_none() && self.skipped == 0 => {
                self.only = Some(first);
            }
            Some(further) => self.add_to_list(further),
            None => match &mut self.list {
                Some(list) => list.unnamed += 1,
                None => self.skip(),
            },
        }
    }

    #[cold]
    fn skip(&mut self) {
        if let Some(only) = self.only.take() {
            self.add_to_list(only);
        }
        match &mut self.list {
            Some(list) => list.unnamed += 1,
            None => self.skipped += 1,
        }
    }

    #[cold]
    fn add_to_list(&mut self, snapshot: Snapshot) {
        let mut list = self.list.take().unwrap_or_else(|| List {
            unnamed: self.skipped,
            ..List::default()
        });
        for snapshot in self.only.take().into_iter().chain([snapshot]) {
            self.put(&mut list, snapshot);
        }
        self.list = Some(list);
    }

    fn put(&self, list: &mut List, snapshot: Snapshot) {
        list.unnamed += u32::from(snapshot.limit.is_none());
        let number = list.unnamed;
        let mut wait = snapshot.next_permit_in;
        let is_shown = match (&self.refusal, &list.shown) {
            // Of several with the same numbers, it is the one with the same left.
            (Some((refused, denied)), None)
                if refused.is_of_same_limit(&snapshot)
                    && refused.available == snapshot.available =>
            {
                wait = denied.retry_after();
                true
            }
            (Some(_), _) => false,
            (None, Some((tightest, _))) => tightest.tighter(snapshot) != *tightest,
            (None, None) => true,
        };
        if is_shown {
            list.shown = Some((snapshot, number));
        }
        if self.style.is_draft() {
            let name = name_of(&snapshot, self.name, number);
            put_policy(&mut list.policies, &name, &snapshot);
            if self.describes_all {
                put_limit(&mut list.limits, &name, &snapshot, wait);
            }
        }
    }

    /// `None` if there is no limit on the request.
    pub(super) fn headers(self) -> Option<Headers> {
        let denied = self.refusal.map(|(_, denied)| denied);
        let refused = self.refusal.map(|(snapshot, _)| snapshot);
        let Some(list) = self.list else {
            let snapshot = refused.or(self.only)?;
            return Some(Headers::new(self.style, self.name, &snapshot, denied));
        };
        let (shown, number) = match (list.shown, refused) {
            (Some((_, number)), Some(refused)) => (refused, number),
            (None, refused) => (refused?, 1),
            (Some(shown), None) => shown,
        };
        let name = name_of(&shown, self.name, number);
        let mut headers = Headers::new(self.style, &name, &shown, denied);
        if let Some((policies, limits)) = &mut headers.draft {
            *policies = header_value(list.policies);
            if self.describes_all {
                *limits = header_value(list.limits);
            }
        }
        Some(headers)
    }
}

/// The name of a limit. Of several without one, each has a number, as a client would otherwise take
/// them for one.
fn name_of<'a>(snapshot: &Snapshot, name: &'a str, number: u32) -> Cow<'a, str> {
    match snapshot.limit {
        Some(own) => Cow::Borrowed(own),
        None if number > 1 => Cow::Owned(format!("{name}-{number}")),
        None => Cow::Borrowed(name),
    }
}

impl Headers {
    pub(super) fn new(
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
            HeaderStyle::None => return Self::default(),
            HeaderStyle::RetryAfterOnly => (false, None),
            HeaderStyle::Draft11 => (true, None),
            HeaderStyle::LegacyX { reset } => (false, Some(reset)),
            HeaderStyle::Both { reset } => (true, Some(reset)),
        };
        let name = snapshot.limit.unwrap_or(name);
        Self {
            draft: draft.then(|| {
                let limit = limit(name, snapshot, next_permit_in);
                (policy(name, snapshot), limit)
            }),
            legacy: legacy.map(|reset| LegacyHeaders {
                limit: snapshot.capacity,
                remaining: snapshot.available,
                reset: reset.count(next_permit_in),
            }),
            retry_after,
        }
    }

    /// Those of a rejection by a limit that is not described.
    pub(super) fn of_unknown(style: HeaderStyle, retry_after: Option<Duration>) -> Self {
        let is_told = style != HeaderStyle::None;
        Self {
            retry_after: retry_after.filter(|_| is_told),
            ..Self::default()
        }
    }

    /// Writes the fields of a success to a response, which may be the rejection of an inner limit.
    pub(super) fn write_to_response<B>(mut self, response: &mut Response<B>) {
        if is_rejection(response) {
            self.legacy = None;
        }
        self.write_to(response.headers_mut());
    }

    pub(super) fn write_to(self, headers: &mut HeaderMap) {
        if let Some((policy, limit)) = self.draft {
            // Skipped if the map is full, here and below. `append` and `insert` would panic.
            let _ = headers.try_append(RATELIMIT_POLICY, policy);
            let _ = headers.try_append(RATELIMIT, limit);
        }
        if let Some(legacy) = self.legacy {
            legacy.write_to(headers);
        }
        if let Some(wait) = self.retry_after {
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
            .get("grpc-status")
            .is_some_and(is_exhausted)
}

/// Adds `Retry-After`, unless a [`Reject`](super::Reject) has set it.
pub(super) fn add_retry_after(wait: Duration, headers: &mut HeaderMap) {
    if !headers.contains_key(RETRY_AFTER) {
        let _ = headers.try_insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
}

impl LegacyHeaders {
    /// Keeps the fields of an inner limit that has less left, or as little for longer. It may be
    /// the limit that refused.
    fn write_to(self, headers: &mut HeaderMap) {
        let present =
            |name: &HeaderName| -> Option<u64> { headers.get(name)?.to_str().ok()?.parse().ok() };
        let is_tighter = |remaining| {
            remaining < self.remaining
                || remaining == self.remaining && present(&X_RESET) > Some(self.reset)
        };
        if present(&X_REMAINING).is_some_and(is_tighter) {
            return;
        }
        let _ = headers.try_insert(X_LIMIT, HeaderValue::from(self.limit));
        let _ = headers.try_insert(X_REMAINING, HeaderValue::from(self.remaining));
        let _ = headers.try_insert(X_RESET, HeaderValue::from(self.reset));
    }
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

/// Rounds up to whole seconds, at least 1.
pub(super) fn seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

fn policy(name: &str, snapshot: &Snapshot) -> HeaderValue {
    let mut text = Vec::new();
    put_policy(&mut text, name, snapshot);
    header_value(text)
}

fn put_policy(text: &mut Vec<u8>, name: &str, snapshot: &Snapshot) {
    let (unit, has_window) = match snapshot.unit {
        QuotaUnit::Requests => (b"".as_slice(), true),
        QuotaUnit::ContentBytes => (CONTENT_BYTES, true),
        QuotaUnit::ConcurrentRequests => (CONCURRENT_REQUESTS, false),
    };
    let quota = Some((b'q', snapshot.capacity));
    let window = has_window.then(|| (b'w', seconds(snapshot.refill_time)));
    put_item(text, name, [quota, window]);
    text.extend_from_slice(unit);
}

fn limit(name: &str, snapshot: &Snapshot, next_permit_in: Option<Duration>) -> HeaderValue {
    let mut text = Vec::new();
    put_limit(&mut text, name, snapshot, next_permit_in);
    header_value(text)
}

fn put_limit(
    text: &mut Vec<u8>,
    name: &str,
    snapshot: &Snapshot,
    next_permit_in: Option<Duration>,
) {
    let wait = next_permit_in.map(|wait| (b't', seconds(wait)));
    put_item(text, name, [Some((b'r', snapshot.available)), wait]);
}

fn header_value(text: Vec<u8>) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable ASCII")
}

/// Adds an item to a list of a structured field: a string with integer parameters. The length is
/// computed first, because a `HeaderValue` takes over a buffer of exact length without copying it.
fn put_item(text: &mut Vec<u8>, name: &str, parameters: [Option<(u8, u64)>; 2]) {
    let parameters =
        parameters.map(|parameter| parameter.map(|(key, number)| (key, number.min(MOST))));
    let present = parameters.iter().flatten();
    let numbers: usize = present
        .map(|(_, number)| ";k=".len() + digits(*number))
        .sum();
    // Escaped and replaced characters change the length, which costs another allocation.
    let comma: &[u8] = if text.is_empty() { b"" } else { b", " };
    text.reserve_exact(comma.len() + 2 + name.len() + numbers);
    text.extend_from_slice(comma);
    text.push(b'"');
    if name.bytes().all(is_plain) {
        text.extend_from_slice(name.as_bytes());
    } else {
        for character in name.chars() {
            match character {
                '"' | '\\' => text.extend([b'\\', character as u8]),
                ' '..='~' => text.push(character as u8),
                // Only printable ASCII is allowed in strings (RFC 9651, section 3.3.3).
                _ => text.push(b'?'),
            }
        }
    }
    text.push(b'"');
    for (key, number) in parameters.into_iter().flatten() {
        text.extend_from_slice(&[b';', key, b'=']);
        put_number(text, number);
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Returns the number of decimal digits.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn put_number(text: &mut Vec<u8>, number: u64) {
    // A u64 has at most 20 digits.
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
