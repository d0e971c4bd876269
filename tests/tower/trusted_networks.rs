//! Networks of trusted proxies: which texts are valid, and which addresses they contain.

use core::net::IpAddr;

use http::Request;
use tidegate::layer::{ForwardedFor, RequestHead};

use crate::{Peer, ip, peer};

/// Whether `address` counts as one of these proxies, so that its entries are read.
fn trusts(networks: &[&str], address: &str) -> bool {
    let forwarded = ForwardedFor::proxies(networks, peer).expect("valid");
    let read = |peer: IpAddr, entries: String| {
        let request = Request::builder().extension(Peer(peer));
        let request = request.header("x-forwarded-for", entries).body(());
        forwarded.client(&RequestHead::new(&request.expect("valid")))
    };
    let client = ip("203.0.113.7");
    let as_peer = read(ip(address), client.to_string()) == Some(client);
    // The same as an entry, with a peer that is a proxy.
    let with_peer = ForwardedFor::proxies(networks.iter().chain(&["192.0.2.1"]), peer);
    let forwarded = with_peer.expect("valid");
    let request = Request::builder().extension(Peer(ip("192.0.2.1")));
    let request = request.header("x-forwarded-for", format!("{client}, {address}"));
    let request = request.body(()).expect("valid");
    let as_entry = forwarded.client(&RequestHead::new(&request)) == Some(client);
    assert_eq!(as_peer, as_entry, "{networks:?} {address}");
    as_peer
}

#[test]
fn address_is_a_network_of_one() {
    assert!(trusts(&["10.0.0.1"], "10.0.0.1"));
    assert!(!trusts(&["10.0.0.1"], "10.0.0.2"));
    assert!(trusts(&["2001:db8::1"], "2001:db8:0::1"));
    assert!(!trusts(&["2001:db8::1"], "2001:db8::2"));
    assert!(!trusts(&[], "10.0.0.1"));
}

#[test]
fn networks_include_their_ends() {
    for (network, first, last, before, after) in [
        (
            "10.0.0.0/8",
            "10.0.0.0",
            "10.255.255.255",
            "9.255.255.255",
            "11.0.0.0",
        ),
        (
            "192.168.4.0/22",
            "192.168.4.0",
            "192.168.7.255",
            "192.168.3.255",
            "192.168.8.0",
        ),
        (
            "10.0.0.1/32",
            "10.0.0.1",
            "10.0.0.1",
            "10.0.0.0",
            "10.0.0.2",
        ),
        // Host bits are ignored.
        (
            "10.1.2.3/16",
            "10.1.0.0",
            "10.1.255.255",
            "10.0.255.255",
            "10.2.0.0",
        ),
        (
            "2001:db8:ff::/48",
            "2001:db8:ff::",
            "2001:db8:ff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:fe:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:100::",
        ),
    ] {
        assert!(
            trusts(&[network], first) && trusts(&[network], last),
            "{network}"
        );
        assert!(
            !trusts(&[network], before) && !trusts(&[network], after),
            "{network}"
        );
        // One network of several suffices.
        assert!(trusts(&["192.0.2.200", network], first), "{network}");
    }
}

#[test]
fn mapped_addresses_are_ipv4() {
    for network in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:10.1.2.3/104"] {
        for address in ["10.9.8.7", "::ffff:10.9.8.7"] {
            assert!(trusts(&[network], address), "{network} {address}");
        }
        for address in [
            "11.9.8.7",
            "::ffff:11.9.8.7",
            "::10.9.8.7",
            "64:ff9b::a09:807",
        ] {
            assert!(!trusts(&[network], address), "{network} {address}");
        }
    }
    for network in ["10.9.8.7", "::ffff:10.9.8.7", "::ffff:10.9.8.7/128"] {
        assert!(trusts(&[network], "10.9.8.7") && trusts(&[network], "::ffff:10.9.8.7"));
        assert!(!trusts(&[network], "10.9.8.6") && !trusts(&[network], "::ffff:10.9.8.6"));
    }
}

#[test]
fn all_addresses_of_a_protocol_can_be_trusted() {
    let forwarded = ForwardedFor::proxies(["0.0.0.0/0"], peer).expect("valid");
    let read = |peer: &str, entries: &str| {
        let request = Request::builder().extension(Peer(ip(peer)));
        let request = request.header("x-forwarded-for", entries).body(());
        forwarded.client(&RequestHead::new(&request.expect("valid")))
    };
    // Then the leftmost entry is read, which the client forged.
    assert_eq!(read("10.0.0.1", "6.6.6.6, 1.1.1.1"), Some(ip("6.6.6.6")));
    assert_eq!(read("::ffff:10.0.0.1", "6.6.6.6"), Some(ip("6.6.6.6")));
    // Addresses of the other protocol are not trusted.
    assert_eq!(read("2001:db8::1", "6.6.6.6"), Some(ip("2001:db8::1")));
    assert!(trusts(&["::/0"], "2001:db8::1"));
    assert!(!trusts(&["::/0"], "10.0.0.1"));
    // All mapped addresses are all IPv4 addresses.
    assert!(!trusts(&["::ffff:0:0/96"], "2001:db8::1"));
    let mapped = ForwardedFor::proxies(["::ffff:0:0/96"], peer).expect("valid");
    let request = Request::builder().extension(Peer(ip("10.0.0.1")));
    let request = request.header("x-forwarded-for", "6.6.6.6").body(());
    let read = mapped.client(&RequestHead::new(&request.expect("valid")));
    assert_eq!(read, Some(ip("6.6.6.6")));
}

#[test]
fn invalid_networks_are_refused() {
    for text in [
        "",
        "/",
        "10",
        "10/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "10.0.0.0/8 ",
        "10.0.0.256",
        "10.0.0.0:80",
        "2001:db8::/129",
        "::ffff:10.0.0.0/129",
        "[2001:db8::1]",
        "fe80::1%eth0",
        "localhost",
        "proxy.example.com",
        "*",
    ] {
        // After a valid one.
        let error = ForwardedFor::proxies(["10.0.0.1", text], peer);
        let error = error
            .err()
            .unwrap_or_else(|| panic!("`{text}` is accepted"));
        assert_eq!(
            error.to_string(),
            format!("`{text}` is neither an address nor a network")
        );
    }
}
