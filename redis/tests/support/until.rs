//! Waits for what happens elsewhere, without a fixed pause.

use core::time::Duration;
use std::thread;
use std::time::Instant;

/// Ends a test that hangs; nothing else depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer, and gives up after a while.
pub(crate) fn until_within<R>(patience: Duration, mut ask: impl FnMut() -> Option<R>) -> Option<R> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > patience {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Asks again and again until there is an answer; after [`PATIENCE`] the test has failed.
#[track_caller]
pub(crate) fn until<R>(what: &str, ask: impl FnMut() -> Option<R>) -> R {
    until_within(PATIENCE, ask)
        .unwrap_or_else(|| panic!("still waiting after {PATIENCE:?}: {what}"))
}

/// The same for what is asked in a task.
pub(crate) async fn eventually<R>(what: &str, mut ask: impl AsyncFnMut() -> Option<R>) -> R {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "still waiting after {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
