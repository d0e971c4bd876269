//! The layer that delays requests, and its builder.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use http::Response;
use tower_layer::Layer;

use super::layer_macros::impl_layer;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RateLimitLayerStats;
use super::pace_gate::PaceGate;
use super::pace_options::PaceOptions;
use super::paced::Paced;
use super::rejection::Rejection;
use super::request_head::RequestHead;
use super::too_many_requests::TooManyRequests;
use crate::wait::{DefaultTimer, Timer};

/// Delays requests until a limiter admits them: for a client that keeps to a server's limits, or a
/// queue before a slow service.
///
/// Requests wait at the limiter as futures do, first come, first served. A dropped request leaves
/// the queue and costs nothing, so clients that hang up do not delay others. Clones of the layer
/// and of its services share the limiter.
///
/// The limiter is anything that calls can wait at, or a table of them with a queue for each key of
/// requests: see [`PaceGate`].
///
/// A request is rejected only if it cannot be admitted:
///
/// * It costs more than the limiter's capacity.
/// * Its wait would exceed the [timeout](PaceLayerBuilder::timeout). It is then rejected before it
///   waits.
/// * The limiter has as many [waiters](crate::SlidingWindow::max_waiters) as it may have.
/// * It has no key, and waits at a [`PerKey`](super::PerKey).
///
/// Without a timeout the queue can become as long as there are requests.
///
/// ```
/// use core::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use std::convert::Infallible;
/// use tidegate::layer::PaceLayer;
/// use tidegate::{ManualClock, Quota, TokenBucket};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
/// // Moves the clock instead of sleeping. A program uses `TokioTimer` or `tokio::time::sleep`.
/// let time = clock.clone();
/// let timer = move |wait: Duration| core::future::ready(time.advance(wait));
///
/// let server = service_fn(|_: Request<()>| async {
///     Ok::<_, Infallible>(Response::new(String::from("tide")))
/// });
/// let layer = PaceLayer::builder(bucket).timer(timer).timeout(Duration::from_secs(5)).build();
/// let client = layer.layer(server);
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     for _ in 0..3 {
///         assert_eq!(client.clone().oneshot(Request::new(())).await?.status(), StatusCode::OK);
///     }
///     Ok::<(), Infallible>(())
/// })?;
/// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 200_000_000); // two requests waited
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # A queue for each key
///
/// The requests of one client wait behind each other, and delay no other client:
///
/// ```
/// use core::time::Duration;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use tidegate::layer::{PaceLayer, PerKey, RequestHead};
/// use tidegate::{Clock, FixedKeyed, ManualClock, Quota};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let clock = ManualClock::new();
/// let quota = Quota::per_second(10).burst(1);
/// let limits = Arc::new(FixedKeyed::with_clock(quota, 1_000, clock.clone()));
/// let tenant = |request: &RequestHead<'_>| Some(request.headers().get("tenant")?.to_owned());
/// let time = clock.clone();
/// let timer = move |wait: Duration| core::future::ready(time.advance(wait));
///
/// let server = service_fn(|_: Request<()>| async {
///     Ok::<_, Infallible>(Response::new(String::from("tide")))
/// });
/// let layer = PaceLayer::builder(PerKey::new(limits.clone(), tenant)).timer(timer).build();
/// let client = layer.layer(server);
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     for tenant in ["ebb", "flood", "ebb"] {
///         let request = Request::builder().header("tenant", tenant).body(())?;
///         assert!(client.clone().oneshot(request).await?.status().is_success());
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(clock.now().as_nanos(), 100_000_000); // the second of "ebb" waited
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # HTTP clients
///
/// Rejections need a body that is `Default`, which the body of hyper's client is not. The compiler
/// then says that `Paced` is no `Service`. Map the responses first:
///
/// ```
/// use http_body_util::{BodyExt, Empty, combinators::BoxBody};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tidegate::layer::PaceLayer;
/// use tidegate::{Quota, TokenBucket};
/// use tower::{Layer, ServiceExt};
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
/// let client = client.map_response(|response| response.map(BodyExt::boxed));
/// let paced = PaceLayer::new(TokenBucket::new(Quota::per_second(50))).layer(client);
/// # drop(paced);
/// ```
///
/// A rejection resembles the server's own `429`. To tell them apart, [name](PaceLayerBuilder::name)
/// the layer, or use [`reject_with`](PaceLayerBuilder::reject_with).
///
/// A client whose requests are not `http::Request`, such as reqwest, cannot use this layer. Await
/// `limiter.acquire(1)` before each call instead.
pub struct PaceLayer<L, T = DefaultTimer, R = TooManyRequests> {
    policy: Arc<LayerPolicy<PaceOptions<L, T>, R>>,
}

impl<L: PaceGate> PaceLayer<L> {
    /// Creates a layer whose requests wait at `limiter` for any time. It is any
    /// [`Awaitable`](crate::Awaitable) limiter, or a [`PerKey`](super::PerKey).
    pub fn new(limiter: L) -> Self {
        Self::builder(limiter).build()
    }

    /// Starts a layer with other options.
    pub fn builder(limiter: L) -> PaceLayerBuilder<L> {
        PaceLayerBuilder {
            policy: LayerPolicy::new(PaceOptions {
                limiter: Arc::new(limiter),
                timer: DefaultTimer::new(),
                timeout: Duration::MAX,
            }),
        }
    }
}

impl<L, T, R> PaceLayer<L, T, R> {
    /// Returns the limiter that requests wait at.
    pub fn limiter(&self) -> &L {
        &self.policy.own.limiter
    }
}

/// Sets the options of a [`PaceLayer`].
#[must_use = "a builder does nothing before `build`"]
pub struct PaceLayerBuilder<L, T = DefaultTimer, R = TooManyRequests> {
    policy: LayerPolicy<PaceOptions<L, T>, R>,
}

impl_layer!(PaceLayer, PaceLayerBuilder, Paced<L, T>);

impl<L, T, R> PaceLayerBuilder<L, T, R> {
    /// Sleeps on another timer than the [`DefaultTimer`].
    pub fn timer<U: Timer + Clone>(self, timer: U) -> PaceLayerBuilder<L, U, R> {
        PaceLayerBuilder {
            policy: self.policy.map_own(|own| PaceOptions {
                limiter: own.limiter,
                timer,
                timeout: own.timeout,
            }),
        }
    }

    /// Sets how long a request may wait at the limiter; any time by default.
    ///
    /// A request that cannot be admitted by then is rejected at once, so this also bounds the
    /// queue. It does not bound the time that the service takes. Put a timeout inside of this layer
    /// for that.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.own.timeout = timeout;
        self
    }
}
