//! Behavior of a token bucket, case by case: calls, times and expected answers.
//!
//! Most cases come from the tests of other limiters: golang.org/x/time/rate, uber-go/ratelimit,
//! Guava's `RateLimiter`, .NET's `System.Threading.RateLimiting`, and gateways for language models.

mod rates;
mod timelines;
#[cfg(feature = "std")]
mod waits;
