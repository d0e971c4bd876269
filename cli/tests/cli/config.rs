//! Written limits have the rate and the burst of the quota, and say what differs.

use proptest::prelude::*;
use tidegate::Quota;
use tidegate_cli::config::{Portable, TARGETS, Target, Written, write};
use tidegate_cli::values::nginx;

use crate::{cases, program};

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

fn bucket(text: &str, target: Target) -> Written {
    write(&Portable::bucket(quota(text), "ip"), target)
}

/// The text after `name` up to the end of the line.
fn value<'a>(config: &'a str, name: &str) -> &'a str {
    let (_, rest) = config.rsplit_once(name).unwrap();
    rest.lines().next().unwrap().trim()
}

/// `tests/real_parts` gives this file to nginx.
#[test]
fn nginx_file_is_current() {
    let file = include_str!("../data/config/nginx.conf");
    let written = bucket("3/min burst 4", Target::Nginx).config.unwrap();
    assert_eq!(written, file);
}

#[test]
fn differences_are_named() {
    for (text, target, expected) in [
        ("100/min burst 20", Target::Nginx, "99.96 per minute"),
        (
            "500/h burst 20",
            Target::Nginx,
            "8.333 per minute became 9r/m",
        ),
        ("30/h burst 20", Target::Nginx, "lowest rate is 1r/m"),
        ("100/min burst 20", Target::Haproxy, "no bucket"),
        ("100/min burst 20", Target::Haproxy, "refused requests, too"),
        ("100/min burst 20", Target::Caddy, "no bucket"),
        ("100/min burst 20", Target::Traefik, "up to 0.5 s too early"),
        (
            "100/min burst 20",
            Target::Traefik,
            "forgets a client 2 s after",
        ),
        (
            "6/min burst 20",
            Target::Traefik,
            "forgets a client 11 s after",
        ),
        ("100/min burst 20", Target::Envoy, "limits of its own"),
        ("3/1us burst 2", Target::Envoy, "another period"),
        ("3/1us burst 2", Target::Caddy, "another period"),
        ("1/month burst 2", Target::Haproxy, "another period"),
        ("100/min burst 20", Target::Tidegate, "/64"),
    ] {
        let written = bucket(text, target);
        let found = written
            .differences
            .iter()
            .any(|difference| difference.contains(expected));
        assert!(found, "{expected}: {written:?}");
    }
    let window = |target| write(&Portable::window(quota("100/min"), "ip"), target);
    for (target, expected) in [
        (Target::Nginx, "no window"),
        (Target::Envoy, "no window"),
        (Target::Traefik, "no window"),
        (Target::Caddy, "the same meaning"),
    ] {
        assert!(
            window(target).differences.join("\n").contains(expected),
            "{target:?}"
        );
    }
    let rules = window(Target::Tidegate).config.unwrap();
    assert!(rules.contains("window = \"100/min\""), "{rules}");
}

/// nginx's own limits come out as they went in.
#[test]
fn nginx_limits_stay_as_they_are() {
    for text in [
        "rate=1r/m burst=5 nodelay",
        "rate=100r/m burst=20",
        "rate=5r/s burst=10 delay=3",
        "rate=30r/m",
        "rate=2r/s",
    ] {
        let ran = program::run(&["config", text, "--for", "nginx"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let (rate, burst) = text.split_once(' ').unwrap_or((text, ""));
        let zone = format!("zone=tidegate:10m {rate};");
        let used = format!("{};", format!("zone=tidegate {burst}").trim_end());
        assert!(
            ran.out.contains(&zone) && ran.out.contains(&used),
            "{}",
            ran.out
        );
        assert!(
            !ran.out.contains("became") && !ran.out.contains("rounds"),
            "{}",
            ran.out
        );
    }
    let all = write(&Portable::bucket(quota("10/s"), "none"), Target::Nginx);
    let config = all.config.unwrap();
    assert!(config.contains("limit_req_zone all zone="), "{config}");
}

#[test]
fn numbers_follow_from_what_is_written() {
    let written = write(&Portable::window(quota("500/h"), "ip"), Target::Nginx);
    // 9r/m are 0.15 per second, which are 540 per hour.
    let differences = written.differences.join("\n");
    assert!(
        differences.contains("up to 1,040 may pass"),
        "{differences}"
    );
    let large = bucket("5/s burst 5000000000", Target::Envoy);
    let differences = large.differences.join("\n");
    assert!(
        differences.contains("the burst of 5,000,000,000 became"),
        "{differences}"
    );
    let fast = bucket("500000000001/s burst 5", Target::Envoy).differences;
    assert!(fast[0].contains("lower rate"), "{fast:?}");
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn rates_and_bursts_are_kept(
        rate in 1_u64..5_000,
        period in prop_oneof![Just("s"), Just("min"), Just("h"), Just("d"), Just("7s")],
        burst in 1_u64..10_000,
    ) {
        let text = format!("{rate}/{period} burst {burst}");
        let given = quota(&text);
        let seconds = given.period().as_secs();
        for target in TARGETS {
            let written = bucket(&text, target);
            let Some(config) = written.config else {
                prop_assert!(target == Target::Nginx && rate * 60 < seconds, "{written:?}");
                continue;
            };
            match target {
                Target::Nginx => {
                    let directives = config.lines().filter(|line| line.starts_with("limit_req"));
                    let directives = directives.filter(|line| !line.contains("status"));
                    let read = nginx::parse(&directives.collect::<Vec<_>>().join("\n")).unwrap();
                    prop_assert_eq!(read.quota.capacity(), burst);
                    // The same rate, or named as different.
                    let same = read.quota.rate() * 1_000 * seconds
                        == rate * 1_000 * read.quota.period().as_secs();
                    prop_assert!(same || written.differences.len() > 1);
                }
                Target::Envoy => {
                    let tokens: u64 = value(&config, "tokens_per_fill: ").parse().unwrap();
                    let interval = value(&config, "fill_interval: ").trim_end_matches('s');
                    let millis = millis_of(interval);
                    prop_assert!(millis >= 50);
                    prop_assert_eq!(tokens * seconds * 1_000, rate * millis);
                    prop_assert_eq!(value(&config, "max_tokens: "), burst.to_string());
                }
                Target::Haproxy => {
                    let expected = format!("http_req_rate({seconds}s)");
                    let deny = format!("gt {rate} ");
                    prop_assert!(config.contains(&expected) && config.contains(&deny));
                }
                Target::Traefik => {
                    prop_assert_eq!(value(&config, "average: "), rate.to_string());
                    prop_assert_eq!(value(&config, "period: "), format!("{seconds}s"));
                    prop_assert_eq!(value(&config, "burst: "), burst.to_string());
                }
                Target::Caddy => {
                    prop_assert_eq!(value(&config, "events "), rate.to_string());
                    prop_assert_eq!(value(&config, "window "), format!("{seconds}s"));
                }
                Target::Tidegate => {
                    let read: Quota = value(&config, "rate = ").trim_matches('"').parse().unwrap();
                    prop_assert_eq!(read, given);
                }
            }
        }
    }
}

/// Milliseconds of a decimal number of seconds.
fn millis_of(seconds: &str) -> u64 {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let part = format!("{part:0<3}");
    whole.parse::<u64>().unwrap() * 1_000 + part.parse::<u64>().unwrap()
}

#[test]
fn command_prints_what_can_be_copied() {
    let ran = program::run(&["config", "rate=5r/s burst=10", "--for", "tidegate,nginx"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("rate = \"5/s burst 11\""), "{}", ran.out);
    assert!(ran.out.contains("zone=tidegate burst=10;"), "{}", ran.out);
    assert!(ran.out.contains("the last one by 2 s"), "{}", ran.out);
    let plain = ran.out.lines().filter(|line| line.starts_with("# "));
    assert!(plain.count() >= 4, "{}", ran.out);
    let written = program::json(&["config", "--window", "500/h", "--json"], b"");
    assert_eq!(written.as_array().unwrap().len(), 6);
    program::assert_fails(&program::run(&["config"]), 2, "required");
    for by in ["ip", "ip-prefix", "path", "user", "agent", "none", "tenant"] {
        for target in TARGETS {
            let limit = Portable::bucket(quota("10/s"), by);
            assert!(write(&limit, target).config.is_some(), "{by} {target:?}");
        }
    }
}
