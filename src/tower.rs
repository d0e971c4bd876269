//! Limits for services of [tower](https://docs.rs/tower): axum, tonic, hyper, and clients.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use tidegate::tower::RateLimitLayer;
//! use tidegate::{Quota, TokenBucket};
//!
//! let limit = RateLimitLayer::new(TokenBucket::new(Quota::per_second(100).burst(20)));
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit);
//! # drop(app);
//! ```
//!
//! | you want | take |
//! |---|---|
//! | to refuse what is too much: `429 Too Many Requests`, `RESOURCE_EXHAUSTED` | [`RateLimitLayer`] |
//! | to let it wait: a client that paces itself, a queue before a slow service | [`PaceLayer`] |
//! | a limit for each client | [`PerKey`], with an [`ApiKey`], [`ForwardedFor`], or a closure |
//! | several limits, all or nothing | a tuple of them, each [`Named`] |
//! | header fields in a server without tower | [`HeaderStyle::tell`] |
//!
//! # Observing
//!
//! [`RateLimitLayer::stats`] counts what became of all requests. With the feature `metrics` the counter `rate_limiter.requests` does,
//! with the labels `limiter` (the layer's [name](RateLimitLayerBuilder::name)) and `outcome` (`allowed`, `denied`, `shadow_denied`,
//! `exempt`, `error` for a request without a key), and the histogram `rate_limiter.wait.duration` has the seconds that requests have
//! waited at a [`PaceLayer`]. With `tracing` there is an event at level DEBUG for each refusal, with the fields `limiter`, `limit` (the
//! one that refused), `outcome`, `cost`, and why. Neither ever has a key in it.

mod counts;
mod default_rejection;
mod fields;
mod forwarded;
mod gate;
mod grpc;
mod head;
mod key;
mod layer;
mod observe;
mod pace;
mod pace_layer;
mod per_key;
mod rejection;
mod service;
mod together;

pub use counts::RateLimitLayerStats;
pub use default_rejection::TooManyRequests;
pub use fields::{HeaderStyle, Reset};
pub use forwarded::{ForwardedFor, NetworkError};
pub use gate::{Gate, Named};
pub use grpc::ResourceExhausted;
pub use head::RequestHead;
pub use key::{ApiKey, Either, KeyExtractor, NoKey, Or};
pub use layer::{RateLimitLayer, RateLimitLayerBuilder};
pub use pace::{Paced, PacedFuture};
pub use pace_layer::{PaceLayer, PaceLayerBuilder};
pub use per_key::{KeyedLimiter, PerKey};
pub use rejection::{Reason, Reject, Rejection};
pub use service::{RateLimit, RateLimitFuture};
