//! What a layer adds to a request, beside tower_governor's: to one that is admitted, and to one that is refused.
//!
//! Times are per request and thread, with a request made and a service cloned for each: what "no layer" takes is in every row.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidegate::DefaultClock;
use tidegate_compare::layers::{Answer, Served, Visitor, for_each_service, peer, request};
use tidegate_compare::{on_threads, thread_counts};

/// A group of rows: all requests are admitted, or all are refused.
struct Rows<'a> {
    criterion: &'a mut Criterion,
    admits: bool,
}

impl Visitor for Rows<'_> {
    fn visit(&mut self, name: &str, service: &dyn Served) {
        if !self.admits {
            for client in 0..1_000 {
                while service.admits(request(peer(client))) {}
            }
        }
        let title = if self.admits { "admit" } else { "refuse" };
        let mut group = self.criterion.benchmark_group(title);
        group
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(800))
            .sample_size(20)
            .nresamples(20_000);
        for threads in thread_counts() {
            group.bench_function(
                BenchmarkId::new(name, format!("threads={threads}")),
                |bencher| {
                    bencher.iter_custom(|calls| run(service, threads, calls, self.admits));
                },
            );
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
    assert_eq!(seen, calls * threads as u64);
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
