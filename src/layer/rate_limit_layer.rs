//! The layer that rejects excess requests, and its builder.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use http::Response;
use tower_layer::Layer;

use super::admission::Admission;
use super::content_bytes::ContentBytes;
use super::gate::Gate;
use super::gate_options::{GateDecision, GateOptions};
use super::in_flight_gate::InFlightGate;
use super::layer_macros::impl_layer;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RateLimitLayerStats;
use super::rate_limit::RateLimit;
use super::rejection::{Reject, Rejection};
use super::request_head::RequestHead;
use super::response_head::ResponseHead;
use super::response_headers::{HeaderStyle, Headers};
use super::settle::{Settle, SettleBy};
use super::shadow_gate::ShadowGate;
use super::too_many_requests::TooManyRequests;

/// Forwards the requests that a limit admits to a service, and rejects the others at once.
///
/// The limit is a [`Gate`]: any limiter for all requests together, a [`PerKey`](super::PerKey) for
/// each client, or a tuple of several. Clones of the layer, all its services and all routes that it
/// is put on share the limit.
///
/// On an axum `Router` the layer also counts requests that match no route, and does not cover
/// routes that are added later. A request that passes two clones pays twice. Two layers are not all
/// or nothing, so put all limits of a request into one layer, as a tuple.
///
/// A rejected request never reaches the service. [`TooManyRequests`] responds to it, or what
/// [`reject_with`](RateLimitLayerBuilder::reject_with) sets. To delay requests instead, use a
/// [`PaceLayer`](super::PaceLayer).
///
/// # Rejected uploads
///
/// The body of a rejected request is not read. hyper then closes an HTTP/1 connection whose body
/// has not arrived, and a proxy that is still sending it fails: nginx responds with 502 itself to
/// most rejected uploads of 60 kB and more. If your clients upload through such a proxy, decide
/// [by hand](Self::decide), and read the body before the rejection:
///
/// ```
/// use axum::Router;
/// use axum::body::{Body, to_bytes};
/// use axum::extract::{Request, State};
/// use axum::middleware::{Next, from_fn_with_state};
/// use axum::response::Response;
/// use axum::routing::post;
/// use tidegate::layer::{RateLimitLayer, RequestHead};
/// use tidegate::{Quota, TokenBucket};
/// use tower::ServiceExt;
///
/// type Layer = RateLimitLayer<TokenBucket>;
///
/// async fn limit(State(layer): State<Layer>, request: Request, next: Next) -> Response {
///     match layer.decide(&RequestHead::new(&request)) {
///         Ok(admission) => admission.respond(next.run(request).await),
///         Err(rejection) => {
///             // What is longer fails as before.
///             let _ = to_bytes(request.into_body(), 1 << 20).await;
///             rejection
///         }
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let layer: Layer = RateLimitLayer::new(TokenBucket::new(Quota::per_hour(1)));
/// let app: Router = Router::new()
///     .route("/", post(|| async { "stored" }))
///     .layer(from_fn_with_state(layer, limit));
/// let upload = || Request::post("/").body(Body::from("data"));
/// assert_eq!(app.clone().oneshot(upload()?).await?.status(), 200);
/// assert_eq!(app.clone().oneshot(upload()?).await?.status(), 429);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Naming the type
///
/// The type of a closure cannot be written. To name the layer's type, for fields and return types,
/// write an extractor of your own:
///
/// ```
/// use std::sync::Arc;
/// use axum::extract::ConnectInfo;
/// use std::net::SocketAddr;
/// use tidegate::layer::{KeyExtractor, NoKey, PerKey, RateLimitLayer, RequestHead};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// struct Peer;
///
/// impl KeyExtractor for Peer {
///     type Key = IpKey;
///
///     fn extract(&self, request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
///         let peer = request.extension::<ConnectInfo<SocketAddr>>();
///         Ok(IpKey::from(peer.ok_or(NoKey::NotAttached)?.0))
///     }
/// }
///
/// struct App {
///     clients: Arc<FixedKeyed>, // for statistics, beside the layer
///     limit: RateLimitLayer<PerKey<Arc<FixedKeyed>, Peer>>,
/// }
///
/// let clients = Arc::new(FixedKeyed::new(Quota::per_minute(100), 50_000));
/// let limit = RateLimitLayer::new(PerKey::new(Arc::clone(&clients), Peer));
/// let app = App { clients, limit };
/// assert_eq!((app.clients.stats().active, app.limit.stats().allowed), (0, 0));
/// ```
pub struct RateLimitLayer<G, F = (), R = TooManyRequests, A = ()> {
    pub(super) policy: Arc<LayerPolicy<GateOptions<G, F, A>, R>>,
}

impl<G: Gate> RateLimitLayer<G> {
    /// Creates a layer with the default options.
    pub fn new(gate: G) -> Self {
        Self::builder(gate).build()
    }

    /// Starts a layer with other options.
    ///
    /// ```
    /// use axum::body::Body;
    /// use axum::http::StatusCode;
    /// use axum::response::{IntoResponse, Response};
    /// use tidegate::layer::{HeaderStyle, RateLimitLayer, Reason, Rejection, Reset};
    /// use tidegate::{Denied, Quota, TokenBucket};
    ///
    /// /// The body must be that of the service: in axum, `axum::body::Body`.
    /// fn reject(rejection: &Rejection<'_>) -> Response<Body> {
    ///     let status = match rejection.reason() {
    ///         // No wait helps.
    ///         Reason::Limited(Denied::Never { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
    ///         _ => rejection.status(),
    ///     };
    ///     let seconds = rejection.retry_after_seconds();
    ///     let text = format!("{}: retry in {seconds:?} s", rejection.limit());
    ///     (status, text).into_response()
    /// }
    ///
    /// let layer = RateLimitLayer::builder(TokenBucket::new(Quota::per_minute(1_000)))
    ///     .name("search")
    ///     .headers(HeaderStyle::Both { reset: Reset::Epoch })
    ///     .cost(|request| if request.path() == "/search" { 10 } else { 1 })
    ///     .exempt(|request| request.path() == "/health")
    ///     .reject_with(reject)
    ///     .build();
    /// assert_eq!(layer.stats().allowed, 0);
    /// ```
    pub fn builder(gate: G) -> RateLimitLayerBuilder<G> {
        RateLimitLayerBuilder {
            policy: LayerPolicy::new(GateOptions {
                in_flight: (),
                gate: Arc::new(gate),
                headers: HeaderStyle::default(),
                describes_all: false,
                is_dry_run: false,
                settle: None,
                shared: (),
            }),
        }
    }
}

impl<G, F, R, A> RateLimitLayer<G, F, R, A> {
    /// Returns the gate.
    pub fn gate(&self) -> &G {
        &self.policy.own.gate
    }
}

impl<G: Gate, F: InFlightGate, R> RateLimitLayer<G, F, R> {
    /// Decides a request by hand: for servers without tower, for extractors, and inside of
    /// handlers. It counts, charges, settles and describes as the layer's services do.
    ///
    /// Where there is an [`http::Request`] or its parts, borrow the head of those, and otherwise
    /// [from its fields](RequestHead::from_fields). A server whose types are not those of the crate
    /// `http` 1 copies the method, the target, and the header fields that keys are read from. The
    /// examples `actix` and `poem` do that.
    ///
    /// # Errors
    ///
    /// The response to a rejected request, with all header fields.
    ///
    /// ```
    /// use http::{HeaderMap, Request, Response, StatusCode};
    /// use tidegate::layer::{RateLimitLayer, RequestHead};
    /// use tidegate::{Quota, TokenBucket};
    ///
    /// let layer = RateLimitLayer::new(TokenBucket::new(Quota::per_hour(1)));
    /// let handle = |request: Request<()>| -> Response<String> {
    ///     match layer.decide(&RequestHead::new(&request)) {
    ///         Ok(admission) => admission.respond(Response::new("hello".into())),
    ///         Err(rejection) => rejection,
    ///     }
    /// };
    /// assert_eq!(handle(Request::new(())).headers()["ratelimit"], r#""default";r=0;t=3600"#);
    /// let refused = handle(Request::new(()));
    /// assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    /// assert_eq!(refused.headers()["retry-after"], "3600");
    /// ```
    pub fn decide<B>(&self, request: &RequestHead<'_>) -> Result<Admission<F::Held>, Response<B>>
    where
        R: Reject<B>,
    {
        let mut headers = Headers::NONE;
        match self.policy.decide(request, &mut headers) {
            GateDecision::Admit | GateDecision::Describe => Ok(Admission::new(headers, None, None)),
            GateDecision::Keep(admission) => Ok(*admission),
            GateDecision::Reject(response) => Err(response),
        }
    }
}

/// Sets the options of a [`RateLimitLayer`].
#[must_use = "a builder does nothing before `build`"]
pub struct RateLimitLayerBuilder<G, F = (), R = TooManyRequests, A = ()> {
    pub(super) policy: LayerPolicy<GateOptions<G, F, A>, R>,
}

impl_layer!(RateLimitLayer, RateLimitLayerBuilder, RateLimit<G, F; A>);

impl<G, F, R, A> RateLimitLayerBuilder<G, F, R, A> {
    /// Sets which header fields describe the limit to clients; [`HeaderStyle::Draft11`] by default.
    pub const fn headers(mut self, headers: HeaderStyle) -> Self {
        self.policy.own.headers = headers;
        self
    }

    /// Lists every limit on the request in `RateLimit`, not only the one that has the least left.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tidegate::layer::{Named, RateLimitLayer};
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let clock = ManualClock::new();
    /// let bucket = |quota| TokenBucket::with_clock(quota, clock.clone());
    /// let minute = Named::new("minute", bucket(Quota::per_minute(100)));
    /// let day = Named::new("day", bucket(Quota::per_day(50)));
    /// let layer = RateLimitLayer::builder((minute, day)).describe_all(true).build();
    /// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::new())) };
    /// let response = layer.layer(service_fn(serve)).oneshot(Request::new(())).await?;
    /// let headers = response.headers();
    /// assert_eq!(headers["ratelimit-policy"], r#""minute";q=100;w=60, "day";q=50;w=86400"#);
    /// assert_eq!(headers["ratelimit"], r#""minute";r=99;t=1, "day";r=49;t=1728"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn describe_all(mut self, describe_all: bool) -> Self {
        self.policy.own.describes_all = describe_all;
        self
    }

    /// Counts the requests that the layer would reject, and forwards them. This tries a limit on
    /// real traffic.
    ///
    /// Such a request takes no permits, as if it were rejected. No header fields are set.
    pub const fn dry_run(mut self, is_dry_run: bool) -> Self {
        self.policy.own.is_dry_run = is_dry_run;
        self
    }

    /// Limits the bytes of responses, beside the gate, by another gate whose permits are bytes.
    ///
    /// Each chunk of a body is charged when the server takes it to send it, also of a body whose
    /// length is unknown. A client that leaves pays for what was sent. The size of a response is
    /// not known before, so a request is admitted if there is room for one byte, and takes nothing
    /// then. What is more than the room:
    ///
    /// | limit | bytes beyond the room |
    /// |---|---|
    /// | a bucket, also of a key | are a debt: the client waits until its bytes have come back |
    /// | a window, a combination, a sharded bucket | are not charged |
    ///
    /// So a client exceeds the limit only by what its responses in flight still send when the room
    /// runs out. Bound these with [`in_flight`](Self::in_flight), which must be set before.
    ///
    /// * Counted is the content (RFC 9110): no header fields, trailers or framing, and nothing for
    ///   `HEAD`. To count compressed bytes, put the layer outside of the one that compresses.
    /// * This layer's rejections, exempt requests and upgraded connections are not counted. Free
    ///   requests are.
    /// * A server takes bytes before the client has read them. hyper takes a body that is in memory
    ///   as a whole, and a proxy may take more than its client reads.
    /// * `RateLimit-Policy` says `qu="content-bytes"`. Header fields describe the limit before the
    ///   response.
    ///
    /// For a layer that limits bytes alone, the gate is `()`.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use axum::body::Body;
    /// use http::{Request, Response, StatusCode};
    /// use http_body_util::BodyExt;
    /// use tidegate::layer::{Named, PerKey, RateLimitLayer, RequestHead};
    /// use tidegate::{FixedKeyed, ManualClock, Quota, TokenBucket};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let clock = ManualClock::new();
    /// let rate = TokenBucket::with_clock(Quota::per_minute(100), clock.clone());
    /// let quota = Quota::per_second(1_000).burst(4_000);
    /// let bytes = FixedKeyed::with_clock(quota, 10_000, clock.clone());
    /// let user = |request: &RequestHead<'_>| request.headers().get("user").cloned();
    /// let layer = RateLimitLayer::builder(Named::new("requests", rate))
    ///     .content_bytes(Named::new("bytes", PerKey::new(bytes, user)))
    ///     .build();
    ///
    /// let serve = |_| async { Ok::<_, Infallible>(Response::new(Body::from(vec![0; 5_000]))) };
    /// let get = async || {
    ///     let request = Request::get("/").header("user", "alice").body(())?;
    ///     let response = layer.layer(service_fn(serve)).oneshot(request).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(response)
    /// };
    /// let first = get().await?;
    /// assert_eq!(first.into_body().collect().await?.to_bytes().len(), 5_000);
    /// // 1 000 bytes of debt, and one to come.
    /// let second = get().await?;
    /// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    /// assert_eq!(second.headers()["retry-after"], "2");
    /// clock.advance(std::time::Duration::from_secs(2));
    /// assert_eq!(get().await?.status(), StatusCode::OK);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn content_bytes<N: Gate>(
        self,
        bytes: N,
    ) -> RateLimitLayerBuilder<G, (F, ContentBytes<N>), R, A> {
        let with_bytes = |in_flight| (in_flight, ContentBytes::new(bytes));
        self.map_in_flight(with_bytes)
    }

    fn map_in_flight<N>(self, change: impl FnOnce(F) -> N) -> RateLimitLayerBuilder<G, N, R, A> {
        RateLimitLayerBuilder {
            policy: self.policy.map_own(|own| GateOptions {
                in_flight: change(own.in_flight),
                gate: own.gate,
                headers: own.headers,
                describes_all: own.describes_all,
                is_dry_run: own.is_dry_run,
                settle: own.settle,
                shared: own.shared,
            }),
        }
    }
}

impl<G, R, A> RateLimitLayerBuilder<G, (), R, A> {
    /// Limits requests at the same time, beside the gate: by an [`InFlight`](crate::InFlight), an
    /// [`InFlightPerKey`](super::InFlightPerKey), a [`Named`](super::Named) of either, or a pair.
    ///
    /// A request keeps its permit until its response body has ended or is dropped, or until the
    /// service fails or its future is dropped. So the response's body is a
    /// [`HeldBody`](super::HeldBody). A request that finds no permit takes nothing from the gate.
    /// One that the gate refuses takes no permit, unless another one was faster after the gate had
    /// room; then it gives it back at once. Each request takes one, whatever it
    /// [costs](Self::cost); an exempt one takes none. `RateLimit-Policy` says
    /// `qu="concurrent-requests"`, and what is left of it does not count the request itself.
    ///
    /// What the server does with bodies decides how long a permit is kept. hyper takes a body that
    /// is in memory as a whole, before it is sent. It drops a future when it sees that the client
    /// has left, which over HTTP/1 may not be before the response, if the client had sent more. An
    /// upgraded connection, such as a WebSocket, has no body: take an
    /// [`InFlightPermit`](crate::InFlightPermit) in its handler.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use http::{Request, Response, StatusCode};
    /// use tidegate::layer::{Named, RateLimitLayer};
    /// use tidegate::{InFlight, Quota, TokenBucket};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let rate = Named::new("rate", TokenBucket::new(Quota::per_hour(100)));
    /// let layer = RateLimitLayer::builder(rate)
    ///     .in_flight(Named::new("busy", InFlight::new(1)))
    ///     .build();
    /// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::from("slow"))) };
    /// let ask = || layer.layer(service_fn(serve)).oneshot(Request::new(()));
    /// let first = ask().await?; // its body has not been sent
    /// let second = ask().await?;
    /// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    /// let policy = r#""rate";q=100;w=3600, "busy";q=1;qu="concurrent-requests""#;
    /// assert_eq!(second.headers()["ratelimit-policy"], policy);
    /// drop(first);
    /// assert_eq!(ask().await?.status(), StatusCode::OK);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_flight<N: InFlightGate>(self, in_flight: N) -> RateLimitLayerBuilder<G, N, R, A> {
        self.map_in_flight(|()| in_flight)
    }
}

impl<G, F, R, A> RateLimitLayerBuilder<G, F, R, A> {
    /// Settles each admitted request when its response is there: the function returns what the
    /// request has cost, instead of what [`cost`](Self::cost) said. 0 gives all back.
    ///
    /// | limit | less than charged | more than charged |
    /// |---|---|---|
    /// | a bucket, also of a key | comes back, also if others were charged since; the bound grows by it, as by a [credit](crate::TokenBucket::credit) | is charged, if need be as a debt |
    /// | a window, a combination | comes back if all of it does and the charge can be [undone](crate::Limiter::undo) | is charged as far as there is room |
    /// | a sharded bucket | does not come back | is charged as far as there is room |
    ///
    /// So a request counts in full while it is served, and a client cannot try a hundred things at
    /// once while their outcome is unknown. If the service fails, or the client leaves before the
    /// response, the charge stays.
    ///
    /// * Header fields describe the limits before the settlement, so a client may have more left.
    /// * A request that was free is admitted whatever is left, and one without a key is then not
    ///   settled. So charge 1, and let the response say what it was.
    /// * A key that was removed meanwhile gets what comes back in its new limiter. A key that had
    ///   no room in its table gets nothing back.
    /// * A [shared](Self::shared) limit is not settled, and keeps the whole charge.
    /// * A candidate of [`shadow`](Self::shadow) is not settled, and counts what was charged first.
    ///   One of a [`Shadow`](crate::Shadow) is.
    ///
    /// The head of the request is copied for the function, which costs some hundred nanoseconds.
    /// The function must not panic: its panic is one of the service.
    ///
    /// For log-ins: only failed ones count, and each user may fail five times a minute.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use http::{Request, Response, StatusCode};
    /// use tidegate::layer::{PerKey, RateLimitLayer, RequestHead};
    /// use tidegate::{FixedKeyed, ManualClock, Quota};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let failures = FixedKeyed::with_clock(Quota::per_minute(5), 10_000, ManualClock::new());
    /// let user = |request: &RequestHead<'_>| request.headers().get("user").cloned();
    /// let layer = RateLimitLayer::builder(PerKey::new(failures, user))
    ///     .settle(|_, response| u64::from(response.status() == StatusCode::UNAUTHORIZED))
    ///     .build();
    /// let check = |request: Request<()>| async move {
    ///     let is_right = request.headers().contains_key("right");
    ///     let status = if is_right { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    ///     Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
    /// };
    /// let log_in = async |field| {
    ///     let request = Request::post("/").header("user", "alice").header(field, "").body(())?;
    ///     let response = layer.layer(service_fn(check)).oneshot(request).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(response.status().as_u16())
    /// };
    /// for _ in 0..100 {
    ///     assert_eq!(log_in("right").await?, 200);
    /// }
    /// for _ in 0..5 {
    ///     assert_eq!(log_in("wrong").await?, 401);
    /// }
    /// assert_eq!((log_in("wrong").await?, log_in("right").await?), (429, 429));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settle<S>(self, cost: S) -> Self
    where
        G: Gate<Key: Send + Sync + 'static, Charge: Send + Sync + 'static> + Send + Sync + 'static,
        S: Fn(&RequestHead<'_>, &ResponseHead<'_>) -> u64 + Send + Sync + 'static,
    {
        let (gate, cost) = (Arc::clone(&self.policy.own.gate), Arc::new(cost));
        self.settle_with(SettleBy { gate, cost })
    }

    pub(super) fn settle_with(mut self, settle: impl Settle<G> + 'static) -> Self
    where
        G: Gate,
    {
        self.policy.own.settle = Some(Box::new(settle));
        self
    }

    /// Tries another gate on the layer's requests, as an addition to the layer's gate. It is
    /// charged for the requests that both admit, and never changes a response.
    ///
    /// [`stats`](RateLimitLayer::stats) counts what it would have decided
    /// ([`shadow`](RateLimitLayerStats::shadow)), and [`Shadow`](crate::Shadow) says how to read
    /// the counts. The candidate may have other keys than the layer's gate: it is a gate of its
    /// own. A request without the key that the candidate needs is one that it would refuse. A layer
    /// has one candidate, the last that was set.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    /// use http::{Request, Response, StatusCode};
    /// use tidegate::layer::{PerKey, RateLimitLayer, RequestHead};
    /// use tidegate::{FixedKeyed, ManualClock, Quota, TokenBucket};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let clock = ManualClock::new();
    /// let all = TokenBucket::with_clock(Quota::per_second(100), clock.clone());
    /// // Would 2 per minute be enough for each user?
    /// let users = FixedKeyed::with_clock(Quota::per_minute(2), 1_000, clock);
    /// let user = |request: &RequestHead<'_>| request.headers().get("user").cloned();
    /// let layer = RateLimitLayer::builder(all)
    ///     .shadow(PerKey::new(users, user))
    ///     .build();
    ///
    /// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::new())) };
    /// for user in ["alice", "bob", "alice", "alice"] {
    ///     let request = Request::get("/").header("user", user).body(())?;
    ///     let response = layer.layer(service_fn(serve)).oneshot(request).await?;
    ///     assert_eq!(response.status(), StatusCode::OK);
    /// }
    /// let shadow = layer.stats().shadow;
    /// assert_eq!((shadow.both_admitted, shadow.only_candidate_refused), (3, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shadow(mut self, candidate: impl Gate + Send + Sync + 'static) -> Self {
        self.policy.shadow = Some(ShadowGate::new(candidate, false));
        self
    }

    /// Like [`shadow`](Self::shadow), but tries the other gate as a replacement of the layer's: it
    /// is charged for all requests that it would admit.
    pub fn shadow_instead(mut self, candidate: impl Gate + Send + Sync + 'static) -> Self {
        self.policy.shadow = Some(ShadowGate::new(candidate, true));
        self
    }
}
