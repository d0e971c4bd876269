//! Behaviour cases of a token bucket: inputs, times and the answers that must come out.
//!
//! The letter of an id says where a case comes from: A golang.org/x/time/rate, F uber-go/ratelimit, G Guava's
//! `RateLimiter`, J .NET's `System.Threading.RateLimiting`, R gateways for language models, S traces of unsound rollbacks.

mod rates;
mod timelines;
#[cfg(feature = "std")]
mod waits;
