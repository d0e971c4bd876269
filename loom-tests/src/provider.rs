//! What a provider says to remain, beside calls.

use loom::sync::Arc;
use loom::thread;

use crate::model::{at, explore};
use crate::mutant;
use crate::tidegate::modelled::{Ask, Provider, Seen, Unit};

/// A response tells that two requests remain.
fn two_remain(provider: &Provider) {
    let seen = Seen {
        limit: "requests".into(),
        unit: Unit::Requests,
        remaining: 2,
        until: at(100),
        flow: None,
    };
    provider.observe([seen].into_iter(), None, None, at(0));
}

/// Sends `n` requests at once, or none.
fn send(provider: &Provider, n: u64) -> u64 {
    provider.send(&Ask::requests(n), at(1)).map_or(0, |()| n)
}

fn drain(provider: &Provider) -> u64 {
    let mut sent = 0;
    while send(provider, 1) == 1 {
        sent += 1;
    }
    sent
}

/// Two threads, one with a call that takes all, one with a smaller call. Kills `checked_before`,
/// `kept_refusal`.
///
/// What remains is given once, and is not lost if one is refused.
fn two_calls_for_the_last() {
    explore(5, || {
        let provider = Arc::new(Provider::new());
        two_remain(&provider);
        let other = {
            let provider = provider.clone();
            thread::spawn(move || send(&provider, 2))
        };
        let sent = send(&provider, 1) + other.join().unwrap();
        assert!(sent <= 2, "{sent} of 2 left");
        assert_eq!(sent + drain(&provider), 2, "of 2 left");
    });
}

/// Three threads: two with a call each, and one with a response. Kills `kept_refusal`.
///
/// A call that comes before the response is not among what remains. Neither is lost.
fn calls_beside_a_response() {
    explore(2, || {
        let provider = Arc::new(Provider::new());
        let others = [1, 2].map(|n| {
            let provider = provider.clone();
            thread::spawn(move || send(&provider, n))
        });
        two_remain(&provider);
        let mut sent = 0;
        for other in others {
            sent += other.join().unwrap();
        }
        let left = drain(&provider);
        assert!(sent <= 3 && left <= 2, "{sent} and {left}");
        assert!(sent + left >= 2, "of 2 left");
    });
}

mutant::tests! { "provider":
    two_calls_for_the_last { checked_before: "3 of 2 left", kept_refusal: "of 2 left" }
    calls_beside_a_response { kept_refusal: "of 2 left" }
}
