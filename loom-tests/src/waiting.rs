//! What models of waiters have in common.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard};
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

/// A bucket that notes what it admits, in order, and checks as of when.
pub(crate) struct Noting<C> {
    pub(crate) bucket: TokenBucket<C>,
    slack: u64,
    // A lock of the standard library: loom need not explore it.
    admitted: Mutex<Vec<(u64, u64)>>,
    /// The threads whose calls have joined the queue; each makes one call.
    joined: Mutex<Vec<thread::ThreadId>>,
    last_waiter: Mutex<Option<Timestamp>>,
}

impl<C: Clock> Noting<C> {
    /// When each call was decided, and its permits.
    pub(crate) fn admitted(&self) -> Vec<(u64, u64)> {
        lock(&self.admitted).clone()
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

    /// Notes a waiter. It is decided as of an instant of its wait, not before the waiter ahead of
    /// it, and not much earlier than now.
    fn note_waiter(&self, permits: u64, instants: Instants) {
        let Instants { arrival, due, now } = instants;
        assert!(arrival <= due, "as of before its arrival: {instants:?}");
        assert!(due <= now, "as of a later instant: {instants:?}");
        let age = now.as_nanos() - due.as_nanos();
        assert!(age <= self.slack, "as of too long ago: {instants:?}");
        // A call that came while the queue was empty is ahead of none.
        if lock(&self.joined).contains(&thread::current().id()) {
            let last = lock(&self.last_waiter).replace(due);
            assert!(
                last <= Some(due),
                "as of before the one ahead, {last:?}: {instants:?}"
            );
        }
        self.note(permits, due);
    }

    fn note(&self, permits: u64, due: Timestamp) {
        let mut admitted = lock(&self.admitted);
        admitted.push((due.as_nanos(), permits));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics")
}

/// An empty bucket, to which a token flows every `T`.
pub(crate) fn empty_bucket<C: Clock>(burst: u64, clock: C) -> &'static Noting<C> {
    noting(empty(burst, clock), 2_000_000)
}

/// An empty bucket with a slack in nanoseconds.
pub(crate) fn empty_with_slack<C: Clock>(burst: u64, slack: u64, clock: C) -> &'static Noting<C> {
    noting(
        empty(burst, clock).wait_slack(Duration::from_nanos(slack)),
        slack,
    )
}

fn noting<C>(bucket: TokenBucket<C>, slack: u64) -> &'static Noting<C> {
    leaked(Noting {
        bucket,
        slack,
        admitted: Mutex::default(),
        joined: Mutex::default(),
        last_waiter: Mutex::default(),
    })
}

pub(crate) fn empty<C: Clock>(burst: u64, clock: C) -> TokenBucket<C> {
    let quota = Quota::new(1, Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    let now = clock.now();
    let bucket = TokenBucket::with_clock(quota, clock);
    assert!(bucket.try_acquire_at(burst, now).is_ok());
    bucket
}

/// Forwards to the bucket.
impl<C: Clock> Waits for Noting<C> {
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

    fn queued(&self) -> u128 {
        self.bucket.queued()
    }

    fn enter(&self) -> Option<()> {
        lock(&self.joined).push(thread::current().id());
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
            .inspect(|()| self.note_waiter(n, at))
    }

    fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.bucket.refusal(ahead, n, now)
    }
}
