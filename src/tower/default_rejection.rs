//! What is answered if nothing else was chosen.

use http::{Response, StatusCode};

use super::grpc::ResourceExhausted;
use super::key::NoKey;
use super::rejection::{Reason, Reject, Rejection};

/// An empty `429 Too Many Requests`. Without a key `400 Bad Request`, or `500 Internal Server Error` if the server has
/// [not attached](NoKey::NotAttached) it. To requests that [speak gRPC](Rejection::is_grpc) what [`ResourceExhausted`] gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct TooManyRequests;

impl<B: Default> Reject<B> for TooManyRequests {
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B> {
        if rejection.is_grpc() {
            return ResourceExhausted.reject(rejection);
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = match rejection.reason() {
            Reason::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Reason::NoKey(NoKey::NotAttached) => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::NoKey(NoKey::NotSent | NoKey::Unclear) => StatusCode::BAD_REQUEST,
        };
        response
    }
}
