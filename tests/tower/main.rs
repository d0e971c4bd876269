//! Rate limit layers, with real servers and hostile clients.

#![expect(
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

extern crate alloc;

mod api_keys;
mod axum_counts;
mod axum_peers;
mod builder_options;
mod content_bytes;
mod fields_of_the_charge;
mod forwarded_for;
mod gate_lists;
mod gate_tuple_races;
mod gate_tuples;
mod grpc_calls;
mod grpc_details;
mod grpc_detection;
mod header_values;
mod in_flight;
mod keys;
mod metrics_and_events;
mod policies;
mod regressions;
mod response_headers;
mod servers;
mod service_contract;
mod settling;
mod shadows;
mod shared_gates;
mod shared_limit;
mod snapshots;
mod trusted_networks;

#[path = "../parallel/mod.rs"]
mod parallel;

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::net::IpAddr;
use core::time::Duration;

use http::{Request, Response};
use tidegate::layer::{RateLimitLayerStats, RequestHead};
use tidegate::{Clock, ManualClock, Quota, TokenBucket};
use tower::util::ServiceFn;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

type Bucket = TokenBucket<ManualClock>;

/// One token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// Takes all available tokens.
fn drain<C: Clock>(bucket: &TokenBucket<C>) {
    let available = bucket.available();
    bucket.try_acquire(available).expect("they are available");
}

/// The body that the inner service responds with. No rejection has it.
const SERVED: &str = "served";

fn serve<A>(_: Request<A>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new(SERVED.to_owned())))
}

type Serve<A> = fn(Request<A>) -> Ready<Result<Response<String>, Infallible>>;

/// A layer that leaves the body of responses as it is.
trait PlainLayer<A>:
    Layer<
        ServiceFn<Serve<A>>,
        Service: Service<Request<A>, Response = Response<String>, Error = Infallible>,
    >
{
}

impl<A, L> PlainLayer<A> for L where
    L: Layer<
            ServiceFn<Serve<A>>,
            Service: Service<Request<A>, Response = Response<String>, Error = Infallible>,
        >
{
}

/// Returns the response of a service behind `layer` that responds at once.
fn answer<A>(layer: &impl PlainLayer<A>, request: Request<A>) -> Response<String> {
    answer_of(layer.layer(service_fn(serve as Serve<A>)), request)
}

/// Returns the response of a service whose futures are never pending.
fn answer_of<S, A>(service: S, request: Request<A>) -> Response<String>
where
    S: Service<Request<A>, Response = Response<String>, Error = Infallible>,
{
    let answer = futures_util::FutureExt::now_or_never(service.oneshot(request));
    answer.expect("ready at once").expect("no error")
}

/// Returns how many of `requests` requests behind `layer` are served.
fn served(layer: &impl PlainLayer<()>, requests: usize) -> usize {
    let is_served = |_: &usize| answer(layer, Request::new(())).body() == SERVED;
    (0..requests).filter(is_served).count()
}

/// Returns counts with these values and otherwise zeros.
fn stats(allowed: u64, denied: u64) -> RateLimitLayerStats {
    let mut stats = RateLimitLayerStats::default();
    (stats.allowed, stats.denied) = (allowed, denied);
    stats
}

/// The address of a connection, as a server attaches it.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

fn peer(request: &RequestHead<'_>) -> Option<IpAddr> {
    request.extension::<Peer>().map(|peer| peer.0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Returns the key that a client sent in the field `key`.
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
    assert_eq!(lines.next(), None, "{name} is repeated");
    Some(line)
}
