//! A record of all calls at one limiter, which checks their order and their end.

use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use tidegate::{Clock, ManualClock};

use crate::load::Call;

/// An admitted call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) arrived: u64,
    pub(crate) at: u64,
    pub(crate) n: u64,
    /// When the measured bucket is full after it.
    pub(crate) full_at: u64,
}

/// A call that was refused when it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) at: u64,
    pub(crate) deadline: u64,
    /// Permits of those ahead and its own.
    pub(crate) demand: u64,
    /// When the measured bucket would be full.
    pub(crate) full_at: u64,
}

/// The call that is served next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) n: u64,
    /// When those before it were gone.
    pub(crate) since: u64,
}

pub(crate) struct Record<'a> {
    clock: ManualClock,
    /// Returns when the measured bucket is full.
    full_at: &'a dyn Fn(u64) -> u64,
    /// By how much a call may end after its timeout.
    late: u64,
    /// The calls that wait, by arrival.
    waiting: RefCell<BTreeMap<u64, Call>>,
    arrivals: Cell<u64>,
    head_since: Cell<u64>,
    pub(crate) services: RefCell<Vec<Service>>,
    pub(crate) refusals: RefCell<Vec<Refusal>>,
    /// Permits of all services.
    pub(crate) admitted: Cell<u64>,
    /// Calls that were refused, and calls that were dropped while they waited.
    pub(crate) refused: Cell<u64>,
    pub(crate) dropped: Cell<u64>,
    /// Polls of all calls.
    pub(crate) polls: Cell<u64>,
}

fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

impl<'a> Record<'a> {
    /// `late` is the most by which a call may end after its timeout.
    pub(crate) fn new(clock: &ManualClock, late: u64) -> Self {
        Self {
            clock: clock.clone(),
            full_at: &|_| 0,
            late,
            waiting: RefCell::default(),
            arrivals: Cell::new(0),
            head_since: Cell::new(0),
            services: RefCell::default(),
            refusals: RefCell::default(),
            admitted: Cell::new(0),
            refused: Cell::new(0),
            dropped: Cell::new(0),
            polls: Cell::new(0),
        }
    }

    pub(crate) fn measure(self, full_at: &'a dyn Fn(u64) -> u64) -> Self {
        Self { full_at, ..self }
    }

    fn now(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    /// Records a call from its first poll on.
    pub(crate) fn watch<F>(&self, call: Call, future: F) -> Watched<'_, 'a, F> {
        Watched {
            record: self,
            call,
            number: None,
            future: Box::pin(future),
        }
    }

    pub(crate) fn head(&self) -> Option<Head> {
        let since = self.head_since.get();
        let waiting = self.waiting.borrow();
        waiting
            .values()
            .next()
            .map(|call| Head { n: call.n, since })
    }

    fn arrive(&self, call: Call) -> u64 {
        let number = self.arrivals.get();
        add(&self.arrivals, 1);
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.head_since.set(self.now());
        }
        waiting.insert(
            number,
            Call {
                at: self.now(),
                ..call
            },
        );
        number
    }

    /// Returns the call, and whether all before it are gone.
    fn leave(&self, number: u64) -> (Call, bool) {
        let mut waiting = self.waiting.borrow_mut();
        let is_head = waiting.keys().next() == Some(&number);
        let call = waiting.remove(&number).expect("a call ends once");
        if is_head {
            self.head_since.set(self.now());
        }
        (call, is_head)
    }

    fn check_timeout(&self, call: Call) {
        let deadline = call
            .at
            .saturating_add(call.patience.timeout().unwrap_or(u64::MAX));
        let now = self.now();
        assert!(
            now <= deadline.saturating_add(self.late),
            "{call:?} ends at {now}"
        );
    }

    fn serve(&self, number: u64) {
        let (call, is_head) = self.leave(number);
        assert!(is_head, "{call:?} overtakes a call that came before");
        self.check_timeout(call);
        add(&self.admitted, call.n);
        self.services.borrow_mut().push(Service {
            arrived: call.at,
            at: self.now(),
            n: call.n,
            full_at: (self.full_at)(self.now()),
        });
    }

    fn refuse(&self, number: u64) {
        let (call, _) = self.leave(number);
        assert!(call.patience.timeout().is_some(), "{call:?} is refused");
        self.check_timeout(call);
        add(&self.refused, 1);
        let now = self.now();
        if call.at == now {
            let waiting = self.waiting.borrow();
            let ahead: u64 = waiting.values().map(|ahead| ahead.n).sum();
            self.refusals.borrow_mut().push(Refusal {
                at: now,
                deadline: now + call.patience.timeout().unwrap_or_default(),
                demand: ahead + call.n,
                full_at: (self.full_at)(now),
            });
        }
    }
}

/// A recorded call.
pub(crate) struct Watched<'r, 'a, F> {
    record: &'r Record<'a>,
    call: Call,
    /// While it waits.
    number: Option<u64>,
    future: Pin<Box<F>>,
}

impl<R, E, F: Future<Output = Result<R, E>>> Future for Watched<'_, '_, F> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R, E>> {
        let record = self.record;
        let call = self.call;
        let number = *self.number.get_or_insert_with(|| record.arrive(call));
        add(&record.polls, 1);
        let output = core::task::ready!(self.future.as_mut().poll(context));
        self.number = None;
        match output {
            Ok(_) => record.serve(number),
            Err(_) => record.refuse(number),
        }
        Poll::Ready(output)
    }
}

impl<F> Drop for Watched<'_, '_, F> {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.record.leave(number);
            add(&self.record.dropped, 1);
        }
    }
}
