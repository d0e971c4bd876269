//! `adaptive FOLDER [--quick]`, which `../adaptive.sh` builds, runs and describes.

use std::process::ExitCode;

use tidegate_compare::adaptive::{Effort, run};
use tidegate_compare::command::fill_folder;

fn main() -> ExitCode {
    fill_folder("adaptive", Effort::FULL, Effort::QUICK, run)
}
