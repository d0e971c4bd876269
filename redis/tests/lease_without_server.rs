//! A lease whose server is not there.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};

/// With one thread for everything, whoever does not pause keeps the probe from running, which it waits for.
#[tokio::test]
async fn the_task_of_a_lease_leaves_time_for_others() {
    let store = RedisStore::builder()
        .probe_interval(Duration::from_millis(20))
        .connect("redis+unix:///no/such/socket")
        .unwrap();
    let bucket = RedisTokenBucket::new(&store, "api", Quota::per_second(100)).unwrap();
    let api = bucket.lease(LeaseOptions::new());
    for _ in 0..100 {
        assert!(api.try_acquire(1).is_err());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // It asks again every 10 ms, give or take what a busy machine does.
    let refills = api.stats().refills;
    assert!(refills > 1 && store.stats().calls > 1, "{refills}");
}
