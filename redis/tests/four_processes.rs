//! Four processes that hammer one limit, whatever happens to the server and to them, are never admitted more than it allows.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "servers and processes live in real time, and have no clock that a test could turn"
)]

mod support;

use core::time::Duration;
use std::thread::{self, sleep};

use tidegate::Quota;
use tidegate_redis::{
    LeaseOptions, LeasedTokenBucket, LimiterOptions, RedisStore, RedisTokenBucket,
};

use support::admissions::{Admission, now_ns};
use support::bound::Bound;
use support::kinds::Kind;
use support::processes::{self, Child, Children};
use support::servers::{self, Server};
use support::until::until;

const PROCESSES: usize = 4;
const CAPACITY: u64 = 200;
const TIMEOUT: Duration = Duration::from_millis(60);
/// Longer than the bucket takes to fill up, so that what is held beside a full bucket would show.
const LASTS: Duration = Duration::from_millis(800);
/// The child that calls the server directly, too.
const DIRECT: usize = 0;
/// Takes a lease while the others rest, and spends it with them.
const HOARDER: usize = 2;
/// Takes one too, and spends it just before it ends.
const LATE_HOARDER: usize = 3;

const fn quota() -> Quota {
    Quota::per_second(400).burst(CAPACITY)
}

/// What all processes do together, by the clock that they share: rest while the bucket fills up, and spend.
mod beat {
    use super::{Duration, now_ns, sleep};

    pub(crate) const HOARDED: Duration = Duration::from_millis(450);
    pub(crate) const LIVELY: Duration = Duration::from_millis(700);
    const LONG: Duration = Duration::from_millis(1_500);

    pub(crate) fn at() -> Duration {
        Duration::from_nanos(now_ns() % u64::try_from(LONG.as_nanos()).unwrap())
    }

    /// How long until the next beat is at that point.
    pub(crate) fn until_next(point: Duration) -> Duration {
        let at = at();
        if at < point {
            point.saturating_sub(at)
        } else {
            (LONG + point).saturating_sub(at)
        }
    }

    pub(crate) fn wait_for(point: Duration) {
        sleep(until_next(point));
    }
}

/// A client process, until it is told to end. Its arguments: where the server is, and whether buckets start full or empty.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn hammer(child: &Child) {
    let store = RedisStore::builder()
        .timeout(TIMEOUT)
        .probe_interval(Duration::from_millis(20))
        .connect(child.arguments[0].as_str())
        .unwrap();
    let options = match child.arguments[1].as_str() {
        "empty" => LimiterOptions::new().start_empty(LASTS),
        _ => LimiterOptions::new(),
    };
    let bucket = || RedisTokenBucket::with_options(&store, "hammered", quota(), options).unwrap();
    let leased = bucket().lease(LeaseOptions::new().ttl(LASTS));
    let direct = bucket();
    let runtime = tokio::runtime::Handle::current();
    child.meet("start");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| spend(child, &leased));
        }
        if child.number == DIRECT {
            // Beside the runtime's threads, since this one waits for the spenders.
            scope.spawn(|| runtime.block_on(call(child, &direct)));
            scope.spawn(|| runtime.block_on(call(child, &direct)));
        }
    });
}

/// Spends what this process holds as fast as it gets it, once all do.
fn spend(child: &Child, leased: &LeasedTokenBucket) {
    let hoards = [HOARDER, LATE_HOARDER].contains(&child.number);
    while !child.should_end() {
        if hoards && beat::at() < beat::HOARDED {
            hoard(child, leased);
        } else if beat::at() < beat::LIVELY {
            beat::wait_for(beat::LIVELY);
        } else {
            try_once(child, leased, fastrand::u64(1..=3));
        }
    }
}

fn try_once(child: &Child, leased: &LeasedTokenBucket, permits: u64) {
    match Admission::around(permits, || leased.try_acquire(permits).is_ok()) {
        Some(admission) => child.admitted(admission),
        None => sleep(Duration::from_millis(1)),
    }
}

fn hoard(child: &Child, leased: &LeasedTokenBucket) {
    let is_late = child.number == LATE_HOARDER;
    let hoard = CAPACITY / if is_late { 2 } else { 4 };
    while leased.held() < hoard {
        if beat::at() >= beat::HOARDED {
            return;
        }
        // In vain, but then it is asked for.
        try_once(child, leased, hoard);
    }
    child.tell(now_ns());
    if is_late {
        // Or it would be given back as not needed.
        try_once(child, leased, 1);
        sleep(LASTS * 19 / 20);
    } else {
        beat::wait_for(beat::LIVELY);
    }
}

/// Takes from the server what the leases leave there.
async fn call(child: &Child, direct: &RedisTokenBucket) {
    while !child.should_end() {
        if beat::at() < beat::LIVELY {
            tokio::time::sleep(beat::until_next(beat::LIVELY)).await;
        }
        let permits = fastrand::u64(1..=3);
        let start_ns = now_ns();
        let result = direct.try_acquire(permits).await;
        let end_ns = now_ns();
        match result {
            Ok(_) => child.admitted(Admission {
                start_ns,
                end_ns,
                permits,
            }),
            Err(error) => {
                let wait = error.retry_after().expect("a wait helps");
                tokio::time::sleep(wait.min(Duration::from_millis(10))).await;
            }
        }
    }
}

/// One run: four processes and their server.
struct Run {
    server: Server,
    children: Children,
    alive: Vec<usize>,
}

impl Run {
    fn start(test: &str, server: servers::Options, starts: &str) -> Self {
        let server = Server::start(server);
        let children = Children::start(test, PROCESSES, &[&server.url(), starts]);
        let run = Self {
            server,
            children,
            alive: (0..PROCESSES).collect(),
        };
        run.goes_on();
        run
    }

    /// Returns when each process has been admitted to something from now on.
    fn goes_on(&self) {
        let from = now_ns();
        for &number in &self.alive {
            until("an admission in each process", || {
                let last = self.children.last_admission(number);
                last.is_some_and(|last| last.start_ns >= from).then_some(())
            });
        }
    }

    fn stall_for_a_moment(&self) {
        self.server.pause();
        sleep(3 * TIMEOUT);
        self.server.resume();
        self.goes_on();
    }

    /// Stalls the server until a moment after a lease has ended that was spent at the last moment, while the others cannot wait to spend.
    fn stall_for_a_lease(&self) {
        beat::wait_for(beat::HOARDED);
        self.server.pause();
        let long = LASTS + Duration::from_millis(10);
        let since = self.hoarded_at().unwrap_or(0);
        let end = since.saturating_add(u64::try_from(long.as_nanos()).unwrap());
        // Should it hold none, as long as a lease.
        let left = end.checked_sub(now_ns());
        sleep(left.map_or(long, Duration::from_nanos));
        self.server.resume();
        self.goes_on();
    }

    /// When it had its last hoard.
    fn hoarded_at(&self) -> Option<u64> {
        self.children.told()[LATE_HOARDER].parse().ok()
    }

    /// While there are leases, which go on.
    fn kill_and_restart(&mut self) {
        beat::wait_for(beat::HOARDED);
        self.server.restart();
        self.goes_on();
    }

    /// How often the server was killed.
    fn all_faults(&mut self) -> u64 {
        self.stall_for_a_moment();
        self.stall_for_a_lease();
        self.kill_and_restart();
        self.stall_for_a_lease();
        self.kill_and_restart();
        2
    }

    /// Fails if they were ever admitted more than a capacity, for each time that the server forgot one more, and what flowed in.
    fn judge(self, forgotten: u64) {
        self.goes_on();
        // More than the first burst, so that it was about what flows in.
        until("two capacities", || {
            let all = self.children.admissions_so_far();
            let permits: u64 = all.iter().map(|admission| admission.permits).sum();
            (permits > 2 * CAPACITY).then_some(())
        });
        self.children.end();
        let admissions = self.children.admissions();
        let bound = Bound {
            capacity: CAPACITY * (1 + forgotten),
            ..Bound::new(quota())
        };
        eprintln!(
            "{} admissions; {}",
            admissions.len(),
            bound.excess(&admissions)
        );
        bound.assert_within(&admissions);
    }
}

/// The test itself, or one of its processes. All kinds at once, since most of it is waiting.
fn on_each_kind(test: &str, run: impl Fn(Kind) + Sync) {
    if let Some(child) = processes::child(test) {
        hammer(&child);
        return;
    }
    let run = &run;
    thread::scope(|scope| {
        for kind in Kind::available() {
            scope.spawn(move || run(kind));
        }
    });
}

#[test]
fn a_server_that_remembers_keeps_the_bound_through_stalls_and_kills() {
    let test = "a_server_that_remembers_keeps_the_bound_through_stalls_and_kills";
    on_each_kind(test, |kind| {
        let options = servers::Options::new(kind).tcp(0).durable();
        let mut run = Run::start(test, options, "full");
        run.all_faults();
        run.judge(0);
    });
}

#[test]
fn a_server_that_forgets_keeps_the_bound_if_buckets_start_empty() {
    let test = "a_server_that_forgets_keeps_the_bound_if_buckets_start_empty";
    on_each_kind(test, |kind| {
        let mut run = Run::start(test, servers::Options::new(kind).tcp(0), "empty");
        run.all_faults();
        run.judge(0);
    });
}

#[test]
fn a_server_that_forgets_costs_a_capacity_each_time() {
    let test = "a_server_that_forgets_costs_a_capacity_each_time";
    on_each_kind(test, |kind| {
        let mut run = Run::start(test, servers::Options::new(kind), "full");
        let forgotten = run.all_faults();
        run.judge(forgotten);
    });
}

#[test]
fn a_process_that_is_killed_takes_nothing_but_its_lease_with_it() {
    let test = "a_process_that_is_killed_takes_nothing_but_its_lease_with_it";
    on_each_kind(test, |kind| {
        let mut run = Run::start(test, servers::Options::new(kind).tcp(0).durable(), "full");
        let victim = LATE_HOARDER;
        let from = now_ns();
        until("a process that holds a lease", || {
            (run.hoarded_at()? > from).then_some(())
        });
        run.children.kill(victim);
        run.alive.retain(|&number| number != victim);
        run.goes_on();
        // Its lease ends meanwhile, and while nobody is asked.
        run.stall_for_a_lease();
        run.kill_and_restart();
        run.judge(0);
    });
}

#[test]
fn processes_that_stand_still_for_longer_than_a_lease_keep_the_bound() {
    let test = "processes_that_stand_still_for_longer_than_a_lease_keep_the_bound";
    on_each_kind(test, |kind| {
        let mut run = Run::start(test, servers::Options::new(kind).durable(), "full");
        for stopped in [vec![1, 2], vec![2, 3], vec![0, 1, 2, 3], vec![3]] {
            beat::wait_for(beat::HOARDED);
            for &number in &stopped {
                run.children.pause(number);
            }
            // Until the others have rested once more.
            beat::wait_for(beat::LIVELY);
            beat::wait_for(beat::LIVELY);
            for &number in &stopped {
                run.children.resume(number);
            }
            run.goes_on();
        }
        run.kill_and_restart();
        run.judge(0);
    });
}
