//! Measures limiters of many keys: known keys, new keys and refused ones, with 1 thread and more.
//!
//! Times are per call and thread: wall time divided by the calls of each thread. Keys are
//! `String`s of 36 bytes, chosen beforehand. Every row includes "keys alone", the time of fetching
//! one. Each outcome is counted, so that a row measures what it says.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::DefaultClock;
use tidegate_compare::keyed::{
    GovernorHintRead, KeyLimit, KeyedGate, KeyedVisitor, KeysAlone, Visits, fixed,
    for_each_limiter, governor_keyed, keyed, name,
};
use tidegate_compare::{on_threads, thread_counts};

/// Makes `calls` calls on each thread, all with the same outcome. `first` is the first call.
fn run(
    gate: &impl KeyedGate<String>,
    visits: &Visits,
    threads: usize,
    first: u64,
    calls: u64,
    admits: bool,
) -> Duration {
    let (time, seen) = on_threads(threads, |thread| {
        let start = visits.start(thread, threads) + first as usize;
        let calls = start..start + calls as usize;
        let expected = |call: &usize| gate.admit(visits.key(*call)) == admits;
        calls.filter(expected).count() as u64
    });
    assert_eq!(seen.into_iter().sum::<u64>(), calls * threads as u64);
    time
}

/// A group of rows with known keys, which are all admitted or all refused.
struct Known<'a> {
    criterion: &'a mut Criterion,
    name: &'a str,
    keys: usize,
    visits: &'a [(&'static str, Visits)],
    admits: bool,
    /// Whether each key has spent some permits before, so that its bucket is not full.
    spends: bool,
    /// Samples of each row, of 50 ms each.
    samples: u32,
}

impl Known<'_> {
    /// Measures all rows of one limiter.
    fn measure(&mut self, name: &str, gate: &impl KeyedGate<String>) {
        for (distribution, visits) in self.visits {
            let plural = if self.keys == 1 { "" } else { "s" };
            let title = format!("{}, {} key{plural}{distribution}", self.name, self.keys);
            let mut group = self.criterion.benchmark_group(title);
            let time = Duration::from_millis(50) * self.samples;
            group
                .sampling_mode(SamplingMode::Flat)
                .warm_up_time(time / 4)
                .measurement_time(time)
                .sample_size(self.samples as usize)
                .nresamples(20_000);
            for threads in thread_counts() {
                // Each sample continues where the last one ended. Otherwise short samples would
                // always see the same few keys.
                let mut first = 0;
                let run = |calls| {
                    let time = run(gate, visits, threads, first, calls, self.admits);
                    first += calls;
                    time
                };
                let id = BenchmarkId::new(name, format!("threads={threads}"));
                let mut run = run;
                group.bench_function(id, |bencher| bencher.iter_custom(&mut run));
            }
            group.finish();
        }
    }
}

impl KeyedVisitor<String> for Known<'_> {
    fn visit<G: KeyedGate<String>>(&mut self, name: &str, make: impl Fn() -> G) {
        let gate = make();
        for number in 0..self.keys as u64 {
            let key = tidegate_compare::keyed::name(number);
            if !self.admits {
                while gate.admit(&key) {}
            } else if self.spends {
                assert!(gate.spend(&key, KeyLimit::HOUR));
            } else {
                assert!(gate.admit(&key));
            }
        }
        self.measure(name, &gate);
    }
}

/// Both orders of visits.
fn both(keys: usize) -> [(&'static str, Visits); 2] {
    [
        (", uniform", Visits::uniform(keys)),
        (", zipf", Visits::zipf(keys)),
    ]
}

fn hit(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    // The cost budget has the rows of 1 000 keys.
    for (keys, samples) in [(1, 12), (1_000, 30), (1_000_000, 16)] {
        let visits = if keys > 1 {
            both(keys).into()
        } else {
            vec![("", Visits::uniform(keys))]
        };
        let mut known = Known {
            criterion,
            name: "hit",
            keys,
            visits: &visits,
            admits: true,
            spends: true,
            samples,
        };
        known.measure("keys alone", &KeysAlone);
        for_each_limiter(KeyLimit::PLENTY, keys, &mut known);
    }
}

/// Every bucket is full when its key comes: clients that stay far below their limit.
fn hit_full(criterion: &mut Criterion) {
    let mut known = Known {
        criterion,
        name: "hit, full at each visit",
        keys: 1_000,
        visits: &both(1_000),
        admits: true,
        spends: false,
        samples: 30,
    };
    for_each_limiter(KeyLimit::FULL, 1_000, &mut known);
}

/// Every bucket is empty when its key comes.
fn refuse(criterion: &mut Criterion) {
    let mut known = Known {
        criterion,
        name: "refuse",
        keys: 1_000,
        visits: &both(1_000),
        admits: false,
        spends: false,
        samples: 16,
    };
    for_each_limiter(KeyLimit::ONCE, 1_000, &mut known);
    known.visit("governor keyed, hint read", || {
        GovernorHintRead(governor_keyed(KeyLimit::ONCE))
    });
}

/// New keys from each thread to a new table.
const NEW_KEYS: usize = 1 << 17;

/// A group of rows with new keys.
struct New<'a> {
    criterion: &'a mut Criterion,
    name: &'a str,
    /// Another part for each thread.
    keys: &'a [String],
}

impl KeyedVisitor<String> for New<'_> {
    fn visit<G: KeyedGate<String>>(&mut self, name: &str, make: impl Fn() -> G) {
        let mut group = self.criterion.benchmark_group(self.name);
        group
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(800))
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .nresamples(20_000);
        for threads in thread_counts() {
            let insert = |calls: u64| {
                let mut time = Duration::ZERO;
                // Includes the growth of the table, but not its creation and drop.
                for done in (0..calls).step_by(NEW_KEYS) {
                    let calls = (calls - done).min(NEW_KEYS as u64) as usize;
                    let gate = make();
                    let (taken, seen) = on_threads(threads, |thread| {
                        let keys = self.keys[thread * NEW_KEYS..][..calls].iter();
                        keys.filter(|key| gate.admit(key)).count()
                    });
                    assert_eq!(seen.into_iter().sum::<usize>(), calls * threads);
                    time += taken;
                }
                time
            };
            let id = BenchmarkId::new(name, format!("threads={threads}"));
            group.bench_function(id, |bencher| bencher.iter_custom(insert));
        }
        group.finish();
    }
}

fn insert(criterion: &mut Criterion) {
    let threads = thread_counts().into_iter().max().unwrap_or(1);
    let keys: Vec<String> = (0..(threads * NEW_KEYS) as u64).map(name).collect();
    let mut new = New {
        criterion,
        name: "insert",
        keys: &keys,
    };
    new.visit("keys alone", || KeysAlone);
    for_each_limiter(KeyLimit::PLENTY, keys.len(), &mut new);
    // Each key is unused when the next one comes, so the tables evict keys all the time.
    new.name = "insert, unused at once";
    new.visit("tidegate Keyed", || keyed(KeyLimit::FAST));
    new.visit("tidegate FixedKeyed", || fixed(KeyLimit::FAST, 1_000));
}

criterion_group!(many_keys, hit, hit_full, refuse, insert);
criterion_main!(many_keys);
