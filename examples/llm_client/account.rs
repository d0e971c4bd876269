//! An account at the provider: the judge. It shares no code with the limiter that it judges, and prefers the obvious to the fast: one
//! mutex, the time of every request, and tokens counted to the billionth.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most so many requests in any time of this length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) requests: u64,
    pub(crate) length: Duration,
}

/// What an account may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotas {
    /// Headers tell what is left of the first.
    pub(crate) windows: &'static [Window],
    pub(crate) tokens_per_minute: u64,
    /// So many can be saved up.
    pub(crate) tokens_at_once: u64,
}

/// What is left of an account, for the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

/// A request that was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// When it would be admitted, if nobody else came.
    pub(crate) retry_after: Duration,
    pub(crate) left: Left,
}

/// What the provider did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) arrived: u64,
    pub(crate) refused: u64,
    /// Tokens that were used.
    pub(crate) tokens: u64,
    /// How often each piece was answered.
    pub(crate) answered: BTreeMap<u32, u64>,
}

pub(crate) struct Account {
    quotas: Quotas,
    /// Another tenant takes all tokens that are left, right before our requests with these numbers are looked at; the first has number
    /// 1.
    tenant_before: &'static [u64],
    state: Mutex<State>,
}

struct State {
    /// When the requests in each window were admitted.
    logs: Vec<VecDeque<Instant>>,
    /// In tokens per 60 000 000 000, of which `tokens_per_minute` flow in every nanosecond: nothing is rounded.
    level: u128,
    level_at: Instant,
    counts: Counts,
}

const PARTS: u128 = 60_000_000_000;

impl Account {
    pub(crate) fn new(quotas: Quotas, tenant_before: &'static [u64]) -> Self {
        let state = State {
            logs: vec![VecDeque::new(); quotas.windows.len()],
            level: u128::from(quotas.tokens_at_once) * PARTS,
            level_at: Instant::now(),
            counts: Counts::default(),
        };
        Self {
            quotas,
            tenant_before,
            state: Mutex::new(state),
        }
    }

    pub(crate) const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Admits a request and charges all tokens that it may use; or refuses it, and charges nothing.
    pub(crate) fn admit(&self, most_tokens: u64) -> Result<(), Refused> {
        let mut state = self.lock();
        let now = self.bring_up_to_date(&mut state);
        state.counts.arrived += 1;
        if self.tenant_before.contains(&state.counts.arrived) {
            state.level = 0;
        }

        let cost = u128::from(most_tokens) * PARTS;
        let missing = cost.saturating_sub(state.level);
        let nanos = missing.div_ceil(u128::from(self.quotas.tokens_per_minute));
        let for_tokens = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let windows = self.quotas.windows.iter().zip(&state.logs);
        let for_requests = windows.filter_map(|(window, log)| {
            let is_full = log.len() as u64 >= window.requests;
            let first = log.front().filter(|_| is_full)?;
            Some(window.length.saturating_sub(now - *first))
        });
        let retry_after = for_requests.fold(for_tokens, Duration::max);
        if !retry_after.is_zero() {
            state.counts.refused += 1;
            let left = self.left(&state);
            return Err(Refused { retry_after, left });
        }

        state.level -= cost;
        for log in &mut state.logs {
            log.push_back(now);
        }
        Ok(())
    }

    /// An answer is complete: what it did not use of its tokens comes back.
    pub(crate) fn settle(&self, piece: u32, most_tokens: u64, used: u64) -> Left {
        let mut state = self.lock();
        self.bring_up_to_date(&mut state);
        self.fill(&mut state, u128::from(most_tokens - used) * PARTS);
        state.counts.tokens += used;
        *state.counts.answered.entry(piece).or_default() += 1;
        self.left(&state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did so between two requests' counts, which are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the clock under the lock, so that times never step back.
    fn bring_up_to_date(&self, state: &mut State) -> Instant {
        let now = Instant::now();
        for (window, log) in self.quotas.windows.iter().zip(&mut state.logs) {
            while log.front().is_some_and(|at| now - *at >= window.length) {
                log.pop_front();
            }
        }
        let elapsed = (now - state.level_at).as_nanos();
        state.level_at = now;
        self.fill(state, elapsed * u128::from(self.quotas.tokens_per_minute));
        now
    }

    fn fill(&self, state: &mut State, parts: u128) {
        let full = u128::from(self.quotas.tokens_at_once) * PARTS;
        state.level = full.min(state.level + parts);
    }

    fn left(&self, state: &State) -> Left {
        let first = self.quotas.windows.iter().zip(&state.logs).next();
        let requests = first.map_or(u64::MAX, |(window, log)| {
            window.requests.saturating_sub(log.len() as u64)
        });
        Left {
            requests,
            // Never more than the quota, which has 64 bits.
            tokens: u64::try_from(state.level / PARTS).unwrap_or(u64::MAX),
        }
    }
}
