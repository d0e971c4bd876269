//! What models of waiters have in common.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use crate::model::{SharedClock, at, leaked};
use crate::tidegate::modelled::{Hold, Instants, WaitQueue, Waits};
use crate::tidegate::{Acquire, Clock, Denied, Quota, Timer, Timestamp, TokenBucket};

/// Nanoseconds per token.
pub(crate) const T: u64 = 1_000;

/// Wakes a thread that parks.
struct Parked(thread::Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until ready, and parks this thread in between. If no other thread wakes it, the model ends
/// in a deadlock.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut future).poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A clock whose time only models move. A thread that sleeps on it sleeps until it is woken.
#[derive(Debug)]
pub(crate) struct Manual(SharedClock);

/// A clock that a thread moves on when it sleeps: the thread wakes up a little late.
#[derive(Debug)]
pub(crate) struct Jumping(SharedClock);

impl Manual {
    pub(crate) fn at(nanos: u64) -> Self {
        Self(SharedClock::at(nanos))
    }

    pub(crate) fn advance(&self, nanos: u64) {
        self.0.advance(nanos);
    }
}

impl Jumping {
    /// How late a thread wakes up.
    const LATE: u64 = T / 4;

    pub(crate) fn at(nanos: u64) -> Self {
        Self(SharedClock::at(nanos))
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        at(self.0.now())
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        at(self.0.now())
    }

    fn park_until(&self, deadline: Timestamp) {
        if deadline == Timestamp::MAX {
            return thread::park();
        }
        let now = self.0.latest();
        self.0
            .advance((deadline.as_nanos() + Self::LATE).saturating_sub(now));
    }
}

/// A clock whose newest time a model can read.
pub(crate) trait Latest: Clock {
    fn latest(&self) -> u64;
}

impl Latest for Manual {
    fn latest(&self) -> u64 {
        self.0.latest()
    }
}

impl Latest for Jumping {
    fn latest(&self) -> u64 {
        self.0.latest()
    }
}

/// A call that was admitted: of how many permits, and as of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) permits: u64,
    pub(crate) due: u64,
}

/// A bucket that notes what it admits, in order.
pub(crate) struct Noting<C> {
    pub(crate) bucket: TokenBucket<C>,
    // A lock of the standard library: loom need not explore it.
    admitted: Mutex<Vec<Admitted>>,
}

impl<C: Latest> Noting<C> {
    pub(crate) fn admitted(&self) -> Vec<Admitted> {
        self.admitted.lock().expect("no thread panics").clone()
    }

    /// Waits in a thread, as the shipped code does.
    pub(crate) fn wait(&self, n: u64) {
        assert_eq!(Acquire::new(self, n).wait(), Ok(()));
    }

    /// A wait in a future whose timer never fires.
    pub(crate) fn future(&'static self, n: u64) -> Acquire<&'static Self, impl Timer> {
        Acquire::new(self, n).timer(|_: Duration| core::future::pending::<()>())
    }

    /// Calls without waiting.
    pub(crate) fn try_acquire(&self, n: u64) {
        let now = self.bucket.clock().now();
        if self.bucket.try_acquire_at(n, now).is_ok() {
            self.note(n, now);
        }
    }

    fn note(&self, permits: u64, due: Timestamp) {
        let due = due.as_nanos();
        let mut admitted = self.admitted.lock().expect("no thread panics");
        admitted.push(Admitted { permits, due });
    }
}

/// An empty bucket, to which a token flows every `T`.
pub(crate) fn empty_bucket<C: Latest>(burst: u64, clock: C) -> &'static Noting<C> {
    let quota = Quota::new(1, Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    let now = clock.now();
    let bucket = TokenBucket::with_clock(quota, clock);
    assert!(bucket.try_acquire_at(burst, now).is_ok());
    leaked(Noting {
        bucket,
        admitted: Mutex::default(),
    })
}

/// Forwards to the bucket.
impl<C: Latest> Waits for Noting<C> {
    type Clock = C;
    type Demand = u128;
    type Place = ();

    fn wait_clock(&self) -> &C {
        self.bucket.clock()
    }

    fn max_permits(&self) -> u64 {
        self.bucket.max_permits()
    }

    fn demand(&self, n: u64) -> u128 {
        Waits::demand(&self.bucket, n)
    }

    fn is_busy(&self) -> bool {
        self.bucket.is_busy()
    }

    fn enter(&self) -> Option<()> {
        self.bucket.enter()
    }

    fn queue<'a>(&'a self, place: &'a ()) -> &'a WaitQueue {
        self.bucket.queue(place)
    }

    fn exit(&self, place: ()) {
        self.bucket.exit(place);
    }

    fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
        self.bucket
            .attempt(n, at)
            .inspect(|()| self.note(n, at.due))
    }

    fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.bucket.refusal(ahead, n, now)
    }
}
