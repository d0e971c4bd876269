//! Waits in hostile conditions: pauses that are taken back or have no end, queues that are full,
//! wakers that panic.

extern crate alloc;

mod full_queues;
mod pauses;
mod wakers;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Polls a future once, without a task.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A timer that never fires: the test moves the clock, and polls.
fn never(_: Duration) -> core::future::Pending<()> {
    core::future::pending()
}
