//! Waiting: reservations, and threads that sleep until theirs is due.

#[cfg(feature = "std")]
mod blocking;
mod reservation;

pub use reservation::Reservation;
