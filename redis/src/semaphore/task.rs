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

/// Tells the state when the task ends in any way but the usual one.
struct Running(Option<Arc<SemaphoreState>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(state) = &self.0 {
            state.task_dropped();
        }
    }
}

/// Starts the task unless it runs.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub(crate) fn ensure(state: &Arc<SemaphoreState>) {
    if state.claim_task() {
        let running = Running(Some(Arc::clone(state)));
        let task = SemaphoreTask {
            state: Arc::clone(state),
            acked: 0,
            next_poll: 0,
            next_renewal: 0,
            not_before: 0,
            forgotten_at: 0,
        };
        tokio::spawn(task.run(running));
    }
    state.wake_task.notify_one();
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
                state.apply(&demand, grant);
            }
            Err(failure) => {
                let wait = state.store.retry_after(&state.base);
                self.not_before = now + time::nanos(wait);
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
            // Ten polls, so that a late one does not lose the node's turn.
            .number(options.poll_ns() / 100)
            .number(options.empty_for_us())
            .number(demand.held + demand.by_policy)
            .number(demand.by_policy);
        for &(_, permits, waits) in &demand.calls {
            arguments.number(permits).number(waits.into());
        }
        let call = ScriptCall {
            script: &script::SEMAPHORE,
            keys: &[state.base.limit_key(None)],
            arguments,
        };
        state.counters.requests.increment();
        let numbers = state.store.run(&state.base, &call).await;
        if !matches!(
            numbers,
            Err(CallFailure::BreakerOpen(_) | CallFailure::Overloaded)
        ) {
            // A request without an answer may have arrived.
            self.forgotten_at = time::now() + options.ttl_us() * 1_250;
        }
        let numbers = numbers?;
        let grant = match *numbers {
            [calls, kept, _] => usize::try_from(calls)
                .ok()
                .filter(|calls| *calls <= demand.calls.len())
                .map(|calls| (calls, kept == 1)),
            _ => None,
        };
        let (calls, kept) = grant.ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))?;
        Ok(Grant {
            calls,
            kept,
            until: sent.saturating_add(options.hold_ns()),
        })
    }
}
