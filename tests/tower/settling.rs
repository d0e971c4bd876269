//! Requests that are charged by their response.

use core::convert::Infallible;
use core::future::ready;
use core::time::Duration;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use axum::Router;
use axum::routing::post;
use http::{Request, Response, StatusCode};
use tidegate::layer::{Named, PerKey, RateLimitLayer, RequestHead, ResponseHead};
use tidegate::{Combined, FixedKeyed, Keyed, Limiter, ManualClock, Quota, SlidingWindow};
use tower::{Layer, ServiceExt, service_fn};

use crate::servers::{Client, serve};
use crate::{answer_of, bucket, key_of, stats, with_key};

/// What the handler has found that a request costs.
#[derive(Clone, Copy)]
struct Cost(u64);

fn told(_: &RequestHead<'_>, response: &ResponseHead<'_>) -> u64 {
    response.extension::<Cost>().map_or(1, |cost| cost.0)
}

/// Responds with the cost in the request's field `cost`, or without one.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a service")]
fn respond(request: Request<()>) -> core::future::Ready<Result<Response<String>, Infallible>> {
    let mut response = Response::new(String::new());
    if let Some(cost) = request.headers().get("cost") {
        let cost = cost.to_str().expect("ASCII").parse().expect("a number");
        response.extensions_mut().insert(Cost(cost));
    }
    ready(Ok(response))
}

fn costing(cost: u64) -> Request<()> {
    let request = Request::builder()
        .header("key", "a")
        .header("cost", cost.to_string());
    request.body(()).expect("valid")
}

#[test]
fn bucket_gets_back_or_pays_what_the_handler_tells() {
    let clock = ManualClock::new();
    let all = Arc::new(bucket(10, &clock));
    let layer = RateLimitLayer::builder(Arc::clone(&all))
        .cost(|_| 4)
        .settle(told)
        .build();
    let ask = |request| {
        answer_of(layer.layer(service_fn(respond)), request)
            .status()
            .as_u16()
    };
    for (cost, status, left) in [
        (0, 200, 10), // all comes back
        (1, 200, 9),
        (4, 200, 5),
        (6, 200, -1), // a debt
        (0, 429, -1),
    ] {
        assert_eq!(ask(costing(cost)), status, "{cost}");
        let level = i128::from(all.available()) - i128::from(all.debt());
        assert_eq!(level, left, "{cost}");
    }
    // Without a word of the handler.
    all.reset();
    assert_eq!(ask(with_key("a")), 200);
    assert_eq!(all.available(), 9);
}

/// The refund of one request among others that were charged after it.
#[test]
fn refund_does_not_need_the_last_charge() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(10);
    let fixed = Arc::new(FixedKeyed::with_clock(quota, 100, clock.clone()));
    let of_key = clock.clone();
    let keyed = Arc::new(Keyed::new(move |_: &String| bucket(10, &of_key)));
    let gate = (
        Named::new("all", Arc::new(bucket(10, &clock))),
        PerKey::new(Arc::clone(&fixed), key_of),
        PerKey::new(Arc::clone(&keyed), key_of),
    );
    let all = Arc::clone(gate.0.gate());
    let layer = RateLimitLayer::builder(gate).settle(told).build();
    let held = service_fn(|request: Request<()>| async move {
        tokio::task::yield_now().await; // the charges of all come before the first response
        respond(request).await
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let costs = [0, 1, 0, 3, 0];
    let answers = costs.map(|cost| layer.layer(held).oneshot(costing(cost)));
    let left = || {
        let key = "a".to_owned();
        [
            all.available(),
            fixed.available(&key),
            keyed.available(&key),
        ]
    };
    let answers = runtime.block_on(futures_util::future::join_all(answers));
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(left(), [6; 3]);
}

#[test]
fn windows_and_combinations_get_back_what_can_be_undone() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(5, Duration::from_secs(60), clock.clone());
    let window = Arc::new(window.expect("valid"));
    let layer = RateLimitLayer::builder(Arc::clone(&window))
        .cost(|_| 2)
        .settle(told)
        .build();
    let ask = |request| {
        answer_of(layer.layer(service_fn(respond)), request)
            .status()
            .as_u16()
    };
    assert_eq!((ask(costing(0)), window.available()), (200, 5));
    // A part cannot be undone.
    assert_eq!((ask(costing(1)), window.available()), (200, 3));
    // More is charged as far as there is room.
    assert_eq!((ask(costing(9)), window.available()), (200, 0));

    let combined = Combined::builder()
        .limit("a", bucket(9, &clock))
        .limit("b", bucket(7, &clock));
    let combined = Arc::new(combined.build());
    let layer = RateLimitLayer::builder(Arc::clone(&combined))
        .cost(|_| 2)
        .settle(told)
        .build();
    let ask = |request| {
        answer_of(layer.layer(service_fn(respond)), request)
            .status()
            .as_u16()
    };
    assert_eq!((ask(costing(0)), combined.available()), (200, 7));
    assert_eq!((ask(costing(3)), combined.available()), (200, 4));
    let now = Limiter::now(&*combined);
    assert_eq!(combined.available_in_at("a", now), Some(6));
}

#[test]
fn failed_and_dropped_requests_stay_charged() {
    let clock = ManualClock::new();
    let all = Arc::new(bucket(10, &clock));
    let layer = RateLimitLayer::builder(Arc::clone(&all))
        .settle(|_, _| 0)
        .build();
    let fails = service_fn(|_: Request<()>| ready(Err::<Response<String>, _>("broken")));
    let failed =
        futures_util::FutureExt::now_or_never(layer.layer(fails).oneshot(Request::new(())));
    assert!(failed.expect("ready").is_err());
    assert_eq!(all.available(), 9);
    drop(layer.layer(service_fn(respond)).oneshot(Request::new(())));
    assert_eq!(all.available(), 9, "a request that was never sent is none");
    let never =
        service_fn(|_: Request<()>| core::future::pending::<Result<Response<String>, ()>>());
    let waiting =
        futures_util::FutureExt::now_or_never(layer.layer(never).oneshot(Request::new(())));
    assert!(waiting.is_none());
    assert_eq!(all.available(), 8);
}

/// A real server checks five of 18 wrong log-ins at once. Right ones cost nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_wrong_log_ins() {
    let clock = ManualClock::new();
    let failures = Arc::new(FixedKeyed::with_clock(
        Quota::per_minute(5),
        1_000,
        clock.clone(),
    ));
    let layer = RateLimitLayer::builder(PerKey::new(Arc::clone(&failures), key_of))
        .settle(|_, response| u64::from(response.status() == StatusCode::UNAUTHORIZED))
        .build();
    let checked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&checked);
    let check = move |headers: http::HeaderMap| async move {
        counting.fetch_add(1, SeqCst);
        // As slow as a hash of a password, so that all arrive before the first answer.
        tokio::time::sleep(Duration::from_millis(50)).await;
        if headers.contains_key("right") {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        }
    };
    let app = Router::new().route("/", post(check)).layer(layer.clone());
    let server = serve(app).await;
    let log_in = |user: &'static str, word: &'static str| async move {
        let client = Client::http1(server).await;
        let request = Request::post("/").header("key", user).header(word, "");
        client.send(request).await.status.as_u16()
    };
    let wrong = (0..18).map(|_| log_in("alice", "wrong"));
    let mut statuses = futures_util::future::join_all(wrong).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 5].as_slice(), &[429; 13]].concat());
    assert_eq!(checked.load(SeqCst), 5);
    assert_eq!(log_in("alice", "right").await, 429);

    // Another user is not touched, and right log-ins one after the other cost nothing.
    for _ in 0..20 {
        assert_eq!(log_in("bob", "right").await, 200);
    }
    assert_eq!(failures.available("bob"), 5);
    // In a minute, all five attempts are back.
    clock.advance(Duration::from_secs(60));
    assert_eq!(log_in("alice", "right").await, 200);
    assert_eq!(
        (failures.available("alice"), layer.stats()),
        (5, stats(26, 14))
    );
}

/// Every table, view and shadow settles as the bucket that it holds.
#[test]
fn wrappers_settle_as_what_they_hold() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(10);
    let fixed = || Arc::new(FixedKeyed::with_clock(quota, 100, clock.clone()));
    let of_key = clock.clone();
    let keyed = Arc::new(Keyed::new(move |_: &String| bucket(10, &of_key)));
    let table = fixed();
    let view = tidegate::KeyView::owned(Arc::clone(&table), "a".to_owned());
    let shadow = Arc::new(tidegate::Shadow::beside(
        bucket(10, &clock),
        bucket(10, &clock),
    ));
    let (live, candidate) = (bucket(10, &clock), bucket(4, &clock));
    let strict = Arc::new(tidegate::Shadow::beside(live, candidate));
    let gate = (
        PerKey::new(Arc::clone(&keyed), key_of),
        view,
        Arc::clone(&shadow),
        Arc::clone(&strict),
    );
    let layer = RateLimitLayer::builder(gate)
        .cost(|_| 4)
        .settle(told)
        .build();
    let ask = |cost| {
        let answer = answer_of(layer.layer(service_fn(respond)), costing(cost));
        answer.status().as_u16()
    };
    let key = "a".to_owned();
    let left = || {
        [
            keyed.available(&key),
            table.available(&key),
            shadow.live().available(),
            shadow.candidate().available(),
            strict.live().available(),
        ]
    };
    assert_eq!((ask(1), left()), (200, [9; 5]));
    // The strict candidate refuses this one, and so gets nothing back for it.
    assert_eq!((ask(2), left()), (200, [7; 5]));
    assert_eq!(strict.candidate().available(), 3);
    assert_eq!((ask(9), left()), (200, [0; 5]));
    assert_eq!((keyed.at(&key).debt(), table.at(&key).debt()), (2, 2));
}

#[cfg(feature = "dashmap")]
#[test]
fn buckets_in_a_map_of_the_program_are_settled() {
    let clock = ManualClock::new();
    let sessions = Arc::new(dashmap::DashMap::<String, crate::Bucket>::new());
    let of_key = clock.clone();
    let table = tidegate::DashKeyed::with_clock(
        Arc::clone(&sessions),
        |bucket: &crate::Bucket| bucket,
        clock.clone(),
    )
    .or_insert_with(move |_: &String| bucket(10, &of_key));
    let layer = RateLimitLayer::builder(PerKey::new(table, key_of))
        .cost(|_| 4)
        .settle(told)
        .build();
    let ask = |cost| _ = answer_of(layer.layer(service_fn(respond)), costing(cost));
    let level = || {
        let bucket = sessions.get("a").expect("added");
        i128::from(bucket.available()) - i128::from(bucket.debt())
    };
    for (cost, left) in [(0, 10), (1, 9), (4, 5), (9, -4)] {
        ask(cost);
        assert_eq!(level(), left, "{cost}");
    }
}

/// Wrong words of one user lock it out; right ones never do, however many there are at once.
#[test]
fn penalty_box_locks_out_by_the_response() {
    let clock = ManualClock::new();
    let (minute, quarter) = (Duration::from_secs(60), Duration::from_secs(900));
    let log_ins = tidegate::PenaltyBox::with_clock(3, minute, quarter, clock.clone());
    let gate = (
        bucket(100, &clock),
        Named::new("log-ins", PerKey::new(log_ins.clone(), key_of)),
    );
    let layer = RateLimitLayer::builder(gate).settle(told).build();
    let ask = |cost| answer_of(layer.layer(service_fn(respond)), costing(cost));
    for _ in 0..20 {
        assert_eq!(ask(0).status(), 200);
    }
    for failed in 1..=3 {
        assert_eq!(ask(1).status(), 200, "{failed}");
    }
    let refusal = ask(0);
    assert_eq!(refusal.status(), 429);
    assert_eq!(crate::field(&refusal, "retry-after"), Some("900"));
    assert_eq!(
        crate::field(&refusal, "ratelimit"),
        Some(r#""log-ins";r=0;t=900"#)
    );
    assert_eq!(log_ins.locked_out(&"a".to_owned()), Some(quarter));
    clock.advance(quarter);
    assert_eq!(ask(0).status(), 200);

    // A client that leaves has failed, as its word may have been checked.
    let never =
        service_fn(|_: Request<()>| core::future::pending::<Result<Response<String>, ()>>());
    for _ in 0..3 {
        let left = layer.layer(never).oneshot(costing(0));
        assert!(futures_util::FutureExt::now_or_never(left).is_none());
    }
    assert_eq!(ask(0).status(), 429);
}
