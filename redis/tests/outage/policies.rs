//! What each failure policy decides without the server.

use core::num::NonZeroU32;
use core::time::Duration;

use tidegate::Denied;
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, LimiterOptions, RedisCombined,
};

use super::{Fault, PROBE_INTERVAL, bucket, store};
use crate::support::limiters::slow;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

pub(crate) const LOCAL: FailurePolicy = FailurePolicy::Local {
    nodes: NonZeroU32::new(4).unwrap(),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_admits_and_counts_every_call() {
    let server = ServerOptions::default().start();
    let store = store(server.url());
    let open = || bucket(&store, slow(10), FailurePolicy::Open);
    let bucket = open();
    eventually("the server", async || {
        let admitted = bucket.try_acquire(10).await.ok();
        admitted.is_some_and(|admitted| admitted.by() == AdmittedBy::Server)
    })
    .await;
    let leased = std::sync::Arc::into_inner(open()).unwrap();
    let leased = leased.lease(LeaseOptions::new()).await;
    server.pause();
    for _ in 0..50 {
        let admitted = bucket.try_acquire(10).await.unwrap();
        let expected = (AdmittedBy::FailOpen, None);
        assert_eq!((admitted.by(), admitted.available()), expected);
        leased.try_acquire(10).unwrap();
    }
    assert_eq!(bucket.stats().open_admitted, 50);
    assert_eq!(leased.limit_stats().open_admitted, 50);
    let never = bucket.try_acquire(11).await.unwrap_err().denied();
    assert_eq!(never, Some(Denied::Never { capacity: 10 }));
    assert!(bucket.peek(1).await.unwrap_err().is_unavailable());
    assert!(bucket.available().await.unwrap_err().is_unavailable());
    server.resume();
    eventually("a denial by the server", async || {
        bucket.try_acquire(10).await.err()?.denied()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_denies_with_a_useful_hint() {
    let mut server = ServerOptions::default().start();
    let store = store(server.url());
    let bucket = bucket(&store, slow(10_000), FailurePolicy::Closed);
    for fault in [Fault::Pause, Fault::Kill] {
        eventually("the server", async || bucket.try_acquire(1).await.ok()).await;
        let before = bucket.stats().unavailable;
        fault.begin(&mut server);
        for call in 0..21 {
            let error = bucket.try_acquire(1).await.unwrap_err();
            let AcquireError::Unavailable { retry_after, cause } = error else {
                panic!("{error:?}");
            };
            // Only the first call reaches for the server, and the others tell what it found.
            assert!(cause.is_some());
            if call > 0 {
                let range = Duration::from_millis(1)..=PROBE_INTERVAL * 5 / 4;
                assert!(range.contains(&retry_after), "{retry_after:?}");
            }
        }
        assert_eq!(bucket.stats().unavailable, before + 21);
        fault.end(&mut server);
        // Waits only as long as the hints say.
        eventually("an admission", async || match bucket.try_acquire(1).await {
            Ok(admitted) => admitted.by() == AdmittedBy::Server,
            Err(error) => {
                tokio::time::sleep(error.retry_after().unwrap()).await;
                false
            }
        })
        .await;
    }
}

/// Takes permits one by one until a call fails, and returns their number.
async fn drain(mut take: impl AsyncFnMut() -> Result<(), AcquireError>) -> u64 {
    let mut taken = 0;
    while take().await.is_ok() {
        taken += 1;
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_share_is_charged_once_when_the_server_is_back() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let bucket = bucket(&store, slow(100), LOCAL);
        let quotas = [("calls", slow(100)), ("tokens", slow(1_000))];
        let options = LimiterOptions::new().on_failure(LOCAL);
        let combined = RedisCombined::with_options(&store, "combined", quotas, options).unwrap();
        eventually("the server", async || bucket.available().await.ok()).await;
        assert_eq!(bucket.available().await.unwrap(), 100);
        server.pause();
        let share = drain(async || bucket.try_acquire(1).await.map(drop)).await;
        assert_eq!(share, 25);
        let stats = bucket.stats();
        assert_eq!((stats.local_admitted, stats.local_denied), (25, 1));
        let share = drain(async || combined.try_acquire_each(&[1, 10]).await.map(drop)).await;
        assert_eq!(share, 25);
        let denied = combined.try_acquire_each(&[0, 10]).await.unwrap_err();
        assert_eq!(denied.limit(), Some("tokens"));
        server.resume();

        // The first call may have reached the server and been charged there as well. The second
        // round checks that nothing is charged twice.
        for _ in 0..2 {
            let available = eventually("the server", async || bucket.available().await.ok()).await;
            assert!((74..=75).contains(&available), "{available}");
            let available = eventually("the server", async || combined.available().await.ok());
            let available = available.await;
            assert!((74..=75).contains(&available[0]), "{available:?}");
            assert!((740..=750).contains(&available[1]), "{available:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_share_of_a_busy_node_starts_without_a_burst() {
    let server = ServerOptions::default().start();
    let store = store(server.url());
    let bucket = bucket(&store, slow(100), LOCAL);
    let mut by_server = 0;
    eventually("20 admissions by the server", async || {
        let admitted = bucket.try_acquire(1).await.ok()?;
        by_server += u64::from(admitted.by() == AdmittedBy::Server);
        (by_server == 20).then_some(())
    })
    .await;
    let before = bucket.stats().local_admitted;
    server.pause();
    let more = drain(async || bucket.try_acquire(1).await.map(drop)).await;
    assert!(
        before + more <= 5,
        "{before} before the pause, {more} after it"
    );
    server.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_goes_on_into_an_outage_and_reports_its_local_share() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let observer = bucket(&store, slow(1_000), LOCAL);
        let leased = std::sync::Arc::into_inner(bucket(&store, slow(1_000), LOCAL)).unwrap();
        let options = LeaseOptions::new().ttl(Duration::from_millis(500));
        let leased = leased.lease(options).await;
        leased.acquire(1).await.unwrap();
        server.pause();
        let mut admitted = 1;
        eventually("the end of the local share", async || {
            admitted += drain(async || leased.try_acquire(1)).await;
            leased.limit_stats().local_denied > 0
        })
        .await;
        let local = leased.limit_stats().local_admitted;
        assert!((249..=250).contains(&local), "{local}");
        server.resume();
        // Once the lease ends or is renewed, every admission counts.
        eventually("the report", async || {
            drop(leased.try_acquire(1_000));
            let available = observer.available().await.ok()?;
            (available <= 1_000 - admitted).then_some(())
        })
        .await;
        leased.close().await;
        // A grant whose reply was lost counts as spent. Nothing counts twice.
        eventually("the end of all leases", async || {
            let available = observer.available().await.ok()?;
            (available >= 1_000 - admitted - 10).then_some(())
        })
        .await;
    }
}
