//! The side by side of single limiters: every limiter of [`crate::rivals`], measured by the same programs.
//!
//! `suite.sh` runs it, and says what comes out.

mod accuracy;
mod check;
mod facts;
mod fairness;
mod latency;
mod report;
mod shaping;
mod surplus;
mod throughput;

use std::io;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tidegate::DefaultClock;

use crate::Gate;
use crate::rivals::{Limit, Rival, Visitor, for_each};
use report::Report;

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub quick: bool,
    /// So many times over all limiters, so that a slow minute of the machine meets all of them.
    rounds: u32,
    /// For one measurement of one limiter.
    throughput: Duration,
    latency: Duration,
    fairness: Duration,
    surplus: Duration,
    /// At most, of a limiter at a rate.
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

/// Runs everything and writes it there.
///
/// # Errors
///
/// That something cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let mut report = Report::new(folder)?;
    facts::write(&mut report, effort, command)?;

    let mut limiters = Names::default();
    for_each(&mut limiters);
    let limiters = limiters.0.len() as u64;
    let rounds = u64::from(effort.rounds);
    let steps = limiters * (1 + 3 * rounds + surplus::STEPS) + accuracy::steps();
    let progress = Progress::new(steps);

    check::every_limiter(&progress);
    throughput::measure(effort, &progress, &mut report)?;
    latency::measure(effort, &progress, &mut report)?;
    fairness::measure(effort, &progress, &mut report)?;
    surplus::measure(effort, &progress, &mut report)?;
    // The last, for it stops the clock of tokio.
    accuracy::measure(effort, &progress, &mut report)?;
    shaping::simulate(&mut report)?;
    setups(&mut report)?;
    report.finish()
}

/// How each limiter is set up.
fn setups(report: &mut Report) -> io::Result<()> {
    let mut names = Names::default();
    for_each(&mut names);
    let rows = names.0.iter().map(|rival| {
        vec![
            rival.name.to_owned(),
            format!("{:?}", rival.kind).to_lowercase(),
            rival.time.name().to_owned(),
            rival.setup.to_owned(),
            rival.keyed.to_owned(),
        ]
    });
    report.table(
        "limiters",
        "Limiters",
        &format!("{VERSIONS} \"TSC\" is tidegate's `DefaultClock`, which everything that takes a clock is given; on a machine whose kernel does \
         not trust the counter it is the operating system's. \"own TSC\" is the same counter through the `quanta` of governor. \"OS\" is that \
         of `std`. Instants of clock-lib and std that come from the TSC cost an addition. tokio's clock has its `test-util`, which adds a \
         load to each reading; rate-net has its feature `algorithms`."),
        &["limiter", "kind", "clock", "set up with", "many keys"],
        rows.collect(),
    )
}

/// As `Cargo.toml` pins them.
const VERSIONS: &str = "governor 0.10.4, ratelimit 2.0.0, leaky-bucket 1.1.2, better-bucket 1.1.0, rate-net 2.1.0, gcra 0.6.0, pingora-limits \
                        0.9.0, parking_lot 0.12.5.";

#[derive(Default)]
struct Names(Vec<Rival>);

impl Visitor for Names {
    fn visit<G: Gate>(&mut self, rival: &Rival, _make: impl Fn(Limit) -> G) {
        self.0.push(*rival);
    }
}

/// How far it is, on standard error if that is a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style = "{elapsed_precise} [{bar:40}] {percent}% {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a good one"));
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

/// Ours stand out in a table.
fn bold(name: &str) -> String {
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
    fn the_versions_are_those_of_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        for pair in VERSIONS.trim_end_matches('.').split(", ") {
            let (name, version) = pair.split_once(' ').expect("a name and a version");
            let pinned =
                |line: &str| line.starts_with(name) && line.contains(&format!("\"={version}\""));
            assert!(manifest.lines().any(pinned), "{pair}");
        }
    }
}
