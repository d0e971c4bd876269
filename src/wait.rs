//! Waiting: reservations, blocked threads, waiting futures and their queue, timers, streams and
//! sinks.

mod acquire;
mod awaitable;
#[cfg(feature = "std")]
mod blocking;
mod bucket_wait;
mod default_timer;
#[cfg(tidegate_loom)]
#[allow(missing_docs, reason = "for models")]
pub(crate) mod modelled;
#[cfg(feature = "futures")]
mod paced_sink;
#[cfg(feature = "futures")]
mod paced_stream;
#[cfg(feature = "futures")]
mod pacer;
#[cfg(feature = "std")]
mod queued;
mod reservation;
mod timer;

pub use acquire::Acquire;
pub use awaitable::Awaitable;
#[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
pub use default_timer::DefaultTimer;
#[cfg(feature = "futures")]
pub use paced_sink::PacedSink;
#[cfg(feature = "futures")]
pub use paced_stream::PacedStream;
pub use reservation::Reservation;
#[cfg(feature = "futures-timer")]
pub use timer::FuturesTimer;
pub use timer::Timer;
#[cfg(feature = "tokio")]
pub use timer::TokioTimer;
#[cfg(feature = "async-io")]
pub use timer::{AsyncIoSleep, AsyncIoTimer};
