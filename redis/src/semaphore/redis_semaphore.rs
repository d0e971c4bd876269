//! A limit on what all nodes do at the same time.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use tidegate::Denied;

use super::options::SemaphoreOptions;
use super::permit::SemaphorePermit;
use super::state::SemaphoreState;
use super::task;
use crate::acquire::Acquire;
use crate::error::{AcquireError, BuildError};
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::stats::SemaphoreStats;
use crate::store::RedisStore;
use crate::time;
use crate::unavailable::unavailable;

/// At most so many permits are out at a time, over all nodes that use its name: calls to a
/// provider, exports, builds.
///
/// A permit comes back when it is dropped. The server keeps the permits of a node for a
/// [time to live](SemaphoreOptions::ttl), which one task of the node renews for all of them in one
/// call. So the permits of a node that dies come back by themselves. The task runs only while
/// permits are in use or calls wait, so a semaphore for each key is cheap: make one where it is
/// needed, with the key in its name.
///
/// Clones are one node: they ask the server together, and their calls stand in one line. Two
/// semaphores of one name are two nodes, also in one process. One that is made for a single call
/// leaves nothing on the server once its permits are back. But each that waits asks by itself, so
/// calls that wait for one name at the same time use clones.
///
/// # Runtimes
///
/// The task runs in the runtime of a call. If that one ends, the task goes on in another one in
/// which a call took permits that are in use. If there is none, the permits are not renewed until
/// the next call, and calls that wait are refused as unavailable.
///
/// # Guarantees
///
/// * **Bound.** At no time do nodes [hold](SemaphorePermit::is_held) more than `limit` permits, as
///   they know it themselves, whatever requests and answers are lost, late or repeated. This holds
///   as long as the server keeps its data, its clock does not step forward, and no clock is slower
///   than the server's by a hundredth. It does not cover permits that a
///   [`FailurePolicy`](crate::FailurePolicy) admits without the server.
/// * **Each permit comes back once.** A request names all that its node holds, so a repeated one
///   changes nothing, and what a lost answer granted is given back by the next request, or after
///   the time to live.
/// * **Order.** The calls of one node are served in the order of their arrival. Nodes that wait
///   take turns, in the order in which they began to wait: what a node waits for is kept from those
///   behind it. A node that dies while it waits keeps its turn for ten polls and two
///   [timeouts](crate::StoreBuilder::timeout) of its store, at most a time to live.
/// * **Restarts.** If the server has lost its data, each node tells it what it holds with its next
///   request. Meanwhile it may grant as many to others, unless
///   [`SemaphoreOptions::start_empty`] keeps it from that.
///
/// # Cost
///
/// A call is a round trip, or a part of one: calls that arrive during a request are asked for
/// together with the next. While calls wait, the node looks for permits every
/// [`poll_interval`](SemaphoreOptions::poll_interval). The server's time and memory grow with the
/// number of nodes that hold permits or wait, and those that had no answer to a request within a
/// time to live: 58 bytes for each.
///
/// # Examples
///
/// ```no_run
/// use core::time::Duration;
/// use tidegate_redis::{RedisSemaphore, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let exports = RedisSemaphore::new(&store, "exports", 4)?;
/// let permit = exports.acquire(1).timeout(Duration::from_secs(30)).await?;
/// // ... one of four exports over all machines ...
/// drop(permit); // gives it back in the background
///
/// let report = RedisSemaphore::new(&store, "reports:alice", 1)?;
/// match report.try_acquire(1).await {
///     Ok(permit) => println!("{permit:?}"),
///     Err(error) => println!("busy: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisSemaphore {
    state: Arc<SemaphoreState>,
}

/// The most permits of a semaphore. Sums of a thousand calls stay exact in the script.
const MAX_PERMITS: u64 = 1 << 40;

impl RedisSemaphore {
    /// Returns the semaphore of a name, with default options. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError::PermitCount`] for 0 permits, or more than 2⁴⁰.
    pub fn new(store: &RedisStore, name: &str, limit: u64) -> Result<Self, BuildError> {
        Self::with_options(store, name, limit, SemaphoreOptions::new())
    }

    /// Returns the semaphore of a name. Sends nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_options(
        store: &RedisStore,
        name: &str,
        limit: u64,
        options: SemaphoreOptions,
    ) -> Result<Self, BuildError> {
        if !(1..=MAX_PERMITS).contains(&limit) {
            return Err(BuildError::PermitCount { max: MAX_PERMITS });
        }
        let base = store.base_key(name, None);
        let state = SemaphoreState::new(store.clone(), base, limit, options);
        Ok(Self {
            state: Arc::new(state),
        })
    }

    /// Returns the most permits that can be out at a time.
    pub fn limit(&self) -> u64 {
        self.state.limit
    }

    /// Takes `n` permits if they are there and no earlier call of this node waits. With `n` = 0 the
    /// permit is for nothing, and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Denied`] with [`Denied::Busy`] if too few are there, and with
    /// [`Denied::Never`] if `n` is above the limit. The wait in the first is the
    /// [`poll_interval`](SemaphoreOptions::poll_interval), because it is not known when permits come
    /// back. [`AcquireError::Unavailable`] if the server does not answer and the
    /// [`FailurePolicy`](crate::FailurePolicy) is closed.
    ///
    /// # Cancel safety
    ///
    /// A dropped call holds nothing. What the server has granted to it comes back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn try_acquire(&self, n: u64) -> Result<SemaphorePermit, AcquireError> {
        self.call(n, false, u64::MAX).await
    }

    /// Waits for `n` permits. The calls of this node are served in the order of their arrival.
    ///
    /// After [`Acquire::timeout`] the call ends with [`AcquireError::TimedOut`], and holds nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for [`Denied::Busy`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the line, and holds nothing. What the server has granted to it comes
    /// back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn acquire(&self, n: u64) -> Acquire<'_, SemaphorePermit> {
        Acquire::new(move |deadline| self.call(n, true, deadline))
    }

    async fn call(
        &self,
        n: u64,
        waits: bool,
        deadline: u64,
    ) -> Result<SemaphorePermit, AcquireError> {
        let state = &self.state;
        if n > state.limit {
            let capacity = state.limit;
            return Err(Denied::Never { capacity }.into());
        }
        if n == 0 {
            return Ok(SemaphorePermit::new(state.nothing()));
        }
        let (number, mut answer) = state.enter(n, waits);
        let _place = Place { state, number };
        task::ensure(state);
        let answered = if deadline == u64::MAX {
            answer.await
        } else {
            match tokio::time::timeout(time::until(deadline), &mut answer).await {
                Ok(answered) => answered,
                Err(_) if state.leave(number) => return Err(AcquireError::TimedOut),
                // It has just left the line, and its answer is on the way.
                Err(_) => answer.await,
            }
        };
        // The task has ended with its runtime, which another call's need not be.
        let answered = answered.unwrap_or(Err(AcquireError::Unavailable {
            retry_after: Duration::from_millis(1),
            cause: None,
        }));
        answered.map(SemaphorePermit::new)
    }

    /// Returns how many permits are out over all nodes, as the server knows it.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Unavailable`].
    pub async fn in_use(&self) -> Result<u64, AcquireError> {
        let state = &self.state;
        let mut arguments = ScriptArgs::default();
        arguments.number(state.limit).bytes(b"");
        for number in [0, 0, 0, state.options.empty_for_us(), 0, 0, 0] {
            arguments.number(number);
        }
        let call = ScriptCall {
            script: &script::SEMAPHORE,
            keys: &[state.base.limit_key(None)],
            arguments,
        };
        let numbers = state.store.run(&state.base, &call).await;
        let in_use = numbers.and_then(|numbers| {
            let in_use = numbers.get(2).and_then(|&n| u64::try_from(n).ok());
            in_use.ok_or_else(|| crate::store::CallFailure::Failed(script::unexpected_reply()))
        });
        in_use.map_err(|failure| unavailable(&state.store, &state.base, failure))
    }

    /// Returns the outcomes of this node's calls, and what it has out.
    pub fn stats(&self) -> SemaphoreStats {
        self.state.stats()
    }
}

/// Takes a call out of the line when it ends in any way.
struct Place<'a> {
    state: &'a SemaphoreState,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.state.leave(self.number);
    }
}

impl fmt::Debug for RedisSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSemaphore")
            .field("limit", &self.limit())
            .field("options", &self.state.options)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
