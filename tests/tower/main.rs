//! Layers before real servers and before hostile clients.

#![expect(
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

extern crate alloc;

mod api_keys;
mod axum_counts;
mod axum_peers;
mod contract;
mod direct;
mod field_values;
mod fields;
mod forwarded;
mod grpc_calls;
mod grpc_details;
mod grpc_recognized;
mod networks;
mod observed;
mod options;
mod regressions;
mod servers;
mod standings;
mod together;
mod together_races;

#[path = "../parallel/mod.rs"]
mod parallel;

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::net::IpAddr;
use core::time::Duration;

use http::{Request, Response};
use tidegate::tower::{Gate, RateLimitLayer, RateLimitLayerStats, Reject, RequestHead};
use tidegate::{Clock, ManualClock, Quota, TokenBucket};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// One token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// Takes all that is there.
fn drain<C: Clock>(bucket: &TokenBucket<C>) {
    let available = bucket.available();
    bucket.try_acquire(available).expect("it is there");
}

/// What the inner service answers: so a response with a body of this is not a refusal.
const SERVED: &str = "served";

fn serve<A>(_: Request<A>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new(SERVED.to_owned())))
}

/// The response of a service that answers at once behind `layer`.
fn answer<G, R, A>(layer: &RateLimitLayer<G, R>, request: Request<A>) -> Response<String>
where
    G: Gate,
    R: Reject<String>,
{
    answer_of(layer.layer(service_fn(serve)), request)
}

/// The response of a service whose futures never wait.
fn answer_of<S, A>(service: S, request: Request<A>) -> Response<String>
where
    S: Service<Request<A>, Response = Response<String>, Error = Infallible>,
{
    let answer = futures_util::FutureExt::now_or_never(service.oneshot(request));
    answer.expect("it does not wait").expect("it does not fail")
}

/// How many of so many requests to this service are served.
fn served<G: Gate, R: Reject<String>>(layer: &RateLimitLayer<G, R>, requests: usize) -> usize {
    let is_served = |_: &usize| answer(layer, Request::new(())).body() == SERVED;
    (0..requests).filter(is_served).count()
}

/// Counts of which all others are zero.
fn stats(allowed: u64, denied: u64) -> RateLimitLayerStats {
    let mut stats = RateLimitLayerStats::default();
    (stats.allowed, stats.denied) = (allowed, denied);
    stats
}

/// The address of a connection, as servers attach it.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

fn peer(request: &RequestHead<'_>) -> Option<IpAddr> {
    request.extension::<Peer>().map(|peer| peer.0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The key that a client names, if it does.
fn key_of(request: &RequestHead<'_>) -> Option<String> {
    let key = request.headers().get("key")?;
    key.to_str().ok().map(ToOwned::to_owned)
}

fn with_key(key: &str) -> Request<()> {
    let request = Request::builder().header("key", key);
    request.body(()).expect("valid")
}

fn field<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    let mut lines = response.headers().get_all(name).iter();
    let line = lines.next()?.to_str().expect("ASCII");
    assert_eq!(lines.next(), None, "{name} is there more than once");
    Some(line)
}
