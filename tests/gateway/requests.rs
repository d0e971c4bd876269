//! Single requests. Tokens of these quotas take minutes, so a slow machine changes no result.

use std::net::Ipv4Addr;
use std::time::Duration;

use tidegate::{Clock, MonotonicClock, Quota};

use crate::client::{UNLIMITED, exchange, header, serve};
use crate::program::PATIENCE;
use crate::server::Quotas;

#[test]
fn every_request_is_limited_and_counted() {
    let start = MonotonicClock.now();
    let gateway = serve(Quotas {
        global: Quota::per_hour(5),
        ..UNLIMITED
    });

    // Each request costs a token whatever the router answers, and each answer shows the rest.
    let admitted = [
        ("GET", "/", 200),
        ("GET", "/search", 200),
        ("POST", "/upload", 200),
        ("GET", "/upload", 405),
        ("GET", "/no-such-page", 404),
    ];
    for (left, (method, path, status)) in (0..5).rev().zip(admitted) {
        let answer = gateway.request(method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        let policies = answer.header("ratelimit-policy").unwrap();
        assert!(policies.ends_with(r#", "global";q=5;w=3600"#), "{policies}");
        let limit = answer.header("ratelimit").unwrap();
        let expected = format!(r#""global";r={left};t="#);
        assert!(limit.starts_with(&expected), "{limit}");
    }

    let refused = [
        ("GET", "/"),
        ("GET", "/search"),
        ("POST", "/upload"),
        ("GET", "/no-such-page"),
        ("GET", "/stats/"),
    ];
    for (method, path) in refused {
        let answer = gateway.request(method, path);
        let elapsed = MonotonicClock.now() - start;
        answer.assert_refused_by("global", 720);
        // A token takes 720 s, so seconds that were rounded down would end too early. The 10 ms
        // are for the difference between two clocks.
        let wait = Duration::from_secs(answer.retry_after()) + Duration::from_millis(10);
        assert!(elapsed + wait >= Duration::from_secs(720), "{wait:?}");
    }

    // Twice, because reading the counts neither costs nor counts.
    for _ in 0..2 {
        gateway.assert_stats(&[
            ("/available", 0),
            ("/refused_by/global", 5),
            ("/routes/~1/admitted", 1),
            ("/routes/~1/refused", 1),
            ("/routes/~1search/admitted", 1),
            ("/routes/~1search/refused", 1),
            ("/routes/~1upload/admitted", 2),
            ("/routes/~1upload/refused", 1),
            ("/routes/unknown/admitted", 1),
            ("/routes/unknown/refused", 2),
            ("/refused_by/unknown", 0),
        ]);
    }
}

#[test]
fn each_route_has_its_own_window() {
    let gateway = serve(UNLIMITED);
    let deadline = MonotonicClock.now() + PATIENCE;
    let batch = vec![("POST", "/upload", Vec::new()); 50];

    // 20 in any 2 s. If the machine stalls during a batch, the next batch exceeds them.
    let (mut admitted, mut refused) = (0, 0);
    while refused == 0 {
        assert!(MonotonicClock.now() < deadline, "{admitted} admitted");
        for answer in exchange(gateway.address, Ipv4Addr::LOCALHOST, &batch) {
            if answer.status == 200 {
                admitted += 1;
                continue;
            }
            // The window, one of its slots, and rounding up.
            answer.assert_refused_by("/upload", 3);
            assert!(admitted >= 20, "{admitted}");
            refused += 1;
        }
    }
    assert_eq!((admitted + refused) % 50, 0, "answers are missing");

    assert_eq!(gateway.request("GET", "/search").status, 200);
    gateway.assert_stats(&[
        ("/routes/~1upload/admitted", admitted),
        ("/refused_by/~1upload", refused),
        ("/routes/~1search/admitted", 1),
        ("/refused_by/global", 0),
    ]);
}

#[test]
fn each_api_key_has_its_own_limit() {
    let gateway = serve(Quotas {
        free: Quota::per_hour(3),
        pro: Quota::per_hour(12),
        ..UNLIMITED
    });
    let send = |key: &str| gateway.get_with("x-api-key", key);

    for key in ["alice", "bob"] {
        for _ in 0..3 {
            assert_eq!(send(key).status, 200);
        }
        send(key).assert_refused_by("key", 1_200);
    }
    for _ in 0..12 {
        assert_eq!(send("pro-7f3a9c").status, 200);
    }
    send("pro-7f3a9c").assert_refused_by("key", 300);
    assert_eq!(send("pro-c41d02").status, 200);

    gateway.assert_stats(&[
        ("/keys/active", 4),
        ("/keys/created", 4),
        ("/keys/overflowed", 0),
        ("/refused_by/key", 3),
        ("/routes/~1/admitted", 19),
        ("/routes/~1/forfeited", 0),
    ]);
}

#[test]
fn request_without_key_is_limited_by_address_alone() {
    let gateway = serve(Quotas {
        address: Quota::per_hour(4),
        free: Quota::per_hour(1),
        ..UNLIMITED
    });

    assert_eq!(gateway.request("GET", "/").status, 200);
    assert_eq!(gateway.request("POST", "/upload").status, 200);
    // An empty key is no key. Otherwise all clients without one would share its limit.
    assert_eq!(gateway.get_with("x-api-key", "").status, 200);
    assert_eq!(gateway.get_with("x-api-key", " \t ").status, 200);
    gateway
        .request("GET", "/")
        .assert_refused_by("address", 900);
    // A new key does not help, and is not kept.
    let answer = gateway.get_with("x-api-key", "new");
    answer.assert_refused_by("address", 900);

    gateway.assert_stats(&[
        ("/keys/active", 0),
        ("/keys/created", 0),
        ("/refused_by/key", 0),
        ("/addresses/active", 1),
        ("/addresses/overflowed", 0),
        ("/refused_by/address", 2),
        ("/routes/~1/admitted", 3),
        ("/routes/~1upload/admitted", 1),
        ("/routes/~1/forfeited", 0),
    ]);
}

#[test]
fn refusal_takes_nothing_from_other_limits() {
    let gateway = serve(Quotas {
        global: Quota::per_hour(5),
        address: Quota::per_hour(3),
        free: Quota::per_hour(1),
        ..UNLIMITED
    });
    let send = |key: &str| gateway.get_with("x-api-key", key);

    assert_eq!(send("alice").status, 200);
    for _ in 0..5 {
        send("alice").assert_refused_by("key", 3_600);
    }
    assert_eq!(gateway.request("GET", "/").status, 200);
    assert_eq!(gateway.request("GET", "/").status, 200);
    for _ in 0..5 {
        gateway
            .request("GET", "/")
            .assert_refused_by("address", 1_200);
        send("bob").assert_refused_by("address", 1_200);
        // Of two limits that refuse, the one with the longer wait is named.
        let answer = send("alice");
        answer.assert_refused_by("key", 3_600);
        assert!(answer.retry_after() > 1_200);
    }

    gateway.assert_stats(&[
        ("/available", 2),
        ("/routes/~1/admitted", 3),
        ("/routes/~1/forfeited", 0),
        ("/keys/active", 1),
        ("/refused_by/key", 10),
        ("/refused_by/address", 10),
        ("/refused_by/global", 0),
        ("/refused_by/~1", 0),
    ]);
}

#[cfg(target_os = "linux")]
#[test]
fn each_address_has_its_own_limit() {
    let gateway = serve(Quotas {
        address: Quota::per_hour(2),
        ..UNLIMITED
    });
    for octet in [2, 3, 4] {
        let from = Ipv4Addr::new(127, 0, 0, octet);
        // The server must ignore these headers, which a client can forge.
        for (name, value) in [("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.2")] {
            assert_eq!(gateway.get_from(from, name, value).status, 200);
        }
        for (name, value) in [
            ("X-Forwarded-For", "10.0.0.3, 10.0.0.4"),
            ("Forwarded", "for=10.0.0.5"),
            ("x-api-key", "alice"),
        ] {
            let answer = gateway.get_from(from, name, value);
            answer.assert_refused_by("address", 1_800);
        }
    }
    gateway.assert_stats(&[
        ("/addresses/active", 3),
        ("/refused_by/address", 9),
        ("/routes/~1/admitted", 6),
    ]);
}

#[cfg(target_os = "linux")]
#[test]
fn key_has_one_limit_at_all_addresses() {
    let gateway = serve(Quotas {
        free: Quota::per_hour(3),
        ..UNLIMITED
    });
    let send = |octet| gateway.get_from(Ipv4Addr::new(127, 0, 0, octet), "X-API-Key", "alice");
    for octet in [2, 3, 4] {
        assert_eq!(send(octet).status, 200);
    }
    for octet in [2, 3, 4, 5] {
        send(octet).assert_refused_by("key", 1_200);
    }
    gateway.assert_stats(&[("/keys/active", 1), ("/refused_by/key", 4)]);
}

#[test]
fn any_bytes_of_any_length_are_a_key() {
    let gateway = serve(Quotas {
        free: Quota::per_hour(1),
        ..UNLIMITED
    });
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
        assert_eq!(gateway.get_with("x-api-key", key).status, 200);
        let answer = gateway.get_with("x-api-key", key);
        answer.assert_refused_by("key", 3_600);
    }
    // Two keys are an error, because the handler might check the other one.
    let two = [header("x-api-key", "k"), header("x-api-key", "new")].concat();
    let answers = exchange(gateway.address, Ipv4Addr::LOCALHOST, &[("GET", "/", two)]);
    assert_eq!(answers[0].status, 400);

    gateway.assert_stats(&[
        ("/keys/active", 6),
        ("/refused_by/key", 7),
        ("/routes/~1/admitted", 6),
    ]);
}
