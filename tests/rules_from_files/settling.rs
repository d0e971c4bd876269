//! Limits that count only some responses.

use http::{Request, Response};
use tidegate::layer::Rejection;

use super::{Server, answer, of, refused, reject, settle};

fn log_in(user: &str) -> http::request::Builder {
    Request::post("/login").header("x-user", user)
}

const FAILED: &str = "
    keys.user = { header = 'x-user' }
    limits = [{
        name = 'log-ins', failures = '5/10min', lock_out = '15 min', statuses = [401, 403],
        key = 'user', routes = ['/login'], methods = ['POST'],
    }]";

#[test]
fn failed_log_ins_lock_out() {
    let server = Server::new(FAILED);
    for _ in 0..100 {
        assert!(server.answer(log_in("alice"), 200).is_ok());
    }
    for _ in 0..2 {
        assert!(server.answer(log_in("alice"), 401).is_ok());
        assert!(server.answer(log_in("alice"), 403).is_ok());
    }
    assert!(server.answer(log_in("alice"), 500).is_ok());
    assert!(server.answer(log_in("alice"), 401).is_ok());
    assert_eq!(server.answer(log_in("alice"), 200), refused("log-ins"));
    assert!(server.answer(log_in("bob"), 200).is_ok());
    assert!(server.answer(of("alice"), 200).is_ok());
    server.wait(15.0 * 60.0 - 1.0);
    assert_eq!(server.answer(log_in("alice"), 200), refused("log-ins"));
    server.wait(1.0);
    assert!(server.answer(log_in("alice"), 200).is_ok());
}

#[test]
fn no_more_are_tried_at_once_than_may_fail() {
    let server = Server::new(FAILED);
    let mut admitted: Vec<_> = (0..18)
        .filter_map(|_| server.decide(log_in("a")).ok())
        .collect();
    assert_eq!(admitted.len(), 5);
    // One that is never answered has failed.
    drop(admitted.pop());
    assert!(server.decide(log_in("a")).is_err());
}

#[test]
fn failures_of_all_together_need_no_key() {
    let server = Server::new(
        "limits = [{ name = 'errors', failures = '3/min', lock_out = '1 min', statuses = [502] }]",
    );
    for _ in 0..3 {
        assert!(server.answer(of("a"), 502).is_ok());
    }
    assert_eq!(server.answer(of("b"), 200), refused("errors"));
    server.wait(60.0);
    assert!(server.answer(of("b"), 200).is_ok());
}

#[test]
fn rates_of_some_responses() {
    for key in ["", "key = 'account', "] {
        let server = Server::new(&format!(
            "keys.account = {{ header = 'x-account' }}
             limits = [
                {{ name = 'misses', rate = '20/h', cost = 4, {key} statuses = [404] }},
                {{ name = 'all', rate = '500/h' }},
             ]"
        ));
        // Others are under way meanwhile.
        let mut under_way = Vec::new();
        for _ in 0..100 {
            under_way.push(server.decide(of("alice")).unwrap());
            if under_way.len() == 3 {
                settle(&mut under_way.remove(0), 200);
            }
        }
        for admission in &mut under_way {
            settle(admission, 200);
        }
        let missed = (0..100).filter(|_| server.answer(of("alice"), 404).is_ok());
        assert_eq!(missed.count(), 5, "{key}");
        assert_eq!(server.answer(of("alice"), 200), refused("misses"));
        // Those that count every response have counted the others as well.
        let expected = if key.is_empty() { 0 } else { 500 - 105 };
        assert_eq!(server.admitted(1_000, || of("bob")), expected, "{key}");
    }
}

/// What a program says that a request has used counts where the status counts.
#[test]
fn a_cost_that_the_response_tells() {
    let text = "limits = [
        { name = 'all', rate = '100/h' },
        { name = 'misses', rate = '50/h', statuses = [404] },
        { name = 'failures', failures = '3/h', lock_out = '1 h', statuses = [401] },
    ]";
    let server = Server::new(text);
    let reject: fn(&Rejection<'_>) -> Response<String> = reject;
    let layer = server
        .rules
        .layer()
        .settle(|_, _| 10)
        .reject_with(reject)
        .build();
    for _ in 0..2 {
        assert_eq!(answer(&layer, of("a"), 200), Ok(()));
        assert_eq!(answer(&layer, of("a"), 404), Ok(()));
    }
    assert_eq!(server.admitted(100, || of("a")), 60);
    // Ten failures at once.
    server.wait(3_600.0);
    assert_eq!(answer(&layer, of("a"), 401), Ok(()));
    assert_eq!(server.answer(of("a"), 200), refused("failures"));

    // Free requests are charged afterwards.
    let server = Server::new("limits = [{ name = 'all', rate = '100/h' }]");
    let layer = server.rules.layer().cost(|_| 0).settle(|_, _| 10);
    let layer = layer.reject_with(reject).build();
    for _ in 0..5 {
        assert_eq!(answer(&layer, of("a"), 200), Ok(()));
    }
    assert_eq!(server.admitted(100, || of("a")), 50);
}

/// They are not in flight for their rates either.
#[test]
fn free_requests_pass_a_lock_out() {
    let server = Server::new(
        "limits = [
            { name = 'failures', failures = '1/h', lock_out = '1 h', statuses = [401] },
            { name = 'busy', in_flight = 5 },
         ]",
    );
    let reject: fn(&Rejection<'_>) -> Response<String> = reject;
    let free = server.rules.layer().cost(|_| 0).reject_with(reject).build();
    assert!(server.answer(of("a"), 401).is_ok());
    assert_eq!(server.answer(of("a"), 200), refused("failures"));
    assert_eq!(answer(&free, of("a"), 200), Ok(()));
}

#[test]
fn a_reload_between_request_and_response() {
    let server = Server::new(FAILED);
    let mut first = server.decide(log_in("a")).unwrap();
    server.reload(
        &FAILED
            .replace("5/10min", "1/10min")
            .replace("401, 403", "401"),
    );
    let response = http::Response::builder().status(403).body(()).unwrap();
    // It was decided by the old file, so this is a failure: the one that may fail.
    first.settle(&tidegate::layer::ResponseHead::new(&response));
    assert_eq!(server.answer(log_in("a"), 200), refused("log-ins"));
}
