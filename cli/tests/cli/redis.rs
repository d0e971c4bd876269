//! The command `redis`, on a real server.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisCombined, RedisKeyed, RedisStore, RedisTokenBucket};

use crate::program::{RunOutput, assert_fails, command, run_command};
use crate::redis_server::RedisServer;

/// So slow that nothing flows in during a test.
pub(crate) const QUOTA: Quota = Quota::per_day(20);

/// Runs a test's own calls.
pub(crate) fn with_store<F: Future<Output = ()>>(
    server: &RedisServer,
    calls: impl FnOnce(RedisStore) -> F,
) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let builder = RedisStore::builder().timeout(Duration::from_secs(60));
    runtime.block_on(async { calls(builder.connect(server.url()).unwrap()).await });
}

/// A server with some buckets.
fn server() -> RedisServer {
    let server = RedisServer::start();
    with_store(&server, async |store| {
        let uploads = RedisTokenBucket::new(&store, "uploads", QUOTA).unwrap();
        uploads.try_acquire(5).await.unwrap();
        let quotas = [("requests", QUOTA), ("tokens", QUOTA)];
        let model = RedisCombined::new(&store, "model", quotas).unwrap();
        model.try_acquire_each(&[1, 12]).await.unwrap();
        let users = RedisKeyed::new(&store, "user", QUOTA).unwrap();
        for (user, used) in [("alice", 2), ("bob", 3), ("mallory \u{202e}\n", 19)] {
            users.try_acquire(user, used).await.unwrap();
        }
    });
    server
}

pub(crate) fn run(server: &RedisServer, args: &[&str]) -> RunOutput {
    let mut command = command(&[&["redis"], args].concat());
    // A variable, as for a password.
    command.env("TIDEGATE_REDIS_URL", server.url());
    command.env("REDIS_URL", "redis://192.0.2.1/");
    command.env("COLUMNS", "80");
    run_command(&mut command, b"")
}

/// The output of a run that succeeds.
pub(crate) fn output(server: &RedisServer, args: &[&str]) -> String {
    let ran = run(server, args);
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    ran.out
}

pub(crate) fn json_of(server: &RedisServer, args: &[&str]) -> Value {
    serde_json::from_str(&output(server, args)).unwrap()
}

fn available(server: &RedisServer, name: &str) -> Value {
    let args = ["show", name, "--quota", "20/day", "--json"];
    json_of(server, &args)["available"].clone()
}

#[test]
fn ls_lists_the_most_used_first() {
    let server = server();
    let text = output(&server, &["ls", "--quota", "20/day"]);
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("  key"), "{text}");
    assert!(rows[1].contains("user:{mallory \\u{202e}\\u{a}}"), "{text}");
    for (row, (key, used)) in rows[2..].iter().zip([
        ("{model}:tokens", 12),
        ("{uploads}", 5),
        ("user:{bob}", 3),
        ("user:{alice}", 2),
        ("{model}:requests", 1),
    ]) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[0], key, "{text}");
        assert_eq!(cells[1], "bucket", "{text}");
        assert!(row.contains(&format!(" {used} of 20 ")), "{text}");
    }
    assert!(text.ends_with("6 buckets in use\n"), "{text}");
    assert!(rows.iter().all(|row| row.chars().count() <= 80), "{text}");

    let list = json_of(&server, &["ls", "user:*", "--limit", "1", "--json"]);
    assert_eq!((&list["found"], &list["others"]), (&json!(3), &json!(0)));
    assert_eq!(list["limits"][0]["key"], "user:{mallory \u{202e}\n}");
    assert_eq!(list["limits"][0]["kind"], "bucket");
    assert_eq!(list["limits"][0]["available"], Value::Null);
    assert_eq!(list["cursor"], Value::Null);
    let few = output(&server, &["ls", "user:*", "--limit", "2"]);
    assert!(
        few.ends_with("3 buckets in use, of which 2 are shown\n"),
        "{few}"
    );
    let none = output(&server, &["ls", "--prefix", "other"]);
    assert_eq!(none, "nothing is used\n");
}

/// A server with many keys is listed in several runs.
#[test]
fn ls_goes_on_at_the_cursor() {
    let server = RedisServer::start();
    with_store(&server, async |store| {
        let users = RedisKeyed::new(&store, "user", QUOTA).unwrap();
        for user in 0..3_000_u32 {
            users.try_acquire(user.to_string(), 1).await.unwrap();
        }
    });
    let (mut cursor, mut found, mut runs) = ("0-0".to_owned(), 0, 0);
    loop {
        let list = json_of(
            &server,
            &["ls", "--scan", "1", "--cursor", &cursor, "--json"],
        );
        found += list["found"].as_u64().unwrap();
        runs += 1;
        match list["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert!(found >= 3_000 && runs >= 2, "{found} in {runs} runs");
    let first = output(&server, &["ls", "--scan", "1"]);
    assert!(first.contains("there are more: --cursor 0-"), "{first}");
    assert_fails(&run(&server, &["ls", "--cursor", "x"]), 2, "0-4096");
}

#[test]
fn show_tells_what_is_stored() {
    let server = server();
    let shown = json_of(&server, &["show", "model", "--limit", "tokens", "--json"]);
    assert_eq!(shown["key"], "{model}:tokens");
    assert_eq!(
        (&shown["quota"], &shown["available"]),
        (&Value::Null, &Value::Null)
    );
    let day = 86_400.0;
    let full_in = shown["full_in"].as_f64().unwrap();
    assert!(full_in > 0.5 * day && full_in <= 0.6 * day, "{full_in}");
    let args = ["show", "user", "--key", "bob", "--quota", "20/day"];
    let text = output(&server, &args);
    assert!(
        text.starts_with("user:{bob}\n\nfull in      3 h 3"),
        "{text}"
    );
    for line in [
        "quota        20/day, as given",
        "available    17 of 20 tokens",
        "leases       0 nodes",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
    }
    assert!(text.contains("\nmemory       "), "{text}");
    // As `ls` prints it, with the prefix or without.
    for name in ["user:{bob}", "tidegate:user:{bob}"] {
        assert_eq!(available(&server, name), 17);
    }
    let missing = run(&server, &["show", "downloads"]);
    assert_fails(&missing, 1, "{downloads}: nothing is stored");
    let both = run(&server, &["show", "user:{bob}", "--key", "bob"]);
    assert_fails(&both, 2, "a whole key");
}

#[test]
fn show_tells_the_leases_of_nodes() {
    let server = server();
    with_store(&server, async |store| {
        let bucket = RedisTokenBucket::new(&store, "leased", QUOTA).unwrap();
        bucket.set_quota(QUOTA.burst(100)).await.unwrap();
        let leased = bucket.lease(LeaseOptions::new()).await;
        leased.acquire(1).await.unwrap();
        let shown = json_of(&server, &["show", "leased", "--json"]);
        assert_eq!(shown["quota"], "20/day burst 100");
        assert_eq!(
            (&shown["changes"], &shown["expires_in"]),
            (&json!(1), &Value::Null)
        );
        let of_nodes = shown["leases"].as_array().unwrap();
        assert_eq!(of_nodes.len(), 1);
        assert_eq!(of_nodes[0]["node"].as_str().unwrap().len(), 32);
        assert!(of_nodes[0]["ends_in"].as_f64().unwrap() > 0.0);
        let text = output(&server, &["show", "leased"]);
        assert!(text.contains("\nleases       1 node, at most "), "{text}");
        assert!(text.contains("\nkey ends in  never\n"), "{text}");
        assert!(text.contains("20/day burst 100, after 1 change"), "{text}");
        leased.close().await;
    });
}

#[test]
fn reset_asks_first() {
    let server = server();
    let asked = run(&server, &["reset", "uploads"]);
    assert_fails(&asked, 2, "Reset 1 bucket ({uploads})? Add --yes");
    assert_eq!(available(&server, "uploads"), 15);
    let done = output(&server, &["reset", "uploads", "--yes"]);
    assert!(done.starts_with("{uploads}: full in 6 h"), "{done}");
    assert!(done.ends_with("reset 1 bucket\n"), "{done}");

    let all = ["reset", "--matching", "user:*"];
    assert_fails(&run(&server, &all), 2, "Reset 3 buckets (");
    let done = output(&server, &[&all[..], &["--yes"]].concat());
    assert_eq!(done, "reset 3 buckets\n");
    assert_eq!(available(&server, "{model}:tokens"), 8, "not named");
    let again = output(&server, &[&all[..], &["--yes"]].concat());
    assert_eq!(again, "nothing is to be reset\n");
    assert_fails(&run(&server, &["reset"]), 2, "NAME");
    let both = run(&server, &["reset", "x", "--matching", "*"]);
    assert_fails(&both, 2, "cannot be used with");
}

#[test]
fn set_changes_levels() {
    let server = server();
    let quota = ["--quota", "20/day"];
    let set = |change: [&str; 2]| {
        let args = [&["set", "uploads"], &change[..], &quota[..]].concat();
        output(&server, &args)
    };
    let name = "{uploads}: ";
    let changed = set(["--debit", "20"]);
    assert_eq!(changed, format!("{name}15 -> 0 tokens, 20/day\n"));
    assert_eq!(
        set(["--credit", "6"]),
        format!("{name}0 -> 1 tokens, 20/day\n")
    );
    assert_eq!(
        set(["--level", "12"]),
        format!("{name}1 -> 12 tokens, 20/day\n")
    );
    assert_eq!(available(&server, "uploads"), 12);
    let unknown = run(&server, &["set", "uploads", "--level", "3"]);
    assert_fails(&unknown, 2, "as --quota");
    let above = [&["set", "uploads", "--level", "21"], &quota[..]].concat();
    assert_fails(&run(&server, &above), 2, "at most 20 tokens");
    let two = [
        &["set", "uploads", "--level", "1", "--debit", "1"],
        &quota[..],
    ]
    .concat();
    assert_fails(&run(&server, &two), 2, "cannot be used with");
    assert_fails(&run(&server, &["set", "uploads"]), 2, "--level");
    assert_eq!(available(&server, "uploads"), 12);
}

#[test]
fn set_changes_the_quota_of_all_nodes() {
    let server = server();
    let args = [
        "set",
        "uploads",
        "--new-quota",
        "50/day",
        "--quota",
        "20/day",
    ];
    let changed = output(&server, &args);
    assert_eq!(
        changed,
        "{uploads}: 15 -> 15 tokens, 50/day instead of 20/day\n"
    );
    // The server knows it now.
    let changed = output(&server, &["set", "uploads", "--new-quota", "10/day"]);
    assert_eq!(
        changed,
        "{uploads}: 15 -> 10 tokens, 10/day instead of 50/day\n"
    );
    let table = ["set", "user", "--table", "--new-quota", "30/day"];
    assert_eq!(output(&server, &table), "user: 30/day for all keys\n");
    with_store(&server, async |store| {
        let node = RedisTokenBucket::new(&store, "uploads", QUOTA).unwrap();
        assert_eq!(node.available().await.unwrap(), 10);
        assert_eq!(node.quota(), Quota::per_day(10));
        let node = RedisKeyed::new(&store, "user", QUOTA).unwrap();
        assert_eq!(node.available("carol").await.unwrap(), [30]);
        assert_eq!(node.available("alice").await.unwrap(), [18]);
    });
    let key = [
        "set",
        "user",
        "--key",
        "bob",
        "--new-quota",
        "9/day",
        "--quota",
        "30/day",
    ];
    assert_fails(&run(&server, &key), 2, "that of the table");
    let key = ["set", "user:{bob}", "--table", "--new-quota", "9/day"];
    assert_fails(&run(&server, &key), 2, "name of the table");
}

#[test]
fn problems_do_not_show_passwords() {
    let secret = "hunter2";
    for (url, code, message) in [
        ("redis://u:hunter2@127.0.0.1:1/", 1, "server: "),
        ("nonsense://u:hunter2@x/", 2, "the address: "),
    ] {
        let mut command = command(&["redis", "ls", "--timeout", "20s", "--url", url]);
        let ran = run_command(&mut command, b"");
        assert_fails(&ran, code, message);
        assert!(!ran.err.contains(secret), "{}", ran.err);
    }
}
