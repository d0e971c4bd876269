//! An account at the provider, which judges the client.
//!
//! It shares no code with the limiter and prefers simple code to speed: one mutex, the time of
//! every request, and tokens counted without rounding.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

/// At most `requests` requests in any interval of `length`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) requests: u64,
    pub(crate) length: Duration,
}

/// What an account may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountLimits {
    /// Headers report what is left of the first window.
    pub(crate) windows: &'static [Window],
    pub(crate) tokens_per_minute: u64,
    /// The most tokens that can be saved up.
    pub(crate) tokens_at_once: u64,
}

/// What is left of an account, for the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// When the request would be admitted if no other came.
    pub(crate) retry_after: Duration,
    pub(crate) remaining: Remaining,
}

/// What the provider did.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProviderCounts {
    pub(crate) arrived: u64,
    pub(crate) refused: u64,
    /// Tokens that were used.
    pub(crate) tokens: u64,
    /// How often each piece was answered.
    pub(crate) answered: BTreeMap<u32, u64>,
}

pub(crate) struct Account {
    limits: AccountLimits,
    /// Another tenant takes all remaining tokens right before these requests; the first is 1.
    tenant_before: &'static [u64],
    state: Mutex<State>,
}

struct State {
    /// When the requests in each window were admitted.
    logs: Vec<VecDeque<Instant>>,
    /// In parts of a token (see [`PARTS`]), so that nothing is rounded.
    level: u128,
    level_at: Instant,
    counts: ProviderCounts,
}

/// The parts of a token: `tokens_per_minute` of them flow in every nanosecond.
const PARTS: u128 = 60_000_000_000;

impl Account {
    pub(crate) fn new(limits: AccountLimits, tenant_before: &'static [u64]) -> Self {
        let state = State {
            logs: vec![VecDeque::new(); limits.windows.len()],
            level: u128::from(limits.tokens_at_once) * PARTS,
            level_at: Instant::now(),
            counts: ProviderCounts::default(),
        };
        Self {
            limits,
            tenant_before,
            state: Mutex::new(state),
        }
    }

    pub(crate) const fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    pub(crate) fn counts(&self) -> ProviderCounts {
        self.lock().counts.clone()
    }

    /// Admits a request and charges all tokens that it may use, or refuses it for free.
    pub(crate) fn admit(&self, most_tokens: u64) -> Result<(), Refused> {
        let mut state = self.lock();
        let now = self.bring_up_to_date(&mut state);
        state.counts.arrived += 1;
        if self.tenant_before.contains(&state.counts.arrived) {
            state.level = 0;
        }

        let cost = u128::from(most_tokens) * PARTS;
        let missing = cost.saturating_sub(state.level);
        let nanos = missing.div_ceil(u128::from(self.limits.tokens_per_minute));
        let for_tokens = Duration::from_nanos(u64::try_from(nanos).unwrap());
        let windows = self.limits.windows.iter().zip(&state.logs);
        let for_requests = windows.filter_map(|(window, log)| {
            let is_full = log.len() as u64 >= window.requests;
            let first = log.front().filter(|_| is_full)?;
            Some(window.length.saturating_sub(now - *first))
        });
        let retry_after = for_requests.fold(for_tokens, Duration::max);
        if !retry_after.is_zero() {
            state.counts.refused += 1;
            return Err(Refused {
                retry_after,
                remaining: self.remaining(&state),
            });
        }

        state.level -= cost;
        for log in &mut state.logs {
            log.push_back(now);
        }
        Ok(())
    }

    /// Completes an answer and takes back the tokens that it did not use.
    pub(crate) fn settle(&self, piece: u32, most_tokens: u64, used: u64) -> Remaining {
        let mut state = self.lock();
        self.bring_up_to_date(&mut state);
        self.fill(&mut state, u128::from(most_tokens - used) * PARTS);
        state.counts.tokens += used;
        *state.counts.answered.entry(piece).or_default() += 1;
        self.remaining(&state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Reads the clock under the lock, so that times never step back.
    fn bring_up_to_date(&self, state: &mut State) -> Instant {
        let now = Instant::now();
        for (window, log) in self.limits.windows.iter().zip(&mut state.logs) {
            while log.front().is_some_and(|at| now - *at >= window.length) {
                log.pop_front();
            }
        }
        let elapsed = (now - state.level_at).as_nanos();
        state.level_at = now;
        self.fill(state, elapsed * u128::from(self.limits.tokens_per_minute));
        now
    }

    fn fill(&self, state: &mut State, parts: u128) {
        let full = u128::from(self.limits.tokens_at_once) * PARTS;
        state.level = full.min(state.level + parts);
    }

    fn remaining(&self, state: &State) -> Remaining {
        let first = self.limits.windows.iter().zip(&state.logs).next();
        let requests = first.map_or(u64::MAX, |(window, log)| {
            window.requests.saturating_sub(log.len() as u64)
        });
        Remaining {
            requests,
            tokens: u64::try_from(state.level / PARTS).unwrap(),
        }
    }
}
