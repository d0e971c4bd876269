//! Each kind of limit, alone and per key.

use super::{Server, get, of, refused};

#[test]
fn a_rate_is_a_bucket() {
    let server = Server::new("limits = [{ name = 'all', rate = '10/s burst 20' }]");
    assert_eq!(server.admitted(50, || get("/")), 20);
    assert_eq!(server.answer(get("/"), 200), refused("all"));
    server.wait(0.5);
    assert_eq!(server.admitted(50, || get("/")), 5);
    assert_eq!(server.denied("all"), (30 + 1 + 45, 0));
}

#[test]
fn a_rate_may_be_a_map() {
    let server = Server::new("limits = [{ name = 'all', rate = { rate = '10/s', burst = 3 } }]");
    assert_eq!(server.admitted(50, || get("/")), 3);
}

#[test]
fn a_window_counts_what_it_admitted() {
    let server = Server::new("limits = [{ name = 'all', window = '5/min' }]");
    assert_eq!(server.admitted(50, || get("/")), 5);
    server.wait(59.0);
    assert_eq!(server.admitted(50, || get("/")), 0);
    server.wait(5.0);
    assert_eq!(server.admitted(50, || get("/")), 5);
}

#[test]
fn each_key_has_a_limit_of_its_own() {
    let text = "
        keys.account = { header = 'x-account' }
        limits = [
            { name = 'rate', rate = '10/min', key = 'account' },
            { name = 'window', window = '8/min', key = 'account' },
        ]";
    let server = Server::new(text);
    assert_eq!(server.admitted(50, || of("alice")), 8);
    assert_eq!(server.admitted(50, || of("bob")), 8);
    assert_eq!(server.answer(of("alice"), 200), refused("window"));
    // No key was charged by the limit that did not refuse.
    server.wait(64.0);
    assert_eq!(server.admitted(50, || of("alice")), 8);
    let keys: Vec<_> = server
        .rules
        .stats()
        .iter()
        .map(|stats| stats.keys)
        .collect();
    assert_eq!(keys, [2, 2]);
}

#[test]
fn a_refusal_charges_no_other_limit() {
    let text = "
        keys.account = { header = 'x-account' }
        limits = [
            { name = 'all', rate = '100/h' },
            { name = 'each', rate = '5/h', key = 'account' },
        ]";
    let server = Server::new(text);
    assert_eq!(server.admitted(1_000, || of("greedy")), 5);
    for account in 0..19 {
        assert_eq!(server.admitted(5, || of(&account.to_string())), 5);
    }
    assert_eq!(server.answer(of("last"), 200), refused("all"));
}

#[test]
fn a_cost_is_charged_for_each_request() {
    let text = "limits = [
        { name = 'search', rate = '100/h', routes = ['/search'], cost = 10 },
        { name = 'all', rate = '30/h' },
    ]";
    let server = Server::new(text);
    assert_eq!(server.admitted(50, || get("/search")), 10);
    assert_eq!(server.admitted(50, || get("/")), 20);
}

#[test]
fn a_shadow_counts_and_refuses_nothing() {
    let text = "limits = [
        { name = 'live', rate = '10/h' },
        { name = 'trial', rate = '4/h', shadow = true },
        { name = 'trial in flight', in_flight = 0, shadow = true },
    ]";
    let server = Server::new(text);
    assert_eq!(server.admitted(50, || get("/")), 10);
    assert_eq!(server.denied("live"), (40, 0));
    // What the live limit refuses, no shadow is asked.
    assert_eq!(server.denied("trial"), (0, 6));
    assert_eq!(server.denied("trial in flight").0, 0);
    assert!(server.denied("trial in flight").1 >= 10);
}

#[test]
fn without_limits_all_pass() {
    let server = Server::new("limits = []");
    assert_eq!(server.admitted(1_000, || get("/")), 1_000);
    assert!(server.rules.stats().is_empty());
}

#[test]
fn many_limits_are_charged_all_or_none() {
    let limits = (0..20).map(|n| format!("{{ name = 'limit {n}', rate = '{}/h' }}", 50 - n));
    let limits: Vec<_> = limits.collect();
    let server = Server::new(&format!("limits = [{}]", limits.join(", ")));
    assert_eq!(server.admitted(100, || get("/")), 31);
    assert_eq!(server.answer(get("/"), 200), refused("limit 19"));
}
