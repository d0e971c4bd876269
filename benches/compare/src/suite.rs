//! Measures every limiter of [`crate::rivals`] with the same programs.
//!
//! `suite.sh` runs it, and describes the files that it writes.

mod accuracy;
mod check;
pub(crate) mod facts;
mod fairness;
mod latency;
pub(crate) mod report;
mod shaping;
mod surplus;
mod throughput;

use std::io;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tidegate::DefaultClock;

use crate::Gate;
use crate::rivals::{Limit, Rival, RivalVisitor, for_each};
use report::Report;

/// How long the measurements take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub quick: bool,
    /// Passes over all limiters, so that a slow minute of the machine affects all of them.
    rounds: u32,
    /// For one measurement of one limiter.
    throughput: Duration,
    latency: Duration,
    fairness: Duration,
    surplus: Duration,
    /// At most, for one limiter at one rate.
    tokens: u64,
    polls: u64,
    windows: u64,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        rounds: 7,
        throughput: Duration::from_millis(60),
        latency: Duration::from_millis(200),
        fairness: Duration::from_millis(300),
        surplus: Duration::from_millis(1_000),
        tokens: 1_000_000,
        polls: 4_000_000,
        windows: 1_000,
    };

    pub const QUICK: Self = Self {
        quick: true,
        rounds: 2,
        throughput: Duration::from_millis(10),
        latency: Duration::from_millis(30),
        fairness: Duration::from_millis(50),
        surplus: Duration::from_millis(150),
        tokens: 100_000,
        polls: 200_000,
        windows: 60,
    };
}

/// What every measurement needs.
struct Suite {
    effort: Effort,
    rivals: Vec<Rival>,
    progress: Progress,
    report: Report,
}

/// Runs every measurement, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let report = Report::new(folder, "tables.md")?;
    facts::write(&report, "Side by side", effort.quick, command)?;
    let per_limiter = 1 + 3 * u64::from(effort.rounds) + surplus::STEPS;
    let suite = Suite::new(effort, report, per_limiter, accuracy::steps());

    check::every_limiter(&suite.progress);
    throughput::measure(&suite)?;
    latency::measure(&suite)?;
    fairness::measure(&suite)?;
    surplus::measure(&suite)?;
    // Last, because it pauses tokio's clock.
    accuracy::measure(&suite)?;
    shaping::simulate(&suite.report)?;
    configurations(&suite)?;
    suite.report.finish()
}

/// Measures the throughput alone, of a build with fat LTO, and writes `throughput_fat_lto.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written, or the build has another profile.
pub fn run_fat(folder: &Path, effort: Effort, _command: &str) -> io::Result<()> {
    if !facts::is_built_with(facts::FAT) {
        return Err(io::Error::other(
            "only a build with the profile `fat` has fat LTO",
        ));
    }
    DefaultClock::calibrate();
    // Its text is not written.
    let report = Report::new(folder, "tables.md")?;
    let suite = Suite::new(effort, report, 1 + u64::from(effort.rounds), 0);
    check::every_limiter(&suite.progress);
    throughput::measure_apart(&suite, "throughput_fat_lto")
}

impl Suite {
    /// Creates a suite with `per_limiter` steps for each limiter and `others` besides.
    fn new(effort: Effort, report: Report, per_limiter: u64, others: u64) -> Self {
        let mut listed = Listed::default();
        for_each(&mut listed);
        let steps = listed.0.len() as u64 * per_limiter + others;
        Self {
            effort,
            rivals: listed.0,
            progress: Progress::new(steps),
            report,
        }
    }
}

/// Writes the configuration of each limiter.
fn configurations(suite: &Suite) -> io::Result<()> {
    let rows = suite.rivals.iter().map(|rival| {
        let kind = format!("{:?}", rival.kind).to_lowercase();
        [
            rival.name,
            &kind,
            rival.clock.name(),
            rival.setup,
            rival.keyed,
        ]
        .map(str::to_owned)
        .to_vec()
    });
    suite.report.table(
        "limiters",
        "Limiters",
        &format!(
            "{VERSIONS} Every limiter that takes a clock gets \"TSC\", tidegate's `DefaultClock`; \
             on a machine whose kernel does not trust the counter, that is the clock of the \
             operating system. \"own TSC\" is the same counter through governor's `quanta`. \"OS\" \
             is the clock of `std`. Instants of clock-lib and std that come from the TSC cost an \
             addition. tokio's clock has its `test-util`, which adds a load to each reading; \
             rate-net has its feature `algorithms`."
        ),
        "limiter,kind,clock,set up with,many keys",
        rows.collect(),
    )
}

/// The versions that `Cargo.toml` pins.
const VERSIONS: &str = "governor 0.10.4, ratelimit 2.0.0, leaky-bucket 1.1.2, better-bucket 1.1.0, \
                        rate-net 2.1.0, gcra 0.6.0, pingora-limits 0.9.0, parking_lot 0.12.5.";

/// Collects the limiters that it visits.
#[derive(Default)]
struct Listed(Vec<Rival>);

impl RivalVisitor for Listed {
    fn visit<G: Gate>(&mut self, rival: &Rival, _make: impl Fn(Limit) -> G) {
        self.0.push(*rival);
    }
}

/// A progress bar on standard error, if that is a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style = "{elapsed_precise} [{bar:40}] {percent}% {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        Self(bar)
    }

    fn step(&self, what: &str, rival: &Rival) {
        self.0.set_message(format!("{what}: {}", rival.name));
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Makes the names of tidegate's limiters bold.
pub(crate) fn bold(name: &str) -> String {
    if name.starts_with("tidegate") {
        format!("**{name}**")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::VERSIONS;

    #[test]
    fn versions_match_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        for pair in VERSIONS.trim_end_matches('.').split(", ") {
            let (name, version) = pair.split_once(' ').expect("a name and a version");
            let version = format!("\"={version}\"");
            let pinned = |line: &str| line.starts_with(name) && line.contains(&version);
            assert!(manifest.lines().any(pinned), "{pair}");
        }
    }
}
