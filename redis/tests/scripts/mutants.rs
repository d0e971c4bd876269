//! Single changes of the scripts, each of which a property test must detect.
//!
//! A file has one paragraph per mutant: `# ` and its name, `-` and each line of text to replace,
//! `+` and each line of its replacement.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::api_protocol::live_shared::{check_shared_changes, shared_changes};
use crate::api_protocol::runner::ApiScript;
use crate::arithmetic::action::cases;
use crate::arithmetic::comparison::agrees_with_exact_fractions;
use crate::arithmetic::quota_changes::{any_quotas, check_changes, common_quotas};
use crate::arithmetic::quotas::all_quotas;
use crate::lease_protocol::fairness::{check_contention, contentions};
use crate::lease_protocol::histories::histories;
use crate::lease_protocol::returned_grants::{check_returned, returned_grants};
use crate::lease_protocol::simulation::check_history;
use crate::lease_protocol::times_to_live::{
    check_steps, check_times_to_live, steps, times_to_live,
};
use crate::live_quotas::live_changes::{
    check_live_changes, check_lost_changed_bucket, live_changes,
};
use crate::live_quotas::live_leases::{check_live_leases, live_leases};
use crate::script_harness::Scripts;
use crate::semaphore::histories::{check_semaphore_history, semaphore_histories};
use crate::semaphore::scenes::{check_dead_node, check_lost_data, check_records, check_refusals};
use crate::semaphore::turns::{check_turns, polls};
use crate::windows::cases::cases as window_cases;
use crate::windows::comparison::agrees_with_exact_windows;
use crate::windows::lengths::{check_length_changes, length_changes};
use crate::windows::undo::{check_undos, undos};

/// Scripts that can be changed.
trait Mutable {
    fn start() -> Self;
    fn mutate(&mut self, change: [&str; 2]);
}

impl Mutable for Scripts {
    fn start() -> Self {
        Self::start()
    }

    fn mutate(&mut self, change: [&str; 2]) {
        self.mutate(change);
    }
}

impl Mutable for ApiScript {
    fn start() -> Self {
        Self::start()
    }

    fn mutate(&mut self, change: [&str; 2]) {
        self.mutate(change);
    }
}

/// Runs `detects` with the unchanged scripts, then with each mutant.
///
/// `detects` gets new random values with each call. It must detect each mutant within 3,000 calls,
/// and must detect nothing in `sound` calls of the unchanged scripts.
fn assert_all_detected<S: Mutable>(
    mutants: &str,
    sound: u32,
    mut detects: impl FnMut(&mut S, &mut TestRunner) -> bool,
) {
    let mut detected_after = |scripts: &mut S, most: u32| {
        let mut runner = TestRunner::deterministic();
        (1..=most).find(|_| detects(scripts, &mut runner))
    };
    let mut scripts = S::start();
    let detected = detected_after(&mut scripts, sound);
    assert_eq!(detected, None, "the unchanged scripts are sound");
    let mut missed = Vec::new();
    for mutant in mutants.split("\n\n") {
        let name = lines(mutant, "# ");
        scripts.mutate([&lines(mutant, "-"), &lines(mutant, "+")]);
        match detected_after(&mut scripts, 3_000) {
            Some(calls) => eprintln!("{calls:5}: {name}"),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not detected: {missed:#?}");
}

fn lines(mutant: &str, prefix: &str) -> String {
    let lines = mutant.lines().filter_map(|line| line.strip_prefix(prefix));
    lines.collect::<Vec<_>>().join("\n")
}

/// Draws one value.
fn sample<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

#[test]
fn arithmetic_tests_detect_each_mutant() {
    let (any, common) = (any_quotas(), common_quotas());
    let cases = cases(all_quotas().boxed(), true, u64::MAX);
    assert_all_detected(
        include_str!("mutants/take.txt"),
        200,
        |scripts: &mut Scripts, runner| {
            agrees_with_exact_fractions(scripts, &sample(&cases, runner)).is_err()
                || check_changes(scripts, &sample(&any, runner), false).is_err()
                || check_changes(scripts, &sample(&common, runner), true).is_err()
        },
    );
}

#[test]
fn window_tests_detect_each_mutant() {
    let (cases, changes, undos) = (window_cases(), length_changes(), undos());
    assert_all_detected(
        include_str!("mutants/window.txt"),
        200,
        |scripts, runner| {
            agrees_with_exact_windows(scripts, &sample(&cases, runner)).is_err()
                || check_length_changes(scripts, &sample(&changes, runner)).is_err()
                || check_undos(scripts, &sample(&undos, runner)).is_err()
        },
    );
}

#[test]
fn semaphore_tests_detect_each_mutant() {
    let (histories, polls) = (semaphore_histories(), polls());
    let mutants = include_str!("mutants/semaphore.txt");
    assert_all_detected(mutants, 200, |scripts, runner| {
        check_semaphore_history(scripts, &sample(&histories, runner)).is_err()
            || check_dead_node(scripts).is_err()
            || check_lost_data(scripts).is_err()
            || check_records(scripts).is_err()
            || check_refusals(scripts).is_err()
            || check_turns(scripts, &sample(&polls, runner)).is_err()
    });
}

#[test]
fn lease_protocol_tests_detect_each_mutant() {
    let (histories, grants) = (histories(), returned_grants());
    let (ttls, steps) = (times_to_live(), steps());
    assert_all_detected(
        include_str!("mutants/lease.txt"),
        300,
        |scripts: &mut Scripts, runner| {
            check_history(scripts, &sample(&histories, runner)).is_err()
                || check_returned(scripts, &sample(&grants, runner)).is_err()
                || check_times_to_live(scripts, &sample(&ttls, runner)).is_err()
                || check_steps(scripts, &sample(&steps, runner)).is_err()
        },
    );
}

#[test]
fn fairness_tests_detect_each_mutant() {
    let contentions = contentions();
    assert_all_detected(
        include_str!("mutants/turns.txt"),
        50,
        |scripts: &mut Scripts, runner| {
            check_contention(scripts, &sample(&contentions, runner)).is_err()
        },
    );
}

#[test]
fn tests_of_shared_quotas_detect_each_mutant() {
    let histories = shared_changes();
    let mutants = include_str!("mutants/shared.txt");
    assert_all_detected(mutants, 100, |script: &mut ApiScript, runner| {
        check_shared_changes(script, &sample(&histories, runner)).is_err()
    });
}

/// What responses tell is read with the feature `http`.
#[cfg(feature = "http")]
#[test]
fn api_protocol_tests_detect_each_mutant() {
    use crate::api_protocol::lost_messages::{check_lossy, lossy_histories};
    use crate::api_protocol::same_as_one_process::{check_same, shared_histories};

    let (lossy, shared) = (lossy_histories(), shared_histories());
    let mutants = include_str!("mutants/api.txt");
    assert_all_detected(mutants, 100, |script: &mut ApiScript, runner| {
        check_lossy(script, &sample(&lossy, runner)).is_err()
            || check_same(script, &sample(&shared, runner)).is_err()
    });
}

#[test]
fn tests_of_live_quotas_detect_each_mutant() {
    let (changes, leases) = (live_changes(), live_leases());
    assert_all_detected(include_str!("mutants/live.txt"), 200, |scripts, runner| {
        check_live_changes(scripts, &sample(&changes, runner)).is_err()
            || check_live_leases(scripts, &sample(&leases, runner)).is_err()
            || check_lost_changed_bucket(scripts).is_err()
    });
}
