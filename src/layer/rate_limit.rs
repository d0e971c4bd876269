//! The service that forwards or rejects each request.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::admission::Admission;
use super::gate::Gate;
use super::gate_options::{GateDecision, GateOptions};
use super::held::Held;
use super::in_flight_gate::InFlightGate;
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
///
/// With a [`SharedGate`](super::SharedGate) as `A`, a request waits for the shared limit together
/// with the service that is ready for it, and a clone takes the service's place.
pub struct RateLimit<S, G, F = (), R = TooManyRequests, A = ()> {
    pub(super) inner: S,
    pub(super) policy: Arc<LayerPolicy<GateOptions<G, F, A>, R>>,
}

impl_service!(RateLimit<G, F; A>, GateOptions<G, F, A>);

impl<S, G, F, R, A, B> Service<Request<A>> for RateLimit<S, G, F, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    G: Gate,
    F: InFlightGate,
    R: Reject<B>,
{
    type Response = Response<<F::Held as Held>::Body<B>>;
    type Error = S::Error;
    type Future = RateLimitFuture<S::Future, B, F::Held>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let mut headers = Headers::NONE;
        let decision = self
            .policy
            .decide(&RequestHead::new(&request), &mut headers);
        RateLimitFuture::new(decision, headers, || self.inner.call(request))
    }
}

pin_project! {
    /// The response of a [`RateLimit`]: that of the inner service with header fields, or a
    /// rejection.
    ///
    /// # Cancel safety
    ///
    /// The permits were taken before the future was made. Dropping it does not return them, because
    /// the request may have been served. Only those of limits on requests at the same time come
    /// back.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RateLimitFuture<F, B, H = ()> {
        #[pin]
        state: RateLimitState<F, B, H>,
    }
}

pin_project! {
    #[project = RateLimitStateProjection]
    enum RateLimitState<F, B, H> {
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
        // For requests that keep something, or are settled. `None` once it was used.
        Keep {
            #[pin]
            future: F,
            admission: Option<Box<Admission<H>>>,
        },
        // `None` once it was returned.
        Reject { response: Option<Response<B>> },
    }
}

impl<F, B, H> RateLimitFuture<F, B, H> {
    /// Calls the service, if the request may pass.
    #[inline]
    pub(super) fn new(
        decision: GateDecision<B, H>,
        headers: Headers,
        call: impl FnOnce() -> F,
    ) -> Self {
        let state = match decision {
            GateDecision::Reject(response) => RateLimitState::Reject {
                response: Some(response),
            },
            GateDecision::Admit => RateLimitState::Forward { future: call() },
            GateDecision::Describe => RateLimitState::AddHeaders {
                future: call(),
                headers,
            },
            GateDecision::Keep(admission) => RateLimitState::Keep {
                future: call(),
                admission: Some(admission),
            },
        };
        Self { state }
    }
}

impl<F, B, E, H: Held> Future for RateLimitFuture<F, B, H>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<H::Body<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            RateLimitStateProjection::Forward { future } => future.poll(context).map_ok(H::free),
            RateLimitStateProjection::AddHeaders { future, headers } => {
                let mut response = ready!(future.poll(context))?;
                headers.write_to_response(&mut response);
                Poll::Ready(Ok(H::free(response)))
            }
            RateLimitStateProjection::Keep { future, admission } => {
                let response = ready!(future.poll(context));
                let admission = admission.take();
                let admission = admission.expect("future was polled after it was ready");
                Poll::Ready(Ok(admission.respond(response?)))
            }
            RateLimitStateProjection::Reject { response } => {
                let response = response.take();
                let response = response.expect("future was polled after it was ready");
                Poll::Ready(Ok(H::free(response)))
            }
        }
    }
}

impl<F, B, H> fmt::Debug for RateLimitFuture<F, B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_rejected = matches!(self.state, RateLimitState::Reject { .. });
        f.debug_struct("RateLimitFuture")
            .field("is_rejected", &is_rejected)
            .finish_non_exhaustive()
    }
}
