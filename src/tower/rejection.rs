//! What a client gets instead of an answer.

use core::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};

use super::fields::seconds;
use super::head::RequestHead;
use super::key::NoKey;
use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// A request that was refused, for whoever builds the response.
#[derive(Clone, Copy, Debug)]
pub struct Rejection<'a> {
    pub(super) request: RequestHead<'a>,
    pub(super) reason: Reason,
    pub(super) limit: &'a str,
    pub(super) snapshot: Option<Snapshot>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// By a limit.
    Limited(Denied),
    /// For want of a key to limit it by.
    NoKey(NoKey),
}

impl<'a> Rejection<'a> {
    /// The request that was refused.
    pub const fn request(&self) -> RequestHead<'a> {
        self.request
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The name of the limit that refused: its own if it is [`Named`](super::Named) or one of a
    /// [`Combined`](crate::Combined), else the layer's.
    pub const fn limit(&self) -> &'a str {
        self.limit
    }

    /// What the limit that refused allows and has left; `None` for want of a key, and from a [`PaceLayer`](super::PaceLayer).
    pub const fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// How long to wait before the same request can succeed; `None` if no wait helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.reason {
            Reason::Limited(denied) => denied.retry_after(),
            Reason::NoKey(_) => None,
        }
    }

    /// The same in whole seconds, rounded up and at least 1, as in `Retry-After`.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after().map(seconds)
    }

    /// The status that fits: `429 Too Many Requests`. Without a key `400 Bad Request`, or `500 Internal Server Error` if the server has
    /// [not attached](NoKey::NotAttached) it.
    pub const fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Reason::NoKey(NoKey::NotAttached) => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::NoKey(NoKey::NotSent | NoKey::Ambiguous) => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the client speaks gRPC: a `POST` of `application/grpc`, or of a type below it.
    pub fn is_grpc(&self) -> bool {
        // Only a POST, whose answers no cache keeps: to a client of gRPC a refusal has the status 200.
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

/// Builds the response to a request that was refused: a closure, or [`TooManyRequests`](super::TooManyRequests).
///
/// The layer adds its [header fields](super::HeaderStyle); a `Retry-After` that is there already stays.
pub trait Reject<B> {
    /// The response.
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
