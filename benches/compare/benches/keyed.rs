//! Limiters of many keys in one run: known keys, new keys and exhausted ones, with 1 thread and more.
//!
//! Times are per call and thread: wall time divided by the calls that each thread made. Keys are `String`s of 36 bytes, chosen
//! beforehand; "keys alone" is what it costs to fetch them, and in every row. Each outcome is counted, so that every row has
//! measured what it says.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::DefaultClock;
use tidegate_compare::keyed::{
    KeyedGate, KeysAlone, Limit, Visitor, Visits, fixed, for_each_limiter, keyed, name,
};
use tidegate_compare::{on_threads, thread_counts};

/// The time in which each thread makes `calls` calls, all with the same outcome. The first is call number `first` of its thread.
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
        let mut seen = 0_u64;
        for call in 0..calls as usize {
            let key = visits.key(start + call);
            seen += u64::from(black_box(gate).admit(black_box(key)) == admits);
        }
        seen
    });
    assert_eq!(seen, calls * threads as u64);
    time
}

/// A group of rows about keys that are known: they are admitted, or all of them are refused.
struct Known<'a> {
    criterion: &'a mut Criterion,
    name: &'a str,
    keys: usize,
    visits: &'a [(&'static str, Visits)],
    admits: bool,
    /// Per row.
    time: Duration,
}

impl Known<'_> {
    /// All rows of one limiter.
    fn measure(&mut self, name: &str, gate: &impl KeyedGate<String>) {
        for (distribution, visits) in self.visits {
            let keys = match self.keys {
                1 => "1 key".to_owned(),
                keys => format!("{keys} keys"),
            };
            let title = format!("{}, {keys}{distribution}", self.name);
            let mut group = self.criterion.benchmark_group(title);
            group
                .warm_up_time(self.time / 4)
                .measurement_time(self.time)
                .sample_size(20)
                .nresamples(20_000);
            for threads in thread_counts() {
                // Every sample goes on where the last one ended, or the short ones would only ever see the same few keys.
                let mut first = 0;
                group.bench_function(
                    BenchmarkId::new(name, format!("threads={threads}")),
                    |bencher| {
                        bencher.iter_custom(|calls| {
                            let time = run(gate, visits, threads, first, calls, self.admits);
                            first += calls;
                            time
                        });
                    },
                );
            }
            group.finish();
        }
    }
}

impl Visitor<String> for Known<'_> {
    fn visit<G: KeyedGate<String>>(&mut self, name: &str, make: impl Fn() -> G) {
        let gate = make();
        for number in 0..self.keys as u64 {
            let key = tidegate_compare::keyed::name(number);
            if self.admits {
                assert!(gate.spend(&key, Limit::HOUR));
            } else {
                while gate.admit(&key) {}
            }
        }
        self.measure(name, &gate);
    }
}

fn hit(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    // Those of 1 000 keys are in the cost budget.
    for (keys, millis) in [(1, 600), (1_000, 1_500), (1_000_000, 800)] {
        let mut visits = vec![("", Visits::uniform(keys))];
        if keys > 1 {
            visits[0].0 = ", uniform";
            visits.push((", zipf", Visits::zipf(keys)));
        }
        let mut known = Known {
            criterion,
            name: "hit",
            keys,
            visits: &visits,
            admits: true,
            time: Duration::from_millis(millis),
        };
        known.measure("keys alone", &KeysAlone);
        for_each_limiter(Limit::PLENTY, keys, &mut known);
    }
}

fn refuse(criterion: &mut Criterion) {
    let mut known = Known {
        criterion,
        name: "refuse",
        keys: 1_000,
        visits: &[(", uniform", Visits::uniform(1_000))],
        admits: false,
        time: Duration::from_millis(800),
    };
    for_each_limiter(Limit::ONCE, 1_000, &mut known);
}

/// So many keys, each of them new, come from each thread to a new table.
const NEW_KEYS: usize = 1 << 17;

/// A group of rows about new keys.
struct New<'a> {
    criterion: &'a mut Criterion,
    name: &'a str,
    /// For each thread another part.
    keys: &'a [String],
}

impl Visitor<String> for New<'_> {
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
                // Making a table and dropping it is not part of it, its growth is.
                for done in (0..calls).step_by(NEW_KEYS) {
                    let calls = (calls - done).min(NEW_KEYS as u64) as usize;
                    let gate = make();
                    let (taken, seen) = on_threads(threads, |thread| {
                        let mut seen = 0_u64;
                        for key in &self.keys[thread * NEW_KEYS..][..calls] {
                            seen += u64::from(black_box(&gate).admit(black_box(key)));
                        }
                        seen
                    });
                    assert_eq!(seen, (calls * threads) as u64);
                    time += taken;
                }
                time
            };
            group.bench_function(
                BenchmarkId::new(name, format!("threads={threads}")),
                |bencher| bencher.iter_custom(insert),
            );
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
    for_each_limiter(Limit::PLENTY, keys.len(), &mut new);
    // Where keys are unused as soon as the next one comes, so that they are dropped all the while.
    new.name = "insert, unused at once";
    new.visit("tidegate Keyed", || keyed(Limit::FAST));
    new.visit("tidegate FixedKeyed", || fixed(Limit::FAST, 1_000));
}

criterion_group!(many_keys, hit, refuse, insert);
criterion_main!(many_keys);
