//! A router whose requests must pass up to four limits. This is the file to copy from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::connect_info::{ConnectInfo, IntoMakeServiceWithConnectInfo};
use axum::handler::Handler;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tidegate::layer::{ApiKey, Named, NoKey, PerKey, RateLimitLayer, RequestHead};
use tidegate::{
    FixedKeyed, IpKey, KeyDigest, KeyDigester, Keyed, Quota, SlidingWindow, TokenBucket,
};

/// The limits that can be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Quotas {
    /// All requests together.
    pub(crate) global: Quota,
    /// Each client address.
    pub(crate) address: Quota,
    /// Each API key, known or not. Unknown keys are harmless: the address is limited, too.
    pub(crate) free: Quota,
    /// Each of [`PRO_KEYS`].
    pub(crate) pro: Quota,
}

/// Name, limit and window of each route. The last entry covers all other paths; without it,
/// clients could avoid the limits with invented paths.
pub(crate) const ROUTES: [(&str, u64, Duration); 4] = [
    ("/", 400, Duration::from_secs(1)),
    ("/search", 150, Duration::from_secs(1)),
    ("/upload", 20, Duration::from_secs(2)),
    ("unknown", 50, Duration::from_secs(1)),
];

/// Keys of paying customers, invented for this example. A real gateway would load digests, made
/// with a secret of its own ([`KeyDigester::with_secret`]).
pub(crate) const PRO_KEYS: [&str; 2] = ["pro-7f3a9c", "pro-c41d02"];

/// The request header with the client's API key.
pub(crate) const API_KEY: &str = "x-api-key";
/// The response header that names the limit that refused.
pub(crate) const REFUSED_BY: &str = "x-refused-by";

const MAX_ADDRESSES: usize = 10_000; // 32 bytes each, allocated at once
const MAX_KEYS: usize = 100_000; // allocated for the keys in use

/// Builds the routes. Each has its own layer and window; the other limits are shared.
///
/// One layer holds all limits of a request, so a refused request is charged to none of them.
pub(crate) fn service(quotas: Quotas) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    let global = Arc::new(TokenBucket::new(quotas.global));
    let addresses = Arc::new(FixedKeyed::new(quotas.address, MAX_ADDRESSES));
    let digester = KeyDigester::new();
    let pro_keys = PRO_KEYS.map(|key| digester.digest(key));
    let new_bucket = move |key: &KeyDigest| {
        let is_pro = pro_keys.contains(key);
        TokenBucket::new(if is_pro { quotas.pro } else { quotas.free })
    };
    let keys = Keyed::builder(new_bucket)
        .max_keys(MAX_KEYS)
        // Keys beyond `MAX_KEYS` share one bucket.
        .shared(TokenBucket::new(quotas.free))
        .build();
    let keys = Arc::new(keys);
    let api_key = ApiKey::header(HeaderName::from_static(API_KEY)).digester(digester);

    let by_address = Named::new("address", PerKey::new(Arc::clone(&addresses), peer));
    let by_key = Named::new("key", PerKey::new(Arc::clone(&keys), api_key).optional());
    let total = Named::new("global", Arc::clone(&global));

    let routes = ROUTES.map(|(name, ..)| name);
    let names = routes.into_iter().chain(["address", "key", "global"]);
    let refusals: BTreeMap<_, _> = names.map(|name| (name, AtomicU64::new(0))).collect();
    let refusals = Arc::new(refusals);
    let layers = ROUTES.map(|(name, limit, window)| {
        let window = SlidingWindow::new(limit, window).expect("ROUTES has valid windows");
        let window = Named::new(name, window);
        // Charged in this order. When another request takes the last permit between check and
        // charge, addresses and keys forfeit what they charged; `total`, the last, never does.
        let limits = (by_address.clone(), by_key.clone(), window, total.clone());
        let refusals = Arc::clone(&refusals);
        RateLimitLayer::builder(limits)
            // The layer adds `Retry-After`, `RateLimit` and `RateLimit-Policy`.
            .reject_with(move |rejection| {
                if let Some(count) = refusals.get(rejection.limit()) {
                    count.fetch_add(1, Relaxed); // guards no other memory
                }
                let refused_by = [(REFUSED_BY, rejection.limit().to_owned())];
                (rejection.status(), refused_by, "refused\n").into_response()
            })
            .build()
    });

    let [home, search, upload, unknown] = layers.clone();
    // Neither addresses nor API keys are shown.
    let stats = async move || {
        let of_route = layers.iter().map(|layer| {
            let (_, _, window, _) = layer.gate();
            let (available, counts) = (window.gate().available(), layer.stats());
            json!({ "available": available, "admitted": counts.allowed,
                    "refused": counts.denied, "forfeited": counts.forfeited })
        });
        let (addresses, keys) = (addresses.stats(), keys.stats());
        Json(json!({
            "available": global.available(),
            "routes": routes.into_iter().zip(of_route).collect::<BTreeMap<_, _>>(),
            "refused_by": *refusals,
            "addresses": { "active": addresses.active, "overflowed": addresses.overflowed },
            "keys": { "active": keys.keys, "created": keys.created, "overflowed": keys.overflowed },
        }))
    };
    let not_found = async || (StatusCode::NOT_FOUND, "no such page\n");
    Router::new()
        .route("/", get(async || "welcome\n").layer(home))
        .route("/search", get(async || "nothing found\n").layer(search))
        .route("/upload", post(async || "stored\n").layer(upload))
        .fallback(not_found.layer(unknown))
        // Without a layer, so that it answers under load.
        .route("/stats", get(stats))
        // For `peer`.
        .into_make_service_with_connect_info()
}

/// Returns the address of the connection. Clients can forge headers such as `X-Forwarded-For`.
fn peer(request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
    let peer: Option<&ConnectInfo<SocketAddr>> = request.extension();
    Ok(IpKey::from(peer.ok_or(NoKey::NotAttached)?.0))
}
