//! The service whose requests wait for a shared limit.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::mem;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::gate::Gate;
use super::gate_options::GateDecision;
use super::held::Held;
use super::in_flight_gate::InFlightGate;
use super::pending_request::PendingRequest;
use super::rate_limit::{RateLimit, RateLimitFuture};
use super::rejection::Reject;
use super::request_head::RequestHead;
use super::response_headers::Headers;
use super::shared_gate::SharedGate;

impl<S, G, F, R, A, Q, B> Service<Request<Q>> for RateLimit<S, G, F, R, A>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone,
    Q: Send + 'static,
    B: 'static,
    G: Gate<Key: Send + Sync + 'static, Charge: Send + Sync + 'static> + Send + Sync + 'static,
    F: InFlightGate<Key: Send + Sync + 'static, Held: Sync> + Send + Sync + 'static,
    R: Reject<B> + Send + Sync + 'static,
    A: SharedGate,
{
    type Response = Response<<F::Held as Held>::Body<B>>;
    type Error = S::Error;
    type Future = SharedRateLimitFuture<S, Q, B, F::Held>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let mut headers = Headers::NONE;
        let head = RequestHead::new(&request);
        let state = match PendingRequest::begin(&self.policy, &head, &mut headers) {
            ControlFlow::Continue(pending) => {
                // The one that is ready. The clone may not be.
                let clone = self.inner.clone();
                let inner = mem::replace(&mut self.inner, clone);
                let deciding = Box::pin(async move {
                    let mut headers = Headers::NONE;
                    let head = RequestHead::new(&request);
                    let decision = pending.decide(&head, &mut headers).await;
                    (request, decision, headers)
                });
                SharedState::Deciding {
                    inner: Some(inner),
                    deciding,
                }
            }
            ControlFlow::Break(decision) => SharedState::Decided {
                future: RateLimitFuture::new(decision, headers, || self.inner.call(request)),
            },
        };
        SharedRateLimitFuture { state }
    }
}

/// Gives the request back with the decision about it. Boxed, because the future of the shared limit
/// has no name, and its answer takes longer than an allocation.
type Deciding<Q, B, H> =
    Pin<Box<dyn Future<Output = (Request<Q>, GateDecision<B, H>, Headers)> + Send>>;

pin_project! {
    /// The response of a [`RateLimit`] with a [`SharedGate`]: that of the inner service with header
    /// fields, or a rejection.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the shared limit decides, it gives back what the other limits of the layer
    /// gave: the permits of limits on requests at the same time, and those of the layer's gate
    /// where that is exact. The shared limit may have charged the request, and keeps that charge.
    ///
    /// Later the permits are used, because the request may have been served. It is then as a
    /// [`RateLimitFuture`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct SharedRateLimitFuture<S, Q, B, H = ()>
    where
        S: Service<Request<Q>>,
    {
        #[pin]
        state: SharedState<S, S::Future, Q, B, H>,
    }
}

pin_project! {
    #[project = SharedStateProjection]
    enum SharedState<S, F, Q, B, H> {
        // The service is `None` once it was called.
        Deciding {
            inner: Option<S>,
            deciding: Deciding<Q, B, H>,
        },
        Decided {
            #[pin]
            future: RateLimitFuture<F, B, H>,
        },
    }
}

impl<S, Q, B, H: Held> Future for SharedRateLimitFuture<S, Q, B, H>
where
    S: Service<Request<Q>, Response = Response<B>>,
{
    type Output = Result<Response<H::Body<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let SharedStateProjection::Deciding { inner, deciding } = state.as_mut().project() {
            let (request, decision, headers) = ready!(deciding.as_mut().poll(context));
            let mut inner = inner.take().expect("the state changes with the decision");
            let future = RateLimitFuture::new(decision, headers, || inner.call(request));
            state.set(SharedState::Decided { future });
        }
        match state.project() {
            SharedStateProjection::Decided { future } => future.poll(context),
            SharedStateProjection::Deciding { .. } => Poll::Pending,
        }
    }
}

impl<S, Q, B, H> fmt::Debug for SharedRateLimitFuture<S, Q, B, H>
where
    S: Service<Request<Q>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_deciding = matches!(self.state, SharedState::Deciding { .. });
        f.debug_struct("SharedRateLimitFuture")
            .field("is_deciding", &is_deciding)
            .finish_non_exhaustive()
    }
}
