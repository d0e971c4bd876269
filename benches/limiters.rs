//! Measures tidegate's own paths, for a quick look while changing them: `cargo bench`.
//!
//! `benches/compare/` compares them with other crates. As there, a decision comes from a function
//! that is not inlined, and the loop uses all of it, as a caller in another crate does. A row
//! without its hint says so.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::{
    Clock, DefaultClock, Denied, FixedKeyed, KeyedLimiter, Limiter, Quota, Shadow, SlidingWindow,
    TokenBucket, TrackDenied,
};

/// A burst that no benchmark uses up. At 1 000 per second the bucket is never full again.
const PLENTY: Quota = Quota::per_second(1_000).burst(1 << 40);

const HOUR: Duration = Duration::from_secs(3_600);

/// Criterion uses the whole result of a loop's body.
#[inline(never)]
fn try_acquire(limiter: &impl Limiter) -> Result<(), Denied> {
    limiter.try_acquire_at(1, limiter.clock().now())
}

#[inline(never)]
fn is_admitted(limiter: &impl Limiter) -> bool {
    limiter.try_acquire_at(1, limiter.clock().now()).is_ok()
}

fn token_bucket(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    let mut group = criterion.benchmark_group("token bucket");
    group.bench_function("clock", |bencher| bencher.iter(|| DefaultClock.now()));

    let bucket = TokenBucket::new(PLENTY);
    assert!(bucket.try_acquire(1).is_ok());
    group.bench_function("admit", |bencher| {
        bencher.iter(|| try_acquire(black_box(&bucket)));
    });
    group.bench_function("available", |bencher| {
        bencher.iter(|| black_box(&bucket).available());
    });

    let empty = TokenBucket::new(Quota::per_hour(1)).with_initial(0);
    assert!(empty.try_acquire(1).is_err());
    group.bench_function("refuse", |bencher| {
        bencher.iter(|| try_acquire(black_box(&empty)));
    });
    group.bench_function("refuse, hint dropped", |bencher| {
        bencher.iter(|| is_admitted(black_box(&empty)));
    });

    let bucket = TokenBucket::new(PLENTY);
    group.bench_function("reserve and cancel", |bencher| {
        bencher.iter(|| {
            let reservation = black_box(&bucket).reserve(1, Duration::MAX);
            reservation.map(tidegate::Reservation::cancel)
        });
    });
    group.finish();
}

fn sliding_window(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sliding window");
    for slots in [4, 64, 1_024] {
        let window = SlidingWindow::new(1 << 31, HOUR).expect("in range");
        let window = window.slots(slots);
        assert!(window.try_acquire(1).is_ok());
        group.bench_function(format!("admit, {slots} slots"), |bencher| {
            bencher.iter(|| try_acquire(black_box(&window)));
        });
    }

    let full = SlidingWindow::new(1, HOUR).expect("in range");
    assert!(full.try_acquire(1).is_ok() && full.try_acquire(1).is_err());
    group.bench_function("refuse, 64 slots", |bencher| {
        bencher.iter(|| try_acquire(black_box(&full)));
    });
    group.finish();
}

/// Two decisions, and a count. Beside them, one decision.
fn shadow(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    let mut group = criterion.benchmark_group("shadow");
    let full = || TokenBucket::new(PLENTY);
    let empty = || TokenBucket::new(Quota::per_hour(1)).with_initial(0);

    let limit = Shadow::beside(full(), full());
    assert!(limit.try_acquire(1).is_ok());
    group.bench_function("admit", |bencher| {
        bencher.iter(|| try_acquire(black_box(&limit)));
    });
    let limit = Shadow::beside(full(), empty());
    assert!(limit.try_acquire(1).is_ok());
    group.bench_function("admit, candidate refuses", |bencher| {
        bencher.iter(|| try_acquire(black_box(&limit)));
    });
    let limit = Shadow::beside(empty(), empty());
    assert!(limit.try_acquire(1).is_err());
    group.bench_function("refuse", |bencher| {
        bencher.iter(|| try_acquire(black_box(&limit)));
    });
    group.finish();
}

#[inline(never)]
fn try_acquire_key(table: &impl KeyedLimiter<u64>, key: u64) -> Result<(), Denied> {
    table.try_acquire_for(&key, 1, table.clock_for(&key).now())
}

/// Refusals of a table with and without a list of the most denied keys: one key, and new keys in
/// every call.
fn most_denied(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    let mut group = criterion.benchmark_group("most denied");
    // Refuses keys that it has no room for, so that new ones are refused, too.
    let table = || {
        let table = FixedKeyed::new(Quota::per_hour(1), 8);
        let table = table.overflow(tidegate::Overflow::Refuse);
        for key in 0..1_000 {
            _ = table.try_acquire(&key, 1);
        }
        assert!((0..1_000).all(|key| table.try_acquire(&key, 1).is_err()));
        table
    };
    let alone = table();
    let tracked = TrackDenied::<_, u64>::new(table(), 100);
    group.bench_function("refuse, no list", |bencher| {
        bencher.iter(|| try_acquire_key(black_box(&alone), 1));
    });
    group.bench_function("refuse", |bencher| {
        bencher.iter(|| try_acquire_key(black_box(&tracked), 1));
    });
    let mut key = 0;
    let mut next = || {
        key += 1;
        key
    };
    group.bench_function("refuse new keys, no list", |bencher| {
        bencher.iter(|| try_acquire_key(black_box(&alone), next()));
    });
    group.bench_function("refuse new keys", |bencher| {
        bencher.iter(|| try_acquire_key(black_box(&tracked), next()));
    });
    group.bench_function("top 10 of 100", |bencher| {
        bencher.iter(|| black_box(&tracked).most_denied().top(10));
    });
    group.finish();
}

criterion_group!(limiters, token_bucket, sliding_window, shadow, most_denied);
criterion_main!(limiters);
