//! curl as a client that retries, asks for problems, or sends a hundred requests at once.

use core::time::Duration;

use axum::Router;
use axum::routing::get;
use tidegate::layer::{ProblemJson, RateLimitLayer};
use tidegate::{ManualClock, Quota, TokenBucket};

use crate::app::{quota, serve};
use crate::curl::{run, send};

/// curl waits as long as `Retry-After` says, and is then served.
///
/// Its own waits would be of 1 and 2 seconds, so it would be refused twice. A machine that stalls
/// only gives it more tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_after_the_wait() {
    let quota = Quota::new(1, Duration::from_secs(3)).expect("valid");
    let bucket = TokenBucket::new(quota);
    bucket.try_acquire(1).expect("one at first");
    let layer = RateLimitLayer::new(bucket);
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(layer.clone());
    let url = format!("http://{}/", serve(app).await);
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let printed = run(&[&code, &["--retry", "4", &*url][..]].concat()).await;
    assert_eq!(printed, "200");
    let stats = layer.stats();
    assert_eq!(stats.allowed, 1);
    assert!(stats.denied <= 1, "{stats:?}");
}

/// A wait that is longer than curl may take makes it give up at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_wait_is_not_retried() {
    let bucket = TokenBucket::with_clock(Quota::per_hour(1), ManualClock::new());
    bucket.try_acquire(1).expect("one at first");
    let layer = RateLimitLayer::new(bucket);
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(layer.clone());
    let url = format!("http://{}/", serve(app).await);
    let reply = send(&["--retry", "4", "--retry-max-time", "30", &url]).await;
    assert_eq!((reply.status, reply.field("retry-after")), (429, "3600"));
    assert_eq!(layer.stats().denied, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problem_and_dumped_fields() {
    let bucket = TokenBucket::with_clock(quota(1), ManualClock::new());
    let layer = RateLimitLayer::builder(bucket)
        .name("search")
        .reject(ProblemJson)
        .build();
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(layer);
    let url = format!("http://{}/", serve(app).await);
    let dump = tempfile::NamedTempFile::new().expect("a file");
    let file = dump.path().to_str().expect("UTF-8");
    let accept = "Accept: application/problem+json, application/json;q=0.9";
    let arguments = ["--header", accept, "--dump-header", file, &url];
    assert_eq!(run(&arguments).await, "served");
    let problem: serde_json::Value = serde_json::from_str(&run(&arguments).await).expect("JSON");
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(problem["violated-policies"], serde_json::json!(["search"]));
    let fields = std::fs::read_to_string(dump.path()).expect("dumped");
    let fields: Vec<_> = fields.lines().map(str::trim_end).collect();
    for expected in [
        "HTTP/1.1 429 Too Many Requests",
        "content-type: application/problem+json",
        "ratelimit-policy: \"search\";q=1;w=60",
        "ratelimit: \"search\";r=0;t=60",
        "retry-after: 60",
    ] {
        assert!(fields.contains(&expected), "{expected} in {fields:?}");
    }
}

/// A hundred requests in fifty connections. Here curl loses requests over HTTP/2 without a limit,
/// too, so the tests of the crate have that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_requests() {
    let layer = RateLimitLayer::new(TokenBucket::with_clock(quota(30), ManualClock::new()));
    let app = Router::new()
        .route("/{number}", get(async || "served"))
        .layer(layer.clone());
    let urls = format!("http://{}/[1-100]", serve(app).await);
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}\n"];
    let parallel = ["--parallel", "--parallel-immediate", &*urls];
    let printed = run(&[&code, &parallel[..]].concat()).await;
    let count = |code| printed.lines().filter(|line| *line == code).count();
    assert_eq!((count("200"), count("429")), (30, 70));
    assert_eq!((layer.stats().allowed, layer.stats().denied), (30, 70));
}
