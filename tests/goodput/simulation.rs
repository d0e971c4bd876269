//! A deterministic executor on simulated time: it polls woken tasks in random order, and advances
//! the clock to the next end of a sleep when none is woken.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Poll, Waker};
use std::sync::Mutex;

use tidegate::{Clock, ManualClock, Timestamp};

use crate::random::Random;
use crate::timer::{Lateness, SimulatedTimer, Sleep};

pub(crate) struct Simulation<'a> {
    pub(crate) clock: ManualClock,
    pub(crate) timer: SimulatedTimer,
    random: Random,
    tasks: Vec<Task<'a>>,
    woken: Arc<Mutex<Vec<usize>>>,
}

struct Task<'a> {
    /// `None` once it is done.
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    waker: Waker,
    woken: Arc<TaskWaker>,
}

struct TaskWaker {
    task: usize,
    /// Whether it is in the list.
    is_woken: AtomicBool,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        // Relaxed: there is one thread.
        if !self.is_woken.swap(true, Relaxed) {
            let mut woken = self.woken.lock().expect("no panic while it is held");
            woken.push(self.task);
        }
    }
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(clock: &ManualClock, lateness: Lateness, seed: u64) -> Self {
        Self {
            clock: clock.clone(),
            timer: SimulatedTimer::new(clock, lateness, seed),
            random: Random(seed.wrapping_add(1)),
            tasks: Vec::new(),
            woken: Arc::default(),
        }
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'a) {
        let task = self.tasks.len();
        let woken = Arc::new(TaskWaker {
            task,
            is_woken: AtomicBool::new(false),
            woken: Arc::clone(&self.woken),
        });
        let waker = Waker::from(Arc::clone(&woken));
        waker.wake_by_ref();
        let future = Some(Box::pin(future) as Pin<Box<dyn Future<Output = ()> + 'a>>);
        self.tasks.push(Task {
            future,
            waker,
            woken,
        });
    }

    /// Polls woken tasks until none is woken.
    fn settle(&mut self) {
        loop {
            let task = {
                let mut woken = self.woken.lock().expect("no panic while it is held");
                if woken.is_empty() {
                    return;
                }
                self.random.take(&mut woken)
            };
            let Task {
                future,
                waker,
                woken,
            } = &mut self.tasks[task];
            // Relaxed: there is one thread.
            woken.is_woken.store(false, Relaxed);
            let Some(running) = future else { continue };
            let mut context = Context::from_waker(waker);
            if running.as_mut().poll(&mut context).is_ready() {
                *future = None;
            }
        }
    }

    /// Runs until an instant. Calls `settled` whenever no task can go on before time passes.
    pub(crate) fn run_until(&mut self, end: u64, mut settled: impl FnMut(u64)) {
        loop {
            self.settle();
            settled(self.clock.now().as_nanos());
            if !self.timer.advance(end) {
                break;
            }
        }
        if end != u64::MAX {
            self.clock.set(Timestamp::from_nanos(end));
        }
    }

    /// Runs until all tasks are done.
    pub(crate) fn run(&mut self, settled: impl FnMut(u64)) {
        self.run_until(u64::MAX, settled);
        let waiting = self.tasks.iter().filter(|task| task.future.is_some());
        assert_eq!(waiting.count(), 0, "tasks wait forever");
    }
}

/// Returns the output of `future`, or `None` and drops it if `sleep` ends first. Either is polled
/// first, as the arms of a `select!` may be.
pub(crate) async fn before<R>(
    sleep: Sleep,
    future: impl Future<Output = R>,
    sleep_first: bool,
) -> Option<R> {
    let (mut sleep, mut future) = (pin!(sleep), pin!(future));
    poll_fn(|context| {
        if sleep_first && sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}
