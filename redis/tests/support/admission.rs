//! Admitted permits, with the time span in which each decision fell.

use core::fmt::{self, Write};
use core::str::FromStr;

use rustix::time::{ClockId, clock_gettime};

/// Permits admitted at an unknown instant between `start_ns` and `end_ns`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) permits: u64,
}

impl Admission {
    /// A decision at exactly this instant.
    pub(crate) const fn at(ns: u64, permits: u64) -> Self {
        Self {
            start_ns: ns,
            end_ns: ns,
            permits,
        }
    }

    /// A decision between `start_ns` and now.
    pub(crate) fn since(start_ns: u64, permits: u64) -> Self {
        Self {
            start_ns,
            end_ns: now_ns(),
            permits,
        }
    }
}

/// Reads the monotonic clock, which all processes of this machine share.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let ns = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(ns).expect("time since the machine started")
}

/// Writes one line of a report: `start end permits`.
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

pub(crate) fn write_report(admissions: &[Admission]) -> String {
    let mut report = String::new();
    for admission in admissions {
        writeln!(report, "{admission}").expect("writing to a string succeeds");
    }
    report
}

/// Reads a report. Skips an unfinished last line: its process was killed while writing it.
pub(crate) fn read_report(report: &str) -> Vec<Admission> {
    let complete = report.rfind('\n').map_or("", |end| &report[..end]);
    complete.lines().map(|line| line.parse().unwrap()).collect()
}
