//! Single changes of the scripts, each of which a test must detect.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::script_harness::Scripts;

/// Runs `detects` with the unchanged scripts, then with each mutant.
///
/// `mutants` has one paragraph per mutant: `# ` and its name, `-` and each line of text to replace,
/// `+` and each line of its replacement. `detects` gets new random values with each call. It must
/// detect each mutant within 3,000 calls, and must detect nothing in `sound` calls of the unchanged
/// scripts.
pub(crate) fn assert_all_detected(
    mutants: &str,
    sound: u32,
    mut detects: impl FnMut(&mut Scripts, &mut TestRunner) -> bool,
) {
    let mut detected_after = |scripts: &mut Scripts, most: u32| {
        let mut runner = TestRunner::deterministic();
        (1..=most).find(|_| detects(scripts, &mut runner))
    };
    let mut scripts = Scripts::start();
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
pub(crate) fn sample<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}
