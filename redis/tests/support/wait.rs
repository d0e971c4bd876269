//! Waits for conditions without fixed pauses.

use core::time::Duration;
use std::thread;
use std::time::Instant;

/// Ends a test that hangs. Nothing else depends on its length.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(2);

/// The result of one check: a `bool`, or `Some` value once the condition holds.
pub(crate) trait Condition {
    type Value;

    fn met(self) -> Option<Self::Value>;
}

impl Condition for bool {
    type Value = ();

    fn met(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Condition for Option<T> {
    type Value = T;

    fn met(self) -> Self {
        self
    }
}

/// Repeats a check until it holds. Fails the test after [`PATIENCE`].
#[track_caller]
pub(crate) fn until<C: Condition>(what: &str, mut check: impl FnMut() -> C) -> C::Value {
    let start = Instant::now();
    loop {
        if let Some(value) = check().met() {
            return value;
        }
        assert_patient(start, what);
        thread::sleep(PAUSE);
    }
}

/// Like [`until`], in an async task.
pub(crate) async fn eventually<C: Condition>(
    what: &str,
    mut check: impl AsyncFnMut() -> C,
) -> C::Value {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await.met() {
            return value;
        }
        assert_patient(start, what);
        tokio::time::sleep(PAUSE).await;
    }
}

#[track_caller]
fn assert_patient(start: Instant, what: &str) {
    let waited = start.elapsed();
    assert!(waited < PATIENCE, "still waiting after {waited:?}: {what}");
}
