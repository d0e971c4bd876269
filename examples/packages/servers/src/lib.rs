//! Servers that `RateLimitLayer` does not wrap by itself. Copy what you need: [`actix::limit`],
//! [`poem::limit`], or the file of [`websocket`].
//!
//! ```text
//! cargo test --manifest-path examples/packages/servers/Cargo.toml
//! ```

use std::net::SocketAddr;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};
use tidegate::layer::{ApiKey, Attached, Gate, Named, PerKey};
use tidegate::layer::{RateLimitLayer, Reject, Rejection};
use tidegate::{Clock, FixedKeyed, IpKey, Quota};

pub mod actix;
pub mod poem;
pub mod websocket;

/// The request header with the client's API key.
pub const API_KEY: &str = "x-api-key";

/// The requests of each client address.
pub const ADDRESS: Quota = Quota::per_minute(60).burst(6);
/// The requests of each API key, from all addresses.
pub const KEY: Quota = Quota::per_minute(6).burst(2);

const MAX_ADDRESSES: usize = 10_000; // 32 bytes each, allocated at once
const MAX_KEYS: usize = 10_000;

/// The limits of both servers, which attach the address of the connection as a [`SocketAddr`].
/// Behind proxies, use a [`ForwardedFor`](tidegate::layer::ForwardedFor) instead of it. Invented
/// keys gain nothing, because the address is limited, too.
pub fn layer<C>(clock: C) -> RateLimitLayer<impl Gate, (), impl Reject<String>>
where
    C: Clock + Clone + Send + Sync + 'static,
{
    let addresses = FixedKeyed::with_clock(ADDRESS, MAX_ADDRESSES, clock.clone());
    let keys = FixedKeyed::with_clock(KEY, MAX_KEYS, clock);
    let peer = Attached::new(|peer: &SocketAddr| IpKey::from(*peer));
    let key = ApiKey::header(HeaderName::from_static(API_KEY));
    let address = Named::new("address", PerKey::new(addresses, peer));
    let key = Named::new("key", PerKey::new(keys, key).optional());
    RateLimitLayer::builder((address, key))
        .exempt(|request| request.path() == "/health")
        .reject_with(refuse)
        .build()
}

/// The layer adds `Retry-After`, `RateLimit` and `RateLimit-Policy`.
fn refuse(rejection: &Rejection<'_>) -> Response<String> {
    let mut response = Response::new(format!(
        "refused by the limit of each {}\n",
        rejection.limit()
    ));
    *response.status_mut() = rejection.status();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
