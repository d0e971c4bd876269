//! Our own paths, for a quick look while changing them: `cargo bench`. The comparison with others is in `benches/compare/`.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::{Clock, DefaultClock, Quota, SlidingWindow, TokenBucket};

/// More than any benchmark takes, and at 1 000 per second never full again.
const PLENTY: Quota = Quota::per_second(1_000).burst(1 << 40);

const HOUR: Duration = Duration::from_secs(3_600);

fn token_bucket(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    let mut group = criterion.benchmark_group("token bucket");
    group.bench_function("clock", |bencher| bencher.iter(|| DefaultClock.now()));

    let bucket = TokenBucket::new(PLENTY);
    assert!(bucket.try_acquire(1).is_ok());
    group.bench_function("admit", |bencher| {
        bencher.iter(|| black_box(&bucket).try_acquire(1).is_ok());
    });
    group.bench_function("available", |bencher| {
        bencher.iter(|| black_box(&bucket).available());
    });

    let empty = TokenBucket::new(Quota::per_hour(1)).with_initial(0);
    assert!(empty.try_acquire(1).is_err());
    group.bench_function("refuse", |bencher| {
        bencher.iter(|| black_box(&empty).try_acquire(1).is_ok());
    });
    group.bench_function("refuse, hint read", |bencher| {
        bencher.iter(|| black_box(&empty).try_acquire(1));
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
        let window = SlidingWindow::new(1 << 31, HOUR)
            .expect("fits")
            .slots(slots);
        assert!(window.try_acquire(1).is_ok());
        group.bench_function(format!("admit, {slots} slots"), |bencher| {
            bencher.iter(|| black_box(&window).try_acquire(1).is_ok());
        });
    }

    let full = SlidingWindow::new(1, HOUR).expect("fits");
    assert!(full.try_acquire(1).is_ok() && full.try_acquire(1).is_err());
    group.bench_function("refuse, 64 slots", |bencher| {
        bencher.iter(|| black_box(&full).try_acquire(1).is_ok());
    });
    group.finish();
}

criterion_group!(limiters, token_bucket, sliding_window);
criterion_main!(limiters);
