//! `in_turns FOLDER [--quick]`, which `../in_turns.sh` builds, runs and describes.

use std::process::ExitCode;

use tidegate_compare::command::fill_folder;
use tidegate_compare::turns::{Effort, run};

fn main() -> ExitCode {
    fill_folder("in_turns", Effort::FULL, Effort::QUICK, run)
}
