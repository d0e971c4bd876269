//! Waits for a key that a credit, a reset or an undo ends early.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{Acquire, Awaitable, Denied, Limiter, ManualClock};

use crate::manual_timer::ManualTimer;
use crate::{Table, at, fixed, on_each_table};

#[derive(Default)]
struct Wakes(AtomicU64);

impl alloc::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Lets a call for two of three tokens wait, makes `change`, and returns whether it was woken and
/// admitted.
fn is_served<L: Awaitable + Limiter>(view: &L, clock: &ManualClock, change: impl FnOnce()) -> bool {
    let timer = ManualTimer::on(clock);
    let woken = Arc::new(Wakes::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut wait = pin!(Acquire::new(view, 2).timer(timer));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    change();
    let was_woken = woken.0.load(Relaxed) > 0;
    was_woken && wait.as_mut().poll(&mut context) == Poll::Ready(Ok(()))
}

#[test]
fn returned_tokens_wake_the_head() {
    fn check<T: Table>(table: &T, clock: &ManualClock)
    where
        for<'a> T::View<'a>: Awaitable,
    {
        let view = table.view(&1);
        table.debit_at(1, 10, at(0));
        assert!(
            is_served(&view, clock, || table.reset_at(1, at(0))),
            "reset"
        );
        table.debit_at(1, 10, at(0));
        assert!(
            is_served(&view, clock, || table.credit_at(1, 11, at(0))),
            "credit"
        );
        assert!(
            !is_served(&view, clock, || table.credit_at(1, 1, at(0))),
            "too little"
        );
        table.reset_at(1, at(0));
        let charge = view.charge_at(3, at(0)).expect("full");
        let undo = || assert_eq!(view.undo(charge), 3);
        assert!(is_served(&view, clock, undo), "undo");
        // Another key's tokens are no concern of the waiter.
        table.debit_at(2, 3, at(0));
        let other = || table.reset_at(2, at(0));
        assert!(!is_served(&view, clock, other), "another key");
        if table.remove(3) {
            let charge = table.view(&3).charge_at(3, at(0)).expect("new");
            let undo = || assert_eq!(table.view(&3).undo(charge), 3);
            assert!(is_served(&table.view(&3), clock, undo), "a new key");
        }
    }
    on_each_table!(check, 3);
}

#[test]
fn debit_makes_waiters_wait_longer() {
    let clock = ManualClock::new();
    let table = fixed(3, &clock);
    let view = table.at(&1);
    assert_eq!(view.acquire(3).wait(), Ok(()));
    view.debit(2);
    let refused = view.acquire(1).timeout(Duration::from_secs(2)).wait();
    let retry_after = Duration::from_secs(3).into();
    assert_eq!(refused, Err(Denied::NotYet { retry_after }));
    assert_eq!(view.waiting(), 0);
}
