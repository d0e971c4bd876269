//! Worker processes report their admissions, and their failures fail the test.

use redis::Commands;
use tidegate::Quota;

use crate::support::admission::{Admission, now_ns, read_report, write_report};
use crate::support::bound::Bound;
use crate::support::server::ServerOptions;
use crate::support::wait::until;
use crate::support::workers::{Workers, this_worker};

#[test]
fn workers_report_their_admissions() {
    let test = "worker_checks::workers_report_their_admissions";
    if let Some(worker) = this_worker(test) {
        worker.wait_for_others();
        let client = redis::Client::open(worker.arguments[0].as_str()).unwrap();
        let mut connection = client.get_connection().unwrap();
        for _ in 0..5 {
            let start_ns = now_ns();
            if connection.incr::<_, _, u64>("taken", 1).unwrap() <= 12 {
                worker.report(Admission::since(start_ns, 1));
            }
        }
        worker.note(format_args!("{} of {}", worker.number, worker.count));
        return;
    }
    let server = ServerOptions::default().start();
    let mut workers = Workers::start(test, 4, &[&server.url()]);
    let admissions = workers.finish();
    assert_eq!(workers.notes(), ["0 of 4", "1 of 4", "2 of 4", "3 of 4"]);
    assert_eq!(server.query::<u64>(&["GET", "taken"]), 20);
    assert_eq!(admissions.len(), 12);
    Bound::new(Quota::per_day(12)).assert_within(&admissions);
    let lower = Bound::new(Quota::per_day(12).burst(11));
    assert_eq!(lower.excess(&admissions).permits_over, 1);
}

#[test]
fn reports_of_killed_workers_count() {
    let test = "worker_checks::reports_of_killed_workers_count";
    if let Some(worker) = this_worker(test) {
        worker.report(Admission::since(now_ns(), 3));
        until("the stop", || worker.should_stop());
        return;
    }
    let mut workers = Workers::start(test, 2, &[]);
    until("two reports", || workers.admissions().len() == 2);
    workers.kill(0);
    workers.stop();
    let permits = workers.finish().into_iter().map(|one| one.permits);
    assert_eq!(permits.sum::<u64>(), 6);
}

#[test]
#[should_panic(expected = "had nothing to do")]
fn wrong_test_name_fails_the_test() {
    Workers::start("no_such_test", 1, &[]).finish();
}

#[test]
#[should_panic(expected = "worker 0 failed")]
fn failed_worker_fails_the_test() {
    let test = "worker_checks::failed_worker_fails_the_test";
    if this_worker(test).is_some() {
        // A panic would satisfy `should_panic` in the worker.
        std::process::exit(3);
    }
    Workers::start(test, 1, &[]).finish();
}

#[test]
fn report_without_its_last_line_feed_loses_the_last_admission() {
    let ns = u64::MAX;
    let both = [Admission::at(1, 3), Admission::at(ns, ns)];
    let report = write_report(&both);
    assert_eq!(read_report(&report), both);
    assert_eq!(read_report(&report[..report.len() - 1]), both[..1]);
    assert!(
        "2 1 1".parse::<Admission>().is_err(),
        "ends before it starts"
    );
}
