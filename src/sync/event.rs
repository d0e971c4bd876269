//! A stand-in for event-listener's list in models: a list behind a lock, with the same contract.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Ordering::{Acquire, Release};
use super::{AtomicU64, Mutex};

/// As `event_listener::Event`. It allocates its list for the first listener, and a thread that does
/// not see the allocation takes no lock.
#[derive(Debug)]
pub struct Event {
    is_allocated: AtomicU64,
    list: Arc<Mutex<List>>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: VecDeque<ListEntry>,
}

#[derive(Debug)]
struct ListEntry {
    id: u64,
    is_notified: bool,
    waker: Option<Waker>,
}

/// As `event_listener::EventListener`.
#[derive(Debug)]
pub struct EventListener {
    list: Arc<Mutex<List>>,
    id: u64,
}

impl Event {
    pub fn new() -> Self {
        Self {
            is_allocated: AtomicU64::new(0),
            list: Arc::new(Mutex::new(List::default())),
        }
    }

    pub fn listen(&self) -> EventListener {
        // Release: pairs with the Acquire loads below, as the pointer to the real list does.
        self.is_allocated.store(1, Release);
        let mut list = self.list.lock().expect("not poisoned");
        let id = list.next;
        list.next += 1;
        list.entries.push_back(ListEntry {
            id,
            is_notified: false,
            waker: None,
        });
        EventListener {
            list: Arc::clone(&self.list),
            id,
        }
    }

    pub fn notify_additional(&self, n: usize) -> usize {
        // Acquire: pairs with the Release in `listen`.
        if self.is_allocated.load(Acquire) == 0 {
            return 0;
        }
        let mut list = self.list.lock().expect("not poisoned");
        let waiting = list.entries.iter_mut().filter(|entry| !entry.is_notified);
        let mut notified = 0;
        for entry in waiting.take(n) {
            entry.is_notified = true;
            notified += 1;
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
        notified
    }

    pub fn total_listeners(&self) -> usize {
        // Acquire: pairs with the Release in `listen`.
        if self.is_allocated.load(Acquire) == 0 {
            return 0;
        }
        self.list.lock().expect("not poisoned").entries.len()
    }
}

impl EventListener {
    /// Leaves the list, and returns whether it had been notified.
    pub fn discard(self) -> bool {
        let is_notified = self.leave();
        mem::forget(self);
        is_notified
    }

    fn leave(&self) -> bool {
        let mut list = self.list.lock().expect("not poisoned");
        let own = list.entries.iter().position(|entry| entry.id == self.id);
        let entry = own.and_then(|own| list.entries.remove(own));
        entry.is_some_and(|entry| entry.is_notified)
    }
}

impl Future for EventListener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut list = self.list.lock().expect("not poisoned");
        let Some(own) = list.entries.iter().position(|entry| entry.id == self.id) else {
            return Poll::Ready(());
        };
        if list.entries[own].is_notified {
            list.entries.remove(own);
            return Poll::Ready(());
        }
        list.entries[own].waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        // Unlike event-listener's, a notification is not passed on: the wait queue discards its
        // listeners, or has polled them to completion.
        self.leave();
    }
}
