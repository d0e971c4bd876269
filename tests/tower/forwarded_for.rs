//! `X-Forwarded-For` with forged entries: what a client writes never replaces a proxy's entry.

use core::net::IpAddr;

use http::{HeaderValue, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate::layer::{ForwardedFor, KeyExtractor, NoKey, RequestHead};
use tidegate::{IpKey, Ipv6Prefix};

use crate::{Peer, ip, peer};

/// Returns the client that `forwarded` reads from these lines, on a connection from 10.0.0.1.
fn client<P>(forwarded: &ForwardedFor<P>, lines: &[impl AsRef<[u8]>]) -> IpAddr
where
    P: Fn(&RequestHead<'_>) -> Option<IpAddr>,
{
    let mut request = Request::builder().extension(Peer(ip("10.0.0.1")));
    for line in lines {
        request = request.header("X-Forwarded-For", line.as_ref());
    }
    let request = request.body(()).expect("valid");
    let client = forwarded.client(&RequestHead::new(&request));
    client.expect("the peer is known")
}

fn by_hops(hops: usize, lines: &[impl AsRef<[u8]>]) -> String {
    client(&ForwardedFor::hops(hops, peer), lines).to_string()
}

/// Trusts the proxies `10.0.0.0/8` and `2001:db8::/32`.
fn by_proxies(lines: &[impl AsRef<[u8]>]) -> String {
    let proxies = ForwardedFor::proxies(["10.0.0.0/8", "2001:db8::/32"], peer);
    client(&proxies.expect("valid"), lines).to_string()
}

const PEER: &str = "10.0.0.1";

#[test]
fn entries_are_counted_from_the_right() {
    let lines = ["1.1.1.1, 2.2.2.2,3.3.3.3"];
    for (hops, expected) in [
        (0, PEER),
        (1, "3.3.3.3"),
        (2, "2.2.2.2"),
        (3, "1.1.1.1"),
        // Too few entries: a client bypassed a proxy.
        (4, PEER),
        (usize::MAX, PEER),
    ] {
        assert_eq!(by_hops(hops, &lines), expected, "{hops}");
    }
    assert_eq!(by_hops(1, &[""; 0]), PEER);
    assert_eq!(by_hops(1, &[""]), PEER);
    assert_eq!(by_hops(usize::MAX, &[""; 0]), PEER);
}

#[test]
fn lines_form_one_list_in_order() {
    let lines = ["1.1.1.1", "2.2.2.2, 3.3.3.3", "", "4.4.4.4"];
    let read = [1, 2, 3, 4, 5, 6].map(|hops| by_hops(hops, &lines));
    let expected = ["4.4.4.4", PEER, "3.3.3.3", "2.2.2.2", "1.1.1.1", PEER];
    assert_eq!(read, expected);
    assert_eq!(
        by_proxies(&["1.1.1.1", "10.0.0.7", "10.0.0.6, 10.0.0.5"]),
        "1.1.1.1"
    );
    assert_eq!(by_proxies(&["1.1.1.1", "2.2.2.2", "10.0.0.6"]), "2.2.2.2");
}

/// An empty element counts as the entry of a proxy that failed to write an address.
#[test]
fn empty_elements_count_and_whitespace_does_not() {
    let lines = [" 1.1.1.1 ,\t2.2.2.2\t ,,3.3.3.3 ", "4.4.4.4\t"];
    let read = [1, 2, 3, 4, 5, 6].map(|hops| by_hops(hops, &lines));
    let expected = ["4.4.4.4", "3.3.3.3", PEER, "2.2.2.2", "1.1.1.1", PEER];
    assert_eq!(read, expected);
    for line in ["1.1.1.1,", "1.1.1.1, ", "1.1.1.1,\t", ",", ""] {
        assert_eq!(by_hops(1, &[line]), PEER, "{line}");
        assert_eq!(by_proxies(&[line]), PEER, "{line}");
    }
    assert_eq!(by_proxies(&["1.1.1.1, , 10.0.0.3"]), "10.0.0.3");
}

#[test]
fn ports_and_brackets_are_stripped() {
    for (entry, expected) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:80", "203.0.113.7"),
        ("203.0.113.7:0", "203.0.113.7"),
        ("2001:470::7", "2001:470::7"),
        ("[2001:470::7]", "2001:470::7"),
        ("[2001:470::7]:65535", "2001:470::7"),
        // A zone only has meaning at the proxy, and is stripped with the port.
        ("[fe80::7%3]:80", "fe80::7"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "::ffff:203.0.113.7"),
    ] {
        assert_eq!(by_hops(1, &[entry]), expected);
        assert_eq!(by_proxies(&[entry]), expected);
    }
}

#[test]
fn invalid_entries_are_not_read() {
    let garbage: [&[u8]; 27] = [
        b"unknown",
        b"_hidden",
        b"localhost",
        b"203.0.113",
        b"203.0.113.7.1",
        b"203.0.113.256",
        b"0203.0.113.7",
        b"0xcb.0.113.7",
        b"203.0.113.7:",
        b"203.0.113.7:65536",
        b"203.0.113.7:-1",
        b"203.0.113.7 :80",
        b"203.0.113.7/32",
        b"[203.0.113.7]",
        b"[2001:470::7",
        b"2001:470::7]",
        b"[[2001:470::7]]",
        b"[2001:470::7]80",
        b"[]",
        b"fe80::1%eth0",
        b"fe80::1%3",
        b"[fe80::1%eth0]:80",
        b"[fe80::1%3]",
        b"\"203.0.113.7\"",
        b"for=203.0.113.7",
        b"203.0.113.7\xff",
        b"\xc2\xa0203.0.113.7",
    ];
    for entry in garbage {
        let text = entry.escape_ascii();
        assert_eq!(by_hops(1, &[entry]), PEER, "{text}");
        assert_eq!(by_proxies(&[entry]), PEER, "{text}");
        // The search ends at the proxy before the invalid entry.
        let line = [b"1.1.1.1, ", entry, b", 10.0.0.2"].concat();
        assert_eq!(by_proxies(&[&line]), "10.0.0.2", "{text}");
        assert_eq!(by_hops(2, &[&line]), PEER, "{text}");
        // The invalid entry still counts as one.
        assert_eq!(by_hops(3, &[&line]), "1.1.1.1", "{text}");
    }
}

#[test]
fn first_entry_that_is_no_proxy_is_the_client() {
    assert_eq!(by_proxies(&[""; 0]), PEER);
    assert_eq!(by_proxies(&["1.1.1.1"]), "1.1.1.1");
    assert_eq!(by_proxies(&["1.1.1.1, 2.2.2.2"]), "2.2.2.2");
    assert_eq!(by_proxies(&["2.2.2.2, 10.9.9.9, 2001:db8::5"]), "2.2.2.2");
    // If all are proxies, the leftmost is the client.
    assert_eq!(by_proxies(&["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
    // The peer is no proxy, so the header is not read.
    let others = ForwardedFor::proxies(["172.16.0.0/12"], peer).expect("valid");
    assert_eq!(client(&others, &["1.1.1.1"]), ip(PEER));
    let untrusting = ForwardedFor::proxies([""; 0], peer).expect("valid");
    assert_eq!(client(&untrusting, &["1.1.1.1"]), ip(PEER));
}

#[test]
fn thousands_of_entries_are_read_like_few() {
    let line = format!("9.9.9.9,{}2.2.2.2", "1.1.1.1,".repeat(9_998));
    let entries = 10_000;
    assert_eq!(by_hops(1, &[&line]), "2.2.2.2");
    assert_eq!(by_hops(2, &[&line]), "1.1.1.1");
    assert_eq!(by_hops(entries, &[&line]), "9.9.9.9");
    assert_eq!(by_hops(entries + 1, &[&line]), PEER);
    assert_eq!(
        by_proxies(&["10.0.0.9, ".repeat(10_000) + "10.0.0.9"]),
        "10.0.0.9"
    );
    let lines = vec!["1.1.1.1"; 5_000];
    assert_eq!(by_hops(5_000, &lines), "1.1.1.1");
    assert_eq!(by_hops(5_001, &lines), PEER);
}

#[test]
fn missing_peer_is_a_missing_client() {
    let request = Request::builder().header("x-forwarded-for", "1.1.1.1");
    let request = request.body(()).expect("valid");
    for hops in [0, 1, 2] {
        let forwarded = ForwardedFor::hops(hops, peer);
        assert_eq!(forwarded.client(&RequestHead::new(&request)), None);
        let key = forwarded.extract(&RequestHead::new(&request));
        assert_eq!(key, Err(NoKey::NotAttached));
    }
}

#[test]
fn only_this_header_is_read() {
    let mut request = Request::builder().extension(Peer(ip(PEER)));
    for name in [
        "forwarded",
        "x-real-ip",
        "cf-connecting-ip",
        "x-forwarded",
        "via",
    ] {
        request = request.header(name, "1.1.1.1");
    }
    let request = request.body(()).expect("valid");
    let client = ForwardedFor::hops(1, peer).client(&RequestHead::new(&request));
    assert_eq!(client, Some(ip(PEER)));
}

#[test]
fn keys_are_networks_of_the_set_length() {
    let key = |prefix, entry: &str| {
        let forwarded =
            ForwardedFor::hops(1, peer).ipv6_prefix(Ipv6Prefix::new(prefix).expect("valid"));
        let request = Request::builder()
            .extension(Peer(ip(PEER)))
            .header("x-forwarded-for", entry);
        let request = request.body(()).expect("valid");
        forwarded
            .extract(&RequestHead::new(&request))
            .expect("the peer is known")
    };
    assert_eq!(
        key(64, "2001:470:1:2::7"),
        IpKey::new(ip("2001:470:1:2::8"))
    );
    assert_eq!(
        key(64, "[2001:470:1:2::7]:80"),
        IpKey::new(ip("2001:470:1:2::8"))
    );
    assert_ne!(key(128, "2001:470:1:2::7"), key(128, "2001:470:1:2::8"));
    assert_eq!(key(48, "2001:470:1:2::7"), key(48, "2001:470:1:3::7"));
}

/// Any bytes that a header field can hold.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = vec(any::<u8>(), 0..60);
    let line = line.prop_filter("no header value", |line| {
        HeaderValue::from_bytes(line).is_ok()
    });
    let addresses = "([0-9a-f:.,\\[\\]% ]|10\\.0\\.0\\.2|, ?){0,30}".prop_map(String::into_bytes);
    vec(prop_oneof![line, addresses], 0..6)
}

proptest! {
    #[test]
    fn forged_entries_do_not_change_the_client(mut lines in lines(), in_one_line: bool, proxies in 0..4_usize) {
        // The first proxy appends the client, and each other the proxy before it.
        let append = |lines: &mut Vec<Vec<u8>>, entry: String| match lines.last_mut() {
            Some(line) if in_one_line => line.extend(format!(", {entry}").bytes()),
            _ => lines.push(entry.into_bytes()),
        };
        append(&mut lines, "203.0.113.7".to_owned());
        for proxy in 0..proxies {
            append(&mut lines, format!("10.0.1.{proxy}"));
        }
        prop_assert_eq!(by_hops(proxies + 1, &lines), "203.0.113.7");
        prop_assert_eq!(by_proxies(&lines), "203.0.113.7");
    }

    #[test]
    fn any_bytes_are_read_without_panic(lines in lines(), hops: usize) {
        for hops in [hops, hops % 8] {
            _ = by_hops(hops, &lines);
        }
        _ = by_proxies(&lines);
    }
}
