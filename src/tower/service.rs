//! The service: decides about a request, and forwards or refuses it.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::counts::Outcome;
use super::default_rejection::TooManyRequests;
use super::fields::Fields;
use super::gate::{Gate, Keyless, Refused};
use super::head::RequestHead;
use super::layer::Shared;
use super::observe::Decision;
use super::rejection::{Reason, Reject, Rejection};

/// A service behind a limit: what a [`RateLimitLayer`](super::RateLimitLayer) makes. Clones share the limit.
///
/// `poll_ready` is the inner service's: a limit says nothing about the next request before it is there. Errors are the inner
/// service's as well; refusals are responses.
///
/// A service whose request was refused stays ready inside, and keeps what it holds to be so (the permit of a `ConcurrencyLimit`) until
/// it is called again or dropped. Servers drop it; where it is kept, put such layers outside of this one.
pub struct RateLimit<S, G, R = TooManyRequests> {
    inner: S,
    shared: Arc<Shared<G, R>>,
}

impl<S, G, R> RateLimit<S, G, R> {
    pub(super) const fn new(inner: S, shared: Arc<Shared<G, R>>) -> Self {
        Self { inner, shared }
    }

    /// The service that is limited.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service that is limited, to change it.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service that was limited.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

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
        let stage = match self.shared.decide(&RequestHead::of(&request)) {
            Verdict::Pass(None) => Stage::Forward {
                future: self.inner.call(request),
            },
            Verdict::Pass(Some(fields)) => Stage::Tell {
                future: self.inner.call(request),
                fields,
            },
            Verdict::Refuse(response) => Stage::Refuse {
                response: Some(response),
            },
        };
        RateLimitFuture { stage }
    }
}

/// What becomes of a request.
enum Verdict<B> {
    /// Its response will have these header fields.
    Pass(Option<Fields>),
    Refuse(Response<B>),
}

impl<G: Gate, R> Shared<G, R> {
    fn decide<B>(&self, request: &RequestHead<'_>) -> Verdict<B>
    where
        R: Reject<B>,
    {
        if self.exempt.as_ref().is_some_and(|exempt| exempt(request)) {
            self.record(Outcome::Exempt, 0);
            return Verdict::Pass(None);
        }
        let cost = self.cost.as_ref().map_or(1, |cost| cost(request));
        let key = match self.gate.find(request) {
            Ok(key) => key,
            Err(keyless) if cost > 0 => return self.refuse_without_key(request, cost, keyless),
            Err(_) => {
                self.record(Outcome::Allowed, 0);
                return Verdict::Pass(None);
            }
        };
        // None: no gate is for such a request.
        let now = self.gate.now(&key);
        let charged = now.map_or(Ok(()), |now| self.gate.try_acquire_at(&key, cost, now));
        match charged {
            Ok(()) => {
                self.record(Outcome::Allowed, cost);
                if self.is_dry_run || !self.headers.tells_success() {
                    return Verdict::Pass(None);
                }
                let told = |snapshot| Fields::of(self.headers, &self.name, &snapshot, None);
                let snapshot = now.and_then(|now| self.gate.snapshot_at(&key, now));
                Verdict::Pass(snapshot.map(told))
            }
            Err(refused) => self.refuse(request, cost, refused),
        }
    }

    #[cold]
    fn refuse<B>(&self, request: &RequestHead<'_>, cost: u64, refused: Refused) -> Verdict<B>
    where
        R: Reject<B>,
    {
        let reason = Reason::Limited(refused.denied);
        let rejection = Rejection {
            request: *request,
            reason,
            limit: refused.snapshot.limit.unwrap_or(&self.name),
            snapshot: Some(refused.snapshot),
        };
        let outcome = if self.is_dry_run {
            Outcome::ShadowDenied
        } else {
            Outcome::Denied
        };
        self.observer.record(Decision {
            outcome,
            reason: Some(reason),
            layer: &self.name,
            limit: rejection.limit,
            cost,
            forfeited: refused.forfeited,
        });
        if self.is_dry_run {
            return Verdict::Pass(None);
        }
        let mut response = self.reject.reject(&rejection);
        let (snapshot, denied) = (&refused.snapshot, Some(refused.denied));
        let fields = Fields::of(self.headers, &self.name, snapshot, denied);
        fields.add_to(response.headers_mut());
        Verdict::Refuse(response)
    }

    #[cold]
    fn refuse_without_key<B>(
        &self,
        request: &RequestHead<'_>,
        cost: u64,
        keyless: Keyless,
    ) -> Verdict<B>
    where
        R: Reject<B>,
    {
        let reason = Reason::NoKey(keyless.why);
        let rejection = Rejection {
            request: *request,
            reason,
            limit: keyless.limit.unwrap_or(&self.name),
            snapshot: None,
        };
        self.observer.record(Decision {
            outcome: Outcome::NoKey,
            reason: Some(reason),
            layer: &self.name,
            limit: rejection.limit,
            cost,
            forfeited: 0,
        });
        if self.is_dry_run {
            Verdict::Pass(None)
        } else {
            Verdict::Refuse(self.reject.reject(&rejection))
        }
    }

    fn record(&self, outcome: Outcome, cost: u64) {
        self.observer.record(Decision {
            outcome,
            reason: None,
            layer: &self.name,
            limit: &self.name,
            cost,
            forfeited: 0,
        });
    }
}

pin_project! {
    /// The response of a [`RateLimit`]: the inner service's with header fields, or a refusal.
    ///
    /// # Cancel safety
    ///
    /// Permits were taken when it was made: dropped, it does not give them back, for the request may have been served.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RateLimitFuture<F, B> {
        #[pin]
        stage: Stage<F, B>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, B> {
        // Apart, so that what is not told is not carried along.
        Forward {
            #[pin]
            future: F,
        },
        Tell {
            #[pin]
            future: F,
            fields: Fields,
        },
        // Until it is given away.
        Refuse { response: Option<Response<B>> },
    }
}

impl<F, B, E> Future for RateLimitFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().stage.project() {
            StageProjection::Forward { future } => future.poll(context),
            StageProjection::Tell { future, fields } => {
                let mut response = ready!(future.poll(context))?;
                mem::take(fields).add_to(response.headers_mut());
                Poll::Ready(Ok(response))
            }
            StageProjection::Refuse { response } => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("not polled after it was ready")))
            }
        }
    }
}

impl<F, B> fmt::Debug for RateLimitFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture")
            .field("is_refused", &matches!(self.stage, Stage::Refuse { .. }))
            .finish_non_exhaustive()
    }
}

/// Not derived, which would ask for limiters that can be cloned.
impl<S: Clone, G, R> Clone for RateLimit<S, G, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, G: fmt::Debug, R> fmt::Debug for RateLimit<S, G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("shared", &self.shared)
            .finish()
    }
}
