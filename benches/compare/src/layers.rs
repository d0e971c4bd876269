//! Services behind tidegate's layer and behind tower_governor's.
//!
//! Each request carries the address of its client. The service behind the layer answers at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tidegate::layer::{Attached, HeaderStyle, PerKey, RateLimitLayer, Reset};
use tidegate::{FixedKeyed, IpKey, Keyed, Quota, TokenBucket};
use tower::{Layer, Service};
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::{GlobalKeyExtractor, KeyExtractor};
use tower_governor::{GovernorError, GovernorLayer};

/// The address of the client, which a server attaches to the request.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Returns one of 1 000 clients.
pub fn peer(number: u64) -> Peer {
    let [.., high, low] = (number % 1_000).to_be_bytes();
    Peer(SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 1_234)))
}

pub fn request(peer: Peer) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(peer);
    request
}

/// Answers at once.
#[derive(Clone, Copy)]
pub struct Answer;

impl Service<Request<()>> for Answer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

/// A service. As in a server, each request gets a clone.
pub trait Served: Sync {
    /// Sends a request, uses the whole response, and returns whether it was admitted.
    ///
    /// The benchmark calls it through `dyn`, so it is not inlined.
    fn admits(&self, request: Request<()>) -> bool;
}

impl<S> Served for S
where
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible> + Clone + Sync,
{
    #[inline]
    fn admits(&self, request: Request<()>) -> bool {
        let mut service = self.clone();
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => black_box(response).status().is_success(),
            Poll::Pending => unreachable!("the service answers at once"),
        }
    }
}

/// Extracts the same key as tidegate's layer. tower_governor's own extractor needs axum's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PeerAddress;

impl KeyExtractor for PeerAddress {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let peer = request.extensions().get::<Peer>();
        peer.map(|peer| peer.0.ip())
            .ok_or(GovernorError::UnableToExtractKey)
    }
}

/// The work on each service.
pub trait ServiceVisitor {
    fn visit(&mut self, name: &str, service: &dyn Served);
}

/// Visits every service. The limit is one request per `seconds`, and `burst` at once.
pub fn for_each_service(seconds: u64, burst: u32, visitor: &mut impl ServiceVisitor) {
    let quota = Quota::new(1, Duration::from_secs(seconds));
    let quota = quota.and_then(|quota| quota.try_burst(burst.into()));
    let quota = quota.expect("in range");
    let address = Attached::new(|peer: &Peer| IpKey::from(peer.0));
    let bucket = || TokenBucket::new(quota);
    let fixed = || PerKey::new(FixedKeyed::new(quota, 10_000), address);
    let keyed = || {
        PerKey::new(
            Keyed::new(move |_: &IpKey| TokenBucket::new(quota)),
            address,
        )
    };
    macro_rules! ours {
        ($name:literal, $gate:expr) => {
            for (fields, style) in [
                ("no fields", HeaderStyle::RetryAfterOnly),
                ("fields", HeaderStyle::Draft11),
                (
                    "X fields",
                    HeaderStyle::LegacyX {
                        reset: Reset::Delta,
                    },
                ),
            ] {
                let layer = RateLimitLayer::builder($gate).headers(style).build();
                visitor.visit(
                    &format!("tidegate {}, {fields}", $name),
                    &layer.layer(Answer),
                );
            }
        };
    }
    let config = || {
        let mut config = GovernorConfigBuilder::default();
        config.per_second(seconds).burst_size(burst);
        config
    };
    macro_rules! theirs {
        ($name:literal, $key:expr) => {
            let plain = config().key_extractor($key).finish().expect("not zero");
            let layer = GovernorLayer::new(plain);
            visitor.visit(
                concat!("tower_governor ", $name, ", no fields"),
                &layer.layer(Answer),
            );
            let fields = config().key_extractor($key).use_headers().finish();
            let layer = GovernorLayer::new(fields.expect("not zero"));
            visitor.visit(
                concat!("tower_governor ", $name, ", X fields"),
                &layer.layer(Answer),
            );
        };
    }

    ours!("one bucket", bucket());
    theirs!("one bucket", GlobalKeyExtractor);
    ours!("FixedKeyed per address", fixed());
    ours!("Keyed per address", keyed());
    theirs!("per address", PeerAddress);
}
