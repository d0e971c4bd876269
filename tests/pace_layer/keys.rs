//! Requests that wait in a queue of their key, and at an API limiter.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use tidegate::layer::{KeyExtractor, NoKey, PaceLayer, PerKey, Reason, RequestHead};
use tidegate::{
    ApiRateLimiter, Clock, FixedKeyed, Keyed, KeyedShadow, Quota, RateLimitConfig, TokenBucket,
    TokioClock, TrackDenied,
};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use crate::{TOKEN, answers};

/// The number in the path is the key. `/ambiguous` has one too many.
#[derive(Clone, Copy)]
struct Number;

impl KeyExtractor for Number {
    type Key = u32;

    fn extract(&self, request: &RequestHead<'_>) -> Result<u32, NoKey> {
        match &request.path()[1..] {
            "" => Err(NoKey::NotSent),
            "ambiguous" => Err(NoKey::Ambiguous),
            number => number.parse().map_err(|_| NoKey::NotAttached),
        }
    }
}

/// One token per [`TOKEN`] for each key, all on one clock.
fn table(clock: TokioClock) -> Keyed<u32, TokenBucket<TokioClock>> {
    let quota = Quota::per_second(10).burst(1);
    Keyed::new(move |_: &u32| TokenBucket::with_clock(quota, clock))
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("a path")
}

/// 50 requests of each of 10 keys, at ten per second and key. Each key has its rate and its order,
/// although all others wait, too.
#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_queue() {
    let clock = TokioClock::new();
    let table = Arc::new(table(clock));
    let layer = PaceLayer::new(PerKey::new(Arc::clone(&table), Number));
    let service = layer.layer(answers());
    let start = clock.now();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut requests = JoinSet::new();
    for position in 0..50_u32 {
        for key in 0..10_u32 {
            let (service, served) = (service.clone(), Arc::clone(&served));
            requests.spawn(async move {
                let response = service.oneshot(get(&format!("/{key}"))).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let at = clock.now() - start;
                served.lock().unwrap().push((key, position, at));
            });
        }
    }
    tokio::time::sleep(TOKEN / 2).await;
    // One of each key was served.
    assert_eq!((table.waiting(), table.at(&3).waiting()), (490, 49));
    requests.join_all().await;
    let mut served = served.lock().unwrap().clone();
    // Stable, so that the requests of a key stay in the order in which they were served.
    served.sort_by_key(|(key, ..)| *key);
    for (index, (key, position, at)) in (0..).zip(served) {
        assert_eq!((key, position), (index / 50, index % 50));
        let late = at.checked_sub(TOKEN * position).expect("not early");
        assert!(late <= Duration::from_millis(1), "{late:?} late");
    }
    assert_eq!((table.waiting(), layer.stats().allowed), (0, 500));
    assert_eq!(layer.limiter().table().len(), 10);
}

/// Tables by value and by pointer, of either kind. A key that waits does not delay another.
#[tokio::test(start_paused = true)]
async fn every_table_can_be_waited_at() {
    async fn check(layer: PaceLayer<impl tidegate::layer::PaceGate>) {
        let service = layer.layer(answers());
        let clock = TokioClock::new();
        let start = clock.now();
        for path in ["/1", "/1", "/2", "/1"] {
            let response = service.clone().oneshot(get(path)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
        assert_eq!(clock.now() - start, 2 * TOKEN);
    }
    let quota = Quota::per_second(10).burst(1);
    let fixed = || FixedKeyed::with_clock(quota, 100, TokioClock::new());
    let keyed = || table(TokioClock::new());
    check(PaceLayer::new(PerKey::new(fixed(), Number))).await;
    check(PaceLayer::new(PerKey::new(Arc::new(fixed()), Number))).await;
    check(PaceLayer::new(PerKey::new(keyed(), Number))).await;
    check(PaceLayer::new(PerKey::new(Arc::new(keyed()), Number))).await;
}

/// As the other layer does. What needs no permit needs no key.
#[tokio::test(start_paused = true)]
async fn requests_without_a_key_are_rejected() {
    let table = Arc::new(table(TokioClock::new()));
    let layer = PaceLayer::builder(PerKey::new(Arc::clone(&table), Number))
        .cost(|request| u64::from(request.method() != "HEAD"))
        .exempt(|request| request.method() == "OPTIONS")
        .build();
    let service = layer.layer(answers());
    let status = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(());
        let response = service.clone().oneshot(request.unwrap()).await.unwrap();
        assert!(!response.headers().contains_key(RETRY_AFTER));
        response.status()
    };
    assert_eq!(status("GET", "/").await, StatusCode::BAD_REQUEST);
    assert_eq!(status("GET", "/ambiguous").await, StatusCode::BAD_REQUEST);
    let not_attached = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(status("GET", "/other").await, not_attached);
    assert_eq!(status("HEAD", "/").await, StatusCode::OK);
    assert_eq!(status("OPTIONS", "/").await, StatusCode::OK);
    let counts = layer.stats();
    assert_eq!((counts.no_key, counts.allowed, counts.exempt), (3, 1, 1));
    assert!(table.is_empty());

    // Optional keys may be missing, but not ambiguous.
    let layer = PaceLayer::new(PerKey::new(table, Number).optional());
    let service = layer.layer(answers());
    for (path, expected) in [
        ("/", StatusCode::OK),
        ("/other", StatusCode::OK),
        ("/ambiguous", StatusCode::BAD_REQUEST),
        ("/5", StatusCode::OK),
    ] {
        let response = service.clone().oneshot(get(path)).await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    assert_eq!((layer.stats().no_key, layer.stats().allowed), (1, 3));
}

/// A timeout that cannot be met rejects with the whole wait, those of the key ahead included.
#[tokio::test(start_paused = true)]
async fn timeouts_count_those_ahead_of_the_same_key() {
    let clock = TokioClock::new();
    let quota = Quota::per_second(1).burst(1);
    let table = Keyed::new(move |_: &u32| TokenBucket::with_clock(quota, clock));
    let layer = PaceLayer::builder(PerKey::new(table, Number))
        .timeout(Duration::from_secs(5))
        .reject_with(|rejection| {
            assert!(matches!(rejection.reason(), Reason::Limited(_)));
            let response = Response::builder().status(rejection.status());
            response.body(String::new()).unwrap()
        })
        .build();
    let service = layer.layer(answers());
    let mut requests = JoinSet::new();
    // One at once, five within the timeout, and one beyond.
    for position in 0..7_u32 {
        let service = service.clone();
        requests.spawn(async move { (position, service.oneshot(get("/1")).await.unwrap()) });
    }
    tokio::task::yield_now().await;
    let other = service.clone().oneshot(get("/2")).await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    while let Some(joined) = requests.join_next().await {
        let (position, response) = joined.unwrap();
        if position < 6 {
            assert_eq!(response.status(), StatusCode::OK, "{position}");
        } else {
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(response.headers()[RETRY_AFTER], "6");
        }
    }
    assert_eq!((layer.stats().allowed, layer.stats().denied), (7, 1));
}

/// A tracked table lists the keys of requests that were rejected, and a shadow counts them.
/// Requests that wait and are served are no refusals.
#[tokio::test(start_paused = true)]
async fn rejected_requests_are_tracked() {
    let clock = TokioClock::new();
    let fixed = |burst| {
        let quota = Quota::per_second(10).burst(burst);
        FixedKeyed::with_clock(quota, 100, clock)
    };
    let live = TrackDenied::<_, u32>::new(fixed(1), 10);
    let table = Arc::new(KeyedShadow::beside(live, fixed(3)));
    let layer = PaceLayer::builder(PerKey::new(Arc::clone(&table), Number)).timeout(TOKEN);
    let layer = layer.build();
    let mut requests = JoinSet::new();
    for path in ["/1", "/1", "/1", "/1", "/2", "/2"] {
        requests.spawn(layer.layer(answers()).oneshot(get(path)));
    }
    while requests.join_next().await.is_some() {}
    // Of each key one at once and one after a wait.
    assert_eq!((layer.stats().allowed, layer.stats().denied), (4, 2));
    let top = table.live().most_denied().top(10);
    assert_eq!((top.keys.len(), top.keys[0].key), (1, 1));
    assert_eq!((top.keys[0].at_least, top.keys[0].at_most), (2, 2));
    let stats = table.stats();
    assert_eq!((stats.both_admitted, stats.only_live_refused), (4, 2));
}

/// Bounds per key and for the table reject those beyond.
#[tokio::test(start_paused = true)]
async fn full_queues_of_keys_reject() {
    let quota = Quota::per_second(1).burst(1);
    let table = FixedKeyed::with_clock(quota, 100, TokioClock::new())
        .max_waiters(3)
        .max_waiters_per_key(2);
    let table = Arc::new(table);
    let layer = PaceLayer::new(PerKey::new(Arc::clone(&table), Number));
    let service = layer.layer(answers());
    let mut waiting = Vec::new();
    for (path, number) in [("/1", 0), ("/1", 1), ("/1", 2), ("/2", 2), ("/2", 3)] {
        waiting.push(tokio::spawn(service.clone().oneshot(get(path))));
        tokio::task::yield_now().await;
        assert_eq!(table.waiting(), number);
    }
    // Too many of key 1, and too many in all for key 2.
    for path in ["/1", "/2"] {
        let response = service.clone().oneshot(get(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    for request in waiting {
        let response = request.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

/// A client that keeps to the limits of an API. The layer rejects what the limits of an hour do not
/// admit in time, with the wait.
#[tokio::test(start_paused = true)]
async fn requests_wait_at_an_api_limiter() {
    let config = RateLimitConfig {
        requests_per_minute: 10,
        requests_per_hour: 10,
        burst_size: 2,
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    let api = ApiRateLimiter::with_clock(config, TokioClock::new()).unwrap();
    let layer = PaceLayer::builder(api.clone())
        .timeout(Duration::from_secs(60))
        .build();
    let service = layer.layer(answers());
    let start = api.clock().now();
    for _ in 0..10 {
        let response = service.clone().oneshot(get("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let took = api.clock().now() - start;
    assert!(
        took >= Duration::from_secs(48) && took <= Duration::from_millis(48_200),
        "{took:?}"
    );
    let response = service.oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()[RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    // An hour and a slot after the first.
    assert!((3_550..=3_612).contains(&wait), "{wait}");
    assert_eq!((layer.stats().allowed, layer.stats().denied), (10, 1));
    assert_eq!((api.stats().total_requests, api.waiting()), (10, 0));
}
