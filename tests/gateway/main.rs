//! The example `gateway` as its users meet it: a program that is started, sent HTTP requests, and stopped.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod client;
#[path = "../program/mod.rs"]
mod program;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::process::Command;

use tidegate::{Clock, MonotonicClock};

use crate::client::{
    all_stats, assert_counts, exchange, get_from, get_with, header, request, requests, serve,
    serve_with, start, stats,
};
use crate::program::PATIENCE;

#[test]
fn every_request_is_gated_and_counted() {
    let start = MonotonicClock.now();
    let (_gateway, address) = serve("5/hour");
    let send = |method, path| request(&address, method, path);

    // Whatever the router makes of a request, it costs a token, and the answer says so.
    let admitted = [
        ("GET", "/", 200),
        ("GET", "/search", 200),
        ("POST", "/upload", 200),
        ("GET", "/upload", 405),
        ("GET", "/no-such-page", 404),
    ];
    for (left, (method, path, status)) in (0..5).rev().zip(admitted) {
        let answer = send(method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some(r#""global";q=5;w=3600"#)
        );
        let told = answer.header("ratelimit").unwrap();
        assert!(
            told.starts_with(&format!(r#""global";r={left};t="#)),
            "{told}"
        );
    }

    let refused = [
        ("GET", "/"),
        ("GET", "/search"),
        ("POST", "/upload"),
        ("GET", "/no-such-page"),
        ("GET", "/stats/"),
    ];
    for (method, path) in refused {
        let answer = send(method, path);
        let elapsed = MonotonicClock.now() - start;
        assert_eq!(answer.status, 429, "{method} {path}");
        assert_eq!(answer.header("x-refused-by"), Some("global"));
        let retry_after = answer.retry_after();
        assert!((1..=720).contains(&retry_after), "{retry_after}");
        let told = format!(r#""global";r=0;t={retry_after}"#);
        assert_eq!(answer.header("ratelimit"), Some(told.as_str()));
        // A token takes 720 s: seconds that were rounded down would end too early. 10 ms, as the gateway has a clock of its own.
        let comes_back = elapsed + Duration::from_secs(retry_after) + Duration::from_millis(10);
        assert!(comes_back >= Duration::from_secs(720), "{comes_back:?}");
    }

    let answer = send("GET", "/stats");
    assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    // Twice, because looking costs nothing and counts for nothing.
    for _ in 0..2 {
        let (counts, tokens) = stats(&address);
        let expected = [
            ("global", 5, 5),
            ("/", 1, 0),
            ("/search", 1, 0),
            ("/upload", 2, 0),
            ("unknown", 1, 0),
        ];
        assert_eq!(
            counts,
            expected.map(|(name, admitted, refused)| (name.to_owned(), admitted, refused))
        );
        assert_eq!(tokens, 0);
    }
}

#[test]
fn a_route_has_a_window_of_its_own() {
    let (_gateway, address) = serve("1M/s");
    let deadline = MonotonicClock.now() + PATIENCE;

    // 20 in any 2 s: a machine that stalls while it answers a batch gets another.
    let (mut admitted, mut refused) = (0, 0);
    while refused == 0 {
        assert!(MonotonicClock.now() < deadline, "{admitted} admitted");
        for answer in requests(&address, "POST", "/upload", 50) {
            if answer.status == 200 {
                admitted += 1;
                continue;
            }
            assert_eq!(answer.status, 429);
            assert_eq!(answer.header("x-refused-by"), Some("/upload"));
            // The window, a slot of it, and rounded up.
            assert!((1..=3).contains(&answer.retry_after()));
            assert!(admitted >= 20, "{admitted}");
            refused += 1;
        }
    }
    assert_eq!((admitted + refused) % 50, 0, "answers are missing");

    assert_eq!(request(&address, "GET", "/search").status, 200);
    let (counts, _) = stats(&address);
    assert_eq!(counts[0], ("global".to_owned(), admitted + 1, 0));
    assert_eq!(counts[3], ("/upload".to_owned(), admitted, refused));
}

// Tokens of the quotas below take minutes, so that what was used up stays so however slow the machine is.

#[test]
fn each_api_key_has_a_limit_of_its_own() {
    let (_gateway, address) = serve_with("1M/s", "1M/s", "3/hour");
    let send = |key: &str| get_with(&address, "x-api-key", key);

    for key in ["alice", "bob"] {
        for _ in 0..3 {
            assert_eq!(send(key).status, 200);
        }
        send(key).assert_refused_by("key", 1_200);
    }
    // The pro tier gets four times as much, four times as fast.
    for _ in 0..12 {
        assert_eq!(send("pro-7f3a9c").status, 200);
    }
    send("pro-7f3a9c").assert_refused_by("key", 300);
    assert_eq!(send("pro-c41d02").status, 200);

    let keys = [
        ("keys", 4),
        ("created", 4),
        ("dropped", 0),
        ("overflowed", 0),
        ("refused", 3),
    ];
    let stats = all_stats(&address);
    assert_counts(&stats["keys"], &keys);
    assert_counts(&stats["limits"][0], &[("admitted", 19), ("forfeited", 0)]);
    assert_eq!(stats["keys"]["pro_quota"], "12/hour");
}

#[test]
fn who_has_no_key_is_limited_by_address_alone() {
    let (_gateway, address) = serve_with("1M/s", "4/hour", "1/hour");

    assert_eq!(request(&address, "GET", "/").status, 200);
    assert_eq!(request(&address, "POST", "/upload").status, 200);
    // No text is no key: everybody without one would share it.
    assert_eq!(get_with(&address, "x-api-key", "").status, 200);
    assert_eq!(get_with(&address, "x-api-key", " \t ").status, 200);
    request(&address, "GET", "/").assert_refused_by("address", 900);
    // A key is no way around that, and is not kept.
    get_with(&address, "x-api-key", "new").assert_refused_by("address", 900);

    let stats = all_stats(&address);
    assert_counts(
        &stats["keys"],
        &[("keys", 0), ("created", 0), ("refused", 0)],
    );
    let addresses = [("active", 1), ("overflowed", 0), ("refused", 2)];
    assert_counts(&stats["addresses"], &addresses);
    assert_counts(&stats["limits"][0], &[("admitted", 4), ("forfeited", 0)]);
}

#[test]
fn a_refusal_takes_nothing_from_other_limits() {
    let (_gateway, address) = serve_with("5/hour", "3/hour", "1/hour");
    let send = |key: &str| get_with(&address, "x-api-key", key);

    assert_eq!(send("alice").status, 200);
    for _ in 0..5 {
        send("alice").assert_refused_by("key", 3_600);
    }
    assert_eq!(request(&address, "GET", "/").status, 200);
    assert_eq!(request(&address, "GET", "/").status, 200);
    for _ in 0..5 {
        request(&address, "GET", "/").assert_refused_by("address", 1_200);
        send("bob").assert_refused_by("address", 1_200);
        // Of two that refuse, the one with the longer wait is told.
        let answer = send("alice");
        answer.assert_refused_by("key", 3_600);
        assert!(answer.retry_after() > 1_200);
    }

    let (counts, tokens) = stats(&address);
    assert_eq!(tokens, 2);
    assert_eq!(counts[0], ("global".to_owned(), 3, 0));
    assert_eq!(counts[1], ("/".to_owned(), 3, 0));
    let stats = all_stats(&address);
    assert_counts(&stats["keys"], &[("keys", 1), ("refused", 10)]);
    assert_counts(&stats["addresses"], &[("refused", 10)]);
    assert_counts(&stats["limits"][0], &[("forfeited", 0)]);
}

#[cfg(target_os = "linux")]
#[test]
fn each_address_has_a_limit_of_its_own() {
    let (_gateway, address) = serve_with("1M/s", "2/hour", "1M/s");
    for octet in [2, 3, 4] {
        let from = Ipv4Addr::new(127, 0, 0, octet);
        // What these say is the client's own invention.
        for (name, value) in [("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.2")] {
            assert_eq!(get_from(&address, from, name, value).status, 200);
        }
        for (name, value) in [
            ("X-Forwarded-For", "10.0.0.3, 10.0.0.4"),
            ("Forwarded", "for=10.0.0.5"),
            ("x-api-key", "alice"),
        ] {
            get_from(&address, from, name, value).assert_refused_by("address", 1_800);
        }
    }
    let stats = all_stats(&address);
    assert_counts(&stats["addresses"], &[("active", 3), ("refused", 9)]);
    assert_counts(&stats["limits"][0], &[("admitted", 6)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_has_one_limit_wherever_it_is_used() {
    let (_gateway, address) = serve_with("1M/s", "1M/s", "3/hour");
    let send = |octet| {
        let from = Ipv4Addr::new(127, 0, 0, octet);
        get_from(&address, from, "X-API-Key", "alice")
    };
    for octet in [2, 3, 4] {
        assert_eq!(send(octet).status, 200);
    }
    for octet in [2, 3, 4, 5] {
        send(octet).assert_refused_by("key", 1_200);
    }
    assert_counts(&all_stats(&address)["keys"], &[("keys", 1), ("refused", 4)]);
}

#[test]
fn any_bytes_are_a_key_of_any_length() {
    let (_gateway, address) = serve_with("1M/s", "1M/s", "1/hour");
    let longest = vec![b'k'; 64 << 10];
    let mut twin = longest.clone();
    *twin.last_mut().unwrap() = b'l';
    let keys: [&[u8]; 6] = [
        b"k",
        b"\xff\xfe\x80",
        "clé-ключ-鍵".as_bytes(),
        b"../../etc/passwd\", \"x\": %00 {}",
        &longest,
        &twin,
    ];
    for key in keys {
        assert_eq!(get_with(&address, "x-api-key", key).status, 200);
        get_with(&address, "x-api-key", key).assert_refused_by("key", 3_600);
    }
    // Two are neither of them, nor none: whoever checks keys might take the other one.
    let two = [header("x-api-key", "k"), header("x-api-key", "new")].concat();
    let answers = exchange(&address, Ipv4Addr::LOCALHOST, &[("GET", "/", two)]);
    assert_eq!(answers[0].status, 400);

    let stats = all_stats(&address);
    assert_counts(&stats["keys"], &[("keys", 6), ("refused", 7)]);
    assert_counts(&stats["limits"][0], &[("admitted", 6)]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_depend_on_how_long_keys_are() {
    let (gateway, address) = serve_with("1M/s", "1M/s", "1/hour");
    let status = format!("/proc/{}/status", gateway.process.id());
    let resident_kib = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap()
    };
    // 20 keys of 8 KiB that nobody has sent before.
    let send = |batch: usize| {
        let request = |index| {
            let key = format!("{batch:04096}{index:04096}");
            ("GET", "/", header("x-api-key", key))
        };
        let requests: Vec<_> = (0..20).map(request).collect();
        let answers = exchange(&address, Ipv4Addr::LOCALHOST, &requests);
        assert_eq!(answers.len(), 20);
        let admitted = answers.iter().filter(|answer| answer.status == 200);
        admitted.count() as u64
    };
    // The first ones make the buffers.
    let mut admitted = (0..5).map(send).sum::<u64>();
    let before = resident_kib();
    admitted += (5..55).map(send).sum::<u64>();
    let grown = resident_kib().saturating_sub(before);

    // The route refuses some of them, but at least 400 were admitted, which are 3200 KiB.
    assert!(admitted >= 400, "{admitted}");
    assert!(grown < 1_600, "{grown} KiB");
    let counts = all_stats(&address);
    assert_counts(&counts["keys"], &[("keys", admitted), ("refused", 0)]);
    assert_counts(&counts["limits"][0], &[("admitted", admitted)]);
}

#[test]
fn the_demo_proves_its_limits() {
    let demo = start(&["--demo", "--seconds", "1", "--clients", "8"]).finish();
    assert!(demo.status.success(), "{demo:?}");

    let row = |name: &str| {
        let row = demo
            .stdout
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let cells: Vec<&str> = row.expect(&demo.stdout).split_whitespace().collect();
        let numbers = cells[1..6].iter().map(|cell| cell.parse::<u64>().unwrap());
        let &[offered, admitted, allowed, refused, elsewhere] =
            numbers.collect::<Vec<_>>().as_slice()
        else {
            panic!("{}", demo.stdout);
        };
        assert!(admitted <= allowed, "{}", demo.stdout);
        assert_eq!(offered, admitted + refused + elsewhere, "{}", demo.stdout);
        (offered, admitted)
    };
    let all = row("global");
    let sum = |names: &[&str]| {
        let rows = names.iter().map(|name| row(name));
        rows.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1))
    };
    assert_eq!(sum(&["/", "/search", "/upload", "unknown"]), all);
    assert!(
        sum(&["pro", "free-1", "free-2"]).0 < all.0,
        "some have no key"
    );
    if cfg!(target_os = "linux") {
        let addresses = [2, 3, 4, 5, 6].map(|octet| format!("127.0.0.{octet}"));
        assert_eq!(sum(&addresses.each_ref().map(String::as_str)), all);
    }
    let verdicts = demo.stdout.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(verdicts.count(), 6, "{}", demo.stdout);
    // It fits a terminal of 80 columns.
    assert!(
        demo.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        demo.stdout
    );
}

#[test]
fn a_bad_option_is_told_and_fails() {
    let cases: [(&[&str], &str); 15] = [
        (&["--fast"], "unknown option `--fast`"),
        (&["8080"], "unknown option `8080`"),
        (&["--addr"], "--addr needs a value"),
        (
            &["--addr", "localhost"],
            "--addr `localhost`: not an address and port, such as 127.0.0.1:8080",
        ),
        (&["--addr", "0.0.0.0:0"], "not a loopback address"),
        (
            &["--quota", "5/fortnight"],
            "unknown unit of time (ns, us, ms, s, min, h or d) at byte 2",
        ),
        (
            &["--quota-per-address", "5"],
            "--quota-per-address `5`: expected `/` or `per` after a whole number at byte 1",
        ),
        (&["--quota-per-key"], "--quota-per-key needs a value"),
        (
            // Four times as much is more than a clock of nanoseconds can meter.
            &["--quota-per-key", "1000/ns"],
            "--quota-per-key `1000/ns`: too much for the pro tier",
        ),
        (
            &["--demo", "--seconds", "0"],
            "must be a number from 1 to 600",
        ),
        (
            &["--demo", "--clients=257"],
            "must be a number from 1 to 256",
        ),
        (
            &["--demo", "--clients", "many"],
            "--clients `many`: must be a number from 1 to 256",
        ),
        (&["--demo=yes"], "--demo takes no value"),
        (&["--seconds", "1"], "need --demo"),
        (&["--demo", "--addr", "127.0.0.1:0"], "leave out --addr"),
    ];
    for (arguments, message) in cases {
        let gateway = start(arguments).finish();
        assert_eq!(gateway.status.code(), Some(2), "{arguments:?} {gateway:?}");
        assert!(
            gateway.stderr.contains(message),
            "{arguments:?} {gateway:?}"
        );
        assert_eq!(gateway.stdout, "", "{arguments:?}");
    }
    let help = start(&["--help"]).finish();
    assert!(help.status.success(), "{help:?}");
    for option in [
        "addr",
        "demo",
        "seconds",
        "clients",
        "help",
        "quota",
        "quota-per-address",
        "quota-per-key",
    ] {
        assert!(help.stdout.contains(&format!("  --{option} ")), "{option}");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let (_gateway, address) = serve("1/s");
    let second = start(&["--addr", &address]).finish();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(
        second
            .stderr
            .contains(&format!("cannot listen on {address}")),
        "{second:?}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_server() {
    let (gateway, address) = serve("5/s");
    assert_eq!(request(&address, "GET", "/").status, 200);
    let kill = format!("kill -INT {}", gateway.process.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let stopped = gateway.finish();
    assert!(stopped.status.success(), "{stopped:?}");
}
