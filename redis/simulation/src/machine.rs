//! Facts about the machine and the run, for the record.

use std::process::Command;

/// Returns the facts as JSON: names and texts. The names are those of other records.
pub fn facts(command: &str, quick: bool) -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = |field: &str| {
        let line = cpus.lines().find(|line| line.starts_with(field));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let is_virtual = cpu("flags").split(' ').any(|flag| flag == "hypervisor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    let facts = [
        ("date", output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
        ("command", command.to_owned()),
        ("quick", quick.to_string()),
        ("commit", output("git", &["rev-parse", "HEAD"])),
        ("uncommitted_changes", (!changes.is_empty()).to_string()),
        ("kernel", output("uname", &["-srm"])),
        ("cpu", cpu("model name")),
        ("hypervisor", is_virtual.to_string()),
        ("cores", cores.to_string()),
        ("rustc", output("rustc", &["--version"])),
        ("profile", "release".to_owned()),
    ];
    // These texts have no characters that JSON writes in another way than Rust.
    let lines = facts.map(|(name, value)| format!("  \"{name}\": {value:?}"));
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// Returns the output of a program, or nothing if it does not run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
