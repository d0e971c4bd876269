//! The service that lets requests wait, and then forwards them.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::counts::Outcome;
use super::default_rejection::TooManyRequests;
use super::fields::add_retry_after;
use super::head::RequestHead;
use super::observe::{Decision, Waits};
use super::pace_layer::{Share, Shared};
use super::rejection::{Reason, Reject, Rejection};
use crate::denied::Denied;
use crate::time::Timestamp;
use crate::wait::{Acquire, Awaitable, Timer};

/// A service whose requests wait for their turn: what a [`PaceLayer`](super::PaceLayer) makes. Clones share the limiter.
///
/// It is always ready, for it waits in `call`: there it takes a clone of the inner service, which is to become ready when the
/// request's turn has come. To be ready before would keep a place in the inner service while the request waits. The rate is that of
/// the turns: requests whose turn comes while the inner service is not ready reach it together when it is. So put what makes
/// requests wait for readiness (`ConcurrencyLimit`, `Buffer`) outside of this layer.
pub struct Paced<S, L, T, R = TooManyRequests> {
    inner: S,
    share: Share<L, T, R>,
}

impl<S, L, T, R> Paced<S, L, T, R> {
    pub(super) const fn new(inner: S, share: Share<L, T, R>) -> Self {
        Self { inner, share }
    }

    /// The service that is paced.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service that is paced, to change it.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service that was paced.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

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
        let shared = self.share.shared();
        let head = RequestHead::of(&request);
        let is_exempt = shared.exempt.as_ref().is_some_and(|exempt| exempt(&head));
        // What is exempt asks for nothing, which does not wait.
        let cost = match &shared.cost {
            _ if is_exempt => 0,
            Some(cost) => cost(&head),
            None => 1,
        };
        let (timer, timeout) = (shared.timer.clone(), shared.timeout);
        PacedFuture {
            share: self.share.clone(),
            cost,
            is_exempt,
            asked: (Waits::ARE_RECORDED && !is_exempt).then(|| self.share.now()),
            waiting: Some((self.inner.clone(), request)),
            stage: Stage::Waiting {
                turn: Acquire::new(self.share.clone(), timer, cost, timeout),
            },
        }
    }
}

pin_project! {
    /// The response of a [`Paced`], once the request has had its turn.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives its place up as [`Acquire`] does. Afterwards its permits are used: the request may have been
    /// served.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct PacedFuture<S, A, L, T, R>
    where
        S: Service<Request<A>>,
        L: Awaitable,
        T: Timer,
    {
        share: Share<L, T, R>,
        cost: u64,
        is_exempt: bool,
        // When it came, if it is to be told how long it has waited.
        asked: Option<Timestamp>,
        // Until the service is called.
        waiting: Option<(S, Request<A>)>,
        #[pin]
        stage: Stage<S::Future, L, T, R>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, L, T, R>
    where
        L: Awaitable,
        T: Timer,
    {
        Waiting {
            #[pin]
            turn: Acquire<Share<L, T, R>, T>,
        },
        // Its turn has come, and the service has to be ready.
        Starting,
        Serving {
            #[pin]
            future: F,
        },
    }
}

/// Polled again after it was ready.
const COMPLETED: &str = "not polled after it was ready";

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
        let shared = this.share.shared();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Waiting { turn } => {
                    let outcome = ready!(turn.poll(context));
                    if let Err(denied) = outcome {
                        let (_, request) = this.waiting.take().expect(COMPLETED);
                        let head = RequestHead::of(&request);
                        return Poll::Ready(Ok(shared.refuse(&head, *this.cost, denied)));
                    }
                    shared.record_turn(*this.cost, *this.is_exempt);
                    if let Some(asked) = *this.asked {
                        shared.waits.record(this.share.now() - asked);
                    }
                    this.stage.set(Stage::Starting);
                }
                StageProjection::Starting => {
                    let (service, _) = this.waiting.as_mut().expect(COMPLETED);
                    ready!(service.poll_ready(context))?;
                    let (mut service, request) = this.waiting.take().expect(COMPLETED);
                    let future = service.call(request);
                    this.stage.set(Stage::Serving { future });
                }
                StageProjection::Serving { future } => return future.poll(context),
            }
        }
    }
}

impl<L, T, R> Shared<L, T, R> {
    fn record_turn(&self, cost: u64, is_exempt: bool) {
        let outcome = if is_exempt {
            Outcome::Exempt
        } else {
            Outcome::Allowed
        };
        self.observer.record(Decision {
            outcome,
            reason: None,
            layer: &self.name,
            limit: &self.name,
            cost,
            forfeited: 0,
        });
    }

    #[cold]
    fn refuse<B>(&self, request: &RequestHead<'_>, cost: u64, denied: Denied) -> Response<B>
    where
        R: Reject<B>,
    {
        let rejection = Rejection {
            request: *request,
            reason: Reason::Limited(denied),
            limit: &self.name,
            snapshot: None,
        };
        self.observer.record(Decision {
            outcome: Outcome::Denied,
            reason: Some(rejection.reason),
            layer: &self.name,
            limit: &self.name,
            cost,
            forfeited: 0,
        });
        let mut response = self.reject.reject(&rejection);
        if let Some(wait) = denied.retry_after() {
            add_retry_after(wait, response.headers_mut());
        }
        response
    }
}

impl<S, A, L, T, R> fmt::Debug for PacedFuture<S, A, L, T, R>
where
    S: Service<Request<A>>,
    L: Awaitable,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedFuture")
            .field("cost", &self.cost)
            .field("is_waiting", &matches!(self.stage, Stage::Waiting { .. }))
            .finish_non_exhaustive()
    }
}

/// Not derived, which would ask for limiters that can be cloned.
impl<S: Clone, L, T, R> Clone for Paced<S, L, T, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            share: self.share.clone(),
        }
    }
}

impl<S: fmt::Debug, L: fmt::Debug, T, R> fmt::Debug for Paced<S, L, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced")
            .field("inner", &self.inner)
            .field("limiter", &*self.share)
            .finish_non_exhaustive()
    }
}
