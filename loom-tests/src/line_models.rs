//! What must hold in a line, whatever the threads do.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use tidegate::modelled::{ModelledLine, ModelledPlace};

use crate::explore;

/// A line, and places in it that are left when they are dropped.
pub trait Queue: Send + Sync + Sized + 'static {
    type Place: Turn;

    fn new() -> &'static Self;

    fn is_busy(&self) -> bool;

    fn join(&'static self) -> Self::Place;
}

pub trait Turn: Send + 'static {
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Sleeps until it is the head. If nobody wakes it, the model ends in a deadlock.
    fn wait(&mut self) {
        let waker = Waker::from(Arc::new(Parked(thread::current())));
        let mut context = Context::from_waker(&waker);
        while self.poll_head(&mut context).is_pending() {
            thread::park();
        }
    }

    /// Whether it is the head.
    fn look(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.poll_head(&mut context).is_ready()
    }
}

/// The place once it is the head. It is not dropped in a model that has ended in a deadlock, where locks are no more.
fn served<T: Turn>(place: T) -> T {
    let mut place = ManuallyDrop::new(place);
    place.wait();
    ManuallyDrop::into_inner(place)
}

/// Wakes a thread that parks.
pub(crate) struct Parked(pub(crate) thread::Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Three take their turns; each is alone at the head, and none sleeps for ever. Killed by `NoSecondLook` and `NoLookBack`.
pub fn everybody_has_a_turn<Q: Queue>() {
    explore(3, || {
        let line = Q::new();
        let inside: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let turn = move || {
            let place = served(line.join());
            assert_eq!(inside.fetch_add(1, Relaxed), 0, "two at the head");
            inside.fetch_sub(1, Relaxed);
            drop(place);
        };
        let others = [thread::spawn(turn), thread::spawn(turn)];
        turn();
        for other in others {
            other.join().unwrap();
        }
        assert!(!line.is_busy());
    });
}

/// One leaves when its turn may just have come; the one behind it is served all the same. Three threads. Killed by `KeptTurn`.
pub fn a_turn_that_is_given_up<Q: Queue>() {
    explore(3, || {
        let line = Q::new();
        let mut head = line.join();
        assert!(head.look());
        let mut leaves = line.join();
        assert!(!leaves.look());
        let mut last = line.join();
        assert!(!last.look());
        let first = thread::spawn(move || drop(head));
        let second = thread::spawn(move || drop(leaves));
        let last = served(last);
        first.join().unwrap();
        second.join().unwrap();
        drop(last);
    });
}

/// While the head leaves, two come, one after the other: that is the order in which they are served, and nobody passes who sees
/// that somebody waits. Two threads. Killed by `ForItself`, `PastTheList` and `BusyWhileTaken`.
pub fn nobody_is_overtaken<Q: Queue>() {
    explore(5, || {
        let line = Q::new();
        let mut head = line.join();
        assert!(head.look());
        let leaving = thread::spawn(move || drop(head));
        let mut first = line.join();
        if !first.look() {
            assert!(line.is_busy(), "a newcomer may pass");
        }
        let mut second = line.join();
        let overtook = second.look();
        leaving.join().unwrap();
        assert!(first.look() && !overtook && !second.look(), "overtaken");
        drop(first);
        assert!(second.look());
    });
}

impl Queue for ModelledLine {
    type Place = ModelledPlace<'static>;

    fn new() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }

    fn is_busy(&self) -> bool {
        self.is_busy()
    }

    fn join(&'static self) -> ModelledPlace<'static> {
        self.join()
    }
}

impl Turn for ModelledPlace<'static> {
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_head(context)
    }
}
