//! Measures what a change of the limit, a shadow and a list of the most denied keys cost the calls
//! after it.
//!
//! Times are per call and thread. Each limiter has two rows next to each other: as it is, and with
//! what is measured.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::{
    DefaultClock, FixedKeyed, Keyed, Quota, Shadow, ShardedTokenBucket, TokenBucket, TrackDenied,
};
use tidegate_compare::{
    Gate, HIGH, HOUR, asked, exhausted, hourly, on_threads, plenty, thread_counts, window,
};

const KEY: &str = "alice";

/// Measures calls that are all admitted, or all refused.
fn measure<G: Gate>(criterion: &mut Criterion, group: &str, name: &str, admits: bool, gate: &G) {
    let mut group = criterion.benchmark_group(group);
    // Each sample takes 50 ms.
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1_000))
        .sample_size(20)
        .nresamples(20_000);
    for threads in thread_counts() {
        let id = BenchmarkId::new(name, format!("threads={threads}"));
        let run = |calls| run(gate, threads, calls, admits);
        group.bench_function(id, |bencher| bencher.iter_custom(run));
    }
    group.finish();
}

fn run(gate: &impl Gate, threads: usize, calls: u64, admits: bool) -> Duration {
    let (time, seen) = on_threads(threads, |_| {
        (0..calls).filter(|_| gate.admit() == admits).count() as u64
    });
    assert_eq!(seen.into_iter().sum::<u64>(), calls * threads as u64);
    time
}

/// Another quota than [`plenty`], so that the first one is replaced.
fn other() -> Quota {
    Quota::per_second(2_000).burst(u64::from(u32::MAX))
}

fn changes(criterion: &mut Criterion) {
    DefaultClock::calibrate();

    let group = "bucket admits";
    let bucket = TokenBucket::new(plenty());
    measure(criterion, group, "never changed", true, &bucket);
    bucket.set_quota(other());
    measure(criterion, group, "changed", true, &bucket);

    let group = "bucket refuses";
    let bucket = exhausted(hourly());
    measure(criterion, group, "never changed", false, &bucket);
    bucket.set_quota(Quota::per_hour(2).burst(1));
    measure(criterion, group, "changed", false, &bucket);

    let group = "sharded bucket admits";
    let bucket = ShardedTokenBucket::new(plenty());
    measure(criterion, group, "never changed", true, &bucket);
    bucket.set_quota(other());
    measure(criterion, group, "changed", true, &bucket);

    let group = "window admits";
    let limits = window(64);
    measure(criterion, group, "never changed", true, &limits);
    limits.set_limit(HIGH - 1, HOUR).expect("in range");
    measure(criterion, group, "changed", true, &limits);

    let group = "key of a FixedKeyed admits";
    let table = asked(FixedKeyed::new(plenty(), 1_000), |table| {
        table.try_acquire(KEY, 1)
    });
    measure(criterion, group, "never changed", true, &table);
    let table = FixedKeyed::new(plenty(), 1_000);
    table.set_quota(other());
    let table = asked(table, |table| table.try_acquire(KEY, 1));
    measure(criterion, group, "changed", true, &table);

    let group = "key of a Keyed admits";
    let keyed = || Keyed::new(|_: &String| TokenBucket::new(plenty()));
    let table = asked(keyed(), |table| table.try_acquire(KEY, 1));
    measure(criterion, group, "never changed", true, &table);
    let table = keyed();
    table.at(KEY).set_quota(other()).expect("there is room");
    let table = asked(table, |table| table.try_acquire(KEY, 1));
    measure(criterion, group, "changed", true, &table);
}

fn shadows(criterion: &mut Criterion) {
    let beside = |bucket: fn() -> TokenBucket| Shadow::beside(bucket(), bucket());

    let group = "bucket admits, shadowed";
    let bucket = || TokenBucket::new(plenty());
    measure(criterion, group, "alone", true, &bucket());
    let shadowed = asked(beside(bucket), |shadow| shadow.try_acquire(1));
    measure(criterion, group, "beside a candidate", true, &shadowed);

    let group = "bucket refuses, shadowed";
    measure(criterion, group, "alone", false, &exhausted(hourly()));
    let shadowed = exhausted(asked(beside(hourly), |shadow| shadow.try_acquire(1)));
    measure(criterion, group, "beside a candidate", false, &shadowed);
}

fn most_denied(criterion: &mut Criterion) {
    for (group, quota, admits) in [
        ("key admits, tracked", plenty(), true),
        ("key refuses, tracked", Quota::per_hour(1), false),
    ] {
        let spent = |table: &dyn Fn() -> bool| while !admits && table() {};
        let table = FixedKeyed::new(quota, 1_000);
        spent(&|| table.try_acquire(KEY, 1).is_ok());
        let alone = asked(table, |table| table.try_acquire(KEY, 1));
        measure(criterion, group, "alone", admits, &alone);

        let table = TrackDenied::<_, String>::new(FixedKeyed::new(quota, 1_000), 100);
        spent(&|| table.try_acquire(KEY, 1).is_ok());
        let tracked = asked(table, |table| table.try_acquire(KEY, 1));
        measure(criterion, group, "in a TrackDenied", admits, &tracked);
    }
}

criterion_group!(benches, changes, shadows, most_denied);
criterion_main!(benches);
