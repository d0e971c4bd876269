//! `waits FOLDER [--quick]`, which `../waits.sh` builds, runs and describes.

use std::process::ExitCode;

use tidegate_compare::command::fill_folder;
use tidegate_compare::waits::{Effort, run};

fn main() -> ExitCode {
    fill_folder("waits", Effort::FULL, Effort::QUICK, run)
}
