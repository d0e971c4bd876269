//! Waits for one of two futures.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// Returns the output of `work`, or that of `stop` as the error if it ends before `work`.
pub(crate) async fn unless<T, S>(
    stop: impl Future<Output = S>,
    work: impl Future<Output = T>,
) -> Result<T, S> {
    let (mut stop, mut work) = (pin!(stop), pin!(work));
    poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        stop.as_mut().poll(cx).map(Err)
    })
    .await
}
