//! A rejected request, and the trait that responds to it.

use core::fmt;
use core::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};

use super::field_values::seconds;
use super::key_extractor::NoKey;
use super::request_head::RequestHead;
use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// A rejected request, from which a [`Reject`] builds the response.
#[derive(Clone, Copy, Debug)]
pub struct Rejection<'a> {
    pub(super) request: RequestHead<'a>,
    pub(super) reason: Reason,
    pub(super) limit: &'a str,
    pub(super) snapshot: Option<Snapshot>,
}

/// Why a request was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A limit refused it.
    Limited(Denied),
    /// It has no key to limit it by.
    NoKey(NoKey),
    /// The [shared](super::SharedGate) limit could not decide, and does not admit requests then.
    Unavailable {
        /// When it is worth trying again; `None` if unknown.
        retry_after: Option<Duration>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(denied) => denied.fmt(f),
            Self::NoKey(why) => why.fmt(f),
            Self::Unavailable { retry_after } => {
                f.write_str("the limit is unavailable")?;
                match retry_after {
                    Some(wait) => write!(f, ": retry after {wait:?}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl<'a> Rejection<'a> {
    /// Makes a rejection by hand, such as of a limit that decides elsewhere, to build its response
    /// with any [`Reject`].
    ///
    /// ```
    /// use http::{Request, Response, StatusCode};
    /// use tidegate::layer::{Reason, Reject, Rejection, RequestHead, TooManyRequests};
    /// use tidegate::{Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::new(Quota::per_hour(1));
    /// bucket.try_acquire(1)?;
    /// let request = Request::new(());
    /// let denied = bucket.try_acquire(1).unwrap_err();
    /// let head = RequestHead::new(&request);
    /// let rejection = Rejection::new(head, Reason::Limited(denied), "search");
    /// let response: Response<String> = TooManyRequests.reject(&rejection);
    /// assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    /// assert_eq!(rejection.retry_after_seconds(), Some(3_600));
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn new(request: RequestHead<'a>, reason: Reason, limit: &'a str) -> Self {
        Self {
            request,
            reason,
            limit,
            snapshot: None,
        }
    }

    /// The same with what the limit has left.
    #[must_use]
    pub const fn with_snapshot(self, snapshot: Snapshot) -> Self {
        Self {
            snapshot: Some(snapshot),
            ..self
        }
    }

    /// Returns the head of the request.
    pub const fn request(&self) -> RequestHead<'a> {
        self.request
    }

    /// Returns why the request was rejected.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the name of the limit that refused or could not decide. A [`Named`](super::Named)
    /// gate and a limit of a [`Combined`](crate::Combined) have their own; any other has the
    /// layer's.
    pub const fn limit(&self) -> &'a str {
        self.limit
    }

    /// Returns what the limit that refused allows and has left; `None` if the key is missing, if a
    /// shared limit did not tell, and from a [`PaceLayer`](super::PaceLayer).
    pub const fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The refusal if a limit refused.
    pub(super) const fn denied(&self) -> Option<Denied> {
        match self.reason {
            Reason::Limited(denied) => Some(denied),
            Reason::NoKey(_) | Reason::Unavailable { .. } => None,
        }
    }

    /// Returns how long to wait before the same request can succeed; `None` if no wait helps, or if
    /// the wait is unknown.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.reason {
            Reason::Limited(denied) => denied.retry_after(),
            Reason::NoKey(_) => None,
            Reason::Unavailable { retry_after } => retry_after,
        }
    }

    /// Returns [`retry_after`](Self::retry_after) in whole seconds, rounded up and at least 1, as
    /// in the header field `Retry-After`.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after().map(seconds)
    }

    /// Returns the status that fits: `429 Too Many Requests` from a limit. A missing key is a
    /// `400 Bad Request`, or a `500 Internal Server Error` if the server has
    /// [not attached](NoKey::NotAttached) it. A shared limit that could not decide is a
    /// `503 Service Unavailable`.
    pub const fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Reason::NoKey(NoKey::NotAttached) => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::NoKey(NoKey::NotSent | NoKey::Ambiguous) => StatusCode::BAD_REQUEST,
            Reason::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether the client speaks gRPC: a `POST` of `application/grpc` or of a subtype such as
    /// `application/grpc+proto`.
    pub fn is_grpc(&self) -> bool {
        // Only a POST, because caches do not store its response. A gRPC rejection has status 200.
        const GRPC: &[u8] = b"application/grpc";
        let content_type = self.request.headers().get(CONTENT_TYPE);
        let parts = content_type.and_then(|value| value.as_bytes().split_at_checked(GRPC.len()));
        self.request.method() == Method::POST
            && parts.is_some_and(|(prefix, rest)| {
                prefix.eq_ignore_ascii_case(GRPC)
                    && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
            })
    }
}

/// Builds the response to a rejected request: a closure,
/// [`TooManyRequests`](super::TooManyRequests), [`ProblemJson`](super::ProblemJson) or
/// [`ResourceExhausted`](super::ResourceExhausted).
///
/// The layer adds its [header fields](super::HeaderStyle). A `Retry-After` of the response stays.
pub trait Reject<B> {
    /// Returns the response.
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B>;
}

impl<F, B> Reject<B> for F
where
    F: Fn(&Rejection<'_>) -> Response<B>,
{
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B> {
        self(rejection)
    }
}
