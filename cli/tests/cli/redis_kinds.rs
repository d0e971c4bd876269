//! The command `redis`, with one limit of each kind on a real server.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tidegate::RateLimitConfig;
use tidegate_redis::{
    RedisApiRateLimiter, RedisSemaphore, RedisSlidingWindow, RedisStore, RedisTokenBucket,
    SemaphoreOptions,
};

use crate::program::assert_fails;
use crate::redis::{QUOTA, json_of, output, run, with_store};
use crate::redis_server::RedisServer;

const HOUR: Duration = Duration::from_secs(3_600);

const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_day: Some(1_000),
    tokens_per_day: Some(100_000),
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

fn told() -> HeaderMap {
    let fields = [
        ("x-ratelimit-remaining-tokens", "30000"),
        ("x-ratelimit-reset-tokens", "1000s"),
    ];
    let field = |(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    fields.into_iter().map(field).collect()
}

/// Runs a test with a limit of each kind in use: `uploads`, `provider`, `exports` and `model`.
fn with_every_kind(test: impl AsyncFnOnce(&RedisServer, &RedisStore)) {
    let server = RedisServer::start();
    with_store(&server, async |store| {
        let uploads = RedisTokenBucket::new(&store, "uploads", QUOTA).unwrap();
        uploads.try_acquire(8).await.unwrap();
        let provider = RedisSlidingWindow::new(&store, "provider", 50, HOUR).unwrap();
        provider.try_acquire(12).await.unwrap();
        let options = SemaphoreOptions::new().ttl(HOUR);
        let exports = RedisSemaphore::with_options(&store, "exports", 4, options).unwrap();
        let permit = exports.acquire(3).await.unwrap();
        let model = RedisApiRateLimiter::new(&store, "model", CONFIG).unwrap();
        let mut call = model.reserve_tokens(20_000).await.unwrap();
        let open = model.reserve_tokens(5_000).await.unwrap();
        call.observe_response(StatusCode::OK, &told())
            .await
            .unwrap();
        call.settle(20_000).await.unwrap();
        model.pause_for(HOUR).await.unwrap();
        test(&server, &store).await;
        open.cancel().await.unwrap();
        drop(permit);
    });
}

#[track_caller]
fn assert_fits(text: &str) {
    let fits = text.lines().all(|line| line.chars().count() <= 80);
    assert!(fits, "{text}");
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(&format!("\n{line}")), "{line} in {text}");
    }
    assert_fits(text);
}

#[test]
fn ls_lists_every_kind() {
    with_every_kind(async |server, _| {
        let text = output(server, &["ls"]);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let heads = rows[1..8].iter().map(|row| (row[0], row[1]));
        let expected = [
            // Two fifths of a day until full, and a quarter.
            ("{uploads}", "bucket"),
            ("{model}:?tokens-day", "bucket"),
            ("{provider}", "window"),
            ("{model}:?day", "window"),
            ("{exports}", "semaphore"),
            ("{model}:?api", "api"),
        ];
        assert_eq!(heads.take(6).collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(
            (rows[3][2], rows[4][2], rows[5][2]),
            ("12", "2", "3"),
            "{text}"
        );
        let summary = "2 buckets, 2 windows, 1 semaphore, 1 API limiter in use\n";
        assert!(text.ends_with(&format!("\n\n{summary}")), "{text}");
        assert_fits(&text);

        // By the share that is used, where it is known.
        let text = output(server, &["ls", "{[ep]*", "--permits", "4"]);
        let rows: Vec<&str> = text.lines().collect();
        assert!(
            rows[1].contains("{provider}     window  12 of 4  "),
            "{text}"
        );
        assert!(
            rows[2].contains("{exports}   semaphore   3 of 4  "),
            "{text}"
        );
        assert!(text.ends_with("1 window, 1 semaphore in use\n"), "{text}");
        let list = json_of(server, &["ls", "{[ep]*", "--permits", "100", "--json"]);
        let rows = list["limits"].as_array().unwrap();
        let counts =
            |row: &Value| json!([row["kind"], row["used"], row["available"], row["nodes"]]);
        let counts: Vec<Value> = rows.iter().map(counts).collect();
        assert_eq!(
            counts,
            [json!(["window", 12, 88, 0]), json!(["semaphore", 3, 97, 1])]
        );

        // Whatever else is under the prefix is named.
        server.send("SET tidegate:{text} hello").unwrap();
        let text = output(server, &["ls", "{text}"]);
        assert_eq!(
            text,
            "nothing is used\n1 key holds something else: {text}\n"
        );
        for key in ["a", "b", "c"] {
            server.send(&format!("SET tidegate:{key} 7")).unwrap();
        }
        let text = output(server, &["ls"]);
        let others = "API limiter in use\n4 keys hold something else: a, b, c, ..\n";
        assert!(text.ends_with(others), "{text}");
        let list = json_of(server, &["ls", "--json"]);
        assert_eq!((&list["others"], &list["found"]), (&json!(4), &json!(6)));
        assert_eq!(list["other_keys"], json!(["a", "b", "c"]));
    });
}

#[test]
fn show_tells_the_facts_of_each_kind() {
    with_every_kind(async |server, _| {
        let text = output(server, &["show", "provider", "--permits", "50"]);
        assert!(
            text.starts_with("{provider}\n\nused         12 permits"),
            "{text}"
        );
        assert_lines(
            &text,
            &[
                "available    38 of 50 permits\n",
                "first ends   in ",
                "last ends    in 1 h",
                "slots        64 of 56.25 s each\n",
                "key ends in  1 h",
            ],
        );
        let shown = json_of(server, &["show", "provider", "--json"]);
        assert_eq!(
            (&shown["kind"], &shown["used"]),
            (&json!("window"), &json!(12))
        );
        assert_eq!(shown["available"], Value::Null);
        assert!(shown["last_ends_in"].as_f64().unwrap() > 3_000.0, "{shown}");

        let text = output(server, &["show", "exports"]);
        assert_lines(
            &text,
            &[
                "held         3 permits by 1 node\n",
                "available    known to the nodes only; --permits counts by their limit\n",
                "last ends    in ",
                "waiting      0 nodes\n",
            ],
        );
        let shown = json_of(server, &["show", "exports", "--permits", "4", "--json"]);
        assert_eq!(
            (&shown["kind"], &shown["available"]),
            (&json!("semaphore"), &json!(1))
        );
        assert_eq!(shown["nodes"][0]["node"].as_str().unwrap().len(), 32);
        assert_eq!(shown["nodes"][0]["held"], 3);

        let text = output(server, &["show", "model"]);
        assert!(
            text.starts_with("{model}:?api\n\npause        ends in "),
            "{text}"
        );
        assert_lines(
            &text,
            &[
                "in flight    1 call\n",
                "requests     2\n",
                "tokens       20,000\n",
                "unreadable   0 values in responses\n",
                "limits       `ls '{model}:*'` lists them\n",
                "  provider's limit",
            ],
        );
        let shown = json_of(server, &["show", "{model}:?api", "--json"]);
        assert_eq!(
            (&shown["kind"], &shown["in_flight"]),
            (&json!("api"), &json!(1))
        );
        let told = &shown["provider"][0];
        assert_eq!(
            (&told["unit"], &told["remaining"]),
            (&json!("tokens"), &json!(30_000))
        );
        assert!(told["ends_in"].as_f64().unwrap() <= 1_000.0, "{shown}");
        assert_eq!(
            json_of(server, &["show", "uploads", "--json"])["kind"],
            "bucket"
        );
    });
}

#[test]
fn reset_knows_each_kind() {
    with_every_kind(async |server, store| {
        let done = output(server, &["reset", "provider", "--yes"]);
        assert!(
            done.starts_with("{provider}: 12 permits in use, the last for "),
            "{done}"
        );
        assert!(done.ends_with("reset 1 window\n"), "{done}");
        let provider = RedisSlidingWindow::new(store, "provider", 50, HOUR).unwrap();
        assert_eq!(provider.available().await.unwrap(), 50);

        let held = run(server, &["reset", "exports", "--yes"]);
        assert_fails(&held, 2, "(semaphore): its nodes have the limit");

        let done = output(server, &["reset", "model", "--yes"]);
        assert!(done.starts_with("{model}:?api: paused for "), "{done}");
        assert!(done.ends_with("reset 1 API limiter\n"), "{done}");
        let model = RedisApiRateLimiter::new(store, "model", CONFIG).unwrap();
        let status = model.check().await.unwrap();
        assert!(!status.is_limited, "{status}");
        let shown = json_of(server, &["show", "model", "--json"]);
        let state = json!([
            shown["pause_ends_in"],
            shown["provider"],
            shown["in_flight"]
        ]);
        assert_eq!(state, json!([null, [], 1]));

        // What is in use stays: permits that nodes hold, and totals.
        let done = output(server, &["reset", "--matching", "*", "--yes"]);
        assert_eq!(done, "reset 1 bucket, 1 window\n");
        let list = json_of(server, &["ls", "--json"]);
        assert_eq!(list["found"], 2, "{list}");
    });
}

#[test]
fn set_refuses_what_is_no_bucket() {
    with_every_kind(async |server, _| {
        for (name, kind) in [
            ("provider", "(window): "),
            ("exports", "(semaphore): "),
            ("model", "(API limiter): "),
            ("{model}:?day", "(window): "),
        ] {
            let before = json_of(server, &["show", name, "--json"]);
            for change in [["--debit", "1"], ["--level", "3"], ["--new-quota", "9/day"]] {
                let args = [&["set", name, "--quota", "20/day"], &change[..]].concat();
                assert_fails(&run(server, &args), 2, kind);
            }
            let after = json_of(server, &["show", name, "--json"]);
            for field in [
                "kind",
                "used",
                "held",
                "in_flight",
                "total_requests",
                "memory",
            ] {
                assert_eq!(before[field], after[field], "{name} {field}");
            }
        }
    });
}
