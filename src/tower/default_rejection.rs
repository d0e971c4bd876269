//! What is answered if nothing else was chosen.

use http::Response;

use super::grpc::ResourceExhausted;
use super::rejection::{Reject, Rejection};

/// Nothing but the [status](Rejection::status) that fits. To requests that [speak gRPC](Rejection::is_grpc) what [`ResourceExhausted`]
/// gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct TooManyRequests;

impl<B: Default> Reject<B> for TooManyRequests {
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B> {
        if rejection.is_grpc() {
            return ResourceExhausted.reject(rejection);
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = rejection.status();
        response
    }
}
