//! Layers with a shared limit.

use core::ops::ControlFlow;

use http::Response;

use super::admission::Admission;
use super::gate::Gate;
use super::gate_options::{GateDecision, GateOptions};
use super::in_flight_gate::InFlightGate;
use super::pending_request::PendingRequest;
use super::rate_limit_layer::{RateLimitLayer, RateLimitLayerBuilder};
use super::rejection::Reject;
use super::request_head::RequestHead;
use super::response_headers::Headers;
use super::shared_gate::SharedGate;
use super::too_many_requests::TooManyRequests;

impl<A: SharedGate> RateLimitLayer<(), (), TooManyRequests, A> {
    /// Creates a layer with only a shared limit and the default options: see
    /// [`shared`](RateLimitLayerBuilder::shared).
    pub fn shared(gate: A) -> Self {
        Self::shared_builder(gate).build()
    }

    /// Starts a layer with only a shared limit and other options.
    pub fn shared_builder(gate: A) -> RateLimitLayerBuilder<(), (), TooManyRequests, A> {
        RateLimitLayer::builder(()).shared(gate)
    }
}

impl<G, F, R, A: SharedGate> RateLimitLayer<G, F, R, A> {
    /// Returns the shared gate.
    pub fn shared_gate(&self) -> &A {
        &self.policy.own.shared
    }
}

impl<G: Gate, F: InFlightGate, R, A: SharedGate> RateLimitLayer<G, F, R, A> {
    /// Decides a request by hand, as the layer without a shared limit
    /// [does](RateLimitLayer::decide), and waits for the shared one.
    ///
    /// # Errors
    ///
    /// The response to a rejected request, with all header fields.
    ///
    /// # Cancel safety
    ///
    /// As that of [`SharedRateLimitFuture`](super::SharedRateLimitFuture).
    pub async fn decide_shared<B>(
        &self,
        request: &RequestHead<'_>,
    ) -> Result<Admission<F::Held>, Response<B>>
    where
        R: Reject<B>,
    {
        let mut headers = Headers::NONE;
        let decision = match PendingRequest::begin(&self.policy, request, &mut headers) {
            ControlFlow::Continue(pending) => pending.decide(request, &mut headers).await,
            ControlFlow::Break(decision) => decision,
        };
        match decision {
            GateDecision::Admit | GateDecision::Describe => Ok(Admission::new(headers, None, None)),
            GateDecision::Keep(admission) => Ok(*admission),
            GateDecision::Reject(response) => Err(response),
        }
    }
}

impl<G, F, R, A> RateLimitLayerBuilder<G, F, R, A> {
    /// Adds a limit that many processes share, such as one on a Redis server. See [`SharedGate`].
    ///
    /// The layer's gate and its limits on requests at the same time decide first, so a request that
    /// they refuse never crosses the network. If the shared limit refuses or cannot decide, they
    /// get back what they gave: permits of [`in_flight`](Self::in_flight) at once, and a charge of
    /// the gate where that is exact, as in a tuple of [gates](Gate). The rest is forfeited, which
    /// the [statistics](super::RateLimitLayerStats::forfeited) count. Under load a bucket has
    /// mostly decided other requests meanwhile, so let the gate have more room than the shared
    /// limit.
    ///
    /// * A limit that refuses is a `429 Too Many Requests`, and one that could not decide a
    ///   `503 Service Unavailable`: see [`SharedDecision`](super::SharedDecision).
    /// * Header fields describe the shared limit behind the others, in responses to requests that
    ///   it has decided.
    /// * A free request and an exempt one do not reach it. In a [dry run](Self::dry_run) it decides
    ///   and is charged for what it admits; requests that it would reject are forwarded.
    /// * The inner service must implement `Clone`. A request that waits takes along the one that is
    ///   ready.
    /// * Each request that reaches the limit allocates once, for the future of its decision. Layers
    ///   without a shared limit do as before.
    ///
    /// A layer has one shared limit, the last that was set. Several quotas of one key are one gate
    /// of `tidegate-redis`, which charges all or none.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use http::{Request, Response, StatusCode};
    /// use tidegate::layer::{NoKey, RateLimitLayer, RequestHead, SharedDecision, SharedGate};
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// /// A limit whose server is down.
    /// struct Lost;
    ///
    /// impl SharedGate for Lost {
    ///     type Key = ();
    ///
    ///     fn find(&self, _: &RequestHead<'_>) -> Result<(), NoKey> {
    ///         Ok(())
    ///     }
    ///
    ///     async fn decide(&self, (): &(), _: u64) -> SharedDecision {
    ///         SharedDecision::unavailable(None)
    ///     }
    /// }
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let bucket = TokenBucket::with_clock(Quota::per_minute(60), ManualClock::new());
    /// let layer = RateLimitLayer::builder(bucket).shared(Lost).build();
    /// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::new())) };
    /// let response = layer.layer(service_fn(serve)).oneshot(Request::new(())).await?;
    /// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    /// assert_eq!(layer.stats().unavailable, 1);
    /// assert_eq!(layer.gate().available(), 60); // the token is back
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared<N: SharedGate>(self, gate: N) -> RateLimitLayerBuilder<G, F, R, N> {
        RateLimitLayerBuilder {
            policy: self.policy.map_own(|own| GateOptions {
                in_flight: own.in_flight,
                gate: own.gate,
                headers: own.headers,
                describes_all: own.describes_all,
                is_dry_run: own.is_dry_run,
                settle: own.settle,
                shared: gate,
            }),
        }
    }
}
