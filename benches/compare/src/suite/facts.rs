//! Writes the facts of the machine and the run to `machine.json`.

use std::io;
use std::process::Command;

use serde_json::Value;
use tidegate::{Clock, DefaultClock, MonotonicClock};

use super::report::{Report, number};
use crate::figures::ppm;

pub(crate) fn write(report: &Report, title: &str, quick: bool, command: &str) -> io::Result<()> {
    let cpus = read("/proc/cpuinfo");
    let cpu = |field: &str| {
        let line = cpus.lines().find(|line| line.starts_with(field));
        line.and_then(|line| line.split_once(':'))
            .map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let virtual_machine = cpu("flags").split(' ').any(|flag| flag == "hypervisor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let facts = [
        ("date", output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
        ("command", command.to_owned()),
        ("quick", quick.to_string()),
        ("commit", output("git", &["rev-parse", "HEAD"])),
        ("uncommitted_changes", (!changed.is_empty()).to_string()),
        ("kernel", output("uname", &["-srm"])),
        ("cpu", cpu("model name")),
        (
            "cpu_family_model_stepping",
            [cpu("cpu family"), cpu("model\t"), cpu("stepping")].join(" "),
        ),
        ("hypervisor", virtual_machine.to_string()),
        ("cores", cores.to_string()),
        ("clock_source", read(source)),
        ("tsc_ahead_of_os_ppm", number(ahead(), 2)),
        ("tsc_step_ns", step().to_string()),
        ("load_average", read("/proc/loadavg")),
        ("rustc", output("rustc", &["--version"])),
        ("profile", profile().to_owned()),
    ];
    let mut json = Vec::new();
    let mut text = format!("# {title}\n\n");
    for (name, value) in &facts {
        let value = value.trim();
        json.push(format!("  \"{name}\": {}", Value::from(value)));
        text += &format!("* {}: {value}\n", name.replace('_', " "));
    }
    report.text(&(text + "\n"));
    let json = format!("{{\n{}\n}}\n", json.join(",\n"));
    report.file("machine.json", &json)
}

/// The profiles of `Cargo.toml`: their name, and what they are.
const PROFILES: [(&str, &str); 2] = [
    (
        "release",
        "release as Cargo's default: no LTO between crates, 16 codegen units",
    ),
    (FAT, "fat LTO, 1 codegen unit"),
];

pub(crate) const FAT: &str = "fat";

/// Returns what the profile of this program is.
fn profile() -> &'static str {
    let known = PROFILES.iter().find(|(name, _)| is_built_with(name));
    known.map_or("unknown", |(_, text)| text)
}

/// Returns whether this program lies in the build folder of a profile, which has its name.
pub(crate) fn is_built_with(profile: &str) -> bool {
    let program = std::env::current_exe().unwrap_or_default();
    program
        .parent()
        .is_some_and(|folder| folder.ends_with(profile))
}

/// Returns by how many ppm the TSC runs faster than the operating system's clock.
fn ahead() -> f64 {
    let both = || {
        let before = MonotonicClock.now().as_nanos();
        let counter = DefaultClock.now().as_nanos();
        let after = MonotonicClock.now().as_nanos();
        // The origins differ.
        (counter as f64, f64::midpoint(before as f64, after as f64))
    };
    let (counter, system) = both();
    loop {
        let (counter_now, system_now) = both();
        let passed = system_now - system;
        if passed >= 300e6 {
            return ppm(counter_now - counter - passed, passed);
        }
    }
}

/// Returns the shortest time that the clock of the measurements shows.
fn step() -> u64 {
    let mut last = DefaultClock.now().as_nanos();
    let mut shortest = u64::MAX;
    for _ in 0..100_000 {
        let now = DefaultClock.now().as_nanos();
        if now > last {
            shortest = shortest.min(now - last);
        }
        last = now;
    }
    shortest
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Returns the output of a program, or nothing if it does not run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{FAT, PROFILES};

    #[test]
    fn profiles_match_the_manifest() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(!manifest.contains("[profile.release]"));
        let fat = "[profile.fat]\ninherits = \"release\"\nlto = \"fat\"\ncodegen-units = 1\n";
        assert!(manifest.ends_with(fat) && PROFILES[1].0 == FAT);
    }
}
