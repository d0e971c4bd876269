//! The server: routes, each behind a layer with all the limits that its requests must pass.

use std::io;
use std::iter;
use std::net::SocketAddr;
use std::slice::from_ref;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::handler::Handler;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tidegate::tower::{
    ApiKey, Named, PerKey, RateLimitLayer, Reject, Rejection, RequestHead, TooManyRequests,
};
use tidegate::{
    DefaultClock, FixedKeyed, IpKey, KeyDigest, KeyDigester, Keyed, Quota, TokenBucket,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::rules::RULES;
use crate::stats::{AddressStats, KeyStats, LimitStats, Refusals, Stats};
use crate::tiers::Tiers;

/// The name of the limit for all requests together.
pub(crate) const GLOBAL: &str = "global";
/// The name of the limits for client addresses.
pub(crate) const ADDRESS: &str = "address";
/// The name of the limits for API keys.
pub(crate) const KEY: &str = "key";

/// The header that names the limit which refused.
pub(crate) const REFUSED_BY: &str = "x-refused-by";
/// The header with a client's API key, of any length that hyper accepts: 16 bytes are kept.
pub(crate) const API_KEY: &str = "x-api-key";

/// Far more than can be in use at once with the default quotas. This table has its size from the start, 32 bytes for each.
const MOST_ADDRESSES: usize = 10_000;
/// So many keys at once have a bucket of their own. This table grows as keys come, and shrinks as they go.
const MOST_KEYS: usize = 100_000;

/// What can be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Quotas {
    /// For all requests together.
    pub(crate) global: Quota,
    pub(crate) address: Quota,
    pub(crate) key: Tiers,
}

/// Serves until `stop` is sent or dropped, and then until open requests have finished.
pub(crate) async fn serve(
    listener: TcpListener,
    quotas: Quotas,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    // At start-up, so that no request waits for it.
    DefaultClock::calibrate();
    let router = router(quotas).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = stop.await;
        })
        .await
}

/// A request takes a permit from each of four limits (three, if it has no key) or from none: they are in one layer for that.
///
/// Each route has a layer of its own, with a window of its own; the other limits are shared. What has no layer has no limits, so
/// a new route needs one. (A single layer around all routes, with their windows in a `Keyed`, would cover new routes too. But
/// tables cannot take a permit back if another limit refuses after all, and a layer's counts would be of all routes together.)
fn router(quotas: Quotas) -> Router {
    let addresses = Arc::new(FixedKeyed::new(quotas.address, MOST_ADDRESSES));
    let digests = KeyDigester::new();
    let quota_of = quotas.key.by_digest(&digests);
    let keys = Keyed::builder(move |key: &KeyDigest| TokenBucket::new(quota_of(key)))
        .max_keys(MOST_KEYS)
        // Or it would be of the tier of whoever comes first without room.
        .shared(TokenBucket::new(quotas.key.free))
        .build();
    let keys = Arc::new(keys);
    let global = Arc::new(TokenBucket::new(quotas.global));
    let api_key = ApiKey::header(HeaderName::from_static(API_KEY)).digester(digests);

    let per_address = Named::new(ADDRESS, PerKey::new(Arc::clone(&addresses), peer));
    let per_key = Named::new(KEY, PerKey::new(Arc::clone(&keys), api_key).optional());
    let of_all = Named::new(GLOBAL, Arc::clone(&global));
    let refusals = Arc::new(Refusals::new());
    let layers = RULES.each_ref().map(|rule| {
        let of_route = Named::new(rule.name, rule.window());
        // All are looked at before any is charged. Should other requests take the last permit in between, addresses and keys do
        // not get back what was charged before. They come first for that: whoever sends many requests at once pays for it. The
        // bucket for all requests comes last, so no refusal ever costs a permit of it.
        let gates = (
            per_address.clone(),
            per_key.clone(),
            of_route,
            of_all.clone(),
        );
        let refusals = Arc::clone(&refusals);
        RateLimitLayer::builder(gates)
            .reject_with(move |rejection| {
                refusals.count(rejection.limit());
                refuse(rejection)
            })
            .build()
    });

    let [home, search, upload, unknown] = layers.clone();
    let stats = move || {
        let counts = layers.each_ref().map(RateLimitLayer::stats);
        let quota = quotas.global.to_string();
        let all = LimitStats::new(GLOBAL, quota, global.available(), &counts, &refusals);
        let routes = RULES.iter().zip(&layers).zip(&counts);
        let routes = routes.map(|((rule, layer), counts)| {
            let (_, _, of_route, _) = layer.gate();
            let (quota, available) = (rule.to_string(), of_route.gate().available());
            LimitStats::new(rule.name, quota, available, from_ref(counts), &refusals)
        });
        Stats {
            limits: iter::once(all).chain(routes).collect(),
            addresses: AddressStats::new(&addresses, refusals.by(ADDRESS)),
            keys: KeyStats::new(quotas.key, keys.stats(), refusals.by(KEY)),
        }
    };
    Router::new()
        .route("/", get(async || "welcome\n").layer(home))
        .route("/search", get(async || "nothing found\n").layer(search))
        .route("/upload", post(async || "stored\n").layer(upload))
        .fallback(no_such_page.layer(unknown))
        // Without a layer: under load is when one wants to read it.
        .route("/stats", get(async move || Json(stats())))
}

async fn no_such_page() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "no such page\n")
}

/// The other end of the connection. Whatever headers claim (`X-Forwarded-For`), clients can make up.
fn peer(request: &RequestHead<'_>) -> Option<IpKey> {
    let ConnectInfo(peer) = request.extension::<ConnectInfo<SocketAddr>>()?;
    Some(IpKey::from(*peer))
}

/// To this the layer adds `Retry-After`, `RateLimit` and `RateLimit-Policy`.
fn refuse(rejection: &Rejection<'_>) -> Response {
    let Some(wait) = rejection.retry_after() else {
        // It has no key to be limited by: the client's fault or ours, which the default tells apart.
        return TooManyRequests.reject(rejection);
    };
    let limit = rejection.limit();
    let headers = [(REFUSED_BY, limit.to_owned())];
    let body = format!("too many requests ({limit}): retry after {wait:?}\n");
    (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
}
