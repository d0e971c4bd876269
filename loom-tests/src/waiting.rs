//! What models of waiters have in common.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

/// Wakes a thread that parks.
struct Parked(thread::Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until ready, and parks this thread in between. If no other thread wakes it, the model ends
/// in a deadlock.
pub(crate) fn block_on<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs `work` on a value that is not dropped if the model ends in a deadlock, when locks no longer
/// work.
pub(crate) fn kept_in_a_deadlock<T>(value: T, work: impl FnOnce(&mut T)) -> T {
    let mut value = ManuallyDrop::new(value);
    work(&mut value);
    ManuallyDrop::into_inner(value)
}
