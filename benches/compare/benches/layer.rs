//! Measures what a layer adds to an admitted and to a refused request, beside tower_governor's.
//!
//! Times are per request and thread. Each call makes a request and clones the service; every row
//! includes the time of "no layer".

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::DefaultClock;
use tidegate_compare::layers::{Answer, Served, ServiceVisitor, for_each_service, peer, request};
use tidegate_compare::{on_threads, thread_counts};

/// A group of rows whose requests are all admitted, or all refused.
struct Rows<'a> {
    criterion: &'a mut Criterion,
    admits: bool,
}

impl ServiceVisitor for Rows<'_> {
    fn visit(&mut self, name: &str, service: &dyn Served) {
        if !self.admits {
            for client in 0..1_000 {
                while service.admits(request(peer(client))) {}
            }
        }
        let title = if self.admits { "admit" } else { "refuse" };
        let mut group = self.criterion.benchmark_group(title);
        // Each sample takes 50 ms.
        group
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(1_000))
            .sample_size(20)
            .nresamples(20_000);
        for threads in thread_counts() {
            let id = BenchmarkId::new(name, format!("threads={threads}"));
            let run = |calls| run(service, threads, calls, self.admits);
            group.bench_function(id, |bencher| bencher.iter_custom(run));
        }
        group.finish();
    }
}

fn run(service: &dyn Served, threads: usize, calls: u64, admits: bool) -> Duration {
    let (time, seen) = on_threads(threads, |thread| {
        let mut seen = 0;
        for call in 0..calls {
            // Threads start with different clients, and a prime leads from one to the next.
            let client = peer(call * 7 + thread as u64 * 500);
            seen += u64::from(service.admits(black_box(request(client))) == admits);
        }
        seen
    });
    assert_eq!(seen.into_iter().sum::<u64>(), calls * threads as u64);
    time
}

fn layers(criterion: &mut Criterion) {
    DefaultClock::calibrate();
    let mut rows = Rows {
        criterion,
        admits: true,
    };
    rows.visit("no layer", &Answer);
    for_each_service(1, u32::MAX / 2, &mut rows);
    rows.admits = false;
    for_each_service(86_400, 1, &mut rows);
}

criterion_group!(benches, layers);
criterion_main!(benches);
