//! `growth FOLDER [--quick]`, which `../growth.sh` builds, runs and describes.

use std::process::ExitCode;

use tidegate_compare::command::fill_folder;
use tidegate_compare::growth::{Effort, run};

fn main() -> ExitCode {
    fill_folder("growth", Effort::FULL, Effort::QUICK, run)
}
