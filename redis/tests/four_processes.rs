//! Four processes share one limit and keep its bound, whatever happens to them and to the server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

mod support;

use core::time::Duration;
use std::thread::{self, sleep};

use tidegate::Quota;
use tidegate_redis::{
    LeaseOptions, LeasedTokenBucket, LimiterOptions, RedisStore, RedisTokenBucket,
};

use support::admission::{Admission, now_ns};
use support::bound::Bound;
use support::server::{Server, ServerOptions};
use support::wait::until;
use support::workers::{Worker, Workers, this_worker};

const PROCESSES: usize = 4;
const CAPACITY: u64 = 200;
const TIMEOUT: Duration = Duration::from_millis(60);
/// Longer than the bucket's refill time. So permits held in addition to a full bucket would show.
const TTL: Duration = Duration::from_millis(800);
/// This worker also calls the server directly.
const DIRECT: usize = 0;
/// This worker takes a lease while the others rest, and spends it together with them.
const HOARDER: usize = 2;
/// This worker takes one as well, and spends it just before it ends.
const LATE_HOARDER: usize = 3;

const fn quota() -> Quota {
    Quota::per_second(400).burst(CAPACITY)
}

/// The rhythm of all processes, by their common clock: rest while the bucket refills, then spend.
mod beat {
    use super::{Duration, now_ns, sleep};

    /// Hoarders take their leases before this point of each beat.
    pub(crate) const HOARD_END: Duration = Duration::from_millis(450);
    /// All processes spend from this point on.
    pub(crate) const SPEND_START: Duration = Duration::from_millis(700);
    const LENGTH: Duration = Duration::from_millis(1_500);

    pub(crate) fn at() -> Duration {
        Duration::from_nanos(now_ns() % u64::try_from(LENGTH.as_nanos()).unwrap())
    }

    /// The time until a beat next reaches the point.
    pub(crate) fn until_next(point: Duration) -> Duration {
        let at = at();
        let next = if at < point { point } else { LENGTH + point };
        next.saturating_sub(at)
    }

    pub(crate) fn wait_for(point: Duration) {
        sleep(until_next(point));
    }
}

/// A worker process. Its arguments are the server's address, and whether buckets start full or
/// empty.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn work(worker: &Worker) {
    let store = RedisStore::builder()
        .timeout(TIMEOUT)
        .probe_interval(Duration::from_millis(20))
        .connect(worker.arguments[0].as_str())
        .unwrap();
    let options = match worker.arguments[1].as_str() {
        "empty" => LimiterOptions::new().start_empty(TTL),
        _ => LimiterOptions::new(),
    };
    let bucket = || RedisTokenBucket::with_options(&store, "shared", quota(), options).unwrap();
    let leased = bucket().lease(LeaseOptions::new().ttl(TTL)).await;
    let direct = bucket();
    let runtime = tokio::runtime::Handle::current();
    worker.wait_for_others();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| spend(worker, &leased));
        }
        if worker.number == DIRECT {
            // On threads of their own, since this one waits for them.
            scope.spawn(|| runtime.block_on(call_directly(worker, &direct)));
            scope.spawn(|| runtime.block_on(call_directly(worker, &direct)));
        }
    });
}

/// Spends the lease as fast as it is refilled, in each beat's second part.
fn spend(worker: &Worker, leased: &LeasedTokenBucket) {
    let hoards = [HOARDER, LATE_HOARDER].contains(&worker.number);
    while !worker.should_stop() {
        if hoards && beat::at() < beat::HOARD_END {
            hoard(worker, leased);
        } else if beat::at() < beat::SPEND_START {
            beat::wait_for(beat::SPEND_START);
        } else {
            try_once(worker, leased, fastrand::u64(1..=3));
        }
    }
}

fn try_once(worker: &Worker, leased: &LeasedTokenBucket, permits: u64) {
    let start_ns = now_ns();
    if leased.try_acquire(permits).is_ok() {
        worker.report(Admission::since(start_ns, permits));
    } else {
        sleep(Duration::from_millis(1));
    }
}

fn hoard(worker: &Worker, leased: &LeasedTokenBucket) {
    let is_late = worker.number == LATE_HOARDER;
    let hoard = CAPACITY / if is_late { 2 } else { 4 };
    while leased.held() < hoard {
        if beat::at() >= beat::HOARD_END {
            return;
        }
        // This call fails, but it makes the node request the permits.
        try_once(worker, leased, hoard);
    }
    worker.note(now_ns());
    if is_late {
        // An unused lease would be returned.
        try_once(worker, leased, 1);
        sleep(TTL * 19 / 20);
    } else {
        beat::wait_for(beat::SPEND_START);
    }
}

/// Takes from the server what the leases leave there.
async fn call_directly(worker: &Worker, direct: &RedisTokenBucket) {
    while !worker.should_stop() {
        if beat::at() < beat::SPEND_START {
            tokio::time::sleep(beat::until_next(beat::SPEND_START)).await;
        }
        let permits = fastrand::u64(1..=3);
        let start_ns = now_ns();
        match direct.try_acquire(permits).await {
            Ok(_) => worker.report(Admission::since(start_ns, permits)),
            Err(error) => {
                let wait = error.retry_after().expect("not denied forever");
                tokio::time::sleep(wait.min(Duration::from_millis(10))).await;
            }
        }
    }
}

/// One run of four processes and their server.
struct Run {
    server: Server,
    workers: Workers,
}

impl Run {
    fn start(test: &str, server: ServerOptions, starts: &str) -> Self {
        let server = server.start();
        let workers = Workers::start(test, PROCESSES, &[&server.url(), starts]);
        workers.wait_for_progress();
        Self { server, workers }
    }

    fn stall_briefly(&self) {
        self.server.pause();
        sleep(3 * TIMEOUT);
        self.server.resume();
        self.workers.wait_for_progress();
    }

    /// Stalls the server until just after the end of a lease that was spent at its last moment. By
    /// then the other workers wait for permits.
    fn stall_for_a_lease(&self) {
        beat::wait_for(beat::HOARD_END);
        self.server.pause();
        let length = TTL + Duration::from_millis(10);
        let end = self.last_hoard_ns().unwrap_or(0) + u64::try_from(length.as_nanos()).unwrap();
        // Without a lease, the stall is as long as one.
        let left = end.checked_sub(now_ns());
        sleep(left.map_or(length, Duration::from_nanos));
        self.server.resume();
        self.workers.wait_for_progress();
    }

    /// When the late hoarder last took its lease.
    fn last_hoard_ns(&self) -> Option<u64> {
        self.workers.notes()[LATE_HOARDER].parse().ok()
    }

    /// Restarts the server while there are leases, which go on.
    fn restart(&mut self) {
        beat::wait_for(beat::HOARD_END);
        self.server.restart();
        self.workers.wait_for_progress();
    }

    /// Returns the number of restarts.
    fn cause_all_faults(&mut self) -> u64 {
        self.stall_briefly();
        self.stall_for_a_lease();
        self.restart();
        self.stall_for_a_lease();
        self.restart();
        2
    }

    /// Checks the bound, with one more capacity for each time that the server lost its data.
    fn check_bound(mut self, losses: u64) {
        self.workers.wait_for_progress();
        // More than the first burst, so that the refill counts as well.
        until("admissions of two capacities", || {
            let all = self.workers.admissions();
            let permits: u64 = all.iter().map(|admission| admission.permits).sum();
            permits > 2 * CAPACITY
        });
        self.workers.stop();
        let admissions = self.workers.finish();
        let bound = Bound::new(quota()).with_capacity_times(1 + losses);
        eprintln!(
            "{} admissions; {}",
            admissions.len(),
            bound.excess(&admissions)
        );
        bound.assert_within(&admissions);
    }
}

/// Runs the test, or one of its worker processes.
///
/// Tests all kinds of servers at once, since a run mostly waits.
fn on_each_kind(test: &str, run: impl Fn(ServerOptions) + Sync) {
    if let Some(worker) = this_worker(test) {
        work(&worker);
        return;
    }
    let run = &run;
    thread::scope(|scope| {
        for options in ServerOptions::each_kind() {
            scope.spawn(move || run(options));
        }
    });
}

#[test]
fn durable_server_keeps_the_bound_through_stalls_and_restarts() {
    let test = "durable_server_keeps_the_bound_through_stalls_and_restarts";
    on_each_kind(test, |options| {
        let mut run = Run::start(test, options.tcp().durable(), "full");
        run.cause_all_faults();
        run.check_bound(0);
    });
}

#[test]
fn forgetful_server_keeps_the_bound_if_buckets_start_empty() {
    let test = "forgetful_server_keeps_the_bound_if_buckets_start_empty";
    on_each_kind(test, |options| {
        let mut run = Run::start(test, options.tcp(), "empty");
        run.cause_all_faults();
        run.check_bound(0);
    });
}

#[test]
fn each_loss_of_data_costs_at_most_one_capacity() {
    let test = "each_loss_of_data_costs_at_most_one_capacity";
    on_each_kind(test, |options| {
        let mut run = Run::start(test, options, "full");
        let restarts = run.cause_all_faults();
        run.check_bound(restarts);
    });
}

#[test]
fn killed_process_loses_only_its_lease() {
    let test = "killed_process_loses_only_its_lease";
    on_each_kind(test, |options| {
        let mut run = Run::start(test, options.tcp().durable(), "full");
        let from = now_ns();
        until("a process that holds a lease", || {
            run.last_hoard_ns().is_some_and(|taken| taken > from)
        });
        run.workers.kill(LATE_HOARDER);
        run.workers.wait_for_progress();
        // The lease ends during the stall, when no process can ask the server.
        run.stall_for_a_lease();
        run.restart();
        run.check_bound(0);
    });
}

#[test]
fn processes_suspended_for_longer_than_a_lease_keep_the_bound() {
    let test = "processes_suspended_for_longer_than_a_lease_keep_the_bound";
    on_each_kind(test, |options| {
        let mut run = Run::start(test, options.durable(), "full");
        for suspended in [vec![1, 2], vec![2, 3], vec![0, 1, 2, 3], vec![3]] {
            beat::wait_for(beat::HOARD_END);
            for &number in &suspended {
                run.workers.pause(number);
            }
            // Until the other processes have rested once more.
            beat::wait_for(beat::SPEND_START);
            beat::wait_for(beat::SPEND_START);
            for &number in &suspended {
                run.workers.resume(number);
            }
            run.workers.wait_for_progress();
        }
        run.restart();
        run.check_bound(0);
    });
}
