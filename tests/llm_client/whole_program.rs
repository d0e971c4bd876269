//! The example as a program.

use crate::program::Program;

#[test]
fn program_is_refused_only_where_it_should_be() {
    let finished = Program::start("llm_client", &[]).finish();
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(finished.stderr, "");

    let row = |name: &str| -> [u64; 2] {
        let start = format!("{name:<30}");
        let mut rows = finished.stdout.lines();
        let row = rows.find_map(|line| line.strip_prefix(&start));
        let cells = row.expect(&finished.stdout).split_whitespace();
        let numbers = cells.take(2).map(|cell| cell.parse().unwrap());
        numbers.collect::<Vec<_>>().try_into().unwrap()
    };
    let prompts = 60;
    let [answered, refused] = row("unpaced");
    assert!(refused > 0, "{}", finished.stdout);
    assert_eq!(answered + refused, prompts);
    assert_eq!(row("paced"), [prompts, 0]);
    let [answered, refused] = row("paced, account drained once");
    assert_eq!(answered, prompts);
    assert!(refused > 0, "{}", finished.stdout);
    // The table fits a terminal of 80 columns.
    let mut lines = finished.stdout.lines();
    assert!(lines.all(|line| line.len() <= 80), "{}", finished.stdout);
}
