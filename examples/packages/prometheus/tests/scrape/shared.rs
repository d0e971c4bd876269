//! What Prometheus reads of limits that many machines share, on a real server.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tidegate::Quota;
use tidegate_example_prometheus::exporter;
use tidegate_redis::{
    FailurePolicy, LeaseOptions, LimiterOptions, RedisKeyed, RedisStore, RedisTokenBucket,
};

use crate::dashboard::{check_places, check_queries, list, text};
use crate::exposition::Exposition;
use crate::redis_server::RedisServer;

/// So slow that nothing flows in during a test.
const QUOTA: Quota = Quota::per_day(1);

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../../../grafana/tidegate-shared.json")).expect("JSON")
}

/// Calls that have each outcome, before and after the server is killed.
async fn use_limits(server: RedisServer) {
    // On a busy machine a short time limit would be an outage, and a long one a long test.
    let timeout = Duration::from_secs(10);
    let store = RedisStore::builder().timeout(timeout).prefix("example");
    let store = store.connect(server.url()).expect("an address");
    let limiter = |name, policy| {
        let options = LimiterOptions::new().on_failure(policy);
        let quota = QUOTA.burst(3);
        RedisTokenBucket::with_options(&store, name, quota, options).expect("a quota")
    };
    let nodes = NonZeroU32::MIN;
    let closed = limiter("closed", FailurePolicy::Closed);
    let open = limiter("open", FailurePolicy::Open);
    let local = limiter("local", FailurePolicy::Local { nodes });
    for admits in [true, true, true, false, false] {
        assert_eq!(closed.try_acquire(1).await.is_ok(), admits);
    }
    let users = RedisKeyed::new(&store, "users", QUOTA).expect("a quota");
    users.try_acquire("secret", 1).await.expect("admitted");
    let leased = RedisTokenBucket::new(&store, "leased", QUOTA.burst(100)).expect("a quota");
    let leased = leased.lease(LeaseOptions::new()).await;
    leased.try_acquire(1).expect("granted");
    leased.close().await;
    drop(server);
    // A denial is cached for longer than this test lasts, but not for fewer tokens.
    closed.reset().await.expect_err("no server");
    closed.try_acquire(1).await.expect_err("closed");
    open.try_acquire(1).await.expect("open");
    for admits in [true, true, true, false] {
        assert_eq!(local.try_acquire(1).await.is_ok(), admits);
    }
}

fn scrape(exporter: PrometheusBuilder) -> Exposition {
    let server = RedisServer::start();
    let recorder = exporter.build_recorder();
    // One thread, because a local recorder is that of a thread.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let metrics = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        tidegate_redis::describe_metrics();
        runtime.block_on(use_limits(server));
    });
    let scraped = metrics.render();
    assert!(!scraped.contains("secret"), "{scraped}");
    Exposition::parse(&scraped)
}

#[test]
fn dashboard_asks_for_what_shared_limits_show() {
    let mut all = Exposition::default();
    for exporter in [exporter().expect("buckets"), PrometheusBuilder::new()] {
        let scraped = scrape(exporter);
        scraped.check_forms();
        all.extend(scraped);
    }
    check_queries(&dashboard(), &all);
    check_places(&dashboard());
}

#[test]
fn outcomes_and_outages_are_counted() {
    let scraped = scrape(exporter().expect("buckets"));
    let calls = |limiter, outcome| {
        let labels = [("limiter", limiter), ("outcome", outcome)];
        scraped.value("rate_limiter_shared_calls", &labels)
    };
    assert_eq!(calls("closed", "admitted"), 3.0);
    // The second denial is a cached one.
    assert_eq!(calls("closed", "denied"), 1.0);
    assert_eq!(calls("closed", "denied_from_cache"), 1.0);
    assert_eq!(calls("closed", "unavailable"), 1.0);
    assert_eq!(calls("open", "open_admitted"), 1.0);
    assert_eq!(calls("local", "local_admitted"), 3.0);
    assert_eq!(calls("local", "local_denied"), 1.0);
    assert_eq!(calls("users", "admitted"), 1.0);
    let store = [("store", "example")];
    assert_eq!(scraped.value("rate_limiter_shared_outages", &store), 1.0);
    assert_eq!(scraped.value("rate_limiter_shared_open", &store), 1.0);
    let flow = |flow| {
        let labels = [("limiter", "leased"), ("flow", flow)];
        scraped.value("rate_limiter_shared_lease_tokens", &labels)
    };
    assert_eq!(flow("granted") - flow("returned"), 1.0, "one was spent");
    let leased = [("limiter", "leased")];
    let held = scraped.value("rate_limiter_shared_lease_held", &leased);
    assert_eq!(held, 0.0, "the lease is closed");
    let answers = [("limiter", "closed")];
    // Those that the server has answered.
    let answers = scraped.value("rate_limiter_shared_duration_count", &answers);
    assert_eq!(answers, 4.0);
}

#[test]
fn variables_are_a_data_source_limiters_and_stores() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let variables: BTreeMap<_, _> = variables.iter().map(|it| (text(it, "name"), it)).collect();
    let names: Vec<_> = variables.keys().copied().collect();
    assert_eq!(names, ["datasource", "limiter", "store"]);
    for name in ["limiter", "store"] {
        let query = format!("label_values({{__name__=~\"rate_limiter_shared_.+\"}}, {name})");
        assert_eq!(text(&variables[name]["query"], "query"), query);
    }
}
