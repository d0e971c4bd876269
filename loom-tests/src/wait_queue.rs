//! The wait queue of a limiter.
