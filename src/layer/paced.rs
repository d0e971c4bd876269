//! The service that delays each request and then forwards it.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::gate::MissingKey;
use super::layer_macros::impl_service;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::observer::{CountedWait, Observer};
use super::pace_gate::PaceGate;
use super::pace_options::PaceOptions;
use super::rejection::Reject;
use super::request_head::RequestHead;
use super::too_many_requests::TooManyRequests;
use crate::clock::Clock;
use crate::time::Timestamp;
use crate::wait::sealed::Waits;
use crate::wait::{Acquire, Awaitable, DefaultTimer, SleepSlot, Timer};

/// A service whose requests wait at a limiter or at that of their key, made by a [`PaceLayer`](super::PaceLayer). Clones
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
    L: PaceGate,
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
        let head = RequestHead::new(&request);
        let mut cost = 0;
        let state = if self.policy.is_exempt(&head) {
            PacedState::Passing {
                outcome: RequestOutcome::Exempt,
            }
        } else {
            cost = self.policy.cost(&head);
            self.policy.own.wait_of(&head, cost)
        };
        PacedFuture {
            policy: Arc::clone(&self.policy),
            cost,
            waiting: Some((self.inner.clone(), request)),
            state,
        }
    }
}

impl<L: PaceGate, T: Timer + Clone> PaceOptions<L, T> {
    /// Starts the wait of a request that is not exempt.
    fn wait_of<F>(&self, head: &RequestHead<'_>, cost: u64) -> PacedState<F, L::Limiter, T> {
        let outcome = RequestOutcome::Allowed;
        // It needs no key.
        if cost == 0 {
            return PacedState::Passing { outcome };
        }
        match self.limiter.limiter_of(head) {
            Ok(Some(limiter)) => PacedState::Waiting {
                called_at: Observer::RECORDS_WAITS.then(|| limiter.wait_clock().now()),
                acquire: Acquire::new(limiter, cost)
                    .timer(self.timer.clone())
                    .timeout(self.timeout),
                counted: None,
            },
            Ok(None) => PacedState::Passing { outcome },
            Err(missing) => PacedState::Keyless { missing },
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
        L: PaceGate,
        T: SleepSlot,
    {
        policy: Arc<LayerPolicy<PaceOptions<L, T>, R>>,
        cost: u64,
        // Until the service is called.
        waiting: Option<(S, Request<A>)>,
        #[pin]
        state: PacedState<S::Future, L::Limiter, T>,
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
            acquire: Acquire<L, T>,
            // Set if the wait is to be recorded.
            called_at: Option<Timestamp>,
            // Set once it had to wait.
            counted: Option<CountedWait>,
        },
        // Does not wait.
        Passing { outcome: RequestOutcome },
        // Cannot wait, because it lacks the key.
        Keyless { missing: MissingKey },
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
    L: PaceGate,
    T: Timer,
    R: Reject<B>,
{
    type Output = Result<Response<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let policy = &**this.policy;
        loop {
            match this.state.as_mut().project() {
                PacedStateProjection::Waiting {
                    mut acquire,
                    called_at,
                    counted,
                } => {
                    let Poll::Ready(outcome) = acquire.as_mut().poll(context) else {
                        counted.get_or_insert_with(|| policy.observer.count_wait(&policy.name));
                        return Poll::Pending;
                    };
                    // Here, because a caller may keep this future after it is ready.
                    let has_waited = counted.take().is_some();
                    if let Err(denied) = outcome {
                        let (_, request) = this.waiting.take().expect(COMPLETED);
                        let head = RequestHead::new(&request);
                        let rejection = policy.reject_wait(&head, *this.cost, denied, has_waited);
                        return Poll::Ready(Ok(rejection));
                    }
                    policy.record(RequestOutcome::Allowed);
                    if let Some(called_at) = *called_at {
                        let waited = acquire.limiter().wait_clock().now() - called_at;
                        policy.observer.record_wait(&policy.name, waited);
                    }
                    this.state.set(PacedState::Admitted);
                }
                PacedStateProjection::Passing { outcome } => {
                    policy.record(*outcome);
                    this.state.set(PacedState::Admitted);
                }
                PacedStateProjection::Keyless { missing } => {
                    let (_, request) = this.waiting.take().expect(COMPLETED);
                    let head = RequestHead::new(&request);
                    let rejection = policy.reject_keyless(&head, *this.cost, *missing);
                    return Poll::Ready(Ok(rejection));
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
    L: PaceGate,
    T: SleepSlot,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_waiting = matches!(self.state, PacedState::Waiting { .. });
        f.debug_struct("PacedFuture")
            .field("cost", &self.cost)
            .field("is_waiting", &is_waiting)
            .finish_non_exhaustive()
    }
}
