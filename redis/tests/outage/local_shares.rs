//! Local shares of several processes admit at most one capacity beyond the bound.

use core::time::Duration;
use std::thread::sleep;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, LimiterOptions, RedisTokenBucket};

use super::policies::LOCAL;
use super::{Fault, TIMEOUT, store};
use crate::support::admission::{Admission, now_ns};
use crate::support::bound::Bound;
use crate::support::load::Target;
use crate::support::server::ServerOptions;
use crate::support::wait::until;
use crate::support::workers::{Worker, Workers, this_worker};

const fn quota() -> Quota {
    Quota::per_second(400).burst(100)
}

/// Calls the bucket until the worker should stop. Every other worker uses a lease.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn work(worker: &Worker) {
    let store = store(&*worker.arguments[0]);
    let options = LimiterOptions::new().on_failure(LOCAL);
    let bucket = RedisTokenBucket::with_options(&store, "bucket", quota(), options).unwrap();
    worker.wait_for_others();
    let target = if worker.number.is_multiple_of(2) {
        let options = LeaseOptions::new().ttl(Duration::from_millis(300));
        Target::Leased(bucket.lease(options).await)
    } else {
        Target::Bucket(bucket)
    };
    while !worker.should_stop() {
        let start_ns = now_ns();
        match target.try_acquire(1).await {
            Ok(()) => worker.report(Admission::since(start_ns, 1)),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
        worker.note(target.stats().local_admitted);
    }
}

/// How many permits each worker has admitted without the server.
fn local_admitted(workers: &Workers) -> Vec<u64> {
    let notes = workers.notes();
    notes.iter().map(|note| note.parse().unwrap_or(0)).collect()
}

#[test]
fn local_shares_of_four_processes_add_at_most_one_capacity() {
    let test = "local_shares::local_shares_of_four_processes_add_at_most_one_capacity";
    if let Some(worker) = this_worker(test) {
        work(&worker);
        return;
    }
    for options in ServerOptions::each_kind() {
        let mut server = options.tcp().durable().start();
        let mut workers = Workers::start(test, 4, &[&server.url()]);
        for fault in [Fault::Pause, Fault::Kill, Fault::Pause] {
            workers.wait_for_progress();
            let before = local_admitted(&workers);
            fault.begin(&mut server);
            until("local admissions in each process", || {
                let now = local_admitted(&workers);
                now.iter().zip(&before).all(|(now, before)| now > before)
            });
            sleep(TIMEOUT);
            fault.end(&mut server);
        }
        workers.wait_for_progress();
        workers.stop();
        let admissions = workers.finish();
        let bound = Bound::new(quota()).with_capacity_times(2);
        eprintln!(
            "{} admissions; {}",
            admissions.len(),
            bound.excess(&admissions)
        );
        bound.assert_within(&admissions);
    }
}
