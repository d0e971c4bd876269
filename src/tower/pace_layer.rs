//! A layer that lets requests wait for their turn, and how it is made.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;

use http::Response;
use tower_layer::Layer;

use super::counts::RateLimitLayerStats;
use super::default_rejection::TooManyRequests;
use super::head::RequestHead;
use super::layer::Choice;
use super::observe::{Observer, Waits};
use super::pace::Paced;
use super::rejection::Rejection;
use crate::wait::{Awaitable, Timer};

/// Lets requests wait until a limiter admits them: a client that keeps to the limits of a server, a queue before a slow service.
///
/// Requests wait as futures do at the limiter: first come, first served; who is dropped gives its place up. Clones of the layer and
/// of its services share the limiter.
///
/// A request is refused only if its turn cannot come: it costs more than the limiter ever gives, the
/// [timeout](PaceLayerBuilder::timeout) would pass before (which is known, and told, before it waits), or the limiter has
/// [all the waiters](crate::SlidingWindow::max_waiters) that it may have. Without a timeout the queue may become as long as there
/// are requests.
///
/// ```
/// use core::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use std::convert::Infallible;
/// use tidegate::tower::PaceLayer;
/// use tidegate::{ManualClock, Quota, TokenBucket};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
/// // A timer that moves the clock instead of sleeping; in a program: `TokioTimer`, or `tokio::time::sleep`.
/// let time = clock.clone();
/// let timer = move |wait: Duration| core::future::ready(time.advance(wait));
///
/// let server = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::from("tide"))) });
/// let client = PaceLayer::builder(bucket, timer).timeout(Duration::from_secs(5)).build().layer(server);
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     for _ in 0..3 {
///         assert_eq!(client.clone().oneshot(Request::new(())).await?.status(), StatusCode::OK);
///     }
///     Ok::<(), Infallible>(())
/// })?;
/// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 200_000_000); // two of them have waited
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # hyper's client, and others
///
/// Refusals need a body that is `Default`, which responses of hyper's client do not have (the compiler says that `Paced` is no
/// `Service`). So map them first:
///
/// ```
/// use http_body_util::{BodyExt, Empty, combinators::BoxBody};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tidegate::tower::PaceLayer;
/// use tidegate::{Quota, TokenBucket, TokioTimer};
/// use tower::{Layer, ServiceExt};
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
/// let client = client.map_response(|response| response.map(BodyExt::boxed));
/// let paced = PaceLayer::new(TokenBucket::new(Quota::per_second(50)), TokioTimer).layer(client);
/// # drop(paced);
/// ```
///
/// A refusal looks like the server's own `429`: [name](PaceLayerBuilder::name) the layer, or [say](PaceLayerBuilder::reject_with) whose
/// it is. Clients whose requests are not `http::Request` (reqwest's) take no layer of this kind: `limiter.acquire(1).await` before
/// each call does the same.
pub struct PaceLayer<L, T, R = TooManyRequests> {
    shared: Share<L, T, R>,
}

/// What services of one layer share, and a pointer to the limiter for those who wait.
pub(super) struct Share<L, T, R>(Arc<Shared<L, T, R>>);

pub(super) struct Shared<L, T, R> {
    limiter: L,
    pub(super) timer: T,
    pub(super) timeout: Duration,
    pub(super) reject: R,
    pub(super) name: Box<str>,
    pub(super) cost: Option<Choice<u64>>,
    pub(super) exempt: Option<Choice<bool>>,
    pub(super) observer: Observer,
    pub(super) waits: Waits,
}

impl<L: Awaitable, T: Timer + Clone> PaceLayer<L, T> {
    /// Lets requests wait at `limiter`, asleep on `timer`, for as long as it takes.
    pub fn new(limiter: L, timer: T) -> Self {
        Self::builder(limiter, timer).build()
    }

    /// The same with more to choose.
    pub fn builder(limiter: L, timer: T) -> PaceLayerBuilder<L, T> {
        PaceLayerBuilder {
            limiter,
            timer,
            timeout: Duration::MAX,
            reject: TooManyRequests,
            name: Box::from("default"),
            cost: None,
            exempt: None,
        }
    }
}

impl<L, T, R> PaceLayer<L, T, R> {
    /// The limiter that requests wait at.
    pub fn limiter(&self) -> &L {
        &self.shared
    }

    /// What became of all requests so far: `allowed` had their turn, `denied` could not. Those that wait, or were dropped while they
    /// did, are not counted.
    pub fn stats(&self) -> RateLimitLayerStats {
        self.shared.shared().observer.stats()
    }
}

impl<S, L, T, R> Layer<S> for PaceLayer<L, T, R> {
    type Service = Paced<S, L, T, R>;

    fn layer(&self, inner: S) -> Paced<S, L, T, R> {
        Paced::new(inner, self.shared.clone())
    }
}

impl<L, T, R> Share<L, T, R> {
    pub(super) fn shared(&self) -> &Shared<L, T, R> {
        &self.0
    }
}

impl<L, T, R> Deref for Share<L, T, R> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.0.limiter
    }
}

/// Not derived, which would ask for limiters that can be cloned: clones share one.
impl<L, T, R> Clone for Share<L, T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L, T, R> Clone for PaceLayer<L, T, R> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<L: fmt::Debug, T, R> fmt::Debug for PaceLayer<L, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaceLayer")
            .field("name", &self.shared.shared().name)
            .field("limiter", self.limiter())
            .field("timeout", &self.shared.shared().timeout)
            .finish_non_exhaustive()
    }
}

/// A [`PaceLayer`] in the making.
#[must_use = "a builder does nothing before `build`"]
pub struct PaceLayerBuilder<L, T, R = TooManyRequests> {
    limiter: L,
    timer: T,
    timeout: Duration,
    reject: R,
    name: Box<str>,
    cost: Option<Choice<u64>>,
    exempt: Option<Choice<bool>>,
}

impl<L, T, R> PaceLayerBuilder<L, T, R> {
    /// How long a request may wait for its turn: one whose turn cannot come by then is refused at once. So this bounds the queue as well.
    /// (What comes after the turn it does not bound: that is for a timeout inside of this layer.)
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A name for refusals, metrics and logs: `default` if not said otherwise.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Box::from(name);
        self
    }

    /// How many permits a request waits for: 1 if not said otherwise. With 0 it does not wait; with more than the limiter ever gives
    /// it is refused.
    pub fn cost(mut self, cost: impl Fn(&RequestHead<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.cost = Some(Box::new(cost));
        self
    }

    /// Which requests do not wait.
    pub fn exempt(
        mut self,
        exempt: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.exempt = Some(Box::new(exempt));
        self
    }

    /// How refusals are answered: by a function. The layer adds `Retry-After` to what it gives, unless it is there already.
    pub fn reject_with<F, B>(self, reject: F) -> PaceLayerBuilder<L, T, F>
    where
        F: Fn(&Rejection<'_>) -> Response<B>,
    {
        self.reject(reject)
    }

    /// How refusals are answered: by any [`Reject`](super::Reject).
    pub fn reject<Q>(self, reject: Q) -> PaceLayerBuilder<L, T, Q> {
        PaceLayerBuilder {
            limiter: self.limiter,
            timer: self.timer,
            timeout: self.timeout,
            reject,
            name: self.name,
            cost: self.cost,
            exempt: self.exempt,
        }
    }

    /// The layer.
    pub fn build(self) -> PaceLayer<L, T, R> {
        PaceLayer {
            shared: Share(Arc::new(Shared {
                observer: Observer::new(&self.name),
                waits: Waits::new(&self.name),
                limiter: self.limiter,
                timer: self.timer,
                timeout: self.timeout,
                reject: self.reject,
                name: self.name,
                cost: self.cost,
                exempt: self.exempt,
            })),
        }
    }
}

impl<L: fmt::Debug, T, R> fmt::Debug for PaceLayerBuilder<L, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaceLayerBuilder")
            .field("name", &self.name)
            .field("limiter", &self.limiter)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
