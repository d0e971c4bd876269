//! Limits for services of [tower](https://docs.rs/tower): axum, tonic, hyper, and clients.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use tidegate::layer::RateLimitLayer;
//! use tidegate::{Quota, TokenBucket};
//!
//! let limit = RateLimitLayer::new(TokenBucket::new(Quota::per_second(100).burst(20)));
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit);
//! # drop(app);
//! ```
//!
//! | task | type |
//! |---|---|
//! | reject excess requests with `429 Too Many Requests` or `RESOURCE_EXHAUSTED` | [`RateLimitLayer`] |
//! | delay them: a client that paces itself, a queue before a slow service | [`PaceLayer`] |
//! | limit or delay each client | [`PerKey`], with an [`ApiKey`], [`ForwardedFor`], [`Attached`], or a closure |
//! | find the client once, for limits and handlers | [`KeyLayer`] |
//! | try a limit on live traffic | [`dry_run`](RateLimitLayerBuilder::dry_run) alone, or [`shadow`](RateLimitLayerBuilder::shadow) beside the limit in force |
//! | list the clients that are refused most | [`TrackDenied`](crate::TrackDenied) around the table of a [`PerKey`] |
//! | apply several limits, all or nothing | a tuple of them, each [`Named`] |
//! | apply a limit that many processes share, such as on Redis | [`RateLimitLayer::shared`], or [`shared`](RateLimitLayerBuilder::shared) behind other limits |
//! | limit requests at the same time, of all or of each client | [`in_flight`](RateLimitLayerBuilder::in_flight) |
//! | charge by the response: failed log-ins only, a cost that the handler finds | [`settle`](RateLimitLayerBuilder::settle) |
//! | take the limits from a configuration file, and reload it | `Rules`, of the feature `rules` |
//! | choose limits and their number at run time | a `Vec` of [`BoxGate`] |
//! | limit the bytes of responses, charged while they are sent | [`content_bytes`](RateLimitLayerBuilder::content_bytes) |
//! | lock a client out after several failures | [`PenaltyBox`](crate::PenaltyBox) as the table of a [`PerKey`] |
//! | decide without tower, in extractors and handlers | [`RateLimitLayer::decide`] |
//! | write header fields in a server without tower | [`HeaderStyle::write_to`] |
//!
//! # Metrics and events
//!
//! [`RateLimitLayer::stats`] counts requests by outcome. The feature `metrics` adds:
//!
//! | metric | type | labels | recorded |
//! |---|---|---|---|
//! | `rate_limiter.requests` | counter | `limiter`, `outcome`, `limit`, `reason` | by every layer |
//! | `rate_limiter.shadow.requests` | counter | `limiter`, `outcome` | by a layer with a [shadow](RateLimitLayerBuilder::shadow), or by `shadow.stats().publish("trial")` |
//! | `rate_limiter.wait.duration` | histogram, seconds | `limiter` | by a [`PaceLayer`], for admitted requests |
//! | `rate_limiter.waiting` | gauge | `limiter` | by a [`PaceLayer`]: requests that wait at its limiter now |
//! | `rate_limiter.keys` | gauge | `limiter` | by `table.stats().publish("clients")`, which you call before each scrape |
//! | `rate_limiter.overflows`, `.evictions` | counters | `limiter` | by the same call |
//!
//! `describe_metrics()` gives their units and help texts to your recorder. Every series of a metric
//! has all of its labels:
//!
//! | label | values |
//! |---|---|
//! | `limiter` | the layer's [name](RateLimitLayerBuilder::name), or the one that you publish |
//! | `outcome` | `allowed`, `denied`, `shadow_denied` (in a [dry run](RateLimitLayerBuilder::dry_run)), `exempt`, `error` (no key, or a shared limit that could not decide) |
//! | `outcome` of a shadow | `allowed`, `shadow_denied` (only the candidate refused), `live_denied` (only the layer's gate refused), `denied` (both) |
//! | `limit` | the [name of the limit](Rejection::limit) that refused: of a [`Named`] gate or of a limit of a [`Combined`](crate::Combined), otherwise and at a [`PaceLayer`] the layer's; empty if none did |
//! | `reason` | of a refusal: `limited`, `busy` and `never` as in [`Denied`](crate::Denied); `not_sent`, `not_attached` and `ambiguous` as in [`NoKey`]; `unavailable` as in [`Reason`]; empty if no limit refused |
//! | `reason` at a [`PaceLayer`] | instead of `limited`: `timeout`, or `queue_full` |
//!
//! The series of a refusal begins with the first one. No metric or event contains a key. The
//! dashboard `examples/grafana/tidegate.json` shows all metrics, and the example `prometheus` is a
//! server that exports them.
//!
//! The feature `tracing` adds events with the target `tidegate`. Each rejection emits one at level
//! DEBUG, with the fields `limiter`, `limit` (the one that refused), `outcome`, `cost` and `why`,
//! and so does a refusal by the candidate of a shadow alone. `RUST_LOG=tidegate=debug` shows them.
//! The first key that the server failed to attach emits one at level ERROR.
//!
//! # Testing
//!
//! With a [`ManualClock`](crate::ManualClock), a test needs no sleep and no connection:
//!
//! ```
//! use axum::Router;
//! use axum::body::Body;
//! use axum::extract::ConnectInfo;
//! use axum::http::{Request, StatusCode};
//! use axum::routing::get;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use tidegate::layer::{Attached, PerKey, RateLimitLayer};
//! use tidegate::{FixedKeyed, IpKey, ManualClock, Quota};
//! use tower::ServiceExt;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let clock = ManualClock::new();
//! let limits = FixedKeyed::with_clock(Quota::per_minute(60).burst(1), 100, clock.clone());
//! let peer = Attached::new(|peer: &ConnectInfo<SocketAddr>| IpKey::from(peer.0));
//! let limit = RateLimitLayer::new(PerKey::new(limits, peer));
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit);
//!
//! let peer: SocketAddr = "203.0.113.7:1234".parse()?;
//! let get = || Request::builder().extension(ConnectInfo(peer)).body(Body::empty());
//! assert_eq!(app.clone().oneshot(get()?).await?.status(), StatusCode::OK);
//! assert_eq!(app.clone().oneshot(get()?).await?.status(), StatusCode::TOO_MANY_REQUESTS);
//! clock.advance(Duration::from_secs(1));
//! assert_eq!(app.clone().oneshot(get()?).await?.status(), StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
#[cfg(feature = "http")]
mod api_client;
mod api_key;
mod attached;
mod box_gate;
mod content_bytes;
mod description;
mod field_values;
mod forwarded_field;
mod forwarded_for;
mod gate;
mod gate_list;
mod gate_options;
mod gate_tuple;
mod grpc;
mod held;
mod in_flight_gate;
mod kept_values;
mod key_extractor;
mod key_layer;
mod layer_macros;
mod layer_policy;
mod layer_stats;
mod named;
mod networks;
mod observer;
mod pace_gate;
mod pace_keys;
mod pace_layer;
mod pace_options;
mod paced;
mod pending_request;
mod per_key;
mod problem_json;
mod rate_limit;
mod rate_limit_layer;
mod rejection;
mod request_head;
mod response_head;
mod response_headers;
#[cfg(feature = "rules")]
mod rules;
mod settle;
mod shadow_gate;
mod shared_decision;
mod shared_gate;
mod shared_layer;
mod shared_service;
mod too_many_requests;

pub use crate::keyed::KeyedLimiter;
pub use admission::Admission;
#[cfg(feature = "http")]
pub use api_client::{ApiClient, ApiClientError, ApiClientLayer, ResponsePermit};
pub use api_key::ApiKey;
pub use attached::Attached;
pub use box_gate::BoxGate;
pub use content_bytes::{BytesCharge, ContentBytes};
pub use forwarded_for::ForwardedFor;
pub use gate::Gate;
pub use grpc::ResourceExhausted;
pub use held::{Held, HeldBody};
pub use in_flight_gate::{InFlightGate, InFlightPerKey};
pub use key_extractor::{Either, FoundKey, KeyExtractor, NoKey, Or};
pub use key_layer::{KeyLayer, RequestKey, WithKey};
pub use layer_stats::RateLimitLayerStats;
pub use named::Named;
pub use networks::ParseNetworkError;
#[cfg(feature = "metrics")]
pub use observer::describe_metrics;
pub use pace_gate::PaceGate;
pub use pace_layer::{PaceLayer, PaceLayerBuilder};
pub use paced::{Paced, PacedFuture};
pub use per_key::PerKey;
pub use problem_json::ProblemJson;
pub use rate_limit::{RateLimit, RateLimitFuture};
pub use rate_limit_layer::{RateLimitLayer, RateLimitLayerBuilder};
pub use rejection::{Reason, Reject, Rejection};
pub use request_head::RequestHead;
pub use response_head::ResponseHead;
pub use response_headers::{HeaderStyle, Reset};
#[cfg(feature = "rules")]
pub use rules::{
    RuleStats, Rules, RulesBuilder, RulesClock, RulesConfig, RulesError, RulesErrorKind, RulesGate,
};
pub use shared_decision::SharedDecision;
pub use shared_gate::SharedGate;
pub use shared_service::SharedRateLimitFuture;
pub use too_many_requests::TooManyRequests;
