//! Reloads keep levels, and give no free burst.

use tidegate::layer::RulesErrorKind;

use super::{Server, from, get, of, parse, refused};

#[test]
fn each_kind_keeps_its_level() {
    for kind in ["rate", "window"] {
        for key in ["", ", key = 'account'"] {
            let text = |quota: &str| {
                format!(
                    "keys.account = {{ header = 'x-account' }}
                     limits = [{{ name = 'it', {kind} = '{quota}'{key} }}]"
                )
            };
            let server = Server::new(&text("10/h"));
            assert_eq!(server.admitted(7, || of("a")), 7);
            for _ in 0..5 {
                // The same again is no change.
                server.reload(&text("10/h"));
            }
            assert_eq!(server.admitted(50, || of("a")), 3, "{kind}{key}");
            server.reload(&text("15/h"));
            let expected = if kind == "rate" { 0 } else { 5 };
            assert_eq!(server.admitted(50, || of("a")), expected, "{kind}{key}");
            server.reload(&text("2/h"));
            assert_eq!(server.answer(of("a"), 200), refused("it"), "{kind}{key}");
            server.wait(2.0 * 3_600.0);
            assert_eq!(server.admitted(50, || of("a")), 2, "{kind}{key}");
        }
    }
}

#[test]
fn failures_keep_what_counts() {
    let text = |failures: &str| {
        format!(
            "keys.account = {{ header = 'x-account' }}
             limits = [{{ name = 'it', failures = '{failures}', lock_out = '1 h',
                          statuses = [401], key = 'account' }}]"
        )
    };
    let server = Server::new(&text("5/h"));
    for _ in 0..3 {
        assert!(server.answer(of("a"), 401).is_ok());
    }
    server.reload(&text("2/h"));
    // The hint is honest: three have failed, of which one may be left.
    let hint = server.retry_after(of("a"));
    server.wait(hint - 1.0);
    assert_eq!(server.answer(of("a"), 200), refused("it"));
    server.reload(&text("4/h"));
    assert!(server.answer(of("a"), 401).is_ok());
    assert_eq!(server.answer(of("a"), 200), refused("it"));
    server.reload(&text("100/h"));
    // A lock-out ends as it was announced.
    assert_eq!(server.answer(of("a"), 200), refused("it"));
    server.wait(3_600.0);
    assert!(server.answer(of("a"), 200).is_ok());
}

#[test]
fn conditions_costs_and_shadows_change() {
    let server = Server::new("limits = [{ name = 'it', rate = '10/h' }]");
    assert_eq!(server.admitted(2, || get("/")), 2);
    server.reload("limits = [{ name = 'it', rate = '10/h', routes = ['/search'] }]");
    assert_eq!(server.admitted(20, || get("/")), 20);
    assert_eq!(server.admitted(2, || get("/search")), 2);
    server.reload("limits = [{ name = 'it', rate = '10/h', cost = 3 }]");
    assert_eq!(server.admitted(20, || get("/")), 2);
    server.reload("limits = [{ name = 'it', rate = '10/h', shadow = true }]");
    assert_eq!(server.admitted(20, || get("/")), 20);
    assert_eq!(server.denied("it"), (18, 20));
    server.reload("limits = [{ name = 'it', rate = '10/h' }]");
    assert_eq!(server.admitted(20, || get("/")), 0);
}

#[test]
fn limits_come_and_go() {
    let server = Server::new("limits = [{ name = 'a', rate = '5/h' }]");
    assert_eq!(server.admitted(20, || get("/")), 5);
    server.reload("limits = [{ name = 'b', rate = '3/h' }]");
    assert_eq!(server.admitted(20, || get("/")), 3);
    // It was gone, so it begins anew, as a limit of another kind does.
    server.reload("limits = [{ name = 'a', rate = '5/h' }, { name = 'b', window = '4/h' }]");
    assert_eq!(server.admitted(20, || get("/")), 4);
    server.reload("limits = []");
    assert_eq!(server.admitted(20, || get("/")), 20);
}

#[test]
fn another_key_is_another_limit() {
    let text = |header: &str, part: &str, key: &str| {
        format!(
            "keys.{part} = {{ header = '{header}' }}
             keys.both = {{ all_of = ['{part}'] }}
             limits = [{{ name = 'it', rate = '5/h', key = '{key}' }}]"
        )
    };
    let server = Server::new(&text("x-account", "account", "both"));
    let request = || of("a").header("x-other", "a");
    assert_eq!(server.admitted(20, request), 5);
    server.reload(&text("x-account", "account", "both"));
    assert_eq!(server.admitted(20, request), 0);
    // The names of its parts do not matter.
    server.reload(&text("x-account", "user", "both"));
    assert_eq!(server.admitted(20, request), 0);
    // A part of the key is another one.
    server.reload(&text("x-other", "account", "both"));
    assert_eq!(server.admitted(20, request), 5);
    server.reload(&text("x-other", "account", "account"));
    assert_eq!(server.admitted(20, request), 5);
}

#[test]
fn other_proxies_leave_the_key_as_it_is() {
    let text = |proxies: &str| {
        format!(
            "keys.client = {{ address = 'x-forwarded-for', proxies = [{proxies}] }}
             limits = [
                {{ name = 'rate', rate = '5/h', key = 'client' }},
                {{ name = 'failures', failures = '1/h', lock_out = '1 h', statuses = [401],
                   key = 'client', routes = ['/login'] }},
             ]"
        )
    };
    let server = Server::new(&text("'10.0.0.0/8'"));
    let client = || from("10.0.0.1").header("x-forwarded-for", "203.0.113.7");
    assert!(server.answer(client().uri("/login"), 401).is_ok());
    assert_eq!(server.admitted(20, client), 4);
    server.reload(&text("'10.0.0.0/8', '192.168.0.0/16'"));
    assert_eq!(server.admitted(20, client), 0);
    server.wait(3_599.0);
    assert_eq!(
        server.answer(client().uri("/login"), 200),
        refused("failures")
    );
}

#[test]
fn keys_without_room_get_the_new_numbers() {
    for kind in ["rate", "window"] {
        let text = |quota: u32| {
            format!(
                "keys.account = {{ header = 'x-account' }}
                 limits = [{{ name = 'it', {kind} = '{quota}/h', key = 'account', max_keys = 1 }}]"
            )
        };
        let server = Server::new(&text(50));
        assert_eq!(server.admitted(1, || of("first")), 1);
        assert_eq!(server.admitted(1, || of("second")), 1);
        server.reload(&text(2));
        let admitted = server.admitted(50, || of("third"));
        assert!(admitted <= 2, "{kind}: {admitted}");
        server.reload(&text(100));
        server.wait(2.0 * 3_600.0);
        assert_eq!(server.admitted(1, || of("first")), 1);
        assert_eq!(server.admitted(500, || of("fourth")), 100, "{kind}");
    }
}

#[test]
fn the_size_of_a_table_in_use_is_fixed() {
    let text = |max_keys: usize| {
        format!(
            "keys.account = {{ header = 'x-account' }}
             limits = [{{ name = 'it', rate = '5/h', key = 'account', max_keys = {max_keys} }}]"
        )
    };
    let server = Server::new(&text(10));
    let error = server.rules.reload(&parse(&text(20))).unwrap_err();
    assert_eq!(error.kind(), RulesErrorKind::FixedInUse);
    server.reload(&text(20).replace("'it'", "'it too'"));
}

#[test]
fn clones_and_layers_share_what_is_reloaded() {
    let server = Server::new("limits = [{ name = 'it', rate = '5/h' }]");
    let other = Server::with(server.clock.clone(), server.rules.clone());
    assert_eq!(other.admitted(3, || get("/")), 3);
    other.reload("limits = [{ name = 'it', rate = '4/h' }]");
    assert_eq!(server.admitted(20, || get("/")), 2);
}
