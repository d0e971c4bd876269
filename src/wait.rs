//! Waiting: the one driver of threads and futures, timers, reservations, and what is paced.

#[cfg(any(feature = "std", tidegate_loom))]
mod acquire;
#[cfg(any(feature = "std", tidegate_loom))]
mod awaitable;
#[cfg(any(feature = "std", tidegate_loom))]
mod behind;
#[cfg(any(feature = "std", tidegate_loom))]
mod call;
#[cfg(any(feature = "std", tidegate_loom))]
mod default_timer;
#[cfg(any(feature = "std", tidegate_loom))]
mod limiters;
#[cfg(any(feature = "std", tidegate_loom))]
mod members;
#[cfg(feature = "futures")]
mod paced_sink;
#[cfg(feature = "futures")]
mod paced_stream;
#[cfg(any(feature = "futures", feature = "tokio"))]
mod pacer;
#[cfg(any(feature = "std", tidegate_loom))]
mod progress;
mod reservation;
#[cfg(any(feature = "std", tidegate_loom))]
mod thread_waker;
#[cfg(any(feature = "futures", feature = "tokio"))]
mod throttled;
#[cfg(any(feature = "std", tidegate_loom))]
mod timer;
#[cfg(any(feature = "std", tidegate_loom))]
mod waiter;

#[cfg(any(feature = "std", tidegate_loom))]
pub use acquire::Acquire;
#[cfg(any(feature = "std", tidegate_loom))]
pub use awaitable::Awaitable;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use awaitable::sealed;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use behind::from_now;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use call::{Call, Hold, Instants, Refused};
#[cfg(any(feature = "std", tidegate_loom))]
pub use default_timer::DefaultTimer;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use members::MemberWaits;
#[cfg(feature = "futures")]
pub use paced_sink::PacedSink;
#[cfg(feature = "futures")]
pub use paced_stream::PacedStream;
pub use reservation::Reservation;
#[cfg(any(feature = "futures", feature = "tokio"))]
pub use throttled::Throttled;
#[cfg(feature = "futures-timer")]
pub use timer::FuturesTimer;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use timer::SleepSlot;
#[cfg(any(feature = "std", tidegate_loom))]
pub use timer::Timer;
#[cfg(feature = "tokio")]
pub use timer::TokioTimer;
#[cfg(feature = "async-io")]
pub use timer::{AsyncIoSleep, AsyncIoTimer};
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use waiter::{Asleep, Waiter};
