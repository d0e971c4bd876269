//! A call that does not have to wait.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate::{Clock, DefaultClock};

use super::Effort;
use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use crate::gate::Decision;
use crate::on_threads;
use crate::suite::report::Report;

/// Calls between two readings of the clock.
const BATCH: u32 = 1_000;

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    // On one core, and alternating, so that a slow minute of the machine affects all limiters.
    let (_, mut measured) = on_threads(1, |_| {
        let mut calls = Calls {
            time: effort.ready,
            results: Results::default(),
        };
        for _ in 0..effort.ready_rounds {
            for_each(&mut calls);
        }
        calls.results
    });
    let results = measured.pop().expect("one thread");
    results.write(
        report,
        ("waits_ready", "what", 1),
        "Permits are there",
        "Nanoseconds per wait of a task in a loop, on one core, while permits are there and no \
         call waits. Each wait is a call of an `async fn` that is not inlined, and its whole \
         result is used. The fastest batch of 1 000 calls says more where other programs run. \
         Medians of the rounds.",
    )
}

struct Calls {
    time: Duration,
    results: Results,
}

impl WaitVisitor for Calls {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        // Never driven, so that nothing else runs.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let _context = runtime.enter();
        let limiter = Arc::new(make(Flow::PLENTY));
        let batch =
            || -> Pin<Box<dyn Future<Output = u32>>> { Box::pin(take_turns(Arc::clone(&limiter))) };
        let run = || {
            let mut context = Context::from_waker(Waker::noop());
            match batch().as_mut().poll(&mut context) {
                Poll::Ready(admitted) => assert_eq!(admitted, BATCH),
                Poll::Pending => unreachable!("permits are there"),
            }
        };
        run();
        let start = DefaultClock.now();
        let (mut before, mut batches, mut least) = (start, 0_u32, Duration::MAX);
        while before - start < self.time {
            run();
            let after = DefaultClock.now();
            least = least.min(after - before);
            batches += 1;
            before = after;
        }
        let per_call = |time: Duration, calls: u32| time.as_nanos() as f64 / f64::from(calls);
        let all = per_call(before - start, batches * BATCH);
        self.results.add(row.name, "ns per call", all);
        let least = per_call(least, BATCH);
        self.results.add(row.name, "in the fastest batch", least);
    }
}

async fn take_turns<W: Turns>(limiter: Arc<W>) -> u32 {
    let mut admitted = 0;
    for _ in 0..BATCH {
        let mut turn = pin!(turn(black_box(&*limiter)));
        let decision = poll_fn(|context| poll_apart(turn.as_mut(), context)).await;
        admitted += u32::from(black_box(decision).is_admitted());
    }
    admitted
}

async fn turn<W: Turns>(limiter: &W) -> W::Decision {
    limiter.turn().await
}

/// Keeps the wait from being inlined into the benchmark.
#[inline(never)]
fn poll_apart<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}
