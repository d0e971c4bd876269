//! Random timelines. The model is slow and obvious: whole nanoseconds, a list of admissions for
//! each window, and a bucket that stores the time at which it will be full.

use proptest::prelude::*;
use tidegate::{RateLimitStats, Timestamp, TokenPermit};

use super::*;

/// Each token lasts whole nanoseconds, so that the model needs no fractions.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 30,
    requests_per_hour: 100,
    requests_per_day: Some(150),
    tokens_per_minute: 6_000,
    tokens_per_day: Some(86_400),
    burst_size: 8,
    max_in_flight: Some(3),
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

#[derive(Clone, Debug)]
enum Op {
    Acquire,
    Record(u64),
    Reserve {
        tokens: u64,
        is_guess: bool,
    },
    /// Ends or marks one of the permits that are out.
    Commit(usize),
    Settle(usize, u64),
    Drop(usize),
    /// Milliseconds.
    Advance(u64),
    Pause(u64),
}

fn any_op() -> impl Strategy<Value = Op> {
    let millis = prop_oneof![0..20_u64, 0..2_000_u64, 0..90_000_u64, Just(1_000_000)];
    prop_oneof![
        4 => Just(Op::Acquire),
        2 => (0..3_000_u64).prop_map(Op::Record),
        4 => (0..7_000_u64, any::<bool>())
            .prop_map(|(tokens, is_guess)| Op::Reserve { tokens, is_guess }),
        1 => (0..3_usize).prop_map(Op::Commit),
        2 => (0..3_usize, 0..9_000_u64).prop_map(|(index, used)| Op::Settle(index, used)),
        2 => (0..3_usize).prop_map(Op::Drop),
        4 => millis.prop_map(Op::Advance),
        1 => (0..5_000_u64).prop_map(Op::Pause),
    ]
}

/// At most `limit` in the current slot and the 64 before it.
struct Window {
    limit: u64,
    slot: u64,
    /// The slots of the admissions that were not undone.
    admitted: Vec<u64>,
    /// The latest slot with an admission, even if it was undone.
    latest: u64,
}

impl Window {
    const fn new(limit: u64, seconds: u64) -> Self {
        Self {
            limit,
            slot: seconds * 1_000_000_000 / 64,
            admitted: Vec::new(),
            latest: 0,
        }
    }

    fn remaining(&self, now: u64) -> u64 {
        let counts = |&&slot: &&u64| slot + 64 >= now / self.slot;
        let used = self.admitted.iter().filter(counts).count();
        self.limit - u64::try_from(used).expect("few")
    }

    fn remove(&mut self, slot: u64) {
        let place = self.admitted.iter().position(|&other| other == slot);
        self.admitted.swap_remove(place.expect("it was admitted"));
    }

    fn charge(&mut self, now: u64) -> u64 {
        self.latest = now / self.slot;
        self.admitted.push(self.latest);
        self.latest
    }

    /// Returns the number of forfeited permits.
    fn undo(&mut self, slot: u64) -> u64 {
        if slot != self.latest {
            return 1;
        }
        self.remove(slot);
        0
    }
}

/// A bucket that is full at `full_at`, and lacks one token per `token` nanoseconds until then.
struct Bucket {
    capacity: u64,
    token: u64,
    full_at: u64,
}

impl Bucket {
    fn new(per_period: u64, seconds: u64, capacity: u64) -> Self {
        let token = seconds * 1_000_000_000 / per_period;
        assert_eq!(token * per_period, seconds * 1_000_000_000, "whole");
        Self {
            capacity,
            token,
            full_at: 0,
        }
    }

    const fn remaining(&self, now: u64) -> u64 {
        let lacking = self.full_at.saturating_sub(now);
        (self.capacity * self.token).saturating_sub(lacking) / self.token
    }

    fn charge(&mut self, tokens: u64, now: u64) -> (u64, u64) {
        let before = self.full_at;
        if tokens > 0 {
            self.full_at = before.max(now) + tokens * self.token;
        }
        (before, self.full_at)
    }

    fn credit(&mut self, tokens: u64, now: u64) {
        let lacking = self.full_at.saturating_sub(now);
        self.full_at -= lacking.min(tokens * self.token);
    }

    /// Returns the number of forfeited permits.
    const fn undo(&mut self, tokens: u64, (before, after): (u64, u64)) -> u64 {
        if self.full_at != after {
            return tokens;
        }
        self.full_at = before;
        0
    }
}

struct Reserved {
    tokens: [u64; 2],
    windows: [u64; 3],
    burst: (u64, u64),
    buckets: [(u64, u64); 2],
    is_committed: bool,
}

struct Model {
    now: u64,
    paused_until: u64,
    windows: [Window; 3],
    /// Slots of the hour in which requests come back once a slot of the minute has passed.
    late: Vec<u64>,
    burst: Bucket,
    /// Tokens per minute and per day.
    buckets: [Bucket; 2],
    permits: Vec<Reserved>,
    requests: u64,
    tokens: u64,
    forfeited: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            now: 0,
            paused_until: 0,
            windows: [
                Window::new(30, 60),
                Window::new(100, 3_600),
                Window::new(150, 86_400),
            ],
            late: Vec::new(),
            burst: Bucket::new(30, 60, 8),
            buckets: [
                Bucket::new(6_000, 60, 6_000),
                Bucket::new(86_400, 86_400, 86_400),
            ],
            permits: Vec::new(),
            requests: 0,
            tokens: 0,
            forfeited: 0,
        }
    }

    fn give_back_late(&mut self) {
        let [minute, hour, _] = &mut self.windows;
        if self.now / minute.slot > minute.latest {
            self.late.drain(..).for_each(|slot| hour.remove(slot));
        }
    }

    fn has_room(&self, tokens: [u64; 2]) -> bool {
        let now = self.now;
        let in_buckets = |(bucket, tokens): (&Bucket, u64)| bucket.remaining(now) >= tokens.max(1);
        now >= self.paused_until
            && self.windows.iter().all(|window| window.remaining(now) > 0)
            && self.burst.remaining(now) > 0
            && self.buckets.iter().zip(tokens).all(in_buckets)
    }

    /// Admits a request with these tokens.
    fn admit(&mut self, tokens: [u64; 2]) -> Option<Reserved> {
        self.give_back_late();
        if !self.has_room(tokens) {
            return None;
        }
        self.requests += 1;
        let now = self.now;
        let [minute, day] = &mut self.buckets;
        Some(Reserved {
            tokens,
            windows: self.windows.each_mut().map(|window| window.charge(now)),
            burst: self.burst.charge(1, now),
            buckets: [minute.charge(tokens[0], now), day.charge(tokens[1], now)],
            is_committed: false,
        })
    }

    fn debit(&mut self, tokens: u64) {
        for bucket in &mut self.buckets {
            bucket.charge(tokens, self.now);
        }
    }

    fn settle(&mut self, permit: &Reserved, used: u64) {
        for (bucket, reserved) in self.buckets.iter_mut().zip(permit.tokens) {
            bucket.charge(used.saturating_sub(reserved), self.now);
            bucket.credit(reserved.saturating_sub(used), self.now);
        }
        self.tokens += used;
    }

    fn drop(&mut self, permit: &Reserved) {
        if permit.is_committed {
            self.tokens += permit.tokens[0];
            return;
        }
        self.requests -= 1;
        let [minute, hour, day] = &mut self.windows;
        // The hour counts slots of the minute, so what comes back to the minute does to the hour.
        // Later, it does as long as the hour's slot lasts. The minute's permit counts as forfeited.
        let is_late = permit.windows[0] != minute.latest;
        self.forfeited += minute.undo(permit.windows[0]) + day.undo(permit.windows[2]);
        if !is_late {
            hour.remove(permit.windows[1]);
        } else if permit.windows[1] == hour.latest {
            self.late.push(permit.windows[1]);
        }
        self.forfeited += self.burst.undo(1, permit.burst);
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            let missing = bucket.undo(permit.tokens[index], permit.buckets[index]);
            bucket.credit(missing, self.now);
        }
    }

    fn agrees_with(&mut self, stats: &RateLimitStats) -> Result<(), TestCaseError> {
        self.give_back_late();
        let [minute, hour, day] = self
            .windows
            .each_ref()
            .map(|window| window.remaining(self.now));
        let [tokens, tokens_per_day] = self
            .buckets
            .each_ref()
            .map(|bucket| bucket.remaining(self.now));
        prop_assert_eq!(stats.total_requests, self.requests);
        prop_assert_eq!(stats.total_tokens_used, self.tokens);
        prop_assert_eq!(stats.requests_remaining_minute, minute);
        prop_assert_eq!(stats.requests_remaining_hour, hour);
        prop_assert_eq!(stats.requests_remaining_day, Some(day));
        prop_assert_eq!(stats.burst_remaining, self.burst.remaining(self.now));
        prop_assert_eq!(stats.tokens_remaining_minute, tokens);
        prop_assert_eq!(stats.tokens_remaining_day, Some(tokens_per_day));
        let in_flight = u64::try_from(self.permits.len()).expect("few");
        prop_assert_eq!(stats.in_flight, in_flight);
        prop_assert_eq!(stats.forfeited, self.forfeited);
        Ok(())
    }
}

/// Asserts that the wait of a refused request is exact.
fn wait_is_exact(
    limiter: &ApiRateLimiter<ManualClock>,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let status = limiter.check_at(now);
    if status.is_limited {
        let wait = status.retry_after();
        prop_assert_eq!(status.wait_time(), wait);
        prop_assert!(!limiter.check_at(now + wait).is_limited);
        prop_assert!(limiter.check_at(now + wait.saturating_sub(NANO)).is_limited);
    }
    Ok(())
}

fn play(ops: &[Op]) -> Result<(), TestCaseError> {
    let (limiter, clock) = limiter(CONFIG);
    let mut model = Model::new();
    let mut permits: Vec<TokenPermit<ManualClock>> = Vec::new();
    for op in ops {
        match *op {
            Op::Acquire => {
                let expected = model.admit([0; 2]).is_some();
                prop_assert_eq!(!limiter.try_acquire().is_limited, expected);
            }
            Op::Record(tokens) => {
                limiter.record_tokens(tokens);
                model.debit(tokens);
                model.tokens += tokens;
            }
            Op::Reserve { tokens, is_guess } => {
                let (estimate, reserved) = if is_guess {
                    (TokenEstimate::guess(tokens), [tokens.min(6_000), tokens])
                } else {
                    (tokens.into(), [tokens; 2])
                };
                let has_room = model.permits.len() < 3;
                let expected = has_room.then(|| model.admit(reserved)).flatten();
                match limiter.reserve_tokens(estimate) {
                    Ok(permit) => {
                        permits.push(permit);
                        prop_assert!(expected.is_some());
                    }
                    Err(status) => {
                        prop_assert!(expected.is_none(), "{status}");
                        prop_assert_eq!(status.is_permanent, reserved[0] > 6_000);
                    }
                }
                model.permits.extend(expected);
            }
            Op::Commit(index) if index < permits.len() => {
                permits[index].commit();
                model.permits[index].is_committed = true;
            }
            Op::Settle(index, used) if index < permits.len() => {
                permits.remove(index).settle(used);
                let permit = model.permits.remove(index);
                model.settle(&permit, used);
            }
            Op::Drop(index) if index < permits.len() => {
                drop(permits.remove(index));
                let permit = model.permits.remove(index);
                model.drop(&permit);
            }
            Op::Commit(_) | Op::Settle(..) | Op::Drop(_) => {}
            Op::Advance(millis) => {
                clock.advance(Duration::from_millis(millis));
                model.now += millis * 1_000_000;
            }
            Op::Pause(millis) => {
                limiter.pause_for(Duration::from_millis(millis));
                model.paused_until = model.paused_until.max(model.now + millis * 1_000_000);
            }
        }
        model.agrees_with(&limiter.stats())?;
        wait_is_exact(&limiter, clock.now())?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn statistics_equal_a_sequential_model(ops in prop::collection::vec(any_op(), 1..200)) {
        play(&ops)?;
    }

    #[test]
    fn retry_after_of_a_reservation_is_exact(
        requests in 0..9_u32,
        used in 0..20_000_u64,
        pause in 0..90_000_u64,
        estimate in 0..=6_000_u64,
    ) {
        let (limiter, clock) = limiter(CONFIG);
        (0..requests).for_each(|_| _ = limiter.try_acquire());
        limiter.record_tokens(used);
        limiter.pause_for(Duration::from_millis(pause));
        if let Err(status) = limiter.reserve_tokens(estimate) {
            clock.advance(status.retry_after().saturating_sub(NANO));
            prop_assert!(limiter.reserve_tokens(estimate).is_err());
            clock.advance(NANO);
            prop_assert!(limiter.reserve_tokens(estimate).is_ok());
        }
    }
}
