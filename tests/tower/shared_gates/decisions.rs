//! Who decides in which order, and what comes back.

use alloc::sync::Arc;
use core::convert::Infallible;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use tidegate::layer::{
    InFlightPerKey, Named, PerKey, RateLimitLayer, RequestHead, SharedDecision, TooManyRequests,
};
use tidegate::{FixedKeyed, InFlight, ManualClock, Quota, TokenBucket};
use tower::{Layer, Service, service_fn};

use super::{Remote, refused, unavailable};
use crate::{SERVED, answer, answer_of, bucket, key_of, serve, stats, with_key};

#[test]
fn only_a_shared_limit_decides() {
    let remote = Remote::new([SharedDecision::admitted(), refused(), unavailable()]);
    let layer = RateLimitLayer::shared(remote.clone());
    let first = answer(&layer, Request::new(()));
    assert_eq!((first.status(), &**first.body()), (StatusCode::OK, SERVED));
    for status in [429, 503] {
        let rejected = answer(&layer, Request::new(()));
        assert_eq!(rejected.status().as_u16(), status);
        assert_eq!(rejected.body(), "");
    }
    let mut counts = stats(1, 1);
    counts.unavailable = 1;
    assert_eq!((layer.stats(), remote.asked()), (counts, vec![1; 3]));
    assert_eq!(layer.shared_gate().asked(), vec![1; 3]);
}

#[test]
fn request_that_a_limit_here_refuses_does_not_go_there() {
    let remote = Remote::new([]);
    let busy = InFlight::new(1);
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new()))
        .in_flight(busy.clone())
        .shared(remote.clone())
        .build();
    let mut service = layer.layer(service_fn(serve));
    let mut ask = || {
        service
            .call(Request::new(()))
            .now_or_never()
            .expect("ready")
    };
    let permit = busy.try_acquire().expect("free");
    assert_eq!(ask().expect("no error").status(), 429);
    assert!(remote.asked().is_empty());
    drop(permit);
    assert_eq!(ask().expect("no error").status(), 200);
    assert_eq!(ask().expect("no error").status(), 429);
    assert_eq!(remote.asked(), [1]);
    assert_eq!((layer.stats(), busy.in_flight()), (stats(1, 2), 0));
}

#[test]
fn what_the_shared_limit_refuses_costs_nothing_here() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(5);
    let keys = FixedKeyed::with_clock(quota, 100, clock.clone());
    let gate = (
        Named::new("all", bucket(9, &clock)),
        PerKey::new(keys, key_of),
    );
    let remote = Remote::new([refused(), unavailable(), SharedDecision::admitted()]);
    let layer = RateLimitLayer::builder(gate)
        .cost(|_| 2)
        .shared(remote.clone())
        .build();
    let left = || {
        let (all, keys) = layer.gate();
        (all.gate().available(), keys.table().available("a"))
    };
    for status in [429, 503] {
        assert_eq!(answer(&layer, with_key("a")).status(), status);
        assert_eq!(left(), (9, 5));
    }
    assert_eq!(answer(&layer, with_key("a")).status(), 200);
    assert_eq!((left(), layer.stats().forfeited), ((7, 3), 0));
    assert_eq!(remote.asked(), [2; 3]);
}

/// The service is called once both have admitted, and the permit is kept as without a shared limit.
#[test]
fn permits_in_flight_are_kept_until_the_body_has_ended() {
    let remote = Remote::new([refused(), SharedDecision::admitted()]);
    let busy = InFlightPerKey::new(1, key_of);
    let layer = RateLimitLayer::builder(())
        .in_flight(busy.clone())
        .shared(remote)
        .build();
    let mut service = layer.layer(service_fn(serve));
    let mut ask = || {
        let response = service.call(with_key("a")).now_or_never();
        response.expect("ready").expect("no error")
    };
    let a = "a".to_owned();
    assert_eq!(
        (ask().status(), busy.in_flight(&a)),
        (StatusCode::TOO_MANY_REQUESTS, 0)
    );
    let response = ask();
    assert_eq!((response.status(), busy.in_flight(&a)), (StatusCode::OK, 1));
    drop(response);
    assert_eq!(busy.in_flight(&a), 0);
}

#[test]
fn free_and_exempt_requests_do_not_go_there() {
    let remote = Remote::new([]);
    let layer = RateLimitLayer::shared_builder(remote.clone())
        .cost(|request| u64::from(request.path() != "/free"))
        .exempt(|request| request.path() == "/health")
        .build();
    for path in ["/free", "/health"] {
        // They need no key either.
        let request = Request::get(path).header("lost", "").body(());
        assert_eq!(answer(&layer, request.expect("valid")).status(), 200);
    }
    assert!(remote.asked().is_empty());
    let mut counts = stats(1, 0);
    counts.exempt = 1;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn missing_key_is_rejected_before_any_charge() {
    let remote = Remote::new([]);
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .shared(Named::new("remote", remote.clone()))
        .reject_with(|rejection| Response::new(rejection.limit().to_owned()))
        .build();
    let request = Request::builder().header("lost", "").body(());
    assert_eq!(answer(&layer, request.expect("valid")).body(), "remote");
    assert_eq!((layer.gate().available(), layer.stats().no_key), (5, 1));
    assert!(remote.asked().is_empty());
}

#[test]
fn dry_run_forwards_what_either_would_reject() {
    let remote = Remote::new([refused(), unavailable(), SharedDecision::admitted()]);
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new()))
        .dry_run(true)
        .shared(remote.clone())
        .build();
    for _ in 0..4 {
        let response = answer(&layer, Request::new(()));
        assert_eq!(response.body(), SERVED);
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }
    let mut counts = stats(1, 0);
    (counts.shadow_denied, counts.unavailable) = (2, 1);
    assert_eq!(layer.stats(), counts);
    // The last one was refused here.
    assert_eq!(remote.asked(), [1; 3]);
}

#[test]
fn candidate_sees_what_both_have_decided() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::builder(bucket(3, &clock))
        .shadow(bucket(1, &clock))
        .shared(Remote::new([refused(), unavailable()]))
        .build();
    for _ in 0..5 {
        answer(&layer, Request::new(()));
    }
    let shadow = layer.stats().shadow;
    assert_eq!(
        (shadow.both_admitted, shadow.only_candidate_refused),
        (1, 2)
    );
    assert_eq!((shadow.only_live_refused, shadow.both_refused), (2, 0));
}

#[test]
fn gate_here_is_settled_and_the_shared_limit_is_not() {
    let remote = Remote::new([]);
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .settle(|_, _| 0)
        .shared(remote.clone())
        .build();
    for _ in 0..9 {
        assert_eq!(answer(&layer, Request::new(())).status(), 200);
    }
    assert_eq!((layer.gate().available(), remote.asked()), (5, vec![1; 9]));
}

#[test]
fn decision_by_hand_is_that_of_the_service() {
    let remote = Remote::new([SharedDecision::admitted(), refused()]);
    let busy = InFlight::new(9);
    let layer = RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .in_flight(busy.clone())
        .shared(remote)
        .build();
    let request = Request::new(());
    let head = RequestHead::new(&request);
    let decide = || layer.decide_shared::<String>(&head).now_or_never();
    let admission = decide().expect("ready").expect("admitted");
    assert_eq!(busy.in_flight(), 1);
    let response = admission.respond(Response::new(String::new()));
    assert_eq!(response.headers()["ratelimit"], r#""default";r=4;t=1"#);
    drop(response);
    let rejected = decide().expect("ready").expect_err("refused");
    assert_eq!(rejected.status(), 429);
    assert_eq!((busy.in_flight(), layer.gate().available()), (0, 4));
    // As one without a shared limit.
    let here = RateLimitLayer::new(bucket(5, &ManualClock::new()));
    assert!(here.decide::<String>(&head).is_ok());
}

/// Each clone counts its calls, and only the first is ready.
#[test]
fn ready_service_is_called_and_not_its_clone() {
    struct Ready(bool, Arc<core::sync::atomic::AtomicU64>);

    impl Clone for Ready {
        fn clone(&self) -> Self {
            Self(false, Arc::clone(&self.1))
        }
    }

    impl Service<Request<()>> for Ready {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = core::future::Ready<Result<Response<String>, Infallible>>;

        fn poll_ready(
            &mut self,
            _: &mut core::task::Context<'_>,
        ) -> core::task::Poll<Result<(), Infallible>> {
            self.0 = true;
            core::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            assert!(self.0, "it was not ready");
            self.0 = false;
            self.1.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            serve(request)
        }
    }

    let calls = Arc::default();
    let layer = RateLimitLayer::shared(Remote::new([SharedDecision::admitted(), refused()]));
    let service = layer.layer(Ready(false, Arc::clone(&calls)));
    for status in [200, 429, 200] {
        assert_eq!(
            answer_of(service.clone(), Request::new(())).status(),
            status
        );
    }
    assert_eq!(calls.load(core::sync::atomic::Ordering::Relaxed), 2);
}

/// The type of a layer without a shared limit reads as it did.
#[test]
fn layers_without_a_shared_limit_have_three_parameters() {
    type Plain = RateLimitLayer<TokenBucket<ManualClock>, (), TooManyRequests>;
    let layer: Plain = RateLimitLayer::new(bucket(1, &ManualClock::new()));
    assert_eq!(answer(&layer, Request::new(())).status(), 200);
    let nothing = RateLimitLayer::new(());
    let response = answer(&nothing, Request::new(()));
    assert!(response.headers().is_empty());
    assert_eq!(nothing.stats(), stats(1, 0));
}
