//! The fake provider is strict, or what it says of a client would mean nothing.
//!
//! Its limits last for hours here, so that what was used up stays so however slow the machine is.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::account::{Account, Counts, Quotas, Window};
use crate::connection::Connection;
use crate::message::{Answer, Prompt};
use crate::provider;

const HOUR: Duration = Duration::from_secs(3_600);

/// Five requests in a hundred hours, and no end of tokens.
const FEW_REQUESTS: Quotas = Quotas {
    windows: &[
        Window {
            requests: 1_000,
            length: HOUR,
        },
        Window {
            requests: 5,
            length: Duration::from_secs(360_000),
        },
    ],
    tokens_per_minute: 1_000_000,
    tokens_at_once: 1_000_000,
};

/// A thousand tokens, and then one each minute.
const FEW_TOKENS: Quotas = Quotas {
    windows: &[Window {
        requests: 1_000,
        length: HOUR,
    }],
    tokens_per_minute: 1,
    tokens_at_once: 1_000,
};

/// May use 300 tokens, and uses 230.
const PROMPT: Prompt = Prompt {
    piece: 5,
    input_tokens: 200,
    max_tokens: 100,
};

/// Starts a provider for the time of `talk`, and returns what it counted.
async fn provide<F: Future<Output = ()>>(
    account: Account,
    talk: impl FnOnce(SocketAddr) -> F,
) -> Counts {
    let account = Arc::new(account);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(provider::serve(listener, Arc::clone(&account), stopped));
    talk(address).await;
    drop(stop);
    server.await.unwrap().unwrap();
    account.counts()
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    headers[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_beyond_a_window_are_refused() {
    let talk = async |address| {
        let mut connection = Connection::open(address).await.unwrap();
        for sent in 1..=5 {
            let (response, body) = connection.send(&PROMPT).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let answer: Answer = serde_json::from_slice(&body).unwrap();
            assert_eq!((answer.piece, answer.usage.total()), (5, 230));
            let left = number(response.headers(), "anthropic-ratelimit-requests-remaining");
            assert_eq!(left, 1_000 - sent, "of the first window");
        }
        for _ in 0..5 {
            let (response, _) = connection.send(&PROMPT).await.unwrap();
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            let wait = number(response.headers(), "retry-after");
            assert!((350_000..=360_000).contains(&wait), "{wait}");
        }
    };
    let counts = provide(Account::new(FEW_REQUESTS, &[]), talk).await;
    assert_eq!(
        (counts.arrived, counts.refused, counts.tokens),
        (10, 5, 1_150)
    );
    assert_eq!(counts.answered.into_iter().collect::<Vec<_>>(), [(5, 5)]);
}

#[tokio::test]
async fn tokens_that_are_not_there_are_refused() {
    let talk = async |address| {
        let mut connection = Connection::open(address).await.unwrap();
        // 310 are left after three, and 80 after four.
        for sent in 1..=4 {
            let (response, _) = connection.send(&PROMPT).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let left = number(response.headers(), "anthropic-ratelimit-tokens-remaining");
            let least = 1_000 - 230 * sent;
            assert!((least..=least + 20).contains(&left), "{left}");
        }
        let (response, _) = connection.send(&PROMPT).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        // 220 minutes, in seconds.
        let wait = number(response.headers(), "retry-after");
        assert!((12_000..=13_200).contains(&wait), "{wait}");

        let too_large = Prompt {
            max_tokens: 801,
            ..PROMPT
        };
        let (response, _) = connection.send(&too_large).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    };
    let counts = provide(Account::new(FEW_TOKENS, &[]), talk).await;
    assert_eq!((counts.arrived, counts.refused, counts.tokens), (5, 1, 920));
}

/// R01: calls that come together do not pass because none of them has ended yet.
#[tokio::test(flavor = "multi_thread")]
async fn r01_calls_under_way_count_with_all_that_they_may_use() {
    let talk = async |address| {
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            calls.spawn(async move {
                let mut connection = Connection::open(address).await.unwrap();
                connection.send(&PROMPT).await.unwrap().0.status()
            });
        }
        let statuses = calls.join_all().await;
        let admitted = statuses.iter().filter(|&&status| status == StatusCode::OK);
        assert!((3..=4).contains(&admitted.count()), "{statuses:?}");
    };
    let counts = provide(Account::new(FEW_TOKENS, &[]), talk).await;
    assert_eq!(counts.arrived, 20);
    assert!((16..=17).contains(&counts.refused), "{}", counts.refused);
}

#[test]
fn what_was_charged_and_not_used_comes_back_at_the_end() {
    let account = Account::new(FEW_TOKENS, &[]);
    account.admit(600).unwrap();
    let refused = account.admit(600).unwrap_err();
    // A token may have flowed in, and then the rest of it is missing.
    assert!((400..=410).contains(&refused.left.tokens), "{refused:?}");
    assert!(refused.retry_after <= Duration::from_secs(200 * 60));
    assert!(refused.retry_after > Duration::from_secs(190 * 60));

    let left = account.settle(0, 600, 250);
    assert!((750..=760).contains(&left.tokens), "{left:?}");
    account.admit(600).unwrap();
    account.admit(600).unwrap_err();
    // It never holds more than it can.
    let left = account.settle(1, 600, 0);
    assert!((750..=760).contains(&left.tokens), "{left:?}");
    account.admit(300).unwrap();
    assert_eq!(account.counts().tokens, 250);
}

#[test]
fn another_tenant_takes_all_that_is_left() {
    let account = Account::new(FEW_TOKENS, &[2]);
    account.admit(1).unwrap();
    let refused = account.admit(1).unwrap_err();
    assert_eq!(refused.left.tokens, 0);
    assert_eq!(refused.retry_after, Duration::from_secs(60), "exactly");
    let counts = account.counts();
    assert_eq!((counts.arrived, counts.refused), (2, 1));
}
