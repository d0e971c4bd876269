//! Bugs of other layers, with their reports.

use core::time::Duration;

use http::Request;
use tidegate::layer::{
    Attached, ForwardedFor, HeaderStyle, KeyExtractor, PerKey, RateLimitLayer, RequestHead, Reset,
};
use tidegate::{IpKey, Keyed, ManualClock, Quota, TokenBucket};
use tower::Layer;

use crate::{Peer, SECOND, answer, answer_of, bucket, field, ip, peer, served};

/// tower-governor#65: a wait of 900 ms became `retry-after: 0`, so clients retried at once.
#[test]
fn wait_below_a_second_is_not_zero() {
    let clock = ManualClock::new();
    let quota = Quota::new(1, Duration::from_millis(900)).expect("valid");
    let layer = RateLimitLayer::new(TokenBucket::with_clock(quota, clock.clone()));
    assert_eq!(served(&layer, 1), 1);
    let refusal = answer(&layer, Request::new(()));
    assert_eq!(field(&refusal, "retry-after"), Some("1"));
    clock.advance(SECOND);
    assert_eq!(served(&layer, 1), 1);
}

/// tower-governor#55: `per_second(5)` meant one in five seconds.
#[test]
fn five_per_second_are_five() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::new(TokenBucket::with_clock(Quota::per_second(5), clock.clone()));
    assert_eq!(served(&layer, 9), 5);
    clock.advance(SECOND);
    assert_eq!(served(&layer, 9), 5);
}

/// Returns the statuses of these requests with one request per second for each client.
fn statuses<const N: usize, E>(forwarded: E, requests: [(&str, &[&str]); N]) -> [u16; N]
where
    E: KeyExtractor<Key = IpKey>,
{
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &IpKey| bucket(1, &clock));
    let layer = RateLimitLayer::new(PerKey::new(limits, forwarded));
    requests.map(|(peer, lines)| {
        let mut request = Request::builder().extension(Peer(ip(peer)));
        for line in lines {
            request = request.header("x-forwarded-for", *line);
        }
        let request = request.body(()).expect("valid");
        answer(&layer, request).status().as_u16()
    })
}

/// rari#117: the leftmost entry was read, so a client had a new limit with every request.
#[test]
fn forged_first_entry_is_no_new_limit() {
    let spoofed = [
        ("10.0.0.1", ["1.1.1.1, 203.0.113.7"].as_slice()),
        ("10.0.0.1", &["2.2.2.2, 203.0.113.7"]),
        ("10.0.0.1", &["3.3.3.3", "203.0.113.7"]),
        ("10.0.0.1", &["4.4.4.4, 5.5.5.5,", "203.0.113.7"]),
    ];
    let by_hops = ForwardedFor::hops(1, peer);
    assert_eq!(statuses(by_hops, spoofed), [200, 429, 429, 429]);
    let by_proxies = ForwardedFor::proxies(["10.0.0.0/8"], peer).expect("valid");
    assert_eq!(statuses(by_proxies.clone(), spoofed), [200, 429, 429, 429]);
    // Nor for a client that bypasses the proxies.
    let direct = [
        ("203.0.113.9", ["1.1.1.1"].as_slice()),
        ("203.0.113.9", &["2.2.2.2"]),
        ("203.0.113.9", &[]),
    ];
    assert_eq!(statuses(by_proxies, direct), [200, 429, 429]);
}

/// CVE-2026-30827: IPv4-mapped addresses were masked like IPv6, so all IPv4 clients shared a limit.
#[test]
fn mapped_clients_do_not_share_a_limit() {
    let of_peer = |request: &RequestHead<'_>| peer(request).map(IpKey::new);
    let clients = [
        ("::ffff:203.0.113.7", [].as_slice()),
        ("::ffff:203.0.113.8", &[]),
        ("203.0.113.7", &[]),
        ("203.0.113.8", &[]),
        ("::ffff:198.51.100.1", &[]),
    ];
    assert_eq!(statuses(of_peer, clients), [200, 200, 429, 429, 200]);
    let entries = [
        ("10.0.0.1", ["::ffff:203.0.113.7"].as_slice()),
        ("10.0.0.1", &["[::ffff:203.0.113.8]:80"]),
        ("10.0.0.1", &["203.0.113.7:80"]),
        ("10.0.0.1", &["::ffff:203.0.113.8"]),
    ];
    let forwarded = ForwardedFor::hops(1, peer);
    assert_eq!(statuses(forwarded, entries), [200, 200, 429, 429]);
}

/// axum-client-ip#32: only the first line of the header was read.
#[test]
fn further_lines_are_read() {
    let lines = [
        ("10.0.0.1", ["1.1.1.1", "203.0.113.7"].as_slice()),
        ("10.0.0.1", &["1.1.1.1", "203.0.113.8"]),
        ("10.0.0.1", &["203.0.113.7"]),
        ("10.0.0.1", &["203.0.113.8, 1.1.1.1"]),
    ];
    let forwarded = ForwardedFor::hops(1, peer);
    assert_eq!(statuses(forwarded, lines), [200, 200, 429, 200]);
}

/// In tower-governor, all clients that could not be told apart shared one limit.
#[test]
fn clients_without_a_key_do_not_share_a_limit() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &IpKey| bucket(1, &clock));
    let of_peer = Attached::new(|peer: &Peer| IpKey::new(peer.0));
    let layer = RateLimitLayer::new(PerKey::new(limits, of_peer));
    assert_eq!(answer(&layer, Request::new(())).status(), 500);
    assert_eq!(layer.gate().table().len(), 0);
}

/// A response with the most possible header fields is returned unchanged.
#[test]
fn full_header_map_does_not_panic() {
    let handler = tower::service_fn(|_: Request<()>| {
        let mut response = http::Response::new(String::new());
        for number in 0..40_000 {
            let name = http::HeaderName::try_from(format!("x{number}")).expect("valid");
            let value = http::HeaderValue::from_static("");
            if response.headers_mut().try_append(name, value).is_err() {
                break;
            }
        }
        core::future::ready(Ok::<_, core::convert::Infallible>(response))
    });
    let (reset, burst) = (Reset::Delta, 2);
    let style = HeaderStyle::Both { reset };
    let layer = RateLimitLayer::builder(bucket(burst, &ManualClock::new()));
    let layer = layer.headers(style).build();
    let response = answer_of(layer.layer(handler), Request::new(()));
    assert!(response.headers().len() > 20_000);
    assert!(!response.headers().contains_key("ratelimit"));
}
