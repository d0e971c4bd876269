//! What the callers of a semaphore on this node and its task share.
//!
//! The calls stand in one line, in the order of their arrival. The task asks the server for all of
//! them at once, and tells it what this node holds. No count here is ever told to the server as a
//! difference, so a request that is lost or repeated changes nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate::Denied;
use tokio::sync::{Notify, oneshot};

use super::hold::Hold;
use super::options::SemaphoreOptions;
use crate::admitted::AdmittedBy;
use crate::base_key::BaseKey;
use crate::error::AcquireError;
use crate::node_name::random_node_name;
use crate::policy::FailurePolicy;
use crate::stats::{SemaphoreCounters, SemaphoreStats};
use crate::store::RedisStore;
use crate::time;

pub(crate) struct SemaphoreState {
    pub(crate) store: RedisStore,
    pub(crate) base: BaseKey,
    pub(crate) limit: u64,
    pub(crate) options: SemaphoreOptions,
    /// The name of this node, for this semaphore.
    pub(crate) node: [u8; 16],
    line: Mutex<Line>,
    /// Wakes the task.
    pub(crate) wake_task: Notify,
    pub(crate) counters: SemaphoreCounters,
}

struct Line {
    waiting: VecDeque<Waiter>,
    /// The number of the last call, and of the last one that the server was asked for.
    last: u64,
    last_asked: u64,
    /// The permits in use that the server has granted and that are not lost.
    held: u64,
    /// The permits in use that were admitted without the server.
    by_policy: u64,
    /// All permits in use, lost ones included.
    out: u64,
    /// Until when the `held` ones are held. Others have other holds.
    hold: Arc<Hold>,
    /// How often what the server has to know has changed.
    changes: u64,
    /// The number of the last request.
    seq: u64,
    is_running: bool,
}

struct Waiter {
    number: u64,
    permits: u64,
    waits: bool,
    answer: oneshot::Sender<Answer>,
}

pub(crate) type Answer = Result<Admission, AcquireError>;

/// Answers that are sent once the line is unlocked, because the permit in one that is not received
/// comes back.
type Answers = Vec<(oneshot::Sender<Answer>, Answer)>;

/// Permits in use, which come back when this is dropped.
pub(crate) struct Admission {
    state: Arc<SemaphoreState>,
    pub(crate) hold: Arc<Hold>,
    pub(crate) permits: u64,
    pub(crate) by: AdmittedBy,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut line = self.state.lock();
        line.out -= self.permits;
        if self.by != AdmittedBy::Server {
            line.by_policy -= self.permits;
        } else if Arc::ptr_eq(&self.hold, &line.hold) {
            line.held -= self.permits;
        }
        line.changes += 1;
        drop(line);
        self.state.wake_task.notify_one();
    }
}

/// What a request tells and asks.
pub(crate) struct Demand {
    /// The number of the request.
    pub(crate) seq: u64,
    pub(crate) held: u64,
    pub(crate) by_policy: u64,
    /// The number, the permits, and whether it waits, of each call in line.
    pub(crate) calls: Vec<(u64, u64, bool)>,
    /// The last call in line, also if it is not among `calls`.
    last: u64,
    pub(crate) changes: u64,
}

/// What the server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    /// How many of the calls got their permits, from the first on.
    pub(crate) calls: usize,
    /// Whether what this node holds is still its own.
    pub(crate) kept: bool,
    /// Until when all of it is held, on the node's clock.
    pub(crate) until: u64,
}

/// What the task has to do.
pub(crate) struct Pending {
    /// Calls that the server has not been asked for.
    pub(crate) unasked: bool,
    pub(crate) waiting: bool,
    /// Permits in use that the server has to know of.
    pub(crate) holds: bool,
    pub(crate) changes: u64,
    /// When the held permits are lost.
    pub(crate) lost_at: Option<u64>,
}

/// As many calls as one request asks for.
const MOST: usize = 1_024;

impl SemaphoreState {
    pub(crate) fn new(
        store: RedisStore,
        base: BaseKey,
        limit: u64,
        options: SemaphoreOptions,
    ) -> Self {
        Self {
            store,
            base,
            limit,
            options: options.clamped(),
            node: random_node_name(),
            line: Mutex::new(Line {
                waiting: VecDeque::new(),
                last: 0,
                last_asked: 0,
                held: 0,
                by_policy: 0,
                out: 0,
                hold: Arc::new(Hold::until(1)),
                changes: 0,
                seq: 0,
                is_running: false,
            }),
            wake_task: Notify::new(),
            counters: SemaphoreCounters::default(),
        }
    }

    /// No panic is possible while it is locked.
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> SemaphoreStats {
        let line = self.lock();
        self.counters.stats(line.out, line.waiting.len())
    }

    /// Puts a call into the line. Returns its number, and what will have its answer.
    pub(crate) fn enter(&self, permits: u64, waits: bool) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let mut line = self.lock();
        line.last += 1;
        let number = line.last;
        line.waiting.push_back(Waiter {
            number,
            permits,
            waits,
            answer,
        });
        (number, receiver)
    }

    /// A permit for nothing, which no server needs to know of.
    pub(crate) fn nothing(self: &Arc<Self>) -> Admission {
        let hold = Arc::new(Hold::forever());
        self.admit(&mut self.lock(), 0, AdmittedBy::Server, hold)
    }

    /// Takes a call out of the line. Returns whether it was there, and so has no answer.
    pub(crate) fn leave(&self, number: u64) -> bool {
        let mut line = self.lock();
        let found = line.waiting.binary_search_by_key(&number, |it| it.number);
        let Ok(index) = found else {
            return false;
        };
        line.waiting.remove(index);
        // The server may keep its turn.
        line.changes += 1;
        drop(line);
        self.wake_task.notify_one();
        true
    }

    /// Returns whether the caller is to start the task.
    pub(crate) fn claim_task(&self) -> bool {
        !core::mem::replace(&mut self.lock().is_running, true)
    }

    /// The task has ended with its runtime. Calls that wait are told so.
    pub(crate) fn task_dropped(&self) {
        let mut line = self.lock();
        line.is_running = false;
        let waiting = core::mem::take(&mut line.waiting);
        drop(line);
        // The receivers find that there will be no answer.
        drop(waiting);
    }

    /// Ends the task if there is nothing to do. `acked` is the last change that the server knows.
    pub(crate) fn end_task(&self, acked: u64) -> bool {
        let mut line = self.lock();
        let is_idle =
            line.waiting.is_empty() && line.held + line.by_policy == 0 && line.changes == acked;
        if is_idle {
            line.is_running = false;
        }
        is_idle
    }

    pub(crate) fn pending(&self, now: u64) -> Pending {
        let mut line = self.lock();
        let deadline = line.hold.deadline(now);
        if line.held > 0 && deadline.is_none() {
            self.lose(&mut line);
        }
        Pending {
            unasked: line
                .waiting
                .back()
                .is_some_and(|it| it.number > line.last_asked),
            waiting: !line.waiting.is_empty(),
            holds: line.held + line.by_policy > 0,
            changes: line.changes,
            lost_at: deadline.filter(|_| line.held > 0),
        }
    }

    /// All permits that the server has granted are lost.
    fn lose(&self, line: &mut Line) {
        self.counters.lost.add(line.held);
        line.hold.lose();
        line.hold = Arc::new(Hold::until(1));
        line.held = 0;
        line.changes += 1;
    }

    pub(crate) fn demand(&self) -> Demand {
        let mut line = self.lock();
        let calls = line.waiting.iter().take(MOST);
        let calls = calls.map(|it| (it.number, it.permits, it.waits)).collect();
        line.last_asked = line.last;
        line.seq += 1;
        Demand {
            seq: line.seq,
            held: line.held,
            by_policy: line.by_policy,
            calls,
            last: line.last,
            changes: line.changes,
        }
    }

    /// Applies what the server has granted.
    pub(crate) fn apply(self: &Arc<Self>, demand: &Demand, grant: Grant) {
        let mut answers = Answers::new();
        let mut line = self.lock();
        let now = time::now();
        if line.held > 0 && !(grant.kept && line.hold.extend(grant.until, now)) {
            self.lose(&mut line);
        }
        let can_hold = now < grant.until;
        if let (true, Some((number, ..))) = (grant.calls == demand.calls.len(), demand.calls.last())
        {
            // Those behind these have not been asked for.
            line.last_asked = line.last_asked.min(*number);
        }
        for &(number, permits, _) in &demand.calls[..grant.calls] {
            let waiter = can_hold.then(|| line.remove(number)).flatten();
            let Some(waiter) = waiter else {
                // The server is told with the next request that this call has left.
                line.changes += 1;
                continue;
            };
            if line.held == 0 {
                line.hold = Arc::new(Hold::until(grant.until));
            }
            line.held += permits;
            self.counters.granted.add(permits);
            let hold = Arc::clone(&line.hold);
            let admission = self.admit(&mut line, permits, AdmittedBy::Server, hold);
            answers.push((waiter.answer, Ok(admission)));
        }
        self.deny_those_that_do_not_wait(&mut line, demand, &mut answers);
        drop(line);
        send(answers);
    }

    fn admit(
        self: &Arc<Self>,
        line: &mut Line,
        permits: u64,
        by: AdmittedBy,
        hold: Arc<Hold>,
    ) -> Admission {
        line.out += permits;
        Admission {
            state: Arc::clone(self),
            hold,
            permits,
            by,
        }
    }

    fn deny_those_that_do_not_wait(&self, line: &mut Line, demand: &Demand, answers: &mut Answers) {
        let is_denied = |it: &Waiter| !it.waits && it.number <= demand.last;
        let waiting = core::mem::take(&mut line.waiting);
        let (denied, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_denied);
        line.waiting = waiting.into();
        for waiter in denied {
            self.counters.denied.increment();
            answers.push((waiter.answer, Err(self.busy())));
        }
    }

    /// The denial of a call while all permits are out. Its wait is that of a look at the server.
    fn busy(&self) -> AcquireError {
        let retry_after_nanos = self.options.poll_ns();
        Denied::Busy { retry_after_nanos }.into()
    }

    /// Decides the calls in line by the policy. `error` is that of calls that are refused.
    pub(crate) fn without_server(self: &Arc<Self>, demand: &Demand, error: &AcquireError) {
        let mut answers = Answers::new();
        let mut line = self.lock();
        for &(number, permits, _) in &demand.calls {
            let (by, counter) = match self.options.policy {
                FailurePolicy::Open => (AdmittedBy::FailOpen, &self.counters.open_admitted),
                FailurePolicy::Local { nodes } => {
                    let share = (self.limit / u64::from(nodes.get())).max(1);
                    if line.out + permits > share {
                        // Those behind it may not overtake it.
                        break;
                    }
                    (AdmittedBy::LocalShare, &self.counters.local_admitted)
                }
                FailurePolicy::Closed => {
                    if let Some(waiter) = line.remove(number) {
                        self.counters.unavailable.increment();
                        answers.push((waiter.answer, Err(error.clone())));
                    }
                    continue;
                }
            };
            if let Some(waiter) = line.remove(number) {
                counter.add(permits);
                line.by_policy += permits;
                line.changes += 1;
                let hold = Arc::new(Hold::forever());
                let admission = self.admit(&mut line, permits, by, hold);
                answers.push((waiter.answer, Ok(admission)));
            }
        }
        self.deny_those_that_do_not_wait(&mut line, demand, &mut answers);
        drop(line);
        send(answers);
    }
}

impl Line {
    fn remove(&mut self, number: u64) -> Option<Waiter> {
        let found = self.waiting.binary_search_by_key(&number, |it| it.number);
        self.waiting.remove(found.ok()?)
    }
}

/// A call that has left drops its answer, and with it the permit, which comes back.
fn send(answers: Answers) {
    for (to, answer) in answers {
        drop(to.send(answer));
    }
}
