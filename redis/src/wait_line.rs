//! Calls of one node that wait for the same limits: they are asked for together.
//!
//! The first of the line leads. It asks for as many of the calls behind it as can fit, so a round
//! trip serves all that the server has, and not one call. Calls that arrive meanwhile are served
//! by the next round. The order is that of arrival: no call is served before one that came earlier.
//!
//! A leader that leaves hands the line on. If the server had charged a batch for it, those calls
//! are asked for again, so too little is admitted, never too much.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admitted::Admitted;
use crate::error::AcquireError;
use crate::limits::{BucketSet, Limits};
use crate::time;
use crate::unless::unless;

type Outcome = Result<Admitted, AcquireError>;

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(crate) struct WaitLine {
    waiting: Mutex<VecDeque<Arc<Waiter>>>,
    /// Held by the leader. The others wait for it in order.
    lead: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiter {
    costs: Box<[u64]>,
    /// The last instant at which it may be admitted.
    deadline: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    InLine,
    /// `None` once it was taken. The waiter is no longer in the line.
    Ended(Option<Outcome>),
}

impl Waiter {
    fn take(&self) -> Option<Outcome> {
        match &mut *lock(&self.state) {
            State::InLine => None,
            State::Ended(outcome) => outcome.take(),
        }
    }
}

/// No panic is possible while these are locked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a waiter out of the line when it leaves in any way.
struct Place<'a> {
    line: &'a WaitLine,
    waiter: Arc<Waiter>,
}

impl Place<'_> {
    /// Leaves the line, unless the call has ended already.
    fn leave(&self) -> Option<Outcome> {
        let mut waiting = lock(&self.line.waiting);
        // Under the lock of the line, so that no leader ends it meanwhile.
        match &mut *lock(&self.waiter.state) {
            State::InLine => {
                waiting.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
                None
            }
            State::Ended(outcome) => outcome.take(),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// As many calls as one round asks for. Their costs still have to be added up.
const MOST: usize = 1_024;

impl WaitLine {
    /// Waits for the limits, at most until `deadline` on the node's clock.
    pub(crate) async fn acquire(
        &self,
        limits: &Limits,
        buckets: &BucketSet,
        costs: &[u64],
        deadline: u64,
    ) -> Outcome {
        limits.follow_changes().await;
        limits.check(costs)?;
        let waiter = Arc::new(Waiter {
            costs: Box::from(costs),
            deadline,
            state: Mutex::new(State::InLine),
        });
        lock(&self.waiting).push_back(Arc::clone(&waiter));
        let place = Place { line: self, waiter };
        loop {
            let turn = self.lead.lock();
            let _lead = if deadline == u64::MAX {
                turn.await
            } else {
                let left = time::until(deadline);
                match tokio::time::timeout(left, turn).await {
                    Ok(lead) => lead,
                    Err(_) => return place.leave().unwrap_or(Err(AcquireError::TimedOut)),
                }
            };
            if let Some(outcome) = place.waiter.take() {
                return outcome;
            }
            self.serve(limits, buckets).await;
        }
    }

    /// Asks for the first of the line and those behind it, once. Waits if the first does not fit.
    async fn serve(&self, limits: &Limits, buckets: &BucketSet) {
        // Before the server is asked, so that no change is missed.
        let changed = limits.changed();
        let capacities: Vec<u64> = limits.capacities().collect();
        let mut batch = self.first(&capacities);
        // Twice: all that could fit, and then all that does.
        for _ in 0..2 {
            let Some(costs) = sum(&batch, capacities.len()) else {
                return;
            };
            let told = limits.take_and_tell(buckets, &costs).await;
            let denied = match &told.result {
                Err(AcquireError::Denied { denied, .. }) => *denied,
                _ => return self.end(&batch, &told.result),
            };
            if denied.retry_after().is_none() && batch.len() == 1 {
                // The limit was lowered while it waited.
                return self.end(&batch, &told.result);
            }
            let Some(wait) = denied.retry_after().filter(|_| batch.len() == 1) else {
                let available = told
                    .states
                    .map(|states| limits.available_of(&states).collect::<Vec<_>>());
                let fitting = available.map_or(0, |available| fitting(&batch, &available));
                batch.truncate(fitting.max(1));
                continue;
            };
            // The first does not fit, so none behind it does.
            let until = time::now().saturating_add(time::nanos(wait));
            if until > batch[0].deadline {
                return self.end(&batch, &told.result);
            }
            // Under another quota it may fit sooner, or never.
            let asked_again = tokio::time::sleep(wait.max(Duration::from_micros(1)));
            let _ = unless(changed, asked_again).await;
            return;
        }
    }

    /// The first calls of the line that could fit at some time, at least one.
    fn first(&self, capacities: &[u64]) -> Vec<Arc<Waiter>> {
        let waiting = lock(&self.waiting);
        let first: Vec<_> = waiting.iter().take(MOST).cloned().collect();
        drop(waiting);
        let fitting = fitting(&first, capacities).max(1);
        first.into_iter().take(fitting).collect()
    }

    /// Gives the same outcome to each call of a batch.
    fn end(&self, batch: &[Arc<Waiter>], outcome: &Outcome) {
        let mut waiting = lock(&self.waiting);
        for waiter in batch {
            // The batch is the front of the line, less those that have left it.
            if waiting
                .front()
                .is_some_and(|front| Arc::ptr_eq(front, waiter))
            {
                waiting.pop_front();
                *lock(&waiter.state) = State::Ended(Some(outcome.clone()));
            }
        }
    }
}

/// What a batch costs in all; `None` for an empty one.
fn sum(batch: &[Arc<Waiter>], limits: usize) -> Option<Vec<u64>> {
    if batch.is_empty() {
        return None;
    }
    let mut sum = vec![0_u64; limits];
    for waiter in batch {
        for (sum, cost) in sum.iter_mut().zip(&waiter.costs) {
            *sum = sum.saturating_add(*cost);
        }
    }
    Some(sum)
}

/// How many of the first calls fit what is there.
fn fitting(batch: &[Arc<Waiter>], available: &[u64]) -> usize {
    let mut left = available.to_vec();
    let fits = |waiter: &&Arc<Waiter>| {
        left.iter_mut().zip(&waiter.costs).all(|(left, cost)| {
            let rest = left.checked_sub(*cost);
            *left = rest.unwrap_or(0);
            rest.is_some()
        })
    };
    batch.iter().take_while(fits).count()
}
