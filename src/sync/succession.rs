//! States that take over from each other while threads use them.
//!
//! The first state lies inside its limiter, so that a limiter that never changes pays nothing. To
//! replace a state:
//!
//! 1. Its successor is linked to it.
//! 2. It is *closed*: no operation on it succeeds from then on.
//! 3. The successor *takes over*: it computes what it starts with from the closed state, and opens.
//! 4. The successor becomes the latest state, where calls begin. Earlier ones are freed once the
//!    calls that are on them have gone on.
//!
//! One thread at a time replaces, with a lock. Calls never wait for it. A call that finds a state
//! closed lets the successor take over by itself, which any number of threads may do at once, and
//! goes on there. So calls stay lock-free, however long the replacing thread is stopped.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::link::{Latest, Link};
use super::{Closed, Lazy, Mutex, lock};

/// A state that can take over from another, and be replaced.
pub(crate) trait Successor: Sized + 'static {
    /// What the first state, inside the limiter, has in common with its successors.
    type State;

    fn state(&self) -> &Self::State;

    /// Closes `old`, which this state succeeds. One thread calls it, once.
    fn close(&self, old: &Self::State);

    /// Takes over from `old`, which is closed, and opens. Does nothing if that is done.
    fn take_over(&self, old: &Self::State);
}

/// The successors of a state: nothing but a null pointer until there is one.
pub(crate) struct Succession<S: 'static>(Lazy<Successors<S>>);

struct Successors<S: 'static> {
    /// The successor of the first state, until it is the latest state. It holds its own successor,
    /// so it would otherwise keep every state that there ever was.
    second: Latest<Node<S>>,
    latest: Latest<Node<S>>,
    /// Held while a state is replaced.
    turn: Mutex<()>,
}

struct Node<S: 'static> {
    state: S,
    next: Link<Self>,
}

impl<S> Drop for Node<S> {
    fn drop(&mut self) {
        // In a loop. A thread that was stopped may hold the start of a long chain, and the drop of
        // one node within that of the other would take stack for each.
        let mut next = self.next.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.next.take();
        }
    }
}

impl<S> Succession<S> {
    super::const_fn! {
        pub(crate) const fn none() -> Self {
            Self(Lazy::new())
        }
    }
}

impl<S: Successor> Succession<S> {
    /// Runs `operation` on the latest state, and again if that is replaced meanwhile. `first` is
    /// closed; `None` if it has no successor.
    #[cold]
    #[inline(never)]
    pub(crate) fn run<R>(
        &self,
        first: &S::State,
        operation: impl Fn(&S) -> Result<R, Closed>,
    ) -> Option<R> {
        self.run_after(first, |state, _| operation(state))
    }

    /// [`run`](Self::run) for states of many parts that take over one by one. `operation` also gets
    /// the state before, unless [`Successor::close`] has returned.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_after<R>(
        &self,
        first: &S::State,
        operation: impl Fn(&S, Option<&S::State>) -> Result<R, Closed>,
    ) -> Option<R> {
        let Successors { second, latest, .. } = self.0.get()?;
        let run_latest = || latest.with(|node| node.run(None, &operation));
        let run_second = || {
            second.with(|node| {
                node.state.take_over(first);
                node.run(Some(first), &operation)
            })
        };
        // `second` is forgotten only after it has become the latest.
        run_latest().or_else(run_second).or_else(run_latest)
    }

    /// Whether the first state was never replaced.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Replaces the latest state, or `first` if it has no successor, by the one that `make` returns
    /// for it. Leaves it if that is `None`.
    pub(crate) fn replace(
        &self,
        first: &S::State,
        make: impl FnOnce(Option<&S>) -> Option<S>,
    ) -> bool {
        let successors = self.0.get_or_init(|| {
            Box::new(Successors {
                second: Latest::none(),
                latest: Latest::none(),
                turn: Mutex::new(()),
            })
        });
        let _turn = lock(&successors.turn);
        let latest = successors.latest.load();
        let Some(state) = make(latest.as_ref().map(|node| &node.state)) else {
            return false;
        };
        let next = Arc::new(Node {
            state,
            next: Link::none(),
        });
        let old = if let Some(node) = &latest {
            node.next.set(next.clone());
            node.state.state()
        } else {
            successors.second.store(next.clone());
            first
        };
        next.state.close(old);
        next.state.take_over(old);
        successors.latest.store(next);
        if latest.is_none() {
            successors.second.clear();
        }
        true
    }
}

impl<S: Successor> Node<S> {
    fn run<R>(
        &self,
        before: Option<&S::State>,
        operation: &impl Fn(&S, Option<&S::State>) -> Result<R, Closed>,
    ) -> R {
        if let Ok(result) = operation(&self.state, before) {
            return result;
        }
        let mut node = self.follow();
        if let Ok(result) = operation(&node.state, Some(self.state.state())) {
            return result;
        }
        loop {
            let next = node.follow();
            if let Ok(result) = operation(&next.state, Some(node.state.state())) {
                return result;
            }
            node = next;
        }
    }

    /// The successor of this closed state, open.
    fn follow(&self) -> Arc<Self> {
        loop {
            // A state is linked to its successor before it is closed, so this never repeats.
            if let Some(next) = self.next.get() {
                next.state.take_over(self.state.state());
                return next.clone();
            }
        }
    }
}
