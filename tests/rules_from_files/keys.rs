//! The keys that files define, and those of the program.

use http::Request;
use tidegate::ManualClock;
use tidegate::layer::{NoKey, RequestHead};

use super::{Server, builder, from, of, parse, refused};

/// A limit of two for each `key`.
fn two_for(definition: &str) -> Server {
    Server::new(&format!(
        "keys.other = {{ header = 'x-other' }}\n\
         keys.account = {{ header = 'x-account' }}\n\
         keys.it = {definition}\n\
         limits = [{{ name = 'it', rate = '2/h', key = 'it' }}]"
    ))
}

#[test]
fn a_header_field() {
    let server = two_for("{ header = 'x-user' }");
    let user = |name: &str| Request::get("/").header("x-user", name);
    assert_eq!(server.admitted(5, || user("alice")), 2);
    assert_eq!(server.admitted(5, || user(" alice ")), 0);
    assert_eq!(server.admitted(5, || user("bob")), 2);
    // 400: the client did not send it, or sent it twice.
    assert_eq!(server.answer(of("alice"), 200), refused("it 400"));
    assert_eq!(
        server.answer(user("a").header("x-user", "b"), 200),
        refused("it 400")
    );
}

#[test]
fn a_bearer_token() {
    let server = two_for("{ bearer = true }");
    let token = |token: &str| Request::get("/").header("authorization", token);
    assert_eq!(server.admitted(5, || token("Bearer 7f3a9c")), 2);
    assert_eq!(server.admitted(5, || token("bearer   7f3a9c")), 0);
    assert_eq!(server.admitted(5, || token("Bearer c41d02")), 2);
    assert_eq!(server.answer(token("Basic 7f3a9c"), 200), refused("it 400"));
}

#[test]
fn the_address_of_the_connection() {
    let server = two_for("{ peer = true }");
    assert_eq!(server.admitted(5, || from("203.0.113.7")), 2);
    assert_eq!(server.admitted(5, || from("::ffff:203.0.113.7")), 0);
    assert_eq!(server.admitted(5, || from("203.0.113.8")), 2);
    // One client has a whole /64.
    assert_eq!(server.admitted(5, || from("2001:db8::1")), 2);
    assert_eq!(server.admitted(5, || from("2001:db8::2")), 0);
    // 500: the server should have attached it.
    assert_eq!(server.answer(of("alice"), 200), refused("it 500"));
}

#[test]
fn the_address_behind_proxies() {
    for (definition, field, value) in [
        (
            "{ address = 'x-forwarded-for', proxies = ['10.0.0.0/8'] }",
            "x-forwarded-for",
            "192.0.2.99, 203.0.113.7, 10.0.0.2",
        ),
        (
            "{ address = 'X-Forwarded-For', hops = 2 }",
            "x-forwarded-for",
            "192.0.2.99, 203.0.113.7, 10.0.0.2",
        ),
        (
            "{ address = 'forwarded', proxies = ['10.0.0.1'] }",
            "forwarded",
            "for=192.0.2.99, for=203.0.113.7",
        ),
        (
            "{ address = 'x-real-ip', hops = 1 }",
            "x-real-ip",
            "203.0.113.7",
        ),
    ] {
        let server = two_for(definition);
        let behind = || from("10.0.0.1").header(field, value);
        assert_eq!(server.admitted(5, behind), 2, "{definition}");
        // The same client, whatever it writes before what the proxies append.
        let forged = || from("10.0.0.1").header(field, value.replace("192.0.2.99", "192.0.2.1"));
        assert_eq!(server.admitted(5, forged), 0, "{definition}");
        let other = || from("10.0.0.1").header(field, value.replace("113.7", "113.8"));
        assert_eq!(server.admitted(5, other), 2, "{definition}");
    }
}

#[test]
fn several_together() {
    let server = two_for("{ all_of = ['account', 'other'] }");
    let both = |account: &str, other: &str| of(account).header("x-other", other);
    assert_eq!(server.admitted(5, || both("a", "b")), 2);
    assert_eq!(server.admitted(5, || both("b", "a")), 2);
    assert_eq!(server.admitted(5, || both("a", "a")), 2);
    assert_eq!(server.answer(of("a"), 200), refused("it 400"));
}

#[test]
fn the_first_of_several() {
    let server = two_for("{ first_of = ['account', 'other'] }");
    let other = |name: &str| Request::get("/").header("x-other", name);
    assert_eq!(server.admitted(5, || of("a")), 2);
    // The same text under another name is another client.
    assert_eq!(server.admitted(5, || other("a")), 2);
    assert_eq!(server.admitted(5, || of("a").header("x-other", "z")), 0);
    assert_eq!(server.answer(from("203.0.113.7"), 200), refused("it 400"));
    let twice = of("a").header("x-account", "b").header("x-other", "z");
    assert_eq!(server.answer(twice, 200), refused("it 400"));
}

#[test]
fn keys_of_keys() {
    let server = Server::new(
        "keys.a = { header = 'a' }
         keys.b = { header = 'b' }
         keys.ab = { first_of = ['a', 'b'] }
         keys.abc = { all_of = ['ab', 'c'] }
         keys.c = { header = 'c' }
         limits = [{ name = 'it', rate = '2/h', key = 'abc' }]",
    );
    let request = |first: &'static str, c: &'static str| {
        move || Request::get("/").header(first, "1").header("c", c)
    };
    assert_eq!(server.admitted(5, request("a", "1")), 2);
    assert_eq!(server.admitted(5, request("b", "1")), 2);
    assert_eq!(server.admitted(5, request("a", "2")), 2);
}

#[test]
fn requests_without_a_key_may_be_skipped() {
    let server = Server::new(
        "keys.account = { header = 'x-account' }
         limits = [
            { name = 'all', rate = '8/h' },
            { name = 'each', rate = '2/h', key = 'account', without_key = 'skip' },
         ]",
    );
    assert_eq!(server.admitted(5, || of("alice")), 2);
    assert_eq!(server.admitted(50, || from("203.0.113.7")), 6);
    // Not one that is ambiguous.
    let twice = of("a").header("x-account", "b");
    assert_eq!(server.answer(twice, 200), refused("each 400"));
}

#[test]
fn a_shadow_needs_no_key() {
    let server = Server::new(
        "keys.account = { header = 'x-account' }
         limits = [{ name = 'trial', rate = '2/h', key = 'account', shadow = true }]",
    );
    assert_eq!(server.admitted(5, || from("203.0.113.7")), 5);
    assert_eq!(server.admitted(5, || of("alice")), 5);
    assert_eq!(server.denied("trial"), (0, 3));
}

#[test]
fn a_key_of_the_program() {
    /// What a log-in has attached.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    struct Account {
        tenant: u32,
        user: u32,
    }

    let clock = ManualClock::new();
    let account = |request: &RequestHead<'_>| {
        let account = request.extension::<Account>().copied();
        account.ok_or(NoKey::NotAttached)
    };
    let text = "limits = [{ name = 'it', rate = '2/h', key = 'user' }]";
    let rules = builder(&clock).key("user", account).build(&parse(text));
    let server = Server::with(clock, rules.unwrap());
    let user = |tenant, user| move || Request::get("/").extension(Account { tenant, user });
    assert_eq!(server.admitted(5, user(1, 2)), 2);
    assert_eq!(server.admitted(5, user(2, 1)), 2);
    assert_eq!(server.admitted(5, user(1, 2)), 0);
    assert_eq!(server.answer(of("alice"), 200), refused("it 500"));
}

#[test]
fn keys_beyond_the_most_share_a_limit() {
    let server = Server::new(
        "keys.account = { header = 'x-account' }
         limits = [{ name = 'it', rate = '2/h', key = 'account', max_keys = 10 }]",
    );
    let admitted: usize = (0..100)
        .map(|n| server.admitted(5, || of(&n.to_string())))
        .sum();
    assert_eq!(admitted, 10 * 2 + 2);
}
