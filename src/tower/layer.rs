//! The layer, and how it is made.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use http::Response;
use tower_layer::Layer;

use super::counts::RateLimitLayerStats;
use super::default_rejection::TooManyRequests;
use super::fields::HeaderStyle;
use super::gate::Gate;
use super::head::RequestHead;
use super::observe::Observer;
use super::rejection::Rejection;
use super::service::RateLimit;

/// Lets a service have only the requests that a limit admits, and refuses the others at once.
///
/// What limits is a [`Gate`]: any limiter for all requests together, a [`PerKey`](super::PerKey) for those of each client, or several. Clones of
/// the layer, of its services, and all routes that it is put on share it.
///
/// On a `Router` of axum it counts what finds no route as well, and does not cover routes that are added later. A request that passes
/// two clones pays twice, and two layers are not all or nothing: put the limits of a request into one, as a tuple.
///
/// A refused request never reaches the service, and is answered by [`TooManyRequests`], or as
/// [`reject_with`](RateLimitLayerBuilder::reject_with) says. To let requests wait instead of refusing them, there is
/// [`PaceLayer`](super::PaceLayer).
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use tidegate::tower::RateLimitLayer;
/// use tidegate::{Quota, TokenBucket};
///
/// let limit = RateLimitLayer::new(TokenBucket::new(Quota::per_second(100).burst(20)));
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit);
/// # drop(app);
/// ```
///
/// # Its type
///
/// A closure has no type to write down; an extractor of your own has one, for fields and results:
///
/// ```
/// use std::sync::Arc;
/// use axum::extract::ConnectInfo;
/// use std::net::SocketAddr;
/// use tidegate::tower::{KeyExtractor, NoKey, PerKey, RateLimitLayer, RequestHead};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// struct Peer;
///
/// impl KeyExtractor for Peer {
///     type Key = IpKey;
///
///     fn extract(&self, request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
///         let ConnectInfo(peer) = request.extension::<ConnectInfo<SocketAddr>>().ok_or(NoKey::NotAttached)?;
///         Ok(IpKey::from(*peer))
///     }
/// }
///
/// struct App {
///     clients: Arc<FixedKeyed>, // to look at, beside the layer
///     limit: RateLimitLayer<PerKey<Arc<FixedKeyed>, Peer>>,
/// }
///
/// let clients = Arc::new(FixedKeyed::new(Quota::per_minute(100), 50_000));
/// let limit = RateLimitLayer::new(PerKey::new(Arc::clone(&clients), Peer));
/// let app = App { clients, limit };
/// assert_eq!((app.clients.stats().active, app.limit.stats().allowed), (0, 0));
/// ```
pub struct RateLimitLayer<G, R = TooManyRequests> {
    shared: Arc<Shared<G, R>>,
}

/// What services of one layer share.
pub(super) struct Shared<G, R> {
    pub(super) gate: G,
    pub(super) reject: R,
    pub(super) name: Box<str>,
    pub(super) headers: HeaderStyle,
    pub(super) cost: Option<Choice<u64>>,
    pub(super) exempt: Option<Choice<bool>>,
    pub(super) is_dry_run: bool,
    pub(super) observer: Observer,
}

/// What is decided by a request's head.
pub(super) type Choice<T> = Box<dyn Fn(&RequestHead<'_>) -> T + Send + Sync>;

impl<G: Gate> RateLimitLayer<G> {
    /// Refuses what `gate` does not admit, with every other choice left as it is: see [`builder`](Self::builder).
    pub fn new(gate: G) -> Self {
        Self::builder(gate).build()
    }

    /// The same with more to choose.
    ///
    /// ```
    /// use axum::body::Body;
    /// use axum::http::StatusCode;
    /// use axum::response::{IntoResponse, Response};
    /// use tidegate::tower::{HeaderStyle, RateLimitLayer, Reason, Rejection, Reset};
    /// use tidegate::{Denied, Quota, TokenBucket};
    ///
    /// /// The body is that of the service: in axum, `axum::body::Body`.
    /// fn refuse(rejection: &Rejection<'_>) -> Response<Body> {
    ///     let status = match rejection.reason() {
    ///         Reason::Limited(Denied::Never { .. }) => StatusCode::PAYLOAD_TOO_LARGE, // costs more than there ever is
    ///         _ => rejection.status(),
    ///     };
    ///     let text = format!("{}: try again in {:?} s", rejection.limit(), rejection.retry_after_seconds());
    ///     (status, text).into_response()
    /// }
    ///
    /// let layer = RateLimitLayer::builder(TokenBucket::new(Quota::per_minute(1_000)))
    ///     .name("search")
    ///     .headers(HeaderStyle::Both { reset: Reset::Epoch })
    ///     .cost(|request| if request.path() == "/search" { 10 } else { 1 })
    ///     .exempt(|request| request.path() == "/health")
    ///     .reject_with(refuse)
    ///     .build();
    /// assert_eq!(layer.stats().allowed, 0);
    /// ```
    pub fn builder(gate: G) -> RateLimitLayerBuilder<G> {
        RateLimitLayerBuilder {
            gate,
            reject: TooManyRequests,
            name: Box::from("default"),
            headers: HeaderStyle::default(),
            cost: None,
            exempt: None,
            is_dry_run: false,
        }
    }
}

impl<G, R> RateLimitLayer<G, R> {
    /// What limits.
    pub fn gate(&self) -> &G {
        &self.shared.gate
    }

    /// What became of all requests so far, on all routes.
    pub fn stats(&self) -> RateLimitLayerStats {
        self.shared.observer.stats()
    }
}

impl<S, G, R> Layer<S> for RateLimitLayer<G, R> {
    type Service = RateLimit<S, G, R>;

    fn layer(&self, inner: S) -> RateLimit<S, G, R> {
        RateLimit::new(inner, Arc::clone(&self.shared))
    }
}

/// Not derived, which would ask for limiters that can be cloned: clones share one.
impl<G, R> Clone for RateLimitLayer<G, R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<G: fmt::Debug, R> fmt::Debug for RateLimitLayer<G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimitLayer").field(&self.shared).finish()
    }
}

impl<G: fmt::Debug, R> fmt::Debug for Shared<G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("gate", &self.gate)
            .field("headers", &self.headers)
            .field("is_dry_run", &self.is_dry_run)
            .finish_non_exhaustive()
    }
}

/// A [`RateLimitLayer`] in the making.
#[must_use = "a builder does nothing before `build`"]
pub struct RateLimitLayerBuilder<G, R = TooManyRequests> {
    gate: G,
    reject: R,
    name: Box<str>,
    headers: HeaderStyle,
    cost: Option<Choice<u64>>,
    exempt: Option<Choice<bool>>,
    is_dry_run: bool,
}

impl<G, R> RateLimitLayerBuilder<G, R> {
    /// A name for header fields, refusals, metrics and logs: `default` if not said otherwise. Where more than one layer is on a route,
    /// name them, or clients take their policies for one.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Box::from(name);
        self
    }

    /// Which header fields tell clients about their limit: those of the [draft](HeaderStyle::Draft11) if not said otherwise.
    pub const fn headers(mut self, headers: HeaderStyle) -> Self {
        self.headers = headers;
        self
    }

    /// How many permits a request takes: 1 if not said otherwise. With 0 it passes and takes none; with more than the limit ever
    /// gives it is refused, with no hint when to try again.
    pub fn cost(mut self, cost: impl Fn(&RequestHead<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.cost = Some(Box::new(cost));
        self
    }

    /// Which requests are not subject to the limit: health checks, your own addresses. They need no key, take no permit, and get no
    /// header fields. Base it on what clients cannot make up.
    ///
    /// Preflight requests (`OPTIONS`) are best answered by a CORS layer outside of this one, which then also labels refusals.
    pub fn exempt(
        mut self,
        exempt: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.exempt = Some(Box::new(exempt));
        self
    }

    /// Counts what it would refuse, and lets it through, to try a limit out beside real traffic. What is let through takes no
    /// permits, as if it had been refused. No header fields are set.
    pub const fn dry_run(mut self, is_dry_run: bool) -> Self {
        self.is_dry_run = is_dry_run;
        self
    }

    /// How refusals are answered: by a function. The layer adds its header fields to what it gives.
    pub fn reject_with<F, B>(self, reject: F) -> RateLimitLayerBuilder<G, F>
    where
        F: Fn(&Rejection<'_>) -> Response<B>,
    {
        self.reject(reject)
    }

    /// How refusals are answered: by any [`Reject`](super::Reject), such as [`ResourceExhausted`](super::ResourceExhausted).
    pub fn reject<Q>(self, reject: Q) -> RateLimitLayerBuilder<G, Q> {
        RateLimitLayerBuilder {
            gate: self.gate,
            reject,
            name: self.name,
            headers: self.headers,
            cost: self.cost,
            exempt: self.exempt,
            is_dry_run: self.is_dry_run,
        }
    }

    /// The layer.
    pub fn build(self) -> RateLimitLayer<G, R> {
        RateLimitLayer {
            shared: Arc::new(Shared {
                observer: Observer::new(&self.name),
                gate: self.gate,
                reject: self.reject,
                name: self.name,
                headers: self.headers,
                cost: self.cost,
                exempt: self.exempt,
                is_dry_run: self.is_dry_run,
            }),
        }
    }
}

impl<G: fmt::Debug, R> fmt::Debug for RateLimitLayerBuilder<G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayerBuilder")
            .field("name", &self.name)
            .field("gate", &self.gate)
            .field("headers", &self.headers)
            .field("is_dry_run", &self.is_dry_run)
            .finish_non_exhaustive()
    }
}
