//! The service that forwards or rejects each request.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::gate::Gate;
use super::gate_options::{GateDecision, GateOptions};
use super::layer_macros::impl_service;
use super::layer_policy::LayerPolicy;
use super::rejection::Reject;
use super::request_head::RequestHead;
use super::response_headers::Headers;
use super::too_many_requests::TooManyRequests;

/// A service behind a limit, made by a [`RateLimitLayer`](super::RateLimitLayer). Clones share the
/// limit.
///
/// `poll_ready` is that of the inner service, because a limit cannot decide before it sees the
/// request. Errors are those of the inner service, and rejections are responses.
///
/// After a rejection, the inner service stays ready. It keeps its readiness permit, such as that of
/// a `ConcurrencyLimit`, until the service is called again or dropped. Servers drop the service. If
/// yours does not, put such layers outside of this one.
pub struct RateLimit<S, G, R = TooManyRequests> {
    inner: S,
    policy: Arc<LayerPolicy<GateOptions<G>, R>>,
}

impl_service!(RateLimit<G>, GateOptions<G>);

impl<S, G, R, A, B> Service<Request<A>> for RateLimit<S, G, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    G: Gate,
    R: Reject<B>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = RateLimitFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let state = match self.policy.decide(&RequestHead::new(&request)) {
            GateDecision::Admit(None) => RateLimitState::Forward {
                future: self.inner.call(request),
            },
            GateDecision::Admit(Some(headers)) => RateLimitState::AddHeaders {
                future: self.inner.call(request),
                headers,
            },
            GateDecision::Reject(response) => RateLimitState::Reject {
                response: Some(response),
            },
        };
        RateLimitFuture { state }
    }
}

pin_project! {
    /// The response of a [`RateLimit`]: that of the inner service with header fields, or a
    /// rejection.
    ///
    /// # Cancel safety
    ///
    /// The permits were taken before the future was made. Dropping it does not return them, because
    /// the request may have been served.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RateLimitFuture<F, B> {
        #[pin]
        state: RateLimitState<F, B>,
    }
}

pin_project! {
    #[project = RateLimitStateProjection]
    enum RateLimitState<F, B> {
        // A variant of its own, so that most futures move no space for headers.
        Forward {
            #[pin]
            future: F,
        },
        AddHeaders {
            #[pin]
            future: F,
            headers: Headers,
        },
        // `None` once it was returned.
        Reject { response: Option<Response<B>> },
    }
}

impl<F, B, E> Future for RateLimitFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            RateLimitStateProjection::Forward { future } => future.poll(context),
            RateLimitStateProjection::AddHeaders { future, headers } => {
                let mut response = ready!(future.poll(context))?;
                mem::take(headers).write_to_response(&mut response);
                Poll::Ready(Ok(response))
            }
            RateLimitStateProjection::Reject { response } => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("future was polled after it was ready")))
            }
        }
    }
}

impl<F, B> fmt::Debug for RateLimitFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_rejected = matches!(self.state, RateLimitState::Reject { .. });
        f.debug_struct("RateLimitFuture")
            .field("is_rejected", &is_rejected)
            .finish_non_exhaustive()
    }
}
