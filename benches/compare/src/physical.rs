//! Compares each hot path with what it cannot avoid: a clock, an exchange of a word, the hash of a
//! key and a cache miss, measured together in the leanest form.
//!
//! `physical.sh` runs it, and describes the files that it writes.

mod floors;
mod list;

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

pub use list::{ROWS, Row};
use tidegate::DefaultClock;

use crate::on_threads;
use crate::slices::{Rows, Times, Visits};
use crate::suite::facts;
use crate::suite::report::{Report, number};

/// How long the measurements take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
    visits: Visits,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        visits: Visits {
            rounds: 100,
            warm: 10,
            kept: 10,
        },
    };

    pub const QUICK: Self = Self {
        quick: true,
        visits: Visits {
            rounds: 1,
            warm: 1,
            kept: 4,
        },
    };
}

/// Calls in a slice.
const CALLS: usize = 2_000;

/// The instructions of each row, which `physical.sh` counts before.
const INSTRUCTIONS: &str = "physical_instructions.txt";

const PARTS: &str = "What no exact limiter can avoid: reading the clock, exchanging a word (for a \
                    refusal, loading it), hashing the key, and finding its word among those of \
                    all keys. Each row is the leanest form that could be written, without the \
                    arithmetic of a limit. Rows of several parts have them in one function, so \
                    that they overlap as in a limiter. \"Key alone\" is part of each row with a \
                    key. An own word is one of several, of which each thread has its own. Each \
                    cache miss waits for the one before. All rows of both tables are timed in \
                    turns, in slices of 2 000 calls on one pinned thread. callgrind counts the \
                    instructions. Both include the loop and a call that is not inlined.";

const PATHS: &str = "Each path beside what it cannot avoid. What is above a ratio of 1 is what \
                    its promises cost: exact limits, the hint when to retry, comparing keys, all \
                    limits or none. It is the most that could be saved. ns are lower quartiles of \
                    the slices; medians are in `physical.csv`.";

/// Times every row, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let report = Report::new(folder, "physical.md")?;
    facts::write(&report, "The physical limit", effort.quick, command)?;
    let (_, mut times) = on_threads(1, |_| {
        let mut rows = Rows::new();
        for row in ROWS {
            rows.add_calls(row.name, CALLS, (row.make)());
        }
        rows.times(effort.visits)
    });
    let times = times.pop().expect("one thread");
    let counted = fs::read_to_string(folder.join(INSTRUCTIONS)).unwrap_or_default();
    let results = Results {
        instructions: counted.lines().filter_map(instructions).collect(),
        times: times.iter().map(|times| (times.name, times)).collect(),
    };

    let parts = ROWS.iter().filter(|row| row.floor.is_none());
    report.table(
        "physical_parts",
        "What cannot be avoided",
        PARTS,
        "part,instructions,lower_quartile_ns,median_ns",
        parts.map(|row| results.part(row.name)).collect(),
    )?;
    let paths = ROWS.iter().filter_map(|row| Some((row.name, row.floor?)));
    let paths: Vec<_> = paths
        .map(|(path, floor)| results.path(path, floor))
        .collect();
    report.csv(
        "physical",
        "path,unavoidable,instructions,unavoidable_instructions,instructions_ratio,\
         lower_quartile_ns,unavoidable_lower_quartile_ns,ns_ratio,median_ns,unavoidable_median_ns",
        &paths,
    )?;
    let head = [
        "path",
        "cannot avoid",
        "instructions",
        "unavoidable",
        "ratio",
        "ns",
        "unavoidable",
        "ratio",
    ];
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path[..head.len()].to_vec())
        .collect();
    report.markdown("Hot paths", PATHS, &head, &shown);
    report.finish()
}

struct Results<'a> {
    instructions: HashMap<String, f64>,
    times: HashMap<&'a str, &'a Times<&'static str>>,
}

impl Results<'_> {
    /// Returns instructions, lower quartile and median.
    fn of(&self, row: &str) -> [Option<f64>; 3] {
        let times = self.times[row];
        let counted = self.instructions.get(row).copied();
        [counted, Some(times.lower_quartile()), Some(times.median())]
    }

    fn part(&self, name: &str) -> Vec<String> {
        let numbers = self.of(name).map(|value| cell(value, 1));
        [name.to_owned()].into_iter().chain(numbers).collect()
    }

    fn path(&self, name: &str, floor: &str) -> Vec<String> {
        let [path, least] = [name, floor].map(|row| self.of(row));
        let mut cells = vec![name.to_owned(), floor.to_owned()];
        for (at, (path, least)) in path.into_iter().zip(least).enumerate() {
            cells.extend([cell(path, 1), cell(least, 1)]);
            // Without a third ratio: that of medians is about the same.
            if at < 2 {
                let ratio = path.zip(least).map(|(path, least)| path / least);
                cells.push(cell(ratio, 2));
            }
        }
        cells
    }
}

/// Formats a number, or nothing if it was not measured.
fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| number(value, digits))
}

/// Reads a line of `instructions.sh`: a name, spaces and a number.
fn instructions(line: &str) -> Option<(String, f64)> {
    let (name, count) = line.rsplit_once(' ')?;
    Some((name.trim_end().to_owned(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::instructions;

    #[test]
    fn counts_follow_names() {
        let counted = instructions("own word, exchange     12.5");
        assert_eq!(counted, Some(("own word, exchange".to_owned(), 12.5)));
        assert_eq!(instructions("path   instructions/call"), None);
    }
}
