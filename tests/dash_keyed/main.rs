//! A table over a `DashMap` whose values have a limiter: decisions, unknown keys, waits, evictions.

extern crate alloc;

mod decisions;
mod evictions;
mod late_calls;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../waits/manual_timer.rs"]
mod manual_timer;
mod oracle;
#[path = "../parallel/mod.rs"]
mod parallel;
#[cfg(feature = "tower")]
mod per_key;
mod threads;
mod unknown_keys;
mod views;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../keyed_waits/waiters.rs"]
mod waiters;
mod waits;

use core::time::Duration;

use dashmap::DashMap;
use tidegate::{DashKeyed, KnownKeys, ManualClock, Quota, TokenBucket};

const SECOND: Duration = Duration::from_secs(1);

/// What a user keeps: more than a limiter.
#[derive(Debug)]
struct Session {
    is_logged_in: bool,
    limiter: TokenBucket<ManualClock>,
}

type Sessions = DashMap<String, Session>;

/// A table of sessions, whose limiters are on `clock`.
type Limits<'a, N = KnownKeys> =
    DashKeyed<&'a Sessions, fn(&Session) -> &TokenBucket<ManualClock>, N, ManualClock>;

const fn limiter(session: &Session) -> &TokenBucket<ManualClock> {
    &session.limiter
}

fn limits<'a>(sessions: &'a Sessions, clock: &ManualClock) -> Limits<'a> {
    DashKeyed::with_clock(sessions, limiter, clock.clone())
}

/// A session with `burst` tokens, and one more each second.
fn session(burst: u64, clock: &ManualClock) -> Session {
    Session {
        is_logged_in: false,
        limiter: bucket(burst, clock),
    }
}

fn bucket(burst: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(burst), clock.clone())
}
