//! Measures tidegate's limiters of one key in detail, with 1 thread and more.
//!
//! Times are per call and thread: wall time divided by the calls of each thread.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::{DefaultClock, Quota, ShardedTokenBucket, SlidingWindow, TokenBucket};
use tidegate_compare::gate::{hint_dropped, without_status};
use tidegate_compare::histories::{evenly_used_window, used_up_before};
use tidegate_compare::parts::{ClockAlone, ClockAndExchange, ClockAndLoad, OwnWord};
use tidegate_compare::{
    Gate, HIGH, HOUR, MutexApi, MutexBucket, MutexDeque, api as api_limiter, combined, exhausted,
    governor, governor_hint_read, governor_hourly, governor_plenty, hourly, on_threads, plenty,
    thread_counts, window,
};

/// A group of rows whose calls are all admitted, or all refused.
struct Rows<'a> {
    criterion: &'a mut Criterion,
    group: &'static str,
    admits: bool,
}

impl Rows<'_> {
    fn measure(&mut self, name: &str, gate: impl Gate) -> &mut Self {
        // Asserted once, so that the row measures what it says.
        assert_eq!(gate.admit(), self.admits, "{}/{name}", self.group);
        let mut group = self.criterion.benchmark_group(self.group);
        // Each sample takes 50 ms.
        group
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_millis(1_500))
            .sample_size(30);
        for threads in thread_counts() {
            let id = BenchmarkId::new(name, format!("threads={threads}"));
            let run = |calls| {
                let calls = |_| (0..calls).for_each(|_| _ = gate.admit());
                on_threads(threads, calls).0
            };
            group.bench_function(id, |bencher| bencher.iter_custom(run));
        }
        group.finish();
        self
    }
}

fn group<'a>(criterion: &'a mut Criterion, group: &'static str, admits: bool) -> Rows<'a> {
    DefaultClock::calibrate();
    Rows {
        criterion,
        group,
        admits,
    }
}

fn parts(c: &mut Criterion) {
    group(c, "parts", true)
        .measure("clock", ClockAlone)
        .measure("clock+exchange", ClockAndExchange::default())
        .measure("clock+load", ClockAndLoad::default())
        .measure("own word, exchange", OwnWord::new(true))
        .measure("own word, load and store", OwnWord::new(false));
}

fn admit(c: &mut Criterion) {
    // Always full: every call rebases the word on the clock.
    let full = TokenBucket::new(Quota::per_second(1_000_000_000));
    // A rate that needs rounding.
    let rounded = TokenBucket::new(Quota::per_second(1_009).burst(u64::from(u32::MAX)));
    let mut rows = group(c, "admit", true);
    rows.measure("tidegate bucket", TokenBucket::new(plenty()))
        .measure("tidegate bucket, full", full)
        .measure("tidegate bucket, rounded", rounded)
        .measure("tidegate sharded", ShardedTokenBucket::new(plenty()))
        .measure("governor", governor(governor_plenty()))
        .measure(
            "mutex bucket",
            MutexBucket::new(1_000.0, f64::from(u32::MAX)),
        );
    for slots in [4, 64, 1_024] {
        rows.measure(&format!("tidegate window, {slots} slots"), window(slots));
    }
    let deque = MutexDeque::new(usize::MAX, Duration::from_millis(1));
    rows.measure("mutex deque window of 1 ms", deque);
}

fn refuse(c: &mut Criterion) {
    // A burst of 1 000, so that leases exist before it is used up.
    let sharded = ShardedTokenBucket::new(Quota::per_hour(1).burst(1_000));
    let window = SlidingWindow::new(1_000, HOUR).expect("in range");
    let governor = || exhausted(governor(governor_hourly()));
    group(c, "refuse", false)
        .measure("tidegate bucket", exhausted(hourly()))
        .measure(
            "tidegate bucket, hint dropped",
            exhausted(hint_dropped(hourly())),
        )
        .measure("tidegate sharded", exhausted(sharded))
        .measure("governor", governor())
        .measure("governor, hint read", governor_hint_read(governor()))
        .measure(
            "mutex bucket",
            exhausted(MutexBucket::new(1.0 / 3_600.0, 1.0)),
        )
        .measure("tidegate window, 64 slots", exhausted(window))
        .measure(
            "mutex deque window of 1 h",
            exhausted(MutexDeque::new(1_000, HOUR)),
        );
}

/// Limiters at their limit. A bucket, whose state is one instant, has no other regimes.
fn at_the_limit(c: &mut Criterion) {
    // A permit comes back every 10 ms, and is taken at once.
    let quota = || Quota::per_second(100).burst(1_000);
    group(c, "refuse, steady traffic", false)
        .measure("tidegate bucket", exhausted(TokenBucket::new(quota())))
        .measure(
            "tidegate sharded",
            exhausted(ShardedTokenBucket::new(quota())),
        )
        .measure("tidegate window, 64 slots", evenly_used_window(64))
        .measure("tidegate window, 1024 slots", evenly_used_window(1_024));
    group(c, "refuse, used up before", false)
        .measure("tidegate window, 64 slots", used_up_before(64))
        .measure("tidegate window, 1024 slots", used_up_before(1_024));
}

/// Calls to an API: the limits of AIOS behind one call.
fn api(c: &mut Criterion) {
    group(c, "api", true)
        .measure("tidegate bucket", TokenBucket::new(plenty()))
        .measure("tidegate combined of 3", combined())
        .measure("tidegate ApiRateLimiter", api_limiter(HIGH))
        .measure(
            "tidegate ApiRateLimiter, no status",
            without_status(api_limiter(HIGH)),
        )
        // It keeps the times of a minute and an hour, for as long as the benchmark runs.
        .measure("mutex AIOS design", MutexApi::new(HIGH));
    group(c, "api refuse", false)
        .measure("tidegate ApiRateLimiter", exhausted(api_limiter(50)))
        .measure(
            "tidegate ApiRateLimiter, no status",
            without_status(exhausted(api_limiter(50))),
        )
        .measure("mutex AIOS design", exhausted(MutexApi::new(1_000)));
}

criterion_group!(side_by_side, parts, admit, refuse, at_the_limit, api);
criterion_main!(side_by_side);
