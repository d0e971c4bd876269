//! Limits on requests at the same time.

use http::Response;

use super::{Server, get, of};

#[test]
fn of_all_and_of_each() {
    let server = Server::new(
        "keys.account = { header = 'x-account' }
         limits = [
            { name = 'all', in_flight = 5 },
            { name = 'each', in_flight = 2, key = 'account' },
         ]",
    );
    let mut alice = vec![
        server.decide(of("alice")).unwrap(),
        server.decide(of("alice")).unwrap(),
    ];
    assert_eq!(server.decide(of("alice")).map(drop), Err("each".to_owned()));
    let bob = [
        server.decide(of("bob")).unwrap(),
        server.decide(of("bob")).unwrap(),
    ];
    let carol = server.decide(of("carol")).unwrap();
    assert_eq!(server.decide(of("carol")).map(drop), Err("all".to_owned()));
    alice.pop();
    assert!(server.decide(of("alice")).is_ok());
    drop((alice, bob, carol));
    let some: Vec<_> = (0..9).map(|n| server.decide(of(&n.to_string()))).collect();
    assert_eq!(some.iter().flatten().count(), 5);
}

#[test]
fn a_permit_is_kept_until_the_body_ends() {
    let server = Server::new("limits = [{ name = 'all', in_flight = 1 }]");
    let response = server
        .decide(get("/"))
        .unwrap()
        .respond(Response::new(String::new()));
    assert!(server.decide(get("/")).is_err());
    drop(response);
    assert!(server.decide(get("/")).is_ok());
}

#[test]
fn a_refusal_of_a_rate_takes_no_permit() {
    let server =
        Server::new("limits = [{ name = 'few', in_flight = 2 }, { name = 'rate', rate = '1/h' }]");
    let first = server.decide(get("/")).unwrap();
    for _ in 0..10 {
        assert_eq!(server.decide(get("/")).map(drop), Err("rate".to_owned()));
    }
    drop(first);
    assert_eq!(server.denied("rate"), (10, 0));
    assert_eq!(server.denied("few"), (0, 0));
}

#[test]
fn headers_tell_of_all_limits() {
    let server = Server::new(
        "limits = [
            { name = 'rate', rate = '10/min' },
            { name = 'trial', rate = '1/min', shadow = true },
            { name = 'busy', in_flight = 2 },
         ]",
    );
    let response = server
        .decide(get("/"))
        .unwrap()
        .respond(Response::new(String::new()));
    let policy = r#""rate";q=10;w=60, "busy";q=2;qu="concurrent-requests""#;
    assert_eq!(response.headers()["ratelimit-policy"], policy);
    assert_eq!(response.headers()["ratelimit"], r#""busy";r=2"#);
}

#[test]
fn a_reload_keeps_permits() {
    let text = |most: u64| {
        format!(
            "keys.account = {{ header = 'x-account' }}
             limits = [
                {{ name = 'all', in_flight = {most} }},
                {{ name = 'each', in_flight = {most}, key = 'account' }},
             ]"
        )
    };
    let server = Server::new(&text(3));
    let held: Vec<_> = (0..3).map(|_| server.decide(of("a")).unwrap()).collect();
    server.reload(&text(2));
    let mut held = held.into_iter();
    for out in [3, 2] {
        assert!(server.decide(of("a")).is_err(), "{out} of 2 are out");
        held.next();
    }
    let again = server.decide(of("a")).unwrap();
    server.reload(&text(3));
    let more = server.decide(of("a")).unwrap();
    assert!(server.decide(of("a")).is_err());
    drop((held, again, more));
    assert!(server.decide(of("a")).is_ok());
}
