//! What the callers of a semaphore on this node and its task share.
//!
//! The calls stand in one line, in the order of their arrival. The task asks the server for all of
//! them at once, and tells it what this node holds. No count here is ever told to the server as a
//! difference, so a request that is lost or repeated changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate::{Denied, RetryAfter};
use tokio::runtime::Handle;
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
    /// Whether a request is under way, or was when the task ended with its runtime.
    is_asking: bool,
    /// Until when a request that had no answer may still arrive, on the node's clock.
    late_until: u64,
    task: TaskState,
    /// The runtimes of the calls whose permits are in use, by the numbers of the calls.
    runtimes: BTreeMap<u64, Handle>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TaskState {
    Ended,
    Starting,
    Running,
}

struct Waiter {
    number: u64,
    permits: u64,
    waits: bool,
    answer: oneshot::Sender<Answer>,
    /// Where the call was made.
    runtime: Handle,
}

pub(crate) type Answer = Result<Admission, AcquireError>;

/// Answers that are sent once the line is unlocked, because the permit in one that is not received
/// comes back.
type Answers = Vec<(oneshot::Sender<Answer>, Answer)>;

/// Permits in use, which come back when this is dropped.
pub(crate) struct Admission {
    state: Arc<SemaphoreState>,
    /// The number of its call.
    number: u64,
    pub(crate) hold: Arc<Hold>,
    pub(crate) permits: u64,
    pub(crate) by: AdmittedBy,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut line = self.state.lock();
        let runtime = line.runtimes.remove(&self.number);
        line.out -= self.permits;
        if self.by != AdmittedBy::Server {
            line.by_policy -= self.permits;
        } else if Arc::ptr_eq(&self.hold, &line.hold) {
            line.held -= self.permits;
        }
        line.changes += 1;
        drop(line);
        drop(runtime);
        self.state.wake_task.notify_one();
    }
}

/// What a request tells and asks.
pub(crate) struct Demand {
    /// The number of the request.
    pub(crate) seq: u64,
    pub(crate) held: u64,
    pub(crate) by_policy: u64,
    /// Whether an earlier request may still arrive.
    pub(crate) may_be_late: bool,
    /// The number, the permits, and whether it waits, of each call in line.
    pub(crate) calls: Vec<(u64, u64, bool)>,
    /// The last call in line, also if it is not among `calls`.
    last: u64,
    pub(crate) changes: u64,
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// How many of the calls are decided, from the first on.
    pub(crate) decided: usize,
    /// The places of those among them that got nothing, in order.
    pub(crate) refused: Vec<usize>,
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
                is_asking: false,
                late_until: 0,
                task: TaskState::Ended,
                runtimes: BTreeMap::new(),
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
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn enter(&self, permits: u64, waits: bool) -> (u64, oneshot::Receiver<Answer>) {
        let runtime = Handle::current();
        let (answer, receiver) = oneshot::channel();
        let mut line = self.lock();
        line.last += 1;
        let number = line.last;
        line.waiting.push_back(Waiter {
            number,
            permits,
            waits,
            answer,
            runtime,
        });
        (number, receiver)
    }

    /// A permit for nothing, which no server needs to know of.
    pub(crate) fn nothing(self: &Arc<Self>) -> Admission {
        let hold = Arc::new(Hold::forever());
        Admission {
            state: Arc::clone(self),
            number: 0,
            hold,
            permits: 0,
            by: AdmittedBy::Server,
        }
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
        let mut line = self.lock();
        let is_ended = line.task == TaskState::Ended;
        if is_ended {
            line.task = TaskState::Starting;
        }
        is_ended
    }

    /// Returns whether the task that was just started runs. In a runtime that has ended it does
    /// not.
    pub(crate) fn task_started(&self) -> bool {
        let mut line = self.lock();
        if line.task == TaskState::Starting {
            line.task = TaskState::Running;
        }
        line.task == TaskState::Running
    }

    /// The task has ended with its runtime. Returns whether the caller is to start it in another
    /// one: not if the thread that is starting it does.
    pub(crate) fn task_dropped(&self) -> bool {
        let was = core::mem::replace(&mut self.lock().task, TaskState::Ended);
        was == TaskState::Running
    }

    /// Returns a runtime in which the caller is to start the task, that of each permit once. If
    /// none is left, calls that wait are told.
    pub(crate) fn next_runtime(&self) -> Option<Handle> {
        let mut line = self.lock();
        if line.task != TaskState::Ended {
            return None;
        }
        // The last one is the most likely to live on.
        if let Some((_, runtime)) = line.runtimes.pop_last() {
            line.task = TaskState::Starting;
            return Some(runtime);
        }
        let waiting = core::mem::take(&mut line.waiting);
        drop(line);
        // The receivers find that there will be no answer.
        drop(waiting);
        None
    }

    /// Ends the task if there is nothing to do. `acked` is the last change that the server knows.
    pub(crate) fn end_task(&self, acked: u64) -> bool {
        let mut line = self.lock();
        let is_idle =
            line.waiting.is_empty() && line.held + line.by_policy == 0 && line.changes == acked;
        if is_idle {
            line.task = TaskState::Ended;
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
        let now = time::now();
        if core::mem::replace(&mut line.is_asking, true) {
            line.late_until = now + self.options.late_ns();
        }
        Demand {
            seq: line.seq,
            held: line.held,
            by_policy: line.by_policy,
            may_be_late: now < line.late_until,
            calls,
            last: line.last,
            changes: line.changes,
        }
    }

    /// A request has no answer.
    pub(crate) fn unanswered(&self, may_arrive: bool) {
        let mut line = self.lock();
        line.is_asking = false;
        if may_arrive {
            line.late_until = time::now() + self.options.late_ns();
        }
    }

    /// Applies what the server has granted.
    pub(crate) fn apply(self: &Arc<Self>, demand: &Demand, grant: &Grant) {
        let mut answers = Answers::new();
        let mut line = self.lock();
        line.is_asking = false;
        let now = time::now();
        if line.held > 0 && !(grant.kept && line.hold.extend(grant.until, now)) {
            self.lose(&mut line);
        }
        let can_hold = now < grant.until;
        let mut refused = grant.refused.iter().copied().peekable();
        for (place, &(number, permits, waits)) in demand.calls[..grant.decided].iter().enumerate() {
            let is_refused = refused.next_if_eq(&place).is_some();
            if is_refused || (!can_hold && !waits) {
                self.deny(&mut line, number, &mut answers);
            }
            if is_refused {
                continue;
            }
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
            self.admit(&mut line, waiter, AdmittedBy::Server, hold, &mut answers);
        }
        self.decide_those_behind(&mut line, demand, grant.decided, &mut answers);
        drop(line);
        send(answers);
    }

    /// Gives a call its permits.
    fn admit(
        self: &Arc<Self>,
        line: &mut Line,
        waiter: Waiter,
        by: AdmittedBy,
        hold: Arc<Hold>,
        answers: &mut Answers,
    ) {
        line.out += waiter.permits;
        line.runtimes.insert(waiter.number, waiter.runtime);
        let admission = Admission {
            state: Arc::clone(self),
            number: waiter.number,
            hold,
            permits: waiter.permits,
            by,
        };
        answers.push((waiter.answer, Ok(admission)));
    }

    /// Denies a call that does not wait.
    fn deny(&self, line: &mut Line, number: u64, answers: &mut Answers) {
        if let Some(waiter) = line.remove(number) {
            self.counters.denied.increment();
            answers.push((waiter.answer, Err(self.busy())));
        }
    }

    /// Decides the calls behind the first `decided` ones of a request. Those that do not wait are
    /// denied if the call before them waits on, and else asked for at once.
    fn decide_those_behind(
        &self,
        line: &mut Line,
        demand: &Demand,
        decided: usize,
        answers: &mut Answers,
    ) {
        let Some(&(first, ..)) = demand.calls.get(decided) else {
            if let Some((last, ..)) = demand.calls.last() {
                line.last_asked = line.last_asked.min(*last);
            }
            return;
        };
        let place = line.waiting.partition_point(|it| it.number < first);
        if line.waiting.get(place).is_none_or(|it| it.number != first) {
            // It has left.
            line.last_asked = line.last_asked.min(first);
            return;
        }
        let is_denied = |it: &Waiter| !it.waits && it.number <= demand.last;
        let behind = line.waiting.split_off(place);
        let (denied, kept): (Vec<_>, Vec<_>) = behind.into_iter().partition(is_denied);
        line.waiting.extend(kept);
        for waiter in denied {
            self.counters.denied.increment();
            answers.push((waiter.answer, Err(self.busy())));
        }
    }

    /// The denial of a call while all permits are out. Its wait is that of a look at the server.
    fn busy(&self) -> AcquireError {
        let retry_after = RetryAfter::from_nanos(self.options.poll_ns());
        Denied::Busy { retry_after }.into()
    }

    /// Decides the calls in line by the policy. `error` is that of calls that are refused.
    pub(crate) fn without_server(self: &Arc<Self>, demand: &Demand, error: &AcquireError) {
        let mut answers = Answers::new();
        let mut line = self.lock();
        let mut decided = 0;
        for &(number, permits, waits) in &demand.calls {
            let (by, counter) = match self.options.policy {
                FailurePolicy::Open => (AdmittedBy::FailOpen, &self.counters.open_admitted),
                FailurePolicy::Local { nodes } => {
                    let share = (self.limit / u64::from(nodes.get())).max(1);
                    if line.out + permits <= share {
                        (AdmittedBy::LocalShare, &self.counters.local_admitted)
                    } else if waits {
                        // Those behind it may not overtake it.
                        break;
                    } else {
                        self.deny(&mut line, number, &mut answers);
                        decided += 1;
                        continue;
                    }
                }
                FailurePolicy::Closed => {
                    if let Some(waiter) = line.remove(number) {
                        self.counters.unavailable.increment();
                        answers.push((waiter.answer, Err(error.clone())));
                    }
                    decided += 1;
                    continue;
                }
            };
            if let Some(waiter) = line.remove(number) {
                counter.add(permits);
                line.by_policy += permits;
                line.changes += 1;
                let hold = Arc::new(Hold::forever());
                self.admit(&mut line, waiter, by, hold, &mut answers);
            }
            decided += 1;
        }
        self.decide_those_behind(&mut line, demand, decided, &mut answers);
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
