//! `waits FOLDER [--quick]`, which `../waits.sh` builds, runs and describes.

use std::path::Path;
use std::process::ExitCode;

use tidegate_compare::waits::{Effort, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The record keeps the command of the script, without its folder.
    let (folder, effort, command) = match arguments.as_slice() {
        [folder] => (folder, Effort::FULL, "./waits.sh FOLDER"),
        [folder, flag] if flag == "--quick" => (folder, Effort::QUICK, "./waits.sh FOLDER --quick"),
        _ => {
            eprintln!("usage: waits FOLDER [--quick]");
            return ExitCode::from(2);
        }
    };
    match run(Path::new(folder), effort, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}
