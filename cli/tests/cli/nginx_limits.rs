//! Compares quotas in nginx's notation with nginx's own arithmetic.

use std::collections::BTreeMap;

use crate::{oracle, program};

/// The refusals of `limit_req` with whole milliseconds and thousandths of requests, as in
/// `ngx_http_limit_req_lookup`.
fn refused(events: &[(u64, String)], rate: i64, burst: i64) -> u64 {
    let mut nodes: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut refused = 0;
    for (time, key) in events {
        let now = i64::try_from(time / 1_000_000).unwrap();
        let Some((excess, last)) = nodes.get_mut(key.as_str()) else {
            nodes.insert(key, (0, now));
            continue;
        };
        let next = (*excess - rate * (now - *last) / 1_000 + 1_000).max(0);
        if next > burst * 1_000 {
            refused += 1;
        } else {
            (*excess, *last) = (next, now);
        }
    }
    refused
}

#[test]
fn decides_as_nginx() {
    let path = oracle::log_path();
    let path = path.to_str().unwrap();
    let span = 120 * oracle::SECOND;
    let (events, _) = oracle::in_order(oracle::parse(&oracle::log_text(), "ip"), span);
    for (text, rate, burst) in [
        ("rate=1r/s", 1_000, 0),
        ("rate=1r/s burst=5 nodelay", 1_000, 5),
        ("rate=2r/s burst=3 nodelay", 2_000, 3),
        ("rate=10r/m burst=3", 166, 3),
        ("rate=1r/m burst=20 delay=8", 16, 20),
        (
            "limit_req_zone $binary_remote_addr zone=a:10m rate=100r/m; limit_req zone=a burst=2;",
            1_666,
            2,
        ),
    ] {
        let ran = program::run(&["replay", path, "--quota", text, "--json"]);
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let expected = refused(&events, rate, burst);
        assert!(expected > 0, "{text}");
        assert_eq!(report["refused"], expected, "{text}");
        assert!(ran.err.contains("nginx"), "{}", ran.err);
    }
}

#[test]
fn explain_reads_nginx() {
    let found = program::json(&["explain", "rate=5r/s burst=10 nodelay", "--json"], b"");
    assert_eq!(found["quota"], "5/s burst 11");
    let ran = program::run(&["replay", "-", "--quota", "rate=5r/s brust=10"]);
    program::assert_fails(&ran, 2, "`brust=10` is no parameter");
}
