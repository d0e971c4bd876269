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
//! [`RateLimitLayer::stats`] counts what became of all requests. With the feature `metrics` there are:
//!
//! | metric | | labels | |
//! |---|---|---|---|
//! | `rate_limiter.requests` | counter | `limiter`, `outcome` | by itself; outcomes are `allowed`, `denied`, `shadow_denied`, `exempt`, and `error` for a request without a key |
//! | `rate_limiter.wait.duration` | histogram, seconds | `limiter` | by itself, of a [`PaceLayer`] |
//! | `rate_limiter.keys` | gauge | `limiter` | when you call `table.stats().publish("clients")`, before each scrape |
//! | `rate_limiter.overflows`, `.evictions` | counters | `limiter` | the same |
//!
//! `limiter` is the layer's [name](RateLimitLayerBuilder::name). With `tracing` there is an event of the target `tidegate` at level DEBUG for each
//! refusal (`RUST_LOG=tidegate=debug` shows them), with the fields `limiter`, `limit` (the one that refused), `outcome`, `cost` and
//! `why`; and one at level ERROR when keys are missing by a mistake of the server. Neither ever has a key in it.
//!
//! # Testing
//!
//! A limiter on a [`ManualClock`](crate::ManualClock) needs no sleep, and a service no connection:
//!
//! ```
//! use axum::Router;
//! use axum::body::Body;
//! use axum::extract::ConnectInfo;
//! use axum::http::{Request, StatusCode};
//! use axum::routing::get;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use tidegate::tower::{PerKey, RateLimitLayer, RequestHead};
//! use tidegate::{FixedKeyed, IpKey, ManualClock, Quota};
//! use tower::ServiceExt;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let clock = ManualClock::new();
//! let limits = FixedKeyed::with_clock(Quota::per_minute(60).burst(1), 100, clock.clone());
//! let peer = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<ConnectInfo<SocketAddr>>()?.0));
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
