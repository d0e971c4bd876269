//! The default response to a rejected request.

use http::Response;

use super::grpc::ResourceExhausted;
use super::rejection::{Reject, Rejection};

/// Responds with the [status](Rejection::status) that fits and an empty body. Requests that
/// [speak gRPC](Rejection::is_grpc) get the response of [`ResourceExhausted`].
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
