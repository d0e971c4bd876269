//! The task that talks to the server for a semaphore of this node, while permits are in use or
//! calls wait. One request at a time tells what the node holds and asks for all that it needs.
//!
//! # What the server knows
//!
//! Each request has a number and the whole of what the node holds. So the server never has to
//! guess what became of a grant: one whose reply was lost is not among the permits of the next
//! request, and a request that arrives after a later one is ignored.
//!
//! # What the node knows
//!
//! The node holds its permits until the instant of its last request that was answered, plus the
//! time to live, less a margin. The server counts from the arrival of the request, which is later,
//! so the node's permits end first.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::state::{Demand, Grant, SemaphoreState};
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::store::CallFailure;
use crate::time;
use crate::unavailable::unavailable;

struct SemaphoreTask {
    state: Arc<SemaphoreState>,
    /// The last change that the server knows.
    acked: u64,
    /// When waiting calls are asked for again, and when the permits are renewed.
    next_poll: u64,
    next_renewal: u64,
    /// No report of a change before this instant.
    not_before: u64,
    /// From then on the server has surely forgotten the node.
    forgotten_at: u64,
}

/// Starts the task in another runtime if its own one ends.
struct Running(Option<Arc<SemaphoreState>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(state) = self.0.take()
            && state.task_dropped()
        {
            start_elsewhere(&state);
        }
    }
}

/// Starts the task unless it runs.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub(crate) fn ensure(state: &Arc<SemaphoreState>) {
    if state.claim_task() && !start(state, &Handle::current()) {
        start_elsewhere(state);
    }
    state.wake_task.notify_one();
}

/// Starts the task in a runtime in which permits are in use, if one of these still runs.
fn start_elsewhere(state: &Arc<SemaphoreState>) {
    while let Some(runtime) = state.next_runtime() {
        if start(state, &runtime) {
            return;
        }
    }
}

/// Starts the task, which has been claimed. Returns whether it runs.
fn start(state: &Arc<SemaphoreState>, runtime: &Handle) -> bool {
    let running = Running(Some(Arc::clone(state)));
    let task = SemaphoreTask {
        state: Arc::clone(state),
        acked: 0,
        next_poll: 0,
        next_renewal: 0,
        not_before: 0,
        forgotten_at: 0,
    };
    // A runtime that has ended drops it at once.
    runtime.spawn(task.run(running));
    state.task_started()
}

impl SemaphoreTask {
    async fn run(mut self, mut running: Running) {
        loop {
            let state = Arc::clone(&self.state);
            let now = time::now();
            let pending = state.pending(now);
            let has_news = pending.changes != self.acked;
            if has_news && !pending.holds && now >= self.forgotten_at {
                // There is no server left that knows anything of this node.
                self.acked = pending.changes;
                continue;
            }
            let due = [
                pending.unasked.then_some(now),
                pending.waiting.then_some(self.next_poll),
                pending.holds.then_some(self.next_renewal),
                has_news.then_some(self.not_before),
            ];
            let Some(due) = due.into_iter().flatten().min() else {
                if state.end_task(self.acked) {
                    running.0 = None;
                    return;
                }
                continue;
            };
            if due <= now {
                self.ask().await;
                continue;
            }
            let until = pending.lost_at.map_or(due, |lost_at| due.min(lost_at));
            // Whichever comes first, the loop looks again.
            let woken = state.wake_task.notified();
            let _ = tokio::time::timeout(time::until(until), woken).await;
        }
    }

    async fn ask(&mut self) {
        let state = Arc::clone(&self.state);
        let demand = state.demand();
        let sent = time::now();
        let result = self.send(&demand, sent).await;
        let now = time::now();
        let interval = state.options.poll_ns();
        // Give or take a quarter, so that nodes do not ask in step.
        self.next_poll = now + interval - interval / 4 + fastrand::u64(0..=interval / 2);
        match result {
            Ok(grant) => {
                self.acked = demand.changes;
                self.not_before = now;
                self.next_renewal = sent + state.options.renewal_ns();
                state.apply(&demand, &grant);
            }
            Err(failure) => {
                let wait = time::nanos(state.store.retry_after(&state.base));
                // Not as late as the store probes, because the permits end meanwhile.
                self.not_before = now + wait.min(state.options.retry_ns());
                self.next_renewal = self.not_before;
                let error = unavailable(&state.store, &state.base, failure);
                state.without_server(&demand, &error);
            }
        }
    }

    async fn send(&mut self, demand: &Demand, sent: u64) -> Result<Grant, CallFailure> {
        let state = &self.state;
        let options = &state.options;
        let mut arguments = ScriptArgs::default();
        arguments
            .number(state.limit)
            .bytes(&state.node)
            .number(demand.seq)
            .number(options.ttl_us())
            .number(options.waits_for_us(state.store.timeout()))
            .number(options.empty_for_us())
            .number(demand.held + demand.by_policy)
            .number(demand.by_policy)
            .number(demand.may_be_late.into());
        for &(_, permits, waits) in &demand.calls {
            arguments.number(permits).number(waits.into());
        }
        let call = ScriptCall {
            script: &script::SEMAPHORE,
            keys: &[state.base.limit_key(None)],
            arguments,
        };
        state.counters.requests.increment();
        let is_down = state.store.outage(&state.base).is_some();
        let numbers = state.store.run(&state.base, &call).await;
        let may_arrive = !is_down && !matches!(numbers, Err(CallFailure::Overloaded));
        if may_arrive {
            self.forgotten_at = time::now() + options.late_ns();
        }
        if numbers.is_err() {
            state.unanswered(may_arrive);
        }
        let (decided, kept, refused) = match numbers?.as_slice() {
            [decided, kept, _, refused @ ..] => (*decided, *kept == 1, refused.to_vec()),
            _ => (-1, false, Vec::new()),
        };
        let place = |number| usize::try_from(number).ok();
        let decided = place(decided).filter(|decided| *decided <= demand.calls.len());
        let refused = refused.into_iter().map(place).collect::<Option<Vec<_>>>();
        let (Some(decided), Some(refused)) = (decided, refused) else {
            state.unanswered(true);
            return Err(CallFailure::Failed(script::unexpected_reply()));
        };
        Ok(Grant {
            decided,
            refused,
            kept,
            until: sent.saturating_add(options.hold_ns()),
        })
    }
}
