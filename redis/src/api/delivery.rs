//! Messages about calls, which are sent until the server has taken them.
//!
//! Each names its call, and the server does what it says once: the record of a call that has ended
//! is gone. So a message whose answer was lost is sent again without harm. It is given up when the
//! call is forgotten. If its runtime ends, another one of this node sends it.

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
use super::message::{Arguments, PendingMessage};
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
    Sent(
        oneshot::Receiver<Result<Vec<i64>, ApiError>>,
        fn(&[i64]) -> CallEnding,
    ),
    Ready(CallEnding),
}

/// What is told about a call.
#[derive(Clone, Debug)]
pub(super) enum CallMessage {
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

impl CallMessage {
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

    /// Reads the reply to it.
    const fn reader(&self) -> fn(&[i64]) -> CallEnding {
        match self {
            Self::Cancel { .. } => |reply| match reply {
                [1, 0] => CallEnding::Forfeited,
                _ => ending(reply),
            },
            _ => ending,
        }
    }
}

const fn ending(reply: &[i64]) -> CallEnding {
    match reply {
        [1, ..] => CallEnding::Done,
        _ => CallEnding::Unknown,
    }
}

/// Sends what is told about a call in a task of its own.
pub(super) fn deliver(
    core: &Arc<Core>,
    id: CallId,
    told: CallMessage,
    runtime: &Handle,
) -> Delivery {
    let read = told.reader();
    let arguments = move |limits: &[FleetLimit], _| told.arguments(limits, id);
    let patience = KEPT + core.call_ttl;
    deliver_step(core, patience, Box::new(arguments), read, runtime)
}

/// Sends one step in a task of its own, until the server has taken it or it is older than
/// `patience`.
pub(super) fn deliver_step(
    core: &Arc<Core>,
    patience: Duration,
    arguments: Arguments,
    read: fn(&[i64]) -> CallEnding,
    runtime: &Handle,
) -> Delivery {
    let (reply, receiver) = oneshot::channel();
    core.message_begins();
    let message = PendingMessage {
        arguments,
        patience,
        since: time::now(),
        reply,
    };
    spawn(core, message, runtime);
    // A permit may outlive the runtime that it is of.
    if let Ok(current) = Handle::try_current() {
        deliver_stranded(core, &current);
    }
    Delivery {
        state: State::Sent(receiver, read),
    }
}

/// Sends the messages whose runtimes have ended.
pub(super) fn deliver_stranded(core: &Arc<Core>, runtime: &Handle) {
    for message in core.stranded.take() {
        spawn(core, message, runtime);
    }
}

fn spawn(core: &Arc<Core>, message: PendingMessage, runtime: &Handle) {
    let underway = Underway {
        core: Arc::clone(core),
        message: Some(message),
    };
    runtime.spawn(underway.send());
}

/// A message until it is taken or given up. If its task is dropped, another runtime is to send it.
struct Underway {
    core: Arc<Core>,
    message: Option<PendingMessage>,
}

impl Underway {
    async fn send(mut self) {
        let Some(message) = &self.message else {
            return;
        };
        let reply = send(&self.core, message).await;
        if let Some(message) = self.message.take() {
            self.core.message_ends();
            // The receiver may be gone.
            let _ = message.reply.send(reply);
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.core.message_strands(message);
        }
    }
}

async fn send(core: &Core, message: &PendingMessage) -> Result<Vec<i64>, ApiError> {
    loop {
        let step = core.run_newest(|limits| (message.arguments)(limits, message.age()));
        let failure = match step.await {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        let is_overloaded = matches!(failure, CallFailure::Overloaded);
        let error = core.unavailable(failure);
        if message.age() > message.patience {
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
            State::Sent(receiver, read) => Pin::new(receiver).poll(cx).map(|result| {
                // Only the end of the limiter drops a message: no runtime was left to send it.
                let reply = result.unwrap_or(Err(ApiError::Unavailable {
                    retry_after: Duration::ZERO,
                    cause: None,
                }));
                reply.map(|reply| read(&reply))
            }),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
