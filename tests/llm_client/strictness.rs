//! The fake provider is strict; otherwise its verdict on a client would prove nothing.
//!
//! Its limits last for hours here, so a slow machine changes no result.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;

use crate::account::{Account, AccountLimits, Window};
use crate::connection::Connection;
use crate::provider::{self, Answer, Prompt};

const HOUR: Duration = Duration::from_secs(3_600);

/// Five requests in a hundred hours, and plenty of tokens.
const FEW_REQUESTS: AccountLimits = AccountLimits {
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

/// A thousand tokens, and then one per minute.
const FEW_TOKENS: AccountLimits = AccountLimits {
    windows: &[Window {
        requests: 1_000,
        length: HOUR,
    }],
    tokens_per_minute: 1,
    tokens_at_once: 1_000,
};

/// A prompt that may use 300 tokens and uses 230.
const PROMPT: Prompt = Prompt {
    piece: 5,
    input_tokens: 200,
    max_tokens: 100,
};

/// Starts a provider.
async fn start(limits: AccountLimits) -> (Arc<Account>, SocketAddr) {
    let account = Arc::new(Account::new(limits, &[]));
    let address = provider::start(Arc::clone(&account)).await;
    (account, address)
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    headers[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_beyond_a_window_are_refused() {
    let (account, address) = start(FEW_REQUESTS).await;
    let mut connection = Connection::open(address).await;
    for sent in 1..=5 {
        let response = connection.send(&PROMPT).await;
        assert_eq!(response.status(), StatusCode::OK);
        let answer: Answer = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((answer.piece, answer.usage.total()), (5, 230));
        let left = number(response.headers(), "anthropic-ratelimit-requests-remaining");
        assert_eq!(left, 1_000 - sent, "in the first window");
    }
    for _ in 0..5 {
        let response = connection.send(&PROMPT).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait = number(response.headers(), "retry-after");
        assert!((350_000..=360_000).contains(&wait), "{wait}");
    }
    let counts = account.counts();
    assert_eq!(
        (counts.arrived, counts.refused, counts.tokens),
        (10, 5, 1_150)
    );
    assert_eq!(counts.answered.into_iter().collect::<Vec<_>>(), [(5, 5)]);
}

#[tokio::test]
async fn tokens_beyond_the_account_are_refused() {
    let (account, address) = start(FEW_TOKENS).await;
    let mut connection = Connection::open(address).await;
    // 310 are left after three calls, and 80 after four.
    for sent in 1..=4 {
        let response = connection.send(&PROMPT).await;
        assert_eq!(response.status(), StatusCode::OK);
        let left = number(response.headers(), "anthropic-ratelimit-tokens-remaining");
        let least = 1_000 - 230 * sent;
        assert!((least..=least + 20).contains(&left), "{left}");
    }
    let response = connection.send(&PROMPT).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    // 220 minutes, in seconds.
    let wait = number(response.headers(), "retry-after");
    assert!((12_000..=13_200).contains(&wait), "{wait}");

    let too_large = Prompt {
        max_tokens: 801,
        ..PROMPT
    };
    let response = connection.send(&too_large).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let counts = account.counts();
    assert_eq!((counts.arrived, counts.refused, counts.tokens), (5, 1, 920));
}

/// Calls that arrive together do not all pass just because none of them has ended yet.
#[tokio::test(flavor = "multi_thread")]
async fn calls_under_way_count_with_all_that_they_may_use() {
    let (account, address) = start(FEW_TOKENS).await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        calls.spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.send(&PROMPT).await.status()
        });
    }
    let statuses = calls.join_all().await;
    let admitted = statuses.iter().filter(|&&status| status == StatusCode::OK);
    assert!((3..=4).contains(&admitted.count()), "{statuses:?}");
    let counts = account.counts();
    assert_eq!(counts.arrived, 20);
    assert!((16..=17).contains(&counts.refused), "{}", counts.refused);
}

#[test]
fn unused_tokens_come_back_at_the_end() {
    let account = Account::new(FEW_TOKENS, &[]);
    account.admit(600).unwrap();
    let refused = account.admit(600).unwrap_err();
    // A few tokens may have flowed in.
    let left = refused.remaining.tokens;
    assert!((400..=410).contains(&left), "{refused:?}");
    assert!(refused.retry_after <= Duration::from_secs(200 * 60));
    assert!(refused.retry_after > Duration::from_secs(190 * 60));

    let left = account.settle(0, 600, 250);
    assert!((750..=760).contains(&left.tokens), "{left:?}");
    account.admit(600).unwrap();
    account.admit(600).unwrap_err();
    // The account never holds more than its capacity.
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
    assert_eq!(refused.remaining.tokens, 0);
    assert_eq!(refused.retry_after, Duration::from_secs(60), "exactly");
    let counts = account.counts();
    assert_eq!((counts.arrived, counts.refused), (2, 1));
}
