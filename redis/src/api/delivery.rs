//! Messages about calls, which are sent until the server has taken them.
//!
//! Each names its call, and the server does what it says once: the record of a call that has ended
//! is gone. So a message whose answer was lost is sent again without harm. It is given up when the
//! call is forgotten.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use tidegate::TokenUsage;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::api_error::ApiError;
use super::call_costs::{Amounts, add_used};
use super::call_id::CallId;
use super::core::{Core, KEPT};
use super::fleet_limit::{FleetLimit, micros};
use crate::script::ScriptArgs;
use crate::store::CallFailure;
use crate::time;

/// How long a cancellation is remembered that comes before its call. A call is under way for less.
const REMEMBERED: Duration = Duration::from_secs(120);

/// What the server has done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEnding {
    /// The call was open, and the server has done what was asked for. If an earlier attempt has
    /// done it, but its answer was lost, the result is [`Unknown`](Self::Unknown).
    Done,
    /// The call was canceled, and its tokens came back. Its request counts, because later ones were
    /// admitted on top of it.
    Forfeited,
    /// No such call is open. It has ended before, or was forgotten a quarter of an hour after its
    /// time to live.
    Unknown,
}

/// What becomes of a message about a call. It is sent whether this is awaited or not, and again
/// until the server answers.
///
/// # Errors
///
/// [`ApiError::Unavailable`] if the server has not answered for so long that the call is forgotten.
/// Its estimate then counts as used.
///
/// # Panics
///
/// If it is polled after it was ready.
pub struct Delivery {
    state: State,
}

enum State {
    Sent(oneshot::Receiver<Result<CallEnding, ApiError>>),
    Ready(CallEnding),
}

/// What is told about a call.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Settle(TokenUsage),
    /// What it was charged counts as used.
    Keep,
    /// With whether it is remembered, because the call may arrive later.
    Cancel {
        is_remembered: bool,
    },
    /// What it has used so far.
    Report(TokenUsage),
}

impl Message {
    fn arguments(&self, limits: &[FleetLimit], id: CallId) -> ScriptArgs {
        let mut arguments = ScriptArgs::default();
        let (operation, used, remembered) = match self {
            Self::Settle(used) => (&b"settle"[..], *used, Duration::ZERO),
            Self::Keep => (&b"keep"[..], TokenUsage::default(), Duration::ZERO),
            Self::Cancel { is_remembered } => {
                let remembered = if *is_remembered {
                    REMEMBERED
                } else {
                    Duration::ZERO
                };
                (&b"cancel"[..], TokenUsage::default(), remembered)
            }
            Self::Report(used) => {
                arguments.bytes(b"report").bytes(&id.to_bytes());
                Amounts::new(1, *used).add_to(&mut arguments);
                add_used(&mut arguments, limits, *used);
                return arguments;
            }
        };
        arguments
            .bytes(operation)
            .bytes(&id.to_bytes())
            .number(micros(KEPT))
            .number(micros(remembered));
        Amounts::new(1, used).add_to(&mut arguments);
        add_used(&mut arguments, limits, used);
        arguments
    }

    fn read(&self, reply: &[i64]) -> CallEnding {
        match (self, reply) {
            (Self::Cancel { .. }, [1, 0]) => CallEnding::Forfeited,
            (_, [1, ..]) => CallEnding::Done,
            _ => CallEnding::Unknown,
        }
    }
}

/// Sends a message about a call in a task of its own.
pub(super) fn deliver(
    core: &Arc<Core>,
    id: CallId,
    message: Message,
    runtime: &Handle,
) -> Delivery {
    let read = message.clone();
    let arguments = move |_: &Core, limits: &[FleetLimit], _| message.arguments(limits, id);
    let patience = KEPT + core.call_ttl;
    deliver_step(
        core,
        patience,
        arguments,
        move |reply| read.read(reply),
        runtime,
    )
}

/// Sends one step in a task of its own, until the server has taken it or it is older than
/// `patience`. `arguments` gets the limits and its age.
pub(super) fn deliver_step(
    core: &Arc<Core>,
    patience: Duration,
    arguments: impl Fn(&Core, &[FleetLimit], Duration) -> ScriptArgs + Send + Sync + 'static,
    read: impl FnOnce(&[i64]) -> CallEnding + Send + 'static,
    runtime: &Handle,
) -> Delivery {
    let (sender, receiver) = oneshot::channel();
    core.message_begins();
    let undelivered = Undelivered(Arc::clone(core));
    runtime.spawn(async move {
        let reply = send(&undelivered.0, patience, &arguments).await;
        drop(undelivered);
        // The receiver may be gone.
        let _ = sender.send(reply.map(|reply| read(&reply)));
    });
    Delivery {
        state: State::Sent(receiver),
    }
}

/// Counts a message until it is taken, given up, or its runtime ends.
struct Undelivered(Arc<Core>);

impl Drop for Undelivered {
    fn drop(&mut self) {
        self.0.message_ends();
    }
}

async fn send(
    core: &Core,
    patience: Duration,
    arguments: &(impl Fn(&Core, &[FleetLimit], Duration) -> ScriptArgs + Sync),
) -> Result<Vec<i64>, ApiError> {
    let start = time::now();
    let age = || Duration::from_nanos(time::now().saturating_sub(start));
    loop {
        let step = core.run_newest(|limits| arguments(core, limits, age()));
        let failure = match step.await {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        let is_overloaded = matches!(failure, CallFailure::Overloaded);
        let error = core.unavailable(failure);
        if age() > patience {
            return Err(error);
        }
        let wait = if is_overloaded {
            Duration::from_millis(10)
        } else {
            error.retry_after().unwrap_or_default()
        };
        // Not all messages of all nodes at once.
        let spread = wait.mul_f64(fastrand::f64() / 2.0);
        tokio::time::sleep(wait.max(Duration::from_millis(1)) + spread).await;
    }
}

impl Delivery {
    /// Of a call that the server does not know of.
    pub(super) const fn ready(ending: CallEnding) -> Self {
        Self {
            state: State::Ready(ending),
        }
    }
}

impl Future for Delivery {
    type Output = Result<CallEnding, ApiError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Ready(ending) => Poll::Ready(Ok(*ending)),
            State::Sent(receiver) => Pin::new(receiver).poll(cx).map(|result| {
                // The task is dropped only with its runtime.
                result.unwrap_or(Err(ApiError::Unavailable {
                    retry_after: Duration::ZERO,
                    cause: None,
                }))
            }),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
