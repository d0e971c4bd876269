//! The same work, sent unpaced, paced, and paced while another tenant uses the account.
//!
//! The client's limits are the provider's less a headroom: the calls that its workers can have
//! under way, one each. Calls that were admitted one after the other can arrive together.
//!
//! The headroom suffices whatever is delayed and for how long. A call that arrives in an interval
//! `[a, b]` was admitted in it, or was the one call that a worker had under way at `a`. The limiter
//! admits at most `burst + rate · (b − a)`, so at most `burst + headroom + rate · (b − a)` arrive.
//! The same holds for tokens. The client charges an estimate before the provider does, and takes
//! the rest back after the provider did. So in `[a, b]` the provider's account is charged no more
//! than the client's, except for the calls under way at `a`. Both sides read the operating
//! system's clock. **So paced workers that have the account for themselves are never refused.**
//!
//! If another tenant takes what is left, the client cannot know, and calls under way are refused:
//! at most one per worker, until the first of these refusals pauses all workers. The pause lasts at
//! least a second. In that time the provider's account fills up, except for the calls that were
//! under way, and is again as far ahead of the client's as at first. **So there is at most one
//! refusal per worker and visit of the tenant.** One more is possible whenever a worker is held up
//! for [`SLACK`] between reading the clock and setting the pause, which then may be too short.

use alloc::sync::Arc;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use tidegate::{ApiRateLimiter, Clock, MonotonicClock, RateLimitConfig, RateLimitStats};
use tokio::task::JoinSet;

use crate::account::{Account, AccountLimits, ProviderCounts, Window};
use crate::connection::Connection;
use crate::provider;
use crate::work::{LARGEST, PIECES, usages};
use crate::worker::{SLACK, Tally, Worker};

/// Each worker has at most one call under way.
const WORKERS: u64 = 8;

const REQUESTS_PER_MINUTE: u64 = 3_000;
const REQUESTS_PER_SECOND: u64 = 80;
const TOKENS_PER_MINUTE: u64 = 600_000;
/// A second's worth, as with providers that enforce a minute's limit second by second.
const TOKENS_AT_ONCE: u64 = TOKENS_PER_MINUTE / 60;

const PROVIDER: AccountLimits = AccountLimits {
    windows: &[
        Window {
            requests: REQUESTS_PER_MINUTE,
            length: Duration::from_secs(60),
        },
        Window {
            requests: REQUESTS_PER_SECOND,
            length: Duration::from_secs(1),
        },
    ],
    tokens_per_minute: TOKENS_PER_MINUTE,
    tokens_at_once: TOKENS_AT_ONCE,
};

const CLIENT: RateLimitConfig = RateLimitConfig {
    requests_per_minute: REQUESTS_PER_MINUTE - WORKERS,
    // The provider has no such limit.
    requests_per_hour: 60 * REQUESTS_PER_MINUTE,
    // In a second: a burst, and what flows in during it. With the headroom, this is the
    // provider's limit for a second.
    burst_size: REQUESTS_PER_SECOND - REQUESTS_PER_MINUTE / 60 - WORKERS,
    tokens_per_minute: TOKENS_PER_MINUTE,
    token_burst_size: Some(TOKENS_AT_ONCE - WORKERS * LARGEST - TOKENS_IN_SLACK),
    // Only the head of the wait queue tries again.
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

/// The tokens that flow in during [`SLACK`].
const TOKENS_IN_SLACK: u64 = TOKENS_PER_MINUTE * SLACK.subsec_millis() as u64 / 60_000;

/// What came of a scene.
struct Outcome {
    elapsed: Duration,
    /// Counted by the workers.
    tally: Tally,
    /// Counted by the provider.
    counts: ProviderCounts,
    /// Counted by the limiter.
    stats: Option<RateLimitStats>,
}

/// Sends all work to a new provider.
async fn play(is_paced: bool, tenant_before: &'static [u64]) -> Outcome {
    // Before the account is made, so that it cannot have given more than `elapsed` allows.
    let start = MonotonicClock.now();
    let account = Arc::new(Account::new(PROVIDER, tenant_before));
    let address = provider::start(Arc::clone(&account)).await;
    let next = Arc::new(AtomicU32::new(0));
    let limiter = is_paced.then(|| ApiRateLimiter::with_clock(CLIENT, MonotonicClock).unwrap());
    let limiter = limiter.map(Arc::new);
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Worker {
            connection: Connection::open(address).await,
            next: Arc::clone(&next),
            limiter: limiter.clone(),
        });
    }
    // All workers start together.
    let running: JoinSet<_> = workers.into_iter().map(Worker::run).collect();
    let mut tally = Tally::default();
    for counted in running.join_all().await {
        tally.add(counted);
    }
    let outcome = Outcome {
        elapsed: MonotonicClock.now() - start,
        tally,
        counts: account.counts(),
        stats: limiter.map(|limiter| limiter.stats()),
    };
    outcome.assert_consistent();
    outcome
}

/// Returns how many tokens the provider can give in this time, from a full account.
fn tokens_within(elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos() * u128::from(TOKENS_PER_MINUTE);
    TOKENS_AT_ONCE + u64::try_from(nanos.div_ceil(60_000_000_000)).unwrap()
}

impl Outcome {
    /// Asserts that workers, limiter and provider counted the same, and that the provider, whose
    /// bookkeeping differs from this check's, gave no more tokens than time allows.
    fn assert_consistent(&self) {
        let (tally, counts) = (&self.tally, &self.counts);
        assert_eq!(counts.arrived, tally.sent);
        assert_eq!(counts.refused, tally.refused);
        assert_eq!(counts.tokens, tally.tokens);
        assert_eq!(
            counts.answered.values().sum::<u64>(),
            tally.done.len() as u64
        );
        if let Some(stats) = &self.stats {
            let counted = (stats.total_requests, stats.total_tokens_used);
            assert_eq!(counted, (counts.arrived, counts.tokens));
        }
        assert!(counts.tokens <= tokens_within(self.elapsed));
    }

    /// Asserts that paced work was done exactly once, and that no pause was broken.
    fn assert_paced(&self) {
        let answered = &self.counts.answered;
        assert!((0..PIECES).all(|number| answered.get(&number) == Some(&1)));
        assert_eq!(self.counts.tokens, usages().sum::<u64>());
        for &admitted_at in &self.tally.admitted_at {
            let mut pauses = self.tally.pauses.iter();
            let broken = pauses.find(|pause| pause.forbids(admitted_at));
            assert!(broken.is_none(), "{admitted_at:?} {broken:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unpaced_calls_are_refused() {
    let outcome = play(false, &[]).await;
    let counts = &outcome.counts;
    assert_eq!(counts.arrived, u64::from(PIECES));
    assert_eq!(
        counts.answered.len() as u64,
        counts.arrived - counts.refused
    );
    // Answered pieces cannot have used more tokens than there were, in whatever time.
    let missing = usages()
        .sum::<u64>()
        .saturating_sub(tokens_within(outcome.elapsed));
    let fewest = missing.div_ceil(usages().max().unwrap());
    assert!(counts.refused >= fewest, "{} < {fewest}", counts.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn paced_calls_are_never_refused() {
    let outcome = play(true, &[]).await;
    outcome.assert_paced();
    assert_eq!(outcome.counts.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_account_refuses_each_worker_once_per_visit() {
    // The first visit is in the middle of the burst at the start, when all workers have a call
    // under way.
    let visits = [4, 100];
    let outcome = play(true, &[4, 100]).await;
    outcome.assert_paced();
    // The call that finds everything taken, and those of the other workers under way then.
    let pauses = outcome.tally.pauses.iter();
    let late = pauses.filter(|pause| pause.is_late()).count() as u64;
    let visits = visits.len() as u64;
    let refused = outcome.counts.refused;
    assert!(
        (visits..=visits * WORKERS + late).contains(&refused),
        "{refused}"
    );
}
