//! What clients were admitted to do, and when.

use core::fmt::{self, Write};
use core::str::FromStr;

use rustix::time::{ClockId, clock_gettime};

/// So many permits that were decided on at some instant of an interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) permits: u64,
}

impl Admission {
    /// Calls what decides on so many permits, and notes when, if it admits them.
    pub(crate) fn around(permits: u64, decide: impl FnOnce() -> bool) -> Option<Self> {
        let start_ns = now_ns();
        let admitted = decide();
        let end_ns = now_ns();
        admitted.then_some(Self {
            start_ns,
            end_ns,
            permits,
        })
    }
}

/// The time of a clock that all processes of this machine share, and that nobody sets.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let ns = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(ns).expect("time since the machine started")
}

/// As a line of a report: `start end permits`.
impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.start_ns, self.end_ns, self.permits)
    }
}

impl FromStr for Admission {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[start_ns, end_ns, permits]) if start_ns <= end_ns => Ok(Self {
                start_ns,
                end_ns,
                permits,
            }),
            _ => Err(format!("not `start end permits`: {line:?}")),
        }
    }
}

/// A report of these admissions.
pub(crate) fn write(admissions: &[Admission]) -> String {
    let mut report = String::new();
    for admission in admissions {
        writeln!(report, "{admission}").expect("a string takes all");
    }
    report
}

/// The admissions of a report. A last line without an end is left out: whoever wrote it was killed on the way.
pub(crate) fn read(report: &str) -> Vec<Admission> {
    let whole = report.rfind('\n').map_or("", |end| &report[..end]);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}
