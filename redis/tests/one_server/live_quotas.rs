//! Quotas that change for all nodes of one server.
//!
//! The script's arithmetic is tested in `scripts/live_quotas`.

use core::num::NonZeroU32;
use std::sync::Arc;

use tidegate::{Denied, Quota};
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LimiterOptions, RedisKeyed,
    RedisTokenBucket, ScaleError, SetQuotaError,
};

use super::{each_server, key_count, ms};
use crate::support::limiters::{
    HOUR, MINUTE, bucket, combined, connect, denied, keyed, patient_store, uncached,
};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

const TEN: Quota = Quota::per_hour(10);
const HUNDRED: Quota = Quota::per_hour(100);

fn node(server: &Server) -> RedisTokenBucket {
    bucket(&connect(server), "bucket", TEN)
}

fn is_never<T>(result: Result<T, AcquireError>, capacity: u64) -> bool {
    let denied = result.err().and_then(|error| error.denied());
    denied == Some(Denied::Never { capacity })
}

#[tokio::test]
async fn every_node_follows_and_no_old_node_undoes_it() {
    for server in each_server() {
        let [one, two] = [node(&server), node(&server)];
        one.try_acquire(4).await.unwrap();
        one.set_quota(HUNDRED).await.unwrap();
        assert_eq!(one.quota(), HUNDRED);
        // The level stays in tokens: a larger capacity is no free burst.
        assert_eq!(one.available().await.unwrap(), 6);
        assert_eq!(two.quota(), TEN);
        assert_eq!(two.try_acquire(1).await.unwrap().available(), Some(5));
        assert_eq!(two.quota(), HUNDRED);
        // It fills at the new rate: a token takes 36 s.
        let late = node(&server);
        server.set_clock_offset_ms(ms(MINUTE * 3));
        assert_eq!(late.available().await.unwrap(), 10);
        assert_eq!(late.quota(), HUNDRED);

        late.set_quota(TEN.burst(3)).await.unwrap();
        assert_eq!(one.available().await.unwrap(), 3);
        assert!(is_never(two.try_acquire(4).await, 3));
        one.try_acquire(3).await.unwrap();
        assert!(denied(two.try_acquire(1).await) > MINUTE * 4);
        // Much later, the bucket is full and the quota still there.
        server.set_clock_offset_ms(ms(HOUR * 1_000));
        assert_eq!(node(&server).available().await.unwrap(), 3);
    }
}

#[tokio::test]
async fn call_that_makes_a_lower_limit_known_is_refused_for_good() {
    for server in each_server() {
        let [one, two] = [node(&server), node(&server)];
        one.set_quota(TEN.burst(2)).await.unwrap();
        assert!(is_never(two.try_acquire(5).await, 2));
        assert!(is_never(two.peek(5).await, 2));
        assert_eq!(two.available().await.unwrap(), 2);
        let stats = two.stats();
        assert_eq!((stats.admitted, stats.denied), (0, 1));
    }
}

#[tokio::test]
async fn waiters_are_decided_by_the_new_quota() {
    for server in each_server() {
        let one = Arc::new(bucket(&connect(&server), "bucket", TEN));
        one.try_acquire(10).await.unwrap();
        let waiter = |n| {
            let one = Arc::clone(&one);
            tokio::spawn(async move { one.acquire(n).await })
        };
        // They would wait for half an hour and more.
        let (first, second) = (waiter(5), waiter(4));
        eventually("denials", async || one.stats().denied >= 1).await;
        one.set_quota(Quota::per_second(1_000).burst(4))
            .await
            .unwrap();
        // The first can never be admitted now, and makes room for the second.
        assert!(is_never(first.await.unwrap(), 4));
        assert!(second.await.unwrap().is_ok());
    }
}

/// It would otherwise ask again and again.
#[tokio::test]
async fn waiter_above_a_lowered_limit_is_refused() {
    for server in each_server() {
        let fast = Quota::per_second(1_000).burst(10);
        let [one, two] = [(); 2].map(|()| bucket(&connect(&server), "bucket", fast));
        one.try_acquire(10).await.unwrap();
        one.set_quota(fast.burst(2)).await.unwrap();
        // The node finds the lower limit when it asks the server.
        assert!(is_never(two.acquire(5).await, 2));
        assert!(two.acquire(2).await.is_ok());
    }
}

#[tokio::test]
async fn lost_key_gets_its_quota_back() {
    for server in each_server() {
        let [one, two] = [node(&server), node(&server)];
        one.set_quota(HUNDRED).await.unwrap();
        let () = server.query(&["DEL", "tidegate:{bucket}"]);
        // A node that knows no change uses the quota that it was built with, until another one
        // restores it.
        assert_eq!(two.try_acquire(1).await.unwrap().available(), Some(9));
        assert_eq!(one.available().await.unwrap(), 9);
        assert_eq!(two.available().await.unwrap(), 9);
        assert_eq!(two.quota(), HUNDRED);
    }
}

#[tokio::test]
async fn limits_of_a_combination_change_one_by_one() {
    for server in each_server() {
        let node = || {
            combined(
                &connect(&server),
                "model",
                [("requests", TEN), ("tokens", HUNDRED)],
            )
        };
        let [one, two] = [node(), node()];
        one.try_acquire_each(&[1, 40]).await.unwrap();
        one.set_quota("tokens", HUNDRED.burst(50)).await.unwrap();
        two.try_acquire_each(&[1, 40]).await.unwrap();
        assert_eq!(one.available().await.unwrap(), [8, 10]);
        two.set_quota("requests", HUNDRED).await.unwrap();
        one.try_acquire_each(&[8, 0]).await.unwrap();
        assert_eq!(two.available().await.unwrap(), [0, 10]);
        let unknown = one.set_quota("days", TEN).await.unwrap_err();
        assert!(matches!(unknown, SetQuotaError::UnknownLimit), "{unknown}");
    }
}

#[tokio::test]
async fn tables_change_for_all_keys() {
    for server in each_server() {
        let [one, two] = [(); 2].map(|()| keyed(&connect(&server), "user", TEN));
        one.try_acquire("alice", 4).await.unwrap();
        one.set_quota(HUNDRED).await.unwrap();
        assert_eq!(one.available("alice").await.unwrap(), [6]);
        // A key that is full takes no memory, so it is full under the new quota.
        assert_eq!(one.available("bob").await.unwrap(), [100]);
        // The other node learns of it by a key that the first one has used.
        assert_eq!(two.available("carol").await.unwrap(), [10]);
        assert_eq!(two.available("alice").await.unwrap(), [6]);
        assert_eq!(two.available("carol").await.unwrap(), [100]);
        // A node that asks for changes knows it at once.
        let three = RedisKeyed::new(&connect(&server), "user", TEN).unwrap();
        three.try_acquire("dave", 60).await.unwrap();
        let named = three.set_quota_of("day", TEN).await.unwrap_err();
        assert!(matches!(named, SetQuotaError::UnknownLimit), "{named}");
        // Keys still end when they are full.
        let ttl: i64 = server.query(&["PTTL", "tidegate:user:{alice}"]);
        assert!(ttl > 0, "{ttl}");
    }
}

/// Stored in the key, a quota would spread from there to the other keys.
#[tokio::test]
async fn key_of_a_table_has_no_quota_of_its_own() {
    for server in each_server() {
        let table = keyed(&connect(&server), "user", TEN);
        table.try_acquire("alice", 4).await.unwrap();
        for key in ["alice", "bob"] {
            let key = table.bucket(key).unwrap();
            let error = key.set_quota(HUNDRED).await.unwrap_err();
            assert!(matches!(error, SetQuotaError::KeyOfTable), "{error}");
            assert_eq!(key.quota(), TEN);
        }
        assert_eq!(key_count(&server), 1);
        assert_eq!(table.available("alice").await.unwrap(), [6]);
        assert_eq!(table.available("bob").await.unwrap(), [10]);
    }
}

/// They would otherwise be admitted by the old quota.
#[tokio::test]
async fn first_calls_of_a_node_wait_for_the_quotas() {
    for server in each_server() {
        let one = keyed(&connect(&server), "user", TEN);
        one.set_quota(TEN.burst(3)).await.unwrap();
        let two = Arc::new(RedisKeyed::new(&connect(&server), "user", TEN).unwrap());
        let mut calls = tokio::task::JoinSet::new();
        for key in 0_u8..20 {
            let two = Arc::clone(&two);
            calls.spawn(async move { two.try_acquire([key], 5).await });
        }
        for result in calls.join_all().await {
            assert!(is_never(result, 3));
        }
    }
}

#[tokio::test]
async fn leased_key_has_the_quota_of_its_table_and_ends() {
    for server in each_server() {
        let one = keyed(&connect(&server), "user", TEN);
        one.set_quota(HUNDRED).await.unwrap();
        let two = RedisKeyed::new(&connect(&server), "user", TEN).unwrap();
        let leased = two.bucket("alice").unwrap();
        let leased = leased.lease(LeaseOptions::new()).await;
        assert_eq!(leased.bucket().quota(), HUNDRED);
        leased.acquire(1).await.unwrap();
        let ttl = || -> i64 { server.query(&["PTTL", "tidegate:user:{alice}"]) };
        assert!(ttl() > 0, "{} while it is leased", ttl());
        leased.close().await;
        assert!(ttl() > 0, "{} after the lease", ttl());
    }
}

/// Several changes at the same time: one of them wins, and all nodes agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_agree_after_changes_at_the_same_time() {
    for server in each_server() {
        let nodes: Vec<_> = (0..4).map(|_| node(&server)).collect();
        let tables: Vec<_> = (0..4)
            .map(|_| keyed(&connect(&server), "user", TEN))
            .collect();
        let mut tasks = tokio::task::JoinSet::new();
        for (rate, (node, table)) in (20..).zip(nodes.into_iter().zip(tables)) {
            tasks.spawn(async move {
                let quota = Quota::per_hour(rate);
                node.set_quota(quota).await.unwrap();
                table.set_quota(quota).await.unwrap();
                (node, table)
            });
        }
        let nodes = tasks.join_all().await;
        for (node, _) in &nodes {
            node.available().await.unwrap();
        }
        let quota = nodes[0].0.quota();
        assert!(nodes.iter().all(|(node, _)| node.quota() == quota));
        let fresh = RedisKeyed::new(&connect(&server), "user", TEN).unwrap();
        let of_fresh = fresh.available("alice").await.unwrap();
        assert!((20..24).contains(&of_fresh[0]), "{of_fresh:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_follow() {
    for server in each_server() {
        // So slow that nothing flows in.
        let [one, two] = [(); 2].map(|()| bucket(&connect(&server), "bucket", TEN.burst(40)));
        let leased = one.lease(LeaseOptions::new()).await;
        leased.try_acquire(1).unwrap();
        two.set_quota(TEN.burst(100)).await.unwrap();
        // The next refill tells the node.
        eventually("the new quota", async || {
            let _ = leased.try_acquire(leased.held() + 1);
            leased.bucket().quota().capacity() == 100
        })
        .await;
        leased.close().await;
        let spent = leased.stats().spent() + leased.stats().expired;
        let available = two.available().await.unwrap();
        assert_eq!(available, 40 - spent, "what was not spent came back");
    }
}

/// A cached denial is of the old quota.
#[tokio::test]
async fn denials_are_forgotten() {
    for server in each_server() {
        let store = connect(&server);
        let one = RedisTokenBucket::new(&store, "bucket", TEN).unwrap();
        one.try_acquire(10).await.unwrap();
        denied(one.try_acquire(1).await);
        one.set_quota(Quota::new(1, core::time::Duration::from_micros(1)).unwrap())
            .await
            .unwrap();
        eventually("an admission", async || one.try_acquire(1).await.is_ok()).await;
    }
}

/// A node's share follows, without a free burst.
#[tokio::test]
async fn shares_follow() {
    let mut server = ServerOptions::default().durable().start();
    let nodes = NonZeroU32::new(2).unwrap();
    let options = uncached().on_failure(FailurePolicy::Local { nodes });
    let store = patient_store()
        .timeout(core::time::Duration::from_secs(2))
        .connect(server.url())
        .unwrap();
    let one = RedisTokenBucket::with_options(&store, "bucket", TEN, options).unwrap();
    one.try_acquire(4).await.unwrap();
    one.set_quota(HUNDRED).await.unwrap();
    server.kill();
    // Five were its share, of which four are spent.
    let admitted = one.try_acquire(1).await.unwrap();
    assert_eq!(admitted.by(), AdmittedBy::LocalShare);
    denied(one.try_acquire(1).await);
    // Half of the new capacity, once it has refilled.
    assert!(is_never(one.try_acquire(51).await, 50));
}

#[tokio::test]
async fn impossible_changes_send_nothing() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let options = LimiterOptions::new().on_failure(FailurePolicy::Local {
        nodes: u32::MAX.try_into().unwrap(),
    });
    let quota = Quota::per_second(10);
    let one = RedisTokenBucket::with_options(&store, "bucket", quota, options).unwrap();
    let year = HOUR * 24 * 366;
    let long = Quota::new(1, year).unwrap().burst(51);
    let error = one.set_quota(long).await.unwrap_err();
    assert!(matches!(
        error,
        SetQuotaError::Scale(ScaleError::RefillTooLong)
    ));
    let error = one.set_quota(Quota::new(1, year * 40).unwrap()).await;
    assert!(
        matches!(error, Err(SetQuotaError::TooManyNodes)),
        "{error:?}"
    );
    assert_eq!(store.stats().calls, 0);
    drop(server);
    let error = node_without_server(&store).set_quota(HUNDRED).await;
    assert!(
        matches!(error, Err(SetQuotaError::Unavailable(_))),
        "{error:?}"
    );
}

fn node_without_server(store: &tidegate_redis::RedisStore) -> RedisTokenBucket {
    RedisTokenBucket::new(store, "bucket", TEN).unwrap()
}
