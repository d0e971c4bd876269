//! What is answered if nothing else was chosen.

use http::{Response, StatusCode};

use super::grpc::ResourceExhausted;
use super::rejection::{Reason, Reject, Rejection};

/// An empty `429 Too Many Requests`. What [`ResourceExhausted`] gives to requests that [speak gRPC](Rejection::is_grpc), and
/// `500 Internal Server Error` to those [without a key](Reason::NoKey).
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
            Reason::NoKey => StatusCode::INTERNAL_SERVER_ERROR,
        };
        response
    }
}
