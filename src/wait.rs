//! Waiting: reservations, threads that sleep until theirs is due, and what lets a future sleep.

#[cfg(feature = "std")]
mod blocking;
mod reservation;
mod timer;

pub use reservation::Reservation;
pub use timer::Timer;
#[cfg(feature = "tokio")]
pub use timer::TokioTimer;
