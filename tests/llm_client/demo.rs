//! The program.

use crate::program::Program;

fn start(arguments: &[&str]) -> Program {
    Program::start("llm_client", arguments)
}

#[test]
fn pacing_keeps_to_the_limits() {
    let demo = start(&[]).finish();
    assert!(demo.status.success(), "{demo:?}");

    let row = |name: &str| -> [u64; 6] {
        let starts = format!("{name:<14}");
        let mut rows = demo.stdout.lines();
        let row = rows.find_map(|line| line.strip_prefix(starts.as_str()));
        let cells = row.expect(&demo.stdout).split_whitespace();
        let numbers = cells.take(6).map(|cell| cell.parse().unwrap());
        numbers.collect::<Vec<_>>().try_into().unwrap()
    };
    let pieces = 160;

    let [sent, done, refused, fewest, most, unpaced_tokens] = row("unpaced");
    assert_eq!((sent, most), (pieces, pieces));
    assert_eq!(done, sent - refused);
    assert!(fewest <= refused, "{}", demo.stdout);

    let [sent, done, refused, _, most, tokens] = row("paced");
    assert_eq!((sent, done, refused, most), (pieces, pieces, 0, 0));
    assert!(unpaced_tokens <= tokens, "{}", demo.stdout);

    let [sent, done, refused, fewest, most, shared_tokens] = row("paced, shared");
    assert_eq!((done, fewest), (pieces, 2));
    assert_eq!(sent, done + refused);
    assert!((fewest..=most).contains(&refused), "{}", demo.stdout);
    // Two visits of the other tenant for each of 8 workers, and more only if the machine stalled.
    assert!(most >= 16, "{}", demo.stdout);
    assert_eq!(shared_tokens, tokens, "the same work");

    let verdicts = demo.stdout.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(verdicts.count(), 5, "{}", demo.stdout);
    // It fits a terminal of 80 columns.
    let mut lines = demo.stdout.lines();
    assert!(lines.all(|line| line.len() <= 80), "{}", demo.stdout);
}

#[test]
fn an_unknown_argument_is_told_and_fails() {
    for arguments in [
        ["--fast"].as_slice(),
        &["8"],
        &["--help=yes"],
        &["--help", "8"],
    ] {
        let client = start(arguments).finish();
        assert_eq!(client.status.code(), Some(2), "{arguments:?} {client:?}");
        let told = format!("unknown argument `{}`", arguments[arguments.len() - 1]);
        assert!(client.stderr.contains(&told), "{client:?}");
        assert_eq!(client.stdout, "");
    }
    let help = start(&["--help"]).finish();
    assert!(help.status.success(), "{help:?}");
    assert!(help.stdout.contains("Usage: llm_client"), "{help:?}");
}
