//! Waiting: reservations, threads and futures that sleep until theirs is due, and the line of those who cannot be promised when.

mod awaitable;
#[cfg(feature = "std")]
mod blocking;
mod booking;
mod future;
#[cfg(feature = "std")]
mod in_line;
#[cfg(any(feature = "std", tidegate_loom))]
mod line;
#[cfg(tidegate_loom)]
#[allow(missing_docs, reason = "for models")]
pub(crate) mod modelled;
#[cfg(feature = "futures")]
mod pace;
#[cfg(feature = "futures")]
mod paced_sink;
#[cfg(feature = "futures")]
mod paced_stream;
mod reservation;
mod timer;
mod usual_timer;

pub use awaitable::Awaitable;
pub use future::Acquire;
#[cfg(feature = "std")]
pub(crate) use line::Line;
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
#[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
pub use usual_timer::DefaultTimer;
