//! The service that delays each request and then forwards it.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::layer_macros::impl_service;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::observer::Observer;
use super::pace_options::PaceOptions;
use super::rejection::Reject;
use super::request_head::RequestHead;
use super::too_many_requests::TooManyRequests;
use crate::clock::Clock;
use crate::time::Timestamp;
use crate::wait::{Acquire, Awaitable, DefaultTimer, SleepSlot, Timer};

/// A service whose requests wait at a limiter, made by a [`PaceLayer`](super::PaceLayer). Clones
/// share the limiter.
///
/// The service is always ready. Each call takes a clone of the inner service, and polls the clone's
/// readiness only once the limiter admitted the request. A clone that became ready earlier would
/// occupy the inner service while the request waits.
///
/// The limiter paces admissions. Requests that are admitted while the inner service is not ready
/// reach it together later. So put layers that delay readiness (`ConcurrencyLimit`, `Buffer`)
/// outside of this one.
pub struct Paced<S, L, T = DefaultTimer, R = TooManyRequests> {
    inner: S,
    policy: Arc<LayerPolicy<PaceOptions<L, T>, R>>,
}

impl_service!(Paced<L, T>, PaceOptions<L, T>);

impl<S, L, T, R, A, B> Service<Request<A>> for Paced<S, L, T, R>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    L: Awaitable,
    T: Timer + Clone,
    R: Reject<B>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = PacedFuture<S, A, L, T, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let PaceOptions {
            limiter,
            timer,
            timeout,
            ..
        } = &self.policy.own;
        let head = RequestHead::new(&request);
        let is_exempt = self.policy.is_exempt(&head);
        // An exempt request acquires 0 permits, which does not wait.
        let cost = if is_exempt {
            0
        } else {
            self.policy.cost(&head)
        };
        let acquire = Acquire::new(Arc::clone(limiter), cost)
            .timer(timer.clone())
            .timeout(*timeout);
        PacedFuture {
            policy: Arc::clone(&self.policy),
            cost,
            is_exempt,
            called_at: (Observer::RECORDS_WAITS && !is_exempt).then(|| limiter.wait_clock().now()),
            waiting: Some((self.inner.clone(), request)),
            state: PacedState::Waiting { acquire },
        }
    }
}

pin_project! {
    /// The response of a [`Paced`] service, after the request was admitted.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves the queue as [`Acquire`] does. Later its permits are used,
    /// because the request may have been served.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct PacedFuture<S, A, L, T, R>
    where
        S: Service<Request<A>>,
        L: Awaitable,
        T: SleepSlot,
    {
        policy: Arc<LayerPolicy<PaceOptions<L, T>, R>>,
        cost: u64,
        is_exempt: bool,
        // Set if the wait is to be recorded.
        called_at: Option<Timestamp>,
        // Until the service is called.
        waiting: Option<(S, Request<A>)>,
        #[pin]
        state: PacedState<S::Future, L, T>,
    }
}

pin_project! {
    #[project = PacedStateProjection]
    enum PacedState<F, L, T>
    where
        L: Awaitable,
        T: SleepSlot,
    {
        Waiting {
            #[pin]
            acquire: Acquire<Arc<L>, T>,
        },
        // Admitted. The service must become ready.
        Admitted,
        Serving {
            #[pin]
            future: F,
        },
    }
}

/// The panic message if a future is polled after it was ready.
const COMPLETED: &str = "future was polled after it was ready";

impl<S, A, B, L, T, R> Future for PacedFuture<S, A, L, T, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    L: Awaitable,
    T: Timer,
    R: Reject<B>,
{
    type Output = Result<Response<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let policy = &**this.policy;
        loop {
            match this.state.as_mut().project() {
                PacedStateProjection::Waiting { acquire } => {
                    if let Err(denied) = ready!(acquire.poll(context)) {
                        let (_, request) = this.waiting.take().expect(COMPLETED);
                        let head = RequestHead::new(&request);
                        return Poll::Ready(Ok(policy.reject_request(&head, *this.cost, denied)));
                    }
                    let outcome = if *this.is_exempt {
                        RequestOutcome::Exempt
                    } else {
                        RequestOutcome::Allowed
                    };
                    policy.record(outcome);
                    if let Some(called_at) = *this.called_at {
                        let waited = policy.own.limiter.wait_clock().now() - called_at;
                        policy.observer.record_wait(&policy.name, waited);
                    }
                    this.state.set(PacedState::Admitted);
                }
                PacedStateProjection::Admitted => {
                    let (service, _) = this.waiting.as_mut().expect(COMPLETED);
                    ready!(service.poll_ready(context))?;
                    let (mut service, request) = this.waiting.take().expect(COMPLETED);
                    let future = service.call(request);
                    this.state.set(PacedState::Serving { future });
                }
                PacedStateProjection::Serving { future } => return future.poll(context),
            }
        }
    }
}

impl<S, A, L, T, R> fmt::Debug for PacedFuture<S, A, L, T, R>
where
    S: Service<Request<A>>,
    L: Awaitable,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_waiting = matches!(self.state, PacedState::Waiting { .. });
        f.debug_struct("PacedFuture")
            .field("cost", &self.cost)
            .field("is_waiting", &is_waiting)
            .finish_non_exhaustive()
    }
}
