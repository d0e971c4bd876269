//! In which order waiters are served.

use std::io;
use std::sync::{Arc, Mutex};

use super::Effort;
use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use crate::figures::overtaken;
use crate::gate::Decision;
use crate::suite::report::Report;

const FLOW: Flow = Flow::new(1_000, 1);

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    let waiters = effort.waiters / 10;
    let mut orders = Orders {
        waiters,
        results: Results::default(),
    };
    for _ in 0..effort.rounds {
        for_each(&mut orders);
    }
    let pairs = waiters * (waiters - 1) / 2;
    orders.results.write(
        report,
        ("waits_order", "what", 0),
        "Order",
        &format!(
            "{waiters} tasks come one after another and wait for one permit each, at 1 000 per \
             second and burst 1. Of their {pairs} pairs, those in which the later task was served \
             first. One thread, so that the order is known. Medians of the rounds."
        ),
    )
}

struct Orders {
    waiters: usize,
    results: Results,
}

impl WaitVisitor for Orders {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let order = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let limiter = Arc::new(make(FLOW));
            let mut tasks = Vec::new();
            for number in 0..self.waiters as u64 {
                let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
                tasks.push(tokio::spawn(async move {
                    assert!(limiter.turn().await.is_admitted());
                    order.lock().expect("no panic").push(number);
                }));
                // The task comes before the next is made.
                tokio::task::yield_now().await;
            }
            for task in tasks {
                task.await.expect("no panic");
            }
        });
        let order = order.lock().expect("no panic");
        let pairs = overtaken(&order) as f64;
        self.results.add(row.name, "overtaken pairs", pairs);
    }
}
