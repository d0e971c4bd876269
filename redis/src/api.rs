//! The limiter for calls to an API with quotas that a fleet of processes shares.
//!
//! | file | has |
//! |---|---|
//! | `fleet_limit`, `call_costs` | limits with their quotas now, and calls, in units of the script |
//! | `decision` | the script's reply to a call, and the status made of it |
//! | `core` | what all parts of one limiter share, and the calls of its script |
//! | `admission` | admits calls, with the server and without |
//! | `token_permit`, `delivery`, `message` | the ends of calls, sent until they are taken |
//! | `open_calls`, `renewal` | keeps open calls in flight |
//! | `waits`, `wait_order` | calls that wait |
//! | `observation` | what responses tell |

mod admission;
mod api_builder;
mod api_error;
mod call_costs;
mod call_id;
mod core;
mod decision;
mod delivery;
mod fleet_limit;
mod last_denial;
mod local_share;
mod message;
#[cfg(feature = "http")]
mod observation;
mod open_calls;
mod renewal;
mod token_permit;
mod wait_order;
mod waits;

pub use api_builder::{ApiShared, RedisApiRateLimiterBuilder};
pub use api_error::ApiError;
pub use call_id::{CallId, ParseCallIdError};
pub use delivery::{CallEnding, Delivery};
pub(crate) use fleet_limit::{CALLS, ENDS, STATE, TOKEN_LIMITS, TOKENS, WINDOW_LIMITS};
pub use token_permit::RedisTokenPermit;
pub use waits::ApiAcquire;

use ::core::time::Duration;
use std::sync::Arc;

use tidegate::{RateLimitConfig, RateLimitStats, RateLimitStatus, TokenEstimate, TokenUsage};
use tokio::runtime::Handle;

use self::core::{Asker, Core};
use crate::script::ScriptArgs;
use crate::stats::LimitStats;
use crate::sync::Ordering::Relaxed;
use admission::{Ask, RequestCall, TokenCall};
use delivery::{CallMessage, deliver, deliver_stranded};
use fleet_limit::{FleetLimit, micros};

/// Keeps the calls of a fleet of processes to an API within all of its limits: requests per minute,
/// hour and day, bursts, tokens, and calls at once.
///
/// It takes the configuration of a [`tidegate::ApiRateLimiter`], answers with the same statuses,
/// and understands the same providers. All nodes that use one name on one server share:
///
/// | shared | kept as |
/// |---|---|
/// | requests per minute, hour, day | sliding windows of 64 slots: no minute, wherever it starts, holds more |
/// | burst, tokens per minute and day, input and output tokens | token buckets, in exact fractions |
/// | calls in flight | a record for each open call, which expires if its process dies |
/// | pauses, and the backoff after refusals that tell no wait | instants of the server's clock |
/// | what responses tell to remain | for all nodes, until it resets or a newer response replaces it |
///
/// # Exactly once
///
/// Each call is admitted by one script and ended by one, whatever answers are lost:
///
/// * A call that the server may have admitted without an answer is never sent again. Its id is
///   canceled in the background until the server answers. A cancellation that arrives first makes
///   the server refuse the call, should it arrive within two minutes.
/// * The end of a call is sent until the server answers. The second of two ends finds no record.
/// * A call of a process that dies counts as in flight for its
///   [time to live](RedisApiRateLimiterBuilder::call_ttl), and its estimate counts as used. Its
///   record is kept for a quarter of an hour longer. So a process that was only cut off can still
///   settle it.
/// * [`try_acquire`](Self::try_acquire) has no record. Without an answer, it may have been charged.
///
/// # Waiting
///
/// Calls that wait on one node are served in the order of their arrival, and only the first asks.
/// It asks when the server says that it may, at least once a second, and at once when a call of its
/// own node ends. Between nodes there is no order for the first second. A call that is first on its
/// node for longer claims what it needs. Calls that wait on other nodes, and have no older claim,
/// leave it as much, as in the queue of one process. So a large estimate is not overtaken for
/// longer than a second by small ones that wait. A claim ends with the call's admission, or three
/// seconds after its node has asked last. Calls that do not wait may overtake.
///
/// # Cost
///
/// Each step is one script and one round trip. A denial writes nothing on the server, except a
/// claim and the end of calls that have expired. The node caches it. An admission reads and writes
/// each limit, the state and the call. A window takes up to 500 bytes on the server, a bucket 100,
/// the state 150 and more for what responses told. An open call takes about 350 bytes.
///
/// # Clock
///
/// Instants are of the server's clock. If it steps back, pauses and what responses told last no
/// longer than before, and open calls last longer by the step. If it steps ahead, open calls may
/// expire early until they are renewed.
///
/// ```no_run
/// use tidegate::{RateLimitConfig, TokenUsage};
/// use tidegate_redis::{RedisApiRateLimiter, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let config: RateLimitConfig = "500/min, 200k tokens/min".parse()?;
/// let config = RateLimitConfig { max_in_flight: Some(32), ..config };
/// let limiter = RedisApiRateLimiter::new(&store, "model", config)?;
///
/// let mut permit = limiter.acquire_tokens(TokenUsage::new(1_500, 4_096)).await?;
/// permit.commit();
/// // ... the request is sent, and the response reports its usage ...
/// permit.settle(TokenUsage::new(1_500, 350));
/// # Ok(())
/// # }
/// ```
///
/// Clones share the limiter.
#[derive(Clone, Debug)]
pub struct RedisApiRateLimiter {
    core: Arc<Core>,
}

impl RedisApiRateLimiter {
    /// Returns the configuration.
    pub fn config(&self) -> &RateLimitConfig {
        &self.core.config
    }

    /// Admits a request if every limit has room for it. Never waits for a limit.
    ///
    /// It is limited while no token is available. Of the tokens that it uses,
    /// [`record_tokens`](Self::record_tokens) tells afterward.
    ///
    /// # Errors
    ///
    /// [`ApiError::Limited`] with the limit that refuses; nothing was charged.
    /// [`ApiError::Unavailable`] if the server does not answer and the
    /// [`FailurePolicy`](crate::FailurePolicy) is closed; the request may have been charged.
    pub async fn try_acquire(&self) -> Result<RateLimitStatus, ApiError> {
        RequestCall.ask(&self.core, Asker::Passing).await
    }

    /// Waits until a request is admitted: see [waiting](Self#waiting).
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), except for refusals that a wait resolves. With a
    /// [timeout](ApiAcquire::timeout), the refusal that lasts longer.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the line. If the server was being asked, the request may have been
    /// charged.
    pub fn acquire(&self) -> ApiAcquire<'_, RateLimitStatus> {
        ApiAcquire::new(async move |deadline| waits::wait(&self.core, deadline, RequestCall).await)
    }

    /// Admits a request together with the tokens that it is expected to use, if every limit has
    /// room for both. Never waits for a limit, and so may overtake calls that wait.
    ///
    /// An estimate above a limit is refused [permanently](RateLimitStatus::is_permanent), without
    /// asking the server, unless it is a [guess](TokenEstimate::guess).
    ///
    /// # Errors
    ///
    /// [`ApiError::Limited`] with the limit that refuses. [`ApiError::Unavailable`] if the server
    /// does not answer and the [`FailurePolicy`](crate::FailurePolicy) is closed. In either case
    /// nothing stays charged.
    ///
    /// # Cancel safety
    ///
    /// If a dropped future was asking the server, the call is canceled in the background.
    pub async fn reserve_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<RedisTokenPermit, ApiError> {
        let call = TokenCall(estimate.into());
        call.ask(&self.core, Asker::Passing).await
    }

    /// Waits until a request is admitted together with its tokens: see [waiting](Self#waiting).
    ///
    /// # Errors
    ///
    /// As [`reserve_tokens`](Self::reserve_tokens), except for refusals that a wait resolves. With
    /// a [timeout](ApiAcquire::timeout), the refusal that lasts longer, or
    /// [`LimitKind::Queue`](tidegate::LimitKind::Queue) behind others of this node.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the line. If it was asking the server, the call is canceled in the
    /// background.
    pub fn acquire_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> ApiAcquire<'_, RedisTokenPermit> {
        let estimate = estimate.into();
        ApiAcquire::new(async move |deadline| {
            waits::wait(&self.core, deadline, TokenCall(estimate)).await
        })
    }

    /// Ends a call of any node with the tokens that were used, as [`RedisTokenPermit::settle`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn settle(&self, call: CallId, used: impl Into<TokenUsage>) -> Delivery {
        self.deliver(call, CallMessage::Settle(used.into()))
    }

    /// Ends a call of any node that was not made: its request and its tokens come back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn cancel(&self, call: CallId) -> Delivery {
        self.deliver(
            call,
            CallMessage::Cancel {
                is_remembered: false,
            },
        )
    }

    fn deliver(&self, call: CallId, message: CallMessage) -> Delivery {
        self.core.open_calls.remove(call);
        deliver(&self.core, call, message, &Handle::current())
    }

    /// Charges the tokens that a call used, even if they are not available. Requests are then
    /// limited until the debt is refilled, for 50 years at most. [`resume`](Self::resume) forgives
    /// it.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`]; the charge may have been made.
    pub async fn record_tokens(&self, used: impl Into<TokenUsage>) -> Result<(), ApiError> {
        self.core.record(used.into()).await
    }

    /// Refuses the calls of all nodes for a while, for a `429` with `Retry-After`. Does not shorten
    /// a pause that lasts longer. Those that wait go one after another when it is over.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`]; the pause may have begun.
    pub async fn pause_for(&self, pause: Duration) -> Result<(), ApiError> {
        if let Some(share) = &self.core.share {
            share.limiter.pause_for(pause);
        }
        let arguments = |_: &[FleetLimit]| {
            let mut arguments = ScriptArgs::default();
            arguments.bytes(b"pause").number(micros(pause));
            arguments
        };
        self.core.query(arguments).await.map(drop)
    }

    /// Ends a pause, forgets what responses have told, and fills all token limits, for an operator
    /// who corrects a wrong header or count. Shared token limits are filled, too. Other nodes see
    /// it within a second.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`]; it may have been done.
    pub async fn resume(&self) -> Result<(), ApiError> {
        if let Some(share) = &self.core.share {
            share.limiter.resume();
        }
        let arguments = |limits: &[FleetLimit]| {
            let mut arguments = ScriptArgs::default();
            arguments.bytes(b"resume");
            call_costs::add_used(&mut arguments, limits, TokenUsage::default());
            arguments
        };
        self.core.query(arguments).await?;
        self.core.wait_order.resumed();
        self.core.wake();
        Ok(())
    }

    /// Returns whether a request would be admitted now, and what remains. Changes nothing, and
    /// always asks the server. The wait does not include the backoff.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`].
    pub async fn check(&self) -> Result<RateLimitStatus, ApiError> {
        let core = &self.core;
        let decision = core.check().await?;
        let remaining = decision.remaining();
        Ok(match decision.refusal {
            None => remaining.free(),
            Some(refused) => {
                let most = core.most_in_flight();
                remaining.limited(refused, Duration::ZERO, &decision.limits, most)
            }
        })
    }

    /// Returns the totals of all nodes, and what remains of the limits. The totals are kept until
    /// no node has called for two days.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`].
    pub async fn stats(&self) -> Result<RateLimitStats, ApiError> {
        Ok(self.core.check().await?.stats())
    }

    /// Returns the outcomes of this node's calls. Sends nothing.
    pub fn node_stats(&self) -> LimitStats {
        self.core.counters.stats()
    }

    /// Waits until the server has taken all messages of this node about calls, or they are given
    /// up. Await it before the process ends.
    ///
    /// It sends those that were not taken when their own runtime ended.
    pub async fn delivered(&self) {
        loop {
            let changed = self.core.changed.notified();
            if let Ok(runtime) = Handle::try_current() {
                deliver_stranded(&self.core, &runtime);
            }
            // Relaxed: the notification orders it.
            if self.core.undelivered.load(Relaxed) == 0 {
                return;
            }
            changed.await;
        }
    }
}
