//! Windows: what they admit and deny, alone, with buckets and for each key.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use tidegate::{Denied, Quota, WindowError};
use tidegate_redis::{
    AdmittedBy, BuildError, RedisCombined, RedisSlidingWindow, RedisStore, SharedLimit,
};
use tokio::task::JoinSet;

use super::{each_server, key_count, ms};
use crate::support::admission::{Admission, now_ns};
use crate::support::limiters::{
    HOUR, MINUTE, combined, connect, denied, keyed, patient_store, uncached,
};
use crate::support::server::ServerOptions;
use crate::support::window_bound::assert_window_bound;

fn window(store: &RedisStore, limit: u64, length: Duration) -> RedisSlidingWindow {
    RedisSlidingWindow::with_options(store, "window", limit, length, uncached()).unwrap()
}

#[tokio::test]
async fn limit_is_followed_by_a_denial_with_an_honest_hint() {
    for server in each_server() {
        let store = connect(&server);
        let window = window(&store, 5, HOUR);
        let slot = HOUR / 64;
        for taken in 1..=5 {
            let admitted = window.try_acquire(1).await.unwrap();
            assert_eq!(admitted.by(), AdmittedBy::Server);
            assert_eq!(admitted.available(), Some(5 - taken));
            let refill = admitted.refill_time().unwrap();
            assert!(refill > HOUR && refill <= HOUR + slot, "{refill:?}");
        }
        let hint = denied(window.try_acquire(1).await);
        assert!(hint + MINUTE > HOUR && hint <= HOUR + slot, "{hint:?}");
        assert_eq!(denied(window.peek(5).await).max(hint), hint);
        // Half an hour early, no delay of the machine makes the permits available.
        server.set_clock_offset_ms(ms(hint / 2));
        let rest = denied(window.try_acquire(1).await);
        assert!(rest <= hint / 2 + Duration::from_millis(1), "{rest:?}");
        server.set_clock_offset_ms(ms(hint / 2) + ms(rest));
        assert_eq!(window.try_acquire(5).await.unwrap().available(), Some(0));
        let stats = window.stats();
        assert_eq!((stats.admitted, stats.denied), (6, 2));
    }
}

#[tokio::test]
async fn peek_debit_and_reset() {
    for server in each_server() {
        let window = window(&connect(&server), 10, HOUR);
        assert_eq!((window.limit(), window.window()), (10, HOUR));
        for _ in 0..5 {
            assert_eq!(window.peek(10).await.unwrap().available(), Some(10));
            assert_eq!(window.try_acquire(0).await.unwrap().available(), Some(10));
        }
        assert_eq!(key_count(&server), 0, "nothing is written");
        window.debit(14).await.unwrap();
        assert_eq!(window.available().await.unwrap(), 0);
        denied(window.try_acquire(1).await);
        assert!(window.try_acquire(0).await.is_ok());
        let never = window.try_acquire(11).await.unwrap_err();
        assert_eq!(never.denied(), Some(Denied::Never { capacity: 10 }));
        window.reset().await.unwrap();
        assert_eq!(window.try_acquire(10).await.unwrap().available(), Some(0));
        // The key ends when the window is empty.
        server.set_clock_offset_ms(ms(HOUR + HOUR / 32));
        assert_eq!(window.available().await.unwrap(), 10);
        assert_eq!(key_count(&server), 0);
    }
}

#[tokio::test]
async fn unsupported_windows_are_build_errors() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let build = |limit, length| RedisSlidingWindow::new(&store, "window", limit, length);
    let century = HOUR * 24 * 366 * 100;
    for (limit, length, why) in [
        (0, HOUR, WindowError::ZeroLimit),
        (1, Duration::ZERO, WindowError::ZeroWindow),
        (1, century * 2, WindowError::WindowTooLong),
        (
            (1 << 46) + 1,
            century,
            WindowError::LimitTooLarge { max: 1 << 46 },
        ),
    ] {
        assert_eq!(build(limit, length).unwrap_err(), BuildError::Window(why));
        let limits = [("one", SharedLimit::window(limit, length))];
        let combined = RedisCombined::new(&store, "combined", limits);
        assert_eq!(combined.unwrap_err(), BuildError::Window(why));
    }
    assert_eq!(store.stats().calls, 0);
}

/// While a slot lasts, a call reads the head and writes the total.
#[tokio::test]
async fn decision_is_one_round_trip_of_few_commands() {
    for server in each_server() {
        let store = connect(&server);
        let window = window(&store, 1_000, HOUR * 24 * 365);
        window.try_acquire(1).await.unwrap();
        let before = ["evalsha", "time", "get", "setrange", "getrange", "set"];
        let before = before.map(|command| server.calls(command));
        for _ in 0..10 {
            window.try_acquire(1).await.unwrap();
        }
        let names = ["evalsha", "time", "get", "setrange", "getrange", "set"];
        let calls = names.map(|command| server.calls(command));
        let more: Vec<_> = calls
            .iter()
            .zip(&before)
            .map(|(now, then)| now - then)
            .collect();
        assert_eq!(more, [10, 10, 10, 10, 0, 0]);
        assert_eq!(window.available().await.unwrap(), 1_000 - 11);
    }
}

#[tokio::test]
async fn windows_and_buckets_are_charged_together_or_not_at_all() {
    for server in each_server() {
        let store = connect(&server);
        let limits = [
            ("burst", SharedLimit::bucket(Quota::per_hour(4))),
            ("hour", SharedLimit::window(6, HOUR)),
            ("day", SharedLimit::window(8, HOUR * 24)),
        ];
        let model = combined(&store, "model", limits);
        let users = keyed(&store, "user", limits);
        model.try_acquire_each(&[1, 5, 5]).await.unwrap();
        users.try_acquire_each("alice", &[1, 5, 5]).await.unwrap();
        for costs in [[1, 2, 1], [1, 2, 4], [4, 0, 4]] {
            let results = [
                model.try_acquire_each(&costs).await,
                model.peek_each(&costs).await,
                users.try_acquire_each("alice", &costs).await,
            ];
            let limit = if costs[2] == 4 { "day" } else { "hour" };
            for result in results {
                let error = result.unwrap_err();
                assert_eq!(error.limit(), Some(limit), "{error}");
                assert!(error.retry_after() <= Some(HOUR * 25), "{error}");
            }
            assert_eq!(model.available().await.unwrap(), [3, 1, 3]);
            assert_eq!(users.available("alice").await.unwrap(), [3, 1, 3]);
        }
        let admitted = model.try_acquire(1).await.unwrap();
        assert_eq!(admitted.available(), Some(0));
        let refill = admitted.refill_time().unwrap();
        assert!(refill > HOUR * 24, "the longest of all limits: {refill:?}");
        model.debit_each(&[0, 5, 0]).await.unwrap();
        assert_eq!(model.available().await.unwrap(), [2, 0, 2]);
        model.reset().await.unwrap();
        assert_eq!(model.available().await.unwrap(), [4, 6, 8]);
        assert_eq!(users.available("bob").await.unwrap(), [4, 6, 8]);
    }
}

#[tokio::test]
async fn a_window_for_each_key() {
    for server in each_server() {
        let users = keyed(&connect(&server), "user", SharedLimit::window(2, HOUR));
        for key in ["alice", "bob"] {
            users.try_acquire(key, 2).await.unwrap();
            denied(users.try_acquire(key, 1).await);
        }
        users.reset("alice").await.unwrap();
        assert_eq!(users.available("alice").await.unwrap(), [2]);
        assert_eq!(users.available("bob").await.unwrap(), [0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_served_in_order_within_the_bound() {
    let server = ServerOptions::default().start();
    let length = Duration::from_millis(200);
    let window = window(&connect(&server), 10, length);
    let (order, admissions) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let acquire = async |number: usize, n| {
        let start_ns = now_ns();
        window.acquire(n).await.unwrap();
        admissions
            .lock()
            .unwrap()
            .push(Admission::since(start_ns, n));
        order.lock().unwrap().push(number);
    };
    tokio::join!(
        acquire(0, 6),
        acquire(1, 10),
        acquire(2, 1),
        async {
            let brief = window.acquire(10).timeout(Duration::from_millis(5));
            assert!(brief.await.is_err(), "it leaves the line");
        },
        acquire(3, 9),
        acquire(4, 5),
    );
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    assert_window_bound(10, length, &admissions.into_inner().unwrap());
}

/// Several nodes call as often as they can, while the server's clock steps back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_keep_the_bound_and_go_on_through_clock_steps() {
    let length = Duration::from_millis(150);
    for server in each_server() {
        let mut nodes = JoinSet::new();
        let stop = Arc::new(tokio::sync::Notify::new());
        for _ in 0..3 {
            let window = window(&patient_store().connect(server.url()).unwrap(), 20, length);
            let stop = Arc::clone(&stop);
            nodes.spawn(async move {
                let mut admissions = Vec::new();
                let mut stopped = core::pin::pin!(stop.notified());
                stopped.as_mut().enable();
                loop {
                    let start_ns = now_ns();
                    if window.try_acquire(1).await.is_ok() {
                        admissions.push(Admission::since(start_ns, 1));
                    }
                    let pause = tokio::time::sleep(Duration::from_millis(1));
                    tokio::select! {
                        () = &mut stopped => return admissions,
                        () = pause => {}
                    }
                }
            });
        }
        let probe = window(&connect(&server), 20, length);
        for offset_ms in [0, -40, -3_600_000, -3_600_500] {
            server.set_clock_offset_ms(offset_ms);
            // Not an hour later.
            probe.acquire(1).timeout(MINUTE).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        stop.notify_waiters();
        let admissions = nodes.join_all().await.concat();
        assert!(admissions.len() > 20);
        assert_window_bound(20, length, &admissions);
    }
}
