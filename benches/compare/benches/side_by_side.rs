//! Every limiter in one run: admit and refuse, with 1 thread and more.
//!
//! Times are per call and thread: wall time divided by the calls that each thread made.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use tidegate::{Clock, DefaultClock, Quota, ShardedTokenBucket, TokenBucket};
use tidegate_compare::{
    Bare, Gate, HIGH, MutexApi, MutexDeque, PLENTY, api as api_limiter, bucket, combined,
    exhausted, exhausted_api, governor, mutex_bucket, on_threads, sharded, thread_counts, window,
};

/// What the parts of a decision cost by themselves.
struct ClockAndExchange(AtomicU64);
struct ClockAndLoad(AtomicU64);
struct ClockAlone;

impl Gate for ClockAndExchange {
    #[inline]
    fn admit(&self) -> bool {
        let now = DefaultClock.now().as_nanos();
        let seen = self.0.load(Relaxed);
        self.0
            .compare_exchange_weak(seen, now, Relaxed, Relaxed)
            .is_ok()
    }
}

impl Gate for ClockAndLoad {
    #[inline]
    fn admit(&self) -> bool {
        DefaultClock.now().as_nanos() < self.0.load(Relaxed)
    }
}

/// A word of each thread's own, as in a bucket of shards: taken from by an exchange, which lets others take it away, or by a load and a
/// store, which does not: what another thread took meanwhile would be there again.
struct OwnWord {
    words: [CachePadded<AtomicU64>; 64],
    by_exchange: bool,
}

impl OwnWord {
    fn new(by_exchange: bool) -> Self {
        let words = std::array::from_fn(|_| CachePadded::new(AtomicU64::new(u64::MAX)));
        Self { words, by_exchange }
    }
}

impl Gate for OwnWord {
    #[inline]
    fn admit(&self) -> bool {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            static NUMBER: u64 = NEXT.fetch_add(1, Relaxed);
        }
        let word = &self.words[NUMBER.with(|number| *number as usize % 64)];
        let left = word.load(Relaxed);
        if self.by_exchange {
            word.compare_exchange_weak(left, left - 1, Relaxed, Relaxed)
                .is_ok()
        } else {
            word.store(left - 1, Relaxed);
            true
        }
    }
}

impl Gate for ClockAlone {
    #[inline]
    fn admit(&self) -> bool {
        black_box(DefaultClock.now());
        true
    }
}

/// A refused caller who also reads the hint.
struct Hinted(TokenBucket);

impl Gate for Hinted {
    #[inline]
    fn admit(&self) -> bool {
        black_box(self.0.try_acquire(1)).is_ok()
    }
}

/// The time in which each of `threads` threads makes `calls` calls.
fn run(gate: &impl Gate, threads: usize, calls: u64, outcome: bool) -> Duration {
    let (time, seen) = on_threads(threads, |_| {
        let mut seen = 0_u64;
        for _ in 0..calls {
            seen += u64::from(black_box(gate).admit() == outcome);
        }
        seen
    });
    black_box(seen);
    time
}

fn measure<G: Gate>(criterion: &mut Criterion, group: &str, name: &str, admits: bool, gate: G) {
    // Asserted once, so that the row measures what it says.
    assert_eq!(gate.admit(), admits, "{group}/{name}");
    let mut group = criterion.benchmark_group(group);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .sample_size(30);
    for threads in thread_counts() {
        group.bench_function(
            BenchmarkId::new(name, format!("threads={threads}")),
            |bencher| {
                bencher.iter_custom(|calls| run(&gate, threads, calls, admits));
            },
        );
    }
    group.finish();
}

fn parts(c: &mut Criterion) {
    DefaultClock::calibrate();
    measure(c, "parts", "clock", true, ClockAlone);
    measure(
        c,
        "parts",
        "clock+exchange",
        true,
        ClockAndExchange(AtomicU64::new(0)),
    );
    measure(
        c,
        "parts",
        "clock+load",
        false,
        ClockAndLoad(AtomicU64::new(0)),
    );
    measure(c, "parts", "own word, exchange", true, OwnWord::new(true));
    measure(
        c,
        "parts",
        "own word, load and store",
        true,
        OwnWord::new(false),
    );
}

fn admit(c: &mut Criterion) {
    measure(c, "admit", "tidegate bucket", true, bucket(PLENTY));
    // Always full: every call rebases the word on the clock.
    let full = TokenBucket::new(Quota::per_second(1_000_000_000));
    measure(c, "admit", "tidegate bucket, full", true, full);
    // A rate that needs rounding.
    let rounded = TokenBucket::new(Quota::per_second(1_009).burst(PLENTY.into()));
    measure(c, "admit", "tidegate bucket, rounded", true, rounded);
    measure(c, "admit", "tidegate sharded", true, sharded(PLENTY));
    measure(c, "admit", "governor", true, governor(PLENTY));
    measure(c, "admit", "mutex bucket", true, mutex_bucket(PLENTY));
    for slots in [4, 64, 1_024] {
        measure(
            c,
            "admit",
            &format!("tidegate window, {slots} slots"),
            true,
            window(slots),
        );
    }
    let deque = MutexDeque::new(usize::MAX, Duration::from_millis(1));
    measure(c, "admit", "mutex deque window of 1 ms", true, deque);
}

fn refuse(c: &mut Criterion) {
    // A burst of 1 at 1 per 1 ms would come back: the slowest refill that governor can express is an hour.
    let hourly = TokenBucket::new(Quota::per_hour(1));
    measure(c, "refuse", "tidegate bucket", false, exhausted(hourly));
    let hinted = Hinted(TokenBucket::new(Quota::per_hour(1)));
    measure(
        c,
        "refuse",
        "tidegate bucket, hint read",
        false,
        exhausted(hinted),
    );
    // A burst of 1 000, so that there were leases before it was exhausted.
    let hourly = ShardedTokenBucket::new(Quota::per_hour(1).burst(1_000));
    measure(c, "refuse", "tidegate sharded", false, exhausted(hourly));
    let hourly = governor::RateLimiter::direct(governor::Quota::per_hour(
        const { std::num::NonZeroU32::new(1).unwrap() },
    ));
    measure(c, "refuse", "governor", false, exhausted(hourly));
    measure(
        c,
        "refuse",
        "mutex bucket",
        false,
        exhausted(tidegate_compare::MutexBucket::new(1.0 / 3_600.0, 1.0)),
    );
    let hour = Duration::from_secs(3_600);
    let hourly = tidegate::SlidingWindow::new(1_000, hour).expect("fits");
    measure(
        c,
        "refuse",
        "tidegate window, 64 slots",
        false,
        exhausted(hourly),
    );
    measure(
        c,
        "refuse",
        "mutex deque window of 1 h",
        false,
        exhausted(MutexDeque::new(1_000, hour)),
    );
}

/// Calls to an API: the limits of AIOS behind one call.
fn api(c: &mut Criterion) {
    let admits = true;
    measure(c, "api", "tidegate bucket", admits, bucket(PLENTY));
    measure(c, "api", "tidegate combined of 3", admits, combined());
    measure(c, "api", "tidegate ApiRateLimiter", admits, api_limiter());
    measure(
        c,
        "api",
        "tidegate ApiRateLimiter, no status",
        admits,
        Bare(api_limiter()),
    );
    // A minute's and an hour's times are kept for as long as the benchmark runs: so many fit.
    measure(
        c,
        "api",
        "mutex AIOS design",
        admits,
        MutexApi::new(HIGH, HIGH, HIGH, HIGH),
    );
    measure(
        c,
        "api refuse",
        "tidegate ApiRateLimiter",
        !admits,
        exhausted_api(),
    );
    measure(
        c,
        "api refuse",
        "tidegate ApiRateLimiter, no status",
        !admits,
        Bare(exhausted_api()),
    );
    let design = exhausted(MutexApi::new(HIGH, 1_000, HIGH, HIGH));
    measure(c, "api refuse", "mutex AIOS design", !admits, design);
}

criterion_group!(side_by_side, parts, admit, refuse, api);
criterion_main!(side_by_side);
