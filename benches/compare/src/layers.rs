//! Services behind a layer that limits them, beside tower_governor's.
//!
//! Each request carries the address that it comes from; the service behind the layer answers at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tidegate::tower::{HeaderStyle, PerKey, RateLimitLayer, RequestHead, Reset};
use tidegate::{FixedKeyed, IpKey, Keyed, Quota, TokenBucket};
use tower::{Layer, Service};
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::{GlobalKeyExtractor, KeyExtractor};
use tower_governor::{GovernorError, GovernorLayer};

/// What servers attach to a request.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// One of 1 000 clients.
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

/// A service that every request gets a clone of, as servers do.
pub trait Served: Sync {
    /// Whether it was answered, and not refused.
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
            Poll::Ready(Ok(response)) => response.status().is_success(),
            Poll::Pending => unreachable!("both are ready at once"),
        }
    }
}

/// tower_governor's extractors want types of axum; this one gives the same key.
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

/// Something to do with each service of [`for_each_service`].
pub trait Visitor {
    fn visit(&mut self, name: &str, service: &dyn Served);
}

/// One in so many seconds, and `burst` at once.
pub fn for_each_service(seconds: u64, burst: u32, visitor: &mut impl Visitor) {
    let quota = Quota::new(1, Duration::from_secs(seconds));
    let quota = quota.and_then(|quota| quota.try_burst(burst.into()));
    let quota = quota.expect("fits");
    let address = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
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
