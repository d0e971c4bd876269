//! Runs callers at a limiter on simulated time.

use tidegate::{Acquire, Awaitable, ManualClock};

use crate::load::{Call, Patience};
use crate::record::Record;
use crate::simulation::{Simulation, before};
use crate::timer::Lateness;

/// Callers, and how late their timer is.
pub(crate) struct Scenario {
    pub(crate) calls: Vec<Call>,
    pub(crate) lateness: Lateness,
    pub(crate) slack: u64,
    pub(crate) seed: u64,
}

impl Scenario {
    /// Runs until all callers are gone. Calls `settled` whenever none can go on before time passes.
    pub(crate) fn run<L: Awaitable>(
        self,
        limiter: &L,
        clock: &ManualClock,
        settled: impl FnMut(&Record<'_>, u64),
    ) -> Record<'static> {
        let late = self.slack + self.lateness.most();
        self.run_with(limiter, Record::new(clock, late), clock, settled)
    }

    /// Runs, measures a bucket, and asserts that the head goes once `peek` says that it can.
    pub(crate) fn run_measured<'a, L: Awaitable>(
        self,
        limiter: &L,
        clock: &ManualClock,
        full_at: &'a dyn Fn(u64) -> u64,
        peek: impl Fn(u64) -> bool,
    ) -> Record<'a> {
        let late = self.lateness.most();
        let record = Record::new(clock, self.slack + late).measure(full_at);
        let mut room_since = None;
        self.run_with(limiter, record, clock, |record, now| {
            let head = record.head().filter(|head| peek(head.n));
            let Some(head) = head else {
                room_since = None;
                return;
            };
            let since = *room_since.get_or_insert(now);
            let waited = now - since.max(head.since);
            assert!(waited <= late, "{head:?} waits for {waited} ns");
        })
    }

    fn run_with<'a, L: Awaitable>(
        self,
        limiter: &L,
        record: Record<'a>,
        clock: &ManualClock,
        mut settled: impl FnMut(&Record<'a>, u64),
    ) -> Record<'a> {
        let mut simulation = Simulation::new(clock, self.lateness, self.seed);
        let timer = simulation.timer.clone();
        for (number, call) in self.calls.into_iter().enumerate() {
            let (timer, record) = (timer.clone(), &record);
            simulation.spawn(async move {
                timer.exact().until(call.at).await;
                let acquire = Acquire::new(limiter, call.n).timeout(call.timeout());
                let acquire = record.watch(call, acquire.timer(timer.clone()));
                match call.patience {
                    Patience::Dropped(patience) => {
                        let end = timer.until(call.at + patience);
                        let _ = before(end, acquire, number % 2 == 0).await;
                    }
                    Patience::Endless | Patience::Timeout(_) => drop(acquire.await),
                }
            });
        }
        simulation.run(|now| settled(&record, now));
        drop(simulation);
        assert!(record.head().is_none(), "a call waits forever");
        record
    }
}
